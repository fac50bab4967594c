//! One queue's claimed jobs, taken as slots become free, in as few round trips as possible.

use crate::Shared;
use queue::{Claim, Claimed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

/// A waiting claimer looks by itself this often: the net below a missed ring.
const LOOK: Duration = Duration::from_secs(1);
/// Jobs per claim: a claim is one statement and must stay short.
const BATCH: usize = 500;

/// A claimed job and the slot it occupies.
pub(crate) struct Work {
    pub(crate) job: Claimed,
    pub(crate) claimed: Instant,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// A claim of so many jobs says that more wait: on PostgreSQL the next one is made meanwhile.
const MANY: usize = 50;

/// One queue and the slots for its jobs.
struct Claimer {
    shared: Arc<Shared>,
    queue: String,
    free: Arc<Semaphore>,
    sender: mpsc::Sender<Work>,
    /// Another claim is worth while.
    more: Notify,
}

/// Starts to claim jobs of `queue`, at most `slots` at once; ends when the worker drains.
pub(crate) fn claims(shared: Arc<Shared>, queue: String, slots: usize) -> mpsc::Receiver<Work> {
    let (sender, receiver) = mpsc::channel(slots);
    let free = Arc::new(Semaphore::new(slots));
    let claimer = Arc::new(Claimer { shared, queue, free, sender, more: Notify::new() });
    // SQLite has one writer: a second claim would only wait behind the first.
    if claimer.shared.engine.db().postgres().is_some() {
        let claimer = Arc::clone(&claimer);
        tokio::spawn(async move { claimer.claim_meanwhile().await });
    }
    tokio::spawn(async move { claimer.claim().await });
    receiver
}

impl Claimer {
    async fn claim(&self) {
        let mut ready = self.shared.engine.ready(&self.queue);
        let mut failing = false;
        loop {
            let Some(permits) = free_slots(&self.shared, &self.free).await else { return };
            // Whatever becomes ready from here on changes `ready` again.
            ready.mark_unchanged();
            match self.take(permits).await {
                Ok(0) => {
                    failing = false;
                    tokio::select! {
                        () = self.shared.draining.cancelled() => return,
                        _ = ready.changed() => {}
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                Ok(taken) => {
                    failing = false;
                    if taken >= MANY {
                        self.more.notify_one();
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(queue.name = %self.queue, error = %chain(&error), "no jobs can be claimed; trying again every second");
                    }
                    failing = true;
                    tokio::select! {
                        () = self.shared.draining.cancelled() => return,
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
            }
        }
    }

    /// Claims while the other claim is on its way, as long as both bring many.
    async fn claim_meanwhile(&self) {
        loop {
            tokio::select! {
                () = self.shared.draining.cancelled() => return,
                () = self.more.notified() => {}
            }
            let Some(permits) = free_slots(&self.shared, &self.free).await else { return };
            if self.take(permits).await.is_ok_and(|taken| taken >= MANY) {
                self.more.notify_one();
            }
        }
    }

    /// Claims as many jobs as there are permits and hands them on; returns how many came. Never
    /// dropped half way: what the store has given out must reach an attempt.
    async fn take(&self, permits: Vec<OwnedSemaphorePermit>) -> Result<usize, queue::Error> {
        let claim = Claim {
            queue: self.queue.clone(),
            worker: self.shared.holder.clone(),
            limit: permits.len(),
            lease: self.shared.settings.lease,
        };
        let jobs = self.shared.engine.claim(&claim).await?;
        self.shared.tally.claimed();
        let (claimed, taken) = (Instant::now(), jobs.len());
        for job in &jobs {
            self.shared.leases.add(job.ticket, &self.shared.settings.lease);
        }
        for (job, slot) in jobs.into_iter().zip(permits) {
            let ticket = job.ticket;
            if self.sender.send(Work { job, claimed, slot }).await.is_err() {
                // Nobody runs it here: its lease must run out, so that another one can.
                self.shared.leases.remove(ticket);
            }
        }
        Ok(taken)
    }
}

/// Waits for a free slot, then takes all there are; none when the worker drains.
async fn free_slots(shared: &Shared, free: &Arc<Semaphore>) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        biased;
        () = shared.draining.cancelled() => return None,
        permit = Arc::clone(free).acquire_owned() => permit.ok()?,
    };
    let mut permits = vec![first];
    while permits.len() < BATCH
        && let Ok(permit) = Arc::clone(free).try_acquire_owned()
    {
        permits.push(permit);
    }
    Some(permits)
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
