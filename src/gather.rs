//! What was written, until it is recorded.
//!
//! Hooks only note. A single save flushes its notes at its end; a
//! [`RecordedTransaction`](crate::RecordedTransaction) at its outermost commit.

mod notes;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder,
};

use crate::RecordError;
use crate::context::Context;
use crate::erased::Connection;
use crate::unseen::{Unseen, UnseenWrites};

pub(crate) use notes::{Buffer, Note, Touched};

/// A unit of work: its context, and what it has written so far.
pub(crate) struct Unit {
    pub(crate) context: Context,
    /// Whether rows are recorded before anything else can change them, so that their models serve.
    pub(crate) immediate: bool,
    /// Whether nothing is recorded.
    pub(crate) paused: bool,
    /// Who looks out for writes that no hook sees.
    pub(crate) unseen: Unseen,
    buffer: Mutex<Buffer>,
    /// Saves and flushes that began and did not end.
    interrupted: AtomicUsize,
    /// Whether what was made here may have been undone since, and made again by others: there were
    /// savepoints, or the transaction is the user's.
    doubtful: AtomicBool,
}

impl Unit {
    pub(crate) fn immediate(context: &Context) -> Self {
        Self {
            context: context.for_unit(),
            immediate: true,
            paused: false,
            // Its statements are those of one save.
            unseen: Unseen::in_transaction(UnseenWrites::Allow),
            buffer: Mutex::default(),
            interrupted: AtomicUsize::new(0),
            doubtful: AtomicBool::new(false),
        }
    }

    pub(crate) fn gathered(context: &Context, paused: bool, unseen: UnseenWrites) -> Self {
        Self {
            context: context.for_unit(),
            immediate: false,
            paused,
            unseen: Unseen::in_transaction(unseen),
            buffer: Mutex::default(),
            interrupted: AtomicUsize::new(0),
            doubtful: AtomicBool::new(false),
        }
    }

    pub(crate) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Buffer {
        let mut buffer = std::mem::take(&mut *self.buffer());
        if self.doubtful.load(Ordering::Relaxed) {
            buffer.doubt_births();
        }
        buffer
    }

    pub(crate) fn doubts_births(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    /// Says that something begins which must not stop half-way: a save between its row and its
    /// note, or a flush. Where the guard is dropped before [`Undivided::ends`], as when a future is
    /// cancelled, the transaction can only be rolled back.
    pub(crate) fn begins(&self) -> Undivided<'_> {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
        Undivided(self)
    }

    /// Runs what must not be cancelled half-way, as a savepoint: sqlx would then undo more of the
    /// transaction than that, and report nothing.
    pub(crate) async fn undivided<F: Future>(&self, work: F) -> F::Output {
        let working = self.begins();
        let output = work.await;
        working.ends();
        output
    }

    pub(crate) fn is_whole(&self) -> Result<(), RecordError> {
        match self.interrupted.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(RecordError::Interrupted {
                problem: "a save or a flush in it failed to record, or was cancelled half-way",
            }),
        }
    }

    pub(crate) fn must_flush_before(&self, sql: &str) -> bool {
        self.buffer().mentions(sql)
    }
}

/// Something under way in a unit; see [`Unit::begins`].
#[must_use]
pub(crate) struct Undivided<'u>(&'u Unit);

impl Undivided<'_> {
    pub(crate) fn ends(self) {
        self.0.interrupted.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection within which one save gathers what it writes.
pub(crate) struct Gathering<'c> {
    pub(crate) conn: Connection<'c>,
    pub(crate) unit: Unit,
}

#[async_trait]
impl ConnectionTrait for Gathering<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.conn.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.conn.execute_raw(stmt).await
    }

    async fn execute<S: StatementBuilder>(&self, stmt: &S) -> Result<ExecResult, DbErr> {
        self.conn.execute(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.conn.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.conn.query_one_raw(stmt).await
    }

    async fn query_one<S: StatementBuilder>(&self, stmt: &S) -> Result<Option<QueryResult>, DbErr> {
        self.conn.query_one(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.conn.query_all_raw(stmt).await
    }

    async fn query_all<S: StatementBuilder>(&self, stmt: &S) -> Result<Vec<QueryResult>, DbErr> {
        self.conn.query_all(stmt).await
    }

    fn support_returning(&self) -> bool {
        self.conn.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.conn.is_mock_connection()
    }
}
