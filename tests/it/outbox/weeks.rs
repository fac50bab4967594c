//! The same client at its real pace, a tick every five minutes, over a network that delays, cuts a
//! third of its connections, and repeats every tenth request that it lets through: with the settings
//! as they come, and with a clock that the test moves (D-12, I-33, R-002-37 to R-002-41).
//!
//! It makes `RELAIS_TEST_SALES` sales, by default the thousand that are asked for.

use super::terminal::Terminal;
use super::{SERIALS, STOCK, books, sales_per_terminal, shop};
use db::{Db, Sql, args};
use std::time::Duration;
use tests::app::TestApp;
use tests::faultproxy::{FaultProxy, Faults};
use tests::stores::Deployment;
use tests::wait::until;

/// R-002-40: `PeriodicTimer(TimeSpan.FromMinutes(5))`.
const TICK_MS: i64 = 5 * 60_000;
/// New sales between two ticks, at the most.
const RUSH: usize = 10;
/// The last sale of a terminal is known to be synchronised after so many more ticks: four that
/// lose the answer in a row are rare, and three duplicates release a sale that it never heard of.
const PATIENCE: usize = 40;

/// Five minutes pass for whatever has happened so far.
async fn pass(db: &Db) {
    static AGES: Sql = Sql::each(
        "UPDATE ventes SET recue_le = recue_le - $1::bigint * interval '1 millisecond'",
        "UPDATE ventes SET recue_le = strftime('%Y-%m-%dT%H:%M:%fZ', recue_le, \
         printf('-%.3f seconds', $1 / 1000.0))",
    );
    // A request that comes twice may still be at these rows, and either gives way to the other.
    until("time passes", async || db.execute(&AGES, args![TICK_MS]).await.is_ok()).await;
}

/// D-12, I-33, R-002-37, R-002-38, R-002-39, R-002-40, R-002-41
#[expect(clippy::print_stdout, reason = "the figures of the run are part of the proof")]
pub(super) async fn the_outbox_empties_at_its_own_pace(deployment: Deployment) {
    let requests = [("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000000")];
    let mut app = TestApp::on(deployment.fresh().await, &requests);
    app.seed(&shop()).await;
    app.start_api().await;
    app.start_worker();
    let faults = Faults {
        seed: 20_261_121,
        cut_percent: 33,
        twice_percent: 10,
        max_delay: Duration::from_millis(5),
    };
    let proxy = FaultProxy::start(app.address(0), faults).await;
    let db = app.stores.db().await;
    let till = |(number, serial): (usize, &&'static str)| {
        Terminal::new(serial, number as u64, app.http().clone(), proxy.url())
    };
    let mut tills: Vec<Terminal> = SERIALS.iter().enumerate().map(till).collect();
    let total = sales_per_terminal(1_000);
    let selling = total / RUSH * 4;
    let (mut ticks, mut last_sale) = (0, 0);
    loop {
        let mut over = true;
        for till in &mut tills {
            over &= till.tick(total, RUSH).await;
        }
        pass(&db).await;
        ticks += 1;
        if tills.iter().any(|till| till.sold.len() < total) {
            last_sale = ticks;
        }
        if over {
            break;
        }
        assert!(ticks < selling + PATIENCE, "the outboxes do not empty");
        assert!(ticks < last_sale + PATIENCE, "still unsent {PATIENCE} ticks after the last sale");
    }
    books::settle(&db, Duration::from_secs(30)).await;
    let sold: Vec<_> = tills.iter().flat_map(|till| till.sold.clone()).collect();
    let books = books::audit(&db, &sold, STOCK).await;
    println!(
        "{}: {} sales in {ticks} ticks of five minutes; {:?}; lost {}, doubled {}",
        deployment.name(),
        sold.len(),
        proxy.counts(),
        books.lost,
        books.doubled,
    );
    assert_eq!((sold.len(), books.lost, books.doubled), (total * SERIALS.len(), 0, 0));
    assert!(
        proxy.counts().cut() > 0 && proxy.counts().twice > 0,
        "the network was too good to prove anything"
    );
    db.close().await;
}
