//! Documents to a file server on this machine: our transfer with its proof, one bare run of rsync
//! over the same folder, and the source's way of one run per document; in turn.
//!
//! `cargo run --release -p tests --bin nas` prints the table of `docs/benchmarks.md`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use db::{Sql, args};
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use records::documents::{self, NewDocument, files};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::sshd::{Access, Sshd};
use tests::stores::Deployment;

const COUNT: usize = 2_000;
const SIZE: usize = 20_000;
const ROUNDS: usize = 5;
/// Documents that are sent the source's way: it is too slow for all.
const SINGLE: usize = 50;

static AGAIN: Sql = Sql::both("UPDATE documents SET synced_to_nas = FALSE, synced_at = NULL");

#[tokio::main]
async fn main() {
    let nas = Sshd::start();
    let stores = Deployment::Embedded.fresh().await;
    let uploads = stores.dir.join("uploads");
    std::fs::create_dir(&uploads).expect("a fresh folder");
    let mut app = TestApp::on(stores, &[]);
    app.env.extend(nas.env(Access::Plain, &uploads));
    app.run(&["nas", "trust", "--yes"]).await;
    let (db, engine) = (app.stores.db().await, app.stores.engine().await);
    fill(&db, &uploads).await;
    app.start_worker();
    let (mut bare, mut ours, mut single) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empty(&nas.nas());
        bare.push(time(|| rsync(&nas, &["-rt"], &format!("{}/", uploads.display()), "")));
        empty(&nas.nas());
        db.execute(&AGAIN, args![]).await.expect("a statement");
        let start = Instant::now();
        let job = engine.enqueue(&[TransferToNas::default().into_new()]).await.expect("put in");
        let row = engine.wait(job[0].id, Duration::from_secs(120)).await.expect("an answer");
        ours.push(start.elapsed());
        let report = Report::of(&row.expect("it is kept"));
        assert_eq!(report.synced, COUNT as u64, "{:?}\n{}", report.errors, app.workers[0].log());
        empty(&nas.nas());
        single.push(time(|| {
            for number in 0..SINGLE {
                let name = name(number);
                let from = uploads.join(&name).display().to_string();
                rsync(&nas, &["-avz", "--progress"], &from, &name);
            }
        }));
    }
    let (bare, ours, single) = (median(bare), median(ours), median(single));
    let single = single * (COUNT / SINGLE) as f64;
    println!("{COUNT} documents of {SIZE} bytes, medians of {ROUNDS} rounds\n");
    println!("| way | seconds | beside the bare run |\n|---|---|---|");
    for (way, seconds) in [
        ("one bare run of rsync, nothing proven", bare),
        ("`transfer_to_nas`: put in, sent, proven, marked", ours),
        ("one run per document, from 50", single),
    ] {
        println!("| {way} | {seconds:.2} | {:.2} × |", seconds / bare);
    }
}

fn name(number: usize) -> String {
    format!("document-{number}.bin")
}

async fn fill(db: &db::Db, uploads: &Path) {
    let mut tx = db.begin().await.expect("a transaction");
    for number in 0..COUNT {
        let bytes: Vec<u8> = (0..SIZE).map(|_| rand::random()).collect();
        std::fs::write(uploads.join(name(number)), &bytes).expect("a file");
        let found = files::content(uploads, &name(number)).expect("readable").expect("there");
        let new = NewDocument {
            nom_stocke: name(number),
            nom_original: name(number),
            taille: found.taille,
            sha256: found.sha256,
            proprietaire: None,
        };
        documents::insert_in(&mut tx, &new).await.expect("a row");
    }
    tx.commit().await.expect("a commit");
}

fn rsync(nas: &Sshd, options: &[&str], from: &str, name: &str) {
    let to = format!("{}@127.0.0.1:{}/{name}", nas.user(), nas.nas().display());
    let mut rsync = Command::new("rsync");
    rsync.args(options).args(["-e", &nas.ssh(), "--", from, &to]).stdout(Stdio::null());
    assert!(rsync.status().is_ok_and(|status| status.success()), "rsync");
}

fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.expect("it can be removed");
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
