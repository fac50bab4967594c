//! Typed settings, read from all layers and checked as a whole before anything starts.
//!
//! `config.default.toml` says what each setting means; here is what is allowed.

mod gather;
mod layers;
mod nas;
mod problem;
mod push;
mod queues;
mod reader;
mod rules;
mod schedules;
#[cfg(test)]
mod tests;

pub(crate) use gather::{gather, user};
pub(crate) use layers::Sources;
pub(crate) use nas::Nas;
pub(crate) use problem::Problems;

use db::DatabaseUrl;
use jobs::Catalog;
use layers::Layers;
use queue::schedule::Definition;
use reader::Reader;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::time::Duration;

/// Everything configuration decides.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) api: Api,
    pub(crate) database: db::Settings,
    pub(crate) redis: Redis,
    pub(crate) queue: Queue,
    pub(crate) worker: Worker,
    pub(crate) limits: Limits,
    pub(crate) terminals: Terminals,
    pub(crate) sales: records::ventes::Policy,
    pub(crate) push: records::push::Strategies,
    pub(crate) log: Log,
    pub(crate) nas: Nas,
    pub(crate) schedules: Vec<Definition>,
}

#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) bind: SocketAddr,
    pub(crate) wait: Duration,
    pub(crate) max_connections: usize,
    pub(crate) shutdown: Duration,
}

#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) url: Option<SecretString>,
    pub(crate) prefix: String,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) lease: Duration,
    pub(crate) max_payload_bytes: usize,
    pub(crate) retention: queue::Retention,
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) queues: Vec<(String, usize)>,
    pub(crate) grace: Duration,
}

#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) requests_per_minute: u32,
    pub(crate) unfinished_per_principal: u32,
    pub(crate) body_bytes: usize,
    pub(crate) payload_bytes: usize,
    /// `None` refuses nothing.
    pub(crate) queue_age: Option<Duration>,
    pub(crate) contract_queue_age: Option<Duration>,
    pub(crate) contract_queue_depth: Option<u64>,
}

/// What configuration may change about the terminals of source 002, beside the policy of sales.
#[derive(Debug)]
pub(crate) struct Terminals {
    pub(crate) device_keys: bool,
    pub(crate) invoice_zone: chrono_tz::Tz,
    pub(crate) low_stock: i64,
}

#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) format: Format,
    pub(crate) filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

impl Settings {
    /// Reads and checks everything; `Err` holds every problem, not the first.
    pub(crate) fn load(sources: &Sources, catalog: &Catalog) -> Result<Self, Problems> {
        let mut from = Reader::new(Layers::collect(sources));
        let settings = Self {
            api: Api {
                bind: from.parsed("api.bind", rules::address),
                wait: seconds(&mut from, "api.wait_seconds", 0, 60),
                max_connections: from.number("api.max_connections", 1..=1_000_000),
                shutdown: seconds(&mut from, "api.shutdown_seconds", 0, 600),
            },
            database: db::Settings {
                url: from.parsed("database.url", rules::database_url),
                connections: from.number("database.connections", 2..=1_000),
                acquire: Duration::from_millis(
                    from.number("database.acquire_milliseconds", 10..=60_000),
                ),
            },
            redis: Redis {
                url: from.parsed("redis.url", rules::redis_url),
                prefix: from.parsed("redis.prefix", rules::prefix),
            },
            queue: Queue {
                lease: seconds(&mut from, "queue.lease_seconds", 1, 3_600),
                max_payload_bytes: from.number("queue.max_payload_bytes", 1_024..=67_108_864),
                retention: queue::Retention {
                    done: days(&mut from, "queue.retention_done_days"),
                    dead: days(&mut from, "queue.retention_dead_days"),
                },
            },
            worker: Worker {
                name: from.parsed("worker.name", rules::worker_name),
                queues: worker_queues(&mut from, catalog),
                grace: seconds(&mut from, "worker.grace_seconds", 0, 3_600),
            },
            limits: Limits {
                requests_per_minute: from.number("limits.requests_per_minute", 1..=1_000_000_000),
                unfinished_per_principal: from
                    .number("limits.unfinished_per_principal", 1..=1_000_000),
                body_bytes: from.number("limits.body_bytes", 1_024..=67_108_864),
                payload_bytes: from.number("limits.payload_bytes", 1_024..=4_194_304),
                queue_age: Some(seconds(&mut from, "limits.queue_age_seconds", 0, 86_400))
                    .filter(|age| !age.is_zero()),
                contract_queue_age: Some(seconds(
                    &mut from,
                    "limits.contract_queue_age_seconds",
                    0,
                    86_400,
                ))
                .filter(|age| !age.is_zero()),
                contract_queue_depth: Some(from.number("limits.contract_queue_depth", 0..=10_000))
                    .filter(|depth| *depth > 0),
            },
            sales: records::ventes::Policy {
                release_after_duplicates: from.number("sales.release_after_duplicates", 1..=1_000),
                release_after: seconds(&mut from, "sales.release_after_seconds", 0, 604_800),
                stock: from.parsed("sales.stock_policy", rules::stock_policy),
            },
            push: push::read(&mut from),
            terminals: Terminals {
                device_keys: from.parsed("sales.device_auth", rules::device_keys),
                invoice_zone: from.parsed("sales.invoice_timezone", rules::zone),
                low_stock: from.number("sales.low_stock", 0..=1_000_000_000),
            },
            log: Log {
                format: from.parsed("log.format", rules::log_format),
                filter: from.parsed("log.filter", rules::log_filter),
            },
            nas: nas::read(&mut from),
            schedules: schedules::read(&mut from, catalog),
        };
        check_together(&settings, &mut from);
        let problems = from.into_problems();
        if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
    }
}

