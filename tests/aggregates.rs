//! Numbers of each bucket: by hand, as pandas has them, and as a loop over all records has them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rust_decimal::Decimal;
use sea_orm::entity::prelude::{ColumnTrait, DateTimeUtc, EntityTrait, QueryFilter, Select};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_record::agg::{
    Aggregate, Aggregated, count, count_of, first, last, max, mean, min, ohlc, sum,
    time_weighted_mean,
};
use sea_orm_record::prelude::{Event, RecordError, RecordQuery, Recorded, Window};
use sea_orm_record::{Buckets, Number};
use sea_orm_record_migration::RecordSchema;

use crate::harness::*;
use crate::reading::{at, insert, seat};
use crate::resample::{Golden, station, temperatures};

use gauge::record::{Column, Entity as Records, Model as Record};

/// Numbers of every kind.
pub mod gauge {
    use rust_decimal::Decimal;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(n, x, small, price, label), properties(twice: i32))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "gauge")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub n: Option<i64>,
        pub x: Option<f64>,
        pub small: Option<f32>,
        #[sea_orm(column_type = "Decimal(Some((19, 4)))")]
        pub price: Option<Decimal>,
        pub label: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|_| record::Properties { twice: 0 })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Numbers of as many digits as a `Decimal` has.
mod hoard {
    use rust_decimal::Decimal;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, record_hooks, recorded};

    #[recorded(columns(coins, grams))]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "hoard")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(column_type = "Decimal(Some((30, 0)))")]
        pub coins: Decimal,
        #[sea_orm(column_type = "Decimal(Some((28, 18)))")]
        pub grams: Decimal,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

pub fn gauge(id: i32, at: DateTimeUtc, x: Option<f64>) -> Record {
    Record {
        recording_id: id,
        recorded_at: at,
        event: Event::Updated,
        n: None,
        x,
        small: None,
        price: None,
        label: "a".to_owned(),
        twice: 0,
    }
}

pub fn gone(id: i32, at: DateTimeUtc, x: Option<f64>) -> Record {
    Record {
        event: Event::Deleted,
        ..gauge(id, at, x)
    }
}

pub async fn gauges(test: &TestDb, records: &[Record]) -> DatabaseConnection {
    let db = test.connect().await;
    db.create_record_table(Records).await.unwrap();
    insert::<Records, _>(&db, records.iter().cloned()).await;
    db
}

fn of(id: i32) -> Select<Records> {
    gauge::Entity::records_of(id)
}

fn all() -> Select<Records> {
    gauge::Entity::records()
}

