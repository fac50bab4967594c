//! What a transfer reads and writes. A job *claims* the documents that it sends, so that no other
//! one sends them at the same time; a claim ends by itself, so that one that died keeps none.

use super::{Document, Viewer, columns, read};
use db::{Db, Dialect, Error, Sql, Tx, args};
use std::time::Duration;
use uuid::Uuid;

/// A document whose arrival on the NAS was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub id: i64,
    /// Of the bytes that were sent: 64 hexadecimal digits.
    pub sha256: String,
    pub taille: i64,
}

/// Ids above `after` of documents that `viewer` sees and that are not on the NAS yet, ascending.
pub async fn pending_ids(
    db: &Db,
    viewer: &Viewer,
    after: i64,
    limit: u32,
) -> Result<Vec<i64>, Error> {
    static ALL: Sql = Sql::both(
        "SELECT id FROM documents WHERE NOT synced_to_nas AND id > $1 ORDER BY id LIMIT $2",
    );
    static THEIRS: Sql = Sql::both(
        "SELECT * FROM (SELECT id FROM documents WHERE NOT synced_to_nas AND proprietaire = $3 \
         AND id > $1 ORDER BY id LIMIT $2) AS own UNION ALL SELECT * FROM (SELECT id \
         FROM documents WHERE NOT synced_to_nas AND proprietaire IS NULL AND id > $1 \
         ORDER BY id LIMIT $2) AS shared ORDER BY id LIMIT $2",
    );
    let limit = i64::from(limit);
    let rows = match viewer.key() {
        None => db.read(&ALL, args![after, limit]).await?,
        Some(key) => db.read(&THEIRS, args![after, limit, key]).await?,
    };
    rows.iter().map(|row| row.get("id")).collect()
}

/// The documents of these ids, ascending; whose they are was asked before.
pub async fn by_ids(db: &Db, ids: &[i64]) -> Result<Vec<Document>, Error> {
    static BY_IDS: Sql =
        Sql::both(concat!("SELECT ", columns!(), " FROM documents WHERE id = ANY($1) ORDER BY id"));
    db.read(&BY_IDS, args![ids.to_vec()]).await?.iter().map(read).collect()
}

/// Whether at least one of `ids` is sent by no other job than `job`.
pub async fn is_any_free(db: &Db, ids: &[i64], job: Uuid) -> Result<bool, Error> {
    static FREE: Sql = Sql::both(
        "SELECT id FROM documents WHERE id = ANY($1) AND (transfert_job IS NULL \
         OR transfert_job = $2 OR transfert_jusque <= {now}) LIMIT 1",
    );
    Ok(db.read_one(&FREE, args![ids.to_vec(), job]).await?.is_some())
}

/// Takes those of `ids` that no other job is sending, for `hold` from now; returns the ids taken.
/// A job that takes what it has already keeps it for longer.
pub async fn claim_in(
    tx: &mut Tx,
    ids: &[i64],
    job: Uuid,
    hold: Duration,
) -> Result<Vec<i64>, Error> {
    // Locked in one order, so that two claims never wait for each other.
    static LOCK: Sql = Sql::both(
        "SELECT id FROM documents WHERE id = ANY($1) AND (transfert_job IS NULL \
         OR transfert_job = $2 OR transfert_jusque <= {now}) ORDER BY id {lock}",
    );
    static CLAIM: Sql = Sql::both(
        "UPDATE documents SET transfert_job = $2, transfert_jusque = {after $3} \
         WHERE id = ANY($1)",
    );
    let rows = tx.rows(&LOCK, args![ids.to_vec(), job]).await?;
    let free = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<i64>, _>>()?;
    let hold = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    tx.execute(&CLAIM, args![free.clone(), job, hold]).await?;
    Ok(free)
}

/// Gives back whatever `job` still has.
pub async fn release_in(tx: &mut Tx, job: Uuid) -> Result<(), Error> {
    static RELEASE: Sql = Sql::both(
        "UPDATE documents SET transfert_job = NULL, transfert_jusque = NULL \
         WHERE transfert_job = $1",
    );
    tx.execute(&RELEASE, args![job]).await.map(drop)
}

