//! W3C trace context: which trace a request belongs to, and what its answer and its job carry on.

use axum::http::HeaderMap;
use std::fmt;
use uuid::Uuid;

/// The trace of a request and the span that handles it. Made only of what was checked, so that
/// it is safe in headers, logs and the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) id: String,
    span: String,
    flags: u8,
}

impl Trace {
    /// A new span of the caller's trace if the request names one, else of a new trace.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all("traceparent").iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Self::new() };
        let parent = value.to_str().ok().and_then(parse);
        let (id, flags) = parent.unwrap_or_else(|| (Uuid::new_v4().simple().to_string(), 1));
        Self { id, span: span(), flags }
    }

    pub(crate) fn new() -> Self {
        Self { id: Uuid::new_v4().simple().to_string(), span: span(), flags: 1 }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.id, self.span, self.flags)
    }
}

/// Half of a random UUID: 60 random bits and two that keep it from being zero.
fn span() -> String {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    format!("{low:016x}")
}

/// Trace id and flags of a `traceparent`; a later version may have more members after them.
fn parse(text: &str) -> Option<(String, u8)> {
    let mut parts = text.split('-');
    let [version, id, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |part: &str| part.bytes().all(|b| b == b'0');
    let well_formed = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || parts.next().is_none())
        && is_hex(id, 32)
        && !is_zero(id)
        && is_hex(parent, 16)
        && !is_zero(parent)
        && is_hex(flags, 2);
    let flags = u8::from_str_radix(flags, 16).ok()?;
    well_formed.then(|| (id.to_owned(), flags & 1))
}

#[cfg(test)]
mod tests {
    use super::{Trace, parse};

    #[test]
    fn only_a_valid_traceparent_is_carried_on() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let table = [
            (format!("00-{id}-00f067aa0ba902b7-01"), Some(1)),
            (format!("00-{id}-00f067aa0ba902b7-00"), Some(0)),
            (format!("cc-{id}-00f067aa0ba902b7-03-later"), Some(1)),
            (format!("00-{id}-00f067aa0ba902b7-01-extra"), None),
            (format!("ff-{id}-00f067aa0ba902b7-01"), None),
            (format!("00-{id}-0000000000000000-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()), None),
            (format!("00-{id}-00f067aa0ba902b7"), None),
            (format!("00-{id}\r\n-00f067aa0ba902b7-01"), None),
            (String::new(), None),
        ];
        for (text, flags) in table {
            assert_eq!(parse(&text), flags.map(|flags| (id.to_owned(), flags)), "{text}");
        }
    }

    #[test]
    fn what_is_generated_is_valid() {
        let trace = Trace::new();
        assert_eq!(parse(&trace.to_string()), Some((trace.id.clone(), 1)));
    }
}
