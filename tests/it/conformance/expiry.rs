//! A job that has not started by its last moment does not start.

use super::act::later;
use super::stage::{
    HOUR, PATIENCE, Stage, claim, done, finish, job, of_lane, put, row, take_one, until,
};
use chrono::{DateTime, Utc};
use queue::{NewJob, State, clock};
use uuid::Uuid;

fn soon() -> Option<DateTime<Utc>> {
    Some(clock::now() + chrono::Duration::milliseconds(150))
}

async fn expires(stage: &Stage, id: Uuid) {
    until("it expires", async || {
        stage.reap().await.unwrap();
        row(stage, id).await.state == State::Expired
    })
    .await;
}

pub(crate) async fn a_job_that_waited_too_long_expires_and_is_not_claimed(stage: &Stage) {
    let past = Some(clock::now() - chrono::Duration::seconds(1));
    let id = put(stage, NewJob { expires_at: past, ..job() }).await;
    assert!(claim(stage, 1).await.is_empty(), "not even before the upkeep has seen it");
    let waiting = stage.engine();
    let waiter = tokio::spawn(async move { waiting.wait(id, PATIENCE).await });
    assert_eq!(stage.reap().await.unwrap().expired, 1);
    let seen = waiter.await.unwrap().unwrap().unwrap();
    assert_eq!((seen.state, seen.attempt), (State::Expired, 0));
    assert_eq!(seen.error.as_deref(), Some("expired before it started"));
    assert!(seen.finished_at.is_some());
}

pub(crate) async fn a_scheduled_job_expires_before_its_time(stage: &Stage) {
    let id = put(stage, NewJob { expires_at: soon(), ..later() }).await;
    assert_eq!(row(stage, id).await.state, State::Scheduled);
    expires(stage, id).await;
}

pub(crate) async fn an_expired_head_does_not_block_its_lane(stage: &Stage) {
    let head = NewJob { expires_at: soon(), run_at: later().run_at, ..of_lane("shop:5") };
    let head = put(stage, head).await;
    let middle = put(stage, NewJob { expires_at: soon(), ..of_lane("shop:5") }).await;
    let next = put(stage, of_lane("shop:5")).await;
    expires(stage, head).await;
    expires(stage, middle).await;
    assert_eq!(take_one(stage).await.ticket.id, next);
}

pub(crate) async fn a_job_that_has_started_does_not_expire(stage: &Stage) {
    let expires_at = soon();
    let id = put(stage, NewJob { expires_at, ..job() }).await;
    let held = take_one(stage).await;
    until("its moment has passed", async || expires_at < Some(clock::now())).await;
    assert_eq!(stage.reap().await.unwrap().expired, 0);
    finish(stage, held.ticket, done()).await;
    assert_eq!(row(stage, id).await.state, State::Done);
    let far = Some(clock::now() + chrono::Duration::from_std(HOUR).unwrap());
    let kept = put(stage, NewJob { expires_at: far, ..job() }).await;
    assert_eq!(stage.reap().await.unwrap().expired, 0);
    assert_eq!(take_one(stage).await.ticket.id, kept);
}
