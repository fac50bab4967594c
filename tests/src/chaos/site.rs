//! One run's place: stores of its own, worker processes on them, a client and its ledger.

use super::client::{self, Ledger};
use super::clock::now_ms;
use super::kind::Chaos;
use super::role::Settings;
use super::{Run, effects};
use crate::app::Process;
use crate::guardian::scratch_dir;
use crate::stores::{Deployment, Stores};
use db::{Db, Sql, args};
use queue::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

static CREATE: Sql = Sql::each(
    "CREATE TABLE chaos_effects (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
     natural_key TEXT NOT NULL, job_id UUID NOT NULL, token BIGINT NOT NULL, lane TEXT, \
     position BIGINT NOT NULL)",
    "CREATE TABLE chaos_effects (seq INTEGER PRIMARY KEY AUTOINCREMENT, \
     natural_key TEXT NOT NULL, job_id TEXT NOT NULL, token INTEGER NOT NULL, lane TEXT, \
     position INTEGER NOT NULL)",
);

static UNFINISHED: Sql = Sql::both(
    "SELECT count(*) AS jobs, CAST(COALESCE(sum(token), 0) AS bigint) AS begun FROM jobs \
     WHERE kind = 'chaos' AND state IN ('scheduled', 'ready', 'running')",
);

/// A worker process.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) process: Process,
}

/// What a worker process is told beyond its stores.
#[derive(Debug, Clone, Default)]
pub(super) struct Hands {
    pub(super) slots: usize,
    pub(super) grace: Duration,
    /// Programs that prepare something and then become the worker.
    pub(super) through: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Other addresses of the same stores.
    pub(super) urls: Option<(String, Option<String>)>,
}

impl Hands {
    pub(super) fn of(slots: usize) -> Self {
        Self { slots, grace: Duration::from_secs(20), ..Self::default() }
    }
}

pub(super) struct Site {
    pub(super) stores: Stores,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) db: Db,
    pub(super) dir: PathBuf,
    pub(super) ledger: Arc<Ledger>,
    pub(super) workers: Vec<Worker>,
    pub(super) lease: Duration,
    /// Name of a killed worker, and when.
    pub(super) killed: Vec<(String, i64)>,
    pub(super) began: Instant,
    mutate: Option<String>,
    started: usize,
    given: usize,
}

impl Site {
    pub(super) async fn open(run: &Run<'_>, lease: Duration) -> Self {
        Self::on(run, run.servers.stores().await, lease).await
    }

    pub(super) async fn on(run: &Run<'_>, mut stores: Stores, lease: Duration) -> Self {
        stores.acquire = Duration::from_secs(2);
        let dir = scratch_dir("chaos");
        let engine = stores.engine().await;
        let db = stores.db().await;
        db.execute(&CREATE, args![]).await.expect("the table is new");
        Self {
            ledger: Arc::new(Ledger::new(&dir)),
            stores,
            engine,
            db,
            dir,
            workers: Vec::new(),
            lease,
            killed: Vec::new(),
            began: Instant::now(),
            mutate: run.mutate.map(str::to_owned),
            started: 0,
            given: 0,
        }
    }

    pub(super) fn deployment(&self) -> Deployment {
        self.stores.deployment
    }

    /// Another worker process; returns its number.
    pub(super) fn start_worker(&mut self, hands: &Hands) -> usize {
        let worker = self.spawn(hands);
        self.workers.push(worker);
        self.workers.len() - 1
    }

    fn spawn(&mut self, hands: &Hands) -> Worker {
        self.started += 1;
        let name = format!("w{}", self.started);
        let (database_url, redis_url) = hands
            .urls
            .clone()
            .unwrap_or((self.stores.database_url.clone(), self.stores.redis_url.clone()));
        let settings = Settings {
            effects: self.dir.join(format!("{name}.effects")),
            name: name.clone(),
            database_url,
            redis_url,
            redis_prefix: self.stores.redis_prefix.clone(),
            slots: hands.slots,
            lease_ms: self.lease.as_millis() as u64,
            grace_ms: hands.grace.as_millis() as u64,
            mutate: self.mutate.clone(),
        };
        let settings = serde_json::to_string(&settings).expect("plain data");
        let ours = std::env::current_exe().expect("Linux knows it");
        let ours = ours.to_str().expect("a plain path");
        let mut words: Vec<&str> = hands.through.iter().map(String::as_str).collect();
        words.extend([ours, "worker", &settings]);
        let process = Process::spawn_words(&name, &words, &hands.env, &self.dir);
        Worker { name, process }
    }

