//! Whose rows a transaction may see (D-50). Every statement names its shop; this is the second
//! wall, for the day on which one forgets to.

use db::{Dialect, Error, Sql, Tx, args};

static SCOPE: Sql = Sql::both("SELECT set_config('app.scope', $1, TRUE)");

/// Until it ends, the transaction sees and writes rows of this shop only. PostgreSQL keeps to it
/// (row-level security); SQLite knows nothing of the kind.
pub async fn scope(tx: &mut Tx, shop_id: i64) -> Result<(), Error> {
    if tx.dialect() == Dialect::Postgres {
        tx.execute(&SCOPE, args![shop_id.to_string()]).await?;
    }
    Ok(())
}
