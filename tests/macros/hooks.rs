//! The user's hooks and ours, in one save.

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseConnection, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, Schema, TransactionTrait,
};
use sea_orm_record::{Event, Recorded, RecordedConnection};
use sea_orm_record_migration::RecordSchema;

use super::accepted::{by_hand, generic, hooks as accepted};
use crate::harness::each_database;

pub(super) mod guarded {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(title))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "m_guarded")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        pub calls: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    fn refused(title: Option<&String>, by: &str) -> Result<(), DbErr> {
        match title {
            Some(title) if title.contains(by) => Err(DbErr::Custom(format!("refused {by}"))),
            _ => Ok(()),
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {
        async fn before_save<C>(mut self, _db: &C, insert: bool) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            refused(self.title.try_as_ref(), "before saving")?;
            if let Some(title) = self.title.take() {
                self.title = sea_orm::Set(title + if insert { " (new)" } else { " (changed)" });
            }
            Ok(self)
        }

        async fn after_save<C>(mut model: Model, _db: &C, _insert: bool) -> Result<Model, DbErr>
        where
            C: ConnectionTrait,
        {
            refused(Some(&model.title), "after saving")?;
            model.calls.push_str(" and seen");
            Ok(model)
        }

        async fn before_delete<C>(self, _db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            refused(self.title.try_as_ref(), "before deleting")?;
            Ok(self)
        }

        async fn after_delete<C>(self, _db: &C) -> Result<Self, DbErr>
        where
            C: ConnectionTrait,
        {
            refused(self.title.try_as_ref(), "after deleting")?;
            Ok(self)
        }
    }
}

/// An author and articles, in the dense format.
pub(super) mod watching {
    pub(crate) mod author {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::prelude::*;

        #[recorded(columns(name))]
        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "m_author")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
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

    pub(crate) mod article {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::prelude::*;

        #[recorded(properties(byline: String))]
        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "m_article")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub title: String,
            pub author_id: i32,
            #[sea_orm(belongs_to, from = "author_id", to = "id")]
            pub author: BelongsTo<super::author::Entity>,
        }

        impl Recorded for Entity {
            type Record = record::Entity;

            fn recorder() -> Recorder<Self> {
                Recorder::<Self>::new()
                    .properties_with(|articles, db| {
                        Box::pin(async move {
                            let authors = articles.load_one(super::author::Entity, &db).await?;
                            let both = articles.iter().zip(authors);
                            Ok(both
                                .map(|(article, author)| record::Properties {
                                    byline: format!(
                                        "{} by {}",
                                        article.title,
                                        author.map_or(String::new(), |it| it.name)
                                    ),
                                })
                                .collect())
                        })
                    })
                    .watch(super::author::Entity)
            }
        }

        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {}
    }
}
use watching::{article, author};

async fn create<E: Recorded>(db: &DatabaseConnection) {
    let schema = Schema::new(db.get_database_backend());
    db.execute(&schema.create_table_from_entity(E::default()))
        .await
        .unwrap();
    db.create_record_table(E::Record::default()).await.unwrap();
}

fn guarded(title: &str) -> guarded::ActiveModel {
    guarded::ActiveModel {
        title: Set(title.to_owned()),
        calls: Set("made".to_owned()),
        ..Default::default()
    }
}

