//! Requests with an `Idempotency-Key` (D-11): one that is sent again is answered again, not done
//! again. Kept for seven days.

use crate::json::{canonical, too_deep};
use db::{Db, Error, Row, Sql, Tx, args};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::time::Duration;
use uuid::Uuid;

/// How long a key is remembered; a day is too short for a terminal that sleeps over a weekend.
const KEPT_MS: i64 = 7 * 86_400_000;
/// Levels of nesting of a body (S-26).
pub const MAX_DEPTH: usize = 32;

/// What a key belongs to: nobody else's, and no other route's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Who asks, for example `key:shop`.
    pub principal: String,
    /// For example `POST /api/v1/jobs`.
    pub route: String,
    pub key: String,
}

/// A request that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub fingerprint: Vec<u8>,
    /// The job it asked for, and whether that was new.
    pub job: Option<(Uuid, bool)>,
    /// `None` while it is being worked on.
    pub answer: Option<Answer>,
}

/// A final answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// $1 principal, $2 route, $3 key, $4 fingerprint, $5 how long it is held in ms, $6 age in ms
/// (negative) from which a row counts as gone, as does one without an answer whose job was
/// cancelled. A concurrent request with the same key waits here.
static BEGIN: Sql = Sql::both(
    "INSERT INTO requests (principal, route, key, fingerprint, held_until, created_at) \
     VALUES ($1, $2, $3, $4, {after $5}, {now}) ON CONFLICT (principal, route, key) DO UPDATE \
     SET fingerprint = excluded.fingerprint, held_until = excluded.held_until, \
     created_at = excluded.created_at, job_id = NULL, status = NULL, content_type = NULL, \
     body = NULL WHERE requests.created_at < {after $6} OR (requests.job_id IS NULL \
     AND requests.status IS NULL AND requests.held_until < {now}) OR (requests.status IS NULL \
     AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = requests.job_id AND jobs.state = 'cancelled')) \
     RETURNING key",
);

/// $1 principal, $2 route, $3 key, $4 age in ms (negative).
static FIND: Sql = Sql::both(
    "SELECT fingerprint, job_id, created, status, content_type, body FROM requests \
     WHERE principal = $1 AND route = $2 AND key = $3 AND created_at >= {after $4}",
);

/// $1 principal, $2 route, $3 key, $4 job, $5 whether it is new.
static SET_JOB: Sql = Sql::both(
    "UPDATE requests SET job_id = $4, created = $5 WHERE principal = $1 AND route = $2 AND key = $3",
);

/// $1 principal, $2 route, $3 key, $4 status, $5 content type, $6 body: the first answer stays.
static SET_ANSWER: Sql = Sql::both(
    "UPDATE requests SET status = $4, content_type = $5, body = $6 \
     WHERE principal = $1 AND route = $2 AND key = $3 AND status IS NULL",
);

/// $1 principal, $2 route, $3 key: nothing came of it.
static FORGET: Sql = Sql::both(
    "DELETE FROM requests WHERE principal = $1 AND route = $2 AND key = $3 \
     AND job_id IS NULL AND status IS NULL",
);

/// $1 age in ms (negative), $2 limit.
static PRUNE: Sql = Sql::both(
    "DELETE FROM requests WHERE (principal, route, key) IN (SELECT principal, route, key \
     FROM requests WHERE created_at < {after $1} ORDER BY created_at LIMIT $2)",
);

/// Takes the key for this request inside the caller's transaction; `false` if it is taken. Held
/// for `hold` at the most if neither a job nor an answer follows.
pub async fn begin(
    tx: &mut Tx,
    scope: &Scope,
    fingerprint: &[u8],
    hold: Duration,
) -> Result<bool, Error> {
    let hold = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    let Scope { principal, route, key } = scope;
    let values = args![principal, route, key, fingerprint.to_vec(), hold, -KEPT_MS];
    Ok(tx.row(&BEGIN, values).await?.is_some())
}

