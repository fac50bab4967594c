//! Promise 10: a paused queue or kind gives nothing, until somebody or the clock says so.

use super::act::ops;
use super::stage::{Stage, claim, done, finish, ids, job, put, take, take_one, until};
use chrono::{DateTime, Utc};
use queue::{Actor, NewJob, Pause, PauseScope, clock};

fn pause(scope: PauseScope, name: &str, until: Option<DateTime<Utc>>) -> Pause {
    Pause { scope, name: name.to_owned(), until, by: ops(), since: None }
}

fn of_kind(kind: &str) -> NewJob {
    NewJob { kind: kind.to_owned(), ..job() }
}

pub(crate) async fn a_paused_queue_gives_nothing_until_it_resumes(stage: &Stage) {
    let elsewhere = stage.another().await;
    let running = put(stage, job()).await;
    let held = take_one(stage).await;
    stage.pause(&pause(PauseScope::Queue, "work", None)).await.unwrap();
    let jobs: Vec<NewJob> = (0..20).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    // Tried from everywhere and often: what a paused queue's claimers popped is not lost.
    for _ in 0..10 {
        assert!(claim(stage, 5).await.is_empty());
        assert!(claim(&elsewhere, 5).await.is_empty());
    }
    assert_eq!(held.ticket.id, running);
    finish(stage, held.ticket, done()).await;
    let mut there = elsewhere.ready("work");
    there.mark_unchanged();
    assert!(stage.resume(PauseScope::Queue, "work").await.unwrap());
    tokio::time::timeout(super::stage::PATIENCE, there.changed()).await.expect("a ring").unwrap();
    let mut got = ids(&take(&elsewhere, 20).await);
    got.sort_unstable();
    assert_eq!(got, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    assert!(!stage.resume(PauseScope::Queue, "work").await.unwrap(), "there is no pause any more");
    elsewhere.db().close().await;
}

pub(crate) async fn a_paused_kind_lets_the_others_pass(stage: &Stage) {
    stage.pause(&pause(PauseScope::Kind, "slow", None)).await.unwrap();
    // Many in front: whoever passes them by must not lose the others behind.
    let slow: Vec<NewJob> = (0..300).map(|_| of_kind("slow")).collect();
    stage.enqueue(&slow).await.unwrap();
    let quick = put(stage, of_kind("quick")).await;
    assert_eq!(take_one(stage).await.ticket.id, quick);
    assert!(claim(stage, 10).await.is_empty());
    let another = put(stage, of_kind("quick")).await;
    assert_eq!(take_one(stage).await.ticket.id, another);
    assert!(stage.resume(PauseScope::Kind, "slow").await.unwrap());
    assert_eq!(take(stage, 300).await.len(), 300);
}

pub(crate) async fn a_pause_until_a_time_ends_by_itself(stage: &Stage) {
    let until_at = clock::now() + chrono::Duration::seconds(2);
    for scope in [(PauseScope::Queue, "work"), (PauseScope::Kind, "test")] {
        stage.pause(&pause(scope.0, scope.1, Some(until_at))).await.unwrap();
    }
    assert_eq!(stage.pauses().await.unwrap().len(), 2);
    let id = put(stage, job()).await;
    assert!(claim(stage, 1).await.is_empty());
    assert!(clock::now() < until_at, "the machine is too slow for this case");
    let held = take_one(stage).await;
    assert!(clock::now() >= until_at - chrono::Duration::milliseconds(5));
    assert_eq!(held.ticket.id, id);
    assert!(stage.pauses().await.unwrap().is_empty());
    let was_in_force = stage.resume(PauseScope::Queue, "work").await.unwrap();
    assert!(!was_in_force);
}

pub(crate) async fn a_pause_says_who_and_why_and_the_last_one_counts(stage: &Stage) {
    put(stage, job()).await;
    stage.pause(&pause(PauseScope::Queue, "work", None)).await.unwrap();
    let until_at = clock::now() + chrono::Duration::hours(1);
    let by = Actor { principal: "cli:root".to_owned(), reason: None };
    let second = Pause { by, ..pause(PauseScope::Queue, "work", Some(until_at)) };
    stage.pause(&second).await.unwrap();
    let all = stage.pauses().await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].scope, all[0].name.as_str(), &all[0].by),
        (second.scope, "work", &second.by)
    );
    assert!(all[0].since.is_some());
    assert_eq!(all[0].until.unwrap().timestamp_millis(), until_at.timestamp_millis());
    let stats = stage.stats().await.unwrap();
    assert_eq!(stats[0].paused.as_ref(), Some(&all[0]));
    until("a pause in force keeps jobs", async || claim(stage, 1).await.is_empty()).await;
}
