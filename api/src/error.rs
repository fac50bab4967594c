//! [`ApiError`]: the only place where an HTTP status is chosen for a failure. A client sees a stable
//! code and a sentence ([`problem`]); the log sees the chain of causes.

mod problem;

pub(crate) use problem::{PROBLEM, Problem, wants_problem, write};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    /// Bytes of all documents of one key.
    Owner(usize),
}

impl Limit {
    fn max(self) -> usize {
        match self {
            Self::Bytes(max) | Self::Sales(max) | Self::Lines(max) => max,
            Self::Depth(max) | Self::Payload(max) | Self::Entities(max) => max,
            Self::Document(max) | Self::Owner(max) => max,
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
            Self::Owner(max) => {
                write!(f, "{max} bytes, with this key's other documents: remove some first")
            }
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
            // RFC 4331, section 6.
            Self::TooLarge(Limit::Owner(_)) => (S::INSUFFICIENT_STORAGE, "QUOTA_EXCEEDED"),
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
