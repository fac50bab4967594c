//! `relais stock`: what is left of articles, and moving it by hand.

use super::{Ended, actor, sales};
use crate::cli::stock::{Stock, StockArgs};
use crate::{listing, terminal};
use queue::Engine;
use records::ventes::shelf::{self, Moved};

pub(super) async fn run(args: &StockArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let json = args.json;
    let db = engine.db();
    let all = Stock::List { shop: None, below: None, limit: 50, after: 0 };
    match args.what.as_ref().unwrap_or(&all) {
        Stock::List { shop, below, limit, after } => {
            let articles = shelf::articles(db, *shop, *below, *after, (*limit).into()).await?;
            terminal::print(&match json {
                true => listing::text(&articles),
                false => listing::articles(&articles),
            })?;
            Ok(Ended::Well)
        }
        Stock::Move { article, by, reason } => {
            let moved = shelf::adjust(db, *article, *by, &actor(None).principal, reason).await?;
            report(*article, &moved, json)
        }
        Stock::Alerts { shop, piece } => {
            let alerts = shelf::alerts(db, *shop, piece.before, piece.limit.into()).await?;
            terminal::print(&match json {
                true => listing::text(&alerts),
                false => listing::alerts(&alerts, queue::clock::now()),
            })?;
            Ok(Ended::Well)
        }
        Stock::Settle(args) => {
            let one = async |id, by: &str, why: &str| shelf::settle(db, id, by, why).await;
            sales::settle(args, "alert", json, one).await
        }
    }
}

fn report(article: i64, moved: &Moved, json: bool) -> anyhow::Result<Ended> {
    match *moved {
        Moved::Done { before, after } => {
            terminal::print(&match json {
                true => listing::text(&serde_json::json!({
                    "article_id": article, "before": before, "after": after,
                })),
                false => format!("article {article}: {before} before, {after} now"),
            })?;
            Ok(Ended::Well)
        }
        Moved::TooLittle { stock } => {
            terminal::complain(&format!("there are only {stock} of article {article}"));
            Ok(Ended::Refused)
        }
        Moved::Unknown => {
            terminal::complain(&format!("there is no article {article}"));
            Ok(Ended::Badly)
        }
    }
}
