//! `POST /api/v1/documents`: one file, as a part of a multipart body, streamed to the disk.

use super::incoming::{Complete, Incoming, refusal};
use super::keep::{keep, quota};
use super::{DOCUMENTS, Shown};
use crate::auth;
use crate::body::{SLOW_START, check_identity, content_types};
use crate::error::{ApiError, Limit, Problem};
use crate::gate;
use crate::idempotency::Keyed;
use crate::server::Peer;
use crate::{Settings, State};
use axum::Extension;
use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, State as FromState};
use axum::http::{HeaderMap, Request, header};
use axum::response::Response;
use records::documents::{extension, octets, original_name};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

/// Boundaries and headers around the file.
const AROUND: u64 = 64 * 1024;

/// How a document is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes: the body is streamed")]
pub(crate) struct Form {
    /// The file, with its name. `file` is read as well.
    #[schema(value_type = String, format = Binary)]
    fichier: Vec<u8>,
}

/// Takes in a document.
#[utoipa::path(
    post, path = "/api/v1/documents", tag = "nas", operation_id = "upload_document",
    description = "It belongs to the key that sends it. The name of its file is kept as it is shown, and only its extension goes into the name that the server makes.",
    params(
        ("X-API-Key" = String, Header, description = "a key with `nas` or `admin`"),
        ("Idempotency-Key" = Option<String>, Header, description = "8 to 255 characters, kept 7 days: the same file and name again give the same document"),
    ),
    request_body(content = Form, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "the document; its place is in `Location`", body = Shown),
        (status = 400, description = "the body is not what it says it is, or did not come to its end", body = Problem),
        (status = 401, description = "no valid key", body = Problem),
        (status = 403, description = "the key lacks `nas`", body = Problem),
        (status = 408, description = "the body came too slowly", body = Problem),
        (status = 409, description = "the first request with this key is not done", body = Problem),
        (status = 413, description = "more than `nas.document_bytes`", body = Problem),
        (status = 415, description = "not multipart/form-data, or compressed", body = Problem),
        (status = 422, description = "no file, more than one, or a name that is not allowed", body = Problem),
        (status = 429, description = "too many requests", body = Problem),
        (status = 503, description = "the record or the disk cannot be reached; nothing was kept", body = Problem),
        (status = 507, description = "no room on the disk, or more than `nas.owner_bytes` with the key's other documents; nothing was kept", body = Problem),
    )
)]
pub(crate) async fn upload(
    FromState(state): FromState<State>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (pass, caller) = gate::enter(&state, peer, &headers, Some(&auth::NAS), DOCUMENTS).await;
    let answer = async {
        let caller = caller?;
        check(&headers)?;
        let owner = match &caller {
            auth::Caller::Key(key) => key.id.clone(),
            auth::Caller::Terminal(_) => return Err(ApiError::Forbidden),
        };
        let room = room(&state, &headers, &owner).await?;
        let (name, file) = receive(&headers, body, &state.settings, room).await?;
        let about = [name.as_str(), &file.content.sha256];
        let route = "POST /api/v1/documents";
        let keyed = Keyed::of(&headers, &caller.principal(), route, &about, &[])?;
        keep(&state, name, owner, file, keyed).await
    };
    pass.leave(answer.await)
}

/// What can be refused before anything is read or asked.
fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    check_identity(headers)?;
    let mut types = content_types(headers);
    if types.next().as_deref() != Some("multipart/form-data") || types.next().is_some() {
        return Err(ApiError::NotMultipart);
    }
    Ok(())
}

/// The largest file that may come, and the limit that a larger one passes.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    limit: Limit,
}

impl Room {
    fn holds(self, bytes: u64) -> Result<(), ApiError> {
        if bytes > self.bytes { Err(ApiError::TooLarge(self.limit)) } else { Ok(()) }
    }
}