/// The request that has the key.
pub async fn find(db: &Db, scope: &Scope) -> Result<Option<Request>, Error> {
    let Scope { principal, route, key } = scope;
    let row = db.read_one(&FIND, args![principal, route, key, -KEPT_MS]).await?;
    row.as_ref().map(request).transpose()
}

/// Notes the job that the request asked for.
pub async fn set_job(tx: &mut Tx, scope: &Scope, job: Uuid, created: bool) -> Result<(), Error> {
    let Scope { principal, route, key } = scope;
    tx.execute(&SET_JOB, args![principal, route, key, job, created]).await.map(drop)
}

/// Keeps the final answer; the first one stays. Whether this was the first.
pub async fn set_answer(db: &Db, scope: &Scope, answer: &Answer) -> Result<bool, Error> {
    Ok(db.execute(&SET_ANSWER, values(scope, answer)).await? > 0)
}

/// The same within the transaction of the request's effects and of its key.
pub async fn set_answer_in(tx: &mut Tx, scope: &Scope, answer: &Answer) -> Result<(), Error> {
    tx.execute(&SET_ANSWER, values(scope, answer)).await.map(drop)
}

fn values(scope: &Scope, answer: &Answer) -> Vec<db::Value> {
    let Scope { principal, route, key } = scope;
    let status = i64::from(answer.status);
    args![principal, route, key, status, &answer.content_type, &answer.body]
}

/// Gives the key back: nothing came of the request.
pub async fn forget(db: &Db, scope: &Scope) -> Result<(), Error> {
    let Scope { principal, route, key } = scope;
    db.execute(&FORGET, args![principal, route, key]).await.map(drop)
}

/// Removes at most `limit` requests that are too old; returns how many.
pub async fn prune(db: &Db, limit: u32) -> Result<u64, Error> {
    db.execute(&PRUNE, args![-KEPT_MS, i64::from(limit)]).await
}

/// Whether a body nests deeper than [`MAX_DEPTH`]: a parser behind us might recurse into it.
pub fn is_too_deep(body: &[u8]) -> bool {
    too_deep(body, MAX_DEPTH)
}

/// One value for all spellings of a request: what it is about, then its body.
pub fn fingerprint(about: &[&str], body: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in about {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    // What is no JSON, or too deep to be looked into, counts as it was written.
    let raw = (!is_too_deep(body)).then(|| serde_json::from_slice::<&RawValue>(body));
    match raw {
        Some(Ok(raw)) => digest.update(canonical(raw)),
        _ => digest.update(body),
    }
    digest.finalize().to_vec()
}

fn request(row: &Row) -> Result<Request, Error> {
    let job: Option<Uuid> = row.get("job_id")?;
    let created: bool = row.get("created")?;
    let status: Option<i64> = row.get("status")?;
    let answer = match status.and_then(|status| u16::try_from(status).ok()) {
        Some(status) => {
            Some(Answer { status, content_type: row.get("content_type")?, body: row.get("body")? })
        }
        None => None,
    };
    Ok(Request { fingerprint: row.get("fingerprint")?, job: job.map(|job| (job, created)), answer })
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_is_of_what_is_said_not_of_how() {
        let of = |about: &[&str], body: &str| fingerprint(about, body.as_bytes());
        let one = of(&["a", "b"], r#"{"x":1,"y":[2.0]}"#);
        assert_eq!(one, of(&["a", "b"], "{ \"y\" : [ 2.0 ],\n\"x\":1}"));
        for other in [
            of(&["a", "b"], r#"{"x":1,"y":[2]}"#),
            of(&["a", "b"], r#"{"x":1}"#),
            of(&["ab", ""], r#"{"x":1,"y":[2.0]}"#),
            of(&["a"], r#"{"x":1,"y":[2.0]}"#),
            of(&["a", "b"], ""),
        ] {
            assert_ne!(one, other);
        }
    }
}
