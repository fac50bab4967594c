//! Whose rows a transaction may see (D-50). Every statement names its site; this is the second
//! wall, for the day on which one forgets to.

use crate::scope::{Scope, set};
use db::{Db, Error, Tx};

/// Until it ends, the transaction sees and writes rows of this site only. PostgreSQL keeps to it
/// (row-level security); SQLite knows nothing of the kind.
pub async fn scope(tx: &mut Tx, site: i64) -> Result<(), Error> {
    set(tx, Scope::Site(site)).await
}

/// A transaction to look at what `site` may see; `None` sees all sites'.
pub(super) async fn reading(db: &Db, site: Option<i64>) -> Result<Tx, Error> {
    let mut tx = db.begin_reading().await?;
    if let Some(site) = site {
        scope(&mut tx, site).await?;
    }
    Ok(tx)
}
