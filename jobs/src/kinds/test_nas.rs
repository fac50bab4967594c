//! Tries the connection to the file server: source 001's `sync/test`.
//!
//! Safe to run twice: it leaves nothing behind but one probe file with a fixed name.

use crate::{Context, Failure, Job};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One try, of 15.5 seconds at the most.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestNas {}

/// The job's result; `success` and `message` are R-001-17.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Whether documents could be sent now.
    pub success: bool,
    /// Exactly what the contract says (R-001-18 to R-001-21).
    pub message: String,
    /// For programs: `ok`, `not_configured`, `name_not_found`, `refused`, `timeout`, …
    pub code: String,
}

impl Job for TestNas {
    const KIND: &'static str = "test_nas";
    const QUEUE: &'static str = "nas_test";
    const MAX_ATTEMPTS: u32 = 1;
    const TIMEOUT: Duration = Duration::from_secs(20);

    async fn run(self, _cx: &Context) -> Result<(), Failure> {
        Err(Failure::permanent("the connector is not there yet"))
    }
}