/// What there is room for, and whether the body that is announced can fit.
async fn room(state: &State, headers: &HeaderMap, owner: &str) -> Result<Room, ApiError> {
    let nas = &state.settings.nas;
    let max = usize::try_from(nas.document_bytes).unwrap_or(usize::MAX);
    let mut room = Room { bytes: nas.document_bytes, limit: Limit::Document(max) };
    // Sent again, it may be there already: that is known once it has come.
    let is_first = !headers.contains_key("idempotency-key");
    if let Some(max) = nas.owner_bytes.filter(|_| is_first) {
        let used = octets(state.engine.db(), owner);
        let used = timeout(state.settings.store_timeout, used).await??;
        let left = max.saturating_sub(u64::try_from(used).unwrap_or_default());
        if left < room.bytes {
            room = Room { bytes: left, limit: quota(max) };
        }
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    room.holds(length.saturating_sub(AROUND))?;
    Ok(room)
}

/// When the next piece of a body must be there: it may start slowly, then keeps a pace.
struct Pace {
    began: Instant,
    bytes: u64,
    per_second: u32,
}

impl Pace {
    fn deadline(&self) -> Instant {
        let earned = self.bytes as f64 / f64::from(self.per_second.max(1));
        // A year is for ever, and can be added to an instant.
        let earned = Duration::from_secs_f64(earned.min(3.0e7));
        self.began + SLOW_START + earned
    }
}

/// The file and its name. Nothing of it is left if it did not come whole.
async fn receive(
    headers: &HeaderMap,
    body: Body,
    settings: &Settings,
    room: Room,
) -> Result<(String, Complete), ApiError> {
    let mut request = Request::new(body);
    *request.headers_mut() = headers.clone();
    // The limit is counted here, on the file alone.
    DefaultBodyLimit::disable().apply(&mut request);
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|error| ApiError::Invalid(error.body_text()))?;
    let per_second = settings.body_bytes_per_second;
    let mut pace = Pace { began: Instant::now(), bytes: 0, per_second };
    let mut received = None;
    loop {
        let field = timeout_at(pace.deadline(), form.next_field()).await;
        let Some(field) =
            field.map_err(|_late| ApiError::BodyTooSlow)?.map_err(|error| broken(&error))?
        else {
            let missing = "a part named `fichier` (or `file`) with a file is expected";
            return received.ok_or_else(|| ApiError::Invalid(missing.to_owned()));
        };
        if !matches!(field.name(), Some("fichier" | "file")) {
            let name: String = field.name().unwrap_or_default().chars().take(64).collect();
            let name = name.escape_debug();
            let only = format!("part `{name}`: only `fichier` (or `file`) is read");
            return Err(ApiError::Invalid(only));
        }
        if received.is_some() {
            return Err(ApiError::Invalid("fichier: one file per request".to_owned()));
        }
        received = Some(receive_file(field, settings, room, &mut pace).await?);
    }
}

async fn receive_file(
    mut field: Field<'_>,
    settings: &Settings,
    room: Room,
    pace: &mut Pace,
) -> Result<(String, Complete), ApiError> {
    let told = field.file_name().unwrap_or_default();
    // Some clients send the whole path.
    let told = told.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = original_name(told)
        .map_err(|wrong| ApiError::Invalid(format!("fichier: its name: {wrong}")))?;
    let end = extension(&name);
    let begun = Incoming::begin(&settings.nas.uploads, end.as_deref()).await;
    let mut file = begun.map_err(refusal)?;
    loop {
        let chunk = timeout_at(pace.deadline(), field.chunk()).await;
        let Some(chunk) =
            chunk.map_err(|_late| ApiError::BodyTooSlow)?.map_err(|error| broken(&error))?
        else {
            return Ok((name, file.complete().await.map_err(refusal)?));
        };
        pace.bytes += chunk.len() as u64;
        room.holds(file.taille() + chunk.len() as u64)?;
        file.write(&chunk).await.map_err(refusal)?;
    }
}

fn broken(error: &MultipartError) -> ApiError {
    tracing::debug!(%error, "a multipart body broke");
    ApiError::BodyBroken
}
