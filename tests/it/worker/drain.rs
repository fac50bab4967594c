//! A worker that is asked to stop interrupts nothing it can finish and keeps nothing it cannot
//! (promise 11, G-21).

use super::floor::{Floor, catalog};
use queue::State;
use std::time::{Duration, Instant};
use tests::script::{Script, Step};

/// What a busy machine may add to a time that is promised.
const SLACK: Duration = Duration::from_millis(1_500);

pub(super) async fn running_jobs_finish_and_nothing_new_is_claimed(floor: &Floor) {
    let worker = floor.worker(2).await;
    let longest = Duration::from_millis(900);
    let running = [300, 900].map(|ms| Script::new([Step::Sleep(ms)]));
    let waiting = [(); 3].map(|()| Script::new([]));
    let mut ids = Vec::new();
    for script in &running {
        ids.push(floor.put(script.clone()).await);
        script.until_begun(1).await;
    }
    let mut left = Vec::new();
    for script in &waiting {
        left.push(floor.put(script.clone()).await);
    }
    let start = Instant::now();
    worker.stop().await;
    let took = start.elapsed();
    assert!(took < longest + SLACK, "{took:?}");
    for id in ids {
        let row = floor.row(id).await;
        assert_eq!((row.state, row.attempt, row.crashes), (State::Done, 1, 0));
    }
    assert!(waiting.iter().all(|script| script.executions().is_empty()), "a claim after the stop");
    for id in left {
        assert_eq!(floor.row(id).await.state, State::Ready);
    }
}

pub(super) async fn at_the_grace_deadline_the_rest_is_handed_over_unspent(floor: &Floor) {
    let grace = Duration::from_millis(200);
    let old = floor.worker_with(worker::Settings { grace, ..Floor::settings(2) }, catalog()).await;
    let polite = Script::new([Step::Hold, Step::Succeed]);
    let deaf = Script::new([Step::HoldDeaf, Step::Succeed]);
    let ids = [floor.put(polite.clone()).await, floor.put(deaf.clone()).await];
    polite.until_holding().await;
    deaf.until_holding().await;
    let new = floor.worker(2).await;
    let start = Instant::now();
    old.stop().await;
    let took = start.elapsed();
    // A deaf handler gets a second to notice.
    assert!(took < grace + Duration::from_secs(1) + SLACK, "{took:?}");
    let stopped = Instant::now();
    for id in ids {
        let row = floor.ended(id, State::Done).await;
        assert_eq!((row.attempt, row.crashes), (1, 0), "no attempt is spent");
        assert!(floor.errors(id).await.is_empty());
    }
    // The lease had minutes to run.
    assert!(stopped.elapsed() < SLACK, "taken over after {:?}", stopped.elapsed());
    assert!(polite.executions()[0].cancelled);
    assert_eq!((polite.executions().len(), deaf.executions().len()), (2, 2));
    new.stop().await;
}

pub(super) async fn an_idle_worker_stops_at_once(floor: &Floor) {
    let worker = floor.worker(4).await;
    let id = floor.put(Script::new([])).await;
    floor.ended(id, State::Done).await;
    let start = Instant::now();
    worker.stop().await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
