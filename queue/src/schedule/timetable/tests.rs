//! What a timetable promises around every change of clocks since 1970, in every zone there is.

use super::{Note, Timetable};
use crate::schedule::{Fold, Gap};
use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn read(cron: &str, zone: &str) -> Timetable {
    Timetable::new(cron, zone, Gap::Run, Fold::First).expect("valid")
}

fn offset(zone: Tz, at: DateTime<Utc>) -> i64 {
    i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
}

/// A change of a zone's clocks: the first instant with the new offset.
#[derive(Debug, Clone, Copy)]
struct Change {
    zone: Tz,
    at: DateTime<Utc>,
    before: i64,
    after: i64,
}

/// Every different change of any zone from 1970 on: zones that change alike count once.
fn changes() -> &'static [Change] {
    static CHANGES: OnceLock<Vec<Change>> = OnceLock::new();
    CHANGES.get_or_init(find_changes)
}

fn find_changes() -> Vec<Change> {
    let (start, end) = (at("1970-01-02T00:00:00Z"), at("2038-01-01T00:00:00Z"));
    let (mut seen, mut changes) = (HashSet::new(), Vec::new());
    for zone in chrono_tz::TZ_VARIANTS {
        let mut low = start;
        while low < end {
            let high = low + TimeDelta::hours(24);
            let (before, after) = (offset(zone, low), offset(zone, high));
            if before != after {
                let (mut left, mut right) = (low, high);
                while right - left > TimeDelta::seconds(1) {
                    let middle = left + TimeDelta::seconds((right - left).num_seconds() / 2);
                    if offset(zone, middle) == before { left = middle } else { right = middle }
                }
                // Only the rules of today's kind: whole minutes, one change at a time.
                let is_whole = before % 60 == 0 && after % 60 == 0 && right.second() == 0;
                if is_whole && seen.insert((right, before, after)) {
                    changes.push(Change { zone, at: right, before, after });
                }
            }
            low = high;
        }
    }
    changes
}

/// Local time → the instants at which the clock shows it, minute by minute around a change.
fn shown(change: &Change) -> BTreeMap<NaiveDateTime, Vec<DateTime<Utc>>> {
    let around = (change.after - change.before).abs() / 60 + 90;
    let mut shown: BTreeMap<NaiveDateTime, Vec<DateTime<Utc>>> = BTreeMap::new();
    for minute in -around..=around {
        let at = change.at + TimeDelta::minutes(minute);
        shown.entry(at.with_timezone(&change.zone).naive_local()).or_default().push(at);
    }
    shown
}

/// A few local times on both sides of a change and in the middle of what it skips or repeats.
fn nominals(change: &Change) -> BTreeSet<NaiveDateTime> {
    let old = change.at.naive_utc() + TimeDelta::seconds(change.before);
    let new = change.at.naive_utc() + TimeDelta::seconds(change.after);
    let (first, last) = (old.min(new), old.max(new));
    let minute = TimeDelta::minutes(1);
    let middle = first + (last - first) / 2;
    let middle = middle - TimeDelta::seconds(i64::from(middle.second()));
    BTreeSet::from([
        first - minute,
        first,
        first + minute,
        middle,
        last - minute,
        last,
        last + minute,
    ])
}

fn ticks(timetable: &Timetable, change: &Change) -> Vec<DateTime<Utc>> {
    let days = TimeDelta::days(4);
    let after = timetable.after(change.at - days).map(|tick| tick.at);
    after.take_while(|tick| *tick < change.at + days).collect()
}

#[test]
fn each_time_of_day_is_as_many_instants_as_documented_in_every_zone() {
    let changes = changes();
    assert!(changes.len() > 3_000, "{}", changes.len());
    for (zone, seconds) in [
        ("Australia/Lord_Howe", 1_800),
        ("Antarctica/Troll", 7_200),
        ("Pacific/Chatham", 3_600),
        ("Pacific/Apia", 86_400),
    ] {
        // It may stand there under another name.
        let zone: Tz = zone.parse().expect("a zone");
        let is_it = |change: &Change| {
            (change.after - change.before).abs() == seconds
                && offset(zone, change.at) == change.after
                && offset(zone, change.at - TimeDelta::seconds(1)) == change.before
        };
        assert!(changes.iter().any(is_it), "{zone} is not among them");
    }
    for (number, change) in changes.iter().enumerate() {
        let shown = shown(change);
        for nominal in nominals(change) {
            let cron = format!(
                "{} {} {} {} {} ? {}",
                nominal.second(),
                nominal.minute(),
                nominal.hour(),
                nominal.day(),
                nominal.month(),
                nominal.year(),
            );
            let real = shown.get(&nominal).map_or(&[][..], Vec::as_slice);
            // The policies that differ, turn by turn, so that all of them meet all kinds of zones.
            let (gap, fold) =
                [(Gap::Run, Fold::First), (Gap::Skip, Fold::Second), (Gap::Run, Fold::Both)]
                    [number % 3];
            let expected = match (real, gap, fold) {
                ([], Gap::Run, _) => vec![change.at],
                ([], Gap::Skip, _) => vec![],
                ([first, _], _, Fold::First) => vec![*first],
                ([_, second], _, Fold::Second) => vec![*second],
                (all, _, _) => all.to_vec(),
            };
            let timetable = Timetable::new(&cron, change.zone.name(), gap, fold).expect("valid");
            let found = ticks(&timetable, change);
            assert_eq!(found, expected, "{nominal} {gap:?} {fold:?} {change:?}");
        }
    }
}

