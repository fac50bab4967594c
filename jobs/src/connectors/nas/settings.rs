//! Where the file server is, and how it is to be treated.

use super::Window;
use std::path::PathBuf;
use std::time::Duration;

/// Everything configuration says about the file server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name or address.
    pub host: Option<String>,
    /// The ssh user; shown to nobody (R-001-15).
    pub user: Option<String>,
    /// The folder there.
    pub path: Option<String>,
    /// The ssh port.
    pub port: u16,
    /// The private key; `None` lets ssh take the usual ones of its account.
    pub key_file: Option<PathBuf>,
    /// The folder whose files are sent.
    pub uploads: PathBuf,
    /// A folder for sockets and lists of names; short, because a socket's path may not be long.
    pub run_dir: PathBuf,
    /// KiB per second and transfer; 0 is as fast as it goes.
    pub bandwidth: u32,
    /// When documents may be sent; `None` is always.
    pub window: Option<Window>,
    /// Transfers at once, all workers together.
    pub max_parallel: u32,
    /// How long one document that was asked for by itself may take (D-4).
    pub file_timeout: Duration,
    /// Whether the server is to have written each file to its disk before it counts.
    pub fsync: bool,
    /// The program `ssh`.
    pub ssh: String,
    /// The program `rsync`.
    pub rsync: String,
}

impl Default for Settings {
    /// No server; the rest as in `config.default.toml`.
    fn default() -> Self {
        Self {
            host: None,
            user: None,
            path: None,
            port: 22,
            key_file: None,
            uploads: PathBuf::from("data/uploads"),
            run_dir: PathBuf::from("/tmp"),
            bandwidth: 0,
            window: None,
            max_parallel: 2,
            file_timeout: Duration::from_secs(300),
            fsync: false,
            ssh: "ssh".to_owned(),
            rsync: "rsync".to_owned(),
        }
    }
}

/// A server that is configured in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// The ssh port.
    pub port: u16,
    pub(super) user: String,
    /// The folder, without a slash at its end.
    pub(super) path: String,
}

impl Settings {
    pub(super) fn target(&self) -> Option<Target> {
        let (host, user, path) = (self.host.clone()?, self.user.clone()?, self.path.as_ref()?);
        let path = path.trim_end_matches('/').to_owned();
        Some(Target { host, port: self.port, user, path })
    }
}
