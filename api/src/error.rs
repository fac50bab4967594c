//! [`ApiError`]: the only place where an HTTP status is chosen for a failure, and where its body
//! is written. A client sees a stable code and a sentence; the log sees the chain of causes.

use crate::trace::Trace;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use records::documents::texts as nas;
use records::ventes::texts;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a request is not answered as it wished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the terminal's serial number is missing")]
    MissingSerial,
    #[error("no active terminal has this serial number")]
    UnknownTerminal,
    #[error("the terminal belongs to no shop")]
    TerminalWithoutShop,
    #[error("the body is not an array of sales")]
    NotAnArray,
    #[error("the array is empty")]
    EmptyBatch,
    #[error("another shop than the terminal's")]
    ForeignShop,
    #[error("the request has more than {0}")]
    TooLarge(Limit),
    #[error("the body did not come to its end")]
    BodyBroken,
    #[error("the body came too slowly")]
    BodyTooSlow,
    #[error("this content encoding is not read here")]
    UnsupportedEncoding,
    #[error("this content type is not read here: send application/json")]
    UnsupportedType,
    #[error("Rate limit exceeded")]
    RateLimited { retry_after: Duration },
    #[error("too many requests of this client are unfinished")]
    TooManyPending,
    #[error("valid credentials are needed")]
    Unauthorized,
    #[error("this process serves as many streams as it may")]
    TooManyStreams,
    #[error("these credentials do not allow it")]
    Forbidden,
    #[error("there is nothing here")]
    NotFound,
    /// Source 001: host, user or path is missing.
    #[error("no file server is configured")]
    NasNotConfigured,
    #[error("the transfer ended without an outcome")]
    TransferBroken,
    #[error("there is no such document")]
    UnknownDocument,
    #[error("a document's id is an integer")]
    BadDocumentId,
    #[error("this content type is not read here: send multipart/form-data")]
    NotMultipart,
    #[error("there is no room left for this document on the server's disk; nothing was kept")]
    NoRoom(#[source] std::io::Error),
    #[error("there is no kind of job `{kind}`; the kinds are {known}")]
    UnknownKind { kind: String, known: String },
    #[error("the job was removed; its Idempotency-Key still keeps it from being done again")]
    JobExpired,
    #[error("this Idempotency-Key was used with another request: one key, one request")]
    KeyReused,
    #[error("the request with this Idempotency-Key is still being worked on")]
    KeyInUse,
    #[error("this batch_id was used for another batch: one id, one batch")]
    BatchIdReused,
    #[error("the batch was applied long ago, and its answer is no longer kept")]
    BatchExpired,
    #[error("{0}")]
    SchemaTooOld(records::push::BatchError),
    #[error("{0}")]
    SchemaTooNew(records::push::BatchError),
    #[error("the conflict was decided otherwise, or by a later push")]
    AlreadyResolved,
    #[error("a closed ticket stays as it is: only the server's side can be chosen")]
    TicketClosed,
    #[error("queue `{queue}` is overloaded: its jobs wait too long already")]
    Overloaded { queue: String },
    /// Says what is wrong, where, and what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// Says what stands in the way.
    #[error("{0}")]
    Conflict(String),
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    #[error("the address is too long")]
    UriTooLong,
    #[error("the body's length is told more than once")]
    TwoLengths,
    #[error("this transfer encoding is not read here")]
    UnsupportedTransfer,
    #[error("the headers are too large")]
    HeadersTooLarge,
    #[error("the service cannot be reached just now")]
    Unavailable(#[source] Option<Source>),
    #[error("an internal error")]
    Internal(#[source] Option<Source>),
}

/// A limit that a request passed, and how much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Bytes(usize),
    Sales(usize),
    Lines(usize),
    Depth(usize),
    Entities(usize),
    /// Bytes of one job's payload.
    Payload(usize),
    /// Bytes of one document.
    Document(usize),
}

impl Limit {
    fn max(self) -> usize {
        match self {
            Self::Bytes(max) | Self::Sales(max) | Self::Lines(max) => max,
            Self::Depth(max) | Self::Payload(max) | Self::Entities(max) | Self::Document(max) => {
                max
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(max) => write!(f, "{max} bytes"),
            Self::Sales(max) => write!(f, "{max} sales"),
            Self::Lines(max) => write!(f, "{max} lines in one sale"),
            Self::Depth(max) => write!(f, "{max} levels of nesting"),
            Self::Entities(max) => write!(f, "{max} entities"),
            Self::Payload(max) => write!(f, "{max} bytes of payload"),
            Self::Document(max) => write!(f, "{max} bytes in its document"),
        }
    }
}

impl ApiError {
    /// Status and stable code.
    fn kind(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::MissingSerial => (S::BAD_REQUEST, "MISSING_SERIAL"),
            Self::UnknownTerminal => (S::NOT_FOUND, "TERMINAL_NOT_FOUND"),
            Self::TerminalWithoutShop => (S::BAD_REQUEST, "NO_BOUTIQUE"),
            Self::NotAnArray => (S::BAD_REQUEST, "INVALID_FORMAT"),
            Self::EmptyBatch => (S::BAD_REQUEST, "EMPTY_DATA"),
            Self::ForeignShop => (S::FORBIDDEN, "BOUTIQUE_MISMATCH"),
            Self::TooLarge(Limit::Payload(_)) => (S::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
            Self::TooLarge(Limit::Document(_)) => (S::PAYLOAD_TOO_LARGE, "DOCUMENT_TOO_LARGE"),
            Self::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, "BATCH_TOO_LARGE"),
            Self::BodyBroken => (S::BAD_REQUEST, "INVALID_BODY"),
            Self::BodyTooSlow => (S::REQUEST_TIMEOUT, "BODY_TOO_SLOW"),
            Self::UnsupportedEncoding => (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING"),
            Self::UnsupportedType => (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
            Self::RateLimited { .. } => (S::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED"),
            Self::TooManyPending => (S::TOO_MANY_REQUESTS, "TOO_MANY_PENDING"),
            Self::TooManyStreams => (S::SERVICE_UNAVAILABLE, "TOO_MANY_STREAMS"),
            Self::Unauthorized => (S::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Forbidden => (S::FORBIDDEN, "FORBIDDEN"),
            Self::NotFound => (S::NOT_FOUND, "NOT_FOUND"),
            Self::NasNotConfigured => (S::BAD_REQUEST, "NAS_NOT_CONFIGURED"),
            Self::TransferBroken => (S::INTERNAL_SERVER_ERROR, "TRANSFER_BROKEN"),
            Self::UnknownDocument => (S::NOT_FOUND, "DOCUMENT_NOT_FOUND"),
            Self::BadDocumentId => (S::UNPROCESSABLE_ENTITY, "INVALID_DOCUMENT_ID"),
            Self::NotMultipart => (S::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
            Self::NoRoom(_) => (S::INSUFFICIENT_STORAGE, "INSUFFICIENT_STORAGE"),
            Self::UnknownKind { .. } => (S::NOT_FOUND, "UNKNOWN_KIND"),
            Self::JobExpired => (S::GONE, "JOB_EXPIRED"),
            Self::KeyReused => (S::UNPROCESSABLE_ENTITY, "IDEMPOTENCY_KEY_REUSED"),
            Self::KeyInUse => (S::CONFLICT, "IDEMPOTENCY_KEY_IN_USE"),
            Self::BatchIdReused => (S::UNPROCESSABLE_ENTITY, "BATCH_ID_REUSED"),
            Self::BatchExpired => (S::GONE, "BATCH_EXPIRED"),
            Self::SchemaTooOld(_) => (S::CONFLICT, "SCHEMA_TOO_OLD"),
            Self::SchemaTooNew(_) => (S::CONFLICT, "SCHEMA_TOO_NEW"),
            Self::AlreadyResolved => (S::CONFLICT, "ALREADY_RESOLVED"),
            Self::TicketClosed => (S::CONFLICT, "TICKET_CLOSED"),
            Self::Overloaded { .. } => (S::SERVICE_UNAVAILABLE, "QUEUE_OVERLOADED"),
            Self::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "INVALID"),
            Self::Conflict(_) => (S::CONFLICT, "CONFLICT"),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::UriTooLong => (S::URI_TOO_LONG, "URI_TOO_LONG"),
            Self::TwoLengths => (S::BAD_REQUEST, "TWO_LENGTHS"),
            Self::UnsupportedTransfer => (S::BAD_REQUEST, "UNSUPPORTED_TRANSFER_ENCODING"),
            Self::HeadersTooLarge => (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "HEADERS_TOO_LARGE"),
            Self::Unavailable(_) => (S::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
            Self::Internal(_) => (S::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        }
    }

    /// Stable, for programs.
    pub(crate) fn code(&self) -> &'static str {
        self.kind().1
    }

    /// The sentence of the sales contract (source 002).
    fn sentence(&self) -> String {
        match self {
            Self::MissingSerial => texts::MISSING_SERIAL.to_owned(),
            Self::UnknownTerminal => texts::TERMINAL_NOT_FOUND.to_owned(),
            Self::TerminalWithoutShop => texts::NO_BOUTIQUE.to_owned(),
            Self::NotAnArray => texts::INVALID_FORMAT.to_owned(),
            Self::EmptyBatch => texts::EMPTY_DATA.to_owned(),
            Self::ForeignShop => texts::FOREIGN_SHOP.to_owned(),
            Self::TooLarge(Limit::Bytes(max)) => texts::too_many_bytes(*max),
            Self::TooLarge(Limit::Sales(max)) => texts::too_many_sales(*max),
            Self::TooLarge(Limit::Lines(max)) => texts::too_many_lines(*max),
            Self::TooLarge(Limit::Depth(max)) => texts::too_deep(*max),
            Self::BodyBroken => "Corps de requête incomplet ou illisible".to_owned(),
            Self::BodyTooSlow => "Corps de requête reçu trop lentement".to_owned(),
            Self::UnsupportedEncoding | Self::UnsupportedType => {
                "Type de contenu non pris en charge".to_owned()
            }
            Self::TooManyPending => "Trop de synchronisations en attente".to_owned(),
            Self::Overloaded { .. } => texts::OVERLOADED.to_owned(),
            Self::KeyReused => texts::KEY_REUSED.to_owned(),
            Self::KeyInUse => texts::KEY_IN_USE.to_owned(),
            Self::MethodNotAllowed => "Méthode non autorisée".to_owned(),
            Self::Unavailable(_) => "Service momentanément indisponible".to_owned(),
            Self::Internal(_) => texts::INTERNAL_ERROR.to_owned(),
            other => other.to_string(),
        }
    }

    /// The sentence of the NAS contract (source 001).
    fn nas_sentence(&self) -> String {
        match self {
            Self::NasNotConfigured => nas::NOT_CONFIGURED.to_owned(),
            Self::UnknownDocument => nas::UNKNOWN_DOCUMENT.to_owned(),
            Self::TransferBroken => nas::INTERRUPTED.to_owned(),
            Self::BadDocumentId => nas::BAD_ID.to_owned(),
            Self::Unauthorized => nas::UNAUTHORIZED.to_owned(),
            Self::Forbidden => nas::FORBIDDEN.to_owned(),
            Self::RateLimited { .. } => nas::RATE_LIMITED.to_owned(),
            other => other.sentence(),
        }
    }

    /// When to come back, at the earliest.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::TooManyPending | Self::KeyInUse => Some(Duration::from_secs(1)),
            Self::Unavailable(_) | Self::TooManyStreams | Self::Overloaded { .. } => {
                Some(Duration::from_secs(2))
            }
            // A rolling deployment is over then.
            Self::SchemaTooNew(_) => Some(Duration::from_secs(300)),
            _ => None,
        }
    }

    /// What was not read of the request's body is not worth reading.
    fn closes(&self) -> bool {
        use ApiError as E;
        let is_body = matches!(self, E::TooLarge(_) | E::BodyTooSlow | E::BodyBroken);
        is_body || matches!(self, E::TwoLengths | E::UnsupportedTransfer | E::HeadersTooLarge)
    }
}

/// Up to four seconds more: those who were refused together do not come back together (D-18).
fn jitter() -> u64 {
    u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % 5
}

/// Travels from a handler to [`write()`] with the answer, which has no body until then.
#[derive(Clone)]
pub(crate) struct Refused(Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.kind().0.into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after() {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1) + jitter()));
        }
        if self.closes() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if matches!(self, Self::Unauthorized) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
        }
        response.extensions_mut().insert(Refused(Arc::new(self)));
        response
    }
}

