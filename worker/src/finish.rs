//! Records ends in batches, behind the attempts: while one batch is being written, the next one
//! gathers. A job's lease is kept until its end is recorded.

use crate::Shared;
use crate::claims::chain;
use queue::{Outcome, Ticket};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Ends that may wait to be recorded before attempts have to.
pub(crate) const BACKLOG: usize = 2_000;
const BATCH: usize = 500;

/// An end to record.
pub(crate) struct End {
    pub(crate) ticket: Ticket,
    pub(crate) outcome: Outcome,
}

/// Records until `over` has fired and nothing is left.
pub(crate) async fn record(
    shared: Arc<Shared>,
    mut backlog: mpsc::Receiver<End>,
    over: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            biased;
            received = backlog.recv_many(&mut batch, BATCH) => received,
            () = over.cancelled() => {
                backlog.close();
                backlog.recv_many(&mut batch, BATCH).await
            }
        };
        if received == 0 {
            return;
        }
        let ends: Vec<_> = batch.drain(..).map(|end| (end.ticket, end.outcome)).collect();
        write(&shared, &ends).await;
        ends.iter().for_each(|(ticket, _)| shared.leases.remove(*ticket));
    }
}

/// Writes until it works or is pointless: an outage must not turn finished work into lost work.
/// Each try is refused by the store for jobs that were lost meanwhile.
async fn write(shared: &Shared, ends: &[(Ticket, Outcome)]) {
    let mut pause = Duration::from_millis(50);
    loop {
        let error = match shared.engine.finish(ends).await {
            Ok(held) => {
                if held.len() < ends.len() {
                    let lost = ends.len() - held.len();
                    tracing::warn!(
                        jobs.lost = lost,
                        "ends came too late: the leases had been lost"
                    );
                }
                return;
            }
            Err(error) => error,
        };
        if !error.is_transient() {
            // The jobs come back when their leases run out.
            tracing::error!(error = %chain(&error), jobs.count = ends.len(), "ends cannot be recorded");
            return;
        }
        if shared.stopping.is_cancelled() {
            tracing::error!(error = %chain(&error), jobs.count = ends.len(), "ends were not recorded before shutdown");
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}
