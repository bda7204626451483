//! What each method of the port brings back.

use portcullis::adapters::github::{CallKind, Timeouts};
use portcullis::ports::{Forge, ForgeError, Mergeability, Permission};
use portcullis_github::{Files, Permission as Role, PrSpec};

use super::{REPO, repo, sha, start, status, token, with, with_token};

#[tokio::test]
async fn a_pull_request_as_the_gate_needs_it() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    let labels = vec!["bug".to_owned(), "ready-to-test".to_owned()];
    let pr = project.open_pr(PrSpec { author: "alice".to_owned(), labels: labels.clone(), ..PrSpec::default() });
    let github = with_token(&stand_in);

    let read = github.pull_request(&repo(), pr.number()).await.unwrap();
    assert_eq!((read.number, read.is_open, read.is_draft, read.author.as_str()), (pr.number(), true, false, "alice"));
    assert_eq!(
        (read.head.as_str(), read.base.as_str(), read.base_ref.as_str()),
        (&*pr.head_sha(), &*pr.base_sha(), "main")
    );
    assert_eq!(read.labels, labels);
    assert_eq!(read.mergeability, Mergeability::Merges(sha(&pr.merge_sha().unwrap())));

    let moved = project.commit("main", [("elsewhere", "1")]);
    assert_eq!(github.pull_request(&repo(), pr.number()).await.unwrap().base.as_str(), moved, "the branch's tip");

    drop(pr.convert_to_draft("alice"));
    assert!(github.pull_request(&repo(), pr.number()).await.unwrap().is_draft);
    drop(pr.close("alice"));
    assert!(!github.pull_request(&repo(), pr.number()).await.unwrap().is_open);
}

#[tokio::test]
async fn mergeability_is_unknown_until_github_knows() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    project.commit("main", [("a.txt", "one\n")]);
    let files = Files::new().file("a.txt", "two\n");
    stand_in.delay_mergeability(1);
    let pr = project.open_pr(PrSpec { files, ..PrSpec::default() });
    let github = with_token(&stand_in);
    let ask = async || github.pull_request(&repo(), pr.number()).await.unwrap().mergeability;
    assert_eq!(ask().await, Mergeability::Unknown);
    assert!(matches!(ask().await, Mergeability::Merges(_)));
    project.commit("main", [("a.txt", "three\n")]);
    let mut answer = ask().await;
    if answer == Mergeability::Unknown {
        answer = ask().await;
    }
    assert_eq!(answer, Mergeability::Conflicts);
}

#[tokio::test]
async fn roles_are_permissions_and_strangers_have_none() {
    let stand_in = start().await;
    let roles = [
        ("reader", Role::Read, Permission::Read),
        ("sorter", Role::Triage, Permission::Read),
        ("writer", Role::Write, Permission::Write),
        ("keeper", Role::Maintain, Permission::Write),
        ("boss", Role::Admin, Permission::Admin),
    ];
    let github = with_token(&stand_in);
    for (login, role, expected) in roles {
        stand_in.user(login).permission(REPO, role);
        assert_eq!(github.permission(&repo(), login).await.unwrap(), expected, "{login}");
    }
    drop(stand_in.user("renovate[bot]"));
    for nobody in ["never-heard-of", "renovate[bot]", "../../../user", "a/b?c#d"] {
        let answer = github.permission(&repo(), nobody).await.unwrap();
        assert!(answer <= Permission::Read, "{nobody} has {answer:?}");
    }
    assert_eq!(github.permission(&repo(), "never-heard-of").await.unwrap(), Permission::None);
}

#[tokio::test]
async fn a_file_is_its_bytes_at_a_commit() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    let bytes = vec![0_u8, 159, 146, 150, b'\r', b'\n'];
    let files = Files::new()
        .file(".github/portcullis.yaml", "suites: {}\n")
        .file("odd/a ß?#%41.json", bytes.clone())
        .file("data.json", "{\"a\":1}");
    let old = project.commit("main", files);
    let new = project.commit("main", Files::new().file(".github/portcullis.yaml", "changed\n").file("empty", ""));
    let github = with_token(&stand_in);
    let file = async |at: &str, path: &str| github.file(&repo(), &sha(at), path).await.unwrap();
    assert_eq!(file(&old, ".github/portcullis.yaml").await.unwrap(), b"suites: {}\n");
    assert_eq!(file(&new, ".github/portcullis.yaml").await.unwrap(), b"changed\n");
    assert_eq!(file(&new, "odd/a ß?#%41.json").await.unwrap(), bytes);
    assert_eq!(file(&new, "data.json").await.unwrap(), b"{\"a\":1}");
    assert_eq!(file(&new, "empty").await.unwrap(), b"");
    assert_eq!(file(&old, "empty").await, None);
    assert_eq!(file(&"1".repeat(40), "data.json").await, None);
}

