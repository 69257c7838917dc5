//! The rows of a bulk write: found and locked in the order of their keys, and noted.

use std::marker::PhantomData;

use sea_orm::sea_query::{Condition, LockType};
use sea_orm::{DbErr, EntityTrait, QueryFilter, QuerySelect, Value};

use crate::Event;
use crate::by_keys::{beyond, find_models, lock_keys, lock_models};
use crate::capture::{record_first, unrecorded};
use crate::cascade::{Cut, Walk};
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::{Buffer, Note, Unit};
use crate::keys::{Key, is_null, key_of, link_of};
use crate::locks;
use crate::registry::Node;
use crate::typed::{Models, Plan};
use crate::write::CHUNK;

/// What a select finds, a chunk at a time in the order of keys, locked.
pub(crate) struct Pages<E> {
    condition: Condition,
    after: Option<Key>,
    done: bool,
    /// Whether others may lock the rows as well, as long as they do not write them.
    shared: bool,
    /// Whether the database changes other rows with these: see [`Dialect::row_lock`].
    takes_others: bool,
    entity: PhantomData<E>,
}

impl<E: EntityTrait> Pages<E> {
    pub(crate) fn of(condition: Condition) -> Self {
        Self {
            condition,
            after: None,
            done: false,
            shared: false,
            takes_others: false,
            entity: PhantomData,
        }
    }

    pub(crate) fn shared(condition: Condition) -> Self {
        Self {
            shared: true,
            ..Self::of(condition)
        }
    }

    pub(crate) fn taking_others(condition: Condition, takes_others: bool) -> Self {
        Self {
            takes_others,
            ..Self::of(condition)
        }
    }

    fn lock(&self, conn: Connection<'_>) -> LockType {
        match self.shared {
            true => LockType::Share,
            false => Dialect::of(&conn).row_lock(self.takes_others),
        }
    }

    pub(crate) async fn models(
        &mut self,
        conn: Connection<'_>,
    ) -> Result<Option<Vec<E::Model>>, DbErr> {
        let Some(select) = self.select() else {
            return Ok(None);
        };
        let models = lock_models(conn, select, self.lock(conn)).await?;
        self.advance(models.len(), models.last().map(key_of));
        Ok(Some(models))
    }

    pub(crate) async fn keys(&mut self, conn: Connection<'_>) -> Result<Option<Vec<Key>>, DbErr> {
        let Some(select) = self.select() else {
            return Ok(None);
        };
        let keys = lock_keys(conn, select, self.lock(conn)).await?;
        self.advance(keys.len(), keys.last().cloned());
        Ok(Some(keys))
    }

    pub(crate) async fn all_keys(mut self, conn: Connection<'_>) -> Result<Vec<Key>, DbErr> {
        let mut all = Vec::new();
        while let Some(keys) = self.keys(conn).await? {
            all.extend(keys);
        }
        Ok(all)
    }

    fn select(&self) -> Option<sea_orm::Select<E>> {
        if self.done {
            return None;
        }
        // One more than a chunk, so that a chunk of rows needs no second look.
        let select = E::find()
            .filter(self.condition.clone())
            .limit(CHUNK as u64 + 1);
        Some(match &self.after {
            Some(after) => select.filter(beyond::<E>(after)),
            None => select,
        })
    }

    fn advance(&mut self, found: usize, last: Option<Key>) {
        self.done = found <= CHUNK;
        self.after = last.or_else(|| self.after.take());
    }
}

/// What the rows of one entity are to others.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'r> {
    pub(crate) node: &'r Node,
    pub(crate) conn: Connection<'r>,
}

impl<'r> Rows<'r> {
    /// Whether keys alone tell all there is to note.
    pub(crate) fn stand_alone(&self) -> bool {
        self.node.listeners.is_empty() && self.node.guards.is_empty()
    }

