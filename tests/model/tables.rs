//! Topics, articles, tags and links. An article's headline tells what it is tied to.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, EntityTrait};
use sea_orm_record_migration::RecordSchema;

use crate::blog::create_table;

/// Recorded by columns alone, and watched.
pub mod topic {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(name))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_topic")]
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

/// Recorded, and watched by articles that see it.
pub mod article {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(title, stars, topic_id), properties(headline: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        /// Never changes; what upserts conflict by.
        #[sea_orm(unique)]
        pub code: String,
        /// The task that alone writes this row, but for `stars`; 0 where all do.
        pub owner: i32,
        pub title: String,
        pub stars: Option<i32>,
        pub topic_id: Option<i32>,
        pub see_id: Option<i32>,
        #[sea_orm(belongs_to, from = "topic_id", to = "id", on_delete = "SetNull")]
        pub topic: BelongsTo<Option<super::topic::Entity>>,
        #[sea_orm(
            self_ref,
            relation_enum = "See",
            from = "see_id",
            to = "id",
            on_delete = "SetNull"
        )]
        pub see: BelongsTo<Option<Entity>>,
        #[sea_orm(has_many, via = "link")]
        pub tags: HasMany<super::tag::Entity>,
    }

    #[derive(Debug)]
    pub struct ToSee;

    impl Linked for ToSee {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::See.def()]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|articles, db| {
                    Box::pin(async move {
                        let headlines = super::headlines(articles, &db).await?;
                        let properties = |headline| record::Properties { headline };
                        Ok(headlines.into_iter().map(properties).collect())
                    })
                })
                .watch(super::topic::Entity)
                .watch(super::tag::Entity)
                .watch_linked(ToSee)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Watched alone.
pub mod tag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_tag")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many, via = "link")]
        pub articles: HasMany<super::article::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod link {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_link")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub article_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub tag_id: i32,
        #[sea_orm(belongs_to, from = "article_id", to = "id", on_delete = "Cascade")]
        pub article: BelongsTo<super::article::Entity>,
        #[sea_orm(belongs_to, from = "tag_id", to = "id", on_delete = "Cascade")]
        pub tag: BelongsTo<super::tag::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Neither recorded nor watched: how far each task has come, written within its transactions.
pub mod mark {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "model_mark")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub task: i32,
        pub step: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// `topic|tag,tag|see`, each by its name, and `-` where there is none. As the library computes it:
/// by queries for just these articles.
pub async fn headlines(
    articles: &[article::Model],
    db: &impl ConnectionTrait,
) -> Result<Vec<String>, DbErr> {
    use sea_orm::{ColumnTrait, QueryFilter};
    let mut topics = BTreeMap::new();
    let ids: Vec<i32> = articles
        .iter()
        .filter_map(|article| article.topic_id)
        .collect();
    if !ids.is_empty() {
        let found = topic::Entity::find().filter(topic::Column::Id.is_in(ids));
        topics.extend(
            found
                .all(db)
                .await?
                .into_iter()
                .map(|topic| (topic.id, topic.name)),
        );
    }
    let mut seen = BTreeMap::new();
    let ids: Vec<i32> = articles
        .iter()
        .filter_map(|article| article.see_id)
        .collect();
    if !ids.is_empty() {
        let found = article::Entity::find().filter(article::Column::Id.is_in(ids));
        seen.extend(
            found
                .all(db)
                .await?
                .into_iter()
                .map(|article| (article.id, article.title)),
        );
    }
    let mut tags: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    let ids: Vec<i32> = articles.iter().map(|article| article.id).collect();
    if !ids.is_empty() {
        let links = link::Entity::find().filter(link::Column::ArticleId.is_in(ids));
        for (link, tag) in links.find_also_related(tag::Entity).all(db).await? {
            tags.entry(link.article_id)
                .or_default()
                .extend(tag.map(|tag| tag.name));
        }
    }
    let headline = |article: &article::Model| {
        headline(
            article.topic_id.and_then(|id| topics.get(&id)),
            tags.get(&article.id).into_iter().flatten(),
            article.see_id.and_then(|id| seen.get(&id)),
        )
    };
    Ok(articles.iter().map(headline).collect())
}

pub fn headline<'n>(
    topic: Option<&String>,
    tags: impl Iterator<Item = &'n String>,
    see: Option<&String>,
) -> String {
    let mut tags: Vec<&str> = tags.map(String::as_str).collect();
    tags.sort_unstable();
    let or_none = |name: Option<&String>| name.map_or("-".to_owned(), String::clone);
    format!("{}|{}|{}", or_none(topic), tags.join(","), or_none(see))
}

pub async fn create(db: &DatabaseConnection) {
    create_table(db, topic::Entity).await;
    create_table(db, article::Entity).await;
    create_table(db, tag::Entity).await;
    create_table(db, link::Entity).await;
    create_table(db, mark::Entity).await;
    db.create_record_table(topic::record::Entity).await.unwrap();
    db.create_record_table(article::record::Entity)
        .await
        .unwrap();
}

/// Empties all tables.
pub async fn clear(db: &DatabaseConnection) {
    let tables = [
        "model_link",
        "model_article",
        "model_tag",
        "model_topic",
        "model_mark",
        "model_article_record",
        "model_topic_record",
    ];
    for table in tables {
        db.execute_unprepared(&format!("DELETE FROM {table}"))
            .await
            .unwrap();
    }
}
