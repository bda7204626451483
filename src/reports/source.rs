//! Opens a result file as a stream of bytes: size-limited, unpacked when gzipped, UTF-16 turned into UTF-8.
//! Knows nothing of XML or JSON.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

const BUFFER: usize = 64 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A result file's bytes, ready for a reader.
pub(super) type Source = Box<dyn BufRead>;

/// Opens `path`. At most `max` bytes are read, after unpacking; one more is an error. The cell counts them.
pub(super) fn open(path: &Path, max: u64) -> io::Result<(Source, Rc<Cell<u64>>)> {
    // Asked before opening: opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    prepare(BufReader::with_capacity(BUFFER, File::open(path)?), max)
}

/// The same for bytes that are at hand already.
fn prepare(mut raw: impl BufRead + 'static, max: u64) -> io::Result<(Source, Rc<Cell<u64>>)> {
    let count = Rc::new(Cell::new(0));
    let source = if raw.fill_buf()?.starts_with(&GZIP) {
        let unpacked = BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw));
        text(Limited { inner: unpacked, max, count: Rc::clone(&count) })?
    } else {
        text(Limited { inner: raw, max, count: Rc::clone(&count) })?
    };
    Ok((source, count))
}

/// Removes a byte order mark and decodes UTF-16.
fn text(mut bytes: impl BufRead + 'static) -> io::Result<Source> {
    let start = bytes.fill_buf()?;
    let (skip, order) = match start {
        [0xef, 0xbb, 0xbf, ..] => (3, None),
        [0xff, 0xfe, ..] => (2, Some(Order::Little)),
        [0xfe, 0xff, ..] => (2, Some(Order::Big)),
        [b'<' | b'[' | b'{', 0, ..] => (0, Some(Order::Little)),
        [0, b'<' | b'[' | b'{', ..] => (0, Some(Order::Big)),
        _ => (0, None),
    };
    bytes.consume(skip);
    Ok(match order {
        None => Box::new(bytes),
        Some(order) => {
            Box::new(BufReader::with_capacity(BUFFER, Utf16 { inner: bytes, order, high: None, out: Vec::new() }))
        }
    })
}

/// Counts, and fails when more than `max` bytes come.
struct Limited<R> {
    inner: R,
    max: u64,
    count: Rc<Cell<u64>>,
}

fn too_large(max: u64) -> io::Error {
    let limit = match (max >> 20, max % (1 << 20)) {
        (mebibytes @ 1.., 0) => format!("{mebibytes} MiB"),
        _ => format!("{max} bytes"),
    };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than the limit of {limit}"))
}

impl<R: BufRead> BufRead for Limited<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let buffer = self.inner.fill_buf()?;
        let most = usize::try_from(self.max - self.count.get()).unwrap_or(usize::MAX);
        if !buffer.is_empty() && most == 0 {
            return Err(too_large(self.max));
        }
        Ok(&buffer[..buffer.len().min(most)])
    }

    fn consume(&mut self, amount: usize) {
        self.count.set((self.count.get() + amount as u64).min(self.max));
        self.inner.consume(amount);
    }
}

impl<R: BufRead> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// UTF-16 to UTF-8. Half a pair becomes U+FFFD.
struct Utf16<R> {
    inner: R,
    order: Order,
    /// The first half of a surrogate pair.
    high: Option<u16>,
    /// UTF-8 bytes that did not fit the caller's buffer, last first.
    out: Vec<u8>,
}

impl<R: Read> Utf16<R> {
    fn unit(&mut self) -> io::Result<Option<u16>> {
        let mut pair = [0; 2];
        match self.inner.read_exact(&mut pair) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Some(match self.order {
            Order::Little => u16::from_le_bytes(pair),
            Order::Big => u16::from_be_bytes(pair),
        }))
    }

    /// Puts the next character's bytes into `out`. False at the end.
    fn next_char(&mut self) -> io::Result<bool> {
        let Some(unit) = self.unit()? else {
            let half = self.high.take().is_some();
            half.then(|| self.push(char::REPLACEMENT_CHARACTER));
            return Ok(half);
        };
        match (self.high.take(), unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                let code = 0x1_0000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00);
                self.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (before, 0xd800..=0xdbff) => {
                self.high = Some(unit);
                if before.is_some() {
                    self.push(char::REPLACEMENT_CHARACTER);
                }
            }
            (before, _) => {
                self.push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER));
                if before.is_some() {
                    self.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        Ok(true)
    }

    fn push(&mut self, c: char) {
        let mut bytes = [0; 4];
        self.out.extend(c.encode_utf8(&mut bytes).bytes().rev());
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < into.len() {
            match self.out.pop() {
                Some(byte) => {
                    into[written] = byte;
                    written += 1;
                }
                None if self.next_char()? => {}
                None => break,
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
