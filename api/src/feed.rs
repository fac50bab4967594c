//! `GET /api/v1/queues/events`: the queues' figures each second, to everybody who listens. The
//! record is read once per process, and not at all while nobody listens.

use crate::auth::{self, READ};
use crate::error::{ApiError, Problem};
use crate::events::stream_of;
use crate::queues::Queues;
use crate::server::Peer;
use crate::{Route, State};
use axum::Extension;
use axum::extract::State as FromState;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event;
use futures::stream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

const EACH: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/queues/events", listen)]
}

/// The last figures as JSON, for all listeners; none while nobody listens.
#[derive(Clone)]
pub(crate) struct Feed(watch::Sender<Option<Arc<str>>>);

impl Default for Feed {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// Keeps the feed fresh until the process stops.
pub(crate) async fn keep(state: State) {
    let mut tick = tokio::time::interval(EACH);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while state.stopping.run_until_cancelled(tick.tick()).await.is_some() {
        if state.feed.0.receiver_count() == 0 {
            state.feed.0.send_replace(None);
            continue;
        }
        // While the record does not answer there is nothing new to tell.
        let stats = timeout(state.settings.store_timeout, state.engine.stats()).await;
        let Ok(Ok(stats)) = stats else { continue };
        let text = serde_json::to_string(&Queues::from(stats)).expect("figures are plain data");
        state.feed.0.send_if_modified(|last| {
            let is_new = last.as_deref() != Some(&text);
            if is_new {
                *last = Some(text.into());
            }
            is_new
        });
    }
}

/// Follows the queues' figures, each second in which they change.
#[utoipa::path(
    get, path = "/api/v1/queues/events", tag = "queues", operation_id = "follow_queues",
    params(("X-API-Key" = String, Header, description = "a key with `jobs:read` or `admin`")),
    responses(
        (status = 200, description = "events `queues`, each with the data of `GET /api/v1/queues`", content_type = "text/event-stream", body = String),
        (status = 401, description = "no valid credentials", body = Problem),
        (status = 403, description = "credentials that may not read jobs", body = Problem),
        (status = 503, description = "too many streams", body = Problem),
    )
)]
pub(crate) async fn listen(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    auth::permit(&state, peer, &headers, &READ).await?;
    let place = state.streams.enter()?;
    let mut figures = state.feed.0.subscribe();
    figures.mark_changed();
    let events = stream::unfold((figures, state.stopping, place), |mut listener| async move {
        loop {
            let (figures, stopping, _place) = &mut listener;
            stopping.run_until_cancelled(figures.changed()).await?.ok()?;
            let text = figures.borrow_and_update().clone();
            if let Some(text) = text {
                let event = Event::default().event("queues").data(&*text);
                return Some((event, listener));
            }
        }
    });
    Ok(stream_of(events))
}
