//! `POST /api/v1/jobs` with lines of JSON: one job per line, and one verdict per line streamed
//! back in the same order while more lines come. A bad line fails no other one.
//!
//! The answer's body pulls: whoever stops reading verdicts is not read from either.

use super::lines::{Line, Lines};
use super::spec::{ENVELOPE_BYTES, JobSpec};
use crate::accept::COLLISIONS;
use crate::auth::Caller;
use crate::error::{ApiError, Limit};
use crate::idempotency::{self, Keyed};
use crate::trace::Trace;
use crate::{State, accept, body, load};
use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use queue::{Enqueued, NewJob};
use records::requests;
use serde::Serialize;
use std::slice;
use tokio::time::timeout;
use utoipa::ToSchema;
use uuid::Uuid;

const NDJSON: &str = "application/x-ndjson";

/// What became of one line; the last line of the answer has only the sums.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Verdict {
    /// From 1; empty lines count.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// The job.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    /// `false` if an equal job was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    /// Present if the line was put in by an earlier request with the same `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    /// In the last line: lines that were accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<u64>,
    /// In the last line: lines that were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<u64>,
    /// Why the line was refused; in the last line: why no more lines were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LineError>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LineError {
    code: &'static str,
    detail: String,
}

/// Whether the body is said to be lines of JSON.
pub(crate) fn is_meant(headers: &HeaderMap) -> bool {
    let mut types = body::content_types(headers);
    types.any(|essence| essence == NDJSON || essence == "application/jsonl")
}

/// Begins the answer; it goes on as long as lines come.
pub(crate) async fn begin(
    state: &State,
    caller: &Caller,
    trace: &Trace,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    body::check_identity(headers)?;
    let key = idempotency::key(headers)?;
    let max_line = state.settings.max_payload_bytes + ENVELOPE_BYTES;
    let mut lines = Lines::new(body, max_line, &state.settings);
    // The answer's head would overtake the go-ahead that such a client waits for.
    if headers.contains_key(header::EXPECT) {
        lines.start().await?;
    }
    let intake = Intake {
        state: state.clone(),
        principal: caller.principal(),
        trace: trace.to_string(),
        key,
        accepted: 0,
        refused: 0,
    };
    let verdicts = stream::unfold(Some((intake, lines)), |work| async {
        let (mut intake, mut lines) = work?;
        // A stopping process lets go of its clients: lines without a verdict were not put in.
        let stopping = intake.state.stopping.clone();
        let batch = stopping.run_until_cancelled(lines.batch()).await;
        let (batch, more) = batch.unwrap_or((Vec::new(), Err(ApiError::Unavailable(None))));
        let is_last = batch.is_empty() || more.is_err();
        let mut told = intake.take_in(batch).await;
        if is_last {
            told.push(intake.sums(more.as_ref().err()));
        }
        let next = (!is_last).then_some((intake, lines));
        Some((Ok::<_, std::convert::Infallible>(text(&told)), next))
    });
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(verdicts)).into_response())
}

/// Who puts lines in, and how many were.
struct Intake {
    state: State,
    principal: String,
    trace: String,
    key: Option<String>,
    accepted: u64,
    refused: u64,
}

/// A line that is a job.
struct Wanted {
    job: NewJob,
    keyed: Option<Keyed>,
}

/// A job, and whether an earlier request had put it in.
type Put = (Enqueued, bool);

impl Intake {
    async fn take_in(&mut self, batch: Vec<Line>) -> Vec<Verdict> {
        let mut wanted = Vec::new();
        let mut known: Vec<(u64, Result<Option<Put>, ApiError>)> = Vec::new();
        for (number, line) in batch {
            match self.read(number, line).await {
                Ok(Ok(job)) => {
                    wanted.push(job);
                    known.push((number, Ok(None)));
                }
                Ok(Err(put)) => known.push((number, Ok(Some(put)))),
                Err(refusal) => known.push((number, Err(refusal))),
            }
        }
        let mut put = self.put(&wanted).await.into_iter();
        let mut verdicts = Vec::with_capacity(known.len());
        for (number, line) in known {
            let line = match line {
                Ok(Some(put)) => Ok(put),
                Ok(None) => put.next().unwrap_or(Err(ApiError::Internal(None))),
                Err(refusal) => Err(refusal),
            };
            verdicts.push(self.verdict(number, line));
        }
        verdicts
    }

    /// The job of a line; or what an earlier request made of it, while no more is taken.
    async fn read(
        &self,
        number: u64,
        line: Option<Bytes>,
    ) -> Result<Result<Wanted, Put>, ApiError> {
        let max = self.state.settings.max_payload_bytes;
        let line = line.ok_or(ApiError::TooLarge(Limit::Payload(max)))?;
        let mut job = JobSpec::parse(&line)?.into_job(&self.state)?;
        job.principal = Some(self.principal.clone());
        job.trace = Some(self.trace.clone());
        let keyed = self.key.as_ref().map(|key| Keyed::line(&self.principal, key, number, &line));
        if let Err(overloaded) = load::check(&self.state, &job.queue).await {
            let Some(keyed) = keyed else { return Err(overloaded) };
            return self.earlier(&keyed).await?.map(Err).ok_or(overloaded);
        }
        Ok(Ok(Wanted { job, keyed }))
    }

