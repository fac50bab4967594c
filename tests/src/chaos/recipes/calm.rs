//! nothing happens, so nothing runs twice, however long a job takes (G-6).

use crate::chaos::Run;
use crate::chaos::client::mix;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use std::time::Duration;

pub(super) async fn calm(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    for _ in 0..2 {
        site.start_worker(&Hands::of(16));
    }
    // Some jobs are longer than the lease: it has to be extended.
    let long = run.lease() * 3 / 2;
    let jobs = mix("calm", run.jobs(300, 100_000), run.seed, long.as_millis() as u64);
    let load = site.load(jobs, Duration::from_secs(1), run.seed);
    load.await.expect("the client does not panic");
    let mut report = Report::of(name, &run, &site).await;
    let reruns = report.figure("reruns").unwrap_or_default();
    report.require(reruns == 0, format!("reruns={reruns}"));
    site.close().await;
    report
}
