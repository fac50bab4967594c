//! What configuration may change about the API.

use records::push::Strategies;
use std::path::PathBuf;
use std::time::Duration;

/// Limits and waits of one API process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a request waits for its job's end before it is answered 202 (D-6).
    pub wait: Duration,
    /// The longest wait a client may ask for with `Prefer: wait=n`.
    pub wait_max: Duration,
    /// Requests per minute of one principal on one route.
    pub requests_per_minute: u32,
    /// Unfinished jobs of one principal; a request beyond them waits `room_wait`, then is refused.
    pub unfinished_per_principal: u32,
    /// How long a request waits for one of its principal's jobs to finish.
    pub room_wait: Duration,
    /// Bytes of a request body, after inflating.
    pub max_body_bytes: usize,
    /// Bytes of one job's payload in the generic API.
    pub max_payload_bytes: usize,
    /// New jobs of the generic API are refused while their queue's oldest ready job has waited
    /// longer (D-18).
    pub max_queue_age: Option<Duration>,
    /// Requests of the contracts are refused while more than a few jobs are ready in their queue
    /// and the oldest has waited longer …
    pub contract_queue_age: Option<Duration>,
    /// … or while at least so many are ready.
    pub contract_queue_depth: Option<u64>,
    /// After its first five seconds a body must have come at least this fast (S-31).
    pub body_bytes_per_second: u32,
    /// A request's head must be complete within this time.
    pub header_timeout: Duration,
    /// How long a connection may stay silent between requests.
    pub keep_alive: Duration,
    /// Open connections of this process.
    pub max_connections: usize,
    /// Streams of events of this process.
    pub max_streams: usize,
    /// How long a store may take to answer before it counts as unavailable.
    pub store_timeout: Duration,
    /// How long running requests may take to finish once shutdown has begun.
    pub shutdown_grace: Duration,
    /// Prefix of the shared limiter's Redis keys.
    pub redis_prefix: String,
    /// Terminals must show the device key they were paired with (D-32).
    pub device_keys: bool,
    /// Time zone of the time in generated invoice numbers (D-62).
    pub invoice_zone: chrono_tz::Tz,
    /// An article with at most so many in stock counts as low.
    pub low_stock: i64,
    /// What is done about conflicts of source 000; batches take it along when they are accepted.
    pub push: Strategies,
    /// Source 001.
    pub nas: Nas,
}

/// The file server as its contract shows it, and where its documents lie.
#[derive(Debug, Clone)]
pub struct Nas {
    pub host: Option<String>,
    /// Whether there is a user; its name is never told (R-001-15).
    pub has_user: bool,
    pub path: Option<String>,
    /// Whether `/api/v1/sync` is open to everybody (C-25).
    pub public: bool,
    pub uploads: PathBuf,
    /// Bytes of one document.
    pub document_bytes: u64,
    /// Bytes of all documents of one key; `None` is any number.
    pub owner_bytes: Option<u64>,
    /// How long `/run` waits for the end of the transfer (D-6).
    pub run_wait: Duration,
}

impl Nas {
    /// Whether documents can be sent there.
    pub fn is_configured(&self) -> bool {
        self.host.is_some() && self.has_user && self.path.is_some()
    }
}

impl Default for Nas {
    fn default() -> Self {
        Self {
            host: None,
            has_user: false,
            path: None,
            public: false,
            uploads: PathBuf::from("./data/uploads"),
            document_bytes: 512 * 1024 * 1024,
            owner_bytes: Some(100 * 1024 * 1024 * 1024),
            run_wait: Duration::from_secs(25),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(8),
            wait_max: Duration::from_secs(25),
            requests_per_minute: 100,
            unfinished_per_principal: 20,
            room_wait: Duration::from_secs(1),
            max_body_bytes: 2 * 1024 * 1024,
            max_payload_bytes: 256 * 1024,
            max_queue_age: None,
            contract_queue_age: Some(Duration::from_secs(30)),
            contract_queue_depth: Some(10_000),
            body_bytes_per_second: 500,
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            max_connections: 16_384,
            max_streams: 1_000,
            store_timeout: Duration::from_millis(800),
            shutdown_grace: Duration::from_secs(10),
            redis_prefix: "relais:".to_owned(),
            device_keys: false,
            invoice_zone: chrono_tz::Tz::UTC,
            low_stock: 5,
            push: Strategies::default(),
            nas: Nas::default(),
        }
    }
}
