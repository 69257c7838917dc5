//! Recording what no hook sees: raw SQL, the database's own cascades and triggers.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sea_orm::sea_query::Condition;
use sea_orm::{DbErr, EntityTrait, Select, TransactionError, TransactionTrait};

use crate::bulk::{Pages, Rows};
use crate::capture::{record_first, unrecorded};
use crate::cascade::Cut;
use crate::gather::{Note, Unit};
use crate::keys::Key;
use crate::listen::selected;
use crate::registry::registry;
use crate::write::CHUNK;
use crate::{Event, RecordedTransaction};

/// Rows whose changes are recorded whatever makes them; made by [`capture`].
#[derive(Clone, Debug)]
#[must_use = "nothing is recorded until `around`"]
pub struct Capture<E: EntityTrait> {
    select: Select<E>,
}

/// Records whatever happens to the selected rows within a closure: raw SQL, the database's own
/// cascades and triggers, SeaORM's statements that call no hooks.
///
/// The rows are locked in the order of their keys before the closure runs, and noted with those who
/// depend on them; so are those that the same select finds afterwards. A selected row that has no
/// record gets one of before, with the event [`Backfilled`](Event::Backfilled), so that what happens
/// to it shows. The rows may be of a recorded entity, or of one that is only watched.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, topic, row) = blog().await?;
/// use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
///
/// let articles = article::Entity::find().filter(article::Column::TopicId.eq(topic.id));
/// sea_orm_record::capture(articles)
///     .around(&db, |txn| {
///         Box::pin(txn.execute_unprepared("UPDATE blog_article SET title = upper(title)"))
///     })
///     .await?;
/// let latest = row.records().latest().one(&db).await?.ok_or("no record")?;
/// assert_eq!(latest.title, "HELLO");
/// # Ok(())
/// # }
/// ```
pub fn capture<E: EntityTrait>(select: Select<E>) -> Capture<E> {
    Capture { select }
}

