//! What a delivery causes, on both databases: applied once, never lost beside what others change, and what is remembered of it.

use portcullis::domain::effect::{Effect, Effects, Replaces, Whose};
use portcullis::domain::ids::RunId;
use portcullis::domain::run::{CancelReason, Coverage, Run, RunState};
use portcullis::store::{NewDelivery, Store};

use crate::support::databases::on_both_databases;
use crate::support::values::{at, cluster, create, run};

/// Changes of a run beside a wish to end it. Each costs a few transactions.
const RACES: u64 = 60;

fn cancel(pr: u64, reason: CancelReason) -> Effects {
    let whose = Whose::Pull("acme/infra".parse().unwrap(), pr);
    Effects::of("", vec![Effect::Cancel { whose, reason, by: "alice".into() }])
}

async fn wish(store: &Store, run: &Run) -> Option<CancelReason> {
    store.run(run.id).await.unwrap().unwrap().cancel
}

on_both_databases! {
    /// Others move the run in the very moment in which it is to end.
    async fn a_wish_to_end_a_run_is_never_lost(database: Database) {
        let store = &database.store;
        for pr in 1..=RACES {
            let one = Run { pr: Some(pr), ..run(pr, 'a') };
            create(store, &one, &[], Replaces::Nothing).await;
            let hold = |seconds| Effects::of("", vec![Effect::HoldRun { run: one.id, seconds }]);
            let (end, first, second) = (cancel(pr, CancelReason::Commanded), hold(1), hold(2));
            let (requested, at) = (cluster(&one), at(1));
            let (a, b, c, d) = tokio::join!(
                store.apply(&first, None, at),
                store.apply(&end, None, at),
                store.apply(&second, None, at),
                store.admit(&one, &requested, at),
            );
            d.unwrap();
            [a, b, c].into_iter().for_each(|applied| drop(applied.unwrap()));
            assert_eq!(wish(store, &one).await, Some(CancelReason::Commanded), "{pr}");
        }
    }

    async fn a_push_ends_runs_of_older_commits_alone(database: Database) {
        let store = &database.store;
        let (old, new) = (run(7, 'a'), run(7, 'd'));
        create(store, &old, &[], Replaces::Nothing).await;
        create(store, &new, &[], Replaces::Nothing).await;
        let whose = Whose::PullBut(new.repo.clone(), 7, new.head.clone());
        let end = Effect::Cancel { whose, reason: CancelReason::Superseded, by: "alice".into() };
        store.apply(&Effects::of("", vec![end]), None, at(1)).await.unwrap();
        assert_eq!((wish(store, &old).await, wish(store, &new).await), (Some(CancelReason::Superseded), None));
    }

    /// The database took it, and we never heard of it.
    async fn a_delivery_is_applied_once_however_often_it_is_tried(database: Database) {
        let store = &database.store;
        let (guid, body, received_at) = ("a".to_owned(), "{}".into(), at(0));
        let delivery = NewDelivery { guid, event: "pull_request".into(), body, received_at, settled: None };
        store.accept(&[delivery]).await.unwrap();
        let one = run(7, 'a');
        create(store, &one, &[], Replaces::Nothing).await;
        let hold = |seconds| Effects::of("", vec![Effect::HoldRun { run: one.id, seconds }]);
        store.apply(&hold(60), Some("a"), at(1)).await.unwrap();
        assert!(store.open_deliveries(0, 10).await.unwrap().is_empty());
        assert_eq!(store.apply(&hold(90), Some("a"), at(2)).await.unwrap(), []);
        assert_eq!(store.run(one.id).await.unwrap().unwrap().hold_s, Some(60));
    }

    async fn how_a_commits_last_run_ended_is_asked_of_whole_runs(database: Database) {
        let store = &database.store;
        let whole = run(7, 'a');
        create(store, &whole, &[], Replaces::Nothing).await;
        store.apply(&cancel(7, CancelReason::Unlabelled), None, at(1)).await.unwrap();
        let (id, base_ref) = (RunId::new(at(5)), "release".into());
        let mut some = Run { id, coverage: Coverage::Chosen, base_ref, ..run(7, 'a') };
        some.gate.suites.truncate(1);
        some.state = RunState::Finished;
        create(store, &some, &[], Replaces::Nothing).await;
        let end = store.last_end(&whole.repo, 7, &whole.head).await.unwrap().unwrap();
        assert_eq!((end.cancel, end.base_ref.as_str()), (Some(CancelReason::Unlabelled), "main"));
        assert_eq!(store.last_end(&whole.repo, 8, &whole.head).await.unwrap(), None);
    }
}
