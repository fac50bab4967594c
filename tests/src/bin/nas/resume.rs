//! C4: a document of 300 MB, a worker that is killed at half of it, and another one that goes on;
//! by a run of many and by the single route's, for a plain account and behind `rrsync -wo`.

use super::Site;
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use std::time::Duration;
use tests::sshd::Access;
use tests::wait::{until, within};

const SIZE: usize = 300_000_000;
/// KiB per second: about six seconds for all of it.
const CAP: (&str, &str) = ("RELAIS_NAS_BANDWIDTH_KIB", "50000");
/// A debug build hashes slowly.
const PATIENCE: Duration = Duration::from_secs(900);
const LEASE: (&str, &str) = ("RELAIS_QUEUE_LEASE_SECONDS", "3");

pub(crate) async fn print() {
    println!("\none document of {SIZE} bytes, its worker killed (SIGKILL) at half of it\n");
    println!("| account | route | sent before | left over there | sent after | sent again |");
    println!("|---|---|---|---|---|---|");
    for single in [false, true] {
        for access in [Access::Restricted, Access::Plain] {
            measure(access, single).await;
        }
    }
}

async fn measure(access: Access, single: bool) {
    let mut site = Site::open(access, &[CAP, LEASE]).await;
    let id = site.fill(1, SIZE).await[0];
    let documents = single.then(|| vec![id]);
    let job = TransferToNas { documents, single, ..Default::default() }.into_new();
    let job = site.engine.enqueue(&[job]).await.expect("put in")[0].id;
    site.app.start_worker();
    let mut sent = 0;
    let half = within(PATIENCE, async || {
        let row = site.engine.get(job).await.expect("an answer").expect("it is kept");
        sent = row.progress.map_or(0, |progress| progress.done);
        sent >= SIZE as u64 / 2
    });
    assert!(half.await, "{}", site.app.workers[0].log());
    site.app.workers[0].kill9();
    let partial = site.nas.nas().join(".rsync-partial").join(super::name(0));
    until("what arrived is kept", async || partial.exists()).await;
    let left = std::fs::metadata(&partial).expect("it is there").len();
    site.app.start_worker();
    let row = site.engine.wait(job, PATIENCE).await.expect("an answer");
    let report = Report::of(&row.expect("it is kept"));
    let log = site.app.workers[1].log();
    assert_eq!((report.synced, report.failed), (1, 0), "{:?}\n{log}", report.errors);
    site.nas.assert_holds(&site.uploads);
    let lines = site.engine.logs(job, None, 1_000).await.expect("an answer");
    let after = lines
        .iter()
        .rev()
        .find_map(|line| line.line.split_once('(')?.1.split_once(" new)")?.0.parse::<u64>().ok());
    let after = after.expect("the last run tells");
    // Of what had left, that is more than was noted and at least what arrived.
    let before = sent.max(left);
    let again = (after + before).saturating_sub(SIZE as u64);
    println!(
        "| {access:?} | {} | {:.1} MB | {:.1} MB | {:.1} MB | {:.1} % |",
        if single { "`document/{id}`" } else { "`run`" },
        before as f64 / 1e6,
        left as f64 / 1e6,
        after as f64 / 1e6,
        again as f64 * 100.0 / before as f64
    );
}
