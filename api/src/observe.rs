//! What every request gets, whatever its route: a trace, a span, figures, a guard against
//! panics, the body of a refusal, and the headers of every answer.

use crate::error::{self, ApiError};
use crate::trace::Trace;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use metrics::{counter, gauge, histogram};
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tracing::{Instrument, info_span};

/// Requests that no route matched share one label, so that strangers cannot make new ones.
const UNMATCHED: &str = "unmatched";

/// The outermost layer of the router.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let trace = Trace::of(request.headers());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or(UNMATCHED, |path| path.as_str())
        .to_owned();
    let method = method(request.method());
    let path = request.uri().path().to_owned();
    let mut accept = HeaderMap::new();
    for value in request.headers().get_all(header::ACCEPT) {
        accept.append(header::ACCEPT, value.clone());
    }
    request.extensions_mut().insert(trace.clone());
    let span = info_span!(
        "request",
        trace.id = trace.id,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let running = Running::begin();
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    drop(running);
    let _entered = span.enter();
    let response = handled.unwrap_or_else(|_panic| ApiError::Internal(None).into_response());
    let mut response = error::write(response, &path, &accept, &trace);
    adorn(response.headers_mut(), &trace);
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    let duration = began.elapsed();
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.to_string())];
    counter!("relais_http_requests_total", &labels).increment(1);
    histogram!("relais_http_request_duration_seconds", &labels).record(duration.as_secs_f64());
    tracing::info!(status, duration_ms = duration.as_secs_f64() * 1000.0, "answered");
    response
}

/// The answer to a request that never reaches the routes.
pub(crate) fn refuse(refusal: ApiError) -> Response {
    let trace = Trace::new();
    let mut response = error::write(refusal.into_response(), "", &HeaderMap::new(), &trace);
    adorn(response.headers_mut(), &trace);
    response
}

/// A method as a label: methods that nobody serves share one.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn adorn(headers: &mut HeaderMap, trace: &Trace) {
    let text = |text: String| HeaderValue::try_from(text).expect("a trace is hexadecimal");
    headers.insert(HeaderName::from_static("traceparent"), text(trace.to_string()));
    headers.insert(HeaderName::from_static("x-request-id"), text(trace.id.clone()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Counts itself among the running requests until it is dropped, also when the client goes away.
struct Running;

impl Running {
    fn begin() -> Self {
        gauge!("relais_http_requests_running").increment(1.0);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        gauge!("relais_http_requests_running").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::observe;
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt;

    #[expect(clippy::panic, reason = "the panic is what is tried")]
    async fn broken() {
        panic!("secret of the inside");
    }

    #[tokio::test]
    async fn a_panic_is_one_answer_that_tells_nothing() {
        let router =
            Router::new().route("/", get(broken)).layer(axum::middleware::from_fn(observe));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.headers().contains_key("traceparent"));
        let body = axum::body::to_bytes(response.into_body(), 4096).await.expect("a body");
        let text = String::from_utf8_lossy(&body);
        assert!(text.contains("INTERNAL_ERROR") && !text.contains("secret"), "{text}");
    }
}
