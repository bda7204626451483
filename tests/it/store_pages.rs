//! What pages read from the store, on both databases: filters, turning pages, the specs worth a look, counts.

use portcullis::domain::attempt::AttemptState;
use portcullis::domain::case::{Case, CaseId, CaseOutcome, Fold, Try, TryStatus};
use portcullis::domain::effect::Replaces;
use portcullis::domain::ids::RunId;
use portcullis::domain::run::{Conclusion, Run, RunState};
use portcullis::domain::status::StatusState;
use portcullis::domain::verdict::{Evidence, Verdict};
use portcullis::store::{NewDelivery, RunFilter, RunLine, Shown, Standing, Start, Store};

use crate::support::databases::on_both_databases;
use crate::support::values::{self, at, attempt, cluster, run, status};

async fn create(store: &Store, run: &Run) {
    let announced = [status(run, "smoke", StatusState::Pending, "queued")];
    values::create(store, run, &announced, Replaces::Nothing).await;
}

/// Ten runs, one a second: every third finished with an error, every fourth of another repository.
async fn ten(store: &Store) -> Vec<RunId> {
    let mut ids = Vec::new();
    for number in 0..10 {
        let mut one = run(u64::try_from(number).unwrap(), 'a');
        one.id = RunId::new(at(number));
        if number % 3 == 0 {
            (one.state, one.verdict, one.finished_at) = (RunState::Finished, Some(Verdict::Error), Some(at(60)));
        }
        if number % 4 == 0 {
            one.repo = "acme/other".parse().unwrap();
        }
        create(store, &one).await;
        ids.push(one.id);
    }
    ids
}

async fn list(store: &Store, filter: &RunFilter, start: Start, limit: u32) -> Vec<RunId> {
    store.list_runs(filter, start, limit).await.unwrap().iter().map(|line| line.id).collect()
}

fn tried(name: &str, tries: &[TryStatus]) -> Case {
    let mut fold = Fold::of(tries[0], 0);
    tries[1..].iter().for_each(|status| fold.add(*status, 0));
    let tries = tries.iter().map(|status| Try { status: *status, lane: 0, took: None, message: Some("why".into()) });
    Case { id: CaseId { suite: "s".into(), class: "c".into(), name: name.into() }, tries: tries.collect(), fold }
}

on_both_databases! {
    async fn a_list_turns_both_ways_and_always_shows_the_newest_first(database: Database) {
        let store = &database.store;
        let ids = ten(store).await;
        let all = RunFilter::default();
        assert_eq!(list(store, &all, Start::Newest, 3).await, [ids[9], ids[8], ids[7]]);
        assert_eq!(list(store, &all, Start::OlderThan(ids[7]), 3).await, [ids[6], ids[5], ids[4]]);
        assert_eq!(list(store, &all, Start::NewerThan(ids[3]), 3).await, [ids[6], ids[5], ids[4]]);
        assert!(list(store, &all, Start::OlderThan(ids[0]), 3).await.is_empty());
    }

    async fn filters_narrow_a_list_together(database: Database) {
        let store = &database.store;
        let ids = ten(store).await;
        let other = Some("acme/other".parse().unwrap());
        let broken = Some(Standing::Ended(Verdict::Error));
        let filter = RunFilter { repo: other.clone(), ..RunFilter::default() };
        assert_eq!(list(store, &filter, Start::Newest, 9).await, [ids[8], ids[4], ids[0]]);
        let filter = RunFilter { stands: broken, ..RunFilter::default() };
        assert_eq!(list(store, &filter, Start::Newest, 9).await, [ids[9], ids[6], ids[3], ids[0]]);
        let filter = RunFilter { repo: other, stands: broken, pr: Some(0) };
        assert_eq!(list(store, &filter, Start::Newest, 9).await, [ids[0]]);
        let filter = RunFilter { stands: Some(Standing::Queued), ..RunFilter::default() };
        assert_eq!(list(store, &filter, Start::OlderThan(ids[4]), 9).await, [ids[2], ids[1]]);
        let filter = RunFilter { stands: Some(Standing::Active), ..RunFilter::default() };
        assert!(list(store, &filter, Start::Newest, 9).await.is_empty());
    }

    async fn a_line_names_every_suite_of_a_live_run_and_what_it_came_to(database: Database) {
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let conclusion = Conclusion { verdict: Verdict::Failure, description: "1 of 3 failed".into() };
        let told = status(&run, "smoke", StatusState::Failure, "1 of 3 failed");
        let smoke = "smoke".parse().unwrap();
        assert!(store.conclude(run.id, &smoke, &conclusion, &told, at(5)).await.unwrap());
        let line: RunLine = store.list_runs(&RunFilter::default(), Start::Newest, 9).await.unwrap().remove(0);
        assert_eq!(line.suites, [(smoke, Some(Verdict::Failure)), ("custom".parse().unwrap(), None)]);
        let statuses = store.statuses_of(run.id).await.unwrap();
        assert_eq!((statuses[0].state, statuses[0].published), (StatusState::Failure, false));
    }

    async fn only_specs_worth_a_look_are_listed(database: Database) {
        use TryStatus::{Errored, Failed, Passed, Skipped};
        let store = &database.store;
        let run = run(7, 'a');
        create(store, &run).await;
        let cluster = cluster(&run);
        store.admit(&run, &cluster, at(1)).await.unwrap();
        let attempt = attempt(&run, &cluster, "smoke", 1);
        store.create_attempt(&attempt).await.unwrap();
        let cases = [
            tried("good", &[Passed]), tried("bad", &[Failed]), tried("left out", &[Skipped]),
            tried("unsteady", &[Failed, Passed]), tried("broken", &[Errored]),
        ];
        assert!(store.finish_attempt(&attempt, &Evidence::default(), Shown { cases: &cases, ..Shown::default() }, at(9)).await.unwrap());
        let notable = store.notable_cases(attempt.id, 9).await.unwrap();
        let seen: Vec<_> = notable.iter().map(|case| (case.name.as_str(), case.outcome, case.tries)).collect();
        let expected =
            [("bad", CaseOutcome::Failed, 1), ("unsteady", CaseOutcome::Flaky, 2), ("broken", CaseOutcome::Errored, 1)];
        assert_eq!(seen, expected);
        assert_eq!((notable[0].class.as_str(), notable[0].message.as_deref()), ("c", Some("why")));
        assert_eq!(store.notable_cases(attempt.id, 1).await.unwrap().len(), 1);
        assert_eq!(store.attempt(attempt.id).await.unwrap().map(|found| found.state), Some(AttemptState::Done));
    }

    async fn the_census_counts_what_is_there(database: Database) {
        let store = &database.store;
        ten(store).await;
        let delivery = NewDelivery { guid: "a".into(), event: "push".into(), body: "{}".into(), received_at: at(0), settled: None };
        store.accept(&[delivery]).await.unwrap();
        let mut census = store.census().await.unwrap();
        census.runs.sort();
        let expected = [("finished".to_owned(), Some("error".to_owned()), 4), ("queued".to_owned(), None, 6)];
        assert_eq!(census.runs, expected);
        assert_eq!((census.deliveries_waiting, census.statuses_failing), (1, 0));
        assert!(census.statuses_waiting > 0 && census.clusters.is_empty() && census.attempts.is_empty());
    }
}
