//! Code that is generic over `C: ConnectionTrait`, and calls SeaORM's traits as it finds them.

use async_trait::async_trait;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseExecutor, DbBackend, DbErr,
    EntityTrait, ExecResult, IntoActiveModel, ModelTrait, QueryOrder, QueryResult, Set, Statement,
    TransactionTrait,
};
use sea_orm_record::{Event, RecordError, RecordedConnection, UnseenWrites, hooks, verify};

use crate::blog::{self, article, note, topic};
use crate::harness::{Counter, Engine, TestDb, each_database};
use crate::magazine::{Magazine, assert_current, story_tag};

/// A wrapper of the user's own, for example one that logs.
struct Wrapper<'w, C>(&'w C);

#[async_trait]
impl<C: ConnectionTrait> ConnectionTrait for Wrapper<'_, C> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, stmt: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(stmt).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, stmt: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.0.query_one_raw(stmt).await
    }

    async fn query_all_raw(&self, stmt: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.0.query_all_raw(stmt).await
    }
}

/// A repository, as one finds them: it knows nothing of recording.
async fn by_traits<C: ConnectionTrait>(db: &C) -> Result<(), DbErr> {
    let topic = topic::ActiveModel {
        name: Set("t".to_owned()),
        ..Default::default()
    };
    let topic = ActiveModelTrait::insert(topic, db).await?;
    let article = ActiveModelTrait::insert(article::draft(topic.id, "a"), db).await?;
    let named = article::ActiveModel {
        title: Set("b".to_owned()),
        ..article.into_active_model()
    };
    let article = ActiveModelTrait::save(named, db).await?;
    let renamed = topic::ActiveModel {
        name: Set("u".to_owned()),
        ..topic.clone().into_active_model()
    };
    ActiveModelTrait::update(renamed, db).await?;
    let article = sea_orm::TryIntoModel::try_into_model(article)?;
    ModelTrait::delete(article, db).await?;
    ModelTrait::delete(topic, db).await?;
    let note = ActiveModelTrait::insert(note::draft("a"), db).await?;
    let set = note::ActiveModel {
        text: Set("b".to_owned()),
        ..note.clone().into_active_model()
    };
    ActiveModelTrait::update(set, db).await?;
    ActiveModelTrait::delete(note.into_active_model(), db).await?;
    Ok(())
}

/// The same with the methods that come with hooks, which the compiler prefers where it can.
async fn by_methods<C: ConnectionTrait>(db: &C) -> Result<(), DbErr> {
    let topic = topic::ActiveModel {
        name: Set("t".to_owned()),
        ..Default::default()
    };
    let topic = topic.insert(db).await?;
    let article = article::draft(topic.id, "a").insert(db).await?;
    let named = article::ActiveModel {
        title: Set("b".to_owned()),
        ..article.into_active_model()
    };
    let article = named.save(db).await?;
    let renamed = topic::ActiveModel {
        name: Set("u".to_owned()),
        ..topic.clone().into_active_model()
    };
    renamed.update(db).await?;
    let article = sea_orm::TryIntoModel::try_into_model(article)?;
    article.delete(db).await?;
    topic.delete(db).await?;
    let note = note::draft("a").insert(db).await?;
    let set = note::ActiveModel {
        text: Set("b".to_owned()),
        ..note.clone().into_active_model()
    };
    set.update_without_returning(db).await?;
    note.into_active_model().delete(db).await?;
    Ok(())
}

/// Generic over the active model as well: only the traits are in sight.
async fn rename<A, C>(row: A, column: <A::Entity as EntityTrait>::Column, name: &str, db: &C)
where
    A: ActiveModelTrait + sea_orm::ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    C: ConnectionTrait,
{
    let mut row = row;
    row.set(column, name.into());
    row.update(db).await.unwrap();
}

/// What has been recorded of articles and notes since it was last asked, and forgets it.
async fn take(db: &DatabaseConnection) -> (Vec<(Event, String)>, Vec<(Event, String)>) {
    let articles =
        article::record::Entity::find().order_by_asc(article::record::Column::RecordedAt);
    let articles = articles.all(db).await.unwrap();
    let notes = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
    let notes = notes.all(db).await.unwrap();
    article::record::Entity::delete_many()
        .exec(db)
        .await
        .unwrap();
    note::record::Entity::delete_many().exec(db).await.unwrap();
    (
        articles
            .into_iter()
            .map(|record| (record.event, record.headline))
            .collect(),
        notes
            .into_iter()
            .map(|record| (record.event, record.text))
            .collect(),
    )
}

type Steps = Vec<(Event, String)>;

