//! What `ActiveModelEx` saves along with a row, ties to it, cuts loose from it and clears.

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryOrder, Set,
    TransactionTrait,
};
use sea_orm_record::{Event, RecordedConnection, UnseenWrites, verify};

use crate::blog::create_table;
use crate::harness::each_database;
use crate::magazine::{self, Magazine, assert_current, cover, section, story};

/// Follows others of the same table, and is recorded with how many follow it.
mod person {
    use sea_orm::entity::prelude::*;
    use sea_orm::{QueryFilter, QuerySelect};
    use sea_orm_record::{Recorded, Recorder, recorded};

    use super::following;

    #[recorded(columns(name), properties(followers: i64))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
        #[sea_orm(self_ref, via = "following", from = "Followed", to = "Follower")]
        pub followers: HasMany<Entity>,
        #[sea_orm(self_ref, via = "following", reverse)]
        pub followed: HasMany<Entity>,
    }

    /// To who follows one.
    #[derive(Debug)]
    pub struct ToFollowers;

    impl Linked for ToFollowers {
        type FromEntity = Entity;
        type ToEntity = following::Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![following::Relation::Followed.def().rev()]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|people, db| {
                    Box::pin(async move {
                        let ids = people.iter().map(|person| person.id);
                        let all: Vec<i32> = following::Entity::find()
                            .select_only()
                            .column(following::Column::FollowedId)
                            .filter(following::Column::FollowedId.is_in(ids))
                            .into_tuple()
                            .all(&db)
                            .await?;
                        let count = |id| all.iter().filter(|followed| **followed == id).count();
                        let told = |person: &Model| record::Properties {
                            followers: count(person.id) as i64,
                        };
                        Ok(people.iter().map(told).collect())
                    })
                })
                .watch_linked(ToFollowers)
        }
    }

    /// Beside an entity that a tool writes.
    mod hooks {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::record_hooks;

        #[record_hooks]
        impl ActiveModelBehavior for super::super::person::ActiveModel {}
    }
}

mod following {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "following")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub followed_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub follower_id: i32,
        #[sea_orm(
            belongs_to,
            relation_enum = "Followed",
            from = "followed_id",
            to = "id"
        )]
        pub followed: BelongsTo<super::person::Entity>,
        #[sea_orm(
            belongs_to,
            relation_enum = "Follower",
            from = "follower_id",
            to = "id"
        )]
        pub follower: BelongsTo<super::person::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Reports to another of the same table, and is recorded with that one's name.
mod employee {
    use sea_orm::QueryFilter;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(boss: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "clerk")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub boss_id: Option<i32>,
        #[sea_orm(
            self_ref,
            relation_enum = "Boss",
            relation_reverse = "Staff",
            from = "boss_id",
            to = "id"
        )]
        pub boss: BelongsTo<Option<Entity>>,
        #[sea_orm(self_ref, relation_enum = "Staff", relation_reverse = "Boss")]
        pub staff: HasMany<Entity>,
    }

    /// To who one reports to.
    #[derive(Debug)]
    pub struct ToBoss;

    impl Linked for ToBoss {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::Boss.def()]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|employees, db| {
                    Box::pin(async move {
                        let ids = employees.iter().filter_map(|employee| employee.boss_id);
                        let bosses = Entity::find().filter(Column::Id.is_in(ids));
                        let bosses = bosses.all(&db).await?;
                        let name = |id| bosses.iter().find(|boss| Some(boss.id) == id);
                        let told = |employee: &Model| record::Properties {
                            boss: name(employee.boss_id).map_or("-", |it| &it.name).to_owned(),
                        };
                        Ok(employees.iter().map(told).collect())
                    })
                })
                .watch_linked(ToBoss)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

fn named(name: &str) -> employee::ActiveModelEx {
    employee::ActiveModel::builder().set_name(name)
}

/// Who reported to whom, by the records of each employee, by name.
async fn bosses(db: &impl ConnectionTrait) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let records = employee::record::Entity::find();
    let records = records.order_by_asc(employee::record::Column::RecordedAt);
    for record in records.all(db).await.unwrap() {
        all.entry(record.name).or_default().push(record.boss);
    }
    all
}

