//! The migration runner; the schema itself is in `migrations/`.

use crate::{Db, Error, Sql};
use sqlx::migrate::{MigrateError, Migrator};
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");

static NEWEST: Sql = Sql::both("SELECT max(version) AS version FROM _sqlx_migrations");

impl Db {
    /// Brings the schema up to date; any number of processes may try at once.
    ///
    /// PostgreSQL serialises them by an advisory lock. On SQLite the loser of a race finds the
    /// tables there already and tries again, then finds nothing to do.
    ///
    /// A schema that a newer program has brought further is left as it is, and its newest number
    /// returned: each change fits the release before it, so that processes of both run side by side
    /// and may start anew while an update rolls (S-54).
    pub async fn migrate(&self) -> Result<Option<i64>, Error> {
        let mut tries = 0;
        loop {
            let result = match (self.postgres(), self.sqlite_writer()) {
                (Some(pool), _) => patient(&POSTGRES).run(pool).await,
                (None, Some(pool)) => patient(&SQLITE).run(pool).await,
                (None, None) => Ok(()),
            };
            match result {
                Ok(()) => return self.newer().await,
                Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..)) if tries < 3 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200 * tries)).await;
                }
                Err(error) => return Err(Error::Migration(error)),
            }
        }
    }

    async fn newer(&self) -> Result<Option<i64>, Error> {
        let known = if self.postgres().is_some() { &POSTGRES } else { &SQLITE };
        let known = known.iter().map(|migration| migration.version).max();
        let row = self.read_one(&NEWEST, Vec::new()).await?;
        let newest: Option<i64> = row.map(|row| row.get("version")).transpose()?.flatten();
        Ok(newest.filter(|_| newest > known))
    }
}

/// The same migrations, without objecting to others.
fn patient(migrator: &Migrator) -> Migrator {
    let mut patient = Migrator::with_migrations(migrator.iter().cloned().collect());
    patient.set_ignore_missing(true);
    patient
}
