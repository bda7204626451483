//! A GitHub App made through `portcullis setup`: the whole way in a browser, what it leaves on the disk, that the App can do all
//! that the service does, and every way in which it does not work out.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portcullis_github::{Files, Github, Permission, PrSpec, StatusState};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::gate::{Gate, LABEL, policy};
use crate::support::setup::{Setup, form, get, made_on_github, refused};

const URL: &str = "https://gate.example";

async fn github() -> Github {
    Github::start().await.unwrap()
}

async fn start(github: &Github, folder: &TempDir, more: &[&str]) -> Setup {
    let fixed = ["--url", URL, "--github-url", github.url(), "--organization", "acme"];
    Setup::start(folder.path(), &[&fixed[..], more].concat()).await
}

/// How often GitHub was asked for credentials, and how often it gave them.
fn conversions(github: &Github) -> (usize, usize) {
    let asked: Vec<_> =
        github.requests().into_iter().filter(|request| request.path.ends_with("/conversions")).collect();
    (asked.len(), asked.iter().filter(|request| request.status == Some(201)).count())
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_app_is_made_in_a_browser_and_its_credentials_are_kept() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let setup = start(&github, &folder, &[]).await;
    let asked = form(&setup.page).await;
    let action = asked.action.as_str();
    assert!(action.starts_with(&format!("{}/organizations/acme/settings/apps/new?state=", github.url())), "{action}");
    let manifest: Value = serde_json::from_str(asked.field("manifest")).unwrap();
    assert_eq!(
        (&manifest["name"], &manifest["hook_attributes"]["url"]),
        (&"portcullis-acme".into(), &format!("{URL}/webhooks/github").into())
    );
    let page = get(&setup.page).await;
    let csp = page.header("content-security-policy").unwrap();
    assert!(csp.contains("default-src 'none'") && csp.contains(&format!("form-action {};", github.url())), "{csp}");
    assert!(page.body.contains("merge queues") && page.body.contains("pull requests"), "{}", page.body);

    let done = get(&made_on_github(&setup.page).await).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let install = format!("{}/apps/portcullis-acme/installations/new", github.url());
    assert!(done.body.contains(&install), "{}", done.body);
    let ended = setup.ended().await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(&install) && ended.stdout.contains("portcullis serve --config"), "{ended:?}");
    assert_eq!(names(&folder), ["github-app.pem", "github-webhook-secret", "portcullis.toml"]);
    for file in names(&folder) {
        assert_eq!(mode(&folder.path().join(&file)), 0o600, "{file}");
    }
    let secret = std::fs::read_to_string(folder.path().join("github-webhook-secret")).unwrap();
    let config = std::fs::read_to_string(folder.path().join("portcullis.toml")).unwrap();
    for text in [&done.body, &ended.stdout, &config] {
        assert!(!text.contains(secret.trim()) && !text.contains("PRIVATE KEY"), "{text}");
    }
    assert!(config.contains(&format!("public_url = \"{URL}\"")) && config.contains("app_id = "), "{config}");
    assert_eq!(conversions(&github), (1, 1));
}