fn each_step() -> (Steps, Steps) {
    let articles = [
        (Event::Created, "t: a"),
        (Event::Updated, "t: b"),
        (Event::Related, "u: b"),
        (Event::Deleted, "u: b"),
    ];
    let notes = [
        (Event::Created, "a"),
        (Event::Updated, "b"),
        (Event::Deleted, "b"),
    ];
    let owned = |(event, text): (Event, &str)| (event, text.to_owned());
    (articles.map(owned).to_vec(), notes.map(owned).to_vec())
}

/// Both functions with every kind of connection.
macro_rules! both {
    (|$work:ident| $body:expr) => {{
        {
            use by_traits as $work;
            $body
        }
        {
            use by_methods as $work;
            $body
        }
    }};
}

each_database! {
    async fn a_pool_records_each_save(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        both!(|work| {
            work(&db).await.unwrap();
            assert_eq!(take(&db).await, each_step());
        });
    }

    async fn a_recording_connection_records_each_save(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        both!(|work| {
            work(&recorded).await.unwrap();
            assert_eq!(take(&db).await, each_step());
        });
    }

    async fn a_plain_transaction_records_each_save(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        both!(|work| {
            let txn = db.begin().await.unwrap();
            work(&txn).await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(take(&db).await, each_step());
            let txn = db.begin().await.unwrap();
            work(&txn).await.unwrap();
            txn.rollback().await.unwrap();
            assert_eq!(take(&db).await, (vec![], vec![]));
        });
    }

    async fn an_executor_is_what_it_stands_for(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        both!(|work| {
            work(&DatabaseExecutor::from(&db)).await.unwrap();
            assert_eq!(take(&db).await, each_step());
            let txn = db.begin().await.unwrap();
            work(&DatabaseExecutor::from(&txn)).await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(take(&db).await, each_step());
            let txn = DatabaseExecutor::OwnedTransaction(db.begin().await.unwrap());
            work(&txn).await.unwrap();
            drop(txn);
            assert_eq!(take(&db).await, (vec![], vec![]));
        });
    }

    async fn a_wrapper_of_the_users_is_taken_for_a_transaction(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        both!(|work| {
            let txn = db.begin().await.unwrap();
            work(&Wrapper(&txn)).await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(take(&db).await, each_step());
        });
    }

    /// Nothing tells that it is a pool. A row is recorded as it stands and not as it was returned, so
    /// that what was saved meanwhile is not taken back.
    async fn a_wrapper_of_a_pool_records_the_row_as_it_stands(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        both!(|work| {
            work(&Wrapper(&db)).await.unwrap();
            assert_eq!(take(&db).await, each_step());
        });
        let note = blog::note(&db, "0").await;
        let set = |text: &str| note::ActiveModel { text: Set(text.to_owned()), ..note.clone().into_active_model() };
        let first = set("1").update(&db).await.unwrap();
        set("2").update(&db).await.unwrap();
        let wrapper = Wrapper(&db);
        hooks::after_save::<note::ActiveModel, _>(first, &wrapper, false).await.unwrap();
        let notes = take(&db).await.1;
        assert_eq!(notes.last().unwrap(), &(Event::Updated, "2".to_owned()));
        assert_eq!(notes.len(), 3);
    }

    /// What SeaORM announces to the hooks and sends covers one statement, whatever becomes of it.
    async fn what_a_trait_announces_covers_nothing_later(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let m = Magazine::new(&db).await;
        let note = blog::note(&db, "0").await;
        let refusing = RecordedConnection::new(db.clone()).with_unseen_writes(UnseenWrites::Refuse);
        let txn = refusing.begin().await.unwrap();
        let is_refused = async |table: &str| {
            let error = txn.execute_unprepared(&format!("DELETE FROM {table}")).await.unwrap_err();
            matches!(RecordError::of(&error), Some(RecordError::Unseen { table: of, .. }) if of == table)
        };
        // It has no `after_save`.
        let set = note::ActiveModel { text: Set("1".to_owned()), ..note.clone().into_active_model() };
        ActiveModelTrait::update_without_returning(set, &txn).await.unwrap();
        assert!(is_refused("note").await);
        // The database refuses it.
        let nested = txn.begin().await.unwrap();
        let again = note::ActiveModel { id: Set(note.id), ..note::draft("again") };
        ActiveModelTrait::insert(again, &nested).await.unwrap_err();
        nested.rollback().await.unwrap();
        assert!(is_refused("note").await);
        // One of the links is there already.
        let tags = [m.tags[0].clone().into_active_model(), m.tags[1].clone().into_active_model()];
        let story = m.stories[0].clone().into_active_model();
        ActiveModelTrait::establish_links(&story, story_tag::Entity, &tags, false, &txn).await.unwrap();
        assert!(is_refused("story_tag").await);
        txn.commit().await.unwrap();
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
        assert_current(&db).await;
    }

    /// SeaORM calls no hook after it, but one before.
    async fn an_update_without_returning_by_the_trait_is_recorded_in_a_recorded_transaction(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "t").await;
        let article = blog::article(&db, &topic, "a").await;
        let note = blog::note(&db, "0").await;
        take(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await.unwrap();
        let renamed = topic::ActiveModel { name: Set("u".to_owned()), ..topic.into_active_model() };
        ActiveModelTrait::update_without_returning(renamed, &txn).await.unwrap();
        let set = note::ActiveModel { text: Set("1".to_owned()), ..note.into_active_model() };
        ActiveModelTrait::update_without_returning(set, &txn).await.unwrap();
        txn.commit().await.unwrap();
        let (articles, notes) = take(&db).await;
        assert_eq!(articles, [(Event::Related, "u: a".to_owned())]);
        assert_eq!(notes, [(Event::Updated, "1".to_owned())]);
        let txn = recorded.begin().await.unwrap();
        let set = article::ActiveModel { title: Set("b".to_owned()), ..article.into_active_model() };
        ActiveModelTrait::update_without_returning(set, &txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(take(&db).await.0, [(Event::Updated, "u: b".to_owned())]);
    }

    async fn a_recorded_transaction_records_what_is_left(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        both!(|work| {
            let txn = recorded.begin().await.unwrap();
            work(&txn).await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(take(&db).await, (vec![], vec![]));
        });
    }

    async fn code_that_is_generic_over_the_entity_records_as_well(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let note = blog::note(&db, "0").await;
        let topic = blog::topic(&db, "t").await;
        blog::article(&db, &topic, "a").await;
        take(&db).await;
        rename(note.clone().into_active_model(), note::Column::Text, "1", &db).await;
        rename(topic.clone().into_active_model(), topic::Column::Name, "u", &db).await;
        let txn = db.begin().await.unwrap();
        rename(note.clone().into_active_model(), note::Column::Text, "2", &txn).await;
        rename(topic.clone().into_active_model(), topic::Column::Name, "v", &txn).await;
        txn.commit().await.unwrap();
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        rename(note.into_active_model(), note::Column::Text, "3", &txn).await;
        rename(topic.into_active_model(), topic::Column::Name, "w", &txn).await;
        txn.commit().await.unwrap();
        let (articles, notes) = take(&db).await;
        // The first finds no record, for they were taken; and so does the rename.
        assert_eq!(articles, ["u: a", "v: a", "w: a"].map(|text| (Event::Related, text.to_owned())));
        assert_eq!(notes, ["1", "2", "3"].map(|text| (Event::Updated, text.to_owned())));
    }

    async fn a_row_that_a_trait_has_written_is_recorded_though_its_record_must_wait(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            // Whoever keeps its record from being written keeps the row from it.
            return;
        }
        let (mut db, other) = (impatient(&test).await, test.connect().await);
        let counter = Counter::of(&mut db);
        blog::create_notes(&db).await;
        let note = blog::note(&db, "before").await;
        let locked = other.begin().await.unwrap();
        let (lock, unlock) = match test.engine() {
            Engine::MariaDb => ("LOCK TABLES note_record WRITE", "UNLOCK TABLES"),
            _ => ("LOCK TABLE note_record IN EXCLUSIVE MODE", "SELECT 1"),
        };
        locked.execute_unprepared(lock).await.unwrap();
        let renamed = note::ActiveModel { text: Set("after".to_owned()), ..note.into_active_model() };
        counter.clear();
        let saving = tokio::spawn(async move { ActiveModelTrait::update(renamed, &db).await });
        // One statement has waited for the lock for as long as it may.
        let is_of_a_record = |sql: &String| sql.contains("INSERT INTO") && sql.contains("note_record");
        while !counter.statements().iter().any(is_of_a_record) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(!saving.is_finished());
        locked.execute_unprepared(unlock).await.unwrap();
        locked.commit().await.unwrap();
        saving.await.unwrap().unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
        let texts: Vec<_> = records.all(&other).await.unwrap().into_iter().map(|record| record.text).collect();
        assert_eq!(texts, ["before", "after"]);
    }
}

/// A pool of one connection, whose statements wait for a lock for a second at most.
async fn impatient(test: &TestDb) -> DatabaseConnection {
    let db = test
        .connect_with(|options| {
            options.max_connections(1);
            options.map_sqlx_postgres_opts(|postgres| postgres.options([("lock_timeout", "1s")]));
        })
        .await;
    if test.engine() == Engine::MariaDb {
        let wait = "SET SESSION lock_wait_timeout = 1";
        db.execute_unprepared(wait).await.unwrap();
    }
    db
}
