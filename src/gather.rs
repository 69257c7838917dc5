//! What was written, until it is recorded.
//!
//! Hooks only note. A single save flushes its notes at its end; a
//! [`RecordedTransaction`](crate::RecordedTransaction) at its outermost commit.

use std::any::{Any, TypeId};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder,
};

use crate::context::Context;
use crate::erased::Connection;
use crate::listen::{Guard, Listener};
use crate::typed::{Key, Models, Plan};
use crate::unseen::{Unseen, UnseenWrites};
use crate::{Event, RecordError};

/// Rows that were written, and what is to be looked at because of them.
#[derive(Clone, Default)]
pub(crate) struct Buffer {
    pub(crate) rows: HashMap<TypeId, Touched>,
    /// Link values of watched rows, for the dependents to be found by.
    pub(crate) links: HashMap<usize, (Arc<Listener>, HashSet<Key>)>,
    /// Watched models whose dependents a closure finds.
    pub(crate) models: Vec<(Arc<Listener>, Arc<dyn Any + Send + Sync>)>,
    /// Link values of rows that came to depend on something.
    pub(crate) guarded: HashMap<usize, (Arc<Guard>, HashSet<Key>)>,
}

/// The rows of one entity that were written.
#[derive(Clone)]
pub(crate) struct Touched {
    pub(crate) plan: Arc<dyn Plan>,
    pub(crate) rows: HashMap<Key, Note>,
}

impl Touched {
    fn note(&mut self, key: Key, note: Note) {
        match self.rows.entry(key) {
            Entry::Vacant(slot) => drop(slot.insert(note)),
            Entry::Occupied(mut slot) => slot.get_mut().follow(note),
        }
    }
}

/// What happened to one row.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) event: Event,
    /// The row as it is, where nothing can have changed it since.
    pub(crate) model: Option<Models>,
    /// The row as it was before it was deleted.
    pub(crate) last: Option<Models>,
    /// Whether the row was made in this unit: if it is gone in the end, it was never there.
    pub(crate) born: bool,
    /// Whether it may be gone: it was deleted in this unit, though it may be back, or nobody knows.
    pub(crate) deleted: bool,
    /// Whether the row was made in this transaction for certain, so that nobody else can see it.
    pub(crate) own: bool,
}

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.links.is_empty()
            && self.models.is_empty()
            && self.guarded.is_empty()
    }

    /// How many rows are noted by their keys.
    pub(crate) fn noted_rows(&self) -> usize {
        self.rows.values().map(|entity| entity.rows.len()).sum()
    }

    /// Whether anything is noted of a row.
    pub(crate) fn knows(&self, entity: TypeId, key: &Key) -> bool {
        let entity = self.rows.get(&entity);
        entity.is_some_and(|entity| entity.rows.contains_key(key))
    }

    /// Takes back all that is noted of a row.
    pub(crate) fn forget(&mut self, entity: TypeId, key: &Key) {
        if let Entry::Occupied(mut entity) = self.rows.entry(entity) {
            entity.get_mut().rows.remove(key);
            if entity.get().rows.is_empty() {
                entity.remove();
            }
        }
    }

    /// Notes that something happened to a row; the record will name the last event, except that
    /// what was created stays so, and that a related change is the least of them.
    pub(crate) fn touch(&mut self, plan: &Arc<dyn Plan>, key: Key, note: Note) {
        self.touched(plan).note(key, note);
    }

    /// The same for many rows.
    pub(crate) fn touch_all(&mut self, plan: &Arc<dyn Plan>, keys: &[Key], note: &Note) {
        let entity = self.touched(plan);
        entity.rows.reserve(keys.len());
        for key in keys {
            entity.note(key.clone(), note.clone());
        }
    }

    fn touched(&mut self, plan: &Arc<dyn Plan>) -> &mut Touched {
        let entity = self.rows.entry(plan.shape().type_id);
        entity.or_insert_with(|| Touched {
            plan: Arc::clone(plan),
            rows: HashMap::new(),
        })
    }

    pub(crate) fn link(&mut self, listener: &Arc<Listener>, link: Key) {
        let entry = self.links.entry(listener.id);
        entry
            .or_insert_with(|| (Arc::clone(listener), HashSet::new()))
            .1
            .insert(link);
    }

    pub(crate) fn guard(&mut self, guard: &Arc<Guard>, link: Key) {
        let entry = self.guarded.entry(guard.id);
        entry
            .or_insert_with(|| (Arc::clone(guard), HashSet::new()))
            .1
            .insert(link);
    }

    /// Adds what was noted elsewhere, later.
    pub(crate) fn merge(&mut self, other: Self) {
        let Self {
            rows,
            links,
            models,
            guarded,
        } = other;
        for entity in rows.into_values() {
            for (key, note) in entity.rows {
                self.touch(&entity.plan, key, note);
            }
        }
        for (listener, links) in links.into_values() {
            links
                .into_iter()
                .for_each(|link| self.link(&listener, link));
        }
        for (guard, links) in guarded.into_values() {
            links.into_iter().for_each(|link| self.guard(&guard, link));
        }
        self.models.extend(models);
    }

    /// Whether a row was deleted before, and how it was is known.
    pub(crate) fn knows_last(&self, entity: TypeId, key: &Key) -> bool {
        let rows = self.rows.get(&entity).map(|entity| &entity.rows);
        let note = rows.and_then(|rows| rows.get(key));
        note.is_some_and(|note| note.last.is_some())
    }

    /// Whether a row was made in this unit.
    pub(crate) fn is_born(&self, entity: TypeId, key: &Key) -> bool {
        let rows = self.rows.get(&entity).map(|entity| &entity.rows);
        let note = rows.and_then(|rows| rows.get(key));
        note.is_some_and(|note| note.born)
    }

    /// Takes back how a row was before its deletion: nothing was deleted.
    pub(crate) fn forget_last(&mut self, entity: TypeId, key: &Key) {
        let rows = self.rows.get_mut(&entity).map(|entity| &mut entity.rows);
        if let Some(note) = rows.and_then(|rows| rows.get_mut(key)) {
            note.last = None;
        }
    }

    /// The record tables that a flush would write to.
    fn mentions(&self, sql: &str) -> bool {
        let plans = self.rows.values().map(|entity| &entity.plan);
        let listeners = self.links.values().map(|(listener, _)| listener);
        let listeners = listeners.chain(self.models.iter().map(|(listener, _)| listener));
        // A listener's dependents may have dependents of their own: whatever is pending, flush.
        let mut plans = plans.chain(listeners.map(|listener| &listener.dependent));
        plans.any(|plan| names(sql, &plan.shape().record.name))
    }
}

