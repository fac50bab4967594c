//! Lines of a body that comes in pieces, in batches: bounded in memory, however long the body or a
//! line is, and no slower than allowed.

use crate::Settings;
use crate::body::SLOW_START;
use crate::error::ApiError;
use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const BATCH_LINES: usize = 500;
const BATCH_BYTES: usize = 1024 * 1024;
/// A batch waits so long for more lines.
const BATCH_WAIT: Duration = Duration::from_millis(20);
/// A line may end so far beyond its limit; its neighbours are read all the same.
const SKIPPED_BYTES: usize = 16 * 1024 * 1024;

/// One line, without its end; `None` if it was too long.
pub(super) type Line = (u64, Option<Bytes>);

pub(super) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Bytes of the buffer that hold no line end.
    scanned: usize,
    /// Bytes of the line that is too long, if there is one under way.
    skipped: Option<usize>,
    number: u64,
    max_line: usize,
    bytes_per_second: f64,
    received: u64,
    /// How long this side has waited for the other.
    waited: Duration,
    ended: bool,
}

impl Lines {
    pub(super) fn new(body: Body, max_line: usize, settings: &Settings) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            scanned: 0,
            skipped: None,
            number: 0,
            max_line,
            bytes_per_second: f64::from(settings.body_bytes_per_second.max(1)),
            received: 0,
            waited: Duration::ZERO,
            ended: false,
        }
    }

    /// Receives the first bytes, for a client that asks whether it may send.
    pub(super) async fn start(&mut self) -> Result<(), ApiError> {
        self.receive(SLOW_START).await.map(drop)
    }

    /// The next lines, none after the last; beside them why no more will come, if that is not the
    /// body's end.
    pub(super) async fn batch(&mut self) -> (Vec<Line>, Result<(), ApiError>) {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut until = None;
        loop {
            while batch.len() < BATCH_LINES && bytes < BATCH_BYTES {
                let Some((number, line)) = self.next() else { break };
                // An empty line is not a job.
                if line.as_ref().is_some_and(|line| line.trim_ascii().is_empty()) {
                    continue;
                }
                bytes += line.as_ref().map_or(0, Bytes::len);
                batch.push((number, line));
                until.get_or_insert_with(|| Instant::now() + BATCH_WAIT);
            }
            if batch.len() >= BATCH_LINES || bytes >= BATCH_BYTES || self.ended {
                return (batch, Ok(()));
            }
            if self.skipped.is_some_and(|skipped| skipped > SKIPPED_BYTES) {
                return (batch, Err(ApiError::Invalid("a line does not end".to_owned())));
            }
            let earned = Duration::from_secs_f64(self.received as f64 / self.bytes_per_second);
            let patience = (SLOW_START + earned).saturating_sub(self.waited);
            let wait = until.map_or(patience, |until| {
                until.saturating_duration_since(Instant::now()).min(patience)
            });
            match self.receive(wait).await {
                Ok(()) => {}
                Err(ApiError::BodyTooSlow) if !batch.is_empty() => return (batch, Ok(())),
                Err(error) => return (batch, Err(error)),
            }
        }
    }

    async fn receive(&mut self, wait: Duration) -> Result<(), ApiError> {
        let began = Instant::now();
        let frame = timeout(wait, self.body.frame()).await;
        self.waited += began.elapsed();
        match frame.map_err(|_late| ApiError::BodyTooSlow)? {
            None => self.ended = true,
            Some(frame) => {
                let frame = frame.map_err(|_broken| ApiError::BodyBroken)?;
                if let Some(data) = frame.data_ref() {
                    self.received += data.len() as u64;
                    self.buffer.extend_from_slice(data);
                }
            }
        }
        Ok(())
    }

    /// The next line that is whole in the buffer; the last one needs no end.
    fn next(&mut self) -> Option<Line> {
        loop {
            let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
            let end = unseen.iter().position(|byte| *byte == b'\n').map(|at| self.scanned + at);
            let Some(end) = end else {
                self.scanned = self.buffer.len();
                if let Some(skipped) = &mut self.skipped {
                    *skipped += self.buffer.len();
                    self.buffer.clear();
                    self.scanned = 0;
                } else if self.buffer.len() > self.max_line {
                    self.skipped = Some(self.buffer.len());
                    self.buffer.clear();
                    self.scanned = 0;
                    self.number += 1;
                    return Some((self.number, None));
                } else if self.ended && !self.buffer.is_empty() {
                    self.scanned = 0;
                    self.number += 1;
                    return Some((self.number, Some(self.buffer.split().freeze())));
                }
                return None;
            };
            self.scanned = 0;
            let line = self.buffer.split_to(end).freeze();
            self.buffer.advance(1);
            // The rest of a line that was told already.
            if self.skipped.take().is_some() {
                continue;
            }
            self.number += 1;
            return Some((self.number, (line.len() <= self.max_line).then_some(line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use crate::Settings;
    use axum::body::Body;
    use futures::stream;

    async fn lines(pieces: &[&'static str]) -> Vec<(u64, Option<String>)> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece)).collect();
        let body = Body::from_stream(stream::iter(pieces));
        let mut lines = Lines::new(body, 5, &Settings::default());
        let mut all = Vec::new();
        loop {
            let (batch, ended) = lines.batch().await;
            ended.expect("the body comes at once");
            if batch.is_empty() {
                return all;
            }
            let text = |line: bytes::Bytes| String::from_utf8_lossy(&line).into_owned();
            all.extend(batch.into_iter().map(|(number, line)| (number, line.map(text))));
        }
    }

    #[tokio::test]
    async fn lines_are_found_wherever_the_pieces_end() {
        let line = |number: u64, text: &str| (number, Some(text.to_owned()));
        assert_eq!(lines(&[]).await, []);
        assert_eq!(lines(&["a\nb"]).await, [line(1, "a"), line(2, "b")]);
        assert_eq!(lines(&["a", "b\n", "\n \n", "c", "\n"]).await, [line(1, "ab"), line(4, "c")]);
        let long = [line(1, "12345"), (2, None), line(3, "x")];
        assert_eq!(lines(&["12345\n123456\nx\n"]).await, long);
        assert_eq!(lines(&["12345\n123", "456", "789", "0\nx"]).await, long);
    }
}
