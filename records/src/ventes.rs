//! Source 002: shops, terminals, articles and sales.
//!
//! [`Batch`] is what a terminal sent, [`apply()`] what becomes of it inside a transaction,
//! [`BatchResult`] what is remembered of that, and [`answer`] what the terminal reads.

pub mod answer;
mod apply;
mod batch;
pub mod chunks;
mod delivery;
mod fingerprint;
pub mod money;
mod outcome;
mod refusal;
mod rejected;
mod sale;
pub mod stock;
mod terminal;
pub mod texts;

pub use apply::{Origin, apply};
pub use batch::{Batch, BatchError, MAX_DEPTH, MAX_LINES, MAX_SALES};
pub use delivery::delivered;
pub use outcome::{BatchResult, Created, CreatedLine, Refused, SaleOutcome};
pub use refusal::Code;
pub use terminal::{Boutique, Terminal, terminal};

/// What configuration may change about the sales contract (`design/sync.md` 1.11).
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// A stuck outbox is released once an identical sale was answered `DUPLICATE` this often …
    pub release_after_duplicates: u32,
    /// … and this long has passed since it was received (D-12).
    pub release_after: std::time::Duration,
}
