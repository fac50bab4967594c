//! The file server of source 001: the host keys that are trusted, the slots of transfers that run
//! at once, and what is known to be wrong. All workers share them.

mod keys;
mod slots;
mod troubles;

pub use keys::{TrustedKey, keys, trust_in};
pub use slots::{free_slot_in, take_slot};
pub use troubles::{Trouble, clear_in, held, hold, note, since};

use crate::documents::Viewer;
use chrono::{DateTime, Utc};
use db::{Db, Error, Sql, args};

/// The store's time, by which the hours of transfers are judged.
pub async fn now(db: &Db) -> Result<DateTime<Utc>, Error> {
    static NOW: Sql = Sql::both("SELECT {now} AS moment");
    db.read_one(&NOW, args![]).await?.expect("there is always a time").get("moment")
}

/// Documents that were asked for by themselves and that nobody is sending, the longest waiting
/// first, and since when; whose they are was asked before.
pub async fn requested(db: &Db, limit: u32) -> Result<Vec<(i64, DateTime<Utc>)>, Error> {
    static REQUESTED: Sql = Sql::both(
        "SELECT id, demande_le FROM documents WHERE demande_le IS NOT NULL \
         AND (transfert_jusque IS NULL OR transfert_jusque <= {now}) ORDER BY demande_le LIMIT $1",
    );
    let rows = db.read(&REQUESTED, args![i64::from(limit)]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("demande_le")?))).collect()
}

/// Every pending document that `viewer` sees, at most `limit`.
pub async fn pending(db: &Db, viewer: &Viewer, limit: usize) -> Result<Vec<i64>, Error> {
    const PAGE: u32 = 10_000;
    let (mut ids, mut after) = (Vec::new(), i64::MIN);
    while ids.len() < limit {
        let page = crate::documents::pending_ids(db, viewer, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        ids.extend(page);
    }
    ids.truncate(limit);
    Ok(ids)
}
