//! Documents to a file server on this machine, measured.
//!
//! `cargo run --release -p tests --bin nas` prints the tables of `docs/benchmarks.md`, one after the
//! other; with `-- table`, `-- queued` or `-- resume` one of them.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod queued;
mod resume;
mod table;

use db::{Db, Sql};
use queue::Engine;
use rand::RngCore as _;
use records::documents::{self, NewDocument, files};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::sshd::{Access, Sshd};
use tests::stores::Deployment;

const COUNT: usize = 2_000;
const SIZE: usize = 20_000;

static AGAIN: Sql = Sql::both("UPDATE documents SET synced_to_nas = FALSE, synced_at = NULL");

#[tokio::main]
async fn main() {
    let wish = std::env::args().nth(1).unwrap_or_default();
    let all = ["table", "queued", "resume"];
    assert!(wish.is_empty() || all.contains(&wish.as_str()), "`{wish}` is none of {all:?}");
    let is_wished = |name: &str| wish.is_empty() || wish == name;
    if is_wished("table") {
        table::print().await;
    }
    if is_wished("queued") {
        queued::print().await;
    }
    if is_wished("resume") {
        resume::print().await;
    }
}

/// A file server, and a product on SQLite that trusts it; no worker.
struct Site {
    nas: Sshd,
    app: TestApp,
    db: Db,
    engine: Arc<dyn Engine>,
    uploads: PathBuf,
}

impl Site {
    async fn open(access: Access, env: &[(&str, &str)]) -> Self {
        let nas = Sshd::start();
        let stores = Deployment::Embedded.fresh().await;
        let uploads = stores.dir.join("uploads");
        std::fs::create_dir(&uploads).expect("a fresh folder");
        let mut app = TestApp::on(stores, env);
        app.env.extend(nas.env(access, &uploads));
        app.run(&["nas", "trust", "--yes"]).await;
        let (db, engine) = (app.stores.db().await, app.stores.engine().await);
        Self { nas, app, db, engine, uploads }
    }

    /// Documents of random bytes; their ids.
    async fn fill(&self, count: usize, size: usize) -> Vec<i64> {
        let mut tx = self.db.begin().await.expect("a transaction");
        let mut ids = Vec::new();
        for number in 0..count {
            let name = name(number);
            let mut bytes = vec![0; size];
            rand::rng().fill_bytes(&mut bytes);
            std::fs::write(self.uploads.join(&name), &bytes).expect("a file");
            let found = files::content(&self.uploads, &name).expect("readable").expect("there");
            let new = NewDocument {
                nom_stocke: name.clone(),
                nom_original: name,
                taille: found.taille,
                sha256: found.sha256,
                proprietaire: None,
            };
            ids.push(documents::insert_in(&mut tx, &new).await.expect("a row").id);
        }
        tx.commit().await.expect("a commit");
        ids
    }

    /// rsync as a user would call it, to a name in the server's folder.
    fn rsync(&self, options: &[&str], from: &str, name: &str) {
        let to = format!("{}@127.0.0.1:{}/{name}", self.nas.user(), self.nas.nas().display());
        let mut rsync = Command::new("rsync");
        rsync.args(options).args(["-e", &self.nas.ssh(), "--", from, &to]).stdout(Stdio::null());
        assert!(rsync.status().is_ok_and(|status| status.success()), "rsync");
    }
}

fn name(number: usize) -> String {
    format!("document-{number}.bin")
}

fn empty(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.expect("it can be removed");
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
