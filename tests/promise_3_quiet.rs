//! Promise 3, quiet: a record differs from the one before it, or says that the row is gone; and a
//! transaction writes at most one a row each time it flushes.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Unchanged, ConnectionTrait, DatabaseConnection, DbBackend,
    EntityTrait, IntoActiveModel, ModelTrait, QueryOrder, Set, TransactionTrait,
};
use sea_orm_record::{Event, RecordedConnection, RecordedModel, insert_many, verify};

use crate::blog::{self, article, note, topic};
use crate::harness::each_database;

/// The records of all notes in the order of their times, as (id, event, text).
async fn notes(db: &impl ConnectionTrait) -> Vec<(i32, Event, String)> {
    let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap();
    let told = |record: note::record::Model| (record.recording_id, record.event, record.text);
    records.into_iter().map(told).collect()
}

/// The same of articles, with their headlines.
async fn articles(db: &impl ConnectionTrait) -> Vec<(i32, Event, String)> {
    let records = article::record::Entity::find()
        .order_by_asc(article::record::Column::RecordedAt)
        .order_by_asc(article::record::Column::RecordingId);
    let records = records.all(db).await.unwrap();
    let told =
        |record: article::record::Model| (record.recording_id, record.event, record.headline);
    records.into_iter().map(told).collect()
}

fn set_text(note: &note::Model, text: &str) -> note::ActiveModel {
    note::ActiveModel {
        text: Set(text.to_owned()),
        ..note.clone().into_active_model()
    }
}

fn set_title(article: &article::Model, title: &str) -> article::ActiveModel {
    article::ActiveModel {
        title: Set(title.to_owned()),
        ..article.clone().into_active_model()
    }
}

/// From now on the record table refuses every record, before it looks at its keys.
async fn refuse_records(db: &DatabaseConnection) {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON note_record FOR EACH ROW EXECUTE FUNCTION refuse()"
        }
        DbBackend::MySql => {
            "CREATE TRIGGER refuse BEFORE INSERT ON note_record FOR EACH ROW SIGNAL SQLSTATE '45000'"
        }
        _ => {
            "CREATE TRIGGER refuse BEFORE INSERT ON note_record \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        }
    };
    db.execute_unprepared(sql).await.unwrap();
}

/// A row that SeaORM put there without any hook.
async fn unrecorded(db: &impl ConnectionTrait, text: &str) -> note::Model {
    let insert = note::Entity::insert(note::draft(text));
    insert.exec_with_returning(db).await.unwrap()
}

/// Saves that change nothing recorded, in every way there is.
async fn save_for_nothing(note: &note::Model, article: &article::Model, db: &impl ConnectionTrait) {
    // Nothing set.
    note.clone().into_active_model().save(db).await.unwrap();
    note.clone().into_active_model().update(db).await.unwrap();
    article.clone().into_active_model().save(db).await.unwrap();
    // The same once more.
    set_text(note, &note.text).update(db).await.unwrap();
    set_title(article, &article.title).save(db).await.unwrap();
    let whole = note.clone().into_active_model().reset_all();
    whole.update(db).await.unwrap();
    let whole = article.clone().into_active_model().reset_all();
    whole.update(db).await.unwrap();
    // What is not recorded.
    let starred = note::ActiveModel {
        stars: Set(5),
        ..note.clone().into_active_model()
    };
    starred.clone().update(db).await.unwrap();
    starred.clone().update_without_returning(db).await.unwrap();
    ActiveModelTrait::update(starred, db).await.unwrap();
    let viewed = article::ActiveModel {
        views: Set(5),
        ..article.clone().into_active_model()
    };
    viewed.clone().update(db).await.unwrap();
    viewed.clone().update_without_returning(db).await.unwrap();
    ActiveModelTrait::update(viewed, db).await.unwrap();
    let topic = topic::Entity::find_by_id(article.topic_id)
        .one(db)
        .await
        .unwrap()
        .unwrap();
    topic
        .into_active_model()
        .reset_all()
        .update(db)
        .await
        .unwrap();
}

