//! What is handed in for certification: the conformance image's own log and report, with the papers to fill in, as one archive in the
//! results folder. Blocking.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// The archive inside the results folder.
const ARCHIVE: &str = "submission.tar.gz";
const LOG: &str = "e2e.log";
const REPORT: &str = "junit_01.xml";
const PRODUCT: &str = include_str!("../../../suites/conformance/submission/PRODUCT.yaml");
const README: &str = include_str!("../../../suites/conformance/submission/README.md");
/// Lines of the log in which its version is looked for.
const FIRST_LINES: usize = 10_000;

/// Packs `v1.34/{README.md,PRODUCT.yaml,e2e.log,junit_01.xml}`. Gives what is missing for that, if anything is.
pub(super) fn pack(results: &Path) -> io::Result<Option<String>> {
    if results.join(ARCHIVE).is_dir() {
        return Ok(Some(format!("no submission can be made: the suite left a folder named {ARCHIVE}")));
    }
    for name in [LOG, REPORT] {
        if !results.join(name).is_file() {
            return Ok(Some(format!("no submission can be made: the suite left no {name}")));
        }
    }
    let Some(version) = version(&results.join(LOG))? else {
        return Ok(Some(format!("no submission can be made: {LOG} does not say the version of its tests")));
    };
    let mut tar = Builder::new(GzEncoder::new(File::create(results.join(ARCHIVE))?, Compression::default()));
    for (name, text) in [("README.md", README), ("PRODUCT.yaml", PRODUCT)] {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, format!("{version}/{name}"), text.as_bytes())?;
    }
    for name in [LOG, REPORT] {
        tar.append_path_with_name(results.join(name), format!("{version}/{name}"))?;
    }
    tar.into_inner()?.finish()?.flush()?;
    Ok(None)
}

/// `v1.34` of `e2e test version: v1.34.4`.
fn version(log: &Path) -> io::Result<Option<String>> {
    const SAYS: &str = "e2e test version: ";
    for line in BufReader::new(File::open(log)?).split(b'\n').take(FIRST_LINES) {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let said = line.split_once(SAYS).map(|(_, version)| version.trim().splitn(3, '.').take(2).collect::<Vec<_>>());
        if let Some([major, minor]) = said.as_deref()
            && major.trim_start_matches('v').parse::<u32>().is_ok()
            && minor.parse::<u32>().is_ok()
        {
            return Ok(Some(format!("{major}.{minor}")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_handed_in_lies_in_a_folder_of_its_version() {
        let folder = tempfile::tempdir().unwrap();
        assert!(pack(folder.path()).unwrap().unwrap().contains("no e2e.log"));
        let log = "I1121 10:00:00.1 e2e.go:245] e2e test version: v1.34.4\nSUCCESS!\n";
        std::fs::write(folder.path().join(LOG), log).unwrap();
        std::fs::write(folder.path().join(REPORT), "<testsuites/>").unwrap();
        assert_eq!(pack(folder.path()).unwrap(), None);
        let file = File::open(folder.path().join(ARCHIVE)).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let mut names = Vec::new();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            assert!(!text.is_empty());
            names.push(entry.path().unwrap().display().to_string());
        }
        assert_eq!(names, ["v1.34/README.md", "v1.34/PRODUCT.yaml", "v1.34/e2e.log", "v1.34/junit_01.xml"]);
        std::fs::remove_file(folder.path().join(ARCHIVE)).unwrap();
        std::fs::create_dir(folder.path().join(ARCHIVE)).unwrap();
        assert!(pack(folder.path()).unwrap().unwrap().contains("a folder named submission.tar.gz"));
        std::fs::remove_dir(folder.path().join(ARCHIVE)).unwrap();
        std::fs::write(folder.path().join(LOG), "no version\n").unwrap();
        assert!(pack(folder.path()).unwrap().unwrap().contains("version of its tests"));
    }
}
