//! Helpers of the one test binary: private stores, real processes of the product, a lossy
//! network and a scriptable job. Everything a helper starts ends with the test process.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop at once")]

pub mod stores;
