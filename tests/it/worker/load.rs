//! Many jobs at once: slots are used and not exceeded, queues do not hinder each other, nothing
//! costs more than its due.

use super::floor::{Floor, PATIENCE, catalog, until};
use jobs::Job as _;
use queue::{Filter, NewJob, Page, State};
use std::time::{Duration, Instant};
use tests::script::{Script, Step};

pub(super) async fn as_many_jobs_run_at_once_as_the_queue_has_slots(floor: &Floor) {
    let held: Vec<Script> = (0..3).map(|_| Script::new([Step::Hold])).collect();
    let others: Vec<Script> = (0..30).map(|_| Script::new([Step::Sleep(5)])).collect();
    let all: Vec<&Script> = held.iter().chain(&others).collect();
    let jobs: Vec<NewJob> = all.iter().map(|script| (*script).clone().into_new()).collect();
    floor.engine.enqueue(&jobs).await.unwrap();
    let worker = floor.worker(3).await;
    for script in &held {
        script.until_holding().await;
    }
    held.iter().for_each(Script::release);
    for script in &all {
        script.until_ended(1).await;
    }
    worker.stop().await;
    let runs: Vec<_> = all.iter().flat_map(|script| script.executions()).collect();
    assert_eq!(runs.len(), jobs.len());
    let at_once = |moment: Instant| {
        runs.iter().filter(|run| run.began <= moment && moment < run.ended.unwrap()).count()
    };
    assert_eq!(runs.iter().map(|run| at_once(run.began)).max(), Some(3));
}

pub(super) async fn a_full_queue_does_not_starve_another(floor: &Floor) {
    let queues = vec![("crowded".to_owned(), 1), (Script::QUEUE.to_owned(), 1)];
    let stuck: Vec<Script> = (0..20).map(|_| Script::new([Step::Hold])).collect();
    let jobs: Vec<NewJob> = stuck
        .iter()
        .map(|script| NewJob { queue: "crowded".to_owned(), ..script.clone().into_new() })
        .collect();
    floor.engine.enqueue(&jobs).await.unwrap();
    let settings = worker::Settings { queues, grace: Duration::ZERO, ..Floor::settings(1) };
    let worker = floor.worker_with(settings, catalog()).await;
    stuck[0].until_holding().await;
    for _ in 0..5 {
        floor.ended(floor.put(Script::new([])).await, State::Done).await;
    }
    assert!(stuck[1..].iter().all(|script| script.executions().is_empty()));
    worker.stop().await;
}

pub(super) async fn two_thousand_jobs_that_do_nothing_are_quick(floor: &Floor) {
    let jobs: Vec<NewJob> = (0..2_000).map(|_| Script::new([]).into_new()).collect();
    floor.engine.enqueue(&jobs).await.unwrap();
    let start = Instant::now();
    let worker = floor.worker(50).await;
    for state in [State::Ready, State::Running] {
        let filter = Filter { state: Some(state), ..Filter::default() };
        let page = Page { limit: 1, before: None };
        until("all have ended", async || {
            floor.engine.list(&filter, &page).await.unwrap().rows.is_empty()
        })
        .await;
    }
    let took = start.elapsed();
    worker.stop().await;
    // A debug build on two busy cores; alone it takes about two seconds.
    assert!(took < PATIENCE / 2, "{took:?}");
    let filter = Filter { state: Some(State::Done), ..Filter::default() };
    let done = floor.engine.list(&filter, &Page { limit: 3_000, before: None }).await.unwrap().rows;
    assert_eq!(done.len(), 2_000);
    assert!(done.iter().all(|row| row.attempt == 1 && row.crashes == 0));
}

pub(super) async fn a_lane_runs_one_job_after_another_in_order(floor: &Floor) {
    let scripts: Vec<Script> = (0..12)
        .map(|number| {
            let first =
                if number == 4 { Step::Transient("again".to_owned()) } else { Step::Sleep(3) };
            Script::new([first, Step::Succeed]).in_lane("boutique:2")
        })
        .collect();
    for script in &scripts {
        floor.put(script.clone()).await;
    }
    let workers = [floor.worker(4).await, floor.worker(4).await];
    for script in &scripts {
        script.until_ended(if matches!(script.steps[0], Step::Sleep(_)) { 1 } else { 2 }).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    let runs: Vec<_> = scripts.iter().flat_map(Script::executions).collect();
    assert_eq!(runs.len(), 13);
    assert!(runs.is_sorted_by(|one, next| one.ended.unwrap() <= next.began), "{runs:?}");
}
