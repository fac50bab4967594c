//! A private Redis: one shared by all tests of a process, or one of a test's own to kill.

use super::{Guardian, find_program, free_port, missing, quiet, signal, tail, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::sync::OnceCell;

const PATIENCE: Duration = Duration::from_secs(30);

/// The instance that all tests of this process share, started by the first that asks.
/// Nobody may stop or empty it; each test takes a [`Redis::fresh_prefix`] of its own.
pub async fn redis() -> &'static Redis {
    static SHARED: OnceCell<Redis> = OnceCell::const_new();
    SHARED.get_or_init(|| async { Redis::start_private().await }).await
}

/// A running (or stopped) private server; dropping it removes everything.
#[derive(Debug)]
pub struct Redis {
    guardian: Guardian,
    program: PathBuf,
    port: u16,
    /// `appendfsync` of its append-only file, if it has one.
    append: Option<&'static str>,
}

impl Redis {
    /// One to kill, empty and start again; it keeps nothing across a kill.
    pub async fn start_private() -> Self {
        Self::start_with(None).await
    }

    /// The same with an append-only file (`everysec`): it survives a kill.
    pub async fn start_append_only() -> Self {
        Self::start_with(Some("everysec")).await
    }

    /// The same, waiting for the disk at every write (`always`).
    pub async fn start_append_always() -> Self {
        Self::start_with(Some("always")).await
    }

    async fn start_with(append: Option<&'static str>) -> Self {
        let server = tokio::task::spawn_blocking(move || Self::create(append));
        server.await.expect("the server starts")
    }

    fn create(append: Option<&'static str>) -> Self {
        let program = find_program("redis-server", &["/usr/sbin".into(), "/usr/local/bin".into()])
            .unwrap_or_else(|| missing("redis-server", "redis-server"));
        let guardian = Guardian::of_server("redis", "KILL");
        let mut server = Self { guardian, program, port: 0, append };
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("redis-server did not start:\n{}", tail(&server.log()));
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on, before and after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A key prefix that no other test has.
    pub fn fresh_prefix(&self) -> String {
        format!("test-{}", uuid::Uuid::new_v4().simple())
    }

    /// Kills the server as a crash would.
    pub fn kill9(&self) {
        let pid = self.pid().expect("the server runs");
        assert!(signal(pid, "KILL"), "no process {pid}");
        until("the killed server is gone", PATIENCE, || !signal(pid, "0"));
    }

    /// Starts it again on the same port and waits until it answers.
    pub async fn start(&self) {
        let started = tokio::task::block_in_place(|| self.try_start());
        assert!(started, "redis-server did not start:\n{}", tail(&self.log()));
    }

    /// Empties it (`FLUSHALL`), as an operator's slip or a stale replica would.
    pub fn flush(&self) {
        let answer = self.ask("FLUSHALL").expect("the server answers");
        assert!(answer.starts_with("+OK"), "{answer}");
    }

    fn try_start(&self) -> bool {
        let _ = std::fs::remove_file(self.pid_file());
        let append_only = if self.append.is_some() { "yes" } else { "no" };
        let append = self.append.unwrap_or("everysec");
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.guardian.dir())
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""])
            .args(["--appendonly", append_only, "--appendfsync", append])
            .args(["--maxmemory-policy", "noeviction", "--daemonize", "yes", "--dir"])
            .arg(self.guardian.dir())
            .arg("--pidfile")
            .arg(self.pid_file())
            .arg("--logfile")
            .arg(self.log());
        if !quiet(command).status().expect("redis-server runs").success() {
            return false;
        }
        // The parent returns before the child has the port; who fails to get it removes the file.
        let start = std::time::Instant::now();
        while start.elapsed() < PATIENCE {
            let ours = self.pid().is_some_and(|pid| signal(pid, "0"));
            if ours && self.ask("PING").is_some_and(|answer| answer.starts_with("+PONG")) {
                return true;
            }
            if tail(&self.log()).contains("Address already in use") {
                let _ = std::fs::remove_file(self.log());
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// The beginning of the answer to an inline command.
    pub fn ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = [0; 64];
        let length = stream.read(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()
    }

    fn pid_file(&self) -> PathBuf {
        self.guardian.dir().join("redis.pid")
    }

    fn log(&self) -> PathBuf {
        self.guardian.dir().join("log")
    }
}
