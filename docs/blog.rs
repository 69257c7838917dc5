// The entities that the chapters talk about: each of their examples includes this file.

use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectOptions, Database, IntoActiveModel};
use sea_orm_record::prelude::*;

mod topic {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(name))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "blog_topic")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub articles: HasMany<super::article::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod article {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    use super::topic;

    #[recorded(columns(topic_id, title, text), properties(headline: String), context)]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "blog_article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub topic_id: i32,
        pub title: String,
        pub text: String,
        #[sea_orm(belongs_to, from = "topic_id", to = "id")]
        pub topic: BelongsTo<super::topic::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|articles, db| {
                    Box::pin(async move {
                        let topics = articles.load_one(topic::Entity, &db).await?;
                        let with_topic = articles.iter().zip(topics);
                        Ok(with_topic
                            .map(|(article, topic)| record::Properties {
                                headline: format!("{}: {}", topic.map_or_else(String::new, |topic| topic.name), article.title),
                            })
                            .collect())
                    })
                })
                .watch(topic::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A database in memory, with a topic and an article in it.
async fn blog() -> Result<(RecordedConnection, topic::Model, article::Model), sea_orm::DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    let db = RecordedConnection::new(Database::connect(options).await?);
    db.inner()
        .get_schema_builder()
        .register(topic::Entity)
        .register(topic::record::Entity)
        .register(article::Entity)
        .register(article::record::Entity)
        .apply(&db)
        .await?;
    let topic = topic::ActiveModel {
        name: Set("Rust".to_owned()),
        ..Default::default()
    };
    let topic = topic.insert(&db).await?;
    let article = article::ActiveModel {
        topic_id: Set(topic.id),
        title: Set("Hello".to_owned()),
        text: Set("one two three".to_owned()),
        ..Default::default()
    };
    let article = article.insert(&db).await?;
    Ok((db, topic, article))
}
