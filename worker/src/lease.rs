//! Keeps the leases of running jobs alive, on a timer of its own: a busy handler does not look
//! dead. A lease that is lost, or could not be extended in time, fires the attempt's token.

use crate::Shared;
use queue::Ticket;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The jobs this process holds; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Leases {
    held: Arc<Mutex<HashMap<Ticket, Lease>>>,
}

struct Lease {
    until: Instant,
    news: News,
}

/// What an attempt must know about its job.
#[derive(Clone, Default)]
pub(crate) struct News {
    /// It is no longer held.
    pub(crate) lost: CancellationToken,
    /// Somebody asks to stop it.
    pub(crate) cancel: CancellationToken,
    by: Arc<OnceLock<String>>,
}

impl News {
    /// Who asked to stop it, and why.
    pub(crate) fn cancelled_by(&self) -> String {
        self.by.get().cloned().unwrap_or_default()
    }
}

impl Leases {
    /// Starts to keep a job that was just claimed.
    pub(crate) fn add(&self, ticket: Ticket, lease: &Duration) {
        let lease = Lease { until: Instant::now() + *lease, news: News::default() };
        self.lock().insert(ticket, lease);
    }

    /// What happens to the job from outside; one that is not held is lost.
    pub(crate) fn news(&self, ticket: Ticket) -> News {
        self.lock().get(&ticket).map_or_else(
            || {
                let gone = News::default();
                gone.lost.cancel();
                gone
            },
            |lease| lease.news.clone(),
        )
    }

    /// Somebody asks to stop a job.
    pub(crate) fn cancel(&self, ticket: Ticket, by: String) {
        if let Some(lease) = self.lock().get(&ticket) {
            // Asked twice, the first one counts.
            let _ = lease.news.by.set(by);
            lease.news.cancel.cancel();
        }
    }

    /// Stops keeping a job.
    pub(crate) fn remove(&self, ticket: Ticket) {
        self.lock().remove(&ticket);
    }

    /// Jobs that are held.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn tickets(&self) -> Vec<Ticket> {
        self.lock().keys().copied().collect()
    }

    /// Jobs that nobody has asked to stop.
    pub(crate) fn uncancelled(&self) -> Vec<Ticket> {
        let held = self.lock();
        let open = held.iter().filter(|(_, lease)| !lease.news.cancel.is_cancelled());
        open.map(|(ticket, _)| *ticket).collect()
    }

    /// Takes in what the store said about `asked`.
    fn update(&self, asked: &[Ticket], held: &HashSet<Ticket>, until: Instant) {
        let mut leases = self.lock();
        for ticket in asked {
            let Some(lease) = leases.get_mut(ticket) else { continue };
            if held.contains(ticket) {
                lease.until = until;
            } else {
                lease.news.lost.cancel();
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
            .for_each(|lease| lease.news.lost.cancel());
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
