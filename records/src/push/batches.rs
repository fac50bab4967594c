//! Batches by the id that their site gave them: one id is one batch, answered word for word
//! (D-11, D-31).

use super::{KEPT_MS, PushResult, scope};
use db::{Db, Error, Sql, Tx, Value, args};
use uuid::Uuid;

/// A batch that was sent before.
#[derive(Debug, Clone)]
pub struct Known {
    pub fingerprint: Vec<u8>,
    pub job: Uuid,
    /// JSON text, once it has one.
    pub answer: Option<String>,
}

/// A concurrent request with the same id waits here.
static BEGIN: Sql = Sql::both(
    "INSERT INTO site_batches (site_id, batch_id, fingerprint, job_id, created_at) \
     VALUES ($1, $2, $3, $4, {now}) ON CONFLICT (site_id, batch_id) DO NOTHING RETURNING job_id",
);

static FIND: Sql = Sql::both(
    "SELECT fingerprint, job_id, answer FROM site_batches WHERE site_id = $1 AND batch_id = $2",
);

/// The first answer stays.
static ANSWER: Sql = Sql::both(
    "UPDATE site_batches SET answer = $3 WHERE site_id = $1 AND batch_id = $2 AND answer IS NULL",
);

/// Takes the id for a batch whose job is `job`; `false` if it is taken.
pub async fn begin(
    tx: &mut Tx,
    site: i64,
    batch: Uuid,
    fingerprint: &[u8],
    job: Uuid,
) -> Result<bool, Error> {
    scope(tx, site).await?;
    Ok(tx.row(&BEGIN, args![site, batch, fingerprint.to_vec(), job]).await?.is_some())
}

/// The site's batch of this id.
pub async fn find(db: &Db, site: i64, batch: Uuid) -> Result<Option<Known>, Error> {
    let mut tx = scope::reading(db, Some(site)).await?;
    let Some(row) = tx.row(&FIND, args![site, batch]).await? else { return Ok(None) };
    Ok(Some(Known {
        fingerprint: row.get("fingerprint")?,
        job: row.get("job_id")?,
        answer: row.get("answer")?,
    }))
}

/// Keeps the answer, in the transaction of the batch's effects.
pub async fn set_answer(tx: &mut Tx, site: i64, result: &PushResult) -> Result<(), Error> {
    let text = serde_json::to_string(result).expect("an answer is plain data");
    tx.execute(&ANSWER, args![site, result.batch_id, Value::json(text)]).await.map(drop)
}

/// $1 age in ms (negative), $2 limit.
static PRUNE: Sql = Sql::both(
    "UPDATE site_batches SET answer = NULL WHERE (site_id, batch_id) IN \
     (SELECT site_id, batch_id FROM site_batches WHERE answer IS NOT NULL \
     AND created_at < {after $1} ORDER BY created_at LIMIT $2)",
);

/// Forgets at most `limit` answers that are too old; the ids stay taken.
pub async fn prune(db: &Db, limit: u32) -> Result<u64, Error> {
    db.execute(&PRUNE, args![-KEPT_MS, i64::from(limit)]).await
}
