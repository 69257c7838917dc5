//! The `main` of a migration crate.

mod gizmo;
mod migrator;

use std::process::ExitCode;

use sea_orm::ColumnTrait;
use sea_orm_record::{FOREVER, Retention};
use sea_orm_record_migration::RecordCli;

#[tokio::main]
async fn main() -> ExitCode {
    RecordCli::new(migrator::Migrator)
        .entity_with(gizmo::Entity, |options| {
            options
                .retention(Retention::new().then_every("1D", FOREVER))
                .keep(gizmo::record::Column::Name.eq("approved"))
        })
        .run()
        .await
}