    /// Kills a worker as a crash would.
    pub(super) fn kill(&mut self, number: usize) {
        let at = now_ms();
        self.workers[number].process.kill9();
        self.killed.push((self.workers[number].name.clone(), at));
    }

    /// Starts another in the place of each that died by itself; returns how many had.
    pub(super) fn replace_dead(&mut self, hands: &Hands) -> usize {
        let mut dead = 0;
        for number in 0..self.workers.len() {
            if !self.workers[number].process.is_running() {
                self.killed.push((self.workers[number].name.clone(), now_ms()));
                self.replace(number, hands);
                dead += 1;
            }
        }
        dead
    }

    /// Starts another in the place of one that has ended.
    pub(super) fn replace(&mut self, number: usize, hands: &Hands) {
        self.workers[number] = self.spawn(hands);
    }

    /// A client that puts these in over about `spread`.
    pub(super) fn load(&self, jobs: Vec<Chaos>, spread: Duration, seed: u64) -> JoinHandle<()> {
        let (engine, ledger) = (Arc::clone(&self.engine), Arc::clone(&self.ledger));
        tokio::spawn(client::load(engine, ledger, jobs, spread, seed))
    }

    /// Waits until no job is left, or until nothing has moved for long enough to say that nothing
    /// will any more.
    pub(super) async fn settle(&self) {
        let patience = self.lease * 3 + Duration::from_secs(12);
        let (mut last, mut moved) = ((0, 0), Instant::now());
        while moved.elapsed() < patience {
            match self.unfinished().await {
                Some((0, _)) => return,
                Some(now) if now != last => (last, moved) = (now, Instant::now()),
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether every job has its end.
    pub(super) async fn is_settled(&self) -> bool {
        self.unfinished().await.is_some_and(|(jobs, _)| jobs == 0)
    }

    /// Jobs without an end, and the sum of their tokens: it moves when one begins.
    async fn unfinished(&self) -> Option<(i64, i64)> {
        let row = self.db.read_one(&UNFINISHED, args![]).await.ok()??;
        Some((row.get("jobs").ok()?, row.get("begun").ok()?))
    }

    /// Waits until so many executions have begun, on any worker.
    pub(super) async fn until_begun(&self, count: usize) -> bool {
        let start = Instant::now();
        while effects::read(&self.dir).len() < count {
            if start.elapsed() > Duration::from_secs(60) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    /// Puts in jobs, until this worker is at work on some of them, that take longer than a lease,
    /// so that they are lost when it is away, and less than two, so that it is late with them when
    /// it is back after two, while their next holder is still at work.
    pub(super) async fn give_work_to(&mut self, number: usize) {
        let name = self.workers[number].name.clone();
        let work_ms = (self.lease * 2).as_millis() as u64 - 1_000;
        for _ in 0..20 {
            self.given += 1;
            let given = self.given;
            let job = |part| Chaos::new(format!("long-{given}-{part}"), work_ms);
            let jobs: Vec<Chaos> = (0..6).map(job).collect();
            client::put(&self.engine, &self.ledger, &jobs).await;
            let new = now_ms() - 500;
            for _ in 0..20 {
                let is_at_work = |run: &effects::Execution| {
                    run.worker == name && run.ended.is_none() && run.began >= new
                };
                if effects::read(&self.dir).iter().filter(|run| is_at_work(run)).count() >= 2 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    }

    /// Everything of it goes; the servers stay.
    pub(super) async fn close(mut self) {
        self.workers.clear();
        self.db.close().await;
        self.engine.db().close().await;
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
