//! Where the workers of a case stand: fresh stores, an engine on them, and workers to start.

use jobs::{Catalog, Context, Failure, Job, RetryPolicy, Services};
use queue::{Engine, JobRow, NewJob, Retention, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tests::script::Script;
use tests::stores::Stores;
pub(super) use tests::wait::until;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A case waits this long for something that must happen; a busy machine is slow, not wrong.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// A lease that no case outlives.
pub(super) const LEASE: Duration = Duration::from_secs(300);
pub(super) const RETENTION: Retention =
    Retention { done: Duration::from_secs(86_400), dead: Duration::from_secs(864_000) };

/// The scriptable kind with a time limit that a test can wait for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Brief(pub(super) Script);

impl Job for Brief {
    const KIND: &'static str = "brief_script";
    const QUEUE: &'static str = Script::QUEUE;
    const MAX_ATTEMPTS: u32 = 2;
    const RETRY: RetryPolicy = Script::RETRY;
    const TIMEOUT: Duration = Duration::from_millis(150);

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        self.0.run(cx).await
    }
}

/// Every kind that the cases use.
pub(super) fn catalog() -> Catalog {
    Catalog::standard().with::<Script>().with::<Brief>()
}

pub(super) struct Floor {
    pub(super) stores: Stores,
    pub(super) engine: Arc<dyn Engine>,
}

/// A worker process's heart, in this process.
pub(super) struct Worker {
    shutdown: worker::Shutdown,
    running: JoinHandle<Result<(), worker::Error>>,
}

impl Worker {
    /// Asks it to stop, as SIGTERM does.
    pub(super) fn shut_down(&self) {
        self.shutdown.begun.cancel();
    }

    /// Asks a second time.
    pub(super) fn shut_down_at_once(&self) {
        self.shutdown.at_once.cancel();
    }

    /// Waits until it has stopped, which must be no error.
    pub(super) async fn stopped(self) {
        let ended = tokio::time::timeout(PATIENCE, self.running).await;
        ended.expect("the worker stops").expect("the worker does not panic").expect("no error");
    }

    pub(super) async fn stop(self) {
        self.shut_down();
        self.stopped().await;
    }
}

impl Floor {
    pub(super) async fn on(stores: Stores) -> Self {
        Self { engine: stores.engine().await, stores }
    }

    pub(super) async fn close(self) {
        self.engine.db().close().await;
        self.stores.remove().await;
    }

    /// What is usual: a worker of the script's queue.
    pub(super) fn settings(slots: usize) -> worker::Settings {
        worker::Settings {
            name: "w".to_owned(),
            queues: vec![(Script::QUEUE.to_owned(), slots)],
            lease: LEASE,
            grace: Duration::from_secs(20),
        }
    }

    pub(super) async fn worker(&self, slots: usize) -> Worker {
        self.worker_with(Self::settings(slots), catalog()).await
    }

    /// A worker with an engine of its own, as a process of its own would have it.
    pub(super) async fn worker_with(&self, settings: worker::Settings, catalog: Catalog) -> Worker {
        let engine = self.stores.engine().await;
        let shutdown = worker::Shutdown::default();
        let services = Services {
            engine: Arc::clone(&engine),
            sales: records::ventes::Policy::default(),
            nas: Arc::default(),
            retention: RETENTION,
        };
        let stop = shutdown.clone();
        let running = tokio::spawn(async move {
            let db = engine.db().clone();
            let ended = worker::run(engine, Arc::new(catalog), services, settings, stop).await;
            db.close().await;
            ended
        });
        Worker { shutdown, running }
    }

    pub(super) async fn put(&self, job: impl Job) -> Uuid {
        self.put_new(job.into_new()).await
    }

    pub(super) async fn put_new(&self, job: NewJob) -> Uuid {
        self.engine.enqueue(&[job]).await.unwrap()[0].id
    }

    pub(super) async fn row(&self, id: Uuid) -> JobRow {
        self.engine.get(id).await.unwrap().expect("the job is there")
    }

    /// Waits for the job's end, which must be this one.
    pub(super) async fn ended(&self, id: Uuid, state: State) -> JobRow {
        let row = self.engine.wait(id, PATIENCE).await.unwrap().expect("the job is there");
        assert_eq!(row.state, state, "{row:?}");
        row
    }

    /// The errors of its failed attempts, oldest first.
    pub(super) async fn errors(&self, id: Uuid) -> Vec<String> {
        let attempts = self.engine.attempts(id).await.unwrap();
        attempts.into_iter().map(|attempt| attempt.error).collect()
    }

    /// Makes the lease of a running job run out, and the upkeep notice it.
    pub(super) async fn expire(&self, id: Uuid) {
        static EXPIRE: db::Sql = db::Sql::both(
            "UPDATE jobs SET lease_until = {after -1000} WHERE id = $1 AND state = 'running'",
        );
        let touched = self.engine.db().execute(&EXPIRE, db::args![id]).await.unwrap();
        assert_eq!(touched, 1, "the job runs");
        until("the upkeep takes the job back", async || {
            self.engine.reap().await.unwrap();
            self.row(id).await.crashes > 0
        })
        .await;
    }
}
