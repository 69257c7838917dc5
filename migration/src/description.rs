//! What a record table looks like, as plain data: from a record entity, or as a migration froze it.

use sea_orm::sea_query::{
    ColumnDef, ColumnType, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index,
    IndexCreateStatement, IntoTableRef, Table, TableCreateStatement, TableRef,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;
use sea_orm_record::{RecordEntity, RecordError};

use crate::change::ChangeRecordTable;
use crate::compare::{Hints, differences};
use crate::dialect::{
    column_type, has_indexes_in_table, has_type, index_table, native_enum, quoted_table, run,
};
use crate::found::Found;
use crate::names::short;
use crate::partition::Partitions;
use crate::{entity, table};

/// A record table as plain data: what a migration makes without knowing the entity.
///
/// `record generate` writes it into migrations, so that they do not change when the entity does; it
/// can also be written by hand. Types are portable: what a column becomes on each database is
/// [told here](crate#where-types-differ-from-seaorms), and found out when the migration runs.
///
/// ```
/// use sea_orm_migration::prelude::*;
/// use sea_orm_record_migration::RecordTable;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), DbErr> {
/// # let db = sea_orm::Database::connect("sqlite::memory:").await?;
/// # let manager = &SchemaManager::new(&db);
/// let articles = RecordTable::new("article_record")
///     .column("recording_id", ColumnType::Integer)
///     .column("recorded_at", ColumnType::TimestampWithTimeZone)
///     .column("event", ColumnType::String(StringLen::N(10)))
///     .column("title", ColumnType::String(StringLen::None))
///     .nullable_column("subtitle", ColumnType::Text)
///     .key(["recording_id", "recorded_at"])
///     .index(["recorded_at"]);
/// articles.create(manager).await?;
/// // Again: it is there, and as it should be.
/// articles.create(manager).await?;
/// articles.drop(manager).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `create`"]
pub struct RecordTable {
    pub(crate) name: TableName,
    /// What is recorded, for messages.
    pub(crate) entity: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: Vec<String>,
    /// The column that says why, where an entity tells.
    pub(crate) event: Option<String>,
    pub(crate) indexes: Vec<Vec<String>>,
    pub(crate) foreign_keys: Vec<ForeignKeyCreateStatement>,
    pub(crate) comment: Option<String>,
    pub(crate) partitions: Option<Partitions>,
}

/// The name of a table, and of its schema where that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl From<TableName> for TableRef {
    fn from(table: TableName) -> Self {
        match table.schema {
            Some(schema) => (schema, table.name).into_table_ref(),
            None => table.name.into_table_ref(),
        }
    }
}

impl TableName {
    /// What `idx-…` an index on these columns is called.
    pub(crate) fn index(&self, columns: &[String]) -> String {
        short(format!("idx-{}-{}", self.name, columns.join("-")))
    }

    /// An error about this table.
    pub(crate) fn error(&self, problem: impl std::fmt::Display) -> DbErr {
        DbErr::Migration(format!("the record table `{self}` {problem}"))
    }
}

/// A column of a record table.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As SeaORM calls it, whatever the database.
    pub(crate) ty: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) extra: Option<String>,
    pub(crate) comment: Option<String>,
}

