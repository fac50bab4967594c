//! The only reader of this machine's time.
//!
//! Whether a job is due or a lease has run out is decided by the store's clock alone; this one
//! is for names, logs and measuring.

use chrono::{DateTime, Utc};

/// The time on this machine.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}
