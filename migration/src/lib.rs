//! Record tables for [`sea_orm_record`], in SeaORM migrations and without them.
//!
//! | where | what |
//! | --- | --- |
//! | [`RecordSchemaManager`] | `manager.create_record_table(…)`, in a migration |
//! | [`RecordSchema`] | the same on any connection, for tests and programs without migrations |
//! | [`record_table`], [`record_indexes`] | the statements, to look at or to extend |
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
//! adds one, the first makes it already wherever it has not run yet: let the later one ask
//! [`SchemaManager::has_column`](sea_orm_migration::SchemaManager::has_column) first. New columns of
//! a record table have to be nullable, and dropping one loses its past: move it to `retired(…)`
//! instead.

mod dialect;
mod names;
mod schema;
mod table;

pub use schema::{RecordSchema, RecordSchemaManager};
pub use table::{record_indexes, record_table};
