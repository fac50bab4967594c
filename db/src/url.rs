//! Which database a URL names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `sqlite://file.db`, `sqlite:///absolute/file.db` or `postgres://…`; prints without a password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Why a URL names no database.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "allowed: `sqlite://file.db`, `sqlite:///absolute/file.db`, `postgres://user@host/database`"
)]
pub struct UrlError;

impl DatabaseUrl {
    /// The SQLite file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let rest = text.strip_prefix("sqlite:").ok_or(UrlError)?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.starts_with(":memory:") || path.contains(['?', '\0']) {
            return Err(UrlError);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => {
                let place = url.rsplit_once('@').map_or_else(
                    || url.split_once("://").map_or("", |(_, place)| place),
                    |(_, place)| place,
                );
                write!(f, "postgres://{}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{DatabaseUrl, UrlError};

    #[test]
    fn paths_may_be_relative_or_absolute() {
        let relative: Result<DatabaseUrl, UrlError> = "sqlite://relais.db".parse();
        assert_eq!(relative, Ok(DatabaseUrl::Sqlite("relais.db".into())));
        let absolute: Result<DatabaseUrl, UrlError> = "sqlite:///srv/relais.db".parse();
        assert_eq!(absolute, Ok(DatabaseUrl::Sqlite("/srv/relais.db".into())));
        for wrong in ["", "sqlite://", "sqlite::memory:", "mysql://x", "relais.db"] {
            assert_eq!(wrong.parse::<DatabaseUrl>(), Err(UrlError), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let url: DatabaseUrl = "postgres://user:secret@host:5432/name?sslmode=disable"
            .parse()
            .expect("a PostgreSQL url");
        assert_eq!(format!("{url} {url:?}"), "postgres://host:5432/name postgres://host:5432/name");
    }
}