/// Whether a statement names a table. Quotes within the name are doubled there.
fn names(sql: &str, table: &str) -> bool {
    let quotes = ['"', '`'];
    match table.contains(quotes) {
        true => sql.replace(quotes, "").contains(&table.replace(quotes, "")),
        false => sql.contains(table),
    }
}

impl Note {
    pub(crate) fn new(event: Event) -> Self {
        Self {
            event,
            model: None,
            last: None,
            born: event == Event::Created,
            deleted: event == Event::Deleted,
            own: false,
        }
    }

    /// Of a row that this transaction made.
    pub(crate) fn made() -> Self {
        Self {
            own: true,
            ..Self::new(Event::Created)
        }
    }

    /// Whether what is to be recorded is how a row stands that nobody else can see.
    pub(crate) fn is_first(&self) -> bool {
        self.own && !self.deleted && self.event == Event::Created && self.model.is_none()
    }

    /// Something may have happened to a row, which may be gone since.
    pub(crate) fn uncertain() -> Self {
        Self {
            deleted: true,
            ..Self::new(Event::Updated)
        }
    }

    fn follow(&mut self, next: Note) {
        self.event = match (self.event, next.event) {
            (before, Event::Related) => before,
            (Event::Created, Event::Updated) => Event::Created,
            (Event::Deleted, Event::Created) if !self.born => Event::Updated,
            (_, after) => after,
        };
        self.model = next.model;
        self.deleted |= next.deleted;
        if !self.born {
            self.last = self.last.take().or(next.last);
        }
    }
}

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
            let rows = buffer.rows.values_mut();
            for note in rows.flat_map(|entity| entity.rows.values_mut()) {
                note.own = false;
            }
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
