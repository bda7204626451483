//! One service at a time: whoever acts on the rows holds a lock of the database, and every other one waits.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::time::{interval, timeout};

use super::{Db, Result, Store, StoreError};

/// How often a lock is tried for, and one that is held is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// A database that is silent for longer has lost our session, or will.
const PATIENCE: Duration = Duration::from_secs(10);
/// Any number that no other user of the database takes.
const KEY: i64 = 0x706f_7274_6375_6c6c;

/// The right to act on the rows; given back when it is dropped.
pub struct Claim {
    from: Source,
    held: Held,
}

#[derive(Clone)]
enum Source {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

enum Held {
    File { _lock: File },
    Session(PgConnection),
}

impl Store {
    /// Waits until no other service acts on this database.
    ///
    /// # Errors
    /// The lock cannot be asked for.
    pub async fn claim(&self) -> Result<Claim> {
        let from = match &self.db {
            Db::Sqlite(pool) => {
                let mut path = pool.connect_options().get_filename().as_os_str().to_owned();
                path.push(".lock");
                Source::Sqlite(path.into())
            }
            Db::Postgres(pool) => Source::Postgres(Box::new((*pool.connect_options()).clone())),
        };
        let (mut told, mut pause) = (false, interval(PAUSE));
        loop {
            pause.tick().await;
            if let Some(held) = from.try_hold().await? {
                return Ok(Claim { from, held });
            }
            if !told {
                tracing::warn!("another portcullis works on this database; waiting until it ends");
                told = true;
            }
        }
    }
}

impl Claim {
    /// Comes back when another service has the claim: whatever this one still does would be done twice.
    pub async fn lost(mut self) -> StoreError {
        let mut pause = interval(PAUSE);
        loop {
            pause.tick().await;
            let lives = match &mut self.held {
                Held::File { .. } => true,
                Held::Session(session) => matches!(timeout(PATIENCE, session.ping()).await, Ok(Ok(()))),
            };
            if lives {
                continue;
            }
            match self.from.try_hold().await {
                Ok(Some(held)) => self.held = held,
                Ok(None) => return StoreError::Open("another portcullis has taken the database over".to_owned()),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the claim is not held just now")
                }
            }
        }
    }
}

impl Source {
    async fn try_hold(&self) -> Result<Option<Held>> {
        match self {
            Source::Sqlite(path) => {
                let refused = |error| StoreError::Open(format!("{}: {error}", path.display()));
                let lock = File::create(path).map_err(refused)?;
                match lock.try_lock() {
                    Ok(()) => Ok(Some(Held::File { _lock: lock })),
                    Err(TryLockError::WouldBlock) => Ok(None),
                    Err(TryLockError::Error(error)) => Err(refused(error)),
                }
            }
            Source::Postgres(options) => {
                let mut session =
                    timeout(PATIENCE, options.connect()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                // A host that is gone without a word gives the lock back within half a minute.
                let keepalive = "SELECT set_config('tcp_keepalives_idle', '10', false), \
                     set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '4', false)";
                sqlx::query(keepalive).execute(&mut session).await?;
                let locked: bool =
                    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(KEY).fetch_one(&mut session).await?;
                Ok(locked.then_some(Held::Session(session)))
            }
        }
    }
}
