//! `Idempotency-Key` (D-11): a request that is sent again is answered again, not done again.
//!
//! A route takes the key before it does anything ([`Keyed::begin`], or [`Keyed::begin_in`] in the
//! transaction of its effects) and keeps what came of it. Refusals are not kept: they had no
//! effect, and the same request may be good later.

use crate::error::ApiError;
use crate::prefer;
use crate::{State, accept};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::Tx;
use records::requests::{self, Answer, Request, Scope};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const REPLAYED: &str = "idempotency-replayed";
/// A key without a job and without an answer belongs to a request that was cut off.
const HOLD: Duration = Duration::from_secs(60);
/// How long a request waits for an earlier one with the same key that acts.
const JOIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// A request with a key.
pub(crate) struct Keyed {
    pub(crate) scope: Scope,
    fingerprint: Vec<u8>,
    strict: bool,
}

impl Keyed {
    /// `None` without a key. `about` is what besides the body makes the request what it is.
    pub(crate) fn of(
        headers: &HeaderMap,
        principal: &str,
        route: &str,
        about: &[&str],
        body: &[u8],
    ) -> Result<Option<Self>, ApiError> {
        let Some(key) = key(headers)? else { return Ok(None) };
        let scope = Scope { principal: principal.to_owned(), route: route.to_owned(), key };
        let fingerprint = requests::fingerprint(about, body);
        Ok(Some(Self { scope, fingerprint, strict: prefer::is_strict(headers) }))
    }

    /// One line of many: each has the request's key with its number behind it.
    pub(crate) fn line(principal: &str, key: &str, number: u64, line: &[u8]) -> Self {
        let (principal, route) = (principal.to_owned(), "POST /api/v1/jobs line".to_owned());
        let scope = Scope { principal, route, key: format!("{key}:{number}") };
        Self { scope, fingerprint: requests::fingerprint(&[], line), strict: false }
    }

    /// The earlier request with this key; refused if it was another one.
    pub(crate) async fn known(&self, state: &State) -> Result<Option<Request>, ApiError> {
        let found = requests::find(state.engine.db(), &self.scope);
        let known = timeout(state.settings.store_timeout, found).await??;
        known.map(|known| self.same(known)).transpose()
    }

    /// An earlier request with this key, if it is the same one.
    pub(crate) fn same(&self, known: Request) -> Result<Request, ApiError> {
        if known.fingerprint == self.fingerprint { Ok(known) } else { Err(ApiError::KeyReused) }
    }

    /// Takes the key inside the transaction of the request's effects; `false` if it is taken.
    pub(crate) async fn begin_in(&self, tx: &mut Tx) -> Result<bool, db::Error> {
        requests::begin(tx, &self.scope, &self.fingerprint, HOLD).await
    }

    /// Takes the key for effects that are not in one transaction with it; or gives the answer of
    /// the request that took it before.
    pub(crate) async fn begin(&self, state: &State) -> Result<Option<Response>, ApiError> {
        let until = Instant::now() + JOIN;
        loop {
            let taking = async {
                let mut tx = state.engine.db().begin().await?;
                let begun = self.begin_in(&mut tx).await?;
                tx.commit().await?;
                Ok::<_, db::Error>(begun)
            };
            if timeout(accept::write_patience(state), taking).await?? {
                return Ok(None);
            }
            if let Some(Request { answer: Some(answer), .. }) = self.known(state).await? {
                return Ok(Some(replay(answer)));
            }
            if self.strict || Instant::now() >= until {
                return Err(ApiError::KeyInUse);
            }
            sleep(LOOK).await;
        }
    }

    /// Refuses to wait for an earlier request if the client wants it so.
    pub(crate) fn join(&self) -> Result<(), ApiError> {
        if self.strict { Err(ApiError::KeyInUse) } else { Ok(()) }
    }

