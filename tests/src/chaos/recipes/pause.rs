//! a worker is frozen for two leases and comes back with work that others have taken over
//! meanwhile: everything it then writes is refused (G-6).

use crate::chaos::Run;
use crate::chaos::client::mix;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use crate::stores::{Deployment, signal};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

const SLOTS: usize = 24;

pub(super) async fn pause(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    for _ in 0..2 {
        site.start_worker(&Hands::of(SLOTS));
    }
    let pauses = run.kills(1, 200);
    let round = run.lease() * 2 + Duration::from_millis(1_500);
    let mut jobs = mix("pause", run.jobs(300, 20_000), run.seed, 2_000);
    jobs.iter_mut().filter(|job| job.lane.is_none()).for_each(|job| job.work_ms += 300);
    let load = site.load(jobs, round * pauses as u32, run.seed);
    let mut random = StdRng::seed_from_u64(run.seed);
    for _ in 0..pauses {
        let victim = random.random_range(0..site.workers.len());
        // So long that when it comes back the next holder is still at work, and only the token
        // tells them apart.
        site.give_work_to(victim).await;
        let victim = site.workers[victim].process.pid();
        freeze(&site, victim).await;
        tokio::time::sleep(run.lease() * 2).await;
        assert!(signal(victim, "CONT"), "the worker is there");
        tokio::time::sleep(Duration::from_millis(random.random_range(1_000..2_000))).await;
    }
    load.await.expect("the client does not panic");
    let mut report = Report::of(name, &run, &site).await;
    report.note("pauses", pauses);
    let refused = report.figure("refused").unwrap_or_default();
    // A zombie that nobody tried to be proves nothing.
    let tried = refused + report.figure("zombie").unwrap_or_default();
    report.require(tried > 0, "no frozen worker came back with a job that it had lost");
    site.close().await;
    report
}

/// SQLite has one lock: a worker frozen while it holds it freezes everybody. So there it is frozen,
/// and let go again until it is found to hold nothing.
async fn freeze(site: &Site, pid: u32) {
    loop {
        assert!(signal(pid, "STOP"), "the worker is there");
        if site.deployment() != Deployment::Embedded {
            return;
        }
        let tx = tokio::time::timeout(Duration::from_millis(200), site.db.begin()).await;
        if let Ok(Ok(tx)) = tx {
            tx.rollback().await.expect("nothing was done");
            return;
        }
        assert!(signal(pid, "CONT"), "the worker is there");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}
