//! The history layer for SeaORM 2: typed record tables, written with each save, queried over time.
//!
//! An entity says what is recorded (`#[recorded]`, [`Recorded`]); its hooks (`#[record_hooks]`) say
//! when. Each save then writes a record of what changed, in the same transaction; a save of a
//! *watched* entity records the rows that depend on it as well. A record is a row of an ordinary
//! SeaORM entity, and [`RecordQuery`] adds what is about time to SeaORM's `Select`.
//!
//! ```
//! use sea_orm::entity::prelude::*;
//! use sea_orm_record::prelude::*;
//!
//! // `mod record` comes with it: the entity of the table `note_record`.
//! #[recorded(columns(title), properties(words: i32))]
//! #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//! #[sea_orm(table_name = "note")]
//! pub struct Model {
//!     #[sea_orm(primary_key)]
//!     pub id: i32,
//!     pub title: String,
//! }
//!
//! #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//! pub enum Relation {}
//!
//! impl Recorded for Entity {
//!     type Record = record::Entity;
//!
//!     fn recorder() -> Recorder<Self> {
//!         Recorder::<Self>::new().properties(|note| record::Properties {
//!             words: note.title.split_whitespace().count() as i32,
//!         })
//!     }
//! }
//!
//! #[record_hooks]
//! impl ActiveModelBehavior for ActiveModel {}
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
//! # options.max_connections(1);
//! # let db = sea_orm::Database::connect(options).await?;
//! # db.get_schema_builder().register(Entity).register(record::Entity).apply(&db).await?;
//! use sea_orm::ActiveValue::Set;
//!
//! let note = ActiveModel { title: Set("Hello, world".to_owned()), ..Default::default() };
//! let note = note.insert(&db).await?;
//! let records = note.records().created_in_days(3).all(&db).await?;
//! assert_eq!((records[0].event, records[0].words), (Event::Created, 2));
//! # Ok(())
//! # }
//! ```
//!
//! The record table is made by a migration: `create_record_table` of the crate
//! [sea-orm-record-migration](https://docs.rs/sea-orm-record-migration). (SeaORM's schema builder makes
//! it too, except on MySQL and MariaDB, where it would lose the microseconds of `recorded_at`.)
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | recorded entity | an entity that implements [`Recorded`] |
//! | record | a row of its record table: what one of its rows was from `recorded_at` on |
//! | recording | the row that a record is of: `recording_id`, `record.recording(&db)` |
//! | recorder | what is computed and watched for an entity: a [`Recorder`] |
//! | property | a recorded value that a closure computes |
//! | snapshot | the values that a record of a row would hold now; it becomes a record if it differs from the latest one |
//! | watched entity, dependent | an entity whose changes are followed; a recorded row that such a change may affect |
//! | fan-out | one change of a watched row that records many dependents |
//! | event | why a record was written: an [`Event`] |
//! | context | who acts and why: a [`Context`], which belongs to a connection |
//! | hooks | what `#[record_hooks]` calls around each save; a write *past the hooks* is not seen by them |
//! | recorded transaction | a [`RecordedTransaction`]: it notes what is saved, and records it at the commit |
//! | plain transaction | any other, of SeaORM's: each save in it is recorded at its end |
//! | flush | writing the records that are due: at the end of a save, or at the commit |
//! | tombstone | the record with the event `deleted` |
//! | mark | the record with the event `erased` or `blanked`, which [erasing](crate::erase) leaves |
//!
//! # The book
//!
//! | chapter | what it tells |
//! | --- | --- |
//! | [`book::start`] | from an existing application to its first records; errors; record entities by hand |
//! | [`book::capture`] | what is recorded, when, within which transaction; failures, locks, rights |
//! | [`book::watching`] | properties, and how a change of one row is recorded with others |
//! | [`book::reading`] | windows, buckets, the past as it was, what changed, putting it back |
//! | [`book::frames`] | histories as data frames, with the feature `polars` |
//! | [`book::time`] | how windows and buckets are counted, also where clocks change |
//! | [`book::write_paths`] | every way in which SeaORM writes, and what becomes of it |
//! | [`book::retention`] | how long records are kept, and how to take away what nobody needs |
//! | [`book::migrations`] | how record tables are made and changed, and the program that writes the migrations |
//! | [`book::scale`] | how large histories become, and partitions, hypertables and distributed tables |
//! | [`book::erasure`] | how to take what must be forgotten out of a history, and keep out what must not be read |
//! | [`book::testing`] | tests of code that records, `MockDatabase`, finding forgotten watches |
//!
//! # The map
//!
//! From a write to a row:
//!
//! | file | its part |
//! | --- | --- |
//! | `recorded.rs`, `recorder.rs` | the traits and the builder that a user writes |
//! | `plan.rs`, `typed.rs`, `typed/`, `registry.rs`, `by_type.rs` | the checked plan, its window on typed entities, who is who |
//! | `hooks.rs`, `hooks/`, `handover.rs`, `operation.rs` | what `#[record_hooks]` calls, and the transaction that a save needs |
//! | `connection.rs`, `context.rs` | connections that know who acts, recorded transactions |
//! | `unseen.rs`, `unseen/` | which statements go past the hooks |
//! | `target.rs`, `erased.rs` | which kind of connection generic code was given; one without its type |
//! | `gather.rs`, `listen.rs`, `reads.rs` | what was written; who depends on it; what closures read |
//! | `cascade.rs` | whom the database itself deletes or cuts loose |
//! | `bulk.rs`, `bulk/`, `around.rs` | many rows at once; what no hook sees: found, locked, noted |
//! | `capture.rs`, `locks.rs`, `write.rs`, `write/` | from notes to snapshots, to one conditional INSERT a chunk |
//! | `backfill.rs`, `import.rs` | the first records of rows that were there before; records from elsewhere |
//! | `verify.rs` | whether every latest record says what its row is |
//! | `retention.rs`, `prune.rs`, `prune/` | how long records are kept; which go, and how |
//! | `carry.rs` | copies of what held at a moment, before all older records go at once |
//! | `erase.rs`, `redact.rs` | what is to be forgotten, and the marks of it; what is never to be read |
//! | `keys.rs`, `by_keys.rs` | keys, their order and runs of them; conditions on keys |
//! | `dialect.rs`, `dialect/` | the only files that branch on the database |
//! | `error.rs` | what can go wrong, and how it travels through SeaORM |
//! | `book.rs` | the chapters |
//!
//! From a question to rows: `query.rs` and `query/`, `number.rs`, `time.rs` and `time/`; to data
//! frames: `frame.rs` and `frame/`.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `macros` | on | `#[recorded]` and `#[record_hooks]` |
//! | `stream` | on | `StreamTrait` on the recording connections |
//! | `color` | off | `Diff::colored`: differences in colours on a terminal |
//! | `polars` | off | `frame` and `frames`: records as data frames; polars takes minutes to compile |
//! | `rbac` | off | needed where sea-orm's `rbac` is on: it adds a method to a trait that is implemented here |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod around;
mod backfill;
pub mod book;
mod bulk;
mod by_keys;
mod by_type;
mod capture;
mod carry;
mod cascade;
mod connection;
mod context;
mod dialect;
mod erase;
mod erased;
mod error;
#[cfg(feature = "polars")]
mod frame;
mod gather;
mod handover;
pub mod hooks;
mod import;
mod keys;
mod listen;
mod locks;
mod number;
mod operation;
mod plan;
mod prune;
mod query;
mod reads;
mod recorded;
mod recorder;
mod redact;
mod registry;
mod retention;
mod target;
mod time;
mod typed;
mod unseen;
mod verify;
mod write;

