//! `backfill`: first records of rows that were there before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{SubsecRound, TimeDelta, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait, QueryOrder,
    Set, TransactionTrait,
};
use sea_orm_record::{
    Backfilled, Context, Event, Recorded, RecordedConnection, RecordedModel, backfill,
    is_retryable, verify,
};

use crate::blog::{self, article, note};
use crate::harness::{each_database, once_held_up};

/// Keys of two columns.
pub mod pallet {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(load))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bf_pallet")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub depot: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub load: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A key of text, and a property that may be unknown.
mod label {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(text), properties(length: Option<i32>))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bf_label")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub text: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|label| record::Properties {
                length: Some(label.text.len() as i32),
            })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

async fn insert_raw(db: &DatabaseConnection, ids: std::ops::RangeInclusive<i32>) {
    let rows: Vec<_> = ids
        .map(|id| note::ActiveModel {
            id: Set(id),
            ..note::draft("raw")
        })
        .collect();
    for rows in rows.chunks(1_000) {
        let insert = note::Entity::insert_many(rows.to_vec());
        insert.exec(db).await.unwrap();
    }
}

fn numbers(done: Backfilled) -> (u64, u64) {
    (done.rows, done.records)
}

/// The events of each note, in the order of time.
async fn events(db: &DatabaseConnection) -> BTreeMap<i32, Vec<Event>> {
    let mut events: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
    for record in records.all(db).await.unwrap() {
        let of_row = events.entry(record.recording_id).or_default();
        of_row.push(record.event);
    }
    events
}

