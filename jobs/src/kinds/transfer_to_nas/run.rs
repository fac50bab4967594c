//! One attempt: batch after batch, until nothing is without an outcome.

use super::TransferToNas;
use super::books::Books;
use super::site::Site;
use crate::connectors::nas::{
    CHANGED, Code, Delivery, Error, MISSING, Meter, Nas, Outcome, Session, Source, Stage, Target,
    alert_changed_key,
};
use crate::kinds::test_nas::trusted_keys;
use crate::{Context, Failure};
use queue::Save;
use records::documents::{self, Document, Sent};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Documents and bytes per run of rsync: what a crash proves again at the most.
const BATCH: usize = 2_000;
const BATCH_BYTES: u64 = 512 * 1_024 * 1_024;
/// R-001-31.
const CONNECT: Duration = Duration::from_secs(30);
/// Between two looks at whether somebody else is done.
const LOOK: Duration = Duration::from_millis(100);
/// Between two notes of progress.
const NOTE: Duration = Duration::from_millis(500);
/// Notes of progress between two extensions of what is held.
const EXTEND: u32 = 20;
/// A full disk is left alone this long at first, then ever longer.
const FULL: Duration = Duration::from_secs(5);
const FULL_MOST: Duration = Duration::from_secs(300);

/// An attempt.
pub(super) struct Run<'a> {
    cx: &'a Context,
    nas: Arc<Nas>,
    job: TransferToNas,
    site: Site<'a>,
    session: Option<Session>,
    /// Whether anything came through since the connection was last made.
    has_moved: bool,
}

/// The documents of one run of rsync: the job's own, and others that travel along.
struct Batch {
    documents: Vec<Document>,
    own: HashSet<i64>,
}

impl<'a> Run<'a> {
    pub(super) fn new(cx: &'a Context, job: TransferToNas, target: Target) -> Self {
        let nas = Arc::clone(&cx.services.nas);
        Self { cx, nas, job, site: Site::new(cx, target), session: None, has_moved: false }
    }

    /// Runs, and gives back whatever it held, however it ends.
    pub(super) async fn to_its_end(mut self) -> Result<(), Failure> {
        let result = self.all().await;
        if let Some(session) = self.session.take() {
            match &result {
                Ok(_) => session.close().await,
                Err(_) => session.kill(),
            }
        }
        // Of a lost lease too: what a next attempt has taken over bears its own time.
        let left = self.site.leave().await;
        let books = result?;
        left?;
        self.cx.set_result(&books.kept.report);
        Ok(())
    }

    async fn all(&mut self) -> Result<Books, Failure> {
        self.look_at_the_clock()?;
        let mut books = Books::open(self.cx, &self.job).await?;
        self.keep(&books).await?;
        while !books.open.is_empty() {
            self.look_at_the_clock()?;
            if self.is_known_trouble(&mut books).await? {
                break;
            }
            let Some(batch) = self.next_batch(&mut books).await? else {
                self.pause(LOOK).await?;
                continue;
            };
            if batch.documents.is_empty() {
                continue;
            }
            while !self.site.slot().await? {
                self.pause(LOOK).await?;
            }
            match self.send(&batch, &mut books).await? {
                Ok(()) => self.has_moved = true,
                Err(error) => self.trouble(error, &batch, &mut books).await?,
            }
        }
        self.keep(&books).await?;
        Ok(books)
    }

    /// Outside the hours in which documents may be sent, the job waits for them.
    fn look_at_the_clock(&self) -> Result<(), Failure> {
        let window = self.nas.settings().window;
        match window.and_then(|window| window.opens_in(queue::clock::now())) {
            // Clocks may be changed meanwhile.
            Some(wait) => Err(Failure::Snooze(wait.min(Duration::from_secs(3_600)))),
            None => Ok(()),
        }
    }

    /// What another job found out after this one was put in need not be found out again.
    async fn is_known_trouble(&mut self, books: &mut Books) -> Result<bool, Failure> {
        let since = self.cx.job.created_at;
        let Some(known) = records::nas::since(self.cx.db(), self.site.at(), since).await? else {
            return Ok(false);
        };
        if let Some(held) = known.held {
            return Err(Failure::Snooze(held));
        }
        let fails =
            known.is_news && self.session.is_none() && known.code != Code::DiskFull.as_str();
        if fails {
            books.fail_rest(&known.detail);
        }
        Ok(fails)
    }

