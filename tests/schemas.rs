//! Entities of another schema than the connection's, beside a table of the same name in its own: what
//! is recorded of each stays with it.
//!
//! On MariaDB a schema is a database, on SQLite an attached one.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::prelude::*;
use sea_orm_record::{
    RecordError, UnseenWrites, agg, delete_many, erase, insert_many, prune_before, update_many,
    verify,
};

use crate::blog::create_table;
use crate::harness::*;

/// The schema. A server that several processes test on has one of this name.
const AUDIT: &str = "record_test_audit";

mod audit {
    /// Watched.
    pub mod subject {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::record_hooks;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(schema_name = "record_test_audit", table_name = "subject")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub name: String,
            #[sea_orm(has_many)]
            pub memos: HasMany<super::memo::Entity>,
        }

        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {}
    }

    pub mod memo {
        use sea_orm::entity::prelude::*;
        use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

        #[recorded(columns(title), properties(headline: String))]
        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(schema_name = "record_test_audit", table_name = "memo")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            pub subject_id: i32,
            pub title: String,
            // sea-query (1.0) writes no foreign key to another database of MySQL's.
            #[sea_orm(belongs_to, from = "subject_id", to = "id", skip_fk)]
            pub subject: BelongsTo<super::subject::Entity>,
        }

        impl Recorded for Entity {
            type Record = record::Entity;

            fn recorder() -> Recorder<Self> {
                Recorder::<Self>::new()
                    .properties_with(|memos, db| {
                        Box::pin(async move {
                            let subjects = memos.load_one(super::subject::Entity, &db).await?;
                            let headline = |(memo, subject): (&Model, Option<_>)| {
                                let subject: super::subject::Model = subject.unwrap();
                                record::Properties {
                                    headline: format!("{}: {}", subject.name, memo.title),
                                }
                            };
                            Ok(memos.iter().zip(subjects).map(headline).collect())
                        })
                    })
                    .watch(super::subject::Entity)
            }
        }

        #[record_hooks]
        impl ActiveModelBehavior for ActiveModel {}
    }
}

/// Of the same name, where the connection looks first.
mod memo {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(title))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "memo")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
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

/// A pool, and what keeps others from the schema, which it begins anew.
async fn connect(test: &TestDb) -> (DatabaseConnection, Option<DatabaseConnection>) {
    let one = |options: &mut sea_orm::ConnectOptions| {
        options.max_connections(1);
    };
    let (db, ours, begin) = match test.engine() {
        // Of this connection alone.
        Engine::Sqlite => {
            let attach = format!("ATTACH ':memory:' AS {AUDIT}");
            (test.connect_with(one).await, None, vec![attach])
        }
        Engine::Postgres => {
            let create = format!("CREATE SCHEMA {AUDIT}");
            (test.connect().await, None, vec![create])
        }
        Engine::MariaDb => {
            let ours = test.connect_with(one).await;
            let lock = format!("DO GET_LOCK('{AUDIT}', 300)");
            ours.execute_unprepared(&lock).await.unwrap();
            let drop = format!("DROP DATABASE IF EXISTS {AUDIT}");
            let create = format!("CREATE DATABASE {AUDIT} CHARACTER SET utf8mb4");
            (test.connect().await, Some(ours), vec![drop, create])
        }
    };
    for sql in begin {
        db.execute_unprepared(&sql).await.unwrap();
    }
    create_table(&db, audit::subject::Entity).await;
    create_table(&db, audit::memo::Entity).await;
    create_table(&db, audit::memo::record::Entity).await;
    create_table(&db, memo::Entity).await;
    create_table(&db, memo::record::Entity).await;
    (db, ours)
}

fn draft(subject: &audit::subject::Model, title: &str) -> audit::memo::ActiveModel {
    audit::memo::ActiveModel {
        subject_id: Set(subject.id),
        title: Set(title.to_owned()),
        ..Default::default()
    }
}

/// All that was recorded, in the order of time.
async fn headlines(db: &impl ConnectionTrait) -> Vec<String> {
    let records = audit::memo::Entity::records()
        .order_by_asc(audit::memo::record::Column::RecordedAt)
        .order_by_asc(audit::memo::record::Column::RecordingId);
    let records = records.all(db).await.unwrap();
    records.into_iter().map(|record| record.headline).collect()
}

