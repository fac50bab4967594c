//! Source 002: shops, terminals, articles and sales.

/// What configuration may change about the sales contract (`design/sync.md` 1.11).
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// A stuck outbox is released once an identical sale was answered `DUPLICATE` this often …
    pub release_after_duplicates: u32,
    /// … and this long has passed since it was received (D-12).
    pub release_after: std::time::Duration,
}
