//! Promise 2 where the database hands a changed value on to the rows that reference it (`on_update`),
//! and the row is saved by itself.

use sea_orm::{
    ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait, Set,
    TransactionTrait,
};
use sea_orm_record::{
    Event, RecordError, RecordQuery, RecordedConnection, RecordedModel, upsert_many, verify,
};

use crate::blog::create_table;
use crate::harness::each_database;

/// Neither recorded nor watched; referenced by its code.
pub mod shelf {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ho_shelf")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[sea_orm(unique)]
        pub code: String,
        pub place: String,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Columns alone, which follow the code of the shelf.
pub mod item {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(shelf_code))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ho_item")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub shelf_code: String,
        #[sea_orm(belongs_to, from = "shelf_code", to = "code", on_update = "Cascade")]
        pub shelf: BelongsTo<super::shelf::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Recorded and watched, for the same with another kind of parent.
pub mod rack {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(place))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ho_rack")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[sea_orm(unique)]
        pub code: String,
        pub place: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Cut loose when the code of the rack changes, and then without a place.
pub mod label {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(rack_code), properties(place: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ho_label")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub rack_code: Option<String>,
        #[sea_orm(belongs_to, from = "rack_code", to = "code", on_update = "SetNull")]
        pub rack: BelongsTo<Option<super::rack::Entity>>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|labels, db| {
                    Box::pin(async move {
                        let racks = labels.load_one(super::rack::Entity, &db).await?;
                        let place = |rack: Option<super::rack::Model>| record::Properties {
                            place: rack.map_or_else(String::new, |rack| rack.place),
                        };
                        Ok(racks.into_iter().map(place).collect())
                    })
                })
                .watch(super::rack::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Loses its shelf, and then cannot say where it is.
pub mod tag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(place: String))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ho_tag")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub shelf_id: Option<i32>,
        #[sea_orm(belongs_to, from = "shelf_id", to = "id", on_delete = "SetNull")]
        pub shelf: BelongsTo<Option<super::shelf::Entity>>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties_with(|tags, _| {
                Box::pin(async move {
                    let place = |tag: &Model| match tag.shelf_id {
                        Some(id) => Ok(record::Properties {
                            place: id.to_string(),
                        }),
                        None => Err(DbErr::Custom("nowhere".to_owned())),
                    };
                    tags.iter().map(place).collect()
                })
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

async fn create_tables(db: &DatabaseConnection) {
    create_table(db, shelf::Entity).await;
    create_table(db, item::Entity).await;
    create_table(db, item::record::Entity).await;
    create_table(db, rack::Entity).await;
    create_table(db, rack::record::Entity).await;
    create_table(db, label::Entity).await;
    create_table(db, label::record::Entity).await;
}

const WAYS: i32 = 9;

/// Gives a row another code, in one way or another.
macro_rules! recode {
    ($entity:ident, $way:expr, $row:expr, $db:expr) => {{
        let (mut row, db) = ($row.into_active_model(), $db);
        row.code = Set(format!("new {}", $way));
        let recorded = RecordedConnection::new(db.clone());
        match $way {
            0 => drop(row.update(db).await.unwrap()),
            1 => drop(row.save(&recorded).await.unwrap()),
            2 => drop(ActiveModelTrait::update(row, db).await.unwrap()),
            3 => drop(row.update_without_returning(db).await.unwrap()),
            4 => {
                let txn = db.begin().await.unwrap();
                row.update(&txn).await.unwrap();
                txn.commit().await.unwrap();
            }
            5 => {
                let txn = db.begin().await.unwrap();
                ActiveModelTrait::update(row, &txn).await.unwrap();
                txn.commit().await.unwrap();
            }
            6 => {
                let txn = recorded.begin().await.unwrap();
                row.update(&txn).await.unwrap();
                txn.commit().await.unwrap();
            }
            7 => {
                let row = $entity::ActiveModel {
                    id: Set($way),
                    code: row.code,
                    place: Set("a".to_owned()),
                };
                let code = $entity::Column::Code;
                let upsert = upsert_many([row], [$entity::Column::Id], |it| it.update_column(code));
                upsert.exec(db).await.unwrap();
            }
            _ => {
                let txn = recorded.begin().await.unwrap();
                ActiveModelTrait::update(row, &txn).await.unwrap();
                txn.commit().await.unwrap();
            }
        }
    }};
}

each_database! {
    async fn a_code_that_the_database_hands_on_is_recorded_where_it_comes_to_stand(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for way in 0..WAYS {
            let (code, place) = (format!("old {way}"), "a".to_owned());
            let shelf = shelf::Model { id: way, code: code.clone(), place };
            let shelf = shelf::Entity::insert(shelf.into_active_model()).exec_with_returning(db).await.unwrap();
            let item = item::ActiveModel { id: Set(way), shelf_code: Set(code) }.insert(db).await.unwrap();
            recode!(shelf, way, shelf, db);
            let latest = item.records().latest().one(db).await.unwrap().unwrap();
            assert_eq!((latest.event, latest.shelf_code), (Event::Related, format!("new {way}")), "way {way}");
            assert!(verify(item::Entity).exec(db).await.unwrap().is_clean(), "way {way}");
        }
    }

    async fn rows_that_a_changed_code_cuts_loose_are_recorded_without_it(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for way in 0..WAYS {
            let (code, place) = (format!("old {way}"), Set("a".to_owned()));
            let rack = rack::ActiveModel { id: Set(way), code: Set(code.clone()), place }.insert(db).await.unwrap();
            let label = label::ActiveModel { id: Set(way), rack_code: Set(Some(code)) }.insert(db).await.unwrap();
            recode!(rack, way, rack, db);
            let latest = label.records().latest().one(db).await.unwrap().unwrap();
            let said = (latest.event, latest.rack_code, latest.place);
            assert_eq!(said, (Event::Related, None, String::new()), "way {way}");
            assert!(verify(label::Entity).exec(db).await.unwrap().is_clean(), "way {way}");
        }
    }

    async fn a_deletion_that_a_row_far_away_refuses_leaves_a_plain_transaction_as_it_was(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        create_table(db, tag::Entity).await;
        create_table(db, tag::record::Entity).await;
        let shelf = shelf::ActiveModel { id: Set(1), code: Set("a".to_owned()), place: Set("b".to_owned()) };
        let shelf = shelf.insert(db).await.unwrap();
        tag::ActiveModel { id: Set(1), shelf_id: Set(Some(1)) }.insert(db).await.unwrap();
        let txn = db.begin().await.unwrap();
        let error = shelf.delete(&txn).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Property { .. })), "{error}");
        txn.commit().await.unwrap();
        assert_eq!(shelf::Entity::find().count(db).await.unwrap(), 1);
        assert_eq!(tag::Entity::find().one(db).await.unwrap().unwrap().shelf_id, Some(1));
    }

    async fn a_save_that_leaves_the_code_alone_costs_what_a_plain_one_does(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_tables(&db).await;
        let shelf = shelf::ActiveModel { id: Set(1), code: Set("a".to_owned()), place: Set("b".to_owned()) };
        let shelf = shelf.insert(&db).await.unwrap();
        counter.clear();
        let moved = shelf::ActiveModel { id: Set(1), place: Set("c".to_owned()), ..Default::default() };
        moved.update(&db).await.unwrap();
        let statements = counter.take_statements();
        assert!(statements.iter().all(|statement| statement.contains("ho_shelf")), "{statements:?}");
        drop(shelf);
    }
}
