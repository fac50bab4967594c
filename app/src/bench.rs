//! `relais bench`: how fast this deployment takes, runs and wakes for jobs that do nothing.

mod clock;
mod job;
mod steps;

use crate::settings::Settings;
use clap::{Args, Subcommand, ValueEnum};
use std::process::ExitCode;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Bench {
    #[command(subcommand)]
    step: Option<Step>,
}

/// One step for a script that measures several systems; `docs/benchmarks.md` says what each prints.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Step {
    /// Put in N jobs and print the nanoseconds it took
    #[command(hide = true)]
    Enqueue { mode: Mode, n: u64, k: u64 },
    /// Put in one job every MS milliseconds
    #[command(hide = true)]
    Drip { n: u64, ms: u64 },
    /// Run a worker, and print its times once N jobs have run
    #[command(hide = true)]
    Work { n: u64 },
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

pub(crate) async fn run(bench: &Bench, settings: &Settings) -> anyhow::Result<ExitCode> {
    if let Some(step) = &bench.step {
        steps::run(step, settings).await?;
    }
    Ok(ExitCode::SUCCESS)
}
