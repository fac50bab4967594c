//! `relais jobs enqueue`: a job of a known kind, checked before it goes in.

use super::{Ended, actor, by_state, usage};
use crate::cli::jobs::Enqueue;
use crate::escape::escaped;
use crate::{listing, terminal};
use ::jobs::Catalog;
use anyhow::Context as _;
use chrono::TimeDelta;
use queue::{Engine, NewJob, Unique};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// A wait without an end is made of such pieces.
const PIECE: Duration = Duration::from_secs(60);

pub(super) async fn run(
    engine: &dyn Engine,
    catalog: &Catalog,
    wish: &Enqueue,
    json: bool,
) -> anyhow::Result<Ended> {
    let Ok(kind) = catalog.get(&wish.kind) else {
        let known: Vec<&str> = catalog.iter().map(|kind| kind.name).collect();
        let (kind, known) = (escaped(&wish.kind), known.join(", "));
        return usage(&format!("there is no kind `{kind}`; known are {known}"));
    };
    let payload = payload(&wish.payload)?;
    let job = match kind.new_job(&payload) {
        Ok(job) => job,
        Err(error) => return usage(&format!("payload: {}", escaped(&error.to_string()))),
    };
    let job = filled(job, wish);
    let enqueued = engine.enqueue(&[job]).await?[0];
    if !json {
        terminal::print(&enqueued.id.to_string())?;
        if !enqueued.created {
            terminal::note("an unfinished job has this key already; its id is printed");
        }
    }
    let Some(patience) = wish.wait else {
        if json {
            let shown = json!({"id": enqueued.id, "created": enqueued.created});
            terminal::print(&shown.to_string())?;
        }
        return Ok(Ended::Well);
    };
    wait(engine, enqueued.id, patience, json).await
}

fn filled(mut job: NewJob, wish: &Enqueue) -> NewJob {
    job.principal = Some(actor(None).principal);
    if let Some(queue) = &wish.queue {
        job.queue.clone_from(queue);
    }
    if let Some(priority) = wish.priority {
        job.priority = priority;
    }
    if let Some(lane) = &wish.lane {
        job.lane = Some(lane.clone());
    }
    if let Some(key) = &wish.unique {
        job.unique = Unique::WhileAlive(key.clone());
    }
    let later = wish.after.and_then(|after| TimeDelta::from_std(after).ok());
    job.run_at = wish.run_at.or(later.map(|later| queue::clock::now() + later)).or(job.run_at);
    job.attributes.extend(wish.attribute.iter().cloned());
    job
}

/// JSON as it stands, of a file, or of standard input.
pub(super) fn payload(text: &str) -> anyhow::Result<String> {
    match text.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("{} cannot be read", escaped(file))),
        None if text == "-" => {
            std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")
        }
        None => Ok(text.to_owned()),
    }
}

async fn wait(
    engine: &dyn Engine,
    id: Uuid,
    patience: Option<Duration>,
    json: bool,
) -> anyhow::Result<Ended> {
    let row = loop {
        let row = engine.wait(id, patience.unwrap_or(PIECE)).await?;
        match row {
            None => return super::absent(id),
            Some(row) if row.state.is_final() || patience.is_some() => break row,
            Some(_) => {}
        }
    };
    if json {
        terminal::print(&listing::one(&row))?;
    } else {
        terminal::print(&listing::outcome(&row))?;
    }
    match row.state.is_final() {
        true => Ok(by_state(row.state)),
        false => anyhow::bail!("job {id} has no end yet; `relais jobs tail {id}` follows it"),
    }
}
