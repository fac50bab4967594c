//! Server-sent events of one job: where it stands, how far it has come, what it logs, its end.
//!
//! A stream holds no thread and no connection to a store; it looks at the record when the bell
//! rings for the job's end, and at least every [`LOOK`] for everything else.

use crate::error::{ApiError, Problem};
use crate::jobs::{PathText, visible};
use crate::server::Peer;
use crate::{Route, State};
use axum::Extension;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use metrics::gauge;
use queue::{JobRow, LogLine, Progress};
use serde_json::json;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use uuid::Uuid;

/// Progress and log lines are seen within this time.
const LOOK: Duration = Duration::from_millis(500);
/// Proxies close connections that are silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A client that lost the stream comes back after this time.
const RETRY: Duration = Duration::from_secs(2);
/// Log lines of one look; more follow in the next one, at once.
const LINES: usize = 500;
/// The id of a stream's last event: a client that comes back with it has seen everything.
const END: &str = "end";

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/jobs/{id}/events", follow)]
}

/// The streams that one process serves at once.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Streams {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Semaphore::new(max)))
    }

    /// A place for one more stream.
    pub(crate) fn enter(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        let permit = permit.map_err(|_none_left| ApiError::TooManyStreams)?;
        gauge!("relais_event_streams").increment(1.0);
        Ok(Place { _permit: permit })
    }
}

/// One stream's place; free again when dropped, also when the client goes away.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        gauge!("relais_event_streams").decrement(1.0);
    }
}

/// Follows a job until its end.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/events", tag = "jobs",
    params(
        ("id" = String, Path, description = "the job's id"),
        ("X-API-Key" = Option<String>, Header, description = "a key with `jobs:read` or `admin`"),
        ("X-Device-Serial" = Option<String>, Header, description = "the terminal that made the job"),
        ("Last-Event-ID" = Option<String>, Header, description = "the id of the last event the client has: log lines go on behind it"),
    ),
    responses(
        (status = 200, description = "events `state`, `progress`, `log` and `end`, each with JSON data; the stream ends after `end`", content_type = "text/event-stream", body = String),
        (status = 204, description = "the client has the end already: do not come back"),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 404, description = "no such job, or not for this caller", body = Problem),
        (status = 422, description = "a `Last-Event-ID` that was not sent from here", body = Problem),
        (status = 503, description = "too many streams, or the record cannot be reached", body = Problem),
    )
)]
pub(crate) async fn follow(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    id: PathText,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, row) = visible(&state, peer, &headers, id).await?;
    let id = row.id;
    let after = match headers.get("last-event-id").map(HeaderValue::as_bytes) {
        Some(b"end") if row.state.is_final() => {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        Some(b"end" | b"") | None => None,
        Some(seq) => Some(line_number(seq)?),
    };
    let place = state.streams.enter()?;
    let follower =
        Follower { id, after, sent: Sent::default(), ready: VecDeque::new(), _place: place };
    Ok(stream_of(follower.events(state)))
}

fn line_number(id: &[u8]) -> Result<i64, ApiError> {
    let number = std::str::from_utf8(id).ok().and_then(|id| id.trim().parse().ok());
    number.ok_or_else(|| ApiError::Invalid("`Last-Event-ID` must be an id sent from here".into()))
}

