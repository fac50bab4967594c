//! Cron expression, time zone and an instant → the ticks around it. Pure.
//!
//! An expression that names hours is about times of day: one that does not exist or comes twice
//! is a matter of policy. An expression that takes every hour is about passing time: it ticks
//! whenever the clock on the wall matches, through both passes of a repeated hour, and there is
//! nothing to make up for where the clock skips. So crontab has it too.

use super::{Fold, Gap, Refusal, expression};
use chrono::{
    DateTime, MappedLocalTime, NaiveDateTime, Offset, SubsecRound, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use cron::TimeUnitSpec;

/// Within this time after an instant every change of the zone's offset is looked for.
const WINDOW: TimeDelta = TimeDelta::days(2);
/// Before a far match the search goes on from here. No zone ever moved by more than a day, so
/// neither the jump to here nor the window leaves a match behind.
const BEFORE: TimeDelta = TimeDelta::hours(36);
/// No zone changes its offset and changes it back within this time.
const STEP: TimeDelta = TimeDelta::hours(1);
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// When a schedule ticks.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: cron::Schedule,
    zone: Tz,
    gap: Gap,
    fold: Fold,
    /// Every hour is meant: passing time, not times of day.
    is_elapsed: bool,
}

/// One instant of a timetable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// When.
    pub at: DateTime<Utc>,
    /// What the clock on the wall shows then.
    pub local: DateTime<Tz>,
    /// What a policy has decided.
    pub note: Option<Note>,
}

/// What a policy has decided about a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// The time of day does not exist on that day: it runs right after the gap.
    AfterGap,
    /// The time of day comes twice: this is the first.
    FirstOfTwo,
    /// The time of day comes twice: this is the second.
    SecondOfTwo,
}

impl Note {
    /// A sentence for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterGap => "this time of day does not exist on that day: right after the gap",
            Self::FirstOfTwo => "this time of day comes twice on that day: the first",
            Self::SecondOfTwo => "this time of day comes twice on that day: the second",
        }
    }
}

impl Timetable {
    /// Reads an expression and the name of a zone.
    pub fn new(cron: &str, zone: &str, gap: Gap, fold: Fold) -> Result<Self, Refusal> {
        let text = cron;
        let cron = expression::read(text)?;
        let zone = zone.parse().map_err(|_| Refusal::Zone(zone.escape_debug().to_string()))?;
        let is_elapsed = cron.hours().is_all();
        let timetable = Self { cron, zone, gap, fold, is_elapsed };
        if timetable.nominal(DateTime::UNIX_EPOCH.naive_utc()).is_none() {
            return Err(Refusal::Cron(format!("`{}` never comes", text.escape_debug())));
        }
        Ok(timetable)
    }

    /// The first tick after `moment`.
    pub fn next(&self, moment: DateTime<Utc>) -> Option<Tick> {
        let mut from = moment.trunc_subsecs(0) + SECOND;
        loop {
            let (at, is_moved) = self.wall(from)?;
            let local = at.with_timezone(&self.zone);
            let note = match self.zone.from_local_datetime(&local.naive_local()) {
                _ if self.is_elapsed => None,
                _ if is_moved => Some(Note::AfterGap),
                MappedLocalTime::Ambiguous(one, other) if at == one.min(other) => {
                    Some(Note::FirstOfTwo)
                }
                MappedLocalTime::Ambiguous(_, _) => Some(Note::SecondOfTwo),
                _ => None,
            };
            let is_wanted = match note {
                Some(Note::FirstOfTwo) => self.fold != Fold::Second,
                Some(Note::SecondOfTwo) => self.fold != Fold::First,
                _ => true,
            };
            if is_wanted {
                return Some(Tick { at, local, note });
            }
            from = at + SECOND;
        }
    }

    /// The ticks after `moment`.
    pub fn after(&self, moment: DateTime<Utc>) -> impl Iterator<Item = Tick> {
        std::iter::successors(self.next(moment), |tick| self.next(tick.at))
    }

    /// The last tick after `floor` and not after `until`.
    pub fn last(&self, floor: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = |moment| self.next(moment).map(|tick| tick.at);
        let mut high = until.trunc_subsecs(0);
        let mut span = TimeDelta::minutes(1);
        let mut found = loop {
            let low = high.checked_sub_signed(span).map_or(floor, |low| low.max(floor));
            match next(low) {
                Some(tick) if tick <= high => break tick,
                _ if low <= floor => return None,
                _ => span = span * 4,
            }
        };
        while found < high {
            let middle = found + TimeDelta::seconds((high - found).num_seconds() / 2);
            match next(middle) {
                Some(tick) if tick <= high => found = tick,
                _ => high = middle,
            }
        }
        Some(found)
    }

    /// The first instant from `from` on at which the clock on the wall matches, or, for a match
    /// that the clock skips, the instant right after the gap; and whether it is the latter.
    fn wall(&self, mut from: DateTime<Utc>) -> Option<(DateTime<Utc>, bool)> {
        loop {
            let offset = self.offset(from);
            let nominal = self.nominal(from.naive_utc() + offset);
            let at = nominal.map(|nominal| nominal.and_utc() - offset);
            // Also after the last match of all: the clock may go back and show it again.
            let end = from + WINDOW;
            match (self.shift(from, at.map_or(end, |at| at.min(end))), at) {
                (Some(shift), _) => {
                    let after = shift.naive_utc() + self.offset(shift);
                    let is_skipped = nominal.is_some_and(|nominal| nominal < after);
                    if is_skipped && !self.is_elapsed && self.gap == Gap::Run {
                        return Some((shift, true));
                    }
                    from = shift;
                }
                (None, Some(at)) if at <= end => return Some((at, false)),
                (None, Some(at)) => from = at - BEFORE,
                (None, None) => return None,
            }
        }
    }

    /// The first match at or after a time that some clock shows.
    fn nominal(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let before = local.and_utc() - SECOND;
        self.cron.after(&before).next().map(|tick| tick.naive_utc())
    }

    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }

    /// The first instant after `from` and not after `until` with another offset.
    fn shift(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut low = from;
        while low < until {
            let mut high = (low + STEP).min(until);
            if self.offset(high) == offset {
                low = high;
                continue;
            }
            while high - low > SECOND {
                let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
                if self.offset(middle) == offset { low = middle } else { high = middle }
            }
            return Some(high);
        }
        None
    }
}

#[cfg(test)]
mod tests;
