//! What was written, until it is recorded.
//!
//! Hooks only note. A single save flushes its notes at its end; a
//! [`RecordedTransaction`](crate::RecordedTransaction) at its outermost commit.

mod notes;

use std::any::TypeId;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder,
};

use crate::RecordError;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::error::ends_transaction;
use crate::keys::Key;
use crate::listen::Guard;
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
    /// The guards and links whose locks were taken before the row was written.
    held: Mutex<HashSet<(usize, Key)>>,
    /// Saves by the traits that have begun and not ended.
    begun: Mutex<HashMap<(TypeId, Option<Key>), Begun>>,
    /// Saves and flushes that began and did not end.
    interrupted: AtomicUsize,
    /// Whether what was made here may have been undone since, and made again by others: there were
    /// savepoints, or the transaction is the user's.
    doubtful: AtomicBool,
    /// Nested transactions that were begun and not kept.
    savepoints: AtomicUsize,
}

impl Unit {
    /// Of one save: its statements, and those of the user's own hooks.
    pub(crate) fn immediate(context: &Context, unseen: Unseen) -> Self {
        Self {
            immediate: true,
            ..Self::gathered(context, false, unseen)
        }
    }

    pub(crate) fn gathered(context: &Context, paused: bool, unseen: Unseen) -> Self {
        Self {
            context: context.for_unit(),
            immediate: false,
            paused,
            unseen,
            buffer: Mutex::default(),
            held: Mutex::default(),
            begun: Mutex::default(),
            interrupted: AtomicUsize::new(0),
            doubtful: AtomicBool::new(false),
            savepoints: AtomicUsize::new(0),
        }
    }

    pub(crate) fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Buffer {
        let mut buffer = {
            let mut buffer = self.buffer();
            let left = Buffer {
                savepoints: buffer.savepoints,
                ..Buffer::default()
            };
            std::mem::replace(&mut *buffer, left)
        };
        for Begun { notes, .. } in self.begun().values() {
            buffer.merge(notes.clone());
            // Nobody knows whether the statement that would have locked the row was sent.
            buffer.unlocked = true;
        }
        if self.doubtful.load(Ordering::Relaxed) {
            buffer.doubt_births();
        }
        buffer.unlocked |= self.has_savepoints();
        buffer.unguard(&self.held());
        buffer
    }

    fn held(&self) -> MutexGuard<'_, HashSet<(usize, Key)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that this transaction has locked what rows with these links depend on. Only where a
    /// savepoint that is rolled back gives up no locks.
    pub(crate) fn holds(&self, guard: &Guard, links: HashSet<Key>) {
        self.held()
            .extend(links.into_iter().map(|link| (guard.id, link)));
    }

    /// A save by the trait begins, of a row whose key the database may be about to make. What it would
    /// note stands until it [ends](Self::ends_save): it may be given up before it can note anything.
    pub(crate) fn begins_save(&self, entity: TypeId, key: Option<Key>, notes: Buffer) {
        let mut begun = self.begun();
        let begun = begun.entry((entity, key)).or_default();
        begun.notes.merge(notes);
        begun.open += 1;
    }

    pub(crate) fn ends_save(&self, entity: TypeId, key: impl FnOnce() -> Key) {
        let mut begun = self.begun();
        if begun.is_empty() {
            return;
        }
        for row in [(entity, Some(key())), (entity, None)] {
            if let Entry::Occupied(mut slot) = begun.entry(row) {
                slot.get_mut().open -= 1;
                if slot.get().open == 0 {
                    slot.remove();
                }
                return;
            }
        }
    }

