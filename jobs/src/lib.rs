//! What work is: the [`Job`] trait, the [`Catalog`] of kinds, and what a running job is given
//! ([`Context`]) and may answer ([`Failure`]).
//!
//! Adding a kind is one file in `kinds/` and one line in `kinds.rs`.
#![warn(missing_docs)]

mod catalog;
pub mod connectors;
mod context;
mod failure;
mod job;
pub mod kinds;
mod known;
mod log;
mod retry;
mod why;

pub use catalog::{Catalog, Kind, Malformed, Runnable, UnknownKind};
pub use context::{Context, Services};
pub use failure::Failure;
pub use job::Job;
pub use log::{Line, Log};
pub use queue::{Hold, Unique};
pub use retry::RetryPolicy;
pub use why::why;