    /// The next documents; `None` if others are sending all of them just now.
    async fn next_batch(&mut self, books: &mut Books) -> Result<Option<Batch>, Failure> {
        let ids: Vec<i64> = books.open.iter().copied().take(BATCH).collect();
        let mut wished = ids.clone();
        if self.job.single {
            let room = u32::try_from(BATCH).unwrap_or(u32::MAX);
            wished.extend(records::nas::requested_ids(self.cx.db(), room).await?);
            wished.sort_unstable();
            wished.dedup();
        }
        let taken = self.site.claim(&wished).await?;
        let mut batch = Batch { documents: Vec::new(), own: HashSet::new() };
        let (since, mut bytes) = (self.cx.job.created_at, 0);
        let own: HashSet<i64> = ids.iter().copied().collect();
        for document in taken {
            let id = document.id;
            let is_done = document.synced_at.is_some_and(|at| at >= since);
            bytes += document.taille.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
            let fits = batch.documents.is_empty() || bytes <= BATCH_BYTES;
            if is_done && own.contains(&id) {
                // Another job was asked for it too, and was faster.
                books.open.retain(|open| *open != id);
                books.settle(id, Ok(()));
            } else if !is_done && fits {
                if own.contains(&id) {
                    batch.own.insert(id);
                }
                batch.documents.push(document);
            }
        }
        books.open.retain(|id| !batch.own.contains(id));
        if !batch.documents.is_empty() && !batch.own.is_empty() {
            return Ok(Some(batch));
        }
        self.drop_absent(&ids, books).await?;
        // Documents of others alone are left to the others.
        let is_left = books.open.is_empty() || ids.iter().all(|id| !books.open.contains(id));
        Ok(is_left.then(|| Batch { documents: Vec::new(), own: HashSet::new() }))
    }

    /// Documents that are no longer there, and those that others have sent.
    async fn drop_absent(&self, ids: &[i64], books: &mut Books) -> Result<(), Failure> {
        let known = documents::by_ids(self.cx.db(), ids).await?;
        let known: HashSet<i64> = known.iter().map(|document| document.id).collect();
        for id in ids.iter().filter(|id| !known.contains(id)) {
            books.open.retain(|open| open != id);
            books.settle(*id, Err(MISSING));
        }
        Ok(())
    }

    /// Sends a batch and records what became of it; the inner error is the whole server's.
    async fn send(
        &mut self,
        batch: &Batch,
        books: &mut Books,
    ) -> Result<Result<(), Error>, Failure> {
        let start = Instant::now();
        let session = match self.session.take() {
            Some(session) => session,
            None => match self.connect().await? {
                Ok(session) => session,
                Err(error) => return Ok(Err(error)),
            },
        };
        let sources = batch.documents.iter().map(|document| Source {
            id: document.id,
            stored: document.nom_stocke.clone(),
            name: document.nom_nas.clone(),
        });
        let stage = match session.stage(sources.collect()).await {
            Ok(stage) => stage,
            Err(error) => return Ok(Err(error)),
        };
        let meter = Meter::default();
        let delivery = match self.deliver(&session, &stage, &meter, books).await {
            Ok(Ok(delivery)) => delivery,
            Ok(Err(error)) => return Ok(Err(error)),
            // The connection goes at once, and with it whatever runs over there.
            Err(failure) => return Err(failure),
        };
        self.session = Some(session);
        let bytes = stage.bytes();
        let error = delivery.error.clone();
        self.record(batch, &stage, delivery, books).await?;
        let (files, seconds) = (batch.documents.len(), start.elapsed().as_secs_f64());
        let (rate, literal) = (bytes as f64 / 1e6 / seconds.max(0.001), meter.literal());
        self.cx.log(format!(
            "{files} documents, {bytes} bytes ({literal} new), {seconds:.2} s, {rate:.1} MB/s"
        ));
        Ok(error.map_or(Ok(()), Err))
    }

