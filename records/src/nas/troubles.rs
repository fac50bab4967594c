//! What is wrong with the whole server: a job that was put in before a failure need not find it
//! out again, and a full disk is left alone for a while.

use chrono::{DateTime, Utc};
use db::{Db, Error, Sql, Tx, args};
use std::time::Duration;

/// The last failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub code: String,
    pub detail: String,
    /// How often in a row.
    pub times: u32,
    /// Whether it came after the instant that was asked about, and within a minute.
    pub is_news: bool,
    /// How long nothing is to be sent.
    pub held: Option<Duration>,
}

/// $1 host, $2 port, $3 code, $4 detail.
static NOTE: Sql = Sql::both(
    "INSERT INTO nas_troubles (host, port, code, detail, times, at, since) \
     VALUES ($1, $2, $3, $4, 1, {now}, {now}) ON CONFLICT (host, port) DO UPDATE \
     SET code = excluded.code, detail = excluded.detail, at = excluded.at, held_until = NULL, \
     since = CASE WHEN nas_troubles.code = excluded.code \
     THEN COALESCE(nas_troubles.since, nas_troubles.at) ELSE excluded.at END, \
     times = CASE WHEN nas_troubles.code = excluded.code THEN nas_troubles.times + 1 ELSE 1 END",
);

/// What is known about a server, seen from `since`.
pub async fn since(
    db: &Db,
    (host, port): (&str, u16),
    since: DateTime<Utc>,
) -> Result<Option<Trouble>, Error> {
    static SINCE: Sql = Sql::both(
        "SELECT code, detail, times, at > $3 AND at > {after $4} AS is_news, \
         {ms held_until} - {ms {now}} AS held_ms FROM nas_troubles WHERE host = $1 AND port = $2",
    );
    let values = args![host, i64::from(port), since, -60_000_i64];
    let Some(row) = db.read_one(&SINCE, values).await? else { return Ok(None) };
    let (times, held): (i64, Option<i64>) = (row.get("times")?, row.get("held_ms")?);
    let held = held.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
    Ok(Some(Trouble {
        code: row.get("code")?,
        detail: row.get("detail")?,
        times: u32::try_from(times).unwrap_or(u32::MAX),
        is_news: row.get("is_news")?,
        held: held.map(Duration::from_millis),
    }))
}

/// Notes a failure of the whole server.
pub async fn note(db: &Db, at: (&str, u16), code: &str, detail: &str) -> Result<(), Error> {
    db.execute(&NOTE, args![at.0, i64::from(at.1), code, detail]).await.map(drop)
}

/// Notes a failure after which nothing is to be sent for a while.
pub async fn hold(
    db: &Db,
    at: (&str, u16),
    code: &str,
    detail: &str,
    length: Duration,
) -> Result<(), Error> {
    static HOLD: Sql =
        Sql::both("UPDATE nas_troubles SET held_until = {after $3} WHERE host = $1 AND port = $2");
    note(db, at, code, detail).await?;
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    db.execute(&HOLD, args![at.0, i64::from(at.1), length]).await.map(drop)
}

/// Since when and until when nothing is to be sent, for people who ask: whatever server it is.
pub async fn held(db: &Db) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, Error> {
    static HELD: Sql = Sql::both(
        "SELECT COALESCE(since, at) AS since, held_until FROM nas_troubles \
         WHERE held_until > {now} ORDER BY held_until DESC LIMIT 1",
    );
    let row = db.read_one(&HELD, args![]).await?;
    row.map(|row| Ok((row.get("since")?, row.get("held_until")?))).transpose()
}

/// All is well.
pub async fn clear_in(tx: &mut Tx, (host, port): (&str, u16)) -> Result<(), Error> {
    static CLEAR: Sql = Sql::both("DELETE FROM nas_troubles WHERE host = $1 AND port = $2");
    tx.execute(&CLEAR, args![host, i64::from(port)]).await.map(drop)
}
