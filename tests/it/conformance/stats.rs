//! Figures of the queues.

use super::act::later;
use super::stage::{QUEUE, Stage, dead, finish, job, of_lane, put, take, take_one};
use queue::{NewJob, QueueStats, clock};
use std::time::Duration;

async fn work(stage: &Stage) -> QueueStats {
    let all = stage.stats().await.unwrap();
    all.into_iter().find(|queue| queue.queue == QUEUE).expect("the queue was used")
}

pub(crate) async fn every_state_is_counted_where_it_belongs(stage: &Stage) {
    for _ in 0..3 {
        put(stage, of_lane("shop:1")).await;
    }
    put(stage, later()).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    take_one(stage).await;
    put(stage, NewJob { queue: "other".to_owned(), ..job() }).await;
    let old = Some(clock::now() - chrono::Duration::seconds(90));
    put(stage, NewJob { run_at: old, ..job() }).await;
    put(stage, job()).await;
    let figures = work(stage).await;
    let counts = (figures.ready, figures.blocked, figures.scheduled, figures.running, figures.dead);
    assert_eq!(counts, (2, 1, 1, 1, 1), "{figures:?}");
    let oldest = figures.oldest_ready.unwrap();
    assert!(oldest >= Duration::from_secs(89) && oldest < Duration::from_secs(150), "{oldest:?}");
    let names: Vec<_> = stage.stats().await.unwrap().into_iter().map(|queue| queue.queue).collect();
    assert_eq!(names, ["other", QUEUE]);
    take(stage, 2).await;
    assert_eq!(work(stage).await.oldest_ready, None);
}

pub(crate) async fn a_queue_that_was_used_once_stays_known(stage: &Stage) {
    let elsewhere = stage.another().await;
    elsewhere.enqueue(&[job()]).await.unwrap();
    assert_eq!(work(stage).await.ready, 1);
    let mut tx = stage.db().begin().await.unwrap();
    let never = NewJob { queue: "never".to_owned(), ..job() };
    stage.enqueue_in(&mut tx, std::slice::from_ref(&never)).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(stage.stats().await.unwrap().len(), 1, "it did not happen");
    put(stage, never).await;
    assert_eq!(stage.stats().await.unwrap().len(), 2);
    elsewhere.db().close().await;
}

pub(crate) async fn a_count_stops_at_ten_thousand(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..10_050).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    assert_eq!(work(stage).await.ready, 10_000);
}
