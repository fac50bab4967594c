//! C2: documents that are asked for one by one, each a job of its own, while a worker runs; beside
//! one bare run of rsync over a list of the same files. `rclone check` says whether all arrived.

use super::{AGAIN, COUNT, SIZE, Site, empty, median, name, time};
use db::args;
use jobs::Job;
use jobs::kinds::TransferToNas;
use records::documents::{Viewer, request_in};
use std::time::{Duration, Instant};
use tests::guardian::scratch_dir;
use tests::sshd::{Access, recorder};

const ROUNDS: usize = 3;

pub(crate) async fn print() {
    let (rsync, log) = recorder(&scratch_dir("note"), "rsync");
    let env = [("RELAIS_NAS_RSYNC", rsync.to_str().expect("a plain path"))];
    let mut site = Site::open(Access::Plain, &env).await;
    let ids = site.fill(COUNT, SIZE).await;
    let list = scratch_dir("list").join("names");
    let names: Vec<String> = (0..COUNT).map(name).collect();
    std::fs::write(&list, names.join("\n")).expect("a fresh folder");
    let list = format!("--files-from={}", list.display());
    let uploads = format!("{}/", site.uploads.display());
    site.app.start_worker();
    let (mut bare, mut ours, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        empty(&site.nas.nas());
        bare.push(time(|| site.rsync(&["-rt", &list], &uploads, "")));
        empty(&site.nas.nas());
        site.db.execute(&AGAIN, args![]).await.expect("a statement");
        std::fs::write(&log, "").expect("a file of ours");
        let start = Instant::now();
        let mut jobs = Vec::new();
        for id in &ids {
            jobs.push(put(&site, *id).await);
        }
        for job in jobs {
            let row = site.engine.wait(job, Duration::from_secs(120)).await.expect("an answer");
            let result = row.and_then(|row| row.result).unwrap_or_default();
            assert!(result.contains("\"synced\":1"), "{result}\n{}", site.app.workers[0].log());
        }
        ours.push(start.elapsed());
        site.nas.assert_holds(&site.uploads);
        let text = std::fs::read_to_string(&log).expect("it was written");
        runs.push(text.lines().filter(|run| !run.contains("--dry-run")).count());
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("\n{COUNT} documents of {SIZE} bytes queued one by one, medians of {ROUNDS} rounds\n");
    println!(
        "| way | seconds | beside the bare run | runs of rsync that send |\n|---|---|---|---|"
    );
    println!("| one bare run of `rsync --files-from` | {bare:.2} | 1.00 × | 1 |");
    let most = runs.iter().max().expect("there were rounds");
    println!("| {COUNT} jobs | {ours:.2} | {:.2} × | {most} at the most |", ours / bare);
}

/// One wish, as the route puts it in.
async fn put(site: &Site, id: i64) -> uuid::Uuid {
    let mut tx = site.db.begin().await.expect("a transaction");
    request_in(&mut tx, id, &Viewer::Everybody).await.expect("a statement");
    let job = TransferToNas { documents: Some(vec![id]), single: true, ..Default::default() };
    let put = site.engine.enqueue_in(&mut tx, &[job.into_new()]).await.expect("put in")[0].id;
    tx.commit().await.expect("a commit");
    put
}
