//! The pool of connections, and the choice of database.
//!
//! SQLite has one writing connection: writers queue here, in order, instead of finding each
//! other busy. Readers never wait for it (WAL).

use crate::{DatabaseUrl, Dialect, Error, Row, Sql, Tx, Value, value};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Executor as _, Postgres, Transaction};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A transaction of ours never waits for anything but the database. A process that was frozen or
/// cut off in the middle of one keeps its locks, and with them its jobs from everybody, until the
/// server gives up on it: by itself, after hours. And no statement of ours runs for so long that
/// compiling it first would pay: on a large table the planner thinks otherwise. Every statement of
/// ours has an index; a plan that was made while a table was nearly empty, and kept, must not walk
/// all of it when it no longer is.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '15s'; SET jit = off; \
                       SET enable_seqscan = off";

/// How to reach the record.
#[derive(Debug, Clone)]
pub struct Settings {
    pub url: DatabaseUrl,
    /// Connections of this process, at the most.
    pub connections: u32,
    /// How long a statement waits for a connection before the database counts as unavailable.
    pub acquire: Duration,
}

/// A PostgreSQL connection that was idle for longer is asked whether it lives before it is used.
const TRUST: Duration = Duration::from_secs(1);

/// A pool of connections to the record; clones share it.
#[derive(Clone)]
pub struct Db {
    pools: Pools,
}

#[derive(Clone)]
enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool, file: Arc<Path> },
    Postgres(PgPool),
}

impl Db {
    /// Opens the record and proves that it answers; the SQLite file is created if absent.
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let pools = match &settings.url {
            DatabaseUrl::Sqlite(path) => {
                // A commit has reached the disk before it is acknowledged: FULL, not NORMAL.
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(5))
                    .pragma("temp_store", "memory")
                    .pragma("journal_size_limit", "67108864");
                // Writers wait for each other, not for a broken server: give them the busy time.
                let writer = SqlitePoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(Duration::from_secs(5).max(settings.acquire))
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .test_before_acquire(false)
                    // On a full disk SQLite ends the transaction by itself, and sqlx, whose own
                    // rollback then fails, takes it for open for ever: replace the connection.
                    // The statement waits for the rollback of a transaction that was just dropped,
                    // and ends what `write_unflushed` began, however that ended.
                    .after_release(|connection, _| {
                        Box::pin(async move {
                            connection.execute("PRAGMA synchronous = FULL").await?;
                            Ok(!connection.is_in_transaction())
                        })
                    })
                    .connect_with(options.clone())
                    .await?;
                let readers = SqlitePoolOptions::new()
                    .max_connections(settings.connections.clamp(2, 8))
                    .acquire_timeout(settings.acquire)
                    .test_before_acquire(false)
                    .connect_with(options.pragma("query_only", "on"))
                    .await?;
                Pools::Sqlite { writer, readers, file: Arc::from(path.as_path()) }
            }
            DatabaseUrl::Postgres(url) => {
                let options: PgConnectOptions = url.parse()?;
                let options = options.application_name("relais");
                // The pool would try a refused connection until its time is up, and then tell
                // only that; the first connection is made without it, so that the reason is told.
                let first = PgConnection::connect_with(&options);
                let first = tokio::time::timeout(settings.acquire, first).await;
                first.map_err(|_| sqlx::Error::PoolTimedOut)??.close().await?;
                let pool = PgPoolOptions::new()
                    .max_connections(settings.connections)
                    .acquire_timeout(settings.acquire)
                    .after_connect(|connection, _| {
                        Box::pin(async move {
                            connection.execute(SESSION).await?;
                            Ok(())
                        })
                    })
                    .test_before_acquire(false)
                    .before_acquire(|connection, meta| {
                        Box::pin(async move {
                            // A connection that just worked is trusted: asking it first would
                            // cost every statement a round trip.
                            if meta.idle_for >= TRUST {
                                connection.ping().await?;
                            }
                            Ok(true)
                        })
                    })
                    .connect_lazy_with(options);
                Pools::Postgres(pool)
            }
        };
        Ok(Self { pools })
    }

    pub fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The pool for what only PostgreSQL has (`LISTEN`).
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.pools {
            Pools::Sqlite { .. } => None,
            Pools::Postgres(pool) => Some(pool),
        }
    }

    /// The SQLite file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.pools {
            Pools::Sqlite { file, .. } => Some(file),
            Pools::Postgres(_) => None,
        }
    }

    pub(crate) fn sqlite_writer(&self) -> Option<&SqlitePool> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => Some(writer),
            Pools::Postgres(_) => None,
        }
    }

    /// Starts a writing transaction; on SQLite it holds the only writing connection (D-5).
    pub async fn begin(&self) -> Result<Tx, Error> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                Ok(Tx::sqlite(writer.begin_with("BEGIN IMMEDIATE").await?))
            }
            Pools::Postgres(pool) => Ok(Tx::postgres(begin_whole(pool).await?)),
        }
    }

    /// Starts a transaction that only reads; on SQLite it keeps no writer waiting.
    pub async fn begin_reading(&self) -> Result<Tx, Error> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => Ok(Tx::sqlite(readers.begin().await?)),
            Pools::Postgres(pool) => Ok(Tx::postgres(begin_whole(pool).await?)),
        }
    }

    /// Rows of a reading statement, outside any transaction.
    pub async fn read(&self, sql: &'static Sql, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.pools {
            Pools::Sqlite { readers, .. } => sqlite_rows(readers, sql, values).await,
            Pools::Postgres(pool) => postgres_rows(pool, sql, values).await,
        }
    }

    /// The first row of a reading statement, if there is one.
    pub async fn read_one(
        &self,
        sql: &'static Sql,
        values: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.read(sql, values).await?.into_iter().next())
    }

    /// Runs one writing statement as a transaction of its own; returns its `RETURNING` rows.
    pub async fn write(&self, sql: &'static Sql, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => sqlite_rows(writer, sql, values).await,
            Pools::Postgres(pool) => postgres_rows(pool, sql, values).await,
        }
    }

    /// The same, but does not wait for the disk: everybody sees it at once, it lasts from the next
    /// write on that does wait, and a server or machine that dies before then forgets it, though
    /// never something later. Only for what is found out and done again. On PostgreSQL the statement
    /// says so itself, with `{unflushed}`.
    pub async fn write_unflushed(
        &self,
        sql: &'static Sql,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let mut connection = writer.acquire().await?;
                connection.execute("PRAGMA synchronous = NORMAL").await?;
                sqlite_rows(&mut *connection, sql, values).await
            }
            Pools::Postgres(pool) => postgres_rows(pool, sql, values).await,
        }
    }

    /// Runs one writing statement as a transaction of its own; returns how many rows it touched.
    pub async fn execute(&self, sql: &'static Sql, values: Vec<Value>) -> Result<u64, Error> {
        match &self.pools {
            Pools::Sqlite { writer, .. } => {
                let query = sqlx::query_with(sql.text(Dialect::Sqlite), value::sqlite(values)?);
                Ok(query.execute(writer).await?.rows_affected())
            }
            Pools::Postgres(pool) => {
                let query = sqlx::query_with(sql.text(Dialect::Postgres), value::postgres(values)?);
                Ok(query.execute(pool).await?.rows_affected())
            }
        }
    }

    /// Proves that the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        static PING: Sql = Sql::both("SELECT 1");
        self.read(&PING, Vec::new()).await.map(drop)
    }

    /// Closes every connection; what is running finishes first.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Begins a transaction, also if nobody waits for it any more: then it is rolled back. Given up
