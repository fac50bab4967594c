//! Source 002: shops, terminals, articles and sales.
//!
//! [`Batch`] is what a terminal sent, [`apply()`] what becomes of it inside a transaction,
//! [`BatchResult`] what is remembered of that, and [`answer`] what the terminal reads.

pub mod answer;
mod apply;
mod batch;
pub mod chunks;
pub mod days;
pub mod desk;
mod figures;
mod fingerprint;
pub mod history;
pub mod money;
mod outcome;
mod refusal;
mod rejected;
mod rejections;
mod sale;
mod scope;
pub mod shelf;
pub mod stock;
mod terminal;
pub mod texts;

pub use apply::{Origin, apply, set_aside};
pub use batch::{Batch, BatchError, MAX_DEPTH, MAX_LINES, MAX_SALES};
pub use days::Turnover;
pub use figures::{Figures, figures};
pub use outcome::{BatchResult, Created, CreatedLine, Refused, SaleOutcome};
pub use refusal::Code;
pub use rejections::{RejectedSale, rejections};
pub use scope::scope;
pub use terminal::{Boutique, Paired, Terminal, Till, pair, terminal, terminal_with_key, tills};

/// What configuration may change about the sales contract (`design/sync.md` 1.11).
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// A stuck outbox is released once an identical sale was answered `DUPLICATE` this often …
    pub release_after_duplicates: u32,
    /// … and this long has passed since it was received (D-12).
    pub release_after: std::time::Duration,
    /// What becomes of a sale of more than there is (C-17).
    pub stock: StockPolicy,
}

/// What becomes of a sale of more than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StockPolicy {
    /// It is refused, and kept in `ventes_rejetees`.
    #[default]
    Refuse,
    /// It is booked, stock goes below zero, and an alert is kept.
    AcceptWithAlert,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            release_after_duplicates: 3,
            release_after: std::time::Duration::from_secs(600),
            stock: StockPolicy::Refuse,
        }
    }
}
