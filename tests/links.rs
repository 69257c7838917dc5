//! Links of a many-to-many that a cascading delete clears.

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{Event, RecordedConnection, UnseenWrites, verify};

use crate::blog::create_table;
use crate::harness::each_database;
use crate::magazine::{self, Magazine, assert_current, story};

/// Follows others of the same table, and is recorded with how many follow it.
mod person {
    use sea_orm::entity::prelude::*;
    use sea_orm::{QueryFilter, QuerySelect};
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

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

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
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
        create_table(&db, person::Entity).await;
        create_table(&db, person::record::Entity).await;
        create_table(&db, following::Entity).await;
        let mut people = Vec::new();
        for id in 1..=3 {
            let person = person::ActiveModel { id: Set(id), name: Set(format!("P{id}")) };
            people.push(person.insert(&db).await.unwrap());
        }
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
