//! Private servers on free loopback ports, in a temporary directory of their own.
//!
//! They end with the test process, however it ends: a small `sh` holds a pipe whose other end is
//! ours, and when that closes it stops the server and removes the directory.

mod postgres;
mod redis;

pub use postgres::{Postgres, postgres};
pub use redis::{Redis, redis};

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits for the pipe to close, then stops what `server.pid` names and removes the directory.
/// A second look catches a server that was just starting.
const GUARDIAN: &str = r#"
trap '' HUP INT QUIT TERM
dir=$1 signal=$2
cat >/dev/null
for round in 1 2; do
    pid=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null || cat "$dir/redis.pid" 2>/dev/null)
    if [ -n "$pid" ]; then
        kill "-$signal" "$pid" 2>/dev/null
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
            sleep 0.05
            tries=$((tries + 1))
        done
        kill -KILL "$pid" 2>/dev/null
    else
        sleep 0.1
    fi
    [ "$signal" = KILL ] && break
done
rm -rf "$dir"
"#;

/// A directory, and the guardian that removes it and stops the server in it.
#[derive(Debug)]
struct Guardian {
    dir: PathBuf,
    shell: Child,
}

impl Guardian {
    /// `signal` is what stops the server fastest without leaving anything outside `dir`.
    fn start(name: &str, signal: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("relais-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let shell = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(&dir)
            .arg(signal)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of the terminal's group: Ctrl-C ends the tests, and then this does its work.
            .process_group(0)
            .spawn()
            .expect("`sh` is everywhere");
        Self { dir, shell }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A port of 127.0.0.1 that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// The file of a program in `PATH` or in one of `more`.
fn find_program(name: &str, more: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(more.iter().cloned());
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Stops the test run with the one command that helps.
fn missing(what: &str, package: &str) -> ! {
    panic!(
        "{what} was not found. On Debian as root, `cargo xtask check` installs what the tests \
         need; by hand: `apt-get install -y --no-install-recommends {package}`. \
         `TEST_ENGINES=embedded` runs the conformance suite without it."
    )
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("`id` is everywhere");
    id.stdout.trim_ascii() == b"0"
}

/// Sends a signal and says whether there was a process to receive it.
pub fn signal(pid: u32, name: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).arg(pid.to_string());
    quiet(kill).status().expect("`kill` is everywhere").success()
}

fn quiet(mut command: Command) -> Command {
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
