//! Source 001's transfers against a real file server (acceptance tests C1 to C10 of the
//! connector): what is marked is there, what is not there is told, and nothing is left running.

mod cuts;
mod delivery;
mod diagnosis;
mod disk;
mod key_file;
mod many;
mod secrets;
mod storm;
mod trust;
mod window;

use crate::on_stores;
use db::Db;
use jobs::Job;
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use queue::{Engine, JobRow, State};
use records::documents::{self, Document, NewDocument, Viewer, files};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tests::app::TestApp;
use tests::sshd::{Access, Sshd};
use tests::stores::{Deployment, Stores};
use tests::wait::until;
use uuid::Uuid;

on_every_deployment! {
    on_stores:
    delivery::pending_documents_arrive_and_are_marked,
    window::outside_of_its_hours_a_transfer_waits_and_spends_no_attempt,
}

/// A test waits this long for something that must happen; a busy machine is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file server, and a product that trusts it.
struct Rig {
    nas: Sshd,
    app: TestApp,
    engine: Arc<dyn Engine>,
    db: Db,
    uploads: PathBuf,
}

impl Rig {
    /// With one worker.
    async fn start(access: Access, env: &[(&str, &str)]) -> Self {
        Self::on(Deployment::Embedded.fresh().await, access, env).await
    }

    async fn on(stores: Stores, access: Access, env: &[(&str, &str)]) -> Self {
        let mut rig = Self::idle(stores, access, env).await;
        rig.app.start_worker();
        rig
    }

    /// Without any worker.
    async fn idle(stores: Stores, access: Access, env: &[(&str, &str)]) -> Self {
        let nas = tokio::task::spawn_blocking(Sshd::start).await.unwrap();
        let uploads = stores.dir.join("uploads");
        std::fs::create_dir(&uploads).unwrap();
        let mut app = TestApp::on(stores, env);
        app.env.extend(nas.env(access, &uploads));
        app.env.push(("RELAIS_QUEUE_LEASE_SECONDS".to_owned(), "3".to_owned()));
        app.run(&["nas", "trust", "--yes"]).await;
        let (engine, db) = (app.stores.engine().await, app.stores.db().await);
        Self { nas, app, engine, db, uploads }
    }

    /// A document with this content; returns its id.
    async fn document(&self, name: &str, content: &[u8]) -> i64 {
        self.documents(&[(name.to_owned(), content.to_vec())]).await[0]
    }

    async fn documents(&self, all: &[(String, Vec<u8>)]) -> Vec<i64> {
        let mut tx = self.db.begin().await.unwrap();
        let mut ids = Vec::new();
        for (name, content) in all {
            std::fs::write(self.uploads.join(name), content).unwrap();
            let found = files::content(&self.uploads, name);
            let (taille, sha256) = match found {
                Ok(Some(found)) => (found.taille, found.sha256),
                // Names that the record refuses; the transfer has to as well.
                _ => (i64::try_from(content.len()).unwrap(), String::from("0")),
            };
            let new = NewDocument {
                nom_stocke: name.clone(),
                nom_original: name.clone(),
                taille,
                sha256,
                proprietaire: None,
            };
            ids.push(documents::insert_in(&mut tx, &new).await.unwrap().id);
        }
        tx.commit().await.unwrap();
        ids
    }

    async fn put(&self, job: TransferToNas) -> Uuid {
        self.engine.enqueue(&[job.into_new()]).await.unwrap()[0].id
    }

    /// Somebody asks for one document, as the route does.
    async fn put_single(&self, id: i64) -> Uuid {
        let mut tx = self.db.begin().await.unwrap();
        documents::request_in(&mut tx, id, &Viewer::Everybody).await.unwrap();
        let job = TransferToNas { documents: Some(vec![id]), single: true, ..Default::default() };
        let put = self.engine.enqueue_in(&mut tx, &[job.into_new()]).await.unwrap()[0].id;
        tx.commit().await.unwrap();
        put
    }

    async fn end(&self, id: Uuid) -> JobRow {
        let row = self.engine.wait(id, PATIENCE).await.unwrap().unwrap();
        assert!(row.state.is_final(), "{row:?}\n{}", self.logs());
        row
    }

    async fn report(&self, id: Uuid) -> Report {
        let row = self.end(id).await;
        assert_eq!(row.state, State::Done, "{row:?}\n{}", self.logs());
        let report = Report::of(&row);
        // I-25: every document has an outcome, every failed one a text.
        assert_eq!(report.total, report.synced + report.failed, "{report:?}");
        assert_eq!(report.errors.len() as u64, report.failed, "{report:?}");
        report
    }

    /// Sends everything that is pending.
    async fn run(&self) -> Report {
        let id = self.put(TransferToNas::default()).await;
        self.report(id).await
    }

    async fn get(&self, id: i64) -> Document {
        documents::get(&self.db, id, &Viewer::Everybody).await.unwrap().unwrap()
    }

    /// What is marked is on the file server, byte for byte (I-25).
    async fn assert_marks_are_true(&self, ids: &[i64]) {
        for document in documents::by_ids(&self.db, ids).await.unwrap() {
            if document.synced_to_nas {
                let there = files::content(&self.nas.nas(), &document.nom_nas).unwrap();
                let there = there.map(|there| there.sha256);
                assert_eq!(there, document.sha256, "{}", document.nom_nas);
                assert!(document.synced_at.is_some());
            }
        }
    }

    /// Files that arrived; rsync's own folder is none.
    fn arrived(&self) -> usize {
        let names = std::fs::read_dir(self.nas.nas()).unwrap().map(|entry| entry.unwrap());
        names.filter(|entry| !entry.file_name().to_string_lossy().starts_with(".rsync")).count()
    }

    fn on_nas(&self, name: &str) -> PathBuf {
        self.nas.nas().join(name)
    }

    /// A setting of whatever is started from now on.
    fn set(&mut self, name: &str, value: &str) {
        self.app.env.retain(|(known, _)| known != name);
        self.app.env.push((name.to_owned(), value.to_owned()));
    }

    /// Everything that a job has logged.
    async fn lines(&self, job: Uuid) -> String {
        let lines = self.engine.logs(job, None, 1_000).await.unwrap();
        lines.into_iter().map(|line| line.line + "\n").collect()
    }

    fn logs(&self) -> String {
        let workers = self.app.workers.iter().map(|worker| worker.log());
        workers.chain([self.nas.log()]).collect::<Vec<_>>().join("\n---\n")
    }
}

/// Runs of a recorded program.
fn runs(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Runs of rsync that send something: not those that only look.
fn sending(log: &Path) -> usize {
    runs(log).iter().filter(|run| !run.contains("--dry-run")).count()
}

/// Bytes that the last run had to send, by its job's log.
fn literal(lines: &str) -> u64 {
    let line = lines.lines().rev().find(|line| line.contains(" new)"));
    let new = line.and_then(|line| line.split('(').nth(1)?.split(' ').next()?.parse().ok());
    new.unwrap_or_else(|| panic!("no line tells: {lines}"))
}

/// Content that no two documents share.
fn content(number: usize, size: usize) -> Vec<u8> {
    let mut seed = number as u64 + 1;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    (0..size).map(|_| next()).collect()
}
