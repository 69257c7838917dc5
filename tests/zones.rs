//! Days of zones whose clocks do what one would not think of, worked out by hand.

use sea_orm::DatabaseConnection;
use sea_orm_record::agg::{count, mean, time_weighted_mean};
use sea_orm_record::prelude::*;

use crate::aggregates::gauge::{Entity as Gauge, record::Column};
use crate::aggregates::{gauge, gauges};
use crate::blog::article;
use crate::harness::*;
use crate::reading::{at, insert_records, record, record_table};

/// The start of a bucket in the zone, how many of its records there are, the first and the last in
/// UTC.
type Bucket = (&'static str, i64, &'static str, &'static str);

/// Records every `minutes` from `from`, the last of them before `until`.
async fn every(db: &DatabaseConnection, minutes: i64, from: &str, until: &str) {
    let step = chrono::TimeDelta::minutes(minutes);
    let times = std::iter::successors(Some(at(&utc(from))), |t| Some(*t + step));
    let times = times.take_while(|t| *t < at(&utc(until)));
    let records: Vec<_> = times.map(|t| record(1, t)).collect();
    insert_records(db, &records).await;
}

fn utc(t: &str) -> String {
    format!("{t}:00Z")
}

/// The first and the last record of each bucket are these; between them lies one every `minutes`.
async fn assert_buckets(
    db: &DatabaseConnection,
    name: &str,
    rule: &str,
    minutes: i64,
    expected: &[Bucket],
) {
    let zone = zone(name).unwrap();
    let resampled = || {
        article::Entity::records_of(1)
            .resample(rule)
            .unwrap()
            .in_zone(zone)
    };
    let first = resampled().first().buckets(db).await.unwrap();
    let last = resampled().buckets(db).await.unwrap();
    let found: Vec<_> = first
        .iter()
        .zip(&last)
        .map(|((start, first), (same, last))| {
            assert_eq!(start, same);
            let records = (last.recorded_at - first.recorded_at).num_minutes() / minutes + 1;
            let local = start
                .with_timezone(&zone)
                .format("%Y-%m-%dT%H:%M%:z")
                .to_string();
            let place = |t: &article::record::Model| t.recorded_at.format("%dT%H:%M").to_string();
            (local, records, place(first), place(last))
        })
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(start, records, first, last)| {
            (
                (*start).to_owned(),
                *records,
                (*first).to_owned(),
                (*last).to_owned(),
            )
        })
        .collect();
    assert_eq!(found, expected, "{rule} in {name}");
}

/// A value that is 10 and, from one moment on, 20: each bucket's start in the zone, what was in force
/// there, how many records it has, and its time-weighted mean.
async fn assert_values(
    test: &TestDb,
    name: &str,
    rule: &str,
    window: [&str; 2],
    [ten, twenty]: [&str; 2],
    expected: &[(&str, Option<f64>, i64, f64)],
) {
    let moment = |t: &str| at(&utc(t));
    let db = gauges(
        test,
        &[
            gauge(1, moment(ten), Some(10.0)),
            gauge(1, moment(twenty), Some(20.0)),
        ],
    )
    .await;
    let zone = zone(name).unwrap();
    let records = Gauge::records_of(1)
        .since(moment(window[0]))
        .until(moment(window[1]));
    let resampled = || records.clone().resample(rule).unwrap().in_zone(zone);
    let filled = resampled()
        .forward_fill()
        .keep_gaps()
        .all(&db)
        .await
        .unwrap();
    let asked = [count(), mean(Column::X), time_weighted_mean(Column::X)];
    let aggregated = resampled().agg(asked).keep_gaps().all(&db).await.unwrap();
    let found: Vec<_> = filled
        .iter()
        .zip(&aggregated)
        .map(|(bucket, numbers)| {
            assert_eq!(bucket.start, numbers.start);
            let local = bucket.start.with_timezone(&zone);
            let number = |part| {
                numbers
                    .get(part)
                    .unwrap()
                    .map(sea_orm_record::Number::to_f64)
            };
            (
                local.format("%Y-%m-%dT%H:%M%:z").to_string(),
                bucket.record.as_ref().and_then(|record| record.x),
                number(count()).unwrap() as i64,
                number(time_weighted_mean(Column::X)).unwrap(),
            )
        })
        .collect();
    assert_eq!(
        (filled.len(), aggregated.len()),
        (expected.len(), expected.len())
    );
    for ((start, filled, count, mean), expected) in found.iter().zip(expected) {
        assert_eq!(
            (start.as_str(), *filled, *count),
            (expected.0, expected.1, expected.2),
            "{rule} in {name}"
        );
        assert!(
            (mean - expected.3).abs() < 1e-9,
            "{rule} in {name}, {start}: {mean}"
        );
    }
}

