//! What a push adds to the pipeline of all contracts ([`crate::contract`]): its batch has an id of
//! its own, under which it is answered again for ever (D-11, D-31).

use super::shown;
use crate::State;
use crate::accept::Begun;
use crate::body;
use crate::contract::{Contract, Earlier};
use crate::error::{ApiError, Limit};
use crate::settings::Settings;
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use db::Tx;
use jobs::Job;
use jobs::kinds::ApplyPushBatch;
use queue::{JobRow, NewJob};
use records::push::{Batch, BatchError, ClockOffset, MAX_BYTES, Strategies, batches};
use records::requests;
use tokio::time::timeout;
use uuid::Uuid;

/// One site's request.
pub(super) struct Push<'a> {
    pub(super) site: i64,
    /// What time it is there, if it says so (D-22).
    pub(super) client_time: Option<DateTime<Utc>>,
    /// What is done about conflicts; the batch takes it along.
    pub(super) strategies: &'a Strategies,
}

/// A batch by its name.
pub(super) struct Named {
    batch: Uuid,
    fingerprint: Vec<u8>,
}

impl Contract for Push<'_> {
    const ROUTE: &'static str = "POST /api/v1/sync/push";
    const QUEUE: &'static str = ApplyPushBatch::QUEUE;
    const NAMED_BY_BODY: bool = true;
    const BEGINS: bool = true;
    const ANSWERS_CANCELLED: bool = true;
    type Told = Named;

    /// JSON, and said to be (D-19).
    fn check_head(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if body::content_types(headers).next().is_none() {
            return Err(ApiError::UnsupportedType);
        }
        body::check_json(headers)
    }

    fn max_bytes(&self, _settings: &Settings) -> usize {
        MAX_BYTES
    }

    fn parse(&self, body: &[u8], _has_key: bool) -> Result<(NewJob, Named), ApiError> {
        let batch = Batch::parse(body)?;
        if batch.site_id.is_some_and(|named| named != self.site) {
            return Err(ApiError::Forbidden);
        }
        let fingerprint = requests::fingerprint(&[], body);
        let named = Named { batch: batch.batch_id, fingerprint };
        let received = queue::clock::now();
        let offset = self.client_time.map(|time| ClockOffset::of(time, received));
        let job = ApplyPushBatch::new(self.site, batch, received, offset, self.strategies);
        Ok((job.into_new(), named))
    }

    /// The batch with this id, if the site has sent it before; refused if it was another one.
    async fn earlier(&self, state: &State, told: &Named) -> Result<Option<Earlier>, ApiError> {
        let patience = state.settings.store_timeout;
        let found = batches::find(state.engine.db(), self.site, told.batch);
        let Some(known) = timeout(patience, found).await?? else { return Ok(None) };
        if known.fingerprint != told.fingerprint {
            return Err(ApiError::BatchIdReused);
        }
        if let Some(text) = known.answer {
            return Ok(Some(Earlier::Answered(shown::complete(text)?)));
        }
        let row = timeout(patience, state.engine.get(known.job)).await??;
        let row = row.ok_or(ApiError::BatchExpired)?;
        Ok(Some(Earlier::Job(row.id, row.state.is_final())))
    }

    async fn begin_in(&self, tx: &mut Tx, told: &Named, job: &NewJob) -> Result<Begun, db::Error> {
        let is_new = batches::begin(tx, self.site, told.batch, &told.fingerprint, job.id).await?;
        Ok(if is_new { Begun::New } else { Begun::Known })
    }

    async fn complete(&self, state: &State, row: JobRow) -> Result<Response, ApiError> {
        shown::ended(state, row).await
    }

    async fn pending(
        &self,
        _state: &State,
        told: &Named,
        id: Uuid,
        _row: Option<&JobRow>,
    ) -> Result<Response, ApiError> {
        Ok(shown::pending(told.batch, id))
    }
}

impl From<BatchError> for ApiError {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::TooDeep { max } => Self::TooLarge(Limit::Depth(max)),
            BatchError::TooManyEntities { max } => Self::TooLarge(Limit::Entities(max)),
            old @ BatchError::SchemaTooOld { .. } => Self::SchemaTooOld(old),
            new @ BatchError::SchemaTooNew { .. } => Self::SchemaTooNew(new),
            wrong @ (BatchError::NotJson | BatchError::Invalid(_)) => {
                Self::Invalid(wrong.to_string())
            }
        }
    }
}