impl From<db::Error> for ApiError {
    fn from(error: db::Error) -> Self {
        if error.is_transient() {
            Self::Unavailable(Some(Box::new(error)))
        } else {
            Self::Internal(Some(Box::new(error)))
        }
    }
}

impl From<queue::Error> for ApiError {
    fn from(error: queue::Error) -> Self {
        if let queue::Error::PayloadTooLarge { max_bytes, .. } = error {
            Self::TooLarge(Limit::Payload(max_bytes))
        } else if error.is_transient() {
            Self::Unavailable(Some(Box::new(error)))
        } else {
            Self::Internal(Some(Box::new(error)))
        }
    }
}

impl From<tokio::time::error::Elapsed> for ApiError {
    fn from(late: tokio::time::error::Elapsed) -> Self {
        Self::Unavailable(Some(Box::new(late)))
    }
}

/// The body of every refusal: RFC 9457, with the members of the route's own contract beside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The contract's sentence (source 002).
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Stable, for programs.
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    header_required: Option<&'static str>,
    /// Always `false` (source 001).
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    /// The contract's sentence (source 001).
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The limit that was passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<usize>,
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// Names this occurrence; the same id is in the log.
    instance: String,
}

/// Which members besides RFC 9457's a route's refusals have (C-55).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contract {
    Problem,
    /// Source 002: `error` and `code`.
    Ventes,
    /// Source 001: `success` and `message` (C-21).
    Nas,
}

