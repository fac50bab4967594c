//! Compares every article's stock with its opening stock and its movements (D-61).
//!
//! Safe to run twice: it only reads.

use crate::{Context, Failure, Job, Unique};
use records::ventes::stock;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Articles, and movements, per statement.
const PAGE: u32 = 1_000;
/// Articles that the result names; every one is in the log, and all are counted.
const NAMED: usize = 1_000;

/// The check of the stock ledger; the standard schedule puts one in every night.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyStock {}

/// What the check found.
#[derive(Debug, Default, Serialize)]
struct Report {
    articles: u64,
    movements: u64,
    differing: u64,
    differences: Vec<stock::Difference>,
}

impl Job for VerifyStock {
    const KIND: &'static str = "verify_stock";
    const QUEUE: &'static str = "upkeep";
    const MAX_ATTEMPTS: u32 = 3;
    /// Millions of movements are read, a page at a time.
    const TIMEOUT: Duration = Duration::from_secs(3_600);

    /// Two at once would only tell the same twice.
    fn unique(&self) -> Unique {
        Unique::WhileAlive("verify_stock".to_owned())
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let mut report = Report::default();
        let mut after = Some(i64::MIN);
        while let Some(article) = after {
            if cx.cancelled.is_cancelled() {
                return Err(Failure::Snooze(Duration::ZERO));
            }
            let page = stock::check(cx.db(), article, PAGE).await?;
            for found in &page.differences {
                tracing::error!(
                    boutique.id = found.boutique_id,
                    article.id = found.article_id,
                    stock = found.stock,
                    stock.expected = found.expected,
                    movement.broken = found.broken_at,
                    "stock and movements do not agree"
                );
            }
            report.articles += page.articles;
            report.movements += page.movements;
            report.differing += page.differences.len() as u64;
            let room = NAMED.saturating_sub(report.differences.len());
            report.differences.extend(page.differences.into_iter().take(room));
            after = page.next;
        }
        cx.set_result(&report);
        Ok(())
    }
}
