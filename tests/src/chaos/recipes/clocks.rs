//! two workers' clocks jump an hour forward and back while they work. The store's clock
//! decides: nothing is lost, taken back too soon or tried again too soon (G-10).

use crate::chaos::Run;
use crate::chaos::client::mix;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use crate::chaos::{effects, site};
use crate::faketime;
use std::path::Path;
use std::time::Duration;

/// What libfaketime is told, one after the other.
const JUMPS: [&str; 4] = ["+3600", "-3600", "+86400", "+0"];
const HOUR_MS: i64 = 3_600_000;

pub(super) async fn clocks(name: &'static str, run: Run<'_>) -> Report {
    let Some(library) = faketime::library() else {
        return Report::not_run(name, &run, "libfaketime is not installed");
    };
    let mut site = Site::open(&run, run.lease()).await;
    let file = site.dir.join("faketime");
    set(&file, "+0");
    let env = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
    site.start_worker(&Hands::of(8));
    for _ in 0..2 {
        site.start_worker(&Hands { env: env.clone(), ..Hands::of(8) });
    }
    let rounds = run.kills(1, 20);
    let every = Duration::from_millis(2_500);
    let spread = every * (rounds * JUMPS.len()) as u32;
    let mut jobs = mix("clock", run.jobs(400, 20_000), run.seed, 4_500);
    jobs.iter_mut().filter(|job| job.failures > 0).for_each(|job| job.retry_ms = 2_500);
    let load = site.load(jobs, spread, run.seed);
    for _ in 0..rounds {
        for jump in JUMPS {
            tokio::time::sleep(every).await;
            set(&file, jump);
        }
    }
    load.await.expect("the client does not panic");
    let mut report = Report::of(name, &run, &site).await;
    let reruns = report.figure("reruns").unwrap_or_default();
    report.require(reruns == 0, format!("{reruns} jobs were taken back from a living worker"));
    let skew = largest_skew(&site);
    report.require(skew >= HOUR_MS * 23, "no worker ran with a wrong clock");
    report.note("skew", format!("{}s", skew / 1_000));
    site.close().await;
    report
}

/// Written whole: a worker may look at any moment.
fn set(file: &Path, jump: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{jump}\n")).expect("the directory is ours");
    std::fs::rename(&new, file).expect("the directory is ours");
}

/// How far a worker's own clock was from that of this process, at the most.
fn largest_skew(site: &site::Site) -> i64 {
    let offset = queue::clock::now().timestamp_millis() - crate::chaos::clock::now_ms();
    let skews =
        effects::read(&site.dir).into_iter().map(|run| (run.wall - run.began - offset).abs());
    skews.max().unwrap_or_default()
}
