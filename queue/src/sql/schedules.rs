//! Schedules in the record. What became of their ticks is in [`ledger`].

mod ledger;

pub use ledger::{prune, record, set_job, ticks, unfinished_before};

use crate::Error;
use crate::schedule::{Definition, Fold, Gap, MAX_SCHEDULES, Missed, Overlap, Schedule, Source};
use chrono::{DateTime, Utc};
use db::{Db, Row, Sql, Tx, args};
use uuid::Uuid;

macro_rules! columns {
    ($payload:literal) => {
        concat!(
            "SELECT name, cron, timezone, kind, ",
            $payload,
            " AS payload, on_gap, on_fold, missed, missed_limit, overlap, paused, paused_until, \
             paused_reason, source, stamp, since, created_at, updated_at, {now} AS moment, \
             (SELECT nominal FROM ticks WHERE ticks.schedule = schedules.name \
             AND nominal <= {now} ORDER BY nominal DESC LIMIT 1) AS last_tick FROM schedules "
        )
    };
}

static GET: Sql = Sql::both(concat!(columns!("payload"), "WHERE name = $1"));

/// $1 after this name, $2 limit. Payloads are left out: a thousand of them are a lot.
static LIST: Sql = Sql::both(concat!(columns!("''"), "WHERE name > $1 ORDER BY name LIMIT $2"));

/// $1 names.
static LOCK: Sql =
    Sql::both(concat!(columns!("payload"), "WHERE name = ANY($1) ORDER BY name {lock}"));

static LOOK: Sql = Sql::both(
    "SELECT {now} AS moment, count(*) AS schedules, \
     CAST(COALESCE(sum(stamp), 0) AS bigint) AS stamps FROM schedules",
);

static COUNT: Sql = Sql::both("SELECT count(*) AS schedules FROM schedules");

/// Writers of schedules that may be new go one after another, so that the limit holds.
static ALONE: Sql =
    Sql::each("SELECT pg_advisory_xact_lock(hashtext('relais schedules'))", "SELECT 1");

static INSERT: Sql = Sql::both(
    "INSERT INTO schedules (name, cron, timezone, kind, payload, on_gap, on_fold, missed, \
     missed_limit, overlap, source, stamp, since, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, {now}, {now}, {now})",
);

/// Another expression or zone begins anew: what the old one missed is not the new one's.
static UPDATE: Sql = Sql::both(
    "UPDATE schedules SET cron = $2, timezone = $3, kind = $4, payload = $5, on_gap = $6, \
     on_fold = $7, missed = $8, missed_limit = $9, overlap = $10, source = $11, stamp = $12, \
     since = CASE WHEN cron = $2 AND timezone = $3 THEN since ELSE {now} END, \
     updated_at = {now} WHERE name = $1",
);

static DELETE: Sql = Sql::both("DELETE FROM schedules WHERE name = $1");

/// $1 name, $2 until, $3 reason, $4 stamp.
static PAUSE: Sql = Sql::both(
    "UPDATE schedules SET paused = TRUE, paused_until = $2, paused_reason = $3, stamp = $4, \
     updated_at = {now} WHERE name = $1",
);

/// $1 name, $2 stamp. What the rest has left out stays left out.
static RESUME: Sql = Sql::both(
    "UPDATE schedules SET paused = FALSE, paused_until = NULL, paused_reason = NULL, \
     stamp = $2, since = {now}, updated_at = {now} WHERE name = $1 AND paused",
);

static OF_CONFIG: Sql = Sql::both("SELECT name FROM schedules WHERE source = 'config'");

/// What a glance at the schedules tells: the store's time, and a value that changes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The store's time.
    pub now: DateTime<Utc>,
    /// Equal as long as no schedule was written.
    pub version: (i64, i64),
}

/// What became of a wish to write a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// It took the place of what was there.
    Replaced,
    /// One of that name is there.
    Exists,
    /// The configuration has one of that name.
    OfConfig,
    /// There are as many schedules as there may be.
    Full,
}

/// A glance, cheap enough for every second.
pub async fn look(db: &Db) -> Result<Look, Error> {
    let row = db.read_one(&LOOK, args![]).await?.expect("an aggregate has one row");
    let version = (row.get("schedules")?, row.get("stamps")?);
    Ok(Look { now: row.get("moment")?, version })
}

/// One schedule.
pub async fn get(db: &Db, name: &str) -> Result<Option<Schedule>, Error> {
    db.read_one(&GET, args![name]).await?.as_ref().map(schedule).transpose()
}

/// Schedules by name, those after `after`, at most `limit`; without their payloads.
pub async fn list(db: &Db, after: &str, limit: u32) -> Result<Vec<Schedule>, Error> {
    db.read(&LIST, args![after, i64::from(limit)]).await?.iter().map(schedule).collect()
}

/// Locks those of `names` that are there until the transaction's end, with the store's time.
pub async fn lock(
    tx: &mut Tx,
    names: Vec<String>,
) -> Result<Vec<(Schedule, DateTime<Utc>)>, Error> {
    let rows = tx.rows(&LOCK, args![names]).await?;
    rows.iter().map(|row| Ok((schedule(row)?, row.get("moment")?))).collect()
}

