//! The command line of `relais sales`.

use super::filter::why;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SalesArgs {
    #[command(subcommand)]
    pub(crate) what: Sales,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais sales refused                          the newest 50 that nobody has settled
  relais sales refused --shop 2 --all
  relais sales show T3-8F2C-000041              what became of a number: booked, refused, told
  relais sales settle 17 --reason 'paid back'   somebody has dealt with it

A refused sale is kept whole. When its terminal sends it again and it succeeds, it is settled by
itself; what a person settles stays settled.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 nothing of that name or number, 4 it is
settled already.";

#[derive(Debug, Subcommand)]
pub(crate) enum Sales {
    /// List sales that were refused, newest first
    Refused {
        /// Only those of this shop
        #[arg(long, value_name = "ID")]
        shop: Option<i64>,
        /// Also those that were settled
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        piece: Piece,
    },
    /// What became of an invoice number, in whatever shop
    Show {
        #[arg(value_name = "NUMBER")]
        number: String,
    },
    /// Note that somebody has dealt with refused sales
    Settle(Settle),
}

/// A page of a list whose newest entries come first.
#[derive(Debug, Args)]
pub(crate) struct Piece {
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// Only those below this id: the last one of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Settle {
    /// As the list names them
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<i64>,
    /// What was done; kept with it
    #[arg(long, value_parser = why)]
    pub(crate) reason: String,
}
