//! The body of a refusal: RFC 9457, with the members and the sentences of the route's own contract.

use super::{ApiError, Limit, Refused};
use crate::trace::Trace;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use records::documents::texts as nas;
use records::ventes::texts;
use serde::Serialize;
use utoipa::ToSchema;

impl ApiError {
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
    /// Source 000: none, but told as `application/json`, as every contract's.
    Push,
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
            path if crate::push::has(path) => Self::Push,
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
    let content_type = match contract != Contract::Problem && !wants_problem(accept) {
        true => "application/json",
        false => PROBLEM,
    };
    let body =
        serde_json::to_vec(&problem(&error, contract, trace)).expect("a problem is plain data");
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.into())
}

/// What a contract's refusals are called if the client asks for it.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Whether `Accept` names it.
pub(crate) fn wants_problem(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter();
    values.any(|value| value.to_str().is_ok_and(|value| value.contains(PROBLEM)))
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