    async fn connect(&mut self) -> Result<Result<Session, Error>, Failure> {
        self.has_moved = false;
        let keys = trusted_keys(self.cx.db(), &self.nas).await?;
        let open = Session::open(&self.nas, &keys, CONNECT);
        tokio::select! {
            session = open => Ok(session),
            failure = self.told_to_stop() => Err(failure),
        }
    }

    /// Delivers while noting progress, until somebody says stop.
    async fn deliver(
        &mut self,
        session: &Session,
        stage: &Arc<Stage>,
        meter: &Meter,
        books: &Books,
    ) -> Result<Result<Delivery, Error>, Failure> {
        let delivery = session.deliver(stage, self.job.single, meter);
        tokio::pin!(delivery);
        let mut notes = 0;
        loop {
            tokio::select! {
                delivery = &mut delivery => return Ok(delivery),
                failure = self.told_to_stop() => return Err(failure),
                () = tokio::time::sleep(NOTE) => {}
            }
            let progress = books.progress(meter.bytes());
            self.cx.progress(progress.done, progress.total).await?;
            notes += 1;
            if notes % EXTEND == 0 {
                self.site.extend().await?;
            }
        }
    }

    /// Marks what is proven, in one transaction with the job's checkpoint (R-001-34, I-25).
    async fn record(
        &mut self,
        batch: &Batch,
        stage: &Stage,
        delivery: Delivery,
        books: &mut Books,
    ) -> Result<(), Failure> {
        let mut sent = Vec::new();
        let mut bad: Vec<(i64, String)> = Vec::new();
        bad.extend(stage.refused.iter().map(|(id, why)| (*id, (*why).to_owned())));
        let is_held = delivery.error.is_some();
        for (id, outcome) in delivery.outcomes {
            match outcome {
                Outcome::There { sha256, size } => {
                    let taille = i64::try_from(size).unwrap_or(i64::MAX);
                    sent.push(Sent { id, sha256, taille });
                }
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
        bad.extend(
            sent.iter()
                .filter(|one| !marked.contains(&one.id))
                .map(|one| (one.id, CHANGED.to_owned())),
        );
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
        Ok(tx.commit().await?)
    }

    /// What becomes of the rest when the whole server fails.
    async fn trouble(
        &mut self,
        error: Error,
        batch: &Batch,
        books: &mut Books,
    ) -> Result<(), Failure> {
        // Those of this batch that have no outcome yet.
        let settled: HashSet<i64> = books.open.iter().copied().collect();
        let lost = batch.own.iter().filter(|id| books.is_open(**id) && !settled.contains(id));
        let lost: Vec<i64> = lost.copied().collect();
        lost.into_iter().for_each(|id| books.open.push_front(id));
        if error.code == Code::DiskFull {
            return self.hold(&error, books).await;
        }
        if let Some(session) = self.session.take() {
            session.kill();
        }
        if error.code == Code::Lost && std::mem::take(&mut self.has_moved) {
            self.cx.log("the connection broke; making another one");
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

    async fn keep(&self, books: &Books) -> Result<(), Failure> {
        Ok(self.cx.services.engine.save(self.cx.job.ticket, &save(books)).await?)
    }

    async fn pause(&self, length: Duration) -> Result<(), Failure> {
        tokio::select! {
            () = tokio::time::sleep(length) => Ok(()),
            failure = self.told_to_stop() => Err(failure),
        }
    }

    /// Somebody cancels, the worker shuts down, or the hours are over.
    async fn told_to_stop(&self) -> Failure {
        let window = self.nas.settings().window;
        let closing = window.map(|window| window.closes_in(queue::clock::now()));
        tokio::select! {
            () = self.cx.cancelled.cancelled() => Failure::Snooze(Duration::ZERO),
            () = self.cx.draining.cancelled() => Failure::Release,
            () = tokio::time::sleep(closing.unwrap_or(Duration::MAX)), if closing.is_some() => {
                Failure::Snooze(Duration::ZERO)
            }
        }
    }
}

fn save(books: &Books) -> Save {
    Save { progress: Some(books.progress(0)), checkpoint: Some(books.text()) }
}
