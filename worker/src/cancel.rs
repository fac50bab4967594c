//! Hears which of the running jobs somebody asks to stop.

use crate::Shared;
use crate::claims::chain;
use queue::CANCELS;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The net below a missed ring: an ask is seen within a second.
const LOOK: Duration = Duration::from_millis(500);

/// Fires the tokens of cancelled attempts until `over` fires.
pub(crate) async fn watch(shared: Arc<Shared>, over: CancellationToken) {
    let mut rung = shared.engine.ready(CANCELS);
    let mut failing = false;
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            _ = rung.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        // Whatever is asked from here on rings again.
        rung.mark_unchanged();
        let open = shared.leases.uncancelled();
        if open.is_empty() {
            continue;
        }
        match shared.engine.cancels(&open).await {
            Ok(asked) => {
                failing = false;
                asked.into_iter().for_each(|(ticket, by)| shared.leases.cancel(ticket, by));
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(error = %chain(&error), "cancelled jobs are not heard of; trying again");
                }
                failing = true;
            }
        }
    }
}
