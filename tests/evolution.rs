//! Record tables from version to version: what is generated, and what it does up and down.

mod altered;
mod filled;
mod generating;
#[path = "evolution/program/gizmo.rs"]
mod gizmo;
mod hand_edited;
mod later;
mod migrations;
#[path = "evolution/program/migrator.rs"]
mod migrator;
mod partitioned;
mod versions;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, QueryOrder,
};
use sea_orm_migration::MigratorTrait;
use sea_orm_record::Event;
use sea_orm_record_migration::{Evolution, RecordTable};

use self::migrations::{Migrator, sources};
use self::versions::*;
use crate::harness::*;

/// What each version wants.
fn wanted() -> [Evolution; 10] {
    fn of<R: sea_orm_record::RecordEntity>(record: R) -> Evolution {
        Evolution::new()
            .table(RecordTable::of(record).unwrap())
            .renamed("gadget_record", "words", "word_count")
    }
    [
        Evolution::new().table(RecordTable::of(v1::Entity).unwrap()),
        Evolution::new().table(RecordTable::of(v2::Entity).unwrap()),
        Evolution::new().table(RecordTable::of(v3::Entity).unwrap()),
        Evolution::new().table(RecordTable::of(v4::Entity).unwrap()),
        of(v5::Entity),
        of(v6::Entity),
        of(v7::Entity),
        of(v8::Entity),
        of(v9::Entity).filled("gadget_record", "subtitle", ""),
        of(v10::Entity)
            .filled("gadget_record", "subtitle", "")
            .filled("gadget_record", "pages", 0i64),
    ]
}

fn lines(differences: Vec<sea_orm_record_migration::Difference>) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

async fn sql(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap();
}

async fn up(db: &DatabaseConnection, steps: u32) {
    Migrator::up(db, Some(steps)).await.unwrap();
}

async fn down(db: &DatabaseConnection) {
    Migrator::down(db, Some(1)).await.unwrap();
}

/// The records of a version, in their order; by a pool of its own, since PostgreSQL's connections
/// remember the types of a query.
macro_rules! records {
    ($version:ident, $db:expr) => {
        $version::Entity::find()
            .order_by_asc($version::Column::RecordingId)
            .all($db)
            .await
            .unwrap()
    };
}

/// Inserts a record, as a program of its version does.
macro_rules! record {
    ($version:ident, $db:expr, $id:literal, { $($field:ident: $value:expr),* $(,)? }) => {{
        let model = $version::Model {
            recording_id: $id,
            recorded_at: "2026-03-04T05:06:07.123456Z".parse().unwrap(),
            event: Event::Created,
            $($field: $value),*
        };
        let active = model.into_active_model().reset_all();
        $version::Entity::insert(active).exec_without_returning($db).await.unwrap();
    }};
}

fn price() -> rust_decimal::Decimal {
    "12.5".parse().unwrap()
}