each_database! {
    async fn values_hold_through_the_short_day_of_cairo(test: TestDb) -> TestResult {
        // 20 from 13:00 on, local time: 11 of the 23 hours of that day.
        assert_values(&test, "Africa/Cairo", "1D", ["2023-04-26T22:00", "2023-04-29T21:00"], ["2023-04-26T22:00", "2023-04-28T10:00"], &[
            ("2023-04-27T00:00+02:00", Some(10.0), 1, 10.0),
            ("2023-04-28T01:00+03:00", Some(10.0), 1, (12.0 * 10.0 + 11.0 * 20.0) / 23.0),
            ("2023-04-29T00:00+03:00", Some(20.0), 0, 20.0),
        ]).await;
        Ok(())
    }

    async fn values_hold_through_the_long_day_of_havana(test: TestDb) -> TestResult {
        // 20 from the second midnight on.
        assert_values(&test, "America/Havana", "1D", ["2023-11-04T16:00", "2023-11-07T05:00"], ["2023-11-04T10:00", "2023-11-05T05:00"], &[
            ("2023-11-04T00:00-04:00", None, 0, 10.0),
            ("2023-11-05T00:00-04:00", Some(10.0), 1, (10.0 + 24.0 * 20.0) / 25.0),
            ("2023-11-06T00:00-05:00", Some(20.0), 0, 20.0),
        ]).await;
        Ok(())
    }

    async fn values_hold_over_the_day_that_apia_skipped(test: TestDb) -> TestResult {
        assert_values(&test, "Pacific/Apia", "1D", ["2011-12-29T10:00", "2012-01-01T10:00"], ["2011-12-20T00:00", "2011-12-30T16:00"], &[
            ("2011-12-29T00:00-10:00", Some(10.0), 0, 10.0),
            ("2011-12-31T00:00+14:00", Some(10.0), 1, (6.0 * 10.0 + 18.0 * 20.0) / 24.0),
            ("2012-01-01T00:00+14:00", Some(20.0), 0, 20.0),
        ]).await;
        Ok(())
    }

    async fn values_hold_through_half_an_hour_more_on_lord_howe(test: TestDb) -> TestResult {
        assert_values(&test, "Australia/Lord_Howe", "12h", ["2024-04-06T13:00", "2024-04-07T13:30"], ["2024-04-06T13:00", "2024-04-07T13:15"], &[
            ("2024-04-07T00:00+11:00", Some(10.0), 1, 10.0),
            ("2024-04-07T11:30+10:30", Some(10.0), 0, 10.0),
            ("2024-04-07T23:30+10:30", Some(10.0), 1, 15.0),
        ]).await;
        Ok(())
    }

    async fn values_hold_through_the_quarters_of_kathmandu(test: TestDb) -> TestResult {
        assert_values(&test, "Asia/Kathmandu", "1h", ["2024-05-09T17:30", "2024-05-09T19:15"], ["2024-05-09T17:15", "2024-05-09T18:30"], &[
            ("2024-05-09T23:00+05:45", Some(10.0), 0, 10.0),
            ("2024-05-10T00:00+05:45", Some(10.0), 1, (15.0 * 10.0 + 45.0 * 20.0) / 60.0),
        ]).await;
        Ok(())
    }

    async fn cairo_has_a_day_that_starts_at_one(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // At midnight before 28 April 2023 the clocks go to 01:00: UTC+2 becomes UTC+3.
        every(&db, 60, "2023-04-26T22:00", "2023-04-29T21:00").await;
        assert_buckets(&db, "Africa/Cairo", "1D", 60, &[
            ("2023-04-27T00:00+02:00", 24, "26T22:00", "27T21:00"),
            ("2023-04-28T01:00+03:00", 23, "27T22:00", "28T20:00"),
            ("2023-04-29T00:00+03:00", 24, "28T21:00", "29T20:00"),
        ]).await;
        // Its buckets of six hours begin with it, and the last of them is cut short.
        assert_buckets(&db, "Africa/Cairo", "6h", 60, &[
            ("2023-04-27T00:00+02:00", 6, "26T22:00", "27T03:00"),
            ("2023-04-27T06:00+02:00", 6, "27T04:00", "27T09:00"),
            ("2023-04-27T12:00+02:00", 6, "27T10:00", "27T15:00"),
            ("2023-04-27T18:00+02:00", 6, "27T16:00", "27T21:00"),
            ("2023-04-28T01:00+03:00", 6, "27T22:00", "28T03:00"),
            ("2023-04-28T07:00+03:00", 6, "28T04:00", "28T09:00"),
            ("2023-04-28T13:00+03:00", 6, "28T10:00", "28T15:00"),
            ("2023-04-28T19:00+03:00", 5, "28T16:00", "28T20:00"),
            ("2023-04-29T00:00+03:00", 6, "28T21:00", "29T02:00"),
            ("2023-04-29T06:00+03:00", 6, "29T03:00", "29T08:00"),
            ("2023-04-29T12:00+03:00", 6, "29T09:00", "29T14:00"),
            ("2023-04-29T18:00+03:00", 6, "29T15:00", "29T20:00"),
        ]).await;
        Ok(())
    }

    async fn havana_has_a_day_of_two_midnights(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // At 01:00 on 5 November 2023 the clocks go back to midnight: UTC-4 becomes UTC-5.
        every(&db, 60, "2023-11-04T04:00", "2023-11-07T05:00").await;
        assert_buckets(&db, "America/Havana", "1D", 60, &[
            ("2023-11-04T00:00-04:00", 24, "04T04:00", "05T03:00"),
            ("2023-11-05T00:00-04:00", 25, "05T04:00", "06T04:00"),
            ("2023-11-06T00:00-05:00", 24, "06T05:00", "07T04:00"),
        ]).await;
        // The second midnight is an hour of that day, and not the start of another.
        assert_buckets(&db, "America/Havana", "12h", 60, &[
            ("2023-11-04T00:00-04:00", 12, "04T04:00", "04T15:00"),
            ("2023-11-04T12:00-04:00", 12, "04T16:00", "05T03:00"),
            ("2023-11-05T00:00-04:00", 12, "05T04:00", "05T15:00"),
            ("2023-11-05T11:00-05:00", 12, "05T16:00", "06T03:00"),
            ("2023-11-05T23:00-05:00", 1, "06T04:00", "06T04:00"),
            ("2023-11-06T00:00-05:00", 12, "06T05:00", "06T16:00"),
            ("2023-11-06T12:00-05:00", 12, "06T17:00", "07T04:00"),
        ]).await;
        Ok(())
    }

    async fn apia_has_no_thirtieth_of_december_in_2011(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // At the end of the 29th it crossed the date line: UTC-10 became UTC+14.
        every(&db, 60, "2011-12-28T10:00", "2012-01-01T10:00").await;
        assert_buckets(&db, "Pacific/Apia", "1D", 60, &[
            ("2011-12-28T00:00-10:00", 24, "28T10:00", "29T09:00"),
            ("2011-12-29T00:00-10:00", 24, "29T10:00", "30T09:00"),
            ("2011-12-31T00:00+14:00", 24, "30T10:00", "31T09:00"),
            ("2012-01-01T00:00+14:00", 24, "31T10:00", "01T09:00"),
        ]).await;
        assert_buckets(&db, "Pacific/Apia", "1MS", 60, &[
            ("2011-12-01T00:00-10:00", 72, "28T10:00", "31T09:00"),
            ("2012-01-01T00:00+14:00", 24, "31T10:00", "01T09:00"),
        ]).await;
        Ok(())
    }

    async fn lord_howe_moves_its_clocks_by_half_an_hour(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // At 02:00 on 7 April 2024 back to 01:30 (UTC+11 becomes UTC+10:30), and in spring forward.
        every(&db, 30, "2024-04-05T13:00", "2024-04-08T13:30").await;
        assert_buckets(&db, "Australia/Lord_Howe", "1D", 30, &[
            ("2024-04-06T00:00+11:00", 48, "05T13:00", "06T12:30"),
            ("2024-04-07T00:00+11:00", 49, "06T13:00", "07T13:00"),
            ("2024-04-08T00:00+10:30", 48, "07T13:30", "08T13:00"),
        ]).await;
        assert_buckets(&db, "Australia/Lord_Howe", "12h", 30, &[
            ("2024-04-06T00:00+11:00", 24, "05T13:00", "06T00:30"),
            ("2024-04-06T12:00+11:00", 24, "06T01:00", "06T12:30"),
            ("2024-04-07T00:00+11:00", 24, "06T13:00", "07T00:30"),
            ("2024-04-07T11:30+10:30", 24, "07T01:00", "07T12:30"),
            ("2024-04-07T23:30+10:30", 1, "07T13:00", "07T13:00"),
            ("2024-04-08T00:00+10:30", 24, "07T13:30", "08T01:00"),
            ("2024-04-08T12:00+10:30", 24, "08T01:30", "08T13:00"),
        ]).await;
        Ok(())
    }

    async fn lord_howe_loses_half_an_hour_in_spring(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        every(&db, 30, "2024-10-04T13:30", "2024-10-07T13:00").await;
        assert_buckets(&db, "Australia/Lord_Howe", "1D", 30, &[
            ("2024-10-05T00:00+10:30", 48, "04T13:30", "05T13:00"),
            ("2024-10-06T00:00+10:30", 47, "05T13:30", "06T12:30"),
            ("2024-10-07T00:00+11:00", 48, "06T13:00", "07T12:30"),
        ]).await;
        Ok(())
    }

    async fn kathmandu_is_a_quarter_of_an_hour_off(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // UTC+5:45, all the year.
        every(&db, 15, "2024-05-09T17:30", "2024-05-09T20:00").await;
        assert_buckets(&db, "Asia/Kathmandu", "1h", 15, &[
            ("2024-05-09T23:00+05:45", 3, "09T17:30", "09T18:00"),
            ("2024-05-10T00:00+05:45", 4, "09T18:15", "09T19:00"),
            ("2024-05-10T01:00+05:45", 3, "09T19:15", "09T19:45"),
        ]).await;
        assert_buckets(&db, "Asia/Kathmandu", "1D", 15, &[
            ("2024-05-09T00:00+05:45", 3, "09T17:30", "09T18:00"),
            ("2024-05-10T00:00+05:45", 7, "09T18:15", "09T19:45"),
        ]).await;
        Ok(())
    }
}
