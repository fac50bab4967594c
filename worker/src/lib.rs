//! Takes jobs and runs them.
//!
//! Per queue a [`claims`] task takes as many jobs as there are free slots, `apalis` hands each to
//! [`attempt`], [`lease`] keeps them held, [`finish`] records their ends in batches and [`upkeep`]
//! returns what other processes lost. Shutdown stops claiming at once, lets running jobs finish
//! until the grace time, then hands the rest back without spending an attempt.

mod apalis;
mod attempt;
mod claims;
mod decide;
mod finish;
mod lease;
mod upkeep;

use jobs::{Catalog, Services};
use queue::Engine;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How a worker process works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this process; a random part is added, so that a restarted one is another holder.
    pub name: String,
    /// Queues and how many of their jobs run at once.
    pub queues: Vec<(String, usize)>,
    /// How long a job is held unless extended; it is extended every third of this.
    pub lease: Duration,
    /// How long running jobs may go on after shutdown began.
    pub grace: Duration,
}

/// The worker ended although nobody told it to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the worker stopped: {0}")]
    Stopped(String),
}

/// What every task of a worker process shares.
struct Shared {
    engine: Arc<dyn Engine>,
    catalog: Arc<Catalog>,
    services: Services,
    settings: Settings,
    /// Name with the random part: the holder of leases.
    holder: String,
    leases: lease::Leases,
    ends: mpsc::Sender<finish::End>,
    /// No new claims.
    draining: CancellationToken,
    /// The grace time is over: hand back what still runs.
    stopping: CancellationToken,
}

/// Runs until `shutdown` fires and everything has been finished or handed back.
pub async fn run(
    engine: Arc<dyn Engine>,
    catalog: Arc<Catalog>,
    services: Services,
    settings: Settings,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (ends, backlog) = mpsc::channel(finish::BACKLOG);
    let shared = Arc::new(Shared {
        holder: format!("{}-{:08x}", settings.name, rand::random::<u32>()),
        engine,
        catalog,
        services,
        settings,
        leases: lease::Leases::default(),
        ends,
        draining: shutdown,
        stopping: CancellationToken::new(),
    });
    tracing::info!(worker.name = %shared.holder, queues = ?shared.settings.queues, "worker started");

    let attempts_over = CancellationToken::new();
    let ends_recorded = CancellationToken::new();
    let upkeep = tokio::spawn(upkeep::run(Arc::clone(&shared)));
    let grace = tokio::spawn(end_of_grace(Arc::clone(&shared)));
    let keeper = tokio::spawn(lease::keep(Arc::clone(&shared), ends_recorded.clone()));
    let recorder =
        tokio::spawn(finish::record(Arc::clone(&shared), backlog, attempts_over.clone()));

    let result = apalis::run(&shared).await;

    grace.abort();
    upkeep.abort();
    attempts_over.cancel();
    let _ = recorder.await;
    // Until the last end is recorded its lease is kept.
    ends_recorded.cancel();
    let _ = keeper.await;
    tracing::info!(worker.name = %shared.holder, "worker stopped");
    match result {
        Ok(()) if shared.draining.is_cancelled() => Ok(()),
        Ok(()) => Err(Error::Stopped("no queue is served any more".to_owned())),
        Err(error) => Err(Error::Stopped(error)),
    }
}

async fn end_of_grace(shared: Arc<Shared>) {
    shared.draining.cancelled().await;
    tokio::time::sleep(shared.settings.grace).await;
    shared.stopping.cancel();
}
