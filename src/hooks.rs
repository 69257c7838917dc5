//! What `#[record_hooks]` calls.
//!
//! The four functions named like SeaORM's hooks belong at the end of `before_save` and
//! `before_delete` and at the start of `after_save` and `after_delete`; an `ActiveModelBehavior` by
//! hand calls them there. The others are saves that open the transaction they need: `#[record_hooks]`
//! puts them on the `ActiveModel` under SeaORM's own names.
//!
//! ```
//! use sea_orm::entity::prelude::*;
//! use sea_orm_record::{Hooked, Registration, hooks};
//!
//! #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//! #[sea_orm(table_name = "topic")]
//! pub struct Model {
//!     #[sea_orm(primary_key)]
//!     pub id: i32,
//!     pub name: String,
//! }
//!
//! #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//! pub enum Relation {}
//!
//! #[async_trait::async_trait]
//! impl ActiveModelBehavior for ActiveModel {
//!     async fn before_save<C: ConnectionTrait>(self, db: &C, insert: bool) -> Result<Self, DbErr> {
//!         hooks::before_save(self, db, insert).await
//!     }
//!
//!     async fn after_save<C: ConnectionTrait>(model: Model, db: &C, insert: bool) -> Result<Model, DbErr> {
//!         hooks::after_save::<Self, C>(model, db, insert).await
//!     }
//!
//!     async fn before_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
//!         hooks::before_delete(self, db).await
//!     }
//!
//!     async fn after_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
//!         hooks::after_delete(self, db).await
//!     }
//! }
//!
//! impl Hooked for ActiveModel {}
//!
//! sea_orm_record::register_static!(Registration::hooked::<ActiveModel>());
//! # fn main() {}
//! ```

mod links;
mod moves;

use std::any::TypeId;
use std::sync::Arc;

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr,
    DeleteResult, EntityName, EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait,
    PrimaryKeyToColumn, QueryFilter, QuerySelect, TryIntoModel, UpdateResult,
};

pub use self::links::{delete_links, delete_links_self};
use self::moves::{lock_ahead, moves, new_link, note_old};
use crate::bulk::{note_guards, note_listeners};
use crate::cascade::{Cut, Walk};
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::{Buffer, Note, Unit};
use crate::handover;
use crate::operation::{self, apart_patiently, run};
use crate::recorded::table_name;
use crate::registry::{Node, registry};
use crate::target::Target;
use crate::typed::{Key, Models, key_of, link_of};
use crate::{Event, RecordError};

/// The model of an active model.
pub(crate) type ModelOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Model;

/// What the hooks need of an active model; every derived one has it.
pub trait Savable:
    ActiveModelBehavior<Entity: EntityTrait<Model: IntoActiveModel<Self> + Sync + 'static>>
    + TryIntoModel<ModelOf<Self>>
    + Send
    + Sync
    + 'static
{
}

impl<A> Savable for A where
    A: ActiveModelBehavior<Entity: EntityTrait<Model: IntoActiveModel<Self> + Sync + 'static>>
        + TryIntoModel<ModelOf<Self>>
        + Send
        + Sync
        + 'static
{
}

/// Notes what an update is about to cut loose; belongs at the end of `before_save`.
///
/// # Errors
///
/// Where the entity's recorder cannot be used, before anything is written.
pub async fn before_save<A, C>(am: A, db: &C, insert: bool) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    heeded(db, prepare_save(am, db, insert).await)
}

async fn prepare_save<A, C>(am: A, db: &C, insert: bool) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let registry = registry();
    let Some(node) = registry.called::<A::Entity>()? else {
        return Ok(am);
    };
    let target = Target::of(db);
    if is_paused(&target) {
        return Ok(am);
    }
    refuse_apart::<A>(&target)?;
    if insert {
        lock_ahead(node, &am, None, None, &target).await?;
    } else if moves(node, &am) {
        note_old(node, &am, db, &target).await?;
    }
    if insert || writes(&am) {
        if let Target::Unit(_, unit) = &target
            && !unit.is_saving()
        {
            begin(node, &am, insert, unit);
        }
        announce::<A>(&target);
    } else if node.plan.is_some() && Dialect::of(db).locks_rows() {
        // SeaORM sends nothing that would lock the row, and reads it for `after_save`.
        match &target {
            Target::Unit(_, unit) if !unit.immediate => unit.buffer().unlocked = true,
            target if keeps_model(target) => drop(stored(&am, target.conn(db)).await?),
            _ => {}
        }
    }
    Ok(am)
}

