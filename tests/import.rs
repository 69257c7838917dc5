//! `import`: a past that was kept elsewhere.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sea_orm::{
    DatabaseConnection, EntityTrait, IntoActiveModel, QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{
    Event, Imported, RecordError, RecordQuery, Recorded, RecordedConnection, RecordedModel, dedupe,
    erase, import, verify,
};

use crate::blog::{self, note};
use crate::harness::each_database;
use crate::library::{self, book};

type Record = note::record::Model;

fn ago(days: i64) -> DateTime<Utc> {
    (Utc::now() - TimeDelta::days(days)).trunc_subsecs(6)
}

fn past(id: i32, at: DateTime<Utc>, event: Event, text: &str) -> Record {
    Record {
        recording_id: id,
        recorded_at: at,
        event,
        text: text.to_owned(),
        actor: Some("importer".to_owned()),
        reason: None,
        change_id: None,
        metadata: None,
    }
}

async fn texts(db: &DatabaseConnection, id: i32) -> Vec<(String, Event)> {
    let records = note::Entity::records_of(id).order_by_asc(note::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap();
    records.into_iter().map(|it| (it.text, it.event)).collect()
}

fn said(text: &str, event: Event) -> (String, Event) {
    (text.to_owned(), event)
}

async fn imported(db: &DatabaseConnection, records: Vec<Record>) -> Imported {
    import(note::Entity, records).exec(db).await.unwrap()
}

each_database! {
    async fn a_past_comes_before_and_between_what_is_recorded(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = blog::note(&db, "now").await;
        let (old, between) = (ago(30), ago(10));
        imported(&db, vec![past(row.id, old, Event::Created, "old")]).await;
        let done = imported(&db, vec![past(row.id, between, Event::Updated, "between")]).await;
        assert_eq!(done.records, 1);
        assert_eq!(texts(&db, row.id).await, [said("old", Event::Created), said("between", Event::Updated), said("now", Event::Created)]);
        let first = row.records().earliest().one(&db).await.unwrap().unwrap();
        assert_eq!(first, past(row.id, old, Event::Created, "old"));
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
        let held = note::Entity::as_of(ago(20)).all(&db).await.unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].text, "old");
    }

    async fn the_latest_record_says_what_the_row_is_also_where_it_had_none(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let silent = RecordedConnection::new(db.clone()).without_recording();
        for (id, text) in [(1, "changed since"), (2, "the same")] {
            note::ActiveModel { id: Set(id), ..note::draft(text) }.insert(&silent).await.unwrap();
        }
        imported(&db, vec![
            past(1, ago(5), Event::Updated, "b"),
            past(1, ago(9), Event::Created, "a"),
            past(2, ago(5), Event::Created, "the same"),
            past(3, ago(5), Event::Created, "gone"),
            past(4, ago(5), Event::Created, "gone"),
            past(4, ago(4), Event::Deleted, "gone"),
        ]).await;
        assert_eq!(texts(&db, 1).await, [said("a", Event::Created), said("b", Event::Updated), said("changed since", Event::Backfilled)]);
        assert_eq!(texts(&db, 2).await, [said("the same", Event::Created)]);
        assert_eq!(texts(&db, 3).await, [said("gone", Event::Created), said("gone", Event::Deleted)]);
        assert_eq!(texts(&db, 4).await, [said("gone", Event::Created), said("gone", Event::Deleted)]);
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn equal_times_are_refused_or_the_last_is_kept(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = blog::note(&db, "now").await;
        let (at, other) = (ago(3), ago(4));
        let two = || vec![
            past(row.id, other, Event::Created, "whole"),
            past(row.id, at, Event::Updated, "first"),
            past(row.id, at, Event::Updated, "last"),
        ];
        let refused = import(note::Entity, two()).exec(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&refused), Some(RecordError::Import { .. })), "{refused}");
        assert!(refused.to_string().contains("keep_last"), "{refused}");
        assert_eq!(texts(&db, row.id).await.len(), 1);
        for _ in 0..2 {
            assert_eq!(import(note::Entity, two()).keep_last().exec(&db).await.unwrap().records, 2);
            assert_eq!(texts(&db, row.id).await, [said("whole", Event::Created), said("last", Event::Updated), said("now", Event::Created)]);
        }
        // One of many is there already, and none of them is written.
        let many = (0..1_500).map(|n| past(n, if n == 1_400 { at } else { ago(1) }, Event::Created, "x"));
        let many: Vec<_> = many.chain([past(row.id, at, Event::Created, "taken")]).collect();
        let before = note::record::Entity::find().all(&db).await.unwrap().len();
        let refused = import(note::Entity, many).exec(&db).await.unwrap_err();
        assert!(refused.to_string().contains("the time"), "{refused}");
        assert_eq!(note::record::Entity::find().all(&db).await.unwrap().len(), before);
        import(note::Entity, [past(row.id, at, Event::Updated, "replaced")]).keep_last().exec(&db).await.unwrap();
        assert_eq!(texts(&db, row.id).await[1].0, "replaced");
    }

    async fn what_would_hide_the_present_or_bring_back_what_was_erased_is_refused(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = blog::note(&db, "now").await;
        let ahead = Utc::now() + TimeDelta::hours(1);
        let refused = import(note::Entity, [past(row.id, ahead, Event::Updated, "x")]).exec(&db).await.unwrap_err();
        assert!(refused.to_string().contains("ahead of now"), "{refused}");
        erase(note::Entity, row.id).exec(&db).await.unwrap();
        let refused = import(note::Entity, [past(row.id, ago(1), Event::Updated, "x")]).exec(&db).await.unwrap_err();
        assert!(refused.to_string().contains("erased"), "{refused}");
        assert_eq!(texts(&db, row.id).await.len(), 1);
        if db.get_database_backend() == sea_orm::DbBackend::Postgres {
            let altered = import(note::Entity, [past(9, ago(1), Event::Updated, "nul \0")]).exec(&db).await.unwrap_err();
            assert!(matches!(RecordError::of(&altered), Some(RecordError::Value { column, .. }) if column == "text"), "{altered}");
        }
        assert_eq!(import(note::Entity, []).exec(&db).await.unwrap().records, 0);
    }

    async fn values_of_every_type_come_back_as_they_were(test: TestDb) {
        let db = test.connect().await;
        library::library(&db).await;
        for title in ["one", "two"] {
            library::draft(title).insert(&db).await.unwrap();
        }
        let books = book::Entity::find().all(&db).await.unwrap();
        let records = book::record::Entity::find().order_by_asc(book::record::Column::RecordingId).all(&db).await.unwrap();
        assert!(!books.is_empty() && !records.is_empty());
        let older = |record: &book::record::Model| book::record::Model {
            recorded_at: record.recorded_at - TimeDelta::days(400),
            ..record.clone()
        };
        let older: Vec<_> = records.iter().map(older).collect();
        import(book::Entity, older.clone()).exec(&db).await.unwrap();
        for record in older {
            let first = book::Entity::records_of(record.recording_id).earliest().one(&db).await.unwrap();
            assert_eq!(first, Some(record));
        }
        assert!(verify(book::Entity).exec(&db).await.unwrap().is_clean());
        // It is compared as what recording writes is: each is repeated once.
        let repeated = dedupe(book::Entity).exec(&db).await.unwrap().removed;
        assert!(repeated >= books.len() as u64, "{repeated}");
    }

    async fn what_the_transaction_saved_before_is_recorded_beside_it(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let row = blog::note(&txn, "same").await;
        import(note::Entity, [past(row.id, ago(1), Event::Updated, "same")]).exec(&txn).await.unwrap();
        txn.commit().await.unwrap();
        let said = [("same".to_owned(), Event::Updated), ("same".to_owned(), Event::Created)];
        assert_eq!(texts(&db, row.id).await, said);
    }

    async fn it_is_a_part_of_the_transaction_that_it_is_given(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for kept in [false, true] {
            let txn = recorded.begin().await.unwrap();
            let row = note::draft("made here").insert(&txn).await.unwrap();
            import(note::Entity, [past(row.id, ago(1), Event::Created, "older")]).exec(&txn).await.unwrap();
            match kept {
                true => txn.commit().await.unwrap(),
                false => txn.rollback().await.unwrap(),
            }
            assert_eq!(texts(&db, row.id).await.len(), if kept { 2 } else { 0 });
        }
        let txn = db.begin().await.unwrap();
        let row = note::Entity::find().one(&txn).await.unwrap().unwrap();
        let taken = row.records().earliest().one(&txn).await.unwrap().unwrap();
        import(note::Entity, [taken]).exec(&txn).await.unwrap_err();
        import(note::Entity, [past(row.id, ago(7), Event::Created, "oldest")]).exec(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(texts(&db, row.id).await.len(), 3);
        row.into_active_model().delete(&db).await.unwrap();
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }
}