#[test]
fn every_hour_is_every_instant_at_which_the_clock_matches_in_every_zone() {
    for change in changes().iter().step_by(7) {
        let timetable = read("*/15 * * * *", change.zone.name());
        let around = TimeDelta::minutes((change.after - change.before).abs() / 60 + 90);
        let (start, end) = (change.at - around, change.at + around);
        let mut expected = Vec::new();
        let mut minute = start + TimeDelta::minutes(1);
        while minute < end {
            if minute.with_timezone(&change.zone).minute().is_multiple_of(15) {
                expected.push(minute);
            }
            minute += TimeDelta::minutes(1);
        }
        let found = timetable.after(start).map(|tick| tick.at);
        let found: Vec<_> = found.take_while(|tick| *tick < end).collect();
        assert_eq!(found, expected, "{change:?}");
        let backwards = timetable.last(start, end - TimeDelta::seconds(1));
        assert_eq!(backwards, expected.last().copied(), "{change:?}");
    }
}

#[test]
fn ticks_follow_the_clock_of_the_zone() {
    let daily = read("0 30 2 * * *", "Africa/Kinshasa");
    let noon = at("2026-11-20T12:00:00Z");
    assert_eq!(daily.next(noon).map(|tick| tick.at), Some(at("2026-11-21T01:30:00Z")));
    assert_eq!(daily.last(at("2020-01-01T00:00:00Z"), noon), Some(at("2026-11-20T01:30:00Z")));
}

#[test]
fn a_tick_is_its_own_last_tick_and_not_its_next() {
    let hourly = read("0 * * * *", "UTC");
    let tick = at("2026-11-20T12:00:00Z");
    let long_ago = at("2000-01-01T00:00:00Z");
    assert_eq!(hourly.last(long_ago, tick), Some(tick));
    assert_eq!(hourly.last(tick, tick), None);
    assert_eq!(hourly.next(tick).map(|tick| tick.at), Some(at("2026-11-20T13:00:00Z")));
    let rare = read("0 0 29 2 *", "Europe/Paris");
    let last = rare.last(long_ago, at("2027-03-01T00:00:00Z"));
    assert_eq!(last, Some(at("2024-02-28T23:00:00Z")));
}

/// Paris 2027: the 28th of March has no 02:30, the 31st of October has two.
#[test]
fn a_policy_says_what_it_did() {
    let nightly = read("30 2 * * *", "Europe/Paris");
    let spring = nightly.next(at("2027-03-27T12:00:00Z")).expect("a tick");
    assert_eq!((spring.at, spring.note), (at("2027-03-28T01:00:00Z"), Some(Note::AfterGap)));
    assert_eq!(spring.local.to_rfc3339(), "2027-03-28T03:00:00+02:00");
    let autumn = nightly.next(at("2027-10-30T12:00:00Z")).expect("a tick");
    assert_eq!((autumn.at, autumn.note), (at("2027-10-31T00:30:00Z"), Some(Note::FirstOfTwo)));
    let day_after = nightly.next(autumn.at).expect("a tick");
    assert_eq!((day_after.at, day_after.note), (at("2027-11-01T01:30:00Z"), None));
}

/// Absurd, but read: each search ends soon.
#[test]
fn expressions_that_never_come_are_refused_and_rare_ones_are_found() {
    for never in ["0 0 30 2 *", "0 0 0 31 4 ? *", "0 0 0 29 2 SUN 2048", "0 0 31 2,4,6,9,11 *"] {
        let error = Timetable::new(never, "UTC", Gap::Run, Fold::First).expect_err(never);
        assert!(error.to_string().contains("never comes"), "{error}");
    }
    let rare = read("0 0 0 29 2 SAT 2048", "Asia/Tokyo");
    let ticks: Vec<_> = rare.after(at("2026-01-01T00:00:00Z")).map(|tick| tick.at).collect();
    assert_eq!(ticks, [at("2048-02-28T15:00:00Z")]);
    let once = read("59 59 23 31 12 ? 2099", "Asia/Tokyo");
    assert_eq!(once.after(at("2026-01-01T00:00:00Z")).count(), 1);
    assert!(once.next(at("2099-12-31T23:00:00Z")).is_none());
}
