//! Random terminals against a plain model of a shop (I-1 … I-9, I-13, I-14, I-15, I-20 … I-24, I-31):
//! every command's answer is what the model says, in the end the books are too, and both databases
//! answer alike (I-32). Terminals lose answers and repeat themselves, with keys and without; the
//! program dies at any await, or its record fails; another shop sells the same numbers beside.
//!
//! Each course of events has a seed. `RELAIS_TEST_CASES=1000` runs more of them than the default,
//! `RELAIS_TEST_SEED=7` begins with another one: together they replay what failed.

mod again;
mod commands;
mod shop;
pub(crate) mod stage;

use crate::sales::{PATH, outcomes};
use crate::ventes::{Shop, audit};
use commands::{Command, History, Sale, history};
use db::{Db, Sql, args};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use queue::{JobRow, State};
use rust_decimal::Decimal;
use serde_json::Value;
use shop::{Expected, Model};
use stage::{Came, Stage};
use std::collections::BTreeMap;
use tests::stores::Deployment;
use uuid::Uuid;

pub(crate) fn asked(variable: &str, default: u64) -> u64 {
    let asked = std::env::var(variable).ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(default)
}

/// Plays one course of events per seed, on each database; a failure names the command that repeats it.
pub(crate) fn on_every_seed<S: Strategy>(
    test: &str,
    strategy: &S,
    play: &impl AsyncFn(&S::Value, &mut [Stage]),
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let chosen = [Deployment::Embedded, Deployment::Distributed];
    let chosen: Vec<_> = chosen.into_iter().filter(|deployment| deployment.is_chosen()).collect();
    let mut stages = runtime.block_on(async {
        let mut stages = Vec::new();
        for deployment in chosen {
            stages.push(Stage::open(deployment).await);
        }
        stages
    });
    let (first, cases) = (asked("RELAIS_TEST_SEED", 0), asked("RELAIS_TEST_CASES", 12));
    for seed in first..first + cases {
        let config = Config {
            cases: 1,
            max_shrink_iters: 50,
            failure_persistence: None,
            ..Config::default()
        };
        let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let all = std::sync::Mutex::new(&mut stages);
        let result = TestRunner::new_with_rng(config, random).run(strategy, |course| {
            let mut stages = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            runtime.block_on(play(&course, &mut stages));
            Ok(())
        });
        result.unwrap_or_else(|error| {
            panic!(
                "RELAIS_TEST_SEED={seed} RELAIS_TEST_CASES=1 cargo test -p tests --test it -- \
                 {test} replays it: {error}"
            )
        });
    }
    drop(stages);
}

#[test]
fn random_terminals_agree_with_the_model_on_both_databases() {
    on_every_seed("model::random_terminals", &history(), &async |history, stages| {
        play(history, stages).await;
    });
}

async fn play(history: &History, stages: &mut [Stage]) {
    let mut shops = Vec::new();
    for stage in stages.iter() {
        shops.push(Tills::open(&stage.db).await);
    }
    let mut alike = true;
    for command in &history.commands {
        let mut seen = Vec::new();
        for (tills, stage) in shops.iter_mut().zip(stages.iter_mut()) {
            seen.push(tills.follow(stage, command, history).await);
        }
        // Where a program died, more may have happened on one than on the other: from then on they
        // are told different things.
        alike &= seen.iter().all(|one| one.is_as_far_as(&seen[0]));
        if alike {
            for found in &seen {
                assert_eq!(found, &seen[0], "I-32: {command:?}");
            }
        }
    }
    for (tills, stage) in shops.iter_mut().zip(stages.iter_mut()) {
        tills.catch_up(stage).await;
        tills.check_books(&stage.db).await;
        audit(&stage.db, &tills.neighbour).await;
        let sales = std::mem::take(&mut tills.accepted);
        let elsewhere = again::sell_again(stage, history, sales).await;
        audit(&stage.db, &elsewhere).await;
        let books = books(&stage.db, &elsewhere).await;
        assert_eq!(books, books_of(&tills.model), "I-14, I-15: {:?}", stage.deployment);
    }
}

/// How far a command came.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    accepted: bool,
    delivered: bool,
    /// What the terminal read, without what may differ between databases: ids and generated numbers.
    read: Option<String>,
}

