//! Rows of documents: put in, found, listed, removed.

use super::{Document, Viewer, columns, nas_name, read};
use db::{Db, Error, Sql, Tx, args};
use std::collections::HashSet;

/// A document whose file is complete.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// Made by the server; nobody else has it.
    pub nom_stocke: String,
    pub nom_original: String,
    pub taille: i64,
    pub sha256: String,
    pub proprietaire: Option<String>,
}

/// What became of a wish to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// Not there, or not theirs.
    Absent,
    /// A job is sending it.
    Busy,
    /// It was this one; its file is still there.
    Done(Box<Document>),
}

/// Puts a document in. Its name at the destination is its stored one, which is unique.
pub async fn insert_in(tx: &mut Tx, new: &NewDocument) -> Result<Document, Error> {
    static INSERT: Sql = Sql::both(concat!(
        "INSERT INTO documents (nom_stocke, nom_original, nom_nas, nom_nas_plie, taille, sha256, \
         proprietaire, cree_le) VALUES ($1, $2, $3, $4, $5, $6, $7, {now}) RETURNING ",
        columns!()
    ));
    let NewDocument { nom_stocke, nom_original, taille, sha256, proprietaire } = new;
    let nas = nas_name(nom_stocke);
    let values = args![
        nom_stocke,
        nom_original,
        &nas.name,
        &nas.folded,
        *taille,
        sha256,
        proprietaire.as_deref()
    ];
    let row = tx.row(&INSERT, values).await?;
    read(&row.expect("an insert returns its row"))
}

/// The document of that id, if `viewer` sees it.
pub async fn get(db: &Db, id: i64, viewer: &Viewer) -> Result<Option<Document>, Error> {
    static GET: Sql = Sql::both(concat!(
        "SELECT ",
        columns!(),
        " FROM documents WHERE id = $1 \
         AND (CAST($2 AS text) IS NULL OR proprietaire IS NULL OR proprietaire = $2)"
    ));
    db.read_one(&GET, args![id, viewer.value()]).await?.as_ref().map(read).transpose()
}

/// Documents that `viewer` sees with ids below `before`, the newest first.
pub async fn list(
    db: &Db,
    viewer: &Viewer,
    before: i64,
    limit: u32,
) -> Result<Vec<Document>, Error> {
    static ALL: Sql = Sql::both(concat!(
        "SELECT ",
        columns!(),
        " FROM documents WHERE id < $1 ORDER BY id DESC LIMIT $2"
    ));
    // Two short walks along one index each, not one along the ids of everybody's documents.
    static THEIRS: Sql = Sql::both(concat!(
        "SELECT * FROM (SELECT ",
        columns!(),
        " FROM documents WHERE proprietaire = $3 AND id < $1 ORDER BY id DESC LIMIT $2) AS own \
         UNION ALL SELECT * FROM (SELECT ",
        columns!(),
        " FROM documents WHERE proprietaire IS NULL AND id < $1 ORDER BY id DESC LIMIT $2) \
         AS shared ORDER BY id DESC LIMIT $2"
    ));
    let limit = i64::from(limit);
    let rows = match viewer.key() {
        None => db.read(&ALL, args![before, limit]).await?,
        Some(key) => db.read(&THEIRS, args![before, limit, key]).await?,
    };
    rows.iter().map(read).collect()
}

/// Removes the row of a document that `viewer` sees and that no job is sending just now.
pub async fn delete_in(tx: &mut Tx, id: i64, viewer: &Viewer) -> Result<Deleted, Error> {
    static FIND: Sql = Sql::both(concat!(
        "SELECT ",
        columns!(),
        ", COALESCE(transfert_jusque > {now}, FALSE) AS busy FROM documents WHERE id = $1 \
         AND (CAST($2 AS text) IS NULL OR proprietaire IS NULL OR proprietaire = $2) {lock}"
    ));
    static DELETE: Sql = Sql::both("DELETE FROM documents WHERE id = $1");
    let Some(row) = tx.row(&FIND, args![id, viewer.value()]).await? else {
        return Ok(Deleted::Absent);
    };
    if row.get("busy")? {
        return Ok(Deleted::Busy);
    }
    tx.execute(&DELETE, args![id]).await?;
    Ok(Deleted::Done(Box::new(read(&row)?)))
}

/// Which of these stored names belong to a document.
pub async fn known(db: &Db, stored: Vec<String>) -> Result<HashSet<String>, Error> {
    static KNOWN: Sql = Sql::both("SELECT nom_stocke FROM documents WHERE nom_stocke = ANY($1)");
    let rows = db.read(&KNOWN, args![stored]).await?;
    rows.iter().map(|row| row.get("nom_stocke")).collect()
}
