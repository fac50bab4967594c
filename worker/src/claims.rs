//! One queue's claimed jobs, taken as slots become free, in as few round trips as possible.

use crate::Shared;
use queue::{Claim, Claimed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A waiting claimer looks by itself this often: the net below a missed ring.
const LOOK: Duration = Duration::from_secs(1);
/// Jobs per claim: a claim is one statement and must stay short.
const BATCH: usize = 200;

/// A claimed job and the slot it occupies.
pub(crate) struct Work {
    pub(crate) job: Claimed,
    pub(crate) claimed: Instant,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Starts to claim jobs of `queue`, at most `slots` at once; ends when the worker drains.
pub(crate) fn claims(shared: Arc<Shared>, queue: String, slots: usize) -> mpsc::Receiver<Work> {
    let (sender, receiver) = mpsc::channel(slots);
    tokio::spawn(claim(shared, queue, slots, sender));
    receiver
}

async fn claim(shared: Arc<Shared>, queue: String, slots: usize, sender: mpsc::Sender<Work>) {
    let free = Arc::new(Semaphore::new(slots));
    let mut ready = shared.engine.ready(&queue);
    let mut failing = false;
    loop {
        let Some(mut permits) = free_slots(&shared, &free).await else { return };
        // Whatever becomes ready from here on changes `ready` again.
        ready.mark_unchanged();
        let claim = Claim {
            queue: queue.clone(),
            worker: shared.holder.clone(),
            limit: permits.len(),
            lease: shared.settings.lease,
        };
        // Never dropped half way: what the store has given out must reach an attempt.
        let claimed = shared.engine.claim(&claim).await;
        if claimed.is_ok() {
            shared.tally.claimed();
        }
        match claimed {
            Ok(jobs) if jobs.is_empty() => {
                failing = false;
                drop(permits);
                tokio::select! {
                    () = shared.draining.cancelled() => return,
                    _ = ready.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Ok(jobs) => {
                failing = false;
                let claimed = Instant::now();
                for (job, slot) in jobs.into_iter().zip(permits.drain(..)) {
                    let ticket = job.ticket;
                    shared.leases.add(ticket, &shared.settings.lease);
                    if sender.send(Work { job, claimed, slot }).await.is_err() {
                        // Nobody runs it here: its lease must run out, so that another one can.
                        shared.leases.remove(ticket);
                        return;
                    }
                }
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(queue.name = %queue, error = %chain(&error), "no jobs can be claimed; trying again every second");
                }
                failing = true;
                drop(permits);
                tokio::select! {
                    () = shared.draining.cancelled() => return,
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        }
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
