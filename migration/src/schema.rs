//! Making and dropping record tables.

use sea_orm::sea_query::Table;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{SchemaManager, SchemaManagerConnection};
use sea_orm_record::RecordEntity;

use crate::RecordTable;
use crate::description::missing_types;
use crate::dialect::before_creation;
use crate::partition::{Partitions, refuse_unpartitioned};

/// Record tables on any connection, for tests and for programs without migrations.
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
/// use sea_orm::EntityTrait;
/// use sea_orm_record_migration::RecordSchema;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), sea_orm::DbErr> {
/// let db = sea_orm::Database::connect("sqlite::memory:").await?;
/// db.create_record_table(article::record::Entity).await?;
/// assert!(article::record::Entity::find().all(&db).await?.is_empty());
///
/// // It is there already.
/// assert!(db.create_record_table(article::record::Entity).await.is_err());
/// db.create_record_table_if_not_exists(article::record::Entity).await?;
///
/// db.drop_record_table(article::record::Entity).await?;
/// # Ok(())
/// # }
/// ```
pub trait RecordSchema {
    /// Makes the table of a record entity, its index and, on PostgreSQL, the native enum types that
    /// are missing; see [what is made](crate#what-is-made).
    ///
    /// All or nothing, but for SQLite, where that takes a transaction.
    ///
    /// # Errors
    /// When the table exists, and whatever else the database says; a
    /// [`RecordError::Plan`](sea_orm_record::RecordError::Plan), before anything is made, as
    /// [`record_table`](crate::record_table) does.
    fn create_record_table<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// As [`create_record_table`](Self::create_record_table), in partitions by time, on PostgreSQL,
    /// MySQL and MariaDB; see [partitions](crate#partitions).
    ///
    /// # Errors
    /// As `create_record_table`; a [`RecordError::Plan`](sea_orm_record::RecordError::Plan), before
    /// anything is made, on SQLite, for a rule that cannot be used, and on MySQL and MariaDB for a
    /// record entity with `cascade`.
    fn create_partitioned_record_table<R: RecordEntity>(
        &self,
        record: R,
        partitions: Partitions,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// As [`create_record_table`](Self::create_record_table), but a table that exists is left as it
    /// is, whatever its columns. A missing index is made, but for MySQL.
    ///
    /// # Errors
    /// As `create_record_table`, but for a table that exists.
    fn create_record_table_if_not_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// Drops the table of a record entity, with its history. Native enum types stay, since other
    /// tables may have columns of them.
    ///
    /// # Errors
    /// When there is no such table, and whatever else the database says.
    fn drop_record_table<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// As [`drop_record_table`](Self::drop_record_table), but a table that does not exist is no
    /// error.
    ///
    /// # Errors
    /// Whatever the database says.
    fn drop_record_table_if_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;
}

/// Record tables in a migration: [`RecordSchema`] for SeaORM's [`SchemaManager`], which is no
/// connection. The documentation of the crate has [an example](crate).
pub trait RecordSchemaManager {
    /// The connection that the others work on.
    fn record_connection(&self) -> &SchemaManagerConnection<'_>;

    /// See [`RecordSchema::create_record_table`]. On PostgreSQL, migrations run in a transaction.
    ///
    /// # Errors
    /// Those of [`RecordSchema::create_record_table`].
    fn create_record_table<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send {
        RecordSchema::create_record_table(self.record_connection(), record)
    }

    /// See [`RecordSchema::create_partitioned_record_table`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::create_partitioned_record_table`].
    fn create_partitioned_record_table<R: RecordEntity>(
        &self,
        record: R,
        partitions: Partitions,
    ) -> impl Future<Output = Result<(), DbErr>> + Send {
        RecordSchema::create_partitioned_record_table(self.record_connection(), record, partitions)
    }

    /// See [`RecordSchema::create_record_table_if_not_exists`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::create_record_table_if_not_exists`].
    fn create_record_table_if_not_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send {
        RecordSchema::create_record_table_if_not_exists(self.record_connection(), record)
    }

    /// See [`RecordSchema::drop_record_table`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::drop_record_table`].
    fn drop_record_table<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send {
        RecordSchema::drop_record_table(self.record_connection(), record)
    }

    /// See [`RecordSchema::drop_record_table_if_exists`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::drop_record_table_if_exists`].
    fn drop_record_table_if_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send {
        RecordSchema::drop_record_table_if_exists(self.record_connection(), record)
    }
}

impl<C: ConnectionTrait> RecordSchema for C {
    async fn create_record_table<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        create(self, record, false, None).await
    }

    async fn create_partitioned_record_table<R: RecordEntity>(
        &self,
        record: R,
        partitions: Partitions,
    ) -> Result<(), DbErr> {
        create(self, record, false, Some(partitions)).await
    }

    async fn create_record_table_if_not_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> Result<(), DbErr> {
        create(self, record, true, None).await
    }

    async fn drop_record_table<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        let drop = Table::drop().table(record.table_ref()).take();
        self.execute(&drop).await?;
        Ok(())
    }

    async fn drop_record_table_if_exists<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        let drop = Table::drop().table(record.table_ref()).if_exists().take();
        self.execute(&drop).await?;
        Ok(())
    }
}

impl RecordSchemaManager for SchemaManager<'_> {
    fn record_connection(&self) -> &SchemaManagerConnection<'_> {
        self.get_connection()
    }
}

async fn create<C: ConnectionTrait, R: RecordEntity>(
    db: &C,
    record: R,
    if_not_exists: bool,
    partitions: Option<Partitions>,
) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let mut description = RecordTable::of(record)?;
    if let Some(partitions) = partitions {
        refuse_unpartitioned::<R>(db)?;
        description = description.partitioned(partitions);
    }
    let mut table = description.statement(backend)?;
    let mut indexes = description.index_statements(backend);
    let (by, parts) = description.partitioning(backend)?;
    if if_not_exists {
        table.if_not_exists();
        indexes.iter_mut().for_each(|index| {
            index.if_not_exists();
        });
    }
    let mut script: Vec<String> = before_creation(backend).into_iter().collect();
    let types = description.columns.iter().map(|column| &column.ty);
    script.extend(missing_types(db, types).await?);
    script.push(backend.build(&table).sql + &by);
    script.extend(indexes.iter().map(|index| backend.build(index).sql));
    script.extend(parts);
    // At once: in one transaction on PostgreSQL, on one connection on SQLite.
    db.execute_unprepared(&script.join("; ")).await?;
    Ok(())
}