impl Seen {
    fn is_as_far_as(&self, other: &Self) -> bool {
        let far = |seen: &Self| (seen.accepted, seen.delivered, seen.read.is_some());
        far(self) == far(other)
    }
}

/// A shop with its terminals and what the model thinks of it.
struct Tills {
    shop: Shop,
    model: Model,
    /// The model's jobs by name.
    jobs: BTreeMap<usize, Uuid>,
    /// What was answered under a key, word for word (I-2).
    kept: BTreeMap<String, String>,
    /// Accepted jobs that have not been looked at: the next ones came before they were done (I-13).
    waiting: Vec<(Uuid, Vec<Expected>)>,
    /// What was accepted, in its order, with the terminal.
    accepted: Vec<(usize, Sale)>,
    /// Sells the same numbers at the same moments (I-20).
    neighbour: Shop,
}

impl Tills {
    async fn open(db: &Db) -> Self {
        let (shop, neighbour) = (Shop::open(db).await, Shop::open(db).await);
        Self {
            shop,
            model: Model::new(),
            jobs: BTreeMap::new(),
            kept: BTreeMap::new(),
            waiting: Vec::new(),
            accepted: Vec::new(),
            neighbour,
        }
    }

    /// Does one command and compares its outcomes with the model's.
    async fn follow(&mut self, stage: &mut Stage, command: &Command, history: &History) -> Seen {
        let mut seen = Seen { accepted: false, delivered: false, read: None };
        let sales = command.sales(history);
        let body: Vec<_> = sales.iter().map(|sale| sale.json(&self.shop)).collect();
        let terminal = command.terminal;
        let key = command.keyed.then(|| format!("commande-{}-{}", self.shop.id, command.origin));
        let key = key.as_deref();
        let serial = format!("s{}-{terminal}", self.shop.id);
        let before = stage.latest(&self.shop).await;
        let request = stage.http.post(stage.url(PATH)).header("X-Device-Serial", serial);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let request = request.body(format!("[{}]", body.join(",")));
        let known = self.model.known(terminal, key, &sales, &body);
        if command.refused && known.is_none() {
            let answer = stage.refuse(request.try_clone().expect("a text")).await;
            let is_told = answer.headers.contains_key("retry-after");
            assert!(answer.status == 503 && is_told, "I-24: {}: {}", answer.status, answer.text);
            assert_eq!(stage.latest(&self.shop).await, before, "I-24: a refused request has a row");
        }
        let theirs: Vec<_> = sales.iter().map(|sale| sale.json(&self.neighbour)).collect();
        let beside = stage.http.post(stage.url(PATH)).header("Prefer", "wait=5");
        let beside = beside.header("X-Device-Serial", format!("s{}-1", self.neighbour.id));
        let beside = beside.body(format!("[{}]", theirs.join(","))).send();
        let (came, _) = stage.send(request, command.lost, command.death, beside).await;
        if let Came::Whole(answer) | Came::Pending(answer) = &came {
            let theirs = self.neighbour.id.to_string();
            assert!(!answer.text.contains(&theirs), "I-20: {}", answer.text);
        }
        let after = stage.latest(&self.shop).await;
        if known.is_none() && after == before {
            // The program died before it accepted anything: nothing has happened.
            assert!(matches!(came, Came::Nothing), "{came:?}: {command:?}");
            return seen;
        }
        seen.accepted = true;
        if known.is_none() {
            self.accepted.extend(sales.iter().map(|sale| (terminal, sale.clone())));
        }
        let (job, expected) = self.model.send(terminal, key, &sales, &body);
        let id = *self.jobs.entry(job).or_insert_with(|| after.expect("it was accepted"));
        self.waiting.push((id, expected.clone()));
        if let Came::Pending(answer) = &came {
            let answer = answer.json();
            let claims = [&answer["statistiques"]["reussies"], &answer["statistiques"]["erreurs"]];
            assert!(claims.iter().all(|count| **count == 0), "I-22: {answer}");
            assert_eq!(answer["ventes_creees"].as_array().map(Vec::len), Some(0), "I-22: {answer}");
            assert!(answer["ventes_erreurs"].is_null(), "I-22: {answer}");
            return seen;
        }
        self.catch_up(stage).await;
        let whole = matches!(came, Came::Whole(_));
        seen.delivered = stage.is_delivered(id, whole, command.death.is_some()).await;
        if seen.delivered {
            self.model.delivered(job);
        } else {
            assert!(!whole || command.death.is_some(), "never noted: {command:?}");
        }
        let Came::Whole(answer) = came else { return seen };
        assert_eq!(answer.status, 201, "{}", answer.text);
        outcomes(&answer.json(), sales.len());
        let read = listed(&answer.json(), sales.len());
        let read: Vec<_> = read.into_iter().map(|outcome| self.normal(outcome)).collect();
        assert_eq!(read, expected, "{:?}: {command:?}", stage.deployment);
        if let Some(key) = key {
            let kept = self.kept.entry(key.to_owned()).or_insert_with(|| answer.text.clone());
            assert_eq!(kept, &answer.text, "I-2: {command:?}");
        }
        seen.read = Some(format!("{read:?}"));
        seen
    }

