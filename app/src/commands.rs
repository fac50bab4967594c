//! Commands that look and steer, straight on the database: what each prints, and how it ends.

mod act;
mod conflicts;
mod dead;
mod enqueue;
mod jobs;
mod keys;
mod queues;
mod sales;
mod stock;
mod tail;
mod terminals;

use crate::cli::Operate;
use crate::settings::{Settings, user};
use crate::{store, terminal};
use ::jobs::Catalog;
use queue::{Actor, Engine, Error, Filter, JobRow, Page, State};
use std::process::ExitCode;
use uuid::Uuid;

/// How a command ends; the number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Well = 0,
    /// Wrong usage that only the data could tell.
    Usage = 2,
    /// The job ended badly, or nothing matched.
    Badly = 3,
    /// The state of a job does not allow it.
    Refused = 4,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(ended as u8)
    }
}

/// Runs a command of operators.
pub(crate) async fn run(
    command: &Operate,
    settings: &Settings,
    catalog: &Catalog,
) -> anyhow::Result<Ended> {
    let engine = store::open_to_look(settings).await?;
    let engine = engine.as_ref();
    let ended = match command {
        Operate::Jobs(args) => jobs::run(args, engine, catalog).await,
        Operate::Queues(args) => queues::run(args, engine, catalog).await,
        Operate::Workers(args) => queues::workers(args, engine).await,
        Operate::Dead(args) => dead::run(args, engine).await,
        Operate::Keys(args) => keys::run(args, engine).await,
        Operate::Conflicts(args) => conflicts::run(args, engine).await,
        Operate::Sales(args) => sales::run(args, engine).await,
        Operate::Stock(args) => stock::run(args, engine).await,
        Operate::Terminals(args) => terminals::run(args, engine).await,
    };
    engine.db().close().await;
    ended
}

/// Who acts on this command line.
fn actor(reason: Option<&str>) -> Actor {
    Actor { principal: format!("cli:{}", user()), reason: reason.map(str::to_owned) }
}

/// Says what is wrong with the command line.
fn usage(text: &str) -> anyhow::Result<Ended> {
    terminal::complain(text);
    Ok(Ended::Usage)
}

/// There is no such job.
fn absent(id: Uuid) -> anyhow::Result<Ended> {
    terminal::complain(&format!("there is no job {id}"));
    Ok(Ended::Badly)
}

/// How a command about a job ends that is in this state now.
fn by_state(state: State) -> Ended {
    match state {
        State::Dead | State::Cancelled | State::Expired => Ended::Badly,
        _ => Ended::Well,
    }
}

/// A list with as many rows as wished, if there are so many: the store gives short pieces.
async fn list(engine: &dyn Engine, filter: &Filter, page: Page) -> Result<Vec<JobRow>, Error> {
    let mut rows = Vec::new();
    let mut next = Page { ..page };
    loop {
        next.limit = page.limit - rows.len();
        let listed = engine.list(filter, &next).await?;
        rows.extend(listed.rows);
        match listed.next {
            Some(before) if rows.len() < page.limit => next.before = Some(before),
            _ => return Ok(rows),
        }
    }
}
