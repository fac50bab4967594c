//! Signals → tokens, handed down to every role.

use std::io;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A process that was told twice does not live longer than this.
const LAST: Duration = Duration::from_secs(5);

/// What signals say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    /// The first SIGTERM or SIGINT: no new work, running jobs may end.
    pub(crate) stop: CancellationToken,
    /// The second one: running jobs are handed back now.
    pub(crate) at_once: CancellationToken,
}

/// Listens for signals. A third one, or whatever still runs a while after the second, ends the
/// process.
pub(crate) fn on_signals() -> io::Result<Signals> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let signals = Signals::default();
    let told = signals.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = tokio::time::sleep(LAST), if told.at_once.is_cancelled() => "nothing more",
            };
            if told.at_once.is_cancelled() {
                tracing::warn!(signal = name, "ending at once");
                std::process::exit(1);
            }
            if told.stop.is_cancelled() {
                tracing::warn!(signal = name, "a second signal: running jobs are handed back");
                told.at_once.cancel();
                continue;
            }
            tracing::info!(signal = name, "stopping: no new work, running jobs may end");
            told.stop.cancel();
        }
    });
    Ok(signals)
}
