//! The command line of `relais jobs`.

use super::filter::{Narrow, instant, length, pair, state};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use queue::State;
use std::time::Duration;
use uuid::Uuid;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    pub(crate) what: Jobs,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais jobs list --state dead --since 2h
  relais jobs enqueue verify_stock '{}' --in 5m --wait
  relais jobs tail 0198c1d2-…                 until its end; exit code 3 if that is a bad one
  relais jobs cancel --kind verify_stock --reason 'wrong night' --dry-run

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 the job ended badly or nothing matched,
4 the state of a job does not allow it.";

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs, newest first
    List(List),
    /// Show one job: attempts with errors, progress, result, what people did, and why it waits
    Show { id: Uuid },
    /// Say in sentences what a job waits for
    Why { id: Uuid },
    /// Follow a job until its end: state, progress and log lines
    #[command(after_help = "Exit codes: 0 it succeeded, 3 it is dead, cancelled or expired, or \
        there is no such job.")]
    Tail { id: Uuid },
    /// Put a job in, and print its id
    #[command(after_help = ENQUEUE)]
    Enqueue(Enqueue),
    /// Cancel jobs: waiting ones end at once, running ones are asked to stop
    #[command(after_help = BULK)]
    Cancel(Bulk),
    /// Run dead, cancelled or expired jobs again; scheduled ones become ready now
    #[command(after_help = BULK)]
    Retry(Bulk),
    /// Remove jobs that have their end, with everything kept about them
    #[command(after_help = BULK)]
    Delete(Bulk),
}

const ENQUEUE: &str = "\
Examples:
  relais jobs enqueue prune_jobs '{}'
  relais jobs enqueue verify_stock @check.json --in 5m --attribute ticket=4711
  produce | relais jobs enqueue verify_stock - --wait=30s";

const BULK: &str = "\
Examples (the same for cancel, retry and delete):
  relais jobs retry 0198c1d2-… 0198c1d3-…
  relais jobs delete --state dead --kind verify_stock --until 30d --reason cleaning --dry-run
  relais jobs cancel --queue records --reason 'wrong import' --yes

Without --state, jobs in every state that it is for are meant; for retry that is dead, cancelled
and expired. Exit codes: 0 done, 2 --yes is
missing, 3 nothing matched, 4 some were refused.";

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only jobs in this state
    #[arg(long, value_parser = state)]
    pub(crate) state: Option<State>,
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    #[command(flatten)]
    pub(crate) piece: Piece,
}

/// A piece of a list.
#[derive(Debug, Args)]
pub(crate) struct Piece {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// Only jobs older than this one: the last id of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<Uuid>,
}

#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    /// What to do
    pub(crate) kind: String,
    /// The payload: JSON, @FILE, or - for standard input
    #[arg(value_name = "PAYLOAD", default_value = "{}")]
    pub(crate) payload: String,
    /// Where it waits [default: what the kind says]
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// 0 (first) to 9
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub(crate) priority: Option<u8>,
    /// Not before this instant, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "after")]
    pub(crate) run_at: Option<DateTime<Utc>>,
    /// Not before so long from now, such as 5m
    #[arg(long = "in", id = "after", value_name = "LENGTH", value_parser = length)]
    pub(crate) after: Option<Duration>,
    /// Jobs of one lane run one after another
    #[arg(long)]
    pub(crate) lane: Option<String>,
    /// No second job of the kind while one with this key is unfinished
    #[arg(long, value_name = "KEY")]
    pub(crate) unique: Option<String>,
    /// To find it by; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) attribute: Vec<(String, String)>,
    /// Wait for its end, or with =30s at most so long
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, value_parser = length)]
    pub(crate) wait: Option<Option<Duration>>,
}

#[derive(Debug, Args)]
pub(crate) struct Bulk {
    /// These jobs; else the flags say which
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<Uuid>,
    /// Only jobs in this state
    #[arg(long, value_parser = state)]
    pub(crate) state: Option<State>,
    #[command(flatten)]
    pub(crate) narrow: Narrow,
    #[command(flatten)]
    pub(crate) manner: Manner,
}

/// How an act on many jobs is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
pub(crate) struct Manner {
    /// Why; kept with each job
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// Only count
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}
