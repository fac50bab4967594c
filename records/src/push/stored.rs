//! The rows of entities: read with their lock, written whole.

use super::content::{CLOSED, Content, Kind, Line, Millionths, OPEN, Ticket};
use chrono::{DateTime, Utc};
use db::{Db, Error, Row, Sql, Tx, args};
use std::collections::HashMap;
use uuid::Uuid;

/// An entity as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) version: i64,
    pub(crate) updated_at: DateTime<Utc>,
    /// A tombstone; it still has its last content.
    pub(crate) deleted: bool,
    pub(crate) content: Content,
}

macro_rules! tickets {
    ($rest:literal) => {
        Sql::both(concat!(
            "SELECT id, numero, statut, ouvert_le, ferme_le, commentaire, version, updated_at, \
             deleted_at FROM tickets WHERE site_id = $1 AND id = ANY($2) ",
            $rest
        ))
    };
}

macro_rules! lines {
    ($rest:literal) => {
        Sql::each(
            concat!(
                "SELECT id, ticket_id, article_code, designation, unite, recu_le, \
                 (quantite * 1000000)::bigint AS quantite, (poids_kg * 1000000)::bigint AS poids_kg, \
                 version, updated_at, deleted_at FROM lignes_reception \
                 WHERE site_id = $1 AND id = ANY($2) ",
                $rest
            ),
            concat!(
                "SELECT id, ticket_id, article_code, designation, unite, recu_le, quantite, \
                 poids_kg, version, updated_at, deleted_at FROM lignes_reception \
                 WHERE site_id = $1 AND id = ANY($2) ",
                $rest
            ),
        )
    };
}

/// The site's entities of these ids, locked in the order of their ids.
pub(super) async fn load(
    tx: &mut Tx,
    site: i64,
    kind: Kind,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, Stored>, Error> {
    static TICKETS: Sql = tickets!("ORDER BY id {lock}");
    static LINES: Sql = lines!("ORDER BY id {lock}");
    let sql = match kind {
        Kind::Ticket => &TICKETS,
        Kind::ReceptionLine => &LINES,
    };
    let rows = tx.rows(sql, args![site, ids]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, stored(kind, row)?))).collect()
}

/// One entity, to look at.
pub(super) async fn find(
    db: &Db,
    site: i64,
    kind: Kind,
    id: Uuid,
) -> Result<Option<Stored>, Error> {
    static TICKETS: Sql = tickets!("");
    static LINES: Sql = lines!("");
    let sql = match kind {
        Kind::Ticket => &TICKETS,
        Kind::ReceptionLine => &LINES,
    };
    let row = db.read_one(sql, args![site, vec![id]]).await?;
    row.as_ref().map(|row| stored(kind, row)).transpose()
}

fn stored(kind: Kind, row: &Row) -> Result<Stored, Error> {
    let deleted_at: Option<DateTime<Utc>> = row.get("deleted_at")?;
    let content = match kind {
        Kind::Ticket => Content::Ticket(ticket(row)?),
        Kind::ReceptionLine => Content::Line(line(row)?),
    };
    Ok(Stored {
        version: row.get("version")?,
        updated_at: row.get("updated_at")?,
        deleted: deleted_at.is_some(),
        content,
    })
}

fn ticket(row: &Row) -> Result<Ticket, Error> {
    let statut: String = row.get("statut")?;
    Ok(Ticket {
        numero: row.get("numero")?,
        // The schema knows these two words.
        statut: if statut == CLOSED { CLOSED } else { OPEN },
        ouvert_le: row.get("ouvert_le")?,
        ferme_le: row.get("ferme_le")?,
        commentaire: row.get("commentaire")?,
    })
}

fn line(row: &Row) -> Result<Line, Error> {
    let weight: Option<i64> = row.get("poids_kg")?;
    Ok(Line {
        ticket_id: row.get("ticket_id")?,
        article_code: row.get("article_code")?,
        designation: row.get("designation")?,
        quantite: Millionths(row.get("quantite")?),
        unite: row.get("unite")?,
        poids_kg: weight.map(Millionths),
        recu_le: row.get("recu_le")?,
    })
}

