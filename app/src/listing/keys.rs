//! API keys and terminals as people read them.

use super::{aligned, shown, span, time};
use chrono::{DateTime, Utc};
use records::keys::Listed;
use records::ventes::Till;

/// One line per key.
pub(crate) fn keys(keys: &[Listed], now: DateTime<Utc>) -> String {
    let mut lines = vec![["ID", "SITE", "SCOPES", "STATE", "AGE", "NAME"].map(str::to_owned)];
    lines.extend(keys.iter().map(|key| {
        let state = match (key.revoquee_le, key.expire_le) {
            (Some(_), _) => "revoked".to_owned(),
            (None, Some(at)) if at <= now => "expired".to_owned(),
            (None, Some(at)) => format!("until {}", time(at)),
            (None, None) => "live".to_owned(),
        };
        [
            shown(&key.id),
            key.site_id.map_or_else(|| "-".to_owned(), |site| site.to_string()),
            key.portees.join(","),
            state,
            span(now - key.cree_le),
            shown(&key.nom),
        ]
    }));
    aligned(&lines)
}

/// One line per terminal.
pub(crate) fn terminals(tills: &[Till]) -> String {
    let mut lines = vec![["SERIAL", "SHOP", "STATE", "KEY", "NAME"].map(str::to_owned)];
    lines.extend(tills.iter().map(|till| {
        let shop = till.shop_id.map(|id| format!("{id} {}", till.shop.as_deref().unwrap_or("-")));
        [
            shown(&till.serial),
            shop.map_or_else(|| "-".to_owned(), |shop| shown(&shop)),
            if till.active { "active" } else { "inactive" }.to_owned(),
            till.paired_at.map_or_else(|| "-".to_owned(), |at| format!("since {}", time(at))),
            shown(&till.name),
        ]
    }));
    aligned(&lines)
}
