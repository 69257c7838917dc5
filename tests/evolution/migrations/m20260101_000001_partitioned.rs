//! Record tables: `gadget_record`. Written by `record generate`; no entity is needed for it.

use sea_orm_migration::prelude::*;
use sea_orm_record_migration::{Partitions, RecordTable, enumeration};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        RecordTable::new("gadget_record")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .column("event", ColumnType::String(StringLen::N(10)))
            .column("title", ColumnType::String(StringLen::N(40)))
            .column("words", ColumnType::Integer)
            .column("price", ColumnType::Decimal(Some((12, 4))))
            .column("mood", enumeration("gadget_mood", ["good", "bad"]))
            .key(["recording_id", "recorded_at"])
            .index(["recorded_at"])
            .partitioned(Partitions::every("1YS").ahead(3).from_date(2020, 1, 1))
            .create(manager)
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        RecordTable::new("gadget_record").drop(manager).await?;
        Ok(())
    }
}