async fn titles(db: &impl ConnectionTrait) -> Vec<(Event, String)> {
    let records = guarded::record::Entity::find().order_by_asc(guarded::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap();
    records
        .into_iter()
        .map(|record| (record.event, record.title))
        .collect()
}

async fn rows(db: &impl ConnectionTrait) -> u64 {
    guarded::Entity::find().count(db).await.unwrap()
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, DbErr>, by: &str) {
    let error = result.unwrap_err().to_string();
    assert_eq!(error, format!("Custom Error: refused {by}"));
}

each_database! {
    async fn what_hooks_that_are_there_return_is_saved_and_returned(test: TestDb) {
        let db = test.connect().await;
        create::<guarded::Entity>(&db).await;
        let saved = guarded("a").insert(&db).await.unwrap();
        assert_eq!((saved.title.as_str(), saved.calls.as_str()), ("a (new)", "made and seen"));
        // What the hook made of the model after the save is in no table.
        let mut am = guarded::Entity::find().one(&db).await.unwrap().unwrap().into_active_model();
        assert_eq!(am.calls, sea_orm::Unchanged("made".to_owned()));
        am.title = Set("b".to_owned());
        let saved = am.update(&db).await.unwrap();
        assert_eq!(saved.title, "b (changed)");
        saved.delete(&db).await.unwrap();
        assert_eq!(titles(&db).await, [
            (Event::Created, "a (new)".to_owned()),
            (Event::Updated, "b (changed)".to_owned()),
            (Event::Deleted, "b (changed)".to_owned()),
        ]);
    }

    async fn a_refusal_by_a_hook_that_is_there_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        create::<guarded::Entity>(&db).await;
        for by in ["before saving", "after saving"] {
            assert_refused(guarded(by).insert(&db).await, by);
            assert_eq!((rows(&db).await, titles(&db).await.len()), (0, 0), "{by}");
        }
        for by in ["before deleting", "after deleting"] {
            let row = guarded(by).insert(&db).await.unwrap();
            assert_refused(row.clone().delete(&db).await, by);
            assert_refused(row.into_active_model().delete(&db).await, by);
            assert_eq!((rows(&db).await, titles(&db).await.len()), (1, 1), "{by}");
            guarded::Entity::delete_many().exec(&db).await.unwrap();
            guarded::record::Entity::delete_many().exec(&db).await.unwrap();
        }
    }

    async fn a_row_that_a_refusal_leaves_in_a_transaction_is_recorded(test: TestDb) {
        let db = test.connect().await;
        create::<guarded::Entity>(&db).await;
        let txn = db.begin().await.unwrap();
        guarded("one").insert(&txn).await.unwrap();
        assert_refused(guarded("after saving").insert(&txn).await, "after saving");
        txn.commit().await.unwrap();
        assert_eq!(rows(&db).await as usize, titles(&db).await.len());

        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        guarded("two").insert(&txn).await.unwrap();
        assert_refused(guarded("after saving").insert(&txn).await, "after saving");
        txn.commit().await.unwrap();
        assert_eq!(rows(&db).await as usize, titles(&db).await.len());
    }

    async fn hooks_of_every_spelling_record(test: TestDb) {
        use accepted::{that_never_return, with_async_trait, without_async_trait};
        let db = test.connect().await;
        create::<with_async_trait::Entity>(&db).await;
        create::<without_async_trait::Entity>(&db).await;
        create::<that_never_return::Entity>(&db).await;
        let row = with_async_trait::ActiveModel::new().insert(&db).await.unwrap();
        assert_eq!(row.title, "new!");
        let am = without_async_trait::ActiveModel { title: Set("x".to_owned()), ..Default::default() };
        let row = am.insert(&db).await.unwrap();
        assert_eq!(row.title, "x1");
        row.delete(&db).await.unwrap();
        let model = that_never_return::Model { id: 1, title: String::new() };
        assert_eq!(model.delete(&db).await.unwrap_err().to_string(), "Custom Error: never deleted");
        assert_eq!(with_async_trait::record::Entity::find().one(&db).await.unwrap().unwrap().title, "new!");
        assert_eq!(without_async_trait::record::Entity::find().count(&db).await.unwrap(), 2);
        assert_eq!(that_never_return::record::Entity::find().count(&db).await.unwrap(), 0);
    }

    async fn without_any_macro_saves_are_recorded(test: TestDb) {
        use by_hand::{note, note_record};
        let db = test.connect().await;
        create::<note::Entity>(&db).await;
        let am = note::ActiveModel { title: Set("abc".to_owned()), secret: Set("s".to_owned()), ..Default::default() };
        // SeaORM's own methods: there are no others.
        let row = am.insert(&db).await.unwrap();
        let mut am = row.into_active_model();
        am.title = Set("abcd".to_owned());
        let context = sea_orm_record::Context::actor("alice");
        let alice = RecordedConnection::new(db.clone()).with_context(context);
        let txn = alice.begin().await.unwrap();
        let row = am.update(&txn).await.unwrap();
        let mut am = row.into_active_model();
        am.secret = Set("not recorded".to_owned());
        let row = am.update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        sea_orm::ModelTrait::delete(row, &db).await.unwrap();
        let records = note_record::Entity::find().order_by_asc(note_record::Column::RecordedAt).all(&db).await.unwrap();
        let records: Vec<_> = records.iter().map(|it| (it.event, it.title.as_str(), it.length, it.actor.as_deref())).collect();
        assert_eq!(records, [
            (Event::Created, "abc", 3, None),
            (Event::Updated, "abcd", 4, Some("alice")),
            (Event::Deleted, "abcd", 4, None),
        ]);
    }

    async fn nested_saves_of_active_model_ex_are_recorded(test: TestDb) {
        let db = test.connect().await;
        create::<author::Entity>(&db).await;
        create::<article::Entity>(&db).await;
        let saved = author::ActiveModel::builder()
            .set_name("Ann")
            .add_article(article::ActiveModel::builder().set_title("One"))
            .add_article(article::ActiveModel::builder().set_title("Two"))
            .save(&db)
            .await
            .unwrap();
        let bylines = async || {
            let records = article::record::Entity::find();
            let records = records.order_by_asc(article::record::Column::RecordedAt).order_by_asc(article::record::Column::RecordingId);
            let records = records.all(&db).await.unwrap();
            records.into_iter().map(|record| (record.event, record.byline)).collect::<Vec<_>>()
        };
        assert_eq!(bylines().await, [
            (Event::Created, "One by Ann".to_owned()),
            (Event::Created, "Two by Ann".to_owned()),
        ]);
        saved.set_name("Anna").save(&db).await.unwrap();
        assert_eq!(bylines().await[2..], [
            (Event::Related, "One by Anna".to_owned()),
            (Event::Related, "Two by Anna".to_owned()),
        ]);
        assert_eq!(author::record::Entity::find().count(&db).await.unwrap(), 2);

        // Gathered: one record each, of what is there in the end.
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await.unwrap();
        let saved = author::ActiveModel::builder()
            .set_name("Bob")
            .add_article(article::ActiveModel::builder().set_title("Three"))
            .save(&txn)
            .await
            .unwrap();
        saved.set_name("Bobby").save(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(bylines().await[4..], [(Event::Created, "Three by Bobby".to_owned())]);
        assert_eq!(author::record::Entity::find().count(&db).await.unwrap(), 3);

        // A model that is deleted with its relations.
        let one = author::Entity::load().filter(author::Column::Name.eq("Bobby")).with(article::Entity);
        one.one(&db).await.unwrap().unwrap().delete(&db).await.unwrap();
        let last = author::record::Entity::find().order_by_desc(author::record::Column::RecordedAt);
        assert_eq!(last.one(&db).await.unwrap().unwrap().event, Event::Deleted);
    }

    async fn a_failed_nested_save_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        create::<author::Entity>(&db).await;
        create::<article::Entity>(&db).await;
        db.execute_unprepared("DROP TABLE m_article_record").await.unwrap();
        let failed = author::ActiveModel::builder()
            .set_name("Ann")
            .add_article(article::ActiveModel::builder().set_title("One"))
            .save(&db)
            .await;
        assert!(failed.is_err());
        assert_eq!(author::Entity::find().count(&db).await.unwrap(), 0);
        assert_eq!(author::record::Entity::find().count(&db).await.unwrap(), 0);
    }

    async fn saves_run_in_spawned_tasks(test: TestDb) {
        let db = test.connect().await;
        create::<guarded::Entity>(&db).await;
        create::<author::Entity>(&db).await;
        create::<article::Entity>(&db).await;
        let pool = db.clone();
        let saved = tokio::spawn(async move { guarded("spawned").insert(&pool).await }).await.unwrap().unwrap();
        let recorded = RecordedConnection::new(db.clone());
        tokio::spawn(async move {
            let txn = recorded.begin().await?;
            let mut am = saved.into_active_model();
            am.title = Set("again".to_owned());
            let saved = am.update(&txn).await?;
            saved.delete(&txn).await?;
            author::ActiveModel::builder().set_name("Ann").save(&txn).await?;
            txn.commit().await
        })
        .await
        .unwrap()
        .unwrap();
        assert_eq!(titles(&db).await.len(), 2);
    }

    async fn generic_code_saves_and_is_recorded(test: TestDb) {
        let db = test.connect().await;
        create::<accepted::with_async_trait::Entity>(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let count = async || accepted::with_async_trait::record::Entity::find().count(&db).await.unwrap();
        let saved = generic::save_any(accepted::with_async_trait::ActiveModel::new(), &db).await.unwrap();
        assert_eq!(count().await, 1);
        assert_eq!(generic::delete_any(saved, &db).await.unwrap(), 1);
        assert_eq!(count().await, 2);
        let saved = generic::save_one("one", &recorded).await.unwrap();
        assert_eq!(count().await, 4);
        assert_eq!(generic::delete_one(saved, &recorded).await.unwrap(), 1);
        assert_eq!(count().await, 5);
        generic::in_transaction(&db).await.unwrap();
        assert_eq!(count().await, 7);
        generic::in_transaction(&recorded).await.unwrap();
        assert_eq!(count().await, 8);
    }
}
