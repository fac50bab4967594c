//! Applies the sales of one request of a terminal: source 002's `ventes/sync`.
//!
//! Safe to run twice: a chunk's effects and outcomes are one transaction that only the job's
//! holder can commit, a second attempt starts after the last committed chunk, and the end is
//! recorded in the last chunk's transaction.

pub(crate) mod trial;

use crate::{Context, Failure, Job, RetryPolicy, Unique};
use chrono::{DateTime, NaiveDateTime, Utc};
use db::failpoint;
use queue::Progress;
use records::ventes::{
    self, Batch, BatchResult, Boutique, Code, Origin, SaleOutcome, Terminal, chunks, money, texts,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;
use trial::{Step, Trial};

/// Sales per transaction: what a crash repeats at the most (D-3).
const CHUNK: usize = 100;

/// One request of one terminal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplySalesBatch {
    /// The shop, and its lane.
    pub boutique_id: i64,
    /// Its name, for the log.
    pub boutique: String,
    /// The terminal.
    pub terminal_id: i64,
    /// Its name, for the log.
    pub terminal: String,
    /// Its serial number.
    pub numero_serie: String,
    /// When the request was received.
    pub recue_le: DateTime<Utc>,
    /// The same as `YYYYMMDDHHMMSS`: frozen, because generated numbers hold it (D-13).
    pub horodatage: String,
    /// The shop's IANA time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuseau: Option<String>,
    /// Every sale exactly as it was sent.
    pub ventes: Vec<Box<RawValue>>,
    /// Set when a sale has no number of its own: terminal and content, so that the same request
    /// sent again is the same job until its answer was delivered (D-13).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_delivered: Option<String>,
}

impl ApplySalesBatch {
    /// The job for `batch`, sent by `terminal` which stands in `shop`; `stamp` is when, as the
    /// numbers that are made up will say it.
    pub fn new(
        terminal: &Terminal,
        shop: &Boutique,
        batch: Batch,
        recue_le: DateTime<Utc>,
        stamp: NaiveDateTime,
    ) -> Self {
        let until_delivered = batch
            .has_unnumbered()
            .then(|| format!("{}:{}:{}", shop.id, terminal.id, batch.fingerprint()));
        Self {
            boutique_id: shop.id,
            boutique: shop.nom.clone(),
            terminal_id: terminal.id,
            terminal: terminal.nom.clone(),
            numero_serie: terminal.numero_serie.clone(),
            recue_le,
            horodatage: stamp.format("%Y%m%d%H%M%S").to_string(),
            fuseau: Some(shop.fuseau.clone()),
            ventes: batch.into_sales(),
            until_delivered,
        }
    }

    /// The lane of a shop.
    pub fn lane_of(boutique_id: i64) -> String {
        format!("boutique:{boutique_id}")
    }

    fn origin(&self, cx: &Context) -> Origin {
        Origin {
            boutique_id: self.boutique_id,
            terminal_id: self.terminal_id,
            job: cx.job.ticket.id,
            recue_le: self.recue_le,
            horodatage: self.horodatage.clone(),
            fuseau: ventes::days::zone(self.fuseau.as_deref().unwrap_or_default()),
        }
    }

    /// Applies and commits the next chunk; true if it was the last.
    async fn apply_chunk(
        &self,
        cx: &Context,
        outcomes: &mut Vec<SaleOutcome>,
        step: Step,
    ) -> Result<bool, Failure> {
        let (first, total) = (outcomes.len(), self.ventes.len());
        let end = total.min(match step {
            Step::Apply(sales) => first + sales,
            Step::SetAside => first + 1,
        });
        let origin = self.origin(cx);
        let mut tx = cx.db().begin().await?;
        // Seen by others once this transaction has committed, and true by then.
        let progress = Progress { done: count(end), total: count(total) };
        // The end of the job asks by itself whether it is still held.
        if end < total {
            cx.hold_in(&mut tx, Some(progress)).await?;
        }
        let policy = &cx.services.sales;
        let applied = match step {
            Step::Apply(_) => {
                ventes::apply(&mut tx, &origin, policy, &self.ventes, first..end).await?
            }
            Step::SetAside => ventes::set_aside(&mut tx, &origin, &self.ventes, first..end).await?,
        };
        failpoint::at("commit").await?;
        if end < total {
            chunks::save(&mut tx, origin.job, first, &applied).await?;
            outcomes.extend(applied);
            tx.commit().await?;
        } else {
            if first > 0 {
                chunks::clear(&mut tx, origin.job).await?;
            }
            outcomes.extend(applied);
            let result = BatchResult { ventes: std::mem::take(outcomes) };
            cx.finish_in(&mut tx, Some(progress), &result).await?;
            *outcomes = result.ventes;
            tx.commit().await?;
        }
        failpoint::at("committed").await?;
        outcomes[first..].iter().for_each(|outcome| self.log_outcome(outcome));
        Ok(end == total)
    }

