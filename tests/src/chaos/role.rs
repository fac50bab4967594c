//! A worker process: what `relais worker` runs, with the harness's kind in its catalog.

use super::effects;
use super::kind::Chaos;
use jobs::{Catalog, Services};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a worker process is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) database_url: String,
    pub(super) redis_url: Option<String>,
    pub(super) redis_prefix: String,
    pub(super) slots: usize,
    pub(super) lease_ms: u64,
    pub(super) grace_ms: u64,
    pub(super) effects: PathBuf,
    pub(super) mutate: Option<String>,
}

/// The program `chaos worker SETTINGS`.
pub(super) fn worker(settings: &str) -> ExitCode {
    let settings: Settings = serde_json::from_str(settings).expect("the harness wrote it");
    mutate(settings.mutate.as_deref());
    effects::open(&settings.effects);
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    match runtime.block_on(run(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), worker::Error> {
    let shutdown = on_sigterm();
    let url = settings.database_url.parse().expect("a database URL");
    let opening = db::Settings { url, connections: 10, acquire: Duration::from_secs(2) };
    let db = loop {
        match db::Db::open(&opening).await {
            Ok(db) => break db,
            Err(_) if shutdown.is_cancelled() => return Ok(()),
            // The database may be the one that was killed.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let engine = queue::Settings {
        redis_url: settings.redis_url,
        redis_prefix: settings.redis_prefix,
        max_payload_bytes: 65_536,
    };
    let engine = queue::open(db, &engine).expect("the engine opens");
    let day = Duration::from_secs(86_400);
    let services = Services {
        engine: Arc::clone(&engine),
        sales: records::ventes::Policy { release_after: day, ..Default::default() },
        nas: Arc::default(),
        retention: queue::Retention { done: day, dead: day },
    };
    let settings = worker::Settings {
        name: settings.name,
        queues: vec![("chaos".to_owned(), settings.slots)],
        lease: Duration::from_millis(settings.lease_ms),
        grace: Duration::from_millis(settings.grace_ms),
    };
    let catalog = Arc::new(Catalog::standard().with::<Chaos>());
    worker::run(engine, catalog, services, settings, shutdown).await
}

fn on_sigterm() -> CancellationToken {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler can be set");
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        token.cancel();
    });
    shutdown
}

/// Switches the named protection off in this process, and every other on.
#[cfg(feature = "mutations")]
pub(super) fn mutate(name: Option<&str>) {
    use queue::mutations::{Protection, switch_off};
    let protection = name.map(|name| match name {
        "leases" => Protection::Leases,
        "fencing" => Protection::Fencing,
        "sweep" => Protection::Sweep,
        "unique" => Protection::Unique,
        other => panic!("no protection is named {other}"),
    });
    switch_off(&protection.into_iter().collect::<Vec<_>>());
}

/// There is nothing to switch.
#[cfg(not(feature = "mutations"))]
pub(super) fn mutate(name: Option<&str>) {
    assert_eq!(name, None, "built without the feature `mutations`");
}
