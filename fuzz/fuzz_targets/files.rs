#![no_main]
//! Result files of unknown kind: packed, in UTF-16, XML or JSON. The first byte chooses the name, for names decide what is looked for.

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::read_file;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let names = ["junit.xml", "junit.xml.gz", "report.json", "report.json.gz", "results"];
    read_file(names[usize::from(*choice) % names.len()], rest);
});
