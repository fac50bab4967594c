//! `relais bench`: how fast this deployment takes, runs and wakes for jobs that do nothing.

mod clock;
mod job;
mod report;
mod steps;
mod survey;

use crate::settings::Settings;
use crate::terminal;
use clap::{Args, Subcommand, ValueEnum};
use std::process::ExitCode;

pub(crate) const ABOUT: &str = "\
Measures the configured deployment with jobs that do nothing, in the queue `bench`, which no other
worker serves. One after another, each in a process of its own:

  put in      one call after another; 64 calls at once; 1000 jobs per call: accepted jobs per second
  run         one worker process with 500 slots takes all of them: jobs per second, first to last
  latency     one job every 20 ms while nothing else waits: from its making to its handler's start

Every job is committed as in production. The bench refuses to start while the record holds
unfinished `bench` jobs, and removes its own at the end. It loads the database and Redis for that
time: not beside customers.";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    step: Option<Step>,

    /// Jobs to put in by bulk; other steps take parts of that
    #[arg(long, value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    jobs: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Only remove the jobs that an interrupted bench left
    #[arg(long, conflicts_with_all = ["jobs", "json"])]
    clear: bool,
}

/// One step for a script that measures several systems; `docs/benchmarks.md` says what each prints.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Step {
    /// Put in N jobs and print the nanoseconds it took
    #[command(hide = true)]
    Enqueue {
        mode: Mode,
        n: u64,
        k: u64,
        /// Number of the first job
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Put in one job every MS milliseconds
    #[command(hide = true)]
    Drip { n: u64, ms: u64 },
    /// Run a worker, and print its times once N jobs have run
    #[command(hide = true)]
    Work { n: u64 },
    /// Take N jobs one by one and print what a claim took
    #[command(hide = true)]
    Claim { n: usize },
}

/// How jobs are put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// One call after another
    Serial,
    /// K calls at once
    Conc,
    /// K jobs per call
    Bulk,
}

/// Runs the bench; `flags` are those that its steps need to find the same deployment.
pub(crate) async fn run(
    bench: &Bench,
    settings: &Settings,
    flags: &[String],
) -> anyhow::Result<ExitCode> {
    if let Some(step) = &bench.step {
        steps::run(step, settings).await?;
    } else if bench.clear {
        let removed = survey::clear_left(settings).await?;
        terminal::print(&format!("removed: {removed} jobs"))?;
    } else {
        let report = survey::run(settings, flags, bench.jobs).await?;
        let text = if bench.json { serde_json::to_string(&report)? } else { report.to_string() };
        terminal::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