/// between `BEGIN` and its answer, the library knows of no transaction, and the connection would go
/// back to the pool with one open, for the next statement to be lost in.
async fn begin_whole(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await }).await;
    // Nobody aborts it: either it panicked, or the runtime is ending.
    begun.unwrap_or(Err(sqlx::Error::PoolClosed))
}

pub(crate) async fn sqlite_rows<'c>(
    executor: impl sqlx::Executor<'c, Database = sqlx::Sqlite>,
    sql: &'static Sql,
    values: Vec<Value>,
) -> Result<Vec<Row>, Error> {
    let query = sqlx::query_with(sql.text(Dialect::Sqlite), value::sqlite(values)?);
    Ok(query.fetch_all(executor).await?.into_iter().map(Row::Sqlite).collect())
}

pub(crate) async fn postgres_rows<'c>(
    executor: impl sqlx::Executor<'c, Database = sqlx::Postgres>,
    sql: &'static Sql,
    values: Vec<Value>,
) -> Result<Vec<Row>, Error> {
    let query = sqlx::query_with(sql.text(Dialect::Postgres), value::postgres(values)?);
    Ok(query.fetch_all(executor).await?.into_iter().map(Row::Postgres).collect())
}

#[cfg(test)]
mod tests {
    use super::{Db, Settings};
    use crate::{Sql, args};
    use std::time::Duration;

    /// What is acknowledged after a write that did not wait for the disk has reached it again.
    #[tokio::test]
    async fn only_an_unflushed_write_does_not_wait_for_the_disk() {
        static HOW: Sql = Sql::both("PRAGMA synchronous");
        static SLOW: Sql = Sql::both(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) \
             SELECT max(i) FROM n",
        );
        let dir = std::env::temp_dir().join(format!("relais-db-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).expect("a temporary directory");
        let url = format!("sqlite://{}", dir.join("r.db").display()).parse().expect("a URL");
        let settings = Settings { url, connections: 2, acquire: Duration::from_secs(30) };
        let db = Db::open(&settings).await.expect("it opens");
        let how = async |unflushed: bool| {
            let rows = match unflushed {
                true => db.write_unflushed(&HOW, args![]).await,
                false => db.write(&HOW, args![]).await,
            };
            rows.expect("it answers")[0].get::<i64>("synchronous").expect("a number")
        };
        const NORMAL_AND_FULL: (i64, i64) = (1, 2);
        assert_eq!((how(true).await, how(false).await), NORMAL_AND_FULL);
        // Given up half way, it is over as well.
        let slow = db.write_unflushed(&SLOW, args![]);
        assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
        assert_eq!(how(false).await, NORMAL_AND_FULL.1);
        db.close().await;
        let _ = std::fs::remove_dir_all(dir);
    }
}
