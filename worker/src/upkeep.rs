//! Makes due jobs ready and takes back what other processes lost; every worker process does it,
//! none is elected. Sleeps until the next job is due, at most [`ROUND`].

use crate::Shared;
use crate::claims::chain;
use queue::SCHEDULED;
use std::sync::Arc;
use std::time::Duration;

const ROUND: Duration = Duration::from_secs(1);
/// A job due in less than this is waited for, not looked for again.
const SHORTEST: Duration = Duration::from_millis(2);

pub(crate) async fn run(shared: Arc<Shared>) {
    let mut scheduled = shared.engine.ready(SCHEDULED);
    let mut failing = false;
    loop {
        scheduled.mark_unchanged();
        let pause = match shared.engine.reap().await {
            Ok(reaped) => {
                failing = false;
                if reaped.recovered + reaped.dead > 0 {
                    tracing::warn!(
                        jobs.recovered = reaped.recovered,
                        jobs.dead = reaped.dead,
                        "jobs were taken back from workers that let their leases run out"
                    );
                }
                if reaped.more {
                    continue;
                }
                reaped.next_due.unwrap_or(ROUND).clamp(SHORTEST, ROUND)
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(error = %chain(&error), "upkeep failed; trying again every second");
                }
                failing = true;
                ROUND
            }
        };
        tokio::select! {
            () = shared.draining.cancelled() => return,
            _ = scheduled.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
