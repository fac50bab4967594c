//! The only file that names apalis: a queue as a stream of claimed jobs, run by its workers.
//!
//! apalis' `Backend` is implemented directly. Its `Persisted` helper would park the worker until
//! the next heartbeat, and ends it on any error of a fetch; here an outage only pauses the stream.

use crate::claims::{Work, claims};
use crate::{Shared, attempt};
use apalis::prelude::{Backend, Monitor, RandomId, Task, WorkerBuilder, WorkerContext};
use apalis_core::backend::BackendConfig;
use apalis_core::backend::finalize::Ephemeral;
use futures::future::{BoxFuture, FutureExt};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tower::layer::util::Identity;

/// Runs one apalis worker per queue until the streams have ended.
pub(crate) async fn run(shared: &Arc<Shared>) -> Result<(), String> {
    let mut monitor = Monitor::new();
    for (queue, slots) in shared.settings.queues.clone() {
        let shared = Arc::clone(shared);
        monitor = monitor.register(move |_| {
            let stream = Stream { work: claims(Arc::clone(&shared), queue.clone(), slots) };
            let shared = Arc::clone(&shared);
            WorkerBuilder::new(format!("{}/{queue}", shared.holder)).backend(stream).build(
                move |work: Work| -> BoxFuture<'static, ()> {
                    attempt::attempt(Arc::clone(&shared), work).boxed()
                },
            )
        });
    }
    monitor.run().await.map_err(|error| error.to_string())
}

/// Claimed jobs of one queue; ends when no more are claimed.
struct Stream {
    work: mpsc::Receiver<Work>,
}

impl Backend for Stream {
    type Task = Task<Work>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<Work>, Infallible>>> {
        let work = self.work.poll_recv(cx);
        if matches!(work, Poll::Ready(None)) {
            // The end of a stream alone leaves an idle worker waiting for ever. It is running now,
            // which is the one state that `stop` asks for; jobs in hand are still waited for.
            let _ = worker.stop();
        }
        work.map(|work| work.map(|work| Ok(Task::new(work))))
    }

    /// Called once the stream has ended and no job runs. apalis waits for a stop all the same: a
    /// worker that is not told to would never end.
    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        if let Err(error) = worker.stop() {
            tracing::debug!(%error, "the worker had stopped already");
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Stream {
    type Args = Work;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
