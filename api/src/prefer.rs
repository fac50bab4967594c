//! What a client prefers about waiting (RFC 7240, D-7).

use axum::http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// The preferences of a request that this server honours; others are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// `wait=n`, capped.
    pub(crate) wait: Option<Duration>,
    /// `respond-async`.
    pub(crate) respond_async: bool,
}

impl Prefer {
    /// Reads every `Prefer` header; of a preference that is there twice the first counts.
    pub(crate) fn of(headers: &HeaderMap, wait_max: Duration) -> Self {
        let mut prefer = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split(',')) {
            let token = preference.split(';').next().unwrap_or_default().trim();
            let (name, value) = token.split_once('=').unwrap_or((token, ""));
            let value = value.trim().trim_matches('"');
            if name.trim().eq_ignore_ascii_case("respond-async") {
                prefer.respond_async = true;
            } else if name.trim().eq_ignore_ascii_case("wait")
                && prefer.wait.is_none()
                && let Ok(seconds) = value.parse::<u64>()
            {
                prefer.wait = Some(Duration::from_secs(seconds).min(wait_max));
            }
        }
        prefer
    }

    /// How long to wait for the job's end.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        match (self.wait, self.respond_async) {
            (Some(wait), _) => wait,
            (None, true) => Duration::ZERO,
            (None, false) => usual,
        }
    }

    /// The `Preference-Applied` header of an answer that is complete, or not yet.
    pub(crate) fn applied(&self, complete: bool) -> Option<HeaderValue> {
        let wait = self.wait.map(|wait| format!("wait={}", wait.as_secs()));
        let respond_async = (self.respond_async && !complete).then(|| "respond-async".to_owned());
        let applied: Vec<_> = [respond_async, wait].into_iter().flatten().collect();
        if applied.is_empty() { None } else { HeaderValue::from_str(&applied.join(", ")).ok() }
    }
}

/// Whether the client wants a refusal rather than to join an earlier request (D-11).
pub(crate) fn is_strict(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|preference| {
        let token = preference.split(';').next().unwrap_or_default();
        token.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("handling")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("strict")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::Prefer;
    use axum::http::{HeaderMap, HeaderValue};
    use std::time::Duration;

    fn prefer(values: &[&'static str]) -> Prefer {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", HeaderValue::from_static(value));
        }
        Prefer::of(&headers, Duration::from_secs(25))
    }

    #[test]
    fn preferences_are_read_capped_and_echoed() {
        // (headers, seconds to wait when 8 is usual, echo of a 202, echo of a complete answer)
        type Case = (&'static [&'static str], u64, Option<&'static str>, Option<&'static str>);
        let table: [Case; 13] = [
            (&[], 8, None, None),
            (&["wait=3"], 3, Some("wait=3"), Some("wait=3")),
            (&["wait=0"], 0, Some("wait=0"), Some("wait=0")),
            (&["wait=600"], 25, Some("wait=25"), Some("wait=25")),
            (&["wait=\"4\""], 4, Some("wait=4"), Some("wait=4")),
            (&["Wait = 4; foo=1"], 4, Some("wait=4"), Some("wait=4")),
            (&["respond-async"], 0, Some("respond-async"), None),
            (&["respond-async, wait=2"], 2, Some("respond-async, wait=2"), Some("wait=2")),
            (&["respond-async", "wait=2"], 2, Some("respond-async, wait=2"), Some("wait=2")),
            (&["wait=2, wait=9"], 2, Some("wait=2"), Some("wait=2")),
            (&["wait=-1"], 8, None, None),
            (&["wait=99999999999999999999"], 8, None, None),
            (&["handling=lenient, wait, ,="], 8, None, None),
        ];
        for (headers, seconds, pending, complete) in table {
            let prefer = prefer(headers);
            assert_eq!(prefer.patience(Duration::from_secs(8)).as_secs(), seconds, "{headers:?}");
            let echo = |complete| prefer.applied(complete);
            assert_eq!(echo(false).as_ref().map(|v| v.to_str().expect("ASCII")), pending);
            assert_eq!(echo(true).as_ref().map(|v| v.to_str().expect("ASCII")), complete);
        }
    }
}
