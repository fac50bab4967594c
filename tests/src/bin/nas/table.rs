//! Our transfer with its proof, one bare run of rsync over the same folder, and the source's way of
//! one run per document; in turn.

use super::{AGAIN, COUNT, SIZE, Site, empty, median, name, time};
use db::args;
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use std::time::{Duration, Instant};
use tests::sshd::Access;

const ROUNDS: usize = 5;
/// Documents that are sent the source's way: it is too slow for all.
const SINGLE: usize = 50;

pub(crate) async fn print() {
    let mut site = Site::open(Access::Plain, &[]).await;
    site.fill(COUNT, SIZE).await;
    site.app.start_worker();
    let (mut bare, mut ours, mut single) = (Vec::new(), Vec::new(), Vec::new());
    let uploads = format!("{}/", site.uploads.display());
    for _ in 0..ROUNDS {
        empty(&site.nas.nas());
        bare.push(time(|| site.rsync(&["-rt"], &uploads, "")));
        empty(&site.nas.nas());
        site.db.execute(&AGAIN, args![]).await.expect("a statement");
        let start = Instant::now();
        let job = site.engine.enqueue(&[TransferToNas::default().into_new()]).await;
        let job = job.expect("put in")[0].id;
        let row = site.engine.wait(job, Duration::from_secs(120)).await.expect("an answer");
        ours.push(start.elapsed());
        let report = Report::of(&row.expect("it is kept"));
        let log = site.app.workers[0].log();
        assert_eq!(report.synced, COUNT as u64, "{:?}\n{log}", report.errors);
        empty(&site.nas.nas());
        single.push(time(|| {
            for number in 0..SINGLE {
                let name = name(number);
                let from = site.uploads.join(&name).display().to_string();
                site.rsync(&["-avz", "--progress"], &from, &name);
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
