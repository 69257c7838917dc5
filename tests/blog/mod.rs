//! The entities that most tests are about: topics and their articles.
//!
//! - `article`: recorded, with properties, and watching `topic`
//! - `topic`: watched
//! - `note`: recorded, columns alone
//! - `plain_note`, `plain_topic`, `plain_article`: the same without any of it
//! - `tables`: tables from entities

use sea_orm::{ConnectionTrait, DatabaseConnection};

pub mod article;
pub mod note;
pub mod plain;
pub mod tables;
pub mod topic;

pub use tables::create_table;

/// Makes the tables of topics and articles.
pub async fn create_tables(db: &DatabaseConnection) {
    create_table(db, topic::Entity).await;
    create_table(db, article::Entity).await;
    create_table(db, article::record::Entity).await;
}

/// Makes the tables of notes.
pub async fn create_notes(db: &DatabaseConnection) {
    create_table(db, note::Entity).await;
    create_table(db, note::record::Entity).await;
}

/// A new topic.
pub async fn topic(db: &impl ConnectionTrait, name: &str) -> topic::Model {
    let topic = topic::ActiveModel {
        name: sea_orm::Set(name.to_owned()),
        ..Default::default()
    };
    topic.insert(db).await.unwrap()
}

/// A new article.
pub async fn article(
    db: &impl ConnectionTrait,
    topic: &topic::Model,
    title: &str,
) -> article::Model {
    article::draft(topic.id, title).insert(db).await.unwrap()
}

/// A new note.
pub async fn note(db: &impl ConnectionTrait, text: &str) -> note::Model {
    note::draft(text).insert(db).await.unwrap()
}
