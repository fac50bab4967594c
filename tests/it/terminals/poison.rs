//! A sale that kills or fails whoever applies it: it alone is set aside, everything else goes on.

use crate::sales::sale;
use crate::ventes::{Shop, audit, integer, sales};
use chrono::Utc;
use db::failpoint::Fault;
use db::{Db, Sql, args};
use jobs::Job;
use jobs::kinds::ApplySalesBatch;
use queue::{Engine, JobRow, State};
use records::ventes::{Batch, BatchResult, Code, SaleOutcome};
use std::sync::Arc;
use std::time::Duration;
use tests::program::Program;
use tests::stores::{Deployment, Stores};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    stores: Stores,
    engine: Arc<dyn Engine>,
    db: Db,
    shop: Shop,
}

impl Bench {
    async fn open(deployment: Deployment) -> Self {
        static PLENTY: Sql = Sql::both(
            "UPDATE articles SET quantite_stock = 1000, stock_initial = 1000 WHERE boutique_id = $1",
        );
        let stores = deployment.fresh().await;
        let (engine, db) = (stores.engine().await, stores.db().await);
        let shop = Shop::open(&db).await;
        db.execute(&PLENTY, args![shop.id]).await.unwrap();
        Self { stores, engine, db, shop }
    }

    async fn put(&self, numbers: std::ops::Range<usize>) -> Uuid {
        let serial = format!("s{}-1", self.shop.id);
        let till = records::ventes::terminal(&self.db, &serial).await.unwrap().unwrap();
        let line = format!(r#""article_id":{}"#, self.shop.a);
        let sales: Vec<_> = numbers.map(|number| sale(&format!("V-{number}"), &line)).collect();
        let batch = Batch::parse(format!("[{}]", sales.join(",")).as_bytes()).unwrap();
        let (shop, now) = (till.boutique.clone().unwrap(), Utc::now());
        let job = ApplySalesBatch::new(&till, &shop, batch, now, now.naive_utc()).into_new();
        self.engine.enqueue(&[job]).await.unwrap()[0].id
    }

    /// Runs programs in which these sales kill, one after another, until the job has its end;
    /// says how many died.
    async fn run(&self, job: Uuid, killers: &[&str]) -> (JobRow, usize) {
        static EXPIRE: Sql = Sql::both(
            "UPDATE jobs SET lease_until = {after -1000} WHERE id = $1 AND state = 'running'",
        );
        let mut deaths = 0;
        loop {
            let program = Program::start(&self.stores).await;
            let died = killers.iter().map(|number| {
                let mut armed = program.arm(&format!("sale {number}"), Fault::Death, u32::MAX);
                Box::pin(async move { armed.changed().await.is_ok() })
            });
            let died = futures::future::select_all(died.collect::<Vec<_>>());
            let ended = self.engine.wait(job, PATIENCE);
            tokio::select! {
                row = ended => {
                    let row = row.unwrap().unwrap();
                    assert!(row.state.is_final(), "no end: {row:?}");
                    return (row, deaths);
                }
                _ = died => {}
            }
            program.kill();
            deaths += 1;
            assert!(deaths < 20, "it never stops dying");
            self.db.execute(&EXPIRE, args![job]).await.unwrap();
        }
    }

    async fn close(self) {
        audit(&self.db, &self.shop).await;
        self.engine.db().close().await;
        self.db.close().await;
        self.stores.remove().await;
    }
}

fn outcomes(row: &JobRow) -> Vec<SaleOutcome> {
    assert_eq!(row.state, State::Done, "{row:?}");
    let result: BatchResult = serde_json::from_str(row.result.as_ref().unwrap()).unwrap();
    result.ventes
}

fn refused(outcomes: &[SaleOutcome]) -> Vec<(usize, &str, Code)> {
    let refused = outcomes.iter().enumerate().filter_map(|(index, outcome)| match outcome {
        SaleOutcome::Refusee(sale) => Some((index, sale.numero_facture.as_str(), sale.code)),
        SaleOutcome::Creee(_) => None,
    });
    refused.collect()
}

/// D-17, I-12: three deaths on a chunk and its sales are tried one by one; who kills is kept in
/// `ventes_rejetees`, the others are booked, and so is the lane's next batch.
pub(super) async fn a_sale_that_kills_is_set_aside(deployment: Deployment) {
    static OPEN: Sql = Sql::both(
        "SELECT COUNT(*) AS n FROM ventes_rejetees WHERE boutique_id = $1 AND NOT traitee \
         AND raison = 'INTERNAL'",
    );
    let bench = Bench::open(deployment).await;
    let job = bench.put(0..250).await;
    let next = bench.put(250..253).await;
    // The first of a chunk, two neighbours within one, and the very last.
    let (row, deaths) = bench.run(job, &["V-100", "V-131", "V-132", "V-249"]).await;
    let found = outcomes(&row);
    let expected: Vec<_> = [100, 131, 132, 249].map(|n| (n, format!("V-{n}"))).to_vec();
    let expected: Vec<_> =
        expected.iter().map(|(n, number)| (*n, number.as_str(), Code::Internal)).collect();
    assert_eq!((found.len(), refused(&found)), (250, expected));
    // Each alone twice, and each chunk once as a whole.
    assert_eq!(deaths, 4 * 2 + 2);
    assert_eq!(integer(&bench.db, &OPEN, bench.shop.id).await, 4);
    let program = Program::start(&bench.stores).await;
    let row = bench.engine.wait(next, PATIENCE).await.unwrap().unwrap();
    assert_eq!(refused(&outcomes(&row)), []);
    assert_eq!(sales(&bench.db, &bench.shop).await, 249);
    // Sent again once the fault is gone it is booked, and its row is closed.
    let again = bench.put(100..101).await;
    let row = bench.engine.wait(again, PATIENCE).await.unwrap().unwrap();
    assert_eq!(refused(&outcomes(&row)), []);
    assert_eq!(integer(&bench.db, &OPEN, bench.shop.id).await, 3);
    program.kill();
    bench.close().await;
}

/// D-17: a panic is one sale's error; an error that may pass is no sale's error at all.
pub(super) async fn a_sale_that_panics_is_one_sales_error(deployment: Deployment) {
    let bench = Bench::open(deployment).await;
    let program = Program::start(&bench.stores).await;
    let panics = program.arm("decide V-1", Fault::Panic, u32::MAX);
    let passes = program.arm("decide V-2", Fault::Error, 1);
    let job = bench.put(0..4).await;
    let row = bench.engine.wait(job, PATIENCE).await.unwrap().unwrap();
    assert_eq!(refused(&outcomes(&row)), [(1, "V-1", Code::Internal)]);
    // Two attempts, and in each it panics once in a run and once alone.
    assert_eq!((*panics.borrow(), *passes.borrow(), row.crashes), (4, 1, 0));
    assert_eq!(sales(&bench.db, &bench.shop).await, 3);
    program.kill();
    bench.close().await;
}
