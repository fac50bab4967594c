//! `relais schedules`: what is put in at set times, read and steered in the database itself.

mod shown;

use crate::settings::Settings;
use crate::{store, terminal};
use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use jobs::{Catalog, Unique};
use queue::schedule::{MAX_SCHEDULES, Schedule};
use queue::{Engine, NewJob, schedules};

/// Years in which expressions tick, and that both databases can hold.
const YEARS: [&str; 2] = ["1970-01-01T00:00:00Z", "2100-12-31T23:59:59Z"];

#[derive(Debug, Subcommand)]
pub(crate) enum Schedules {
    /// List schedules by name
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one schedule
    Show(Named),
    /// Show when a schedule ticks next, and what changes of clocks do to it
    Preview {
        #[command(flatten)]
        named: Named,
        /// So many ticks
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        count: u16,
        /// Ticks after this instant [default: now]
        #[arg(long, value_name = "TIME", value_parser = instant)]
        from: Option<DateTime<Utc>>,
    },
    /// Let a schedule rest
    Pause {
        #[command(flatten)]
        named: Named,
        /// Until this instant [default: until it is resumed]
        #[arg(long, value_name = "TIME", value_parser = instant)]
        until: Option<DateTime<Utc>>,
        /// Why, for people
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
    },
    /// End a rest; the ticks that fell into it are not made up for
    Resume(Named),
    /// Put a schedule's job in now, besides its ticks
    Trigger(Named),
    /// Show what became of a schedule's ticks, newest first
    Ticks {
        #[command(flatten)]
        named: Named,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
        limit: u16,
        /// Only ticks before this instant
        #[arg(long, value_name = "TIME", value_parser = instant)]
        before: Option<DateTime<Utc>>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The schedule's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Does what the command says and prints what came of it.
pub(crate) async fn run(
    command: Schedules,
    settings: &Settings,
    catalog: &Catalog,
) -> anyhow::Result<()> {
    let engine = store::open_to_look(settings).await?;
    let db = engine.db();
    let text = match command {
        Schedules::List { json } => {
            let now = schedules::look(db).await?.now;
            let all = schedules::list(db, "", MAX_SCHEDULES).await?;
            if json { shown::array(&all, now) } else { shown::table(&all, now) }
        }
        Schedules::Show(named) => of(&*engine, &named).await?,
        Schedules::Preview { named, count, from } => {
            let timetable = find(&*engine, &named.name).await?.definition.timetable()?;
            let from = match from {
                Some(from) => from,
                None => schedules::look(db).await?.now,
            };
            let ticks: Vec<_> = timetable.after(from).take(usize::from(count)).collect();
            if named.json { shown::times_json(&ticks) } else { shown::times(&ticks) }
        }
        Schedules::Pause { named, until, reason } => {
            schedules::pause(db, &named.name, until, reason.as_deref()).await?;
            of(&*engine, &named).await?
        }
        Schedules::Resume(named) => {
            schedules::resume(db, &named.name).await?;
            of(&*engine, &named).await?
        }
        Schedules::Trigger(named) => {
            let job = trigger(&*engine, &named.name, catalog).await?;
            if named.json { shown::job_json(&job) } else { job.id.to_string() }
        }
        Schedules::Ticks { named, limit, before } => {
            find(&*engine, &named.name).await?;
            let ticks = schedules::ticks(db, &named.name, before, u32::from(limit)).await?;
            if named.json { shown::ticks_json(&ticks) } else { shown::ticks(&ticks) }
        }
    };
    Ok(terminal::print(&text)?)
}

async fn find(engine: &dyn Engine, name: &str) -> anyhow::Result<Schedule> {
    match schedules::get(engine.db(), name).await? {
        Some(schedule) => Ok(schedule),
        None => bail!("there is no schedule `{name}`; `relais schedules list` shows all"),
    }
}

/// The schedule as it is now.
async fn of(engine: &dyn Engine, named: &Named) -> anyhow::Result<String> {
    let schedule = find(engine, &named.name).await?;
    let now = schedules::look(engine.db()).await?.now;
    Ok(if named.json { shown::object(&schedule, now) } else { shown::full(&schedule, now) })
}

async fn trigger(engine: &dyn Engine, name: &str, catalog: &Catalog) -> anyhow::Result<NewJob> {
    let definition = find(engine, name).await?.definition;
    let kind = catalog.get(&definition.kind)?;
    let job = kind.new_job(&definition.payload).context("its payload is not readable any more")?;
    let job = NewJob { unique: Unique::No, lane: None, ..job };
    engine.enqueue(std::slice::from_ref(&job)).await?;
    Ok(job)
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let [first, last]: [DateTime<Utc>; 2] = YEARS.map(|text| text.parse().expect("an instant"));
    let instant = text.parse().ok().filter(|instant| (first..=last).contains(instant));
    instant.ok_or_else(|| "allowed: an instant such as 2027-03-28T01:00:00Z".to_owned())
}

fn reason(text: &str) -> Result<String, String> {
    let is_text = text.chars().count() <= 500 && !text.chars().any(char::is_control);
    is_text.then(|| text.to_owned()).ok_or_else(|| "allowed: one line of 500 characters".to_owned())
}
