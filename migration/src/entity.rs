//! From a record entity to the description of its table.

use sea_orm::sea_query::{ForeignKeyAction, ForeignKeyCreateStatement};
use sea_orm::{
    ColumnTrait, DbBackend, EntityName, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn,
    RelationTrait, Schema,
};
use sea_orm_record::{RecordEntity, RecordError};

use crate::description::{Column, RecordTable, TableName};
use crate::names::short;
use crate::table::plan_error;

pub(crate) fn describe<R: RecordEntity>(record: R) -> Result<RecordTable, RecordError> {
    let name = table_name::<R>();
    Ok(RecordTable {
        entity: table_name::<R::Recording>().to_string(),
        columns: R::Column::iter().map(column::<R>).collect(),
        key: key::<R>(&name)?,
        event: Some(R::EVENT.as_str().to_owned()),
        indexes: indexes::<R>(),
        foreign_keys: foreign_keys::<R>(),
        comment: record.comment().map(str::to_owned),
        partitions: None,
        name,
    })
}

/// As SeaORM makes it, without what only the source's table may have.
fn column<R: RecordEntity>(column: R::Column) -> Column {
    // Which backend does not matter: the type is not taken from there.
    let seaorm = Schema::new(DbBackend::Sqlite).get_column_def::<R>(column);
    let spec = seaorm.get_column_spec();
    Column {
        name: column.as_str().to_owned(),
        ty: column.def().get_column_type().clone(),
        nullable: spec.nullable != Some(false),
        extra: spec.extra.clone(),
        comment: spec.comment.clone(),
    }
}

/// The key of what is recorded, then the time.
fn key<R: RecordEntity>(name: &TableName) -> Result<Vec<String>, RecordError> {
    let refused = |problem| plan_error(&table_name::<R::Recording>(), problem);
    let key = R::key();
    if key.len() != <R::Recording as EntityTrait>::PrimaryKey::iter().count() {
        return Err(refused(format!(
            "`{name}` does not repeat its whole primary key; it needs `recording_id`, or \
             `recording_<column>` for each column of a composite key",
        )));
    }
    let columns = key.into_iter().map(|(_, column)| column);
    let wanted: Vec<_> = columns
        .chain([R::RECORDED_AT])
        .map(|column| column.as_str().to_owned())
        .collect();
    let declared: Vec<_> = R::PrimaryKey::iter()
        .map(|key| key.into_column().as_str())
        .collect();
    match declared == wanted {
        true => Ok(wanted),
        false => Err(refused(format!(
            "the primary key of `{name}` must be ({}), in this order",
            wanted.join(", ")
        ))),
    }
}

/// Those of columns that are `indexed`, and in any case the one on the time.
fn indexes<R: RecordEntity>() -> Vec<Vec<String>> {
    let mut indexes: Vec<_> = Schema::new(DbBackend::Postgres)
        .create_index_from_entity(R::default())
        .iter()
        .filter(|index| !index.is_unique_key())
        .map(|index| index.get_index_spec().get_column_names())
        .collect();
    let time = vec![R::RECORDED_AT.as_str().to_owned()];
    if !indexes.contains(&time) {
        indexes.push(time);
    }
    indexes
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

/// The name of an entity's table.
pub(crate) fn table_name<E: EntityTrait>() -> TableName {
    let entity = E::default();
    TableName {
        schema: entity.schema_name().map(str::to_owned),
        name: entity.table_name().to_owned(),
    }
}
