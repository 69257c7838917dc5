//! The lines of `docs/write-paths.md` that have no other test.
//!
//! - `statements`: SeaORM's statements that call no hooks
//! - `schema`: what migrations and changes of tables write

mod schema;
mod statements;

use std::time::Duration;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel,
    ModelTrait, PaginatorTrait, Set, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use sea_orm_record::{
    Event, RecordError, RecordedConnection, RecordedModel, UnseenWrites, capture, delete_many,
    insert_many, update_many, upsert_many, verify,
};

use crate::blog::{self, note, topic};
use crate::harness::{Engine, captured_warnings, each_database};
use crate::magazine::{Magazine, assert_current, story, story_tag};
use statements::{STATEMENTS, UPDATE, statement};

/// Whose hook writes to another recorded table, past its hooks.
mod meddler {
    use sea_orm::entity::prelude::*;
    use sea_orm::sea_query::Expr;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    use crate::blog::note;

    #[recorded(columns(name))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "meddler")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn after_save<C: ConnectionTrait>(
            model: Model,
            db: &C,
            _: bool,
        ) -> Result<Model, DbErr> {
            let by_hook = Expr::value("by a hook");
            note::Entity::update_many()
                .col_expr(note::Column::Text, by_hook)
                .exec(db)
                .await?;
            Ok(model)
        }
    }
}

fn text(text: &str) -> Expr {
    Expr::value(text)
}

async fn records(db: &impl ConnectionTrait) -> u64 {
    note::record::Entity::find().count(db).await.unwrap()
}

fn is_unseen(error: &DbErr, named: &str) -> bool {
    matches!(RecordError::of(error), Some(RecordError::Unseen { table, .. }) if table == named)
}

async fn create_trigger(engine: Engine, db: &DatabaseConnection) {
    let body = "UPDATE note SET text = 'by trigger'";
    let statements = match engine {
        Engine::Sqlite => vec![format!(
            "CREATE TRIGGER t AFTER UPDATE ON topic BEGIN {body}; END"
        )],
        Engine::MariaDb => vec![format!(
            "CREATE TRIGGER t AFTER UPDATE ON topic FOR EACH ROW {body}"
        )],
        Engine::Postgres => vec![
            format!(
                "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN {body}; RETURN NEW; END $$ LANGUAGE plpgsql"
            ),
            "CREATE TRIGGER t AFTER UPDATE ON topic FOR EACH ROW EXECUTE FUNCTION f()".to_owned(),
        ],
    };
    for statement in statements {
        db.execute_unprepared(&statement).await.unwrap();
    }
}

