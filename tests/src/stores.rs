//! Private servers on free loopback ports, in a temporary directory of their own.
//!
//! They end with the test process, however it ends: see [`crate::guardian`].

mod postgres;
mod redis;

pub use postgres::{Postgres, postgres};
pub use redis::{Redis, redis};

use crate::guardian::{Guardian, remove_too, scratch_dir};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Busy machines are slow: a test that wants to see an outage says so.
const ACQUIRE: Duration = Duration::from_secs(10);

/// A way to run the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// One SQLite file.
    Embedded,
    /// PostgreSQL alone.
    Postgres,
    /// PostgreSQL, and Redis in front.
    Distributed,
}

impl Deployment {
    /// Those that `TEST_ENGINES` leaves over: `TEST_ENGINES=embedded,postgres` narrows the run.
    pub fn chosen() -> Vec<Self> {
        let all = [Self::Embedded, Self::Postgres, Self::Distributed];
        all.into_iter().filter(|deployment| deployment.is_chosen()).collect()
    }

    /// Whether `TEST_ENGINES` is absent or names it.
    pub fn is_chosen(self) -> bool {
        let Ok(names) = std::env::var("TEST_ENGINES") else { return true };
        let known = ["embedded", "postgres", "distributed"];
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        let unknown = names.iter().find(|name| !known.contains(name));
        assert_eq!(unknown, None, "TEST_ENGINES knows {known:?}");
        names.contains(&self.name())
    }

    /// Its name in `TEST_ENGINES`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Postgres => "postgres",
            Self::Distributed => "distributed",
        }
    }

    /// Empty stores of one test, on the servers that all tests share; the schema is there.
    pub async fn fresh(self) -> Stores {
        let dir = scratch_dir(self.name());
        let database_url = match self {
            Self::Embedded => {
                let file = dir.join("relais.db");
                let url = format!("sqlite://{}", file.display());
                let db = open_db(&url).await;
                db.migrate().await.expect("the migrations apply to an empty file");
                db.close().await;
                remove_too(&queue::sockets_of(&file).expect("the file is there"));
                url
            }
            Self::Postgres | Self::Distributed => postgres().await.fresh_database().await,
        };
        let redis_url = match self {
            Self::Embedded | Self::Postgres => None,
            Self::Distributed => Some(redis().await.url()),
        };
        let redis_prefix = format!("test-{}", uuid::Uuid::new_v4().simple());
        Stores { deployment: self, dir, database_url, redis_url, redis_prefix, acquire: ACQUIRE }
    }
}

/// The stores of one test. Replace a URL to put a proxy or a private server in its place.
#[derive(Debug, Clone)]
pub struct Stores {
    pub deployment: Deployment,
    /// A directory for whatever files the test wants.
    pub dir: PathBuf,
    pub database_url: String,
    pub redis_url: Option<String>,
    pub redis_prefix: String,
    /// How long an engine or a connection of this process waits for a server that is away.
    pub acquire: Duration,
}

impl Stores {
    /// The record's connection, as a process of its own would have it.
    pub async fn db(&self) -> db::Db {
        open_db_within(&self.database_url, self.acquire).await
    }

    /// An engine on them, as a process of its own would have it.
    pub async fn engine(&self) -> Arc<dyn queue::Engine> {
        let settings = queue::Settings {
            redis_url: self.redis_url.clone(),
            redis_prefix: self.redis_prefix.clone(),
            max_payload_bytes: 65_536,
        };
        queue::open(self.db().await, &settings).expect("the engine opens")
    }

    /// The environment that makes the product use them.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut env = vec![
            ("DATABASE_URL".to_owned(), self.database_url.clone()),
            ("RELAIS_REDIS_PREFIX".to_owned(), self.redis_prefix.clone()),
        ];
        env.extend(self.redis_url.iter().map(|url| ("REDIS_URL".to_owned(), url.clone())));
        env
    }

    /// Removes them. Not needed, since everything goes with the test process; it keeps a long run
    /// small.
    pub async fn remove(self) {
        if self.deployment != Deployment::Embedded {
            postgres().await.drop_database(&self.database_url).await;
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

async fn open_db(url: &str) -> db::Db {
    open_db_within(url, ACQUIRE).await
}

async fn open_db_within(url: &str, acquire: Duration) -> db::Db {
    let url = url.parse().expect("a database URL");
    let settings = db::Settings { url, connections: 10, acquire };
    db::Db::open(&settings).await.expect("the database opens")
}

/// A port of 127.0.0.1 that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// The file of a program in `PATH` or in one of `more`.
pub(crate) fn find_program(name: &str, more: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(more.iter().cloned());
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Stops the test run with the one command that helps.
pub(crate) fn missing(what: &str, package: &str) -> ! {
    panic!(
        "{what} was not found. On Debian as root, `cargo xtask check` installs what the tests \
         need; by hand: `apt-get install -y --no-install-recommends {package}`. \
         `TEST_ENGINES=embedded` runs the conformance suite without it."
    )
}

/// Whether we may do what only the superuser may.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` is everywhere");
    id.stdout.trim_ascii() == b"0"
}

/// Sends a signal and says whether there was a process to receive it.
pub fn signal(pid: u32, name: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(pid.to_string());
    quiet(kill).status().expect("`kill` is everywhere").success()
}

pub(crate) fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Asks again and again until the answer is yes; panics with `what` after `deadline`.
pub fn until(what: &str, deadline: Duration, mut ask: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ask() {
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
