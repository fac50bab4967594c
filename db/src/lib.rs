//! The record's connection: SQLite or PostgreSQL behind one type.
//!
//! [`Db`] is a pool, [`Tx`] one transaction, [`Sql`] one statement with the few
//! words in which the dialects differ, [`Value`] a bound parameter, [`Row`] a result.
//! `queue` and `records` share these types, so that one transaction can span both.

mod error;
pub mod failpoint;
mod migrate;
mod pool;
mod row;
mod sql;
mod tx;
mod url;
mod value;

pub use error::Error;
pub use pool::{Db, Settings};
pub use row::{Column, Row};
pub use sql::{Dialect, Sql};
pub use tx::Tx;
pub use url::{DatabaseUrl, UrlError};
pub use value::{Value, instant_text};

/// Collects the parameters of a statement, each converted into a [`Value`].
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}
