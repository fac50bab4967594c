//! Who sends sales: a terminal, known by its serial number alone, and the shop it stands in.

use db::{Db, Error, Row, Sql, args};

/// A till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    pub id: i64,
    pub numero_serie: String,
    pub nom: String,
    /// Where it stands; none until somebody says so.
    pub boutique: Option<Boutique>,
}

/// A shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boutique {
    pub id: i64,
    pub nom: String,
    /// IANA time zone.
    pub fuseau: String,
}

static TERMINAL: Sql = Sql::both(
    "SELECT t.id, t.numero_serie, t.nom, b.id AS boutique_id, b.nom AS boutique_nom, b.fuseau \
     FROM terminaux t LEFT JOIN boutiques b ON b.id = t.boutique_id \
     WHERE t.numero_serie = $1 AND t.actif",
);

/// The active terminal with exactly this serial number; an inactive one counts as unknown.
pub async fn terminal(db: &Db, serial: &str) -> Result<Option<Terminal>, Error> {
    // PostgreSQL text cannot hold a NUL, so it cannot be asked for one either.
    if serial.is_empty() || serial.contains('\0') {
        return Ok(None);
    }
    db.read_one(&TERMINAL, args![serial]).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Terminal, Error> {
    let boutique = match row.get::<Option<i64>>("boutique_id")? {
        Some(id) => {
            Some(Boutique { id, nom: row.get("boutique_nom")?, fuseau: row.get("fuseau")? })
        }
        None => None,
    };
    Ok(Terminal {
        id: row.get("id")?,
        numero_serie: row.get("numero_serie")?,
        nom: row.get("nom")?,
        boutique,
    })
}
