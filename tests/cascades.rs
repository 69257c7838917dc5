//! Promise 2 where the database itself deletes rows or cuts them loose because another row goes: all
//! that is recorded of those says so, however far away they are.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, ModelTrait,
    PaginatorTrait, QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{
    Event, RecordQuery, Recorded, RecordedConnection, RecordedModel, delete_many, update_many,
    verify,
};

use crate::blog::create_table;
use crate::harness::{each_database, once_held_up};

/// Goes with the folder that it is in, which is of the same table.
pub mod folder {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(length: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "folder")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub parent_id: Option<i32>,
        #[sea_orm(
            self_ref,
            relation_enum = "Parent",
            from = "parent_id",
            to = "id",
            on_delete = "Cascade"
        )]
        pub parent: BelongsTo<Option<Entity>>,
    }

    #[derive(Debug)]
    pub struct ToParent;

    impl Linked for ToParent {
        type FromEntity = Entity;
        type ToEntity = Entity;

        fn link(&self) -> Vec<RelationDef> {
            vec![Relation::Parent.def()]
        }
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties(|folder| record::Properties {
                    length: folder.name.len() as i32,
                })
                .watch_linked(ToParent)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Neither recorded nor watched; all else hangs on it.
pub mod novel {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "novel")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub chapters: HasMany<super::chapter::Entity>,
        #[sea_orm(has_many)]
        pub blurbs: HasMany<super::blurb::Entity>,
        #[sea_orm(has_many)]
        pub pins: HasMany<super::pin::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Says how many chapters there are; does not watch the novel, with which they go.
pub mod author {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(properties(chapters: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(has_many)]
        pub chapters: HasMany<super::chapter::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|authors, db| {
                    Box::pin(async move {
                        let chapters = authors.load_many(super::chapter::Entity, &db).await?;
                        let count = |chapters: Vec<_>| record::Properties {
                            chapters: chapters.len() as i32,
                        };
                        Ok(chapters.into_iter().map(count).collect())
                    })
                })
                .watch(super::chapter::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod chapter {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "chapter")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub novel_id: i32,
        pub author_id: i32,
        #[sea_orm(belongs_to, from = "novel_id", to = "id", on_delete = "Cascade")]
        pub novel: BelongsTo<super::novel::Entity>,
        #[sea_orm(belongs_to, from = "author_id", to = "id", on_delete = "Cascade")]
        pub author: BelongsTo<super::author::Entity>,
        #[sea_orm(has_many)]
        pub footnotes: HasMany<super::footnote::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Columns alone, two levels below the novel.
pub mod footnote {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(text))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "footnote")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
        pub chapter_id: i32,
        #[sea_orm(belongs_to, from = "chapter_id", to = "id", on_delete = "Cascade")]
        pub chapter: BelongsTo<super::chapter::Entity>,
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

/// Columns alone, which lose their novel.
pub mod blurb {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(text, novel_id))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "blurb")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
        pub novel_id: Option<i32>,
        #[sea_orm(
            belongs_to,
            from = "novel_id",
            to = "id",
            on_delete = "SetNull",
            on_update = "Cascade"
        )]
        pub novel: BelongsTo<Option<super::novel::Entity>>,
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

