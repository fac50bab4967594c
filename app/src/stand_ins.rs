//! Stand-ins for roles that are not merged yet; each keeps the agreed signature, so that removing
//! this file is a change of imports.

use jobs::{Catalog, Services};
use queue::Engine;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) mod api {
    use super::*;

    pub(crate) async fn serve(
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        shutdown.cancelled().await;
        drop(listener);
        Ok(())
    }
}

pub(crate) mod worker {
    use super::*;

    #[expect(dead_code, reason = "the worker reads them")]
    pub(crate) struct Settings {
        pub(crate) name: String,
        pub(crate) queues: Vec<(String, usize)>,
        pub(crate) lease: Duration,
        pub(crate) grace: Duration,
    }

    pub(crate) async fn run(
        _engine: Arc<dyn Engine>,
        _catalog: Arc<Catalog>,
        _services: Services,
        _settings: Settings,
        shutdown: CancellationToken,
    ) -> Result<(), Infallible> {
        shutdown.cancelled().await;
        Ok(())
    }
}

pub(crate) mod scheduler {
    use super::*;

    #[expect(dead_code, reason = "the scheduler reads them")]
    #[derive(Debug)]
    pub(crate) struct Schedule {
        pub(crate) name: String,
        pub(crate) kind: String,
        pub(crate) payload: String,
        cron: String,
    }

    impl Schedule {
        pub(crate) fn new(
            name: &str,
            kind: &str,
            payload: &str,
            cron: &str,
            _zone: &str,
        ) -> Result<Self, String> {
            Ok(Self {
                name: name.to_owned(),
                kind: kind.to_owned(),
                payload: payload.to_owned(),
                cron: cron.to_owned(),
            })
        }
    }

    pub(crate) async fn run(
        _engine: Arc<dyn Engine>,
        _catalog: Arc<Catalog>,
        _schedules: Vec<Schedule>,
        shutdown: CancellationToken,
    ) -> Result<(), Infallible> {
        shutdown.cancelled().await;
        Ok(())
    }
}

pub(crate) mod seed {
    use db::Db;

    pub(crate) const DEMO: &str = "{}";

    pub(crate) async fn load(_db: &Db, _text: &str) -> Result<String, std::io::Error> {
        Err(std::io::Error::other("not merged yet"))
    }
}
