//! Writes what an attempt logs, twice a second and before its end is recorded.

use crate::Shared;
use crate::claims::chain;
use jobs::{Line, Log};
use queue::{Error, Ticket};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(500);

/// Writes until the log is closed and everything is written.
pub(crate) async fn write(shared: &Shared, ticket: Ticket, log: &Log) {
    tokio::select! {
        () = log.begun.cancelled() => {}
        () = log.closed.cancelled() => {}
    }
    loop {
        let is_last = log.closed.is_cancelled();
        let lines = log.take();
        if !lines.is_empty() && !write_some(shared, ticket, &lines).await {
            return;
        }
        if is_last {
            return;
        }
        let _ = tokio::time::timeout(EVERY, log.closed.cancelled()).await;
    }
}

/// Tries until it works or is pointless, as ends are recorded; `false` if nothing more is kept.
async fn write_some(shared: &Shared, ticket: Ticket, lines: &[Line]) -> bool {
    loop {
        let error = match shared.engine.log(ticket, lines).await {
            Ok(()) => return true,
            Err(Error::LeaseLost(_)) => return false,
            Err(error) => error,
        };
        if !error.is_transient() || shared.stopping.is_cancelled() {
            tracing::error!(error = %chain(&error), lines = lines.len(), "logged lines are lost");
            return false;
        }
        tokio::time::sleep(EVERY).await;
    }
}
