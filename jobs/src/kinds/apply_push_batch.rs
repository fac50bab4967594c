//! Applies one batch that a local server pushed: source 000's `sync/push`.
//!
//! Safe to run twice: effects, answer and end are one transaction that only the job's holder can
//! commit. An atomic batch is one transaction; otherwise each committed chunk keeps its outcomes,
//! and a second attempt starts after the last one.

use super::apply_sales_batch::trial::{Step, Trial};
use crate::{Context, Failure, Job, RetryPolicy};
use chrono::{DateTime, Utc};
use db::failpoint;
use queue::Progress;
use records::push::{
    Batch, ClockOffset, EntityResult, Mode, OnConflict, Origin, PushResult, Strategies,
    apply_atomic, apply_each, batches, scope,
};
use records::ventes::chunks;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;
use uuid::Uuid;

/// Entities per transaction, unless the batch is atomic (`Trial` counts in the same chunks).
const CHUNK: usize = 100;

/// One request of one site.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyPushBatch {
    /// The site, and its lane: from its key, never from the body.
    pub site_id: i64,
    /// What the site calls the batch.
    pub batch_id: Uuid,
    /// Whether its entities stand and fall together.
    pub mode: Mode,
    /// What a conflict means for it.
    pub on_conflict: OnConflict,
    /// When the request was received: the server's time of every decision.
    pub recue_le: DateTime<Utc>,
    /// How wrong the site's clock is, in milliseconds, if it said what time it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decalage: Option<ClockOffset>,
    /// What is done about conflicts: as configured when it was accepted, so that every attempt, by
    /// whichever worker, decides alike (I-19). Absent: what nobody configured.
    #[serde(default, skip_serializing_if = "Strategies::is_standard")]
    pub strategies: Strategies,
    /// Every entity exactly as it was sent.
    pub entites: Vec<Box<RawValue>>,
}

impl ApplyPushBatch {
    /// The job for `batch` of `site`.
    pub fn new(
        site: i64,
        batch: Batch,
        recue_le: DateTime<Utc>,
        decalage: Option<ClockOffset>,
        strategies: &Strategies,
    ) -> Self {
        Self {
            site_id: site,
            batch_id: batch.batch_id,
            mode: batch.mode,
            on_conflict: batch.on_conflict,
            recue_le,
            decalage,
            strategies: strategies.clone(),
            entites: batch.entities,
        }
    }

    fn origin(&self, cx: &Context) -> Origin {
        Origin {
            site: self.site_id,
            job: cx.job.ticket.id,
            received: self.recue_le,
            offset: self.decalage,
            strategies: self.strategies.clone(),
        }
    }

    /// One transaction, whatever becomes of it (R-000-14).
    async fn apply_whole(&self, cx: &Context) -> Result<(), Failure> {
        let mut tx = cx.db().begin().await?;
        let total = count(self.entites.len());
        scope(&mut tx, self.site_id).await?;
        let origin = self.origin(cx);
        let results = apply_atomic(&mut tx, &origin, self.on_conflict, &self.entites).await?;
        let result = PushResult::of(self.batch_id, self.mode, self.on_conflict, results);
        failpoint::at("commit").await?;
        batches::set_answer(&mut tx, self.site_id, &result).await?;
        cx.finish_in(&mut tx, Some(Progress { done: total, total }), &result).await?;
        tx.commit().await?;
        failpoint::at("committed").await?;
        self.log(&result);
        Ok(())
    }

