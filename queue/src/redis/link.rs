//! The connection: one server, or whichever server the sentinels call master.
//!
//! A call takes [`PATIENCE`] at the most. After a failure the next calls fail at once for a
//! moment, so that an unreachable Redis costs claimers nothing.

use super::Unreachable;
use futures::StreamExt;
use futures::stream::BoxStream;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{Client, ConnectionAddr, FromRedisValue};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex as AsyncMutex;

const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// What the doorbell's channel says.
pub(crate) type Messages = BoxStream<'static, String>;

pub(crate) struct Link {
    source: Source,
    connection: AsyncMutex<Option<MultiplexedConnection>>,
    failed: Mutex<Option<Instant>>,
}

enum Source {
    Single(Box<Client>),
    Sentinel(Box<AsyncMutex<SentinelClient>>),
}

impl Link {
    /// A link to `redis://…`, `rediss://…` or `redis+sentinel://…`; connects when first used.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let source = match url.strip_prefix("redis+sentinel://") {
            Some(rest) => Source::Sentinel(Box::new(AsyncMutex::new(sentinel(rest)?))),
            None => {
                let client = Client::open(url).map_err(|error| {
                    format!("the redis url cannot be read: {}", error.category())
                })?;
                Source::Single(Box::new(client))
            }
        };
        Ok(Self { source, connection: AsyncMutex::new(None), failed: Mutex::new(None) })
    }

    /// Runs all commands of `pipe` in one round trip.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        pipe: &redis::Pipeline,
    ) -> Result<T, Unreachable> {
        if self.failed_just_now() {
            return Err(Unreachable("unreachable a moment ago".to_owned()));
        }
        let call = async {
            let mut connection = self.connection().await?;
            pipe.query_async(&mut connection).await
        };
        let result = tokio::time::timeout(PATIENCE, call).await;
        let error = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        // Also after a refusal: a demoted master answers READONLY and must be left.
        *self.connection.lock().await = None;
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Err(Unreachable(error))
    }

    /// Messages of a channel until the connection ends.
    pub(crate) async fn subscribe(&self, channel: &str) -> Result<Messages, Unreachable> {
        let subscribe = async {
            let mut listener = self.client().await?.get_async_pubsub().await?;
            listener.subscribe(channel).await?;
            Ok::<_, redis::RedisError>(listener)
        };
        match tokio::time::timeout(PATIENCE * 4, subscribe).await {
            Ok(Ok(listener)) => {
                let texts = listener
                    .into_on_message()
                    .filter_map(|message| async move { message.get_payload::<String>().ok() });
                Ok(texts.boxed())
            }
            Ok(Err(error)) => Err(Unreachable(error.to_string())),
            Err(_) => Err(Unreachable("no answer in time".to_owned())),
        }
    }

    fn failed_just_now(&self) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|moment| moment.elapsed() < PAUSE_AFTER_FAILURE)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, redis::RedisError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let connection = self.client().await?.get_multiplexed_async_connection().await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    async fn client(&self) -> Result<Client, redis::RedisError> {
        match &self.source {
            Source::Single(client) => Ok(Client::clone(client)),
            Source::Sentinel(sentinel) => sentinel.lock().await.async_get_client().await,
        }
    }
}

/// `[user:password@]host:port[,host:port…]/master[/db]`
fn sentinel(rest: &str) -> Result<SentinelClient, String> {
    const FORM: &str =
        "allowed: redis+sentinel://[user:password@]host:port[,host:port]/master[/db]";
    let (account, places) = rest.rsplit_once('@').map_or((None, rest), |(a, p)| (Some(a), p));
    let mut parts = places.split('/');
    let hosts = parts.next().unwrap_or_default();
    let master = parts.next().filter(|name| !name.is_empty()).ok_or(FORM)?;
    let mut addresses = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = host.rsplit_once(':').ok_or(FORM)?;
        let port = port.parse().map_err(|_| FORM)?;
        addresses.push(ConnectionAddr::Tcp(name.to_owned(), port));
    }
    let build = |error: redis::RedisError| error.category().to_owned();
    let mut builder =
        SentinelClientBuilder::new(addresses, master, SentinelServerType::Master).map_err(build)?;
    if let Some(db) = parts.next() {
        builder = builder.set_client_to_redis_db(db.parse().map_err(|_| FORM)?);
    }
    if let Some((user, password)) = account.and_then(|account| account.split_once(':')) {
        if !user.is_empty() {
            builder = builder.set_client_to_redis_username(user);
        }
        builder = builder.set_client_to_redis_password(password);
    }
    builder.build().map_err(build)
}
