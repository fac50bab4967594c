//! The newest token in place of the one that was shown: what a record without fencing would accept.

use crate::Error;
use crate::job::{Outcome, Ticket};
use crate::mutations::{Protection, is_off};
use db::{Db, Sql, Tx, args};

/// $1 id.
static TOKEN: Sql = Sql::both("SELECT token FROM jobs WHERE id = $1");

/// The ticket as it is, unless fencing is switched off ([`crate::mutations`]).
pub(super) async fn ticket(tx: &mut Tx, ticket: Ticket) -> Result<Ticket, Error> {
    if !is_off(Protection::Fencing) {
        return Ok(ticket);
    }
    let row = tx.row(&TOKEN, args![ticket.id]).await?;
    let token = row.map(|row| row.get("token")).transpose()?;
    Ok(Ticket { token: token.unwrap_or(ticket.token), ..ticket })
}

/// The same for many ends.
pub(super) async fn ends(
    db: &Db,
    ends: &[(Ticket, Outcome)],
) -> Result<Vec<(Ticket, Outcome)>, Error> {
    let mut tx = db.begin().await?;
    let mut unfenced = Vec::with_capacity(ends.len());
    for (shown, outcome) in ends {
        unfenced.push((ticket(&mut tx, *shown).await?, outcome.clone()));
    }
    tx.rollback().await?;
    Ok(unfenced)
}
