//! The store on both databases: inbox, guards, one run per trigger, conclusions that stand, statuses that never go back.

use portcullis::domain::attempt::{Attempt, AttemptState, Part, Spec, StopReason};
use portcullis::domain::audit::Deed;
use portcullis::domain::case::{Case, CaseId, Fold, Try, TryStatus};
use portcullis::domain::cluster::{ClusterState, SetupState, Stage};
use portcullis::domain::effect::{Effect, Effects, NewRun, Replaces, Seen, Whose};
use portcullis::domain::ids::RunId;
use portcullis::domain::lint::{Lint, SuiteLint};
use portcullis::domain::names::RepoName;
use portcullis::domain::progress::Progress;
use portcullis::domain::run::{CancelReason, Conclusion, Run, RunState, Trigger};
use portcullis::domain::skip::{Hit, HitOutcome};
use portcullis::domain::status::StatusState;
use portcullis::domain::verdict::{Evidence, Exit, Verdict};
use portcullis::store::{AuditFilter, CheckRun, Created, NewDelivery, Receipt, Shown, Store, Taken};

use crate::support::databases::on_both_databases;
use crate::support::values::{self, at, attempt, cluster, run, status};

fn delivery(guid: &str) -> NewDelivery {
    NewDelivery {
        guid: guid.into(),
        event: "pull_request".into(),
        body: "{}".into(),
        received_at: at(0),
        settled: None,
    }
}

async fn create(store: &Store, run: &Run) -> bool {
    let announced = [status(run, "smoke", StatusState::Pending, "queued")];
    values::create(store, run, &announced, Replaces::Others).await
}

fn conclusion(verdict: Verdict, description: &str) -> Conclusion {
    Conclusion { verdict, description: description.into() }
}

