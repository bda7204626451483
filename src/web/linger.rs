//! Closes a connection so that the client gets to read the answer: bytes it is still sending are read and thrown away for
//! a moment. Closing at once would make the kernel answer them with a reset, which wipes out the answer on its way.
//! A client that takes nothing of its answer for long is left: its place is for others, webhooks among them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, interval_at};

/// How long a client may go on sending after its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes thrown away per turn, so that one client cannot keep a worker busy.
const PER_TURN: usize = 256 << 10;

/// A TCP stream that closes politely.
pub(super) struct Linger {
    stream: TcpStream,
    closing: Option<Interval>,
    /// How long the client may take nothing.
    write_time: Duration,
    /// Since when it takes nothing.
    stalled: Option<Interval>,
}

impl Linger {
    pub(super) fn new(stream: TcpStream, write_time: Duration) -> Self {
        Self { stream, closing: None, write_time, stalled: None }
    }

    /// Fails what the client has not let happen for too long.
    fn watched<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.write_time;
        let stalled = self.stalled.get_or_insert_with(|| interval_at(Instant::now() + limit, limit));
        ready!(stalled.poll_tick(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads until the client closes too, or patience ends.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closing = self.closing.get_or_insert_with(|| interval_at(Instant::now() + PATIENCE, PATIENCE));
        if closing.poll_tick(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut waste = [0; 8192];
        for _ in 0..PER_TURN / waste.len() {
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Linger {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Linger {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.drain(cx)
    }
}
