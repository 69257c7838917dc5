//! Rows, their order, and frames of so many of them.

use std::pin::pin;

use chrono::{DateTime, TimeDelta};
use futures_util::TryStreamExt;
use polars::frame::DataFrame;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, Set, TransactionTrait};
use sea_orm_record::prelude::*;

use crate::entities::*;
use crate::harness::*;

use station::record::{Column, Entity as Records, Model as Record};

/// Every third reading is missing.
fn record(n: i32) -> Record {
    Record {
        recording_id: 1 + n % 2,
        recorded_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(n.into()),
        event: Event::Updated,
        temperature: (n % 3 > 0).then_some(f64::from(n)),
    }
}

async fn stations(test: &TestDb, n: i32) -> DatabaseConnection {
    let db = test.connect().await;
    create::<station::Entity>(&db).await;
    insert::<Records>(&db, (0..n).map(record).collect()).await;
    db
}

fn ordered() -> Select<Records> {
    Records::find().order_by_asc(Column::RecordedAt)
}

fn stacked(frames: Vec<DataFrame>) -> DataFrame {
    let mut frames = frames.into_iter();
    let first = frames.next().unwrap();
    frames.fold(first, |whole, frame| whole.vstack(&frame).unwrap())
}

each_database! {
    async fn frames_have_n_rows_and_together_are_the_frame(test: TestDb) -> TestResult {
        let db = stations(&test, 60).await;
        let whole = ordered().frame(&db).await?;
        assert_eq!(whole.height(), 60);
        for n in [1, 7, 20, 30, 59, 60, 61, usize::MAX] {
            let frames: Vec<_> = ordered().frames(&db, n).try_collect().await?;
            let heights: Vec<_> = frames.iter().map(DataFrame::height).collect();
            let expected: Vec<_> = (0..60).step_by(n.min(60)).map(|from| n.min(60 - from)).collect();
            assert_eq!(heights, expected, "in frames of {n}");
            assert!(stacked(frames).equals_missing(&whole), "in frames of {n}");
        }
        Ok(())
    }

    async fn frames_of_no_rows_are_an_error(test: TestDb) -> TestResult {
        let db = stations(&test, 1).await;
        let error = pin!(ordered().frames(&db, 0)).try_next().await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Frame { .. })), "{error}");
        Ok(())
    }

    async fn a_frame_is_right_about_where_its_pieces_meet(test: TestDb) -> TestResult {
        let piece = 1 << 16;
        let db = stations(&test, piece + 1).await;
        for n in [piece - 1, piece, piece + 1] {
            let frame = ordered().limit(n as u64).frame(&db).await?;
            assert_eq!(frame.height(), n as usize);
            let found = frame.column("temperature")?.f64()?.iter();
            assert!(found.eq((0..n).map(|n| record(n).temperature)), "{n}");
        }
        Ok(())
    }

    async fn filters_windows_orders_and_limits_are_the_query_s_own(test: TestDb) -> TestResult {
        let db = stations(&test, 60).await;
        let records = station::Entity::records_of(2)
            .since(DateTime::UNIX_EPOCH + TimeDelta::seconds(10))
            .filter(Column::Temperature.is_not_null())
            .order_by_desc(Column::RecordedAt)
            .limit(5);
        let frame = records.clone().frame(&db).await?;
        let expected: Vec<_> = records.all(&db).await?.into_iter().map(|record| record.temperature).collect();
        assert_eq!(expected, [Some(59.0), Some(55.0), Some(53.0), Some(49.0), Some(47.0)]);
        assert_eq!(frame.column("temperature")?.f64()?.to_vec(), expected);
        Ok(())
    }

    async fn what_held_at_a_moment_has_a_frame(test: TestDb) -> TestResult {
        let db = stations(&test, 60).await;
        let then = station::Entity::as_of(DateTime::UNIX_EPOCH + TimeDelta::seconds(41));
        let frame = then.order_by_asc(Column::RecordingId).into_select(&db).frame(&db).await?;
        assert_eq!(frame.column("temperature")?.f64()?.to_vec(), [Some(40.0), Some(41.0)]);
        Ok(())
    }

    async fn a_frame_takes_one_statement(test: TestDb) -> TestResult {
        stations(&test, 60).await;
        let (db, counter) = test.counted().await;
        ordered().frame(&db).await?;
        counter.assert(1);
        ordered().frames(&db, 7).try_collect::<Vec<_>>().await?;
        counter.assert(1);
        Ok(())
    }

    async fn a_frame_in_a_recorded_transaction_has_what_it_wrote(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create::<station::Entity>(&db).await;
        db.get_schema_builder().register(station::Entity).apply(&db).await?;
        let txn = RecordedConnection::new(db).begin().await?;
        station::ActiveModel { id: Set(1), temperature: Set(Some(7.5)) }.insert(&txn).await?;
        let frame = station::Entity::records_of(1).frame(&txn).await?;
        assert_eq!(frame.column("temperature")?.f64()?.to_vec(), [Some(7.5)]);
        txn.commit().await?;
        Ok(())
    }

    async fn an_error_of_the_database_is_the_database_s(test: TestDb) -> TestResult {
        let db = test.connect().await;
        let error = ordered().frame(&db).await.unwrap_err();
        assert!(RecordError::of(&error).is_none() && error.to_string().contains("station_record"), "{error}");
        Ok(())
    }
}
