//! Keeps the leases of running jobs alive, on a timer of its own: a busy handler does not look
//! dead. A lease that is lost, or could not be extended in time, fires the attempt's token.

use crate::Shared;
use queue::Ticket;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The jobs this process holds; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Leases {
    held: Arc<Mutex<HashMap<Ticket, Lease>>>,
}

struct Lease {
    until: Instant,
    lost: CancellationToken,
}

impl Leases {
    /// Starts to keep a job that was just claimed.
    pub(crate) fn add(&self, ticket: Ticket, lease: &Duration) {
        let lease = Lease { until: Instant::now() + *lease, lost: CancellationToken::new() };
        self.lock().insert(ticket, lease);
    }

    /// Fires when the job is no longer held.
    pub(crate) fn lost(&self, ticket: Ticket) -> CancellationToken {
        self.lock().get(&ticket).map_or_else(
            || {
                let gone = CancellationToken::new();
                gone.cancel();
                gone
            },
            |lease| lease.lost.clone(),
        )
    }

    /// Stops keeping a job.
    pub(crate) fn remove(&self, ticket: Ticket) {
        self.lock().remove(&ticket);
    }

    fn tickets(&self) -> Vec<Ticket> {
        self.lock().keys().copied().collect()
    }

    /// Takes in what the store said about `asked`.
    fn update(&self, asked: &[Ticket], held: &HashSet<Ticket>, until: Instant) {
        let mut leases = self.lock();
        for ticket in asked {
            let Some(lease) = leases.get_mut(ticket) else { continue };
            if held.contains(ticket) {
                lease.until = until;
            } else {
                lease.lost.cancel();
                leases.remove(ticket);
            }
        }
    }

    /// Fires the tokens of leases that ran out while the store could not be asked.
    fn expire(&self) {
        let now = Instant::now();
        self.lock()
            .values()
            .filter(|lease| lease.until <= now)
            .for_each(|lease| lease.lost.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ticket, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Extends every lease three times in its life until `over` fires.
pub(crate) async fn keep(shared: Arc<Shared>, over: CancellationToken) {
    let lease = shared.settings.lease;
    let mut beat = tokio::time::interval(lease / 3);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            _ = beat.tick() => {}
        }
        let tickets = shared.leases.tickets();
        if tickets.is_empty() {
            continue;
        }
        let until = Instant::now() + lease;
        match tokio::time::timeout(lease / 3, shared.engine.extend(&tickets, lease)).await {
            Ok(Ok(held)) => shared.leases.update(&tickets, &held.into_iter().collect(), until),
            Ok(Err(_)) | Err(_) => shared.leases.expire(),
        }
    }
}
