//! What ends with the test process, however it ends: servers, processes, directories.
//!
//! A small `sh` holds a pipe whose other end is ours. When that closes, because we say so or
//! because we were killed, it stops what it was told to stop and removes what it was told to.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Stops the server whose process id the directory holds, then removes the directory, and folders
/// elsewhere that a file in it lists. A second look catches a server that was just starting.
const SERVER: &str = r#"
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
        break
    fi
    sleep 0.1
done
cat "$dir/elsewhere" 2>/dev/null | while read -r folder; do rm -rf "$folder"; done
rm -rf "$dir"
"#;

/// Kills a process, unless it is told first that the process has ended: its number may by then
/// be somebody else's.
const PROCESS: &str = r#"
trap '' HUP INT QUIT TERM
read -r word && exit
kill -KILL "$1" 2>/dev/null
"#;

/// Removes a network namespace, and with it its end of a cable.
const NAMESPACE: &str = r#"
trap '' HUP INT QUIT TERM
cat >/dev/null
ip netns del "$1" 2>/dev/null
"#;

/// Takes a file system away from its folder.
const MOUNT: &str = r#"
trap '' HUP INT QUIT TERM
cat >/dev/null
umount -l "$1" 2>/dev/null
"#;

/// A shell that outlives us by a moment.
#[derive(Debug)]
pub struct Guardian {
    dir: PathBuf,
    shell: Child,
}

impl Guardian {
    /// Of a new directory and of the server in it. `signal` is what stops that server fastest
    /// without leaving anything outside the directory.
    pub fn of_server(name: &str, signal: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("relais-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let shell = shell(SERVER, &[dir.as_os_str(), signal.as_ref()]);
        Self { dir, shell }
    }

    /// Of a child of ours.
    pub fn of_process(pid: u32) -> Self {
        Self { dir: PathBuf::new(), shell: shell(PROCESS, &[pid.to_string().as_ref()]) }
    }

    /// Of a network namespace of ours.
    pub fn of_namespace(name: &str) -> Self {
        Self { dir: PathBuf::new(), shell: shell(NAMESPACE, &[name.as_ref()]) }
    }

    /// Of a file system that we mounted on that folder.
    pub fn of_mount(folder: &Path) -> Self {
        Self { dir: PathBuf::new(), shell: shell(MOUNT, &[folder.as_os_str()]) }
    }

    /// The directory that it will remove.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Says that the process has ended by itself.
    pub fn dismiss(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            let _ = pipe.write_all(b"ended\n");
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn shell(script: &str, args: &[&std::ffi::OsStr]) -> Child {
    Command::new("sh")
        .args(["-c", script, "guardian"])
        .args(args)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of the terminal's group: Ctrl-C ends the tests, and then this does its work.
        .process_group(0)
        .spawn()
        .expect("`sh` is everywhere")
}

/// What holds all that a test process needs on the disk.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<Guardian> = OnceLock::new();
    SCRATCH.get_or_init(|| Guardian::of_server("scratch", "KILL")).dir()
}

/// A new directory that goes with the test process.
pub fn scratch_dir(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let dir = scratch().join(format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    dir
}

/// Has a folder outside of the scratch directories, which may come later, go with them.
pub fn remove_too(folder: &Path) {
    let mut list = std::fs::File::options();
    let list = list.create(true).append(true).open(scratch().join("elsewhere"));
    // In one write: tests run beside each other.
    let line = format!("{}\n", folder.display());
    list.and_then(|mut list| list.write_all(line.as_bytes())).expect("a file of ours");
}
