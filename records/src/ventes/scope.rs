//! Whose rows a transaction may see (D-50). Every statement names its shop; this is the second
//! wall, for the day on which one forgets to.

use crate::scope::{Scope, set};
use db::{Error, Tx};

/// Until it ends, the transaction sees and writes rows of this shop only. PostgreSQL keeps to it
/// (row-level security); SQLite knows nothing of the kind.
pub async fn scope(tx: &mut Tx, shop_id: i64) -> Result<(), Error> {
    set(tx, Scope::Shop(shop_id)).await
}
