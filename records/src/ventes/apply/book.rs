//! Writes sales: their rows, their lines, and the stock they take with a ledger row each.

use super::articles::PricedLine;
use super::{Booking, Origin, Stop};
use crate::ventes::money::hundredths;
use crate::ventes::refusal::Refusal;
use crate::ventes::{StockPolicy, texts};
use db::{Error, Sql, Tx, Value, args};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A sale's row, as the statement below reads it.
#[derive(Debug, Serialize)]
struct SaleRow<'a> {
    rang: usize,
    numero: &'a str,
    centimes: i64,
    mode: &'a str,
    paye: bool,
    /// Absent: when it was received.
    date: Option<String>,
    brute: Option<&'a str>,
    corrigee: bool,
    empreinte: &'a str,
}

impl<'a> SaleRow<'a> {
    fn of((rang, booking): (usize, &'a Booking<'_>), origin: &Origin) -> Self {
        let Booking { sent, sale, number, priced, .. } = booking;
        let (date, corrigee) = sale.booked(origin.recue_le);
        Self {
            rang,
            numero: number,
            centimes: hundredths(priced.total),
            mode: sale.mode,
            paye: sale.paid,
            date: (date != origin.recue_le).then(|| db::instant_text(date)),
            brute: sale.date.as_ref().map(|date| date.raw.as_str()),
            corrigee,
            empreinte: &sent.fingerprint,
        }
    }
}

/// $1 shop, $2 rows, $3 received, $4 terminal, $5 job.
static INSERT: Sql = Sql::each(
    "INSERT INTO ventes (boutique_id, numero_facture, montant_total, mode_paiement, paye, \
     date_vente, date_vente_brute, date_corrigee, recue_le, terminal_id, job_id, empreinte, \
     rapportee_par) \
     SELECT $1, numero, centimes::numeric / 100, mode, paye, COALESCE(date, $3), brute, corrigee, \
     $3, $4, $5, empreinte, $5 FROM json_to_recordset($2) AS v(rang bigint, numero text, \
     centimes bigint, mode text, paye boolean, date timestamptz, brute text, corrigee boolean, \
     empreinte text) ORDER BY rang \
     ON CONFLICT (boutique_id, numero_facture) DO NOTHING RETURNING id, numero_facture",
    "INSERT INTO ventes (boutique_id, numero_facture, montant_total, mode_paiement, paye, \
     date_vente, date_vente_brute, date_corrigee, recue_le, terminal_id, job_id, empreinte, \
     rapportee_par) \
     SELECT $1, value ->> 'numero', value ->> 'centimes', value ->> 'mode', value ->> 'paye', \
     COALESCE(value ->> 'date', $3), value ->> 'brute', value ->> 'corrigee', $3, $4, $5, \
     value ->> 'empreinte', $5 FROM json_each($2) WHERE TRUE ORDER BY value ->> 'rang' \
     ON CONFLICT (boutique_id, numero_facture) DO NOTHING RETURNING id, numero_facture",
);

/// Inserts the rows of sales, their ids ascending, and returns these by number; those are missing
/// whose number the shop has already.
pub(super) async fn insert(
    tx: &mut Tx,
    origin: &Origin,
    sales: &[Booking<'_>],
) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<_> = sales.iter().enumerate().map(|row| SaleRow::of(row, origin)).collect();
    let values =
        args![origin.boutique_id, json(&rows), origin.recue_le, origin.terminal_id, origin.job];
    let rows = tx.rows(&INSERT, values).await?;
    rows.iter().map(|row| Ok((row.get("numero_facture")?, row.get("id")?))).collect()
}

fn json<T: Serialize>(rows: &[T]) -> Value {
    Value::json(serde_json::to_string(rows).expect("rows are plain data"))
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
    booking: &Booking<'_>,
) -> Result<Vec<String>, Stop> {
    let mut asked = BTreeMap::new();
    booking.priced.add_to(&mut asked);
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
                let sale = (sale_id, booking.number.as_str());
                alert(tx, origin, sale, article_id, (quantity, before)).await?;
                alerts.push(texts::out_of_stock(&row.get::<String>("nom")?));
            }
            None => return Err(why_not(tx, origin, article_id, quantity).await?.into()),
        }
    }
    write(tx, origin, &[(sale_id, booking)], stock).await?;
    Ok(alerts)
}

/// $1 shop, $2 articles and what is asked of them: takes it from those that have enough. Their rows
/// are locked in ascending order first.
static TAKE_ALL: Sql = Sql::each(
    "WITH asked AS MATERIALIZED (SELECT * FROM json_to_recordset($2) \
     AS a(article_id bigint, quantite bigint)), \
     held AS MATERIALIZED (SELECT id FROM articles WHERE boutique_id = $1 \
     AND id IN (SELECT article_id FROM asked) ORDER BY id FOR NO KEY UPDATE) \
     UPDATE articles SET quantite_stock = quantite_stock - asked.quantite \
     FROM asked JOIN held ON held.id = asked.article_id \
     WHERE articles.id = asked.article_id AND boutique_id = $1 AND actif \
     AND quantite_stock >= asked.quantite RETURNING articles.id AS id, quantite_stock",
    "UPDATE articles SET quantite_stock = quantite_stock - asked.quantite \
     FROM (SELECT value ->> 'article_id' AS article_id, value ->> 'quantite' AS quantite \
     FROM json_each($2) LIMIT -1) AS asked \
     WHERE articles.id = asked.article_id AND boutique_id = $1 AND actif \
     AND quantite_stock >= asked.quantite RETURNING articles.id AS id, quantite_stock",
);

