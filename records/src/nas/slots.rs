//! How many transfers run at once, whichever workers run them.

use db::{Db, Error, Sql, Tx, args};
use std::time::Duration;
use uuid::Uuid;

/// $1 host, $2 port, $3 number, $4 job, $5 how long in ms.
static TAKE: Sql = Sql::both(
    "INSERT INTO nas_slots (host, port, number, job_id, until) \
     VALUES ($1, $2, $3, $4, {after $5}) ON CONFLICT (host, port, number) DO UPDATE \
     SET job_id = excluded.job_id, until = excluded.until \
     WHERE nas_slots.job_id = excluded.job_id OR nas_slots.until <= {now} RETURNING number",
);

/// Takes one of `slots` slots for `hold` from now, or keeps the one that `job` has for longer;
/// `None` if all are taken. `mine` is the slot it has.
pub async fn take_slot(
    db: &Db,
    (host, port): (&str, u16),
    job: Uuid,
    slots: u32,
    mine: Option<i64>,
    hold: Duration,
) -> Result<Option<i64>, Error> {
    let hold = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
    let numbers = mine.map_or(0..i64::from(slots), |mine| mine..mine + 1);
    for number in numbers {
        let values = args![host, i64::from(port), number, job, hold];
        if !db.write(&TAKE, values).await?.is_empty() {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Gives back what `job` has.
pub async fn free_slot_in(tx: &mut Tx, job: Uuid) -> Result<(), Error> {
    static FREE: Sql = Sql::both("DELETE FROM nas_slots WHERE job_id = $1");
    tx.execute(&FREE, args![job]).await.map(drop)
}