/// Writes a schedule that was checked, for the API: new ones only, or also over an old one.
pub async fn put(db: &Db, wanted: &Definition, may_replace: bool) -> Result<Put, Error> {
    let mut tx = db.begin().await?;
    tx.rows(&ALONE, args![]).await?;
    let there = lock(&mut tx, vec![wanted.name.clone()]).await?.pop();
    let put = match there {
        Some((there, _)) if there.source == Source::Config => Put::OfConfig,
        Some(_) if !may_replace => Put::Exists,
        Some(_) => Put::Replaced,
        None => {
            let row = tx.row(&COUNT, args![]).await?.expect("an aggregate has one row");
            let is_full = row.get::<i64>("schedules")? >= i64::from(MAX_SCHEDULES);
            if is_full { Put::Full } else { Put::Created }
        }
    };
    match put {
        Put::Created => write(&mut tx, &INSERT, wanted, Source::Api).await?,
        Put::Replaced => write(&mut tx, &UPDATE, wanted, Source::Api).await?,
        _ => return Ok(put),
    }
    tx.commit().await?;
    Ok(put)
}

/// Makes the schedules of the configuration those that are `wanted`: writes what differs, removes
/// what the configuration no longer has. Returns the names that were the API's before.
pub async fn configure(db: &Db, wanted: &[Definition]) -> Result<Vec<String>, Error> {
    let mut tx = db.begin().await?;
    tx.rows(&ALONE, args![]).await?;
    for row in tx.rows(&OF_CONFIG, args![]).await? {
        let name: String = row.get("name")?;
        if wanted.iter().all(|definition| definition.name != name) {
            tx.execute(&DELETE, args![name]).await?;
        }
    }
    let mut taken = Vec::new();
    for definition in wanted {
        match lock(&mut tx, vec![definition.name.clone()]).await?.pop() {
            None => write(&mut tx, &INSERT, definition, Source::Config).await?,
            Some((there, _)) => {
                if there.source == Source::Config && there.definition == *definition {
                    continue;
                }
                if there.source == Source::Api {
                    taken.push(definition.name.clone());
                }
                write(&mut tx, &UPDATE, definition, Source::Config).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(taken)
}

/// Removes a schedule; its ledger stays until it is pruned. Whether there was one.
pub async fn delete(db: &Db, name: &str) -> Result<bool, Error> {
    Ok(db.execute(&DELETE, args![name]).await? > 0)
}

/// Lets a schedule rest, until an instant or until it is resumed. Whether there is one.
pub async fn pause(
    db: &Db,
    name: &str,
    until: Option<DateTime<Utc>>,
    reason: Option<&str>,
) -> Result<bool, Error> {
    Ok(db.execute(&PAUSE, args![name, until, reason, stamp()]).await? > 0)
}

/// Ends a rest; the ticks that fell into it are not made up for.
pub async fn resume(db: &Db, name: &str) -> Result<bool, Error> {
    Ok(db.execute(&RESUME, args![name, stamp()]).await? > 0)
}

async fn write(
    tx: &mut Tx,
    sql: &'static Sql,
    wanted: &Definition,
    source: Source,
) -> Result<(), Error> {
    let values = args![
        &wanted.name,
        &wanted.cron,
        &wanted.timezone,
        &wanted.kind,
        db::Value::json(&*wanted.payload),
        wanted.on_gap.as_str(),
        wanted.on_fold.as_str(),
        wanted.missed.as_str(),
        i64::from(wanted.missed_limit),
        wanted.overlap.as_str(),
        source.as_str(),
        stamp(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// A random number, small enough that the sum of all schedules' numbers is a `bigint`.
fn stamp() -> i64 {
    let [.., a, b, c, d, e, f] = Uuid::new_v4().into_bytes();
    i64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

fn schedule(row: &Row) -> Result<Schedule, Error> {
    let word = |column: &str| row.get::<String>(column);
    let known = "the schema allows only known words";
    Ok(Schedule {
        definition: Definition {
            name: row.get("name")?,
            cron: row.get("cron")?,
            timezone: row.get("timezone")?,
            kind: row.get("kind")?,
            payload: row.get("payload")?,
            on_gap: Gap::parse(&word("on_gap")?).expect(known),
            on_fold: Fold::parse(&word("on_fold")?).expect(known),
            missed: Missed::parse(&word("missed")?).expect(known),
            missed_limit: u32::try_from(row.get::<i64>("missed_limit")?).unwrap_or(1),
            overlap: Overlap::parse(&word("overlap")?).expect(known),
        },
        paused: row.get("paused")?,
        paused_until: row.get("paused_until")?,
        paused_reason: row.get("paused_reason")?,
        source: Source::parse(&word("source")?).expect(known),
        stamp: row.get("stamp")?,
        since: row.get("since")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        last_tick: row.get("last_tick")?,
    })
}
