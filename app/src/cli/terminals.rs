//! The command line of `relais terminals`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TerminalsArgs {
    #[command(subcommand)]
    pub(crate) what: Terminals,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais terminals list --shop 2                     which stand there, and have a device key
  relais terminals pair 0a1badae951f8473             print its new device key, once
  relais terminals pair 0a1badae951f8473 --replace   the old one was lost

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 no terminal has that serial number, 4 it
is paired already.";

#[derive(Debug, Subcommand)]
pub(crate) enum Terminals {
    /// List terminals by their serial numbers, with their shops, never their keys
    List {
        /// Only those of this shop
        #[arg(long, value_name = "ID")]
        shop: Option<i64>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        limit: u16,
        /// Only those above this serial number: the last one of the page before
        #[arg(long, value_name = "SERIAL", default_value = "")]
        after: String,
    },
    /// Give a terminal its X-Device-Key and print it; only a hash is kept
    Pair {
        /// The serial number, exactly
        serial: String,
        /// Also if it has a key; the old one is worth nothing from then on
        #[arg(long)]
        replace: bool,
    },
}
