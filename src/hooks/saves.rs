//! The hooks around an insert or an update.

use std::any::TypeId;
use std::sync::Arc;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable,
    ModelTrait, PrimaryKeyToColumn,
};

use super::moves::{hands_on, lock_ahead, moves, new_link, note_old};
use super::{ModelOf, Savable, announce, at_work, heeded, keeps_model, refuse_apart, stored};
use crate::Event;
use crate::bulk::{note_guards, note_listeners};
use crate::dialect::Dialect;
use crate::gather::{Buffer, Note, Unit};
use crate::keys::{Key, key_of, link_of};
use crate::operation::{self, apart_patiently};
use crate::registry::{Node, registry};
use crate::target::Target;
use crate::typed::Models;

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
    let node = registry().called_to_delete::<A::Entity>()?;
    let node = node.filter(|node| !node.is_idle() || !insert && hands_on(node, &am));
    let Some((node, target)) = at_work(node, db) else {
        return Ok(am);
    };
    refuse_apart::<A>(&target)?;
    if insert {
        lock_ahead(node, &am, None, None, &target).await?;
    } else if moves(node, &am) {
        Box::pin(note_old(node, &am, db, &target)).await?;
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
            target if keeps_model(target) => {
                Box::pin(stored(&am, target.conn(db))).await?;
            }
            _ => {}
        }
    }
    Ok(am)
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

/// Records the row and its dependents, or notes them for the end of the transaction; belongs at the
/// start of `after_save`.
///
/// # Errors
///
/// A [`RecordError`](crate::RecordError) within the `DbErr`; [`RecordError::of`](crate::RecordError::of)
/// finds it.
pub async fn after_save<A, C>(model: ModelOf<A>, db: &C, insert: bool) -> Result<ModelOf<A>, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    let node = registry().called::<A::Entity>()?;
    let Some((node, target)) = at_work(node, db) else {
        return Ok(model);
    };
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
            // Boxed, as all that few saves come to: a future of kilobytes is slow to make.
            Box::pin(apart_patiently(db, || operation::Noted(notes.clone()))).await?;
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