    /// What was accepted ends, and as the model says.
    async fn catch_up(&mut self, stage: &Stage) {
        for (id, expected) in std::mem::take(&mut self.waiting) {
            let row = stage.ended(id).await;
            let found: Vec<_> = stored(&row).into_iter().map(|each| self.normal(each)).collect();
            assert_eq!(found, expected, "{:?}", stage.deployment);
        }
    }

    fn normal(&self, outcome: Expected) -> Expected {
        normal(&self.shop, outcome)
    }

    /// The books are the model's.
    async fn check_books(&self, db: &Db) {
        static REJECTED: Sql =
            Sql::both("SELECT numero_facture, traitee FROM ventes_rejetees WHERE boutique_id = $1");
        audit(db, &self.shop).await;
        assert_eq!(books(db, &self.shop).await, books_of(&self.model));
        let id = self.shop.id;
        let mut rejected = Vec::new();
        for row in db.read(&REJECTED, args![id]).await.unwrap() {
            let number: Option<String> = row.get("numero_facture").unwrap();
            rejected.push((number.unwrap_or_default(), row.get::<bool>("traitee").unwrap()));
        }
        rejected.sort();
        assert_eq!(rejected, self.model.rejected());
    }
}

/// Generated numbers hold the time, texts the article's id.
fn normal(shop: &Shop, mut outcome: Expected) -> Expected {
    if let Some(rest) = outcome.number.strip_prefix(&format!("VENTE-{}-", shop.id)) {
        let (stamp, index) = rest.split_once('-').expect("timestamp and index");
        assert_eq!(stamp.len(), 14, "{rest}");
        assert!(index.parse::<usize>().is_ok() && stamp.parse::<u64>().is_ok(), "{rest}");
        outcome.number = shop::GENERATED.to_owned();
    }
    outcome
}

/// Sales by number with their totals, and the stock of both articles.
type Books = (Vec<(String, String)>, Vec<i64>);

fn books_of(model: &Model) -> Books {
    (model.booked(), model.stock.clone())
}

async fn books(db: &Db, shop: &Shop) -> Books {
    static SALES: Sql = Sql::both(
        "SELECT numero_facture, montant_total FROM ventes WHERE boutique_id = $1 \
         ORDER BY numero_facture, montant_total",
    );
    static STOCK: Sql =
        Sql::both("SELECT quantite_stock FROM articles WHERE boutique_id = $1 ORDER BY id");
    let mut booked = Vec::new();
    for row in db.read(&SALES, args![shop.id]).await.unwrap() {
        let total: Decimal = row.get("montant_total").unwrap();
        let number = row.get("numero_facture").unwrap();
        let outcome = Expected { number, word: "+".to_owned(), total: format!("{total:.2}") };
        let outcome = normal(shop, outcome);
        booked.push((outcome.number, outcome.total));
    }
    booked.sort();
    let rows = db.read(&STOCK, args![shop.id]).await.unwrap();
    (booked, rows.iter().map(|row| row.get("quantite_stock").unwrap()).collect())
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
fn stored(row: &JobRow) -> Vec<Expected> {
    assert_eq!(row.state, State::Done, "{row:?}");
    let result: Value = serde_json::from_str(row.result.as_ref().unwrap()).unwrap();
    let sales = result["ventes"].as_array().unwrap_or_else(|| panic!("{result}"));
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
