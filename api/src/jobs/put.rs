//! Putting one job in: `POST /api/v1/jobs/{kind}` with the payload as its body, or
//! `POST /api/v1/jobs` with an envelope. Answered at once with 202 and the job, or after its end
//! with 200 if the client prefers to wait.

use super::operation::Operation;
use super::spec::{ENVELOPE_BYTES, JobSpec};
use super::{JOB, JOBS, PathText, act, sees, show, stream};
use crate::accept::Taken;
use crate::auth::{self, Caller};
use crate::error::{ApiError, Limit};
use crate::idempotency::{self, Keyed};
use crate::prefer::Prefer;
use crate::server::Peer;
use crate::trace::Trace;
use crate::{State, accept, body, gate, load};
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as FromState};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use queue::{Enqueued, NewJob};
use records::requests::Request;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Who asks for a job, and how.
pub(crate) struct Asked<'a> {
    pub(crate) state: &'a State,
    pub(crate) caller: &'a Caller,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) trace: &'a Trace,
}

/// Puts a job in.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}", tag = "jobs", operation_id = "put_job_by_kind",
    description = "`{id}` is the name of a kind, and the body is the payload. (With `<job id>:cancel` or `<job id>:retry` it is that act.)",
    params(
        ("id" = String, Path, description = "the kind's name"),
        ("X-API-Key" = String, Header, description = "a key with `jobs:write` or `admin`"),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for the job's end, at most 25; `handling=strict`: refuse rather than join an earlier request"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: the same request again gives the same job and answer"),
        ("queue" = Option<String>, Query, description = "another queue than the kind's"),
        ("priority" = Option<u8>, Query, description = "0 (first) to 9"),
        ("run_at" = Option<String>, Query, description = "not before this instant (RFC 3339)"),
        ("delay_seconds" = Option<u64>, Query, description = "not before so many seconds have passed"),
        ("expires_at" = Option<String>, Query, description = "not started from this instant on"),
        ("timeout_seconds" = Option<u64>, Query, description = "of one attempt, 1 to 86400"),
        ("max_attempts" = Option<u32>, Query, description = "1 to 1000"),
        ("lane" = Option<String>, Query, description = "jobs of one lane run one after another"),
        ("unique_while_alive" = Option<String>, Query, description = "superfluous while a job with this key has no end"),
        ("unique_ever" = Option<String>, Query, description = "superfluous as long as a job with this key is kept"),
        ("attribute" = Option<Vec<String>>, Query, description = "`name:value`, by which the job is found; at most 16"),
    ),
    request_body(content = Object, description = "the payload, as the kind defines it"),
    responses(
        (status = 200, description = "the job has its end", body = Operation),
        (status = 202, description = "accepted; follow `Location`", body = Operation),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key lacks `jobs:write`", body = crate::error::Problem),
        (status = 404, description = "no such kind", body = crate::error::Problem),
        (status = 409, description = "`handling=strict`, and the first request with this key is not done", body = crate::error::Problem),
        (status = 410, description = "the key's job was removed", body = crate::error::Problem),
        (status = 413, description = "the payload is larger than `limits.payload_bytes`", body = crate::error::Problem),
        (status = 415, description = "a content type or encoding that is not read here", body = crate::error::Problem),
        (status = 422, description = "the payload or an option is wrong, or the key was used with another request", body = crate::error::Problem),
        (status = 429, description = "too many requests", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached, or the queue is overloaded; nothing was accepted", body = crate::error::Problem),
    )
)]
pub(crate) async fn by_kind(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    id: PathText,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(Path(kind)) = id else { return ApiError::NotFound.into_response() };
    if let Some((id, act)) = kind.split_once(':') {
        return act::by_suffix(&state, peer, &headers, body, id, act).await;
    }
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&auth::WRITE), JOB).await;
    let answer = async {
        let caller = caller?;
        let Query(query) = query.map_err(|error| ApiError::Invalid(error.body_text()))?;
        let max = state.settings.max_payload_bytes;
        let payload = read(&state, &headers, body, max).await?;
        let spec = JobSpec::of_query(&kind, &payload, &query)?;
        let asked = Asked { state: &state, caller: &caller, headers: &headers, trace: &trace };
        let mut options: Vec<_> =
            query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        options.sort();
        let about: Vec<_> = [&kind].into_iter().chain(&options).map(String::as_str).collect();
        let keyed =
            Keyed::of(&headers, &caller.principal(), "POST /api/v1/jobs/{kind}", &about, &payload)?;
        put(&asked, spec, keyed).await
    };
    pass.leave(answer.await)
}

