//! A magazine: stories, and everything that can be related to one.
//!
//! A story's `digest` tells all of it, so that whatever a test changes, the latest record of every
//! story either says so or is wrong: [`assert_current`].

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, LoaderTrait, QueryOrder, Set,
};
use sea_orm_record::Event;

use crate::blog::create_table;

pub mod desk {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "desk")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub sections: HasMany<super::section::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod section {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "section")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub desk_id: Option<i32>,
        #[sea_orm(belongs_to, from = "desk_id", to = "id", on_delete = "SetNull")]
        pub desk: BelongsTo<Option<super::desk::Entity>>,
        #[sea_orm(has_many)]
        pub stories: HasMany<super::story::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod editor {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "editor")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub stories: HasMany<super::story::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod story {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(title), properties(digest: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "story")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub section_id: i32,
        pub editor_id: Option<i32>,
        /// Restricts.
        #[sea_orm(belongs_to, from = "section_id", to = "id")]
        pub section: BelongsTo<super::section::Entity>,
        #[sea_orm(belongs_to, from = "editor_id", to = "id", on_delete = "SetNull")]
        pub editor: BelongsTo<Option<super::editor::Entity>>,
        #[sea_orm(has_one)]
        pub cover: HasOne<super::cover::Entity>,
        #[sea_orm(has_many)]
        pub remarks: HasMany<super::remark::Entity>,
        #[sea_orm(has_many, via = "story_tag")]
        pub tags: HasMany<super::tag::Entity>,
    }

    /// From a story over its section to the desk.
    #[derive(Debug)]
    pub struct ToDesk;

    impl Linked for ToDesk {
        type FromEntity = Entity;
        type ToEntity = super::desk::Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![
                Relation::Section.def(),
                super::section::Relation::Desk.def(),
            ]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|stories, db| {
                    Box::pin(async move {
                        let digests = super::digests(stories, &db).await?;
                        let properties = |digest| record::Properties { digest };
                        Ok(digests.into_iter().map(properties).collect())
                    })
                })
                .watch_linked(ToDesk)
                .watch(super::editor::Entity)
                .watch(super::cover::Entity)
                .watch(super::remark::Entity)
                .watch(super::tag::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod cover {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cover")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub picture: String,
        #[sea_orm(unique)]
        pub story_id: i32,
        #[sea_orm(belongs_to, from = "story_id", to = "id", on_delete = "Cascade")]
        pub story: BelongsTo<super::story::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod remark {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "remark")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
        pub story_id: i32,
        #[sea_orm(belongs_to, from = "story_id", to = "id", on_delete = "Cascade")]
        pub story: BelongsTo<super::story::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod tag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tag")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many, via = "story_tag")]
        pub stories: HasMany<super::story::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for self::ActiveModel {}
}

pub mod story_tag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "story_tag")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub story_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub tag_id: i32,
        #[sea_orm(belongs_to, from = "story_id", to = "id", on_delete = "Cascade")]
        pub story: BelongsTo<super::story::Entity>,
        #[sea_orm(belongs_to, from = "tag_id", to = "id", on_delete = "Cascade")]
        pub tag: BelongsTo<super::tag::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// `section of desk; editor; cover; remarks; tags`, or an error where a remark says `fail`.
pub async fn digests(
    stories: &[story::Model],
    db: &impl ConnectionTrait,
) -> Result<Vec<String>, DbErr> {
    let sections = stories.load_one(section::Entity, db).await?;
    let known: Vec<_> = sections.iter().flatten().cloned().collect();
    let desks = known.load_one(desk::Entity, db).await?;
    let ids = known.iter().map(|section| section.id);
    let desks: BTreeMap<i32, _> = ids.zip(desks).collect();
    let editors = stories.load_one(editor::Entity, db).await?;
    let covers = stories.load_one(cover::Entity, db).await?;
    let remarks = stories.load_many(remark::Entity, db).await?;
    let tags = stories.load_many(tag::Entity, db).await?;
    let mut digests = Vec::new();
    for at in 0..stories.len() {
        let section = sections[at].as_ref();
        let desk = section.and_then(|section| desks[&section.id].as_ref());
        let remarks = sorted(remarks[at].iter().map(|remark| &*remark.text));
        if remarks.split(',').any(|remark| remark == "fail") {
            return Err(DbErr::Custom("a remark says so".to_owned()));
        }
        digests.push(format!(
            "{} of {}; {}; {}; {remarks}; {}",
            section.map_or("-", |section| &section.name),
            desk.map_or("-", |desk| &desk.name),
            editors[at].as_ref().map_or("-", |editor| &editor.name),
            covers[at].as_ref().map_or("-", |cover| &cover.picture),
            sorted(tags[at].iter().map(|tag| &*tag.name)),
        ));
    }
    Ok(digests)
}

fn sorted<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts.join(",")
}

/// Makes all tables.
pub async fn create_tables(db: &DatabaseConnection) {
    create_table(db, desk::Entity).await;
    create_table(db, section::Entity).await;
    create_table(db, editor::Entity).await;
    create_table(db, story::Entity).await;
    create_table(db, story::record::Entity).await;
    create_table(db, cover::Entity).await;
    create_table(db, remark::Entity).await;
    create_table(db, tag::Entity).await;
    create_table(db, story_tag::Entity).await;
}

