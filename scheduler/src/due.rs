//! Which ticks a schedule owes, and as what: on time, missed, or one for many. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use queue::schedule::{Definition, MAX_MISSED, Missed, Outcome, Timetable};

/// A tick that is later than this was missed: nobody was there.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// A schedule with ticks to deal with.
pub(crate) struct Due<'a> {
    pub(crate) name: String,
    pub(crate) stamp: i64,
    /// Ticks up to here were dealt with.
    pub(crate) from: DateTime<Utc>,
    pub(crate) timetable: &'a Timetable,
}

/// A tick that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) nominal: DateTime<Utc>,
    /// `Enqueued`, `Coalesced` or `SkippedMissed`.
    pub(crate) outcome: Outcome,
    /// Earlier ticks that it stands for.
    pub(crate) missed: u32,
    /// It was missed and is made up for on its own, whatever else still runs.
    pub(crate) is_backlog: bool,
}

impl Owed {
    fn one(nominal: DateTime<Utc>) -> Self {
        Self { nominal, outcome: Outcome::Enqueued, missed: 0, is_backlog: false }
    }

    fn for_many(nominal: DateTime<Utc>, missed: u32) -> Self {
        let outcome = if missed == 0 { Outcome::Enqueued } else { Outcome::Coalesced };
        Self { nominal, outcome, missed, is_backlog: false }
    }

    fn given_up(nominal: DateTime<Utc>, missed: u32) -> Self {
        Self { nominal, outcome: Outcome::SkippedMissed, missed, is_backlog: false }
    }
}

/// The ticks after `due.from` up to `now`, oldest first. Bounded, however long ago that was.
pub(crate) fn owed(due: &Due<'_>, policy: &Definition, now: DateTime<Utc>) -> Vec<Owed> {
    let late = now - GRACE;
    let on_time = due.timetable.after(due.from.max(late)).map(|tick| tick.at);
    let mut owed: Vec<Owed> = on_time.take_while(|at| *at <= now).map(Owed::one).collect();
    let Some(latest) = (due.from < late).then(|| due.timetable.last(due.from, late)).flatten()
    else {
        return owed;
    };
    // The latest and those before it, counted up to a limit.
    let all = due.timetable.after(due.from).take_while(|tick| tick.at <= late);
    let count = u32::try_from(all.take(MAX_MISSED as usize + 1).count()).unwrap_or(u32::MAX);
    match policy.missed {
        Missed::Skip => owed.insert(0, Owed::given_up(latest, count - 1)),
        Missed::Once => match owed.first_mut() {
            // A tick that is on time does the work of the missed ones as well.
            Some(first) => *first = Owed::for_many(first.nominal, count),
            None => owed.push(Owed::for_many(latest, count - 1)),
        },
        Missed::All => {
            let mut backlog = Vec::new();
            let mut tick = Some(latest);
            while let Some(nominal) = tick {
                if backlog.len() >= policy.missed_limit as usize {
                    let rest = count.saturating_sub(policy.missed_limit + 1);
                    backlog.push(Owed::given_up(nominal, rest));
                    break;
                }
                backlog.push(Owed { is_backlog: true, ..Owed::one(nominal) });
                tick = due.timetable.last(due.from, nominal - TimeDelta::seconds(1));
            }
            owed.splice(0..0, backlog.into_iter().rev());
        }
    }
    owed
}

#[cfg(test)]
mod tests {
    use super::{Due, Owed, owed};
    use chrono::{DateTime, Utc};
    use queue::schedule::{Definition, Missed, Outcome};

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-20T{text}Z").parse().expect("an instant")
    }

    /// What an hourly schedule owes, shown as `hour outcome missed`.
    fn hourly(missed: Missed, limit: u32, from: &str, now: &str) -> Vec<String> {
        let policy = Definition {
            missed,
            missed_limit: limit,
            ..Definition::new("x", "0 * * * *", "UTC", "k", "{}")
        };
        let timetable = policy.timetable().expect("valid");
        let due = Due { name: "x".to_owned(), stamp: 1, from: at(from), timetable: &timetable };
        let shown = |owed: &Owed| {
            format!("{} {} {}", owed.nominal.format("%H"), owed.outcome.as_str(), owed.missed)
        };
        owed(&due, &policy, at(now)).iter().map(shown).collect()
    }

    #[test]
    fn a_tick_on_time_is_put_in_whatever_the_policy() {
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            assert_eq!(hourly(missed, 10, "09:00:00", "10:00:30"), ["10 enqueued 0"]);
            assert_eq!(hourly(missed, 10, "10:00:00", "10:59:59"), [""; 0]);
        }
    }

    #[test]
    fn missed_ticks_are_dealt_with_as_the_policy_says() {
        let (from, now) = ("03:30:00", "08:30:00");
        assert_eq!(hourly(Missed::Skip, 10, from, now), ["08 skipped_missed 4"]);
        assert_eq!(hourly(Missed::Once, 10, from, now), ["08 coalesced 4"]);
        assert_eq!(
            hourly(Missed::All, 3, from, now),
            ["05 skipped_missed 1", "06 enqueued 0", "07 enqueued 0", "08 enqueued 0"]
        );
        assert_eq!(hourly(Missed::All, 10, "06:30:00", now), ["07 enqueued 0", "08 enqueued 0"]);
        assert_eq!(hourly(Missed::Once, 10, "07:30:00", now), ["08 enqueued 0"]);
    }

    #[test]
    fn a_tick_on_time_does_the_work_of_the_missed_ones() {
        let (from, now) = ("03:30:00", "08:00:10");
        assert_eq!(hourly(Missed::Once, 10, from, now), ["08 coalesced 4"]);
        assert_eq!(hourly(Missed::Skip, 10, from, now), ["07 skipped_missed 3", "08 enqueued 0"]);
    }

    #[test]
    fn ten_years_of_seconds_are_bounded() {
        let policy = Definition {
            missed: Missed::All,
            missed_limit: 5,
            ..Definition::new("x", "* * * * * *", "Europe/Paris", "k", "{}")
        };
        let timetable = policy.timetable().expect("valid");
        let from = "2016-11-20T00:00:00Z".parse().expect("an instant");
        let due = Due { name: "x".to_owned(), stamp: 1, from, timetable: &timetable };
        let owed = owed(&due, &policy, at("08:00:00"));
        let count = |outcome| owed.iter().filter(|owed| owed.outcome == outcome).count();
        assert_eq!((count(Outcome::SkippedMissed), count(Outcome::Enqueued)), (1, 5 + 60));
    }
}