each_database! {
    async fn statements_that_call_no_hooks_are_not_recorded_and_found_by_verify(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        for at in 0..STATEMENTS {
            let id = blog::note(&db, "before").await.id;
            let before = records(&db).await;
            statement(at, id, &db).await.unwrap();
            assert_eq!(records(&db).await, before, "{at}");
            let found = verify(note::Entity).repair().exec(&db).await.unwrap();
            assert_eq!((found.missing + found.differing + found.orphans, found.repaired), (1, 1), "{at}: {found:?}");
        }
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn statements_that_call_no_hooks_are_refused_where_that_is_asked_for(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let id = blog::note(&db, "before").await.id;
        blog::topic(&db, "watched").await;
        let refusing = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);
        for at in 0..STATEMENTS {
            let error = statement(at, id, &refusing).await.unwrap_err();
            assert!(is_unseen(&error, "note"), "{at}: {error}");
            let txn = refusing.begin().await.unwrap();
            let nested = txn.begin().await.unwrap();
            assert!(is_unseen(&statement(at, id, &nested).await.unwrap_err(), "note"), "{at}");
        }
        let error = topic::Entity::update_many().col_expr(topic::Column::Name, text("u")).exec(&refusing).await.unwrap_err();
        assert!(is_unseen(&error, "topic"), "{error}");
        let several = "SELECT 1; DELETE FROM article";
        assert!(is_unseen(&refusing.execute_unprepared(several).await.unwrap_err(), "article"));
        assert_eq!(note::Entity::find().count(&db).await.unwrap(), 1);
        // What is neither recorded nor watched is nobody's business, nor is what reads.
        blog::create_table(&db, blog::plain::note::Entity).await;
        blog::plain::note::Entity::delete_many().exec(&refusing).await.unwrap();
        note::Entity::find().all(&refusing).await.unwrap();
        for at in 0..STATEMENTS {
            let id = blog::note(&db, "before").await.id;
            statement(at, id, &refusing.without_recording()).await.unwrap();
            statement(at, blog::note(&db, "b").await.id, &refusing.with_unseen_writes(UnseenWrites::Allow)).await.unwrap();
        }
    }

    async fn what_goes_through_the_hooks_is_never_refused(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let m = Magazine::new(&db).await;
        let refusing = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);

        async fn save<C: ConnectionTrait>(db: &C) -> Result<(), DbErr> {
            let note = note::draft("a").insert(db).await?;
            let set = |text: &str| note::ActiveModel { text: Set(text.to_owned()), ..note.clone().into_active_model() };
            set("b").update(db).await?;
            set("c").save(db).await?;
            set("d").update_without_returning(db).await?;
            note.clone().into_active_model().update(db).await?;
            note.clone().delete(db).await?;
            let other = ActiveModelTrait::insert(note::draft("a"), db).await?;
            ActiveModelTrait::update(note::ActiveModel { text: Set("b".to_owned()), ..other.clone().into_active_model() }, db).await?;
            ActiveModelTrait::update(other.clone().into_active_model(), db).await?;
            ActiveModelTrait::save(other.clone().into_active_model(), db).await?;
            ModelTrait::delete(other, db).await?;
            insert_many([note::ActiveModel { id: Set(70), ..note::draft("a") }], db).await?;
            update_many(note::Entity).col_expr(note::Column::Text, text("b")).exec(db).await?;
            upsert_many([note::ActiveModel { id: Set(70), ..note::draft("c") }], [note::Column::Id], |conflict| conflict.update_column(note::Column::Text)).exec(db).await?;
            delete_many(note::Entity).exec(db).await?;
            Ok(())
        }
        save(&refusing).await.unwrap();
        refusing.transaction_async(async |txn| save(txn).await).await.unwrap();
        // Nested, with links that come and go.
        for tag in [1, 0] {
            let mut am = m.stories[0].clone().into_active_model().into_ex();
            am.title = Set(format!("title {tag}"));
            am.tags.replace_all([m.tags[tag].clone().into_active_model().into_ex()]);
            am.save(&refusing).await.unwrap();
        }
        // Several at once in one transaction.
        let drafts = (0..5).map(|n| note::draft(&n.to_string()));
        let txn = refusing.begin().await.unwrap();
        futures_util::future::try_join_all(drafts.map(|draft| draft.insert(&txn))).await.unwrap();
        txn.commit().await.unwrap();
        capture(note::Entity::find()).around(&refusing, |txn| Box::pin(async move {
            txn.execute_unprepared("UPDATE note SET text = 'raw'").await?;
            let elsewhere = txn.execute_unprepared("UPDATE tag SET name = 'raw'").await.unwrap_err();
            assert!(is_unseen(&elsewhere, "tag"));
            Ok::<_, DbErr>(())
        })).await.unwrap();
        let note = note::Entity::find().one(&db).await.unwrap().unwrap();
        note.record_now(&refusing).await.unwrap();
        assert!(verify(note::Entity).repair().exec(&refusing).await.unwrap().is_clean());
        assert_current(&db).await;
        // And nothing of it covers what comes after.
        assert!(is_unseen(&statement(UPDATE, 1, &refusing).await.unwrap_err(), "note"));
    }

    async fn what_a_users_own_hook_writes_past_the_hooks_is_refused_in_single_saves_too(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_table(&db, meddler::Entity).await;
        blog::create_table(&db, meddler::record::Entity).await;
        blog::note(&db, "a").await;
        let refusing = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);
        let row = || meddler::ActiveModel { name: Set("m".to_owned()), ..Default::default() };
        assert!(is_unseen(&row().insert(&refusing).await.unwrap_err(), "note"));
        let txn = refusing.begin().await.unwrap();
        assert!(is_unseen(&row().insert(&txn).await.unwrap_err(), "note"));
        txn.rollback().await.unwrap();
        assert_eq!(meddler::Entity::find().count(&db).await.unwrap(), 0);
    }

    async fn what_a_failed_save_announced_covers_nothing_later(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "a").await;
        let refusing = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);
        let txn = refusing.begin().await.unwrap();
        let nested = txn.begin().await.unwrap();
        let again = note::ActiveModel { id: Set(note.id), ..note::draft("again") };
        again.insert(&nested).await.unwrap_err();
        nested.rollback().await.unwrap();
        assert!(is_unseen(&statement(UPDATE, note.id, &txn).await.unwrap_err(), "note"));
        // Nor does a capture that is given up.
        let given_up = capture(note::Entity::find()).around_async(&txn, async |_| {
            std::future::pending::<()>().await;
            Ok::<_, DbErr>(())
        });
        let timeout = std::time::Duration::from_millis(200);
        tokio::time::timeout(timeout, given_up).await.unwrap_err();
        assert!(is_unseen(&statement(UPDATE, note.id, &txn).await.unwrap_err(), "note"));
    }

    async fn a_statement_past_the_hooks_is_warned_of_once_for_each_text(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let place = format!("/* {} */ UPDATE note SET text = 'secret'", test.name());
        let (_, warnings) = captured_warnings(async {
            for _ in 0..3 {
                recorded.execute_unprepared(&place).await.unwrap();
            }
        }).await;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("statement=\"UPDATE\" table=\"note\""), "{warnings:?}");
        assert!(!warnings[0].contains("secret"));
    }

    async fn an_update_without_returning_by_the_trait_is_found_by_verify(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "a").await;
        let set = note::ActiveModel { text: Set("b".to_owned()), ..note.into_active_model() };
        ActiveModelTrait::update_without_returning(set, &db).await.unwrap();
        assert_eq!(records(&db).await, 1);
        assert_eq!(verify(note::Entity).repair().exec(&db).await.unwrap().repaired, 1);
    }

    async fn a_row_of_columns_alone_that_is_gone_is_recorded_as_deleted_on_request(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "a").await;
        db.execute_unprepared("DELETE FROM note").await.unwrap();
        for _ in 0..2 {
            note.record_now(&db).await.unwrap();
        }
        let events = note.records().all(&db).await.unwrap().into_iter().map(|record| record.event);
        assert_eq!(events.collect::<Vec<_>>(), [Event::Created, Event::Deleted]);
    }

    async fn whom_the_database_cuts_loose_in_a_delete_by_the_trait_is_recorded_again(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let strict = RecordedConnection::new(db.clone()).strict();
        ModelTrait::delete(m.editors[0].clone(), &strict).await.unwrap_err();
        // The database sets the stories' editor to NULL.
        ModelTrait::delete(m.editors[0].clone(), &db).await.unwrap();
        assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
        assert_current(&db).await;
        story::ActiveModel { editor_id: Set(Some(m.editors[1].id)), ..m.stories[0].clone().into_active_model() }.update(&db).await.unwrap();
        strict.transaction_async(async |txn| ModelTrait::delete(m.editors[1].clone(), txn).await).await.unwrap();
        assert_current(&db).await;
    }

    async fn links_that_a_plain_active_model_makes_are_recorded_and_those_that_it_clears_are_not(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let story = || m.stories[0].clone().into_active_model();
        let tags = |tags: &[usize]| tags.iter().map(|at| m.tags[*at].clone().into_active_model()).collect::<Vec<_>>();
        // They call the hooks of the junction, as a save by the trait does.
        story().establish_links(story_tag::Entity, &tags(&[0, 1]), true, &db).await.unwrap();
        assert!(assert_current(&db).await[&m.stories[0].id].last().unwrap().digest.ends_with("T1,T2"));
        let refusing = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);
        refusing.transaction_async(async |txn| {
            story().establish_links(story_tag::Entity, &tags(&[1]), true, txn).await
        }).await.unwrap();
        assert!(assert_current(&db).await[&m.stories[0].id].last().unwrap().digest.ends_with("; T2"));

        assert!(is_unseen(&story().delete_links(story_tag::Entity, &refusing).await.unwrap_err(), "story_tag"));
        assert_eq!(story().delete_links(story_tag::Entity, &db).await.unwrap().rows_affected, 1);
        assert_eq!(verify(story::Entity).repair().exec(&db).await.unwrap().repaired, 1);
        assert_current(&db).await;
    }

    async fn a_cascading_delete_of_a_model_records_what_goes_with_it(test: TestDb) {
        let db = test.connect().await;
        let m = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        m.stories[0].clone().cascade_delete(&recorded).await.unwrap();
        m.stories[1].clone().cascade_delete(&db).await.unwrap();
        let records = assert_current(&db).await;
        assert!(records.values().all(|records| records.last().unwrap().event == Event::Deleted));
    }

    async fn what_a_trigger_writes_is_recorded_within_a_capture(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "t").await;
        blog::note(&db, "a").await;
        create_trigger(test.engine(), &db).await;
        let recorded = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);
        let renamed = || topic::ActiveModel { name: Set("u".to_owned()), ..topic.clone().into_active_model() };
        renamed().update(&recorded).await.unwrap();
        assert_eq!(records(&db).await, 1);
        capture(note::Entity::find()).around_async(&recorded, async |txn| renamed().update(txn).await).await.unwrap();
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_strict_connection_refuses_what_would_commit_before_its_record(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let strict = RecordedConnection::new(db.clone()).strict();
        let refused = |error: DbErr| assert!(matches!(RecordError::of(&error), Some(RecordError::NotAtomic { entity }) if entity == "note"), "{error}");
        refused(ActiveModelTrait::insert(note::draft("a"), &strict).await.unwrap_err());
        let note = note::draft("a").insert(&strict).await.unwrap();
        let set = || note::ActiveModel { text: Set("b".to_owned()), ..note.clone().into_active_model() };
        refused(ActiveModelTrait::update(set(), &strict).await.unwrap_err());
        refused(ModelTrait::delete(note.clone(), &strict).await.unwrap_err());
        assert_eq!((note::Entity::find().count(&db).await.unwrap(), records(&db).await), (1, 1));
        strict.transaction_async(async |txn| ActiveModelTrait::update(set(), txn).await).await.unwrap();
        note.delete(&strict).await.unwrap();
        assert_eq!(records(&db).await, 3);
    }

    async fn a_transaction_is_run_again_after_errors_that_pass(test: TestDb) {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let raise = match test.engine() {
            // SQLite has nothing to raise such an error with; other errors are not tried again.
            Engine::Sqlite => "SELECT nothing",
            Engine::Postgres => "DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$",
            Engine::MariaDb => "SIGNAL SQLSTATE '40001'",
        };
        let runs = AtomicUsize::new(0);
        let result = recorded.transaction_retrying(5, |txn| {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                note::draft("a").insert(txn).await?;
                if run < 2 {
                    txn.execute_unprepared(raise).await?;
                }
                Ok(run)
            })
        }).await;
        match test.engine() {
            Engine::Sqlite => {
                result.unwrap_err();
                assert_eq!((runs.into_inner(), records(&db).await), (1, 0));
            }
            _ => assert_eq!((result.unwrap(), records(&db).await), (2, 1)),
        }
        let runs = AtomicUsize::new(0);
        let always = recorded.transaction_retrying(3, |txn| {
            runs.fetch_add(1, Ordering::Relaxed);
            Box::pin(txn.execute_unprepared(raise))
        }).await;
        let expected = if test.engine() == Engine::Sqlite { 1 } else { 3 };
        assert_eq!(runs.into_inner(), expected);
        assert_eq!(sea_orm_record::is_retryable(&always.unwrap_err()), test.engine() != Engine::Sqlite);
    }

    /// Of SQLite, which has one writer at a time: whoever waits longer than its timeout is told so.
    async fn a_transaction_is_run_again_where_the_file_was_busy(test: TestDb) {
        if test.engine() != Engine::Sqlite {
            return;
        }
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let impatient = test.connect_with(|options| {
            options.map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(Duration::from_millis(20)));
        }).await;
        let recorded = RecordedConnection::new(impatient);
        let insert = |times| recorded.transaction_retrying(times, |txn| Box::pin(note::draft("a").insert(txn)));
        let hold = || db.begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        });

        let holder = hold().await.unwrap();
        let error = insert(2).await.unwrap_err();
        assert!(sea_orm_record::is_retryable(&error), "{error}");
        let release = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            holder.rollback().await
        };
        let (inserted, released) = tokio::join!(insert(10_000), release);
        released.unwrap();
        inserted.unwrap();
        assert_eq!(records(&db).await, 1);
    }
}
