//! A shop's terminals behind a bad network while everything is killed: the outboxes empty, and
//! every sale is in the books exactly once (I-1 to I-9, I-21 to I-23, I-33).
//!
//! `RELAIS_TEST_SALES=500` makes it larger.

mod books;
mod faults;
mod terminal;
mod weeks;

use crate::by_deployment;
pub(crate) use books::{audit, settle};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
pub(crate) use terminal::Sold;
use terminal::Terminal;
use tests::app::TestApp;
use tests::faultproxy::{FaultProxy, Faults};
use tests::stores::Deployment;

on_every_deployment! {
    by_deployment:
    weeks::the_outbox_empties_at_its_own_pace,
}

/// Opening stock: enough that no sale is refused for it, so the books must show every one.
const STOCK: i64 = 100_000;
const ARTICLES: [(i64, &str); 3] = [(6, "40000.00"), (7, "25000.00"), (8, "0.05")];
const SERIALS: [&str; 2] = ["terminal-a", "terminal-b"];

fn shop() -> Value {
    let articles = ARTICLES.map(|(id, price)| {
        json!({"id": id, "boutique_id": 2, "nom": format!("Article {id}"), "code": format!("A{id}"),
               "prix_vente": price, "stock": STOCK, "actif": true})
    });
    let terminals = SERIALS.map(
        |serial| json!({"numero_serie": serial, "nom": serial, "boutique_id": 2, "actif": true}),
    );
    json!({"boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"}],
           "terminaux": terminals, "articles": articles, "cles_api": []})
}

/// How many sales a terminal makes: as many as were asked for, or `usual` of all.
fn sales_per_terminal(usual: usize) -> usize {
    let asked = std::env::var("RELAIS_TEST_SALES").ok().and_then(|text| text.parse::<usize>().ok());
    asked.unwrap_or(usual) / SERIALS.len()
}

#[expect(clippy::print_stdout, reason = "the figures of the run are part of the proof")]
async fn the_outbox_empties(deployment: Deployment) {
    let private = faults::Private::start(deployment).await;
    let mut app = TestApp::on(
        private.stores().await,
        &[
            ("RELAIS_QUEUE_LEASE_SECONDS", "2"),
            ("RELAIS_API_WAIT_SECONDS", "2"),
            ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000"),
            ("RELAIS_SALES_RELEASE_AFTER_SECONDS", "1"),
        ],
    );
    app.seed(&shop()).await;
    app.start_api().await;
    app.start_worker();
    app.start_worker();
    let faults = Faults {
        seed: 20_261_120,
        cut_percent: 20,
        twice_percent: 10,
        max_delay: Duration::from_millis(20),
    };
    let proxy = FaultProxy::start(app.address(0), faults).await;

    let start = Instant::now();
    let over = Arc::new(AtomicBool::new(false));
    let mut tills = tokio::task::JoinSet::new();
    for (number, serial) in SERIALS.iter().enumerate() {
        let mut till = Terminal::new(serial, number as u64, app.http().clone(), proxy.url());
        tills.spawn(async move {
            till.sell_until_empty(sales_per_terminal(80), Duration::from_secs(120)).await;
            till
        });
    }
    let ended = Arc::clone(&over);
    let tills = tokio::spawn(async move {
        // Also if one has given up: nothing else would end the strikes.
        let tills = tokio::spawn(tills.join_all()).await;
        ended.store(true, Ordering::Relaxed);
        tills.expect("the terminals empty their outboxes")
    });
    let struck = private.strike(&mut app, &over).await;
    let tills = tills.await.expect("the terminals' loops end");

    let db = app.stores.db().await;
    settle(&db, Duration::from_secs(30)).await;
    let sold: Vec<_> = tills.iter().flat_map(|till| till.sold.clone()).collect();
    let books = audit(&db, &sold, STOCK).await;
    let (asked, answered, longest) = tills.iter().fold((0, 0, Duration::ZERO), |sum, till| {
        (sum.0 + till.requests, sum.1 + till.answers, sum.2.max(till.longest))
    });
    println!(
        "{}: {} sales in {:.1} s; {asked} requests, {answered} answers, longest wait {:.2} s; {:?}; \
         {struck:?}; lost {}, doubled {}",
        deployment.name(),
        sold.len(),
        start.elapsed().as_secs_f64(),
        longest.as_secs_f64(),
        proxy.counts(),
        books.lost,
        books.doubled,
    );
    assert_eq!((books.lost, books.doubled), (0, 0));
    assert!(
        proxy.counts().cut() > 0 && proxy.counts().twice > 0,
        "the network was too good to prove anything"
    );
    // I-23: the wait of 2 s and half a second, and the network's own delay.
    assert!(longest < Duration::from_millis(4_000), "an answer took {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    the_outbox_empties(Deployment::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    the_outbox_empties(Deployment::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn distributed() {
    the_outbox_empties(Deployment::Distributed).await;
}
