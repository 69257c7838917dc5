//! Connections that know who acts, and transactions that record at their end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    ExecResult, IsolationLevel, QueryResult, Statement, TransactionError, TransactionOptions,
    TransactionSession, TransactionTrait,
};

use crate::capture::flush;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::Unit;
use crate::is_retryable;
use crate::unseen::{Unseen, UnseenWrites};

/// A `DatabaseConnection` whose saves and transactions are recorded with a [`Context`].
///
/// It goes wherever SeaORM takes a connection. Its transactions are [`RecordedTransaction`]s: a
/// thousand saves in one cost two statements more, not a thousand. They begin READ COMMITTED, on
/// SQLite IMMEDIATE, unless told otherwise.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, article) = blog().await?;
/// // In an application: RecordedConnection::new(Database::connect(url).await?), and for a request
/// let alice = db.with_context(Context::actor("alice").reason("typo"));
/// let mut edited = article.clone().into_active_model();
/// edited.title = Set("Hello, world".to_owned());
/// let article = edited.update(&alice).await?;
///
/// let latest = article.records().latest().one(&db).await?.ok_or("no record")?;
/// assert_eq!(latest.actor.as_deref(), Some("alice"));
///
/// let mut edited = article.clone().into_active_model();
/// edited.title = Set("Not recorded".to_owned());
/// edited.update(&db.without_recording()).await?;
/// assert!(article.has_unrecorded_changes(&db).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RecordedConnection {
    inner: DatabaseConnection,
    context: Arc<Context>,
    paused: bool,
    strict: bool,
    unseen: Arc<Unseen>,
}

impl RecordedConnection {
    /// Records what is saved through this connection. Default: an empty context, as
    /// [`Context::new`]; a warning of writes past the hooks ([`UnseenWrites::Warn`]); not
    /// [`strict`](Self::strict).
    pub fn new(inner: DatabaseConnection) -> Self {
        Self {
            inner,
            context: Arc::default(),
            paused: false,
            strict: false,
            unseen: Arc::new(Unseen::on_pool(UnseenWrites::default())),
        }
    }

    /// The same pool, acting for someone: in a web application, one for each request. It is as cheap
    /// as a clone.
    #[must_use]
    pub fn with_context(&self, context: Context) -> Self {
        Self {
            context: Arc::new(context),
            ..self.clone()
        }
    }

    /// The same pool, recording nothing: django-simple-history's `skip_history_when_saving`.
    ///
    /// What changes meanwhile is missing from the history until the rows are next saved.
    #[must_use]
    pub fn without_recording(&self) -> Self {
        Self {
            paused: true,
            ..self.clone()
        }
    }