#[tokio::test]
async fn folders_huge_files_and_strange_paths_are_no_files() {
    let stand_in = start().await;
    let limit = 1024 * 1024;
    let files = Files::new().file("dir/x", "x").file("huge", vec![b'x'; limit + 1]).file("large", vec![b'x'; limit]);
    let at = sha(&stand_in.repo(REPO).commit("main", files));
    let github = with_token(&stand_in);
    assert_eq!(github.file(&repo(), &at, "large").await.unwrap().unwrap().len(), limit);
    for bad in ["dir", "huge", "", "/etc/passwd", "dir/../huge", "dir//x"] {
        let answer = github.file(&repo(), &at, bad).await;
        assert!(matches!(answer, Err(ForgeError::Rejected(_))), "{bad}: {answer:?}");
    }
}

#[tokio::test]
async fn a_status_arrives_as_it_was_meant() {
    let stand_in = start().await;
    let head = stand_in.repo(REPO).commit("main", [("a", "b")]);
    let github = with_token(&stand_in);
    let longest = "ß".repeat(140);
    github.set_status(&status(&head, &longest)).await.unwrap();
    github.set_status(&status(&head, &longest)).await.unwrap();
    let stored = stand_in.status(&head, "portcullis/smoke").unwrap();
    assert_eq!(stored.description.as_deref(), Some(&*longest));
    assert_eq!(stored.target_url.as_deref(), Some("http://127.0.0.1:8080/runs/1"));
    assert_eq!(stored.state, portcullis_github::StatusState::Pending);
    assert_eq!(stand_in.statuses(&head).len(), 2);

    let too_long = github.set_status(&status(&head, &"x".repeat(141))).await.unwrap_err();
    assert!(matches!(&too_long, ForgeError::Rejected(text) if text.contains("140")), "{too_long}");
    let unknown = github.set_status(&status(&"1".repeat(40), "x")).await.unwrap_err();
    assert!(matches!(&unknown, ForgeError::NotFound(text) if text.contains("No commit found")), "{unknown}");
}

#[tokio::test]
async fn an_enterprise_server_is_spoken_to_below_its_prefix() {
    let stand_in = start().await;
    let project = stand_in.repo(REPO);
    let head = project.commit("main", [("a", "b")]);
    let pr = project.open_pr(PrSpec::default());
    let github = with(&stand_in, &stand_in.enterprise_url(), token(&stand_in.token("acme")), Timeouts::default());
    github.pull_request(&repo(), pr.number()).await.unwrap();
    assert_eq!(github.file(&repo(), &sha(&head), "a").await.unwrap().unwrap(), b"b");
    github.set_status(&status(&head, "x")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    github.archive(&repo(), &sha(&head), &folder.path().join("a.tgz"), 1 << 20).await.unwrap();
    let api = |path: &str| path.starts_with("/api/v3/") || path.starts_with("/_codeload/");
    assert!(stand_in.requests().iter().all(|request| api(&request.path)));
}

#[tokio::test]
async fn calls_are_counted_and_the_limit_is_remembered() {
    let stand_in = start().await;
    let head = stand_in.repo(REPO).commit("main", [("a", "b")]);
    let github = with_token(&stand_in);
    let traffic = github.traffic();
    assert_eq!(traffic.rate_limit(), None);
    for _ in 0..3 {
        github.set_status(&status(&head, "x")).await.unwrap();
    }
    assert!(github.pull_request(&repo(), 99).await.is_err());
    let counts =
        CallKind::ALL.map(|kind| (kind.as_str(), traffic.calls(kind))).into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(counts.collect::<Vec<_>>(), [("pull_request", 1), ("status", 3)]);
    let limit = traffic.rate_limit().unwrap();
    assert_eq!(limit.remaining, 4996);
    assert!(limit.reset > stand_in.now());
}
