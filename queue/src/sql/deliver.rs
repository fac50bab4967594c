//! Noting that answers with jobs' results left whole (D-12).

use super::Record;
use crate::Error;
use db::{Dialect, Sql, args, failpoint};
use uuid::Uuid;

/// A job that is unique until then gives its key free: only those say so in their own row.
macro_rules! free {
    ($ids:literal) => {
        concat!(
            "UPDATE jobs SET delivered_at = {now} WHERE id = ANY(",
            $ids,
            ") AND unique_scope = 'until_delivered' AND delivered_at IS NULL"
        )
    };
}

/// $1 ids.
static FREE: Sql = Sql::both(free!("$1"));

/// $1 ids (PostgreSQL: and frees them).
static DELIVERED: Sql = Sql::each(
    concat!(
        "WITH freed AS (",
        free!("{few $1}"),
        ") INSERT INTO remises (job_id, le) SELECT job_id, {now} FROM unnest($1) AS n(job_id) \
         ORDER BY job_id ON CONFLICT DO NOTHING"
    ),
    "INSERT INTO remises (job_id, le) SELECT value, {now} FROM json_each($1) WHERE TRUE \
     ON CONFLICT DO NOTHING",
);

impl Record {
    /// All or none of `ids`.
    pub(super) async fn note_delivered(&self, ids: &[Uuid]) -> Result<(), Error> {
        failpoint::at("delivery").await?;
        if self.db.dialect() == Dialect::Postgres {
            self.db.execute(&DELIVERED, args![ids.to_vec()]).await?;
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        tx.execute(&FREE, args![ids.to_vec()]).await?;
        tx.execute(&DELIVERED, args![ids.to_vec()]).await?;
        Ok(tx.commit().await?)
    }
}
