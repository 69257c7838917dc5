//! Record tables: `gadget_record`. Written by `record generate`; no entity is needed for it.

use sea_orm_migration::prelude::*;
use sea_orm_record_migration::ChangeRecordTable;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .add_column("subtitle", ColumnType::String(StringLen::None))
            .apply(manager)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .drop_column("subtitle")
            .apply(manager)
            .await?;
        Ok(())
    }
}
