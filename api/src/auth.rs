//! Who asks: a terminal by its serial number (source 002) or a program by its API key.

use crate::State;
use crate::error::ApiError;
use crate::server::Peer;
use axum::http::HeaderMap;
use records::documents::Viewer;
use records::keys::{self, ApiKey};
use records::ventes::{Boutique, Terminal, terminal, terminal_with_key};
use tokio::time::timeout;

/// A terminal and the shop it stands in.
#[derive(Debug, Clone)]
pub(crate) struct Till {
    pub(crate) terminal: Terminal,
    pub(crate) boutique: Boutique,
}

impl Till {
    /// The name under which its jobs are kept.
    pub(crate) fn principal(&self) -> String {
        principal(&self.terminal)
    }
}

/// Who may read jobs, queues, workers and schedules.
pub(crate) const READ: [&str; 2] = ["jobs:read", "admin"];
/// Who may put jobs in.
pub(crate) const WRITE: [&str; 2] = ["jobs:write", "admin"];
/// Who may steer: pause, cancel, retry and delete what others made, change schedules.
pub(crate) const ADMIN: [&str; 1] = ["admin"];

/// Who may send documents and look at them; an administrator sees everybody's.
pub(crate) const NAS: [&str; 2] = ["nas", "admin"];

/// Whoever may look at jobs.
#[derive(Debug)]
pub(crate) enum Caller {
    Terminal(Terminal),
    Key(ApiKey),
}

impl Caller {
    /// The name under which its jobs are kept.
    pub(crate) fn principal(&self) -> String {
        match self {
            Self::Terminal(terminal) => principal(terminal),
            // Not the key: a site changes its keys and keeps its jobs.
            Self::Key(ApiKey { site_id: Some(site), .. }) => format!("site:{site}"),
            Self::Key(key) => format!("key:{}", key.id),
        }
    }

    /// The site whose key it is.
    pub(crate) fn site(&self) -> Option<i64> {
        match self {
            Self::Terminal(_) => None,
            Self::Key(key) => key.site_id,
        }
    }

    /// Whose documents it sees.
    pub(crate) fn viewer(&self) -> Viewer {
        match self {
            Self::Key(key) if !self.has_scope(&ADMIN) => Viewer::Key(key.id.clone()),
            // A terminal has no scope, so it never gets this far.
            _ => Viewer::Everybody,
        }
    }

    /// Whether it has one of these scopes; a terminal has none.
    pub(crate) fn has_scope(&self, scopes: &[&str]) -> bool {
        match self {
            Self::Terminal(_) => false,
            Self::Key(key) => scopes.iter().any(|scope| key.may(scope)),
        }
    }
}

/// The name under which a terminal's jobs are kept.
fn principal(terminal: &Terminal) -> String {
    format!("terminal:{}", terminal.numero_serie)
}

/// The terminal that asks, and its shop: serial, then terminal, then shop (C-18).
pub(crate) async fn till(state: &State, headers: &HeaderMap) -> Result<Till, ApiError> {
    let serial = single(headers, "x-device-serial").ok_or(ApiError::MissingSerial)?;
    let found = find_terminal(state, serial, headers).await?;
    let terminal = found.ok_or(ApiError::UnknownTerminal)?;
    let boutique = terminal.boutique.clone().ok_or(ApiError::TerminalWithoutShop)?;
    Ok(Till { terminal, boutique })
}

/// Whoever asks, if the credentials are good; a key counts before a serial number. Guessing
/// serial numbers is as limited here as where sales are sent.
pub(crate) async fn caller(
    state: &State,
    Peer(peer): Peer,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    if headers.contains_key("x-api-key") {
        let presented = single(headers, "x-api-key").ok_or(ApiError::Unauthorized)?;
        let found = keys::find(state.engine.db(), presented);
        let key = timeout(state.settings.store_timeout, found).await??;
        return key.map(Caller::Key).ok_or(ApiError::Unauthorized);
    }
    let serial = single(headers, "x-device-serial").ok_or(ApiError::Unauthorized)?;
    if let Some(terminal) = find_terminal(state, serial, headers).await? {
        return Ok(Caller::Terminal(terminal));
    }
    state.limits.guess(peer.ip()).await.check()?;
    Err(ApiError::Unauthorized)
}

/// Whether a request has no credentials at all, good or bad.
pub(crate) fn has_none(headers: &HeaderMap) -> bool {
    !["x-api-key", "x-device-serial"].iter().any(|name| headers.contains_key(*name))
}

/// Whoever asks, if it holds one of `scopes`.
pub(crate) async fn permit(
    state: &State,
    peer: Peer,
    headers: &HeaderMap,
    scopes: &[&str],
) -> Result<Caller, ApiError> {
    let caller = caller(state, peer, headers).await?;
    if caller.has_scope(scopes) { Ok(caller) } else { Err(ApiError::Forbidden) }
}

/// A terminal without its key is answered as one that does not exist: whether a serial number is
/// somebody's is not to be learnt (D-32).
async fn find_terminal(
    state: &State,
    serial: &str,
    headers: &HeaderMap,
) -> Result<Option<Terminal>, ApiError> {
    let (db, patience) = (state.engine.db(), state.settings.store_timeout);
    if !state.settings.device_keys {
        return Ok(timeout(patience, terminal(db, serial)).await??);
    }
    let key = single(headers, "x-device-key");
    Ok(timeout(patience, terminal_with_key(db, serial, key)).await??)
}

/// The trimmed value of a header that is there exactly once and is printable ASCII.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?.trim();
    let is_printable = !text.is_empty() && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    is_printable.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::single;
    use axum::http::{HeaderMap, HeaderValue};

    #[test]
    fn a_serial_number_is_there_once_and_printable() {
        let table: [(&[&[u8]], Option<&str>); 7] = [
            (&[], None),
            (&[b"0a1b"], Some("0a1b")),
            (&[b" 0a1b  "], Some("0a1b")),
            (&[b""], None),
            (&[b"  "], None),
            (&[b"0a1b", b"0a1b"], None),
            (&["né".as_bytes()], None),
        ];
        for (values, serial) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers
                    .append("x-device-serial", HeaderValue::from_bytes(value).expect("no CR/LF"));
            }
            assert_eq!(single(&headers, "x-device-serial"), serial, "{values:?}");
        }
    }
}
