//! SeaORM's traits of connections.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    Statement, TransactionError, TransactionOptions, TransactionSession, TransactionTrait,
};
#[cfg(feature = "stream")]
use sea_orm::{DatabaseConnection, DatabaseTransaction};

use super::{RecordedConnection, RecordedTransaction};
use crate::dialect::Dialect;

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
                self.heed(self.inner.execute_raw(stmt).await)
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                self.look(sql, false)?;
                self.before(sql).await?;
                self.heed(self.inner.execute_unprepared(sql).await)
            }

            async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
                self.look(&stmt.sql, true)?;
                self.before(&stmt.sql).await?;
                self.heed(self.inner.query_one_raw(stmt).await)
            }

            async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.look(&stmt.sql, true)?;
                self.before(&stmt.sql).await?;
                self.heed(self.inner.query_all_raw(stmt).await)
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
macro_rules! impl_stream {
    ($connection:ty, $inner:ty) => {
        impl sea_orm::StreamTrait for $connection {
            type Stream<'a> = <$inner as sea_orm::StreamTrait>::Stream<'a>;

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
    };
}

#[cfg(feature = "stream")]
impl_stream!(RecordedConnection, DatabaseConnection);
#[cfg(feature = "stream")]
impl_stream!(RecordedTransaction, DatabaseTransaction);

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
    let inner = this.inner.begin_with_options(options).await?;
    let policy = this.unseen.policy();
    Ok(RecordedTransaction::new(
        inner,
        &this.context,
        this.paused,
        policy,
    ))
});
impl_transactions!(RecordedTransaction, |this, options| {
    let begun = this
        .unit()
        .undivided(this.inner.begin_with_options(options));
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