static WRITE_TICKET: Sql = Sql::both(
    "INSERT INTO tickets (site_id, id, version, updated_at, deleted_at, numero, statut, ouvert_le, \
     ferme_le, commentaire) VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN {now} END, $6, $7, $8, $9, $10) \
     ON CONFLICT (site_id, id) DO UPDATE SET version = excluded.version, \
     updated_at = excluded.updated_at, deleted_at = excluded.deleted_at, numero = excluded.numero, \
     statut = excluded.statut, ouvert_le = excluded.ouvert_le, ferme_le = excluded.ferme_le, \
     commentaire = excluded.commentaire",
);

macro_rules! write_line {
    ($quantity:literal, $weight:literal) => {
        concat!(
            "INSERT INTO lignes_reception (site_id, id, version, updated_at, deleted_at, ticket_id, \
             article_code, designation, quantite, unite, poids_kg, recu_le) VALUES \
             ($1, $2, $3, $4, CASE WHEN $5 THEN {now} END, $6, $7, $8, ",
            $quantity,
            ", $10, ",
            $weight,
            ", $12) ON CONFLICT (site_id, id) DO UPDATE SET version = excluded.version, \
             updated_at = excluded.updated_at, deleted_at = excluded.deleted_at, \
             ticket_id = excluded.ticket_id, article_code = excluded.article_code, \
             designation = excluded.designation, quantite = excluded.quantite, \
             unite = excluded.unite, poids_kg = excluded.poids_kg, recu_le = excluded.recu_le"
        )
    };
}

static WRITE_LINE: Sql = Sql::each(
    write_line!("$9::bigint * 0.000001", "$11::bigint * 0.000001"),
    write_line!("$9", "$11"),
);

/// Writes an entity whole, new or not.
pub(super) async fn write(tx: &mut Tx, site: i64, id: Uuid, state: &Stored) -> Result<(), Error> {
    let mut values = args![site, id, state.version, state.updated_at, state.deleted];
    let sql = match &state.content {
        Content::Ticket(ticket) => {
            values.extend(args![
                &ticket.numero,
                ticket.statut,
                ticket.ouvert_le,
                ticket.ferme_le,
                ticket.commentaire.clone(),
            ]);
            &WRITE_TICKET
        }
        Content::Line(line) => {
            values.extend(args![
                line.ticket_id,
                &line.article_code,
                &line.designation,
                line.quantite.0,
                &line.unite,
                line.poids_kg.map(|weight| weight.0),
                line.recu_le,
            ]);
            &WRITE_LINE
        }
    };
    tx.execute(sql, values).await.map(drop)
}

/// Notes that an equal content is newer than was known: no new version, but what is older than
/// it has come too late.
pub(super) async fn touch(
    tx: &mut Tx,
    site: i64,
    kind: Kind,
    id: Uuid,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    static TICKET: Sql =
        Sql::both("UPDATE tickets SET updated_at = $3 WHERE site_id = $1 AND id = $2");
    static LINE: Sql =
        Sql::both("UPDATE lignes_reception SET updated_at = $3 WHERE site_id = $1 AND id = $2");
    let sql = match kind {
        Kind::Ticket => &TICKET,
        Kind::ReceptionLine => &LINE,
    };
    tx.execute(sql, args![site, id, at]).await.map(drop)
}

/// Whether lines that are there refer to the ticket.
pub(super) async fn has_lines(tx: &mut Tx, site: i64, ticket: Uuid) -> Result<bool, Error> {
    static LINES: Sql = Sql::both(
        "SELECT id FROM lignes_reception WHERE site_id = $1 AND ticket_id = $2 \
         AND deleted_at IS NULL LIMIT 1",
    );
    Ok(tx.row(&LINES, args![site, ticket]).await?.is_some())
}
