//! Source 001: documents that are sent to the NAS. Whose they are stands in every statement
//! (S-10): what somebody may not see is not there for them.

mod counts;
pub mod files;
mod names;
mod store;
pub mod texts;
mod transfer;

pub use counts::{Counts, counts, octets, octets_in};
pub use names::{MAX_NAME, NasName, PARTS, PROBE, extension, nas_name, original_name, stored_path};
pub use store::{Deleted, NewDocument, delete_in, get, insert_in, known, list};
pub use transfer::{
    Sent, answer_in, by_ids, claim_in, doubt_in, is_any_free, mark_synced_in, pending_ids,
    release_in, release_some_in, request_in,
};

use chrono::{DateTime, Utc};
use db::{Error, Row, Value};
use serde::{Deserialize, Serialize};

/// Whose documents somebody may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Viewer {
    /// An administrator, a schedule, or anybody where `nas.public` says so.
    Everybody,
    /// The key of that id: its own documents, and those that are nobody's.
    Key(String),
}

impl Viewer {
    /// The viewer of a job's payload: absent is everybody.
    pub fn of(key: Option<String>) -> Self {
        key.map_or(Self::Everybody, Self::Key)
    }

    /// The id of the key; `None` is everybody.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Everybody => None,
            Self::Key(id) => Some(id),
        }
    }

    /// As a statement takes it: NULL sees everything.
    fn value(&self) -> Value {
        Value::from(self.key())
    }
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: i64,
    /// Its file: a path below the uploads folder, without `..`.
    pub nom_stocke: String,
    /// What the user calls it: shown, never opened.
    pub nom_original: String,
    /// Its file name at the destination; no two documents have the same (C-24).
    pub nom_nas: String,
    /// Bytes; `None` if its file was never seen.
    pub taille: Option<i64>,
    /// 64 hexadecimal digits; `None` if its file was never seen.
    pub sha256: Option<String>,
    /// The id of a key; `None` is visible to every key.
    pub proprietaire: Option<String>,
    pub synced_to_nas: bool,
    pub synced_at: Option<DateTime<Utc>>,
    /// When it was asked for by itself, until it is sent or cannot be.
    pub demande_le: Option<DateTime<Utc>>,
    pub cree_le: DateTime<Utc>,
}

/// The columns that [`read`] reads.
macro_rules! columns {
    () => {
        "id, nom_stocke, nom_original, nom_nas, taille, sha256, proprietaire, synced_to_nas, \
         synced_at, demande_le, cree_le"
    };
}
use columns;

fn read(row: &Row) -> Result<Document, Error> {
    Ok(Document {
        id: row.get("id")?,
        nom_stocke: row.get("nom_stocke")?,
        nom_original: row.get("nom_original")?,
        nom_nas: row.get("nom_nas")?,
        taille: row.get("taille")?,
        sha256: row.get("sha256")?,
        proprietaire: row.get("proprietaire")?,
        synced_to_nas: row.get("synced_to_nas")?,
        synced_at: row.get("synced_at")?,
        demande_le: row.get("demande_le")?,
        cree_le: row.get("cree_le")?,
    })
}
