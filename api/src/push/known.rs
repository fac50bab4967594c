//! A batch that was sent before is answered again, not applied again (D-11, D-31).

use super::Asked;
use super::shown;
use crate::accept;
use crate::error::ApiError;
use crate::idempotency::replayed;
use axum::response::Response;
use records::push::batches::{self, Known};
use tokio::time::timeout;

/// The batch with this id, if the site has sent it before; refused if it, or the
/// `Idempotency-Key`, was another one. A key that is new is one more name of the batch.
pub(super) async fn find(asked: &Asked<'_>) -> Result<Option<Known>, ApiError> {
    let Asked { state, site, batch, .. } = *asked;
    if let Some(keyed) = &asked.keyed {
        keyed.known(state).await?;
    }
    let found = batches::find(state.engine.db(), site, batch);
    match timeout(state.settings.store_timeout, found).await?? {
        Some(known) if known.fingerprint != asked.fingerprint => Err(ApiError::BatchIdReused),
        known => Ok(known),
    }
}

/// The kept answer, or that of its job.
pub(super) async fn answer(asked: &Asked<'_>, known: Known) -> Result<Response, ApiError> {
    let state = asked.state;
    if let Some(text) = known.answer {
        return Ok(replayed(shown::complete(asked, text)?));
    }
    let row = timeout(state.settings.store_timeout, state.engine.get(known.job)).await??;
    let row = row.ok_or(ApiError::BatchExpired)?;
    if row.state.is_final() {
        return Ok(replayed(shown::ended(asked, row).await?));
    }
    if let Some(keyed) = &asked.keyed {
        keyed.join()?;
    }
    let row = accept::await_end(state, known.job, asked.until).await;
    Ok(replayed(shown::job(asked, known.job, row).await?))
}
