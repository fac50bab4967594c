//! The servers of a deployment, which belong to the harness, so that it may kill them.

use crate::stores::{Deployment, Postgres, Redis, Stores};

pub(super) struct Servers {
    pub(super) deployment: Deployment,
    pub(super) postgres: Option<Postgres>,
    pub(super) redis: Option<Redis>,
}

impl Servers {
    pub(super) async fn start(deployment: Deployment) -> Self {
        let mut servers = Self { deployment, postgres: None, redis: None };
        if deployment != Deployment::Embedded {
            servers.postgres = Some(Postgres::start_private().await);
        }
        if deployment == Deployment::Distributed {
            servers.redis = Some(Redis::start_append_only().await);
        }
        servers
    }

    /// Empty stores of one run on them.
    pub(super) async fn stores(&self) -> Stores {
        let mut stores = Deployment::Embedded.fresh().await;
        stores.deployment = self.deployment;
        if let Some(postgres) = &self.postgres {
            stores.database_url = postgres.fresh_database().await;
        }
        stores.redis_url = self.redis.as_ref().map(Redis::url);
        stores
    }

    pub(super) fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().expect("the recipe runs where there is a PostgreSQL")
    }

    pub(super) fn redis(&self) -> &Redis {
        self.redis.as_ref().expect("the recipe runs where there is a Redis")
    }
}
