//! `relais queues` and `relais workers`.

use super::{Ended, actor, usage};
use crate::cli::queues::{Pause as Wish, Queues, QueuesArgs, Target, WorkersArgs};
use crate::escape::escaped;
use crate::{listing, terminal};
use ::jobs::Catalog;
use chrono::TimeDelta;
use queue::{Engine, Pause, PauseScope};
use serde_json::json;

pub(super) async fn run(
    args: &QueuesArgs,
    engine: &dyn Engine,
    catalog: &Catalog,
) -> anyhow::Result<Ended> {
    let json = args.json;
    match args.what.as_ref().unwrap_or(&Queues::List) {
        Queues::List => {
            let stats = engine.stats().await?;
            let text = match json {
                true => listing::text(&api::Queues::from(stats)),
                false => {
                    let pauses = engine.pauses().await?;
                    listing::queues(&stats, &pauses, queue::clock::now())
                }
            };
            terminal::print(&text)?;
            Ok(Ended::Well)
        }
        Queues::Pause(wish) => pause(wish, engine, catalog, json).await,
        Queues::Resume { target } => resume(target, engine, catalog, json).await,
    }
}

async fn pause(
    wish: &Wish,
    engine: &dyn Engine,
    catalog: &Catalog,
    json: bool,
) -> anyhow::Result<Ended> {
    let (scope, name) = wish.target.scope();
    if !catalog.knows(engine, scope, name).await? {
        return Ok(unknown(scope, name));
    }
    let now = queue::clock::now();
    let later = wish.length.and_then(|length| TimeDelta::from_std(length).ok());
    let until = wish.until.or(later.map(|later| now + later));
    if until.is_some_and(|until| until <= now) {
        return usage(&format!("--until must be in the future; it is {now} now"));
    }
    let by = actor(wish.reason.as_deref());
    let pause = Pause { scope, name: name.to_owned(), until, by, since: Some(now) };
    engine.pause(&pause).await?;
    let text = match json {
        true => listing::text(&api::PauseShown::from(pause)),
        false => listing::pause(&pause, now),
    };
    terminal::print(&text)?;
    Ok(Ended::Well)
}

async fn resume(
    target: &Target,
    engine: &dyn Engine,
    catalog: &Catalog,
    json: bool,
) -> anyhow::Result<Ended> {
    let (scope, name) = target.scope();
    if !catalog.knows(engine, scope, name).await? {
        return Ok(unknown(scope, name));
    }
    let resumed = engine.resume(scope, name).await?;
    let what = format!("{} {}", scope.as_str(), escaped(name));
    terminal::print(&match (json, resumed) {
        (true, resumed) => json!({"resumed": resumed}).to_string(),
        (false, true) => format!("{what} goes on"),
        (false, false) => format!("{what} was not paused"),
    })?;
    Ok(if resumed { Ended::Well } else { Ended::Badly })
}

fn unknown(scope: PauseScope, name: &str) -> Ended {
    let (scope, name) = (scope.as_str(), escaped(name));
    terminal::complain(&format!("no {scope} `{name}` is known; `relais queues` lists the queues"));
    Ended::Badly
}

pub(super) async fn workers(args: &WorkersArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let rows = engine.workers().await?;
    terminal::print(&match args.json {
        true => listing::text(&api::Workers::from(rows)),
        false => listing::workers(&rows, queue::clock::now()),
    })?;
    Ok(Ended::Well)
}
