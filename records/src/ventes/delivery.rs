//! Whether a terminal can know of its sales: an answer that reported them left whole (D-12).

use db::{Error, Sql, Tx, args};
use uuid::Uuid;

static DELIVERED: Sql =
    Sql::both("UPDATE ventes SET remise_le = {now} WHERE rapportee_par = $1 AND remise_le IS NULL");

/// Notes that the answer of `job` left whole; returns how many sales it reported as created.
/// Sales that a later job has reported since are that job's.
pub async fn delivered(tx: &mut Tx, job: Uuid) -> Result<u64, Error> {
    tx.execute(&DELIVERED, args![job]).await
}