    /// Locks the rows; answers with their keys, and who depends on them as they are.
    pub(crate) async fn lock<E>(
        &self,
        condition: Condition,
        cut: &Cut,
    ) -> Result<(Vec<Key>, Buffer), DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        if self.stand_alone() && !self.node.changes_others(cut) {
            let keys = Pages::<E>::of(condition).all_keys(self.conn).await?;
            return Ok((keys, Buffer::default()));
        }
        let mut found = Vec::new();
        let see = |model: &E::Model| found.push(key_of(model));
        let dependents = self.lock_each::<E>(condition, cut, see).await?;
        Ok((found, dependents))
    }

    /// The same with a look at each row.
    pub(crate) async fn lock_each<E>(
        &self,
        condition: Condition,
        cut: &Cut,
        mut see: impl FnMut(&E::Model) + Send,
    ) -> Result<Buffer, DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        let mut pages = Pages::<E>::taking_others(condition, self.node.changes_others(cut));
        let mut walk = Walk::new(self.conn);
        while let Some(models) = pages.models(self.conn).await? {
            walk.go_from(&models, cut).await?;
            models.iter().for_each(&mut see);
        }
        Ok(walk.into_notes())
    }

    /// Takes the locks that the rows will need once they are given these values, and those of who
    /// depended on them before, where the check of their foreign keys would lock the same rows
    /// otherwise.
    pub(crate) async fn lock_ahead<G>(
        &self,
        unit: &Unit,
        before: &Buffer,
        given: impl Iterator<Item = G>,
    ) -> Result<(), DbErr>
    where
        G: Fn(&String) -> Option<Value>,
    {
        if !Dialect::of(&self.conn).checks_lock_out() {
            return Ok(());
        }
        let mut notes = before.clone();
        for given in given {
            let value = |column: &String| given(column).filter(|value| !is_null(value));
            let link = |columns: &[String]| columns.iter().map(value).collect();
            note_referenced(self.node, &mut notes, link);
            note_guards(self.node, &mut notes, link);
        }
        locks::before_writing(self.conn, unit, notes).await
    }

    /// Notes who depends on rows that have been written, and what they came to depend on.
    pub(crate) async fn note_after<E>(
        &self,
        models: &[E::Model],
        notes: &mut Buffer,
    ) -> Result<(), DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        for model in models {
            note_listeners(self.node, notes, |columns| link_of(model, columns));
            note_guards(self.node, notes, |columns| link_of(model, columns));
        }
        for listener in &self.node.listeners {
            for condition in models.iter().filter_map(|model| listener.by_model(model)) {
                for key in listener.dependent.keys(self.conn, condition).await? {
                    notes.touch(&listener.dependent, key, Note::new(Event::Related));
                }
            }
        }
        Ok(())
    }

    /// [`note_after`](Self::note_after) for the rows with these keys, as they are now.
    pub(crate) async fn note_written<E>(&self, keys: &[Key], unit: &Unit) -> Result<(), DbErr>
    where
        E: EntityTrait<Model: Sync + 'static>,
    {
        for keys in keys.chunks(CHUNK) {
            let mut notes = Buffer::default();
            let models = find_models::<E>(self.conn, keys).await?;
            self.note_after::<E>(&models, &mut notes).await?;
            unit.buffer().merge(notes);
        }
        Ok(())
    }

    /// Notes the rows themselves.
    pub(crate) fn touch(&self, keys: &[Key], note: &Note, unit: &Unit) {
        if let Some(plan) = &self.node.plan {
            unit.buffer().touch_all(plan, keys, note);
        }
    }

    /// Notes rows that this transaction made for certain.
    pub(crate) fn made(&self, keys: &[Key], unit: &Unit) {
        if let Some(plan) = &self.node.plan {
            unit.buffer().made(plan, keys);
        }
    }

    /// Rows that have no record and are about to lose their last chance of one. Those that were
    /// made in this unit need none.
    pub(crate) async fn unrecorded(
        &self,
        keys: &[Key],
        unit: &Unit,
    ) -> Result<Option<(&'r dyn Plan, Models)>, DbErr> {
        let Some(plan) = self
            .node
            .plan
            .as_deref()
            .filter(|plan| !plan.shape().cascades)
        else {
            return Ok(None);
        };
        let entity = plan.shape().type_id;
        let is_born = |note: &Note| note.born;
        let older = |key: &&Key| !unit.buffer().note_of(entity, key).is_some_and(is_born);
        let keys: Vec<Key> = keys.iter().filter(older).cloned().collect();
        let models = unrecorded(self.conn, plan, &keys).await?;
        Ok(models.map(|models| (plan, models)))
    }

    /// Runs a write after which rows may be gone, and records that those are which had no record.
    pub(crate) async fn losing<T>(
        &self,
        keys: &[Key],
        unit: &Unit,
        write: impl Future<Output = Result<T, DbErr>> + Send,
    ) -> Result<T, DbErr> {
        let unrecorded = self.unrecorded(keys, unit).await?;
        let output = write.await?;
        if let Some((plan, models)) = unrecorded {
            record_first(self.conn, &unit.context, plan, Event::Deleted, &models).await?;
        }
        Ok(output)
    }
}

/// Notes the dependents of watched rows by what ties them to these.
pub(crate) fn note_listeners(
    node: &Node,
    notes: &mut Buffer,
    link: impl Fn(&[String]) -> Option<Key>,
) {
    for listener in &node.listeners {
        if let Some(link) = listener.columns().and_then(&link) {
            notes.link(listener, link);
        }
    }
}

/// The same for the dependents that the rows reference, or what leads to them.
pub(crate) fn note_referenced(
    node: &Node,
    notes: &mut Buffer,
    link: impl Fn(&[String]) -> Option<Key>,
) {
    for listener in node.listeners.iter().filter(|it| !it.is_referenced()) {
        if let Some(link) = listener.columns().and_then(&link) {
            notes.link(listener, link);
        }
    }
}

/// Notes what rows came to depend on.
pub(crate) fn note_guards(
    node: &Node,
    notes: &mut Buffer,
    link: impl Fn(&[String]) -> Option<Key>,
) {
    for guard in &node.guards {
        if let Some(link) = link(guard.columns()) {
            notes.guard(guard, link);
        }
    }
}
