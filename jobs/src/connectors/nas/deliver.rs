//! Sends a stage and proves what arrived.
//!
//! The receipt of a run is its exit code, its count and its lines; the proof is a second run that
//! reads both sides and names each file as the same. What arrived with other content, because the
//! file server had something of the same size and time, is sent once more by content.

use super::argv::{self, Look};
use super::output;
use super::process::Ended;
use super::session::{local, make};
use super::stage::Staged;
use super::{Code, Error, Session, Stage, texts};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What rsync tells while it sends a stage.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    literal: AtomicU64,
}

impl Meter {
    /// Bytes that have gone through so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that had to be sent because the other side did not have them; known at the end of a
    /// run. Of one document by itself: as they were sent, compressed.
    pub fn literal(&self) -> u64 {
        self.literal.load(Ordering::Relaxed)
    }
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The file server has these bytes under its name.
    There {
        /// Of the content: 64 hexadecimal digits.
        sha256: String,
        /// Bytes.
        size: u64,
    },
    /// The file changed meanwhile: nobody knows what was sent.
    Changed,
    /// The file is not the one on record: nothing was sent.
    Unknown,
    /// It is not there, for this reason.
    Missing(String),
}

/// What became of a stage.
#[derive(Debug)]
pub struct Delivery {
    /// Of each document that could be opened.
    pub outcomes: Vec<(i64, Outcome)>,
    /// Why the rest would fare no better.
    pub error: Option<Error>,
}