each_database! {
    async fn rows_of_another_schema_are_recorded_there(test: TestDb) -> TestResult {
        let (db, ours) = connect(&test).await;
        let recorded = RecordedConnection::new(db.clone());

        // Saves, and one of what is watched.
        let subject = audit::subject::ActiveModel { name: Set("Tea".to_owned()), ..Default::default() };
        let subject = subject.insert(&db).await?;
        let row = draft(&subject, "one").insert(&db).await?;
        let renamed = audit::subject::ActiveModel { name: Set("Rice".to_owned()), ..subject.into_active_model() };
        let subject = renamed.update(&recorded).await?;
        assert_eq!(headlines(&db).await, ["Tea: one", "Rice: one"]);
        let then = row.records().latest().one(&db).await?.unwrap().recorded_at;

        // Many rows.
        insert_many([draft(&subject, "two"), draft(&subject, "three")], &db).await?;
        let title = audit::memo::Column::Title;
        let update = update_many(audit::memo::Entity).col_expr(title, Expr::value("new"));
        update.filter(title.ne("two")).exec(&recorded).await?;
        assert_eq!(headlines(&db).await[2..], ["Rice: two", "Rice: three", "Rice: new", "Rice: new"]);

        // A transaction reads its own records.
        let txn = recorded.begin().await?;
        let edited = audit::memo::ActiveModel { title: Set("newer".to_owned()), ..row.clone().into_active_model() };
        edited.update(&txn).await?;
        let renamed = audit::subject::ActiveModel { name: Set("Oats".to_owned()), ..subject.into_active_model() };
        renamed.update(&txn).await?;
        assert_eq!(headlines(&txn).await[6..], ["Oats: newer", "Oats: two", "Oats: new"]);
        txn.commit().await?;

        // Questions.
        let held = audit::memo::Entity::as_of(then).all(&db).await?;
        assert_eq!(held.iter().map(|record| &*record.headline).collect::<Vec<_>>(), ["Rice: one"]);
        assert_eq!(audit::memo::Entity::as_of(Window::LATEST).count(&db).await?, 3);
        assert_eq!(audit::memo::Entity::records_of(row.id).as_of(then).count(&db).await?, 1);
        assert_eq!(audit::memo::Entity::diff_between(then, Window::LATEST).all(&db).await?.len(), 3);
        assert_eq!(audit::memo::Entity::records().changes().all(&db).await?.len(), 9);
        let retitled = audit::memo::Entity::records().where_changed(audit::memo::record::Column::Title);
        assert_eq!(retitled.count(&db).await?, 3);
        let yearly = || audit::memo::Entity::records().resample("1Y").unwrap();
        assert_eq!(yearly().all(&db).await?.len(), 3);
        assert_eq!(yearly().over_all_rows().agg([agg::count()]).all(&db).await?.len(), 1);

        // Past the hooks.
        let sql = format!("UPDATE {AUDIT}.memo SET title = 'raw' WHERE id = {}", row.id);
        let strict = recorded.with_unseen_writes(UnseenWrites::Refuse);
        let refused = strict.execute_unprepared(&sql).await.unwrap_err();
        assert!(matches!(RecordError::of(&refused), Some(RecordError::Unseen { .. })), "{refused:?}");
        assert!(verify(audit::memo::Entity).exec(&db).await?.is_clean());
        db.execute_unprepared(&sql).await?;
        assert_eq!(verify(audit::memo::Entity).exec(&db).await?.differing, 1);
        verify(audit::memo::Entity).repair().exec(&db).await?;
        assert!(verify(audit::memo::Entity).exec(&db).await?.is_clean());

        // Back, and away.
        audit::memo::Entity::records_of(row.id).restore_to(then).apply(&db).await?;
        assert_eq!(audit::memo::Entity::find_by_id(row.id).one(&db).await?, Some(row.clone()));
        delete_many(audit::memo::Entity).filter(title.eq("two")).exec(&db).await?;
        row.clone().delete(&recorded).await?;
        assert_eq!(audit::memo::Entity::as_of(Window::LATEST).count(&db).await?, 1);
        erase(audit::memo::Entity, row.id).exec(&db).await?;
        assert_eq!(row.records().count(&db).await?, 1);
        let before = audit::memo::Entity::records().count(&db).await?;
        let pruned = prune_before(audit::memo::Entity, chrono::Utc::now()).exec(&db).await?;
        assert!(pruned.removed > 0 && before > audit::memo::Entity::records().count(&db).await?);
        assert!(verify(audit::memo::Entity).exec(&db).await?.is_clean());

        // The table of the same name has had no part in it, and has a history of its own.
        assert_eq!(memo::record::Entity::find().count(&db).await?, 0);
        let before = audit::memo::Entity::records().count(&db).await?;
        let other = memo::ActiveModel { title: Set("mine".to_owned()), ..Default::default() }.insert(&db).await?;
        assert_eq!(other.records().count(&db).await?, 1);
        assert!(verify(memo::Entity).exec(&db).await?.is_clean());
        assert_eq!(audit::memo::Entity::records().count(&db).await?, before);

        // Names in messages are whole.
        db.execute_unprepared(&format!("DROP TABLE {AUDIT}.memo_record")).await?;
        let missing = audit::memo::Entity::as_of(then).all(&db).await.unwrap_err().to_string();
        assert!(missing.contains(&format!("reading `{AUDIT}.memo_record` for `{AUDIT}.memo`")), "{missing}");

        if let Some(ours) = ours {
            ours.execute_unprepared(&format!("DROP DATABASE {AUDIT}")).await?;
        }
        Ok(())
    }
}