async fn create_people(db: &DatabaseConnection) -> Vec<person::Model> {
    create_table(db, person::Entity).await;
    create_table(db, person::record::Entity).await;
    create_table(db, following::Entity).await;
    let mut people = Vec::new();
    for id in 1..=3 {
        let name = Set(format!("P{id}"));
        let person = person::ActiveModel { id: Set(id), name };
        people.push(person.insert(db).await.unwrap());
    }
    people
}

async fn follow(db: &DatabaseConnection, follower: i32, followed: i32) {
    let (follower_id, followed_id) = (Set(follower), Set(followed));
    let link = following::ActiveModel {
        followed_id,
        follower_id,
    };
    link.insert(db).await.unwrap();
}

/// How many followed each person, by their records, and whether the last says that it is gone.
async fn followers(db: &impl ConnectionTrait) -> BTreeMap<i32, (Vec<i64>, bool)> {
    let mut all: BTreeMap<i32, (Vec<i64>, bool)> = BTreeMap::new();
    let records = person::record::Entity::find().order_by_asc(person::record::Column::RecordedAt);
    for record in records.all(db).await.unwrap() {
        let (followers, gone) = all.entry(record.recording_id).or_default();
        followers.push(record.followers);
        *gone = record.event == Event::Deleted;
    }
    all
}