pub use around::{Capture, capture};
pub use backfill::{Backfill, BackfillProgress, Backfilled, backfill};
pub use bulk::{
    DeleteMany, KeyOf, UpdateMany, UpsertMany, delete_many, insert_many, update_many, upsert_many,
};
pub use carry::{Carried, Carry, carry_forward};
pub use connection::{RecordedConnection, RecordedTransaction};
pub use context::Context;
pub use erase::{Erase, Erasure, erase};
pub use erased::Connection;
pub use error::{RecordError, is_retryable};
#[cfg(feature = "polars")]
pub use frame::{FrameColumns, RecordFrames};
pub use import::{Import, Imported, import};
pub use number::Number;
#[cfg(feature = "polars")]
pub use polars;
pub use prune::{Forecast, Prune, PruneProgress, Pruned, dedupe, prune_before, prune_to};
pub use query::{
    AsOf, AsOfTwo, Bucket, Change, Changes, Diff, DiffBetween, PutBack, RecordChange, RecordModel,
    RecordQuery, RecordedModel, Resample, RestoreTo, Restored, RowDiff, WhereChanged, WithGaps,
    agg,
};
pub use reads::{UnwatchedRead, unwatched_reads};
pub use recorded::{ColumnOf, ContextColumns, Event, Hooked, Properties, RecordEntity, Recorded};
pub use recorder::Recorder;
pub use redact::Redacted;
pub use registry::{Registration, check, register};
pub use retention::{FOREVER, Retention};
/// The SeaORM that this crate records for; what the macros write names it by this path, so that a
/// program may have it by a re-export of another crate.
#[doc(no_inline)]
pub use sea_orm;
#[cfg(feature = "macros")]
pub use sea_orm_record_macros::{record_hooks, recorded};
pub use time::{Buckets, Every, IntoRule, Window, zone};

pub use unseen::UnseenWrites;
pub use verify::{Finding, Problem, Verification, Verify, VerifyProgress, verify};

/// All that an entity file and the code that queries it want in scope.
///
/// ```
/// use sea_orm_record::prelude::*;
/// ```
pub mod prelude {
    #[cfg(feature = "polars")]
    pub use crate::RecordFrames;
    pub use crate::{
        Context, Event, Every, PutBack, RecordEntity, RecordError, RecordModel, RecordQuery,
        Recorded, RecordedConnection, RecordedModel, RecordedTransaction, Recorder, Window, zone,
    };
    #[cfg(feature = "macros")]
    pub use crate::{record_hooks, recorded};
}

/// What the macros need.
#[doc(hidden)]
pub mod __private {
    pub use async_trait;
    pub use inventory;
    pub use sea_orm::prelude::{DateTimeUtc, Json, Uuid};

    pub use crate::registry::{MaybeRecorded, Probe};
}

/// Registers at compile time what [`register`] does at run time; the example of [`hooks`] has one.
#[macro_export]
macro_rules! register_static {
    ($registration:expr) => {
        $crate::__private::inventory::submit! { $registration }
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
