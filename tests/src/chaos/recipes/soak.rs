//! Soak: mixed load for minutes while a worker is killed every 20 s; one worker stays, and neither
//! its memory nor its files grow, and nothing without an owner is left in Redis (G-47, in small).

use crate::chaos::Run;
use crate::chaos::client::mix;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(20);
const SAMPLE: Duration = Duration::from_secs(2);
/// Growth of memory between the second fifth of the run and the last that counts as flat.
const FLAT_KIB: u64 = 8 * 1_024;
/// Connections come and go with the load.
const FLAT_FILES: u64 = 12;

struct Sample {
    rss_kib: u64,
    files: u64,
}

pub(super) async fn soak(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    let hands = Hands::of(8);
    while site.workers.len() < 3 {
        site.start_worker(&hands);
    }
    let kills = run.kills(3, 30);
    let wall = EVERY * kills as u32;
    let jobs = mix("soak", run.jobs(600, 60 * wall.as_secs() as usize), run.seed, 2_000);
    let load = site.load(jobs, wall, run.seed);
    // Names of processes that do not change: the first worker is never killed.
    let pid = site.workers[0].process.pid();
    let (began, mut samples, mut killed) = (Instant::now(), Vec::new(), 0);
    while began.elapsed() < wall {
        tokio::time::sleep(SAMPLE).await;
        samples.extend(sample(pid));
        if began.elapsed() >= EVERY * (killed + 1) {
            let victim = 1 + killed as usize % 2;
            site.kill(victim);
            site.replace(victim, &hands);
            killed += 1;
        }
    }
    load.await.expect("the client does not panic");
    let mut report = Report::of(name, &run, &site).await;
    judge(&mut report, &samples);
    if let Some(redis) = &run.servers.redis {
        let prefix = site.stores.redis_prefix.clone();
        let mut left = keys(redis, &prefix);
        let start = Instant::now();
        while left > 0 && start.elapsed() < Duration::from_secs(15) {
            tokio::time::sleep(Duration::from_millis(250)).await;
            left = keys(redis, &prefix);
        }
        report.note("redis_keys", left);
        report.require(left == 0, format!("{left} keys are left in Redis"));
    }
    site.close().await;
    report
}

fn judge(report: &mut Report, samples: &[Sample]) {
    let fifth = samples.len() / 5;
    report.require(fifth > 0, "too short to say anything");
    if fifth == 0 {
        return;
    }
    let most = |part: &[Sample], of: fn(&Sample) -> u64| part.iter().map(of).max().unwrap_or(0);
    let (early, late) = (&samples[fifth..2 * fifth], &samples[samples.len() - fifth..]);
    let rss = (most(early, |s| s.rss_kib), most(late, |s| s.rss_kib));
    let files = (most(early, |s| s.files), most(late, |s| s.files));
    report.note("rss_kib", format!("{}->{}", rss.0, rss.1));
    report.note("files", format!("{}->{}", files.0, files.1));
    report.require(rss.1 <= rss.0 + FLAT_KIB, "its memory grew");
    report.require(files.1 <= files.0 + FLAT_FILES, "its open files grew");
}

fn sample(pid: u32) -> Option<Sample> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let rss_kib = line.split_whitespace().next()?.parse().ok()?;
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some(Sample { rss_kib, files })
}

/// Keys of this run.
fn keys(redis: &crate::stores::Redis, prefix: &str) -> usize {
    let answer = redis.ask(&format!("KEYS {prefix}*")).unwrap_or_default();
    answer.lines().filter(|line| line.starts_with('$')).count()
}
