//! The command line of `relais keys`.

use clap::{Args, Subcommand};
use records::keys::SCOPES;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub(crate) what: Keys,

    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

const EXAMPLES: &str = "\
Examples:
  relais keys create --site 1                       for the local server of site 1
  relais keys create --scope jobs:read --scope nas  for a program
  relais keys list
  relais keys revoke rk_1f0c9a7d3b52

A key is shown once, when it is made: only its hash is kept. A site has two live keys at the most,
so that it can change from one to the other.

Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 there is no such key or site, 4 the site
has two live keys.";

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it, this once
    Create {
        /// The site whose local server will use it; what it pushes is that site's
        #[arg(long, value_name = "ID", conflicts_with = "scope")]
        site: Option<i64>,
        /// What it is for, for people
        #[arg(long, value_parser = name)]
        name: Option<String>,
        /// What it may do; more than once for more than one
        #[arg(long, value_parser = scope, required_unless_present = "site")]
        scope: Vec<String>,
        /// No longer valid after so many days
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=3_650))]
        expires: Option<u16>,
    },
    /// List keys, never their secrets
    List,
    /// End a key at once, for good
    Revoke {
        /// The part before the dot
        id: String,
    },
}

fn name(text: &str) -> Result<String, String> {
    let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| "allowed: one line of 200 characters".to_owned())
}

/// `sync:push` is left to the keys of sites.
fn scope(text: &str) -> Result<String, String> {
    let allowed = || SCOPES.into_iter().filter(|scope| *scope != records::keys::PUSH);
    match allowed().find(|scope| *scope == text) {
        Some(scope) => Ok(scope.to_owned()),
        None => Err(format!("allowed: {}", allowed().collect::<Vec<_>>().join(", "))),
    }
}
