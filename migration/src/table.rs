//! The statements that make a record table.

use sea_orm::sea_query::extension::postgres::TypeCreateStatement;
use sea_orm::sea_query::{
    ColumnDef, ForeignKeyAction, ForeignKeyCreateStatement, Index, IndexCreateStatement, Table,
    TableCreateStatement,
};
use sea_orm::{
    ColumnTrait, DbBackend, EntityName, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn,
    RelationTrait, Schema,
};
use sea_orm_record::{RecordEntity, RecordError};

use crate::dialect::{column_type, has_indexes_in_table, index_table, native_enum};
use crate::names::short;

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
    let mut table = Table::create();
    table.table(record.table_ref());
    if let Some(comment) = record.comment() {
        table.comment(comment);
    }
    for column in R::Column::iter() {
        table.col(column_def::<R>(column, backend)?);
    }
    table.primary_key(&mut primary_key::<R>()?);
    if has_indexes_in_table(backend) {
        for mut index in indexes::<R>(backend) {
            table.index(&mut index);
        }
    }
    for mut foreign_key in foreign_keys::<R>() {
        table.foreign_key(&mut foreign_key);
    }
    Ok(table)
}

/// The statements that make the indexes of a record table: the one on `recorded_at`, and those of
/// columns that are `indexed`. None on MySQL, where [`record_table`] makes them.
///
/// See [`record_table`] for an example.
pub fn record_indexes<R: RecordEntity>(_: R, backend: DbBackend) -> Vec<IndexCreateStatement> {
    match has_indexes_in_table(backend) {
        true => Vec::new(),
        false => indexes::<R>(backend),
    }
}

/// The native enum types of a record table, each with its name as `to_regtype` reads it.
pub(crate) fn record_types<R: RecordEntity>(
    backend: DbBackend,
) -> Vec<(String, TypeCreateStatement)> {
    let mut types: Vec<(String, _)> = R::Column::iter()
        .filter_map(|column| native_enum(column.def().get_column_type(), backend))
        .collect();
    types.sort_by(|(a, _), (b, _)| a.cmp(b));
    types.dedup_by(|(a, _), (b, _)| a == b);
    types
}

/// As SeaORM makes it, without what only the source's table may have.
fn column_def<R: RecordEntity>(
    column: R::Column,
    backend: DbBackend,
) -> Result<ColumnDef, RecordError> {
    let ty = column_type(column.def().get_column_type(), backend)
        .map_err(|problem| refused::<R>(column.as_str(), &problem))?;
    let seaorm = Schema::new(backend).get_column_def::<R>(column);
    let spec = seaorm.get_column_spec();

    let mut def = ColumnDef::new_with_type(column, ty);
    if spec.nullable == Some(false) {
        def.not_null();
    }
    if let Some(extra) = &spec.extra {
        def.extra(extra);
    }
    if let Some(comment) = &spec.comment {
        def.comment(comment);
    }
    Ok(def)
}

/// The key of what is recorded, then the time: in this order it serves all reads of a row.
fn primary_key<R: RecordEntity>() -> Result<IndexCreateStatement, RecordError> {
    let key = R::key();
    if key.len() != <R::Recording as EntityTrait>::PrimaryKey::iter().count() {
        return Err(plan_error::<R>(format!(
            "`{}` does not repeat its whole primary key; it needs `recording_id`, or \
             `recording_<column>` for each column of a composite key",
            table_name::<R>()
        )));
    }
    let columns: Vec<R::Column> = key
        .into_iter()
        .map(|(_, column)| column)
        .chain([R::RECORDED_AT])
        .collect();
    let wanted: Vec<_> = columns.iter().map(|column| column.as_str()).collect();
    let declared: Vec<_> = R::PrimaryKey::iter()
        .map(|key| key.into_column().as_str())
        .collect();
    if declared != wanted {
        return Err(plan_error::<R>(format!(
            "the primary key of `{}` must be ({}), in this order",
            table_name::<R>(),
            wanted.join(", ")
        )));
    }
    let mut index = Index::create();
    index.name(short(format!("pk-{}", R::default().table_name())));
    for column in columns {
        index.col(column);
    }
    Ok(index)
}

fn indexes<R: RecordEntity>(backend: DbBackend) -> Vec<IndexCreateStatement> {
    let mut indexes = Schema::new(backend).create_index_from_entity(R::default());
    indexes.retain(|index| !index.is_unique_key());
    for index in &mut indexes {
        if let Some(name) = index.get_index_spec().get_name().map(str::to_owned) {
            index.name(short(name));
        }
    }
    let time = R::RECORDED_AT.as_str();
    if !indexes
        .iter()
        .any(|index| index.get_index_spec().get_column_names() == [time])
    {
        indexes.push(time_index::<R>(backend));
    }
    indexes
}

fn time_index<R: RecordEntity>(backend: DbBackend) -> IndexCreateStatement {
    let record = R::default();
    let name = format!("idx-{}-{}", record.table_name(), R::RECORDED_AT.as_str());
    let mut index = Index::create();
    index
        .name(short(name))
        .table(index_table(record, backend))
        .col(R::RECORDED_AT);
    index
}

fn foreign_keys<R: RecordEntity>() -> Vec<ForeignKeyCreateStatement> {
    let recorded = R::Recording::default().table_ref();
    R::Relation::iter()
        .map(|relation| relation.def())
        .filter(|relation| !relation.is_owner && !relation.skip_fk)
        .filter(|relation| relation.to_tbl == recorded)
        .filter(|relation| matches!(relation.on_delete, Some(ForeignKeyAction::Cascade)))
        .map(|relation| {
            let mut foreign_key: ForeignKeyCreateStatement = relation.into();
            if let Some(name) = foreign_key.get_foreign_key().get_name().map(str::to_owned) {
                foreign_key.name(short(name));
            }
            foreign_key
        })
        .collect()
}

fn refused<R: RecordEntity>(column: &str, problem: &str) -> RecordError {
    plan_error::<R>(format!("`{column}` of `{}` {problem}", table_name::<R>()))
}

fn plan_error<R: RecordEntity>(problem: String) -> RecordError {
    RecordError::Plan {
        entity: table_name::<R::Recording>(),
        problem,
    }
}

/// The full name of an entity's table, for messages.
fn table_name<E: EntityTrait>() -> String {
    let entity = E::default();
    match entity.schema_name() {
        Some(schema) => format!("{schema}.{}", entity.table_name()),
        None => entity.table_name().to_owned(),
    }
}