impl RecordTable {
    /// An empty description. A table needs columns and a [`key`](Self::key).
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            entity: name.clone(),
            name: TableName { schema: None, name },
            columns: Vec::new(),
            key: Vec::new(),
            event: None,
            indexes: Vec::new(),
            foreign_keys: Vec::new(),
            comment: None,
            partitions: None,
        }
    }

    /// The table of a record entity, as the entity is today.
    ///
    /// # Errors
    /// A [`RecordError::Plan`] when the primary key of the record entity is not the key of what is
    /// recorded followed by `recorded_at`.
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
    /// use sea_orm_record_migration::RecordTable;
    ///
    /// # fn main() -> Result<(), sea_orm_record::RecordError> {
    /// let table = RecordTable::of(article::record::Entity)?;
    /// assert_eq!(table.name(), "article_record");
    /// # Ok(())
    /// # }
    /// ```
    pub fn of<R: RecordEntity>(record: R) -> Result<Self, RecordError> {
        entity::describe(record)
    }

    /// The name of the table, with its schema where it has one: `audit.article_record`.
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    /// The schema of the table. Default: the connection's.
    pub fn in_schema(mut self, schema: impl Into<String>) -> Self {
        self.name.schema = Some(schema.into());
        self
    }

    /// A column that every record has a value in.
    pub fn column(self, name: impl Into<String>, ty: ColumnType) -> Self {
        self.add(name.into(), ty, false)
    }

    /// A column that may be NULL.
    pub fn nullable_column(self, name: impl Into<String>, ty: ColumnType) -> Self {
        self.add(name.into(), ty, true)
    }

    fn add(mut self, name: String, ty: ColumnType, nullable: bool) -> Self {
        self.columns.push(Column {
            name,
            ty,
            nullable,
            extra: None,
            comment: None,
        });
        self
    }

    /// SQL that stands after the type and nullability of the column before, such as a collation.
    /// Default: none.
    pub fn extra(mut self, sql: impl Into<String>) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.extra = Some(sql.into());
        }
        self
    }

    /// A comment on the column before. Default: none.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.comment = Some(text.into());
        }
        self
    }

    /// A comment on the table. Default: none.
    pub fn table_comment(mut self, text: impl Into<String>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// The primary key: the key of what is recorded, then `recorded_at`. In this order it serves all
    /// reads of a row.
    pub fn key(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// An index, called `idx-<table>-<columns>`. Default: none.
    pub fn index(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.indexes
            .push(columns.into_iter().map(Into::into).collect());
        self
    }

    /// A foreign key that has the database delete the history of a row with the row. Default: none,
    /// so that history outlives what it is the history of.
    pub fn cascade(
        mut self,
        columns: impl IntoIterator<Item = impl Into<String>>,
        table: impl IntoTableRef,
        to: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        let name = short(format!("fk-{}-{}", self.name.name, columns.join("-")));
        let mut foreign_key = ForeignKey::create();
        foreign_key
            .name(name)
            .from_tbl(self.name.clone())
            .to_tbl(table)
            .on_delete(ForeignKeyAction::Cascade);
        for column in columns {
            foreign_key.from_col(column);
        }
        for column in to {
            foreign_key.to_col(column.into());
        }
        self.foreign_keys.push(foreign_key);
        self
    }

    /// Makes the table in [partitions](crate#partitions) by the last column of its key, which is the
    /// time. Default: no partitions.
    ///
    /// On SQLite, which has none, it is made as an ordinary table: so one migration serves a developer's
    /// SQLite and a server.
    ///
    /// ```
    /// use sea_orm_migration::prelude::*;
    /// use sea_orm_record_migration::{Partitions, RecordTable};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), DbErr> {
    /// # let db = sea_orm::Database::connect("sqlite::memory:").await?;
    /// # let manager = &SchemaManager::new(&db);
    /// RecordTable::new("article_record")
    ///     .column("recording_id", ColumnType::Integer)
    ///     .column("recorded_at", ColumnType::TimestampWithTimeZone)
    ///     .column("event", ColumnType::String(StringLen::N(10)))
    ///     .key(["recording_id", "recorded_at"])
    ///     .index(["recorded_at"])
    ///     .partitioned(Partitions::every("1MS").ahead(3))
    ///     .create(manager)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn partitioned(mut self, partitions: Partitions) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Makes the table, its partitions and indexes and, on PostgreSQL, the native enum types that are missing. A
    /// table that is there already, with all that this one has, is left as it is: so a migration
    /// that was interrupted can run again. A missing index is made.
    ///
    /// # Errors
    /// A `DbErr::Migration` when there is such a table and it differs: it says in what. A
    /// [`RecordError::Plan`] when the database has no such type as a column's, or when its partitions
    /// cannot be made. What the database says.
    pub async fn create(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let db = manager.get_connection();
        match Found::load(db, &self.name).await? {
            Some(found) => self.complete(manager, &found).await,
            None => run(db, &self.creation(db).await?).await,
        }
    }

    async fn complete(&self, manager: &SchemaManager<'_>, found: &Found) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let mut change = ChangeRecordTable::of(self.name.clone());
        for difference in differences(self, Some(found), &Hints::default(), backend)? {
            let Some(columns) = difference.missing_index() else {
                return Err(self.name.error(format_args!(
                    "is there already, and differs in {difference}"
                )));
            };
            change = change.add_index(columns);
        }
        change.apply(manager).await
    }

    /// Drops the table, with its history, if it is there.
    ///
    /// # Errors
    /// What the database says.
    pub async fn drop(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let table = quoted_table(&self.name, db.get_database_backend());
        db.execute_unprepared(&format!("DROP TABLE IF EXISTS {table}"))
            .await?;
        Ok(())
    }

    async fn creation<C: ConnectionTrait>(&self, db: &C) -> Result<Vec<String>, DbErr> {
        let backend = db.get_database_backend();
        let mut script = missing_types(db, self.columns.iter().map(|column| &column.ty)).await?;
        let (by, parts) = self.partitioning(backend)?;
        script.push(backend.build(&self.statement(backend)?).sql + &by);
        let indexes = self.index_statements(backend);
        script.extend(indexes.iter().map(|index| backend.build(index).sql));
        script.extend(parts);
        Ok(script)
    }

    /// What follows `CREATE TABLE (…)`, and the statements that make the partitions.
    pub(crate) fn partitioning(
        &self,
        backend: DbBackend,
    ) -> Result<(String, Vec<String>), RecordError> {
        let partitions = self.partitions.as_ref();
        partitions.map_or_else(|| Ok(Default::default()), |it| it.creation(self, backend))
    }

    /// `CREATE TABLE`; on MySQL with the indexes.
    pub(crate) fn statement(
        &self,
        backend: DbBackend,
    ) -> Result<TableCreateStatement, RecordError> {
        let mut statement = Table::create();
        statement.table(self.name.clone());
        if let Some(comment) = &self.comment {
            statement.comment(comment);
        }
        for column in &self.columns {
            statement.col(self.definition(column, backend)?);
        }
        let mut key = Index::create();
        key.name(short(format!("pk-{}", self.name.name)));
        for column in &self.key {
            key.col(column.clone());
        }
        statement.primary_key(&mut key);
        if has_indexes_in_table(backend) {
            for columns in &self.indexes {
                statement.index(&mut self.index_statement(columns, backend));
            }
        }
        for foreign_key in &self.foreign_keys {
            statement.foreign_key(&mut foreign_key.clone());
        }
        Ok(statement)
    }

    /// `CREATE INDEX` for each, where `CREATE TABLE` does not make them.
    pub(crate) fn index_statements(&self, backend: DbBackend) -> Vec<IndexCreateStatement> {
        match has_indexes_in_table(backend) {
            true => Vec::new(),
            false => self
                .indexes
                .iter()
                .map(|columns| self.index_statement(columns, backend))
                .collect(),
        }
    }

    fn index_statement(&self, columns: &[String], backend: DbBackend) -> IndexCreateStatement {
        let mut index = Index::create();
        index
            .name(self.name.index(columns))
            .table(index_table(&self.name, backend));
        for column in columns {
            index.col(column.clone());
        }
        index
    }

    fn definition(&self, column: &Column, backend: DbBackend) -> Result<ColumnDef, RecordError> {
        let ty =
            column_type(&column.ty, backend).map_err(|problem| self.refused(column, &problem))?;
        let mut def = ColumnDef::new_with_type(column.name.clone(), ty);
        if !column.nullable {
            def.not_null();
        }
        if let Some(extra) = &column.extra {
            def.extra(extra);
        }
        if let Some(comment) = &column.comment {
            def.comment(comment);
        }
        Ok(def)
    }

    pub(crate) fn refused(&self, column: &Column, problem: &str) -> RecordError {
        table::plan_error(
            &self.entity,
            format!("`{}` of `{}` {problem}", column.name, self.name),
        )
    }
}

/// How the native enum types are made that are not there.
pub(crate) async fn missing_types<'a, C: ConnectionTrait>(
    db: &C,
    columns: impl Iterator<Item = &'a ColumnType>,
) -> Result<Vec<String>, DbErr> {
    let backend = db.get_database_backend();
    let mut types: Vec<_> = columns.filter_map(|ty| native_enum(ty, backend)).collect();
    types.sort_by(|(a, _), (b, _)| a.cmp(b));
    types.dedup_by(|(a, _), (b, _)| a == b);
    let mut script = Vec::new();
    for (name, create) in types {
        if !has_type(db, &name).await? {
            script.push(backend.build(&create).sql);
        }
    }
    Ok(script)
}
