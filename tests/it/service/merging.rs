//! Changes that cannot be merged, and changes of which GitHub does not know yet whether they can.

use portcullis_github::{Github, PrSpec, StatusState};

use crate::support::gate::{Gate, LABEL};

const CANNOT: &str = "cannot be merged into main";

#[tokio::test]
async fn a_change_in_conflict_says_so_in_every_context_and_is_tested_once_it_is_resolved() {
    let gate = Gate::start().await;
    let change = [("app.yaml", "replicas: 2\n")].into();
    let pr = gate.repo.open_pr(PrSpec { files: change, ..PrSpec::default() });
    gate.repo.commit("main", [("app.yaml", "replicas: 3\n")]);
    assert_eq!(pr.merge_sha(), None);
    pr.label(LABEL, "alice");
    gate.shows(&pr.head_sha(), &["smoke", "statefulset"], StatusState::Error, CANNOT).await;
    assert_eq!(gate.runs().await[0]["state"], "finished");

    let (resolved, _) = pr.push([("app.yaml", "replicas: 3\n")], "alice");
    gate.announced(&resolved).await;
}

#[tokio::test]
async fn a_run_starts_once_github_knows_the_merge() {
    let gate = Gate::start().await;
    gate.github.delay_mergeability(2);
    let pr = gate.open_pr("feature");
    pr.label(LABEL, "alice");
    gate.announced(&pr.head_sha()).await;
    let path = format!("/repos/acme/infra/pulls/{}", pr.number());
    let looks = gate.github.requests().iter().filter(|request| request.path == path).count();
    assert!((3..10).contains(&looks), "{looks} looks");
}

fn looks_at_commits(github: &Github) -> usize {
    github.requests().iter().filter(|request| request.path.contains("/git/commits/")).count()
}

/// Right after a base or a head moved GitHub still shows the merge of before.
#[tokio::test]
async fn a_merge_of_another_base_or_head_is_not_tested() {
    let gate = Gate::start().await;
    let pr = gate.open_pr("feature");
    gate.settled().await;
    let of_before = pr.merge_sha();
    gate.github.keep_test_merges(true);
    let base = gate.repo.commit("main", [("elsewhere.txt", "moved\n")]);
    pr.label(LABEL, "alice");
    gate.until("it is looked at again", |github| (looks_at_commits(github) >= 2).then_some(())).await;
    assert_eq!((gate.runs().await.len(), pr.merge_sha()), (0, of_before));
    gate.github.keep_test_merges(false);
    gate.announced(&pr.head_sha()).await;
    let run = gate.newest_run().await;
    assert_eq!((run["tested"].as_str(), run["base"].as_str()), (pr.merge_sha().as_deref(), Some(base.as_str())));

    gate.github.keep_test_merges(true);
    let looked = looks_at_commits(&gate.github);
    let (head, _) = pr.push([("CHANGES.md", "another change\n")], "alice");
    gate.until("it is looked at again", |github| (looks_at_commits(github) >= looked + 2).then_some(())).await;
    gate.github.keep_test_merges(false);
    gate.announced(&head).await;
    assert_eq!(gate.newest_run().await["tested"].as_str(), pr.merge_sha().as_deref());
}
