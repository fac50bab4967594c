//! Sends documents to the file server: source 001's `sync/run` and `sync/document/{id}`.
//!
//! Safe to run twice: rsync sends nothing that is already there, a document is marked only after
//! the file server proved that it has it, and marking twice changes a time stamp (C-27).

mod books;
mod run;
mod site;

use crate::connectors::nas::NOT_CONFIGURED;
use crate::{Context, Failure, Hold, Job, Unique};
use db::Db;
use queue::JobRow;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Documents whose outcome the result names one by one; all are counted.
pub const NAMED: usize = 1_000;

/// The one reason for which transfers are held.
const HELD: &str = "the disk of the NAS is full";

/// Which documents to send.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferToNas {
    /// These; absent: all that are pending when the job runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<Vec<i64>>,
    /// Whose pending documents: a key's id. Absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewer: Option<String>,
    /// One document that somebody asked for: sent with the options of R-001-31. Others that were
    /// asked for one by one meanwhile may travel along, with the options of many.
    #[serde(default)]
    pub single: bool,
}

/// The job's result, and, in its checkpoint, how far it has come: the four members of R-001-24.
/// The job's `progress` counts bytes, not documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Documents to send.
    pub total: u64,
    /// Documents that are on the file server, proven.
    pub synced: u64,
    /// Documents that are not.
    pub failed: u64,
    /// One per failed document: `Document 42: Fichier source introuvable` (R-001-25).
    pub errors: Vec<String>,
    /// The first [`NAMED`] documents that have an outcome.
    #[serde(default)]
    pub documents: Vec<Sent>,
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its id.
    pub id: i64,
    /// Whether it is on the file server.
    pub ok: bool,
    /// Why not; empty if it is on the file server.
    pub message: String,
}

impl Report {
    /// What a job of this kind has to show: its result, else how far it has come by now.
    pub fn of(job: &JobRow) -> Self {
        let text = job.result.as_deref().or(job.checkpoint.as_deref());
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

impl Job for TransferToNas {
    const KIND: &'static str = "transfer_to_nas";
    const QUEUE: &'static str = "nas";
    const TIMEOUT: Duration = Duration::from_secs(24 * 3_600);

    /// A second run of the same pending documents joins the first (C-23).
    fn unique(&self) -> Unique {
        match (&self.documents, &self.viewer) {
            (None, None) => Unique::WhileAlive("pending".to_owned()),
            (None, Some(viewer)) => Unique::WhileAlive(format!("pending:{viewer}")),
            (Some(_), _) => Unique::No,
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let documents = self.documents.iter().flatten().take(16);
        documents.map(|id| ("document", id.to_string())).collect()
    }

    async fn held(db: &Db) -> Result<Option<Hold>, db::Error> {
        let held = records::nas::held(db).await?;
        Ok(held.map(|(since, until)| Hold { reason: HELD.to_owned(), since, until }))
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let Some(target) = cx.services.nas.target().cloned() else {
            return Err(Failure::permanent(NOT_CONFIGURED));
        };
        run::Run::new(cx, self, target).finish().await
    }
}