impl Contract {
    fn of(path: &str) -> Self {
        match path {
            path if path.starts_with("/api/v2/simple/") => Self::Ventes,
            path if crate::nas::has(path) => Self::Nas,
            _ => Self::Problem,
        }
    }
}

/// Writes the body of a refused request, in the contract of `path` and as `accept` wishes, and
/// logs what only the log may see.
pub(crate) fn write(response: Response, path: &str, accept: &HeaderMap, trace: &Trace) -> Response {
    let Some(Refused(error)) = response.extensions().get::<Refused>().cloned() else {
        return response;
    };
    if let ApiError::Unavailable(source) | ApiError::Internal(source) = &*error {
        let causes = source.as_ref().map(|source| chain(&**source)).unwrap_or_default();
        tracing::error!(causes, "{error}");
    } else if let ApiError::NoRoom(source) = &*error {
        tracing::error!(causes = chain(source), "{error}");
    }
    let contract = Contract::of(path);
    let wants_problem = accept
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("application/problem+json")));
    let content_type = match contract != Contract::Problem && !wants_problem {
        true => "application/json",
        false => "application/problem+json",
    };
    let body =
        serde_json::to_vec(&problem(&error, contract, trace)).expect("a problem is plain data");
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.into())
}

fn problem(error: &ApiError, contract: Contract, trace: &Trace) -> Problem {
    let (status, code) = error.kind();
    let sentence = (contract == Contract::Ventes).then(|| error.sentence());
    let message = (contract == Contract::Nas).then(|| error.nas_sentence());
    let detail = match (error, &message) {
        (ApiError::NasNotConfigured, Some(_)) => Some(nas::NOT_CONFIGURED_DETAIL.to_owned()),
        (_, message) => message.clone(),
    };
    Problem {
        code,
        header_required: matches!(error, ApiError::MissingSerial).then_some(texts::SERIAL_HEADER),
        max: match error {
            ApiError::TooLarge(limit) => Some(limit.max()),
            _ => None,
        },
        r#type: format!("urn:relais:problem:{}", code.to_lowercase().replace('_', "-")),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        success: message.as_ref().map(|_| false),
        detail: sentence.clone().or(detail).unwrap_or_else(|| error.to_string()),
        message,
        instance: format!("urn:relais:request:{}", trace.id),
        error: sentence,
    }
}

fn chain(source: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(source), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
