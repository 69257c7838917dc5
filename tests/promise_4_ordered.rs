//! Promise 4, ordered: the records of a row have strictly increasing times, whatever clocks do.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use sea_orm::sea_query::{Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, Select, Set, TransactionTrait,
};
use sea_orm_record::{Context, Event, RecordError, RecordQuery, RecordedConnection, RecordedModel};

use crate::blog::{self, article, note, topic};
use crate::harness::{Engine, each_database, is_mysql};

/// The times of a note's records, as the database sorts them.
async fn times(db: &impl ConnectionTrait, id: i32) -> Vec<DateTime<Utc>> {
    let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap().into_iter();
    let records = records.filter(|record| record.recording_id == id);
    records.map(|record| record.recorded_at).collect()
}

/// A record that another writer's clock put there.
async fn record_at(db: &impl ConnectionTrait, id: i32, at: DateTime<Utc>) {
    let record = note::record::ActiveModel {
        recording_id: Set(id),
        recorded_at: Set(at),
        event: Set(Event::Updated),
        text: Set(format!("at {at}")),
        ..Default::default()
    };
    note::record::Entity::insert(record)
        .exec_without_returning(db)
        .await
        .unwrap();
}

/// As another program writes it.
async fn insert_record(db: &impl ConnectionTrait, id: i32, at: DateTime<Utc>, text: &str) {
    let at = at.fixed_offset();
    let insert = Query::insert()
        .into_table(note::record::Entity)
        .columns(["recording_id", "recorded_at", "event", "text"])
        .values_panic([id.into(), at.into(), "created".into(), text.into()])
        .to_owned();
    db.execute(&insert).await.unwrap();
}

