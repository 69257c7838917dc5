//! Record tables for [`sea_orm_record`], in SeaORM migrations and without them.
//!
//! | where | what |
//! | --- | --- |
//! | [`RecordSchemaManager`] | `manager.create_record_table(…)`, in a migration |
//! | [`RecordSchema`] | the same on any connection, for tests and programs without migrations |
//! | [`record_table`], [`record_indexes`] | the statements, to look at or to extend |
//! | [`RecordTable`], [`ChangeRecordTable`] | a table, and changes of one, in migrations that know no entity |
//! | [`Evolution`], [`Generate`] | what differs between entities and a database, and the migration of it |
//! | `RecordCli`, with the feature `cli` | the program: `record generate`, `check`, `status`, `backfill`, `verify`, `prune` |
//! | [`Partitions`], [`RecordPartitions`], [`drop_partitions_before`] | record tables in [partitions](#partitions) by time |
//!
//! The chapter [migrations](sea_orm_record::book::migrations) tells how a table follows its entity
//! through the years.
//!
//! ```
//! use sea_orm_migration::prelude::*;
//! use sea_orm_record_migration::RecordSchemaManager;
//!
//! mod article {
//!     use sea_orm::entity::prelude::*;
//!     use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};
//!
//!     #[recorded(columns(title))]
//!     #[sea_orm::model]
//!     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
//!     #[sea_orm(table_name = "article")]
//!     pub struct Model {
//!         #[sea_orm(primary_key)]
//!         pub id: i32,
//!         pub title: String,
//!     }
//!
//!     impl Recorded for Entity {
//!         type Record = record::Entity;
//!
//!         fn recorder() -> Recorder<Self> {
//!             Recorder::<Self>::new()
//!         }
//!     }
//!
//!     #[record_hooks]
//!     impl ActiveModelBehavior for ActiveModel {}
//! }
//!
//! struct RecordArticles;
//!
//! impl MigrationName for RecordArticles {
//!     fn name(&self) -> &str {
//!         "m20260105_000001_record_articles"
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl MigrationTrait for RecordArticles {
//!     async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
//!         manager.create_record_table(article::record::Entity).await
//!     }
//!
//!     async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
//!         manager.drop_record_table(article::record::Entity).await
//!     }
//! }
//!
//! struct Migrator;
//!
//! impl MigratorTrait for Migrator {
//!     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
//!         vec![Box::new(RecordArticles)]
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), DbErr> {
//! let db = sea_orm::Database::connect("sqlite::memory:").await?;
//! Migrator::up(&db, None).await?;
//! db.execute_unprepared("SELECT recording_id, recorded_at, event, title FROM article_record")
//!     .await?;
//! Migrator::down(&db, None).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is made
//!
//! - The columns of the record entity, with the types that SeaORM gives them. They are nullable
//!   where the entity says so, and have no default, no unique key and no auto-increment, whatever
//!   the entity says: a history has the same value many times.
//! - The primary key: the key of what is recorded, then `recorded_at`.
//! - A second index, on `recorded_at` alone, `idx-<table>-recorded_at`, and those that the entity
//!   asks for with `indexed`. Names of more than 63 bytes, PostgreSQL's limit, are cut short and end
//!   in a checksum.
//! - No foreign key, so that history outlives its row, unless `#[recorded(cascade)]` asks for one:
//!   of the relations, only one to what is recorded that is to cascade on delete makes one. Any other
//!   would keep rows from being deleted, or change their history.
//! - On PostgreSQL, the native enum types that do not exist yet. An existing one is left as it is:
//!   usually it is the one of the source's table. No type is ever dropped.
//!
//! Types come from the entity, and not from the source's table. So a `String` whose column a
//! migration has made `text` is `varchar(255)` in a record table on MySQL, unless its field says
//! `column_type = "Text"`; a longer text is then refused by the database.
//!
//! ## Where types differ from SeaORM's
//!
//! On MySQL and MariaDB a record table has
//!
//! | SeaORM's type | in a record table | for |
//! | --- | --- | --- |
//! | `datetime`, `timestamp` | `datetime(6)` | microseconds; `timestamp` also ends in 2038 |
//! | `time` | `time(6)` | microseconds |
//! | `decimal` without a precision | `decimal(57, 28)` | without one it is `decimal(10, 0)`; this holds every `Decimal` |
//!
//! On PostgreSQL, names of native enums are quoted, as SeaORM quotes them in its queries.
//!
//! A column of a type that the database lacks, such as an array on SQLite, is refused with its name
//! before anything is made.
//!
//! # Partitions
//!
//! On PostgreSQL, MySQL and MariaDB a record table can be partitioned by `recorded_at`:
//! `manager.create_partitioned_record_table(article::record::Entity, Partitions::every("1MS").ahead(3))`, or,
//! in a migration that knows no entity, [`RecordTable::partitioned`].
//! What is older than a date is then dropped at once, without a DELETE; a window of time reads the
//! partitions that it meets. The price is that whatever asks for the latest record of a row asks every
//! partition, each save as well: take few. The chapter
//! [scale](sea_orm_record::book::scale) has the numbers.
//!
//! - Partitions follow each other without a gap, at the edges of the rule in UTC. The first, `p_past`,
//!   takes all that is older than its end; then comes one for each bucket, named after its first day,
//!   such as `p20260101`; the last, `p_rest`, takes what no other does, so that no save is ever refused
//!   for want of a partition. On PostgreSQL each is a table, whose name begins with that of the record
//!   table.
//! - [`extend_partitions`](RecordPartitions::extend_partitions) adds those that are missing. Call it
//!   more often than the rule is long, from whatever schedules things, on as many machines as you like.
//! - [`drop_partitions_before`] takes old ones away and keeps what each row was.
//! - Columns, the primary key and indexes are those of a plain record table. On MySQL and MariaDB a
//!   partitioned table can have no foreign key, so `#[recorded(cascade)]` is refused there.
//! - SQLite has no partitions. `RecordTable::partitioned` makes an ordinary table there, so that one
//!   migration serves it too; `create_partitioned_record_table` and the others refuse it.
//!
//! A table that is not partitioned yet is rebuilt by hand: make the partitioned one under the name of
//! the table while nobody writes, copy the records over, and drop the old one.
//!
//! # Schema sync
//!
//! A record entity is an ordinary entity, so [`SchemaBuilder::sync`](sea_orm::schema::SchemaBuilder)
//! and the entity registry make its table too. On SQLite and PostgreSQL that is the same table, as
//! long as no name in it is too long. **On MySQL and MariaDB it is not**: `recorded_at` becomes a
//! `timestamp` of whole seconds, in which two changes within a second cannot both be recorded. There,
//! create the record tables with [`RecordSchema::create_record_table_if_not_exists`] before the sync,
//! which then leaves them as they are.
//!
//! # Later changes
//!
//! A table that an entity makes has the columns that the entity has today. When a later migration
//! adds one, the first makes it already wherever it has not run yet. [`ChangeRecordTable`] passes over
//! what is there; a migration with [`RecordTable`], as `record generate` writes it, makes the same
//! table for ever.
//!
//! # The map
//!
//! | file | its part |
//! | --- | --- |
//! | `schema.rs`, `table.rs` | tables of entities, made as they are today |
//! | `description.rs`, `entity.rs` | a table as plain data; from an entity |
//! | `names.rs` | names of indexes and constraints, cut to what databases take |
//! | `found.rs` | a table as the database has it |
//! | `compare.rs`, `evolution.rs` | what differs, and what is done about it |
//! | `fill.rs` | values for records from before, as texts and in a source |
//! | `partition.rs`, `partition/` | partitions: made, extended, dropped |
//! | `change.rs`, `change/` | changes of a table: from what it is to what it is to become |
//! | `source.rs`, `generate.rs`, `folder.rs` | a migration's source; its file, and its place in the migrator |
//! | `cli.rs`, `cli/` | the program |
//! | `dialect.rs`, `dialect/` | the only files that branch on the database |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod change;
#[cfg(feature = "cli")]
mod cli;
mod compare;
mod description;
mod dialect;
mod entity;
mod evolution;
mod fill;
mod folder;
mod found;
mod generate;
mod names;
mod partition;
mod schema;
mod source;
mod table;

pub use change::ChangeRecordTable;
#[cfg(feature = "cli")]
pub use cli::{EntityOptions, RecordCli};
pub use compare::Difference;
pub use description::RecordTable;
pub use evolution::Evolution;
pub use generate::Generate;
pub use partition::{
    DropPartitions, Dropped, Extended, Partitions, RecordPartitions, drop_partitions_before,
};
pub use schema::{RecordSchema, RecordSchemaManager};
pub use source::enumeration;
pub use table::{record_indexes, record_table};

// The chapter's examples use this crate, so they run here.
#[cfg(doctest)]
#[doc = include_str!("../../docs/start.md")]
struct Start;

#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../../docs/migrations.md")]
struct Migrations;