each_database! {
    async fn rows_without_a_record_get_one_and_others_are_left_alone(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let known = blog::note(&db, "known").await;
        let gone = blog::note(&db, "gone").await;
        gone.clone().delete(&db).await.unwrap();
        insert_raw(&db, 11..=13).await;
        note::Entity::insert(gone.clone().into_active_model()).exec(&db).await.unwrap();
        db.execute_unprepared(&format!("UPDATE note SET text = 'raw' WHERE id = {}", known.id)).await.unwrap();

        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice"));
        let before = Utc::now() - TimeDelta::milliseconds(1);
        assert_eq!(numbers(backfill(note::Entity).exec(&alice).await.unwrap()), (5, 3));
        let found = events(&db).await;
        for id in 11..=13 {
            assert_eq!(found[&id], [Event::Backfilled]);
            let record = note::Entity::records_of(id).one(&db).await.unwrap().unwrap();
            assert_eq!((record.text.as_str(), record.actor.as_deref()), ("raw", Some("alice")));
            assert!(record.recorded_at >= before && record.recorded_at <= Utc::now());
        }
        assert_eq!(found[&known.id], [Event::Created]);
        assert_eq!(found[&gone.id], [Event::Created, Event::Deleted]);
        assert_eq!(numbers(backfill(note::Entity).exec(&db).await.unwrap()), (5, 0));
    }

    async fn keys_of_text_and_of_several_columns_are_gone_through_in_their_order(test: TestDb) {
        let db = test.connect().await;
        blog::create_table(&db, pallet::Entity).await;
        blog::create_table(&db, pallet::record::Entity).await;
        blog::create_table(&db, label::Entity).await;
        blog::create_table(&db, label::record::Entity).await;
        let code = |n: i32| format!("{}{n}", ["x", "Y", "ä", "'"][n as usize % 4]);
        for depot in 1..=3 {
            let rows = (0..850).map(|n| pallet::ActiveModel { depot: Set(depot), code: Set(code(n)), load: Set(format!("{depot}/{n}")) });
            pallet::Entity::insert_many(rows).exec(&db).await.unwrap();
        }
        for from in [0, 1_000] {
            let rows = (from..from + 1_000).map(|n| label::ActiveModel { code: Set(code(n)), text: Set("x".repeat(n as usize % 7)) });
            label::Entity::insert_many(rows).exec(&db).await.unwrap();
        }
        assert_eq!(numbers(backfill(pallet::Entity).exec(&db).await.unwrap()), (2_550, 2_550));
        assert!(verify(pallet::Entity).exec(&db).await.unwrap().is_clean());
        assert_eq!(pallet::record::Entity::find().count(&db).await.unwrap(), 2_550);
        assert_eq!(numbers(backfill(pallet::Entity).exec(&db).await.unwrap()), (2_550, 0));
        let (total, rest) = (2_550, backfill(pallet::Entity).after((2, code(3))).exec(&db).await.unwrap());
        assert!(rest.rows > 850 && rest.rows < total - 850, "{rest:?}");

        assert_eq!(numbers(backfill(label::Entity).exec(&db).await.unwrap()), (2_000, 2_000));
        assert!(verify(label::Entity).exec(&db).await.unwrap().is_clean());
        assert_eq!(label::record::Entity::find().count(&db).await.unwrap(), 2_000);
    }

    async fn an_empty_table_is_done_at_once(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&seen);
        let run = backfill(note::Entity).progress(move |progress| to.lock().unwrap().push((progress.so_far, progress.key)));
        assert_eq!(run.exec(&db).await.unwrap(), Backfilled::default());
        assert_eq!(*seen.lock().unwrap(), [(Backfilled::default(), None)]);
    }

    async fn a_chunk_takes_two_statements_and_three_with_properties(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        insert_raw(&db, 1..=12_500).await;
        let topic = blog::topic(&db, "t").await;
        for _ in 0..2 {
            let rows = (0..1_000).map(|_| article::draft(topic.id, "title"));
            article::Entity::insert_many(rows).exec(&db).await.unwrap();
        }
        article::Entity::insert(article::draft(topic.id, "title")).exec(&db).await.unwrap();
        counter.clear();
        assert_eq!(numbers(backfill(note::Entity).exec(&db).await.unwrap()), (12_500, 12_500));
        counter.assert(3 * 2);
        assert_eq!(numbers(backfill(article::Entity).exec(&db).await.unwrap()), (2_001, 2_001));
        counter.assert(3 * 3);
        assert!(verify(article::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn it_goes_on_after_a_key_and_after_being_killed(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_raw(&db, 1..=24_500).await;
        assert_eq!(numbers(backfill(note::Entity).after(24_000).exec(&db).await.unwrap()), (500, 500));

        let reached = Arc::new(tokio::sync::Notify::new());
        let (to, of) = (Arc::clone(&reached), db.clone());
        let running = tokio::spawn(async move {
            let run = backfill(note::Entity).progress(move |progress| {
                if progress.so_far.rows == 10_000 {
                    to.notify_one();
                }
            });
            run.exec(&of).await
        });
        reached.notified().await;
        running.abort();
        let _ = running.await;
        // With sqlx on MariaDB, a BEGIN that is given up leaves its transaction open in the pool.
        db.close().await.unwrap();
        let db = test.connect().await;
        let recorded = note::record::Entity::find().count(&db).await.unwrap();
        assert!(recorded >= 10_500 && recorded % 500 == 0, "{recorded} records");
        let rest = backfill(note::Entity).exec(&db).await.unwrap();
        assert_eq!(numbers(rest), (24_500, 24_500 - recorded));
        let found = events(&db).await;
        assert_eq!(found.len(), 24_500);
        assert!(found.values().all(|events| *events == [Event::Backfilled]));
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_row_that_is_being_saved_is_waited_for_and_its_own_record_is_the_first(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_raw(&db, 1..=3).await;
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await.unwrap();
        let row = note::ActiveModel { id: Set(2), text: Set("saved".to_owned()), ..Default::default() };
        row.update(&txn).await.unwrap();
        let (filled, committed) = once_held_up(&db, backfill(note::Entity).exec(&db), txn.commit()).await;
        committed.unwrap();
        assert_eq!(numbers(filled.unwrap()), (3, 2));
        assert_eq!(events(&db).await[&2], [Event::Updated]);
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn saves_go_on_beside_it_and_no_row_gets_two_first_records(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_raw(&db, 1..=6_000).await;
        let of = db.clone();
        let running = tokio::spawn(async move {
            let (first, second) = tokio::join!(backfill(note::Entity).exec(&of), backfill(note::Entity).exec(&of));
            (first.unwrap(), second.unwrap())
        });
        let mut n = 0;
        while !running.is_finished() {
            n += 1;
            let id = n * 7_919 % 6_000 + 1;
            let row = note::ActiveModel { id: Set(id), text: Set(format!("saved {n}")), ..Default::default() };
            let saved = match n % 4 {
                0 => note::ActiveModel { id: Set(100_000 + n), ..note::draft("new") }.insert(&db).await.map(drop),
                1 => row.delete(&db).await.map(drop),
                _ => row.update(&db).await.map(drop),
            };
            match saved {
                Err(sea_orm::DbErr::RecordNotUpdated) => {}
                Err(error) => assert!(is_retryable(&error), "{error:?}"),
                Ok(()) => {}
            }
        }
        let (first, second) = running.await.unwrap();
        assert!(first.records + second.records > 0);
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
        for (id, events) in events(&db).await {
            let firsts = events.iter().skip(1).filter(|event| matches!(event, Event::Backfilled | Event::Created));
            assert_eq!(firsts.count(), 0, "{id}: {events:?}");
        }
    }

    async fn what_is_recorded_since_later_is_on_record_from_then_on(test: TestDb) {
        let db = test.connect().await;
        blog::create_table(&db, label::Entity).await;
        blog::create_table(&db, label::record::Entity).await;
        let insert = async |code: &str, text: &str| {
            let row = label::ActiveModel { code: Set(code.to_owned()), text: Set(text.to_owned()) };
            row.insert(&db).await.unwrap()
        };
        let (old, new) = (insert("a", "one").await, insert("b", "three").await);
        db.execute_unprepared("UPDATE bf_label_record SET length = NULL WHERE recording_id = 'a'").await.unwrap();
        assert_eq!(numbers(backfill(label::Entity).exec(&db).await.unwrap()), (2, 0));
        assert_eq!(numbers(backfill(label::Entity).differing().exec(&db).await.unwrap()), (2, 1));
        let records = old.records().order_by_asc(label::record::Column::RecordedAt).all(&db).await.unwrap();
        let lengths: Vec<_> = records.iter().map(|record| (record.event, record.length)).collect();
        assert_eq!(lengths, [(Event::Created, None), (Event::Backfilled, Some(3))]);
        assert_eq!(new.records().count(&db).await.unwrap(), 1);
        assert_eq!(numbers(backfill(label::Entity).differing().exec(&db).await.unwrap()), (2, 0));
    }

    async fn a_past_time_of_the_context_is_that_of_the_records(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_raw(&db, 1..=2).await;
        let then = (Utc::now() - TimeDelta::days(1)).trunc_subsecs(6);
        let past = RecordedConnection::new(db.clone()).with_context(Context::new().clock(then));
        assert_eq!(numbers(backfill(note::Entity).exec(&past).await.unwrap()), (2, 2));
        assert_eq!(numbers(backfill(note::Entity).exec(&past).await.unwrap()), (2, 0));
        let records = note::record::Entity::find().all(&db).await.unwrap();
        assert!(records.iter().all(|record| record.recorded_at == then));
    }

    async fn in_a_recorded_transaction_what_was_saved_before_is_recorded_as_that(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let row = blog::note(&txn, "a").await;
        assert_eq!(numbers(backfill(note::Entity).exec(&txn).await.unwrap()), (1, 0));
        txn.commit().await.unwrap();
        let records = row.records().all(&db).await.unwrap();
        assert_eq!(records.iter().map(|record| record.event).collect::<Vec<_>>(), [Event::Created]);
    }

    async fn in_a_transaction_of_yours_it_is_part_of_that(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_raw(&db, 1..=1_200).await;
        let txn = db.begin().await.unwrap();
        assert_eq!(numbers(backfill(note::Entity).exec(&txn).await.unwrap()), (1_200, 1_200));
        txn.rollback().await.unwrap();
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 0);
    }
}
