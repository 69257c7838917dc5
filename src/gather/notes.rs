//! What is noted of rows: what happened to them, and who is to be looked at because of them.

use std::any::{Any, TypeId};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::Event;
use crate::by_type::ByType;
use crate::keys::{Key, Run};
use crate::listen::{Guard, Listener};
use crate::registry::registry;
use crate::typed::{Models, Plan};

/// Rows that were written, and what is to be looked at because of them.
#[derive(Clone, Default)]
pub(crate) struct Buffer {
    pub(crate) rows: ByType<Touched>,
    /// Link values of watched rows, for the dependents to be found by.
    pub(crate) links: HashMap<usize, (Arc<Listener>, HashSet<Key>)>,
    /// Watched models whose dependents a closure finds.
    pub(crate) models: Vec<(Arc<Listener>, Arc<dyn Any + Send + Sync>)>,
    /// Link values of rows that came to depend on something.
    pub(crate) guarded: HashMap<usize, (Arc<Guard>, HashSet<Key>)>,
    /// Whether a row may be noted that this transaction holds no lock on: one that was looked at and
    /// not written, or that was locked in a savepoint which may have been undone, on PostgreSQL with
    /// its locks.
    pub(crate) unlocked: bool,
    /// How many nested transactions have begun.
    pub(crate) savepoints: u32,
}

/// The rows of one entity that were written.
#[derive(Clone)]
pub(crate) struct Touched {
    pub(crate) plan: Arc<dyn Plan>,
    rows: HashMap<Key, Note>,
    /// Rows that this transaction made in runs, and that have no notes of their own.
    made: Vec<Run>,
}

impl Touched {
    fn new(plan: &Arc<dyn Plan>) -> Self {
        Self {
            plan: Arc::clone(plan),
            rows: HashMap::new(),
            made: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.rows.len() + self.made.iter().map(Run::len).sum::<usize>()
    }

    /// The notes of all rows, a note for each.
    pub(crate) fn rows(&mut self) -> &mut HashMap<Key, Note> {
        for run in self.made.drain(..) {
            // A run is noted before any nested transaction begins.
            let made = || Note {
                since: 0,
                ..Note::made()
            };
            self.rows.extend(run.keys().map(|key| (key, made())));
        }
        &mut self.rows
    }

    pub(crate) fn into_parts(self) -> (Vec<Run>, HashMap<Key, Note>) {
        (self.made, self.rows)
    }

    fn note(&mut self, key: Key, note: Note) {
        match self.rows().entry(key) {
            Entry::Vacant(slot) => drop(slot.insert(note)),
            Entry::Occupied(mut slot) => slot.get_mut().follow(note),
        }
    }

    /// Notes rows that this transaction made: as a run, where they are one and nothing is noted of
    /// any row yet.
    fn note_made(&mut self, keys: &[Key], note: &Note) {
        match Run::of(keys).filter(|_| self.rows.is_empty()) {
            Some(run) => match self.made.last_mut() {
                Some(last) if last.is_followed_by(&run) => last.append(&run),
                _ => self.made.push(run),
            },
            None => keys
                .iter()
                .for_each(|key| self.note(key.clone(), note.clone())),
        }
    }
}

/// What happened to one row.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) event: Event,
    /// Whether the row was only looked at, and not saved: what was erased of it is not brought back.
    pub(crate) seen: bool,
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
    /// How many nested transactions had begun when it was first saved, and not only looked at.
    pub(crate) since: u32,
}

/// Of a note that is not in a buffer yet.
const NOW: u32 = u32::MAX;

