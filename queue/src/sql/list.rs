//! Lists of jobs, newest first.
//!
//! Reading costs the same at any size: a statement looks at most at [`SCANNED`] rows that one
//! index proposes in order, and a list says where it stopped looking.

use super::Record;
use super::rows::{first_id, job, job_columns};
use crate::Error;
use crate::job::{Filter, Found, JobRow, Listed, Page, State};
use db::{Row, Sql, Value, args};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Rows that one statement looks at, at the most.
const SCANNED: i64 = 10_000;

/// Bounds of the page, then what does not restrict when absent: $1 before, $2 since (ids), $3 limit,
/// $4 state, $5 kind, $6 queue, $7 principal, $8 lane, $9 and $10 attribute.
macro_rules! page {
    ($columns:expr, $lead:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT * FROM jobs WHERE ",
            $lead,
            " AND id < $1 AND id >= $2 ORDER BY id DESC LIMIT 10000) AS scanned \
             WHERE ($4 IS NULL OR state = $4) AND ($5 IS NULL OR kind = $5) \
             AND ($6 IS NULL OR queue = $6) AND ($7 IS NULL OR principal = $7) \
             AND ($8 IS NULL OR lane = $8) AND ($9 IS NULL OR EXISTS (SELECT 1 FROM job_attributes \
             AS a WHERE a.name = $9 AND a.value = $10 AND a.job_id = scanned.id)) \
             ORDER BY id DESC LIMIT $3"
        )
    };
}

/// Where a statement that looked at as much as it may stopped: the same values, offset $3.
macro_rules! floor {
    ($lead:expr) => {
        concat!(
            "SELECT id FROM jobs WHERE ",
            $lead,
            " AND id < $1 AND id >= $2 AND ($4 IS NULL OR TRUE) AND ($5 IS NULL OR TRUE) \
             AND ($6 IS NULL OR TRUE) AND ($7 IS NULL OR TRUE) AND ($8 IS NULL OR TRUE) \
             AND ($9 IS NULL OR TRUE) AND ($10 IS NULL OR TRUE) \
             ORDER BY id DESC LIMIT 1 OFFSET $3"
        )
    };
}

/// The index that proposes rows.
struct Lead {
    rows: Sql,
    ids: Sql,
    floor: Sql,
}

macro_rules! lead {
    ($name:ident, $lead:expr) => {
        lead!($name, $lead, $lead);
    };
    ($name:ident, $postgres:expr, $sqlite:expr) => {
        static $name: Lead = Lead {
            rows: Sql::each(page!(job_columns!(), $postgres), page!(job_columns!(), $sqlite)),
            ids: Sql::each(page!("id", $postgres), page!("id", $sqlite)),
            floor: Sql::each(floor!($postgres), floor!($sqlite)),
        };
    };
}

lead!(ALL, "TRUE");
lead!(WAITING, "state = $4 AND state IN ('scheduled', 'ready')");
lead!(RUNNING, "state = 'running'");
lead!(ENDED, "state = $4 AND finished_at IS NOT NULL");
lead!(ENDED_KIND, "kind = $5 AND state = $4 AND finished_at IS NOT NULL");
lead!(DEAD_QUEUE, "queue = $6 AND state = 'dead'");
lead!(PRINCIPAL, "principal = $7");
lead!(LANE, "lane = $8");
macro_rules! with_attribute {
    () => {
        "(SELECT job_id FROM job_attributes WHERE name = $9 AND value = $10 \
         AND job_id < $1 AND job_id >= $2 ORDER BY job_id DESC LIMIT 10000)"
    };
}
// PostgreSQL would walk all jobs, newest first, hoping to meet one with the attribute soon.
lead!(
    ATTRIBUTE,
    concat!("id = ANY (ARRAY", with_attribute!(), ")"),
    concat!("id IN ", with_attribute!())
);

/// What one lead gave, newest first.
struct Part<T> {
    found: Vec<(Uuid, T)>,
    /// Older rows were not looked at; `None` if there are none.
    floor: Option<Uuid>,
}

impl Record {
    pub(super) async fn page(&self, filter: &Filter, page: &Page) -> Result<Listed, Error> {
        let read = |row: &Row| job(row).map(|job| (job.id, job));
        let part = self.search(filter, page, |lead| &lead.rows, read).await?;
        let rows: Vec<JobRow> = part.found.into_iter().map(|(_, row)| row).collect();
        Ok(Listed { rows, next: part.floor })
    }

