use sea_orm::entity::prelude::*;
use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

use super::topic;

#[recorded(columns(title, text), properties(word_count: i32, headline: String))]
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "article")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub topic_id: i32,
    pub title: String,
    pub text: String,
    /// Not recorded.
    #[sea_orm(default_value = 0)]
    pub views: i32,
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
                    let both = articles.iter().zip(topics);
                    Ok(both
                        .map(|(article, topic)| record::Properties {
                            word_count: article.text.split_whitespace().count() as i32,
                            headline: format!(
                                "{}: {}",
                                topic.map_or_else(String::new, |topic| topic.name),
                                article.title
                            ),
                        })
                        .collect())
                })
            })
            .watch(topic::Entity)
    }
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}

/// An article to be inserted, of three words.
pub fn draft(topic_id: i32, title: &str) -> ActiveModel {
    ActiveModel {
        topic_id: sea_orm::Set(topic_id),
        title: sea_orm::Set(title.to_owned()),
        text: sea_orm::Set("a b c".to_owned()),
        views: sea_orm::Set(0),
        ..Default::default()
    }
}