    /// Keeps an answer that is final and says so: a success. After anything else the key is free
    /// again, unless it has a job.
    pub(crate) async fn end(
        &self,
        state: &State,
        answer: Result<Response, ApiError>,
    ) -> Result<Response, ApiError> {
        let response = match answer {
            Ok(response) if response.status().is_success() => response,
            other => {
                let forgetting = requests::forget(state.engine.db(), &self.scope);
                if let Err(error) = forgetting.await {
                    tracing::warn!(%error, "an idempotency key could not be given back");
                }
                return other;
            }
        };
        self.keep(state, response).await
    }

    /// Keeps an answer that is final. If one was kept already, that is the answer.
    pub(crate) async fn keep(
        &self,
        state: &State,
        response: Response,
    ) -> Result<Response, ApiError> {
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await;
        let bytes = bytes.map_err(|error| ApiError::Internal(Some(error.into())))?;
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let answer = Answer {
            status: parts.status.as_u16(),
            content_type: content_type.and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        };
        let keeping = requests::set_answer(state.engine.db(), &self.scope, &answer);
        match timeout(accept::write_patience(state), keeping).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                // Whoever joined was faster; it is said to be a replay only to those who joined.
                if let Ok(Some(Request { answer: Some(kept), .. })) = self.known(state).await {
                    return Ok(verbatim(kept));
                }
            }
            failed => tracing::warn!(?failed, "an answer could not be kept for its key"),
        }
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}

/// The request that has this key, whatever it was about.
pub(crate) async fn find(
    state: &State,
    principal: &str,
    route: &str,
    key: String,
) -> Result<Option<Request>, ApiError> {
    let scope = Scope { principal: principal.to_owned(), route: route.to_owned(), key };
    let found = requests::find(state.engine.db(), &scope);
    Ok(timeout(state.settings.store_timeout, found).await??)
}

/// A kept answer, to somebody who asks again.
pub(crate) fn replay(answer: Answer) -> Response {
    replayed(verbatim(answer))
}

/// A kept answer, word for word.
fn verbatim(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    match HeaderValue::try_from(answer.content_type) {
        Ok(kind) if !kind.is_empty() => response.headers_mut().insert(header::CONTENT_TYPE, kind),
        _ => response.headers_mut().remove(header::CONTENT_TYPE),
    };
    response
}

/// Says that the request was made before.
pub(crate) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The key, as a structured field's string or bare.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let wrong = || {
        let allowed = "Idempotency-Key: one, of 8 to 255 printable ASCII characters";
        ApiError::Invalid(allowed.to_owned())
    };
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_not_printable| wrong())?.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or_else(wrong)?,
        None => text.to_owned(),
    };
    let is_printable = key.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if (8..=255).contains(&key.len()) && is_printable { Ok(Some(key)) } else { Err(wrong()) }
}

/// What stands before the closing quotation mark, which is the end.
fn unquoted(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return chars.next().is_none().then_some(key),
            other => key.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::key;
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn a_key_is_bare_or_quoted_and_of_bounded_length() {
        let long = "k".repeat(256);
        let table: [(&str, Option<&str>); 10] = [
            ("12345678", Some("12345678")),
            ("\"12345678\"", Some("12345678")),
            (r#""12345\"\\8""#, Some(r#"12345"\8"#)),
            ("1234567", None),
            ("", None),
            ("\"12345678", None),
            ("\"12345678\" x", None),
            (r#""1234567\8""#, None),
            (&long, None),
            (&long[1..], Some(&long[1..])),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", HeaderValue::from_str(value).expect("printable"));
            let found = key(&headers).ok().flatten();
            assert_eq!(found.as_deref(), expected, "{value}");
        }
        let mut headers = HeaderMap::new();
        assert!(matches!(key(&headers), Ok(None)));
        for _ in 0..2 {
            headers.append("idempotency-key", HeaderValue::from_static("12345678"));
        }
        assert!(key(&headers).is_err());
    }
}
