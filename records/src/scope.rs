//! Row-level security of PostgreSQL: a transaction says for whom it works (D-50).

use db::{Dialect, Error, Sql, Tx, args};

/// For whom.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope {
    Shop(i64),
    Site(i64),
}

/// The policies of migrations 0009 and 0010 read it.
static SCOPE: Sql = Sql::both("SELECT set_config('app.scope', $1, TRUE)");

/// Until it ends, the transaction sees and writes rows of this scope only. Unset, as for operators
/// and the upkeep, it sees all. SQLite knows nothing of the kind.
pub(crate) async fn set(tx: &mut Tx, scope: Scope) -> Result<(), Error> {
    if tx.dialect() == Dialect::Postgres {
        let text = match scope {
            Scope::Shop(id) => id.to_string(),
            Scope::Site(id) => format!("site:{id}"),
        };
        tx.execute(&SCOPE, args![text]).await?;
    }
    Ok(())
}