each_database! {
    async fn a_story_is_saved_with_its_section_and_its_cover(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let recorded = recorded.with_unseen_writes(UnseenWrites::Refuse);
        let section = |name: &str| section::ActiveModel::builder().set_name(name);
        let cover = |picture: &str| cover::ActiveModel::builder().set_picture(picture);
        let told = async |id: i32| {
            let records = assert_current(&db).await;
            let digests = records[&id].iter().map(|record| record.digest.clone());
            digests.collect::<Vec<_>>()
        };

        let new = story::ActiveModel::builder().set_title("three").set_section(section("S3")).set_cover(cover("C3"));
        let saved = new.save(&db).await.unwrap();
        let id = *saved.id.as_ref();
        assert_eq!(told(id).await.last().unwrap(), "S3 of -; -; C3; ; ");

        // Another of each: the story moves, and the cover goes, for it cannot be without a story.
        let moved = m.stories[0].clone().into_active_model().into_ex();
        let moved = moved.set_section(section("S4").set_desk_id(Some(m.desks[1].id))).set_cover(cover("C4"));
        let before = told(m.stories[0].id).await.len();
        recorded.transaction_async(async |txn| moved.save(txn).await).await.unwrap();
        let after = told(m.stories[0].id).await;
        assert_eq!(after.last().unwrap(), "S4 of D2; E1; C4; R1; T1");
        assert_eq!(after.len(), before + 1);
        assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn what_is_left_out_of_a_replacement_is_cut_loose_and_recorded(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let recorded = recorded.with_unseen_writes(UnseenWrites::Refuse);
        let ex = |story: &story::Model| story.clone().into_active_model().into_ex();
        // Their editor may be NULL.
        let mut editor = m.editors[0].clone().into_active_model().into_ex();
        editor.stories.replace_all([ex(&m.stories[1])]);
        editor.save(&db).await.unwrap();
        let records = assert_current(&db).await;
        assert!(records[&m.stories[0].id].last().unwrap().digest.contains("; -; C1;"));
        assert!(records[&m.stories[1].id].last().unwrap().digest.contains("; E1; C2;"));
        // And the desk of a section, which is two steps away.
        let mut desk = m.desks[0].clone().into_active_model().into_ex();
        desk.sections.replace_all([]);
        desk.save(&recorded).await.unwrap();
        let records = assert_current(&db).await;
        for story in &m.stories {
            assert!(records[&story.id].last().unwrap().digest.starts_with("S1 of -;"));
        }
        assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn rows_of_one_table_are_saved_with_each_other(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, employee::Entity).await;
        create_table(&db, employee::record::Entity).await;
        let recorded = RecordedConnection::new(db.clone());
        let recorded = recorded.with_unseen_writes(UnseenWrites::Refuse);
        let mut told = BTreeMap::new();
        let mut tell = |name: &str, boss: &str| {
            told.entry(name.to_owned()).or_insert_with(Vec::new).push(boss.to_owned());
            told.clone()
        };

        let saved = named("Ann").add_staff(named("Ben")).add_staff(named("Cid")).save(&db).await.unwrap();
        tell("Ann", "-");
        tell("Ben", "Ann");
        assert_eq!(bosses(&db).await, tell("Cid", "Ann"));

        // Who is left out reports to nobody.
        let ann = async || employee::Entity::find_by_id(*saved.id.as_ref()).one(&db).await.unwrap().unwrap();
        let mut edited = ann().await.into_active_model().into_ex();
        edited.staff.replace_all([saved.staff.as_slice()[0].clone(), named("Dot")]);
        recorded.transaction_async(async |txn| edited.save(txn).await).await.unwrap();
        tell("Cid", "-");
        assert_eq!(bosses(&db).await, tell("Dot", "Ann"));

        // Deleted, it cuts loose who reports to it.
        ann().await.into_ex().delete(&recorded).await.unwrap();
        tell("Ben", "-");
        tell("Dot", "-");
        assert_eq!(bosses(&db).await, tell("Ann", "-"));
        assert!(verify(employee::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn links_within_a_table_are_made_and_cleared_from_either_end(test: TestDb) {
        let db = test.connect().await;
        let people = create_people(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let recorded = recorded.with_unseen_writes(UnseenWrites::Refuse);
        let ex = |at: usize| people[at].clone().into_active_model().into_ex();

        let mut first = ex(0);
        first.followers.replace_all([ex(1), ex(2)]);
        first.save(&db).await.unwrap();
        assert_eq!(followers(&db).await[&1].0.last(), Some(&2));
        let mut first = ex(0);
        first.followers.replace_all([ex(1)]);
        recorded.transaction_async(async |txn| first.save(txn).await).await.unwrap();
        assert_eq!(followers(&db).await[&1].0.last(), Some(&1));

        // From the other end, by a save on a recording connection.
        let mut second = ex(1);
        second.followed.replace_all([ex(2)]);
        second.save(&recorded).await.unwrap();
        let told = followers(&db).await;
        assert_eq!(told[&1].0.last(), Some(&0));
        assert_eq!(told[&2].0, [0]);
        assert_eq!(told[&3].0, [0, 1]);
        assert!(verify(person::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_cascading_delete_records_whose_links_it_clears(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let recorded = recorded.with_unseen_writes(UnseenWrites::Refuse);
        for way in 0..4 {
            let tag = magazine::tag(&db, &format!("T{way}")).await;
            for story in &m.stories {
                magazine::link(&db, story.id, tag.id).await;
            }
            let before = assert_current(&db).await;
            match way {
                0 => drop(tag.cascade_delete(&db).await.unwrap()),
                1 => drop(tag.cascade_delete(&recorded).await.unwrap()),
                2 => {
                    let txn = db.begin().await.unwrap();
                    tag.into_ex().delete(&txn).await.unwrap();
                    txn.commit().await.unwrap();
                }
                _ => drop(recorded.transaction_async(async |txn| tag.cascade_delete(txn).await).await.unwrap()),
            }
            let after = assert_current(&db).await;
            for story in &m.stories {
                let (before, after) = (&before[&story.id], &after[&story.id]);
                assert_eq!(after.len(), before.len() + 1, "{way}: {after:?}");
                assert_eq!(after.last().unwrap().event, Event::Related);
            }
        }
        assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_cascading_delete_records_whose_links_within_a_table_it_clears(test: TestDb) {
        let db = test.connect().await;
        let people = create_people(&db).await;
        follow(&db, 2, 1).await;
        follow(&db, 3, 1).await;
        follow(&db, 1, 2).await;
        let recorded = RecordedConnection::new(db.clone());
        people[2].clone().cascade_delete(&db).await.unwrap();
        people[0].clone().cascade_delete(&recorded).await.unwrap();
        let told = followers(&db).await;
        assert_eq!(told[&1].0.first_chunk(), Some(&[0, 1, 2, 1]), "{told:?}");
        assert!(told[&1].1, "{told:?}");
        assert_eq!(told[&2], (vec![0, 1, 0], false));
        assert!(told[&3].1);
        assert!(verify(person::Entity).exec(&db).await.unwrap().is_clean());
    }
}
