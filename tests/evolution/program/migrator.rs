//! Makes the table of gizmos, which are not recorded yet.

use sea_orm_migration::prelude::*;

pub const FIRST: &str = "m20260101_000001_create_gizmo";

pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Migration)]
    }
}

struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        FIRST
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut id = ColumnDef::new("id");
        let mut name = ColumnDef::new("name");
        let table = Table::create()
            .table("gizmo")
            .col(id.integer().not_null().auto_increment().primary_key())
            .col(name.string().not_null())
            .take();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("gizmo").take())
            .await
    }
}
