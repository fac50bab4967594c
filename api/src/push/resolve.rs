//! `POST /api/v1/sync/conflicts/{id}/resolve`: a person decides, and the entity gets a normal new
//! version (D-44).

use super::conflicts::{ConflictShown, id_of, scope, tagged};
use crate::error::{ApiError, PROBLEM, wants_problem};
use crate::jobs::PathText;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{State, accept, body};
use axum::Extension;
use axum::body::Body;
use axum::extract::State as FromState;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use records::push::conflicts::Conflict;
use records::push::{Choice, Decided, Resolved};
use records::requests;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;
use utoipa::ToSchema;

pub(crate) const RESOLVE: &str = "/api/v1/sync/conflicts/{id}/resolve";

/// Whose side counts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// `server`, `client` or `merge`.
    resolution: String,
    /// The content, as the entity's type has it: required with `merge`; with `client`, instead of
    /// what the site had sent.
    #[serde(rename = "clientData")]
    #[schema(value_type = Option<Object>)]
    client_data: Option<Box<RawValue>>,
}

/// The conflict is not what the decision was about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Moved {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
    instance: String,
    /// As it is now.
    conflict: ConflictShown,
}

/// Decides a conflict.
#[utoipa::path(
    post, path = "/api/v1/sync/conflicts/{id}/resolve", tag = "sync", operation_id = "resolve_conflict",
    params(
        ("id" = String, Path, description = "the conflict's id"),
        ("X-API-Key" = String, Header, description = "a site's key: its own; a key with `admin`: all"),
        ("If-Match" = Option<String>, Header, description = "the conflict's `ETag`: decide only if nothing has changed"),
    ),
    request_body(content = Decision),
    responses(
        (status = 200, description = "decided, now or by the same decision before", body = ConflictShown),
        (status = 401, description = "no valid key", body = crate::error::Problem),
        (status = 403, description = "neither a site's key nor `admin`", body = crate::error::Problem),
        (status = 404, description = "no such conflict, or another site's", body = crate::error::Problem),
        (status = 409, description = "decided otherwise (`ALREADY_RESOLVED`), or a closed ticket", body = crate::error::Problem),
        (status = 412, description = "the server's row or the client's change moved: the conflict as it is now", body = Moved),
        (status = 415, description = "not JSON", body = crate::error::Problem),
        (status = 422, description = "the decision or its content is wrong", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached", body = crate::error::Problem),
    )
)]
pub(crate) async fn resolve(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    id: PathText,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (caller, site) = scope(&state, peer, &headers).await?;
    let id = id_of(id)?;
    body::check_json(&headers)?;
    let bytes = body::read(&headers, body, &state.settings).await?;
    if requests::is_too_deep(&bytes) {
        return Err(ApiError::Invalid("body: it nests too deeply".to_owned()));
    }
    let choice = choice(body::object(&bytes)?)?;
    let if_match = if_match(&headers);
    let decided = Decided {
        site,
        id,
        choice: &choice,
        if_match: if_match.as_deref(),
        by: &caller.principal(),
        at: queue::clock::now(),
    };
    let resolving = records::push::resolve(state.engine.db(), &decided);
    match timeout(accept::write_patience(&state), resolving).await?? {
        Resolved::Done(conflict) => Ok(tagged(conflict)),
        Resolved::Moved(conflict) => Ok(moved(conflict, &headers, &trace)),
        Resolved::Already(_) => Err(ApiError::AlreadyResolved),
        Resolved::Closed => Err(ApiError::TicketClosed),
        Resolved::NotFound => Err(ApiError::NotFound),
        Resolved::Failed(errors) => {
            let told: Vec<_> = errors.into_iter().map(|error| error.message).collect();
            Err(ApiError::Invalid(format!("clientData: {}", told.join("; "))))
        }
    }
}

fn choice(decision: Decision) -> Result<Choice, ApiError> {
    let invalid = |text: &str| Err(ApiError::Invalid(text.to_owned()));
    match (decision.resolution.as_str(), decision.client_data) {
        ("server", None) => Ok(Choice::Server),
        ("client", data) => Ok(Choice::Client(data)),
        ("merge", Some(data)) => Ok(Choice::Merge(data)),
        ("merge", None) => invalid("clientData: required of a merge"),
        ("server", Some(_)) => invalid("clientData: not of the server's side"),
        _ => invalid("resolution: `server`, `client` or `merge`"),
    }
}

/// The tags of which one has to be the conflict's; `None` if any will do.
fn if_match(headers: &HeaderMap) -> Option<Vec<&str>> {
    let values: Vec<_> = headers.get_all(header::IF_MATCH).iter().collect();
    let texts = values.iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
    let tags: Vec<_> = texts.map(str::trim).collect();
    (!values.is_empty() && !tags.contains(&"*")).then_some(tags)
}

fn moved(conflict: Conflict, headers: &HeaderMap, trace: &Trace) -> Response {
    let tag = conflict.tag();
    let body = Moved {
        r#type: "urn:relais:problem:conflict-moved",
        title: "Precondition Failed",
        status: 412,
        detail: "the conflict has changed since: look at it again",
        code: "CONFLICT_MOVED",
        instance: format!("urn:relais:request:{}", trace.id),
        conflict: ConflictShown::from(conflict),
    };
    let content_type = if wants_problem(headers) { PROBLEM } else { "application/json" };
    let headers = [(header::ETAG, tag), (header::CONTENT_TYPE, content_type.to_owned())];
    let text = serde_json::to_string(&body).expect("a conflict is plain data");
    (StatusCode::PRECONDITION_FAILED, headers, text).into_response()
}
