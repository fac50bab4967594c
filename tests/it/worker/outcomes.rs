//! How an attempt ends decides what becomes of the job (promise 5).

use super::floor::{Brief, Floor, catalog, until};
use jobs::{Catalog, Job as _};
use queue::{NewJob, State};
use std::time::Duration;
use tests::script::{Script, Step};

pub(super) async fn success_is_recorded_with_its_result(floor: &Floor) {
    let worker = floor.worker(2).await;
    let script = Script::new([Step::SucceedWith("fait".to_owned())]);
    let row = floor.ended(floor.put(script.clone()).await, State::Done).await;
    assert_eq!(row.result.as_deref(), Some("\"fait\""));
    assert_eq!((row.attempt, row.error, script.executions().len()), (1, None, 1));
    worker.stop().await;
}

pub(super) async fn a_transient_failure_is_tried_again_and_keeps_its_error(floor: &Floor) {
    let worker = floor.worker(2).await;
    let script = Script::new([Step::Transient("no route".to_owned()), Step::Succeed]);
    let id = floor.put(script.clone()).await;
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.attempt, 2);
    assert_eq!(floor.errors(id).await, ["no route"]);
    let tokens: Vec<_> = script.executions().iter().map(|run| run.token).collect();
    assert!(tokens[0] < tokens[1], "{tokens:?}");
    worker.stop().await;
}

pub(super) async fn retry_after_waits_exactly_that_long(floor: &Floor) {
    let worker = floor.worker(2).await;
    let script = Script::new([Step::RetryAfter(400), Step::Succeed]);
    let row = floor.ended(floor.put(script.clone()).await, State::Done).await;
    assert_eq!(row.attempt, 2);
    let runs = script.executions();
    // The store keeps whole milliseconds.
    let waited = runs[1].began - runs[0].ended.unwrap();
    assert!(waited >= Duration::from_millis(398), "{waited:?}");
    worker.stop().await;
}

pub(super) async fn a_permanent_failure_is_dead_at_once(floor: &Floor) {
    let worker = floor.worker(2).await;
    let script = Script::new([Step::Permanent("no such file".to_owned())]);
    let id = floor.put(script.clone()).await;
    let row = floor.ended(id, State::Dead).await;
    assert_eq!((row.attempt, row.error.as_deref()), (1, Some("no such file")));
    assert_eq!(floor.errors(id).await, ["no such file"]);
    assert_eq!(script.executions().len(), 1);
    worker.stop().await;
}

pub(super) async fn a_snooze_comes_back_without_spending_an_attempt(floor: &Floor) {
    let worker = floor.worker(2).await;
    let script = Script::new([Step::Snooze(300), Step::Succeed]);
    let id = floor.put(script.clone()).await;
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.attempt, 1);
    assert!(floor.errors(id).await.is_empty());
    let runs = script.executions();
    let waited = runs[1].began - runs[0].ended.unwrap();
    assert!(waited >= Duration::from_millis(298), "{waited:?}");
    worker.stop().await;
}

pub(super) async fn spent_attempts_are_dead_with_every_error(floor: &Floor) {
    let worker = floor.worker(2).await;
    let errors = ["one", "two", "three", "four", "five"];
    let script = Script::new(errors.map(|error| Step::Transient(error.to_owned())));
    let id = floor.put(script).await;
    let row = floor.ended(id, State::Dead).await;
    assert_eq!((row.attempt, row.max_attempts), (5, Script::MAX_ATTEMPTS));
    assert_eq!(floor.errors(id).await, errors);
    worker.stop().await;
}

pub(super) async fn a_panic_is_one_failed_attempt_and_the_worker_lives(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::Panic("index out of bounds".to_owned()), Step::Succeed]);
    let id = floor.put(script).await;
    assert_eq!(floor.ended(id, State::Done).await.attempt, 2);
    assert_eq!(floor.errors(id).await, ["panicked: index out of bounds"]);
    let next = floor.put(Script::new([])).await;
    floor.ended(next, State::Done).await;
    worker.stop().await;
}

pub(super) async fn a_timeout_is_one_failed_attempt_even_of_a_deaf_handler(floor: &Floor) {
    let worker = floor.worker(2).await;
    let polite = Script::new([Step::Hold, Step::Succeed]);
    let deaf = Script::new([Step::HoldDeaf, Step::Succeed]);
    let ids = [floor.put(Brief(polite.clone())).await, floor.put(Brief(deaf.clone())).await];
    for id in ids {
        assert_eq!(floor.ended(id, State::Done).await.attempt, 2);
        assert_eq!(floor.errors(id).await, ["took longer than 0.15 s"]);
    }
    assert!(polite.executions()[0].cancelled, "its token fired");
    assert_eq!(deaf.executions()[0].ended, None, "it was dropped half way");
    worker.stop().await;
}

pub(super) async fn an_unknown_kind_waits_for_a_worker_that_knows_it(floor: &Floor) {
    let old = floor.worker_with(Floor::settings(1), Catalog::default()).await;
    let script = Script::new([]);
    let id = floor.put(script.clone()).await;
    until("an attempt failed", async || !floor.errors(id).await.is_empty()).await;
    old.stop().await;
    let row = floor.row(id).await;
    assert!(matches!(row.state, State::Scheduled | State::Ready), "{row:?}");
    assert_eq!(floor.errors(id).await[0], "no job of kind `script`");
    let new = floor.worker(1).await;
    floor.ended(id, State::Done).await;
    assert_eq!(script.executions().len(), 1);
    new.stop().await;
}

pub(super) async fn an_unreadable_payload_is_tried_again_not_killed(floor: &Floor) {
    let worker = floor.worker(1).await;
    let job = NewJob::new(Script::KIND, Script::QUEUE, r#"{"id":7}"#.to_owned());
    let id = floor.put_new(job).await;
    until("two attempts failed", async || floor.errors(id).await.len() >= 2).await;
    assert_ne!(floor.row(id).await.state, State::Dead);
    let errors = floor.errors(id).await;
    assert!(errors.iter().all(|error| error.starts_with("payload: ")), "{errors:?}");
    worker.stop().await;
}

pub(super) async fn a_newer_version_is_tried_again_not_killed(floor: &Floor) {
    let worker = floor.worker_with(Floor::settings(1), catalog()).await;
    let script = Script::new([]);
    let id = floor.put_new(NewJob { version: 2, ..script.clone().into_new() }).await;
    until("an attempt failed", async || !floor.errors(id).await.is_empty()).await;
    assert_eq!(floor.errors(id).await[0], "payload version 2; this worker reads up to 1");
    assert_ne!(floor.row(id).await.state, State::Dead);
    assert!(script.executions().is_empty(), "it was not run on a payload it may misread");
    worker.stop().await;
}
