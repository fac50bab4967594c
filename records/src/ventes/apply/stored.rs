//! Sales that are in the record under the numbers of a chunk, and how often they were reported.

use super::articles::{Articles, Priced};
use super::{Origin, Policy, Sent, generated};
use crate::ventes::sale::Sale;
use db::{Error, Row, Sql, Tx, args};
use rust_decimal::Decimal;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// A sale as it was booked.
pub(super) struct Stored {
    id: i64,
    pub(super) terminal_id: i64,
    fingerprint: String,
    pub(super) total: Decimal,
    mode: String,
    paid: bool,
    raw_date: Option<String>,
    pub(super) lines: Vec<super::articles::PricedLine>,
    /// The job whose answer last reported it as created.
    pub(super) reported_by: Uuid,
    /// Whether that answer left whole.
    pub(super) delivered: bool,
    /// Answers `DUPLICATE` since then.
    pub(super) duplicates: i64,
    /// Received so long ago that it may be released.
    pub(super) long_received: bool,
}

static REPORT_AGAIN: Sql =
    Sql::both("UPDATE ventes SET rapportee_par = $2, remise_le = NULL, doublons = 0 WHERE id = $1");
static COUNT: Sql = Sql::both("UPDATE ventes SET doublons = doublons + 1 WHERE id = $1");

impl Stored {
    pub(super) fn created(
        id: i64,
        origin: &Origin,
        sent: &Sent<'_>,
        sale: &Sale,
        priced: Priced,
    ) -> Self {
        Self {
            id,
            terminal_id: origin.terminal_id,
            fingerprint: sent.fingerprint.clone(),
            total: priced.total,
            mode: sale.mode.to_owned(),
            paid: sale.paid,
            raw_date: sale.date.as_ref().map(|date| date.raw.clone()),
            lines: priced.lines,
            reported_by: origin.job,
            delivered: false,
            duplicates: 0,
            long_received: false,
        }
    }

    /// Whether `sale` is this sale sent again. A price left out equals a price written out if
    /// that is the article's own.
    pub(super) fn has_content(&self, sale: &Sale, fingerprint: &str, articles: &Articles) -> bool {
        let lines_agree = || {
            self.lines.len() == sale.lines.len()
                && self.lines.iter().zip(&sale.lines).all(|(stored, line)| {
                    let price = line.price.or_else(|| articles.price_of(line.article_id));
                    stored.article_id == line.article_id
                        && stored.quantity == line.quantity
                        && price == Some(stored.price)
                })
        };
        self.fingerprint == fingerprint
            || (self.mode == sale.mode
                && self.paid == sale.paid
                && self.raw_date.as_deref() == sale.date.as_ref().map(|date| date.raw.as_str())
                && lines_agree())
    }

    pub(super) async fn report_again(&mut self, tx: &mut Tx, job: Uuid) -> Result<(), Error> {
        tx.execute(&REPORT_AGAIN, args![self.id, job]).await?;
        self.reported_by = job;
        Ok(())
    }

    pub(super) async fn count_duplicate(&mut self, tx: &mut Tx) -> Result<(), Error> {
        tx.execute(&COUNT, args![self.id]).await?;
        self.duplicates += 1;
        Ok(())
    }
}

/// Stored sales by number.
pub(super) struct StoredSales {
    by_number: HashMap<String, Stored>,
}

/// Sales of shop $1 by the numbers $2. PostgreSQL is told to look up one number at a time: a plan
/// that was made while the table was small, and kept since, would read every sale of the shop.
macro_rules! by_number {
    ($columns:literal) => {
        Sql::each(
            concat!(
                "SELECT ",
                $columns,
                " FROM unnest($2) AS n(numero) CROSS JOIN LATERAL (SELECT * FROM ventes \
                 WHERE boutique_id = $1 AND numero_facture = n.numero LIMIT 1) AS v"
            ),
            concat!(
                "SELECT ",
                $columns,
                " FROM ventes WHERE boutique_id = $1 AND numero_facture = ANY($2)"
            ),
        )
    };
}

