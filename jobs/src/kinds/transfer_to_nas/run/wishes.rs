//! Documents that were asked for by other jobs, which wait: they travel along, and their own jobs
//! find them done.

use super::{BATCH, Run};
use crate::kinds::TransferToNas;
use crate::kinds::transfer_to_nas::books::Books;
use crate::{Failure, Job};
use chrono::{DateTime, Utc};
use queue::{Filter, Page, State};
use records::documents;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Waiting jobs read at once: each has a payload.
const PAGE: usize = 200;
/// So many are worth a run of rsync: those that are asked for meanwhile are the next one's.
const ENOUGH: usize = BATCH / 10;
/// Between two looks at whether more was asked for.
const LOOK: Duration = Duration::from_millis(100);
/// How long a burst of wishes is waited for at the most.
const GATHER: Duration = Duration::from_secs(2);

/// Documents, and since when each is waited for.
pub(super) type Wishes = HashMap<i64, DateTime<Utc>>;

impl Run<'_> {
    /// The job's own documents and, if they were listed, those of others that wait. One that is
    /// alone is sent at once; while more and more are asked for, they are gathered for a moment,
    /// because a run of rsync for each would take longer than all in one.
    pub(super) async fn wishes(&self, own: &[i64]) -> Result<Wishes, Failure> {
        let start = Instant::now();
        let mut known = self.asked_for(own).await?;
        while (own.len() + 1..ENOUGH).contains(&known.len()) && start.elapsed() < GATHER {
            self.pause(LOOK).await?;
            let now = self.asked_for(own).await?;
            let has_grown = now.len() > known.len();
            known = now;
            if !has_grown {
                break;
            }
        }
        Ok(known)
    }

    /// Settles those of the listed documents that travelled along with another job meanwhile.
    pub(super) async fn settle_what_others_did(&self, books: &mut Books) -> Result<(), Failure> {
        if self.job.documents.is_none() {
            return Ok(());
        }
        let ids: Vec<i64> = books.open.iter().copied().take(BATCH).collect();
        let known = documents::by_ids(self.cx.db(), &ids).await?;
        let done = books.done_by_others(&known, self.cx.job.created_at);
        books.settle_all(&done);
        Ok(())
    }

    async fn asked_for(&self, own: &[i64]) -> Result<Wishes, Failure> {
        let since = self.cx.job.created_at;
        let mut wishes: Wishes = own.iter().map(|id| (*id, since)).collect();
        if self.job.documents.is_none() {
            return Ok(wishes);
        }
        let room = u32::try_from(BATCH).unwrap_or(u32::MAX);
        for (id, at) in records::nas::requested(self.cx.db(), room).await? {
            wishes.entry(id).or_insert(at);
        }
        // Those that wait as jobs only, put in by the generic API, come with a later run.
        if wishes.len() >= ENOUGH {
            return Ok(wishes);
        }
        let kind = Some(TransferToNas::KIND.to_owned());
        let filter = Filter { state: Some(State::Ready), kind, ..Filter::default() };
        let mut page = Page { limit: PAGE, before: None };
        while wishes.len() < BATCH {
            let listed = self.cx.services.engine.list(&filter, &page).await?;
            for row in listed.rows {
                let job = serde_json::from_str::<TransferToNas>(&row.payload).ok();
                let ids = job.and_then(|job| job.documents).unwrap_or_default();
                for id in ids.into_iter().take(BATCH) {
                    wishes.entry(id).or_insert(row.created_at);
                }
            }
            page.before = listed.next;
            if page.before.is_none() {
                break;
            }
        }
        Ok(wishes)
    }
}
