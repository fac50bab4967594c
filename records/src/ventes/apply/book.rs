//! Writes one sale: its row, its lines, and the stock they take with a ledger row each.

use super::articles::{Priced, PricedLine};
use super::{Origin, Sent, Stop};
use crate::ventes::money::hundredths;
use crate::ventes::refusal::Refusal;
use crate::ventes::sale::Sale;
use crate::ventes::{StockPolicy, texts};
use db::{Error, Sql, Tx, Value, args};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

static INSERT: Sql = Sql::both(
    "INSERT INTO ventes (boutique_id, numero_facture, montant_total, mode_paiement, paye, \
     date_vente, date_vente_brute, date_corrigee, recue_le, terminal_id, job_id, empreinte, \
     rapportee_par) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11) \
     ON CONFLICT (boutique_id, numero_facture) DO NOTHING RETURNING id",
);

/// Inserts the sale's row and returns its id; `None` if the shop has that number already.
pub(super) async fn insert(
    tx: &mut Tx,
    origin: &Origin,
    sent: &Sent<'_>,
    sale: &Sale,
    number: &str,
    total: Decimal,
) -> Result<Option<i64>, Error> {
    let (date, corrected) = sale.booked(origin.recue_le);
    let values = args![
        origin.boutique_id,
        number,
        total,
        sale.mode,
        sale.paid,
        date,
        sale.date.as_ref().map(|date| date.raw.as_str()),
        corrected,
        origin.recue_le,
        origin.terminal_id,
        origin.job,
        sent.fingerprint.as_str(),
    ];
    tx.row(&INSERT, values).await?.map(|row| row.get("id")).transpose()
}

/// The authority on stock: takes it only if there is enough, at the moment of taking (D-61).
static TAKE: Sql = Sql::both(
    "UPDATE articles SET quantite_stock = quantite_stock - $3 \
     WHERE id = $1 AND boutique_id = $2 AND actif AND quantite_stock >= $3 \
     RETURNING quantite_stock",
);

static AVAILABLE: Sql = Sql::both(
    "SELECT nom, quantite_stock FROM articles WHERE id = $1 AND boutique_id = $2 AND actif",
);

/// Takes what there is not as well, and says so in the row.
static OVERSELL: Sql = Sql::both(
    "UPDATE articles SET quantite_stock = quantite_stock - $3, survente = TRUE \
     WHERE id = $1 AND boutique_id = $2 AND actif RETURNING quantite_stock, nom",
);

static ALERT: Sql = Sql::both(
    "INSERT INTO alertes_stock (boutique_id, article_id, vente_id, terminal_id, numero_facture, \
     stock_demande, stock_disponible, creee_le) VALUES ($1, $2, $3, $4, $5, $6, $7, {now})",
);

/// Takes the stock of every line and writes lines and ledger. If an article has too little, it
/// refuses, or says what it took below zero, as the policy wants. Articles in ascending order, so
/// that two sales never wait for each other in a circle.
pub(super) async fn move_stock(
    tx: &mut Tx,
    origin: &Origin,
    policy: StockPolicy,
    sale_id: i64,
    number: &str,
    priced: &Priced,
) -> Result<Vec<String>, Stop> {
    let mut asked: BTreeMap<i64, i64> = BTreeMap::new();
    for line in &priced.lines {
        *asked.entry(line.article_id).or_default() += line.quantity;
    }
    let values = |article_id: i64, quantity: i64| args![article_id, origin.boutique_id, quantity];
    let (mut stock, mut alerts) = (BTreeMap::new(), Vec::new());
    for (article_id, quantity) in asked {
        match tx.row(&TAKE, values(article_id, quantity)).await? {
            Some(row) => {
                let left: i64 = row.get("quantite_stock")?;
                stock.insert(article_id, left + quantity);
            }
            None if policy == StockPolicy::AcceptWithAlert => {
                let Some(row) = tx.row(&OVERSELL, values(article_id, quantity)).await? else {
                    return Err(Refusal::unknown_article(article_id).into());
                };
                let before = row.get::<i64>("quantite_stock")? + quantity;
                stock.insert(article_id, before);
                let sale = (sale_id, number);
                alert(tx, origin, sale, article_id, (quantity, before)).await?;
                alerts.push(texts::out_of_stock(&row.get::<String>("nom")?));
            }
            None => return Err(why_not(tx, origin, article_id, quantity).await?.into()),
        }
    }
    write(tx, origin, sale_id, number, &chained(&priced.lines, stock)).await?;
    Ok(alerts)
}

