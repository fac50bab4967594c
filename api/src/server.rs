//! The accept loop and the life of a connection: bounded in number, time and header bytes,
//! survives failed accepts, and on shutdown finishes what is running.

use crate::delivery::{Delivery, Sent};
use crate::error::ApiError;
use crate::wire::{Socket, Wire};
use crate::{State, documents, feed, observe, router};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::future::{BoxFuture, FutureExt};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::TRANSFER_ENCODING;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

const MAX_URI_BYTES: usize = 8 * 1024;
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// After a failed accept (no file descriptors left, as a rule) it takes a moment for one to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Unread bytes are swallowed for so long after the last answer, so that closing does not reset
/// the connection before the peer has read it.
const LINGER: Duration = Duration::from_secs(1);
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves the API on `listener` until `shutdown` fires and running requests have finished, or
/// their grace has passed.
///
/// # Errors
/// If the listener has no address: it was never bound.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(server.address = %address, "the API listens");
    let connections = TaskTracker::new();
    let aborted = CancellationToken::new();
    let room = Arc::new(Semaphore::new(state.settings.max_connections));
    let state = State { stopping: shutdown.clone(), ..state };
    let feed = tokio::spawn(feed::keep(state.clone()));
    let sweep = tokio::spawn(documents::sweep::keep(state.clone()));
    let service = router(state.clone());
    let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            _ = upkeep.tick() => { state.metrics.run_upkeep(); continue }
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let connection = connection(stream, peer, service.clone(), state.clone(), shutdown.clone());
        let aborted = aborted.clone();
        connections.spawn(async move {
            aborted.run_until_cancelled(connection).await;
            drop(permit);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(state.settings.shutdown_grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off by the shutdown");
        aborted.cancel();
        connections.wait().await;
    }
    feed.abort();
    sweep.abort();
    state.marking.close();
    state.marking.wait().await;
    Ok(())
}

/// The next connection, once there is room for it; `None` after a failed accept.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: axum::Router,
    state: State,
    shutdown: CancellationToken,
) {
    // Answers are small: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let wire = Wire::new();
    let socket = Socket::new(stream, wire.clone(), &state.settings);
    let service = hyper::service::service_fn(move |request| {
        let head = wire.begin();
        handle(request, head, Peer(peer), router.clone(), wire.clone())
    });
    // The socket keeps the time, because the HTTP layer knows no pause between two requests. The
    // start line shares the header's buffer, hence the sum.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEADER_BYTES + MAX_URI_BYTES)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(socket), service);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, client.address = %peer, "a connection broke");
                }
                break;
            }
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    linger(connection.into_parts().io.into_inner().into_stream()).await;
}

/// One request: limits on its head, then the routes, then an answer that knows when it has left.
fn handle(
    request: Request<Incoming>,
    head: Vec<u8>,
    peer: Peer,
    router: axum::Router,
    wire: Wire,
) -> BoxFuture<'static, Result<Response<Sent>, std::convert::Infallible>> {
    async move {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let response = match check_head(&request, &head) {
            Ok(()) => router.oneshot(request).await.into_response(),
            Err(refusal) => observe::refuse(refusal),
        };
        let (mut parts, body) = response.into_parts();
        let delivery = parts.extensions.remove::<Delivery>();
        Ok(Response::from_parts(parts, Sent::new(body, wire, delivery)))
    }
    .boxed()
}

fn check_head(request: &Request<Body>, head: &[u8]) -> Result<(), ApiError> {
    let mut transfers = request.headers().get_all(TRANSFER_ENCODING).iter();
    let transfer = (transfers.next(), transfers.next());
    if content_lengths(head) > usize::from(transfer.0.is_none()) {
        return Err(ApiError::TwoLengths);
    }
    match transfer {
        (None, _) => {}
        (Some(only), None) if only.as_bytes().eq_ignore_ascii_case(b"chunked") => {}
        _ => return Err(ApiError::UnsupportedTransfer),
    }
    let uri = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if uri > MAX_URI_BYTES {
        return Err(ApiError::UriTooLong);
    }
    let line = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    if request.headers().iter().map(line).sum::<usize>() > MAX_HEADER_BYTES {
        return Err(ApiError::HeadersTooLarge);
    }
    Ok(())
}

/// The HTTP layer drops a `Content-Length` beside a `Transfer-Encoding` or beside its equal, and
/// goes by the other. Something in front may have chosen differently, so one is allowed (S-27).
fn content_lengths(head: &[u8]) -> usize {
    let name = b"content-length";
    let is_blank = |line: &&[u8]| matches!(*line, b"" | b"\r");
    let lines =
        head.split(|byte| *byte == b'\n').skip_while(is_blank).take_while(|line| !is_blank(line));
    let is_length =
        |line: &&[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    lines.filter(is_length).count()
}

async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 4096];
    let swallow = async { while matches!(stream.read(&mut rest).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(LINGER, swallow).await;
}
