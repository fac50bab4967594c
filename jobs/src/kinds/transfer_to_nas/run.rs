//! One attempt: batch after batch, until nothing is without an outcome.

mod carry;
mod ends;
mod wishes;

use self::wishes::Wishes;
use super::books::Books;
use super::site::Site;
use super::{Report, TransferToNas};
use crate::connectors::nas::{
    Code, Delivery, Error, MISSING, Meter, Nas, Session, Source, Stage, Target,
};
use crate::kinds::test_nas::trusted_keys;
use crate::{Context, Failure};
use queue::Save;
use records::documents::{self, Document};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Documents per run of rsync: what a crash proves again at the most.
const BATCH: usize = 2_000;
/// Bytes per run: what goes through in so many seconds, for the next checkpoint and whoever looks
/// how far it has come; as long as the rate is not known, 64 MiB.
const BATCH_SECONDS: u64 = 10;
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 1_024 * 1_024..=512 * 1_024 * 1_024;
const FIRST_RATE: u64 = 64 * 1_024 * 1_024 / BATCH_SECONDS;
/// R-001-31.
const CONNECT: Duration = Duration::from_secs(30);
/// Between two looks at whether somebody else, in whatever process, is done.
const LOOK: Duration = Duration::from_millis(500);
/// Between two notes of progress.
const NOTE: Duration = Duration::from_millis(500);
/// Notes of progress between two extensions of what is held.
const EXTEND: u32 = 20;
/// Between two looks at whether the hours have come: settings and clocks may be changed meanwhile.
const HOURS: Duration = Duration::from_secs(30);

/// An attempt.
pub(super) struct Run<'a> {
    cx: &'a Context,
    nas: Arc<Nas>,
    job: TransferToNas,
    site: Site<'a>,
    session: Option<Session>,
    /// Whether anything came through since the connection was last made.
    has_moved: bool,
    /// Connections that broke since a batch came to its end.
    broken: u32,
    /// When the hours in which documents may be sent are over.
    closing: Option<Instant>,
    /// Bytes per second of the last batch.
    rate: Option<u64>,
}

/// The documents of one run of rsync: the job's own, and others that travel along.
struct Batch {
    documents: Vec<Document>,
    own: HashSet<i64>,
}

impl<'a> Run<'a> {
    pub(super) fn new(cx: &'a Context, job: TransferToNas, target: Target) -> Self {
        let nas = Arc::clone(&cx.services.nas);
        let (site, session) = (Site::new(cx, target), None);
        let (has_moved, broken, closing, rate) = (false, 0, None, None);
        Self { cx, nas, job, site, session, has_moved, broken, closing, rate }
    }

