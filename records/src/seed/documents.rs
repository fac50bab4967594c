//! Documents of a seed file. Their files are there already, or come later: what a file holds is
//! noted when it is seen, and a document whose file has changed is to be sent again.

use super::read::{Document, File, Placed};
use crate::documents::files::{self, Content};
use crate::documents::{NasName, nas_name};
use db::{Dialect, Error, Sql, Tx, args};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What each file holds, as far as there is one.
pub(super) fn contents(
    documents: &[Placed<Document>],
    uploads: Option<&Path>,
    errors: &mut Vec<String>,
) -> Vec<Option<Content>> {
    let mut contents = Vec::with_capacity(documents.len());
    for Placed { index, row } in documents {
        let content = uploads.map_or(Ok(None), |uploads| files::content(uploads, &row.path));
        contents.push(content.unwrap_or_else(|error| {
            // A wrong path has been told already.
            if crate::documents::stored_path(&row.path).is_ok() {
                errors.push(format!("documents[{index}].fichier: {error}"));
            }
            None
        }));
    }
    contents
}

/// Documents that are there, as far as they matter here.
#[derive(Default)]
struct Present {
    path_of: HashMap<i64, (String, NasName)>,
    id_of_path: HashMap<String, i64>,
    id_of_name: HashMap<String, i64>,
}

/// Tells what does not fit the rows that are there; returns each document's name at the
/// destination, which no other has (C-24).
pub(super) async fn check(
    tx: &mut Tx,
    file: &File,
    errors: &mut Vec<String>,
) -> Result<Vec<NasName>, Error> {
    let keys = known_keys(tx, file).await?;
    let mut present = present(tx, &file.documents).await?;
    let mut names = Vec::with_capacity(file.documents.len());
    for Placed { index, row } in &file.documents {
        let Document { id, path, owner, .. } = row;
        if let Some(owner) = owner.as_ref().filter(|owner| !keys.contains(*owner)) {
            errors.push(format!("documents[{index}].proprietaire: no key has the id {owner}"));
        }
        if let Some(other) = present.id_of_path.get(path).filter(|other| *other != id) {
            errors.push(format!("documents[{index}].fichier: document {other} has this file"));
        }
        let name = match present.path_of.get(id) {
            Some((known, name)) if known == path => name.clone(),
            _ => free_name(&present, row),
        };
        if present.id_of_name.get(&name.folded).is_some_and(|other| other != id) {
            let what = "its name at the destination is another document's";
            errors.push(format!("documents[{index}].fichier: {what}"));
        }
        present.id_of_name.insert(name.folded.clone(), *id);
        names.push(name);
    }
    Ok(names)
}

fn free_name(present: &Present, row: &Document) -> NasName {
    let name = nas_name(&row.path);
    match present.id_of_name.get(&name.folded) {
        Some(other) if *other != row.id => name.with_id(row.id),
        _ => name,
    }
}

async fn present(tx: &mut Tx, documents: &[Placed<Document>]) -> Result<Present, Error> {
    static PRESENT: Sql = Sql::both(
        "SELECT id, nom_stocke, nom_nas, nom_nas_plie FROM documents \
         WHERE id = ANY($1) OR nom_stocke = ANY($2) OR nom_nas_plie = ANY($3)",
    );
    let rows = || documents.iter().map(|document| &document.row);
    let ids: Vec<i64> = rows().map(|row| row.id).collect();
    let paths: Vec<String> = rows().map(|row| row.path.clone()).collect();
    let names = rows().flat_map(|row| {
        let name = nas_name(&row.path);
        [name.with_id(row.id).folded, name.folded]
    });
    let names: Vec<String> = names.collect();
    let mut present = Present::default();
    for row in tx.rows(&PRESENT, args![ids, paths, names]).await? {
        let (id, path): (i64, String) = (row.get("id")?, row.get("nom_stocke")?);
        let name = NasName { name: row.get("nom_nas")?, folded: row.get("nom_nas_plie")? };
        present.id_of_path.insert(path.clone(), id);
        present.id_of_name.insert(name.folded.clone(), id);
        present.path_of.insert(id, (path, name));
    }
    Ok(present)
}

async fn known_keys(tx: &mut Tx, file: &File) -> Result<HashSet<String>, Error> {
    static KEYS: Sql = Sql::both("SELECT id FROM cles_api WHERE id = ANY($1)");
    let asked: Vec<String> =
        file.documents.iter().filter_map(|document| document.row.owner.clone()).collect();
    let mut keys: HashSet<String> = file.keys.iter().map(|key| key.row.id.clone()).collect();
    for row in tx.rows(&KEYS, args![asked]).await? {
        keys.insert(row.get("id")?);
    }
    Ok(keys)
}

/// Writes documents that have been checked.
pub(super) async fn write(
    tx: &mut Tx,
    documents: &[Placed<Document>],
    contents: &[Option<Content>],
    names: &[NasName],
) -> Result<(), Error> {
    // PostgreSQL counts ids by itself, and does not see those that are given.
    static COUNT_ON: Sql = Sql::each(
        "SELECT setval(pg_get_serial_sequence('documents', 'id'), \
         GREATEST($1::bigint, (SELECT last_value FROM documents_id_seq)))",
        "SELECT 1",
    );
    static DOCUMENT: Sql = Sql::both(
        "INSERT INTO documents (id, nom_stocke, nom_original, nom_nas, nom_nas_plie, taille, \
         sha256, proprietaire, cree_le) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {now}) \
         ON CONFLICT (id) DO UPDATE SET nom_stocke = excluded.nom_stocke, \
         nom_original = excluded.nom_original, nom_nas = excluded.nom_nas, \
         nom_nas_plie = excluded.nom_nas_plie, proprietaire = excluded.proprietaire, \
         taille = CASE WHEN documents.nom_stocke = excluded.nom_stocke \
         THEN COALESCE(excluded.taille, documents.taille) ELSE excluded.taille END, \
         sha256 = CASE WHEN documents.nom_stocke = excluded.nom_stocke \
         THEN COALESCE(excluded.sha256, documents.sha256) ELSE excluded.sha256 END, \
         synced_to_nas = documents.synced_to_nas AND documents.nom_stocke = excluded.nom_stocke \
         AND COALESCE(excluded.sha256 IS NULL OR documents.sha256 = excluded.sha256, FALSE)",
    );
    let Some(last) = documents.iter().map(|document| document.row.id).max() else { return Ok(()) };
    if tx.dialect() == Dialect::Postgres {
        tx.rows(&COUNT_ON, args![last]).await?;
    }
    for ((Placed { row, .. }, content), nas) in documents.iter().zip(contents).zip(names) {
        let (taille, sha256) = match content {
            Some(content) => (Some(content.taille), Some(content.sha256.as_str())),
            None => (None, None),
        };
        let Document { id, path, name, owner } = row;
        let owner = owner.as_deref();
        let values = args![*id, path, name, &nas.name, &nas.folded, taille, sha256, owner];
        tx.execute(&DOCUMENT, values).await?;
    }
    Ok(())
}
