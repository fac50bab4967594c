//! What becomes of a batch: marks, texts, a second try, or a wait.

use super::{Batch, Run, save};
use crate::Failure;
use crate::connectors::nas::{CHANGED, Code, Delivery, Error, Outcome, Stage, alert_changed_key};
use crate::kinds::transfer_to_nas::books::Books;
use records::documents::{self, Sent};
use std::collections::HashSet;
use std::time::Duration;

/// A full disk is left alone this long at first, then ever longer.
const FULL: Duration = Duration::from_secs(5);
const FULL_MOST: Duration = Duration::from_secs(300);
/// So many connections may break, one after the other, though something came through each.
const BROKEN: u32 = 6;
/// Before the next connection, longer each time: 12.6 s in all.
const AGAIN: Duration = Duration::from_millis(200);

impl Run<'_> {
    /// Marks what is proven, in one transaction with the job's checkpoint (R-001-34, I-25).
    pub(super) async fn record(
        &mut self,
        batch: &Batch,
        stage: &Stage,
        delivery: Delivery,
        books: &mut Books,
    ) -> Result<(), Failure> {
        let mut sent = Vec::new();
        let mut bad: Vec<(i64, String)> = Vec::new();
        // What an earlier run proved may have been overwritten with something else.
        let mut doubted: Vec<i64> = Vec::new();
        bad.extend(stage.refused.iter().map(|(id, why)| (*id, (*why).to_owned())));
        let is_held = delivery.error.is_some();
        for (id, outcome) in delivery.outcomes {
            let is_doubted = match &outcome {
                Outcome::Changed => true,
                Outcome::Missing(_) => !is_held,
                Outcome::There { .. } | Outcome::Unknown => false,
            };
            doubted.extend(is_doubted.then_some(id));
            match outcome {
                Outcome::There { sha256, size } => {
                    let taille = i64::try_from(size).unwrap_or(i64::MAX);
                    sent.push(Sent { id, sha256, taille });
                }
                Outcome::Unknown => bad.push((id, CHANGED.to_owned())),
                Outcome::Changed if !batch.own.contains(&id) || books.try_again(id) => {}
                Outcome::Changed => bad.push((id, CHANGED.to_owned())),
                // It shares the fate of the rest.
                Outcome::Missing(_) if is_held && batch.own.contains(&id) => {
                    books.open.push_front(id);
                }
                Outcome::Missing(why) => bad.push((id, why)),
            }
        }
        let mut tx = self.cx.db().begin().await?;
        self.cx.hold_in(&mut tx, None).await?;
        let marked = documents::mark_synced_in(&mut tx, &sent).await?;
        let marked: HashSet<i64> = marked.into_iter().collect();
        // The record knows another file under that id by now.
        let others = sent.iter().map(|one| one.id).filter(|id| !marked.contains(id));
        let others: Vec<i64> = others.collect();
        bad.extend(others.iter().map(|id| (*id, CHANGED.to_owned())));
        doubted.extend(others);
        documents::doubt_in(&mut tx, &doubted).await?;
        let failed: Vec<i64> = bad.iter().map(|(id, _)| *id).collect();
        documents::answer_in(&mut tx, &failed).await?;
        marked.iter().filter(|id| batch.own.contains(id)).for_each(|id| books.settle(*id, Ok(())));
        for (id, why) in bad.iter().filter(|(id, _)| batch.own.contains(id)) {
            books.settle(*id, Err(why));
        }
        if !is_held {
            records::nas::clear_in(&mut tx, self.site.at()).await?;
        }
        let (engine, ticket) = (&self.cx.services.engine, self.cx.job.ticket);
        engine.hold_in(&mut tx, ticket, &save(books)).await?;
        tx.commit().await?;
        self.nas.settle();
        Ok(())
    }

    /// What becomes of the rest when the whole server fails.
    pub(super) async fn trouble(
        &mut self,
        error: Error,
        batch: &Batch,
        books: &mut Books,
    ) -> Result<(), Failure> {
        // Those of this batch that have no outcome yet.
        let settled: HashSet<i64> = books.open.iter().copied().collect();
        let lost = batch.own.iter().filter(|id| books.is_open(**id) && !settled.contains(id));
        let mut lost: Vec<i64> = lost.copied().collect();
        // As they came: the first is put in front last.
        lost.sort_unstable_by(|a, b| b.cmp(a));
        lost.into_iter().for_each(|id| books.open.push_front(id));
        if error.code == Code::DiskFull {
            return self.hold(&error, books).await;
        }
        if let Some(session) = self.session.take() {
            session.kill();
        }
        if error.code == Code::Lost && std::mem::take(&mut self.has_moved) && self.broken < BROKEN {
            self.cx.log("the connection broke; making another one");
            self.pause(AGAIN * (1 << self.broken)).await?;
            self.broken += 1;
            return Ok(());
        }
        match error.code {
            Code::HostKeyChanged => alert_changed_key(),
            code => tracing::warn!(nas.code = code.as_str(), "{error}"),
        }
        let (code, text) = (error.code.as_str(), error.to_string());
        records::nas::note(self.cx.db(), self.site.at(), code, &text).await?;
        books.fail_rest(&text);
        Ok(())
    }

    /// A full disk: everybody waits, somebody is told once, and what is left is tried again.
    async fn hold(&mut self, error: &Error, books: &Books) -> Result<(), Failure> {
        self.keep(books).await?;
        let (db, at) = (self.cx.db(), self.site.at());
        let before = records::nas::since(db, at, self.cx.job.created_at).await?;
        let code = error.code.as_str();
        let times = before.filter(|before| before.code == code).map_or(0, |before| before.times);
        if times == 0 {
            tracing::error!(alert = "nas_disk_full", "no room is left on the file server");
        }
        let wait = FULL.saturating_mul(1 << times.min(8)).min(FULL_MOST);
        records::nas::hold(db, at, code, &error.to_string(), wait).await?;
        self.cx.log(format!("{error}; again in {} s", wait.as_secs()));
        Err(Failure::Snooze(wait))
    }
}