/// Puts a job in, kind and options beside the payload.
#[utoipa::path(
    post, path = "/api/v1/jobs", tag = "jobs", operation_id = "put_jobs",
    description = "With `Content-Type: application/x-ndjson` (or `application/jsonl`) the body is any number of such objects, one per line, and the answer is one line of JSON per line (`{\"line\":1,\"id\":…,\"created\":true}` or `{\"line\":2,\"error\":{\"code\":…,\"detail\":…}}`), streamed while more lines come, and at last `{\"accepted\":n,\"refused\":m}`. An `Idempotency-Key` then counts for each line with its number, so that a stream that broke can be sent again from its start.",
    params(
        ("X-API-Key" = String, Header, description = "a key with `jobs:write` or `admin`"),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: seconds to wait for the job's end, at most 25; `handling=strict`: refuse rather than join an earlier request"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: the same request again gives the same job and answer"),
    ),
    request_body(content(
        (JobSpec = "application/json"), (JobSpec = "application/x-ndjson"), (JobSpec = "application/jsonl"),
    ), description = "one job, or one per line"),
    responses(
        (status = 200, description = "the job has its end; or one verdict per line", content(
            (Operation = "application/json"), (super::stream::Verdict = "application/x-ndjson"),
        )),
        (status = 202, description = "accepted; follow `Location`", body = Operation),
        (status = 401, description = "no valid credentials", body = crate::error::Problem),
        (status = 403, description = "the key lacks `jobs:write`", body = crate::error::Problem),
        (status = 404, description = "no such kind", body = crate::error::Problem),
        (status = 409, description = "`handling=strict`, and the first request with this key is not done", body = crate::error::Problem),
        (status = 410, description = "the key's job was removed", body = crate::error::Problem),
        (status = 413, description = "the payload is larger than `limits.payload_bytes`", body = crate::error::Problem),
        (status = 415, description = "a content type or encoding that is not read here", body = crate::error::Problem),
        (status = 422, description = "the payload or an option is wrong, or the key was used with another request", body = crate::error::Problem),
        (status = 429, description = "too many requests", body = crate::error::Problem),
        (status = 503, description = "the record cannot be reached, or the queue is overloaded; nothing was accepted", body = crate::error::Problem),
    )
)]
pub(crate) async fn envelope(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    Extension(trace): Extension<Trace>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&auth::WRITE), JOBS).await;
    let answer = async {
        let caller = caller?;
        if stream::is_meant(&headers) {
            return stream::begin(&state, &caller, &trace, &headers, body).await;
        }
        let max = state.settings.max_payload_bytes + ENVELOPE_BYTES;
        let bytes = read(&state, &headers, body, max).await?;
        let spec = JobSpec::parse(&bytes)?;
        let asked = Asked { state: &state, caller: &caller, headers: &headers, trace: &trace };
        let keyed = Keyed::of(&headers, &caller.principal(), "POST /api/v1/jobs", &[], &bytes)?;
        put(&asked, spec, keyed).await
    };
    pass.leave(answer.await)
}

