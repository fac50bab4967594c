//! I-31: a fault at any await between "sent" and "answered" leaves the same state as none.

use super::header;
use crate::sales::{PATH, read, sale};
use crate::ventes::{Shop, audit};
use db::failpoint::{Armed, Fault};
use db::{Db, Sql, args};
use rust_decimal::Decimal;
use std::time::{Duration, Instant};
use tests::app::Answer;
use tests::program::Program;
use tests::stores::{Deployment, Stores};

/// Longer than the lease, and than the API and the client wait: ten seconds, shortened.
const STALL: Duration = Duration::from_millis(1_500);
const DEADLINE: Duration = Duration::from_secs(60);

/// In the order in which a request passes them.
const PLACES: [&str; 13] = [
    "accept",
    "enqueue",
    "accepted",
    "claim",
    "claimed",
    "sale V-3",
    "decide V-3",
    "run",
    "decide V-4",
    "commit",
    "committed",
    "publish",
    "answer",
];

/// What the record shows in the end: the order of generated numbers is left to chance, and so is
/// how often a refused sale was sent.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    sales: Vec<(String, Decimal)>,
    stock: Vec<i64>,
    movements: i64,
    rejected: Vec<(String, String, bool)>,
}

async fn books(db: &Db, shop: &Shop) -> Books {
    static SALES: Sql = Sql::both(
        "SELECT numero_facture, montant_total FROM ventes WHERE boutique_id = $1 ORDER BY id",
    );
    static STOCK: Sql =
        Sql::both("SELECT quantite_stock FROM articles WHERE boutique_id = $1 ORDER BY id");
    static MOVEMENTS: Sql =
        Sql::both("SELECT COUNT(*) AS n FROM mouvements_stock WHERE boutique_id = $1");
    static REJECTED: Sql = Sql::both(
        "SELECT numero_facture, raison, traitee FROM ventes_rejetees WHERE boutique_id = $1 \
         ORDER BY id",
    );
    let mut sales = Vec::new();
    for row in db.read(&SALES, args![shop.id]).await.unwrap() {
        let number: String = row.get("numero_facture").unwrap();
        let number = if number.starts_with("VENTE-") { "VENTE".to_owned() } else { number };
        sales.push((number, row.get("montant_total").unwrap()));
    }
    sales.sort();
    let stock = db.read(&STOCK, args![shop.id]).await.unwrap();
    let mut rejected = Vec::new();
    for row in db.read(&REJECTED, args![shop.id]).await.unwrap() {
        let number: Option<String> = row.get("numero_facture").unwrap();
        rejected.push((
            number.unwrap_or_default(),
            row.get("raison").unwrap(),
            row.get("traitee").unwrap(),
        ));
    }
    rejected.sort();
    Books {
        sales,
        stock: stock.iter().map(|row| row.get("quantite_stock").unwrap()).collect(),
        movements: crate::ventes::integer(db, &MOVEMENTS, shop.id).await,
        rejected,
    }
}

/// A terminal, its shop, and the program of the moment.
struct Course {
    stores: Stores,
    program: Option<Program>,
    armed: Option<Armed>,
    dies: bool,
    shop: Shop,
    http: reqwest::Client,
}

