//! Payloads that kill their process: each is set aside after three processes, and nothing else is,
//! although others ran beside it each time (G-11).

use crate::chaos::Run;
use crate::chaos::client::mix;
use crate::chaos::kind::Chaos;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::{Duration, Instant};

/// A supervisor starts a dead process again after about this long.
const RESPAWN: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(300);
/// Deaths after which a payload is set aside.
const CRASHES: usize = 3;

pub(super) async fn poison(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    let (count, poisons) = (run.jobs(150, 5_000), run.kills(2, 20));
    let hands = Hands::of(8);
    while site.workers.len() < 2 {
        site.start_worker(&hands);
    }
    let mut random = StdRng::seed_from_u64(run.seed);
    let mut jobs = mix("poison", count, run.seed, 2_000);
    jobs.iter_mut().filter(|job| job.lane.is_none()).for_each(|job| job.work_ms += 150);
    for number in 0..poisons {
        let poison = Chaos { aborts: true, ..Chaos::new(format!("killer-{number}"), 0) };
        jobs.insert(random.random_range(0..jobs.len()), poison);
    }
    let load = site.load(jobs, Duration::from_millis(20) * count as u32, run.seed);
    let (start, mut deaths) = (Instant::now(), 0);
    while start.elapsed() < PATIENCE && !(load.is_finished() && site.is_settled().await) {
        tokio::time::sleep(RESPAWN).await;
        deaths += site.replace_dead(&hands);
    }
    load.await.expect("the client does not panic");
    let mut report = Report::of(name, &run, &site).await;
    report.note("poisons", poisons);
    report.note("deaths", deaths);
    let set_aside = report.figure("quarantined").unwrap_or_default();
    report.require(set_aside == poisons as u64, format!("{set_aside} jobs were set aside"));
    let most = poisons * CRASHES;
    report.require(deaths <= most, format!("{deaths} processes died, at most {most} had to"));
    site.close().await;
    report
}
