//! The command line of `relais stock`.

use super::filter::why;
use super::sales::{Piece, Settle};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StockArgs {
    #[command(subcommand)]
    pub(crate) what: Option<Stock>,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais stock                                  articles and what is left of them, by id
  relais stock list --shop 2 --below 5
  relais stock move 6 --by 20 --reason 'delivery 4711'
  relais stock move 6 --by -1 --reason 'broken'
  relais stock alerts                           sales that took stock below zero
  relais stock settle 3 --reason 'counted'      somebody has dealt with an alert

Every move is a row of the stock ledger, with who and why. Sales that were refused for lack of stock
succeed once there is some, when their terminal sends them again.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 there is no such article or alert, 4 there
is not so much stock, or the alert is settled already.";

#[derive(Debug, Subcommand)]
pub(crate) enum Stock {
    /// List articles and what is left of them, by id
    List {
        /// Only those of this shop
        #[arg(long, value_name = "ID")]
        shop: Option<i64>,
        /// Only those with less left
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        below: Option<i64>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        limit: u16,
        /// Only those above this id: the last one of the page before
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after: i64,
    },
    /// Add to an article's stock, or take from it
    Move {
        #[arg(value_name = "ARTICLE")]
        article: i64,
        /// How much: 20, or -1
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = amount)]
        by: i64,
        /// Why; kept in the ledger
        #[arg(long, value_parser = why)]
        reason: String,
    },
    /// List sales that took stock below zero and that nobody has settled, newest first
    Alerts {
        /// Only those of this shop
        #[arg(long, value_name = "ID")]
        shop: Option<i64>,
        #[command(flatten)]
        piece: Piece,
    },
    /// Note that somebody has dealt with alerts
    Settle(Settle),
}

fn amount(text: &str) -> Result<i64, String> {
    const MOST: i64 = 1_000_000_000;
    let amount = text.parse().ok().filter(|n: &i64| *n != 0 && n.abs() <= MOST);
    amount.ok_or_else(|| format!("allowed: a whole number up to {MOST}, or below zero; not 0"))
}
