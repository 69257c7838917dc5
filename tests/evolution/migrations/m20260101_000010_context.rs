//! Record tables: `gadget_record`. Written by `record generate`; no entity is needed for it.

use sea_orm_migration::prelude::*;
use sea_orm_record_migration::ChangeRecordTable;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .add_filled_column("pages", ColumnType::BigInteger, 0i64)
            .add_column("actor", ColumnType::Text)
            .add_column("reason", ColumnType::Text)
            .add_column("change_id", ColumnType::Uuid)
            .add_column("metadata", ColumnType::JsonBinary)
            .apply(manager)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .drop_column("metadata")
            .drop_column("change_id")
            .drop_column("reason")
            .drop_column("actor")
            .drop_column("pages")
            .apply(manager)
            .await?;
        Ok(())
    }
}