/// Tells the reader of files that nobody waits any more.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Session {
    /// Sends every document of the stage, one alone as R-001-31 has it if `single`.
    pub async fn deliver(
        &self,
        stage: &Arc<Stage>,
        single: bool,
        meter: &Meter,
    ) -> Result<Delivery, Error> {
        let over = Over(Arc::default());
        let digests = tokio::task::spawn_blocking({
            let (stage, over) = (Arc::clone(stage), Arc::clone(&over.0));
            move || stage.digests(&over)
        });
        // Before anything is sent: what is over there may be all that is left of the real one.
        let digests = digests.await.map_err(local)?;
        let all = stage.as_recorded(&digests);
        let (mut there, mut sent) = (HashSet::new(), None);
        if !all.is_empty() {
            let ended = self.send(stage, &all, single, meter).await?;
            there = self.prove(stage, &all).await?;
            sent = Some(ended);
        }
        let rest: Vec<&Staged> = missing(&all, &there);
        let error = sent.as_ref().and_then(|sent| self.error_of(sent, !rest.is_empty()));
        if error.is_none() && !rest.is_empty() {
            there.extend(self.repair(stage, &rest).await?);
        }
        if let Some(error) = error.clone().filter(|_| there.is_empty()) {
            return Err(error);
        }
        let said = sent.map(|sent| sent.stderr).unwrap_or_default();
        let outcomes = stage.files.iter().zip(digests).map(|(file, digest)| {
            if !file.is_recorded(digest.as_deref()) {
                return (file.source.id, Outcome::Unknown);
            }
            let is_there = there.contains(&file.source.name);
            (file.source.id, self.outcome(stage, file, digest, is_there, &said))
        });
        Ok(Delivery { outcomes: outcomes.collect(), error })
    }

    fn outcome(
        &self,
        stage: &Stage,
        file: &Staged,
        digest: Option<String>,
        is_there: bool,
        said: &str,
    ) -> Outcome {
        match digest {
            _ if !stage.is_unchanged(file) => Outcome::Changed,
            Some(sha256) if is_there => Outcome::There { sha256, size: file.size },
            Some(_) => Outcome::Missing(self.reason(&file.source.name, said)),
            None => Outcome::Missing(texts::UNREADABLE.to_owned()),
        }
    }

    /// What rsync said about this file, if it did.
    fn reason(&self, name: &str, said: &str) -> String {
        let line = said.lines().find(|line| line.contains(name));
        line.map_or_else(|| texts::NOT_THERE.to_owned(), |line| self.judged(None, line).detail)
    }

    /// Files that the server has with other content, or not at all, once more by content.
    async fn repair(&self, stage: &Stage, rest: &[&Staged]) -> Result<HashSet<String>, Error> {
        let fine: Vec<&Staged> =
            rest.iter().copied().filter(|file| stage.is_unchanged(file)).collect();
        if fine.is_empty() {
            return Ok(HashSet::new());
        }
        tracing::info!(nas.files = fine.len(), "files on the file server differ: sent by content");
        self.many(stage, &fine, Look::Content, &mut |_| {}).await?;
        self.prove(stage, &fine).await
    }

    async fn send(
        &self,
        stage: &Stage,
        files: &[&Staged],
        single: bool,
        meter: &Meter,
    ) -> Result<Ended, Error> {
        let (mut items, mut count) = (0, None);
        let is_single = single && files.len() == 1;
        let mut line = |line: &str| {
            if let Some(bytes) = output::progress(line) {
                meter.bytes.fetch_max(bytes, Ordering::Relaxed);
            }
            items += u64::from(output::item(line).is_some_and(|item| !item.is_same));
            count = count.or(output::transferred(line));
            let literal = if is_single { output::sent(line) } else { output::literal(line) };
            if let Some(literal) = literal {
                meter.literal.fetch_add(literal, Ordering::Relaxed);
            }
        };
        let largest = files.iter().map(|file| file.size).max().unwrap_or_default();
        if argv::keeps_parts(largest, is_single) {
            self.make_room_for_parts().await?;
        }
        let ended = match files {
            [file] if is_single => self.single(stage, file, &mut line).await?,
            _ => self.many(stage, files, Look::Quick, &mut line).await?,
        };
        meter.bytes.fetch_max(stage.bytes(), Ordering::Relaxed);
        if let Some(count) = count.filter(|count| *count != items) {
            tracing::warn!(nas.files = count, nas.lines = items, "rsync's count is not its list");
        }
        Ok(ended)
    }

    async fn single(
        &self,
        stage: &Stage,
        file: &Staged,
        line: &mut (impl FnMut(&str) + Send),
    ) -> Result<Ended, Error> {
        let (nas, name) = (&self.nas, &file.source.name);
        let args = argv::single(nas, &self.target, &self.dir, stage.dir(), name, file.size);
        let limit = nas.settings().file_timeout;
        let ended = tokio::time::timeout(limit, self.rsync(&args, line));
        let Ok(ended) = ended.await else {
            // What hangs on the server hangs on to the connection, too.
            self.group.kill();
            let text = format!("{} ({} s)", texts::TOO_SLOW, limit.as_secs());
            return Err(Error::new(Code::Timeout, text));
        };
        self.checked(ended?)
    }

    /// Makes the folder in which parts of files are kept, once; by this it is also known whether
    /// the server is an `rrsync`, which has to be told otherwise where it is.
    async fn make_room_for_parts(&self) -> Result<(), Error> {
        if self.has_room_for_parts.load(Ordering::Relaxed) {
            return Ok(());
        }
        let from = self.dir.folder().join("parts");
        let made = make(&from).and_then(|()| make(&from.join(argv::PARTIAL)));
        made.or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Ok(()),
            _ => Err(local(error)),
        })?;
        self.listed(&format!("./{}\0", argv::PARTIAL), &from, Look::Folder, &mut |_| {}).await?;
        self.has_room_for_parts.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// One run for these files.
    async fn many(
        &self,
        stage: &Stage,
        files: &[&Staged],
        look: Look,
        line: &mut (impl FnMut(&str) + Send),
    ) -> Result<Ended, Error> {
        // With `./`, or a name that begins like a comment would be left out, without a word.
        let names: String = files.iter().map(|file| format!("./{}\0", file.source.name)).collect();
        self.listed(&names, stage.dir(), look, line).await
    }

    /// One run for what is listed; a server that refuses `--secluded-args` is asked without.
    async fn listed(
        &self,
        names: &str,
        from: &Path,
        look: Look,
        line: &mut (impl FnMut(&str) + Send),
    ) -> Result<Ended, Error> {
        self.dir.write(&self.dir.list(), names.as_bytes()).map_err(local)?;
        loop {
            let was_restricted = self.nas.is_restricted();
            let args = argv::many(&self.nas, &self.target, &self.dir, from, look);
            let ended = self.rsync(&args, &mut *line).await?;
            match self.checked(ended) {
                Err(error) if error.code == Code::OptionRefused && !was_restricted => {
                    self.nas.restrict();
                }
                result => return result,
            }
        }
    }

    /// Which of these files the server has, byte for byte.
    async fn prove(&self, stage: &Stage, files: &[&Staged]) -> Result<HashSet<String>, Error> {
        let mut there = HashSet::new();
        let mut line = |line: &str| {
            let same = output::item(line).filter(|item| item.is_same);
            there.extend(same.map(|item| item.name));
        };
        self.many(stage, files, Look::Prove, &mut line).await?;
        Ok(there)
    }

    /// Runs that have done all they could for some files are looked at file by file; any other
    /// failure is the connection's.
    fn checked(&self, ended: Ended) -> Result<Ended, Error> {
        match ended.code {
            Some(0 | 23 | 24) => Ok(ended),
            code => match self.judged(code, &ended.stderr) {
                error if error.code == Code::DiskFull => Ok(ended),
                error => Err(error),
            },
        }
    }

    /// Why the server takes no files at all.
    fn error_of(&self, sent: &Ended, some_are_missing: bool) -> Option<Error> {
        let error = self.judged(sent.code, &sent.stderr);
        let is_theirs = matches!(error.code, Code::DiskFull | Code::ReadOnly | Code::MissingPath);
        (is_theirs && some_are_missing && sent.code != Some(0)).then_some(error)
    }
}

fn missing<'a>(all: &[&'a Staged], there: &HashSet<String>) -> Vec<&'a Staged> {
    all.iter().copied().filter(|file| !there.contains(&file.source.name)).collect()
}