    /// Runs, and gives back whatever it held, however it ends.
    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        let result = self.all().await;
        if let Some(session) = self.session.take() {
            match &result {
                Ok(_) => session.close().await,
                Err(_) => session.kill(),
            }
        }
        if let Err(Failure::LeaseLost) = result {
            // What was held is the next attempt's: it is the same job.
            return Err(Failure::LeaseLost);
        }
        let left = self.site.leave().await;
        let books = result?;
        left?;
        self.cx.set_result(&books.kept.report);
        Ok(())
    }

    async fn all(&mut self) -> Result<Books, Failure> {
        // The first attempt says how many there are, also if they have to wait.
        let is_first = self.cx.resume::<Report>().is_none();
        if !is_first {
            self.look_at_the_clock(false).await?;
        }
        let mut books = Books::open(self.cx, &self.job).await?;
        if is_first && books.open.is_empty() {
            return Ok(books);
        }
        self.keep(&books).await?;
        while !books.open.is_empty() {
            let nas = Arc::clone(&self.nas);
            let settled = nas.settled();
            self.look_at_the_clock(is_first).await?;
            if self.is_known_trouble(&mut books).await? {
                break;
            }
            let Some(batch) = self.next_batch(&mut books).await? else {
                // Whoever has the documents may wait for what is held here.
                self.site.leave().await?;
                self.pause_until(settled).await?;
                continue;
            };
            if batch.documents.is_empty() {
                continue;
            }
            self.wait_for_a_slot().await?;
            match self.send(&batch, &mut books).await? {
                Ok(()) => (self.has_moved, self.broken) = (true, 0),
                Err(error) => self.trouble(error, &batch, &mut books).await?,
            }
        }
        self.keep(&books).await?;
        self.carry_on(&mut books).await?;
        Ok(books)
    }

    async fn wait_for_a_slot(&mut self) -> Result<(), Failure> {
        let mut since = Instant::now();
        let nas = Arc::clone(&self.nas);
        loop {
            let settled = nas.settled();
            if self.site.slot().await? {
                return Ok(());
            }
            self.pause_until(settled).await?;
            if since.elapsed() > NOTE * EXTEND {
                self.site.extend().await?;
                since = Instant::now();
            }
        }
    }

    /// Outside the hours in which documents may be sent, the job waits for them. The store's clock
    /// decides.
    async fn look_at_the_clock(&mut self, says_so: bool) -> Result<(), Failure> {
        let Some(window) = self.nas.settings().window else { return Ok(()) };
        let now = records::nas::now(self.cx.db()).await?;
        let Some(wait) = window.opens_in(now) else {
            self.closing = Some(Instant::now() + window.closes_in(now));
            return Ok(());
        };
        if says_so {
            self.cx.log(format!("waits: documents are sent {window}"));
        }
        Err(Failure::Snooze(wait.min(HOURS)))
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
        self.settle_what_others_did(books).await?;
        let ids: Vec<i64> = books.open.iter().copied().take(BATCH).collect();
        if ids.is_empty() {
            return Ok(Some(Batch { documents: Vec::new(), own: HashSet::new() }));
        }
        let own: HashSet<i64> = ids.iter().copied().collect();
        let mut wishes = Wishes::new();
        let mut taken = Vec::new();
        if self.site.is_any_free(&ids).await? {
            wishes = self.wishes(&ids).await?;
            let others = wishes.keys().copied().filter(|id| !own.contains(id));
            let wished: Vec<i64> = ids.iter().copied().chain(others).collect();
            // In one go: of many that start at once, one takes what all of them were asked for.
            taken = self.site.claim(&wished, &own).await?;
        }
        // If not all fit, its own do.
        taken.sort_by_key(|document| !own.contains(&document.id));
        let mut batch = Batch { documents: Vec::new(), own: HashSet::new() };
        let (mut bytes, mut done, most) = (0, HashSet::new(), self.batch_bytes());
        for document in taken {
            let id = document.id;
            let is_later = document.synced_at.is_some_and(|at| wishes.get(&id) <= Some(&at));
            let is_done = document.synced_to_nas && is_later;
            bytes += document.taille.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
            let fits = batch.documents.is_empty() || bytes <= most;
            if is_done && own.contains(&id) {
                // Another job was asked for it too, and was faster.
                done.insert(id);
                books.settle(id, Ok(()));
            } else if !is_done && fits {
                if own.contains(&id) {
                    batch.own.insert(id);
                }
                batch.documents.push(document);
            }
        }
        books.open.retain(|id| !batch.own.contains(id) && !done.contains(id));
        let sent: HashSet<i64> = batch.documents.iter().map(|document| document.id).collect();
        self.site.keep_only(&sent).await?;
        if !batch.documents.is_empty() && !batch.own.is_empty() {
            return Ok(Some(batch));
        }
        self.drop_absent(&ids, books).await?;
        // Documents of others alone are left to the others.
        let is_left = books.open.is_empty() || ids.iter().all(|id| !books.open.contains(id));
        Ok(is_left.then(|| Batch { documents: Vec::new(), own: HashSet::new() }))
    }

    fn batch_bytes(&self) -> u64 {
        let cap = u64::from(self.nas.settings().bandwidth) * 1_024;
        let rate = self.rate.unwrap_or(if cap == 0 { FIRST_RATE } else { cap });
        rate.saturating_mul(BATCH_SECONDS).clamp(*BATCH_BYTES.start(), *BATCH_BYTES.end())
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
            sha256: document.sha256.clone(),
        });
        let stage = match session.stage(sources.collect()).await {
            Ok(stage) => stage,
            Err(error) => return Ok(Err(error)),
        };
        let meter = Meter::default();
        let delivery = match self.deliver(&session, &stage, &meter, books).await {
            Ok(Ok(delivery)) => delivery,
            Ok(Err(error)) => {
                self.has_moved |= meter.bytes() > 0;
                return Ok(Err(error));
            }
            // The connection goes at once, and with it whatever runs over there.
            Err(failure) => return Err(failure),
        };
        self.session = Some(session);
        let bytes = stage.bytes();
        let error = delivery.error.clone();
        self.record(batch, &stage, delivery, books).await?;
        let (files, seconds) = (batch.documents.len(), start.elapsed().as_secs_f64());
        let (rate, literal) = (bytes as f64 / seconds.max(0.001), meter.literal());
        // Of a batch that was there already nothing is learnt.
        self.rate = if literal > 0 { Some(rate as u64) } else { self.rate };
        let rate = rate / 1e6;
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

    async fn keep(&self, books: &Books) -> Result<(), Failure> {
        Ok(self.cx.services.engine.save(self.cx.job.ticket, &save(books)).await?)
    }

    /// Until another transfer is done with something, or it is time to look.
    async fn pause_until(&self, settled: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::select! {
            () = settled => Ok(()),
            paused = self.pause(LOOK) => paused,
        }
    }

    pub(super) async fn pause(&self, length: Duration) -> Result<(), Failure> {
        tokio::select! {
            () = tokio::time::sleep(length) => Ok(()),
            failure = self.told_to_stop() => Err(failure),
        }
    }

    /// Somebody cancels, the worker shuts down, or the hours are over.
    async fn told_to_stop(&self) -> Failure {
        let closed = async {
            match self.closing {
                Some(closing) => tokio::time::sleep_until(closing.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cx.cancelled.cancelled() => Failure::Snooze(Duration::ZERO),
            () = self.cx.draining.cancelled() => Failure::Release,
            () = closed => {
                self.cx.log("stops: the hours in which documents are sent are over");
                Failure::Snooze(Duration::ZERO)
            }
        }
    }
}

fn save(books: &Books) -> Save {
    Save { progress: Some(books.progress(0)), checkpoint: Some(books.text()) }
}
