//! The rows of entities: read with their lock, written whole.

use super::content::{CLOSED, Content, Kind, Line, Millionths, OPEN, Ticket};
use chrono::{DateTime, Utc};
use db::{Error, Row, Sql, Tx, Value, args, instant_text};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
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

/// Rows of site $1 by the ids $2, in the order of these. PostgreSQL looks up one at a time: a plan
/// from a time when the site had few rows would read all that it has now.
macro_rules! of_site {
    ($table:literal, $postgres:literal, $sqlite:literal, $lock:literal) => {
        Sql::each(
            concat!(
                "SELECT ",
                $postgres,
                " FROM (SELECT unnest($2) AS wanted ORDER BY 1) AS n CROSS JOIN LATERAL \
                 (SELECT * FROM ",
                $table,
                " WHERE site_id = $1 AND id = n.wanted LIMIT 1 ",
                $lock,
                ") AS found"
            ),
            concat!(
                "SELECT ",
                $sqlite,
                " FROM ",
                $table,
                " WHERE site_id = $1 AND id = ANY($2) ORDER BY id"
            ),
        )
    };
}

macro_rules! tickets {
    ($lock:literal) => {
        of_site!(
            "tickets",
            "id, numero, statut, ouvert_le, ferme_le, commentaire, version, updated_at, deleted_at",
            "id, numero, statut, ouvert_le, ferme_le, commentaire, version, updated_at, deleted_at",
            $lock
        )
    };
}

