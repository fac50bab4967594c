//! Promises 4 and 7: nothing is popped, a dead worker's jobs come back, storms settle.

use super::stage::{
    HOUR, LEASE, Stage, claim, claim_for, crash, done, finish, ids, job, put, row, take, take_one,
    until,
};
use queue::{NewJob, State, Ticket, clock};
use std::collections::HashSet;
use std::time::Duration;

pub(crate) async fn a_lost_lease_counts_a_crash_and_runs_again(stage: &Stage) {
    let id = put(stage, job()).await;
    crash(stage, 1).await;
    let lost = row(stage, id).await;
    assert_eq!((lost.state, lost.crashes, lost.attempt), (State::Ready, 1, 1));
    assert_eq!((lost.lease_holder, lost.lease_until), (None, None));
    let attempts = stage.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].attempt, attempts[0].outcome.as_str()), (1, "crash"));
    assert_eq!(attempts[0].worker.as_deref(), Some("a"));
    let again = take_one(stage).await;
    assert_eq!((again.attempt, again.crashes), (2, 1));
    finish(stage, again.ticket, done()).await;
}

pub(crate) async fn the_third_crash_is_quarantined(stage: &Stage) {
    let id = put(stage, job()).await;
    for crashes in 1..=3 {
        crash(stage, 1).await;
        assert_eq!(row(stage, id).await.crashes, crashes);
    }
    let row = row(stage, id).await;
    assert_eq!(row.state, State::Dead);
    assert!(row.error.as_deref().is_some_and(|e| e.contains("quarantined")), "{:?}", row.error);
    assert!(row.finished_at.is_some());
    assert_eq!(stage.attempts(id).await.unwrap().len(), 3);
    assert!(claim(stage, 10).await.is_empty());
}

/// It only waited for its turn, beside the one that killed their process.
pub(crate) async fn a_suspect_that_had_not_begun_has_not_crashed(stage: &Stage) {
    let id = put(stage, NewJob { max_attempts: 3, ..job() }).await;
    crash(stage, 1).await;
    crash(stage, 1).await;
    for _ in 0..3 {
        let mut held = Vec::new();
        until("it is claimed", async || {
            held = claim_for(stage, 1, Duration::from_millis(1)).await;
            !held.is_empty()
        })
        .await;
        assert_eq!((held[0].attempt, held[0].crashes), (3, 2));
        until("it is taken back", async || stage.reap().await.unwrap().recovered == 1).await;
        let lost = row(stage, id).await;
        assert_eq!((lost.state, lost.crashes, lost.attempt), (State::Ready, 2, 2));
        assert_eq!(stage.attempts(id).await.unwrap().len(), 2);
        let late = stage.begin(held[0].ticket).await;
        assert!(matches!(late, Err(queue::Error::LeaseLost(_))), "{late:?}");
    }
    let held = take_one(stage).await;
    stage.begin(held.ticket).await.unwrap();
    finish(stage, held.ticket, done()).await;
}

pub(crate) async fn a_crash_of_the_last_attempt_is_dead(stage: &Stage) {
    let id = put(stage, NewJob { max_attempts: 1, ..job() }).await;
    claim_for(stage, 1, Duration::from_millis(1)).await;
    until("upkeep ends it", async || stage.reap().await.unwrap().dead == 1).await;
    let row = row(stage, id).await;
    assert_eq!((row.state, row.crashes), (State::Dead, 1));
    assert!(row.error.is_some());
}

pub(crate) async fn five_thousand_jobs_of_a_dead_worker_are_recovered(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..5_000).map(|_| job()).collect();
    for batch in jobs.chunks(1_000) {
        stage.enqueue(batch).await.unwrap();
    }
    let lost = crash(stage, jobs.len()).await;
    assert_eq!(lost.len(), jobs.len());
    let again: HashSet<_> = ids(&take(stage, jobs.len()).await).into_iter().collect();
    assert_eq!(again.len(), jobs.len());
}

pub(crate) async fn a_live_lease_is_left_alone(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = take_one(stage).await;
    let other = stage.another().await;
    for engine in [stage.engine(), other] {
        let reaped = engine.reap().await.unwrap();
        assert_eq!((reaped.recovered, reaped.dead, reaped.more), (0, 0, false));
    }
    assert_eq!(row(stage, id).await.state, State::Running);
    finish(stage, held.ticket, done()).await;
}

pub(crate) async fn an_extended_lease_outlives_its_first_term(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = claim_for(stage, 1, Duration::from_millis(500)).await.remove(0);
    let first_term = row(stage, id).await.lease_until.unwrap();
    assert_eq!(stage.extend(&[held.ticket], LEASE).await.unwrap(), [held.ticket]);
    assert!(row(stage, id).await.lease_until.unwrap() > first_term);
    until("the first term has passed", async || clock::now() > first_term).await;
    assert_eq!(stage.reap().await.unwrap().recovered, 0);
    finish(stage, held.ticket, done()).await;
}

pub(crate) async fn extending_returns_only_what_is_held(stage: &Stage) {
    stage.enqueue(&[job(), job(), job(), job()]).await.unwrap();
    let held: Vec<Ticket> = take(stage, 4).await.iter().map(|held| held.ticket).collect();
    finish(stage, held[1], done()).await;
    let stale = Ticket { id: held[2].id, token: held[2].token - 1 };
    let unknown = Ticket { id: uuid::Uuid::now_v7(), token: 1 };
    let mut still = stage.extend(&[held[0], held[1], stale, unknown, held[3]], HOUR).await.unwrap();
    still.sort_by_key(|ticket| ticket.id);
    let mut expected = [held[0], held[3]];
    expected.sort_by_key(|ticket| ticket.id);
    assert_eq!(still, expected);
    assert!(stage.extend(&[], HOUR).await.unwrap().is_empty());
}

pub(crate) async fn the_time_to_the_next_due_job_is_told(stage: &Stage) {
    assert_eq!(stage.reap().await.unwrap().next_due, None);
    for hours in [5, 1, 3] {
        let run_at = Some(clock::now() + chrono::Duration::hours(hours));
        put(stage, NewJob { run_at, ..job() }).await;
    }
    let next = stage.reap().await.unwrap().next_due.expect("a job is scheduled");
    assert!(next <= HOUR && next > HOUR - Duration::from_secs(60), "{next:?}");
}
