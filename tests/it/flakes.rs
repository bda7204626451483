//! Statistics of specs in the store: counted once, turned into flakes by a retry, kept per day, forgotten in time.

use std::time::{Duration, Instant};

use portcullis::domain::case::{Case, CaseId, Fold, Try, TryStatus};
use portcullis::domain::effect::Replaces;
use portcullis::domain::flake::{Day, Health, Mark, Observation, SpecHistory, Tally, day_of};
use portcullis::domain::ids::RunId;
use portcullis::domain::run::Run;
use portcullis::domain::verdict::{Evidence, Exit, Verdict};
use portcullis::store::{FlakeFilter, Shown, Store};

use crate::support::databases::{on_both_databases, sqlite};
use crate::support::http::Service;
use crate::support::values::{self, at, attempt, cluster, run};

const DAY: i64 = 86_400;

fn seen(name: &str, mark: Mark) -> Observation {
    Observation { class: "c".into(), name: name.into(), mark }
}

/// What the report of an attempt lists of these observations.
fn cases(observations: &[Observation]) -> Vec<Case> {
    let case = |seen: &Observation| {
        let status = if seen.mark == Mark::Failed { TryStatus::Failed } else { TryStatus::Passed };
        let tries = vec![Try { status, lane: 0, took: None, message: None }];
        let id = CaseId { suite: "s".into(), class: seen.class.clone(), name: seen.name.clone() };
        Case { id, tries, fold: Fold::of(status, 0) }
    };
    observations.iter().map(case).collect()
}

/// A run that is over, with these attempts of its suite `smoke`, each at its moment.
async fn passage(store: &Store, run: &Run, attempts: &[(i64, &[Observation])]) {
    assert!(values::create(store, run, &[], Replaces::Nothing).await);
    let cluster = cluster(run);
    store.admit(run, &cluster, at(1)).await.unwrap();
    let evidence = Evidence { exit: Exit::Code(1), ..Evidence::default() };
    for (number, (moment, observations)) in (1..).zip(attempts) {
        let attempt = attempt(run, &cluster, "smoke", number);
        assert!(store.create_attempt(&attempt).await.unwrap());
        let finish = || store.finish_attempt(&attempt, &evidence, Shown::default(), at(*moment));
        let cases = cases(observations);
        assert!(
            store
                .finish_attempt(&attempt, &evidence, Shown { cases: &cases, observations, hits: &[] }, at(*moment))
                .await
                .unwrap()
        );
        assert!(!finish().await.unwrap(), "a second telling, as after a crash, counts nothing");
    }
    let seen = store.run(run.id).await.unwrap().unwrap();
    assert!(store.finish(&seen, Verdict::Failure, None, &[], at(2)).await.unwrap());
}

fn on_branch(head: char) -> Run {
    Run { pr: None, ..run(1, head) }
}

async fn history(store: &Store, name: &str) -> SpecHistory {
    let (repo, suite) = ("acme/infra".parse().unwrap(), "smoke".parse().unwrap());
    let found = store.histories(&repo, &suite, &[("c", name), ("other", name)], 0).await.unwrap();
    assert_eq!(found.len(), 1, "{name}");
    found.into_iter().next().unwrap()
}

fn tally(passed: u64, flaky: u64, failed: u64, flips: u64) -> Tally {
    Tally { passed, flaky, failed, flips }
}

fn today() -> i64 {
    day_of(at(0))
}

