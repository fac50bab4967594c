//! What is killed, and when, while the terminals sell.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::app::TestApp;
use tests::stores::{Deployment, Postgres, Redis, Stores};

/// Servers that only this test uses, so that it may kill them.
pub(super) struct Private {
    deployment: Deployment,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

/// How often each thing was done.
#[derive(Debug, Default)]
pub(super) struct Struck {
    pub(super) workers_killed: u32,
    pub(super) apis_killed: u32,
    pub(super) redis_killed: u32,
    pub(super) redis_emptied: u32,
    pub(super) postgres_restarted: u32,
}

impl Private {
    pub(super) async fn start(deployment: Deployment) -> Self {
        let (mut postgres, mut redis) = (None, None);
        if deployment != Deployment::Embedded {
            postgres = Some(Postgres::start_private().await);
        }
        if deployment == Deployment::Distributed {
            redis = Some(Redis::start_private().await);
        }
        Self { deployment, postgres, redis }
    }

    pub(super) async fn stores(&self) -> Stores {
        let mut stores = Deployment::Embedded.fresh().await;
        stores.deployment = self.deployment;
        if let Some(postgres) = &self.postgres {
            stores.database_url = postgres.fresh_database().await;
        }
        stores.redis_url = self.redis.as_ref().map(Redis::url);
        stores
    }

    /// Kills one thing after another until the terminals are done.
    pub(super) async fn strike(&self, app: &mut TestApp, over: &AtomicBool) -> Struck {
        let mut random = StdRng::seed_from_u64(7);
        let mut struck = Struck::default();
        let mut round = 0;
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(random.random_range(200..700))).await;
            // The first rounds go through all of them, so that a short run proves each.
            let choice = if round < 5 { round } else { random.random_range(0..5) };
            round += 1;
            match choice {
                0 => {
                    let number = random.random_range(0..app.workers.len());
                    app.workers[number].kill9();
                    app.restart_worker(number);
                    struck.workers_killed += 1;
                }
                1 => {
                    app.apis[0].kill9();
                    app.restart_api(0).await;
                    struck.apis_killed += 1;
                }
                2 => {
                    let Some(redis) = &self.redis else { continue };
                    redis.kill9();
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    redis.start().await;
                    struck.redis_killed += 1;
                }
                3 => {
                    let Some(redis) = &self.redis else { continue };
                    redis.flush();
                    struck.redis_emptied += 1;
                }
                _ => {
                    let Some(postgres) = &self.postgres else { continue };
                    postgres.restart_immediate().await;
                    struck.postgres_restarted += 1;
                }
            }
        }
        struck
    }
}
