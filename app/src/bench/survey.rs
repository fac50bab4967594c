//! The whole survey: each step in a process of its own, one after another, as producers and
//! workers are in production; then everything it put in is removed.

use super::job::{Drained, QUEUE};
use super::report::{Report, Spread};
use super::steps::PutIn;
use crate::settings::Settings;
use crate::store::{self, Patience};
use anyhow::{Context as _, bail};
use queue::Engine;
use serde::de::DeserializeOwned;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Jobs per statement that removes them.
const STEP: u32 = 5_000;
/// Jobs of the latency step, and how many of them only warm up.
const LATENCY_JOBS: u64 = 120;
const WARM_UP: usize = 20;
const LATENCY_PAUSE_MS: u64 = 20;

/// Measures; removes its jobs also when a step failed.
pub(super) async fn run(
    settings: &Settings,
    flags: &[String],
    jobs: u64,
) -> anyhow::Result<Report> {
    let db = store::open_record(settings, Patience::None).await?;
    let engine = store::open_queue(settings, db)?;
    let left = unfinished(&*engine).await?;
    if left > 0 {
        bail!(
            "{left} unfinished `{QUEUE}` jobs are in this record: another bench is running, or one \
             was interrupted; `relais bench --clear` removes them"
        );
    }
    let report = measure(settings, flags, jobs).await;
    clear(&*engine).await?;
    engine.db().close().await;
    report
}

/// Removes what an interrupted bench left; returns how many jobs that were.
pub(super) async fn clear_left(settings: &Settings) -> anyhow::Result<u64> {
    let engine = store::open_to_look(settings).await?;
    let removed = clear(&*engine).await?;
    let held = unfinished(&*engine).await?;
    if held > 0 {
        bail!(
            "{held} `{QUEUE}` jobs are held by a worker; try again once it has stopped and its lease has ended"
        );
    }
    Ok(removed)
}

async fn unfinished(engine: &dyn Engine) -> anyhow::Result<u64> {
    let queues = engine.stats().await?;
    let bench = queues.iter().find(|queue| queue.queue == QUEUE);
    Ok(bench.map_or(0, |queue| queue.ready + queue.blocked + queue.scheduled + queue.running))
}

async fn clear(engine: &dyn Engine) -> anyhow::Result<u64> {
    let mut removed = 0;
    loop {
        let step = engine.clear(<super::job::Noop as jobs::Job>::KIND, QUEUE, STEP).await?;
        removed += step;
        if step < u64::from(STEP) {
            return Ok(removed);
        }
    }
}

async fn measure(settings: &Settings, flags: &[String], jobs: u64) -> anyhow::Result<Report> {
    // A commit per job is slow, and a few hundred of them say enough.
    let (serial, conc) = ((jobs / 20).clamp(1, 2_000), (jobs / 4).max(1));
    let serial_rate = put_in(flags, "serial", serial, 1, 0).await?;
    let conc_rate = put_in(flags, "conc", conc, 64, serial).await?;
    let bulk_rate = put_in(flags, "bulk", jobs, 1_000, serial + conc).await?;
    let backlog = serial + conc + jobs;
    let drained = worked(flags, backlog, None).await?;
    let drip = [String::from("drip"), LATENCY_JOBS.to_string(), LATENCY_PAUSE_MS.to_string()];
    let idle = worked(flags, LATENCY_JOBS, Some(&drip)).await?;
    let latencies = idle.lat_ns.get(WARM_UP..).unwrap_or_default();
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        deployment: deployment(settings),
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        enqueue_serial: serial_rate,
        enqueue_64_in_flight: conc_rate,
        enqueue_bulk_1000: bulk_rate,
        drained: backlog,
        drain: rate(backlog - 1, drained.last_ns.saturating_sub(drained.first_ns)),
        idle_latency_ms: Spread::of(latencies),
    })
}

fn deployment(settings: &Settings) -> &'static str {
    match (settings.database.url.file(), &settings.redis.url) {
        (Some(_), _) => "embedded",
        (None, None) => "postgres",
        (None, Some(_)) => "distributed",
    }
}

/// Jobs per second.
#[expect(clippy::cast_precision_loss, reason = "a rate is shown with four digits")]
fn rate(jobs: u64, ns: u64) -> f64 {
    jobs as f64 / (ns.max(1) as f64 / 1e9)
}

async fn put_in(flags: &[String], mode: &str, n: u64, k: u64, from: u64) -> anyhow::Result<f64> {
    let step = ["enqueue", mode, &n.to_string(), &k.to_string(), "--from", &from.to_string()];
    let mut child = start(flags, &step.map(str::to_owned))?;
    let put_in: PutIn = line(&mut child).await?;
    ended(child).await?;
    Ok(rate(put_in.n, put_in.ns))
}

/// Runs a worker until `n` jobs have run; with `producer` as well, from when the worker is up.
async fn worked(flags: &[String], n: u64, producer: Option<&[String]>) -> anyhow::Result<Drained> {
    let mut worker = start(flags, &["work".to_owned(), n.to_string()])?;
    let stdin: Option<ChildStdin> = worker.stdin.take();
    if let Some(step) = producer {
        ended(start(flags, step)?).await?;
    }
    let drained = line(&mut worker).await?;
    drop(stdin);
    ended(worker).await?;
    Ok(drained)
}

fn start(flags: &[String], step: &[String]) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("this program's file is not known")?;
    let quiet = !flags.iter().any(|flag| flag.starts_with("--log-filter"));
    Command::new(program)
        .arg("bench")
        .args(step)
        .args(flags)
        .args(quiet.then_some("--log-filter=warn"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("a step cannot be started")
}

/// The one line that a step prints.
async fn line<T: DeserializeOwned>(child: &mut Child) -> anyhow::Result<T> {
    let output = child.stdout.take().context("a step has an output")?;
    let line = BufReader::new(output).lines().next_line().await?;
    let line = line.context("a step ended without a result; its log is above")?;
    serde_json::from_str(&line).context("a step's result cannot be read")
}

async fn ended(mut child: Child) -> anyhow::Result<()> {
    let status = child.wait().await?;
    if status.success() { Ok(()) } else { bail!("a step ended with {status}; its log is above") }
}
