//! One measured step per process, as a script calls it: a result is one line of JSON.

use super::clock::now_ns;
use super::job::{Noop, QUEUE, TALLY, Tally};
use super::{Mode, Step};
use crate::settings::Settings;
use crate::store::{self, Patience};
use crate::{telemetry, terminal};
use jobs::{Catalog, Job, Services};
use queue::{Claim, Engine, Outcome};
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Jobs of the bench's worker at once: enough that claims and ends go in whole batches.
const SLOTS: usize = 500;

/// What putting in took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PutIn {
    pub(super) n: u64,
    pub(super) ns: u64,
}

/// Runs one step and prints its result.
pub(super) async fn run(step: &Step, settings: &Settings) -> anyhow::Result<()> {
    let db = store::open_record(settings, Patience::None).await?;
    let engine = store::open_queue(settings, db)?;
    match *step {
        Step::Enqueue { mode, n, k, from } => {
            let ns = enqueue(&engine, mode, from..from + n, k.max(1)).await?;
            terminal::print(&serde_json::to_string(&PutIn { n, ns })?)?;
        }
        Step::Drip { n, ms } => drip(&engine, n, Duration::from_millis(ms.max(1))).await?,
        Step::Work { n } => work(&engine, settings, n).await?,
        Step::Claim { n } => {
            let took = claim(&engine, settings, n).await?;
            terminal::print(&serde_json::to_string(&took)?)?;
        }
    }
    engine.db().close().await;
    Ok(())
}

/// Puts in jobs with these numbers; returns the nanoseconds it took.
async fn enqueue(
    engine: &Arc<dyn Engine>,
    mode: Mode,
    numbers: Range<u64>,
    k: u64,
) -> anyhow::Result<u64> {
    let start = now_ns();
    match mode {
        Mode::Serial => {
            for i in numbers {
                engine.enqueue(&[Noop::new(i).into_new()]).await?;
            }
        }
        Mode::Conc => {
            let next = Arc::new(AtomicU64::new(numbers.start));
            let mut callers = JoinSet::new();
            for _ in 0..k {
                let (engine, next) = (Arc::clone(engine), Arc::clone(&next));
                callers.spawn(async move {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        if i >= numbers.end {
                            return Ok::<_, queue::Error>(());
                        }
                        engine.enqueue(&[Noop::new(i).into_new()]).await?;
                    }
                });
            }
            while let Some(caller) = callers.join_next().await {
                caller??;
            }
        }
        Mode::Bulk => {
            let mut i = numbers.start;
            while i < numbers.end {
                let end = (i + k).min(numbers.end);
                let jobs: Vec<_> = (i..end).map(|i| Noop::new(i).into_new()).collect();
                engine.enqueue(&jobs).await?;
                i = end;
            }
        }
    }
    Ok(now_ns() - start)
}

async fn drip(engine: &Arc<dyn Engine>, n: u64, every: Duration) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for i in 0..n {
        tick.tick().await;
        engine.enqueue(&[Noop::new(i).into_new()]).await?;
    }
    Ok(())
}

/// What claims took, in nanoseconds.
#[derive(Debug, Serialize)]
struct Claims {
    n: usize,
    p50_ns: u64,
    p99_ns: u64,
}

/// Claims one job after another and hands each back, so that as many wait as before.
async fn claim(engine: &Arc<dyn Engine>, settings: &Settings, n: usize) -> anyhow::Result<Claims> {
    let wish = Claim {
        queue: QUEUE.to_owned(),
        worker: "bench".to_owned(),
        limit: 1,
        lease: settings.queue.lease,
    };
    let mut took = Vec::with_capacity(n);
    while took.len() < n {
        let start = now_ns();
        let jobs = engine.claim(&wish).await?;
        if let Some(job) = jobs.first() {
            took.push(now_ns() - start);
            engine.finish(&[(job.ticket, Outcome::Release)]).await?;
        }
    }
    took.sort_unstable();
    let at = |share: usize| took.get(n * share / 100).copied().unwrap_or_default();
    Ok(Claims { n, p50_ns: at(50), p99_ns: at(99) })
}

/// Works like any worker process; tells once `n` jobs have run, and stays until its standard
/// input ends.
async fn work(engine: &Arc<dyn Engine>, settings: &Settings, n: u64) -> anyhow::Result<()> {
    // What a worker counts for its operators costs time as well.
    let _metrics = telemetry::start_metrics()?;
    let tally = TALLY.get_or_init(|| Tally::new(n));
    let shutdown = CancellationToken::new();
    let services = Services {
        engine: Arc::clone(engine),
        sales: settings.sales,
        nas: Arc::default(),
        retention: settings.queue.retention,
    };
    let worker = worker::Settings {
        name: settings.worker.name.clone(),
        queues: vec![(QUEUE.to_owned(), SLOTS)],
        lease: settings.queue.lease,
        grace: settings.worker.grace,
    };
    let catalog = Arc::new(Catalog::standard().with::<Noop>());
    let worker = worker::run(Arc::clone(engine), catalog, services, worker, shutdown.clone());
    let worker = tokio::spawn(worker);
    on_end_of_input(shutdown.clone());
    tokio::select! {
        () = tally.complete.notified() => {
            terminal::print(&serde_json::to_string(&tally.drained())?)?;
        }
        () = shutdown.cancelled() => {}
    }
    Ok(worker.await??)
}

/// Whoever started this process may end without a signal; a thread, since reading blocks.
fn on_end_of_input(shutdown: CancellationToken) {
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while matches!(std::io::stdin().read(&mut bytes), Ok(count) if count > 0) {}
        shutdown.cancel();
    });
}