/// 1 March 2024, at this time.
fn t(time: &str) -> DateTimeUtc {
    at(&format!("2024-03-01T{time}Z"))
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

type Part = Aggregate<Column>;

fn float(bucket: &Aggregated<Records>, part: Part) -> Option<f64> {
    bucket.get(part).unwrap().map(Number::to_f64)
}

/// What a time-weighted mean is of each bucket, by the bucket's hour and the row.
async fn weighted(
    select: Select<Records>,
    rule: &str,
    db: &impl ConnectionTrait,
) -> Vec<(String, i32, Option<f64>)> {
    let part = time_weighted_mean(Column::X);
    let buckets = select
        .resample(rule)
        .unwrap()
        .agg([part])
        .all(db)
        .await
        .unwrap();
    let hour = |bucket: &Aggregated<Records>| bucket.start.format("%dT%H").to_string();
    let each = buckets
        .iter()
        .map(|bucket| (hour(bucket), bucket.row().unwrap(), float(bucket, part)));
    each.collect()
}

/// What is computed, the slow way: a number for each of [`PARTS`].
type Answer = BTreeMap<(DateTimeUtc, i32), Vec<Option<f64>>>;

const PARTS: [fn(Column) -> Part; 8] = [|_| count(), count_of, mean, min, max, sum, first, last];

fn value(record: &Record) -> Option<f64> {
    record
        .x
        .filter(|x| record.event != Event::Deleted && !x.is_nan())
}

/// `row` tells whose numbers a record belongs to: its row's, or all rows' together.
fn measured(records: &[Record], buckets: &Buckets, row: impl Fn(&Record) -> i32) -> Answer {
    let mut of_bucket: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in records
        .iter()
        .filter(|record| record.event != Event::Deleted)
    {
        let start = buckets.start_of(record.recorded_at).unwrap();
        of_bucket
            .entry((start, row(record)))
            .or_default()
            .push(record);
    }
    let numbers = |mut records: Vec<&Record>| {
        records.sort_by_key(|record| (record.recorded_at, record.recording_id));
        let xs: Vec<_> = records.iter().filter_map(|record| value(record)).collect();
        let n = xs.len() as f64;
        let total = (n > 0.0).then(|| xs.iter().sum::<f64>());
        vec![
            Some(records.len() as f64),
            Some(n),
            total.map(|total| total / n),
            xs.iter().copied().reduce(f64::min),
            xs.iter().copied().reduce(f64::max),
            total,
            xs.first().copied(),
            xs.last().copied(),
        ]
    };
    let each = of_bucket.into_iter();
    each.map(|(place, records)| (place, numbers(records)))
        .collect()
}

/// The time-weighted mean of each bucket, microseconds counted.
fn weighed(
    records: &[Record],
    buckets: &Buckets,
    window: (Option<DateTimeUtc>, DateTimeUtc),
    all_rows: bool,
) -> BTreeMap<(DateTimeUtc, i32), f64> {
    let mut areas: BTreeMap<(DateTimeUtc, i32), (f64, i64)> = BTreeMap::new();
    let rows: BTreeSet<_> = records.iter().map(|record| record.recording_id).collect();
    let (since, end) = window;
    for row in rows {
        let mut of_row: Vec<_> = records
            .iter()
            .filter(|record| record.recording_id == row)
            .collect();
        of_row.sort_by_key(|record| record.recorded_at);
        let ends = of_row
            .iter()
            .skip(1)
            .map(|next| next.recorded_at)
            .chain([end]);
        for (record, until) in of_row.iter().zip(ends) {
            let Some(x) = value(record) else { continue };
            let until = Ord::min(until, end);
            let mut from = since.map_or(record.recorded_at, |since| {
                Ord::max(since, record.recorded_at)
            });
            while from < until {
                let to = Ord::min(until, buckets.next(from).unwrap());
                let place = (
                    buckets.start_of(from).unwrap(),
                    if all_rows { 0 } else { row },
                );
                let area = areas.entry(place).or_default();
                let micros = (to - from).num_microseconds().unwrap();
                area.0 += x * micros as f64;
                area.1 += micros;
                from = to;
            }
        }
    }
    let each = areas.into_iter();
    each.map(|(place, (area, micros))| (place, area / micros as f64))
        .collect()
}

/// A random history: rows, times in minutes, and what became of the row.
pub fn history(has_nan: bool) -> impl Strategy<Value = Vec<Record>> {
    let x = prop_oneof![
        6 => (-1_000_i32..1_000).prop_map(|n| Some(f64::from(n) / 8.0)),
        1 => Just(None),
        1 => Just(has_nan.then_some(f64::NAN)),
    ];
    let event = prop_oneof![5 => Just(Event::Updated), 1 => Just(Event::Deleted)];
    let record = (
        1..4_i32,
        prop_oneof![0..3_000_i64, 600..700_i64],
        0..3_i64,
        x,
        event,
    );
    proptest::collection::vec(record, 0..60).prop_map(|records| {
        let mut of_place = BTreeMap::new();
        for (row, minutes, micros, x, event) in records {
            let at = t("00:00:00") + TimeDelta::minutes(minutes) + TimeDelta::microseconds(micros);
            of_place.insert(
                (row, at),
                Record {
                    event,
                    ..gauge(row, at, x)
                },
            );
        }
        of_place.into_values().collect()
    })
}

/// Asks for a history with both kinds of window, and compares with the slow way.
async fn check(db: &DatabaseConnection, records: &[Record], rule: &str, zone: Tz) {
    Records::delete_many().exec(db).await.unwrap();
    insert::<Records, _>(db, records.iter().cloned()).await;
    let buckets = Buckets::new(rule.parse().unwrap(), zone);
    let until = t("00:00:00") + TimeDelta::minutes(2_500);
    for since in [None, Some(t("11:07:00"))] {
        let within = |record: &&Record| {
            record.recorded_at < until && since.is_none_or(|since| since <= record.recorded_at)
        };
        let windowed: Vec<_> = records.iter().filter(within).cloned().collect();
        for all_rows in [false, true] {
            let select = since
                .into_iter()
                .fold(all(), |select, since| select.since(since));
            let asked = PARTS.map(|part| part(Column::X)).into_iter();
            let asked = asked.chain([time_weighted_mean(Column::X)]);
            let agg = select
                .until(until)
                .resample(rule)
                .unwrap()
                .in_zone(zone)
                .agg(asked);
            let agg = if all_rows { agg.over_all_rows() } else { agg };
            let found = agg.all(db).await.unwrap();

            let row = |record: &Record| if all_rows { 0 } else { record.recording_id };
            let mut expected = measured(&windowed, &buckets, row);
            for part in expected.values_mut() {
                part.push(None);
            }
            for (place, mean) in weighed(records, &buckets, (since, until), all_rows) {
                let nothing = vec![
                    Some(0.0),
                    Some(0.0),
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                    None,
                ];
                expected.entry(place).or_insert(nothing)[8] = Some(mean);
            }
            let found = found.iter().map(|bucket| {
                let asked = PARTS.map(|part| part(Column::X)).into_iter();
                let asked = asked.chain([time_weighted_mean(Column::X)]);
                let numbers: Vec<_> = asked.map(|part| float(bucket, part)).collect();
                ((bucket.start, bucket.row().unwrap_or(0)), numbers)
            });
            let found: Vec<_> = found.collect();
            let expected: Vec<_> = expected.into_iter().collect();
            let same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|((a, xs), (b, ys))| {
                    a == b
                        && xs.iter().zip(ys).all(|pair| match pair {
                            (Some(x), Some(y)) => near(*x, *y) || (x - y).abs() < 1e-9,
                            (x, y) => x == y,
                        })
                });
            assert!(
                same,
                "{rule} in {zone}, since {since:?}, all rows: {all_rows}:\n{found:#?}\ninstead of\n{expected:#?}"
            );
        }
    }
}