    /// The same pool, with a rule for statements that write to a recorded or watched table where no
    /// hook sees it: SeaORM's own `insert_many`, `update_many` and the like, and raw SQL. Default:
    /// [`UnseenWrites::Warn`].
    ///
    /// It goes by the text of statements on this connection and in its transactions, and sees what
    /// stands there: the table after `INSERT INTO`, `UPDATE`, `DELETE FROM`, `REPLACE INTO`,
    /// `TRUNCATE` and `MERGE INTO`, also within `WITH`. It does not see what functions, triggers and
    /// cascades write, further tables of a MySQL statement on several, nor what goes through
    /// [`inner`](Self::inner). Within [`capture`](crate::capture) the table of the selected rows is
    /// free.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, _, _) = blog().await?;
    /// use sea_orm::ConnectionTrait;
    /// use sea_orm_record::UnseenWrites;
    ///
    /// let db = db.with_unseen_writes(UnseenWrites::Refuse);
    /// let error = db.execute_unprepared("DELETE FROM blog_article").await.unwrap_err();
    /// assert!(matches!(RecordError::of(&error), Some(RecordError::Unseen { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_unseen_writes(&self, policy: UnseenWrites) -> Self {
        Self {
            unseen: Arc::new(Unseen::on_pool(policy)),
            ..self.clone()
        }
    }

    /// The same pool, refusing saves that could not be atomic: those by SeaORM's *trait* methods
    /// outside a transaction (`ActiveModelTrait::update`, as generic code calls it), where the row
    /// commits before its record. Default: they are recorded in a second transaction.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, _, row) = blog().await?;
    /// use sea_orm::ActiveModelTrait;
    ///
    /// let db = db.strict();
    /// let mut edited = row.into_active_model();
    /// edited.title = Set("Hello, world".to_owned());
    /// assert!(ActiveModelTrait::update(edited.clone(), &db).await.is_err());
    /// edited.update(&db).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn strict(&self) -> Self {
        Self {
            strict: true,
            ..self.clone()
        }
    }

    /// The connection underneath.
    pub fn inner(&self) -> &DatabaseConnection {
        &self.inner
    }

    /// Which database this is; named here as it is in `ConnectionTrait` and in `StreamTrait`.
    pub fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    /// Who acts.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(crate) fn unseen(&self) -> &Unseen {
        &self.unseen
    }

    /// Nothing is ever pending outside a transaction.
    async fn before(&self, _sql: &str) -> Result<(), DbErr> {
        Ok(())
    }

    fn look(&self, sql: &str, prepared: bool) -> Result<(), DbErr> {
        match self.paused {
            true => Ok(()),
            false => self.unseen.look(sql, prepared),
        }
    }

    /// Runs a closure in a transaction as `transaction` does, and again from the start where that
    /// fails with an error that [`is_retryable`](crate::is_retryable): a deadlock, a serialization
    /// failure, a busy file. It is run at least once and at most `times` times, with no wait between;
    /// then the last error is returned.
    ///
    /// # Errors
    ///
    /// The closure's, the database's, and a [`RecordError`](crate::RecordError) within the `DbErr`.
    ///
    /// ```
    /// # async fn example(db: sea_orm_record::RecordedConnection) -> Result<(), sea_orm::DbErr> {
    /// use sea_orm::ConnectionTrait;
    ///
    /// let rows = db
    ///     .transaction_retrying(5, |txn| Box::pin(txn.execute_unprepared("DELETE FROM draft")))
    ///     .await?
    ///     .rows_affected();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transaction_retrying<F, T>(&self, times: usize, callback: F) -> Result<T, DbErr>
    where
        F: for<'c> Fn(
                &'c RecordedTransaction,
            ) -> Pin<Box<dyn Future<Output = Result<T, DbErr>> + Send + 'c>>
            + Send
            + Sync,
        T: Send,
    {
        let mut left = times;
        loop {
            left = left.saturating_sub(1);
            let txn = self.begin().await;
            let result = match txn {
                Ok(txn) => {
                    let result = callback(&txn).await;
                    txn.finish(result).await.map_err(either)
                }
                Err(error) => Err(error),
            };
            match result {
                Err(error) if left > 0 && is_retryable(&error) => {}
                result => return result,
            }
        }
    }

    /// Runs an async closure in a transaction, records what it wrote and commits; rolls all back
    /// where the closure, the recording or the commit fails.
    ///
    /// # Errors
    ///
    /// The closure's, or the database's as `TransactionError::Connection`.
    ///
    /// ```
    /// # async fn example(db: sea_orm_record::RecordedConnection) -> Result<(), Box<dyn std::error::Error>> {
    /// use sea_orm::{ConnectionTrait, DbErr};
    ///
    /// let rows = db
    ///     .transaction_async(async |txn| txn.execute_unprepared("DELETE FROM draft").await)
    ///     .await?
    ///     .rows_affected();
    /// # Ok(())
    /// # }
    /// ```
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
}

fn either(error: TransactionError<DbErr>) -> DbErr {
    let (TransactionError::Connection(error) | TransactionError::Transaction(error)) = error;
    error
}

/// Rolls back after an error, and answers whether that went well. What went wrong first is what the
/// caller wants to know: MySQL ends a whole transaction upon a deadlock, and then has no savepoint to
/// go back to, which would hide that one may try again.
pub(crate) async fn undo(txn: DatabaseTransaction) -> bool {
    let undone = txn.rollback().await;
    if let Err(rollback) = &undone {
        tracing::warn!(%rollback, "what failed could not be rolled back");
    }
    undone.is_ok()
}

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
    inner: DatabaseTransaction,
    unit: Arc<Unit>,
    outermost: bool,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit")
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

impl RecordedTransaction {
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
        if self.outermost {
            let recorded = match self.unit.is_whole() {
                Err(interrupted) => Err(interrupted.into()),
                Ok(()) => flush(self.inner(), &self.unit.context, self.unit.take(), false).await,
            };
            if let Err(error) = recorded {
                undo(self.inner).await;
                return Err(error);
            }
            return self.inner.commit().await;
        }
        let Self { inner, unit, .. } = self;
        unit.undivided(inner.commit()).await?;
        unit.keeps_savepoint();
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