/// A body of JSON; one that is too large is told with the limit of payloads.
async fn read(
    state: &State,
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<bytes::Bytes, ApiError> {
    body::check_json(headers)?;
    let read = body::read_at_most(headers, body, &state.settings, max).await;
    read.map_err(|error| match error {
        ApiError::TooLarge(_) => {
            ApiError::TooLarge(Limit::Payload(state.settings.max_payload_bytes))
        }
        other => other,
    })
}

async fn put(asked: &Asked<'_>, spec: JobSpec, keyed: Option<Keyed>) -> Result<Response, ApiError> {
    let Asked { state, caller, headers, .. } = *asked;
    let Some(keyed) = keyed else {
        let job = new_job(asked, spec).await?;
        let enqueued = accept::alone(state, &job).await?;
        return answer(state, caller, headers, enqueued).await;
    };
    // Known keys are answered also when no more is taken: they cost little and end retries.
    if let Some(known) = keyed.known(state).await? {
        return join(asked, &keyed, known).await;
    }
    let job = new_job(asked, spec).await?;
    match accept::together(state, &job, Some(&keyed), &accept::Nothing).await? {
        Taken::New(enqueued) => {
            let shown = answer(state, caller, headers, enqueued).await?;
            keep(state, &keyed, shown).await
        }
        Taken::Refused(error) => Err(error),
        // Somebody was faster with the same key.
        Taken::Known => match keyed.known(state).await? {
            Some(known) => join(asked, &keyed, known).await,
            None => Err(ApiError::KeyInUse),
        },
    }
}

async fn new_job(asked: &Asked<'_>, spec: JobSpec) -> Result<NewJob, ApiError> {
    let mut job = spec.into_job(asked.state)?;
    job.principal = Some(asked.caller.principal());
    job.trace = Some(asked.trace.to_string());
    load::check(asked.state, &job.queue).await?;
    Ok(job)
}

/// The request was made before: its kept answer, or its job as it is now.
async fn join(asked: &Asked<'_>, keyed: &Keyed, known: Request) -> Result<Response, ApiError> {
    let Asked { state, caller, headers, .. } = *asked;
    if let Some(kept) = known.answer {
        return Ok(idempotency::replay(kept));
    }
    let (id, created) = known.job.ok_or(ApiError::KeyInUse)?;
    let row = timeout(state.settings.store_timeout, state.engine.get(id)).await??;
    if !row.ok_or(ApiError::JobExpired)?.state.is_final() {
        keyed.join()?;
    }
    let shown = answer(state, caller, headers, Enqueued { id, created }).await?;
    Ok(idempotency::replayed(keep(state, keyed, shown).await?))
}

/// Only the answer after the job's end is final.
async fn keep(state: &State, keyed: &Keyed, shown: Response) -> Result<Response, ApiError> {
    match shown.status() {
        StatusCode::OK => keyed.end(state, Ok(shown)).await,
        _ => Ok(shown),
    }
}

/// Waits as the client prefers, then shows the job. Once it is durable nothing here fails any
/// more: what cannot be read is pending.
pub(crate) async fn answer(
    state: &State,
    caller: &Caller,
    headers: &HeaderMap,
    enqueued: Enqueued,
) -> Result<Response, ApiError> {
    let prefer = Prefer::of(headers, state.settings.wait_max);
    let until = Instant::now() + prefer.patience(Duration::ZERO);
    let location = format!("/api/v1/jobs/{}", enqueued.id);
    let row = accept::await_end(state, enqueued.id, until).await;
    // An equal job of somebody else does the work, but is not shown to a key that may not read it.
    let row = row.filter(|row| sees(caller, row));
    let complete = row.as_ref().is_some_and(|row| row.state.is_final());
    let operation = match row {
        Some(row) => show::operation(state, row).await.ok(),
        None => None,
    };
    let complete = complete && operation.is_some();
    let body = match operation {
        Some(operation) => serde_json::to_vec(&operation.created(enqueued.created)),
        None => serde_json::to_vec(&serde_json::json!({
            "name": format!("jobs/{}", enqueued.id), "id": enqueued.id, "done": false,
            "created": enqueued.created,
        })),
    };
    let body = body.expect("a job is plain data");
    let status = if complete { StatusCode::OK } else { StatusCode::ACCEPTED };
    let json = [(header::CONTENT_TYPE, "application/json"), (header::LOCATION, &*location)];
    let mut response = (status, json, body).into_response();
    if !complete {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    if let Some(applied) = prefer.applied(complete) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}
