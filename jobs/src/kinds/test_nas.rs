//! Tries the connection to the file server: source 001's `sync/test`.
//!
//! Safe to run twice: it leaves nothing behind but one probe file with a fixed name.

use crate::connectors::nas::Nas;
use crate::{Context, Failure, Job};
use db::Db;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The job's result; its `success` and `message` are R-001-17.
pub use crate::connectors::nas::Diagnosis;

/// One try, of 15.5 seconds at the most.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestNas {}

impl Job for TestNas {
    const KIND: &'static str = "test_nas";
    const QUEUE: &'static str = "nas_test";
    const MAX_ATTEMPTS: u32 = 1;
    const TIMEOUT: Duration = Duration::from_secs(20);

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let keys = trusted_keys(cx.db(), &cx.services.nas).await?;
        let try_it = cx.services.nas.diagnose(&keys);
        // Dropped, it ends what it had started.
        let Some(diagnosis) = cx.cancelled.run_until_cancelled(try_it).await else {
            return Err(Failure::Snooze(Duration::ZERO));
        };
        diagnosis.log();
        cx.set_result(&diagnosis);
        Ok(())
    }
}

/// The host keys that are trusted for the file server, as ssh has them.
pub async fn trusted_keys(db: &Db, nas: &Nas) -> Result<Vec<String>, db::Error> {
    let Some(target) = nas.target() else { return Ok(Vec::new()) };
    let keys = records::nas::keys(db, &target.host, target.port).await?;
    Ok(keys.into_iter().map(|key| key.line).collect())
}
