//! Rings between the processes of one machine that share an SQLite file: every process has a
//! datagram socket in one directory, and a ring is a datagram to each of the others.
//!
//! Without such sockets (no directory can be made) processes look by themselves every second.

use super::{Bell, Carrier, Gathered, Message};
use async_trait::async_trait;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::UnixDatagram;
use uuid::Uuid;

/// Keeps a datagram below the usual buffer of 208 KiB.
const DONE_PER_MESSAGE: usize = 1_000;
const MAX_DATAGRAM: usize = 256 * 1024;

struct Sockets {
    directory: PathBuf,
    own: PathBuf,
    id: Uuid,
    socket: Arc<UnixDatagram>,
}

/// Starts to ring the other processes of `file` and to hear them.
pub(crate) fn start(bell: &Arc<Bell>, file: &Path) {
    match open(bell.id, file) {
        Ok(sockets) => {
            tokio::spawn(listen(Arc::downgrade(bell), Arc::clone(&sockets.socket)));
            bell.start(Box::new(sockets));
        }
        Err(error) => {
            tracing::warn!(%error, "no sockets to ring other processes with; they look every second");
        }
    }
}

/// Where the processes that share an SQLite file have their sockets. A socket's path has at most
/// 107 bytes, so it cannot always stand beside the file.
pub fn folder(file: &Path) -> std::io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    file.canonicalize()?.hash(&mut hasher);
    Ok(PathBuf::from(format!("/tmp/relais-{:016x}", hasher.finish())))
}

fn open(id: Uuid, file: &Path) -> std::io::Result<Sockets> {
    let directory = folder(file)?;
    match std::fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let own = directory.join(format!("{}.sock", id.simple()));
    let socket = Arc::new(UnixDatagram::bind(&own)?);
    let sockets = Sockets { directory, own, id, socket };
    if !sockets.is_private()? {
        return Err(ErrorKind::PermissionDenied.into());
    }
    sockets.sweep();
    Ok(sockets)
}

impl Sockets {
    /// Whether nobody but this process's user can have made the directory or can ring in it.
    fn is_private(&self) -> std::io::Result<bool> {
        let (directory, own) = (self.directory.symlink_metadata()?, self.own.symlink_metadata()?);
        let is_closed = directory.permissions().mode() & 0o077 == 0;
        Ok(directory.is_dir() && directory.uid() == own.uid() && is_closed)
    }

    fn others(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        entries.flatten().map(|entry| entry.path()).filter(|path| *path != self.own).collect()
    }

    /// Removes what killed processes left: sockets that nobody listens at.
    fn sweep(&self) {
        for other in self.others() {
            let reached = StdDatagram::unbound().and_then(|socket| socket.connect(&other));
            if reached.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                let _ = std::fs::remove_file(other);
            }
        }
    }

    async fn send(&self, message: &[u8], to: &Path) {
        let sent =
            tokio::time::timeout(Duration::from_millis(50), self.socket.send_to(message, to));
        if let Ok(Err(error)) = sent.await
            && error.kind() == ErrorKind::ConnectionRefused
        {
            // Its process is gone: the file is only a name.
            let _ = std::fs::remove_file(to);
        }
    }
}

#[async_trait]
impl Carrier for Sockets {
    async fn carry(&self, gathered: &Gathered) -> Result<(), String> {
        let others = self.others();
        if others.is_empty() {
            return Ok(());
        }
        for message in gathered.messages(self.id, DONE_PER_MESSAGE) {
            let bytes = serde_json::to_vec(&message).map_err(|error| error.to_string())?;
            for other in &others {
                self.send(&bytes, other).await;
            }
        }
        Ok(())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.own);
        self.sweep();
        // The last one out; with others inside it stays.
        let _ = std::fs::remove_dir(&self.directory);
    }
}

async fn listen(bell: Weak<Bell>, socket: Arc<UnixDatagram>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
        let Some(bell) = bell.upgrade() else { return };
        match heard {
            Ok(Ok(size)) => {
                if let Ok(message) = serde_json::from_slice::<Message>(&buffer[..size]) {
                    bell.hear(&message);
                }
            }
            Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(_) => {}
        }
    }
}
