//! Promise 12: whoever waits sees the end at once, whichever process made it.

use super::stage::{HOUR, PATIENCE, Stage, dead, done, finish, job, put, retry, take, take_one};
use queue::State;
use std::time::{Duration, Instant};

/// 20 ms are promised on a machine of its own; a shared one gets more, but less than any poll
/// that would give a missing notice away.
pub(crate) async fn an_end_is_seen_soon_after_its_commit(stage: &Stage) {
    let elsewhere = stage.another().await;
    let mut delays = Vec::new();
    for round in 0..20 {
        let id = put(stage, job()).await;
        let waiting = stage.engine();
        let waiter = tokio::spawn(async move {
            let row = waiting.wait(id, PATIENCE).await.unwrap().unwrap();
            (row.state, Instant::now())
        });
        let held = take_one(&elsewhere).await;
        if round % 2 == 0 {
            finish(&elsewhere, held.ticket, done()).await;
        } else {
            let mut tx = elsewhere.db().begin().await.unwrap();
            elsewhere.finish_in(&mut tx, held.ticket, &done()).await.unwrap();
            tx.commit().await.unwrap();
        }
        let committed = Instant::now();
        let (state, seen) = waiter.await.unwrap();
        assert_eq!(state, State::Done);
        delays.push(seen.saturating_duration_since(committed));
    }
    delays.sort();
    assert!(delays[10] < Duration::from_millis(60), "{delays:?}");
    assert!(delays[19] < Duration::from_secs(2), "{delays:?}");
}

pub(crate) async fn an_end_before_the_wait_is_not_missed(stage: &Stage) {
    let elsewhere = stage.another().await;
    for end in [done(), dead("no")] {
        let id = put(stage, job()).await;
        finish(stage, take_one(stage).await.ticket, end.clone()).await;
        let start = Instant::now();
        let row = elsewhere.wait(id, PATIENCE).await.unwrap().unwrap();
        assert!(row.state.is_final());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

pub(crate) async fn a_wait_ends_at_its_timeout(stage: &Stage) {
    let id = put(stage, job()).await;
    for timeout in [Duration::ZERO, Duration::from_millis(100)] {
        let start = Instant::now();
        let row = stage.wait(id, timeout).await.unwrap().unwrap();
        assert_eq!(row.state, State::Ready);
        assert!(start.elapsed() >= timeout);
        assert!(start.elapsed() < timeout + Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

pub(crate) async fn a_retry_is_not_an_end(stage: &Stage) {
    let id = put(stage, job()).await;
    let waiting = stage.engine();
    let waiter = tokio::spawn(async move { waiting.wait(id, PATIENCE).await });
    finish(stage, take_one(stage).await.ticket, retry("again", Duration::ZERO)).await;
    let held = take_one(stage).await;
    assert!(!waiter.is_finished());
    finish(stage, held.ticket, dead("no")).await;
    let row = waiter.await.unwrap().unwrap().unwrap();
    assert_eq!((row.state, row.error.as_deref()), (State::Dead, Some("no")));
}

pub(crate) async fn everybody_who_waits_sees_the_end(stage: &Stage) {
    let elsewhere = stage.another().await;
    let jobs: Vec<_> = (0..50).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let waiters: Vec<_> = (0..100)
        .map(|n| {
            let (engine, id) = (stage.engine(), jobs[n / 2].id);
            tokio::spawn(async move { engine.wait(id, PATIENCE).await })
        })
        .collect();
    let ends: Vec<_> =
        take(&elsewhere, 50).await.iter().map(|held| (held.ticket, done())).collect();
    assert_eq!(elsewhere.finish(&ends).await.unwrap().len(), 50);
    let committed = Instant::now();
    for (n, waiter) in waiters.into_iter().enumerate() {
        let row = waiter.await.unwrap().unwrap().unwrap();
        assert_eq!((row.id, row.state), (jobs[n / 2].id, State::Done));
    }
    assert!(committed.elapsed() < Duration::from_secs(5), "{:?}", committed.elapsed());
}

pub(crate) async fn a_job_that_does_not_exist_is_none(stage: &Stage) {
    let unknown = uuid::Uuid::now_v7();
    assert!(stage.wait(unknown, Duration::from_millis(50)).await.unwrap().is_none());
    assert!(stage.get(unknown).await.unwrap().is_none());
    assert!(stage.attempts(unknown).await.unwrap().is_empty());
    let ticket = queue::Ticket { id: unknown, token: 1 };
    assert!(stage.finish(&[(ticket, retry("no", HOUR))]).await.unwrap().is_empty());
}
