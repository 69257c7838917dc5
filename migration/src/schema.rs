//! Making and dropping record tables.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::SchemaManager;
use sea_orm_record::RecordEntity;

use crate::dialect::before_creation;
use crate::table::{record_indexes, record_table, record_types};

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
    /// [`record_table`] does.
    fn create_record_table<R: RecordEntity>(
        &self,
        record: R,
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
    /// See [`RecordSchema::create_record_table`]. On PostgreSQL, migrations run in a transaction.
    ///
    /// # Errors
    /// Those of [`RecordSchema::create_record_table`].
    fn create_record_table<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// See [`RecordSchema::create_record_table_if_not_exists`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::create_record_table_if_not_exists`].
    fn create_record_table_if_not_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// See [`RecordSchema::drop_record_table`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::drop_record_table`].
    fn drop_record_table<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;

    /// See [`RecordSchema::drop_record_table_if_exists`].
    ///
    /// # Errors
    /// Those of [`RecordSchema::drop_record_table_if_exists`].
    fn drop_record_table_if_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> impl Future<Output = Result<(), DbErr>> + Send;
}

impl<C: ConnectionTrait> RecordSchema for C {
    async fn create_record_table<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        create(self, record, false).await
    }

    async fn create_record_table_if_not_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> Result<(), DbErr> {
        create(self, record, true).await
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
    async fn create_record_table<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        self.get_connection().create_record_table(record).await
    }

    async fn create_record_table_if_not_exists<R: RecordEntity>(
        &self,
        record: R,
    ) -> Result<(), DbErr> {
        let connection = self.get_connection();
        connection.create_record_table_if_not_exists(record).await
    }

    async fn drop_record_table<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        self.get_connection().drop_record_table(record).await
    }

    async fn drop_record_table_if_exists<R: RecordEntity>(&self, record: R) -> Result<(), DbErr> {
        let connection = self.get_connection();
        connection.drop_record_table_if_exists(record).await
    }
}

async fn create<C: ConnectionTrait, R: RecordEntity>(
    db: &C,
    record: R,
    if_not_exists: bool,
) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let mut table = record_table(record, backend)?;
    let mut indexes = record_indexes(record, backend);
    if if_not_exists {
        table.if_not_exists();
        indexes.iter_mut().for_each(|index| {
            index.if_not_exists();
        });
    }
    let mut script: Vec<String> = before_creation(backend).into_iter().collect();
    for (name, create_type) in record_types::<R>(backend) {
        if !has_type(db, &name).await? {
            script.push(backend.build(&create_type).sql);
        }
    }
    script.push(backend.build(&table).sql);
    script.extend(indexes.iter().map(|index| backend.build(index).sql));
    // At once: in one transaction on PostgreSQL, on one connection on SQLite.
    db.execute_unprepared(&script.join("; ")).await?;
    Ok(())
}

/// Whether PostgreSQL finds a type of this name on its search path.
async fn has_type<C: ConnectionTrait>(db: &C, name: &str) -> Result<bool, DbErr> {
    let found = Func::cust("to_regtype").arg(name);
    let select = Query::select()
        .expr_as(Expr::from(found).is_not_null(), "found")
        .take();
    match db.query_one(&select).await? {
        Some(row) => row.try_get("", "found"),
        None => Ok(false),
    }
}
