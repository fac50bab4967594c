//! The doorbell: tells claimers that jobs may be ready and waiters that a job has ended.
//!
//! It only ever says "look": a lost or doubled ring delays or wakes, it decides nothing. Rings
//! of this process are heard at once; for other processes they are gathered and carried by a
//! [`Carrier`] (sockets beside the SQLite file, `NOTIFY`, or Redis), many in one message.

pub(crate) mod postgres;
pub(crate) mod sockets;

use async_trait::async_trait;
use db::failpoint;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// Rings gathered beyond this are dropped: the sweep and the waiters' own look replace them.
const MAX_GATHERED: usize = 100_000;

/// A job that became ready, with what orders it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    /// Due time in milliseconds, later for each step of priority: what waits long enough goes
    /// before whatever is more urgent.
    pub(crate) rank: i64,
}

/// What one process tells the others.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Message {
    /// The sender, so that it does not listen to itself.
    pub(crate) from: Uuid,
    /// Queues with ready jobs.
    pub(crate) ready: BTreeSet<String>,
    /// Jobs that ended.
    pub(crate) done: Vec<Uuid>,
}

/// What has rung here and was not carried yet.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) ready: HashMap<String, Vec<Entry>>,
    pub(crate) done: Vec<Uuid>,
}

impl Gathered {
    /// The messages that say it, each with at most `done_per_message` ids.
    pub(crate) fn messages(&self, from: Uuid, done_per_message: usize) -> Vec<Message> {
        let ready = self.ready.keys().cloned().collect();
        let mut messages = vec![Message { from, ready, done: Vec::new() }];
        for (index, done) in self.done.chunks(done_per_message).enumerate() {
            if index > 0 {
                messages.push(Message { from, ..Message::default() });
            }
            if let Some(message) = messages.last_mut() {
                message.done = done.to_vec();
            }
        }
        messages
    }
}

/// Takes rings to the other processes.
#[async_trait]
pub(crate) trait Carrier: Send + Sync + 'static {
    /// Delivers what was gathered; failing is harmless and logged by the caller.
    async fn carry(&self, gathered: &Gathered) -> Result<(), String>;

    /// Whether claimers of this process find ready jobs only after they were carried.
    fn before_local(&self) -> bool {
        false
    }
}

/// The bell of one process.
pub(crate) struct Bell {
    pub(crate) id: Uuid,
    queues: Mutex<HashMap<String, watch::Sender<u64>>>,
    waiters: Mutex<HashMap<Uuid, watch::Sender<u64>>>,
    gathered: Mutex<Gathered>,
    work: Notify,
    /// Local claimers are woken by the carrier's task, not by the ring itself.
    carried_first: std::sync::atomic::AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            id: Uuid::new_v4(),
            queues: Mutex::default(),
            waiters: Mutex::default(),
            gathered: Mutex::default(),
            work: Notify::new(),
            carried_first: false.into(),
        })
    }

    /// Carries what rings until the bell is dropped.
    pub(crate) fn start(self: &Arc<Self>, carrier: Box<dyn Carrier>) {
        self.carried_first.store(carrier.before_local(), std::sync::atomic::Ordering::Relaxed);
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut failing = false;
            while let Some(bell) = weak.upgrade() {
                // The timeout lets the task notice that everybody else has dropped the bell.
                let rung = tokio::time::timeout(Duration::from_secs(5), bell.work.notified()).await;
                if rung.is_err() {
                    continue;
                }
                let gathered = std::mem::take(&mut *lock(&bell.gathered));
                match carrier.carry(&gathered).await {
                    Ok(()) => failing = false,
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(%error, "other processes cannot be rung; they look by themselves every second");
                    }
                    Err(_) => {}
                }
                if carrier.before_local() {
                    gathered.ready.keys().for_each(|queue| bell.hear_ready(queue));
                }
            }
        });
    }

    /// Jobs became ready.
    pub(crate) fn ring_ready(&self, queue: &str, entries: &[Entry]) {
        if failpoint::is_lost("publish") {
            return;
        }
        let has_index = self.carried_first.load(std::sync::atomic::Ordering::Relaxed);
        if !has_index {
            self.hear_ready(queue);
        }
        let mut gathered = lock(&self.gathered);
        let waiting = gathered.ready.entry(queue.to_owned()).or_default();
        if has_index && waiting.len() < MAX_GATHERED {
            waiting.extend_from_slice(entries);
        }
        drop(gathered);
        self.work.notify_one();
    }

    /// Jobs ended.
    pub(crate) fn ring_done(&self, ids: &[Uuid]) {
        if failpoint::is_lost("publish") {
            return;
        }
        self.hear_done(ids);
        let mut gathered = lock(&self.gathered);
        if gathered.done.len() < MAX_GATHERED {
            gathered.done.extend_from_slice(ids);
        }
        drop(gathered);
        self.work.notify_one();
    }

    /// Another process rang.
    pub(crate) fn hear(&self, message: &Message) {
        if message.from != self.id {
            message.ready.iter().for_each(|queue| self.hear_ready(queue));
            self.hear_done(&message.done);
        }
    }

    /// Rings may have been missed: everybody looks.
    pub(crate) fn hear_everything(&self) {
        lock(&self.queues).values().for_each(step);
        lock(&self.waiters).values().for_each(step);
    }

    /// Wakes this process's claimers of `queue`.
    pub(crate) fn hear_ready(&self, queue: &str) {
        if let Some(sender) = lock(&self.queues).get(queue) {
            step(sender);
        }
    }

    fn hear_done(&self, ids: &[Uuid]) {
        let waiters = lock(&self.waiters);
        if !waiters.is_empty() {
            ids.iter().filter_map(|id| waiters.get(id)).for_each(step);
        }
    }

    /// Changes whenever jobs of `queue` may be ready.
    pub(crate) fn ready(&self, queue: &str) -> watch::Receiver<u64> {
        let mut queues = lock(&self.queues);
        queues.entry(queue.to_owned()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Changes when the job may have ended. Forgotten when dropped.
    pub(crate) fn done(self: &Arc<Self>, id: Uuid) -> Waiter {
        let mut waiters = lock(&self.waiters);
        let receiver = waiters.entry(id).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Waiter { id, receiver, bell: Arc::clone(self) }
    }
}

/// One wait for a job's end.
pub(crate) struct Waiter {
    pub(crate) id: Uuid,
    receiver: watch::Receiver<u64>,
    bell: Arc<Bell>,
}

impl Waiter {
    /// Returns once the job may have ended since the last look.
    pub(crate) async fn changed(&mut self) {
        // The sender lives in the map as long as this waiter does.
        let _ = self.receiver.changed().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut waiters = lock(&self.bell.waiters);
        // This waiter's own receiver is still counted.
        if waiters.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            waiters.remove(&self.id);
        }
    }
}

fn step(sender: &watch::Sender<u64>) {
    sender.send_modify(|rings| *rings = rings.wrapping_add(1));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
