//! The connection that a transfer leaves to the next: many documents that are asked for one by one
//! would else wait for ssh to sign in before each run.

use super::Session;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a connection waits for the next transfer.
const IDLE: Duration = Duration::from_secs(1);

/// At most one connection, and since when it waits.
#[derive(Debug, Default)]
pub(super) struct Parked(Mutex<Option<(Instant, Session)>>);

impl Parked {
    /// The connection that waits, if it is one to a server with these host keys, and stands.
    pub(super) fn take(&self, keys: &[String]) -> Option<Session> {
        let (_since, mut session) = self.take_if(|_| true)?;
        session.may_serve(keys).then_some(session)
    }

    fn take_if(&self, is_wanted: impl FnOnce(Instant) -> bool) -> Option<(Instant, Session)> {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parked.take_if(|(since, _)| is_wanted(*since))
    }

    /// Keeps a connection for a moment. It takes the place of another one.
    fn put(&self, session: Session) -> (Instant, Option<Session>) {
        let now = Instant::now();
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = parked.replace((now, session));
        (now, before.map(|(_since, session)| session))
    }
}

/// Leaves a connection to the next transfer of this process; nobody wants it for a second, and it
/// ends.
pub(crate) fn park(session: Session) {
    let nas = Arc::clone(&session.nas);
    let (since, before) = nas.parked.put(session);
    tokio::spawn(async move {
        if let Some(before) = before {
            before.close().await;
        }
        tokio::time::sleep(IDLE).await;
        if let Some((_since, session)) = nas.parked.take_if(|moment| moment == since) {
            session.close().await;
        }
    });
}
