//! The command line of `relais dead`.

use super::filter::Narrow;
use super::jobs::{Manner, Piece};
use clap::{Args, Subcommand};
use uuid::Uuid;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    pub(crate) what: Option<Dead>,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais dead                                       the newest 50
  relais dead list --kind apply_sales_batch --since 2h
  relais dead requeue 0198c1d2-… --reason 'disk replaced'
  relais dead requeue --queue records --reason 'disk replaced' --yes

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, or --yes is missing, 3 nothing matched,
4 some were refused.";

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List jobs that failed for good, newest first, with their last error
    List {
        #[command(flatten)]
        narrow: Narrow,
        #[command(flatten)]
        piece: Piece,
    },
    /// Put dead jobs back into their queues, each with at least one more attempt
    Requeue {
        /// These jobs; else the flags say which
        #[arg(value_name = "ID")]
        ids: Vec<Uuid>,
        #[command(flatten)]
        narrow: Narrow,
        #[command(flatten)]
        manner: Manner,
    },
}
