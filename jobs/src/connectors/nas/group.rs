//! Processes that end with us, however we end.
//!
//! A small `sh` leads the group and holds a pipe from us. When that closes, because we were killed,
//! it removes our private folders and kills its own group. As long as it lives its number, which
//! is the group's, belongs to nobody else.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

const GUARD: &str = r#"
trap '' HUP INT QUIT TERM
while read -r _; do :; done
rm -rf -- "$@"
kill -KILL 0
"#;

/// What programs of ours may know of the environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A process group; killed when dropped.
#[derive(Debug)]
pub(super) struct Group {
    _guard: Child,
    leader: Pid,
    dirs: Vec<PathBuf>,
}

impl Group {
    /// A group whose end takes these folders with it.
    pub(super) fn start(dirs: &[&Path]) -> io::Result<Self> {
        let mut guard = command("/bin/sh");
        guard.args(["-c", GUARD, "relais-nas"]).args(dirs).process_group(0);
        let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn()?;
        let id = guard.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let leader = id.ok_or_else(|| io::Error::other("the guard has no number"))?;
        Ok(Self { _guard: guard, leader, dirs: dirs.iter().map(|dir| (*dir).into()).collect() })
    }

    /// A program that will belong to it, with nothing to read.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command.process_group(self.leader.as_raw_nonzero().get()).stdin(Stdio::null());
        command
    }

    /// Ends every process of it at once.
    pub(super) fn kill(&self) {
        // It is gone already, or it goes now.
        let _ = kill_process_group(self.leader, Signal::KILL);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        for dir in &self.dirs {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// A program with no environment but what it cannot do without.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LANG", "C").env("LC_ALL", "C");
    command.current_dir("/").kill_on_drop(true);
    command
}