impl Buffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.links.is_empty()
            && self.models.is_empty()
            && self.guarded.is_empty()
    }

    /// How much is noted: rows, and links to others.
    pub(crate) fn size(&self) -> usize {
        let links = self.links.values().map(|(_, links)| links.len());
        self.rows.values().map(Touched::len).chain(links).sum()
    }

    /// What is noted of a row.
    pub(crate) fn note_of(&mut self, entity: TypeId, key: &Key) -> Option<&Note> {
        self.rows.get_mut(&entity)?.rows().get(key)
    }

    /// Takes back all that is noted of a row.
    pub(crate) fn forget(&mut self, entity: TypeId, key: &Key) {
        if let Entry::Occupied(mut entity) = self.rows.entry(entity) {
            entity.get_mut().rows().remove(key);
            if entity.get().rows.is_empty() {
                entity.remove();
            }
        }
    }

    /// Notes that something happened to a row; the record will name the last event, except that
    /// what was created stays so, and that a related change is the least of them.
    pub(crate) fn touch(&mut self, plan: &Arc<dyn Plan>, key: Key, note: Note) {
        let note = note.placed(self.savepoints);
        self.touched(plan).note(key, note);
    }

    /// The same for many rows.
    pub(crate) fn touch_all(&mut self, plan: &Arc<dyn Plan>, keys: &[Key], note: &Note) {
        let note = note.clone().placed(self.savepoints);
        let entity = self.touched(plan);
        entity.rows().reserve(keys.len());
        for key in keys {
            entity.note(key.clone(), note.clone());
        }
    }

    fn touched(&mut self, plan: &Arc<dyn Plan>) -> &mut Touched {
        let entity = self.rows.entry(plan.shape().type_id);
        entity.or_insert_with(|| Touched::new(plan))
    }

    /// Notes rows that this transaction made for certain.
    pub(crate) fn made(&mut self, plan: &Arc<dyn Plan>, keys: &[Key]) {
        let note = Note::made().placed(self.savepoints);
        self.touched(plan).note_made(keys, &note);
    }

    /// What was first saved since so many nested transactions had begun has been undone: it is left to be
    /// looked at, and nothing is said of it. A row that was made is not there, or was made by another.
    pub(super) fn undo(&mut self, since: u32) {
        for entity in self.rows.values_mut() {
            let notes = entity.rows().values_mut();
            notes
                .filter(|note| !note.seen && !note.born && note.since >= since)
                .for_each(Note::undo);
        }
    }

    /// Takes back that rows were made here for certain.
    pub(crate) fn doubt_births(&mut self) {
        for entity in self.rows.values_mut() {
            entity.rows().values_mut().for_each(|note| note.own = false);
        }
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

    /// Takes back the links of guards whose locks are held.
    pub(crate) fn unguard(&mut self, held: &HashSet<(usize, Key)>) {
        for (guard, links) in self.guarded.values_mut() {
            links.retain(|link| !held.contains(&(guard.id, link.clone())));
        }
        self.guarded.retain(|_, (_, links)| !links.is_empty());
    }

    /// Adds what was noted elsewhere, later.
    pub(crate) fn merge(&mut self, other: Self) {
        let Self {
            rows,
            links,
            models,
            guarded,
            unlocked,
            savepoints: _,
        } = other;
        self.unlocked |= unlocked;
        for mut entity in rows.into_values() {
            let rows = std::mem::take(entity.rows());
            for (key, note) in rows {
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

    /// Takes back how a row was before its deletion: nothing was deleted.
    pub(crate) fn forget_last(&mut self, entity: TypeId, key: &Key) {
        let rows = self.rows.get_mut(&entity).map(Touched::rows);
        if let Some(note) = rows.and_then(|rows| rows.get_mut(key)) {
            note.last = None;
        }
    }

    /// Takes a row for one that was only looked at.
    pub(super) fn see(&mut self, entity: TypeId, key: &Key) {
        let rows = self.rows.get_mut(&entity).map(Touched::rows);
        if let Some(note) = rows.and_then(|rows| rows.get_mut(key)) {
            note.seen = true;
        }
    }

    /// Whether a statement names a record table that a flush may write to: of rows that were noted,
    /// and of those that depend on them, also by way of others.
    pub(super) fn mentions(&self, sql: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let listeners = self.links.values().map(|(listener, _)| listener);
        let listeners = listeners.chain(self.models.iter().map(|(listener, _)| listener));
        let dependents = listeners.map(|listener| &listener.dependent);
        let plans = self.rows.values().map(|entity| &entity.plan);
        plans.chain(dependents).any(|plan| {
            let shape = plan.shape();
            let mut others = registry().records_after(shape.type_id).iter();
            names(sql, &shape.record.name) || others.any(|table| names(sql, table))
        })
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
            seen: matches!(event, Event::Related | Event::Backfilled),
            model: None,
            last: None,
            born: event == Event::Created,
            deleted: event == Event::Deleted,
            own: false,
            since: NOW,
        }
    }

    fn placed(self, savepoints: u32) -> Self {
        let since = self.since.min(savepoints);
        Self { since, ..self }
    }

    fn undo(&mut self) {
        *self = Self {
            last: self.last.take(),
            deleted: true,
            ..Self::new(Event::Related)
        };
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
        self.since = match (self.seen, next.seen) {
            (true, false) => next.since,
            (false, true) => self.since,
            _ => self.since.min(next.since),
        };
        self.seen &= next.seen;
        self.model = next.model;
        self.deleted |= next.deleted;
        if !self.born {
            self.last = self.last.take().or(next.last);
        }
    }
}
