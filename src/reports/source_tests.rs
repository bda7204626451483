//! Limits, unpacking and encodings of the byte source.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn read(bytes: Vec<u8>, max: u64) -> io::Result<String> {
    let mut out = String::new();
    prepare(Cursor::new(bytes), max)?.0.read_to_string(&mut out)?;
    Ok(out)
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

#[test]
fn utf16_in_either_order_with_or_without_a_mark_becomes_utf8() {
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        assert_eq!(read(utf16("\u{feff}<a>ä€😀</a>", order), 100).unwrap(), "<a>ä€😀</a>");
        assert_eq!(read(utf16("<a/>", order), 100).unwrap(), "<a/>");
    }
    assert_eq!(read(b"\xef\xbb\xbf<a/>".to_vec(), 100).unwrap(), "<a/>");
}

#[test]
fn broken_utf16_does_not_stop_the_reading() {
    let mut bytes = vec![0xff, 0xfe, 0x00, 0xd8, b'x', 0, 0x00, 0xdc];
    bytes.push(b'y');
    assert_eq!(read(bytes, 100).unwrap().chars().filter(|&c| c == 'x').count(), 1);
}

#[test]
fn gzip_is_unpacked_and_limited_by_what_comes_out() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&vec![b'a'; 1_000_000]).unwrap();
    let packed = packer.finish().unwrap();
    assert_eq!(read(packed.clone(), 1_000_000).unwrap().len(), 1_000_000);
    assert_eq!(read(packed, 999_999).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}

#[test]
fn the_limit_is_exact() {
    assert_eq!(read(b"12345".to_vec(), 5).unwrap(), "12345");
    assert_eq!(read(b"123456".to_vec(), 5).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}
