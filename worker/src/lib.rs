//! Takes jobs and runs them.
//!
//! Per queue a [`claims`] task takes as many jobs as there are free slots, `apalis` hands each to
//! [`attempt`], [`lease`] keeps them held, [`cancel`] hears who is to stop, [`log`] writes what they
//! say, [`suspect`] keeps apart what may kill its process, [`finish`] records their ends in batches, [`beat`] shows the process as alive and [`upkeep`]
//! returns what other processes lost. Shutdown stops claiming at once and says so to running jobs,
//! lets them finish until the grace time, then hands the rest back without spending an attempt.

mod apalis;
mod attempt;
mod beat;
mod cancel;
mod claims;
mod decide;
mod finish;
mod lease;
mod log;
mod measure;
mod suspect;
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

/// How a worker is told to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// No new jobs; running ones get the grace time.
    pub begun: CancellationToken,
    /// The grace time is over now.
    pub at_once: CancellationToken,
}

impl From<CancellationToken> for Shutdown {
    fn from(begun: CancellationToken) -> Self {
        Self { begun, at_once: CancellationToken::new() }
    }
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
    tally: beat::Tally,
    room: suspect::Room,
    /// No new claims.
    draining: CancellationToken,
    /// The grace time is over: hand back what still runs.
    stopping: CancellationToken,
}

/// Runs until `shutdown` begins and everything has been finished or handed back.
pub async fn run(
    engine: Arc<dyn Engine>,
    catalog: Arc<Catalog>,
    services: Services,
    settings: Settings,
    shutdown: impl Into<Shutdown>,
) -> Result<(), Error> {
    let (ends, backlog) = mpsc::channel(finish::BACKLOG);
    let Shutdown { begun, at_once } = shutdown.into();
    let shared = Arc::new(Shared {
        holder: format!("{}-{:08x}", settings.name, rand::random::<u32>()),
        engine,
        catalog,
        services,
        tally: beat::Tally::new(&settings.queues),
        settings,
        room: suspect::Room::default(),
        leases: lease::Leases::default(),
        ends,
        draining: begun,
        stopping: CancellationToken::new(),
    });
    tracing::info!(worker.name = %shared.holder, queues = ?shared.settings.queues, "worker started");

    let attempts_over = CancellationToken::new();
    let ends_recorded = CancellationToken::new();
    let upkeep = tokio::spawn(upkeep::run(Arc::clone(&shared)));
    let grace = tokio::spawn(end_of_grace(Arc::clone(&shared), at_once));
    let keeper = tokio::spawn(lease::keep(Arc::clone(&shared), ends_recorded.clone()));
    let cancels = tokio::spawn(cancel::watch(Arc::clone(&shared), ends_recorded.clone()));
    let heart = tokio::spawn(beat::beat(Arc::clone(&shared), ends_recorded.clone()));
    let recorder =
        tokio::spawn(finish::record(Arc::clone(&shared), backlog, attempts_over.clone()));

    let result = apalis::run(&shared).await;

    grace.abort();
    upkeep.abort();
    attempts_over.cancel();
    let _ = recorder.await;
    // Until the last end is recorded its lease is kept.
    ends_recorded.cancel();
    let _ = tokio::join!(keeper, cancels, heart);
    tracing::info!(worker.name = %shared.holder, "worker stopped");
    match result {
        Ok(()) if shared.draining.is_cancelled() => Ok(()),
        Ok(()) => Err(Error::Stopped("no queue is served any more".to_owned())),
        Err(error) => Err(Error::Stopped(error)),
    }
}

async fn end_of_grace(shared: Arc<Shared>, at_once: CancellationToken) {
    shared.draining.cancelled().await;
    let _ = tokio::time::timeout(shared.settings.grace, at_once.cancelled()).await;
    shared.stopping.cancel();
}
