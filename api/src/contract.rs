//! The one pipeline of every route of a contract that makes a job: admit, read, validate, accept
//! in one transaction with the `Idempotency-Key`, wait for a bounded time, answer (D-6 … D-19).
//!
//! A route brings who asks ([`crate::gate`]) and a [`Contract`]: its limits, its parser, its
//! bodies. What is durable, what is waited for and what is kept for a key is the same for all.

mod course;

pub(crate) use course::take_in;

use crate::accept::Begun;
use crate::error::ApiError;
use crate::prefer::Prefer;
use crate::trace::Trace;
use crate::{Settings, State};
use axum::http::HeaderMap;
use axum::response::Response;
use db::Tx;
use queue::{JobRow, NewJob};
use std::future::Future;
use std::time::Duration;
use uuid::Uuid;

/// What makes one contract differ from another.
pub(crate) trait Contract: Sync {
    /// What its keys belong to: method and path.
    const ROUTE: &'static str;
    /// Where its jobs wait.
    const QUEUE: &'static str;
    /// The body names the request, so that a repeated one is known once it was read: only a new
    /// one is a burden (D-18).
    const NAMED_BY_BODY: bool = false;
    /// Whether [`Contract::begin_in`] writes something.
    const BEGINS: bool = false;
    /// Whether [`Contract::complete`] has an answer for a job that somebody cancelled. Where it has
    /// none, the request that is sent again is a new one, with a key as without.
    const ANSWERS_CANCELLED: bool = false;
    /// What answers and [`Contract::begin_in`] need of the request.
    type Told: Send + Sync;

    /// Refuses what is not worth reading, by its headers.
    fn check_head(&self, _headers: &HeaderMap) -> Result<(), ApiError> {
        Ok(())
    }

    /// Bytes of a body, inflated.
    fn max_bytes(&self, settings: &Settings) -> usize {
        settings.max_body_bytes
    }

    /// What besides the body makes the request what it is.
    fn about(&self) -> Option<String> {
        None
    }

    /// What the client prefers, as far as this route honours it.
    fn prefer(&self, headers: &HeaderMap, settings: &Settings) -> Prefer {
        Prefer::of(headers, settings.wait_max)
    }

    /// How long to wait for the job's end, unless the client prefers something.
    fn wait(&self, settings: &Settings) -> Duration {
        settings.wait
    }

    /// Validates a body and makes its job. A request that has an `Idempotency-Key` needs no other
    /// protection against being sent again.
    fn parse(&self, body: &[u8], has_key: bool) -> Result<(NewJob, Self::Told), ApiError>;

    /// The request that the body names, if it was made before.
    fn earlier(
        &self,
        _state: &State,
        _told: &Self::Told,
    ) -> impl Future<Output = Result<Option<Earlier>, ApiError>> + Send {
        async { Ok(None) }
    }

    /// An answer that takes no job.
    fn at_once(
        &self,
        _state: &State,
    ) -> impl Future<Output = Result<Option<Response>, ApiError>> + Send {
        async { Ok(None) }
    }

    /// Writes what becomes durable together with the job.
    fn begin_in(
        &self,
        _tx: &mut Tx,
        _told: &Self::Told,
        _job: &NewJob,
    ) -> impl Future<Output = Result<Begun, db::Error>> + Send {
        async { Ok(Begun::New) }
    }

    /// The answer once the job has its end; an error is not kept for a key.
    fn complete(
        &self,
        state: &State,
        row: JobRow,
    ) -> impl Future<Output = Result<Response, ApiError>> + Send;

    /// A body of the same shape that claims nothing (D-9), with status, `Location` and
    /// `Retry-After`. `row` is the job as far as it could be read.
    fn pending(
        &self,
        state: &State,
        told: &Self::Told,
        id: Uuid,
        row: Option<&JobRow>,
    ) -> impl Future<Output = Result<Response, ApiError>> + Send;

    /// Whether it matters that a complete answer left whole, and in which lane (D-12).
    fn delivers_in(&self) -> Option<String> {
        None
    }
}

/// A request that was made before.
pub(crate) enum Earlier {
    /// Its answer is kept.
    Answered(Response),
    /// Its job, and whether that has its end.
    Job(Uuid, bool),
}

/// Who asks, and how.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) trace: &'a Trace,
}