    async fn earlier(&self, keyed: &Keyed) -> Result<Option<Put>, ApiError> {
        let known = keyed.known(&self.state).await?;
        let job = known.and_then(|known| known.job);
        Ok(job.map(|(id, created)| (Enqueued { id, created }, true)))
    }

    /// All of them in one transaction; if that cannot be, one by one, so that none fails another.
    async fn put(&self, wanted: &[Wanted]) -> Vec<Result<Put, ApiError>> {
        match self.put_together(wanted).await {
            Ok(put) => return put,
            Err(ApiError::Unavailable(cause)) => {
                tracing::warn!(?cause, "lines could not be put in");
                return wanted.iter().map(|_| Err(ApiError::Unavailable(None))).collect();
            }
            Err(error) => tracing::warn!(?error, "lines are put in one by one"),
        }
        let mut put = Vec::with_capacity(wanted.len());
        for one in wanted {
            let one = self.put_together(slice::from_ref(one)).await;
            put.extend(one.unwrap_or_else(|error| vec![Err(error)]));
        }
        put
    }

    async fn put_together(
        &self,
        wanted: &[Wanted],
    ) -> Result<Vec<Result<Put, ApiError>>, ApiError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let patience = accept::write_patience(&self.state);
        if self.key.is_none() {
            let jobs: Vec<NewJob> = wanted.iter().map(|wanted| wanted.job.clone()).collect();
            let enqueued = timeout(patience, self.state.engine.enqueue(&jobs));
            let enqueued = enqueued.await??;
            return Ok(enqueued.into_iter().map(|enqueued| Ok((enqueued, false))).collect());
        }
        let mut tries = 0;
        let fresh = loop {
            let work = timeout(patience, self.put_keyed(wanted));
            match work.await? {
                Err(queue::Error::Db(db::Error::Collision(_))) if tries < COLLISIONS => tries += 1,
                other => break other?,
            }
        };
        let mut put = Vec::with_capacity(wanted.len());
        for (wanted, fresh) in wanted.iter().zip(fresh) {
            put.push(match (fresh, &wanted.keyed) {
                (Some(enqueued), _) => Ok((enqueued, false)),
                (None, Some(keyed)) => match self.earlier(keyed).await {
                    Ok(earlier) => earlier.ok_or(ApiError::KeyInUse),
                    Err(refusal) => Err(refusal),
                },
                (None, None) => Err(ApiError::Internal(None)),
            });
        }
        Ok(put)
    }

    /// Keys and jobs in one transaction; `None` where the key is taken.
    async fn put_keyed(&self, wanted: &[Wanted]) -> Result<Vec<Option<Enqueued>>, queue::Error> {
        let mut tx = self.state.engine.db().begin().await?;
        let mut fresh = Vec::new();
        let mut jobs = Vec::new();
        for (index, Wanted { job, keyed }) in wanted.iter().enumerate() {
            if let Some(keyed) = keyed
                && keyed.begin_in(&mut tx).await?
            {
                fresh.push((index, keyed));
                jobs.push(job.clone());
            }
        }
        let enqueued = self.state.engine.enqueue_in(&mut tx, &jobs).await?;
        let mut put = vec![None; wanted.len()];
        for ((index, keyed), enqueued) in fresh.into_iter().zip(enqueued) {
            requests::set_job(&mut tx, &keyed.scope, enqueued.id, enqueued.created).await?;
            put[index] = Some(enqueued);
        }
        tx.commit().await?;
        Ok(put)
    }

    fn verdict(&mut self, number: u64, line: Result<Put, ApiError>) -> Verdict {
        let verdict = Verdict { line: Some(number), ..Verdict::default() };
        match line {
            Ok((enqueued, replayed)) => {
                self.accepted += 1;
                let (id, created) = (Some(enqueued.id), Some(enqueued.created));
                Verdict { id, created, replayed: replayed.then_some(true), ..verdict }
            }
            Err(refusal) => {
                self.refused += 1;
                Verdict { error: Some(LineError::of(&refusal)), ..verdict }
            }
        }
    }

    fn sums(&self, cut: Option<&ApiError>) -> Verdict {
        Verdict {
            accepted: Some(self.accepted),
            refused: Some(self.refused),
            error: cut.map(LineError::of),
            ..Verdict::default()
        }
    }
}

impl LineError {
    fn of(refusal: &ApiError) -> Self {
        Self { code: refusal.code(), detail: refusal.to_string() }
    }
}

fn text(verdicts: &[Verdict]) -> Bytes {
    let mut text = Vec::new();
    for verdict in verdicts {
        serde_json::to_writer(&mut text, verdict).expect("a verdict is plain data");
        text.push(b'\n');
    }
    text.into()
}
