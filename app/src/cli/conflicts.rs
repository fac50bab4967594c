//! The command line of `relais conflicts`.

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConflictsArgs {
    #[command(subcommand)]
    pub(crate) what: Option<Conflicts>,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais conflicts                              the newest 50 that nobody has decided
  relais conflicts list --site 1 --status resolved
  relais conflicts show 0198c1d2-…              both sides, and where they differ
  relais conflicts resolve 0198c1d2-… --keep server
  relais conflicts resolve 0198c1d2-… --data @merged.json

What local servers and this one have both changed, and the last writer's rule, or another one that
was chosen, left to a person. A decision is a normal new version.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, or the content is wrong, 3 there is no such
conflict, 4 it was decided otherwise, or the ticket is closed.";

#[derive(Debug, Subcommand)]
pub(crate) enum Conflicts {
    /// List conflicts, newest first
    List(List),
    /// One conflict in full
    Show { id: Uuid },
    /// Decide one
    Resolve(Resolve),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this site
    #[arg(long, value_name = "ID")]
    pub(crate) site: Option<i64>,
    /// How they stand
    #[arg(long, value_enum, default_value_t = Status::Open)]
    pub(crate) status: Status,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) limit: u16,
    /// Only those older than this one: the last id of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Status {
    Open,
    Resolved,
    Superseded,
    All,
}

impl Status {
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Resolved => Some("resolved"),
            Self::Superseded => Some("superseded"),
            Self::All => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    pub(crate) id: Uuid,
    /// Whose side is right
    #[arg(long, value_enum, required_unless_present = "data", conflicts_with = "data")]
    pub(crate) keep: Option<Side>,
    /// Neither: this content instead, as JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    pub(crate) data: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Side {
    Server,
    Client,
}
