//! Whether a terminal can know of its sales: an answer that reported them left whole (D-12).

use db::{Error, Sql, Tx, args};
use uuid::Uuid;

static DELIVERED: Sql =
    Sql::both("INSERT INTO remises (job_id, le) VALUES ($1, {now}) ON CONFLICT DO NOTHING");

/// Notes that the answer of `job` left whole: the sales that it was the last to report as created
/// are delivered. Those that a later job has reported since are that job's.
pub async fn delivered(tx: &mut Tx, job: Uuid) -> Result<(), Error> {
    tx.execute(&DELIVERED, args![job]).await.map(drop)
}