/// Keeps what a sale took below zero, for a person to look at.
async fn alert(
    tx: &mut Tx,
    origin: &Origin,
    (sale_id, number): (i64, &str),
    article_id: i64,
    (asked, available): (i64, i64),
) -> Result<(), Error> {
    let (shop, terminal) = (origin.boutique_id, origin.terminal_id);
    let values = args![shop, article_id, sale_id, terminal, number, asked, available];
    tx.execute(&ALERT, values).await?;
    tracing::warn!(
        boutique.id = shop,
        article.id = article_id,
        vente.number = number,
        stock.asked = asked,
        stock.available = available,
        "a sale took stock below zero"
    );
    Ok(())
}

async fn why_not(
    tx: &mut Tx,
    origin: &Origin,
    article_id: i64,
    asked: i64,
) -> Result<Refusal, Error> {
    let Some(row) = tx.row(&AVAILABLE, args![article_id, origin.boutique_id]).await? else {
        return Ok(Refusal::unknown_article(article_id));
    };
    let name: String = row.get("nom")?;
    Ok(Refusal::out_of_stock(article_id, &name, asked, row.get("quantite_stock")?))
}

/// A line and its ledger row, as the statements below read them.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct LineRow<'a> {
    rang: usize,
    article_id: i64,
    nom: &'a str,
    quantite: i64,
    /// Hundredths: exact in JSON for both databases.
    centimes: i64,
    avant: i64,
    apres: i64,
}

/// Lines of one article follow each other down from the stock before the sale.
fn chained(lines: &[PricedLine], mut stock: BTreeMap<i64, i64>) -> Vec<LineRow<'_>> {
    let rows = lines.iter().enumerate().map(|(rang, line)| {
        let before = stock.entry(line.article_id).or_default();
        let avant = *before;
        *before -= line.quantity;
        LineRow {
            rang,
            article_id: line.article_id,
            nom: &line.name,
            quantite: line.quantity,
            centimes: hundredths(line.price),
            avant,
            apres: *before,
        }
    });
    rows.collect()
}

static LINES: Sql = Sql::each(
    "INSERT INTO lignes_vente \
     (vente_id, boutique_id, rang, article_id, article_nom, quantite, prix_unitaire) \
     SELECT $1, $2, rang, article_id, nom, quantite, centimes::numeric / 100 \
     FROM json_to_recordset($3) AS \
     l(rang bigint, article_id bigint, nom text, quantite bigint, centimes bigint)",
    "INSERT INTO lignes_vente \
     (vente_id, boutique_id, rang, article_id, article_nom, quantite, prix_unitaire) \
     SELECT $1, $2, value ->> 'rang', value ->> 'article_id', value ->> 'nom', \
     value ->> 'quantite', value ->> 'centimes' FROM json_each($3)",
);

static MOVEMENTS: Sql = Sql::each(
    "INSERT INTO mouvements_stock (boutique_id, article_id, type, quantite, stock_avant, \
     stock_apres, reference, vente_id, rang, terminal_id, date_mouvement, survente) \
     SELECT $2, article_id, 'VENTE', -quantite, avant, apres, $4, $1, rang, $5, {now}, apres < 0 \
     FROM json_to_recordset($3) AS l(rang bigint, article_id bigint, quantite bigint, \
     avant bigint, apres bigint) ORDER BY rang",
    "INSERT INTO mouvements_stock (boutique_id, article_id, type, quantite, stock_avant, \
     stock_apres, reference, vente_id, rang, terminal_id, date_mouvement, survente) \
     SELECT $2, value ->> 'article_id', 'VENTE', -(value ->> 'quantite'), value ->> 'avant', \
     value ->> 'apres', $4, $1, value ->> 'rang', $5, {now}, (value ->> 'apres') < 0 \
     FROM json_each($3)",
);

async fn write(
    tx: &mut Tx,
    origin: &Origin,
    sale_id: i64,
    number: &str,
    rows: &[LineRow<'_>],
) -> Result<(), Error> {
    let json = serde_json::to_string(rows).expect("lines are plain data");
    let values = args![sale_id, origin.boutique_id, Value::json(json.as_str())];
    tx.execute(&LINES, values).await?;
    let values = args![sale_id, origin.boutique_id, Value::json(json), number, origin.terminal_id];
    tx.execute(&MOVEMENTS, values).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PricedLine, chained};
    use rust_decimal::Decimal;

    #[test]
    fn lines_of_one_article_form_a_chain() {
        let line = |article_id, quantity| PricedLine {
            article_id,
            name: "A".to_owned(),
            quantity,
            price: Decimal::new(150, 2),
        };
        let lines = [line(7, 2), line(6, 1), line(7, 3)];
        let rows = chained(&lines, [(6, 10), (7, 20)].into());
        let steps: Vec<_> = rows.iter().map(|row| (row.article_id, row.avant, row.apres)).collect();
        assert_eq!(steps, [(7, 20, 18), (6, 10, 9), (7, 18, 15)]);
        assert_eq!(rows[0].centimes, 150);
    }
}
