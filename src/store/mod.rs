//! Stored state: the only room that speaks SQL. SQLite and PostgreSQL run the same statements behind one [`Store`].
//!
//! Every method is one transaction. A method never calls anything outside while a transaction is open.

mod attempts;
mod audit;
mod catchup;
mod claim;
mod clusters;
mod deliveries;
mod effects;
mod flakes;
mod messages;
mod pages;
mod rows;
mod runs;
mod statuses;
mod summaries;
mod triggers;
mod views;

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, SqlSafeStr};
use tokio::sync::Mutex;

pub use attempts::Shown;
pub use audit::AuditFilter;
pub use claim::Claim;
use deliveries::Lane;
pub use deliveries::{Delivery, NewDelivery, Receipt};
pub use effects::Created;
pub use flakes::FlakeFilter;
pub use messages::Unsent;
pub use pages::{Census, NotableCase, RunFilter, RunLine, Standing, Start, StatusLine};
pub use statuses::{CheckRun, Taken, Told, Unpublished};
pub use summaries::Summary;
pub use triggers::Said;

const SQLITE_MIGRATIONS: &[(&str, &str)] = &[("init", include_str!("../../migrations/sqlite/0001_init.sql"))];
const POSTGRES_MIGRATIONS: &[(&str, &str)] = &[("init", include_str!("../../migrations/postgres/0001_init.sql"))];

/// A failed statement, sorted by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot take or give data now (gone, locked, disk full). Try again later; nothing was changed.
    #[error("the store is not available")]
    Unavailable(#[source] sqlx::Error),
    /// A stored value does not read back: a newer version wrote it, or the row was changed by hand.
    #[error("the store holds `{value}` where a {what} should be")]
    Corrupt { what: &'static str, value: String },
    /// The database refuses to open or to be brought to this version's shape.
    #[error("the store cannot be opened: {0}")]
    Open(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::Unavailable(error)
    }
}

/// Result of a store method.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Db,
    lane: Arc<Mutex<Option<Lane>>>,
}

#[derive(Clone)]
enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs one expression against whichever pool is open.
macro_rules! on {
    ($store:expr, $pool:ident => $body:expr) => {
        match &$store.db {
            $crate::store::Db::Sqlite($pool) => $body,
            $crate::store::Db::Postgres($pool) => $body,
        }
    };
}

/// Runs a block within one transaction; leaving it by `?` rolls back. SQLite takes its write lock at the start, so that
/// a transaction that reads before it writes cannot find itself outdated.
macro_rules! transaction {
    ($store:expr, $tx:ident => $body:block) => {
        match &$store.db {
            $crate::store::Db::Sqlite(pool) => {
                let mut $tx = pool.begin_with("BEGIN IMMEDIATE").await?;
                let out = $body;
                $tx.commit().await?;
                out
            }
            $crate::store::Db::Postgres(pool) => {
                let mut $tx = pool.begin().await?;
                let out = $body;
                $tx.commit().await?;
                out
            }
        }
    };
}

/// Runs a block of reads that all see the same moment: a run half way between two states must never be judged.
macro_rules! snapshot {
    ($store:expr, $tx:ident => $body:block) => {
        match &$store.db {
            $crate::store::Db::Sqlite(pool) => {
                let mut $tx = pool.begin().await?;
                $body
            }
            $crate::store::Db::Postgres(pool) => {
                let mut $tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                $body
            }
        }
    };
}

/// Executes one statement with its arguments and gives the number of rows it changed.
macro_rules! execute {
    ($executor:expr, $sql:expr $(, $argument:expr)* $(,)?) => {
        sqlx::query($sql)$(.bind($argument))*.execute($executor).await?.rows_affected()
    };
}

pub(crate) use {execute, on, snapshot, transaction};

