//! One connection to the server, made once and shared by every run of rsync, and the private
//! folder that its socket, its configuration and its lists are in.

use super::argv::{self, ALIAS};
use super::group::Group;
use super::process::{self, Ended};
use super::{Code, Error, Nas, Source, Stage, Target, key_file, stage, texts};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::process::Child;
use tokio::task::JoinHandle;

/// Between two looks at whether the connection stands.
const LOOK: Duration = Duration::from_millis(4);
/// What signing in may take once the server has answered.
const SIGN_IN: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a connection may take to end politely.
const POLITE: Duration = Duration::from_millis(500);

/// A folder that only we can read; it goes with the group of processes that uses it.
#[derive(Debug, Clone)]
pub(super) struct Dir(PathBuf);

impl Dir {
    /// One that nobody has; it is not there yet.
    fn below(folder: &Path) -> Self {
        Self(folder.join(format!("relais-nas-{:016x}", rand::random::<u64>())))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn config(&self) -> PathBuf {
        self.0.join("config")
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        self.0.join("hosts")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("mux")
    }

    /// The names of a run's files.
    pub(super) fn list(&self) -> PathBuf {
        self.0.join("list")
    }

    pub(super) fn write(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        use std::io::Write as _;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(file)?.write_all(bytes)
    }
}

/// An open connection; everything of it ends when dropped.
#[derive(Debug)]
pub struct Session {
    pub(super) nas: Arc<Nas>,
    pub(super) target: Target,
    pub(super) dir: Dir,
    spool: PathBuf,
    pub(super) group: Group,
    master: Child,
    /// How long to wait for others where only one is let in at a time.
    patience: Duration,
    errors: JoinHandle<String>,
    /// Whether the folder for parts of files is there.
    pub(super) has_room_for_parts: AtomicBool,
}

impl Session {
    /// Connects, with the host keys that are trusted, one `type key` each.
    pub async fn open(nas: &Arc<Nas>, keys: &[String], connect: Duration) -> Result<Self, Error> {
        let target = nas.target().cloned();
        let target = target.ok_or_else(|| Error::new(Code::Local, texts::NOT_CONFIGURED))?;
        nas.check_rsync().await?;
        let (uploads, run_dir) = (&nas.settings().uploads, &nas.settings().run_dir);
        let (dir, spools) = (Dir::below(run_dir), stage::spools(uploads, run_dir));
        // They go with the group, also if this process is killed, and so it is there first.
        let group = Group::start(&[&dir.0, &spools[0], &spools[1]]).map_err(local)?;
        make(&dir.0).map_err(local)?;
        let spool = stage::made(spools).map_err(local)?;
        let known: String = keys.iter().map(|key| format!("{ALIAS} {key}\n")).collect();
        dir.write(&dir.known_hosts(), known.as_bytes()).map_err(local)?;
        let config = argv::ssh_config(nas, &target, &dir);
        dir.write(&dir.config(), config.as_bytes()).map_err(local)?;
        let ssh = &nas.settings().ssh;
        let mut command = group.command(ssh);
        command.args(argv::master(&dir, connect)).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut master = command.spawn().map_err(|error| Error::local(ssh, &error))?;
        let errors = tokio::spawn(process::kept(master.stderr.take().expect("it was piped")));
        let mut session = Self {
            nas: Arc::clone(nas),
            target,
            dir,
            spool,
            group,
            master,
            patience: PATIENCE,
            errors,
            has_room_for_parts: AtomicBool::new(false),
        };
        let stands = tokio::time::timeout(connect + SIGN_IN, session.until_it_stands()).await;
        stands.unwrap_or_else(|_| Err(Error::new(Code::Timeout, texts::TOO_SLOW)))?;
        Ok(session)
    }

    async fn until_it_stands(&mut self) -> Result<(), Error> {
        loop {
            if let Some(status) = self.master.try_wait().map_err(local)? {
                let said = (&mut self.errors).await.unwrap_or_default();
                return Err(self.refusal(status.code(), &said).await);
            }
            // ssh makes the socket once it has signed in.
            if self.dir.socket().exists() {
                let check = argv::ask(&self.dir, "check");
                let ended = self.run(&self.nas.settings().ssh, &check, |_| {}).await?;
                if ended.code == Some(0) {
                    return Ok(());
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What it means that nobody was let in: it may be because of the key file.
    async fn refusal(&self, exit: Option<i32>, said: &str) -> Error {
        let error = self.judged(exit, said);
        match &self.nas.settings().key_file {
            Some(file) if error.code == Code::Auth => key_file::fault(file).await.unwrap_or(error),
            _ => error,
        }
    }

    #[must_use]
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Gets documents ready to be sent.
    pub async fn stage(&self, sources: Vec<Source>) -> Result<Arc<Stage>, Error> {
        self.stage_from(self.nas.settings().uploads.clone(), sources).await
    }

    pub(super) async fn stage_from(
        &self,
        uploads: PathBuf,
        sources: Vec<Source>,
    ) -> Result<Arc<Stage>, Error> {
        let spool = self.spool.clone();
        let fill = tokio::task::spawn_blocking(move || Stage::fill(&uploads, &spool, sources));
        fill.await.map_err(local)?.map(Arc::new).map_err(local)
    }

    pub(super) async fn run(
        &self,
        program: &str,
        args: &[String],
        line: impl FnMut(&str) + Send,
    ) -> Result<Ended, Error> {
        process::run(&self.group, program, args, line).await
    }

    /// Runs rsync; a server that is busy with somebody else is asked again.
    pub(super) async fn rsync(
        &self,
        args: &[String],
        line: &mut (impl FnMut(&str) + Send),
    ) -> Result<Ended, Error> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            let ended = self.run(&self.nas.settings().rsync, args, &mut *line).await?;
            let is_busy =
                ended.code != Some(0) && self.judged(ended.code, &ended.stderr).code == Code::Busy;
            if !is_busy || start.elapsed() + pause > self.patience {
                return Ok(ended);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// What a failed run means.
    pub(super) fn judged(&self, exit: Option<i32>, stderr: &str) -> Error {
        let mut secrets = vec![format!("{}@", self.target.user), self.dir.0.display().to_string()];
        secrets.extend(self.nas.settings().key_file.iter().map(|key| key.display().to_string()));
        Error::of(exit, stderr, &secrets)
    }

    /// Ends it; also a server that has stopped answering does not hold this up.
    pub async fn close(mut self) {
        let exit = argv::ask(&self.dir, "exit");
        let ended = async {
            let _ = self.run(&self.nas.settings().ssh, &exit, |_| {}).await;
            let _ = self.master.wait().await;
        };
        let _ = tokio::time::timeout(POLITE, ended).await;
    }

    /// Ends it at once.
    pub fn kill(self) {
        self.group.kill();
    }
}

/// A folder that only we can read.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(folder)
}

pub(super) fn local(error: impl std::fmt::Display) -> Error {
    Error::new(Code::Local, error.to_string())
}
