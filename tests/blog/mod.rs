//! The entities that most tests are about: topics and their articles.

use sea_orm::{ConnectionTrait, DatabaseConnection, Schema};

pub mod article;
pub mod topic;

/// Makes the tables.
pub async fn create_tables(db: &DatabaseConnection) {
    let builder = db.get_database_backend();
    let schema = Schema::new(builder);
    db.execute(&schema.create_table_from_entity(topic::Entity)).await.unwrap();
    db.execute(&schema.create_table_from_entity(article::Entity)).await.unwrap();
    let mut table = schema.create_table_from_entity(article::record::Entity);
    let _ = &mut table;
    if builder == sea_orm::DbBackend::MySql {
        db.execute_unprepared(
            "CREATE TABLE article_record (recording_id int NOT NULL, recorded_at datetime(6) NOT NULL, \
             event varchar(10) NOT NULL, title varchar(255) NOT NULL, text varchar(255) NOT NULL, \
             word_count int NOT NULL, headline varchar(255) NOT NULL, PRIMARY KEY (recording_id, recorded_at))",
        )
        .await
        .unwrap();
    } else {
        db.execute(&table).await.unwrap();
    }
}