impl<E: EntityTrait<Model: Sync + 'static>> Capture<E> {
    /// Runs the closure in a transaction of `db` (a savepoint, where `db` is one already), records
    /// what became of the rows, and commits; rolls all back where the closure or the recording fails.
    ///
    /// `db` is a [`RecordedConnection`](crate::RecordedConnection) or a [`RecordedTransaction`]; a
    /// plain pool becomes one by `RecordedConnection::new(pool.clone())`.
    ///
    /// # Errors
    ///
    /// The closure's, or the database's and a [`RecordError`](crate::RecordError) as
    /// `TransactionError::Connection`.
    pub async fn around<C, F, T, X>(self, db: &C, callback: F) -> Result<T, TransactionError<X>>
    where
        C: TransactionTrait<Transaction = RecordedTransaction>,
        F: for<'c> FnOnce(
                &'c RecordedTransaction,
            ) -> Pin<Box<dyn Future<Output = Result<T, X>> + Send + 'c>>
            + Send,
        T: Send,
        X: std::fmt::Display + std::fmt::Debug + Send,
    {
        let (txn, keys) = self.begin(db).await?;
        let free = Free::of::<E>(&txn);
        let result = callback(&txn).await;
        drop(free);
        self.end(txn, keys, result).await
    }

    /// [`around`](Self::around) with an async closure.
    ///
    /// # Errors
    ///
    /// Those of [`around`](Self::around).
    pub async fn around_async<C, F, T, X>(
        self,
        db: &C,
        callback: F,
    ) -> Result<T, TransactionError<X>>
    where
        C: TransactionTrait<Transaction = RecordedTransaction>,
        F: for<'c> AsyncFnOnce(&'c RecordedTransaction) -> Result<T, X> + Send,
        T: Send,
        X: std::fmt::Display + std::fmt::Debug + Send,
    {
        let (txn, keys) = self.begin(db).await?;
        let free = Free::of::<E>(&txn);
        let result = callback(&txn).await;
        drop(free);
        self.end(txn, keys, result).await
    }

    /// Opens the transaction, and looks at the rows before the closure does.
    async fn begin<C, X>(
        &self,
        db: &C,
    ) -> Result<(RecordedTransaction, Vec<Key>), TransactionError<X>>
    where
        C: TransactionTrait<Transaction = RecordedTransaction>,
        X: std::fmt::Display + std::fmt::Debug,
    {
        let txn = db.begin().await.map_err(TransactionError::Connection)?;
        match self.before(&txn).await {
            Ok(keys) => Ok((txn, keys)),
            Err(error) => txn.close(Err(TransactionError::Connection(error))).await,
        }
    }

    async fn end<T, X>(
        &self,
        txn: RecordedTransaction,
        keys: Vec<Key>,
        result: Result<T, X>,
    ) -> Result<T, TransactionError<X>>
    where
        X: std::fmt::Display + std::fmt::Debug,
    {
        let result = match result {
            Ok(output) => match self.after(&txn, keys).await {
                Ok(()) => Ok(output),
                Err(error) => Err(TransactionError::Connection(error)),
            },
            Err(error) => Err(TransactionError::Transaction(error)),
        };
        txn.close(result).await
    }

    fn condition(&self) -> Condition {
        selected(self.select.clone())
    }

    /// Locks and notes the rows; answers with their keys.
    async fn before(&self, txn: &RecordedTransaction) -> Result<Vec<Key>, DbErr> {
        let (registry, unit) = (registry(), txn.unit());
        let Some(node) = registry.node_to_delete::<E>()?.filter(|_| !unit.paused) else {
            return Ok(Vec::new());
        };
        let rows = Rows {
            node,
            conn: txn.inner(),
        };
        let (keys, dependents) = rows.lock::<E>(self.condition(), &Cut::All).await?;
        unit.buffer().merge(dependents);
        rows.touch(&keys, &Note::uncertain(), unit);
        for keys in keys.chunks(CHUNK) {
            backfill(rows, keys, unit).await?;
        }
        Ok(keys)
    }

    /// Notes what became of them, and what the select finds now.
    async fn after(&self, txn: &RecordedTransaction, before: Vec<Key>) -> Result<(), DbErr> {
        let (registry, unit) = (registry(), txn.unit());
        let Some(node) = registry.node_to_delete::<E>()?.filter(|_| !unit.paused) else {
            return Ok(());
        };
        let rows = Rows {
            node,
            conn: txn.inner(),
        };
        if !rows.stand_alone() {
            rows.note_written::<E>(&before, unit).await?;
        }
        let before: HashSet<Key> = before.into_iter().collect();
        let mut pages = Pages::<E>::of(self.condition());
        while let Some(mut keys) = pages.keys(rows.conn).await? {
            keys.retain(|key| !before.contains(key));
            note_new::<E>(rows, &keys, unit).await?;
        }
        Ok(())
    }
}

/// Lets statements on the table of the selected rows pass, until it is dropped.
struct Free {
    unit: Arc<Unit>,
    table: &'static str,
}

impl Free {
    fn of<E: EntityTrait>(txn: &RecordedTransaction) -> Self {
        let (unit, table) = (txn.shared_unit(), E::default().table_name());
        unit.unseen.free(table);
        Self { unit, table }
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        self.unit.unseen.bind(self.table);
    }
}

/// Notes rows that the select did not find before: those without a record were made.
async fn note_new<E>(rows: Rows<'_>, keys: &[Key], unit: &Unit) -> Result<(), DbErr>
where
    E: EntityTrait<Model: Sync + 'static>,
{
    if !rows.stand_alone() {
        rows.note_written::<E>(keys, unit).await?;
    }
    let Some(plan) = rows.node.plan.as_deref() else {
        return Ok(());
    };
    let made = match unrecorded(rows.conn, plan, keys).await? {
        Some(models) => plan.keys_of(&models),
        None => Vec::new(),
    };
    rows.touch(keys, &Note::uncertain(), unit);
    let created = Note {
        born: false,
        ..Note::new(Event::Created)
    };
    rows.touch(&made, &created, unit);
    Ok(())
}

async fn backfill(rows: Rows<'_>, keys: &[Key], unit: &Unit) -> Result<(), DbErr> {
    match rows.unrecorded(keys, unit).await? {
        Some((plan, models)) => {
            record_first(rows.conn, &unit.context, plan, Event::Backfilled, &models).await
        }
        None => Ok(()),
    }
}
