//! The file server of source 001, reached with `rsync` over `ssh`
//! (<https://download.samba.org/pub/rsync/rsync.1>, <https://man.openbsd.org/ssh_config>).
//!
//! Programs are started with lists of arguments, never through a shell's text, with an empty
//! environment, in a process group that ends with us however we end. An exit code of 0 proves
//! nothing: what counts as delivered was read back by a checksum run that names it unchanged.
//! Repeating a transfer does no harm: rsync sends what is missing.
//!
//! Limits: rsync 3.2.4 or newer here (older ones let names run on the server), a standard sshd
//! takes 10 connections that are just being made and 10 sessions per connection.

mod argv;
mod deliver;
mod diagnose;
mod group;
mod key_file;
mod output;
mod process;
mod session;
mod settings;
mod stage;
mod texts;
mod trust;
mod verdict;
mod window;

pub use deliver::{Delivery, Meter, Outcome};
pub use diagnose::Diagnosis;
pub(crate) use diagnose::alert_changed_key;
pub use session::Session;
pub use settings::{Settings, Target};
pub use stage::{Source, Stage};
pub use trust::HostKey;
pub use verdict::{Code, Error};
pub use window::Window;

pub use texts::{CHANGED, MISSING, NOT_CONFIGURED};

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OnceCell};

/// The oldest rsync that escapes the names it hands to the server.
const OLDEST_RSYNC: (u32, u32, u32) = (3, 2, 4);

/// The file server; one per process.
#[derive(Debug)]
pub struct Nas {
    settings: Settings,
    target: Option<Target>,
    /// Whether the server refused `--secluded-args`, as `rrsync` does.
    is_restricted: AtomicBool,
    rsync: OnceCell<()>,
    settled: Notify,
}

/// None.
impl Default for Nas {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Nas {
    /// The server that the settings name, if they do.
    pub fn new(mut settings: Settings) -> Self {
        // Programs are started elsewhere.
        if let Ok(absolute) = std::path::absolute(&settings.uploads) {
            settings.uploads = absolute;
        }
        let target = settings.target();
        let (is_restricted, rsync) = (AtomicBool::new(false), OnceCell::new());
        Self { settings, target, is_restricted, rsync, settled: Notify::new() }
    }

    /// Ends when a transfer of this process next says what became of documents, or gives some back.
    pub(crate) fn settled(&self) -> Notified<'_> {
        self.settled.notified()
    }

    /// Wakes the transfers that wait for others.
    pub(crate) fn settle(&self) {
        self.settled.notify_waiters();
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where documents go; `None` if that is not configured.
    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    fn is_restricted(&self) -> bool {
        self.is_restricted.load(Ordering::Relaxed)
    }

    fn restrict(&self) {
        self.is_restricted.store(true, Ordering::Relaxed);
    }

    /// Refuses an rsync that is too old, or absent; asked once.
    async fn check_rsync(&self) -> Result<(), Error> {
        let program = &self.settings.rsync;
        self.rsync
            .get_or_try_init(|| async {
                let version = process::output(program, &["--version"], "").await?;
                match output::version(&version) {
                    Some(found) if found >= OLDEST_RSYNC => Ok(()),
                    _ => Err(Error::new(Code::LocalRsync, texts::OLD_RSYNC)),
                }
            })
            .await
            .copied()
    }
}
