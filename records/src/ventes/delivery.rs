//! Whether a terminal can know of its sales: an answer that reported them left whole (D-12).

use db::{Error, Sql, Tx, args};
use uuid::Uuid;

/// $1 jobs.
static DELIVERED: Sql = Sql::each(
    "INSERT INTO remises (job_id, le) SELECT job_id, {now} FROM unnest($1) AS n(job_id) \
     ORDER BY job_id ON CONFLICT DO NOTHING",
    "INSERT INTO remises (job_id, le) SELECT value, {now} FROM json_each($1) WHERE TRUE \
     ON CONFLICT DO NOTHING",
);

/// Notes that the answers of these jobs left whole: the sales that each was the last to report as
/// created are delivered. Those that a later job has reported since are that job's.
pub async fn delivered(tx: &mut Tx, jobs: &[Uuid]) -> Result<(), Error> {
    tx.execute(&DELIVERED, args![jobs.to_vec()]).await.map(drop)
}
