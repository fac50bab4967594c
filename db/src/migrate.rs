//! The migration runner; the schema itself is in `migrations/`.

use crate::{Db, Error};
use sqlx::migrate::{MigrateError, Migrator};
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

impl Db {
    /// Brings the schema up to date; any number of processes may try at once.
    ///
    /// PostgreSQL serialises them by an advisory lock. On SQLite the loser of a race finds the
    /// tables there already and tries again, then finds nothing to do.
    pub async fn migrate(&self) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let result = match (self.postgres(), self.sqlite_writer()) {
                (Some(pool), _) => POSTGRES.run(pool).await,
                (None, Some(pool)) => SQLITE.run(pool).await,
                (None, None) => Ok(()),
            };
            match result {
                Ok(()) => return Ok(()),
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) if tries < 3 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200 * tries)).await;
                }
                Err(error) => return Err(Error::Migration(error)),
            }
        }
    }
}
