//! Where the random terminals play: a program that may die, and what the record then shows.

use super::commands::Command;
use crate::sales::{PATH, read};
use crate::ventes::Shop;
use db::failpoint::Fault;
use db::{Db, Sql, args};
use queue::{Engine, JobRow};
use std::sync::Arc;
use std::time::Duration;
use tests::app::Answer;
use tests::program::Program;
use tests::stores::{Deployment, Stores};
use tests::wait::within;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

/// What the terminal got of its request.
#[derive(Debug)]
pub(super) enum Came {
    /// A 201, whole.
    Whole(Answer),
    /// A 202.
    Pending,
    /// The program died before it answered.
    Nothing,
}

pub(super) struct Stage {
    pub(super) deployment: Deployment,
    pub(super) db: Db,
    stores: Stores,
    engine: Arc<dyn Engine>,
    program: Option<Program>,
    http: reqwest::Client,
}

impl Stage {
    pub(super) async fn open(deployment: Deployment) -> Self {
        let stores = deployment.fresh().await;
        let (engine, db) = (stores.engine().await, stores.db().await);
        let program = Some(Program::start(&stores).await);
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
        Self { deployment, db, stores, engine, program, http }
    }

    /// Sends one command; the program has died on the way if the command wants that, and another
    /// one runs.
    pub(super) async fn send(
        &mut self,
        command: &Command,
        serial: &str,
        key: Option<&str>,
        body: &[String],
    ) -> Came {
        let program = self.program.as_ref().expect("one runs");
        let mut armed = command.death.map(|place| program.arm(place, Fault::Death, 1));
        let request = self.http.post(format!("http://{}{PATH}", program.address));
        let prefer = if command.lost { "respond-async" } else { "wait=20" };
        let request = request.timeout(PATIENCE).header("X-Device-Serial", serial);
        let request = request.header("Prefer", prefer);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let request = request.body(format!("[{}]", body.join(",")));
        let answered = async { Some(read(request.send().await.ok()?).await) };
        // Whoever has the answer has it, also if its delivery is never recorded.
        let answer = match &mut armed {
            Some(armed) if command.death != Some("delivery") => tokio::select! {
                answer = answered => answer,
                Ok(()) = armed.changed() => None,
            },
            _ => answered.await,
        };
        let whole = answer.as_ref().is_some_and(|answer| answer.status == 201);
        if let Some(armed) = &mut armed {
            if whole && command.death == Some("delivery") {
                tokio::time::timeout(PATIENCE, armed.changed()).await.unwrap().unwrap();
            }
            // What was accepted may still be on its way to the place.
            self.settle().await;
            if *armed.borrow() > 0 || answer.is_none() {
                self.die().await;
            } else {
                self.program.as_ref().expect("one runs").arm(
                    command.death.expect("one was armed"),
                    Fault::Death,
                    0,
                );
            }
        }
        match answer {
            None => Came::Nothing,
            Some(answer) if whole => Came::Whole(answer),
            Some(answer) => {
                assert_eq!(answer.status, 202, "{}", answer.text);
                Came::Pending
            }
        }
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
    pub(super) async fn latest(&self, shop: &Shop) -> Option<Uuid> {
        static LATEST: Sql =
            Sql::both("SELECT id FROM jobs WHERE lane = $1 ORDER BY lane_seq DESC LIMIT 1");
        let lane = format!("boutique:{}", shop.id);
        let row = self.db.read_one(&LATEST, args![lane]).await.unwrap();
        row.map(|row| row.get("id").unwrap())
    }

    pub(super) async fn ended(&self, id: Uuid) -> JobRow {
        let row = self.engine.wait(id, PATIENCE).await.unwrap().unwrap();
        assert!(row.state.is_final(), "no end: {row:?}");
        row
    }

    /// Whether the record knows that an answer of the job left whole. If it did and nobody died
    /// over its note, it will.
    pub(super) async fn is_delivered(&self, id: Uuid, whole: bool) -> bool {
        static DELIVERED: Sql =
            Sql::both("SELECT delivered_at IS NOT NULL AS remise FROM jobs WHERE id = $1");
        let patience = if whole { Duration::from_secs(2) } else { Duration::ZERO };
        within(patience, async || {
            let row = self.db.read_one(&DELIVERED, args![id]).await.unwrap().unwrap();
            row.get("remise").unwrap()
        })
        .await
    }
}