    /// Applies and commits the next entities; true if they were the last.
    async fn apply_chunk(
        &self,
        cx: &Context,
        done: &mut Vec<EntityResult>,
        step: Step,
    ) -> Result<bool, Failure> {
        let (first, total) = (done.len(), self.entites.len());
        let end = total.min(match step {
            Step::Apply(entities) => first + entities,
            Step::SetAside => first + 1,
        });
        let entities = &self.entites[first..end];
        let mut tx = cx.db().begin().await?;
        // Seen by others once this transaction has committed, and true by then.
        let progress = Progress { done: count(end), total: count(total) };
        if end < total {
            cx.hold_in(&mut tx, Some(progress)).await?;
        }
        scope(&mut tx, self.site_id).await?;
        let applied = match step {
            Step::SetAside => vec![EntityResult::poison(first, &entities[0])],
            Step::Apply(_) => {
                apply_each(&mut tx, &self.origin(cx), self.on_conflict, first, entities).await?
            }
        };
        failpoint::at("commit").await?;
        if end < total {
            chunks::save(&mut tx, cx.job.ticket.id, first, &applied).await?;
            done.extend(applied);
            tx.commit().await?;
            failpoint::at("committed").await?;
            return Ok(false);
        }
        if first > 0 {
            chunks::clear(&mut tx, cx.job.ticket.id).await?;
        }
        done.extend(applied);
        let results = std::mem::take(done);
        let result = PushResult::of(self.batch_id, self.mode, self.on_conflict, results);
        batches::set_answer(&mut tx, self.site_id, &result).await?;
        cx.finish_in(&mut tx, Some(progress), &result).await?;
        tx.commit().await?;
        failpoint::at("committed").await?;
        self.log(&result);
        Ok(true)
    }

    /// An entity that kills whoever applies it is found and left out (D-17).
    async fn apply_one_by_one(&self, cx: &Context) -> Result<(), Failure> {
        // Only a batch of several chunks can have left some behind.
        let resumable =
            self.entites.len() > CHUNK || cx.job.crashes > 0 || cx.job.checkpoint.is_some();
        let mut done = match resumable {
            true => chunks::load(cx.db(), cx.job.ticket.id).await?,
            false => Vec::new(),
        };
        let mut trial = Trial::resume(cx, done.len());
        loop {
            let step = trial.step(cx, done.len()).await?;
            if self.apply_chunk(cx, &mut done, step).await? {
                return Ok(());
            }
            if cx.cancelled.is_cancelled() {
                return Err(Failure::Snooze(Duration::ZERO));
            }
        }
    }

    fn log(&self, result: &PushResult) {
        let (site, batch, status) = (self.site_id, self.batch_id, result.status.as_str());
        let summary = &result.summary;
        tracing::info!(
            site.id = site,
            batch.id = %batch,
            batch.status = status,
            entities.count = summary.total,
            entities.failed = summary.failed,
            conflicts.count = summary.conflicts,
            "a pushed batch was applied"
        );
    }
}

fn count(entities: usize) -> u64 {
    u64::try_from(entities).unwrap_or(u64::MAX)
}

impl Job for ApplyPushBatch {
    const KIND: &'static str = "apply_push_batch";
    const QUEUE: &'static str = "records";
    /// About a day of retries (D-14).
    const MAX_ATTEMPTS: u32 = 300;
    const RETRY: RetryPolicy =
        RetryPolicy::new(Duration::from_millis(500), Duration::from_secs(300));

    /// Batches of one site are applied in the order they were accepted (D-16).
    fn lane(&self) -> Option<String> {
        Some(format!("site:{}", self.site_id))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("batch_id", self.batch_id.to_string())]
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        match self.mode {
            Mode::Atomic => self.apply_whole(cx).await,
            Mode::PerEntity => self.apply_one_by_one(cx).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ApplyPushBatch;
    use crate::{Catalog, Job};
    use records::push::{Batch, Strategies};

    #[test]
    fn a_payload_keeps_every_entity_as_it_was_sent() {
        let entity = r#"{"id" : "x", "data":{"quantite":1.50}}"#;
        let body = format!(
            r#"{{"batch_id":"018f0000-0000-7000-8000-000000000001","schema_version":1,"entities":[{entity}]}}"#
        );
        let batch = Batch::parse(body.as_bytes()).expect("a batch");
        let received = "2026-11-20T10:00:00Z".parse().expect("an instant");
        let new = ApplyPushBatch::new(7, batch, received, None, &Strategies::default()).into_new();
        assert!(!new.payload.contains("strategies"), "{}", new.payload);
        assert!(new.payload.contains(entity), "{}", new.payload);
        assert_eq!(new.lane.as_deref(), Some("site:7"));
        let read: ApplyPushBatch = serde_json::from_str(&new.payload).expect("its own payload");
        assert_eq!(read.entites[0].get(), entity);
        assert!(Catalog::standard().get("apply_push_batch").is_ok());
    }
}
