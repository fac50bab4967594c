//! What a transfer has come to: documents with an outcome, those without, and bytes.

use super::{NAMED, Report, Sent, TransferToNas};
use crate::Context;
use chrono::{DateTime, Utc};
use queue::Progress;
use records::documents::{self, Document, Viewer};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};

/// Documents of one job; those beyond wait for the next.
const MOST: usize = 100_000;
/// Error texts that are kept; all documents are counted.
const ERRORS: usize = 10_000;
/// Documents read at once.
const PAGE: usize = 5_000;

/// What an attempt leaves to the next; the report's members come first, for those who look.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(flatten)]
    pub(super) report: Report,
    /// Documents that the next attempt leaves alone.
    settled: Vec<i64>,
    bytes: u64,
}

/// The books of one attempt.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) kept: Kept,
    /// Documents without an outcome.
    pub(super) open: VecDeque<i64>,
    /// Bytes of those.
    sizes: HashMap<i64, u64>,
    /// Documents that changed while they were sent, once.
    again: HashSet<i64>,
    /// Whether the documents are listed in the payload: what is done is not seen by looking.
    is_list: bool,
    total: u64,
}

impl Books {
    /// Opens the books: everything that has no outcome yet. Most of many small jobs have none to
    /// open: their documents travelled along with another's.
    pub(super) async fn open(cx: &Context, job: &TransferToNas) -> Result<Self, db::Error> {
        let kept: Kept = cx.resume().unwrap_or_default();
        let ids = match &job.documents {
            Some(ids) => ids.clone(),
            None => {
                let viewer = Viewer::of(job.viewer.clone());
                records::nas::pending(cx.db(), &viewer, MOST).await?
            }
        };
        let mut seen: HashSet<i64> = kept.settled.iter().copied().collect();
        let open: VecDeque<i64> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
        let mut books = Self { kept, open, is_list: job.documents.is_some(), ..Self::default() };
        let ids: Vec<i64> = books.open.iter().copied().collect();
        let mut done = HashSet::new();
        for page in ids.chunks(PAGE) {
            let known = documents::by_ids(cx.db(), page).await?;
            let size = |bytes: Option<i64>| bytes.and_then(|bytes| bytes.try_into().ok());
            done.extend(books.done_by_others(&known, cx.job.created_at));
            let sizes = known.iter().map(|one| (one.id, size(one.taille).unwrap_or(0)));
            books.sizes.extend(sizes);
        }
        let report = &mut books.kept.report;
        report.total = report.synced + report.failed + count(ids.len());
        books.total = books.kept.bytes + books.sizes.values().sum::<u64>();
        books.settle_all(&done);
        Ok(books)
    }

    /// Those of the listed documents that travelled along with another job since this one was put
    /// in.
    pub(super) fn done_by_others(&self, known: &[Document], since: DateTime<Utc>) -> HashSet<i64> {
        let is_done = |one: &&Document| one.synced_to_nas && one.synced_at >= Some(since);
        known.iter().filter(|_| self.is_list).filter(is_done).map(|one| one.id).collect()
    }

    /// These are on the file server.
    pub(super) fn settle_all(&mut self, done: &HashSet<i64>) {
        self.open.retain(|id| !done.contains(id));
        done.iter().for_each(|id| self.settle(*id, Ok(())));
    }

    /// Whether a document has no outcome.
    pub(super) fn is_open(&self, id: i64) -> bool {
        self.sizes.contains_key(&id)
    }

    /// A document has come to an end.
    pub(super) fn settle(&mut self, id: i64, outcome: Result<(), &str>) {
        let Kept { report, settled, bytes } = &mut self.kept;
        *bytes += self.sizes.remove(&id).unwrap_or(0);
        let message = outcome.err().unwrap_or_default();
        match outcome {
            Ok(()) => report.synced += 1,
            Err(message) => {
                report.failed += 1;
                if report.errors.len() < ERRORS {
                    // R-001-25.
                    report.errors.push(format!("Document {id}: {message}"));
                }
            }
        }
        if outcome.is_err() || self.is_list {
            settled.push(id);
        }
        if report.documents.len() < NAMED {
            let message = message.to_owned();
            report.documents.push(Sent { id, ok: outcome.is_ok(), message });
        }
    }

    /// Whether a document that changed is to be tried once more.
    pub(super) fn try_again(&mut self, id: i64) -> bool {
        let is_first = self.again.insert(id);
        if is_first {
            self.open.push_back(id);
        }
        is_first
    }

    /// Whatever has no outcome fails for the same reason.
    pub(super) fn fail_rest(&mut self, message: &str) {
        for id in std::mem::take(&mut self.open) {
            self.settle(id, Err(message));
        }
    }

    /// Bytes, with those that are on their way.
    pub(super) fn progress(&self, under_way: u64) -> Progress {
        let done = self.kept.bytes + under_way;
        Progress { done, total: self.total.max(done) }
    }

    /// As the next attempt reads it.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.kept).expect("a checkpoint is plain data")
    }
}

fn count(documents: usize) -> u64 {
    u64::try_from(documents).unwrap_or(u64::MAX)
}
