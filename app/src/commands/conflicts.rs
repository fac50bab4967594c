//! `relais conflicts`: what was changed on both sides, and a person's decision.

use super::{Ended, actor, enqueue, usage};
use crate::cli::conflicts::{Conflicts, ConflictsArgs, List, Resolve, Side, Status};
use crate::escape::escaped;
use crate::{listing, terminal};
use db::Db;
use queue::Engine;
use records::push::conflicts::{self, Conflict};
use records::push::{Choice, Decided, Resolved};
use serde_json::value::RawValue;
use uuid::Uuid;

pub(super) async fn run(args: &ConflictsArgs, engine: &dyn Engine) -> anyhow::Result<Ended> {
    let (db, json) = (engine.db(), args.json);
    let open = List { site: None, status: Status::Open, limit: 50, before: None };
    match &args.what {
        None => list(db, &open, json).await,
        Some(Conflicts::List(wish)) => list(db, wish, json).await,
        Some(Conflicts::Show { id }) => match conflicts::find(db, None, *id).await? {
            Some(conflict) => show(&conflict, json),
            None => absent(*id),
        },
        Some(Conflicts::Resolve(wish)) => resolve(db, wish, json).await,
    }
}

async fn list(db: &Db, wish: &List, json: bool) -> anyhow::Result<Ended> {
    let List { site, status, limit, before } = *wish;
    let listed = conflicts::list(db, site, status.word(), before, limit.into()).await?;
    terminal::print(&match json {
        true => listing::conflicts_json(&listed),
        false => listing::conflicts(&listed, queue::clock::now()),
    })?;
    Ok(Ended::Well)
}

fn show(conflict: &Conflict, json: bool) -> anyhow::Result<Ended> {
    terminal::print(&match json {
        true => listing::conflict_json(conflict),
        false => listing::conflict(conflict),
    })?;
    Ok(Ended::Well)
}

async fn resolve(db: &Db, wish: &Resolve, json: bool) -> anyhow::Result<Ended> {
    let choice = match (wish.keep, &wish.data) {
        (Some(Side::Server), _) => Choice::Server,
        (Some(Side::Client), _) => Choice::Client(None),
        (None, data) => {
            let text = enqueue::payload(data.as_deref().unwrap_or_default())?;
            match RawValue::from_string(text) {
                Ok(content) => Choice::Merge(content),
                Err(error) => return usage(&format!("--data: {error}")),
            }
        }
    };
    let by = actor(None).principal;
    let at = queue::clock::now();
    let (id, choice) = (wish.id, &choice);
    let decided = Decided { site: None, id, choice, if_match: None, by: &by, at };
    match records::push::resolve(db, &decided).await? {
        Resolved::Done(conflict) => show(&conflict, json),
        Resolved::NotFound => absent(id),
        Resolved::Failed(errors) => {
            let told: Vec<_> = errors.iter().map(|error| escaped(&error.message)).collect();
            usage(&told.join("; "))
        }
        Resolved::Closed => refused("the ticket is closed: it stays as it is"),
        Resolved::Already(_) => refused("it was decided otherwise, or a later push did"),
        Resolved::Moved(_) => refused("it has changed meanwhile: look at it again"),
    }
}

fn absent(id: Uuid) -> anyhow::Result<Ended> {
    terminal::complain(&format!("there is no conflict {id}"));
    Ok(Ended::Badly)
}

fn refused(why: &str) -> anyhow::Result<Ended> {
    terminal::complain(why);
    Ok(Ended::Refused)
}
