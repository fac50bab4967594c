//! Outcomes of the finished chunks of a batch that is still being applied, so that an attempt
//! which resumes repeats none of them.

use db::{Db, Error, Sql, Tx, Value, args};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

static LOAD: Sql = Sql::both("SELECT issues FROM lots_resultats WHERE job_id = $1 ORDER BY idx");

/// Outcomes of the job's parts from the first one on, as far as they have been committed.
pub async fn load<T: DeserializeOwned>(db: &Db, job: Uuid) -> Result<Vec<T>, Error> {
    let mut outcomes = Vec::new();
    for row in db.read(&LOAD, args![job]).await? {
        let text: String = row.get("issues")?;
        let chunk: Vec<T> = serde_json::from_str(&text).expect("what was stored can be read");
        outcomes.extend(chunk);
    }
    Ok(outcomes)
}

static SAVE: Sql =
    Sql::both("INSERT INTO lots_resultats (job_id, idx, issues) VALUES ($1, $2, $3)");

/// Keeps the outcomes of the chunk whose first part has position `first`.
pub async fn save<T: Serialize>(
    tx: &mut Tx,
    job: Uuid,
    first: usize,
    outcomes: &[T],
) -> Result<(), Error> {
    let first = i64::try_from(first).expect("a position in a batch");
    let text = serde_json::to_string(outcomes).expect("outcomes are plain data");
    tx.execute(&SAVE, args![job, first, Value::json(text)]).await.map(drop)
}

static CLEAR: Sql = Sql::both("DELETE FROM lots_resultats WHERE job_id = $1");

/// Forgets the chunks: the job's result holds them all.
pub async fn clear(tx: &mut Tx, job: Uuid) -> Result<(), Error> {
    tx.execute(&CLEAR, args![job]).await.map(drop)
}
