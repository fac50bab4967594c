//! What can go wrong with the record, named after what a caller may do about it.

/// A failed statement, connection or migration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached just now: try again later.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// Two transactions collided (serialisation, deadlock, busy): try the whole transaction again.
    #[error("the transaction collided with another one")]
    Collision(#[source] sqlx::Error),
    /// The database has no room left or takes no writes: try again once there is space.
    #[error("the database cannot be written to")]
    Full(#[source] sqlx::Error),
    /// A unique index refused the row.
    #[error("a row with the same key exists (`{constraint}`)")]
    Duplicate { constraint: String, source: sqlx::Error },
    /// A column did not hold what the code expects: the schema and the code differ.
    #[error("column `{column}` cannot be read")]
    Column { column: String, source: sqlx::Error },
    /// A migration could not be applied.
    #[error("the migrations could not be applied")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The statement itself is wrong.
    #[error("the statement failed")]
    Statement(#[source] sqlx::Error),
}

impl Error {
    /// Whether the same work may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Collision(_) | Self::Full(_))
    }

    /// The same outage, to be told to somebody else who waited for the same transaction; `None` if
    /// this is not about the database but about what it was asked.
    pub fn outage(&self) -> Option<Self> {
        use sqlx::Error as E;
        let copy = |source: &E| match source {
            E::PoolTimedOut => E::PoolTimedOut,
            E::PoolClosed => E::PoolClosed,
            E::Io(error) => E::Io(std::io::Error::new(error.kind(), error.to_string())),
            other => E::Io(std::io::Error::other(other.to_string())),
        };
        match self {
            Self::Full(source) => Some(Self::Full(copy(source))),
            Self::Unavailable(source) => Some(Self::Unavailable(copy(source))),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                Self::Unavailable(error)
            }
            E::Protocol(_) => Self::Unavailable(error),
            E::Database(refusal) => {
                if refusal.is_unique_violation() {
                    let constraint = refusal.constraint().unwrap_or(refusal.message()).to_owned();
                    return Self::Duplicate { constraint, source: error };
                }
                match class(&refusal.code().unwrap_or_default()) {
                    Class::Collision => Self::Collision(error),
                    Class::Full => Self::Full(error),
                    Class::Unavailable => Self::Unavailable(error),
                    Class::Other => Self::Statement(error),
                }
            }
            _ => Self::Statement(error),
        }
    }
}

enum Class {
    Collision,
    Full,
    Unavailable,
    Other,
}

/// PostgreSQL's five-letter codes and SQLite's (extended) result codes do not overlap.
fn class(code: &str) -> Class {
    if let Ok(number) = code.parse::<u32>()
        && code.len() < 5
    {
        return match number & 0xff {
            5 | 6 => Class::Collision,
            8 | 13 => Class::Full,
            10 | 14 => Class::Unavailable,
            _ => Class::Other,
        };
    }
    match code {
        "40001" | "40P01" | "55P03" | "57014" => Class::Collision,
        "25006" => Class::Full,
        // The server ended a session that stood still in a transaction.
        "25P03" | "53300" => Class::Unavailable,
        _ if code.starts_with("53") => Class::Full,
        _ if code.starts_with("08") || code.starts_with("57P") => Class::Unavailable,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, class};

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        assert!(matches!(class("5"), Class::Collision));
        assert!(matches!(class("517"), Class::Collision));
        assert!(matches!(class("13"), Class::Full));
        assert!(matches!(class("40P01"), Class::Collision));
        assert!(matches!(class("57P01"), Class::Unavailable));
        assert!(matches!(class("25P03"), Class::Unavailable));
        assert!(matches!(class("53100"), Class::Full));
        assert!(matches!(class("53300"), Class::Unavailable));
        assert!(matches!(class("42601"), Class::Other));
        assert!(matches!(class("1"), Class::Other));
    }
}
