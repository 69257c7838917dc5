//! Questions to a record table that is not there, or lacks a column: each says what to do.

use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseConnection, TransactionTrait};
use sea_orm_record::RecordError;
use sea_orm_record::agg::{max, mean, time_weighted_mean};
use sea_orm_record::prelude::*;

use crate::harness::*;
use crate::library::{book, draft, library, shelf};

use book::record::Column;

/// Every query that is executed here, by what it is: with one row and with several, filtered or not.
async fn questions(
    db: &DatabaseConnection,
    t: DateTimeUtc,
) -> Vec<(&'static str, Result<(), DbErr>)> {
    let of_one = || book::Entity::records_of(1);
    let records = book::Entity::records;
    let titled = || records().filter(Column::Title.eq("One"));
    let held = || book::Entity::as_of(t);
    let day = chrono::TimeDelta::days(1);
    let early = t - day;
    let around = Window::between(early, t + day).unwrap();
    let hourly = || records().within(around).resample("1h").unwrap();
    let daily_of_one = || of_one().resample("1D").unwrap();
    let numbers = || [mean(Column::Letters), max(Column::Letters)];
    macro_rules! asked {
        ($($question:expr),+ $(,)?) => {
            vec![$((stringify!($question), $question.await.map(drop))),+]
        };
    }
    asked![
        held().all(db),
        held().one(db),
        held().count(db),
        held().with_deleted().all(db),
        held().filter(Column::Title.eq("One")).all(db),
        of_one().as_of(t).one(db),
        held().find_also(shelf::Entity).all(db),
        held().find_also(shelf::Entity).one(db),
        book::Entity::diff_between(early, t).all(db),
        titled().diff_between(t, early).all(db),
        records().changes().all(db),
        of_one().changes().newest_first().all(db),
        records().where_changed(Column::Letters).all(db),
        of_one().where_changed(Column::Letters).one(db),
        records().where_changed(Column::Letters).count(db),
        book::Entity::restore_to(early).preview().all(db),
        book::Entity::restore_to(early).apply(db),
        titled().restore_to(early).apply(db),
        hourly().all(db),
        hourly().first().all(db),
        hourly().over_all_rows().buckets(db),
        hourly().forward_fill().all(db),
        hourly().keep_gaps().all(db),
        hourly().agg(numbers()).all(db),
        hourly().agg([time_weighted_mean(Column::Letters)]).all(db),
        daily_of_one().all(db),
        daily_of_one().first().all(db),
        daily_of_one().forward_fill().buckets(db),
        daily_of_one().keep_gaps().all(db),
        daily_of_one().agg(numbers()).all(db),
        daily_of_one()
            .agg([time_weighted_mean(Column::Letters)])
            .all(db),
    ]
}

fn assert_says_what_to_do(question: &str, answer: Result<(), DbErr>) {
    let error = answer.expect_err(question);
    let Some(ours) = RecordError::of(&error) else {
        panic!("{question}: {error:?}");
    };
    let RecordError::Database { entity, action, .. } = ours else {
        panic!("{question}: {ours:?}");
    };
    assert_eq!(entity, "volume", "{question}");
    assert_eq!(action, "reading `volume_record`", "{question}");
    assert!(ours.is_missing_table(), "{question}: {ours}");
    assert!(ours.to_string().contains("`create_record_table`"), "{ours}");
}

async fn alter(db: &DatabaseConnection, sql: &str) -> TestResult {
    // SQLite alters what the connection knows, which may be what was there before.
    let txn = db.begin().await?;
    book::Entity::find().all(&txn).await?;
    txn.execute_unprepared(sql).await?;
    txn.commit().await?;
    Ok(())
}

each_database! {
    async fn a_missing_table_or_column_of_records_is_named_by_every_question(test: TestDb) -> TestResult {
        let db = test.connect().await;
        library(&db).await;
        let book = draft("One").insert(&db).await?;
        let t = book.records().latest().one(&db).await?.unwrap().recorded_at;
        draft("Two").insert(&db).await?;
        for (question, answer) in questions(&db, t).await {
            assert!(answer.is_ok(), "{question}: {answer:?}");
        }
        draft("Three").insert(&db).await?;
        for (away, back) in [
            ("ALTER TABLE volume_record RENAME TO away", "ALTER TABLE away RENAME TO volume_record"),
            (
                "ALTER TABLE volume_record RENAME COLUMN letters TO away",
                "ALTER TABLE volume_record RENAME COLUMN away TO letters",
            ),
        ] {
            alter(&db, away).await?;
            for (question, answer) in questions(&db, t).await {
                assert_says_what_to_do(&format!("{away}: {question}"), answer);
            }
            // A `Select` is SeaORM's, and says what SeaORM says.
            let plain = book::Entity::records().all(&db).await.unwrap_err();
            assert!(RecordError::of(&plain).is_none() && matches!(plain, DbErr::Query(_)), "{plain:?}");
            alter(&db, back).await?;
        }
        Ok(())
    }
}
