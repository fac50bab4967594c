//! The steps of [`super`], in their order.

use super::{Asked, Contract, Earlier};
use crate::accept::{self, Begun, Beside, Place, Taken};
use crate::error::ApiError;
use crate::idempotency::{self, Keyed};
use crate::{State, body, delivery, load};
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use db::{Tx, failpoint};
use queue::{Enqueued, JobRow, NewJob};
use records::requests::Request;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// How long a request waits for earlier answers of its lane to be recorded as delivered.
const MARK_WAIT: Duration = Duration::from_millis(500);

/// Everything between the credentials and the answer's last header.
pub(crate) async fn take_in<C: Contract>(
    state: &State,
    contract: &C,
    asked: Asked<'_>,
    body: Body,
) -> Result<Response, ApiError> {
    let Asked { principal, headers, .. } = asked;
    let key = idempotency::key(headers)?;
    let known = match key {
        Some(key) => idempotency::find(state, principal, C::ROUTE, key).await?,
        None => None,
    };
    // A known key is let in whatever the load: it costs little and ends retries (D-18).
    let place = match known {
        Some(_) => None,
        None => Some(admit::<C>(state, principal).await?),
    };
    contract.check_head(headers)?;
    let max = contract.max_bytes(&state.settings);
    let bytes = body::read_at_most(headers, body, &state.settings, max).await?;
    let prefer = contract.prefer(headers, &state.settings);
    let until = Instant::now() + prefer.patience(contract.wait(&state.settings));
    let about = contract.about();
    let about: Vec<_> = about.iter().map(String::as_str).collect();
    let keyed = Keyed::of(headers, principal, C::ROUTE, &about, &bytes)?;
    let course = Course { state, contract, until };
    let answer = match (&keyed, known) {
        (Some(keyed), Some(known)) => course.join(asked, keyed, keyed.same(known)?, &bytes).await,
        (keyed, _) => course.begin(asked, keyed.as_ref(), place, &bytes).await,
    };
    let (complete, mut response) = answer?;
    if let Some(applied) = prefer.applied(complete) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// A place for a request that will be a job, unless too much waits already.
async fn admit<C: Contract>(state: &State, principal: &str) -> Result<Place, ApiError> {
    if !C::NAMED_BY_BODY {
        load::admit(state, C::QUEUE).await?;
    }
    accept::admit(state, principal).await
}

/// One request on its way to its answer, and whether that is complete.
struct Course<'a, C> {
    state: &'a State,
    contract: &'a C,
    until: Instant,
}

type Answered = Result<(bool, Response), ApiError>;

