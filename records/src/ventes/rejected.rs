//! Refused sales, kept whole: one row per content, counted when it is sent again, closed when it
//! finally succeeds (D-15).

use super::apply::Origin;
use super::refusal::Refusal;
use db::{Error, Sql, Tx, Value, args};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// A refused sale as it arrived.
pub(super) struct Rejection<'a> {
    /// A valid number the terminal gave; a generated one counts as none.
    pub(super) number: Option<&'a str>,
    pub(super) fingerprint: &'a str,
    pub(super) raw: &'a RawValue,
}

/// Which contents of a chunk have a row that nobody has dealt with.
#[derive(Default)]
pub(super) struct OpenRejections {
    keys: HashSet<(Option<String>, String)>,
}

/// $1 shop, $2 terminal, $3 numbers and fingerprints: each is looked up by itself, whatever a terminal
/// has had refused so far. PostgreSQL is shown one index only: an early plan, which it keeps, would read
/// all refused sales of the shop.
static OPEN: Sql = Sql::each(
    "SELECT r.numero_facture, r.empreinte FROM json_to_recordset($3) \
     AS k(numero text, empreinte text) CROSS JOIN LATERAL (SELECT numero_facture, empreinte \
     FROM ventes_rejetees WHERE empreinte = k.empreinte AND NOT traitee \
     AND boutique_id + 0 = $1 AND terminal_id = $2 \
     AND COALESCE(numero_facture, '') = k.numero LIMIT 1) AS r",
    "SELECT r.numero_facture, r.empreinte FROM json_each($3) AS k CROSS JOIN ventes_rejetees AS r \
     WHERE r.boutique_id = $1 AND r.terminal_id = $2 \
     AND COALESCE(r.numero_facture, '') = k.value ->> 'numero' \
     AND r.empreinte = k.value ->> 'empreinte' AND NOT r.traitee",
);

/// A row's key beside shop and terminal; no number counts as an empty one.
#[derive(Debug, Serialize)]
pub(super) struct Key<'a> {
    numero: &'a str,
    empreinte: &'a str,
}

impl Rejection<'_> {
    pub(super) fn key(&self) -> Key<'_> {
        Key { numero: self.number.unwrap_or_default(), empreinte: self.fingerprint }
    }
}

/// A row that was closed by a success is open again; one that a person closed stays closed.
static KEEP: Sql = Sql::both(
    "INSERT INTO ventes_rejetees (boutique_id, terminal_id, numero_facture, empreinte, raison, \
     message, donnees, stock_demande, stock_disponible, article_id, premiere_tentative, \
     derniere_tentative) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, {now}, {now}) \
     ON CONFLICT (boutique_id, terminal_id, COALESCE(numero_facture, ''), empreinte) DO UPDATE \
     SET raison = excluded.raison, message = excluded.message, \
     stock_demande = excluded.stock_demande, stock_disponible = excluded.stock_disponible, \
     article_id = excluded.article_id, derniere_tentative = excluded.derniere_tentative, \
     tentatives = ventes_rejetees.tentatives + 1, \
     traitee_le = CASE WHEN ventes_rejetees.traitee_par = 'auto' THEN NULL \
     ELSE ventes_rejetees.traitee_le END, \
     traitee = ventes_rejetees.traitee AND ventes_rejetees.traitee_par <> 'auto', \
     traitee_par = CASE WHEN ventes_rejetees.traitee_par = 'auto' THEN NULL \
     ELSE ventes_rejetees.traitee_par END",
);

static CLOSE: Sql = Sql::both(
    "UPDATE ventes_rejetees SET traitee = TRUE, traitee_par = 'auto', traitee_le = {now} \
     WHERE boutique_id = $1 AND terminal_id = $2 AND COALESCE(numero_facture, '') = $3 \
     AND empreinte = $4 AND NOT traitee",
);

impl OpenRejections {
    pub(super) async fn load(
        tx: &mut Tx,
        origin: &Origin,
        keys: &[Key<'_>],
    ) -> Result<Self, Error> {
        let keys = serde_json::to_string(keys).expect("keys are plain data");
        let values = args![origin.boutique_id, origin.terminal_id, Value::json(keys)];
        let rows = tx.rows(&OPEN, values).await?;
        let keys = rows
            .iter()
            .map(|row| Ok((row.get("numero_facture")?, row.get("empreinte")?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self { keys })
    }

    /// Keeps a refused sale with what is known about it.
    pub(super) async fn keep(
        &mut self,
        tx: &mut Tx,
        origin: &Origin,
        rejection: &Rejection<'_>,
        refusal: &Refusal,
    ) -> Result<(), Error> {
        let values = args![
            origin.boutique_id,
            origin.terminal_id,
            rejection.number,
            rejection.fingerprint,
            refusal.code.as_str(),
            refusal.message.as_str(),
            Value::json(rejection.raw.get()),
            refusal.asked,
            refusal.available,
            refusal.article_id,
        ];
        tx.execute(&KEEP, values).await?;
        let number = rejection.number.map(str::to_owned);
        self.keys.insert((number, rejection.fingerprint.to_owned()));
        Ok(())
    }

    /// The sale has succeeded: closes its row, if it has an open one.
    pub(super) async fn close(
        &self,
        tx: &mut Tx,
        origin: &Origin,
        number: Option<&str>,
        fingerprint: &str,
    ) -> Result<(), Error> {
        if !self.keys.contains(&(number.map(str::to_owned), fingerprint.to_owned())) {
            return Ok(());
        }
        let number = number.unwrap_or_default();
        let values = args![origin.boutique_id, origin.terminal_id, number, fingerprint];
        tx.execute(&CLOSE, values).await.map(drop)
    }
}
