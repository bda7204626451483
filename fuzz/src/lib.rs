//! The readers and what they need of the domain, straight from the product's sources. Whatever else the product depends on stays out,
//! so that building with coverage takes a minute.

#[path = "../../src/reports/mod.rs"]
pub mod reports;

pub mod domain;

/// Reads bytes as the file of a results folder with this name. Files only: readers open paths, not bytes.
pub fn read_file(name: &str, bytes: &[u8]) {
    let folder = std::path::Path::new("/dev/shm").join(format!("portcullis-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("memory can be written to");
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("memory can be written to");
    for paths in [vec![path.clone()], vec![folder]] {
        let report = reports::read_paths(&paths, &reports::Limits::default());
        let counts = report.counts();
        assert_eq!(counts.total, counts.passed + counts.failed + counts.errored + counts.skipped + counts.flaky);
        let mut merged = Vec::new();
        reports::write_merged(&report, "fuzz", &mut merged).expect("memory takes it");
    }
    std::fs::remove_file(path).expect("it was written just now");
}
