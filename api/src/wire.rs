//! One connection's socket as the HTTP layer sees it. It closes a peer that is too slow or silent
//! for too long, and it alone decides that an answer has left whole: its last byte was handed to
//! the kernel while the peer was still there (D-12).

use crate::Settings;
use crate::delivery::Delivery;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Bytes of a head that are kept to look at: more than any head may have.
const HEAD_BYTES: usize = 32 * 1024;
/// A peer that takes no byte for so long is gone.
const WRITE_STALL: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request's head is awaited or half read.
    Head,
    /// A request is being handled; its body has a deadline of its own.
    Busy,
    /// Between requests.
    Idle,
}

/// What the socket, the service and the answer's body of one connection tell each other.
#[derive(Clone)]
pub(crate) struct Wire {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    phase: Phase,
    /// Grows with every change of phase, so that each has a full time allowance.
    epoch: u64,
    /// Whether the answer's body has ended, so that the next flush ends the request.
    answered: bool,
    /// What came since the last request, to see a head as it was sent.
    head: Vec<u8>,
    /// Answers whose body has ended but whose bytes may not have left yet.
    leaving: Vec<Delivery>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            phase: Phase::Head,
            epoch: 1,
            answered: false,
            head: Vec::new(),
            leaving: Vec::new(),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// A request's head is complete; returns it as it was sent, perhaps with more behind it.
    pub(crate) fn begin(&self) -> Vec<u8> {
        let mut shared = self.lock();
        shared.answered = false;
        shared.enter(Phase::Busy);
        std::mem::take(&mut shared.head)
    }

    /// The answer's body has ended. `whole` is its delivery if every byte of it was taken.
    pub(crate) fn end(&self, whole: Option<Delivery>) {
        let mut shared = self.lock();
        shared.answered = true;
        shared.leaving.extend(whole);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.epoch += 1;
        }
    }
}

/// The stream and its deadlines.
pub(crate) struct Socket {
    stream: TcpStream,
    wire: Wire,
    header_timeout: Duration,
    keep_alive: Duration,
    reading: Pin<Box<Sleep>>,
    armed: u64,
    writing: Option<Pin<Box<Sleep>>>,
    /// The peer had hung up before some byte of an answer was handed over.
    left: bool,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, wire: Wire, settings: &Settings) -> Self {
        Self {
            stream,
            wire,
            header_timeout: settings.header_timeout,
            keep_alive: settings.keep_alive,
            reading: Box::pin(sleep(settings.header_timeout)),
            armed: 0,
            writing: None,
            left: false,
        }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Nothing to read: is the peer still within its time?
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (phase, epoch) = {
            let shared = self.wire.lock();
            (shared.phase, shared.epoch)
        };
        let allowance = match phase {
            Phase::Head => self.header_timeout,
            Phase::Idle => self.keep_alive,
            Phase::Busy => return Poll::Pending,
        };
        if self.armed != epoch {
            self.armed = epoch;
            self.reading.as_mut().reset(Instant::now() + allowance);
        }
        self.reading.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Progress ends a stall; a stall of [`WRITE_STALL`] ends the connection.
    fn poll_stall(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let stall = self.writing.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        stall.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the peer has closed the connection, as far as the kernel knows by now. Asked before
    /// a write: a peer that closes after the last byte may well have read it.
    fn is_closed(&mut self, cx: &mut Context<'_>) -> bool {
        !matches!(self.poll_peek(cx), Poll::Pending | Poll::Ready(Ok(1)))
    }

    /// Whether the peer has refused bytes that were handed over.
    fn is_reset(&mut self, cx: &mut Context<'_>) -> bool {
        matches!(self.poll_peek(cx), Poll::Ready(Err(_)))
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.stream.poll_peek(cx, &mut ReadBuf::new(&mut [0]))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if read.is_pending() {
            return this.poll_patience(cx);
        }
        let mut shared = this.wire.lock();
        let new = buf.filled().get(before..).unwrap_or_default();
        if !new.is_empty() && shared.phase == Phase::Idle {
            shared.enter(Phase::Head);
        }
        if shared.phase == Phase::Head && shared.head.len() < HEAD_BYTES {
            shared.head.extend_from_slice(new);
        }
        drop(shared);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.left |= this.is_closed(cx);
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.poll_stall(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.left |= this.is_closed(cx);
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.poll_stall(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The HTTP layer flushes only when it has written everything it holds, so the first flush
    /// after a body's end is the moment its last byte was handed over.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        std::task::ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        let leaving = {
            let mut shared = this.wire.lock();
            if std::mem::take(&mut shared.answered) {
                shared.enter(Phase::Idle);
            }
            std::mem::take(&mut shared.leaving)
        };
        if !leaving.is_empty() && !this.left && !this.is_reset(cx) {
            leaving.iter().for_each(Delivery::fire);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
