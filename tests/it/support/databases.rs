//! A database per test: SQLite in a temporary folder, PostgreSQL in the server that `PORTCULLIS_TEST_POSTGRES` names.

use std::path::Path;

use portcullis::store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// An open store with whatever keeps it alive.
pub struct Database {
    pub store: Store,
    pub url: String,
    _folder: Option<TempDir>,
}

impl Database {
    /// Does by hand what the store never would.
    pub async fn execute(&self, statement: &'static str) {
        match self.url.starts_with("sqlite:") {
            true => {
                let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
            false => {
                let mut connection = PgConnection::connect(&self.url).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
        }
    }
}

pub async fn sqlite() -> Database {
    let folder = TempDir::new().unwrap();
    let database = sqlite_in(folder.path()).await;
    Database { _folder: Some(folder), ..database }
}

/// In a folder that somebody else looks after.
pub async fn sqlite_in(folder: &Path) -> Database {
    let url = format!("sqlite:{}", folder.join("portcullis.db").display());
    Database { store: Store::open(&url).await.unwrap(), url, _folder: None }
}

#[expect(clippy::disallowed_methods, reason = "the test command names it, and no configuration is read here")]
pub async fn postgres() -> Database {
    let server = std::env::var("PORTCULLIS_TEST_POSTGRES").expect("PORTCULLIS_TEST_POSTGRES names a server");
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&name);
    Database { store: Store::open(url.as_str()).await.unwrap(), url: url.into(), _folder: None }
}

/// The same test on both databases.
macro_rules! on_both_databases {
    ($($(#[$doc:meta])* async fn $name:ident($database:ident: Database) $body:block)*) => {
        mod on_sqlite {
            $($(#[$doc])* #[tokio::test] async fn $name() { super::$name($crate::support::databases::sqlite().await).await })*
        }
        mod on_postgres {
            $($(#[$doc])* #[tokio::test] #[ignore = "needs PostgreSQL (PORTCULLIS_TEST_POSTGRES)"]
              async fn $name() { super::$name($crate::support::databases::postgres().await).await })*
        }
        $(async fn $name($database: $crate::support::databases::Database) $body)*
    };
}
pub(crate) use on_both_databases;