each_database! {
    async fn a_save_of_nothing_new_does_not_hear_what_the_record_table_refuses(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "first").await;
        refuse_records(&db).await;
        let stars = |stars| note::ActiveModel { stars: Set(stars), ..note.clone().into_active_model() };
        stars(4).update(&db).await.unwrap();
        let txn = db.begin().await.unwrap();
        stars(5).update(&txn).await.unwrap();
        txn.commit().await.unwrap();

        let error = set_text(&note, "second").update(&db).await.unwrap_err();
        assert!(error.to_string().contains("note_record"), "{error}");
        assert_eq!(notes(&db).await, [(note.id, Event::Created, "first".to_owned())]);
        let note = note::Entity::find().one(&db).await.unwrap().unwrap();
        assert_eq!((note.stars, &*note.text), (5, "first"));
    }

    async fn a_record_table_without_its_primary_key_takes_what_changed_and_nothing_else(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "first").await;
        for sql in [
            "ALTER TABLE note_record RENAME TO old_record",
            "CREATE TABLE note_record AS SELECT * FROM old_record",
        ] {
            db.execute_unprepared(sql).await.unwrap();
        }
        let txn = db.begin().await.unwrap();
        for text in ["first", "second", "second", "first"] {
            set_text(&note, text).update(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        let texts: Vec<_> = notes(&db).await.into_iter().map(|(.., text)| text).collect();
        assert_eq!(texts, ["first", "second", "first"]);
    }

    async fn what_changes_nothing_recorded_adds_no_record(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let note = blog::note(&db, "text").await;
        let article = blog::article(&db, &blog::topic(&db, "topic").await, "title").await;
        save_for_nothing(&note, &article, &db).await;
        save_for_nothing(&note, &article, &recorded).await;
        let txn = db.begin().await.unwrap();
        save_for_nothing(&note, &article, &txn).await;
        txn.commit().await.unwrap();
        let txn = recorded.begin().await.unwrap();
        save_for_nothing(&note, &article, &txn).await;
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, [(note.id, Event::Created, "text".to_owned())]);
        assert_eq!(articles(&db).await, [(article.id, Event::Created, "topic: title".to_owned())]);
    }

    async fn what_differs_in_case_or_trailing_space_alone_differs(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "text").await;
        for text in ["Text", "Text ", "Text", "Téxt"] {
            set_text(&note, text).update(&db).await.unwrap();
        }
        let texts: Vec<_> = notes(&db).await.into_iter().map(|(_, _, text)| text).collect();
        assert_eq!(texts, ["text", "Text", "Text ", "Text", "Téxt"]);
    }

    async fn a_transaction_records_a_row_once_however_often_it_is_saved(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let note = blog::note(&db, "0").await;
        let topic = blog::topic(&db, "topic").await;
        let article = blog::article(&db, &topic, "0").await;

        let txn = recorded.begin().await.unwrap();
        for text in ["1", "2", "3"] {
            set_text(&note, text).update(&txn).await.unwrap();
            set_title(&article, text).update(&txn).await.unwrap();
            // The watched row and the watching one, both in one unit.
            let renamed = topic::ActiveModel { name: Set(text.to_owned()), ..topic.clone().into_active_model() };
            renamed.update(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[1..], [(note.id, Event::Updated, "3".to_owned())]);
        assert_eq!(articles(&db).await[1..], [(article.id, Event::Updated, "3: 3".to_owned())]);

        // There and back again.
        let txn = recorded.begin().await.unwrap();
        for text in ["4", "3"] {
            set_text(&note, text).update(&txn).await.unwrap();
            set_title(&article, text).update(&txn).await.unwrap();
        }
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await.len(), 2);
        assert_eq!(articles(&db).await.len(), 2);

        // A row that was inserted is created, whatever else is done to it.
        let txn = recorded.begin().await.unwrap();
        let new = blog::note(&txn, "5").await;
        set_text(&new, "6").update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[2..], [(new.id, Event::Created, "6".to_owned())]);
    }

    async fn a_transaction_records_a_row_once_each_time_it_flushes(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await.unwrap();
        let note = blog::note(&txn, "0").await;
        txn.flush().await.unwrap();
        txn.flush().await.unwrap();
        set_text(&note, "1").update(&txn).await.unwrap();
        set_text(&note, "2").update(&txn).await.unwrap();
        txn.flush().await.unwrap();
        set_text(&note, "2").update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, [
            (note.id, Event::Created, "0".to_owned()),
            (note.id, Event::Updated, "2".to_owned()),
        ]);
    }

    async fn a_row_that_is_made_and_deleted_in_one_transaction_leaves_nothing(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let topic = blog::topic(&db, "topic").await;

        let txn = recorded.begin().await.unwrap();
        let note = blog::note(&txn, "0").await;
        let article = blog::article(&txn, &topic, "0").await;
        set_text(&note, "1").update(&txn).await.unwrap();
        set_title(&article, "1").update(&txn).await.unwrap();
        note.delete(&txn).await.unwrap();
        article.delete(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, []);
        assert_eq!(articles(&db).await, []);

        // Through the traits, and across a savepoint.
        let txn = recorded.begin().await.unwrap();
        let note = ActiveModelTrait::insert(note::draft("0"), &txn).await.unwrap();
        let article = ActiveModelTrait::insert(article::draft(topic.id, "0"), &txn).await.unwrap();
        let nested = txn.begin().await.unwrap();
        ModelTrait::delete(note, &nested).await.unwrap();
        ModelTrait::delete(article, &nested).await.unwrap();
        nested.commit().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, []);
        assert_eq!(articles(&db).await, []);

        // What was flushed has been recorded.
        let txn = recorded.begin().await.unwrap();
        let note = blog::note(&txn, "0").await;
        txn.flush().await.unwrap();
        let id = note.id;
        note.delete(&txn).await.unwrap();
        txn.commit().await.unwrap();
        let text = || "0".to_owned();
        assert_eq!(notes(&db).await, [(id, Event::Created, text()), (id, Event::Deleted, text())]);
    }

    async fn a_deleted_row_gets_one_tombstone_with_the_values_of_its_last_record(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let topic = blog::topic(&db, "topic").await;
        for way in 0..6 {
            let note = blog::note(&db, "text").await;
            let article = blog::article(&db, &topic, "title").await;
            for _ in 0..2 {
                // Twice: the second finds nothing.
                delete(way, &note, &article, &db, &recorded).await;
            }
            let tombstones: Vec<_> = notes(&db).await.into_iter().filter(|(id, ..)| *id == note.id).collect();
            let expected = [Event::Created, Event::Deleted].map(|event| (note.id, event, "text".to_owned()));
            assert_eq!(tombstones, expected, "way {way}");
            let tombstones: Vec<_> = articles(&db).await.into_iter().filter(|(id, ..)| *id == article.id).collect();
            let expected = [Event::Created, Event::Deleted].map(|event| (article.id, event, "topic: title".to_owned()));
            assert_eq!(tombstones, expected, "way {way}");
        }
    }

    async fn a_row_that_was_never_there_gets_no_tombstone(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let note = note::Model { id: 77, text: "never".to_owned(), stars: 0 };
        let article = article::Model { id: 77, topic_id: 1, title: "never".to_owned(), text: "x".to_owned(), views: 0 };
        for way in 0..6 {
            delete(way, &note, &article, &db, &recorded).await;
            assert_eq!(notes(&db).await, [], "way {way}");
            assert_eq!(articles(&db).await, [], "way {way}");
        }
    }

    async fn an_unrecorded_row_that_is_deleted_gets_one_tombstone_with_its_values(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        // Inherent saves only: on a bare pool or a plain transaction the hooks alone cannot tell
        // whether there was a row.
        unrecorded(&db, "pool").await.delete(&db).await.unwrap();
        unrecorded(&db, "recorded").await.delete(&recorded).await.unwrap();
        let txn = db.begin().await.unwrap();
        unrecorded(&txn, "plain").await.delete(&txn).await.unwrap();
        txn.commit().await.unwrap();
        let by_key = unrecorded(&db, "by key").await;
        let by_key = note::ActiveModel { id: Unchanged(by_key.id), ..Default::default() };
        by_key.delete(&db).await.unwrap();

        let twice = unrecorded(&db, "twice").await;
        let txn = recorded.begin().await.unwrap();
        twice.clone().delete(&txn).await.unwrap();
        twice.delete(&txn).await.unwrap();
        txn.commit().await.unwrap();

        let changed = unrecorded(&db, "changed").await;
        note::ActiveModel { text: Set("never saved".to_owned()), ..changed.into_active_model() }.delete(&db).await.unwrap();

        let through_the_trait = unrecorded(&db, "trait").await;
        let txn = recorded.begin().await.unwrap();
        ModelTrait::delete(through_the_trait, &txn).await.unwrap();
        txn.commit().await.unwrap();

        let events: Vec<_> = notes(&db).await.into_iter().map(|(_, event, text)| (event, text)).collect();
        let expected = ["pool", "recorded", "plain", "by key", "twice", "changed", "trait"];
        assert_eq!(events, expected.map(|text| (Event::Deleted, text.to_owned())));
    }

    /// What is made in a run is taken for new only where there are no records of it: raw SQL removed
    /// these rows, so that no record says that they are gone.
    async fn rows_that_are_made_again_in_a_run_are_compared_with_what_was_recorded(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let rows = |text: &'static str| (1..=5).map(move |id| note::ActiveModel { id: Set(id), ..note::draft(text) });
        insert_many(rows("same"), &db).await.unwrap();
        for one_by_one in [false, true] {
            db.execute_unprepared("DELETE FROM note").await.unwrap();
            let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
            match one_by_one {
                false => drop(insert_many(rows("same"), &txn).await.unwrap()),
                true => for row in rows("same") {
                    row.insert(&txn).await.unwrap();
                },
            }
            txn.commit().await.unwrap();
            assert_eq!(notes(&db).await.len(), 5);
        }
    }

    async fn a_row_that_is_made_again_gets_a_record_again(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let note = blog::note(&db, "text").await;
        let again = || note::ActiveModel { id: Set(note.id), ..note::draft("text") };
        note.clone().delete(&db).await.unwrap();
        again().insert(&db).await.unwrap();
        let events: Vec<_> = notes(&db).await.into_iter().map(|(_, event, _)| event).collect();
        assert_eq!(events, [Event::Created, Event::Deleted, Event::Created]);

        // Deleted and made again in one transaction: the same row as before, or another.
        let txn = recorded.begin().await.unwrap();
        note.clone().delete(&txn).await.unwrap();
        again().insert(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await.len(), 3);
        let txn = recorded.begin().await.unwrap();
        note.clone().delete(&txn).await.unwrap();
        note::ActiveModel { text: Set("other".to_owned()), ..again() }.insert(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[3..], [(note.id, Event::Updated, "other".to_owned())]);

        // Made, deleted and made again.
        let txn = recorded.begin().await.unwrap();
        let new = blog::note(&txn, "new").await;
        new.clone().delete(&txn).await.unwrap();
        note::ActiveModel { id: Set(new.id), ..note::draft("newer") }.insert(&txn).await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[4..], [(new.id, Event::Created, "newer".to_owned())]);
    }

    async fn what_a_savepoint_took_back_leaves_no_record(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let kept = blog::note(&db, "kept").await;
        let start = [(kept.id, Event::Created, "kept".to_owned())];

        // Changed, made and deleted in savepoints, on a transaction of ours and on a plain one.
        let txn = recorded.begin().await.unwrap();
        let nested = txn.begin().await.unwrap();
        set_text(&kept, "changed").update(&nested).await.unwrap();
        blog::note(&nested, "made").await;
        nested.rollback().await.unwrap();
        let nested = txn.begin().await.unwrap();
        kept.clone().delete(&nested).await.unwrap();
        drop(nested);
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, start);

        let txn = db.begin().await.unwrap();
        let nested = txn.begin().await.unwrap();
        set_text(&kept, "changed").update(&nested).await.unwrap();
        blog::note(&nested, "made").await;
        nested.rollback().await.unwrap();
        let nested = txn.begin().await.unwrap();
        kept.clone().delete(&nested).await.unwrap();
        drop(nested);
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, start);

        // Flushed within the savepoint that goes.
        let txn = recorded.begin().await.unwrap();
        let nested = txn.begin().await.unwrap();
        set_text(&kept, "changed").update(&nested).await.unwrap();
        assert_eq!(notes(&nested).await.len(), 2);
        nested.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await, start);
    }

    async fn an_edit_that_a_savepoint_took_back_is_not_told_of_where_something_else_is(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for (way, event) in [Event::Related, Event::Related, Event::Related, Event::Updated, Event::Updated, Event::Updated].into_iter().enumerate() {
            let topic = blog::topic(&db, "before").await;
            let article = blog::article(&db, &topic, "title").await;
            let edited = |title: &str| article::ActiveModel { title: Set(title.to_owned()), ..article.clone().into_active_model() };
            let txn = recorded.begin().await.unwrap();
            if way == 3 {
                edited("kept").update(&txn).await.unwrap();
            }
            let nested = txn.begin().await.unwrap();
            if way == 2 {
                let inner = nested.begin().await.unwrap();
                edited("changed").update(&inner).await.unwrap();
                inner.commit().await.unwrap();
            }
            edited("changed").update(&nested).await.unwrap();
            match way {
                1 => drop(nested),
                4 => nested.commit().await.unwrap(),
                _ => nested.rollback().await.unwrap(),
            }
            if way == 5 {
                edited("after all").update(&txn).await.unwrap();
            }
            topic::ActiveModel { name: Set("after".to_owned()), ..topic.into_active_model() }.update(&txn).await.unwrap();
            txn.commit().await.unwrap();
            let records = article.records().order_by_asc(article::record::Column::RecordedAt).all(&db).await.unwrap();
            let events: Vec<_> = records.iter().map(|record| record.event).collect();
            assert_eq!(events, [Event::Created, event], "way {way}");
        }
        assert!(verify(article::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn what_was_written_before_a_savepoint_that_is_taken_back_is_recorded(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        blog::note(&db, "kept").await;

        // Made outside, deleted inside, and still there.
        let txn = recorded.begin().await.unwrap();
        let made = blog::note(&txn, "made").await;
        let nested = txn.begin().await.unwrap();
        made.clone().delete(&nested).await.unwrap();
        nested.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[1..], [(made.id, Event::Created, "made".to_owned())]);

        // Deleted outside, made again inside, and still gone.
        let txn = recorded.begin().await.unwrap();
        made.clone().delete(&txn).await.unwrap();
        let nested = txn.begin().await.unwrap();
        note::ActiveModel { id: Set(made.id), ..note::draft("again") }.insert(&nested).await.unwrap();
        nested.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[2..], [(made.id, Event::Deleted, "made".to_owned())]);
    }

    /// By `flush`, and by a read of the record table.
    async fn what_the_outer_transaction_records_while_another_is_nested_in_it_is_not_taken_back_with_that(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        for way in 0..2 {
            let note = blog::note(&db, "a").await;
            let txn = recorded.begin().await.unwrap();
            let edited = note::ActiveModel { text: Set("b".to_owned()), ..note.clone().into_active_model() };
            edited.update(&txn).await.unwrap();
            let nested = txn.begin().await.unwrap();
            match way {
                0 => txn.flush().await.unwrap(),
                _ => drop(note.records().all(&txn).await.unwrap()),
            }
            nested.rollback().await.unwrap();
            txn.commit().await.unwrap();
            let texts: Vec<_> = note.records().all(&db).await.unwrap().into_iter().map(|record| record.text).collect();
            assert_eq!(texts, ["a", "b"], "way {way}");
        }
    }

    async fn what_a_savepoint_recorded_before_it_was_taken_back_is_recorded_again(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let kept = blog::note(&db, "kept").await;

        // Changed outside and flushed inside: the note went with the savepoint's records.
        let txn = recorded.begin().await.unwrap();
        set_text(&kept, "changed").update(&txn).await.unwrap();
        let nested = txn.begin().await.unwrap();
        nested.flush().await.unwrap();
        nested.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[1..], [(kept.id, Event::Updated, "changed".to_owned())]);

        // The same by reading records inside.
        let txn = recorded.begin().await.unwrap();
        set_text(&kept, "again").update(&txn).await.unwrap();
        let nested = txn.begin().await.unwrap();
        assert_eq!(notes(&nested).await.len(), 3);
        nested.rollback().await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(notes(&db).await[2..], [(kept.id, Event::Updated, "again".to_owned())]);
    }
}

