//! The one pipeline of every route of a contract that makes a job: admit, read, validate, accept
//! in one transaction with the `Idempotency-Key`, wait for a bounded time, answer (D-6 … D-19).
//!
//! A route brings who asks ([`crate::gate`]) and a [`Contract`]: its limits, its parser, its
//! bodies. What is durable, what is waited for and what is kept for a key is the same for all.

use crate::error::ApiError;
use crate::idempotency::{self, Keyed};
use crate::prefer::Prefer;
use crate::trace::Trace;
use crate::{Settings, State, accept, body, delivery, load};
use accept::Accepted;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use db::failpoint;
use queue::{JobRow, NewJob};
use records::requests::Request;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// What makes one contract differ from another.
pub(crate) trait Contract: Sync {
    /// What its keys belong to: method and path.
    const ROUTE: &'static str;
    /// Where its jobs wait.
    const QUEUE: &'static str;
    /// What the answer to an unfinished job repeats of the request.
    type Told: Send;

    /// Refuses what is not worth reading, by its headers.
    fn check_head(&self, headers: &HeaderMap) -> Result<(), ApiError>;

    /// Bytes of a body, inflated.
    fn max_bytes(&self, settings: &Settings) -> usize {
        settings.max_body_bytes
    }

    /// How long to wait for the job's end, unless the client prefers something.
    fn wait(&self, settings: &Settings) -> Duration {
        settings.wait
    }

    /// Validates a body and makes its job. A request that has an `Idempotency-Key` needs no other
    /// protection against being sent again.
    fn parse(&self, body: &[u8], has_key: bool) -> Result<(NewJob, Self::Told), ApiError>;

    /// The answer once the job has its end; an error is not kept for a key.
    fn complete(&self, row: &JobRow) -> Result<Response, ApiError>;

    /// A body of the same shape that claims nothing (D-9), with status, `Location` and
    /// `Retry-After`.
    fn pending(&self, told: Self::Told, id: Uuid) -> Response;

    /// Whether it matters that a complete answer left whole, and in which lane (D-12).
    fn delivers_in(&self) -> Option<String> {
        None
    }
}

/// Who asks, and how.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) trace: &'a Trace,
}

/// Everything between the credentials and the answer's last header.
pub(crate) async fn take_in<C: Contract>(
    state: &State,
    contract: &C,
    asked: Asked<'_>,
    body: Body,
) -> Result<Response, ApiError> {
    let Asked { principal, headers, trace } = asked;
    let key = idempotency::key(headers)?;
    let known = match key {
        Some(key) => idempotency::find(state, principal, C::ROUTE, key).await?,
        None => None,
    };
    // A known key is let in whatever the load: it costs little and ends retries (D-18).
    let place = match known {
        Some(_) => None,
        None => {
            load::admit(state, C::QUEUE).await?;
            Some(accept::admit(state, principal).await?)
        }
    };
    contract.check_head(headers)?;
    let max = contract.max_bytes(&state.settings);
    let bytes = body::read_at_most(headers, body, &state.settings, max).await?;
    let prefer = Prefer::of(headers, state.settings.wait_max);
    let until = Instant::now() + prefer.patience(contract.wait(&state.settings));
    let keyed = Keyed::of(headers, principal, C::ROUTE, &[], &bytes)?;
    let course = Course { state, contract, until };
    let answer = match (&keyed, known) {
        (Some(keyed), Some(known)) => course.join(keyed, keyed.same(known)?, &bytes).await,
        (keyed, _) => {
            let (mut job, told) = contract.parse(&bytes, keyed.is_some())?;
            job.principal = Some(principal.to_owned());
            job.trace = Some(trace.to_string());
            match accept::run(state, &job, keyed.as_ref()).await? {
                Some(accepted) => {
                    drop(place);
                    let accepted = course.end_of(accepted).await;
                    course.answer(accepted, told, keyed.as_ref()).await
                }
                None => course.join_twin(keyed.as_ref(), &bytes).await,
            }
        }
    };
    let (complete, mut response) = answer?;
    if let Some(applied) = prefer.applied(complete) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// One request on its way to its answer, and whether that is complete.
struct Course<'a, C> {
    state: &'a State,
    contract: &'a C,
    until: Instant,
}

type Answered = Result<(bool, Response), ApiError>;

impl<C: Contract> Course<'_, C> {
    /// The request was made before: its kept answer word for word, or its job as it is now.
    async fn join(&self, keyed: &Keyed, known: Request, bytes: &[u8]) -> Answered {
        let Self { state, contract, .. } = *self;
        let job = known.job.map(|(id, _new)| id);
        if let Some(kept) = known.answer {
            let response = idempotency::replay(kept);
            return Ok((true, self.delivered(job, response)));
        }
        let id = job.ok_or(ApiError::KeyInUse)?;
        let row = timeout(state.settings.store_timeout, state.engine.get(id)).await??;
        if !row.ok_or(ApiError::JobExpired)?.state.is_final() {
            keyed.join()?;
        }
        let (_same_job, told) = contract.parse(bytes, true)?;
        let accepted = self.end_of(id).await;
        let (complete, response) = self.answer(accepted, told, Some(keyed)).await?;
        Ok((complete, idempotency::replayed(response)))
    }

    /// Somebody was faster with the same key.
    async fn join_twin(&self, keyed: Option<&Keyed>, bytes: &[u8]) -> Answered {
        let keyed = keyed.ok_or(ApiError::KeyInUse)?;
        let known = keyed.known(self.state).await?.ok_or(ApiError::KeyInUse)?;
        self.join(keyed, known, bytes).await
    }

    async fn end_of(&self, id: Uuid) -> Accepted {
        Accepted { id, row: accept::await_end(self.state, id, self.until).await }
    }

    async fn answer(&self, accepted: Accepted, told: C::Told, keyed: Option<&Keyed>) -> Answered {
        let Accepted { id, row } = accepted;
        let Some(row) = row.filter(|row| row.state.is_final()) else {
            return Ok((false, self.contract.pending(told, id)));
        };
        failpoint::at("answer").await?;
        let response = self.contract.complete(&row)?;
        let response = match keyed {
            Some(keyed) if is_kept(response.status()) => keyed.keep(self.state, response).await?,
            _ => response,
        };
        Ok((true, self.delivered(Some(id), response)))
    }

    /// Has it noted, once the answer has left whole, that it did.
    fn delivered(&self, job: Option<Uuid>, mut response: Response) -> Response {
        if let (Some(lane), Some(id)) = (self.contract.delivers_in(), job) {
            response.extensions_mut().insert(delivery::delivery(self.state, &lane, id));
        }
        response
    }
}

/// What has happened for good; an overload, a fault or a job under way has not.
fn is_kept(status: StatusCode) -> bool {
    let passing = [StatusCode::ACCEPTED, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passing.contains(&status)
}
