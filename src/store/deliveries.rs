//! The inbox: webhooks as received, stored before anything acts on them.

use jiff::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Database, QueryBuilder};

use super::rows::{Columns, millis};
use super::{Db, Result, Store, execute, on};

/// A verified webhook on its way into the store.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    pub guid: String,
    pub event: String,
    pub body: bytes::Bytes,
    pub received_at: Timestamp,
    /// Why nothing is to be done about it, where that is certain already; nobody looks at it again then.
    pub settled: Option<&'static str>,
}

/// What the store made of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    Stored,
    /// The same GUID was stored before.
    Duplicate,
}

/// A stored delivery that waits to be acted upon.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its place in the inbox.
    pub seq: i64,
    pub guid: String,
    pub event: String,
    pub body: Vec<u8>,
    pub received_at: Timestamp,
    pub tries: u32,
    pub next_try_at: Timestamp,
}

impl Store {
    /// Stores a batch durably in one commit. The receipts come in the batch's order.
    ///
    /// # Errors
    /// The store is not available; then none of the batch may be acknowledged.
    pub async fn accept(&self, batch: &[NewDelivery]) -> Result<Vec<Receipt>> {
        let mut lane = self.lane.lock().await;
        let mut connection = match lane.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let accepted = match &mut connection {
            Lane::Sqlite(connection) => accept_on!(connection, batch),
            Lane::Postgres(connection) => accept_on!(connection, batch),
        };
        // A connection that failed is not used again: it may have been cut.
        *lane = accepted.is_ok().then_some(connection);
        accepted
    }

    async fn connect(&self) -> Result<Lane> {
        on!(self, pool => if pool.is_closed() { return Err(sqlx::Error::PoolClosed.into()) });
        Ok(match &self.db {
            Db::Sqlite(pool) => Lane::Sqlite(SqliteConnection::connect_with(&pool.connect_options()).await?),
            Db::Postgres(pool) => Lane::Postgres(PgConnection::connect_with(&pool.connect_options()).await?),
        })
    }

    /// Deliveries that nobody has acted upon, after the given place in the inbox, oldest first.
    pub async fn open_deliveries(&self, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        const SQL: &str = "SELECT seq, guid, event, body, received_at, tries, next_try_at FROM deliveries \
             WHERE processed_at IS NULL AND seq > $1 ORDER BY seq LIMIT $2";
        on!(self, pool => {
            let rows = sqlx::query(SQL).bind(after).bind(i64::from(limit)).fetch_all(pool).await?;
            rows.iter().map(delivery).collect()
        })
    }

    /// The delivery needs nothing (more) done.
    pub async fn settle_delivery(&self, guid: &str, outcome: &str, now: Timestamp) -> Result<()> {
        on!(self, pool => { execute!(pool, SETTLE, millis(now), outcome, guid); });
        Ok(())
    }

    /// Acting on the delivery failed in a way that may pass; it is tried again later.
    pub async fn postpone_delivery(&self, guid: &str, reason: &str, until: Timestamp) -> Result<()> {
        const SQL: &str = "UPDATE deliveries SET tries = tries + 1, next_try_at = $1, outcome = $2 \
             WHERE guid = $3 AND processed_at IS NULL";
        on!(self, pool => { execute!(pool, SQL, millis(until), reason, guid); });
        Ok(())
    }

    /// Forgets processed deliveries from before `before`, at most `limit` at a time; gives how many went.
    pub async fn prune_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64> {
        const SQL: &str = "DELETE FROM deliveries WHERE seq IN \
             (SELECT seq FROM deliveries WHERE processed_at < $1 ORDER BY processed_at LIMIT $2)";
        Ok(on!(self, pool => execute!(pool, SQL, millis(before), i64::from(limit))))
    }
}

pub(super) const SETTLE: &str =
    "UPDATE deliveries SET processed_at = $1, outcome = $2 WHERE guid = $3 AND processed_at IS NULL";

/// The inbox's own connection. Borrowing one for every batch costs as much as the batch.
pub(super) enum Lane {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Tells what is new from what is known. Slower than finding out that all of it is new.
const EXACT: &str = " ON CONFLICT (guid) DO NOTHING RETURNING guid";

/// Almost always every delivery of a batch is new. If one is not, the first statement fails as a whole.
macro_rules! accept_on {
    ($connection:expr, $batch:expr) => {
        match insert($batch, "").build().execute(&mut *$connection).await {
            Ok(_) => Ok(vec![Receipt::Stored; $batch.len()]),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                match insert($batch, EXACT).build().fetch_all(&mut *$connection).await {
                    Ok(rows) => guids(&rows).map(|stored| receipts($batch, stored)),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    };
}
use accept_on;

fn receipts(batch: &[NewDelivery], mut stored: Vec<String>) -> Vec<Receipt> {
    let receipt = |delivery: &NewDelivery| match stored.iter().position(|guid| *guid == delivery.guid) {
        Some(index) => {
            stored.swap_remove(index);
            Receipt::Stored
        }
        None => Receipt::Duplicate,
    };
    batch.iter().map(receipt).collect()
}

/// One statement for the whole batch: one commit, one fsync.
fn insert<'a, D>(batch: &'a [NewDelivery], end: &'static str) -> QueryBuilder<D>
where
    D: Database,
    &'a str: sqlx::Encode<'a, D> + sqlx::Type<D>,
    &'a [u8]: sqlx::Encode<'a, D> + sqlx::Type<D>,
    i64: sqlx::Encode<'a, D> + sqlx::Type<D>,
    Option<i64>: sqlx::Encode<'a, D> + sqlx::Type<D>,
    Option<&'a str>: sqlx::Encode<'a, D> + sqlx::Type<D>,
{
    let mut query =
        QueryBuilder::new("INSERT INTO deliveries (guid, event, received_at, body, processed_at, outcome) ");
    query.push_values(batch, |mut row, delivery| {
        row.push_bind(delivery.guid.as_str())
            .push_bind(delivery.event.as_str())
            .push_bind(millis(delivery.received_at))
            .push_bind(&delivery.body[..])
            .push_bind(delivery.settled.map(|_| millis(delivery.received_at)))
            .push_bind(delivery.settled);
    });
    query.push(end);
    query
}

fn guids(rows: &[impl Columns]) -> Result<Vec<String>> {
    rows.iter().map(|row| row.text("guid")).collect()
}

fn delivery(row: &impl Columns) -> Result<Delivery> {
    Ok(Delivery {
        seq: row.int("seq")?,
        guid: row.text("guid")?,
        event: row.text("event")?,
        body: row.bytes("body")?,
        received_at: row.time("received_at")?,
        tries: u32::try_from(row.int("tries")?).unwrap_or(u32::MAX),
        next_try_at: row.time("next_try_at")?,
    })
}
