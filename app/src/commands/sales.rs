//! `relais sales`: refused sales, and what became of a number.

use super::{Ended, actor};
use crate::cli::sales::{Sales, SalesArgs, Settle};
use crate::{listing, terminal};
use queue::Engine;
use records::ventes::desk::{self, Settled};

pub(super) async fn run(args: &SalesArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let (db, json) = (engine.db(), args.json);
    match &args.what {
        Sales::Refused { shop, all, piece } => {
            let sales = desk::refused(db, *shop, *all, piece.before, piece.limit.into()).await?;
            terminal::print(&match json {
                true => listing::text(&sales),
                false => listing::refused_sales(&sales, queue::clock::now()),
            })?;
            Ok(Ended::Well)
        }
        Sales::Show { number } => {
            let fate = desk::fate(db, number).await?;
            let is_known = !fate.booked.is_empty() || !fate.refused.is_empty();
            if json {
                terminal::print(&listing::text(&fate))?;
            } else if is_known {
                terminal::print(&listing::fate(&fate))?;
            } else {
                terminal::complain("no sale with this number was ever received");
            }
            Ok(if is_known { Ended::Well } else { Ended::Badly })
        }
        Sales::Settle(args) => {
            settle(args, "sale", json, async |id, by, why| desk::settle(db, id, by, why).await)
                .await
        }
    }
}

/// Settles one by one, and says what came of each.
pub(super) async fn settle(
    args: &Settle,
    what: &str,
    json: bool,
    one: impl AsyncFn(i64, &str, &str) -> Result<Settled, db::Error>,
) -> anyhow::Result<Ended> {
    let by = actor(None).principal;
    let mut ended = Ended::Well;
    for id in &args.ids {
        let settled = one(*id, &by, &args.reason).await?;
        let (word, worse) = match settled {
            Settled::Now => ("settled", Ended::Well),
            Settled::Before => ("was settled before", Ended::Refused),
            Settled::Unknown => ("is not there", Ended::Badly),
        };
        if worse != Ended::Well {
            ended = worse;
        }
        match json {
            true => terminal::print(&listing::text(&serde_json::json!({
                "id": id, "settled": settled == Settled::Now, "outcome": word,
            })))?,
            false => terminal::print(&format!("{what} {id} {word}"))?,
        }
    }
    Ok(ended)
}
