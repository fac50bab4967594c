//! Source 000: what local servers push, lines of receptions and tickets.
//!
//! [`Batch`] is what a site sent, [`apply_atomic`] and [`apply_each`] what becomes of it inside a
//! transaction, [`PushResult`] what the site reads. The decision about one entity is pure
//! (`decide.rs`): a function of the server's row, the item and the time it was received.

pub mod answer;
mod apply;
pub mod batches;
mod chunk;
mod clock;
pub mod conflicts;
mod content;
mod decide;
mod envelope;
mod item;
mod members;
mod merge;
mod pass;
mod resolve;
mod scope;
mod stored;
mod strategy;
pub mod versions;

pub use answer::{EntityError, EntityResult, PushResult, Status};
pub use apply::{Origin, apply_atomic, apply_each, validate};
pub use clock::ClockOffset;
pub use content::{Content, Kind};
pub use envelope::{Batch, BatchError, Mode, OnConflict};
pub use item::Item;
pub use members::data_of;
pub use resolve::{Choice, Decided, Resolved, resolve};
pub use scope::scope;
pub use strategy::{Rule, Strategies, Strategy};

/// Entities in one batch, at the most (D-19).
pub const MAX_ENTITIES: usize = 1_000;
/// Bytes of one batch, inflated, at the most (D-19).
pub const MAX_BYTES: usize = 5 * 1024 * 1024;
/// Levels of brackets, at the most (D-19); a well-formed batch has four.
pub const MAX_DEPTH: usize = 32;
/// Shapes of a batch that are understood, oldest and newest (D-24).
pub const SCHEMA: (i64, i64) = (1, 1);
/// How long versions, closed conflicts and answers are kept (D-42, D-43).
const KEPT_MS: i64 = 90 * 86_400_000;
