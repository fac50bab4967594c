//! A result row, read by column name, the same for both databases.

use crate::Error;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type, ValueRef};
use uuid::Uuid;

/// One row.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of `column`; an error names the column that does not hold a `T`.
    pub fn get<T: Column>(&self, column: &str) -> Result<T, Error> {
        let value = match self {
            Self::Sqlite(row) => T::from_sqlite(row, column),
            Self::Postgres(row) => T::from_postgres(row, column),
        };
        value.map_err(|source| Error::Column { column: column.to_owned(), source })
    }
}

/// A type that a column can be read as.
pub trait Column: Sized {
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error>;
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error>;
}

/// The declared type of a SQLite column says little, so only the stored value is judged.
fn sqlite<'r, T: Decode<'r, Sqlite>>(row: &'r SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    row.try_get_unchecked(column)
}

fn postgres<'r, T>(row: &'r PgRow, column: &str) -> Result<T, sqlx::Error>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(column)
}

macro_rules! plain {
    ($($type:ty),*) => { $(
        impl Column for $type {
            fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
                sqlite(row, column)
            }
            fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
                postgres(row, column)
            }
        }
    )* };
}

plain!(bool, i64, Vec<u8>);

impl Column for String {
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
        sqlite(row, column)
    }
    /// Reads `text` and `json` alike: both travel as their text.
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
        row.try_get_unchecked(column)
    }
}

impl Column for Uuid {
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
        let text: &str = sqlite(row, column)?;
        text.parse().map_err(|error| unreadable(column, error))
    }
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
        postgres(row, column)
    }
}

impl Column for DateTime<Utc> {
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
        let text: &str = sqlite(row, column)?;
        text.parse().map_err(|error| unreadable(column, error))
    }
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
        postgres(row, column)
    }
}

impl Column for Decimal {
    /// SQLite keeps money as an integer of hundredths (D-60).
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
        Ok(Self::new(sqlite(row, column)?, 2))
    }
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
        postgres(row, column)
    }
}

impl<T: Column> Column for Option<T> {
    fn from_sqlite(row: &SqliteRow, column: &str) -> Result<Self, sqlx::Error> {
        if row.try_get_raw(column)?.is_null() {
            return Ok(None);
        }
        T::from_sqlite(row, column).map(Some)
    }
    fn from_postgres(row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
        if row.try_get_raw(column)?.is_null() {
            return Ok(None);
        }
        T::from_postgres(row, column).map(Some)
    }
}

fn unreadable(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}