on_both_databases! {
    async fn the_same_guid_twice_is_one_delivery(database: Database) {
        let store = &database.store;
        let batch = [delivery("a"), delivery("b"), delivery("a")];
        assert_eq!(store.accept(&batch).await.unwrap(), [Receipt::Stored, Receipt::Stored, Receipt::Duplicate]);
        assert_eq!(store.accept(&batch[..1]).await.unwrap(), [Receipt::Duplicate]);
        let open = store.open_deliveries(0, 10).await.unwrap();
        assert_eq!(open.iter().map(|delivery| delivery.guid.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    async fn when_the_label_was_put_on_never_goes_back(database: Database) {
        let store = &database.store;
        let repo: RepoName = "acme/infra".parse().unwrap();
        for (labelled, expected) in [(None, None), (Some(7), Some(7)), (Some(5), Some(7)), (None, Some(7)), (Some(9), Some(9))] {
            let seen = Seen {
                repo: repo.clone(),
                number: 1,
                head: "a".repeat(40).parse().unwrap(),
                at: at(0),
                pusher: None,
                draft_labelled: None,
                labelled_at: labelled.map(at),
            };
            store.apply(&Effects::of("", vec![Effect::See(seen)]), None, at(10)).await.unwrap();
            assert_eq!(store.seen(&repo, 1).await.unwrap().unwrap().labelled_at, expected.map(at));
        }
    }

    async fn a_delivery_is_open_until_it_is_settled(database: Database) {
        let store = &database.store;
        store.accept(&[delivery("a"), delivery("b")]).await.unwrap();
        store.postpone_delivery("a", "GitHub is down", at(60)).await.unwrap();
        store.settle_delivery("b", "ignored", at(1)).await.unwrap();
        let open = store.open_deliveries(0, 10).await.unwrap().remove(0);
        assert_eq!((open.guid.as_str(), open.tries, open.next_try_at), ("a", 1, at(60)));
        assert!(store.open_deliveries(open.seq, 10).await.unwrap().is_empty());
        assert_eq!(store.prune_deliveries(at(100), 10).await.unwrap(), 1);
        assert_eq!(store.accept(&[delivery("a")]).await.unwrap(), [Receipt::Duplicate]);
    }

    async fn one_head_has_one_live_run_and_a_newer_push_supersedes(database: Database) {
        let store = &database.store;
        store.accept(&[delivery("a")]).await.unwrap();
        let first = run(7, 'a');
        let new = NewRun {
            run: first.clone(),
            concluded: vec![],
            statuses: vec![],
            replaces: Replaces::Others,
            why: "labelled".into(),
        };
        let effects = Effects::of("", vec![Effect::Create(Box::new(new))]);
        assert_eq!(store.apply(&effects, Some("a"), at(0)).await.unwrap(), [Created::Run(first.id)]);
        assert!(store.open_deliveries(0, 10).await.unwrap().is_empty(), "settled with the run");
        assert!(!create(store, &run(7, 'a')).await);
        let second = Run { trigger: Trigger::Push, ..run(7, 'd') };
        assert!(create(store, &second).await);
        let views = store.open_runs().await.unwrap();
        let cancelled: Vec<(RunId, Option<CancelReason>)> = views.iter().map(|v| (v.run.id, v.run.cancel)).collect();
        assert!(cancelled.contains(&(first.id, Some(CancelReason::Superseded))));
        assert!(cancelled.contains(&(second.id, None)));
    }

    async fn a_stronger_reason_to_cancel_replaces_a_weaker(database: Database) {
        let store = &database.store;
        create(store, &run(7, 'a')).await;
        let cancel = async |pr, reason| {
            let whose = Whose::Pull("acme/infra".parse().unwrap(), pr);
            let effects = Effects::of("", vec![Effect::Cancel { whose, reason, by: "alice".into() }]);
            store.apply(&effects, None, at(1)).await.unwrap();
            store.open_runs().await.unwrap()[0].run.cancel
        };
        assert_eq!(cancel(8, CancelReason::Closed).await, None, "another pull request's");
        assert_eq!(cancel(7, CancelReason::Superseded).await, Some(CancelReason::Superseded));
        assert_eq!(cancel(7, CancelReason::Unlabelled).await, Some(CancelReason::Superseded));
        assert_eq!(cancel(7, CancelReason::Closed).await, Some(CancelReason::Closed));
    }

    async fn states_move_only_from_their_predecessors_and_once(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let requested = cluster(&run);
        assert!(store.admit(&run, &requested, at(1)).await.unwrap());
        assert!(!store.admit(&run, &cluster(&run), at(1)).await.unwrap(), "a stale sight changes nothing");
        assert_eq!(store.open_clusters().await.unwrap().len(), 1);
        assert!(!store.move_cluster(&requested, ClusterState::Ready, None, at(2)).await.unwrap(), "not from requested");
        assert!(store.move_cluster(&requested, ClusterState::Creating, None, at(2)).await.unwrap());
        assert!(!store.move_cluster(&requested, ClusterState::Creating, None, at(2)).await.unwrap(), "not twice");
        let creating = store.open_clusters().await.unwrap().remove(0);
        assert!(store.explain_cluster(creating.id, "node not ready").await.unwrap());
        assert!(!store.explain_cluster(creating.id, "node not ready").await.unwrap());
        assert!(store.move_cluster(&creating, ClusterState::Ready, None, at(9)).await.unwrap());
        let ready = store.open_clusters().await.unwrap().remove(0);
        assert_eq!((ready.ready_at, ready.message), (Some(at(9)), None));
    }

    async fn nothing_is_begun_for_a_run_that_is_over(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let first = cluster(&run);
        store.admit(&run, &first, at(1)).await.unwrap();
        let seen = store.run(run.id).await.unwrap().unwrap();
        assert!(store.finish(&seen, Verdict::Success, None, &[], at(2)).await.unwrap());
        assert!(!store.replace_cluster(&seen, &cluster(&run), at(3)).await.unwrap(), "an outdated sight of the run");
        assert!(!store.create_attempt(&attempt(&run, &first, "smoke", 1)).await.unwrap());
        assert_eq!(store.open_clusters().await.unwrap().len(), 1);
        assert_eq!(store.release_orphans(at(4)).await.unwrap(), 0);
    }

    async fn a_set_up_begins_once_and_ends_with_its_reason(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let cluster = cluster(&run);
        store.admit(&run, &cluster, at(1)).await.unwrap();
        assert!(store.begin_setup(cluster.id, Stage::Head, at(2)).await.unwrap());
        assert!(!store.begin_setup(cluster.id, Stage::Head, at(3)).await.unwrap());
        let view = store.run_view(run.id).await.unwrap().unwrap();
        let setup = view.setup(Stage::Head).unwrap();
        assert!(store.move_setup(setup, SetupState::Failed, Some("Deployment web: 0 of 1"), at(4)).await.unwrap());
        assert!(!store.move_setup(setup, SetupState::RollingOut, None, at(5)).await.unwrap());
        let failed = store.run_view(run.id).await.unwrap().unwrap().setups.remove(0);
        assert_eq!((failed.state, failed.finished_at), (SetupState::Failed, Some(at(4))));
        assert_eq!(failed.message.as_deref(), Some("Deployment web: 0 of 1"));
    }

    async fn an_attempt_keeps_its_evidence_and_its_first_reason_to_stop(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let cluster = cluster(&run);
        store.admit(&run, &cluster, at(1)).await.unwrap();
        let attempt = attempt(&run, &cluster, "smoke", 1);
        assert!(store.create_attempt(&attempt).await.unwrap());
        assert!(!store.create_attempt(&crate::support::values::attempt(&run, &cluster, "smoke", 1)).await.unwrap());
        assert!(store.move_attempt(&attempt, AttemptState::Running, at(3)).await.unwrap());
        let read = || async { store.run_view(run.id).await.unwrap().unwrap().attempts.remove(0) };
        assert!(store.stop_attempt(&read().await, StopReason::Stalled, at(4)).await.unwrap());
        assert!(!store.stop_attempt(&read().await, StopReason::Cancelled, at(5)).await.unwrap());
        let progress = Progress { total: 9, completed: 4, failed: 1 };
        store.note_progress(attempt.id, &progress).await.unwrap();
        let evidence = Evidence { exit: Exit::Stopped(StopReason::Stalled), ..Evidence::default() };
        let case = Case {
            id: CaseId { suite: "s".into(), class: "c".into(), name: "pod runs".into() },
            tries: vec![Try { status: TryStatus::Failed, lane: 0, took: None, message: Some("<b>no</b>".into()) }],
            fold: Fold::of(TryStatus::Failed, 0),
        };
        assert!(store.finish_attempt(&read().await, &evidence, Shown { cases: &[case], ..Shown::default() }, at(6)).await.unwrap());
        let done = read().await;
        assert_eq!((done.state, done.stop, done.progress), (AttemptState::Done, Some(StopReason::Stalled), progress));
        assert_eq!(done.evidence, Some(evidence.clone()));
        assert!(!store.finish_attempt(&done, &evidence, Shown::default(), at(7)).await.unwrap(), "done is the end");
    }

    async fn a_run_that_repeats_another_sees_what_that_one_found(database: Database) {
        let store = &database.store;
        let first = run(7, 'a');
        create(store, &first).await;
        let cluster = cluster(&first);
        store.admit(&first, &cluster, at(1)).await.unwrap();
        let whole = attempt(&first, &cluster, "smoke", 1);
        store.create_attempt(&whole).await.unwrap();
        store.note_skips(whole.id, &[1, 2]).await.unwrap();
        let read = || async { store.run_view(first.id).await.unwrap().unwrap().attempts.remove(0) };
        assert_eq!((read().await.skips, read().await.part), (vec![1, 2], Part::Phase(0)));
        let case = |name: &str, status| Case {
            id: CaseId { suite: "s".into(), class: "c".into(), name: name.into() },
            tries: vec![Try { status, lane: 0, took: None, message: None }],
            fold: Fold::of(status, 0),
        };
        let cases = [case("a", TryStatus::Passed), case("b", TryStatus::Failed)];
        let hits = [Hit { entry: 1, spec: "b".into(), outcome: HitOutcome::Failed }];
        let shown = Shown { cases: &cases, hits: &hits, ..Shown::default() };
        assert!(store.finish_attempt(&read().await, &Evidence::default(), shown, at(6)).await.unwrap());
        let failed = Spec { class: "c".into(), name: "b".into() };
        assert_eq!(store.failed_specs(whole.id).await.unwrap(), std::slice::from_ref(&failed));
        assert_eq!(store.skip_hits(first.id).await.unwrap(), [("smoke".parse().unwrap(), hits[0].clone())]);

        let lint = Lint { suites: vec![SuiteLint::unknown(&"smoke".parse().unwrap(), "no list")] };
        assert!(store.note_lint(first.id, &lint).await.unwrap());
        assert!(!store.note_lint(first.id, &Lint::default()).await.unwrap(), "the first stands");
        assert_eq!(store.run_view(first.id).await.unwrap().unwrap().lint, Some(lint));

        store.finish(&store.run(first.id).await.unwrap().unwrap(), Verdict::Failure, None, &[], at(7)).await.unwrap();
        let mut second = run(7, 'a');
        second.retry_of = Some(first.id);
        create(store, &second).await;
        let again = Attempt { part: Part::Specs(vec![failed]), ..attempt(&second, &cluster, "smoke", 1) };
        store.admit(&second, &crate::support::values::cluster(&second), at(8)).await.unwrap();
        assert!(store.create_attempt(&again).await.unwrap());
        let view = store.run_view(second.id).await.unwrap().unwrap();
        assert_eq!(view.earlier.iter().map(|attempt| attempt.id).collect::<Vec<_>>(), [whole.id]);
        assert_eq!(view.attempts[0].part, again.part);
        store.finish_attempt(&view.attempts[0], &Evidence::default(), Shown::default(), at(9)).await.unwrap();
        store.finish(&store.run(second.id).await.unwrap().unwrap(), Verdict::Failure, None, &[], at(9)).await.unwrap();
        let mut third = run(7, 'a');
        third.retry_of = Some(second.id);
        create(store, &third).await;
        let view = store.open_runs().await.unwrap().remove(0);
        assert_eq!(view.earlier.iter().map(|attempt| attempt.id).collect::<Vec<_>>(), [whole.id, again.id]);
    }

    async fn what_old_runs_showed_is_forgotten_a_little_at_a_time_and_the_runs_stay(database: Database) {
        let store = &database.store;
        let case = |name: String| Case {
            id: CaseId { suite: "s".into(), class: "c".into(), name },
            tries: vec![Try { status: TryStatus::Failed, lane: 0, took: None, message: None }],
            fold: Fold::of(TryStatus::Failed, 0),
        };
        let cases: Vec<Case> = (0..25).map(|n| case(format!("spec {n}"))).collect();
        let hits = [Hit { entry: 1, spec: "spec 1".into(), outcome: HitOutcome::Failed }];
        let mut ended = Vec::new();
        for (pr, head, when) in [(1, 'a', 10), (2, 'd', 10), (3, 'e', 100)] {
            let run = run(pr, head);
            create(store, &run).await;
            let cluster = cluster(&run);
            store.admit(&run, &cluster, at(1)).await.unwrap();
            let attempt = attempt(&run, &cluster, "smoke", 1);
            store.create_attempt(&attempt).await.unwrap();
            let shown = Shown { cases: &cases, hits: &hits, ..Shown::default() };
            assert!(store.finish_attempt(&attempt, &Evidence::default(), shown, at(when)).await.unwrap());
            ended.push((run, attempt.id));
        }
        let left = async |n: usize| store.notable_cases(ended[n].1, 100).await.unwrap().len();
        assert_eq!(store.prune_cases(at(50), 10).await.unwrap(), 0, "their runs go on");
        for n in [0, 2] {
            let run = store.run(ended[n].0.id).await.unwrap().unwrap();
            assert!(store.finish(&run, Verdict::Failure, Some("why"), &[], at(101)).await.unwrap());
        }
        let mut gone = Vec::new();
        while gone.last() != Some(&0) {
            gone.push(store.prune_cases(at(50), 10).await.unwrap());
        }
        assert_eq!(gone, [10, 10, 5, 0]);
        assert_eq!((left(0).await, left(1).await, left(2).await), (0, 25, 25));
        assert!(store.skip_hits(ended[0].0.id).await.unwrap().is_empty());
        assert_eq!(store.skip_hits(ended[2].0.id).await.unwrap().len(), 1);
        let view = store.run_view(ended[0].0.id).await.unwrap().unwrap();
        assert_eq!((view.run.verdict, view.attempts.len()), (Some(Verdict::Failure), 1));
    }

    /// A slow answer to an older one must not undo what GitHub was told since.
    async fn what_was_published_never_goes_back(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let pending = store.unpublished(at(0), 10).await.unwrap().remove(0);
        store.desire(run.id, &[status(&run, "smoke", StatusState::Success, "6 passed")]).await.unwrap();
        let green = store.unpublished(at(0), 10).await.unwrap().remove(0);
        let taken = Taken { writes: 1, check_run: None };
        store.published(&green, taken, at(1)).await.unwrap();
        store.published(&pending, taken, at(2)).await.unwrap();
        assert!(store.unpublished(at(9), 10).await.unwrap().is_empty());
        assert_eq!(store.told(&run.repo, &run.head, at(9)).await.unwrap()[0].at, Some(at(1)));
    }

    async fn clusters_that_broke_are_counted_by_repository(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let cluster = cluster(&run);
        store.admit(&run, &cluster, at(1)).await.unwrap();
        assert!(store.move_cluster(&cluster, ClusterState::Failing, Some("no image"), at(5)).await.unwrap());
        assert_eq!(store.broken_since(&run.repo, at(4)).await.unwrap(), [at(5)]);
        assert!(store.broken_since(&run.repo, at(5)).await.unwrap().is_empty());
        assert!(store.broken_since(&"acme/other".parse().unwrap(), at(4)).await.unwrap().is_empty());
    }

    async fn the_first_conclusion_stands_and_finishing_lets_the_cluster_go(database: Database) {
        let store = &database.store;
        let queued = run(7, 'a');
        create(store, &queued).await;
        store.admit(&queued, &cluster(&queued), at(1)).await.unwrap();
        let smoke = "smoke".parse().unwrap();
        let (green, red) = (conclusion(Verdict::Success, "6 passed"), conclusion(Verdict::Failure, "1 failed"));
        let told = |state, text| status(&queued, "smoke", state, text);
        assert!(store.conclude(queued.id, &smoke, &green, &told(StatusState::Success, "6 passed"), at(2)).await.unwrap());
        assert!(!store.conclude(queued.id, &smoke, &red, &told(StatusState::Failure, "1 failed"), at(3)).await.unwrap());
        let active = store.run(queued.id).await.unwrap().unwrap();
        let custom = ("custom".parse().unwrap(), red.clone(), status(&queued, "custom", StatusState::Failure, "1 failed"));
        assert!(store.finish(&active, Verdict::Failure, Some("why"), &[custom], at(4)).await.unwrap());
        assert!(!store.finish(&active, Verdict::Success, None, &[], at(5)).await.unwrap());
        let view = store.run_view(queued.id).await.unwrap().unwrap();
        assert_eq!((view.run.state, view.run.verdict), (RunState::Finished, Some(Verdict::Failure)));
        assert_eq!(view.conclusions[&smoke], green);
        assert_eq!(view.clusters[0].released_at, Some(at(4)));
        assert!(store.open_runs().await.unwrap().is_empty());
    }

    async fn a_held_cluster_outlives_its_run_until_the_hold_ends_or_is_let_go(database: Database) {
        let store = &database.store;
        for (pr, head) in [(7, 'a'), (8, 'd')] {
            let queued = run(pr, head);
            create(store, &queued).await;
            store.admit(&queued, &cluster(&queued), at(1)).await.unwrap();
            for state in [ClusterState::Creating, ClusterState::Ready] {
                let now = store.run_view(queued.id).await.unwrap().unwrap().clusters.remove(0);
                assert!(store.move_cluster(&now, state, None, at(2)).await.unwrap());
            }
            let outdated = store.run(queued.id).await.unwrap().unwrap();
            let hold = Effects::of("", vec![Effect::HoldRun { run: queued.id, seconds: 3600 }]);
            store.apply(&hold, None, at(3)).await.unwrap();
            assert!(!store.finish(&outdated, Verdict::Failure, None, &[], at(4)).await.unwrap(), "it knows of no hold");
            let active = store.run(queued.id).await.unwrap().unwrap();
            assert!(store.finish(&active, Verdict::Failure, None, &[], at(4)).await.unwrap());
        }
        assert_eq!(store.release_orphans(at(5)).await.unwrap(), 0, "they are held");
        let repo = "acme/infra".parse().unwrap();
        let held = store.held_clusters(&repo, 7).await.unwrap();
        assert_eq!((held.len(), held[0].held_until, held[0].released_at), (1, Some(at(3604)), None));
        let longer = Effect::HoldCluster { cluster: held[0].id, until: at(100_000) };
        store.apply(&Effects::of("", vec![longer]), None, at(5)).await.unwrap();
        let kept = store.held_clusters(&repo, 7).await.unwrap().remove(0);
        assert_eq!((kept.held_until, kept.expires_at), (Some(at(100_000)), at(100_000)));
        let release = Effects::of("", vec![Effect::Release { repo: repo.clone(), pr: 7 }]);
        store.apply(&release, None, at(6)).await.unwrap();
        assert!(store.held_clusters(&repo, 7).await.unwrap().is_empty());
        assert_eq!(store.release_orphans(at(3605)).await.unwrap(), 1, "the other one's time is over");
    }

    async fn the_audit_log_tells_who_did_what(database: Database) {
        let store = &database.store;
        let first = run(7, 'a');
        create(store, &first).await;
        let whose = Whose::Repo("acme/infra".parse().unwrap());
        let cancel = Effect::Cancel { whose, reason: CancelReason::Uninstalled, by: "acme".into() };
        store.apply(&Effects::of("", vec![cancel]), None, at(1)).await.unwrap();
        let told: Vec<_> = store.audit_of(&first, 10).await.unwrap().into_iter().map(|e| (e.deed, e.actor)).collect();
        assert_eq!(told, [(Deed::Started, "alice".to_owned()), (Deed::Cancelled, "acme".to_owned())]);
        let filter = |pr| AuditFilter { repo: Some(first.repo.clone()), pr: Some(pr), before: None };
        let newest = store.audit(&filter(7), 1).await.unwrap().remove(0);
        assert_eq!(newest.1.deed, Deed::Cancelled);
        let older = store.audit(&AuditFilter { before: Some(newest.0), ..filter(7) }, 10).await.unwrap();
        assert_eq!(older.len(), 1);
        assert!(store.audit(&filter(8), 10).await.unwrap().is_empty());
    }

    async fn a_final_status_is_never_followed_by_a_stale_pending(database: Database) {
        let store = &database.store;
        let first = run(7, 'a');
        create(store, &first).await;
        let told = |run: &Run, state, text: &str| [status(run, "smoke", state, text)];
        assert_eq!(store.desire(first.id, &told(&first, StatusState::Pending, "queued")).await.unwrap(), 0, "no news");
        assert_eq!(store.desire(first.id, &told(&first, StatusState::Success, "6 passed")).await.unwrap(), 1);
        assert_eq!(store.desire(first.id, &told(&first, StatusState::Pending, "5/6")).await.unwrap(), 0);
        let newer = Run { id: RunId::new(at(100)), ..run(7, 'a') };
        assert_eq!(store.desire(newer.id, &told(&newer, StatusState::Pending, "queued")).await.unwrap(), 1);
        assert_eq!(store.desire(first.id, &told(&first, StatusState::Failure, "late")).await.unwrap(), 0, "an older run");
        let due = store.unpublished(at(0), 10).await.unwrap();
        assert_eq!((due.len(), due[0].run, due[0].status.description.as_str()), (1, newer.id, "queued"));
    }

    /// Else a check run would be posted whose number nobody notes, and it would stay pending for ever.
    async fn a_check_run_is_not_begun_for_what_is_overtaken(database: Database) {
        let store = &database.store;
        let first = run(7, 'a');
        create(store, &first).await;
        let read = store.unpublished(at(0), 10).await.unwrap().remove(0);
        assert!(store.begin(&read).await.unwrap());
        let newer = Run { id: RunId::new(at(100)), ..run(7, 'a') };
        store.desire(newer.id, &[status(&newer, "smoke", StatusState::Pending, "queued")]).await.unwrap();
        assert!(!store.begin(&read).await.unwrap(), "a newer run speaks");
        let newest = store.unpublished(at(0), 10).await.unwrap().remove(0);
        assert_eq!(newest.check, CheckRun::Lost, "the older one may have been posted");
        store.desire(newer.id, &[status(&newer, "smoke", StatusState::Success, "6 passed")]).await.unwrap();
        assert!(!store.begin(&newest).await.unwrap(), "the same run says more");
    }

    async fn a_check_run_that_ends_while_a_newer_run_begins_is_not_opened_again(database: Database) {
        let store = &database.store;
        let first = run(7, 'a');
        create(store, &first).await;
        let pending = store.unpublished(at(0), 10).await.unwrap().remove(0);
        assert!(store.begin(&pending).await.unwrap());
        store.published(&pending, Taken { writes: 1, check_run: Some(5) }, at(1)).await.unwrap();
        store.desire(first.id, &[status(&first, "smoke", StatusState::Error, "cancelled")]).await.unwrap();
        let last = store.unpublished(at(1), 10).await.unwrap().remove(0);
        assert!(store.begin(&last).await.unwrap());
        // GitHub has taken it; before that is noted, the same commit is run again.
        let newer = Run { id: RunId::new(at(100)), ..run(7, 'a') };
        store.desire(newer.id, &[status(&newer, "smoke", StatusState::Pending, "queued")]).await.unwrap();
        store.published(&last, Taken { writes: 1, check_run: Some(5) }, at(2)).await.unwrap();
        let newest = store.unpublished(at(2), 10).await.unwrap().remove(0);
        assert_eq!((newest.run, newest.check), (newer.id, CheckRun::None));
    }

    async fn what_was_published_meanwhile_does_not_hide_what_is_newer(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let sent = store.unpublished(at(0), 10).await.unwrap().remove(0);
        store.desire(run.id, &[status(&run, "smoke", StatusState::Success, "6 passed")]).await.unwrap();
        store.published(&sent, Taken { writes: 1, check_run: None }, at(1)).await.unwrap();
        let newer = store.unpublished(at(1), 10).await.unwrap().remove(0);
        assert_eq!((newer.status.state, newer.published.writes), (StatusState::Success, 1));
        store.put_off(&newer, at(30), 1, Some("502")).await.unwrap();
        assert!(store.unpublished(at(29), 10).await.unwrap().is_empty());
        assert_eq!(store.next_publish_at().await.unwrap(), Some(at(30)));
        let again = store.unpublished(at(30), 10).await.unwrap().remove(0);
        assert_eq!(again.tries, 1);
        store.published(&again, Taken { writes: 1, check_run: None }, at(31)).await.unwrap();
        assert!(store.unpublished(at(99), 10).await.unwrap().is_empty());
    }

    async fn an_instance_keeps_its_name_and_a_store_opens_again(database: Database) {
        assert_eq!(database.store.instance("first").await.unwrap(), "first");
        let again = Store::open(&database.url).await.unwrap();
        assert_eq!(again.instance("second").await.unwrap(), "first");
    }

    async fn a_look_makes_up_nothing_and_wants_exactly_this_shape(database: Database) {
        let beside = Store::look(&database.url).await.unwrap();
        assert_eq!(beside.known_instance().await.unwrap(), None);
        database.store.instance("first").await.unwrap();
        assert_eq!(beside.known_instance().await.unwrap().as_deref(), Some("first"));
        database.execute("UPDATE _sqlx_migrations SET checksum = 'of another version'").await;
        let refused = Store::look(&database.url).await.err().unwrap();
        assert!(refused.to_string().contains("it has the shape of another version than this"), "{refused}");
        database.execute("DELETE FROM _sqlx_migrations").await;
        assert!(Store::look(&database.url).await.is_err(), "an older version's");
    }
}
