//! A bounded pipe between blocking code and async streams, so that an archive passes through without being held in memory.
//! Whoever stops first ends the other side: nothing waits for ever.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream;
use tokio::sync::mpsc;

/// Bytes that travel at once. Docker's and hyper's own buffers are of this order.
const CHUNK: usize = 64 * 1024;
const CHUNKS_IN_FLIGHT: usize = 16;

/// The blocking end that writes.
pub struct ByteWriter {
    chunk: BytesMut,
    to: mpsc::Sender<io::Result<Bytes>>,
}

/// A writer for a blocking thread and the stream it feeds.
pub fn byte_writer() -> (ByteWriter, impl Stream<Item = io::Result<Bytes>> + Send + 'static) {
    let (to, mut from) = mpsc::channel(CHUNKS_IN_FLIGHT);
    (ByteWriter { chunk: BytesMut::with_capacity(CHUNK), to }, stream::poll_fn(move |cx| from.poll_recv(cx)))
}

impl ByteWriter {
    /// Breaks the stream off with an error, so that its reader does not take what came so far for the whole.
    pub fn abort(self, why: io::Error) {
        // The reader may be gone already, which is as good.
        let _gone = self.to.blocking_send(Err(why));
    }

    fn send(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.chunk, BytesMut::with_capacity(CHUNK)).freeze();
        self.to.blocking_send(Ok(full)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for ByteWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let fits = buffer.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&buffer[..fits]);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() { Ok(()) } else { self.send() }
    }
}

/// The blocking end that reads.
pub struct ByteReader {
    rest: Bytes,
    from: mpsc::Receiver<io::Result<Bytes>>,
}

/// A reader for a blocking thread and the sender that feeds it.
pub fn byte_reader() -> (mpsc::Sender<io::Result<Bytes>>, ByteReader) {
    let (to, from) = mpsc::channel(CHUNKS_IN_FLIGHT);
    (to, ByteReader { rest: Bytes::new(), from })
}

impl Read for ByteReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.from.blocking_recv() {
                Some(next) => self.rest = next?,
                None => return Ok(0),
            }
        }
        let fits = buffer.len().min(self.rest.len());
        buffer[..fits].copy_from_slice(&self.rest.split_to(fits));
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn everything_written_arrives_and_an_abort_is_seen() {
        let (mut writer, mut stream) = byte_writer();
        let sent = tokio::task::spawn_blocking(move || {
            writer.write_all(&[7; 3 * CHUNK + 5]).unwrap();
            writer.flush().unwrap();
            writer.abort(io::Error::other("bomb"));
        });
        let mut total = 0;
        let mut end = None;
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(bytes) => total += bytes.len(),
                Err(error) => end = Some(error.to_string()),
            }
        }
        sent.await.unwrap();
        assert_eq!((total, end.as_deref()), (3 * CHUNK + 5, Some("bomb")));
    }

    #[tokio::test]
    async fn a_reader_that_leaves_ends_the_writer() {
        let (mut writer, stream) = byte_writer();
        drop(stream);
        let error = tokio::task::spawn_blocking(move || writer.write_all(&[0; 2 * CHUNK]).unwrap_err()).await.unwrap();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_blocking_reader_sees_the_stream() {
        let (to, mut reader) = byte_reader();
        let read = tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        to.send(Ok(Bytes::from_static(b"ab"))).await.unwrap();
        to.send(Ok(Bytes::from_static(b"c"))).await.unwrap();
        drop(to);
        assert_eq!(read.await.unwrap().unwrap(), b"abc");
    }
}