static SALES: Sql = by_number!(
    "id, numero_facture, terminal_id, empreinte, montant_total, mode_paiement, paye, \
     date_vente_brute, rapportee_par, doublons, recue_le <= {after $3} AS ancienne, \
     remise_le IS NOT NULL OR EXISTS (SELECT 1 FROM remises \
     WHERE remises.job_id = rapportee_par) AS remise"
);

static LINES: Sql = Sql::both(
    "SELECT vente_id, article_id, article_nom, quantite, prix_unitaire FROM lignes_vente \
     WHERE vente_id = ANY($1) ORDER BY vente_id, rang",
);

impl StoredSales {
    pub(super) async fn load(
        tx: &mut Tx,
        origin: &Origin,
        policy: &Policy,
        numbers: Vec<String>,
    ) -> Result<Self, Error> {
        let mut by_number = HashMap::new();
        if numbers.is_empty() {
            return Ok(Self { by_number });
        }
        let age = i64::try_from(policy.release_after.as_millis()).unwrap_or(i64::MAX / 2);
        for row in tx.rows(&SALES, args![origin.boutique_id, numbers, -age]).await? {
            by_number.insert(row.get("numero_facture")?, read(&row)?);
        }
        add_lines(tx, &mut by_number).await?;
        Ok(Self { by_number })
    }

    /// Reads one number anew.
    pub(super) async fn reload(
        &mut self,
        tx: &mut Tx,
        origin: &Origin,
        policy: &Policy,
        number: &str,
    ) -> Result<(), Error> {
        let fresh = Self::load(tx, origin, policy, vec![number.to_owned()]).await?;
        self.by_number.extend(fresh.by_number);
        Ok(())
    }

    pub(super) fn contains(&self, number: &str) -> bool {
        self.by_number.contains_key(number)
    }

    pub(super) fn get_mut(&mut self, number: &str) -> Option<&mut Stored> {
        self.by_number.get_mut(number)
    }

    pub(super) fn add(&mut self, number: String, stored: Stored) {
        self.by_number.insert(number, stored);
    }
}

fn read(row: &Row) -> Result<Stored, Error> {
    Ok(Stored {
        id: row.get("id")?,
        terminal_id: row.get("terminal_id")?,
        fingerprint: row.get("empreinte")?,
        total: row.get("montant_total")?,
        mode: row.get("mode_paiement")?,
        paid: row.get("paye")?,
        raw_date: row.get("date_vente_brute")?,
        lines: Vec::new(),
        reported_by: row.get("rapportee_par")?,
        delivered: row.get("remise")?,
        duplicates: row.get("doublons")?,
        long_received: row.get("ancienne")?,
    })
}

async fn add_lines(tx: &mut Tx, sales: &mut HashMap<String, Stored>) -> Result<(), Error> {
    if sales.is_empty() {
        return Ok(());
    }
    let mut by_id: HashMap<i64, &mut Stored> =
        sales.values_mut().map(|stored| (stored.id, stored)).collect();
    let ids: Vec<i64> = by_id.keys().copied().collect();
    for row in tx.rows(&LINES, args![ids]).await? {
        if let Some(stored) = by_id.get_mut(&row.get("vente_id")?) {
            stored.lines.push(super::articles::PricedLine {
                article_id: row.get("article_id")?,
                name: row.get("article_nom")?,
                quantity: row.get("quantite")?,
                price: row.get("prix_unitaire")?,
            });
        }
    }
    Ok(())
}

static TAKEN: Sql = by_number!("numero_facture");

/// The first index from `index` on whose generated number looks free; many are asked for at
/// once, because a whole batch may have taken them.
pub(super) async fn next_free(tx: &mut Tx, origin: &Origin, index: usize) -> Result<usize, Error> {
    const WINDOW: usize = 1_000;
    let candidates: Vec<_> = (index..index + WINDOW).map(|i| generated(origin, i)).collect();
    let rows = tx.rows(&TAKEN, args![origin.boutique_id, candidates.clone()]).await?;
    let taken: HashSet<String> =
        rows.iter().map(|row| row.get("numero_facture")).collect::<Result<_, _>>()?;
    let free = candidates.iter().position(|number| !taken.contains(number));
    Ok(index + free.unwrap_or(WINDOW))
}
