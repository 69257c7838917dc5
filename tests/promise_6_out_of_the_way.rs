//! Promise 6, out of the way: what recording costs in statements, against the same work without it.
//!
//! `BEGIN`, `COMMIT` and savepoints are not statements here. What SeaORM itself sends more of on
//! MariaDB, which has no RETURNING, the plain twin sends as well.

use sea_orm::{
    ActiveModelTrait, DatabaseConnection, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait,
    Set, TransactionTrait,
};
use sea_orm_record::RecordedConnection;

use crate::blog::{self, article, create_table, note, plain};
use crate::harness::each_database;

async fn create_everything(db: &DatabaseConnection) {
    blog::create_notes(db).await;
    blog::create_tables(db).await;
    create_table(db, plain::note::Entity).await;
    create_table(db, plain::hooked::Entity).await;
    create_table(db, plain::topic::Entity).await;
    create_table(db, plain::article::Entity).await;
}

/// A lock for each thing that is watched, which SQLite does not need.
fn locks(db: &DatabaseConnection, watches: usize) -> usize {
    match db.get_database_backend() {
        DbBackend::Sqlite => 0,
        _ => watches,
    }
}

/// How many statements more `work` sends than `twin`.
macro_rules! more {
    ($counter:expr, $twin:expr, $work:expr) => {{
        $counter.clear();
        $twin;
        let twin = $counter.take();
        $work;
        let statements = $counter.take_statements();
        println!("{twin} and {}: {statements:#?}", statements.len());
        statements.len() - twin
    }};
}

async fn plain_note(db: &DatabaseConnection) -> plain::note::Model {
    let note = plain::note::ActiveModel {
        text: Set("0".to_owned()),
        stars: Set(0),
        ..Default::default()
    };
    note.insert(db).await.unwrap()
}

fn text<A: ActiveModelTrait>(mut note: A, text: &str) -> A {
    use sea_orm::{IdenStatic, Iterable};
    let column = <A::Entity as EntityTrait>::Column::iter()
        .find(|column| ["text", "name", "title"].contains(&column.as_str()));
    note.set(column.unwrap(), text.into());
    note
}

