//! Random terminals against a plain model of a shop (I-1, I-4 … I-9, I-21): every command's answer
//! is what the model says, in the end the books are too, and both databases answer alike (I-32).
//!
//! `RELAIS_TEST_CASES=500` runs more of them than the default.

mod commands;
mod shop;

use crate::sales::{PATH, job_done, outcomes, post, shared};
use crate::ventes::{Shop, audit};
use commands::{Command, History, history};
use db::{Db, Sql, args};
use proptest::test_runner::{Config, TestRunner};
use rust_decimal::Decimal;
use serde_json::Value;
use shop::{Expected, Model};
use tests::app::TestApp;
use tests::stores::Deployment;

pub(crate) fn cases() -> u32 {
    let asked = std::env::var("RELAIS_TEST_CASES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(12)
}

#[test]
fn random_terminals_agree_with_the_model_on_both_databases() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let chosen = [Deployment::Embedded, Deployment::Postgres];
    let chosen: Vec<_> = chosen.into_iter().filter(|deployment| deployment.is_chosen()).collect();
    let config = Config {
        cases: cases(),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&history(), |history| {
        runtime.block_on(async {
            let mut tills = Vec::new();
            for deployment in &chosen {
                tills.push(Tills::open(*deployment).await);
            }
            play(&history, &mut tills).await;
            Ok(())
        })
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

async fn play(history: &History, tills: &mut [Tills]) {
    let mut alike = true;
    for command in &history.commands {
        let mut seen = Vec::new();
        for shop in tills.iter_mut() {
            seen.push(shop.follow(command, history).await);
        }
        // Once one answer came back complete where the other did not, they were told different
        // things and will be.
        alike &= seen.iter().all(|answer| answer.complete == seen[0].complete);
        if alike {
            for answer in &seen {
                assert_eq!(answer.text, seen[0].text, "the databases differ: {command:?}");
            }
        }
    }
    for shop in tills {
        shop.close().await;
    }
}

/// A shop with its terminals and what the model thinks of it.
struct Tills {
    app: &'static TestApp,
    db: Db,
    shop: Shop,
    model: Model,
}

/// What came of a command.
struct Seen {
    complete: bool,
    /// The outcomes without what may differ: ids and generated numbers.
    text: String,
}

impl Tills {
    async fn open(deployment: Deployment) -> Self {
        let app = shared(deployment).await;
        let db = app.stores.db().await;
        let shop = Shop::open(&db).await;
        Self { app, db, shop, model: Model::new() }
    }

    /// Does one command and compares its outcomes with the model's.
    async fn follow(&mut self, command: &Command, history: &History) -> Seen {
        let sales = command.sales(history);
        let body: Vec<_> = sales.iter().map(|sale| sale.json(&self.shop)).collect();
        let serial = format!("s{}-{}", self.shop.id, command.terminal);
        let prefer = if command.lost { "respond-async" } else { "wait=20" };
        let answer = post(self.app, PATH, &serial, prefer, format!("[{}]", body.join(","))).await;
        let complete = answer.status == 201;
        let (job, expected) = self.model.send(command.terminal, &sales, &body);
        let found = if complete {
            self.model.delivered(job);
            outcomes(&answer.json(), sales.len());
            listed(&answer.json(), sales.len())
        } else {
            assert_eq!(answer.status, 202, "{}", answer.text);
            stored(&job_done(self.app, &serial, &answer).await)
        };
        let found: Vec<_> = found.into_iter().map(|outcome| self.normal(outcome)).collect();
        let text = format!("{found:?}");
        assert_eq!(found, expected, "{:?}: {command:?}", self.app.stores.deployment);
        Seen { complete, text }
    }

    /// Generated numbers hold the time, texts the article's id.
    fn normal(&self, mut outcome: Expected) -> Expected {
        if let Some(rest) = outcome.number.strip_prefix(&format!("VENTE-{}-", self.shop.id)) {
            let (stamp, index) = rest.split_once('-').expect("timestamp and index");
            assert_eq!(stamp.len(), 14, "{rest}");
            assert!(index.parse::<usize>().is_ok() && stamp.parse::<u64>().is_ok(), "{rest}");
            outcome.number = shop::GENERATED.to_owned();
        }
        outcome
    }

    /// The books are the model's.
    async fn close(&self) {
        static SALES: Sql = Sql::both(
            "SELECT numero_facture, montant_total FROM ventes WHERE boutique_id = $1 \
             ORDER BY numero_facture, montant_total",
        );
        static STOCK: Sql =
            Sql::both("SELECT quantite_stock FROM articles WHERE boutique_id = $1 ORDER BY id");
        static REJECTED: Sql =
            Sql::both("SELECT numero_facture, traitee FROM ventes_rejetees WHERE boutique_id = $1");
        audit(&self.db, &self.shop).await;
        let id = self.shop.id;
        let mut booked = Vec::new();
        for row in self.db.read(&SALES, args![id]).await.unwrap() {
            let total: Decimal = row.get("montant_total").unwrap();
            let outcome = Expected {
                number: row.get("numero_facture").unwrap(),
                word: "+".to_owned(),
                total: format!("{total:.2}"),
            };
            let outcome = self.normal(outcome);
            booked.push((outcome.number, outcome.total));
        }
        booked.sort();
        assert_eq!(booked, self.model.booked());
        let rows = self.db.read(&STOCK, args![id]).await.unwrap();
        let stock: Vec<i64> = rows.iter().map(|row| row.get("quantite_stock").unwrap()).collect();
        assert_eq!(stock, self.model.stock);
        let mut rejected = Vec::new();
        for row in self.db.read(&REJECTED, args![id]).await.unwrap() {
            let number: Option<String> = row.get("numero_facture").unwrap();
            rejected.push((number.unwrap_or_default(), row.get::<bool>("traitee").unwrap()));
        }
        rejected.sort();
        assert_eq!(rejected, self.model.rejected());
        self.db.close().await;
    }
}

/// The outcomes that a terminal reads.
fn listed(answer: &Value, sent: usize) -> Vec<Expected> {
    let mut all: Vec<Option<Expected>> = (0..sent).map(|_| None).collect();
    for error in answer["ventes_erreurs"].as_array().map_or(&[][..], Vec::as_slice) {
        let index = usize::try_from(error["index"].as_u64().unwrap()).unwrap();
        all[index - 1] = Some(refused(error));
    }
    let mut created = answer["ventes_creees"].as_array().unwrap().iter();
    for place in all.iter_mut().filter(|place| place.is_none()) {
        *place = created.next().map(as_created);
    }
    all.into_iter().flatten().collect()
}

/// The outcomes that the job keeps for an answer nobody has read.
fn stored(job: &Value) -> Vec<Expected> {
    let sales = job["response"]["ventes"].as_array().unwrap_or_else(|| panic!("{job}"));
    let outcome = |sale: &Value| match sale.get("creee") {
        Some(created) => as_created(created),
        None => refused(&sale["refusee"]),
    };
    sales.iter().map(outcome).collect()
}

fn as_created(sale: &Value) -> Expected {
    let word = if sale["rejouee"] == true { "+again" } else { "+" };
    let total = sale["montant_total"].as_str().unwrap().to_owned();
    let number = sale["numero_facture"].as_str().unwrap().to_owned();
    Expected { number, word: word.to_owned(), total }
}

fn refused(sale: &Value) -> Expected {
    let text = |member: &str| sale[member].as_str().unwrap().to_owned();
    Expected { number: text("numero_facture"), word: text("code"), total: String::new() }
}
