//! HTTP in, HTTP out: the route table ([`serve`]), and nothing that a job should do.
//!
//! A limit comes before the work it limits; what was answered 201 is committed; what left whole
//! is remembered as delivered.

mod accept;
mod auth;
mod body;
mod contract;
mod dead;
mod delivery;
mod documents;
mod error;
mod events;
mod feed;
mod gate;
mod health;
mod idempotency;
mod jobs;
mod limits;
mod load;
mod nas;
mod observe;
mod openapi;
mod pauses;
mod prefer;
mod push;
mod queues;
mod schedules;
mod server;
mod settings;
mod trace;
mod ventes;
mod wire;
mod workers;

pub use dead::DeadJobs;
pub use pauses::PauseShown;
pub use queues::Queues;
pub use server::serve;
pub use settings::{Nas, Settings};
pub use workers::Workers;

use ::jobs::Catalog;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use error::ApiError;
use limits::Limits;
use metrics_exporter_prometheus::PrometheusHandle;
use queue::Engine;
use redis::aio::ConnectionManager;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What every request is handled with; clones share it.
#[derive(Clone)]
pub struct State {
    engine: Arc<dyn Engine>,
    settings: Arc<Settings>,
    metrics: PrometheusHandle,
    limits: Arc<Limits>,
    rooms: accept::Rooms,
    marks: delivery::Marks,
    notes: delivery::Notes,
    /// Deliveries that are being recorded; shutdown waits for them.
    marking: TaskTracker,
    gauges: Arc<health::Gauges>,
    load: Arc<load::Load>,
    streams: events::Streams,
    feed: feed::Feed,
    /// Fires when the process stops: streams end then.
    stopping: CancellationToken,
    /// The kinds this process knows.
    catalog: Arc<Catalog>,
}

impl State {
    /// `redis` is the limiter's own connection; without one each process counts for itself.
    pub fn new(
        engine: Arc<dyn Engine>,
        settings: Settings,
        metrics: PrometheusHandle,
        redis: Option<ConnectionManager>,
        catalog: Arc<Catalog>,
    ) -> Self {
        let streams = events::Streams::new(settings.max_streams);
        let limits = Limits::new(settings.requests_per_minute, redis, &settings.redis_prefix);
        Self {
            engine,
            settings: Arc::new(settings),
            metrics,
            limits: Arc::new(limits),
            rooms: accept::Rooms::default(),
            marks: delivery::Marks::default(),
            notes: delivery::Notes::default(),
            marking: TaskTracker::new(),
            gauges: Arc::default(),
            load: Arc::default(),
            streams,
            feed: feed::Feed::default(),
            stopping: CancellationToken::new(),
            catalog,
        }
    }
}

/// One line of the route table.
pub(crate) struct Route {
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test of the description"))]
    method: &'static str,
    path: &'static str,
    handler: MethodRouter<State>,
}

impl Route {
    pub(crate) fn get<H: Handler<T, State>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: "get", path, handler: routing::get(handler) }
    }

    pub(crate) fn post<H: Handler<T, State>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: "post", path, handler: routing::post(handler) }
    }

    pub(crate) fn put<H: Handler<T, State>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: "put", path, handler: routing::put(handler) }
    }

    pub(crate) fn delete<H: Handler<T, State>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: "delete", path, handler: routing::delete(handler) }
    }
}

/// Every route that is served, besides the rendered description.
fn routes() -> Vec<Route> {
    [
        ventes::routes(),
        push::routes(),
        nas::routes(),
        documents::routes(),
        jobs::routes(),
        queues::routes(),
        pauses::routes(),
        workers::routes(),
        dead::routes(),
        events::routes(),
        feed::routes(),
        schedules::routes(),
        health::routes(),
        openapi::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn router(state: State) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .merge(openapi::page())
        .fallback(|| async { ApiError::NotFound })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(axum::middleware::from_fn(observe::observe))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use super::{openapi, routes};
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn every_served_route_is_described_and_no_other() {
        let description = serde_json::to_value(openapi::describe().await.0).expect("plain data");
        assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
        let mut described = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                described.insert((method.clone(), path.clone()));
            }
        }
        let served =
            routes().into_iter().map(|route| (route.method.to_owned(), route.path.to_owned()));
        assert_eq!(described, served.collect());
    }
}