    /// A row's history was erased: what is still noted of it, since a nested transaction may have been
    /// undone, brings nothing back.
    pub(crate) fn erased(&self, entity: TypeId, key: &Key) {
        self.buffer().see(entity, key);
        for begun in self.begun().values_mut() {
            begun.notes.see(entity, key);
        }
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<(TypeId, Option<Key>), Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a nested transaction is open, or was undone.
    pub(crate) fn has_savepoints(&self) -> bool {
        self.savepoints.load(Ordering::Relaxed) > 0
    }

    /// A nested transaction begins; one that is not [kept](Self::keeps_savepoint) is undone.
    /// Answers with its number.
    pub(crate) fn makes_savepoint(&self) -> u32 {
        self.doubts_births();
        self.savepoints.fetch_add(1, Ordering::Relaxed);
        let mut buffer = self.buffer();
        buffer.savepoints += 1;
        buffer.savepoints
    }

    pub(crate) fn undoes_savepoint(&self, number: u32) {
        self.buffer().undo(number);
    }

    /// Whether a save by the inherent methods is under way, or a bulk write, which know what they met.
    pub(crate) fn is_saving(&self) -> bool {
        self.immediate || self.interrupted.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn keeps_savepoint(&self) {
        self.savepoints.fetch_sub(1, Ordering::Relaxed);
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

    /// Says that the transaction can only be rolled back.
    pub(crate) fn spoil(&self) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
    }

    /// Spoils the transaction where an error has ended it and the database would still take what
    /// follows: MySQL does, one by one, without a lock.
    pub(crate) fn heed(&self, dialect: Dialect, error: &DbErr) {
        if dialect.survives_errors() && ends_transaction(error) {
            self.spoil();
        }
    }

    pub(crate) fn is_whole(&self) -> Result<(), RecordError> {
        match self.interrupted.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(RecordError::Interrupted {
                problem: "a save or a flush in it failed to record, or was cancelled half-way, or a deadlock has ended it",
            }),
        }
    }

    pub(crate) fn must_flush_before(&self, sql: &str) -> bool {
        self.buffer().mentions(sql)
    }
}

/// What saves of one row would note, and how many are open.
#[derive(Default)]
struct Begun {
    notes: Buffer,
    open: usize,
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

impl Gathering<'_> {
    /// The statement, looked at; none where nobody looks, and where it is best left unbuilt.
    fn looked_at<S: StatementBuilder>(&self, statement: &S) -> Result<Option<Statement>, DbErr> {
        if self.unit.unseen.policy() == UnseenWrites::Allow {
            return Ok(None);
        }
        let statement = statement.build(&self.conn.get_database_backend());
        self.unit.unseen.look(&statement.sql, true)?;
        Ok(Some(statement))
    }
}

#[async_trait]
impl ConnectionTrait for Gathering<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.conn.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.unit.unseen.look(&stmt.sql, true)?;
        self.conn.execute_raw(stmt).await
    }

    async fn execute<S: StatementBuilder>(&self, stmt: &S) -> Result<ExecResult, DbErr> {
        match self.looked_at(stmt)? {
            Some(stmt) => self.conn.execute_raw(stmt).await,
            None => self.conn.execute(stmt).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.unit.unseen.look(sql, false)?;
        self.conn.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.unit.unseen.look(&stmt.sql, true)?;
        self.conn.query_one_raw(stmt).await
    }

    async fn query_one<S: StatementBuilder>(&self, stmt: &S) -> Result<Option<QueryResult>, DbErr> {
        match self.looked_at(stmt)? {
            Some(stmt) => self.conn.query_one_raw(stmt).await,
            None => self.conn.query_one(stmt).await,
        }
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.unit.unseen.look(&stmt.sql, true)?;
        self.conn.query_all_raw(stmt).await
    }

    async fn query_all<S: StatementBuilder>(&self, stmt: &S) -> Result<Vec<QueryResult>, DbErr> {
        match self.looked_at(stmt)? {
            Some(stmt) => self.conn.query_all_raw(stmt).await,
            None => self.conn.query_all(stmt).await,
        }
    }

    fn support_returning(&self) -> bool {
        self.conn.support_returning()
    }

    fn is_mock_connection(&self) -> bool {
        self.conn.is_mock_connection()
    }
}