each_database! {
    async fn each_kind_of_number_stays_what_it_is(test: TestDb) -> TestResult {
        let price = |text: &str| Some(text.parse::<Decimal>().unwrap());
        let full = |at, n, x, small, price| Record { n: Some(n), small: Some(small), price, twice: n as i32, ..gauge(7, at, Some(x)) };
        let db = gauges(&test, &[
            full(t("00:10:00"), 1, 0.1, 0.5, price("0.1")),
            full(t("00:20:00"), 2, 0.2, 0.25, price("0.2")),
            full(t("00:30:00"), 5, -0.4, 1.0, price("10.0001")),
            Record { event: Event::Deleted, ..full(t("00:40:00"), 100, 100.0, 100.0, price("100")) },
            gauge(7, t("00:50:00"), None),
            gauge(7, t("02:00:00"), Some(3.5)),
        ]).await;
        let asked = [count(), count_of(Column::N), mean(Column::N), sum(Column::N), sum(Column::X), sum(Column::Price),
            min(Column::Price), max(Column::Price), first(Column::N), last(Column::Price), mean(Column::Price), ohlc(Column::X),
            max(Column::Small), sum(Column::Small), sum(Column::Twice), count_of(Column::Label), ohlc(Column::N)];
        let found = of(7).resample("1h")?.agg(asked).all(&db).await?;
        assert_eq!(found.len(), 2);
        let hour = &found[0];
        assert_eq!((hour.start, hour.row()), (t("00:00:00"), Some(7)));
        let number = |part| hour.get(part).unwrap();
        let integer = |n| Some(Number::Integer(n));
        assert_eq!((number(count()), number(count_of(Column::N)), number(count_of(Column::Label))), (integer(4), integer(3), integer(4)));
        assert_eq!((number(sum(Column::N)), number(first(Column::N)), number(sum(Column::Twice))), (integer(8), integer(1), integer(8)));
        // No division of integers.
        assert_eq!(number(mean(Column::N)), Some(Number::Float(8.0 / 3.0)));
        let decimal = |text: &str| price(text).map(Number::Decimal);
        assert_eq!(number(sum(Column::Price)), decimal("10.3001"));
        assert_eq!((number(min(Column::Price)), number(max(Column::Price)), number(last(Column::Price))), (decimal("0.1"), decimal("10.0001"), decimal("10.0001")));
        assert!(near(float(hour, mean(Column::Price)).unwrap(), 10.3001 / 3.0));
        assert!(near(float(hour, sum(Column::X)).unwrap() + 0.4, 0.3));
        assert_eq!((number(max(Column::Small)), number(sum(Column::Small))), (Some(Number::Float(1.0)), Some(Number::Float(1.75))));
        let four = hour.ohlc(Column::X)?.ok_or("no values")?;
        assert_eq!([four.open, four.high, four.low, four.close], [0.1, 0.2, -0.4, -0.4].map(Number::Float));
        assert_eq!((number(min(Column::X)), hour.ohlc(Column::N)?.map(|four| four.close)), (Some(Number::Float(-0.4)), integer(5)));

        let later = &found[1];
        assert_eq!((later.get(mean(Column::N))?, later.get(sum(Column::Price))?, later.ohlc(Column::N)?), (None, None, None));
        assert_eq!(later.get(count_of(Column::N))?, integer(0));
        let json = serde_json::to_value(later)?;
        assert_eq!(json["start"], "2024-03-01T02:00:00+00:00");
        assert_eq!((&json["row"], &json["count"], &json["ohlc_x"]["high"]), (&7.into(), &1.into(), &3.5.into()));
        assert_eq!((&json["sum_price"], &json["ohlc_n"]), (&serde_json::Value::Null, &serde_json::Value::Null));
        assert_eq!(serde_json::to_value(hour)?["sum_n"], 8);
        Ok(())
    }

    async fn sums_do_not_overflow_and_do_not_drift(test: TestDb) -> TestResult {
        let step = TimeDelta::microseconds(700);
        // A plain sum of them is off by 2 parts in 10^12.
        let tenths = (0..100_000).map(|i| gauge(1, t("00:00:00") + step * i, Some(0.1)));
        let large = [i64::MAX, i64::MAX, i64::MAX - 1];
        let large = large.into_iter().zip(0..).map(|(n, i)| Record { n: Some(n), ..gauge(2, t("00:00:00") + step * i, Some(1e308)) });
        let small = (0..3).map(|i| Record { n: Some(i64::MIN), ..gauge(3, t("00:00:00") + step * i, Some(1e-300)) });
        let cancelled = [1e17, 1.0, -1e17].into_iter().zip(0..).map(|(x, i)| gauge(4, t("00:00:00") + step * i, Some(x)));
        let db = gauges(&test, &tenths.chain(large).chain(small).chain(cancelled).collect::<Vec<_>>()).await;
        let weighted = time_weighted_mean(Column::X);
        let tenth = of(1).until(t("00:01:10")).resample("1h")?.agg([weighted]).all(&db).await?;
        assert!(near(float(&tenth[0], weighted).unwrap(), 0.1));
        let asked = [sum(Column::X), mean(Column::X), sum(Column::N), mean(Column::N)];
        let found = all().until(t("00:01:10")).resample("1h")?.agg(asked).all(&db).await?;
        assert_eq!(found.len(), 4);
        assert!(near(float(&found[0], sum(Column::X)).unwrap(), 10_000.0));
        assert_eq!(float(&found[0], mean(Column::X)), Some(0.1));
        let max = i128::from(i64::MAX);
        assert_eq!(found[1].get(sum(Column::N))?, Some(Number::Integer(3 * max - 1)));
        assert_eq!(found[2].get(sum(Column::N))?, Some(Number::Integer(3 * i128::from(i64::MIN))));
        assert!(near(float(&found[1], mean(Column::N)).unwrap(), i64::MAX as f64));
        assert!(near(float(&found[2], sum(Column::X)).unwrap(), 3e-300));
        Ok(())
    }

    async fn a_sum_that_no_decimal_holds_is_an_error_that_names_it_and_its_mean_is_none(test: TestDb) -> TestResult {
        use hoard::record::{Column::Coins, Entity, Model};
        let db = test.connect().await;
        db.create_record_table(Entity).await?;
        let coins: Decimal = "60000000000000000000000000000".parse()?;
        let records = [t("00:10:00"), t("00:20:00"), t("01:00:00")];
        let records = records.map(|at| Model { recording_id: 1, recorded_at: at, event: Event::Updated, coins, grams: Decimal::ZERO });
        insert::<Entity, _>(&db, records).await;
        let found = Entity::find().resample("1h")?.agg([mean(Coins), max(Coins)]).all(&db).await?;
        let means: Vec<_> = found.iter().map(|bucket| bucket.get(mean(Coins)).unwrap().unwrap()).collect();
        assert_eq!(means, [Number::Float(6e28); 2]);
        // SQLite keeps decimals as doubles.
        assert_eq!(found[0].get(max(Coins))?.map(Number::to_f64), Some(6e28));
        let error = Entity::find().resample("1h")?.agg([count(), sum(Coins)]).all(&db).await.unwrap_err();
        let Some(RecordError::Resample { table, problem }) = RecordError::of(&error) else { panic!("{error}") };
        assert_eq!(table, "hoard_record");
        assert!(problem.contains("`sum_coins`, of the column `coins`, cannot be read") && problem.contains("`mean`"), "{problem}");
        // What fits is summed.
        let found = Entity::find().since(t("01:00:00")).resample("1h")?.agg([sum(Coins)]).all(&db).await?;
        assert_eq!(found[0].get(sum(Coins))?.map(Number::to_f64), Some(6e28));
        Ok(())
    }

    async fn a_sum_with_more_digits_after_its_point_than_a_decimal_has_is_not_rounded(test: TestDb) -> TestResult {
        use hoard::record::{Column::Grams, Entity, Model};
        let db = test.connect().await;
        db.create_record_table(Entity).await?;
        let record = |at, grams: &str| Model {
            recording_id: 1, recorded_at: at, event: Event::Updated, coins: Decimal::ONE, grams: grams.parse().unwrap(),
        };
        let many = (0..8).map(|minute| record(t("00:00:00") + TimeDelta::minutes(minute), "9999999999.999999999999999999"));
        insert::<Entity, _>(&db, many.chain([record(t("01:00:00"), "0.125")])).await;
        let hour = async |from| Entity::find().since(t(from)).resample("1h")?.agg([sum(Grams)]).all(&db).await;
        let exact: Decimal = "0.125".parse()?;
        assert_eq!(hour("01:00:00").await?[0].get(sum(Grams))?, Some(Number::Decimal(exact)));
        // SQLite keeps decimals as doubles.
        match test.engine() {
            Engine::Sqlite => drop(hour("00:00:00").await?),
            _ => assert!(hour("00:00:00").await.unwrap_err().to_string().contains("`sum_grams`")),
        }
        Ok(())
    }

    async fn temperatures_of_seattle_are_aggregated_as_pandas_does(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(station::record::Entity).await?;
        use station::record::Column::Temperature;
        let golden: Golden = serde_json::from_str(include_str!("golden/seattle.json"))?;
        let measured = temperatures();
        let deleted = measured.iter().step_by(50).map(|record| station::record::Model {
            recorded_at: record.recorded_at + TimeDelta::microseconds(1), event: Event::Deleted, temperature: 1e9, ..record.clone()
        });
        let other = measured.iter().map(|record| station::record::Model { recording_id: 2, temperature: -40.0, ..record.clone() });
        let records: Vec<_> = measured.iter().cloned().chain(deleted).chain(other).collect();
        insert::<station::record::Entity, _>(&db, records).await;
        for case in golden.cases {
            let name = format!("{} in {}", case.rule, case.zone);
            let zone = sea_orm_record::zone(&case.zone)?;
            let asked = [count(), first(Temperature), last(Temperature), min(Temperature), max(Temperature), mean(Temperature), sum(Temperature)];
            for select in [station::Entity::records_of(1), station::Entity::records()] {
                let found = select.resample(case.rule.as_str())?.in_zone(zone).agg(asked).all(&db).await?;
                let (found, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|bucket| bucket.row() == Some(1));
                assert_eq!(found.len(), case.total, "{name}");
                assert!(other.iter().all(|bucket| bucket.get(mean(Temperature)).unwrap() == Some(Number::Float(-40.0))));
                for (bucket, expected) in found.iter().zip(&case.buckets) {
                    let number = |part| bucket.get(part).unwrap().unwrap().to_f64();
                    assert_eq!((bucket.start, number(count())), (expected.start, expected.count as f64), "{name}");
                    assert_eq!([first, last, min, max].map(|part| number(part(Temperature))), [expected.first, expected.last, expected.min, expected.max], "{name}");
                    // pandas' are rounded to nine places.
                    assert!((number(mean(Temperature)) - expected.mean).abs() <= 5.1e-10, "{name}");
                    let exact: f64 = number(sum(Temperature)) / number(count());
                    assert!(near(number(mean(Temperature)), exact));
                }
            }
        }
        Ok(())
    }

    async fn a_value_counts_for_as_long_as_it_held(test: TestDb) -> TestResult {
        let db = gauges(&test, &[
            gauge(1, t("00:00:00"), Some(10.0)),
            gauge(1, t("00:45:00"), Some(30.0)),
            // NULL interrupts it, and a deletion ends it.
            gauge(1, t("01:30:00"), None),
            gauge(1, t("01:45:00"), Some(90.0)),
            gone(1, t("02:15:00"), Some(90.0)),
            gauge(1, t("05:30:00"), Some(5.0)),
            gauge(1, t("05:30:00.000003"), Some(8.0)),
        ]).await;
        let hour = |hour: &str, x| (format!("01T{hour}"), 1, Some(x));
        let until = t("07:00:00");
        let expected = [
            hour("00", 15.0),                            // 45 minutes of 10 and 15 of 30
            hour("01", (30.0 * 30.0 + 15.0 * 90.0) / 45.0),
            hour("02", 90.0),                            // a quarter of an hour
            hour("05", (5.0 * 3.0 + 8.0 * 1_799_999_997.0) / 1_800_000_000.0),
            hour("06", 8.0),                             // no record, but still in force
        ];
        assert_eq!(weighted(of(1).until(until), "1h", &db).await, expected);
        assert_eq!(weighted(all().until(until), "1h", &db).await, expected);
        // Carried in from before the window, which cuts it.
        let since = of(1).since(t("00:30:00")).until(t("01:15:00"));
        assert_eq!(weighted(since, "1h", &db).await, [hour("00", 20.0), hour("01", 30.0)]);
        let quiet = of(1).since(t("00:50:00")).until(t("01:00:00"));
        assert_eq!(weighted(quiet, "10min", &db).await, [hour("00", 30.0)]);
        let days = weighted(of(1).until(until), "1D", &db).await;
        let area = 45.0 * 10.0 + 45.0 * 30.0 + 30.0 * 90.0 + 90.0 * 8.0;
        assert!(near(days[0].2.unwrap(), (area - 3.0 * 3e-6 / 60.0) / 210.0) || (days[0].2.unwrap() - area / 210.0).abs() < 1e-9);
        Ok(())
    }

    async fn an_infinite_value_does_not_count_where_it_held_for_no_time(test: TestDb) -> TestResult {
        if test.engine() == Engine::MariaDb {
            return Ok(());
        }
        let db = gauges(&test, &[gauge(1, t("00:30:00"), Some(f64::INFINITY)), gauge(1, t("01:00:00"), Some(2.0))]).await;
        let found = weighted(of(1).until(t("02:00:00")), "1h", &db).await;
        assert_eq!(found, [("01T00".to_owned(), 1, Some(f64::INFINITY)), ("01T01".to_owned(), 1, Some(2.0))]);
        Ok(())
    }

    async fn what_is_forward_filled_is_not_taken_for_recorded(test: TestDb) -> TestResult {
        let db = gauges(&test, &[gauge(1, t("00:30:00"), Some(1.0))]).await;
        let filled = of(1).until(t("02:00:00")).resample("1h")?.forward_fill();
        let error = filled.agg([mean(Column::X)]).all(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Resample { .. })), "{error}");
        assert!(error.to_string().contains("`time_weighted_mean`"), "{error}");
        Ok(())
    }

    async fn what_held_holds_until_now_and_no_further(test: TestDb) -> TestResult {
        let now = Utc::now().with_nanosecond(0).unwrap();
        let db = gauges(&test, &[
            gauge(1, now - TimeDelta::minutes(90), Some(1.0)),
            gauge(1, now + TimeDelta::minutes(20), Some(99.0)),
        ]).await;
        for select in [of(1), of(1).until(now + TimeDelta::days(3))] {
            let found = weighted(select, "1min", &db).await;
            // What is ahead of now is counted, but has not held yet.
            let (ahead, held): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, _, x)| x.is_none());
            assert_eq!((ahead.len(), held.iter().all(|(_, _, x)| *x == Some(1.0))), (1, true));
            assert!((90..=92).contains(&held.len()), "{}", held.len());
        }
        assert_eq!(weighted(of(1).since(now + TimeDelta::hours(1)), "1min", &db).await, []);
        Ok(())
    }

    async fn rows_are_apart_or_together(test: TestDb) -> TestResult {
        let db = gauges(&test, &[
            gauge(2, t("00:00:00"), Some(1.0)), gauge(10, t("00:00:00"), Some(2.0)),
            gauge(2, t("00:30:00"), Some(3.0)), gauge(10, t("00:40:00"), None), gauge(3, t("00:30:00"), Some(7.0)),
        ]).await;
        let asked = [count(), first(Column::X), last(Column::X), sum(Column::X), time_weighted_mean(Column::X)];
        let agg = || all().until(t("01:00:00")).resample("1h").unwrap().agg(asked);
        let found = agg().all(&db).await?;
        let numbers = |found: &[Aggregated<Records>]| -> Vec<_> {
            found.iter().map(|bucket| (bucket.row(), asked.map(|part| float(bucket, part)))).collect()
        };
        assert_eq!(numbers(&found), [
            (Some(2), [2.0, 1.0, 3.0, 4.0, 2.0].map(Some)),
            (Some(3), [1.0, 7.0, 7.0, 7.0, 7.0].map(Some)),
            (Some(10), [2.0, 2.0, 2.0, 2.0, 2.0].map(Some)),
        ]);
        let together = agg().over_all_rows().all(&db).await?;
        let minutes = 30.0 * 1.0 + 30.0 * 3.0 + 40.0 * 2.0 + 30.0 * 7.0;
        assert_eq!(numbers(&together), [(None, [5.0, 1.0, 7.0, 13.0, minutes / 130.0].map(Some))]);
        assert!(!serde_json::to_string(&together[0])?.contains("row"));
        Ok(())
    }

    async fn nan_is_left_out_where_there_is_one(test: TestDb) -> TestResult {
        if test.engine() != Engine::Postgres {
            return Ok(());
        }
        let db = gauges(&test, &[
            gauge(1, t("00:00:00"), Some(f64::NAN)), gauge(1, t("00:15:00"), Some(1.0)),
            gauge(1, t("00:30:00"), Some(f64::NAN)), gauge(1, t("00:45:00"), Some(2.0)),
            gauge(1, t("02:00:00"), Some(f64::INFINITY)), gauge(1, t("02:30:00"), Some(2.0)),
        ]).await;
        let asked = PARTS.map(|part| part(Column::X));
        let found = of(1).resample("1h")?.agg(asked).all(&db).await?;
        assert_eq!(asked.map(|part| float(&found[0], part)), [4.0, 2.0, 1.5, 1.0, 2.0, 3.0, 1.0, 2.0].map(Some));
        let infinite = f64::INFINITY;
        assert_eq!(asked.map(|part| float(&found[1], part)), [2.0, 2.0, infinite, 2.0, infinite, infinite, infinite, 2.0].map(Some));
        assert_eq!(weighted(of(1).until(t("01:00:00")), "1h", &db).await, [("01T00".to_owned(), 1, Some(1.5))]);
        Ok(())
    }

    async fn what_cannot_be_computed_is_an_error_that_names_it(test: TestDb) -> TestResult {
        let db = gauges(&test, &[gauge(1, t("00:00:00"), Some(1.0)), gauge(1, t("03:00:00"), Some(1.0))]).await;
        for part in [mean(Column::Label), sum(Column::Label), ohlc(Column::Event), time_weighted_mean(Column::Label), first(Column::RecordedAt)] {
            let error = of(1).resample("1h")?.agg([count(), part]).all(&db).await.unwrap_err();
            let Some(RecordError::Resample { table, problem }) = RecordError::of(&error) else { panic!("{error}") };
            assert_eq!(table, "gauge_record");
            let column = ["label", "event", "recorded_at"].into_iter().find(|name| problem.contains(&format!("`{name}`")));
            assert!(column.is_some() && problem.contains("not numeric"), "{problem}");
        }
        let found = of(1).resample("1h")?.agg([count(), count_of(Column::Label), ohlc(Column::X)]).all(&db).await?;
        let error = found[0].get(mean(Column::X)).unwrap_err();
        assert!(error.to_string().contains("`mean_x` was not asked for"), "{error}");
        let error = found[0].get(ohlc(Column::X)).unwrap_err();
        assert!(error.to_string().contains("`ohlc`"), "{error}");

        let late = Records::find().filter(Column::Label.eq("a")).filter(Column::RecordedAt.gt(t("01:00:00").fixed_offset()));
        let part = time_weighted_mean(Column::X);
        let error = late.clone().resample("1h")?.agg([part]).all(&db).await.unwrap_err();
        assert!(error.to_string().contains("`recorded_at` hides what held before"), "{error}");
        assert_eq!(late.resample("1h")?.agg([count()]).all(&db).await?.len(), 1);
        let window = Window::between(t("01:00:00"), t("02:30:00"))?;
        let labelled = Records::find().filter(Column::Label.eq("a"));
        let found = labelled.resample("1h")?.within(window).agg([part]).all(&db).await?;
        assert_eq!(found.iter().map(|bucket| float(bucket, part)).collect::<Vec<_>>(), [Some(1.0); 2]);

        let error = of(1).until(t("05:00:00")).resample("10ms")?.agg([part]).all(&db).await.unwrap_err();
        assert!(error.to_string().contains("more than 100000 buckets of `10ms`") && error.to_string().contains("fill_at_most"), "{error}");
        let found = of(1).until(t("05:00:00")).resample("1h")?.fill_at_most(4).agg([part]).all(&db).await.unwrap_err();
        assert!(found.to_string().contains("more than 4 buckets"), "{found}");
        // Without it nothing is filled, whatever the rule.
        assert_eq!(of(1).resample("1us")?.agg([mean(Column::X)]).all(&db).await?.len(), 2);
        Ok(())
    }

    async fn gaps_are_left_out_or_kept(test: TestDb) -> TestResult {
        let db = gauges(&test, &[gauge(1, t("01:10:00"), Some(1.0)), gauge(2, t("03:00:00"), Some(2.0)), gone(2, t("03:30:00"), None), gone(2, t("04:30:00"), None)]).await;
        let asked = [count(), mean(Column::X)];
        let hours = |found: Vec<Aggregated<Records>>| -> Vec<_> {
            found.iter().map(|bucket| (bucket.start.hour(), bucket.row(), float(bucket, count()), float(bucket, mean(Column::X)))).collect()
        };
        let found = all().resample("1h")?.agg(asked).all(&db).await?;
        assert_eq!(hours(found), [(1, Some(1), Some(1.0), Some(1.0)), (3, Some(2), Some(1.0), Some(2.0))]);
        let found = of(1).resample("1h")?.agg(asked).keep_gaps().all(&db).await?;
        assert_eq!(hours(found), [(1, Some(1), Some(1.0), Some(1.0))]);
        let found = all().until(t("04:00:00")).resample("1h")?.agg(asked).keep_gaps().all(&db).await?;
        let (none, one, two) = ((Some(0.0), None), (Some(1.0), Some(1.0)), (Some(1.0), Some(2.0)));
        let expected = [(1, 1, one), (1, 2, none), (2, 1, none), (2, 2, none), (3, 1, none), (3, 2, two)];
        assert_eq!(hours(found), expected.map(|(hour, row, (count, mean))| (hour, Some(row), count, mean)));
        let found = all().until(t("04:00:00")).resample("1h")?.agg(asked).over_all_rows().keep_gaps().all(&db).await?;
        assert_eq!(hours(found), [(1, None, one.0, one.1), (2, None, none.0, none.1), (3, None, two.0, two.1)]);
        let window = of(5).since(t("00:30:00")).until(t("02:00:00"));
        let found = window.resample("1h")?.agg(asked).keep_gaps().all(&db).await?;
        assert_eq!(hours(found), [(0, Some(5), Some(0.0), None), (1, Some(5), Some(0.0), None)]);
        Ok(())
    }

    async fn statements_grow_with_buckets_and_not_with_records(test: TestDb) -> TestResult {
        let (db, counter) = test.counted().await;
        db.create_record_table(Records).await?;
        let asked = PARTS.map(|part| part(Column::X)).into_iter().chain([time_weighted_mean(Column::X)]);
        let asked: Vec<_> = asked.collect();
        let until = t("00:00:00") + TimeDelta::hours(168);
        let mut counts = Vec::new();
        for distance in [30, 5] {
            Records::delete_many().exec(&db).await?;
            for id in 1..=2 {
                let minutes = (0..168 * 60).step_by(distance);
                insert::<Records, _>(&db, minutes.map(|n| gauge(id, t("00:00:00") + TimeDelta::minutes(n), Some(1.0)))).await;
            }
            for (select, rows) in [(of(1), 1), (all(), 2)] {
                counter.clear();
                let found = select.until(until).resample("1h")?.agg(asked.clone()).all(&db).await?;
                assert_eq!(found.len(), 168 * rows);
                counts.push(counter.take_statements());
            }
        }
        for statements in &counts {
            assert!(statements.len() <= 6, "{}", statements.join("\n"));
        }
        assert_eq!(counts[0].len(), counts[2].len());
        // Few records in many buckets.
        Records::delete_many().exec(&db).await?;
        insert::<Records, _>(&db, (0..10).map(|n| gauge(1, t("00:00:00") + TimeDelta::days(300 * n), Some(1.0)))).await;
        for rule in ["1us", "1s", "1h"] {
            counter.clear();
            assert_eq!(of(1).resample(rule)?.agg([mean(Column::X)]).all(&db).await?.len(), 10);
            let statements = counter.take_statements();
            assert!(statements.len() <= 4, "{rule}:\n{}", statements.join("\n"));
        }
        Ok(())
    }

    async fn composite_keys_are_aggregated_row_by_row(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(seat::record::Entity).await?;
        for (hall, place) in [(2, "b"), (10, "a"), (2, "a")] {
            let record = |n: i64| seat::record::Model {
                recording_hall: hall, recording_place: place.to_owned(),
                recorded_at: t("00:00:00") + TimeDelta::minutes(n), event: Event::Updated, guest: (n % 2 == 0).then(|| "x".to_owned()),
            };
            insert::<seat::record::Entity, _>(&db, (0..61).map(record)).await;
        }
        let guests = count_of(seat::record::Column::Guest);
        let found = seat::Entity::records().resample("1h")?.agg([guests]).all(&db).await?;
        let found: Vec<_> = found.iter().map(|bucket| (bucket.start.hour(), bucket.row().unwrap(), bucket.get(guests).unwrap())).collect();
        let expected = [(0, 30), (1, 1)].into_iter().flat_map(|(hour, n)| {
            [(2, "a"), (2, "b"), (10, "a")].map(|(hall, place)| (hour, (hall, place.to_owned()), Some(Number::Integer(n))))
        });
        assert_eq!(found, expected.collect::<Vec<_>>());
        Ok(())
    }

    async fn random_histories_are_aggregated_as_a_loop_over_them_does(test: TestDb) -> TestResult {
        let db = gauges(&test, &[]).await;
        let rule = proptest::sample::select(vec!["15min", "1h", "6h", "1D", "1W"]);
        let zone = proptest::sample::select(vec!["UTC", "Asia/Kathmandu", "Africa/Cairo"]);
        let strategy = (history(test.engine() == Engine::Postgres), rule, zone);
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha));
        let runtime = tokio::runtime::Handle::current();
        let ran = tokio::task::block_in_place(|| runner.run(&strategy, |(records, rule, zone)| {
            let zone = zone.parse().map_err(|_| TestCaseError::fail("zone"))?;
            runtime.block_on(check(&db, &records, rule, zone));
            Ok(())
        }));
        Ok(ran?)
    }
}
