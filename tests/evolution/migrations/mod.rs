//! What `record generate` wrote from version to version.

use sea_orm_migration::prelude::*;

pub mod m20260101_000001_create;
pub mod m20260101_000001_partitioned;
pub mod m20260101_000002_add;
pub mod m20260101_000003_index;
pub mod m20260101_000004_widen;
pub mod m20260101_000005_rename;
pub mod m20260101_000006_nullable;
pub mod m20260101_000007_retire;
pub mod m20260101_000008_bring_back;
pub mod m20260101_000009_fill;
pub mod m20260101_000010_context;

/// Runs them.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20260101_000001_create::Migration),
            Box::new(m20260101_000002_add::Migration),
            Box::new(m20260101_000003_index::Migration),
            Box::new(m20260101_000004_widen::Migration),
            Box::new(m20260101_000005_rename::Migration),
            Box::new(m20260101_000006_nullable::Migration),
            Box::new(m20260101_000007_retire::Migration),
            Box::new(m20260101_000008_bring_back::Migration),
            Box::new(m20260101_000009_fill::Migration),
            Box::new(m20260101_000010_context::Migration),
        ]
    }
}

/// The first of them in partitions, and the others.
pub struct Partitioned;

#[async_trait::async_trait]
impl MigratorTrait for Partitioned {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = Migrator::migrations();
        migrations[0] = Box::new(m20260101_000001_partitioned::Migration);
        migrations
    }
}

/// The files.
pub fn sources() -> [&'static str; 10] {
    [
        include_str!("m20260101_000001_create.rs"),
        include_str!("m20260101_000002_add.rs"),
        include_str!("m20260101_000003_index.rs"),
        include_str!("m20260101_000004_widen.rs"),
        include_str!("m20260101_000005_rename.rs"),
        include_str!("m20260101_000006_nullable.rs"),
        include_str!("m20260101_000007_retire.rs"),
        include_str!("m20260101_000008_bring_back.rs"),
        include_str!("m20260101_000009_fill.rs"),
        include_str!("m20260101_000010_context.rs"),
    ]
}

/// The file of the first in partitions.
pub const PARTITIONED: &str = include_str!("m20260101_000001_partitioned.rs");