async fn set_text(db: &impl ConnectionTrait, id: i32, text: &str) -> Result<note::Model, DbErr> {
    let note = note::ActiveModel {
        id: Set(id),
        text: Set(text.to_owned()),
        ..Default::default()
    };
    note.update(db).await
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

each_database! {
    async fn times_increase_strictly_in_a_tight_loop(test: TestDb) {
        let db = test.connect_with(|options| { options.max_connections(1); }).await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "start").await;
        for step in 0..500 {
            set_text(&db, note.id, &step.to_string()).await.unwrap();
        }
        let times = times(&db, note.id).await;
        assert_eq!(times.len(), 501);
        assert!(times.is_sorted_by(|a, b| a < b));
        assert!(times[500] <= Utc::now());
    }

    async fn times_increase_strictly_across_the_flushes_of_one_transaction(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let note = blog::note(&txn, "start").await;
        for step in 0..50 {
            txn.flush().await.unwrap();
            set_text(&txn, note.id, &step.to_string()).await.unwrap();
        }
        txn.commit().await.unwrap();
        let times = times(&db, note.id).await;
        assert_eq!(times.len(), 51);
        assert!(times.is_sorted_by(|a, b| a < b));
    }

    async fn a_record_comes_a_microsecond_after_one_from_a_clock_that_is_ahead(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "start").await;
        let ahead = (Utc::now() + Duration::hours(1)).timestamp_micros();
        let ahead = DateTime::from_timestamp_micros(ahead).unwrap();
        record_at(&db, note.id, ahead).await;
        for step in 1..=5 {
            set_text(&db, note.id, &step.to_string()).await.unwrap();
        }
        let expected: Vec<_> = (0..=5).map(|step| ahead + Duration::microseconds(step)).collect();
        assert_eq!(times(&db, note.id).await[1..], expected);

        // Tombstones and gathered records as well.
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        set_text(&txn, note.id, "gathered").await.unwrap();
        txn.commit().await.unwrap();
        note.clone().delete(&db).await.unwrap();
        assert_eq!(times(&db, note.id).await[7..], [6, 7].map(|step| ahead + Duration::microseconds(step)));
    }

    /// SQLite keeps times as texts of three lengths, and counts on in SQL.
    async fn the_next_microsecond_carries_over_at_every_place(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let starts = [
            "2037-06-15T12:30:45.999999Z",
            "2037-06-15T12:30:45.999Z",
            "2037-06-15T12:30:45Z",
            "2037-06-15T12:30:45.000999Z",
            "2037-06-15T12:30:45.000001Z",
            "2037-06-15T12:30:45.099999Z",
            "2037-06-15T12:30:45.100Z",
            "2037-06-15T12:30:45.123456Z",
            "2037-06-15T12:30:59.999999Z",
            "2037-06-15T12:59:59.999999Z",
            "2037-06-15T23:59:59.999999Z",
            "2037-02-28T23:59:59.999999Z",
            "2036-02-28T23:59:59.999999Z",
            "2036-02-29T23:59:59.999999Z",
            "2037-12-31T23:59:59.999998Z",
            "2037-12-31T23:59:59.999999Z",
        ];
        for start in starts.map(at) {
            let note = blog::note(&db, "start").await;
            record_at(&db, note.id, start).await;
            for step in 1..=3 {
                set_text(&db, note.id, &step.to_string()).await.unwrap();
            }
            let expected = [0, 1, 2, 3].map(|step| start + Duration::microseconds(step));
            assert_eq!(times(&db, note.id).await[1..], expected, "{start}");
        }
    }

    async fn records_of_one_flush_share_one_time(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let topic = blog::topic(&db, "topic").await;
        let gone = blog::note(&db, "gone").await;
        let old = blog::article(&db, &topic, "old").await;
        // More than a chunk, and of two entities.
        let txn = recorded.begin().await.unwrap();
        let drafts = (0..1_100).map(|title| article::draft(topic.id, &title.to_string()));
        article::Entity::insert_many(drafts).exec(&txn).await.unwrap();
        let renamed = topic::ActiveModel { name: Set("renamed".to_owned()), ..topic.into_active_model() };
        renamed.update(&txn).await.unwrap();
        blog::note(&txn, "new").await;
        gone.delete(&txn).await.unwrap();
        txn.commit().await.unwrap();

        let articles = article::record::Entity::find().all(&db).await.unwrap();
        let notes = note::record::Entity::find().all(&db).await.unwrap();
        let mut times: BTreeMap<_, usize> = BTreeMap::new();
        for time in articles.iter().map(|record| record.recorded_at).chain(notes.iter().map(|record| record.recorded_at)) {
            *times.entry(time).or_default() += 1;
        }
        // The old note and the old article, and then all at once.
        assert_eq!(times.into_values().collect::<Vec<_>>(), [1, 1, 1_103]);
        assert!(articles.iter().filter(|record| record.recording_id == old.id).count() == 2);

        // One save on a pool, too: the row that was written, and who depends on it.
        let before = article::record::Entity::find().count(&db).await.unwrap();
        let topic = topic::Entity::find().one(&db).await.unwrap().unwrap();
        topic::ActiveModel { name: Set("again".to_owned()), ..topic.into_active_model() }.update(&db).await.unwrap();
        let after = article::record::Entity::find().order_by_desc(article::record::Column::RecordedAt).all(&db).await.unwrap();
        let latest = after.iter().filter(|record| record.recorded_at == after[0].recorded_at).count();
        assert_eq!((after.len() as u64 - before, latest), (1_101, 1_101));
    }

    async fn a_clock_in_the_past_dates_records_and_must_go_forward(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let at_time = |time: DateTime<Utc>| recorded.with_context(Context::new().clock(time));
        let noon = at("2020-02-29T12:00:00.123456789Z");
        let cut = at("2020-02-29T12:00:00.123456Z");

        let note = note::draft("0").insert(&at_time(noon)).await.unwrap();
        assert_eq!(times(&db, note.id).await, [cut]);
        set_text(&at_time(cut + Duration::microseconds(1)), note.id, "1").await.unwrap();

        // The same time again, and an earlier one: refused, and the row stays what it was.
        for (back, text) in [(1, "2"), (0, "3"), (-1_000_000, "4")] {
            let stale = cut + Duration::microseconds(back);
            let error = set_text(&at_time(stale), note.id, text).await.unwrap_err();
            let Some(RecordError::Clock { at, problem }) = RecordError::of(&error) else { panic!("{error:?}") };
            assert_eq!(*at, stale);
            assert!(problem.contains("note") && problem.contains("2020-02-29"), "{problem}");

            let txn = at_time(stale).begin().await.unwrap();
            set_text(&txn, note.id, text).await.unwrap();
            let error = txn.commit().await.unwrap_err();
            assert!(matches!(RecordError::of(&error), Some(RecordError::Clock { .. })), "{error:?}");

            let error = note.clone().delete(&at_time(stale)).await.unwrap_err();
            assert!(matches!(RecordError::of(&error), Some(RecordError::Clock { .. })), "{error:?}");
        }
        let found = note::Entity::find_by_id(note.id).one(&db).await.unwrap().unwrap();
        assert_eq!(found.text, "1");
        assert_eq!(times(&db, note.id).await.len(), 2);

        // Where nothing is to be recorded, nothing is stale.
        set_text(&at_time(cut), note.id, "1").await.unwrap();
        note.clone().delete(&at_time(cut + Duration::days(1))).await.unwrap();
        assert_eq!(times(&db, note.id).await[2..], [cut + Duration::days(1)]);
        // Back to the wall clock.
        let again = note::ActiveModel { id: Set(note.id), ..note::draft("5") };
        again.insert(&db).await.unwrap();
        assert!(times(&db, note.id).await[3] > Utc::now() - Duration::minutes(1));
    }

    /// MariaDB's TIMESTAMP, as which sqlx sends a `DateTime<Utc>`, knows the years 1970 to 2038 alone.
    async fn times_before_1970_and_after_2038_are_times_as_well(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let at_time = |time: DateTime<Utc>| recorded.with_context(Context::new().clock(time));
        let moon = at("1969-07-20T20:17:40.000001Z");
        let step = Duration::microseconds(1);

        let note = note::draft("0").insert(&at_time(moon)).await.unwrap();
        set_text(&at_time(moon + step), note.id, "1").await.unwrap();
        let txn = at_time(moon + step * 2).begin().await.unwrap();
        set_text(&txn, note.id, "2").await.unwrap();
        txn.commit().await.unwrap();
        let error = set_text(&at_time(moon + step), note.id, "stale").await.unwrap_err();
        let Some(RecordError::Clock { problem, .. }) = RecordError::of(&error) else { panic!("{error:?}") };
        assert!(problem.contains("1969-07-20"), "{problem}");
        note.clone().delete(&at_time(moon + step * 3)).await.unwrap();
        let first = [0, 1, 2, 3].map(|steps| moon + step * steps);
        assert_eq!(times(&db, note.id).await, first);

        // Another writer's clock is far ahead.
        let late = at("2040-02-29T23:59:59.999999Z");
        insert_record(&db, note.id, late, "3").await;
        note::ActiveModel { id: Set(note.id), ..note::draft("4") }.insert(&db).await.unwrap();
        set_text(&db, note.id, "5").await.unwrap();
        let error = set_text(&at_time(Utc::now()), note.id, "stale").await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Clock { .. })), "{error:?}");
        let rest = [0, 1, 2].map(|steps| late + step * steps);
        assert_eq!(times(&db, note.id).await[4..], rest);

        // And they are found.
        let text = async |select: Select<note::record::Entity>| {
            let record = select.order_by_asc(note::record::Column::RecordedAt).one(&db).await.unwrap();
            record.map(|record| record.text)
        };
        let found = async |text: Option<String>| text.map(|text| text.parse::<i32>().unwrap());
        let records = || note.records();
        assert_eq!(found(text(records().since(moon + step)).await).await, Some(1));
        assert_eq!(found(text(records().since(late + step)).await).await, Some(4));
        assert_eq!(found(text(records().until(moon + step).latest()).await).await, Some(0));
        assert_eq!(found(text(records().until(late + step).latest()).await).await, Some(3));
        assert_eq!(found(text(records().as_of(moon + step).into_select(&db)).await).await, Some(1));
        assert_eq!(found(text(records().as_of(late + step * 2).into_select(&db)).await).await, Some(5));
        assert_eq!(found(text(records().as_of(moon + step * 3).into_select(&db)).await).await, None);
    }

    /// SQLite compares texts, so ours must be those that sqlx binds for the field of a model.
    async fn a_time_is_written_as_sqlx_would_write_it(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let starts = ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.120Z", "2020-01-01T00:00:00.000001Z"];
        for start in starts.map(at) {
            let past = recorded.with_context(Context::new().clock(start));
            let note = note::draft("0").insert(&past).await.unwrap();
            let column = note::record::Column::RecordedAt;
            assert_eq!(note.records().filter(column.eq(start)).count(&db).await.unwrap(), 1, "{start}");
            // A microsecond later, in SQL.
            let ahead = Utc::now() + Duration::hours(1);
            let ahead = DateTime::from_timestamp(ahead.timestamp(), start.timestamp_subsec_nanos()).unwrap();
            record_at(&db, note.id, ahead).await;
            set_text(&db, note.id, "1").await.unwrap();
            let next = column.eq(ahead + Duration::microseconds(1));
            assert_eq!(note.records().filter(next).count(&db).await.unwrap(), 1, "{start}");
        }
    }

    /// What `docs/reading.md` says of the fields of a record's model.
    async fn the_field_of_a_model_goes_to_mariadb_as_a_timestamp(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let column = note::record::Column::RecordedAt;
        let is_mariadb = test.engine() == Engine::MariaDb && !is_mysql(&db).await;
        for (id, time) in (1..).zip(["1969-07-20T20:17:40Z", "2040-02-29T12:00:00Z"].map(at)) {
            let record = note::record::ActiveModel {
                recording_id: Set(id),
                recorded_at: Set(time),
                event: Set(Event::Updated),
                text: Set("x".to_owned()),
                ..Default::default()
            };
            let inserted = note::record::Entity::insert(record).exec_without_returning(&db).await;
            assert_eq!(inserted.is_err(), is_mariadb, "{time}: {inserted:?}");
            if is_mariadb {
                insert_record(&db, id, time, "x").await;
            }
            let of_row = || note::record::Entity::find().filter(note::record::Column::RecordingId.eq(id));
            let found = async |filter: SimpleExpr| of_row().filter(filter).one(&db).await.unwrap();
            assert_eq!(found(column.eq(time)).await.is_none(), is_mariadb, "{time}");
            // With an offset it goes there as text; and what is read is right.
            let record = found(column.eq(time.fixed_offset())).await.unwrap();
            assert_eq!(record.recorded_at, time);
        }
    }

    async fn one_stale_row_among_many_leaves_none_written(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let past = at("2021-01-01T00:00:00Z");
        let recorded = RecordedConnection::new(db.clone()).with_context(Context::new().clock(past));
        let fresh = blog::note(&recorded, "fresh").await;
        let stale = blog::note(&db, "stale").await;
        let txn = recorded.with_context(Context::new().clock(past + Duration::days(1))).begin().await.unwrap();
        for id in [fresh.id, stale.id] {
            set_text(&txn, id, "changed").await.unwrap();
        }
        let error = txn.commit().await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Clock { .. })), "{error:?}");
        assert_eq!(note::Entity::find().all(&db).await.unwrap(), [fresh, stale]);
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 2);
    }

    async fn a_clock_in_the_future_is_refused(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let soon = recorded.with_context(Context::new().clock(Utc::now() + Duration::seconds(50)));
        let note = note::draft("soon").insert(&soon).await.unwrap();
        let late = Utc::now() + Duration::seconds(70);
        let late = recorded.with_context(Context::new().clock(late));
        for error in [
            set_text(&late, note.id, "late").await.unwrap_err(),
            note::draft("late").insert(&late).await.unwrap_err(),
            note.clone().delete(&late).await.unwrap_err(),
        ] {
            let Some(RecordError::Clock { problem, .. }) = RecordError::of(&error) else { panic!("{error:?}") };
            assert!(problem.contains("more than a minute ahead"), "{problem}");
        }
        let txn = late.begin().await.unwrap();
        set_text(&txn, note.id, "late").await.unwrap();
        let error = txn.commit().await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Clock { .. })), "{error:?}");
        assert_eq!(note::Entity::find().all(&db).await.unwrap(), [note]);
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 1);
    }
}
