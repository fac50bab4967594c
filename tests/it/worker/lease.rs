//! Who lost a job records nothing of it; who holds it keeps it (promises 2 and 3).

use super::floor::{Floor, catalog, until};
use jobs::Job as _;
use queue::{Claim, Outcome, State};
use std::time::Duration;
use tests::script::{Script, Step};

/// Extended every 200 ms, so that a lost one is noticed soon.
const SHORT: Duration = Duration::from_millis(600);

pub(super) async fn a_lost_lease_fires_the_token_and_records_nothing(floor: &Floor) {
    let lease = Duration::from_secs(3);
    let worker =
        floor.worker_with(worker::Settings { lease, ..Floor::settings(1) }, catalog()).await;
    let script = Script::new([Step::Hold, Step::SucceedWith("second".to_owned())]);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    floor.expire(id).await;
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.result.as_deref(), Some("\"second\""));
    assert_eq!((row.attempt, row.crashes), (2, 1));
    let runs = script.executions();
    assert!(runs[0].cancelled, "{runs:?}");
    // Its own failure, "cancelled", is nowhere: only the loss of the lease is.
    let attempts = floor.engine.attempts(id).await.unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["crash"]);
    worker.stop().await;
}

pub(super) async fn a_deaf_handler_is_stopped_when_its_lease_is_lost(floor: &Floor) {
    let lease = Duration::from_secs(3);
    let worker =
        floor.worker_with(worker::Settings { lease, ..Floor::settings(1) }, catalog()).await;
    let script = Script::new([Step::HoldDeaf, Step::SucceedWith("second".to_owned())]);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    floor.expire(id).await;
    // The one slot is free again only once the first execution is gone.
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.result.as_deref(), Some("\"second\""));
    assert_eq!(script.executions()[0].ended, None, "it was dropped half way");
    worker.stop().await;
}

pub(super) async fn a_busy_handler_does_not_look_dead(floor: &Floor) {
    let lease = 3 * SHORT;
    let worker =
        floor.worker_with(worker::Settings { lease, ..Floor::settings(1) }, catalog()).await;
    let script = Script::new([Step::Block(3_000)]);
    let row = floor.ended(floor.put(script.clone()).await, State::Done).await;
    assert_eq!((row.attempt, row.crashes, script.executions().len()), (1, 0, 1));
    worker.stop().await;
}

pub(super) async fn an_end_in_a_transaction_and_a_return_are_recorded_once(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::FinishIn("in the transaction".to_owned())]);
    let id = floor.put(script.clone()).await;
    let row = floor.ended(id, State::Done).await;
    // Whatever the worker would still record is recorded before it has stopped.
    worker.stop().await;
    assert_eq!(row.result.as_deref(), Some("\"in the transaction\""));
    assert_eq!(floor.row(id).await.finished_at, row.finished_at);
    assert!(floor.errors(id).await.is_empty());
    assert_eq!(script.executions().len(), 1);
}

pub(super) async fn an_end_in_a_transaction_is_refused_once_another_holds_the_job(floor: &Floor) {
    // One slot and a long lease: the worker neither notices nor takes the job again.
    let worker = floor.worker(1).await;
    let script = Script::new([Step::HoldDeaf, Step::FinishIn("the zombie's".to_owned())]);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    floor.expire(id).await;
    let claim = Claim {
        queue: Script::QUEUE.to_owned(),
        worker: "another".to_owned(),
        limit: 1,
        lease: super::floor::LEASE,
    };
    let mut claimed = Vec::new();
    until("the other one holds the job", async || {
        claimed.extend(floor.engine.claim(&claim).await.unwrap());
        !claimed.is_empty()
    })
    .await;
    script.release();
    script.until_ended(1).await;
    worker.stop().await;
    let row = floor.row(id).await;
    assert_eq!((row.state, row.result, row.attempt), (State::Running, None, 2));
    let ticket = claimed[0].ticket;
    let done = Outcome::Done { result: Some("\"the holder's\"".to_owned()), progress: None };
    assert_eq!(floor.engine.finish(&[(ticket, done)]).await.unwrap(), [ticket]);
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.result.as_deref(), Some("\"the holder's\""));
}
