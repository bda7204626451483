#![no_main]
//! Ginkgo's JSON, found and read as in a results folder.

use libfuzzer_sys::fuzz_target;
use portcullis_fuzz::read_file;

fuzz_target!(|bytes: &[u8]| read_file("report.json", bytes));