each_database! {
    /// From each version to the next, the files are what is generated, and leave no difference.
    async fn ten_versions_are_generated(test: TestDb) {
        let db = &test.connect().await;
        for (evolution, file) in wanted().iter().zip(sources()) {
            let source = evolution.migration(db).await.unwrap();
            assert_eq!(source.as_deref(), Some(file));
            up(db, 1).await;
            assert_eq!(lines(evolution.differences(db).await.unwrap()), Vec::<String>::new());
            assert_eq!(evolution.migration(db).await.unwrap(), None);
        }
    }

    /// Up through all versions, with a record of each, and down again.
    async fn ten_versions_run_up_and_down_with_data_in_between(test: TestDb) {
        let db = &test.connect().await;
        up(db, 1).await;
        record!(v1, db, 1, { title: "one".into(), words: 1, price: price(), mood: Mood::Good });
        up(db, 1).await;
        record!(v2, db, 2, { title: "two".into(), words: 2, price: price(), mood: Mood::Bad, subtitle: Some("2".into()) });
        up(db, 1).await;
        record!(v3, db, 3, { title: "three".into(), words: 3, price: price(), mood: Mood::Bad, subtitle: None, rank: Some(3) });
        up(db, 1).await;
        let long = "x".repeat(100);
        record!(v4, db, 4, { title: long.clone(), words: 4, price: price(), mood: Mood::Bad, subtitle: None, rank: None });
        up(db, 1).await;
        record!(v5, db, 5, { title: "five".into(), word_count: 5, price: price(), mood: Mood::Bad, subtitle: None, rank: None });
        up(db, 1).await;
        record!(v6, db, 6, { title: "six".into(), word_count: 6, price: None, mood: Mood::Bad, subtitle: None, rank: None });
        up(db, 1).await;
        record!(v7, db, 7, { title: "seven".into(), price: None, subtitle: None, rank: None });
        up(db, 1).await;
        record!(v8, db, 8, { title: "eight".into(), word_count: Some(8), price: None, subtitle: None, rank: None });
        up(db, 1).await;
        record!(v9, db, 9, { title: "nine".into(), word_count: None, price: None, subtitle: "9".into(), rank: None });
        up(db, 1).await;
        record!(v10, db, 10, {
            title: "ten".into(), word_count: None, price: None, subtitle: String::new(), rank: None, pages: 10,
            actor: Some("alice".into()), reason: None, change_id: None, metadata: Some(serde_json::json!({"a": 1})),
        });

        let records = records!(v10, &test.connect().await);
        let of = |record: &v10::Model| (record.title.clone(), record.word_count, record.subtitle.clone(), record.pages);
        assert_eq!(records.iter().map(of).collect::<Vec<_>>(), [
            ("one".into(), Some(1), String::new(), 0),
            ("two".into(), Some(2), "2".into(), 0),
            ("three".into(), Some(3), String::new(), 0),
            (long.clone(), Some(4), String::new(), 0),
            ("five".into(), Some(5), String::new(), 0),
            ("six".into(), Some(6), String::new(), 0),
            ("seven".into(), None, String::new(), 0),
            ("eight".into(), Some(8), String::new(), 0),
            ("nine".into(), None, "9".into(), 0),
            ("ten".into(), None, String::new(), 10),
        ]);
        assert_eq!(records[0].price, Some(price()));
        assert_eq!(records[0].recorded_at, "2026-03-04T05:06:07.123456Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap());
        assert_eq!(records[9].metadata, Some(serde_json::json!({"a": 1})));

        down(db).await;
        assert_eq!(records!(v9, &test.connect().await).len(), 10);
        down(db).await;
        assert_eq!(records!(v8, &test.connect().await)[0].rank, None);
        assert_eq!(records!(v8, &test.connect().await)[2].rank, Some(3));
        down(db).await;
        assert_eq!(records!(v7, &test.connect().await).len(), 10);
        down(db).await;
        // Two have no mood: it stays nullable, since none can be made up.
        let left = lines(wanted()[5].differences(db).await.unwrap());
        assert_eq!(left.len(), 2, "{left:?}");
        sql(db, "DELETE FROM gadget_record WHERE recording_id > 6").await;
        assert_eq!(records!(v6, &test.connect().await)[5].word_count, 6);
        down(db).await;
        sql(db, "DELETE FROM gadget_record WHERE recording_id > 5").await;
        assert_eq!(records!(v5, &test.connect().await)[4].word_count, 5);
        down(db).await;
        assert_eq!(records!(v4, &test.connect().await)[4].words, 5);
        if test.engine() != Engine::Sqlite {
            // Too long for what it was: refused, and nothing is done.
            Migrator::down(db, Some(1)).await.unwrap_err();
        }
        sql(db, "DELETE FROM gadget_record WHERE recording_id > 3").await;
        down(db).await;
        assert_eq!(records!(v3, &test.connect().await)[2].rank, Some(3));
        down(db).await;
        assert_eq!(records!(v2, &test.connect().await)[1].subtitle.as_deref(), Some("2"));
        down(db).await;
        let records = records!(v1, &test.connect().await);
        assert_eq!(records.len(), 3);
        assert_eq!((records[0].words, records[1].mood, records[2].price), (1, Mood::Bad, price()));
        down(db).await;
        let left = lines(wanted()[0].differences(db).await.unwrap());
        assert_eq!(left, ["table: missing, wanted present"]);
        Migrator::up(db, None).await.unwrap();
        assert_eq!(lines(wanted()[9].differences(db).await.unwrap()), Vec::<String>::new());
    }
}