/// Gives back these, as far as `job` has them.
pub async fn release_some_in(tx: &mut Tx, job: Uuid, ids: &[i64]) -> Result<(), Error> {
    static RELEASE: Sql = Sql::both(
        "UPDATE documents SET transfert_job = NULL, transfert_jusque = NULL \
         WHERE id = ANY($2) AND transfert_job = $1",
    );
    tx.execute(&RELEASE, args![job, ids.to_vec()]).await.map(drop)
}

/// Marks what was sent, but only where the file is still the one that was sent (I-25,
/// R-001-34); returns the ids that were marked. A file that was never seen before is the one sent.
pub async fn mark_synced_in(tx: &mut Tx, sent: &[Sent]) -> Result<Vec<i64>, Error> {
    static MARK: Sql = Sql::each(
        "UPDATE documents AS d SET synced_to_nas = TRUE, synced_at = {now}, demande_le = NULL, \
         sha256 = s.sha256, taille = s.taille FROM unnest($1::bigint[], $2::text[], $3::bigint[]) \
         AS s(id, sha256, taille) \
         WHERE d.id = s.id AND (d.sha256 IS NULL OR d.sha256 = s.sha256) RETURNING d.id",
        "UPDATE documents SET synced_to_nas = TRUE, synced_at = {now}, demande_le = NULL, \
         sha256 = s.sha256, taille = s.taille FROM (SELECT value ->> 0 AS id, \
         value ->> 1 AS sha256, value ->> 2 AS taille FROM json_each($1) LIMIT -1) AS s \
         WHERE documents.id = s.id AND (documents.sha256 IS NULL OR documents.sha256 = s.sha256) \
         RETURNING documents.id",
    );
    let values = match tx.dialect() {
        Dialect::Postgres => args![
            sent.iter().map(|sent| sent.id).collect::<Vec<_>>(),
            sent.iter().map(|sent| sent.sha256.clone()).collect::<Vec<_>>(),
            sent.iter().map(|sent| sent.taille).collect::<Vec<_>>(),
        ],
        Dialect::Sqlite => {
            let rows: Vec<_> = sent.iter().map(|s| (s.id, &s.sha256, s.taille)).collect();
            args![serde_json::to_string(&rows).expect("plain data")]
        }
    };
    tx.rows(&MARK, values).await?.iter().map(|row| row.get("id")).collect()
}

/// Nobody knows any more whether the NAS has these: they are pending again.
pub async fn doubt_in(tx: &mut Tx, ids: &[i64]) -> Result<(), Error> {
    static DOUBT: Sql = Sql::both(
        "UPDATE documents SET synced_to_nas = FALSE, synced_at = NULL \
         WHERE id = ANY($1) AND synced_to_nas",
    );
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute(&DOUBT, args![ids.to_vec()]).await.map(drop)
}

/// Notes that a document was asked for by itself, if `viewer` sees it; returns whether.
pub async fn request_in(tx: &mut Tx, id: i64, viewer: &Viewer) -> Result<bool, Error> {
    static REQUEST: Sql = Sql::both(
        "UPDATE documents SET demande_le = COALESCE(demande_le, {now}) WHERE id = $1 \
         AND (CAST($2 AS text) IS NULL OR proprietaire IS NULL OR proprietaire = $2)",
    );
    Ok(tx.execute(&REQUEST, args![id, viewer.value()]).await? > 0)
}

/// Whoever asked for these has been told that they could not be sent: they travel along with no
/// other until they are asked for again.
pub async fn answer_in(tx: &mut Tx, ids: &[i64]) -> Result<(), Error> {
    static ANSWER: Sql = Sql::both(
        "UPDATE documents SET demande_le = NULL WHERE id = ANY($1) AND demande_le IS NOT NULL",
    );
    if ids.is_empty() {
        return Ok(());
    }
    tx.execute(&ANSWER, args![ids.to_vec()]).await.map(drop)
}
