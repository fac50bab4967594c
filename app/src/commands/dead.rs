//! `relais dead`: what failed for good, and its way back.

use super::act::{self, Wish};
use super::{Ended, list, usage};
use crate::cli::dead::{Dead, DeadArgs};
use crate::{listing, terminal};
use queue::{Act, Engine, Filter, Listed, Page, State};

pub(super) async fn run(args: &DeadArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let json = args.json;
    match &args.what {
        None => {
            let filter = Filter { state: Some(State::Dead), ..Filter::default() };
            show(engine, &filter, Page { limit: 50, before: None }, json).await
        }
        Some(Dead::List { narrow, piece }) => {
            let filter = narrow.filter(Some(State::Dead), queue::clock::now());
            let page = Page { limit: usize::from(piece.limit), before: piece.before };
            show(engine, &filter, page, json).await
        }
        Some(Dead::Requeue { ids, narrow, manner }) => {
            if manner.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
                return usage("say why with --reason: it is kept with each job");
            }
            let mut not_dead = Vec::new();
            for id in ids {
                if let Some(row) = engine.get(*id).await?
                    && row.state != State::Dead
                {
                    not_dead.push(format!("job {id} is {}; only dead ones", row.state.as_str()));
                }
            }
            if !not_dead.is_empty() {
                terminal::complain(&not_dead.join("\n  "));
                return Ok(Ended::Refused);
            }
            // Ids speak for themselves; flags are about dead jobs only.
            let state = (ids.is_empty() && !narrow.is_empty()).then_some(State::Dead);
            act::run(engine, Act::Retry, Wish { ids, state, narrow, manner }, json).await
        }
    }
}

async fn show(
    engine: &dyn Engine,
    filter: &Filter,
    page: Page,
    json: bool,
) -> anyhow::Result<Ended> {
    let limit = page.limit;
    let rows = list(engine, filter, page).await?;
    terminal::print(&match json {
        true => {
            let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.id);
            listing::text(&api::DeadJobs::from(Listed { rows, next }))
        }
        false => listing::dead(&rows, queue::clock::now()),
    })?;
    Ok(Ended::Well)
}
