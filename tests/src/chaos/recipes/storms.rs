//! very many jobs due at once, or held by one dead worker, or ended with stale tokens among
//! them: everything settles, and no command keeps Redis busy for long (G-12).

use crate::chaos::Run;
use crate::chaos::client::{put, put_at};
use crate::chaos::kind::Chaos;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use db::{Sql, args};
use jobs::Job as _;
use queue::{Claim, Claimed, Outcome, Ticket};
use std::time::{Duration, Instant};

/// No Redis command may take longer (G-12).
const SLOWEST_MS: f64 = 25.0;
/// Redis keeps what takes longer than this; a shorter one is printed as this.
const WATCHED_MS: f64 = 1.0;
const STEP: usize = 1_000;

static DEADLOCKS: Sql =
    Sql::both("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");

pub(super) async fn storms(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    watch_redis(&run).await;
    let (due, dead, ended) =
        (run.jobs(10_000, 100_000), run.jobs(5_000, 50_000), run.jobs(2_000, 10_000));

    // Ends: the claimer reports all, one of a hundred with the token before its own.
    fill(&site, "ended", ended, None).await;
    let held = claim(&site, "acknowledger", ended).await;
    let (accepted, stale) = finish_with_stale(&site, &held).await;
    // A worker that takes them and is never heard of again.
    fill(&site, "dead", dead, None).await;
    let orphans = claim(&site, "dead", dead).await.len();
    // Due at the same moment.
    let at = queue::clock::now() + chrono::TimeDelta::seconds(2);
    fill(&site, "due", due, Some(at)).await;

    let start = Instant::now();
    for _ in 0..2 {
        site.start_worker(&Hands::of(200));
    }
    site.settle().await;
    let drained = start.elapsed();
    let mut report = Report::of(name, &run, &site).await;
    report.note("due", due);
    report.note("orphans", orphans);
    report.note("acknowledged", accepted);
    report.note("stale", stale);
    report.note("drain", format!("{:.1}s", drained.as_secs_f64()));
    report.require(orphans == dead, format!("only {orphans} of {dead} were taken"));
    let right = accepted + stale == ended;
    report.require(right, format!("{accepted} ends of {ended} were taken, {stale} were stale"));
    let quarantined = report.figure("quarantined").unwrap_or_default();
    report.require(quarantined == 0, format!("quarantined={quarantined}, and nobody was killed"));
    if run.servers.postgres.is_some() {
        let row = site.db.read_one(&DEADLOCKS, args![]).await.expect("the record answers");
        let deadlocks: i64 = row.expect("a row").get("deadlocks").expect("a count");
        report.note("deadlocks", deadlocks);
    }
    if let Some(slowest) = slowest_redis_ms(&run).await {
        report.note("slowest_redis", format!("{:.1}ms", slowest.max(WATCHED_MS)));
        report
            .require_in_time(slowest < SLOWEST_MS, format!("a Redis command took {slowest:.1} ms"));
    }
    site.close().await;
    report
}

async fn fill(site: &Site, name: &str, count: usize, at: Option<chrono::DateTime<chrono::Utc>>) {
    let job = |number| Chaos { plain: true, ..Chaos::new(format!("{name}-{number}"), 0) };
    let jobs: Vec<Chaos> = (0..count).map(job).collect();
    for step in jobs.chunks(STEP) {
        match at {
            Some(_) => put_at(&site.engine, &site.ledger, step, at).await,
            None => put(&site.engine, &site.ledger, step).await,
        }
    }
}

async fn claim(site: &Site, worker: &str, count: usize) -> Vec<Claimed> {
    let mut held = Vec::with_capacity(count);
    let start = Instant::now();
    while held.len() < count && start.elapsed() < Duration::from_secs(60) {
        let claim = Claim {
            queue: Chaos::QUEUE.to_owned(),
            worker: worker.to_owned(),
            limit: (count - held.len()).min(STEP),
            lease: site.lease * 2,
        };
        held.extend(site.engine.claim(&claim).await.expect("the stores answer"));
    }
    held
}

/// How many ends were taken, and how many were stale.
async fn finish_with_stale(site: &Site, held: &[Claimed]) -> (usize, usize) {
    let ends: Vec<(Ticket, Outcome)> = held
        .iter()
        .enumerate()
        .map(|(number, job)| {
            let token = job.ticket.token - i64::from(number % 100 == 99);
            (Ticket { token, ..job.ticket }, Outcome::Done { result: None, progress: None })
        })
        .collect();
    let stale = held.len() / 100;
    let mut accepted = 0;
    for step in ends.chunks(STEP) {
        accepted += site.engine.finish(step).await.expect("the stores answer").len();
    }
    (accepted, stale)
}

async fn redis(run: &Run<'_>) -> Option<redis::aio::MultiplexedConnection> {
    let url = run.servers.redis.as_ref()?.url();
    let client = redis::Client::open(url).expect("a URL of ours");
    Some(client.get_multiplexed_async_connection().await.expect("Redis answers"))
}

/// From here on Redis keeps what takes longer than [`WATCHED_MS`].
async fn watch_redis(run: &Run<'_>) {
    let Some(mut connection) = redis(run).await else { return };
    let mut pipe = redis::pipe();
    pipe.cmd("CONFIG").arg("SET").arg("slowlog-log-slower-than").arg(1_000).ignore();
    pipe.cmd("CONFIG").arg("SET").arg("slowlog-max-len").arg(10_000).ignore();
    pipe.cmd("SLOWLOG").arg("RESET").ignore();
    let _: () = pipe.query_async(&mut connection).await.expect("Redis answers");
}

async fn slowest_redis_ms(run: &Run<'_>) -> Option<f64> {
    let mut connection = redis(run).await?;
    let mut get = redis::cmd("SLOWLOG");
    get.arg("GET").arg(10_000);
    let entries: Vec<Vec<redis::Value>> =
        get.query_async(&mut connection).await.expect("Redis answers");
    let micros = entries.iter().filter_map(|entry| match entry.get(2) {
        Some(redis::Value::Int(micros)) => Some(*micros),
        _ => None,
    });
    Some(micros.max().unwrap_or_default() as f64 / 1_000.0)
}