/// Fails unless the latest record of every story says what the story is, or that it is gone, and
/// differs from the record before it.
#[track_caller]
pub fn assert_current(
    db: &impl ConnectionTrait,
) -> impl Future<Output = BTreeMap<i32, Vec<story::record::Model>>> {
    let caller = std::panic::Location::caller();
    async move {
        let mut records: BTreeMap<i32, Vec<story::record::Model>> = BTreeMap::new();
        for record in story::record::Entity::find()
            .order_by_asc(story::record::Column::RecordedAt)
            .all(db)
            .await
            .unwrap()
        {
            records.entry(record.recording_id).or_default().push(record);
        }
        let stories = story::Entity::find().all(db).await.unwrap();
        let digests = digests(&stories, db).await.unwrap();
        for (story, digest) in stories.iter().zip(digests) {
            let latest = records.get(&story.id).and_then(|records| records.last());
            let latest = latest.unwrap_or_else(|| panic!("{caller}: no record of {story:?}"));
            assert_ne!(latest.event, Event::Deleted, "{caller}: {latest:?}");
            assert_eq!(
                (&latest.title, &latest.digest),
                (&story.title, &digest),
                "{caller}"
            );
        }
        for (id, records) in &records {
            let is_there = stories.iter().any(|story| story.id == *id);
            let is_recorded = records.last().unwrap().event != Event::Deleted;
            assert_eq!(is_there, is_recorded, "{caller}: {records:?}");
            for pair in records.windows(2) {
                let told = |record: &story::record::Model| {
                    let gone = record.event == Event::Deleted;
                    (record.title.clone(), record.digest.clone(), gone)
                };
                assert_ne!(told(&pair[0]), told(&pair[1]), "{caller}: {pair:?}");
                assert!(pair[0].recorded_at < pair[1].recorded_at, "{caller}");
            }
        }
        records
    }
}

/// A magazine with two of everything: desks `D1`, `D2`; sections `S1` of the first and `S2` of the
/// second; editors `E1`, `E2`; tags `T1`, `T2`; stories `one` and `two` in `S1` with the first
/// editor, a cover, a remark and the first tag each.
#[derive(Clone, Debug)]
pub struct Magazine {
    pub desks: [desk::Model; 2],
    pub sections: [section::Model; 2],
    pub editors: [editor::Model; 2],
    pub tags: [tag::Model; 2],
    pub stories: [story::Model; 2],
    pub covers: [cover::Model; 2],
    pub remarks: [remark::Model; 2],
}

impl Magazine {
    /// Makes the tables and what is in them.
    pub async fn new(db: &DatabaseConnection) -> Self {
        create_tables(db).await;
        let desks = [desk(db, "D1").await, desk(db, "D2").await];
        let sections = [
            section(db, "S1", Some(desks[0].id)).await,
            section(db, "S2", Some(desks[1].id)).await,
        ];
        let editors = [editor(db, "E1").await, editor(db, "E2").await];
        let tags = [tag(db, "T1").await, tag(db, "T2").await];
        let editor = Some(editors[0].id);
        let stories = [
            story(db, "one", sections[0].id, editor).await,
            story(db, "two", sections[0].id, editor).await,
        ];
        let covers = [
            cover(db, "C1", stories[0].id).await,
            cover(db, "C2", stories[1].id).await,
        ];
        let remarks = [
            remark(db, "R1", stories[0].id).await,
            remark(db, "R2", stories[1].id).await,
        ];
        for story in &stories {
            link(db, story.id, tags[0].id).await;
        }
        assert_current(db).await;
        Self {
            desks,
            sections,
            editors,
            tags,
            stories,
            covers,
            remarks,
        }
    }
}

async fn new<A>(db: &impl ConnectionTrait, draft: A) -> <A::Entity as EntityTrait>::Model
where
    A: sea_orm_record::hooks::Savable,
    <A::Entity as EntityTrait>::Model: sea_orm::IntoActiveModel<A>,
{
    sea_orm_record::hooks::insert(draft, db).await.unwrap()
}

pub async fn desk(db: &impl ConnectionTrait, name: &str) -> desk::Model {
    let name = Set(name.to_owned());
    new(
        db,
        desk::ActiveModel {
            name,
            ..Default::default()
        },
    )
    .await
}

pub async fn section(db: &impl ConnectionTrait, name: &str, desk: Option<i32>) -> section::Model {
    let (name, desk_id) = (Set(name.to_owned()), Set(desk));
    new(
        db,
        section::ActiveModel {
            name,
            desk_id,
            ..Default::default()
        },
    )
    .await
}

pub async fn editor(db: &impl ConnectionTrait, name: &str) -> editor::Model {
    let name = Set(name.to_owned());
    new(
        db,
        editor::ActiveModel {
            name,
            ..Default::default()
        },
    )
    .await
}

pub async fn tag(db: &impl ConnectionTrait, name: &str) -> tag::Model {
    let name = Set(name.to_owned());
    new(
        db,
        tag::ActiveModel {
            name,
            ..Default::default()
        },
    )
    .await
}

pub async fn story(
    db: &impl ConnectionTrait,
    title: &str,
    section: i32,
    editor: Option<i32>,
) -> story::Model {
    let story = story::ActiveModel {
        title: Set(title.to_owned()),
        section_id: Set(section),
        editor_id: Set(editor),
        ..Default::default()
    };
    new(db, story).await
}

pub async fn cover(db: &impl ConnectionTrait, picture: &str, story: i32) -> cover::Model {
    let (picture, story_id) = (Set(picture.to_owned()), Set(story));
    new(
        db,
        cover::ActiveModel {
            picture,
            story_id,
            ..Default::default()
        },
    )
    .await
}

pub async fn remark(db: &impl ConnectionTrait, text: &str, story: i32) -> remark::Model {
    let (text, story_id) = (Set(text.to_owned()), Set(story));
    new(
        db,
        remark::ActiveModel {
            text,
            story_id,
            ..Default::default()
        },
    )
    .await
}

pub async fn link(db: &impl ConnectionTrait, story: i32, tag: i32) -> story_tag::Model {
    let (story_id, tag_id) = (Set(story), Set(tag));
    new(db, story_tag::ActiveModel { story_id, tag_id }).await
}
