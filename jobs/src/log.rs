//! Lines that one attempt logs: gathered here up to a cap, written by the worker twice a second.

use chrono::{DateTime, Utc};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Lines of one attempt, the last of which says how many are missing.
const MAX_LINES: usize = 1_000;
/// Bytes of one attempt.
const MAX_BYTES: usize = 64 * 1_024;
/// Bytes of one line; a longer one is cut.
const MAX_LINE_BYTES: usize = 1_024;

/// A line with its time.
pub type Line = (DateTime<Utc>, String);

/// The log of one attempt.
#[derive(Debug, Default)]
pub struct Log {
    inner: Mutex<Inner>,
    /// Fires with the first line: most jobs log nothing, and nobody watches their logs.
    pub begun: CancellationToken,
    /// Fires when the attempt is over.
    pub closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Line>,
    lines: usize,
    bytes: usize,
    dropped: usize,
    closed: bool,
}

impl Log {
    /// Adds a text, line by line.
    pub fn add(&self, text: &str) {
        let now = queue::clock::now();
        let mut inner = self.lock();
        for line in text.trim_end_matches('\n').split('\n') {
            inner.add(now, line.trim_end_matches('\r'));
        }
        drop(inner);
        self.begun.cancel();
    }

    /// Takes what is to be written.
    pub fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// The attempt is over; a handler that does not know it yet logs nothing more.
    pub fn close(&self) {
        let mut inner = self.lock();
        if inner.dropped > 0 && !inner.closed {
            let text = format!(
                "{} more lines were dropped: an attempt keeps {MAX_LINES} lines and {MAX_BYTES} bytes",
                inner.dropped
            );
            inner.waiting.push((queue::clock::now(), text));
        }
        inner.closed = true;
        drop(inner);
        self.closed.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, at: DateTime<Utc>, line: &str) {
        if self.closed {
            return;
        }
        let end = line.floor_char_boundary(MAX_LINE_BYTES);
        // PostgreSQL keeps no NUL in a text.
        let line = line[..end].replace('\0', " ");
        // After the first missing line there are no others, so that the gap is at the end.
        let is_full = self.lines + 1 >= MAX_LINES || self.bytes + line.len() > MAX_BYTES;
        if is_full || self.dropped > 0 {
            self.dropped += 1;
            return;
        }
        self.lines += 1;
        self.bytes += line.len();
        self.waiting.push((at, line));
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, MAX_BYTES, MAX_LINE_BYTES, MAX_LINES};

    fn texts(log: &Log) -> Vec<String> {
        log.take().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn the_last_line_says_how_many_are_missing() {
        let log = Log::default();
        (0..1_234).for_each(|number| log.add(&number.to_string()));
        assert_eq!(log.take().len(), MAX_LINES - 1);
        log.close();
        log.add("too late");
        let rest = texts(&log);
        assert_eq!(rest.len(), 1);
        assert!(rest[0].starts_with("235 more lines were dropped"), "{rest:?}");
    }

    #[test]
    fn bytes_are_capped_and_long_lines_cut_between_characters() {
        let log = Log::default();
        log.add(&format!("x{}", "é".repeat(MAX_LINE_BYTES)));
        assert_eq!(texts(&log)[0].len(), MAX_LINE_BYTES - 1);
        (0..100).for_each(|_| log.add(&"y".repeat(MAX_LINE_BYTES)));
        log.add("short");
        log.close();
        let rest = texts(&log);
        assert_eq!(rest.len(), MAX_BYTES / MAX_LINE_BYTES, "63 lines and the last word");
        assert!(rest.last().is_some_and(|line| line.starts_with("38 more lines")), "{rest:?}");
    }

    #[test]
    fn a_text_is_logged_line_by_line() {
        let log = Log::default();
        log.add("one\r\ntwo\n\nfour\0\n");
        assert_eq!(texts(&log), ["one", "two", "", "four "]);
    }
}