#[derive(Debug, Serialize)]
struct AskedRow {
    article_id: i64,
    quantite: i64,
}

/// Takes all of it and returns the stock before; `None` if some article has too little, and then
/// others may be taken already.
pub(super) async fn take_all(
    tx: &mut Tx,
    origin: &Origin,
    asked: &BTreeMap<i64, i64>,
) -> Result<Option<BTreeMap<i64, i64>>, Error> {
    let row = |(article_id, quantite): (&i64, &i64)| AskedRow {
        article_id: *article_id,
        quantite: *quantite,
    };
    let rows = json(&asked.iter().map(row).collect::<Vec<_>>());
    let mut stock = BTreeMap::new();
    for row in tx.rows(&TAKE_ALL, args![origin.boutique_id, rows]).await? {
        let id = row.get("id")?;
        let taken = asked.get(&id).copied().unwrap_or_default();
        stock.insert(id, row.get::<i64>("quantite_stock")? + taken);
    }
    Ok((stock.len() == asked.len()).then_some(stock))
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
    vente: i64,
    numero: &'a str,
    rang: usize,
    article_id: i64,
    nom: &'a str,
    quantite: i64,
    /// Hundredths: exact in JSON for both databases.
    centimes: i64,
    avant: i64,
    apres: i64,
}

/// Lines of one article follow each other down from its stock in `stock`.
fn chained<'a>(
    (vente, numero): (i64, &'a str),
    lines: &'a [PricedLine],
    stock: &mut BTreeMap<i64, i64>,
) -> Vec<LineRow<'a>> {
    let rows = lines.iter().enumerate().map(|(rang, line)| {
        let before = stock.entry(line.article_id).or_default();
        let avant = *before;
        *before -= line.quantity;
        LineRow {
            vente,
            numero,
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

/// $1 shop, $2 rows.
static LINES: Sql = Sql::each(
    "INSERT INTO lignes_vente \
     (vente_id, boutique_id, rang, article_id, article_nom, quantite, prix_unitaire) \
     SELECT vente, $1, rang, article_id, nom, quantite, centimes::numeric / 100 \
     FROM json_to_recordset($2) AS l(vente bigint, rang bigint, article_id bigint, nom text, \
     quantite bigint, centimes bigint)",
    "INSERT INTO lignes_vente \
     (vente_id, boutique_id, rang, article_id, article_nom, quantite, prix_unitaire) \
     SELECT value ->> 'vente', $1, value ->> 'rang', value ->> 'article_id', value ->> 'nom', \
     value ->> 'quantite', value ->> 'centimes' FROM json_each($2)",
);

/// $1 shop, $2 rows, $3 terminal.
static MOVEMENTS: Sql = Sql::each(
    "INSERT INTO mouvements_stock (boutique_id, article_id, type, quantite, stock_avant, \
     stock_apres, reference, vente_id, rang, terminal_id, date_mouvement, survente) \
     SELECT $1, article_id, 'VENTE', -quantite, avant, apres, numero, vente, rang, $3, {now}, \
     apres < 0 FROM json_to_recordset($2) AS l(vente bigint, numero text, rang bigint, \
     article_id bigint, quantite bigint, avant bigint, apres bigint) ORDER BY vente, rang",
    "INSERT INTO mouvements_stock (boutique_id, article_id, type, quantite, stock_avant, \
     stock_apres, reference, vente_id, rang, terminal_id, date_mouvement, survente) \
     SELECT $1, value ->> 'article_id', 'VENTE', -(value ->> 'quantite'), value ->> 'avant', \
     value ->> 'apres', value ->> 'numero', value ->> 'vente', value ->> 'rang', $3, {now}, \
     (value ->> 'apres') < 0 FROM json_each($2)",
);

/// Writes lines and ledger of inserted sales, in their order; `stock` is what there was before.
pub(super) async fn write(
    tx: &mut Tx,
    origin: &Origin,
    sales: &[(i64, &Booking<'_>)],
    mut stock: BTreeMap<i64, i64>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    for (id, booking) in sales {
        rows.extend(chained((*id, &booking.number), &booking.priced.lines, &mut stock));
    }
    let rows = json(&rows);
    tx.execute(&LINES, args![origin.boutique_id, rows.clone()]).await?;
    tx.execute(&MOVEMENTS, args![origin.boutique_id, rows, origin.terminal_id]).await?;
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
        let (lines, next) = ([line(7, 2), line(6, 1), line(7, 3)], [line(7, 4)]);
        let mut stock = [(6, 10), (7, 20)].into();
        let mut rows = chained((1, "V-1"), &lines, &mut stock);
        rows.extend(chained((2, "V-2"), &next, &mut stock));
        let steps: Vec<_> = rows.iter().map(|row| (row.article_id, row.avant, row.apres)).collect();
        assert_eq!(steps, [(7, 20, 18), (6, 10, 9), (7, 18, 15), (7, 15, 11)]);
        assert_eq!(rows[0].centimes, 150);
    }
}
