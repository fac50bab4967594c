//! Promise 14: finished jobs stay for their time, and go in small steps.

use super::stage::{HOUR, Stage, dead, done, finish, job, put, take, take_one, until};
use queue::{NewJob, Retention, State, Unique, clock};
use std::time::Duration;

const AT_ONCE: Retention = Retention { done: Duration::ZERO, dead: Duration::ZERO };

pub(crate) async fn only_finished_jobs_past_their_time_are_removed(stage: &Stage) {
    stage.enqueue(&[job(), job(), job()]).await.unwrap();
    let held = take(stage, 3).await;
    finish(stage, held[0].ticket, done()).await;
    finish(stage, held[1].ticket, dead("no")).await;
    let waiting = put(stage, job()).await;
    let later = clock::now() + chrono::Duration::hours(1);
    let scheduled = put(stage, NewJob { run_at: Some(later), ..job() }).await;
    let kept = [held[2].ticket.id, waiting, scheduled];

    let nothing = Retention { done: HOUR, dead: HOUR };
    assert_eq!(stage.prune(nothing, 100).await.unwrap(), 0);
    let only_done = Retention { done: Duration::ZERO, dead: HOUR };
    until("the one that is done goes", async || stage.prune(only_done, 100).await.unwrap() == 1)
        .await;
    assert!(stage.get(held[0].ticket.id).await.unwrap().is_none());
    assert_eq!(stage.attempts(held[1].ticket.id).await.unwrap().len(), 1);
    until("the dead one goes", async || stage.prune(AT_ONCE, 100).await.unwrap() == 1).await;
    assert!(stage.get(held[1].ticket.id).await.unwrap().is_none());
    assert!(stage.attempts(held[1].ticket.id).await.unwrap().is_empty());
    assert_eq!(stage.prune(AT_ONCE, 100).await.unwrap(), 0);
    for id in kept {
        assert!(stage.get(id).await.unwrap().is_some_and(|row| !row.state.is_final()));
    }
}

pub(crate) async fn cancelled_and_expired_jobs_go_with_the_dead(stage: &Stage) {
    let past = Some(clock::now() - chrono::Duration::seconds(1));
    let ids = [put(stage, NewJob { expires_at: past, ..job() }).await, put(stage, job()).await];
    super::act::act(stage, ids[1], queue::Act::Cancel).await;
    stage.reap().await.unwrap();
    let only_done = Retention { done: Duration::ZERO, dead: HOUR };
    assert_eq!(stage.prune(only_done, 10).await.unwrap(), 0);
    let mut gone = 0;
    until("both go", async || {
        gone += stage.prune(AT_ONCE, 10).await.unwrap();
        gone == 2
    })
    .await;
    for id in ids {
        assert_eq!(stage.get(id).await.unwrap(), None);
        assert!(stage.actions(id).await.unwrap().is_empty());
    }
}

pub(crate) async fn removal_goes_in_steps(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..10).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let ends: Vec<_> = take(stage, 10).await.iter().map(|held| (held.ticket, done())).collect();
    stage.finish(&ends).await.unwrap();
    let last = stage.get(jobs[9].id).await.unwrap().unwrap();
    assert_eq!(last.state, State::Done);
    until("all have ended in the past", async || {
        clock::now() > last.finished_at.unwrap() + chrono::Duration::milliseconds(5)
    })
    .await;
    let mut steps = Vec::new();
    for _ in 0..5 {
        steps.push(stage.prune(AT_ONCE, 3).await.unwrap());
    }
    assert_eq!(steps, [3, 3, 3, 1, 0]);
}

pub(crate) async fn a_key_that_was_for_ever_is_free_once_its_job_is_gone(stage: &Stage) {
    let tick = || NewJob { unique: Unique::Ever("tick".to_owned()), ..job() };
    let first = put(stage, tick()).await;
    finish(stage, take_one(stage).await.ticket, done()).await;
    assert_eq!(put(stage, tick()).await, first);
    until("it goes", async || stage.prune(AT_ONCE, 10).await.unwrap() == 1).await;
    assert_ne!(put(stage, tick()).await, first);
}