/// What a hook that reads and locks came to: a unit whose transaction a deadlock has ended there, in a
/// save by the traits as well, is not to be committed.
fn heeded<C: ConnectionTrait, T>(db: &C, done: Result<T, DbErr>) -> Result<T, DbErr> {
    if let (Err(error), Target::Unit(_, unit)) = (&done, Target::of(db)) {
        unit.heed(Dialect::of(db), error);
    }
    done
}

/// A save that reaches the hooks on a connection itself commits its row before its record.
fn refuse_apart<A: ActiveModelTrait>(target: &Target<'_>) -> Result<(), RecordError> {
    match target {
        Target::Recorded(db) if db.is_strict() => Err(RecordError::NotAtomic {
            entity: table_name::<A::Entity>(),
        }),
        _ => Ok(()),
    }
}

/// Says that SeaORM's statement on the row follows.
fn announce<A: ActiveModelTrait>(target: &Target<'_>) {
    if let Some(unseen) = target.unseen() {
        unseen.announce(A::Entity::default().table_name());
    }
}

/// Notes a save by the trait in a transaction that records at its end: it may be given up between its
/// statement and `after_save`, or never come to it, as `update_without_returning` does.
fn begin<A: Savable>(node: &Node, am: &A, insert: bool, unit: &Unit) {
    let mut notes = Buffer::default();
    let key = am.get_primary_key_value();
    let key: Option<Key> = key.map(|key| key.into_iter().collect());
    if let (Some(plan), Some(key)) = (&node.plan, &key) {
        notes.touch(plan, key.clone(), Note::uncertain());
    }
    let link = |columns: &[String]| new_link(am, None, columns).ok().flatten();
    note_listeners(node, &mut notes, link);
    if insert {
        note_guards(node, &mut notes, link);
    }
    unit.begins_save(TypeId::of::<A::Entity>(), key, notes);
}

/// Whether an update sets anything; SeaORM sends no statement otherwise.
fn writes<A: ActiveModelTrait>(am: &A) -> bool {
    let keys: Vec<_> = <A::Entity as EntityTrait>::PrimaryKey::iter()
        .map(|key| key.into_column().as_str())
        .collect();
    let mut columns = <A::Entity as EntityTrait>::Column::iter();
    columns.any(|column| {
        matches!(am.get(column), ActiveValue::Set(_)) && !keys.contains(&column.as_str())
    })
}

/// The row as it stands, locked.
pub(crate) async fn stored<A>(am: &A, conn: Connection<'_>) -> Result<Option<ModelOf<A>>, DbErr>
where
    A: ActiveModelTrait,
{
    let mut select = A::Entity::find();
    for key in <A::Entity as EntityTrait>::PrimaryKey::iter() {
        let column = key.into_column();
        let Some(value) = am.get(column).into_value() else {
            return Ok(None);
        };
        select = select.filter(column.eq(value));
    }
    select.lock(Dialect::of(&conn).row_lock()).one(&conn).await
}

/// Records the row and its dependents, or notes them for the end of the transaction; belongs at the
/// start of `after_save`.
///
/// # Errors
///
/// A [`RecordError`] within the `DbErr`; [`RecordError::of`](crate::RecordError::of)
/// finds it.
pub async fn after_save<A, C>(model: ModelOf<A>, db: &C, insert: bool) -> Result<ModelOf<A>, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let registry = registry();
    let Some(node) = registry.called::<A::Entity>()? else {
        return Ok(model);
    };
    let target = Target::of(db);
    if is_paused(&target) {
        return Ok(model);
    }
    match target {
        Target::Unit(_, unit) => {
            unit.ends_save(TypeId::of::<A::Entity>(), || key_of(&model));
            let note = if insert {
                Note::made()
            } else {
                Note::new(Event::Updated)
            };
            note_save(node, &model, note, unit.immediate, &mut unit.buffer());
        }
        _ => {
            let mut notes = Buffer::default();
            let is_current = keeps_model(&target);
            let event = if insert {
                Event::Created
            } else {
                Event::Updated
            };
            note_save(node, &model, Note::new(event), is_current, &mut notes);
            apart_patiently(db, || operation::Noted(notes.clone())).await?;
        }
    }
    Ok(model)
}

