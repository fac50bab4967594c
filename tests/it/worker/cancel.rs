//! A running job stops when somebody asks for it, wherever (promise 9); a job's own time limit.

use super::floor::{Floor, catalog, until};
use jobs::Job as _;
use queue::{Act, Acted, Actor, NewJob, State};
use std::time::{Duration, Instant};
use tests::script::{Script, Step};
use uuid::Uuid;

/// Asks from an engine of its own, as another process would.
async fn cancel(floor: &Floor, id: Uuid) -> Acted {
    let elsewhere = floor.stores.engine().await;
    let by = Actor { principal: "key:ops".to_owned(), reason: None };
    let acted = elsewhere.act(&[id], Act::Cancel, &by).await.unwrap().remove(0);
    elsewhere.db().close().await;
    acted
}

pub(super) async fn a_running_handler_is_told_within_a_second(floor: &Floor) {
    let worker = floor.worker(2).await;
    let polite = Script::new([Step::Hold]);
    let other = Script::new([Step::Hold]);
    let (id, kept) = (floor.put(polite.clone()).await, floor.put(other.clone()).await);
    polite.until_holding().await;
    other.until_holding().await;
    let start = Instant::now();
    assert_eq!(cancel(floor, id).await, Acted::Requested);
    polite.until_ended(1).await;
    let took = start.elapsed();
    // One second is the promise; a machine full of other tests gets one more.
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(polite.executions()[0].cancelled);
    let row = floor.ended(id, State::Cancelled).await;
    assert_eq!(row.error.as_deref(), Some("cancelled by key:ops"));
    assert_eq!(floor.engine.attempts(id).await.unwrap()[0].outcome, "cancelled");
    other.release();
    floor.ended(kept, State::Done).await;
    worker.stop().await;
}

pub(super) async fn a_handler_that_finishes_all_the_same_is_done(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::AwaitCancel, Step::SucceedWith("cleared up".to_owned())]);
    let id = floor.put(script.clone()).await;
    script.until_begun(1).await;
    assert_eq!(cancel(floor, id).await, Acted::Requested);
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.result.as_deref(), Some("\"cleared up\""));
    worker.stop().await;
}

pub(super) async fn a_deaf_handler_is_dropped_after_its_grace(floor: &Floor) {
    let worker = floor.worker(1).await;
    let deaf = Script::new([Step::HoldDeaf]);
    let id = floor.put(deaf.clone()).await;
    deaf.until_holding().await;
    let start = Instant::now();
    assert_eq!(cancel(floor, id).await, Acted::Requested);
    floor.ended(id, State::Cancelled).await;
    let took = start.elapsed();
    assert!(took >= Script::CANCEL_GRACE && took < Script::CANCEL_GRACE * 8, "{took:?}");
    assert_eq!(deaf.executions()[0].ended, None, "it was dropped half way");
    let next = floor.put(Script::new([])).await;
    floor.ended(next, State::Done).await;
    worker.stop().await;
}

pub(super) async fn a_cancel_is_not_forgotten_when_the_worker_stops(floor: &Floor) {
    let grace = Duration::ZERO;
    let old = floor.worker_with(worker::Settings { grace, ..Floor::settings(1) }, catalog()).await;
    let script = Script::new([Step::HoldDeaf, Step::Succeed]);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    old.shut_down();
    assert_eq!(cancel(floor, id).await, Acted::Requested);
    old.stopped().await;
    let new = floor.worker(1).await;
    floor.ended(id, State::Cancelled).await;
    assert_eq!(script.executions().len(), 1);
    new.stop().await;
}

pub(super) async fn a_job_may_have_a_time_limit_of_its_own(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::Hold, Step::Succeed]);
    let timeout = Some(Duration::from_millis(120));
    let id = floor.put_new(NewJob { timeout, ..script.clone().into_new() }).await;
    assert_eq!(floor.ended(id, State::Done).await.attempt, 2);
    assert_eq!(floor.errors(id).await, ["took longer than 0.12 s"]);
    assert!(script.executions()[0].cancelled, "its token fired");
    // Longer than the kind's is possible as well.
    let patient = Script::new([Step::Sleep(5_300)]);
    let timeout = Some(Duration::from_secs(60));
    let id = floor.put_new(NewJob { timeout, ..patient.clone().into_new() }).await;
    assert_eq!(floor.ended(id, State::Done).await.attempt, 1);
    until("nothing runs", async || floor.engine.stats().await.unwrap()[0].running == 0).await;
    worker.stop().await;
}