on_both_databases! {
    async fn observations_are_rolled_up_by_day(database: Database) {
        use Mark::{Failed, Flaky, Passed};
        let store = &database.store;
        for (pr, head, moment, mark) in
            [(1, '1', 10, Passed), (2, '2', 20, Failed), (3, '3', 30, Flaky), (4, '4', DAY + 10, Passed)]
        {
            passage(store, &run(pr, head), &[(moment, &[seen("dns", mark), seen("pods", Passed)])]).await;
        }
        let dns = history(store, "dns").await;
        let days = [
            Day { day: today(), tally: tally(1, 1, 1, 2) },
            Day { day: today() + 1, tally: tally(1, 0, 0, 1) },
        ];
        assert_eq!(dns.days, days);
        assert_eq!((dns.clean, dns.bad_at, dns.seen_at), (1, Some(at(30)), at(DAY + 10)));
        assert_eq!(dns.failed_in.iter().map(|failed| failed.pr).collect::<Vec<_>>(), [2]);
        let pods = history(store, "pods").await;
        assert_eq!((pods.clean, pods.bad_at, pods.tally(0, i64::MAX)), (4, None, tally(4, 0, 0, 0)));
        let listed = store.flakes(&FlakeFilter::default(), 0, 9).await.unwrap();
        assert_eq!(listed, [dns], "a spec that always passed is no news");
    }

    async fn a_retry_that_passes_turns_the_failure_into_a_flake(database: Database) {
        use Mark::{Failed, Passed};
        let store = &database.store;
        let first = [seen("dns", Failed), seen("pods", Failed), seen("api", Passed)];
        // The next day, so that the day of the failure is the one that changes.
        let second = [seen("dns", Passed), seen("pods", Failed)];
        passage(store, &run(1, '1'), &[(10, &first), (DAY + 10, &second)]).await;
        let dns = history(store, "dns").await;
        assert_eq!(dns.days, [Day { day: today(), tally: tally(0, 1, 0, 0) }]);
        assert!(dns.failed_in.is_empty() && dns.bad_at == Some(at(DAY + 10)));
        let pods = history(store, "pods").await;
        assert_eq!(pods.days, [Day { day: today(), tally: tally(0, 0, 1, 0) }], "failed twice in one run is one failure");
        assert_eq!(history(store, "api").await.tally(0, i64::MAX), tally(1, 0, 0, 0));
    }

    async fn a_pass_on_code_that_failed_before_is_a_flake(database: Database) {
        use Mark::{Failed, Passed};
        let store = &database.store;
        passage(store, &run(1, '1'), &[(10, &[seen("dns", Failed)])]).await;
        passage(store, &run(1, '1'), &[(20, &[seen("dns", Passed)])]).await;
        assert_eq!(history(store, "dns").await.tally(0, i64::MAX), tally(0, 1, 1, 1));
        passage(store, &run(1, '2'), &[(30, &[seen("dns", Passed)])]).await;
        assert_eq!(history(store, "dns").await.tally(0, i64::MAX).passed, 1, "other code is another matter");
    }

    async fn the_branch_is_told_apart_from_pull_requests(database: Database) {
        use Mark::{Failed, Passed};
        let store = &database.store;
        for (head, moment) in [('1', 10), ('2', 20), ('3', 30)] {
            passage(store, &on_branch(head), &[(moment, &[seen("dns", Failed)])]).await;
        }
        passage(store, &run(1, '4'), &[(40, &[seen("dns", Passed)])]).await;
        let dns = history(store, "dns").await;
        assert_eq!((dns.base_failing, dns.health(today())), (3, Health::Broken));
        assert!(dns.failed_in.is_empty());
        passage(store, &on_branch('5'), &[(50, &[seen("dns", Passed)])]).await;
        assert_eq!(history(store, "dns").await.base_failing, 0);
    }

    async fn a_first_failure_in_a_pull_request_says_nothing_of_the_branch(database: Database) {
        let store = &database.store;
        passage(store, &run(1, 'a'), &[(0, &[seen("dns", Mark::Failed)])]).await;
        let dns = history(store, "dns").await;
        assert_eq!((dns.base_failing, dns.known(run(1, 'a').pr, today())), (0, None));
    }

    async fn lists_are_narrowed_and_old_days_forgotten(database: Database) {
        use Mark::{Failed, Passed};
        let store = &database.store;
        let other = Run { repo: "acme/other".parse().unwrap(), ..run(1, '1') };
        passage(store, &other, &[(10, &[seen("dns", Failed)])]).await;
        passage(store, &run(1, '2'), &[(20, &[seen("pods", Failed), seen("gone", Failed)])]).await;
        passage(store, &run(1, '3'), &[(9 * DAY, &[seen("pods", Passed)])]).await;
        let listed = async |repo: Option<&str>, suite: Option<&str>| {
            let filter = FlakeFilter { repo: repo.map(|r| r.parse().unwrap()), suite: suite.map(|s| s.parse().unwrap()) };
            let found = store.flakes(&filter, 0, 9).await.unwrap();
            found.into_iter().map(|history| history.name).collect::<Vec<_>>()
        };
        assert_eq!(listed(None, None).await.len(), 3);
        assert_eq!(listed(Some("acme/other"), Some("smoke")).await, ["dns"]);
        assert!(listed(None, Some("custom")).await.is_empty());
        assert!(store.flakes(&FlakeFilter::default(), today() + 1, 9).await.unwrap().is_empty());
        while store.prune_statistics(today() + 5, 1).await.unwrap() > 0 {}
        let left = history(store, "pods").await;
        assert_eq!(left.days, [Day { day: today() + 9, tally: tally(1, 0, 0, 1) }]);
        assert_eq!(listed(None, None).await, ["pods"]);
    }
}