fn seconds(from: &mut Reader, key: &str, least: u64, most: u64) -> Duration {
    Duration::from_secs(from.number(key, least..=most))
}

fn days(from: &mut Reader, key: &str) -> Duration {
    Duration::from_secs(from.number::<u64>(key, 1..=3_650) * 86_400)
}

fn worker_queues(from: &mut Reader, catalog: &Catalog) -> Vec<(String, usize)> {
    let standard = from.default_text("worker.queues");
    let standard = queues::parse(&standard).expect("the compiled-in defaults are allowed");
    let list: Vec<(String, usize)> = from
        .parsed("worker.queues", queues::parse)
        .into_iter()
        .map(|(name, number)| {
            let usual = standard.iter().find(|(known, _)| *known == name);
            let number = number.or(usual.and_then(|(_, number)| *number)).unwrap_or(1);
            (name, number)
        })
        .collect();
    let mut known: Vec<&str> = catalog.iter().map(|kind| kind.queue).collect();
    known.sort_unstable();
    known.dedup();
    if let Some((name, _)) = list.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        let allowed = format!("{}; no kind of job waits in `{name}`", known.join(", "));
        from.wrong("worker.queues", allowed);
    }
    queues::divide(list, from.number("worker.workers", 0..=1_000))
}

/// What is allowed one by one, but not together.
fn check_together(settings: &Settings, from: &mut Reader) {
    if matches!(settings.database.url, DatabaseUrl::Sqlite(_)) && settings.redis.url.is_some() {
        from.conflict(format!(
            "`redis.url` (from {}) needs PostgreSQL, but `database.url` (from {}) is SQLite: Redis \
             carries the bell between machines, and an SQLite file is open on one only; use \
             postgres://… or leave `redis.url` empty",
            from.origin("redis.url"),
            from.origin("database.url"),
        ));
    }
    if settings.limits.body_bytes > settings.queue.max_payload_bytes {
        from.conflict(format!(
            "`limits.body_bytes` is {} (from {}), more than `queue.max_payload_bytes`, {} (from \
             {}): such a request could be read, but never queued",
            settings.limits.body_bytes,
            from.origin("limits.body_bytes"),
            settings.queue.max_payload_bytes,
            from.origin("queue.max_payload_bytes"),
        ));
    }
    if settings.limits.payload_bytes > settings.queue.max_payload_bytes {
        from.conflict(format!(
            "`limits.payload_bytes` is {} (from {}), more than `queue.max_payload_bytes`, {} (from \
             {}): such a payload could be read, but never queued",
            settings.limits.payload_bytes,
            from.origin("limits.payload_bytes"),
            settings.queue.max_payload_bytes,
            from.origin("queue.max_payload_bytes"),
        ));
    }
}
