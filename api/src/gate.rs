//! Who may pass to a route, and how often: what every route that changes something begins and ends
//! with.

use crate::State;
use crate::auth::{self, Caller, Till};
use crate::error::ApiError;
use crate::limits::Quota;
use crate::server::Peer;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};

/// How the names begin of those who are known by their address alone.
const ADDRESS: &str = "ip:";

/// What is left of the caller's requests, for the answer's headers.
pub(crate) struct Pass(Option<Quota>);

/// Counts a request on `route`, of whoever asks or else of its address. The caller has one of
/// `scopes`, if any are asked for.
pub(crate) async fn enter(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    scopes: Option<&[&str]>,
    route: &'static str,
) -> (Pass, Result<Caller, ApiError>) {
    let caller = auth::caller(state, peer, headers).await;
    let quota = match &caller {
        Ok(caller) => state.limits.take(&caller.principal(), route).await,
        // Nothing is counted against a caller that nobody could look up.
        Err(ApiError::Unavailable(_) | ApiError::Internal(_)) => return (Pass(None), caller),
        Err(_) => state.limits.take(&by_address(peer), route).await,
    };
    let caller = quota.check().and(caller).and_then(|caller| match scopes {
        Some(scopes) if !caller.has_scope(scopes) => Err(ApiError::Forbidden),
        _ => Ok(caller),
    });
    (Pass(Some(quota)), caller)
}

/// Counts a request of a terminal on `route`. Serial numbers that nobody has are counted by their
/// address (D-32), requests without one as well, on a count of their own.
pub(crate) async fn enter_till(
    state: &State,
    Peer(peer): Peer,
    headers: &HeaderMap,
    route: &'static str,
) -> (Pass, Result<Till, ApiError>) {
    let till = auth::till(state, headers).await;
    let quota = match &till {
        Ok(till) => state.limits.take(&till.principal(), route).await,
        Err(ApiError::UnknownTerminal) => state.limits.guess(peer.ip()).await,
        // Nothing is counted against a caller that nobody could look up.
        Err(ApiError::Unavailable(_) | ApiError::Internal(_)) => return (Pass(None), till),
        Err(_) => state.limits.take(&by_address(Peer(peer)), route).await,
    };
    (Pass(Some(quota)), quota.check().and(till))
}

/// The same for a route that is open to everybody: counted by address.
pub(crate) async fn enter_open(
    state: &State,
    peer: Peer,
    route: &'static str,
) -> (Pass, Result<String, ApiError>) {
    let principal = by_address(peer);
    let quota = state.limits.take(&principal, route).await;
    (Pass(Some(quota)), quota.check().map(|()| principal))
}

/// Whether this is the name of somebody who came through [`enter_open`].
pub(crate) fn is_open(principal: &str) -> bool {
    principal.starts_with(ADDRESS)
}

fn by_address(Peer(peer): Peer) -> String {
    format!("{ADDRESS}{}", peer.ip().to_canonical())
}

impl Pass {
    /// The answer with its headers.
    pub(crate) fn leave(self, answer: Result<Response, ApiError>) -> Response {
        let mut response = answer.into_response();
        if let Some(quota) = self.0 {
            quota.write(response.headers_mut());
        }
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Prefer"));
        response
    }
}

/// A query's members; none if it cannot be read.
pub(crate) fn query(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

/// Whether a query names another scope than the credential's: it may only agree (D-50).
pub(crate) fn names_other(query: &[(String, String)], name: &str, own: i64) -> bool {
    let named = query.iter().filter(|(each, _)| each == name).map(|(_, value)| value.trim());
    named.filter(|value| !value.is_empty()).any(|value| value != own.to_string())
}
