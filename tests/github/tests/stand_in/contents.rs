//! Files and archives.

use std::io::Read;

use base64::Engine;
use http_body_util::BodyExt;
use portcullis_github::Files;

use crate::support::{Http, scene};

const NESTED: &str = "/repos/acme/infra/contents/.github/portcullis.yaml";

#[tokio::test]
async fn a_nested_file_is_answered_as_json_and_raw() {
    let scene = scene().await;
    let answer = scene.http.get(NESTED).await.expect(200);
    let encoded = answer["content"].as_str().unwrap().replace('\n', "");
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(), b"suites: []\n");
    assert_eq!(answer["path"], ".github/portcullis.yaml");
    let raw = scene.http.clone().with("accept", "application/vnd.github.raw+json");
    let answer = raw.get(&format!("{NESTED}?ref={}", scene.base)).await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"suites: []\n"[..]));
    // Percent-encoded slashes mean the same.
    raw.get("/repos/acme/infra/contents/.github%2Fportcullis.yaml").await;
    assert_eq!(raw.get("/repos/acme/infra/contents/.github%2Fportcullis.yaml").await.body, answer.body);
}

#[tokio::test]
async fn folders_are_lists_and_missing_things_are_404() {
    let scene = scene().await;
    let list = scene.http.get("/repos/acme/infra/contents/").await.expect(200);
    let names: Vec<&str> = list.as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert_eq!(names, [".github", "app"]);
    assert_eq!(list[0]["type"], "dir");
    scene.http.get("/repos/acme/infra/contents/nothing.yaml").await.expect(404);
    scene.http.get(&format!("{NESTED}?ref=nowhere")).await.expect(404);
    let tree = scene.http.get("/repos/acme/infra/git/trees/main?recursive=1").await.expect(200);
    assert_eq!(tree["tree"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn links_are_answered_with_what_they_point_to() {
    let scene = scene().await;
    scene
        .repo
        .commit("main", Files::new().symlink("app/link", "../.github/portcullis.yaml").symlink("away", "/etc/passwd"));
    assert_eq!(scene.http.get("/repos/acme/infra/contents/app/link").await.expect(200)["type"], "file");
    let away = scene.http.get("/repos/acme/infra/contents/away").await.expect(200);
    assert_eq!((away["type"].as_str(), away["target"].as_str()), (Some("symlink"), Some("/etc/passwd")));
}

/// Path, mode and contents (or link target) of every entry.
fn unpack(bytes: &[u8]) -> Vec<(String, u32, String)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mode = entry.header().mode().unwrap();
        let link = entry.link_name().unwrap().map(|target| target.display().to_string());
        let mut contents = String::new();
        entry.read_to_string(&mut contents).unwrap();
        found.push((path, mode, link.unwrap_or(contents)));
    }
    found
}

#[tokio::test]
async fn octocrab_follows_to_an_archive_laid_out_like_gits() {
    let scene = scene().await;
    let sha = scene.repo.commit("main", Files::new().executable("run.sh", "exit 0\n").symlink("link", "run.sh"));
    let octocrab = scene.octocrab();
    let response = octocrab.repos("acme", "infra").download_tarball(sha.clone()).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let entries = unpack(&bytes);
    let top = format!("acme-infra-{}", &sha[..7]);
    let file = |path: &str| entries.iter().find(|(known, _, _)| *known == format!("{top}/{path}")).unwrap();
    assert_eq!((file("run.sh").1, file("run.sh").2.as_str()), (0o775, "exit 0\n"));
    assert_eq!((file("app/deploy.yaml").1, file("app/deploy.yaml").2.as_str()), (0o664, "replicas: 1\n"));
    assert_eq!(file("link").2, "run.sh");
    assert!(entries.iter().skip(1).all(|(path, _, _)| path.starts_with(&top)), "{entries:?}");
}

#[tokio::test]
async fn the_redirects_ticket_is_short_lived_and_for_one_commit() {
    let scene = scene().await;
    let answer = scene.http.get("/repos/acme/infra/tarball/main").await;
    assert_eq!(answer.status, 302);
    let location = answer.header("location").to_owned();
    let anybody = Http::new(scene.github.url(), None);
    let archive = anybody.get(&location).await;
    assert_eq!((archive.status.as_u16(), archive.header("content-type")), (200, "application/x-gzip"));
    let comment = format!("52 comment={}\n", scene.base);
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&archive.body[..]).read_to_end(&mut plain).unwrap();
    assert!(plain.windows(comment.len()).any(|window| window == comment.as_bytes()));
    let elsewhere = location.replace(&scene.base, &scene.pr.head_sha());
    anybody.get(&elsewhere).await.expect(404);
    scene.github.skip_time(std::time::Duration::from_secs(301));
    anybody.get(&location).await.expect(404);
}

#[tokio::test]
async fn forged_archives_are_served_as_they_are() {
    let scene = scene().await;
    scene.repo.forge_archive(&scene.base, "not gzip");
    let location = scene.http.get(&format!("/repos/acme/infra/tarball/{}", scene.base)).await;
    assert_eq!(scene.http.get(location.header("location")).await.body, "not gzip");
}
