//! Who runs beside whom. A job whose processes died twice may be what kills them, or was only there
//! both times; a third death sets it aside. Such suspects are told apart: no other suspect runs in
//! the process meanwhile, at first nobody else does, and one that waits for its turn has not begun
//! and loses nothing. So what dies three times has done it (G-11).

use queue::SUSPECT;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a suspect waits for the others to end, while no other begins; then it runs beside them.
const CLEARING: Duration = Duration::from_secs(5);
/// How long others wait for a suspect that began alone: what kills usually kills at once.
const ALONE: Duration = Duration::from_secs(5);

/// The process, as a place to run in.
#[derive(Debug, Default)]
pub(crate) struct Room {
    suspects: Arc<Mutex<()>>,
    everybody: Arc<RwLock<()>>,
}

/// The right to run, until dropped.
#[derive(Debug)]
pub(crate) enum Place {
    Beside { _others: OwnedRwLockReadGuard<()> },
    Suspect { _turn: OwnedMutexGuard<()>, _alone: Option<Alone> },
}

/// Keeps the others away for [`ALONE`], or until dropped.
#[derive(Debug)]
pub(crate) struct Alone(JoinHandle<()>);

impl Room {
    /// Waits until a job that crashed so often may run.
    pub(crate) async fn enter(&self, crashes: u32) -> Place {
        if crashes < SUSPECT {
            return Place::Beside { _others: Arc::clone(&self.everybody).read_owned().await };
        }
        let turn = Arc::clone(&self.suspects).lock_owned().await;
        let cleared = timeout(CLEARING, Arc::clone(&self.everybody).write_owned()).await;
        Place::Suspect { _turn: turn, _alone: cleared.ok().map(Alone::begin) }
    }
}

impl Alone {
    fn begin(cleared: OwnedRwLockWriteGuard<()>) -> Self {
        Self(tokio::spawn(async move {
            sleep(ALONE).await;
            drop(cleared);
        }))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.abort();
    }
}