    pub(super) async fn page_of_ids(&self, filter: &Filter, page: &Page) -> Result<Found, Error> {
        let read = |row: &Row| Ok((row.get("id")?, ()));
        let part = self.search(filter, page, |lead| &lead.ids, read).await?;
        Ok(Found { ids: part.found.into_iter().map(|(id, ())| id).collect(), next: part.floor })
    }

    /// Asks every lead and merges: below the highest floor nobody knows what is missing.
    async fn search<T>(
        &self,
        filter: &Filter,
        page: &Page,
        statement: fn(&'static Lead) -> &'static Sql,
        read: impl Fn(&Row) -> Result<(Uuid, T), Error>,
    ) -> Result<Part<T>, Error> {
        // By id, what was read last counts: a job may change its state between two leads.
        let (mut all, mut lowest) = (BTreeMap::new(), None);
        for (lead, state) in leads(filter) {
            let rows = self.db.read(statement(lead), values(filter, page, state)).await?;
            let mut found = rows.iter().map(&read).collect::<Result<Vec<_>, _>>()?;
            found.sort_unstable_by_key(|(id, _)| Reverse(*id));
            let floor = if found.len() >= page.limit {
                found.last().map(|(id, _)| *id)
            } else {
                let scanned = Page { limit: SCANNED as usize - 1, before: page.before };
                let row = self.db.read_one(&lead.floor, values(filter, &scanned, state)).await?;
                row.map(|row| row.get("id")).transpose()?
            };
            lowest = lowest.max(floor);
            all.extend(found.into_iter().map(|(id, row)| (Reverse(id), row)));
        }
        let known = |id: Uuid| lowest.is_none_or(|floor| id >= floor);
        let mut found: Vec<(Uuid, T)> =
            all.into_iter().map(|(id, row)| (id.0, row)).filter(|(id, _)| known(*id)).collect();
        if found.len() > page.limit {
            found.truncate(page.limit);
            lowest = found.last().map(|(id, _)| *id);
        }
        Ok(Part { found, floor: lowest })
    }
}

/// The indexes to ask, each with the state it is asked for.
fn leads(filter: &Filter) -> Vec<(&'static Lead, Option<State>)> {
    if filter.attribute.is_some() {
        return vec![(&ATTRIBUTE, filter.state)];
    }
    if filter.lane.is_some() {
        return vec![(&LANE, filter.state)];
    }
    if filter.principal.is_some() {
        return vec![(&PRINCIPAL, filter.state)];
    }
    if filter.kind.is_none() && filter.queue.is_none() && filter.state.is_none() {
        return vec![(&ALL, None)];
    }
    let lead = |state: State| match state {
        State::Scheduled | State::Ready => &WAITING,
        State::Running => &RUNNING,
        _ if filter.kind.is_some() => &ENDED_KIND,
        State::Dead if filter.queue.is_some() => &DEAD_QUEUE,
        State::Done | State::Dead | State::Cancelled | State::Expired => &ENDED,
    };
    if let Some(state) = filter.state {
        return vec![(lead(state), Some(state))];
    }
    // Jobs go forward through the states in this order; those that went back are met at the end.
    let states = State::ALL.into_iter().chain([State::Ready, State::Scheduled]);
    states.map(|state| (lead(state), Some(state))).collect()
}

fn values(filter: &Filter, page: &Page, state: Option<State>) -> Vec<Value> {
    let until = filter.until.map(first_id).unwrap_or(Uuid::max());
    let (name, value) = filter.attribute.clone().unzip();
    args![
        page.before.unwrap_or(until).min(until),
        filter.since.map_or(Uuid::nil(), first_id),
        i64::try_from(page.limit).unwrap_or(i64::MAX),
        state.map(|state| state.as_str()),
        filter.kind.clone(),
        filter.queue.clone(),
        filter.principal.clone(),
        filter.lane.clone(),
        name,
        value,
    ]
}

/// Every statement of this file, for the planner: name, text, how many values.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, &'static Sql, usize)> {
    let leads = [
        ("all", &ALL),
        ("waiting", &WAITING),
        ("running", &RUNNING),
        ("ended", &ENDED),
        ("ended kind", &ENDED_KIND),
        ("dead queue", &DEAD_QUEUE),
        ("principal", &PRINCIPAL),
        ("lane", &LANE),
        ("attribute", &ATTRIBUTE),
    ];
    let all = leads
        .into_iter()
        .map(|(name, lead)| [&lead.rows, &lead.ids, &lead.floor].map(|sql| (name, sql, 10)));
    all.flatten().collect()
}
