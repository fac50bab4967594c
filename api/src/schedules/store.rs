//! What the routes share: bounds of parameters, and the record's answers as this API's.

use super::body;
use super::shown::{PreviewShown, ScheduleShown, TimeShown};
use super::{Asked, Name};
use crate::State;
use crate::error::ApiError;
use axum::Json;
use axum::extract::{Path, Query};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Datelike, Utc};
use queue::schedule::{Definition, MAX_SCHEDULES, Schedule, is_name};
use queue::schedules::{self, Put};
use std::future::Future;
use tokio::time::timeout;

/// Years in which expressions tick, and that both databases can hold.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2100;

/// The name in a path; what can be none is nothing that is here.
pub(super) fn known(name: Name) -> Result<String, ApiError> {
    let Path(name) = name.map_err(|_not_text| ApiError::NotFound)?;
    if is_name(&name) { Ok(name) } else { Err(ApiError::NotFound) }
}

/// The parameters of a query.
pub(super) fn asked<T>(query: Asked<T>) -> Result<T, ApiError> {
    let Query(query) =
        query.map_err(|error| ApiError::Invalid(format!("query: {}", error.body_text())))?;
    Ok(query)
}

/// A number from 1 to `most`.
pub(super) fn within(
    name: &str,
    number: Option<u32>,
    usual: u32,
    most: u32,
) -> Result<u32, ApiError> {
    let number = number.unwrap_or(usual);
    match (1..=most).contains(&number) {
        true => Ok(number),
        false => Err(ApiError::Invalid(format!("`{name}`: {number}; allowed are 1 to {most}"))),
    }
}

/// An instant that can be stored and searched from.
pub(super) fn plausible(
    name: &str,
    instant: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, ApiError> {
    match instant {
        Some(instant) if !YEARS.contains(&instant.year()) => {
            let (first, last) = YEARS.into_inner();
            Err(ApiError::Invalid(format!("`{name}`: allowed are the years {first} to {last}")))
        }
        instant => Ok(instant),
    }
}

/// The record's answer, if it comes in time.
pub(super) async fn stored<T>(
    state: &State,
    asked: impl Future<Output = Result<T, queue::Error>>,
) -> Result<T, ApiError> {
    Ok(timeout(state.settings.store_timeout, asked).await??)
}

pub(super) async fn find(state: &State, name: &str) -> Result<Schedule, ApiError> {
    let found = stored(state, schedules::get(state.engine.db(), name)).await?;
    found.ok_or(ApiError::NotFound)
}

/// The whole schedule as it is now.
pub(super) async fn answer(state: &State, name: &str) -> Result<ScheduleShown, ApiError> {
    let schedule = find(state, name).await?;
    let look = stored(state, schedules::look(state.engine.db())).await?;
    Ok(ScheduleShown::whole(schedule, look.now))
}

/// Writes a schedule and answers with what is there then.
pub(super) async fn put(
    state: &State,
    wanted: &Definition,
    may_replace: bool,
) -> Result<Response, ApiError> {
    wanted.check().map_err(|refusal| ApiError::Invalid(refusal.to_string()))?;
    body::job(&state.catalog, wanted).map_err(ApiError::Invalid)?;
    let name = &wanted.name;
    let status = match stored(state, schedules::put(state.engine.db(), wanted, may_replace)).await?
    {
        Put::Created => StatusCode::CREATED,
        Put::Replaced => StatusCode::OK,
        Put::Exists => {
            return Err(ApiError::Conflict(format!(
                "there is a schedule `{name}`; PUT /api/v1/schedules/{name} replaces it"
            )));
        }
        Put::OfConfig => return Err(of_config(name)),
        Put::Full => {
            return Err(ApiError::Conflict(format!(
                "there are {MAX_SCHEDULES} schedules, as many as there may be; delete one first"
            )));
        }
    };
    let location = format!("/api/v1/schedules/{name}");
    let location = HeaderValue::try_from(location).expect("a name is plain text");
    let shown = Json(answer(state, name).await?);
    Ok((status, [(header::LOCATION, location)], shown).into_response())
}

pub(super) fn of_config(name: &str) -> ApiError {
    ApiError::Conflict(format!(
        "`{name}` is a schedule of the configuration: change [schedule.{name}] in its file; here \
         it can be paused, resumed and triggered"
    ))
}

/// The instants that come, after `from` or after now.
pub(super) async fn coming(
    state: &State,
    definition: &Definition,
    count: Option<u32>,
    from: Option<DateTime<Utc>>,
) -> Result<PreviewShown, ApiError> {
    let count = within("count", count, 20, 100)?;
    let timetable =
        definition.timetable().map_err(|refusal| ApiError::Invalid(refusal.to_string()))?;
    let from = match plausible("from", from)? {
        Some(from) => from,
        None => stored(state, schedules::look(state.engine.db())).await?.now,
    };
    let times = timetable.after(from).take(count as usize).map(TimeShown::from).collect();
    let (cron, timezone) = (definition.cron.clone(), definition.timezone.clone());
    Ok(PreviewShown { cron, timezone, times })
}
