//! How many sales a shop made on each day, and for how much: counted when a sale is booked, so
//! that figures of a shop with a million sales read a row per day.

use super::apply::Origin;
use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;
use db::{Error, Sql, Tx, args};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A shop's time zone; one that no longer exists counts as UTC.
pub fn zone(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

/// The day that an instant belongs to in a shop.
pub(super) fn day(zone: Tz, at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// The first instant of a day. Where clocks skip midnight the day begins when they go on.
pub fn begins(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    let quarters = (0..=96).map(|n| midnight + Duration::minutes(15 * n));
    let first = quarters.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    first.map_or_else(|| midnight.and_utc(), |at| at.to_utc())
}

/// What the sales of some days come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turnover {
    pub nombre: i64,
    pub chiffre_affaires: Decimal,
}

/// Days, the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: NaiveDate,
    pub last: NaiveDate,
}

impl Span {
    /// Every day.
    pub const ALL: Self = Self { first: NaiveDate::MIN, last: NaiveDate::MAX };

    /// The day of an instant.
    pub fn today(zone: Tz, now: DateTime<Utc>) -> Self {
        let first = day(zone, now);
        Self { first, last: first }
    }

    /// The month of an instant.
    pub fn this_month(zone: Tz, now: DateTime<Utc>) -> Self {
        let today = day(zone, now);
        let first = today.with_day(1).unwrap_or(today);
        let last = first + chrono::Months::new(1) - Days::new(1);
        Self { first, last }
    }
}

/// As text the days compare as they follow each other; years before 0 and after 9999 are cut.
fn text(day: NaiveDate) -> String {
    match day.year() {
        i32::MIN..=-1 => String::new(),
        0..=9_999 => day.to_string(),
        _ => "9999-12-31".to_owned(),
    }
}

static SUM: Sql = Sql::both(
    "SELECT CAST(COALESCE(SUM(nombre), 0) AS bigint) AS nombre, \
     COALESCE(SUM(chiffre_affaires), 0) AS montant FROM ventes_jours \
     WHERE boutique_id = $1 AND jour >= $2 AND jour <= $3",
);

/// What a shop sold on these days.
pub async fn turnover(tx: &mut Tx, shop_id: i64, span: Span) -> Result<Turnover, Error> {
    let row = tx.row(&SUM, args![shop_id, text(span.first), text(span.last)]).await?;
    let Some(row) = row else {
        return Ok(Turnover { nombre: 0, chiffre_affaires: Decimal::ZERO });
    };
    Ok(Turnover { nombre: row.get("nombre")?, chiffre_affaires: row.get("montant")? })
}

/// The sales that one transaction books, by day.
#[derive(Debug, Default)]
pub(super) struct Booked(BTreeMap<NaiveDate, (i64, Decimal)>);

static ADD: Sql = Sql::both(
    "INSERT INTO ventes_jours (boutique_id, jour, nombre, chiffre_affaires) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (boutique_id, jour) DO UPDATE \
     SET nombre = ventes_jours.nombre + excluded.nombre, \
     chiffre_affaires = ventes_jours.chiffre_affaires + excluded.chiffre_affaires",
);

impl Booked {
    pub(super) fn add(&mut self, day: NaiveDate, total: Decimal) {
        let (count, sum) = self.0.entry(day).or_default();
        *count += 1;
        *sum += total;
    }

    /// Writes them: days in ascending order, so that nobody waits in a circle.
    pub(super) async fn write(self, tx: &mut Tx, origin: &Origin) -> Result<(), Error> {
        for (day, (count, sum)) in self.0 {
            tx.execute(&ADD, args![origin.boutique_id, text(day), count, sum]).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Span, begins, day, text, zone};
    use chrono::{DateTime, NaiveDate, Utc};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    /// D-36: "jour" and "mois" in the shop's time zone.
    #[test]
    fn days_and_months_are_those_of_the_shop() {
        let kinshasa = zone("Africa/Kinshasa");
        let late = at("2026-01-31T23:30:00Z");
        assert_eq!(day(kinshasa, late), date("2026-02-01"));
        assert_eq!(day(zone("UTC"), late), date("2026-01-31"));
        let month = Span::this_month(kinshasa, late);
        assert_eq!((month.first, month.last), (date("2026-02-01"), date("2026-02-28")));
        assert_eq!(begins(kinshasa, date("2026-02-01")), at("2026-01-31T23:00:00Z"));
        assert_eq!(zone("Nowhere/At_All"), zone("UTC"));
    }

    #[test]
    fn a_day_begins_where_clocks_skip_midnight() {
        // Beirut went from 00:00 to 01:00 on that day.
        let beirut = zone("Asia/Beirut");
        assert_eq!(begins(beirut, date("2022-03-27")), at("2022-03-26T22:00:00Z"));
        assert_eq!(begins(beirut, date("2022-03-28")), at("2022-03-27T21:00:00Z"));
    }

    #[test]
    fn the_text_of_days_sorts() {
        assert!(text(Span::ALL.first) < text(date("0001-01-01")));
        assert!(text(date("2026-12-31")) < text(Span::ALL.last));
    }
}