    fn log_start(&self) {
        let (shop, sales) = (self.boutique_id, self.ventes.len());
        let terminal = self.numero_serie.as_str();
        let started = texts::log_started(&self.boutique, &self.terminal);
        tracing::info!(boutique.id = shop, terminal.serial = terminal, "{started}");
        let counted = texts::log_count(sales);
        tracing::info!(
            boutique.id = shop,
            terminal.serial = terminal,
            ventes.count = sales,
            "{counted}"
        );
    }

    fn log_outcome(&self, outcome: &SaleOutcome) {
        let shop = self.boutique_id;
        match outcome {
            SaleOutcome::Creee(sale) if !sale.rejouee => {
                let (number, total) = (sale.numero_facture.as_str(), sale.montant_total.as_str());
                let amount = money::parse(total).unwrap_or_default();
                let line = texts::log_created(number, amount);
                tracing::info!(
                    boutique.id = shop,
                    vente.number = number,
                    vente.total = total,
                    "{line}"
                );
            }
            SaleOutcome::Refusee(sale) if sale.code == Code::Duplicate => {
                let number = sale.numero_facture.as_str();
                let line = texts::log_duplicate(number);
                tracing::warn!(boutique.id = shop, vente.number = number, "{line}");
            }
            _ => {}
        }
    }
}

fn count(sales: usize) -> u64 {
    u64::try_from(sales).unwrap_or(u64::MAX)
}

impl Job for ApplySalesBatch {
    const KIND: &'static str = "apply_sales_batch";
    const QUEUE: &'static str = "records";
    /// About a day of retries (D-14).
    const MAX_ATTEMPTS: u32 = 300;
    const RETRY: RetryPolicy =
        RetryPolicy::new(Duration::from_millis(500), Duration::from_secs(300));

    fn unique(&self) -> Unique {
        self.until_delivered.clone().map_or(Unique::No, Unique::UntilDelivered)
    }

    /// Sales of one shop are applied in the order they were accepted (D-16).
    fn lane(&self) -> Option<String> {
        Some(Self::lane_of(self.boutique_id))
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        // Only a batch of several chunks can have left some behind.
        let resumable =
            self.ventes.len() > CHUNK || cx.job.crashes > 0 || cx.job.checkpoint.is_some();
        let mut outcomes = match resumable {
            true => chunks::load(cx.db(), cx.job.ticket.id).await?,
            false => Vec::new(),
        };
        if outcomes.is_empty() {
            self.log_start();
        }
        let mut trial = Trial::resume(cx, outcomes.len());
        loop {
            let step = trial.step(cx, outcomes.len()).await?;
            if self.apply_chunk(cx, &mut outcomes, step).await? {
                return Ok(());
            }
            if cx.cancelled.is_cancelled() {
                return Err(Failure::Snooze(Duration::ZERO));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ApplySalesBatch;
    use crate::{Catalog, Job, Unique};
    use chrono::{DateTime, Utc};
    use records::ventes::{Batch, Boutique, Terminal};

    fn job(body: &str) -> ApplySalesBatch {
        let shop =
            Boutique { id: 2, nom: "Ma Boutique".to_owned(), fuseau: "Africa/Kinshasa".to_owned() };
        let terminal = Terminal {
            id: 1,
            numero_serie: "0a1b".to_owned(),
            nom: "T".to_owned(),
            boutique: Some(shop.clone()),
        };
        let received: DateTime<Utc> = "2025-10-29T02:45:00.9Z".parse().expect("a date");
        let batch = Batch::parse(body.as_bytes()).expect("a batch");
        ApplySalesBatch::new(&terminal, &shop, batch, received, received.naive_utc())
    }

    #[test]
    fn a_payload_keeps_every_sale_as_it_was_sent() {
        let sale = r#"{"numero_facture" : "A\u0000", "lignes":[{"article_id":6,"prix_unitaire":40000.10}]}"#;
        let new = job(&format!("[{sale}]")).into_new();
        assert!(new.payload.contains(sale), "{}", new.payload);
        assert_eq!(new.lane.as_deref(), Some("boutique:2"));
        assert_eq!((new.queue.as_str(), new.max_attempts), ("records", 300));
        let read: ApplySalesBatch = serde_json::from_str(&new.payload).expect("its own payload");
        assert_eq!(read.ventes[0].get(), sale);
        assert_eq!(read.horodatage, "20251029024500");
        assert!(Catalog::standard().get("apply_sales_batch").is_ok());
    }

    #[test]
    fn only_a_batch_without_numbers_is_unique() {
        assert_eq!(job(r#"[{"numero_facture":"A"}]"#).unique(), Unique::No);
        let one = job(r#"[{"lignes":[],"paye":true}]"#).unique();
        assert_eq!(job(r#"[ {"paye":true, "lignes":[]} ]"#).unique(), one);
        assert!(matches!(one, Unique::UntilDelivered(_)));
        assert_ne!(job(r#"[{"lignes":[1],"paye":true}]"#).unique(), one);
    }
}