/// Columns alone, which watches; what its foreign key does stands in the database alone.
pub mod pin {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(text))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "pin")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub text: String,
        pub novel_id: i32,
        #[sea_orm(belongs_to, from = "novel_id", to = "id")]
        pub novel: BelongsTo<super::novel::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new().watch(super::novel::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

async fn create_tables(db: &DatabaseConnection) {
    create_table(db, novel::Entity).await;
    create_table(db, author::Entity).await;
    create_table(db, author::record::Entity).await;
    create_table(db, chapter::Entity).await;
    create_table(db, footnote::Entity).await;
    create_table(db, footnote::record::Entity).await;
    create_table(db, blurb::Entity).await;
    create_table(db, blurb::record::Entity).await;
    create_table(db, pin::record::Entity).await;
    db.execute_unprepared(
        "CREATE TABLE pin (id integer NOT NULL PRIMARY KEY, text varchar(255) NOT NULL, \
         novel_id integer NOT NULL, \
         FOREIGN KEY (novel_id) REFERENCES novel (id) ON DELETE CASCADE ON UPDATE CASCADE)",
    )
    .await
    .unwrap();
}

/// A novel of two chapters by one author, a footnote each, a blurb and a pin.
async fn novel(db: &DatabaseConnection, id: i32) -> novel::Model {
    let name = Set("n".to_owned());
    let novel = novel::ActiveModel { id: Set(id), name }.insert(db).await;
    let author = author::ActiveModel::default().insert(db).await.unwrap();
    for _ in 0..2 {
        let (novel_id, author_id) = (Set(id), Set(author.id));
        let chapter = chapter::ActiveModel {
            novel_id,
            author_id,
            ..Default::default()
        };
        let chapter_id = Set(chapter.insert(db).await.unwrap().id);
        let text = Set("see there".to_owned());
        let footnote = footnote::ActiveModel {
            text,
            chapter_id,
            ..Default::default()
        };
        footnote.insert(db).await.unwrap();
    }
    let text = || Set("how good".to_owned());
    let blurb = blurb::ActiveModel {
        text: text(),
        novel_id: Set(Some(id)),
        ..Default::default()
    };
    blurb.insert(db).await.unwrap();
    let pin = pin::ActiveModel {
        id: Set(id),
        text: text(),
        novel_id: Set(id),
    };
    pin.insert(db).await.unwrap();
    novel.unwrap()
}

async fn assert_clean<E: Recorded>(db: &DatabaseConnection, entity: E, way: usize) {
    let report = verify(entity).exec(db).await.unwrap();
    assert!(report.is_clean(), "way {way}: {report:?}");
}

const WAYS: usize = 7;

/// Deletes a row in one way or another.
macro_rules! delete {
    ($entity:ident, $way:expr, $row:expr, $db:expr) => {{
        let (row, db) = ($row, $db);
        let recorded = RecordedConnection::new(db.clone());
        let one = <$entity::Column as sea_orm::ColumnTrait>::eq(&$entity::Column::Id, row.id);
        match $way {
            0 => drop(row.delete(db).await.unwrap()),
            1 => drop(row.into_active_model().delete(&recorded).await.unwrap()),
            2 => drop(ModelTrait::delete(row, db).await.unwrap()),
            3 => {
                let txn = recorded.begin().await.unwrap();
                row.delete(&txn).await.unwrap();
                txn.commit().await.unwrap();
            }
            4 => {
                let txn = recorded.begin().await.unwrap();
                ModelTrait::delete(row, &txn).await.unwrap();
                txn.commit().await.unwrap();
            }
            5 => {
                let txn = db.begin().await.unwrap();
                ModelTrait::delete(row, &txn).await.unwrap();
                txn.commit().await.unwrap();
            }
            _ => drop(
                delete_many($entity::Entity)
                    .filter(one)
                    .exec(db)
                    .await
                    .unwrap(),
            ),
        }
    }};
}

async fn folder(db: &DatabaseConnection, parent_id: Option<i32>) -> folder::Model {
    let (name, parent_id) = (Set("f".to_owned()), Set(parent_id));
    let folder = folder::ActiveModel {
        name,
        parent_id,
        ..Default::default()
    };
    folder.insert(db).await.unwrap()
}

each_database! {
    /// The check of its foreign key locks the novel, but not out of a change that leaves its key alone.
    async fn a_row_that_comes_to_hang_on_one_beside_its_deletion_is_recorded_as_cut_loose(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        let recorded = RecordedConnection::new(db.clone());
        for way in 1..=3 {
            let novel = novel::ActiveModel { id: Set(way), name: Set("n".to_owned()) }.insert(db).await.unwrap();
            let blurb = blurb::ActiveModel { text: Set("b".to_owned()), novel_id: Set(Some(way)), ..Default::default() };
            let txn = recorded.begin().await.unwrap();
            let blurb = blurb.insert(&txn).await.unwrap();
            let delete = async {
                match way {
                    1 => novel.delete(db).await.map(drop),
                    2 => novel.delete(&recorded).await.map(drop),
                    _ => delete_many(novel::Entity).filter(novel::Column::Id.eq(way)).exec(db).await.map(drop),
                }
            };
            let (deleted, committed) = once_held_up(db, delete, txn.commit()).await;
            committed.unwrap();
            deleted.unwrap();
            let latest = blurb.records().latest().one(db).await.unwrap().unwrap();
            assert_eq!((latest.event, latest.novel_id), (Event::Related, None), "way {way}");
            assert_clean(db, blurb::Entity, way as usize).await;
        }
    }

    async fn rows_of_one_table_that_go_with_each_other_are_all_recorded_as_gone(test: TestDb) {
        let db = &test.connect().await;
        create_table(db, folder::Entity).await;
        create_table(db, folder::record::Entity).await;
        for way in 0..WAYS {
            let top = folder(db, None).await;
            let mut last = top.clone();
            for _ in 0..3 {
                last = folder(db, Some(last.id)).await;
            }
            delete!(folder, way, top, db);
            assert_eq!(folder::Entity::find().count(db).await.unwrap(), 0);
            assert_clean(db, folder::Entity, way).await;
            let records = folder::Entity::records_of(last.id).order_by_desc(folder::record::Column::RecordedAt);
            assert_eq!(records.one(db).await.unwrap().unwrap().event, Event::Deleted, "way {way}");
        }
    }

    async fn who_hangs_on_rows_that_go_with_another_is_recorded_whether_or_not_it_watches_that(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        for way in 0..WAYS {
            let novel = novel(db, way as i32).await;
            delete!(novel, way, novel, db);
            assert_eq!(footnote::Entity::find().count(db).await.unwrap(), 0);
            assert_clean(db, author::Entity, way).await;
            assert_clean(db, footnote::Entity, way).await;
            assert_clean(db, blurb::Entity, way).await;
            assert_clean(db, pin::Entity, way).await;
        }
        let authors = author::record::Entity::find().order_by_desc(author::record::Column::RecordedAt);
        let latest = authors.one(db).await.unwrap().unwrap();
        assert_eq!((latest.event, latest.chapters), (Event::Related, 0));
    }

    async fn a_key_that_is_changed_in_many_rows_is_recorded_where_the_database_hands_it_on(test: TestDb) {
        let db = &test.connect().await;
        create_tables(db).await;
        let name = Set("n".to_owned());
        novel::ActiveModel { id: Set(1), name }.insert(db).await.unwrap();
        let blurb = blurb::ActiveModel { text: Set("b".to_owned()), novel_id: Set(Some(1)), ..Default::default() };
        blurb.insert(db).await.unwrap();
        let update = update_many(novel::Entity).col_expr(novel::Column::Id, sea_orm::sea_query::Expr::value(7));
        update.exec(db).await.unwrap();
        let blurb = blurb::Entity::find().one(db).await.unwrap().unwrap();
        assert_eq!(blurb.novel_id, Some(7));
        assert_clean(db, blurb::Entity, 0).await;
    }

    async fn a_save_of_what_others_merely_go_with_costs_nothing(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_tables(&db).await;
        let name = || Set("n".to_owned());
        counter.clear();
        let novel = novel::ActiveModel { id: Set(1), name: name() }.insert(&db).await.unwrap();
        novel::ActiveModel { name: Set("m".to_owned()), ..novel.into_active_model() }.update(&db).await.unwrap();
        let statements = counter.take_statements();
        let mut of_others = statements.iter().filter(|statement| !statement.contains("novel"));
        assert_eq!(of_others.next(), None);
    }
}
