//! What a save is about to change in how rows hang together: who depended on the row before, and what
//! it comes to depend on.

use std::sync::Arc;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable,
    ModelTrait, PrimaryKeyToColumn, Value,
};

use super::{ModelOf, Savable, stored_as};
use crate::bulk::{note_guards, note_referenced};
use crate::cascade::{Cut, Walk};
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::Buffer;
use crate::keys::{Key, is_null, link_of};
use crate::locks;
use crate::operation::{self, apart_patiently};
use crate::recorded::column_named;
use crate::registry::{Node, registry};
use crate::target::Target;

pub(super) async fn note_old<A, C>(
    node: &Node,
    am: &A,
    db: &C,
    target: &Target<'_>,
) -> Result<(), DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    match target {
        Target::Unit(conn, unit) => {
            let mut notes = Buffer::default();
            let old = note_move(node, am, *conn, &mut notes).await?;
            lock_ahead(node, am, old.as_ref(), Some(notes.clone()), target).await?;
            unit.buffer().merge(notes);
            Ok(())
        }
        _ => apart_patiently(db, || MoveAlone(am.clone())).await,
    }
}

/// Locks who depends on a row and what it depends on, as far as it will reference them, where the
/// check of its foreign keys would lock them otherwise. Of a move there are notes: who depended on it,
/// and what it comes to depend on.
pub(super) async fn lock_ahead<A: Savable>(
    node: &Node,
    am: &A,
    old: Option<&ModelOf<A>>,
    moved: Option<Buffer>,
    target: &Target<'_>,
) -> Result<(), DbErr> {
    let Target::Unit(conn, unit) = target else {
        return Ok(());
    };
    if !Dialect::of(conn).checks_lock_out() {
        return Ok(());
    }
    let link = |columns: &[String]| new_link(am, old, columns).ok().flatten();
    let mut notes = moved.unwrap_or_else(|| {
        let mut notes = Buffer::default();
        note_guards(node, &mut notes, link);
        notes
    });
    note_referenced(node, &mut notes, link);
    if notes.is_empty() {
        return Ok(());
    }
    Box::pin(locks::before_writing(*conn, unit, notes)).await
}

/// A move that is written and recorded before SeaORM's own update repeats it: the old dependents can
/// be found and locked now, and nothing could tell `after_save` about them.
struct MoveAlone<A>(A);

impl<A> operation::Operation for MoveAlone<A>
where
    A: Savable,
{
    type Output = ();

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<(), DbErr> {
        let (Some(node), Target::Unit(conn, unit)) =
            (registry().node_to_delete::<A::Entity>()?, Target::of(db))
        else {
            return Ok(());
        };
        let mut notes = Buffer::default();
        note_move(node, &self.0, conn, &mut notes).await?;
        if !notes.is_empty() {
            match A::Entity::update(self.0)
                .exec_without_returning(&conn)
                .await
            {
                Ok(_) | Err(DbErr::RecordNotUpdated) => {}
                Err(error) => return Err(error),
            }
        }
        unit.buffer().merge(notes);
        Ok(())
    }
}

/// Whether an update sets a column whose values the database hands on to other rows. SeaORM sets no
/// column of the primary key.
pub(crate) fn hands_on<A: ActiveModelTrait>(node: &Node, am: &A) -> bool {
    let is_key = |column: &String| {
        let mut keys = <A::Entity as EntityTrait>::PrimaryKey::iter();
        keys.any(|key| key.into_column().as_str() == column)
    };
    let sets = |column: &String| !is_key(column) && is_set(am, column);
    let mut keys = node.foreign_keys.iter().filter(|key| key.hands_on());
    keys.any(|key| key.to.iter().any(sets))
}

/// Whether an update sets a column that ties rows together.
pub(super) fn moves<A: ActiveModelTrait>(node: &Node, am: &A) -> bool {
    let sets = |columns: &[String]| columns.iter().any(|column| is_set(am, column));
    node.guards.iter().any(|guard| sets(guard.columns()))
        || node
            .listeners
            .iter()
            .any(|listener| listener.columns().is_none_or(sets))
        || hands_on(node, am)
}

fn is_set<A: ActiveModelTrait>(am: &A, column: &str) -> bool {
    column_named::<A::Entity>(column)
        .is_some_and(|column| matches!(am.get(column), ActiveValue::Set(_)))
}

/// Notes the dependents of before, and the locks of after.
async fn note_move<A>(
    node: &Node,
    am: &A,
    conn: Connection<'_>,
    notes: &mut Buffer,
) -> Result<Option<ModelOf<A>>, DbErr>
where
    A: Savable,
{
    let unknown = |columns: &[String]| new_link(am, None, columns).is_err();
    let needs_old = node.listeners.iter().any(|listener| {
        listener
            .columns()
            .is_none_or(|columns| columns.iter().any(|column| is_set(am, column)))
    }) || node.guards.iter().any(|guard| unknown(guard.columns()))
        || hands_on(node, am);
    let old = if needs_old {
        stored_as(am, conn, hands_on(node, am)).await?
    } else {
        None
    };
    for guard in &node.guards {
        let touched = guard.columns().iter().any(|column| is_set(am, column));
        if let (true, Ok(Some(link))) = (touched, new_link(am, old.as_ref(), guard.columns())) {
            notes.guard(guard, link);
        }
    }
    let Some(old) = old else { return Ok(None) };
    for listener in &node.listeners {
        let Some(columns) = listener.columns() else {
            notes
                .models
                .push((Arc::clone(listener), Arc::new(old.clone())));
            continue;
        };
        let before = link_of(&old, columns);
        if let (Some(before), Ok(after)) = (before, new_link(am, Some(&old), columns))
            && after.as_ref() != Some(&before)
        {
            notes.link(listener, before);
        }
    }
    let changed = Cut::Columns(changed(am, &old));
    if hands_on(node, am) && node.changes_others(&changed) {
        let mut walk = Walk::new(conn);
        walk.go_from(std::slice::from_ref(&old), &changed).await?;
        notes.merge(walk.into_notes());
    }
    Ok(Some(old))
}

/// The columns that get another value.
fn changed<A: ActiveModelTrait>(am: &A, old: &ModelOf<A>) -> Vec<String> {
    let columns = <A::Entity as EntityTrait>::Column::iter();
    let changed = columns.filter(|column| match am.get(*column) {
        ActiveValue::Set(value) => value != old.get(*column),
        _ => false,
    });
    changed.map(|column| column.as_str().to_owned()).collect()
}

/// A column whose value neither the active model nor the stored row tells.
pub(super) struct Unknown;

/// The link that a row has after the update: none where a value is NULL.
pub(super) fn new_link<A>(
    am: &A,
    old: Option<&ModelOf<A>>,
    columns: &[String],
) -> Result<Option<Key>, Unknown>
where
    A: ActiveModelTrait,
{
    let mut link = Vec::with_capacity(columns.len());
    for name in columns {
        let column = column_named::<A::Entity>(name).ok_or(Unknown)?;
        let value: Value = match (am.get(column).into_value(), old) {
            (Some(value), _) => value,
            (None, Some(old)) => old.get(column),
            (None, None) => return Err(Unknown),
        };
        link.push(value);
    }
    Ok(if link.iter().any(is_null) {
        None
    } else {
        Some(link)
    })
}
