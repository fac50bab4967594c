//! `relais terminals`: device keys.

use super::Ended;
use crate::cli::terminals::{Terminals, TerminalsArgs};
use crate::terminal;
use queue::Engine;
use records::ventes::{Paired, pair};

pub(super) async fn run(args: &TerminalsArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let Terminals::Pair { serial, replace } = &args.what;
    match pair(engine.db(), serial, *replace).await? {
        Paired::Key(key) => {
            terminal::print(&key)?;
            Ok(Ended::Well)
        }
        Paired::Already => {
            terminal::complain("the terminal has a key already; --replace gives it another one");
            Ok(Ended::Refused)
        }
        Paired::Unknown => {
            terminal::complain("no terminal has this serial number");
            Ok(Ended::Badly)
        }
    }
}
