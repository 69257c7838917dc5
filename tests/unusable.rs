//! Recorders that contradict their tables or watch what cannot be seen: the first save says so.

use sea_orm::{DatabaseConnection, EntityTrait, PaginatorTrait, Set};
use sea_orm_record::{RecordError, RecordedConnection, Registration, register};

use crate::blog::create_table;

/// Without hooks.
pub mod leaf {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "leaf")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub tree_id: i32,
        #[sea_orm(belongs_to, from = "tree_id", to = "id")]
        pub tree: BelongsTo<super::tree::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Watches all its relations, of which one lacks hooks.
pub mod tree {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(size: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tree")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many)]
        pub leaves: HasMany<super::leaf::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties(|_| record::Properties { size: 1 })
                .watch_all()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod item {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "item")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(has_many, via = "bag_item")]
        pub bags: HasMany<super::bag::Entity>,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A junction without hooks.
pub mod bag_item {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bag_item")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub bag_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub item_id: i32,
        #[sea_orm(belongs_to, from = "bag_id", to = "id")]
        pub bag: BelongsTo<super::bag::Entity>,
        #[sea_orm(belongs_to, from = "item_id", to = "id")]
        pub item: BelongsTo<super::item::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

pub mod bag {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(size: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bag")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        #[sea_orm(has_many, via = "bag_item")]
        pub items: HasMany<super::item::Entity>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties(|_| record::Properties { size: 1 })
                .watch(super::item::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Declares properties that nothing computes.
pub mod riddle {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(answer: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "riddle")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
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

/// Calls the hooks by hand, and nobody registered it.
pub mod stray {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Hooked, hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stray")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn before_save<C: ConnectionTrait>(
            self,
            db: &C,
            insert: bool,
        ) -> Result<Self, DbErr> {
            hooks::before_save(self, db, insert).await
        }

        async fn before_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
            hooks::before_delete(self, db).await
        }
    }

    impl Hooked for ActiveModel {}
}

/// Recorded without `#[recorded]`, and not registered: `#[record_hooks]` finds out.
pub mod plain {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Event, RecordEntity, Recorded, record_hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "unregistered")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub mod record {
        use super::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "unregistered_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTimeUtc,
            pub event: Event,
            pub name: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        impl RecordEntity for Entity {
            type Recording = super::Entity;
            type Properties = ();

            const RECORDED_AT: Column = Column::RecordedAt;
            const EVENT: Column = Column::Event;
        }
    }
}

/// A database of SQLite: nothing here depends on the database.
async fn database() -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    let db = sea_orm::Database::connect(options).await.unwrap();
    create_table(&db, tree::Entity).await;
    create_table(&db, bag::Entity).await;
    create_table(&db, riddle::Entity).await;
    db
}

fn problem(error: &RecordError) -> (&str, &str) {
    match error {
        RecordError::Plan {
            entity, problem, ..
        } => (entity, problem),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_save_says_what_is_watched_and_lacks_hooks() {
    let db = database().await;
    let recorded = RecordedConnection::new(db.clone());
    let tree = tree::ActiveModel {
        name: Set("oak".to_owned()),
        ..Default::default()
    };
    for error in [
        tree.clone().insert(&db).await.unwrap_err(),
        tree.clone().insert(&recorded).await.unwrap_err(),
        sea_orm::ActiveModelTrait::insert(tree, &db)
            .await
            .unwrap_err(),
    ] {
        let (entity, problem) = problem(RecordError::of(&error).unwrap());
        assert_eq!(entity, "tree");
        assert!(
            problem.contains("`leaf`") && problem.contains("#[record_hooks]"),
            "{problem}"
        );
    }
    assert_eq!(tree::Entity::find().count(&db).await.unwrap(), 0);

    let bag = bag::ActiveModel {
        name: Set("sack".to_owned()),
        ..Default::default()
    };
    let error = bag.insert(&db).await.unwrap_err();
    let (entity, problem) = problem(RecordError::of(&error).unwrap());
    assert_eq!(entity, "bag");
    assert!(problem.contains("`bag_item`"), "{problem}");
    assert_eq!(bag::Entity::find().count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn the_first_save_says_what_nothing_computes() {
    let db = database().await;
    let error = riddle::ActiveModel {
        name: Set("why".to_owned()),
        ..Default::default()
    }
    .insert(&db)
    .await
    .unwrap_err();
    let (entity, problem) = problem(RecordError::of(&error).unwrap());
    assert_eq!(entity, "riddle");
    assert!(problem.contains("`answer`"), "{problem}");
    assert_eq!(riddle::Entity::find().count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn hooks_that_nobody_registered_refuse_every_save() {
    let db = database().await;
    create_table(&db, stray::Entity).await;
    for error in [
        sea_orm::ActiveModelTrait::insert(
            stray::ActiveModel {
                id: sea_orm::NotSet,
            },
            &db,
        )
        .await
        .unwrap_err(),
        sea_orm::ActiveModelTrait::delete(stray::ActiveModel { id: Set(1) }, &db)
            .await
            .unwrap_err(),
    ] {
        let (entity, problem) = problem(RecordError::of(&error).unwrap());
        assert_eq!(entity, "stray");
        assert!(
            problem.contains("Registration::hooked::<ActiveModel>()"),
            "{problem}"
        );
    }
    assert_eq!(stray::Entity::find().count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn an_entity_with_hooks_that_says_how_it_is_recorded_is_recorded() {
    let db = database().await;
    create_table(&db, plain::Entity).await;
    create_table(&db, plain::record::Entity).await;
    let row = plain::ActiveModel {
        name: Set("first".to_owned()),
        ..Default::default()
    };
    let row = row.insert(&db).await.unwrap();
    let records = async || plain::record::Entity::find().count(&db).await.unwrap();
    assert_eq!(records().await, 1);
    // Once more by hand does no harm.
    for _ in 0..2 {
        register(Registration::recorded::<plain::Entity>());
        register(Registration::hooked::<plain::ActiveModel>());
    }
    let mut am = sea_orm::IntoActiveModel::into_active_model(row);
    am.name = Set("second".to_owned());
    sea_orm::ActiveModelTrait::update(am, &db).await.unwrap();
    assert_eq!(records().await, 2);
}

#[test]
fn a_check_finds_all_recorders_that_cannot_be_used() {
    let errors = sea_orm_record::check().unwrap_err();
    let entities: Vec<_> = errors.iter().map(|error| problem(error).0).collect();
    for entity in ["bag", "riddle", "tree"] {
        assert!(entities.contains(&entity), "{entities:?}");
    }
}
