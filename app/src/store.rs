//! Opens the record and the queue, and waits a bounded time for a server that is still starting.

use crate::settings::Settings;
use db::{DatabaseUrl, Db};
use queue::Engine;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Long enough for a database that starts together with us, short enough to notice a wrong address.
const STARTUP: Duration = Duration::from_secs(30);

/// Between two tries; a start-up script sees the warning a few times, not hundreds.
const PAUSE: Duration = Duration::from_secs(1);

/// A limit that takes longer to ask for than this costs more than it protects.
const LIMITER_PATIENCE: Duration = Duration::from_millis(250);

/// Why the stores are not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the database {url} cannot be opened")]
    Database { url: DatabaseUrl, source: db::Error },
    #[error("the queue cannot be opened")]
    Queue(#[from] queue::Error),
    #[error("there is no database file {0}; `relais migrate` or `relais up` makes it")]
    NoFile(DatabaseUrl),
    #[error("stopped before the database {0} answered")]
    Stopped(DatabaseUrl),
}

/// Whether to wait for a server that does not answer.
pub(crate) enum Patience<'a> {
    /// Fail at once: somebody is waiting for an answer.
    None,
    /// Wait for the time of a start-up, or until told to stop.
    Startup(&'a CancellationToken),
}

/// Opens the database and brings its schema up to date.
pub(crate) async fn open_record(settings: &Settings, patience: Patience<'_>) -> Result<Db, Error> {
    let url = &settings.database.url;
    let failed = |source| Error::Database { url: url.clone(), source };
    let deadline = Instant::now() + STARTUP;
    let stopped = || Error::Stopped(url.clone());
    let db = loop {
        let opened = Db::open(&settings.database);
        let error = match until(&patience, opened).await.ok_or_else(stopped)? {
            Ok(db) => break db,
            Err(error) => error,
        };
        let is_patient = matches!(patience, Patience::Startup(_));
        // A file is there or not; only a server may still be starting.
        let may_come = url.file().is_none() && error.is_transient();
        if !is_patient || !may_come || Instant::now() >= deadline {
            return Err(failed(error));
        }
        let left = deadline.saturating_duration_since(Instant::now()).as_secs();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(
            db.url = %url,
            error = cause.unwrap_or_default(),
            "the database does not answer yet; trying for {left} s more",
        );
        until(&patience, tokio::time::sleep(PAUSE)).await.ok_or_else(stopped)?;
    };
    if let Some(newest) = db.migrate().await.map_err(failed)? {
        tracing::warn!(
            db.schema = newest,
            "the database was changed by a newer relais; this one works with the changes of one release"
        );
    }
    Ok(db)
}

/// The future's output, or `None` once the process was told to stop.
async fn until<T>(patience: &Patience<'_>, future: impl Future<Output = T>) -> Option<T> {
    match patience {
        Patience::None => Some(future.await),
        Patience::Startup(shutdown) => shutdown.run_until_cancelled(future).await,
    }
}

/// Opens the queue on a record that is open.
pub(crate) fn open_queue(settings: &Settings, db: Db) -> Result<Arc<dyn Engine>, Error> {
    let redis_url = settings.redis.url.as_ref().map(|url| url.expose_secret().to_owned());
    let queue = queue::Settings {
        redis_url,
        redis_prefix: settings.redis.prefix.clone(),
        max_payload_bytes: settings.queue.max_payload_bytes,
    };
    Ok(queue::open(db, &queue)?)
}

/// The rate limiter's own connection to Redis, which connects when first used; without one each
/// process counts for itself, and so it does behind sentinels, whose master moves.
pub(crate) fn limiter(settings: &Settings) -> Option<ConnectionManager> {
    let url = settings.redis.url.as_ref()?.expose_secret();
    if url.starts_with("redis+sentinel://") {
        tracing::info!("behind sentinels each process counts requests for itself");
        return None;
    }
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(LIMITER_PATIENCE))
        .set_response_timeout(Some(LIMITER_PATIENCE));
    let client = redis::Client::open(url).ok()?;
    ConnectionManager::new_lazy_with_config(client, config).ok()
}

/// Opens the queue only to look: fails at once, creates and migrates nothing.
pub(crate) async fn open_to_look(settings: &Settings) -> Result<Arc<dyn Engine>, Error> {
    let url = &settings.database.url;
    if url.file().is_some_and(|file| !file.exists()) {
        return Err(Error::NoFile(url.clone()));
    }
    let db = Db::open(&settings.database).await;
    let db = db.map_err(|source| Error::Database { url: url.clone(), source })?;
    open_queue(settings, db)
}