impl<C: Contract> Course<'_, C> {
    /// The request is new, or is known by its body.
    async fn begin(
        &self,
        asked: Asked<'_>,
        keyed: Option<&Keyed>,
        place: Option<Place>,
        bytes: &[u8],
    ) -> Answered {
        let Self { state, contract, .. } = *self;
        let (mut job, told) = contract.parse(bytes, keyed.is_some())?;
        if let Some(earlier) = contract.earlier(state, &told).await? {
            drop(place);
            return self.again(earlier, told, keyed).await;
        }
        if C::NAMED_BY_BODY {
            load::admit(state, C::QUEUE).await?;
        }
        if let Some(response) = contract.at_once(state).await? {
            return self.at_once(keyed, response).await;
        }
        job.principal = Some(asked.principal.to_owned());
        job.trace = Some(asked.trace.to_string());
        let listening = state.engine.listen(job.id);
        let taken = self.accept(&job, &told, keyed).await?;
        drop(place);
        match taken {
            Taken::New(Enqueued { id, created }) => {
                let row = match created {
                    true => accept::await_new_end(state, id, listening, self.until).await,
                    false => self.end_of(id).await,
                };
                self.answer(id, row, told, keyed).await
            }
            Taken::Refused(error) => Err(error),
            Taken::Known => self.join_twin(asked, told, keyed, bytes).await,
        }
    }

    /// Makes the job durable, with what belongs to it. Earlier answers of its lane are on record
    /// before it.
    async fn accept(
        &self,
        job: &NewJob,
        told: &C::Told,
        keyed: Option<&Keyed>,
    ) -> Result<Taken, ApiError> {
        let Self { state, contract, .. } = *self;
        if let Some(lane) = &job.lane {
            state.marks.settled(lane, MARK_WAIT).await;
        }
        failpoint::at("accept").await?;
        let taken = if keyed.is_none() && !C::BEGINS {
            Taken::New(accept::alone(state, job).await?)
        } else {
            accept::together(state, job, keyed, &Begins { contract, told }).await?
        };
        // Once it is durable nothing fails any more: here a process can only stall or die.
        let _ = failpoint::at("accepted").await;
        Ok(taken)
    }

    /// An answer without a job is kept for a key like any other.
    async fn at_once(&self, keyed: Option<&Keyed>, response: Response) -> Answered {
        let Some(keyed) = keyed else { return Ok((true, response)) };
        match keyed.begin(self.state).await? {
            Some(kept) => Ok((true, kept)),
            None => Ok((true, keyed.end(self.state, Ok(response)).await?)),
        }
    }

    /// The request was made before, and has this key: its kept answer word for word, or its job as
    /// it is now.
    async fn join(
        &self,
        asked: Asked<'_>,
        keyed: &Keyed,
        known: Request,
        bytes: &[u8],
    ) -> Answered {
        let Self { state, contract, .. } = *self;
        let job = known.job.map(|(id, _new)| id);
        if let Some(kept) = known.answer {
            let response = idempotency::replay(kept);
            return Ok((true, self.delivered(job, response)));
        }
        let id = job.ok_or(ApiError::KeyInUse)?;
        let row = timeout(state.settings.store_timeout, state.engine.get(id)).await??;
        let job = row.ok_or(ApiError::JobExpired)?.state;
        if job == queue::State::Cancelled && !C::ANSWERS_CANCELLED {
            // It is a new burden, whatever its key.
            let place = admit::<C>(state, asked.principal).await?;
            return Box::pin(self.begin(asked, Some(keyed), Some(place), bytes)).await;
        }
        if !job.is_final() {
            keyed.join()?;
        }
        let (_same_job, told) = contract.parse(bytes, true)?;
        let row = self.end_of(id).await;
        let (complete, response) = self.answer(id, row, told, Some(keyed)).await?;
        Ok((complete, idempotency::replayed(response)))
    }

    /// The request was made before, and is known by its body. A key that is new is one more name.
    async fn again(&self, earlier: Earlier, told: C::Told, keyed: Option<&Keyed>) -> Answered {
        let (id, is_final) = match earlier {
            Earlier::Answered(response) => {
                failpoint::at("answer").await?;
                return Ok((true, idempotency::replayed(response)));
            }
            Earlier::Job(id, is_final) => (id, is_final),
        };
        if let Some(keyed) = keyed.filter(|_| !is_final) {
            keyed.join()?;
        }
        let row = self.end_of(id).await;
        let (complete, response) = self.answer(id, row, told, None).await?;
        Ok((complete, idempotency::replayed(response)))
    }

    /// Somebody was faster with the same key, or with what the body names.
    async fn join_twin(
        &self,
        asked: Asked<'_>,
        told: C::Told,
        keyed: Option<&Keyed>,
        bytes: &[u8],
    ) -> Answered {
        let Self { state, contract, .. } = *self;
        if let Some(keyed) = keyed
            && let Some(known) = keyed.known(state).await?
        {
            return self.join(asked, keyed, known, bytes).await;
        }
        let earlier = contract.earlier(state, &told).await?.ok_or(ApiError::KeyInUse)?;
        self.again(earlier, told, keyed).await
    }

    async fn end_of(&self, id: Uuid) -> Option<JobRow> {
        accept::await_end(self.state, id, self.until).await
    }

    async fn answer(
        &self,
        id: Uuid,
        row: Option<JobRow>,
        told: C::Told,
        keyed: Option<&Keyed>,
    ) -> Answered {
        let Self { state, contract, .. } = *self;
        let row = match row {
            Some(row) if row.state.is_final() => row,
            row => {
                return Ok((false, contract.pending(state, &told, id, row.as_ref()).await?));
            }
        };
        failpoint::at("answer").await?;
        let response = contract.complete(state, row).await?;
        let response = match keyed {
            Some(keyed) if is_kept(response.status()) => keyed.keep(state, response).await?,
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

/// What a contract writes beside its job.
struct Begins<'a, C: Contract> {
    contract: &'a C,
    told: &'a C::Told,
}

impl<C: Contract> Beside for Begins<'_, C> {
    async fn begin_in(&self, tx: &mut Tx, job: &NewJob) -> Result<Begun, db::Error> {
        self.contract.begin_in(tx, self.told, job).await
    }
}

/// What has happened for good; an overload, a fault or a job under way has not.
fn is_kept(status: StatusCode) -> bool {
    let passing = [StatusCode::ACCEPTED, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passing.contains(&status)
}
