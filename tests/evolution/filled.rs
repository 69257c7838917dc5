//! What records from before are given in a column that is required, and what later ones are not.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ColumnType, StringLen};
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, Statement, Value};
use sea_orm_migration::SchemaManager;
use sea_orm_record_migration::{ChangeRecordTable, Evolution, RecordTable};

use super::versions::timed;
use super::{lines, sql};
use crate::harness::*;

fn gadget() -> RecordTable {
    RecordTable::new("gadget_record")
        .column("recording_id", ColumnType::Integer)
        .column("recorded_at", ColumnType::TimestampWithTimeZone)
        .column("event", ColumnType::String(StringLen::N(10)))
        .key(["recording_id", "recorded_at"])
        .index(["recorded_at"])
}

fn change() -> ChangeRecordTable {
    ChangeRecordTable::new("gadget_record")
}

/// A record without whatever else its table has.
fn record(id: i32) -> String {
    format!(
        "INSERT INTO gadget_record (recording_id, recorded_at, event) \
         VALUES ({id}, '2026-01-01 00:00:00', 'created')"
    )
}

async fn subtitle(db: &DatabaseConnection, id: i32) -> Option<String> {
    let select = format!("SELECT subtitle FROM gadget_record WHERE recording_id = {id}");
    let select = Statement::from_string(db.get_database_backend(), select);
    let row = db.query_one_raw(select).await.unwrap().unwrap();
    row.try_get("", "subtitle").unwrap()
}

fn moment() -> DateTime<Utc> {
    "2026-01-31T12:30:00.250Z".parse().unwrap()
}

/// A value for each column that is filled, and the text that a migration has of it.
fn fills() -> [(&'static str, ColumnType, Value, &'static str); 7] {
    let (at, text) = (moment(), "2026-01-31T12:30:00.250+00:00");
    let naive = at.naive_utc();
    let tag = sea_orm::prelude::Uuid::from_u128(77);
    let price: rust_decimal::Decimal = "12.25".parse().unwrap();
    let decimal = ColumnType::Decimal(Some((12, 4)));
    [
        ("moment", ColumnType::TimestampWithTimeZone, at.into(), text),
        ("day", ColumnType::Date, naive.date().into(), "2026-01-31"),
        (
            "hour",
            ColumnType::Time,
            naive.time().into(),
            "12:30:00.250",
        ),
        (
            "local",
            ColumnType::DateTime,
            naive.into(),
            "2026-01-31 12:30:00.250",
        ),
        ("price", decimal, price.into(), "12.25"),
        (
            "tag",
            ColumnType::Uuid,
            tag.into(),
            "00000000-0000-0000-0000-00000000004d",
        ),
        (
            "facts",
            ColumnType::Json,
            serde_json::json!({ "it's": 1 }).into(),
            "{\"it's\":1}",
        ),
    ]
}

/// A record as it reads what it was filled with.
async fn assert_filled(test: &TestDb) {
    let db = &test.connect().await;
    let evolution = Evolution::new().table(RecordTable::of(timed::Entity).unwrap());
    assert_eq!(
        lines(evolution.differences(db).await.unwrap()),
        Vec::<String>::new()
    );
    let record = timed::Entity::find().one(db).await.unwrap().unwrap();
    let naive = moment().naive_utc();
    assert_eq!((record.moment, record.local), (moment(), naive));
    assert_eq!((record.day, record.hour), (naive.date(), naive.time()));
    assert_eq!(record.price, "12.25".parse().unwrap());
    assert_eq!(record.tag, sea_orm::prelude::Uuid::from_u128(77));
    assert_eq!(record.facts, serde_json::json!({ "it's": 1 }));
}

each_database! {
    /// Neither while the column is required, nor when it is recorded no more.
    async fn what_records_were_filled_with_is_said_by_no_later_one(test: TestDb) {
        let db = &test.connect().await;
        let manager = &SchemaManager::new(db);
        gadget().create(manager).await.unwrap();
        sql(db, &record(1)).await;
        let filled = Evolution::new().table(gadget().column("subtitle", ColumnType::Text));
        change().add_filled_column("subtitle", ColumnType::Text, "none").apply(manager).await.unwrap();
        assert_eq!(lines(filled.differences(db).await.unwrap()), Vec::<String>::new());
        assert_eq!(subtitle(db, 1).await.as_deref(), Some("none"));
        db.execute_unprepared(&record(2)).await.unwrap_err();

        let retired = Evolution::new().table(gadget());
        let source = retired.migration(db).await.unwrap().unwrap();
        assert!(source.contains(".allow_null(\"subtitle\")"), "{source}");
        change().allow_null("subtitle").apply(manager).await.unwrap();
        sql(db, &record(2)).await;
        assert_eq!(subtitle(db, 2).await, None);
        assert_eq!(subtitle(db, 1).await.as_deref(), Some("none"));
    }

    /// As MySQL leaves it where it is killed between its two statements.
    async fn a_default_that_was_left_half_way_is_dropped_by_the_second_run(test: TestDb) {
        let db = &test.connect().await;
        let manager = &SchemaManager::new(db);
        gadget().create(manager).await.unwrap();
        sql(db, &record(1)).await;
        sql(db, "ALTER TABLE gadget_record ADD COLUMN pages integer NOT NULL DEFAULT 7").await;
        let filled = change().add_filled_column("pages", ColumnType::Integer, 7);
        filled.apply(manager).await.unwrap();
        filled.apply(manager).await.unwrap();
        db.execute_unprepared(&record(2)).await.unwrap_err();
        let wanted = Evolution::new().table(gadget().column("pages", ColumnType::Integer));
        assert_eq!(lines(wanted.differences(db).await.unwrap()), Vec::<String>::new());
    }

    /// Dates, decimals and the like are texts in a migration, and values of their types in each database.
    async fn every_type_that_a_text_says_can_be_filled(test: TestDb) {
        let db = &test.connect().await;
        let manager = &SchemaManager::new(db);
        gadget().create(manager).await.unwrap();
        sql(db, &record(1)).await;
        let table = RecordTable::of(timed::Entity).unwrap();
        let (mut evolution, mut filled) = (Evolution::new().table(table), change());
        for (name, ty, value, text) in fills() {
            evolution = evolution.filled("gadget_record", name, value);
            filled = filled.add_filled_column(name, ty, text);
        }
        let source = evolution.migration(db).await.unwrap().unwrap();
        for (.., text) in fills() {
            assert!(source.contains(&format!("{text:?}")), "{text}: {source}");
        }
        filled.apply(manager).await.unwrap();
        assert_filled(&test).await;

        // The same where the columns were there, and may be NULL; and of the values themselves.
        let (mut added, mut nulls, mut dropped) = (change(), change(), change());
        for (name, ty, value, _) in fills() {
            dropped = dropped.drop_column(name);
            added = added.add_column(name, ty);
            nulls = nulls.fill_nulls(name, value);
        }
        for change in [dropped, added, nulls] {
            change.apply(manager).await.unwrap();
        }
        assert_filled(&test).await;
    }

    async fn what_a_migration_has_no_words_for_is_refused(test: TestDb) {
        let db = &test.connect().await;
        gadget().create(&SchemaManager::new(db)).await.unwrap();
        let evolution = Evolution::new().table(gadget().column("print", ColumnType::Blob))
            .filled("gadget_record", "print", vec![7u8]);
        let problem = evolution.migration(db).await.unwrap_err().to_string();
        assert!(problem.contains("no words for the value that `print` is to be filled with"), "{problem}");
    }
}
