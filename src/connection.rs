//! Connections that know who acts, and transactions that record at their end.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `connection.rs` | the pool |
//! | `connection/transaction.rs` | a transaction that gathers what it writes |
//! | `connection/traits.rs` | SeaORM's traits of connections, for both |

mod traits;
mod transaction;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sea_orm::{DatabaseConnection, DbBackend, DbErr, TransactionError, TransactionTrait};

pub use self::transaction::RecordedTransaction;
use crate::context::Context;
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
    /// cascades write, further tables of a MySQL `UPDATE` of several, nor what goes through
    /// [`inner`](Self::inner); the chapter [write paths](crate::book::write_paths) has it all. Within
    /// [`capture`](crate::capture) the table of the selected rows is free.
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

    /// What a statement came to.
    fn heed<T>(&self, done: Result<T, DbErr>) -> Result<T, DbErr> {
        done
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