/// An answer that is a stream; nothing between here and the client may gather it.
pub(crate) fn stream_of(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures::StreamExt;
    let first = stream::iter([Event::default().retry(RETRY)]);
    let events = first.chain(events).map(Ok::<_, Infallible>);
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// What a client was told last.
#[derive(Default)]
struct Sent {
    state: Option<(queue::State, u32)>,
    progress: Option<Progress>,
    end: bool,
}

/// One client that follows one job.
struct Follower {
    id: Uuid,
    /// The last log line that was sent.
    after: Option<i64>,
    sent: Sent,
    ready: VecDeque<Event>,
    _place: Place,
}

impl Follower {
    fn events(self, state: State) -> impl Stream<Item = Event> + Send {
        stream::unfold((self, state), |(mut follower, state)| async move {
            loop {
                if let Some(event) = follower.ready.pop_front() {
                    return Some((event, (follower, state)));
                }
                if follower.sent.end {
                    return None;
                }
                let stopping = state.stopping.clone();
                // A stopping process lets go of its clients; they find another one.
                stopping.run_until_cancelled(follower.look(&state)).await?;
            }
        })
    }

    /// Looks until there is something to tell. While the record does not answer there is nothing.
    async fn look(&mut self, state: &State) {
        let wait = if self.sent.state.is_none() { Duration::ZERO } else { LOOK };
        let row = timeout(wait + state.settings.store_timeout, state.engine.wait(self.id, wait));
        let row = match row.await {
            Ok(Ok(row)) => row,
            Ok(Err(_)) | Err(_) => return tokio::time::sleep(LOOK).await,
        };
        let Some(row) = row else {
            // Somebody removed it.
            return self.finish(&json!({"state": null, "error": "the job was removed"}));
        };
        // Lines are read after the row: a job that had its end then logs no more.
        let lines = state.engine.logs(self.id, self.after, LINES);
        let Ok(Ok(lines)) = timeout(state.settings.store_timeout, lines).await else {
            return tokio::time::sleep(LOOK).await;
        };
        let has_all = lines.len() < LINES;
        self.tell(&row, lines);
        if row.state.is_final() && has_all {
            self.finish(&json!({
                "state": row.state.as_str(), "error": row.error, "finished_at": row.finished_at,
            }));
        }
    }

    fn tell(&mut self, row: &JobRow, lines: Vec<LogLine>) {
        if self.sent.state != Some((row.state, row.attempt)) {
            self.sent.state = Some((row.state, row.attempt));
            let cancelling = row.cancel_at.is_some();
            let data = json!({
                "state": row.state.as_str(), "attempt": row.attempt,
                "max_attempts": row.max_attempts, "run_at": row.run_at, "error": row.error,
                "cancel_requested": cancelling,
            });
            self.push("state", &data);
        }
        for line in lines {
            self.after = Some(line.seq);
            let LogLine { seq, attempt, at, line } = line;
            self.push("log", &json!({"seq": seq, "attempt": attempt, "at": at, "line": line}));
        }
        if let Some(progress) = row.progress.filter(|p| self.sent.progress != Some(*p)) {
            self.sent.progress = Some(progress);
            let Progress { done, total } = progress;
            self.push("progress", &json!({"done": done, "total": total}));
        }
    }

    fn push(&mut self, name: &str, data: &serde_json::Value) {
        let event = Event::default().event(name).data(data.to_string());
        self.ready.push_back(match self.after {
            Some(seq) => event.id(seq.to_string()),
            None => event,
        });
    }

    fn finish(&mut self, data: &serde_json::Value) {
        self.sent.end = true;
        let event = Event::default().event("end").id(END).data(data.to_string());
        self.ready.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::{Streams, line_number};
    use crate::error::ApiError;

    #[test]
    fn a_process_serves_so_many_streams_and_no_more() {
        let streams = Streams::new(2);
        let places = [streams.enter(), streams.enter()];
        assert!(places.iter().all(Result::is_ok));
        assert!(matches!(streams.enter(), Err(ApiError::TooManyStreams)));
        drop(places);
        assert!(streams.enter().is_ok(), "a place is free again");
    }

    #[test]
    fn only_ids_that_were_sent_are_gone_on_from() {
        for (id, number) in [
            (&b"7"[..], Some(7)),
            (b" 7 ", Some(7)),
            (b"7x", None),
            (b"99999999999999999999", None),
            (b"\xff", None),
        ] {
            assert_eq!(line_number(id).ok(), number, "{id:?}");
        }
    }
}
