//! The command line of `relais terminals`.

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TerminalsArgs {
    #[command(subcommand)]
    pub(crate) what: Terminals,
}

const EXAMPLES: &str = "\
Examples:
  relais terminals pair 0a1badae951f8473             print its new device key, once
  relais terminals pair 0a1badae951f8473 --replace   the old one was lost

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 no terminal has that serial number, 4 it
is paired already.";

#[derive(Debug, Subcommand)]
pub(crate) enum Terminals {
    /// Give a terminal its X-Device-Key and print it; only a hash is kept
    Pair {
        /// The serial number, exactly
        serial: String,
        /// Also if it has a key; the old one is worth nothing from then on
        #[arg(long)]
        replace: bool,
    },
}
