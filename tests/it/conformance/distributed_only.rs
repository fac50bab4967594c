//! What only PostgreSQL with Redis can promise: Redis may be emptied, killed and absent.

use super::stage::{
    PATIENCE, QUEUE, Stage, done, finish, ids, job, of_lane, put, take, take_one, until,
};
use queue::{NewJob, State};
use std::collections::HashSet;
use std::time::Instant;
use tests::stores::{Deployment, Redis};

/// A stage with a Redis of its own.
async fn stage() -> Option<(Redis, Stage)> {
    if !Deployment::Distributed.is_chosen() {
        return None;
    }
    let redis = Redis::start_private().await;
    let mut stores = Deployment::Distributed.fresh().await;
    stores.redis_url = Some(redis.url());
    let stage = Stage::on(stores).await;
    Some((redis, stage))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_loses_no_job() {
    let Some((redis, stage)) = stage().await else { return };
    let jobs: Vec<NewJob> =
        (0..200).map(|n| if n % 4 == 0 { of_lane("shop:2") } else { job() }).collect();
    let mut ended = HashSet::new();
    for batch in jobs.chunks(50) {
        stage.enqueue(batch).await.unwrap();
        redis.flush();
        let held = take(&stage, 20).await;
        redis.flush();
        for job in held {
            finish(&stage, job.ticket, done()).await;
            assert!(ended.insert(job.ticket.id), "a job ended twice");
        }
    }
    redis.flush();
    while ended.len() < jobs.len() {
        let job = take_one(&stage).await;
        finish(&stage, job.ticket, done()).await;
        assert!(ended.insert(job.ticket.id), "a job ended twice");
    }
    assert_eq!(stage.unfinished("nobody", 1).await.unwrap(), 0);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_jobs_go_in_and_out_all_the_same() {
    let Some((redis, stage)) = stage().await else { return };
    let elsewhere = stage.another().await;
    put(&stage, job()).await;
    finish(&stage, take_one(&stage).await.ticket, done()).await;
    redis.kill9();
    let start = Instant::now();
    let jobs: Vec<NewJob> = (0..20).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let waiting = stage.engine();
    let last = jobs[19].id;
    let waiter = tokio::spawn(async move { waiting.wait(last, PATIENCE).await });
    let held = take(&elsewhere, 20).await;
    assert_eq!(ids(&held).len(), 20);
    for job in held {
        finish(&elsewhere, job.ticket, done()).await;
    }
    let row = waiter.await.unwrap().unwrap().unwrap();
    assert_eq!(row.state, State::Done);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_rings_again() {
    let Some((redis, stage)) = stage().await else { return };
    let elsewhere = stage.another().await;
    redis.kill9();
    put(&stage, job()).await;
    redis.start().await;
    until("both engines can reach it again", async || {
        stage.ping().await.is_ok() && elsewhere.ping().await.is_ok()
    })
    .await;
    let mut there = elsewhere.ready(QUEUE);
    there.mark_unchanged();
    put(&stage, job()).await;
    tokio::time::timeout(PATIENCE, there.changed()).await.expect("news").unwrap();
    assert_eq!(take(&elsewhere, 2).await.len(), 2);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_with_redis_is_refused() {
    let stores = Deployment::Embedded.fresh().await;
    let settings = queue::Settings {
        redis_url: Some("redis://127.0.0.1:1".to_owned()),
        redis_prefix: "test".to_owned(),
        max_payload_bytes: 1_024,
    };
    let refused = queue::open(stores.db().await, &settings);
    let refused = refused.err().expect("two machines cannot share a file");
    assert!(matches!(&refused, queue::Error::Settings(_)), "{refused:?}");
    assert!(refused.to_string().to_lowercase().contains("sqlite"), "{refused}");
}

/// A process that died between taking ids from Redis and claiming their rows, while the queue is
/// never empty: what it took is among the first, and is shown to Redis again.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_lost_by_a_filled_redis_is_found_again() {
    let Some((redis, stage)) = stage().await else { return };
    let jobs: Vec<NewJob> = (0..20).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let held = take(&stage, 5).await;
    assert_eq!(held.len(), 5);
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*:ready").query_async(&mut connection).await.unwrap();
    let popped: Vec<(Vec<u8>, f64)> =
        redis::cmd("ZPOPMIN").arg(&keys).query_async(&mut connection).await.unwrap();
    let lost = &popped[0].0;
    until("the lost id is back", async || {
        stage.reap().await.unwrap();
        let score: Option<f64> =
            redis::cmd("ZSCORE").arg(&keys).arg(lost).query_async(&mut connection).await.unwrap();
        score.is_some()
    })
    .await;
    stage.close().await;
}
