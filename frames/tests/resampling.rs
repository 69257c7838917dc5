//! Polars, `resample` and pandas answer the same.

use chrono::{NaiveDateTime, TimeZone};
use polars::prelude::*;
use sea_orm::QueryOrder;
use sea_orm::prelude::DateTimeUtc;
use sea_orm_record::prelude::*;
use serde::Deserialize;

use crate::entities::*;
use crate::harness::*;

use station::record::{Column as Field, Entity as Records, Model as Record};

#[derive(Deserialize)]
struct Golden {
    rows: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    rule: String,
    zone: String,
    total: usize,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    start: DateTimeUtc,
    last_at: DateTimeUtc,
    count: u32,
    first: f64,
    last: f64,
    min: f64,
    max: f64,
    mean: f64,
}

/// The temperatures in UTC. Local times that daylight saving skips or doubles are dropped.
fn temperatures() -> Vec<Record> {
    let csv = include_str!("../../tests/golden/seattle-temps.csv");
    let measured = csv.lines().skip(1).filter_map(|line| {
        let (local, temperature) = line.split_once(',').unwrap();
        let local = NaiveDateTime::parse_from_str(local, "%Y/%m/%d %H:%M").unwrap();
        let zone = chrono_tz::America::Los_Angeles;
        Some(Record {
            recording_id: 1,
            recorded_at: zone.from_local_datetime(&local).single()?.to_utc(),
            event: Event::Updated,
            temperature: Some(temperature.trim().parse().unwrap()),
        })
    });
    measured.collect()
}

/// How polars spells a rule of pandas.
fn every(rule: &str) -> Duration {
    Duration::parse(match rule {
        "h" => "1h",
        "6h" => "6h",
        "D" => "1d",
        "W" => "1w",
        "MS" => "1mo",
        "QS" => "1q",
        "YS" => "1y",
        other => panic!("{other}"),
    })
}

/// Buckets of a frame, by polars alone.
fn resampled(frame: DataFrame, rule: &str, zone: &str) -> PolarsResult<DataFrame> {
    let zone = polars::prelude::TimeZone::opt_try_new(Some(zone))?.unwrap();
    let options = DynamicGroupOptions {
        every: every(rule),
        period: every(rule),
        offset: Duration::parse("0ns"),
        label: Label::Left,
        closed_window: ClosedWindow::Left,
        ..Default::default()
    };
    let at = col("recorded_at");
    let temperature = col("temperature");
    frame
        .lazy()
        .with_column(at.clone().alias("last_at"))
        .with_column(at.clone().dt().convert_time_zone(zone))
        .group_by_dynamic(at, [], options)
        .agg([
            col("last_at").last(),
            temperature.clone().count().alias("count"),
            temperature.clone().first().alias("first"),
            temperature.clone().last().alias("last"),
            temperature.clone().min().alias("min"),
            temperature.clone().max().alias("max"),
            temperature.mean().alias("mean"),
        ])
        .collect()
}

fn floats(frame: &DataFrame, name: &str) -> Vec<f64> {
    frame
        .column(name)
        .unwrap()
        .f64()
        .unwrap()
        .no_null_iter()
        .collect()
}

fn moments(frame: &DataFrame, name: &str) -> Vec<DateTimeUtc> {
    let column = frame.column(name).unwrap().datetime().unwrap();
    let micros = column.physical().no_null_iter();
    micros
        .map(|micros| DateTimeUtc::from_timestamp_micros(micros).unwrap())
        .collect()
}

each_database! {
    async fn a_resampled_frame_is_what_sql_and_pandas_answer(test: TestDb) -> TestResult {
        let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/seattle.json"))?;
        let db = test.connect().await;
        create::<station::Entity>(&db).await;
        let measured = temperatures();
        assert_eq!(measured.len(), golden.rows);
        insert::<Records>(&db, measured).await;
        let frame = station::Entity::records_of(1).order_by_asc(Field::RecordedAt).frame(&db).await?;
        for case in golden.cases {
            let name = format!("{} in {}", case.rule, case.zone);
            let found = resampled(frame.clone(), &case.rule, &case.zone)?;
            assert_eq!(found.height(), case.total, "{name}");

            let sql = || {
                let resample = station::Entity::records_of(1).resample(case.rule.as_str()).unwrap();
                resample.in_zone(zone(&case.zone).unwrap())
            };
            let (last, first) = (sql().buckets(&db).await?, sql().first().buckets(&db).await?);
            let (starts, last_at) = (moments(&found, "recorded_at"), moments(&found, "last_at"));
            assert!(last.iter().map(|(start, _)| *start).eq(starts.clone()), "{name}");
            assert!(last.iter().map(|(_, record)| record.recorded_at).eq(last_at.clone()), "{name}");
            let of_sql = |records: &[(DateTimeUtc, Record)]| -> Vec<f64> {
                records.iter().map(|(_, record)| record.temperature.unwrap()).collect()
            };
            assert_eq!(floats(&found, "last"), of_sql(&last), "{name}");
            assert_eq!(floats(&found, "first"), of_sql(&first), "{name}");

            let counts: Vec<_> = found.column("count")?.u32()?.no_null_iter().collect();
            let (min, max) = (floats(&found, "min"), floats(&found, "max"));
            let mean = floats(&found, "mean");
            for (i, bucket) in case.buckets.iter().enumerate() {
                assert_eq!((starts[i], last_at[i]), (bucket.start, bucket.last_at), "{name}");
                assert_eq!(counts[i], bucket.count, "{name}");
                assert_eq!((min[i], max[i]), (bucket.min, bucket.max), "{name}");
                assert_eq!(last[i].1.temperature, Some(bucket.last), "{name}");
                assert_eq!(first[i].1.temperature, Some(bucket.first), "{name}");
                // The golden means are rounded to nine places.
                assert!((mean[i] - bucket.mean).abs() < 1e-9, "{name}");
            }
        }
        Ok(())
    }
}
