//! Record tables: `gadget_record`. Written by `record generate`; no entity is needed for it.

use sea_orm_migration::prelude::*;
use sea_orm_record_migration::ChangeRecordTable;

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .rename_column("words", "word_count")
            .apply(manager)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ChangeRecordTable::new("gadget_record")
            .rename_column("word_count", "words")
            .apply(manager)
            .await?;
        Ok(())
    }
}
