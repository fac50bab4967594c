//! What an attempt leaves behind: checkpoints, lines, steps done once, signs of life.

use super::floor::{Floor, catalog, until};
use queue::State;
use std::time::{Duration, Instant};
use tests::script::{Script, Step};

pub(super) async fn a_drained_handler_goes_on_elsewhere_from_its_checkpoint(floor: &Floor) {
    let old = floor.worker(1).await;
    let steps = [
        Step::Checkpoint(1),
        Step::Progress(1, 3),
        Step::AwaitDrain,
        Step::Checkpoint(2),
        Step::Log("handed back".to_owned()),
        Step::Release,
    ];
    let script = Script::new(steps);
    let id = floor.put(script.clone()).await;
    until("the first checkpoint", async || floor.row(id).await.progress.is_some()).await;
    assert_eq!(floor.row(id).await.checkpoint.as_deref(), Some("1"));
    let start = Instant::now();
    old.stop().await;
    // The grace time is twenty seconds: the handler was told at once.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let row = floor.row(id).await;
    assert_eq!((row.state, row.attempt, row.crashes), (State::Ready, 0, 0));
    let new = floor.worker(1).await;
    let row = floor.ended(id, State::Done).await;
    assert_eq!(row.attempt, 1, "no attempt is spent");
    assert!(floor.errors(id).await.is_empty());
    let resumed: Vec<_> = script.executions().iter().map(|run| run.resumed).collect();
    assert_eq!(resumed, [None, Some(2)]);
    let lines = floor.engine.logs(id, None, 10).await.unwrap();
    assert_eq!(lines.iter().map(|l| l.line.as_str()).collect::<Vec<_>>(), ["handed back"]);
    new.stop().await;
}

pub(super) async fn a_job_handed_back_without_need_does_not_run_in_circles(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::Release, Step::Succeed]);
    let id = floor.put(script.clone()).await;
    assert_eq!(floor.ended(id, State::Done).await.attempt, 1);
    let runs = script.executions();
    assert!(runs[1].began - runs[0].began >= Duration::from_millis(990), "{runs:?}");
    worker.stop().await;
}

pub(super) async fn the_grace_time_ends_when_asked_twice(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::Hold]);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    worker.shut_down();
    worker.shut_down_at_once();
    let start = Instant::now();
    worker.stopped().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let row = floor.row(id).await;
    assert_eq!((row.state, row.attempt, row.crashes), (State::Ready, 0, 0));
}

pub(super) async fn lines_are_there_however_the_attempt_ends(floor: &Floor) {
    let worker = floor.worker(1).await;
    let log = |text: &str| Step::Log(text.to_owned());
    let steps = [
        log("one\ntwo"),
        Step::Transient("no".to_owned()),
        log("three"),
        Step::Panic("oh".to_owned()),
        log("four"),
        Step::FinishIn("x".to_owned()),
    ];
    let id = floor.put(Script::new(steps)).await;
    floor.ended(id, State::Done).await;
    worker.stop().await;
    let lines = floor.engine.logs(id, None, 10).await.unwrap();
    let seen: Vec<_> = lines.iter().map(|line| (line.attempt, line.line.as_str())).collect();
    assert_eq!(seen, [(1, "one"), (1, "two"), (2, "three"), (3, "four")]);
}

pub(super) async fn lines_are_seen_while_the_job_runs(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::Log("begun".to_owned()), Step::Hold]);
    let id = floor.put(script.clone()).await;
    let start = Instant::now();
    until("the line is there", async || !floor.engine.logs(id, None, 10).await.unwrap().is_empty())
        .await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(floor.row(id).await.state, State::Running);
    script.release();
    floor.ended(id, State::Done).await;
    worker.stop().await;
}

pub(super) async fn an_attempt_keeps_a_thousand_lines(floor: &Floor) {
    let worker = floor.worker(1).await;
    let id = floor.put(Script::new([Step::LogLines(1_234)])).await;
    floor.ended(id, State::Done).await;
    let lines = floor.engine.logs(id, None, 5_000).await.unwrap();
    assert_eq!(lines.len(), 1_000);
    assert_eq!(lines[998].line, "line 999");
    assert!(lines[999].line.starts_with("235 more lines were dropped"), "{:?}", lines[999]);
    worker.stop().await;
}

pub(super) async fn a_step_outside_is_done_once_over_crashes_and_failures(floor: &Floor) {
    let lease = Duration::from_secs(3);
    let worker =
        floor.worker_with(worker::Settings { lease, ..Floor::settings(1) }, catalog()).await;
    let pay = || Step::Once("pay".to_owned());
    let steps = [
        pay(),
        Step::HoldDeaf,
        pay(),
        Step::Transient("no".to_owned()),
        pay(),
        Step::Once("mail".to_owned()),
    ];
    let script = Script::new(steps);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    floor.expire(id).await;
    let row = floor.ended(id, State::Done).await;
    assert_eq!((row.attempt, row.crashes, script.executions().len()), (3, 1, 3));
    assert_eq!(script.effects(), [format!("{id}:pay"), format!("{id}:mail")]);
    worker.stop().await;
}

/// Whoever lost the job before its step has no effect outside.
pub(super) async fn a_former_holder_does_not_do_the_step(floor: &Floor) {
    let worker = floor.worker(1).await;
    let script = Script::new([Step::HoldDeaf, Step::Once("pay".to_owned())]);
    let id = floor.put(script.clone()).await;
    script.until_holding().await;
    floor.expire(id).await;
    // The worker does not know yet: its lease is extended every hundred seconds.
    script.release();
    script.until_ended(1).await;
    assert!(script.effects().is_empty(), "{:?}", script.effects());
    floor.ended(id, State::Done).await;
    worker.stop().await;
}

pub(super) async fn a_worker_is_seen_while_it_lives(floor: &Floor) {
    let worker = floor.worker(3).await;
    let script = Script::new([Step::AwaitDrain, Step::HoldDeaf]);
    let id = floor.put(script.clone()).await;
    let failing = floor.put(Script::new([Step::Permanent("no".to_owned())])).await;
    floor.ended(failing, State::Dead).await;
    script.until_begun(1).await;
    let seen = async || floor.engine.workers().await.unwrap();
    until("it is seen", async || seen().await.len() == 1).await;
    let one = seen().await.remove(0);
    assert!(one.alive && !one.draining && one.name.starts_with("w-"), "{one:?}");
    assert_eq!(one.queues, [("script".to_owned(), 3)]);
    assert!(one.kinds.contains(&("brief_script".to_owned(), 1)), "{one:?}");
    assert_eq!(one.jobs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    worker.shut_down();
    until("it is seen to drain", async || seen().await[0].draining).await;
    script.release();
    worker.stopped().await;
    assert!(seen().await.is_empty(), "it said farewell");
    static ENDED: db::Sql = db::Sql::both(
        "SELECT CAST(sum(done) AS bigint) AS done, CAST(sum(failed) AS bigint) AS failed \
         FROM throughput",
    );
    let row = floor.engine.db().read_one(&ENDED, db::args![]).await.unwrap().unwrap();
    assert_eq!((row.get::<i64>("done").unwrap(), row.get::<i64>("failed").unwrap()), (1, 1));
}