impl Course {
    /// Sends until the answer is complete; a program that reached its death is replaced.
    async fn send(&mut self, key: Option<&str>, sales: &[String]) -> Answer {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < DEADLINE, "never answered");
            let address = self.program.as_ref().expect("one runs").address;
            let mut request = self
                .http
                .post(format!("http://{address}{PATH}"))
                .timeout(Duration::from_secs(2))
                .header("X-Device-Serial", format!("s{}-1", self.shop.id));
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            let answered = async {
                let response = request.body(format!("[{}]", sales.join(","))).send().await.ok()?;
                Some(read(response).await)
            };
            let answer = match &mut self.armed {
                Some(armed) if self.dies => tokio::select! {
                    answer = answered => answer,
                    Ok(()) = armed.changed() => None,
                },
                _ => answered.await,
            };
            if self.dies && self.armed.as_ref().is_some_and(|armed| *armed.borrow() > 0) {
                self.armed = None;
                self.program.take().expect("it ran").kill();
                self.program = Some(Program::start(&self.stores).await);
            }
            if let Some(answer) = answer.filter(|answer| answer.status == 201) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A day of a terminal with this fault in it, to its end.
async fn day(deployment: Deployment, fault: Option<(&str, Fault)>) -> Books {
    let stores = deployment.fresh().await;
    let db = stores.db().await;
    let shop = Shop::open(&db).await;
    let (a, b) = (shop.a, shop.b);
    let program = Program::start(&stores).await;
    let armed = fault.map(|(place, fault)| program.arm(place, fault, 1));
    let seen = armed.clone();
    let dies = fault.is_some_and(|(_, fault)| fault == Fault::Death);
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut course = Course { stores, program: Some(program), armed, dies, shop, http };
    let line = |article: i64, quantity| format!(r#""article_id":{article},"quantite":{quantity}"#);
    let first = [
        sale("V-1", &line(a, 2)),
        sale("V-3", &line(b, 3)),
        sale("V-2", &line(a, 50)),
        r#"{"numero_facture":"V-4"}"#.to_owned(),
    ];
    let unnumbered = [format!("{{\"lignes\":[{{{}}}]}}", line(b, 1))];
    course.send(None, &first).await;
    let keyed = course.send(Some("vente-sans-numero"), &unnumbered).await;
    course.send(None, &[sale("V-5", &line(a, 1)), sale("V-1", &line(a, 2))]).await;
    let again = course.send(Some("vente-sans-numero"), &unnumbered).await;
    assert_eq!(again.text, keyed.text, "I-2");
    assert_eq!(header(&again, "idempotency-replayed"), Some("true"));
    if let Some(seen) = seen {
        assert!(*seen.borrow() > 0 || fault.is_none(), "{fault:?} was never reached");
    }
    crate::outbox::settle(&db, DEADLINE).await;
    let books = books(&db, &course.shop).await;
    audit(&db, &course.shop).await;
    drop(course.program.take());
    db.close().await;
    course.stores.remove().await;
    books
}

async fn the_same_books_whatever_fails(deployment: Deployment, fault: Fault) {
    let expected = day(deployment, None).await;
    let total = |hundredths| Decimal::new(hundredths, 2);
    assert_eq!(
        expected.sales,
        [
            ("V-1".to_owned(), total(8_000_000)),
            ("V-3".to_owned(), total(7_500_000)),
            ("V-5".to_owned(), total(4_000_000)),
            ("VENTE".to_owned(), total(2_500_000)),
        ]
    );
    assert_eq!((expected.stock.as_slice(), expected.movements), (&[7, 16][..], 4));
    for places in PLACES.chunks(4) {
        let days = places.iter().map(|place| day(deployment, Some((place, fault))));
        for (place, books) in places.iter().zip(futures::future::join_all(days).await) {
            assert_eq!(books, expected, "{fault:?} at {place}");
        }
    }
}

/// I-31, I-1, I-3, D-14
pub(super) async fn an_error_anywhere_changes_nothing(deployment: Deployment) {
    the_same_books_whatever_fails(deployment, Fault::Error).await;
}

/// I-31, I-1, D-6
pub(super) async fn a_stall_anywhere_changes_nothing(deployment: Deployment) {
    the_same_books_whatever_fails(deployment, Fault::Stall(STALL)).await;
}

/// I-31, I-1, I-3, D-3
pub(super) async fn death_anywhere_changes_nothing(deployment: Deployment) {
    the_same_books_whatever_fails(deployment, Fault::Death).await;
}

/// D-12: a delivery that is not recorded is made up for, and never makes a sale twice.
pub(super) async fn a_delivery_that_is_lost_costs_a_report(deployment: Deployment) {
    for fault in [Fault::Error, Fault::Stall(STALL), Fault::Death] {
        let books = day(deployment, Some(("delivery", fault))).await;
        assert_eq!((books.sales.len(), books.movements), (4, 4), "{fault:?}");
    }
}