/// Deletes both in one of six ways.
async fn delete(
    way: usize,
    note: &note::Model,
    article: &article::Model,
    db: &DatabaseConnection,
    recorded: &RecordedConnection,
) {
    let (note, article) = (note.clone(), article.clone());
    match way {
        0 => {
            note.delete(db).await.unwrap();
            article.delete(db).await.unwrap();
        }
        1 => {
            note.delete(recorded).await.unwrap();
            article.delete(recorded).await.unwrap();
        }
        2 => {
            ModelTrait::delete(note, db).await.unwrap();
            ModelTrait::delete(article, db).await.unwrap();
        }
        3 => {
            let txn = db.begin().await.unwrap();
            note.delete(&txn).await.unwrap();
            ModelTrait::delete(article, &txn).await.unwrap();
            txn.commit().await.unwrap();
        }
        4 => {
            let txn = recorded.begin().await.unwrap();
            note.clone().delete(&txn).await.unwrap();
            note.delete(&txn).await.unwrap();
            article.into_active_model().delete(&txn).await.unwrap();
            txn.commit().await.unwrap();
        }
        _ => {
            let txn = recorded.begin().await.unwrap();
            ModelTrait::delete(note.clone(), &txn).await.unwrap();
            ModelTrait::delete(note, &txn).await.unwrap();
            ModelTrait::delete(article, &txn).await.unwrap();
            txn.commit().await.unwrap();
        }
    }
}
