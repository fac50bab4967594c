//! Helpers of the one test binary: private stores, real processes of the product, a lossy
//! network and a scriptable job. Everything a helper starts ends with the test process.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop at once")]

pub mod app;
pub mod chaos;
pub mod faketime;
pub mod faultproxy;
pub mod guardian;
pub mod program;
pub mod recipe;
pub mod script;
pub mod sshd;
pub mod stores;
pub mod wait;

/// What a job kind finds at the root of its own crate.
use jobs::{Context, Failure, Job, Unique};
