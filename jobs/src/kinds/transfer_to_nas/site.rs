//! What a transfer holds while it runs: a slot of the server and documents. Whoever dies gives
//! them up by itself, after a minute; the same job's next attempt takes them over at once.

use crate::connectors::nas::Target;
use crate::{Context, Failure};
use records::documents::{self, Document};
use records::nas;
use std::collections::HashSet;
use std::time::Duration;

/// How long a slot or a document is held unless extended.
const HOLD: Duration = Duration::from_secs(60);

/// A transfer's place at the server.
pub(super) struct Site<'a> {
    cx: &'a Context,
    target: Target,
    slot: Option<i64>,
    claimed: Vec<i64>,
    /// An earlier attempt may have died with something in its hands.
    inherits: bool,
}

impl<'a> Site<'a> {
    pub(super) fn new(cx: &'a Context, target: Target) -> Self {
        let inherits = cx.job.checkpoint.is_some();
        Self { cx, target, slot: None, claimed: Vec::new(), inherits }
    }

    /// Host and port, by which the record knows the server.
    pub(super) fn at(&self) -> (&str, u16) {
        (&self.target.host, self.target.port)
    }

    /// Whether nobody else is sending at least one of these.
    pub(super) async fn is_any_free(&self, ids: &[i64]) -> Result<bool, Failure> {
        Ok(documents::is_any_free(self.cx.db(), ids, self.cx.job.ticket.id).await?)
    }

    /// Takes those of the documents that nobody else is sending, if one of `own` is among them or
    /// there are no own; else none: whoever sends nothing of its own holds nobody up, and wakes nobody.
    pub(super) async fn claim(
        &mut self,
        ids: &[i64],
        own: &HashSet<i64>,
    ) -> Result<Vec<Document>, Failure> {
        let mut tx = self.cx.db().begin().await?;
        let claimed = documents::claim_in(&mut tx, ids, self.cx.job.ticket.id, HOLD).await?;
        if !own.is_empty() && !claimed.iter().any(|id| own.contains(id)) {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        tx.commit().await?;
        // Read after they were taken: what another job has done with them is known by now.
        let rows = documents::by_ids(self.cx.db(), &claimed).await?;
        self.claimed = claimed;
        Ok(rows)
    }

    /// Gives the others back: somebody else may send them meanwhile.
    pub(super) async fn keep_only(&mut self, ids: &HashSet<i64>) -> Result<(), Failure> {
        let (kept, rest) = self.claimed.iter().partition(|id| ids.contains(id));
        self.claimed = kept;
        let rest: Vec<i64> = rest;
        if rest.is_empty() {
            return Ok(());
        }
        let mut tx = self.cx.db().begin().await?;
        documents::release_some_in(&mut tx, self.cx.job.ticket.id, &rest).await?;
        tx.commit().await?;
        self.cx.services.nas.settle();
        Ok(())
    }

    /// Takes a slot, if one is free, or keeps the one it has.
    pub(super) async fn slot(&mut self) -> Result<bool, Failure> {
        let (job, slots) = (self.cx.job.ticket.id, self.cx.services.nas.settings().max_parallel);
        let at = (self.target.host.as_str(), self.target.port);
        self.slot = nas::take_slot(self.cx.db(), at, job, slots, self.slot, HOLD).await?;
        Ok(self.slot.is_some())
    }

    /// Keeps everything for longer.
    pub(super) async fn extend(&mut self) -> Result<(), Failure> {
        self.slot().await?;
        let mut tx = self.cx.db().begin().await?;
        let job = self.cx.job.ticket.id;
        documents::claim_in(&mut tx, &self.claimed, job, HOLD).await?;
        Ok(tx.commit().await?)
    }

    /// Gives everything back, once also what an attempt that died had taken for others. Who has
    /// nothing wakes nobody, itself included.
    pub(super) async fn leave(&mut self) -> Result<(), Failure> {
        let has_nothing = self.claimed.is_empty() && self.slot.is_none();
        if !std::mem::take(&mut self.inherits) && has_nothing {
            return Ok(());
        }
        let (mut tx, job) = (self.cx.db().begin().await?, self.cx.job.ticket.id);
        documents::release_in(&mut tx, job).await?;
        nas::free_slot_in(&mut tx, job).await?;
        tx.commit().await?;
        (self.claimed, self.slot) = (Vec::new(), None);
        self.cx.services.nas.settle();
        Ok(())
    }
}