macro_rules! lines {
    ($lock:literal) => {
        of_site!(
            "lignes_reception",
            "id, ticket_id, article_code, designation, unite, recu_le, \
             (quantite * 1000000)::bigint AS quantite, (poids_kg * 1000000)::bigint AS poids_kg, \
             version, updated_at, deleted_at",
            "id, ticket_id, article_code, designation, unite, recu_le, quantite, poids_kg, version, \
             updated_at, deleted_at",
            $lock
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
    static TICKETS: Sql = tickets!("{lock}");
    static LINES: Sql = lines!("{lock}");
    let sql = match kind {
        Kind::Ticket => &TICKETS,
        Kind::ReceptionLine => &LINES,
    };
    let rows = tx.rows(sql, args![site, ids]).await?;
    rows.iter().map(|row| Ok((row.get("id")?, stored(kind, row)?))).collect()
}

/// One entity, to look at.
pub(super) async fn find(
    tx: &mut Tx,
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
    let row = tx.row(sql, args![site, vec![id]]).await?;
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

/// One entity as the statements below read it.
#[derive(Serialize)]
struct Written<'a> {
    id: Uuid,
    version: i64,
    updated_at: String,
    deleted: bool,
    #[serde(flatten)]
    content: Columns<'a>,
}

/// Numbers are millionths and instants texts: exact in JSON for both databases.
#[derive(Serialize)]
#[serde(untagged)]
enum Columns<'a> {
    Ticket {
        numero: &'a str,
        statut: &'a str,
        ouvert_le: String,
        ferme_le: Option<String>,
        commentaire: Option<&'a str>,
    },
    Line {
        ticket_id: Option<Uuid>,
        article_code: &'a str,
        designation: &'a str,
        quantite: i64,
        unite: &'a str,
        poids_kg: Option<i64>,
        recu_le: String,
    },
}

impl<'a> Written<'a> {
    fn of(id: Uuid, state: &'a Stored) -> Self {
        let content = match &state.content {
            Content::Ticket(ticket) => Columns::Ticket {
                numero: &ticket.numero,
                statut: ticket.statut,
                ouvert_le: instant_text(ticket.ouvert_le),
                ferme_le: ticket.ferme_le.map(instant_text),
                commentaire: ticket.commentaire.as_deref(),
            },
            Content::Line(line) => Columns::Line {
                ticket_id: line.ticket_id,
                article_code: &line.article_code,
                designation: &line.designation,
                quantite: line.quantite.0,
                unite: &line.unite,
                poids_kg: line.poids_kg.map(|weight| weight.0),
                recu_le: instant_text(line.recu_le),
            },
        };
        let updated_at = instant_text(state.updated_at);
        Self { id, version: state.version, updated_at, deleted: state.deleted, content }
    }
}

/// A tombstone keeps the moment of its deletion, whatever else is learnt about it.
macro_rules! write {
    ($table:literal, $columns:literal, $values:literal, $from:literal, $set:literal) => {
        concat!(
            "INSERT INTO ", $table, " (site_id, id, version, updated_at, deleted_at, ", $columns,
            ") SELECT $1, ", $values, " FROM ", $from,
            " WHERE TRUE ON CONFLICT (site_id, id) DO UPDATE SET version = excluded.version, \
             updated_at = excluded.updated_at, deleted_at = CASE WHEN excluded.deleted_at IS NOT NULL \
             THEN COALESCE(", $table, ".deleted_at, excluded.deleted_at) END, ", $set
        )
    };
}

macro_rules! write_tickets {
    ($values:literal, $from:literal) => {
        write!(
            "tickets",
            "numero, statut, ouvert_le, ferme_le, commentaire",
            $values,
            $from,
            "numero = excluded.numero, statut = excluded.statut, ouvert_le = excluded.ouvert_le, \
             ferme_le = excluded.ferme_le, commentaire = excluded.commentaire"
        )
    };
}

static WRITE_TICKETS: Sql = Sql::each(
    write_tickets!(
        "id, version, updated_at, CASE WHEN deleted THEN {now} END, numero, statut, ouvert_le, \
         ferme_le, commentaire",
        "json_to_recordset($2) AS w(id uuid, version bigint, updated_at timestamptz, \
         deleted boolean, numero text, statut text, ouvert_le timestamptz, ferme_le timestamptz, \
         commentaire text)"
    ),
    write_tickets!(
        "value ->> 'id', value ->> 'version', value ->> 'updated_at', \
         CASE WHEN value ->> 'deleted' THEN {now} END, value ->> 'numero', value ->> 'statut', \
         value ->> 'ouvert_le', value ->> 'ferme_le', value ->> 'commentaire'",
        "json_each($2)"
    ),
);

macro_rules! write_lines {
    ($values:literal, $from:literal) => {
        write!(
            "lignes_reception",
            "ticket_id, article_code, designation, quantite, unite, poids_kg, recu_le",
            $values,
            $from,
            "ticket_id = excluded.ticket_id, article_code = excluded.article_code, \
             designation = excluded.designation, quantite = excluded.quantite, \
             unite = excluded.unite, poids_kg = excluded.poids_kg, recu_le = excluded.recu_le"
        )
    };
}

static WRITE_LINES: Sql = Sql::each(
    write_lines!(
        "id, version, updated_at, CASE WHEN deleted THEN {now} END, ticket_id, article_code, \
         designation, quantite * 0.000001, unite, poids_kg * 0.000001, recu_le",
        "json_to_recordset($2) AS w(id uuid, version bigint, updated_at timestamptz, \
         deleted boolean, ticket_id uuid, article_code text, designation text, quantite bigint, \
         unite text, poids_kg bigint, recu_le timestamptz)"
    ),
    write_lines!(
        "value ->> 'id', value ->> 'version', value ->> 'updated_at', \
         CASE WHEN value ->> 'deleted' THEN {now} END, value ->> 'ticket_id', \
         value ->> 'article_code', value ->> 'designation', value ->> 'quantite', \
         value ->> 'unite', value ->> 'poids_kg', value ->> 'recu_le'",
        "json_each($2)"
    ),
);

/// Writes entities of one type whole, new or not, by one statement; tickets before their lines.
pub(super) async fn write<'a>(
    tx: &mut Tx,
    site: i64,
    kind: Kind,
    states: impl Iterator<Item = (Uuid, &'a Stored)>,
) -> Result<(), Error> {
    let rows: Vec<_> = states.map(|(id, state)| Written::of(id, state)).collect();
    let sql = match kind {
        Kind::Ticket => &WRITE_TICKETS,
        Kind::ReceptionLine => &WRITE_LINES,
    };
    write_json(tx, sql, site, &rows).await
}

/// Runs a statement that takes a site and a list of rows, if there are any.
pub(super) async fn write_json<T: Serialize>(
    tx: &mut Tx,
    sql: &'static Sql,
    site: i64,
    rows: &[T],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let json = serde_json::to_string(rows).expect("rows are plain data");
    tx.execute(sql, args![site, Value::json(json)]).await.map(drop)
}

/// Which of these tickets lines refer to that are there, other than `except`.
pub(super) async fn in_use(
    tx: &mut Tx,
    site: i64,
    tickets: Vec<Uuid>,
    except: Vec<Uuid>,
) -> Result<HashSet<Uuid>, Error> {
    static IN_USE: Sql = Sql::both(
        "SELECT t.id FROM tickets t WHERE t.site_id = $1 AND t.id = ANY($2) AND EXISTS \
         (SELECT 1 FROM lignes_reception l WHERE l.site_id = $1 AND l.ticket_id = t.id \
         AND l.deleted_at IS NULL AND NOT (l.id = ANY($3)))",
    );
    let rows = tx.rows(&IN_USE, args![site, tickets, except]).await?;
    rows.iter().map(|row| row.get("id")).collect()
}
