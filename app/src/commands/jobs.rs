//! `relais jobs`: list, show, why; the rest is handed on.

use super::{Ended, absent, act, enqueue, list, tail};
use crate::cli::jobs::{Jobs, JobsArgs};
use crate::{listing, terminal};
use ::jobs::Catalog;
use queue::{Act, Engine, Page};
use uuid::Uuid;

pub(super) async fn run(
    args: &JobsArgs,
    engine: &dyn Engine,
    catalog: &Catalog,
) -> anyhow::Result<Ended> {
    let json = args.json;
    let now = queue::clock::now();
    match &args.what {
        Jobs::List(wanted) => {
            let filter = wanted.narrow.filter(wanted.state, now);
            let page = Page { limit: usize::from(wanted.piece.limit), before: wanted.piece.before };
            let rows = list(engine, &filter, page).await?;
            terminal::print(&match json {
                true => listing::array(&rows),
                false => listing::table(&rows, now),
            })?;
            Ok(Ended::Well)
        }
        Jobs::Show { id } => show(engine, *id, json).await,
        Jobs::Why { id } => why(engine, catalog, *id, json).await,
        Jobs::Tail { id } => tail::run(engine, *id, json).await,
        Jobs::Enqueue(wish) => enqueue::run(engine, catalog, wish, json).await,
        Jobs::Cancel(bulk) => act::run(engine, Act::Cancel, bulk.into(), json).await,
        Jobs::Retry(bulk) => act::run(engine, Act::Retry, bulk.into(), json).await,
        Jobs::Delete(bulk) => act::run(engine, Act::Delete, bulk.into(), json).await,
    }
}

async fn show(engine: &dyn Engine, id: Uuid, json: bool) -> anyhow::Result<Ended> {
    let Some(row) = engine.get(id).await? else { return absent(id) };
    let attempts = engine.attempts(id).await?;
    let attributes = engine.attributes(id).await?;
    let actions = engine.actions(id).await?;
    let job = listing::Whole {
        row: &row,
        attempts: &attempts,
        attributes: &attributes,
        actions: &actions,
    };
    terminal::print(&match json {
        true => listing::object(&job),
        false => listing::full(&job, queue::clock::now()),
    })?;
    Ok(Ended::Well)
}

async fn why(
    engine: &dyn Engine,
    catalog: &Catalog,
    id: Uuid,
    json: bool,
) -> anyhow::Result<Ended> {
    let Some(why) = ::jobs::why(engine, catalog, id).await? else { return absent(id) };
    terminal::print(&match json {
        true => listing::why_object(&why),
        false => listing::why_sentences(&why, queue::clock::now()),
    })?;
    Ok(Ended::Well)
}
