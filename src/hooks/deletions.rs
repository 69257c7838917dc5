//! The hooks around a deletion.

use std::any::TypeId;
use std::sync::Arc;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, Iterable, ModelTrait,
    PrimaryKeyToColumn,
};

use super::{Savable, announce, at_work, heeded, refuse_apart, stored_as};
use crate::Event;
use crate::cascade::{Cut, Walk};
use crate::erased::Connection;
use crate::gather::{Buffer, Note, Unit};
use crate::handover;
use crate::keys::{Key, key_of, link_of};
use crate::operation;
use crate::registry::{Node, registry};
use crate::target::Target;
use crate::typed::Models;

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
    let node = registry().called_to_delete::<A::Entity>()?;
    let Some((node, target)) = at_work(node, db) else {
        return Ok(am);
    };
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

/// Notes a deletion by the trait, which may be given up as a save may.
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
    let takes_others = node.changes_others(&Cut::All);
    let Some(old) = stored_as(&am, conn, takes_others).await? else {
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
/// A [`RecordError`](crate::RecordError) within the `DbErr`.
pub async fn after_delete<A, C>(am: A, db: &C) -> Result<A, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let node = registry().called_to_delete::<A::Entity>()?;
    let Some((node, target)) = at_work(node, db) else {
        return Ok(am);
    };
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
