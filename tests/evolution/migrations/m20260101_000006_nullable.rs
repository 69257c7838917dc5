//! Record tables: `gadget_record`. Written by `record generate`; no entity is needed for it.

use sea_orm_migration::prelude::*;
use sea_orm_record_migration::ChangeRecordTable;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .change_type(
                "price",
                ColumnType::Decimal(Some((12, 4))),
                ColumnType::Decimal(Some((14, 4))),
            )
            .allow_null("price")
            .apply(manager)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .require_where_filled("price")
            .change_type(
                "price",
                ColumnType::Decimal(Some((14, 4))),
                ColumnType::Decimal(Some((12, 4))),
            )
            .apply(manager)
            .await?;
        Ok(())
    }
}
