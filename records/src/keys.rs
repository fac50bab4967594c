//! API keys: `<id>.<secret>`, of which only a hash is kept.

mod make;

pub use make::{KeyError, Listed, NewKey, create, list, revoke};

use crate::digest::sha256;
use db::{Db, Error, Sql, args};
use subtle::ConstantTimeEq;

/// What a key may be allowed.
pub const SCOPES: [&str; 5] = ["jobs:read", "jobs:write", "admin", PUSH, "nas"];
/// What the keys of sites are for (D-30).
pub const PUSH: &str = "sync:push";
/// Live keys of one site, at the most: one in use, one to change to.
pub const KEYS_PER_SITE: usize = 2;

/// A key that is valid, and what it may be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: String,
    pub nom: String,
    /// Scopes, such as `jobs:read`.
    pub portees: Vec<String>,
    /// The site whose key it is; all that it does is that site's.
    pub site_id: Option<i64>,
}

impl ApiKey {
    pub fn may(&self, scope: &str) -> bool {
        self.portees.iter().any(|held| held == scope)
    }
}

static FIND: Sql = Sql::both(
    "SELECT id, nom, empreinte, portees, site_id FROM cles_api WHERE id = $1 \
     AND revoquee_le IS NULL AND (expire_le IS NULL OR expire_le > {now})",
);

/// The key that `presented` proves to hold; unknown, revoked, expired and wrong are all `None`.
pub async fn find(db: &Db, presented: &str) -> Result<Option<ApiKey>, Error> {
    let Some((id, _)) = presented.split_once('.').filter(|(id, _)| is_id(id)) else {
        return Ok(None);
    };
    let Some(row) = db.read_one(&FIND, args![id]).await? else { return Ok(None) };
    let expected: Vec<u8> = row.get("empreinte")?;
    if !bool::from(sha256(presented).ct_eq(&expected)) {
        return Ok(None);
    }
    let scopes: String = row.get("portees")?;
    Ok(Some(ApiKey {
        id: row.get("id")?,
        nom: row.get("nom")?,
        portees: scopes.split_whitespace().map(str::to_owned).collect(),
        site_id: row.get("site_id")?,
    }))
}

/// Whether a text may be the public half of a key.
pub(crate) fn is_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}
