//! Removes finished jobs whose retention has passed, old lines of the ticks' ledger, old idempotency
//! keys, and what is kept of pushed entities for 90 days, in small steps.
//!
//! Safe to run twice: what the first run removed is not there for the second.

use crate::{Context, Failure, Job, Unique};
use records::{push, requests};
use serde::{Deserialize, Serialize};

/// Rows per statement: few enough that no lock is held for long.
const STEP: u32 = 1_000;

/// The upkeep of the `jobs` table; the standard schedule puts one in every hour.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneJobs {}

impl Job for PruneJobs {
    const KIND: &'static str = "prune_jobs";
    const QUEUE: &'static str = "upkeep";
    const MAX_ATTEMPTS: u32 = 3;

    /// Two at once would only wait for each other.
    fn unique(&self) -> Unique {
        Unique::WhileAlive("prune".to_owned())
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let mut removed = 0;
        loop {
            let step = cx.services.engine.prune(cx.services.retention, STEP).await?;
            removed += step;
            if step < u64::from(STEP) || cx.cancelled.is_cancelled() {
                break;
            }
        }
        let mut ticks = 0;
        loop {
            let step = queue::schedules::prune(cx.db(), STEP).await?;
            ticks += step;
            if step < u64::from(STEP) || cx.cancelled.is_cancelled() {
                break;
            }
        }
        let mut keys = 0;
        loop {
            let step = requests::prune(cx.db(), STEP).await?;
            keys += step;
            if step < u64::from(STEP) || cx.cancelled.is_cancelled() {
                break;
            }
        }
        let pushed = prune_pushed(cx).await?;
        cx.set_result(&serde_json::json!({
            "removed": removed, "ticks": ticks, "keys": keys, "pushed": pushed,
        }));
        Ok(())
    }
}

/// Versions of entities, settled conflicts and answers of batches.
async fn prune_pushed(cx: &Context) -> Result<u64, Failure> {
    let mut pruned = 0;
    loop {
        let versions = push::versions::prune(cx.db(), STEP).await?;
        let conflicts = push::conflicts::prune(cx.db(), STEP).await?;
        let answers = push::batches::prune(cx.db(), STEP).await?;
        pruned += versions + conflicts + answers;
        let is_full = [versions, conflicts, answers].iter().any(|step| *step >= u64::from(STEP));
        if !is_full || cx.cancelled.is_cancelled() {
            return Ok(pruned);
        }
    }
}
