//! How many requests a principal may make on a route: an exact sliding window (I-27), shared
//! through Redis where there is one, kept per process where there is none or it does not answer.

mod local;
mod shared;

use crate::error::ApiError;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use local::Windows;
use redis::aio::ConnectionManager;
use shared::SharedWindows;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Limits are per minute.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Serial numbers that no terminal has, per minute and address (D-32).
const GUESSES: u32 = 20;

/// What is left of a principal's requests on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Whether this request is within the limit.
    pub(crate) accepted: bool,
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    /// When the oldest counted request leaves the window, and one more may come.
    pub(crate) reset: Duration,
}

impl Quota {
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        match self.accepted {
            true => Ok(()),
            false => Err(ApiError::RateLimited { retry_after: self.reset }),
        }
    }

    /// The seed's headers (R-003-97) and the draft standard's (D-18).
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { limit, remaining, .. } = *self;
        let reset = self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0);
        let window = WINDOW.as_secs();
        for (name, value) in [
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", remaining.to_string()),
            ("ratelimit-policy", format!("\"default\";q={limit};w={window}")),
            ("ratelimit", format!("\"default\";r={remaining};t={reset}")),
        ] {
            let value = HeaderValue::try_from(value).expect("digits and ASCII words");
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// The counters of this process, and the shared ones if there are.
pub(crate) struct Limits {
    limit: u32,
    local: Mutex<Windows>,
    shared: Option<SharedWindows>,
}

impl Limits {
    pub(crate) fn new(limit: u32, redis: Option<ConnectionManager>, prefix: &str) -> Self {
        let shared = redis.map(|connection| SharedWindows::new(connection, prefix));
        Self { limit, local: Mutex::new(Windows::default()), shared }
    }

    /// Counts a request of `principal` on `route` if it is within the limit.
    pub(crate) async fn take(&self, principal: &str, route: &str) -> Quota {
        self.count(&format!("rate_limit:{principal}:{route}"), self.limit).await
    }

    /// Counts a serial number from `ip` that no terminal has. Only those are counted, and only
    /// those refused: one wrongly set terminal must not stop its whole shop behind one address.
    pub(crate) async fn guess(&self, ip: IpAddr) -> Quota {
        self.count(&format!("guess:{}", ip.to_canonical()), GUESSES.min(self.limit)).await
    }

    async fn count(&self, key: &str, limit: u32) -> Quota {
        if let Some(shared) = &self.shared
            && let Some(quota) = shared.take(key, limit).await
        {
            return quota;
        }
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        local.take(key, limit, Instant::now())
    }
}
