//! Cron expression, time zone and an instant → the ticks around it. Pure.

use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use std::str::FromStr;

/// What is put in, and when.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub name: String,
    pub kind: String,
    /// JSON text.
    pub payload: String,
    cron: cron::Schedule,
    zone: Tz,
}

/// A schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "`{0}` is no cron expression: allowed are `second minute hour day month weekday`, for example `0 30 2 * * *`"
    )]
    Cron(String),
    #[error("`{0}` is no time zone: allowed are IANA names, for example `Africa/Kinshasa`")]
    Zone(String),
}

impl Schedule {
    /// Reads a schedule; `cron` starts with seconds, `zone` is an IANA name.
    pub fn new(
        name: &str,
        kind: &str,
        payload: &str,
        cron: &str,
        zone: &str,
    ) -> Result<Self, ScheduleError> {
        Ok(Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            payload: payload.to_owned(),
            cron: cron::Schedule::from_str(cron)
                .map_err(|_| ScheduleError::Cron(cron.to_owned()))?,
            zone: zone.parse().map_err(|_| ScheduleError::Zone(zone.to_owned()))?,
        })
    }

    /// The first tick after `moment`.
    pub(crate) fn next(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.cron.after(&moment.with_timezone(&self.zone)).next().map(|tick| tick.to_utc())
    }

    /// The last tick at or before `moment`.
    pub(crate) fn last(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Ticks are whole seconds, and the search is for one strictly before.
        let after = moment.trunc_subsecs(0) + chrono::Duration::seconds(1);
        self.cron.after(&after.with_timezone(&self.zone)).next_back().map(|tick| tick.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::{Schedule, ScheduleError};
    use chrono::{DateTime, Utc};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    #[test]
    fn ticks_follow_the_clock_of_the_zone() {
        let daily =
            Schedule::new("x", "k", "{}", "0 30 2 * * *", "Africa/Kinshasa").expect("valid");
        let noon = at("2026-11-20T12:00:00Z");
        assert_eq!(daily.next(noon), Some(at("2026-11-21T01:30:00Z")));
        assert_eq!(daily.last(noon), Some(at("2026-11-20T01:30:00Z")));
    }

    #[test]
    fn a_tick_is_its_own_last_tick_and_not_its_next() {
        let hourly = Schedule::new("x", "k", "{}", "0 0 * * * *", "UTC").expect("valid");
        let tick = at("2026-11-20T12:00:00Z");
        assert_eq!(hourly.last(tick), Some(tick));
        assert_eq!(hourly.next(tick), Some(at("2026-11-20T13:00:00Z")));
    }

    #[test]
    fn nonsense_is_named() {
        let error = |cron, zone| Schedule::new("x", "k", "{}", cron, zone).err();
        assert_eq!(error("often", "UTC"), Some(ScheduleError::Cron("often".to_owned())));
        assert_eq!(error("0 0 * * * *", "Moon"), Some(ScheduleError::Zone("Moon".to_owned())));
    }
}