fn note_save<M>(node: &Node, model: &M, mut note: Note, keep_model: bool, notes: &mut Buffer)
where
    M: ModelTrait + Sync + 'static,
{
    let insert = note.event == Event::Created;
    if let Some(plan) = &node.plan {
        note.model = keep_model.then(|| Arc::new(vec![model.clone()]) as Models);
        notes.touch(plan, key_of(model), note);
    }
    let link = |columns: &[String]| link_of(model, columns);
    note_listeners(node, notes, link);
    for listener in &node.listeners {
        if listener.columns().is_none() {
            let model = Arc::new(model.clone());
            notes.models.push((Arc::clone(listener), model));
        }
    }
    if insert {
        note_guards(node, notes, link);
    }
}

/// Notes who depends on a row while it is there; belongs at the end of `before_delete`.
///
/// Where the row is watched, what comes back is the whole row as it stands.
///
/// # Errors
///
/// Where the entity's recorder cannot be used, or the database refuses.
pub async fn before_delete<A, C>(am: A, db: &C) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    heeded(db, prepare_deletion(am, db).await)
}

async fn prepare_deletion<A, C>(am: A, db: &C) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let registry = registry();
    let Some(node) = registry.called_to_delete::<A::Entity>()? else {
        return Ok(am);
    };
    let target = Target::of(db);
    if is_paused(&target) {
        return Ok(am);
    }
    refuse_apart::<A>(&target)?;
    let am = note_deletion(node, am, db, &target).await?;
    if let Target::Unit(_, unit) = &target
        && !unit.is_saving()
    {
        begin_deletion(node, &am, unit);
    }
    // Last, so that nothing else is taken for the statement.
    announce::<A>(&target);
    Ok(am)
}

/// Notes a deletion by the trait, which may be given up as a save may: see [`begin`].
fn begin_deletion<A: Savable>(node: &Node, am: &A, unit: &Unit) {
    let (Some(plan), Some(key)) = (&node.plan, am.get_primary_key_value()) else {
        return;
    };
    let key: Key = key.into_iter().collect();
    let last = am.clone().try_into_model().ok();
    let note = Note {
        last: last.map(|last| Arc::new(vec![last]) as Models),
        ..Note::uncertain()
    };
    let mut notes = Buffer::default();
    notes.touch(plan, key.clone(), note);
    unit.begins_save(TypeId::of::<A::Entity>(), Some(key), notes);
}

/// Notes who depends on a row that is about to go; answers with the row as it stands, where it was
/// read: because somebody may depend on it, or what is at hand is not what is stored.
async fn note_deletion<A, C>(node: &Node, am: A, db: &C, target: &Target<'_>) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let is_alone = node.listeners.is_empty() && node.foreign_keys.is_empty();
    let is_stored = !am.is_changed() && am.clone().try_into_model().is_ok();
    if is_alone && is_stored && !by_trait_in_transaction(target) {
        return Ok(am);
    }
    let conn = match target {
        Target::Unit(conn, _) => *conn,
        _ => Connection::new(db),
    };
    let Some(old) = stored(&am, conn).await? else {
        return Ok(missed(am));
    };
    // Once it is gone, a cascade may have cut its dependents loose.
    let mut walk = Walk::new(conn);
    walk.go_from(std::slice::from_ref(&old), &Cut::All).await?;
    let notes = walk.into_notes();
    match target {
        Target::Unit(_, unit) => unit.buffer().merge(notes),
        _ => handover::leave(TypeId::of::<A::Entity>(), key_of(&old), notes),
    }
    Ok(old.into_active_model())
}

/// Whether a deletion goes by the trait in a transaction. Nothing tells afterwards whether there was a
/// row; one that is there when it is locked is this deletion's, and any other somebody else's to record.
fn by_trait_in_transaction(target: &Target<'_>) -> bool {
    match target {
        Target::Unit(_, unit) => !unit.is_saving(),
        _ => !target.is_pool(),
    }
}

/// Marks a row that is to be deleted and is not there. Between the hooks of a deletion goes the active
/// model alone, and that of a stored row has nothing set.
fn missed<A: ActiveModelTrait>(mut am: A) -> A {
    for key in <A::Entity as EntityTrait>::PrimaryKey::iter() {
        am.reset(key.into_column());
    }
    am
}

