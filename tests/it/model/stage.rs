//! Where random clients play: a program that may die, and what the record then shows.

use crate::sales::read;
use crate::ventes::Shop;
use db::failpoint::Fault;
use db::{Db, Sql, args};
use queue::{Engine, JobRow};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::app::Answer;
use tests::program::Program;
use tests::stores::{Deployment, Stores};
use tests::wait::within;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);
const AT_ONCE: Duration = Duration::from_secs(5);

/// What the terminal got of its request.
#[derive(Debug)]
pub(crate) enum Came {
    /// Anything but a 202, whole.
    Whole(Answer),
    /// A 202.
    Pending(Answer),
    /// The program died before it answered.
    Nothing,
}

pub(crate) struct Stage {
    pub(crate) deployment: Deployment,
    pub(crate) db: Db,
    stores: Stores,
    engine: Arc<dyn Engine>,
    program: Option<Program>,
    pub(crate) http: reqwest::Client,
}

impl Stage {
    pub(crate) async fn open(deployment: Deployment) -> Self {
        let stores = deployment.fresh().await;
        let (engine, db) = (stores.engine().await, stores.db().await);
        let program = Some(Program::start(&stores).await);
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { deployment, db, stores, engine, program, http }
    }

    /// Where the program of the moment listens.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.program.as_ref().expect("one runs").address)
    }

    /// Sends one request and, at the same time, whatever `beside` does, if it can; the program has
    /// died on the way if it met the place, and another one runs.
    pub(crate) async fn send<T>(
        &mut self,
        request: reqwest::RequestBuilder,
        is_lost: bool,
        death: Option<&str>,
        beside: impl Future<Output = T>,
    ) -> (Came, Option<T>) {
        let program = self.program.as_ref().expect("one runs");
        let mut armed = death.map(|place| program.arm(place, Fault::Death, 1));
        let prefer = if is_lost { "respond-async" } else { "wait=20" };
        let request = request.timeout(PATIENCE).header("Prefer", prefer);
        let began = Instant::now();
        // Whoever has the answer has it, also if its delivery is never recorded.
        let (mut answer, mut aside) = (None, None);
        let both = async {
            let asked = async {
                answer = match request.send().await {
                    Ok(response) => Some(read(response).await),
                    Err(_) => None,
                }
            };
            tokio::join!(asked, async { aside = Some(beside.await) });
        };
        match &mut armed {
            Some(armed) if death != Some("delivery") => tokio::select! {
                () = both => {}
                Ok(()) = armed.changed() => {}
            },
            _ => both.await,
        }
        let took = began.elapsed();
        let whole = answer.as_ref().is_some_and(|answer| answer.status != 202);
        if let Some(armed) = &mut armed {
            if whole && death == Some("delivery") {
                tokio::time::timeout(PATIENCE, armed.changed()).await.unwrap().unwrap();
            }
            // What was accepted may still be on its way to the place.
            self.settle().await;
            if *armed.borrow() > 0 || answer.is_none() {
                self.die().await;
            } else {
                let program = self.program.as_ref().expect("one runs");
                program.arm(death.expect("one was armed"), Fault::Death, 0);
            }
        }
        let came = match answer {
            None => Came::Nothing,
            Some(answer) if whole => Came::Whole(answer),
            Some(answer) => {
                // I-23: it waits for nobody; a busy machine is slow, not wrong.
                assert!(death.is_some() || took < AT_ONCE, "a 202 after {took:?}");
                Came::Pending(answer)
            }
        };
        (came, aside)
    }

    /// Sends one request to a record that fails just before it takes it.
    pub(crate) async fn refuse(&self, request: reqwest::RequestBuilder) -> Answer {
        let program = self.program.as_ref().expect("one runs");
        program.arm("accept", Fault::Error, 1);
        let request = request.timeout(PATIENCE).header("Prefer", "wait=20");
        read(request.send().await.unwrap()).await
    }

    /// Waits a moment for what runs; a death keeps it from ending.
    async fn settle(&self) {
        static ALIVE: Sql = Sql::both(
            "SELECT count(*) AS n FROM jobs WHERE state IN ('scheduled', 'ready', 'running')",
        );
        let _ended = within(Duration::from_millis(400), async || {
            let row = self.db.read_one(&ALIVE, args![]).await.unwrap().unwrap();
            row.get::<i64>("n").unwrap() == 0
        })
        .await;
    }

    async fn die(&mut self) {
        static EXPIRE: Sql =
            Sql::both("UPDATE jobs SET lease_until = {after -1000} WHERE state = 'running'");
        self.program.take().expect("it ran").kill();
        self.program = Some(Program::start(&self.stores).await);
        self.db.execute(&EXPIRE, args![]).await.unwrap();
    }

    /// The shop's newest job.
    pub(crate) async fn latest(&self, shop: &Shop) -> Option<Uuid> {
        static LATEST: Sql =
            Sql::both("SELECT id FROM jobs WHERE lane = $1 ORDER BY lane_seq DESC LIMIT 1");
        let lane = format!("boutique:{}", shop.id);
        let row = self.db.read_one(&LATEST, args![lane]).await.unwrap();
        row.map(|row| row.get("id").unwrap())
    }

    pub(crate) async fn ended(&self, id: Uuid) -> JobRow {
        let row = self.engine.wait(id, PATIENCE).await.unwrap().unwrap();
        assert!(row.state.is_final(), "no end: {row:?}");
        row
    }

    /// Whether the record knows that an answer of the job left whole. If it did and nobody died
    /// over its note, it will.
    pub(crate) async fn is_delivered(&self, id: Uuid, whole: bool, dies: bool) -> bool {
        let patience = match (whole, dies) {
            (false, _) => Duration::ZERO,
            (true, true) => Duration::from_secs(2),
            (true, false) => PATIENCE,
        };
        within(patience, async || {
            self.engine.get(id).await.unwrap().unwrap().delivered_at.is_some()
        })
        .await
    }
}
