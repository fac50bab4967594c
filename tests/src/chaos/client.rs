//! Who puts work in: writes down what it sends, and what was acknowledged, and asks again under the
//! same key when no answer came, as every client of ours must.

use super::kind::Chaos;
use jobs::Job as _;
use queue::Engine;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

/// A client gives up on an answer after this long.
const PATIENCE: Duration = Duration::from_secs(5);
const BATCH: usize = 10;
/// Of a hundred batches, so many are sent again although they were acknowledged.
const REPEATS: u32 = 10;

/// Everything that clients of one run know.
pub(super) struct Ledger {
    file: Mutex<File>,
    known: Mutex<Known>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Known {
    /// Ids that were sent, whatever came of it.
    pub(super) sent: HashSet<Uuid>,
    /// Key and job of what was acknowledged.
    pub(super) accepted: HashMap<String, (Uuid, Chaos)>,
    /// Calls without an answer.
    pub(super) unknown: u64,
    /// A repeat was told another id than the first time.
    pub(super) contradicted: u64,
}

impl Ledger {
    pub(super) fn new(dir: &Path) -> Self {
        let file = File::create(dir.join("accepted.log")).expect("the directory is ours");
        Self { file: Mutex::new(file), known: Mutex::default() }
    }

    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap().clone()
    }

    /// On the disk before anything else happens.
    fn accept(&self, jobs: &[Chaos], ids: &[Uuid]) {
        let lines: String =
            jobs.iter().zip(ids).map(|(job, id)| format!("{id} {}\n", job.key)).collect();
        {
            let mut file = self.file.lock().unwrap();
            file.write_all(lines.as_bytes()).expect("the disk takes a line");
            file.sync_data().expect("the disk takes a line");
        }
        let mut known = self.known.lock().unwrap();
        for (job, id) in jobs.iter().zip(ids) {
            let earlier = known.accepted.insert(job.key.clone(), (*id, job.clone()));
            known.contradicted += u64::from(earlier.is_some_and(|(earlier, _)| earlier != *id));
        }
    }
}

/// Puts jobs in, all or none, until there is an answer.
pub(super) async fn put(engine: &Arc<dyn Engine>, ledger: &Ledger, jobs: &[Chaos]) {
    put_at(engine, ledger, jobs, None).await;
}

/// The same, due at an instant.
pub(super) async fn put_at(
    engine: &Arc<dyn Engine>,
    ledger: &Ledger,
    jobs: &[Chaos],
    run_at: Option<chrono::DateTime<chrono::Utc>>,
) {
    loop {
        let mut new: Vec<_> = jobs.iter().map(|job| job.clone().into_new()).collect();
        new.iter_mut().for_each(|job| job.run_at = run_at);
        ledger.known.lock().unwrap().sent.extend(new.iter().map(|job| job.id));
        let answer = tokio::time::timeout(PATIENCE, engine.enqueue(&new)).await;
        if let Ok(Ok(enqueued)) = answer {
            let ids: Vec<Uuid> = enqueued.iter().map(|job| job.id).collect();
            return ledger.accept(jobs, &ids);
        }
        ledger.known.lock().unwrap().unknown += jobs.len() as u64;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Puts jobs in over about `spread`, some of them twice.
pub(super) async fn load(
    engine: Arc<dyn Engine>,
    ledger: Arc<Ledger>,
    jobs: Vec<Chaos>,
    spread: Duration,
    seed: u64,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let start = tokio::time::Instant::now();
    let total = jobs.len().max(1) as u32;
    for (number, batch) in jobs.chunks(BATCH).enumerate() {
        put(&engine, &ledger, batch).await;
        if random.random_range(0..100) < REPEATS {
            put(&engine, &ledger, batch).await;
        }
        let sent = ((number + 1) * BATCH) as u32;
        tokio::time::sleep_until(start + spread * sent.min(total) / total).await;
    }
}

/// Jobs as they come: some in lanes, some that fail at first, some long.
pub(super) fn mix(name: &str, count: usize, seed: u64, long_ms: u64) -> Vec<Chaos> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut positions = [0_i64; 8];
    let jobs = (0..count).map(|number| {
        let lane = (random.random_range(0..100) < 30).then(|| random.random_range(0..8_usize));
        let mut position = 0;
        if let Some(lane) = lane {
            positions[lane] += 1;
            position = positions[lane];
        }
        let is_long = lane.is_none() && random.random_range(0..100) < 3;
        Chaos {
            key: format!("{name}-{number}"),
            lane: lane.map(|lane| format!("{name}-lane-{lane}")),
            position,
            work_ms: if is_long { long_ms } else { random.random_range(0..40) },
            failures: u32::from(random.random_range(0..100) < 8),
            retry_ms: 100,
            plain: false,
            aborts: false,
        }
    });
    jobs.collect()
}
