//! `relais terminals`: which there are, and their device keys.

use super::Ended;
use crate::cli::terminals::{Terminals, TerminalsArgs};
use crate::{listing, terminal};
use queue::Engine;
use records::ventes::{Paired, pair, tills};
use serde_json::json;

pub(super) async fn run(args: &TerminalsArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    match &args.what {
        Terminals::List { shop, limit, after } => {
            let tills = tills(engine.db(), *shop, after, (*limit).into()).await?;
            terminal::print(&match args.json {
                true => listing::text(&tills),
                false => listing::terminals(&tills),
            })?;
            Ok(Ended::Well)
        }
        Terminals::Pair { serial, replace } => {
            give_key(engine.db(), serial, *replace, args.json).await
        }
    }
}

async fn give_key(db: &db::Db, serial: &str, replace: bool, json: bool) -> anyhow::Result<Ended> {
    match pair(db, serial, replace).await? {
        Paired::Key(key) => {
            terminal::print(&match json {
                true => listing::text(&json!({ "serial": serial, "key": key })),
                false => key,
            })?;
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
