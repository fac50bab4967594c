//! How far a local server's clock is believed (D-22).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A site's clock may be so far off before it is corrected.
const TOLERANCE: TimeDelta = TimeDelta::seconds(120);
/// A change may lie so far ahead: clocks differ, and a request takes its time.
const AHEAD: TimeDelta = TimeDelta::seconds(300);

/// Server time minus the time that the client says it is, in milliseconds, if it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockOffset(i64);

impl ClockOffset {
    pub fn of(client: DateTime<Utc>, received: DateTime<Utc>) -> Self {
        Self((received - client).num_milliseconds())
    }
}

/// The instant that counts for a change, and whether it is another one than was sent. A time in
/// the future that was believed would win every comparison from then on.
pub(super) fn effective(
    sent: DateTime<Utc>,
    offset: Option<ClockOffset>,
    received: DateTime<Utc>,
) -> (DateTime<Utc>, bool) {
    let offset = offset.map(|ClockOffset(ms)| TimeDelta::milliseconds(ms));
    let wrong = offset.filter(|offset| offset.abs() > TOLERANCE);
    let corrected = wrong.and_then(|offset| sent.checked_add_signed(offset)).unwrap_or(sent);
    let clamped = if corrected - received > AHEAD { received } else { corrected };
    (clamped, clamped != sent)
}

#[cfg(test)]
mod tests {
    use super::{ClockOffset, effective};
    use chrono::{DateTime, TimeDelta, Utc};

    #[test]
    fn a_wrong_clock_is_corrected_and_a_future_clamped() {
        let now: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().expect("an instant");
        let at = |seconds| now + TimeDelta::seconds(seconds);
        // (sent at, the client's clock if it tells it, effective, flagged), in seconds from now
        for (sent, clock, expected, flagged) in [
            (-60, None, -60, false),
            (300, None, 300, false),
            (301, None, 0, true),
            (400 * 86_400, None, 0, true),
            (-60, Some(120), -60, false),
            (0, Some(121), -121, true),
            (-3 * 86_400, Some(-3 * 86_400), 0, true),
            // Two hours behind, changed an hour "later": an hour ahead of now is too far.
            (-3_600, Some(-7_200), 0, true),
            (500, Some(600), -100, true),
            (1_000, Some(600), 0, true),
        ] {
            let offset = clock.map(|clock| ClockOffset::of(at(clock), now));
            let found = effective(at(sent), offset, now);
            assert_eq!(found, (at(expected), flagged), "{sent} {clock:?}");
        }
    }
}