/// Records that the row is gone, and its dependents; belongs at the start of `after_delete`.
///
/// # Errors
///
/// A [`RecordError`] within the `DbErr`.
pub async fn after_delete<A, C>(am: A, db: &C) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let registry = registry();
    let Some(node) = registry.called_to_delete::<A::Entity>()? else {
        return Ok(am);
    };
    let target = Target::of(db);
    if is_paused(&target) {
        return Ok(am);
    }
    let key: Option<Key> = am
        .get_primary_key_value()
        .map(|key| key.into_iter().collect());
    if let (Target::Unit(_, unit), Some(key)) = (&target, &key) {
        unit.ends_save(TypeId::of::<A::Entity>(), || key.clone());
    }
    if by_trait_in_transaction(&target) && am.is_changed() {
        return Ok(am);
    }
    let last = am.clone().try_into_model().ok();
    let mut tombstone = Buffer::default();
    if let (Some(plan), Some(key)) = (&node.plan, &key) {
        let mut note = Note::new(Event::Deleted);
        // On a pool nothing tells whether the row was there at all.
        let last = last.clone().filter(|_| !target.is_pool());
        note.last = last.map(|last| Arc::new(vec![last]) as Models);
        tombstone.touch(plan, key.clone(), note);
    }
    let mut notes = Buffer::default();
    if let Some(last) = last {
        note_left(node, last, &mut notes);
    }
    if let Target::Unit(_, unit) = target {
        let mut buffer = unit.buffer();
        buffer.merge(tombstone);
        buffer.merge(notes);
        return Ok(am);
    }
    if let Some(key) = key {
        notes.merge(handover::take(TypeId::of::<A::Entity>(), key));
    }
    operation::bury(db, tombstone, notes).await?;
    Ok(am)
}

/// Notes the dependents of a row that is gone that did not reference it; those that did were found
/// while it was there.
fn note_left<M>(node: &Node, last: M, notes: &mut Buffer)
where
    M: ModelTrait,
{
    let left = node
        .listeners
        .iter()
        .filter(|listener| !listener.is_referenced());
    for listener in left {
        if let Some(link) = listener
            .columns()
            .and_then(|columns| link_of(&last, columns))
        {
            notes.link(listener, link);
        }
    }
}

/// Whether a row is recorded as SeaORM returns it. On a pool it may have changed since, so it is
/// read again, under a lock; as it is where records are gathered. What wraps a connection may wrap a
/// pool.
fn keeps_model(target: &Target<'_>) -> bool {
    match target {
        Target::Unit(_, unit) => unit.immediate,
        Target::Other(_) => false,
        _ => !target.is_pool(),
    }
}

pub(crate) fn is_paused(target: &Target<'_>) -> bool {
    match target {
        Target::Unit(_, unit) => unit.paused,
        Target::Recorded(db) => db.is_paused(),
        _ => false,
    }
}

macro_rules! save {
    ($(#[$doc:meta])* $name:ident: $operation:ident -> $output:ty) => {
        $(#[$doc])*
        ///
        /// On a pool it opens a transaction, so that the row and its records commit together;
        /// within a transaction it goes straight through.
        ///
        /// # Errors
        ///
        /// Those of SeaORM's method, and a [`RecordError`] within the `DbErr`;
        /// nothing is written then.
        pub async fn $name<A, C>(am: A, db: &C) -> Result<$output, DbErr>
        where
            A: Savable,
            C: ConnectionTrait,
        {
            run::<A::Entity, C, _>(db, operation::$operation(am)).await
        }
    };
}

save!(
    /// SeaORM's `ActiveModelTrait::insert`, recorded.
    insert: Insert -> ModelOf<A>
);
save!(
    /// SeaORM's `ActiveModelTrait::update`, recorded.
    update: Update -> ModelOf<A>
);
save!(
    /// SeaORM's `ActiveModelTrait::save`, recorded.
    save: Save -> A
);
save!(
    /// SeaORM's `ActiveModelTrait::delete`, recorded.
    delete: Delete -> DeleteResult
);
save!(
    /// SeaORM's `ActiveModelTrait::update_without_returning`, recorded; reads the row once for it.
    update_without_returning: UpdateWithoutReturning -> UpdateResult
);

/// SeaORM's `ModelTrait::delete`, recorded.
///
/// # Errors
///
/// Those of [`delete`].
pub async fn delete_model<A, C>(model: ModelOf<A>, db: &C) -> Result<DeleteResult, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    delete(model.into_active_model(), db).await
}
