#![no_main]
//! What a running suite prints: counters stay within what was announced; causes, headlines and cuts survive any text.

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::domain::cause::blame;
use portcullis_fuzz::domain::progress::{Progress, dots};
use portcullis_fuzz::domain::text::{cut, headline, plain, plain_line};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut progress = Progress::default();
    for line in text.lines() {
        progress.read_line(line);
        let shown = progress.with_dots(dots(line.as_bytes()));
        if progress.total > 0 {
            assert!(shown.completed <= progress.total && shown.failed <= shown.completed);
        }
    }
    let said = blame(&text).map_or(0, |blame| blame.said.chars().count());
    assert!(said < 1000);
    assert!(cut(headline(&plain(&text)), 140).chars().count() <= 140);
    assert!(!plain_line(&text).contains(['\u{1b}', '\n']));
});
