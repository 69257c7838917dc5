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
