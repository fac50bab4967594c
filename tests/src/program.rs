//! API and worker as a process of their own would run them, but inside this one: in a runtime that
//! can be made to fail at a named place (`db::failpoint`) and dropped at any await, which is for
//! the stores what `kill -9` is.

use crate::stores::Stores;
use db::failpoint::{Armed, Fault, arm};
use jobs::{Catalog, Services};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// What it runs with: short, so that a test need not wait for what takes long in earnest.
const LEASE: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_millis(500);
const DAY: Duration = Duration::from_secs(86_400);

/// A running program; killed when dropped.
pub struct Program {
    runtime: Option<Runtime>,
    /// Where its API listens.
    pub address: SocketAddr,
}

impl Program {
    /// API and worker on these stores, ready.
    pub async fn start(stores: &Stores) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let stores = stores.clone();
        let address = runtime.spawn(async move { serve(stores).await }).await.unwrap();
        Self { runtime: Some(runtime), address }
    }

    /// Makes `fault` happen at a place of this program, `times` times.
    pub fn arm(&self, place: &str, fault: Fault, times: u32) -> Armed {
        let runtime = self.runtime.as_ref().expect("it runs until it is dropped");
        arm(runtime.handle(), place, fault, times)
    }

    /// Ends it at whatever await it stands.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

async fn serve(stores: Stores) -> SocketAddr {
    let engine = stores.engine().await;
    let catalog = Arc::new(Catalog::standard());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings =
        api::Settings { wait: WAIT, requests_per_minute: 1_000_000, ..Default::default() };
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let state = api::State::new(Arc::clone(&engine), settings, metrics, None, Arc::clone(&catalog));
    tokio::spawn(api::serve(listener, state, CancellationToken::new()));
    let services = Services {
        nas: std::sync::Arc::default(),
        engine: Arc::clone(&engine),
        sales: records::ventes::Policy::default(),
        retention: queue::Retention { done: DAY, dead: DAY },
    };
    let worker = worker::Settings {
        name: "program".to_owned(),
        queues: vec![("records".to_owned(), 4)],
        lease: LEASE,
        grace: Duration::from_secs(1),
    };
    tokio::spawn(worker::run(engine, catalog, services, worker, worker::Shutdown::default()));
    address
}
