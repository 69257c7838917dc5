//! An article, recorded: two of its columns, two computed properties, and who changed it and why.

use sea_orm::entity::prelude::*;
use sea_orm_record::prelude::*;

use super::topic;

#[recorded(
    columns(title, text),
    properties(word_count: i32, headline: String),
    context
)]
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "article")]
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
            // Many articles at a time: one query finds the topics of all of them.
            .properties_with(|articles, db| {
                Box::pin(async move {
                    let topics = articles.load_one(topic::Entity, &db).await?;
                    let pairs = articles.iter().zip(topics);
                    Ok(pairs
                        .map(|(article, topic)| properties(article, topic))
                        .collect())
                })
            })
            // The headline names the topic, so a change there matters here.
            .watch(topic::Entity)
    }
}

fn properties(article: &Model, topic: Option<topic::Model>) -> record::Properties {
    let topic = topic.map_or_else(|| "No topic".to_owned(), |topic| topic.name);
    record::Properties {
        word_count: article.text.split_whitespace().count() as i32,
        headline: format!("{topic}: {}", article.title),
    }
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}
