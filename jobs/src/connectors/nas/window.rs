//! The hours in which documents may be sent.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Every day from one time of day to another, past midnight if need be, in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: NaiveTime,
    to: NaiveTime,
    zone: Tz,
}

impl Window {
    /// Reads `22:00-06:00`; `None` if it is something else, or no time at all.
    pub fn parse(text: &str, zone: Tz) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").ok();
        let window = Self { from: time(from)?, to: time(to)?, zone };
        (window.from != window.to).then_some(window)
    }

    fn is_open(&self, now: DateTime<Utc>) -> bool {
        let time = now.with_timezone(&self.zone).time();
        match self.from < self.to {
            true => (self.from..self.to).contains(&time),
            false => time >= self.from || time < self.to,
        }
    }

    /// How long until it opens; `None` if it is open.
    pub fn opens_in(&self, now: DateTime<Utc>) -> Option<Duration> {
        (!self.is_open(now)).then(|| self.ahead(now, self.from))
    }

    /// How long until it closes; nothing if it is closed.
    pub fn closes_in(&self, now: DateTime<Utc>) -> Duration {
        if self.is_open(now) { self.ahead(now, self.to) } else { Duration::ZERO }
    }

    /// From an instant to the next at which clocks in the zone show a time of day. One that they
    /// skip counts when they have skipped it.
    fn ahead(&self, now: DateTime<Utc>, time: NaiveTime) -> Duration {
        let today = now.with_timezone(&self.zone).date_naive();
        let times =
            (0..3).filter_map(|day| Some(today.checked_add_days(Days::new(day))?.and_time(time)));
        let instants = times.flat_map(|at| {
            let shown = self.zone.from_local_datetime(&at);
            let later = self.zone.from_local_datetime(&(at + TimeDelta::hours(1)));
            [shown.earliest().or_else(|| later.earliest()), shown.latest()]
        });
        let mut waits = instants.flatten().filter_map(|at| (at.to_utc() - now).to_std().ok());
        waits.find(|wait| !wait.is_zero()).unwrap_or_default()
    }
}

/// `22:00-06:00 (Africa/Kinshasa)`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.format("%H:%M"), self.to.format("%H:%M"));
        write!(f, "{from}-{to} ({})", self.zone)
    }
}

/// `22:00-06:00` in UTC.
impl FromStr for Window {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::parse(text, Tz::UTC).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use chrono::{DateTime, Utc};
    use chrono_tz::Tz;
    use std::time::Duration;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("an instant")
    }

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn a_window_may_pass_midnight_and_lies_in_its_zone() {
        let night = Window::parse("22:00-06:00", Tz::Africa__Kinshasa).expect("a window");
        // Kinshasa is an hour ahead of UTC.
        assert_eq!(night.opens_in(at("2026-11-20T21:00:00Z")), None);
        assert_eq!(night.opens_in(at("2026-11-21T04:59:59Z")), None);
        assert_eq!(night.opens_in(at("2026-11-21T05:00:00Z")), Some(minutes(16 * 60)));
        assert_eq!(night.opens_in(at("2026-11-20T20:59:00Z")), Some(minutes(1)));
        assert_eq!(night.closes_in(at("2026-11-20T23:00:00Z")), minutes(6 * 60));
        // Closed as soon as it closes, not in a day.
        assert_eq!(night.closes_in(at("2026-11-21T05:00:00Z")), Duration::ZERO);
        assert_eq!(night.to_string(), "22:00-06:00 (Africa/Kinshasa)");
        for wrong in ["", "22:00", "22-06", "25:00-06:00", "06:00-06:00", "22:00-06:00-07:00"] {
            assert_eq!(wrong.parse::<Window>(), Err(()), "{wrong}");
        }
    }

    /// Paris, 2026: clocks skip 02:00 to 03:00 on 29 March and show it twice on 25 October.
    #[test]
    fn nights_in_which_clocks_change_have_the_hours_they_have() {
        let night = Window::parse("22:00-06:00", Tz::Europe__Paris).expect("a window");
        assert_eq!(night.closes_in(at("2026-03-28T21:00:00Z")), minutes(7 * 60));
        assert_eq!(night.closes_in(at("2026-10-24T20:00:00Z")), minutes(9 * 60));
        let skipped = Window::parse("02:30-04:00", Tz::Europe__Paris).expect("a window");
        assert_eq!(skipped.opens_in(at("2026-03-29T00:30:00Z")), Some(minutes(60)));
        let twice = Window::parse("01:00-02:30", Tz::Europe__Paris).expect("a window");
        assert_eq!(twice.closes_in(at("2026-10-25T00:00:00Z")), minutes(30));
        // It shows an hour that is in it again.
        assert_eq!(twice.opens_in(at("2026-10-25T01:00:00Z")), None);
        assert_eq!(twice.closes_in(at("2026-10-25T01:00:00Z")), minutes(30));
    }
}
