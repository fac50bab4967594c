//! Rings carried by `NOTIFY`, always after the commit and never inside it: a `NOTIFY` in a
//! transaction makes its commit wait for every other notifying commit.

use super::{Bell, Carrier, Gathered, Message};
use async_trait::async_trait;
use db::{Db, Sql, args};
use sqlx::postgres::{PgListener, PgPool};
use std::sync::{Arc, Weak};
use std::time::Duration;
use uuid::Uuid;

const CHANNEL: &str = "relais";
/// A notification holds 8 000 bytes; an id takes 39 of them.
const DONE_PER_MESSAGE: usize = 150;

#[derive(Clone)]
pub(crate) struct Notifier {
    db: Db,
    id: Uuid,
}

/// Starts to ring other processes and to hear them.
pub(crate) fn start(bell: &Arc<Bell>, db: &Db, pool: &PgPool) {
    bell.start(Box::new(hear_beside(bell, db, pool)));
}

/// Starts to hear other processes; what is returned rings them.
pub(crate) fn hear_beside(bell: &Arc<Bell>, db: &Db, pool: &PgPool) -> Notifier {
    tokio::spawn(listen(Arc::downgrade(bell), pool.clone()));
    Notifier { db: db.clone(), id: bell.id }
}

#[async_trait]
impl Carrier for Notifier {
    async fn carry(&self, gathered: &Gathered) -> Result<(), String> {
        static NOTIFY: Sql =
            Sql::both("SELECT count(pg_notify('relais', payload)) FROM unnest($1) AS payload");
        let payloads: Vec<String> = gathered
            .messages(self.id, DONE_PER_MESSAGE)
            .iter()
            .filter_map(|message| serde_json::to_string(message).ok())
            .collect();
        self.db.write(&NOTIFY, args![payloads]).await.map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Hears until the bell is gone; every (re)connection counts as a ring for everybody.
async fn listen(bell: Weak<Bell>, pool: PgPool) {
    while bell.strong_count() > 0 && !pool.is_closed() {
        let connected = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match connected.await {
            Ok(listener) => hear(&bell, listener).await,
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

async fn hear(bell: &Weak<Bell>, mut listener: PgListener) {
    if let Some(bell) = bell.upgrade() {
        bell.hear_everything();
    }
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(5), listener.try_recv()).await;
        let Some(bell) = bell.upgrade() else { return };
        match heard {
            Ok(Ok(Some(notification))) => {
                if let Ok(message) = serde_json::from_str::<Message>(notification.payload()) {
                    bell.hear(&message);
                }
            }
            // The connection was lost and is back: rings may have passed meanwhile.
            Ok(Ok(None)) => bell.hear_everything(),
            Ok(Err(_)) => return,
            Err(_) => {}
        }
    }
}
