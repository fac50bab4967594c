//! Cron expressions: five fields as crontab reads them, or six (seconds first) and seven (a year
//! at the end) as the `cron` crate does.

use super::Refusal;
use std::str::FromStr;

/// Bytes of an expression, at the most.
const MAX_BYTES: usize = 256;
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Reads an expression.
pub(super) fn read(text: &str) -> Result<cron::Schedule, Refusal> {
    if text.len() > MAX_BYTES {
        let length = text.len();
        return Err(Refusal::Cron(format!("{length} bytes, {MAX_BYTES} are allowed")));
    }
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let expression = match fields[..] {
        [minute, hour, day, month, weekday] => {
            if is_restricted(day) && is_restricted(weekday) {
                return Err(Refusal::Cron(format!(
                    "`{}` restricts the day of the month and the day of the week, which crons \
                     read differently; with six fields (seconds first) both must match",
                    text.escape_debug()
                )));
            }
            let weekday = crontab_days(weekday).ok_or_else(|| nonsense(text))?;
            format!("0 {minute} {hour} {day} {month} {weekday}")
        }
        _ => fields.join(" "),
    };
    // `@daily` and the like are short enough to write out, and have no place for a zone's hour.
    if fields.len() < 5 {
        return Err(nonsense(text));
    }
    cron::Schedule::from_str(&expression).map_err(|_| nonsense(text))
}

fn nonsense(text: &str) -> Refusal {
    Refusal::Cron(format!(
        "`{}` is no cron expression: allowed are `minute hour day month weekday`, for example \
         `30 2 * * MON-FRI`, or six fields with seconds first, for example `0 30 2 * * *`",
        text.escape_debug()
    ))
}

fn is_restricted(field: &str) -> bool {
    !matches!(field, "*" | "?")
}

/// The days of the week of a crontab (0 and 7 are Sunday) as the `cron` crate counts them (1 is
/// Sunday).
fn crontab_days(field: &str) -> Option<String> {
    if !is_restricted(field) {
        return Some("*".to_owned());
    }
    let mut days = [false; 7];
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
            None => (part, 1_usize),
        };
        let (first, last) = match range.split_once('-') {
            None if range == "*" => (0, 6),
            None => (day(range)?, day(range)?),
            Some((first, last)) => (day(first)?, day(last)?),
        };
        // `FRI-SUN` ends on the other Sunday.
        let last = if last == 0 && first > 0 { 7 } else { last };
        if first > last {
            return None;
        }
        (first..=last).step_by(step).for_each(|day| days[day % 7] = true);
    }
    let chosen: Vec<String> =
        (0..7).filter(|day| days[*day]).map(|day| (day + 1).to_string()).collect();
    Some(chosen.join(","))
}

fn day(word: &str) -> Option<usize> {
    let named = DAYS.iter().position(|day| day.eq_ignore_ascii_case(word));
    named.or_else(|| word.parse().ok().filter(|day| *day <= 7))
}

#[cfg(test)]
mod tests {
    use super::{crontab_days, read};

    #[test]
    fn days_of_a_crontab_begin_with_sunday_at_zero() {
        for (field, days) in [
            ("*", Some("*")),
            ("0", Some("1")),
            ("7", Some("1")),
            ("1-5", Some("2,3,4,5,6")),
            ("mon-fri", Some("2,3,4,5,6")),
            ("5-7", Some("1,6,7")),
            ("FRI-SUN", Some("1,6,7")),
            ("*/2", Some("1,3,5,7")),
            ("1,SAT", Some("2,7")),
            ("8", None),
            ("5-1", None),
            ("1/0", None),
            ("", None),
        ] {
            assert_eq!(crontab_days(field).as_deref(), days, "{field}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_is_allowed() {
        let long = "0 ".repeat(200);
        for text in [
            "",
            "often",
            "@daily",
            "60 * * * *",
            "* 24 * * *",
            "* * 32 * *",
            "* * * 13 *",
            "0 0 0 30 2 ? 1",
            "* * * * * * * *",
            "\0 * * * *",
            "1,,2 * * * *",
            &long,
            "0 0 13 * 5",
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains("allowed") || error.contains("six fields"), "{text}: {error}");
        }
        for text in
            ["*/5 * * * *", "0 30 2 * * *", "0 30 2 13 * FRI", "0 0 0 1 1 * 2030", "5 4 * * sun"]
        {
            assert!(read(text).is_ok(), "{text}");
        }
    }
}
