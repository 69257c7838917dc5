//! Transactions that record at their end.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, TransactionError, TransactionTrait,
};

use crate::capture::flush;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::Unit;
use crate::unseen::{Unseen, UnseenWrites};

/// A recorded transaction: it notes what is written and records it at its outermost commit.
///
/// Hooks only note which rows they saw. The commit reads those rows and their dependents once, in
/// sets, and writes a record for each that changed: at most one a row, however often it was saved.
/// Nested transactions are savepoints that share the notes; what is rolled back leaves no record.
/// Reading a record table within it records first, so that one reads one's own records.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, article) = blog().await?;
/// let alice = db.with_context(Context::actor("alice"));
/// alice
///     .transaction_async(async |txn| {
///         for text in ["one", "one two"] {
///             let mut edited = article.clone().into_active_model();
///             edited.text = Set(text.to_owned());
///             edited.update(txn).await?;
///         }
///         Ok::<_, sea_orm::DbErr>(())
///     })
///     .await?;
/// assert_eq!(article.records().all(&db).await?.len(), 2);    // one of its insert, one of both saves
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecordedTransaction {
    pub(super) inner: DatabaseTransaction,
    unit: Arc<Unit>,
    /// None where it is the outermost.
    savepoint: Option<Savepoint>,
}

/// That this is a nested transaction, which is undone unless it is kept.
#[derive(Debug)]
struct Savepoint {
    unit: Arc<Unit>,
    number: u32,
    kept: bool,
}

impl Savepoint {
    fn keep(mut self) {
        self.kept = true;
        self.unit.keeps_savepoint();
    }
}

impl Drop for Savepoint {
    fn drop(&mut self) {
        if !self.kept {
            self.unit.undoes_savepoint(self.number);
        }
    }
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit")
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

impl RecordedTransaction {
    /// One that has just begun.
    pub(super) fn new(
        inner: DatabaseTransaction,
        context: &Context,
        paused: bool,
        policy: UnseenWrites,
    ) -> Self {
        let unseen = Unseen::in_transaction(policy, &inner);
        Self {
            inner,
            unit: Arc::new(Unit::gathered(context, paused, unseen)),
            savepoint: None,
        }
    }

    pub(crate) fn inner(&self) -> Connection<'_> {
        Connection::new(&self.inner)
    }

    pub(crate) fn unit(&self) -> &Unit {
        &self.unit
    }

    pub(crate) fn shared_unit(&self) -> Arc<Unit> {
        Arc::clone(&self.unit)
    }

    /// Which database this is; named here as it is in `ConnectionTrait` and in `StreamTrait`.
    pub fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.inner)
    }

    /// Records what has been written so far; the commit does this by itself. It is for what must be
    /// recorded before something else happens in the transaction, such as raw SQL on the record table.
    ///
    /// It runs in a savepoint. Where it fails no record is left, and the transaction can only be
    /// rolled back.
    ///
    /// # Errors
    ///
    /// A [`RecordError`](crate::RecordError) within the `DbErr`.
    pub async fn flush(&self) -> Result<(), DbErr> {
        if self.unit.buffer().is_empty() {
            return Ok(());
        }
        // From before the savepoint: sqlx undoes the whole transaction where that is cancelled.
        let flushing = self.unit.begins();
        let savepoint = self.inner.begin().await?;
        let buffer = self.unit.take();
        // What is recorded within a nested transaction, also by one further out that flushes while it
        // is open, is taken back with it: so it is looked at again in the end.
        let again = self.unit.has_savepoints().then(|| buffer.clone());
        match flush(
            Connection::new(&savepoint),
            &self.unit.context,
            buffer,
            false,
        )
        .await
        {
            Ok(()) => {
                savepoint.commit().await?;
                if let Some(again) = again {
                    self.unit.buffer().merge(again);
                }
                flushing.ends();
                Ok(())
            }
            Err(error) => {
                undo(savepoint).await;
                Err(error)
            }
        }
    }

    /// Records what was written, if this is the outermost, and commits.
    ///
    /// # Errors
    ///
    /// Where recording fails, everything is rolled back and a [`RecordError`](crate::RecordError)
    /// within the `DbErr` says why.
    pub async fn commit(self) -> Result<(), DbErr> {
        let Some(savepoint) = self.savepoint else {
            let recorded = match self.unit.is_whole() {
                Err(interrupted) => Err(interrupted.into()),
                Ok(()) => flush(self.inner(), &self.unit.context, self.unit.take(), false).await,
            };
            if let Err(error) = recorded {
                undo(self.inner).await;
                return Err(error);
            }
            return self.inner.commit().await;
        };
        self.unit.undivided(self.inner.commit()).await?;
        savepoint.keep();
        Ok(())
    }

    /// Undoes what was written, back to where this transaction began.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn rollback(self) -> Result<(), DbErr> {
        self.inner.rollback().await
    }

    pub(super) async fn finish<T, E>(self, result: Result<T, E>) -> Result<T, TransactionError<E>>
    where
        E: std::fmt::Display + std::fmt::Debug,
    {
        self.close(result.map_err(TransactionError::Transaction))
            .await
    }

    /// Commits or rolls back what was done in it.
    pub(crate) async fn close<T, E>(
        self,
        result: Result<T, TransactionError<E>>,
    ) -> Result<T, TransactionError<E>>
    where
        E: std::fmt::Display + std::fmt::Debug,
    {
        match result {
            Ok(_) => self.commit().await.map_err(TransactionError::Connection)?,
            Err(_) => {
                let Self { inner, unit, .. } = self;
                if !undo(inner).await {
                    // What it did may still stand, so the outermost may not commit it.
                    unit.spoil();
                }
            }
        }
        result
    }

    pub(super) fn nested(&self, inner: DatabaseTransaction) -> Self {
        let unit = Arc::clone(&self.unit);
        let savepoint = Savepoint {
            number: unit.makes_savepoint(),
            unit: Arc::clone(&unit),
            kept: false,
        };
        Self {
            inner,
            unit,
            savepoint: Some(savepoint),
        }
    }

    /// Runs an async closure in a savepoint of this transaction.
    ///
    /// # Errors
    ///
    /// The closure's, or the database's as `TransactionError::Connection`.
    pub async fn transaction_async<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> AsyncFnOnce(&'c RecordedTransaction) -> Result<T, E> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let txn = self.begin().await.map_err(TransactionError::Connection)?;
        let result = callback(&txn).await;
        txn.finish(result).await
    }

    pub(super) fn look(&self, sql: &str, prepared: bool) -> Result<(), DbErr> {
        match self.unit.paused {
            true => Ok(()),
            false => self.unit.unseen.look(sql, prepared),
        }
    }

    /// Records what is pending before a statement that reads where it goes.
    pub(super) async fn before(&self, sql: &str) -> Result<(), DbErr> {
        if self.unit.must_flush_before(sql) {
            self.flush().await?;
        }
        Ok(())
    }

    /// What a statement came to.
    pub(super) fn heed<T>(&self, done: Result<T, DbErr>) -> Result<T, DbErr> {
        done.inspect_err(|error| self.unit.heed(Dialect::of(&self.inner), error))
    }
}

/// Rolls back after an error, and answers whether that went well. What went wrong first is what the
/// caller wants to know: MySQL ends a whole transaction upon a deadlock, and then has no savepoint to
/// go back to, which would hide that one may try again.
async fn undo(txn: DatabaseTransaction) -> bool {
    let undone = txn.rollback().await;
    if let Err(rollback) = &undone {
        tracing::warn!(%rollback, "what failed could not be rolled back");
    }
    undone.is_ok()
}
