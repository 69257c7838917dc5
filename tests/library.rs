//! Shelves and their books: two recorded entities that are related.

use sea_orm::DatabaseConnection;
use sea_orm_record_migration::RecordSchema;

use crate::blog::create_table;

pub mod shelf {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(name))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bookcase")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod book {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(shelf_id, title, blurb, facts), properties(letters: i32), context)]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "volume")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub shelf_id: Option<i32>,
        pub title: String,
        pub blurb: Option<String>,
        pub facts: Json,
        #[sea_orm(belongs_to, from = "shelf_id", to = "id")]
        pub shelf: BelongsTo<Option<super::shelf::Entity>>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|book| record::Properties {
                letters: book.title.chars().count() as i32,
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// The tables of the library.
pub async fn library(db: &DatabaseConnection) {
    create_table(db, shelf::Entity).await;
    create_table(db, book::Entity).await;
    db.create_record_table(shelf::record::Entity).await.unwrap();
    db.create_record_table(book::record::Entity).await.unwrap();
}

/// A book to be inserted.
pub fn draft(title: &str) -> book::ActiveModel {
    book::ActiveModel {
        title: sea_orm::Set(title.to_owned()),
        shelf_id: sea_orm::Set(None),
        blurb: sea_orm::Set(None),
        facts: sea_orm::Set(serde_json::json!({})),
        ..Default::default()
    }
}
