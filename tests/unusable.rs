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

/// Computes its properties by two closures.
pub mod echo {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(name), properties(size: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "echo")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            let once =
                Recorder::<Self>::new().properties_with(|_, _| Box::pin(async { Ok(Vec::new()) }));
            once.properties(|_| record::Properties { size: 1 })
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

/// Record entities written by hand, each with another mistake. They are registered when their test
/// runs, since a mistake in one is told of in every check.
macro_rules! mistaken {
    ($name:ident, $says:literal, { $($column:tt)* }, { $($more:tt)* }) => {
        pub mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, record_hooks};

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $says)]
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
                use sea_orm::entity::prelude::*;
                use sea_orm_record::{Event, RecordEntity};

                #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
                #[sea_orm(table_name = $says)]
                pub struct Model {
                    $($column)*
                    pub event: Event,
                }

                #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
                pub enum Relation {}

                impl ActiveModelBehavior for ActiveModel {}

                impl RecordEntity for Entity {
                    type Recording = super::Entity;
                    type Properties = ();

                    const RECORDED_AT: Column = Column::RecordedAt;
                    const EVENT: Column = Column::Event;
                    $($more)*
                }
            }
        }
    };
}

mistaken!(keyless, "um_keyless", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub recorded_at: DateTimeUtc,
    pub name: String,
}, {});
mistaken!(disordered, "um_disordered", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub recorded_at: DateTimeUtc,
    #[sea_orm(primary_key, auto_increment = false)]
    pub recording_id: i32,
    pub name: String,
}, {});
mistaken!(empty, "um_empty", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub recording_id: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub recorded_at: DateTimeUtc,
}, {});
mistaken!(leftover, "um_leftover", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub recording_id: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub recorded_at: DateTimeUtc,
    pub name: String,
    pub color: Option<String>,
}, {});
mistaken!(firm, "um_firm", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub recording_id: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub recorded_at: DateTimeUtc,
    pub name: String,
    pub color: String,
}, {
    fn retired() -> Vec<Column> {
        vec![Column::Color]
    }
});
/// A database of SQLite: nothing here depends on the database.
async fn database() -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    let db = sea_orm::Database::connect(options).await.unwrap();
    create_table(&db, tree::Entity).await;
    create_table(&db, bag::Entity).await;
    create_table(&db, riddle::Entity).await;
    create_table(&db, echo::Entity).await;
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
async fn the_first_save_says_what_is_computed_twice() {
    let db = database().await;
    let echo = echo::ActiveModel {
        name: Set("again".to_owned()),
        ..Default::default()
    };
    let error = echo.insert(&db).await.unwrap_err();
    let (entity, problem) = problem(RecordError::of(&error).unwrap());
    assert_eq!(entity, "echo");
    assert!(problem.contains("is given twice"), "{problem}");
    assert_eq!(echo::Entity::find().count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn the_first_save_says_what_is_wrong_with_a_record_entity_written_by_hand() {
    macro_rules! refused {
        ($name:ident, $says:literal) => {{
            let db = database().await;
            create_table(&db, $name::Entity).await;
            let am = $name::ActiveModel {
                name: Set("any".to_owned()),
                ..Default::default()
            };
            let error = am.insert(&db).await.unwrap_err();
            let (_, problem) = problem(RecordError::of(&error).unwrap());
            assert!(problem.contains($says), "{problem}");
            assert_eq!($name::Entity::find().count(&db).await.unwrap(), 0);
        }};
    }
    refused!(keyless, "it needs `recording_id`");
    refused!(
        disordered,
        "must be (recording_id, recorded_at), in this order"
    );
    refused!(empty, "neither columns nor properties");
    refused!(
        leftover,
        "`color` of `um_leftover` repeats no column of the source"
    );
    refused!(
        firm,
        "`color` of `um_firm` is retired, so it must be nullable"
    );
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
    for entity in ["bag", "echo", "riddle", "tree"] {
        assert!(entities.contains(&entity), "{entities:?}");
    }
}

/// A source with a column that is named as one of the context's, and a record entity by hand.
pub mod ticket {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "ticket")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
        pub reason: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|ticket| record::Lengths {
                lengths: match ticket.name.as_str() {
                    "short" => vec![1],
                    _ => vec![1, 2],
                },
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}

    pub mod record {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::{Event, Properties, RecordEntity};

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "ticket_record")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub recording_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub recorded_at: DateTimeUtc,
            pub event: Event,
            pub name: String,
            pub reason: Option<String>,
            pub words: Option<i32>,
            pub letters: Option<i32>,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}

        pub struct Lengths {
            pub lengths: Vec<i32>,
        }

        impl Properties for Lengths {
            const NAMES: &'static [&'static str] = &["words", "letters"];

            fn into_values(self) -> Vec<sea_orm::Value> {
                self.lengths.into_iter().map(Into::into).collect()
            }
        }

        impl RecordEntity for Entity {
            type Recording = super::Entity;
            type Properties = Lengths;

            const RECORDED_AT: Column = Column::RecordedAt;
            const EVENT: Column = Column::Event;
        }
    }
}

async fn tickets() -> DatabaseConnection {
    let db = database().await;
    create_table(&db, ticket::Entity).await;
    create_table(&db, ticket::record::Entity).await;
    db
}

fn a_ticket(name: &str) -> ticket::ActiveModel {
    ticket::ActiveModel {
        name: Set(name.to_owned()),
        reason: Set(Some("because".to_owned())),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_column_of_the_source_that_is_named_as_one_of_the_context_is_recorded() {
    let db = tickets().await;
    a_ticket("long").insert(&db).await.unwrap();
    let record = ticket::record::Entity::find().one(&db).await.unwrap();
    assert_eq!(record.unwrap().reason.as_deref(), Some("because"));
}

#[tokio::test]
async fn too_few_values_of_properties_by_hand_fail_the_save() {
    let db = tickets().await;
    let error = a_ticket("short").insert(&db).await.unwrap_err();
    let error = RecordError::of(&error).unwrap().to_string();
    assert!(error.contains("1 values for 2 names"), "{error}");
    assert_eq!(ticket::Entity::find().count(&db).await.unwrap(), 0);
}