    async fn finish<T, E>(self, result: Result<T, E>) -> Result<T, TransactionError<E>>
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
                    drop(unit.begins());
                }
            }
        }
        result
    }

    fn nested(&self, inner: DatabaseTransaction) -> Self {
        self.unit.makes_savepoint();
        Self {
            inner,
            unit: Arc::clone(&self.unit),
            outermost: false,
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

    fn look(&self, sql: &str, prepared: bool) -> Result<(), DbErr> {
        match self.unit.paused {
            true => Ok(()),
            false => self.unit.unseen.look(sql, prepared),
        }
    }

    /// Records what is pending before a statement that reads where it goes.
    async fn before(&self, sql: &str) -> Result<(), DbErr> {
        if self.unit.must_flush_before(sql) {
            self.flush().await?;
        }
        Ok(())
    }
}

/// `async_trait` cannot see into a macro within an impl, so each macro writes a whole one.
macro_rules! impl_connection {
    ($connection:ty) => {
        #[async_trait]
        impl ConnectionTrait for $connection {
            fn get_database_backend(&self) -> DbBackend {
                ConnectionTrait::get_database_backend(&self.inner)
            }

            async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
                self.look(&stmt.sql, true)?;
                self.before(&stmt.sql).await?;
                self.inner.execute_raw(stmt).await
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                self.look(sql, false)?;
                self.before(sql).await?;
                self.inner.execute_unprepared(sql).await
            }

            async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
                self.look(&stmt.sql, true)?;
                self.before(&stmt.sql).await?;
                self.inner.query_one_raw(stmt).await
            }

            async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.look(&stmt.sql, true)?;
                self.before(&stmt.sql).await?;
                self.inner.query_all_raw(stmt).await
            }

            fn support_returning(&self) -> bool {
                self.inner.support_returning()
            }

            fn is_mock_connection(&self) -> bool {
                self.inner.is_mock_connection()
            }
        }
    };
}

impl_connection!(RecordedConnection);
impl_connection!(RecordedTransaction);

#[cfg(feature = "stream")]
impl sea_orm::StreamTrait for RecordedConnection {
    type Stream<'a> = <DatabaseConnection as sea_orm::StreamTrait>::Stream<'a>;

    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.inner)
    }

    fn stream_raw<'a>(
        &'a self,
        stmt: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        match self.look(&stmt.sql, true) {
            Ok(()) => self.inner.stream_raw(stmt),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

#[cfg(feature = "stream")]
impl sea_orm::StreamTrait for RecordedTransaction {
    type Stream<'a> = <DatabaseTransaction as sea_orm::StreamTrait>::Stream<'a>;

    fn get_database_backend(&self) -> DbBackend {
        ConnectionTrait::get_database_backend(&self.inner)
    }

    fn stream_raw<'a>(
        &'a self,
        stmt: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            self.look(&stmt.sql, true)?;
            self.before(&stmt.sql).await?;
            self.inner.stream_raw(stmt).await
        })
    }
}

macro_rules! impl_transactions {
    ($connection:ty, |$this:ident, $options:ident| $begin:expr) => {
        #[async_trait]
        impl TransactionTrait for $connection {
            type Transaction = RecordedTransaction;

            async fn begin(&self) -> Result<RecordedTransaction, DbErr> {
                self.begin_with_options(TransactionOptions::default()).await
            }

            async fn begin_with_config(
                &self,
                isolation_level: Option<IsolationLevel>,
                access_mode: Option<AccessMode>,
            ) -> Result<RecordedTransaction, DbErr> {
                self.begin_with_options(TransactionOptions {
                    isolation_level,
                    access_mode,
                    ..Default::default()
                })
                .await
            }

            async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
            where
                F: for<'c> FnOnce(
                        &'c RecordedTransaction,
                    )
                        -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
                    + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                self.transaction_with_config(callback, None, None).await
            }

            async fn transaction_with_config<F, T, E>(
                &self,
                callback: F,
                isolation_level: Option<IsolationLevel>,
                access_mode: Option<AccessMode>,
            ) -> Result<T, TransactionError<E>>
            where
                F: for<'c> FnOnce(
                        &'c RecordedTransaction,
                    )
                        -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
                    + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                let txn = self
                    .begin_with_config(isolation_level, access_mode)
                    .await
                    .map_err(TransactionError::Connection)?;
                let result = callback(&txn).await;
                txn.finish(result).await
            }

            async fn begin_with_options(
                &self,
                $options: TransactionOptions,
            ) -> Result<RecordedTransaction, DbErr> {
                let $this = self;
                $begin
            }
        }
    };
}

impl_transactions!(RecordedConnection, |this, options| {
    let options = Dialect::of(&this.inner).transaction_options(options);
    Ok(RecordedTransaction {
        inner: this.inner.begin_with_options(options).await?,
        unit: Arc::new(Unit::gathered(
            &this.context,
            this.paused,
            this.unseen.policy(),
        )),
        outermost: true,
    })
});
impl_transactions!(RecordedTransaction, |this, options| {
    let begun = this.unit.undivided(this.inner.begin_with_options(options));
    Ok(this.nested(begun.await?))
});

#[async_trait]
impl TransactionSession for RecordedTransaction {
    async fn commit(self) -> Result<(), DbErr> {
        self.commit().await
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.rollback().await
    }
}
