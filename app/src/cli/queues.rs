//! The command lines of `relais queues` and `relais workers`.

use super::filter::{instant, length};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use queue::PauseScope;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueuesArgs {
    #[command(subcommand)]
    pub(crate) what: Option<Queues>,

    /// Print JSON, for programs: what GET /api/v1/queues answers
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais queues                                     the same as `relais queues list`
  relais queues pause records --for 30m --reason 'the printer is being moved'
  relais queues pause --kind verify_stock           jobs of a kind, in whatever queue
  relais queues resume records

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 there was nothing to resume or nothing
of that name.";

#[derive(Debug, Subcommand)]
pub(crate) enum Queues {
    /// Depth by state, age of the oldest ready job, ends per minute, pauses
    List,
    /// Stop claims of a queue or a kind; running jobs finish
    Pause(Pause),
    /// Let a queue or a kind go on
    Resume {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    pub(crate) target: Target,
    /// It ends by itself after so long, such as 30m
    #[arg(long = "for", id = "length", value_name = "LENGTH", value_parser = length)]
    pub(crate) length: Option<Duration>,
    /// It ends by itself then, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "length")]
    pub(crate) until: Option<DateTime<Utc>>,
    /// Why; shown to everybody who asks
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// The queue
    #[arg(value_name = "QUEUE")]
    queue: Option<String>,
    /// A kind instead of a queue
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

impl Target {
    pub(crate) fn scope(&self) -> (PauseScope, &str) {
        match (&self.queue, &self.kind) {
            (Some(queue), _) => (PauseScope::Queue, queue),
            (None, kind) => (PauseScope::Kind, kind.as_deref().unwrap_or_default()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WorkersArgs {
    /// Print JSON, for programs: what GET /api/v1/workers answers
    #[arg(long)]
    pub(crate) json: bool,
}
