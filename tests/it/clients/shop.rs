//! Both clients in one shop, behind a network that cuts half of their connections, while worker,
//! API and the clients themselves are killed.
//!
//! `RELAIS_TEST_SALES=500` makes it larger than its 120 sales.

use super::build::{Client, clients};
use super::till::{Line, Outbox, Till};
use crate::model::asked;
use crate::outbox::{Sold, audit};
use db::{Db, Sql, args};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::faultproxy::{FaultProxy, Faults};
use tests::stores::Stores;
use tests::wait::{until, within};

const STOCK: i64 = 100_000;
/// Not there when the first sales of it are made.
const LATE: i64 = 9;
const UNKNOWN: i64 = 999;
const PRICES: [(i64, i64); 5] =
    [(6, 4_000_000), (7, 2_500_000), (8, 5), (LATE, 1_999), (UNKNOWN, 100)];
const ROUND: Duration = Duration::from_millis(300);

fn shop(clients: &[Client]) -> Value {
    let articles: Vec<_> = PRICES[..4]
        .iter()
        .map(|(id, price)| {
            let price = format!("{}.{:02}", price / 100, price % 100);
            json!({"id": id, "boutique_id": 2, "nom": format!("Article {id}"), "actif": true,
                   "code": format!("A{id}"), "prix_vente": price, "stock": STOCK})
        })
        .collect();
    let terminals: Vec<_> = clients
        .iter()
        .map(|client| {
            json!({"numero_serie": client.name, "nom": client.name, "boutique_id": 2, "actif": true})
        })
        .collect();
    json!({"boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"}],
           "terminaux": terminals, "articles": articles, "cles_api": []})
}

/// What must become of the sales of both.
#[derive(Default)]
struct Day {
    booked: Vec<Sold>,
    /// Article 999 is no article.
    unknown: BTreeSet<String>,
    /// More than there will ever be.
    too_many: BTreeSet<String>,
}

impl Day {
    fn sell(&mut self, till: &mut Till, random: &mut StdRng) {
        let line = |article: usize, quantity| (PRICES[article].0, quantity, PRICES[article].1);
        let usual = (0..random.random_range(1..=3))
            .map(|_| line(random.random_range(0..3), random.random_range(1..=4)));
        let mut lines: Vec<Line> = usual.collect();
        match random.random_range(0..12) {
            0 => lines.push(line(4, 1)),
            1 => lines.push(line(0, 2 * STOCK)),
            2 => lines.push(line(3, 1)),
            _ => {}
        }
        let number = till.sell(&lines);
        if lines.iter().any(|line| line.0 == UNKNOWN) {
            self.unknown.insert(number);
        } else if lines.iter().any(|line| line.1 > STOCK) {
            self.too_many.insert(number);
        } else {
            self.booked.push(Sold { number, lines });
        }
    }

    /// Whether the clients have done all they can.
    fn is_over(&self, tills: &[Till]) -> bool {
        let outboxes: Vec<_> = tills.iter().map(Till::outbox).collect();
        let tried = |number: &&String| outboxes.iter().any(|outbox| outbox.refusals(number) > 1);
        outboxes.iter().map(|outbox| outbox.done.len()).sum::<usize>() == self.booked.len()
            && outboxes.iter().map(|outbox| outbox.aside.len()).sum::<usize>() == self.unknown.len()
            && self.too_many.iter().all(|number| tried(&number))
    }
}

/// The stock of the article that comes late.
async fn put_in_stock(db: &Db, quantity: i64) {
    static STOCKED: Sql = Sql::both("UPDATE articles SET quantite_stock = $1 WHERE id = $2");
    db.execute(&STOCKED, args![quantity, LATE]).await.unwrap();
}

/// Answers so far with a status.
async fn answers(app: &TestApp, status: &str) -> u64 {
    let text = app.http().get(app.url(0, "/metrics")).send().await.unwrap().text().await.unwrap();
    let ours = |line: &&str| {
        line.starts_with("relais_http_requests_total{")
            && line.contains("ventes/sync")
            && line.contains(&format!("status=\"{status}\""))
    };
    text.lines()
        .filter(ours)
        .map(|line| line.split(' ').next_back().unwrap().parse::<u64>().unwrap())
        .sum()
}

/// Sells, and kills one thing after another meanwhile.
async fn sell_and_strike(app: &mut TestApp, tills: &mut [Till], day: &mut Day, db: &Db) -> u64 {
    let mut random = StdRng::seed_from_u64(20_261_128);
    let total = usize::try_from(asked("RELAIS_TEST_SALES", 120)).unwrap();
    // The last round of twelve finds everything running.
    let rounds = 12 * (total / 40).clamp(2, 20);
    let mut pending = 0;
    for round in 0..rounds {
        for till in tills.iter_mut() {
            while till.made < total / 2 * (round + 1) / rounds {
                day.sell(till, &mut random);
            }
            assert!(till.is_running(), "{}", till.told());
        }
        tokio::time::sleep(ROUND).await;
        match round % 12 {
            1 => app.workers[0].kill9(),
            7 => {
                // Longer than the API waits: whoever asks meanwhile gets a 202.
                if pending == 0 {
                    until("a 202 is answered", async || answers(app, "202").await > 0).await;
                    pending = answers(app, "202").await;
                }
                app.restart_worker(0);
            }
            8 => tills[0].restart(),
            9 => tills[1].restart(),
            10 => {
                app.apis[0].kill9();
                app.restart_api(0).await;
            }
            _ => {}
        }
        if round == rounds / 2 {
            put_in_stock(db, STOCK).await;
        }
    }
    pending
}

