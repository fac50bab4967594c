//! A new batch: its id, its key and its job are written together or not at all.

use super::{Asked, known, shown};
use crate::accept::{self, COLLISIONS, Place};
use crate::error::ApiError;
use crate::load;
use axum::response::Response;
use db::failpoint;
use queue::NewJob;
use records::push::batches;
use records::requests;
use std::slice;
use tokio::time::timeout;

/// Makes the batch durable, then waits for its end.
pub(super) async fn accept(
    asked: &Asked<'_>,
    job: NewJob,
    place: Place,
) -> Result<Response, ApiError> {
    let state = asked.state;
    // Only a new batch is a burden: the answer of a known one ends retries (D-18).
    load::admit(state, &job.queue).await?;
    failpoint::at("accept").await?;
    let is_new = timeout(accept::write_patience(state), take(asked, &job)).await??;
    // Once it is durable nothing fails any more: here a process can only stall or die.
    let _ = failpoint::at("accepted").await;
    drop(place);
    if !is_new {
        // Somebody was faster with the same batch.
        let known = known::find(asked).await?.ok_or(ApiError::KeyInUse)?;
        return known::answer(asked, known).await;
    }
    let row = accept::await_end(state, job.id, asked.until).await;
    shown::job(asked, job.id, row).await
}

/// `false` if the batch is taken.
async fn take(asked: &Asked<'_>, job: &NewJob) -> Result<bool, queue::Error> {
    let mut tries = 0;
    loop {
        match take_once(asked, job).await {
            Err(queue::Error::Db(db::Error::Collision(_))) if tries < COLLISIONS => tries += 1,
            other => return other,
        }
    }
}

async fn take_once(asked: &Asked<'_>, job: &NewJob) -> Result<bool, queue::Error> {
    let Asked { state, site, batch, .. } = *asked;
    let mut tx = state.engine.db().begin().await?;
    if !batches::begin(&mut tx, site, batch, &asked.fingerprint, job.id).await? {
        return Ok(false);
    }
    if let Some(keyed) = &asked.keyed {
        if !keyed.begin_in(&mut tx).await? {
            return Ok(false);
        }
        requests::set_job(&mut tx, &keyed.scope, job.id, true).await?;
    }
    state.engine.enqueue_in(&mut tx, slice::from_ref(job)).await?;
    tx.commit().await?;
    Ok(true)
}