impl Store {
    /// Opens `sqlite:PATH` (a file: `:memory:` is refused) or `postgres://…`, and brings it to this version's shape.
    ///
    /// # Errors
    /// The address is not understood, the database does not open, or a newer version has been here.
    pub async fn open(url: &str) -> Result<Self> {
        let store = Self::reach(url).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// As [`Self::open`], once no other service acts on the database: one that still runs keeps the shape that it knows.
    ///
    /// # Errors
    /// As of [`Self::open`], or the lock cannot be asked for.
    pub async fn own(url: &str) -> Result<(Self, Claim)> {
        let store = Self::reach(url).await?;
        let claim = store.claim().await?;
        store.migrate().await?;
        Ok((store, claim))
    }

    async fn reach(url: &str) -> Result<Self> {
        let db = match url.split_once(':') {
            Some(("sqlite", path)) if path != ":memory:" => Db::Sqlite(open_sqlite(path).await?),
            Some(("postgres" | "postgresql", _)) => Db::Postgres(open_postgres(url).await?),
            _ => return Err(StoreError::Open("the address must be sqlite:PATH or postgres://…".into())),
        };
        Ok(Self { db, lane: Arc::default() })
    }

    /// Opens a database that is there already and has this version's shape, to read it beside the service that owns it: nothing is
    /// made, brought to another shape or written.
    ///
    /// # Errors
    /// The address is not understood, there is no such database, or its shape is another version's.
    pub async fn look(url: &str) -> Result<Self> {
        let db = match url.split_once(':') {
            Some(("sqlite", path)) if path != ":memory:" => Db::Sqlite(look_at_sqlite(path).await?),
            Some(("postgres" | "postgresql", _)) => Db::Postgres(open_postgres(url).await?),
            _ => return Err(StoreError::Open("the address must be sqlite:PATH or postgres://…".into())),
        };
        let store = Self { db, lane: Arc::default() };
        store.has_our_shape().await?;
        Ok(store)
    }

    /// Whether exactly our migrations were applied, by what each of them said.
    async fn has_our_shape(&self) -> Result<()> {
        const SQL: &str = "SELECT checksum FROM _sqlx_migrations WHERE success ORDER BY version";
        let ours = match &self.db {
            Db::Sqlite(_) => migrator(SQLITE_MIGRATIONS),
            Db::Postgres(_) => migrator(POSTGRES_MIGRATIONS),
        };
        let applied: std::result::Result<Vec<Vec<u8>>, sqlx::Error> =
            on!(self, pool => sqlx::query_scalar(SQL).fetch_all(pool).await);
        let applied = applied.map_err(|error| match error {
            sqlx::Error::Database(error) => StoreError::Open(format!("it is no portcullis's database: {error}")),
            other => other.into(),
        })?;
        match applied.iter().eq(ours.iter().map(|migration| migration.checksum.as_ref())) {
            true => Ok(()),
            false => Err(StoreError::Open(format!(
                "it has the shape of another version than this {}: use the program that the service runs",
                env!("CARGO_PKG_VERSION")
            ))),
        }
    }

    async fn migrate(&self) -> Result<()> {
        let fail = |error: sqlx::migrate::MigrateError| StoreError::Open(error.to_string());
        match &self.db {
            Db::Sqlite(pool) => migrator(SQLITE_MIGRATIONS).run(pool).await.map_err(fail),
            Db::Postgres(pool) => migrator(POSTGRES_MIGRATIONS).run(pool).await.map_err(fail),
        }
    }

    /// The name that tells this installation's containers and rows from another's; made up once, then kept.
    pub async fn instance(&self, proposal: &str) -> Result<String> {
        on!(self, pool => {
            execute!(pool, "INSERT INTO meta (key, value) VALUES ('instance', $1) ON CONFLICT (key) DO NOTHING", proposal);
            let row = sqlx::query("SELECT value FROM meta WHERE key = 'instance'").fetch_one(pool).await?;
            rows::Columns::text(&row, "value")
        })
    }

    /// The name that [`Store::instance`] has made up; `None` where no service has ever run.
    pub async fn known_instance(&self) -> Result<Option<String>> {
        on!(self, pool => {
            let row = sqlx::query("SELECT value FROM meta WHERE key = 'instance'").fetch_optional(pool).await?;
            row.map(|row| rows::Columns::text(&row, "value")).transpose()
        })
    }

    /// Whether the store answers.
    pub async fn ping(&self) -> Result<()> {
        on!(self, pool => { execute!(pool, "SELECT 1"); });
        Ok(())
    }

    /// Closes every connection; statements after this fail.
    pub async fn close(&self) {
        on!(self, pool => pool.close().await);
        *self.lane.lock().await = None;
    }
}

async fn open_sqlite(path: &str) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"))?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Durable at commit: a delivery that was acknowledged survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        // Bodies of 20 to 30 KB take half the pages, and so half the writes, that they would take of SQLite's usual 4 KB.
        .page_size(8192)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10));
    // A connection to a file does not break while it lies idle.
    let pool = SqlitePoolOptions::new().test_before_acquire(false).max_connections(6).connect_with(options).await;
    pool.map_err(|error| StoreError::Open(format!("{path}: {error}")))
}

async fn look_at_sqlite(path: &str) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"))?
        .create_if_missing(false)
        .read_only(true)
        .busy_timeout(Duration::from_secs(10));
    if !options.get_filename().exists() {
        return Err(StoreError::Open(format!("there is no database at {path}")));
    }
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    pool.map_err(|error| StoreError::Open(format!("{path}: {error}")))
}

async fn open_postgres(url: &str) -> Result<PgPool> {
    let pool = PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_secs(10)).connect(url).await;
    pool.map_err(|error| StoreError::Open(error.to_string()))
}

fn migrator(sources: &[(&'static str, &'static str)]) -> Migrator {
    let numbered = sources.iter().zip(1..);
    let migrations = numbered.map(|((name, sql), version)| {
        let sql = AssertSqlSafe(*sql).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}
