//! Watching what is harder to follow: rows of the same table, recorded rows that watch recorded
//! rows, composite keys, selects of the user's own, everything at once, and nothing where something
//! is read.

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryOrder, Set,
    TransactionTrait,
};
use sea_orm_record::{RecordedConnection, UnwatchedRead, unwatched_reads};

use crate::blog::create_table;
use crate::harness::{captured_warnings, each_database};

/// Reports to a manager, who is of the same table.
pub mod employee {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(chain: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "employee")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub manager_id: Option<i32>,
        #[sea_orm(
            self_ref,
            relation_enum = "Manager",
            from = "manager_id",
            to = "id",
            on_delete = "SetNull"
        )]
        pub manager: BelongsTo<Option<Entity>>,
    }

    #[derive(Debug)]
    pub struct ToManager;

    impl Linked for ToManager {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::Manager.def()]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|rows, db| {
                    Box::pin(async move {
                        let all = Entity::find().all(&db).await?;
                        let chain = |row: &Model| record::Properties {
                            chain: super::chain(row, &all),
                        };
                        Ok(rows.iter().map(chain).collect())
                    })
                })
                .watch_linked(ToManager)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// One after the other.
pub mod link {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(length: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "link")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
        pub previous_id: Option<i32>,
        #[sea_orm(
            self_ref,
            relation_enum = "Previous",
            from = "previous_id",
            to = "id",
            on_delete = "SetNull"
        )]
        pub previous: BelongsTo<Option<Entity>>,
    }

    #[derive(Debug)]
    pub struct ToPrevious;

    impl Linked for ToPrevious {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::Previous.def()]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties(|link| record::Properties {
                    length: link.name.len() as i32,
                })
                .watch_linked(ToPrevious)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// The names up to the top, or until they come again.
fn chain(row: &employee::Model, all: &[employee::Model]) -> String {
    let mut seen = vec![row];
    while let Some(manager) = seen[seen.len() - 1].manager_id {
        let manager = all.iter().find(|row| row.id == manager).unwrap();
        if seen.iter().any(|row| row.id == manager.id) {
            break;
        }
        seen.push(manager);
    }
    let names: Vec<_> = seen.iter().map(|row| row.name.as_str()).collect();
    names.join(" < ")
}

/// Recorded, and watched by `city`.
pub mod nation {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "nation")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub cities: HasMany<super::city::Entity>,
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

