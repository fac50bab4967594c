//! Signs of life: what people see of this process, and what it has achieved.

use crate::Shared;
use crate::claims::chain;
use queue::Beat;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(5);
/// A worker that stops does not wait longer than this for a database that is away.
const FAREWELL: Duration = Duration::from_secs(1);

/// What has happened since the last sign of life.
pub(crate) struct Tally {
    queues: Vec<(String, AtomicU64, AtomicU64)>,
    claimed: Mutex<Option<Instant>>,
}

impl Tally {
    pub(crate) fn new(queues: &[(String, usize)]) -> Self {
        let zero = |(queue, _): &(String, usize)| (queue.clone(), 0.into(), 0.into());
        Self { queues: queues.iter().map(zero).collect(), claimed: Mutex::default() }
    }

    /// A claim was answered.
    pub(crate) fn claimed(&self) {
        *self.claimed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// An attempt ended.
    pub(crate) fn ended(&self, queue: &str, succeeded: bool) {
        self.add(queue, u64::from(succeeded), u64::from(!succeeded));
    }

    fn add(&self, queue: &str, succeeded: u64, failed: u64) {
        if let Some((_, done, bad)) = self.queues.iter().find(|(name, ..)| name == queue) {
            done.fetch_add(succeeded, Ordering::Relaxed);
            bad.fetch_add(failed, Ordering::Relaxed);
        }
    }

    fn take(&self) -> Vec<(String, u64, u64)> {
        let taken = self.queues.iter().map(|(queue, done, failed)| {
            (queue.clone(), done.swap(0, Ordering::Relaxed), failed.swap(0, Ordering::Relaxed))
        });
        taken.filter(|(_, done, failed)| done + failed > 0).collect()
    }
}

/// Beats until `over` fires, then says farewell.
pub(crate) async fn beat(shared: Arc<Shared>, over: CancellationToken) {
    let mut failing = false;
    loop {
        let sent = tokio::select! {
            () = over.cancelled() => break,
            sent = send(&shared, false) => sent,
        };
        match sent {
            Ok(()) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "this worker cannot be shown as alive; trying again");
                }
                failing = true;
            }
        }
        let was_draining = shared.draining.is_cancelled();
        tokio::select! {
            () = over.cancelled() => break,
            () = shared.draining.cancelled(), if !was_draining => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    let farewell = tokio::time::timeout(FAREWELL, send(&shared, true)).await;
    if !matches!(farewell, Ok(Ok(()))) {
        tracing::warn!("this worker will be shown as silent for a while");
    }
}

async fn send(shared: &Shared, leaving: bool) -> Result<(), String> {
    let claimed = *shared.tally.claimed.lock().unwrap_or_else(PoisonError::into_inner);
    let beat = Beat {
        worker: shared.holder.clone(),
        queues: shared.settings.queues.clone(),
        kinds: shared.catalog.iter().map(|kind| (kind.name.to_owned(), kind.version)).collect(),
        running: shared.leases.len(),
        draining: shared.draining.is_cancelled(),
        last_claim: claimed.map(|claimed| claimed.elapsed()),
        ended: shared.tally.take(),
        leaving,
    };
    let sent = shared.engine.beat(&beat).await.map_err(|error| chain(&error));
    if sent.is_err() {
        beat.ended.iter().for_each(|(queue, done, bad)| shared.tally.add(queue, *done, *bad));
    }
    sent
}