/// The service as the App that `setup` made, through all that it asks of GitHub.
#[tokio::test]
async fn an_app_made_so_may_do_all_that_the_service_does() {
    let suites = "suites:\n  smoke:\n    paths: ['**']\n  statefulset:\n    required: false\n";
    let teams = "teams: {run: [acme/platform]}\ncommands: {cool_down: 1s}\n";
    let gate = Gate::as_app_from_setup(&format!("report: checks\ncomment: true\n{teams}{suites}")).await;
    gate.github.team_member("acme", "platform", "petra");
    gate.github.user("petra").permission("acme/infra", Permission::Triage);
    let first = gate.open_pr("first");
    drop(first.label(LABEL, "petra"));
    gate.until("both checks run", |github| (github.checks(&first.head_sha()).len() == 2).then_some(())).await;
    drop(first.comment("alice", "/test ?"));
    gate.until("it is answered", |_| first.comments().iter().any(|one| one.body.contains("| `smoke`")).then_some(()))
        .await;
    gate.until("the run is summed up", |_| {
        first
            .comments()
            .iter()
            .any(|one| one.body.contains("portcullis") && one.author.ends_with("[bot]"))
            .then_some(())
    })
    .await;

    gate.repo.commit("main", policy(&format!("{teams}{suites}")));
    let files = Files::new().file("deploy/app.yaml", "replicas: 2\n");
    let second = gate.repo.open_pr(PrSpec { head_branch: "second".into(), files, ..PrSpec::default() });
    drop(second.label(LABEL, "mallory"));
    gate.until("mallory's label is taken off", |_| second.labels().is_empty().then_some(())).await;
    drop(second.label(LABEL, "alice"));
    gate.announced(&second.head_sha()).await;
    let (group, _) = second.enqueue().unwrap();
    gate.announced(&group).await;
    drop(second.close("alice"));
    gate.shows(&second.head_sha(), &["smoke", "statefulset"], StatusState::Error, "cancelled").await;
    let looks =
        |github: &Github| github.requests().iter().filter(|one| one.path.ends_with("/app/installations")).count();
    gate.until("it looked for what webhooks missed", |github| (looks(github) > 0).then_some(())).await;
    gate.handled().await;
    gate.published().await;

    let refused: Vec<_> = gate
        .github
        .requests()
        .into_iter()
        .filter(|request| matches!(request.status, Some(401 | 403)))
        .map(|request| (request.path, request.status))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let events: std::collections::BTreeSet<_> =
        gate.github.deliveries().into_iter().map(|delivery| delivery.event).collect();
    for event in ["pull_request", "issue_comment", "push", "merge_group", "check_run"] {
        assert!(events.contains(event), "{event} is not among {events:?}");
    }
}

#[tokio::test]
async fn whoever_comes_back_with_a_wrong_state_or_code_gets_nothing() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let setup = start(&github, &folder, &[]).await;
    let root = setup.page.rsplit_once('/').unwrap().0;
    for path in ["/", "/created?code=x", "/runs"] {
        assert_eq!(get(&format!("{root}{path}")).await.status, 404, "{path}");
    }
    let back = made_on_github(&setup.page).await;
    let (address, query) = back.split_once('?').unwrap();
    let (code, state) = query.split_once('&').unwrap();
    let zeros = format!("state={}", "0".repeat(64));
    for (query, words) in [
        (code.to_owned(), "did not begin here"),
        (format!("{code}&{zeros}"), "did not begin here"),
        (format!("{code}&state=%00"), "did not begin here"),
        (state.to_owned(), "no code"),
        (format!("code=0123456789&{state}"), "does not take the code"),
        (format!("code=..%2F..%2Fuser&{state}"), "does not take the code"),
    ] {
        let answer = get(&format!("{address}?{query}")).await;
        assert!(answer.status == 400 && answer.body.contains(words), "{query}: {} {}", answer.status, answer.body);
    }
    assert_eq!((names(&folder), conversions(&github)), (vec![], (2, 0)));
    assert_eq!(get(&back).await.status, 200, "what was begun here still works");
    assert_eq!(setup.ended().await.status, Some(0));
}

#[tokio::test]
async fn a_code_that_came_too_late_is_told_from_the_rest() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let setup = start(&github, &folder, &[]).await;
    let back = made_on_github(&setup.page).await;
    github.skip_time(std::time::Duration::from_secs(3_700));
    let answer = get(&back).await;
    assert!(answer.status == 400 && answer.body.contains("older than an hour"), "{}", answer.body);
    let again = made_on_github(&setup.page).await;
    assert_eq!(get(&again).await.status, 200);
    assert_eq!(setup.ended().await.status, Some(0));
}

#[tokio::test]
async fn while_github_is_away_nothing_is_lost() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let setup = start(&github, &folder, &[]).await;
    let back = made_on_github(&setup.page).await;
    let hits = || portcullis_github::Match::post("*/conversions");
    github.fail_next(hits(), 1, portcullis_github::Fault::Status(502));
    let answer = get(&back).await;
    assert!(answer.status == 503 && answer.body.contains("load this page again"), "{}", answer.body);
    assert_eq!(get(&back).await.status, 200);
    assert_eq!(setup.ended().await.status, Some(0));
}

