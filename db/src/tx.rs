//! One transaction, and what is to happen after it has committed.

use crate::pool::{postgres_rows, sqlite_rows};
use crate::{Dialect, Error, Row, Sql, Value, value};
use sqlx::{Postgres, Sqlite, Transaction};

type Hook = Box<dyn FnOnce() + Send>;

/// A transaction; dropped without [`Tx::commit`] it is rolled back and its hooks are forgotten.
pub struct Tx {
    inner: Inner,
    after_commit: Vec<Hook>,
}

enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) fn sqlite(inner: Transaction<'static, Sqlite>) -> Self {
        Self { inner: Inner::Sqlite(inner), after_commit: Vec::new() }
    }

    pub(crate) fn postgres(inner: Transaction<'static, Postgres>) -> Self {
        Self { inner: Inner::Postgres(inner), after_commit: Vec::new() }
    }

    pub fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::Sqlite(_) => Dialect::Sqlite,
            Inner::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Rows of a statement inside this transaction.
    pub async fn rows(&mut self, sql: &'static Sql, values: Vec<Value>) -> Result<Vec<Row>, Error> {
        match &mut self.inner {
            Inner::Sqlite(tx) => sqlite_rows(&mut **tx, sql, values).await,
            Inner::Postgres(tx) => postgres_rows(&mut **tx, sql, values).await,
        }
    }

    /// The first row of a statement, if there is one.
    pub async fn row(
        &mut self,
        sql: &'static Sql,
        values: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs a statement; returns how many rows it touched.
    pub async fn execute(&mut self, sql: &'static Sql, values: Vec<Value>) -> Result<u64, Error> {
        match &mut self.inner {
            Inner::Sqlite(tx) => {
                let query = sqlx::query_with(sql.text(Dialect::Sqlite), value::sqlite(values)?);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
            Inner::Postgres(tx) => {
                let query = sqlx::query_with(sql.text(Dialect::Postgres), value::postgres(values)?);
                Ok(query.execute(&mut **tx).await?.rows_affected())
            }
        }
    }

    /// Runs `hook` once this transaction has committed, never if it does not: doorbells ring here.
    pub fn after_commit(&mut self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.push(Box::new(hook));
    }

    /// Makes everything durable, then runs the hooks.
    pub async fn commit(self) -> Result<(), Error> {
        match self.inner {
            Inner::Sqlite(tx) => tx.commit().await?,
            Inner::Postgres(tx) => tx.commit().await?,
        }
        self.after_commit.into_iter().for_each(|hook| hook());
        Ok(())
    }

    /// Undoes everything; the same as dropping, but waits until it has happened.
    pub async fn rollback(self) -> Result<(), Error> {
        match self.inner {
            Inner::Sqlite(tx) => tx.rollback().await?,
            Inner::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}
