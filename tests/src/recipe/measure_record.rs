//! Measures how long the record takes to answer.
//!
//! Safe to run twice: it changes nothing.

use crate::{Context, Failure, Job, Unique};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Asks the record `samples` times; the result names the slowest answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureRecord {
    pub samples: u32,
}

impl Job for MeasureRecord {
    const KIND: &'static str = "measure_record";
    const QUEUE: &'static str = "upkeep";
    const MAX_ATTEMPTS: u32 = 3;

    /// Two at once would measure each other.
    fn unique(&self) -> Unique {
        Unique::WhileAlive("record".to_owned())
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let mut slowest = Duration::ZERO;
        for _ in 0..self.samples {
            let start = Instant::now();
            cx.db().ping().await?;
            slowest = slowest.max(start.elapsed());
        }
        cx.set_result(&serde_json::json!({ "slowest_ms": slowest.as_millis() }));
        Ok(())
    }
}
