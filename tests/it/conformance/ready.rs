//! Promise 8: workers are told that there may be work, whichever process put it in.

use super::stage::{PATIENCE, QUEUE, Stage, claim_for, done, finish, job, of_lane, put, take_one};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Waits for news. A slow poll may bring them too, which is why the deadline is short: news that
/// only a poll brings would make every idle system slow.
async fn news(ready: &mut watch::Receiver<u64>) {
    let changed = tokio::time::timeout(Duration::from_secs(2), ready.changed()).await;
    changed.expect("news within two seconds").expect("the engine lives");
}

pub(crate) async fn an_enqueue_wakes_every_engine(stage: &Stage) {
    let elsewhere = stage.another().await;
    for _ in 0..5 {
        let mut here = stage.ready(QUEUE);
        let mut there = elsewhere.ready(QUEUE);
        here.mark_unchanged();
        there.mark_unchanged();
        let id = put(stage, job()).await;
        news(&mut here).await;
        news(&mut there).await;
        let held = take_one(&elsewhere).await;
        assert_eq!(held.ticket.id, id);
        finish(&elsewhere, held.ticket, done()).await;
    }
}

pub(crate) async fn a_commit_wakes_and_a_rollback_does_not(stage: &Stage) {
    let elsewhere = stage.another().await;
    let mut there = elsewhere.ready(QUEUE);
    let mut tx = stage.db().begin().await.unwrap();
    stage.enqueue_in(&mut tx, &[job()]).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = stage.db().begin().await.unwrap();
    stage.enqueue_in(&mut tx, &[job()]).await.unwrap();
    there.mark_unchanged();
    tx.commit().await.unwrap();
    news(&mut there).await;
    take_one(&elsewhere).await;
}

pub(crate) async fn the_end_of_a_head_wakes_for_the_next_of_its_lane(stage: &Stage) {
    let elsewhere = stage.another().await;
    put(stage, of_lane("shop:2")).await;
    put(stage, of_lane("shop:2")).await;
    let head = take_one(stage).await;
    let mut there = elsewhere.ready(QUEUE);
    there.mark_unchanged();
    finish(stage, head.ticket, done()).await;
    news(&mut there).await;
    take_one(&elsewhere).await;
}

pub(crate) async fn a_recovered_job_wakes(stage: &Stage) {
    let elsewhere = stage.another().await;
    put(stage, job()).await;
    claim_for(stage, 1, Duration::from_millis(1)).await;
    let mut there = elsewhere.ready(QUEUE);
    let start = Instant::now();
    there.mark_unchanged();
    while stage.reap().await.unwrap().recovered == 0 {
        assert!(start.elapsed() < PATIENCE, "the job was not taken back");
        there.mark_unchanged();
    }
    news(&mut there).await;
    take_one(&elsewhere).await;
}
