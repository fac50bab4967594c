//! Host keys that somebody has compared and trusts.

use chrono::{DateTime, Utc};
use db::{Db, Error, Sql, Tx, args};

/// A host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// Type and key, as ssh has them.
    pub line: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    pub trusted_by: String,
    pub trusted_at: DateTime<Utc>,
}

/// The keys of a server.
pub async fn keys(db: &Db, host: &str, port: u16) -> Result<Vec<TrustedKey>, Error> {
    static KEYS: Sql = Sql::both(
        "SELECT line, fingerprint, trusted_by, trusted_at FROM nas_host_keys \
         WHERE host = $1 AND port = $2 ORDER BY line",
    );
    let rows = db.read(&KEYS, args![host, i64::from(port)]).await?;
    let read = |row: &db::Row| {
        Ok(TrustedKey {
            line: row.get("line")?,
            fingerprint: row.get("fingerprint")?,
            trusted_by: row.get("trusted_by")?,
            trusted_at: row.get("trusted_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Trusts these keys, line and fingerprint, and no others.
pub async fn trust_in(
    tx: &mut Tx,
    host: &str,
    port: u16,
    keys: &[(String, String)],
    by: &str,
) -> Result<(), Error> {
    static FORGET: Sql = Sql::both("DELETE FROM nas_host_keys WHERE host = $1 AND port = $2");
    static TRUST: Sql = Sql::both(
        "INSERT INTO nas_host_keys (host, port, line, fingerprint, trusted_by, trusted_at) \
         VALUES ($1, $2, $3, $4, $5, {now})",
    );
    let port = i64::from(port);
    tx.execute(&FORGET, args![host, port]).await?;
    for (line, fingerprint) in keys {
        tx.execute(&TRUST, args![host, port, line, fingerprint, by]).await?;
    }
    Ok(())
}