/// Recorded, watches `nation` and is watched by `person`; its own record says nothing of the nation.
pub mod city {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(shout: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "city")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub nation_id: i32,
        #[sea_orm(belongs_to, from = "nation_id", to = "id")]
        pub nation: BelongsTo<super::nation::Entity>,
        #[sea_orm(has_many)]
        pub people: HasMany<super::person::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties(|city| record::Properties {
                    shout: city.name.to_uppercase(),
                })
                .watch(super::nation::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Recorded, and watches `city` alone, though its address says the nation too.
pub mod person {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(address: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub city_id: i32,
        #[sea_orm(belongs_to, from = "city_id", to = "id")]
        pub city: BelongsTo<super::city::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|people, db| {
                    Box::pin(async move {
                        let mut all = Vec::new();
                        for city in people.load_one(super::city::Entity, &db).await? {
                            let city = city.unwrap();
                            let nation = city.find_related(super::nation::Entity).one(&db).await?;
                            let address = format!("{}, {}", city.name, nation.unwrap().name);
                            all.push(record::Properties { address });
                        }
                        Ok(all)
                    })
                })
                .watch(super::city::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A key of two columns, recorded, and watches what belongs to it.
pub mod shelf {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(label), properties(books: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shelf")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub room: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        pub label: String,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|shelves, db| {
                    Box::pin(async move {
                        let books = shelves.load_many(super::book::Entity, &db).await?;
                        let told = |mut books: Vec<super::book::Model>| {
                            books.sort_by_key(|book| book.id);
                            let titles: Vec<_> = books.into_iter().map(|book| book.title).collect();
                            record::Properties {
                                books: titles.join(","),
                            }
                        };
                        Ok(books.into_iter().map(told).collect())
                    })
                })
                .watch(super::book::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Belongs to a shelf by two columns, and watches it.
pub mod book {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(title), properties(place: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub room: Option<i32>,
        pub number: Option<i32>,
        #[sea_orm(belongs_to, from = "(room, number)", to = "(room, number)")]
        pub shelf: BelongsTo<Option<super::shelf::Entity>>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|books, db| {
                    Box::pin(async move {
                        let shelves = books.load_one(super::shelf::Entity, &db).await?;
                        let place = |shelf: Option<super::shelf::Model>| record::Properties {
                            place: shelf.map_or_else(String::new, |shelf| shelf.label),
                        };
                        Ok(shelves.into_iter().map(place).collect())
                    })
                })
                .watch(super::shelf::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// From here to there on a line; no relation says which spots lie in it.
pub mod zone {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "zone")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub low: i32,
        pub high: i32,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Watches the zones that it lies in, by a select.
pub mod spot {
    use sea_orm::entity::prelude::*;
    use sea_orm::{QueryFilter, QueryOrder};
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(zones: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "spot")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub place: i32,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|spots, db| {
                    Box::pin(async move {
                        let zones =
                            super::zone::Entity::find().order_by_asc(super::zone::Column::Id);
                        let zones = zones.all(&db).await?;
                        let told = |spot: &Model| {
                            let zones = zones
                                .iter()
                                .filter(|zone| (zone.low..=zone.high).contains(&spot.place));
                            let names: Vec<_> = zones.map(|zone| zone.name.as_str()).collect();
                            record::Properties {
                                zones: names.join(","),
                            }
                        };
                        Ok(spots.iter().map(told).collect())
                    })
                })
                .watch_with(super::zone::Entity, |zone: &super::zone::Model| {
                    Entity::find().filter(Column::Place.between(zone.low, zone.high))
                })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod artist {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "artist")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub albums: HasMany<super::album::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod song {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "song")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub album_id: i32,
        #[sea_orm(belongs_to, from = "album_id", to = "id")]
        pub album: BelongsTo<super::album::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod genre {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "genre")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many, via = "album_genre")]
        pub albums: HasMany<super::album::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod album_genre {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "album_genre")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub album_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub genre_id: i32,
        #[sea_orm(belongs_to, from = "album_id", to = "id")]
        pub album: BelongsTo<super::album::Entity>,
        #[sea_orm(belongs_to, from = "genre_id", to = "id")]
        pub genre: BelongsTo<super::genre::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Watches all its relations.
pub mod album {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(sleeve: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "album")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub artist_id: i32,
        #[sea_orm(belongs_to, from = "artist_id", to = "id")]
        pub artist: BelongsTo<super::artist::Entity>,
        #[sea_orm(has_many)]
        pub songs: HasMany<super::song::Entity>,
        #[sea_orm(has_many, via = "album_genre")]
        pub genres: HasMany<super::genre::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|albums, db| {
                    Box::pin(async move {
                        let artists = albums.load_one(super::artist::Entity, &db).await?;
                        let songs = albums.load_many(super::song::Entity, &db).await?;
                        let genres = albums.load_many(super::genre::Entity, &db).await?;
                        let told = |at: usize| {
                            let songs: Vec<_> = songs[at].iter().map(|song| &*song.name).collect();
                            let genres: Vec<_> =
                                genres[at].iter().map(|genre| &*genre.name).collect();
                            let artist = artists[at].as_ref().unwrap();
                            let sleeve = format!(
                                "{}; {}; {}",
                                artist.name,
                                songs.join(","),
                                genres.join(",")
                            );
                            record::Properties { sleeve }
                        };
                        Ok((0..albums.len()).map(told).collect())
                    })
                })
                .watch_all()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Read and not watched.
pub mod mood {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "mood")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Reads what it does not watch.
pub mod diary {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(moods: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "diary")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub day: i32,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties_with(|rows, db| {
                Box::pin(async move {
                    let moods = super::mood::Entity::find().all(&db).await?.len() as i32;
                    // Itself it may read.
                    Entity::find().all(&db).await?;
                    Ok(rows.iter().map(|_| record::Properties { moods }).collect())
                })
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// The latest value of each row, with how many records it has.
macro_rules! latest {
    ($db:expr, $entity:ident, $value:ident) => {{
        let records =
            $entity::record::Entity::find().order_by_asc($entity::record::Column::RecordedAt);
        let mut latest = BTreeMap::new();
        for record in records.all($db).await.unwrap() {
            let (value, count) = latest
                .entry(record.recording_id)
                .or_insert((String::new(), 0));
            *value = record.$value.to_string();
            *count += 1;
        }
        latest
    }};
}

async fn employee(db: &impl ConnectionTrait, name: &str, manager: Option<i32>) -> employee::Model {
    let (name, manager_id) = (Set(name.to_owned()), Set(manager));
    employee::ActiveModel {
        name,
        manager_id,
        ..Default::default()
    }
    .insert(db)
    .await
    .unwrap()
}

fn told(text: &str, count: i32) -> (String, i32) {
    (text.to_owned(), count)
}

async fn create_places(db: &DatabaseConnection) {
    create_table(db, nation::Entity).await;
    create_table(db, nation::record::Entity).await;
    create_table(db, city::Entity).await;
    create_table(db, city::record::Entity).await;
    create_table(db, person::Entity).await;
    create_table(db, person::record::Entity).await;
}

each_database! {
    async fn a_change_goes_down_through_rows_of_one_table(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, employee::Entity).await;
        create_table(&db, employee::record::Entity).await;
        let a = employee(&db, "a", None).await;
        let b = employee(&db, "b", Some(a.id)).await;
        let c = employee(&db, "c", Some(b.id)).await;
        let d = employee(&db, "d", Some(c.id)).await;
        let ids = [a.id, b.id, c.id, d.id];
        let all = async |expected: [(&str, i32); 4]| {
            let latest = latest!(&db, employee, chain);
            let expected: BTreeMap<_, _> = ids.into_iter().zip(expected.map(|(text, count)| told(text, count))).collect();
            assert_eq!(latest, expected);
        };
        all([("a", 1), ("b < a", 1), ("c < b < a", 1), ("d < c < b < a", 1)]).await;

        let renamed = employee::ActiveModel { name: Set("A".to_owned()), ..a.clone().into_active_model() };
        renamed.update(&db).await.unwrap();
        all([("A", 2), ("b < A", 2), ("c < b < A", 2), ("d < c < b < A", 2)]).await;

        // Moved, in a gathering transaction.
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let moved = employee::ActiveModel { manager_id: Set(None), ..b.clone().into_active_model() };
        moved.update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        all([("A", 2), ("b", 3), ("c < b", 3), ("d < c < b", 3)]).await;

        // A circle: whoever is asked sees the others.
        let circle = employee::ActiveModel { manager_id: Set(Some(d.id)), ..b.clone().into_active_model() };
        circle.update(&db).await.unwrap();
        all([("A", 2), ("b < d < c", 4), ("c < b < d", 4), ("d < c < b", 3)]).await;
        for (way, name) in [(0, "D"), (1, "DD")] {
            let renamed = employee::ActiveModel { name: Set(name.to_owned()), ..d.clone().into_active_model() };
            match way {
                0 => drop(renamed.update(&db).await.unwrap()),
                _ => {
                    let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
                    renamed.update(&txn).await.unwrap();
                    txn.commit().await.unwrap();
                }
            }
        }
        all([("A", 2), ("b < DD < c", 6), ("c < b < DD", 6), ("DD < c < b", 5)]).await;

        // The middle one goes; the database sets its reports free.
        c.clone().delete(&db).await.unwrap();
        let latest = latest!(&db, employee, chain);
        assert_eq!(latest[&d.id].0, "DD");
        assert_eq!(latest[&b.id].0, "b < DD");
    }

    /// Each is a level of its own; the stack of a thread does not grow with them.
    async fn a_change_goes_down_a_long_chain(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, link::Entity).await;
        create_table(&db, link::record::Entity).await;
        let row = |id: i32| link::ActiveModel { id: Set(id), name: Set("l".to_owned()), previous_id: Set((id > 1).then_some(id - 1)) };
        sea_orm_record::insert_many((1..=2_000).map(row), &db).await.unwrap();
        let update = "UPDATE link SET name = 'm' WHERE id = 2000";
        db.execute_unprepared(update).await.unwrap();
        link::ActiveModel { name: Set("first".to_owned()), ..row(1) }.update(&db).await.unwrap();
        assert!(sea_orm_record::verify(link::Entity).exec(&db).await.unwrap().is_clean());
        // One is cut loose.
        link::Entity::find_by_id(1).one(&db).await.unwrap().unwrap().delete(&db).await.unwrap();
        assert!(sea_orm_record::verify(link::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_row_that_was_made_is_recorded_so_though_what_it_depends_on_was_looked_at_as_well(test: TestDb) {
        let db = test.connect().await;
        create_places(&db).await;
        let nation = nation::ActiveModel { name: Set("Austria".to_owned()), ..Default::default() }.insert(&db).await.unwrap();
        let city = city::ActiveModel { name: Set("Villach".to_owned()), nation_id: Set(nation.id), ..Default::default() };
        let city = city.insert(&db).await.unwrap();
        let recorded = RecordedConnection::new(db.clone());
        let around = sea_orm_record::capture(nation::Entity::find()).around(&recorded, |txn| Box::pin(async move {
            person::ActiveModel { city_id: Set(city.id), ..Default::default() }.insert(txn).await?;
            txn.execute_unprepared("UPDATE nation SET name = 'Republic'").await
        }));
        around.await.unwrap();
        let records = person::record::Entity::find().all(&db).await.unwrap();
        let told: Vec<_> = records.iter().map(|record| (record.event, record.address.as_str())).collect();
        assert_eq!(told, [(sea_orm_record::Event::Created, "Villach, Republic")]);
    }

    async fn a_change_goes_on_through_recorded_rows_that_did_not_change_themselves(test: TestDb) {
        let db = test.connect().await;
        create_places(&db).await;
        let nation = nation::ActiveModel { name: Set("Austria".to_owned()), ..Default::default() }.insert(&db).await.unwrap();
        let other = nation::ActiveModel { name: Set("Italy".to_owned()), ..Default::default() }.insert(&db).await.unwrap();
        let city = city::ActiveModel { name: Set("Villach".to_owned()), nation_id: Set(nation.id), ..Default::default() };
        let city = city.insert(&db).await.unwrap();
        let person = person::ActiveModel { city_id: Set(city.id), ..Default::default() }.insert(&db).await.unwrap();
        let check = async |address: &str, of_person: i32, of_city: i32| {
            assert_eq!(latest!(&db, person, address)[&person.id], told(address, of_person));
            assert_eq!(latest!(&db, city, shout)[&city.id].1, of_city);
        };
        check("Villach, Austria", 1, 1).await;
        let renamed = |name: &str| nation::ActiveModel { name: Set(name.to_owned()), ..nation.clone().into_active_model() };
        renamed("Kärnten").update(&db).await.unwrap();
        check("Villach, Kärnten", 2, 1).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        renamed("Austria").update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        check("Villach, Austria", 3, 1).await;
        let txn = db.begin().await.unwrap();
        sea_orm::ActiveModelTrait::update(renamed("Republic"), &txn).await.unwrap();
        txn.commit().await.unwrap();
        check("Villach, Republic", 4, 1).await;
        // The one between goes over, with all who live there.
        let moved = |nation: &nation::Model| city::ActiveModel { nation_id: Set(nation.id), ..city.clone().into_active_model() };
        moved(&other).update(&db).await.unwrap();
        check("Villach, Italy", 5, 1).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        moved(&nation).update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        check("Villach, Republic", 6, 1).await;
        // Whoever reads or copies the records of those at the far end within a transaction has them.
        create_table(&db, mood::Entity).await;
        for way in 0..2 {
            let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
            let name = format!("state {way}");
            renamed(&name).update(&txn).await.unwrap();
            let address = format!("Villach, {name}");
            let copied = match way {
                0 => {
                    let records = person::record::Entity::find().order_by_desc(person::record::Column::RecordedAt);
                    records.one(&txn).await.unwrap().unwrap().address
                }
                _ => {
                    let copy = "INSERT INTO mood (name) SELECT address FROM person_record ORDER BY recorded_at DESC LIMIT 1";
                    txn.execute_unprepared(copy).await.unwrap();
                    mood::Entity::find().one(&txn).await.unwrap().unwrap().name
                }
            };
            assert_eq!(copied, address);
            txn.rollback().await.unwrap();
        }
        city::ActiveModel { name: Set("Beljak".to_owned()), ..city.clone().into_active_model() }.update(&db).await.unwrap();
        check("Beljak, Republic", 7, 2).await;
    }

    async fn keys_of_several_columns_are_recorded_and_followed(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, shelf::Entity).await;
        create_table(&db, shelf::record::Entity).await;
        create_table(&db, book::Entity).await;
        create_table(&db, book::record::Entity).await;
        for (room, number) in [(1, 1), (1, 2), (2, 1)] {
            let label = Set(format!("{room}/{number}"));
            shelf::ActiveModel { room: Set(room), number: Set(number), label }.insert(&db).await.unwrap();
        }
        let shelves = async || {
            let records = shelf::record::Entity::find().order_by_asc(shelf::record::Column::RecordedAt);
            let records = records.all(&db).await.unwrap().into_iter();
            records.map(|record| ((record.recording_room, record.recording_number), (record.label, record.books))).collect::<BTreeMap<_, _>>()
        };
        let shelf = |label: &str, books: &str| (label.to_owned(), books.to_owned());
        let book = |place: Option<(i32, i32)>| book::ActiveModel {
            title: Set("b".to_owned()),
            room: Set(place.map(|(room, _)| room)),
            number: Set(place.map(|(_, number)| number)),
            ..Default::default()
        };
        let model = book(Some((1, 2))).insert(&db).await.unwrap();
        let moved = |place| book::ActiveModel { id: Set(model.id), ..book(place) };
        assert_eq!(latest!(&db, book, place)[&model.id], told("1/2", 1));
        assert_eq!(shelves().await, BTreeMap::from([((1, 1), shelf("1/1", "")), ((1, 2), shelf("1/2", "b")), ((2, 1), shelf("2/1", ""))]));
        // One of the two columns, both, none, half; on a pool, in a transaction of ours, in a plain one.
        moved(Some((1, 1))).update(&db).await.unwrap();
        assert_eq!(latest!(&db, book, place)[&model.id], told("1/1", 2));
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        moved(Some((2, 1))).update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(latest!(&db, book, place)[&model.id], told("2/1", 3));
        assert_eq!(shelves().await, BTreeMap::from([((1, 1), shelf("1/1", "")), ((1, 2), shelf("1/2", "")), ((2, 1), shelf("2/1", "b"))]));
        let txn = db.begin().await.unwrap();
        moved(None).update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(latest!(&db, book, place)[&model.id], told("", 4));
        assert_eq!(shelves().await[&(2, 1)], shelf("2/1", ""));
        moved(Some((1, 2))).update(&db).await.unwrap();
        let renamed = shelf::ActiveModel { room: Set(1), number: Set(2), label: Set("new".to_owned()) };
        renamed.update(&db).await.unwrap();
        assert_eq!(latest!(&db, book, place)[&model.id], told("new", 6));
        assert_eq!(shelves().await[&(1, 2)], shelf("new", "b"));
        // More than one at a time: tuples in conditions.
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        for (room, number) in [(1, 1), (1, 2), (2, 1)] {
            let label = Set(format!("{room}-{number}"));
            shelf::ActiveModel { room: Set(room), number: Set(number), label }.update(&txn).await.unwrap();
            book(Some((room, number))).insert(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        assert_eq!(shelves().await, BTreeMap::from([((1, 1), shelf("1-1", "b")), ((1, 2), shelf("1-2", "b,b")), ((2, 1), shelf("2-1", "b"))]));
        assert_eq!(latest!(&db, book, place)[&model.id], told("1-2", 7));
    }

    async fn a_select_of_the_users_own_finds_who_depends_on_what_a_row_was_and_is(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, zone::Entity).await;
        create_table(&db, spot::Entity).await;
        create_table(&db, spot::record::Entity).await;
        for place in 1..=4 {
            spot::ActiveModel { id: Set(place), place: Set(place) }.insert(&db).await.unwrap();
        }
        let all = async |expected: [&str; 4]| {
            let latest = latest!(&db, spot, zones);
            assert_eq!(latest.into_values().map(|(zones, _)| zones).collect::<Vec<_>>(), expected);
        };
        let recorded = RecordedConnection::new(db.clone());
        let zone = zone::ActiveModel { name: Set("z".to_owned()), low: Set(1), high: Set(2), ..Default::default() };
        let zone = zone.insert(&db).await.unwrap();
        all(["z", "z", "", ""]).await;
        let moved = |low: i32, high: i32| zone::ActiveModel { low: Set(low), high: Set(high), ..zone.clone().into_active_model() };
        moved(3, 4).update(&db).await.unwrap();
        all(["", "", "z", "z"]).await;
        let txn = recorded.begin().await.unwrap();
        moved(2, 3).update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        all(["", "z", "z", ""]).await;
        let txn = db.begin().await.unwrap();
        sea_orm::ActiveModelTrait::update(moved(4, 4), &txn).await.unwrap();
        txn.commit().await.unwrap();
        all(["", "", "", "z"]).await;
        sea_orm::ActiveModelTrait::update(moved(1, 1), &db).await.unwrap();
        all(["z", "", "", ""]).await;
        zone::ActiveModel { id: Set(zone.id), name: Set("y".to_owned()), ..Default::default() }.update(&db).await.unwrap();
        all(["y", "", "", ""]).await;
        // By its key alone.
        zone::ActiveModel { id: Set(zone.id), ..Default::default() }.delete(&db).await.unwrap();
        all(["", "", "", ""]).await;
        let again = zone::ActiveModel { name: Set("x".to_owned()), low: Set(3), high: Set(3), ..Default::default() };
        let zone = again.clone().insert(&db).await.unwrap();
        all(["", "", "x", ""]).await;
        sea_orm::ModelTrait::delete(zone, &db).await.unwrap();
        all(["", "", "", ""]).await;
        let zone = again.insert(&db).await.unwrap();
        let txn = db.begin().await.unwrap();
        sea_orm::ModelTrait::delete(zone, &txn).await.unwrap();
        txn.commit().await.unwrap();
        all(["", "", "", ""]).await;
        // Nothing more was written than what changed.
        let counts = latest!(&db, spot, zones).into_values().map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!(counts, [6, 5, 7, 5]);
    }

    async fn all_relations_are_watched_that_an_entity_declares(test: TestDb) {
        let db = test.connect().await;
        create_table(&db, artist::Entity).await;
        create_table(&db, album::Entity).await;
        create_table(&db, album::record::Entity).await;
        create_table(&db, song::Entity).await;
        create_table(&db, genre::Entity).await;
        create_table(&db, album_genre::Entity).await;
        let artist = artist::ActiveModel { name: Set("a".to_owned()), ..Default::default() }.insert(&db).await.unwrap();
        let album = album::ActiveModel { artist_id: Set(artist.id), ..Default::default() }.insert(&db).await.unwrap();
        let sleeve = async |expected: &str| assert_eq!(latest!(&db, album, sleeve)[&album.id].0, expected);
        sleeve("a; ; ").await;
        let song = song::ActiveModel { name: Set("s".to_owned()), album_id: Set(album.id), ..Default::default() }.insert(&db).await.unwrap();
        sleeve("a; s; ").await;
        let genre = genre::ActiveModel { name: Set("g".to_owned()), ..Default::default() }.insert(&db).await.unwrap();
        let link = album_genre::ActiveModel { album_id: Set(album.id), genre_id: Set(genre.id) }.insert(&db).await.unwrap();
        sleeve("a; s; g").await;
        genre::ActiveModel { name: Set("G".to_owned()), ..genre.into_active_model() }.update(&db).await.unwrap();
        sleeve("a; s; G").await;
        link.delete(&db).await.unwrap();
        sleeve("a; s; ").await;
        song.delete(&db).await.unwrap();
        sleeve("a; ; ").await;
        artist::ActiveModel { name: Set("A".to_owned()), ..artist.into_active_model() }.update(&db).await.unwrap();
        sleeve("A; ; ").await;
        assert_eq!(latest!(&db, album, sleeve)[&album.id].1, 7);
    }
}

/// A database of SQLite: what is warned of does not depend on the database.
async fn in_memory() -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    sea_orm::Database::connect(options).await.unwrap()
}

#[tokio::test]
async fn a_table_that_is_read_and_not_watched_is_warned_of_once() {
    let db = in_memory().await;
    create_table(&db, mood::Entity).await;
    create_table(&db, diary::Entity).await;
    create_table(&db, diary::record::Entity).await;
    let (_, warnings) = captured_warnings(async {
        for day in 0..3 {
            diary::ActiveModel {
                day: Set(day),
                ..Default::default()
            }
            .insert(&db)
            .await
            .unwrap();
        }
    })
    .await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("the properties of diary read mood, which is not watched"),
        "{warnings:?}"
    );
    let of_diary: Vec<UnwatchedRead> = unwatched_reads()
        .into_iter()
        .filter(|read| read.entity == "diary")
        .collect();
    assert_eq!(of_diary.len(), 1);
    assert_eq!(of_diary[0].table, "mood");
}

#[tokio::test]
async fn what_is_watched_is_not_warned_of() {
    let db = in_memory().await;
    let (_, warnings) = captured_warnings(crate::magazine::Magazine::new(&db)).await;
    assert_eq!(warnings, [""; 0]);
    let found = unwatched_reads();
    assert!(
        !found.iter().any(|read| read.entity == "story"),
        "{found:?}"
    );
}
