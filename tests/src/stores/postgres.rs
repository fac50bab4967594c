//! A private PostgreSQL: one shared by all tests of a process, or one of a test's own to kill.

use super::{Guardian, find_program, free_port, is_root, missing, quiet, signal, tail, until};
use sqlx::{Connection as _, PgConnection};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

const TEMPLATE: &str = "relais_template";
const PATIENCE: Duration = Duration::from_secs(60);

/// The instance that all tests of this process share, started by the first that asks.
/// Nobody may stop it; each test takes a database of its own.
pub async fn postgres() -> &'static Postgres {
    static SHARED: OnceCell<Postgres> = OnceCell::const_new();
    SHARED.get_or_init(|| Postgres::start_with(false)).await
}

/// A running (or stopped) private server; dropping it removes everything.
#[derive(Debug)]
pub struct Postgres {
    guardian: Guardian,
    bin: PathBuf,
    port: u16,
    durable: bool,
    databases: AtomicU32,
}

impl Postgres {
    /// One to kill and restart. It does not wait for the disk: a killed process loses nothing by
    /// that, only a machine without power would.
    pub async fn start_private() -> Self {
        Self::start_with(false).await
    }

    /// One that waits for the disk at every commit, as in production: for measuring.
    pub async fn start_durable() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(durable: bool) -> Self {
        let server = tokio::task::spawn_blocking(move || Self::create(durable));
        let server = server.await.expect("the server starts");
        server.admin(&format!("CREATE DATABASE {TEMPLATE}")).await;
        let db = super::open_db(&server.url(TEMPLATE)).await;
        db.migrate().await.expect("the migrations apply to an empty database");
        db.close().await;
        server
    }

    fn create(durable: bool) -> Self {
        let bin = programs();
        let guardian = Guardian::of_server("postgres", "QUIT");
        let mut server = Self { guardian, bin, port: 0, durable, databases: AtomicU32::new(0) };
        if is_root() {
            let mut chown = Command::new("chown");
            chown.arg("postgres").arg(server.guardian.dir());
            let done = chown.status().expect("`chown` is everywhere");
            assert!(
                done.success(),
                "PostgreSQL refuses to run as root; there is no user `postgres`"
            );
        }
        let initdb = server
            .command("initdb")
            .arg("--pgdata")
            .arg(server.data())
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8"])
            .args(["--locale=C", "--no-instructions"])
            .output()
            .expect("initdb runs");
        assert!(initdb.status.success(), "initdb: {}", String::from_utf8_lossy(&initdb.stderr));
        // Another process may take the free port first; then take another one.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("PostgreSQL did not start:\n{}", tail(&server.log()));
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Makes an empty, migrated database and returns its URL.
    pub async fn fresh_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.admin(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await;
        self.url(&name)
    }

    /// Removes a database made by [`Postgres::fresh_database`], whoever is connected. The whole
    /// server goes at the end anyway; this only keeps a long run small.
    pub async fn drop_database(&self, url: &str) {
        let name = url.rsplit('/').next().and_then(|rest| rest.split('?').next());
        let name = name.expect("a URL ends in the database's name");
        self.admin(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    }

    /// Kills the server as a crash would; its connections break.
    pub fn kill9(&self) {
        let pid = self.pid().expect("the server runs");
        assert!(signal(pid, "KILL"), "no process {pid}");
        until("the killed server is gone", PATIENCE, || !signal(pid, "0"));
    }

    /// Stops without waiting for anybody (`pg_ctl stop -m immediate`).
    pub fn stop(&self) {
        let stopped = self.pg_ctl(&["stop", "-m", "immediate"]);
        assert!(stopped, "pg_ctl stop:\n{}", tail(&self.log()));
    }

    /// Starts it again on the same port and waits until it answers. After [`Postgres::kill9`] the
    /// old server's last children have to go first, which is why this tries more than once.
    pub async fn start(&self) {
        let start = std::time::Instant::now();
        while !tokio::task::block_in_place(|| self.try_start()) {
            assert!(start.elapsed() < PATIENCE, "no restart:\n{}", tail(&self.log()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it under everybody's feet and starts it again.
    pub async fn restart_immediate(&self) {
        tokio::task::block_in_place(|| self.stop());
        self.start().await;
    }

    fn try_start(&self) -> bool {
        let fsync = if self.durable { "on" } else { "off" };
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories='' \
             -c fsync={fsync} -c full_page_writes={fsync} -c max_connections=300 \
             -c shared_buffers=64MB -c log_min_messages=fatal",
            self.port
        );
        self.pg_ctl(&["start", "-w", "-t", "60", "-o", &options])
    }

    /// The server must not hold our standard output: whoever reads it would wait for the server.
    fn pg_ctl(&self, args: &[&str]) -> bool {
        let mut command = self.command("pg_ctl");
        command.args(args).arg("-D").arg(self.data()).arg("-l").arg(self.log());
        quiet(command).status().expect("pg_ctl runs").success()
    }

    /// One of PostgreSQL's programs, as a user that it accepts.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("LC_ALL", "C");
        command
    }

    fn pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    fn data(&self) -> PathBuf {
        self.guardian.dir().join("data")
    }

    fn log(&self) -> PathBuf {
        self.guardian.dir().join("log")
    }

    /// One statement on the maintenance database, on a connection of its own: a pool would belong
    /// to the runtime of the test that made it.
    async fn admin(&self, statement: &str) {
        let url = self.url("postgres");
        let mut connection = PgConnection::connect(&url).await.expect("the server answers");
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut connection).await.expect("the statement works");
        connection.close().await.expect("the connection closes");
    }
}

/// The directory with PostgreSQL's programs: the newest of Debian's, else the one in `PATH`.
/// A lone `postgres` without its `initdb` is not enough.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    debian.sort_by_key(|path| {
        path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or(0)
    });
    let debian = debian.into_iter().rev().map(|version| version.join("bin"));
    let in_path = find_program("initdb", &[]);
    let in_path = in_path.and_then(|file| Some(file.canonicalize().ok()?.parent()?.to_owned()));
    let complete = |dir: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|p| works(dir, p));
    debian.chain(in_path).find(complete).unwrap_or_else(|| missing("PostgreSQL", "postgresql"))
}

fn works(dir: &Path, program: &str) -> bool {
    let mut command = Command::new(dir.join(program));
    command.arg("--version");
    quiet(command).status().is_ok_and(|status| status.success())
}