#[tokio::test]
async fn what_is_there_already_is_not_written_over_unasked() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let key = folder.path().join("github-app.pem");
    std::fs::write(&key, "another App's").unwrap();
    let arguments = ["--url", URL, "--github-url", github.url()];
    let ended = refused(folder.path(), &arguments).await;
    assert!(ended.status == Some(1) && ended.stderr.contains("is there already; `--overwrite`"), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "another App's");

    std::fs::write(folder.path().join("portcullis.toml"), "# mine\n[server]\n").unwrap();
    let setup = start(&github, &folder, &["--overwrite"]).await;
    assert_eq!(get(&made_on_github(&setup.page).await).await.status, 200);
    let ended = setup.ended().await;
    assert!(std::fs::read_to_string(&key).unwrap().contains("PRIVATE KEY") && mode(&key) == 0o600);
    assert_eq!(std::fs::read_to_string(folder.path().join("portcullis.toml")).unwrap(), "# mine\n[server]\n");
    for line in ["Put this into", "[github]", "app_id = ", "private_key_file = ", "api_url = "] {
        assert!(ended.stdout.contains(line), "{line}: {ended:?}");
    }
}

#[tokio::test]
async fn credentials_that_cannot_be_written_are_held_until_they_can_be() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let setup = start(&github, &folder, &[]).await;
    let back = made_on_github(&setup.page).await;
    let secret = folder.path().join("github-webhook-secret");
    std::fs::write(&secret, "in the way").unwrap();
    for _ in 0..2 {
        let answer = get(&back).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains("Nothing is lost") && answer.body.contains("settings/apps/portcullis-acme"));
    }
    std::fs::remove_file(&secret).unwrap();
    assert_eq!(get(&back).await.status, 200);
    let ended = setup.ended().await;
    assert_eq!((ended.status, conversions(&github)), (Some(0), (1, 1)), "{ended:?}");
    assert_ne!(std::fs::read_to_string(&secret).unwrap(), "in the way");
}

#[tokio::test]
async fn stopped_before_or_after_the_app_was_made_it_says_what_there_is() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let setup = start(&github, &folder, &[]).await;
    setup.interrupt();
    let ended = setup.ended().await;
    assert!(ended.status == Some(1) && ended.stderr.contains("stopped; no App was made"), "{ended:?}");

    let setup = start(&github, &folder, &[]).await;
    let back = made_on_github(&setup.page).await;
    std::fs::write(folder.path().join("github-app.pem"), "in the way").unwrap();
    assert_eq!(get(&back).await.status, 503);
    setup.interrupt();
    let ended = setup.ended().await;
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let place = format!("{}/organizations/acme/settings/apps/portcullis-acme", github.url());
    assert!(ended.stderr.contains("A new private key") && ended.stderr.contains(&place), "{ended:?}");
}

#[tokio::test]
async fn it_does_not_wait_for_ever_nor_for_strangers() {
    let (github, folder) = (github().await, TempDir::new().unwrap());
    let ended = start(&github, &folder, &["--timeout", "1s"]).await.ended().await;
    assert!(ended.status == Some(1) && ended.stderr.contains("nobody came back from GitHub within 1s"), "{ended:?}");
    for (more, status, words) in [
        (["--listen", "0.0.0.0:0"], 1, "not an address of this machine alone"),
        (["--name", "an-app-with-a-name-of-far-too-many-characters"], 1, "1 to 34 characters"),
        (["--timeout", "2h"], 64, "too long"),
        (["--github-url", "git.example"], 64, "is not an address such as"),
        (["--directory", "nowhere"], 1, "cannot write to"),
    ] {
        let ended = refused(folder.path(), &[&["--url", URL][..], &more].concat()).await;
        assert!(ended.status == Some(status) && ended.stderr.contains(words), "{more:?}: {ended:?}");
    }
    assert_eq!(names(&folder), Vec::<String>::new());
}

/// What the service says of itself is what the page asks GitHub for.
#[test]
fn the_document_lists_what_the_manifest_asks_for() {
    let document = include_str!("../../docs/github.md");
    for (name, level) in portcullis::adapters::github::permissions() {
        let level = format!("{level:?}").to_lowercase();
        let row = document.lines().find(|line| line.contains(&format!("`{name}`")));
        assert!(row.is_some_and(|row| row.contains(&format!("| {level} |"))), "{name} {level}: {row:?}");
    }
    for event in portcullis::adapters::github::events() {
        assert!(document.contains(&format!("`{event}`")), "{event}");
    }
}
