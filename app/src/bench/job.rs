//! The job that does nothing, and the count of its runs.

use super::clock::now_ns;
use jobs::{Context, Failure, Job};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Where the bench's jobs wait; no other worker serves it.
pub(super) const QUEUE: &str = "bench";

/// Latencies are kept one by one up to this many jobs.
const LATENCIES: u64 = 10_000;

/// About 200 bytes of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Noop {
    /// When it was put in.
    t: u64,
    /// Its number.
    i: u64,
    pad: String,
}

impl Noop {
    pub(super) fn new(i: u64) -> Self {
        Self { t: now_ns(), i, pad: "x".repeat(160) }
    }
}

impl Job for Noop {
    const KIND: &'static str = "bench";
    const QUEUE: &'static str = QUEUE;

    /// Safe to run twice: a job that was counted is not counted again.
    async fn run(self, _: &Context) -> Result<(), Failure> {
        if let Some(tally) = TALLY.get() {
            tally.hit(self.t, self.i);
        }
        Ok(())
    }
}

/// A handler is given nothing but its payload, so the count is the process's.
pub(super) static TALLY: OnceLock<Tally> = OnceLock::new();

/// Which of `n` jobs have run, and when.
#[derive(Debug)]
pub(super) struct Tally {
    n: u64,
    done: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
    latencies: Vec<AtomicU64>,
    /// One bit per job.
    seen: Vec<AtomicU64>,
    pub(super) complete: Notify,
}

/// What a worker found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Drained {
    pub(super) n: u64,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    pub(super) lat_ns: Vec<u64>,
}

impl Tally {
    pub(super) fn new(n: u64) -> Self {
        let zeros = |count: u64| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            n,
            done: AtomicU64::new(0),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            latencies: zeros(if n <= LATENCIES { n } else { 0 }),
            seen: zeros(n / 64 + 1),
            complete: Notify::new(),
        }
    }

    fn hit(&self, put_in: u64, i: u64) {
        let now = now_ns();
        let word = usize::try_from(i / 64).ok().and_then(|word| self.seen.get(word));
        let bit = 1 << (i % 64);
        if word.is_none_or(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0) {
            return;
        }
        let earlier = self.done.fetch_add(1, Ordering::AcqRel);
        if earlier == 0 {
            self.first.store(now, Ordering::Release);
        }
        if let Some(latency) = usize::try_from(earlier).ok().and_then(|at| self.latencies.get(at)) {
            latency.store(now.saturating_sub(put_in), Ordering::Release);
        }
        if earlier + 1 == self.n {
            self.last.store(now, Ordering::Release);
            self.complete.notify_one();
        }
    }

    pub(super) fn drained(&self) -> Drained {
        Drained {
            n: self.n,
            first_ns: self.first.load(Ordering::Acquire),
            last_ns: self.last.load(Ordering::Acquire),
            lat_ns: self.latencies.iter().map(|ns| ns.load(Ordering::Acquire)).collect(),
        }
    }
}
