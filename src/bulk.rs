//! Writing many rows at once.
//!
//! SeaORM's `insert_many`, `update_many` and `delete_many` call no hooks, so they have counterparts
//! here. Each locks the rows that it is about to write, in the order of their keys, notes them and
//! what they are tied to, and writes just those. Keys are kept until the notes are flushed, and
//! never more than a chunk of models.

mod delete;
mod insert;
mod rows;
mod update;
mod upsert;

pub use delete::{DeleteMany, delete_many};
pub use insert::{KeyOf, insert_many};
pub(crate) use rows::{Pages, Rows, note_guards, note_listeners, note_referenced};
pub use update::{UpdateMany, update_many};
pub use upsert::{UpsertMany, upsert_many};

use sea_orm::{EntityTrait, PrimaryKeyTrait};

use crate::typed::Key;

/// The type of an entity's primary key.
pub(crate) type KeyOfEntity<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// A key as its entity has it.
pub(crate) fn typed_key<E: EntityTrait>(key: Key) -> KeyOfEntity<E> {
    use sea_orm::sea_query::{FromValueTuple, ValueTuple};
    let mut values = key.into_iter();
    KeyOfEntity::<E>::from_value_tuple(
        match (values.next(), values.next(), values.next(), values.len()) {
            (Some(a), None, ..) => ValueTuple::One(a),
            (Some(a), Some(b), None, _) => ValueTuple::Two(a, b),
            (Some(a), Some(b), Some(c), 0) => ValueTuple::Three(a, b, c),
            (a, b, c, _) => {
                ValueTuple::Many([a, b, c].into_iter().flatten().chain(values).collect())
            }
        },
    )
}

/// A key as the engine has it.
pub(crate) fn untyped_key<E: EntityTrait>(key: KeyOfEntity<E>) -> Key {
    use sea_orm::sea_query::IntoValueTuple;
    key.into_value_tuple().into_iter().collect()
}
