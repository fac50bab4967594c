//! The hours in which documents may be sent.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
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

    /// How long until it opens; `None` if it is open.
    pub fn opens_in(&self, now: DateTime<Utc>) -> Option<Duration> {
        let time = now.with_timezone(&self.zone).time();
        let is_open = match self.from < self.to {
            true => (self.from..self.to).contains(&time),
            false => time >= self.from || time < self.to,
        };
        (!is_open).then(|| ahead(time, self.from))
    }

    /// How long until it closes, if it is open.
    pub fn closes_in(&self, now: DateTime<Utc>) -> Duration {
        ahead(now.with_timezone(&self.zone).time(), self.to)
    }
}

/// From one time of day to the next occurrence of another, on a day of 24 hours: whoever waits
/// looks again when clocks were changed meanwhile.
fn ahead(now: NaiveTime, then: NaiveTime) -> Duration {
    let ahead = then - now;
    let day = TimeDelta::days(1);
    let ahead = if ahead <= TimeDelta::zero() { ahead + day } else { ahead };
    ahead.to_std().unwrap_or_default()
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
    use std::time::Duration;

    #[test]
    fn a_window_may_pass_midnight_and_lies_in_its_zone() {
        let night = Window::parse("22:00-06:00", chrono_tz::Africa::Kinshasa).expect("a window");
        let opens = |text: &str| night.opens_in(text.parse().expect("an instant"));
        // Kinshasa is an hour ahead of UTC.
        assert_eq!(opens("2026-11-20T21:00:00Z"), None);
        assert_eq!(opens("2026-11-21T04:59:59Z"), None);
        assert_eq!(opens("2026-11-21T05:00:00Z"), Some(Duration::from_secs(16 * 3_600)));
        assert_eq!(opens("2026-11-20T20:59:00Z"), Some(Duration::from_secs(60)));
        let now = "2026-11-20T23:00:00Z".parse().expect("an instant");
        assert_eq!(night.closes_in(now), Duration::from_secs(6 * 3_600));
        for wrong in ["", "22:00", "22-06", "25:00-06:00", "06:00-06:00", "22:00-06:00-07:00"] {
            assert_eq!(wrong.parse::<Window>(), Err(()), "{wrong}");
        }
    }
}