/// R-002-37, R-002-40, R-002-44, R-002-46, R-002-47, D-9, D-11, D-12, I-1, I-4, I-33: both outboxes end
/// with nothing but what can never be sold; that is refused with a reason, kept, and told.
#[expect(clippy::print_stdout, reason = "the figures of the run are part of the proof")]
pub(super) async fn both_clients_end_with_every_sale_once(stores: Stores) {
    let clients = tokio::task::spawn_blocking(clients).await.unwrap();
    let env = [
        ("RELAIS_QUEUE_LEASE_SECONDS", "2"),
        ("RELAIS_API_WAIT_SECONDS", "1"),
        ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000"),
    ];
    let mut app = TestApp::on(stores, &env);
    app.seed(&shop(clients)).await;
    app.start_api().await;
    app.start_worker();
    let db = app.stores.db().await;
    put_in_stock(&db, 0).await;
    let faults = Faults {
        seed: 20_261_128,
        cut_percent: 50,
        twice_percent: 20,
        max_delay: Duration::from_millis(20),
    };
    let proxy = FaultProxy::start(app.address(0), faults).await;
    let start = Instant::now();
    let mut tills: Vec<_> = clients.iter().map(|client| Till::start(client, proxy.url())).collect();
    let mut day = Day::default();
    let pending = sell_and_strike(&mut app, &mut tills, &mut day, &db).await;
    let over = within(Duration::from_secs(120), async || {
        tokio::time::sleep(ROUND).await;
        day.is_over(&tills)
    })
    .await;
    let outboxes: Vec<_> = tills.iter().map(Till::outbox).collect();
    assert!(over, "{outboxes:#?}\n{}\n{}", tills[0].told(), tills[1].told());
    for (till, outbox) in tills.iter().zip(&outboxes) {
        check(till, outbox, &day);
    }
    drop(tills);
    let books = audit(&db, &day.booked, STOCK).await;
    println!(
        "{}: {} sales in {:.1} s, {} batches; {:?}; {pending} answers 202 at first; lost {}, doubled {}",
        app.stores.deployment.name(),
        day.booked.len() + day.unknown.len() + day.too_many.len(),
        start.elapsed().as_secs_f64(),
        outboxes.iter().map(|outbox| outbox.keys.len()).sum::<usize>(),
        proxy.counts(),
        books.lost,
        books.doubled,
    );
    assert_eq!((books.lost, books.doubled), (0, 0));
    assert!(proxy.counts().cut() > 0, "the network was too good to prove anything");
    kept(&db, &day).await;
    db.close().await;
}

/// What one client cleared, kept and told.
fn check(till: &Till, outbox: &Outbox, day: &Day) {
    let told = till.told();
    let name = till.name();
    assert!(outbox.done.values().all(|times| *times == 1), "cleared twice: {outbox:#?}");
    assert_eq!(outbox.keys.iter().collect::<BTreeSet<_>>().len(), outbox.keys.len());
    let ours = |numbers: &BTreeSet<String>, code: &str| -> BTreeSet<(String, String)> {
        let mine = numbers.iter().filter(|number| number.starts_with(name));
        mine.map(|number| (number.clone(), code.to_owned())).collect()
    };
    assert_eq!(outbox.aside, ours(&day.unknown, "ARTICLE_NON_TROUVE"));
    let short = outbox.later.keys().cloned().collect::<BTreeSet<_>>();
    let hopeless = ours(&day.too_many, "STOCK_INSUFFISANT");
    assert!(hopeless.is_subset(&short), "{hopeless:?} {short:?}");
    // Those that waited for the late article were refused first and sold then.
    let sold_later = short.difference(&hopeless).collect::<Vec<_>>();
    assert!(sold_later.iter().all(|(number, _)| outbox.done.contains_key(number)), "{short:?}");
    for (number, _) in outbox.aside.union(&hopeless) {
        assert!(told.contains(&format!("told: {number}: ")), "{number}: {told}");
    }
    // A status was told to nobody: the client did nothing wrong.
    let wrong = told.lines().find(|line| !line.starts_with(&format!("told: {name}-")));
    assert_eq!(wrong, None, "{told}");
}

/// The server keeps what was refused, and closes what was sold later (D-15).
async fn kept(db: &Db, day: &Day) {
    static OPEN: Sql =
        Sql::both("SELECT numero_facture AS number FROM ventes_rejetees WHERE NOT traitee");
    let rows = db.read(&OPEN, args![]).await.unwrap();
    let open: BTreeSet<String> = rows.iter().map(|row| row.get("number").unwrap()).collect();
    assert_eq!(open, day.unknown.union(&day.too_many).cloned().collect());
}
