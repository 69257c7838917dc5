//! The dense format, with most of what an entity can have.

/// Watched, and recorded itself.
pub mod topic {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(name))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_topic", schema_name = "public")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(unique, default_value = "x", column_type = "String(StringLen::N(40))")]
        pub name: String,
        #[sea_orm(has_many)]
        pub articles: HasMany<super::article::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Watched alone.
pub mod tag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_tag")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(has_many, via = "article_tag")]
        pub articles: HasMany<super::article::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A junction: a composite key, `columns(all)` with a rename and a skip, everything else as well.
pub mod article_tag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(
        columns(all, event as source_event),
        context,
        cascade,
        derives(Eq),
        table_name = "ui_link_log",
        module = history
    )]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_article_tag")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub article_id: i32,
        #[sea_orm(primary_key, auto_increment = false, column_name = "tagId")]
        pub tag_id: i32,
        pub note: Option<String>,
        pub event: String,
        #[recorded(skip)]
        pub secret: String,
        #[sea_orm(belongs_to, from = "article_id", to = "id")]
        pub article: BelongsTo<super::article::Entity>,
        #[sea_orm(belongs_to, from = "tag_id", to = "id")]
        pub tag: BelongsTo<super::tag::Entity>,
    }

    impl Recorded for Entity {
        type Record = history::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Renamed, ignored and relation fields, types by `super::` and `self::`, raw identifiers, a type
/// that is called as one of ours, properties with attributes, a retired column.
pub mod article {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(
        columns(title, text, r#type, fooBar2, status, sort, hidden as concealed, event as source_event, props),
        properties(
            word_count: i32,
            status_was: Status,
            maybe: Option<super::article::Status>,
            /// The summary.
            #[sea_orm(column_type = "Text", column_name = "Summary", nullable)]
            summary: Option<String>,
            r#final: i32,
        ),
        retired(subtitle: Option<String>),
        context
    )]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "ui_article")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub topic_id: i32,
        pub title: String,
        #[sea_orm(column_type = "Text", save_as = "text")]
        pub text: String,
        #[sea_orm(indexed)]
        pub r#type: Option<super::article::Status>,
        pub fooBar2: i64,
        pub status: self::Status,
        #[sea_orm(enum_name = "Order", comment = "x")]
        pub sort: i32,
        #[sea_orm(column_name = "hid")]
        pub(crate) hidden: i32,
        pub(super) event: String,
        pub(crate) props: Properties,
        #[sea_orm(ignore)]
        pub ignored: i32,
        #[sea_orm(belongs_to, from = "topic_id", to = "id")]
        pub topic: BelongsTo<super::topic::Entity>,
        #[sea_orm(has_many, via = "article_tag")]
        pub tags: HasMany<super::tag::Entity>,
        #[cfg(any())]
        #[sea_orm(has_many, via = "nowhere")]
        pub nowhere: HasMany<super::nowhere::Entity>,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    pub enum Status {
        #[sea_orm(string_value = "a")]
        A,
    }

    #[derive(Clone, Debug, PartialEq, DeriveValueType)]
    pub(crate) struct Properties(pub(crate) String);

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties(|article| record::Properties {
                    word_count: 1,
                    status_was: article.status.clone(),
                    maybe: None,
                    summary: None,
                    r#final: 2,
                })
                .watch(super::topic::Entity)
                .watch(super::tag::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Attributes of the `Model` alone, and one that depends on what does not concern the record.
pub mod counted {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;
    use serde::Serialize;

    #[recorded(columns(all), derives(Serialize))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(
        table_name = "ui_counted",
        model_attrs(derive(Serialize), serde(rename_all = "camelCase"))
    )]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[cfg_attr(any(), doc = "How many.")]
        pub word_count: i32,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}
