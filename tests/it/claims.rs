//! Two services on one database: one acts, the other waits for its turn.

use std::pin::pin;
use std::time::Duration;

use portcullis::store::Store;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::support::databases::{on_both_databases, postgres};

/// Longer than it takes to notice anything.
const LONG: Duration = Duration::from_secs(20);
/// Long enough to have tried twice.
const SHORT: Duration = Duration::from_secs(3);

on_both_databases! {
    async fn a_second_service_waits_until_the_first_has_ended(database: Database) {
        let first = database.store.claim().await.unwrap();
        // As the first one is of an older version, whose shape must stay as long as it runs.
        database.execute("ALTER TABLE _sqlx_migrations RENAME TO kept").await;
        let mut second = pin!(Store::own(&database.url));
        assert!(timeout(SHORT, &mut second).await.is_err(), "both act on the rows");
        database.execute("ALTER TABLE kept RENAME TO _sqlx_migrations").await;
        drop(first);
        timeout(LONG, second).await.unwrap().unwrap();
    }
}

/// Ends the session that holds the claim, as a restart of the database would.
async fn end_session(url: &str) {
    let mut admin = PgConnection::connect(url).await.unwrap();
    let holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(sqlx::query(holders).execute(&mut admin).await.unwrap().rows_affected(), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL (PORTCULLIS_TEST_POSTGRES)"]
async fn on_postgres_a_lost_session_is_taken_up_again_unless_another_service_was_quicker() {
    let database = postgres().await;
    let claim = database.store.claim().await.unwrap();
    end_session(&database.url).await;
    let mut lost = pin!(claim.lost());
    assert!(timeout(SHORT, &mut lost).await.is_err(), "nobody else wanted it");
    let other = Store::open(&database.url).await.unwrap();
    assert!(timeout(SHORT, other.claim()).await.is_err(), "it is held again");

    end_session(&database.url).await;
    let _second = timeout(LONG, other.claim()).await.unwrap().unwrap();
    let why = timeout(LONG, lost).await.unwrap().to_string();
    assert!(why.contains("another portcullis has taken the database over"), "{why}");
}
