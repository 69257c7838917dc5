//! A connection whose type is forgotten.
//!
//! `ConnectionTrait` is not object-safe. Erasing it lets property closures be stored, ends the
//! recursion of types from a hook into the saves that it makes, and keeps the engine out of the
//! code that is compiled again for each entity and connection.

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder,
};

use crate::reads::Reads;

/// A borrowed connection of any kind: what property closures get.
///
/// It is `Copy` and implements `ConnectionTrait`, so `&db` goes wherever SeaORM takes a
/// connection:
///
/// ```
/// use sea_orm::{ConnectionTrait, DbBackend};
///
/// fn dialect(db: sea_orm_record::Connection<'_>) -> DbBackend {
///     db.get_database_backend()
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Connection<'c> {
    inner: &'c dyn Erased,
    reads: Option<&'c Reads>,
}

impl std::fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connection")
            .field(&self.get_database_backend())
            .finish()
    }
}

impl<'c> Connection<'c> {
    pub(crate) fn new<C: ConnectionTrait>(connection: &'c C) -> Self {
        Self {
            inner: connection,
            reads: None,
        }
    }

    /// The same connection, noting which tables are read through it.
    pub(crate) fn noting(self, reads: &'c Reads) -> Self {
        Self {
            reads: Some(reads),
            ..self
        }
    }

    fn note(&self, statement: &Statement) {
        if let Some(reads) = self.reads {
            reads.note(&statement.sql);
        }
    }

    fn note_built<S: StatementBuilder>(&self, statement: &S) {
        if self.reads.is_some() {
            self.note(&statement.build(&self.get_database_backend()));
        }
    }
}

#[async_trait]
impl ConnectionTrait for Connection<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.inner.execute_raw(stmt).await
    }

    async fn execute<S: StatementBuilder>(&self, stmt: &S) -> Result<ExecResult, DbErr> {
        self.inner.execute(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.inner.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.note(&stmt);
        self.inner.query_one_raw(stmt).await
    }

    async fn query_one<S: StatementBuilder>(&self, stmt: &S) -> Result<Option<QueryResult>, DbErr> {
        self.note_built(stmt);
        self.inner.query_one(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.note(&stmt);
        self.inner.query_all_raw(stmt).await
    }

    async fn query_all<S: StatementBuilder>(&self, stmt: &S) -> Result<Vec<QueryResult>, DbErr> {
        self.note_built(stmt);
        self.inner.query_all(stmt).await
    }

    fn support_returning(&self) -> bool {
        self.inner.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.inner.is_mock()
    }
}

/// The object-safe half of `ConnectionTrait`. Statement builders are forwarded unbuilt, because
/// SeaORM's `RestrictedConnection` refuses raw statements.
#[async_trait]
trait Erased: Sync {
    fn backend(&self) -> DbBackend;
    fn support_returning(&self) -> bool;
    fn is_mock(&self) -> bool;
    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr>;
    async fn execute(&self, stmt: &dyn StatementBuilder) -> Result<ExecResult, DbErr>;
    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr>;
    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr>;
    async fn query_one(&self, stmt: &dyn StatementBuilder) -> Result<Option<QueryResult>, DbErr>;
    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr>;
    async fn query_all(&self, stmt: &dyn StatementBuilder) -> Result<Vec<QueryResult>, DbErr>;
}

#[async_trait]
impl<C: ConnectionTrait> Erased for C {
    fn backend(&self) -> DbBackend {
        self.get_database_backend()
    }

    fn support_returning(&self) -> bool {
        ConnectionTrait::support_returning(self)
    }

    fn is_mock(&self) -> bool {
        self.is_mock_connection()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        ConnectionTrait::execute_raw(self, stmt).await
    }

    async fn execute(&self, stmt: &dyn StatementBuilder) -> Result<ExecResult, DbErr> {
        ConnectionTrait::execute(self, &Unbuilt(stmt)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        ConnectionTrait::execute_unprepared(self, sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        ConnectionTrait::query_one_raw(self, stmt).await
    }

    async fn query_one(&self, stmt: &dyn StatementBuilder) -> Result<Option<QueryResult>, DbErr> {
        ConnectionTrait::query_one(self, &Unbuilt(stmt)).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        ConnectionTrait::query_all_raw(self, stmt).await
    }

    async fn query_all(&self, stmt: &dyn StatementBuilder) -> Result<Vec<QueryResult>, DbErr> {
        ConnectionTrait::query_all(self, &Unbuilt(stmt)).await
    }
}

struct Unbuilt<'s>(&'s dyn StatementBuilder);

impl StatementBuilder for Unbuilt<'_> {
    fn build(&self, db_backend: &DbBackend) -> Statement {
        self.0.build(db_backend)
    }

    #[cfg(feature = "rbac")]
    fn audit(&self) -> Result<sea_orm::QueryAccessAudit, sea_orm::AuditError> {
        self.0.audit()
    }
}
