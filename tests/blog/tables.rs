//! Tables from entities.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, Schema};

/// Makes the table of an entity or of a record entity.
///
/// SeaORM's own schema gives records a `timestamp` on MySQL, which drops fractions of a second.
pub async fn create_table<E: EntityTrait>(db: &DatabaseConnection, entity: E) {
    let backend = db.get_database_backend();
    let mut sql = backend
        .build(&Schema::new(backend).create_table_from_entity(entity))
        .sql;
    if backend == DbBackend::MySql {
        sql = sql.replace("`recorded_at` timestamp", "`recorded_at` datetime(6)");
    }
    let created = db.execute_unprepared(&sql).await;
    created.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