/// 20,000 specs over 50 days, one in fifty of them bad now and then.
#[tokio::test]
async fn a_million_case_days_are_no_burden() {
    let database = sqlite().await;
    let today = day_of(crate::support::engine::now());
    let pool = sqlx::SqlitePool::connect(&database.url).await.unwrap();
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) ";
    let specs = format!(
        "{numbers} INSERT INTO specs (id, repo, suite, class, name, seen_at, bad_at, last) SELECT i, 'acme/infra', 'smoke', \
         'c', '[sig-apps] a spec with a name of ordinary length that says what it should do ' || i, {0}, \
         CASE WHEN i % 50 = 0 THEN {0} END, 'passed' FROM n",
        today * DAY * 1000
    );
    sqlx::query(sqlx::AssertSqlSafe(specs)).execute(&pool).await.unwrap();
    let days = format!(
        "{numbers}, d (day) AS (SELECT {today} - 49 UNION ALL SELECT day + 1 FROM d WHERE day < {today}) \
         INSERT INTO spec_days SELECT i, day, 9, CASE WHEN i % 50 = 0 THEN 1 ELSE 0 END, 0, 1 FROM n, d"
    );
    sqlx::query(sqlx::AssertSqlSafe(days)).execute(&pool).await.unwrap();
    pool.close().await;
    let store = &database.store;

    // Generous: the point is that nothing walks the whole table, which would take seconds.
    let begun = Instant::now();
    let listed = store.flakes(&FlakeFilter::default(), today - 27, 200).await.unwrap();
    assert_eq!((listed.len(), listed[0].days.len()), (200, 28));
    let listing = begun.elapsed();

    let name = |n| format!("[sig-apps] a spec with a name of ordinary length that says what it should do {n}");
    let observations: Vec<_> = (1..=424).map(|n| seen(&name(n), Mark::Passed)).collect();
    let begun = Instant::now();
    passage(store, &run(1, 'a'), &[(0, &observations)]).await;
    let finishing = begun.elapsed();

    let begun = Instant::now();
    assert!(store.prune_statistics(today - 40, 1000).await.unwrap() >= 1000);
    let forgetting = begun.elapsed();
    let took = format!("listing {listing:?}, an attempt of 424 specs {finishing:?}, forgetting 1000 {forgetting:?}");
    crate::support::engine::figure(&took);
    assert!([listing, finishing, forgetting].iter().all(|took| *took < Duration::from_secs(2)), "{took}");
}

#[tokio::test]
async fn the_page_and_the_api_show_the_worst_first_and_hostile_names_as_text() {
    use Mark::{Failed, Flaky, Passed};
    const HOSTILE: &str = "<script>alert('x')</script>";
    let service = Service::start().await;
    for pr in 1_u64..=8 {
        let marks = [seen("good", Passed), seen("bad", Failed), seen(HOSTILE, if pr > 5 { Flaky } else { Passed })];
        let made = Run { id: RunId::new(at(pr.cast_signed())), pr: (pr < 5).then_some(pr), ..run(1, 'a') };
        passage(&service.store, &made, &[(pr.cast_signed(), &marks)]).await;
    }
    let told = |path: &'static str| {
        let service = &service;
        async move {
            let answer = service.get(path).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()
        }
    };
    let all = told("/api/v1/flakes").await;
    let names: Vec<_> = all["specs"].as_array().unwrap().iter().map(|spec| spec["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bad", HOSTILE], "{all:#}");
    let of = |spec: usize, key: &str| all["specs"][spec][key].clone();
    assert_eq!((of(0, "health"), of(1, "health")), ("broken".into(), "flaky".into()), "{all:#}");
    assert_eq!(of(1, "observations")["flaky"], 3, "{all:#}");
    for (path, count) in [
        ("/api/v1/flakes?repo=acme/infra&suite=smoke", 2),
        ("/api/v1/flakes?repo=acme/other", 0),
        ("/api/v1/flakes?suite=conformance", 0),
    ] {
        assert_eq!(told(path).await["specs"].as_array().unwrap().len(), count, "{path}");
    }
    let page = service.get("/flakes").await;
    assert!(page.status == 200 && page.body.find("bad").unwrap() < page.body.find("alert(").unwrap(), "{}", page.body);
    assert!(!page.body.contains("<script>alert"), "a spec's name is text");
    for bad in ["/flakes?repo=nonsense", "/api/v1/flakes?days=soon", "/api/v1/flakes?suite=%00"] {
        assert_eq!(service.get(bad).await.status, 400, "{bad}");
    }
}
