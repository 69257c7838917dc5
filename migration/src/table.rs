//! The statements that make a record table.

use sea_orm::DbBackend;
use sea_orm::sea_query::{IndexCreateStatement, TableCreateStatement};
use sea_orm_record::{RecordEntity, RecordError};

use crate::RecordTable;

/// The statement that makes the table of a record entity, to look at or to extend.
///
/// [What is made](crate#what-is-made) stands in the documentation of the crate. On MySQL the
/// statement has the indexes as well; elsewhere [`record_indexes`] are statements of their own.
/// Native enum types of PostgreSQL are not part of it: they have to exist.
///
/// # Errors
/// A [`RecordError::Plan`] when the database has no such type as a column's, or when the primary key
/// of the record entity is not the key of what is recorded followed by `recorded_at`.
///
/// # Examples
///
/// A table that PostgreSQL partitions by time:
///
/// ```
/// # mod article {
/// #     use sea_orm::entity::prelude::*;
/// #     use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};
/// #     #[recorded(columns(title))]
/// #     #[sea_orm::model]
/// #     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "article")]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key)]
/// #         pub id: i32,
/// #         pub title: String,
/// #     }
/// #     impl Recorded for Entity {
/// #         type Record = record::Entity;
/// #         fn recorder() -> Recorder<Self> {
/// #             Recorder::<Self>::new()
/// #         }
/// #     }
/// #     #[record_hooks]
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use article::record;
/// use sea_orm_migration::prelude::*;
/// use sea_orm_record_migration::{record_indexes, record_table};
///
/// async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
///     let backend = manager.get_database_backend();
///     let mut table = record_table(record::Entity, backend)?;
///     table.partition_by_range([record::Column::RecordedAt]);
///     manager.create_table(table).await?;
///     for index in record_indexes(record::Entity, backend) {
///         manager.create_index(index).await?;
///     }
///     Ok(())
/// }
/// # let table = record_table(record::Entity, sea_orm::DbBackend::Postgres).unwrap();
/// # let sql = "CREATE TABLE \"article_record\" ( \"recording_id\" integer NOT NULL, \
/// #     \"recorded_at\" timestamp with time zone NOT NULL, \"event\" varchar(10) NOT NULL, \
/// #     \"title\" varchar NOT NULL, \
/// #     CONSTRAINT \"pk-article_record\" PRIMARY KEY (\"recording_id\", \"recorded_at\") )";
/// # assert_eq!(table.to_string(PostgresQueryBuilder), sql);
/// ```
pub fn record_table<R: RecordEntity>(
    record: R,
    backend: DbBackend,
) -> Result<TableCreateStatement, RecordError> {
    RecordTable::of(record)?.statement(backend)
}

/// The statements that make the indexes of a record table: the one on `recorded_at`, and those of
/// columns that are `indexed`. None on MySQL, where [`record_table`] makes them.
///
/// None either for an entity whose primary key [`record_table`] refuses; see there for an example.
pub fn record_indexes<R: RecordEntity>(record: R, backend: DbBackend) -> Vec<IndexCreateStatement> {
    RecordTable::of(record).map_or_else(|_| Vec::new(), |table| table.index_statements(backend))
}

pub(crate) fn plan_error(entity: &impl ToString, problem: String) -> RecordError {
    RecordError::Plan {
        entity: entity.to_string(),
        problem,
    }
}