each_database! {
    async fn a_recorded_save_costs_one_statement(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let plain = plain_note(&db).await;
        let insert = more!(counter, plain_note(&db).await, blog::note(&db, "0").await);
        assert_eq!(insert, 1);
        let note = blog::note(&db, "0").await;
        let update = more!(
            counter,
            text(plain.clone().into_active_model(), "1").update(&db).await.unwrap(),
            text(note.clone().into_active_model(), "1").update(&db).await.unwrap()
        );
        assert_eq!(update, 1);
        let nothing = more!(
            counter,
            plain::note::ActiveModel { stars: Set(1), ..plain.clone().into_active_model() }.update(&db).await.unwrap(),
            note::ActiveModel { stars: Set(1), ..note.clone().into_active_model() }.update(&db).await.unwrap()
        );
        assert!(nothing <= 1, "{nothing}");
        let save = more!(
            counter,
            text(plain.clone().into_active_model(), "2").save(&db).await.unwrap(),
            text(note.clone().into_active_model(), "2").save(&db).await.unwrap()
        );
        assert_eq!(save, 1);
        // The row has to be read once for its record.
        let blind = more!(
            counter,
            text(plain.clone().into_active_model(), "3").update_without_returning(&db).await.unwrap(),
            text(note.clone().into_active_model(), "3").update_without_returning(&db).await.unwrap()
        );
        assert_eq!(blind, 2);
        let delete = more!(
            counter,
            sea_orm::ModelTrait::delete(plain, &db).await.unwrap(),
            note.delete(&db).await.unwrap()
        );
        assert_eq!(delete, 1);
    }

    async fn a_recorded_save_costs_the_same_in_a_plain_transaction_and_on_a_recording_connection(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let insert = more!(counter, plain_note(&db).await, blog::note(&recorded, "0").await);
        assert_eq!(insert, 1);
        let txn = db.begin().await.unwrap();
        let insert = more!(counter, plain_note(&db).await, blog::note(&txn, "0").await);
        assert_eq!(insert, 1);
        txn.commit().await.unwrap();
    }

    async fn hooks_cost_nothing_where_nothing_is_recorded_or_watched(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let hooked = || plain::hooked::ActiveModel { text: Set("0".to_owned()), stars: Set(0), ..Default::default() };
        let insert = more!(counter, plain_note(&db).await, hooked().insert(&db).await.unwrap());
        assert_eq!(insert, 0);
        let plain = plain_note(&db).await;
        let row = hooked().insert(&db).await.unwrap();
        let update = more!(
            counter,
            text(plain.clone().into_active_model(), "1").update(&db).await.unwrap(),
            text(row.clone().into_active_model(), "1").update(&db).await.unwrap()
        );
        assert_eq!(update, 0);
        let blind = more!(
            counter,
            text(plain.clone().into_active_model(), "2").update_without_returning(&db).await.unwrap(),
            text(row.clone().into_active_model(), "2").update_without_returning(&db).await.unwrap()
        );
        assert_eq!(blind, 0);
        let delete = more!(
            counter,
            sea_orm::ModelTrait::delete(plain, &db).await.unwrap(),
            row.delete(&db).await.unwrap()
        );
        assert_eq!(delete, 0);
    }

    async fn a_watched_save_without_dependents_costs_one_statement(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let plain = || plain::topic::ActiveModel { name: Set("0".to_owned()), ..Default::default() };
        let insert = more!(counter, plain().insert(&db).await.unwrap(), blog::topic(&db, "0").await);
        assert!(insert <= 1, "{insert}");
        let plain = plain().insert(&db).await.unwrap();
        let topic = blog::topic(&db, "0").await;
        let update = more!(
            counter,
            text(plain.clone().into_active_model(), "1").update(&db).await.unwrap(),
            text(topic.clone().into_active_model(), "1").update(&db).await.unwrap()
        );
        assert_eq!(update, 1);
    }

    async fn a_save_that_watches_costs_its_property_and_where_it_is_new_or_moved_a_lock(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let topics = [blog::topic(&db, "0").await, blog::topic(&db, "1").await];
        let plain_topic = plain::topic::ActiveModel { name: Set("0".to_owned()), ..Default::default() };
        let plain_topic = plain_topic.insert(&db).await.unwrap();
        let plain = || plain::article::ActiveModel {
            topic_id: Set(plain_topic.id),
            title: Set("0".to_owned()),
            text: Set("0".to_owned()),
            views: Set(0),
            ..Default::default()
        };
        // The record, and the topics that the property reads.
        let insert = more!(counter, plain().insert(&db).await.unwrap(), blog::article(&db, &topics[0], "0").await);
        assert_eq!(insert, 2 + locks(&db, 1));
        let plain = plain().insert(&db).await.unwrap();
        let article = blog::article(&db, &topics[0], "0").await;
        let update = more!(
            counter,
            text(plain.clone().into_active_model(), "1").update(&db).await.unwrap(),
            text(article.clone().into_active_model(), "1").update(&db).await.unwrap()
        );
        assert_eq!(update, 2);
        let moved = more!(
            counter,
            plain::article::ActiveModel { topic_id: Set(plain_topic.id), ..plain.clone().into_active_model() }.update(&db).await.unwrap(),
            article::ActiveModel { topic_id: Set(topics[1].id), ..article.clone().into_active_model() }.update(&db).await.unwrap()
        );
        assert_eq!(moved, 2 + locks(&db, 1));
        let delete = more!(
            counter,
            sea_orm::ModelTrait::delete(plain, &db).await.unwrap(),
            article.delete(&db).await.unwrap()
        );
        assert_eq!(delete, 1);
    }

    async fn a_transaction_of_a_thousand_updates_costs_a_few_statements(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let plain_drafts = (0..1_000).map(|_| plain::note::ActiveModel { text: Set("0".to_owned()), stars: Set(0), ..Default::default() });
        plain::note::Entity::insert_many(plain_drafts).exec(&db).await.unwrap();
        note::Entity::insert_many((0..1_000).map(|_| note::draft("0"))).exec(&db).await.unwrap();
        let topic = blog::topic(&db, "topic").await;
        article::Entity::insert_many((0..1_000).map(|_| article::draft(topic.id, "0"))).exec(&db).await.unwrap();

        let plains = plain::note::Entity::find().all(&db).await.unwrap();
        let notes = note::Entity::find().all(&db).await.unwrap();
        let articles = article::Entity::find().all(&db).await.unwrap();
        counter.clear();
        let txn = db.begin().await.unwrap();
        for row in plains {
            text(row.into_active_model(), "1").update(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        let twin = counter.take();

        let txn = recorded.begin().await.unwrap();
        for row in notes {
            text(row.into_active_model(), "1").update(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        let columns_alone = counter.take() - twin;
        assert!(columns_alone <= 4, "{columns_alone}");
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 1_000);

        counter.clear();
        let txn = recorded.begin().await.unwrap();
        for row in articles {
            text(row.into_active_model(), "1").update(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        let with_properties = counter.take() - twin;
        assert!(with_properties <= 4, "{with_properties}");
        assert_eq!(article::record::Entity::find().count(&db).await.unwrap(), 1_000);
        println!("{columns_alone} {with_properties}");
    }

    async fn a_watched_row_with_ten_thousand_dependents_costs_a_few_statements_a_thousand(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let topic = blog::topic(&db, "topic").await;
        for _ in 0..10 {
            article::Entity::insert_many((0..1_000).map(|_| article::draft(topic.id, "0"))).exec(&db).await.unwrap();
        }
        for (name, recorded) in [("first", 10_000), ("second", 20_000)] {
            counter.clear();
            text(topic.clone().into_active_model(), name).update(&db).await.unwrap();
            let statements = counter.take();
            println!("{statements}");
            assert!(statements <= 50, "{statements}");
            assert_eq!(article::record::Entity::find().count(&db).await.unwrap(), recorded);
        }
    }

    async fn a_pause_costs_nothing(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_everything(&db).await;
        let paused = RecordedConnection::new(db.clone()).without_recording();
        let insert = more!(counter, plain_note(&db).await, blog::note(&paused, "0").await);
        assert_eq!(insert, 0);
        let (plain, note) = (plain_note(&db).await, blog::note(&paused, "0").await);
        let blind = more!(
            counter,
            text(plain.into_active_model(), "1").update_without_returning(&db).await.unwrap(),
            text(note.into_active_model(), "1").update_without_returning(&paused).await.unwrap()
        );
        assert_eq!(blind, 0);
        plain_note(&db).await;
        let twin = counter.take();
        let txn = paused.begin().await.unwrap();
        blog::note(&txn, "0").await;
        txn.commit().await.unwrap();
        assert_eq!(counter.take(), twin);
    }
}
