//! One record of each bucket of time; in every case what a loop over all records would pick.

use std::collections::BTreeMap;

use chrono::{NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, QueryOrder, QuerySelect};
use sea_orm_record::prelude::{Event, Every, RecordError, RecordQuery, Recorded, Window};
use sea_orm_record::{Buckets, IntoRule};
use sea_orm_record_migration::RecordSchema;
use serde::Deserialize;

use crate::blog::article;
use crate::harness::*;
use crate::reading::{at, insert, insert_records, record, record_table, seat, tables, tombstone};

use article::record::{Column, Entity as Records, Model as Record};

/// Recorded numbers.
pub mod station {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(temperature))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "station")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub temperature: f64,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

const MICRO: TimeDelta = TimeDelta::microseconds(1);
const FIRST: bool = true;
const LAST: bool = false;

/// What `resample` has to answer, the slow way.
fn picked(records: &[Record], buckets: &Buckets, first: bool) -> Vec<(DateTimeUtc, Record)> {
    let mut of_bucket: BTreeMap<(DateTimeUtc, i32), Record> = BTreeMap::new();
    for record in records {
        let start = buckets.start_of(record.recorded_at).unwrap();
        let kept = of_bucket
            .entry((start, record.recording_id))
            .or_insert_with(|| record.clone());
        if (record.recorded_at < kept.recorded_at) == first && record != kept {
            *kept = record.clone();
        }
    }
    let mut picked: Vec<_> = of_bucket
        .into_iter()
        .map(|((start, _), record)| (start, record))
        .collect();
    picked.sort_by_key(|(_, record)| (record.recorded_at, record.recording_id));
    picked
}

/// Compares both picks with the slow way, and answers how many buckets have records.
async fn check<C: ConnectionTrait>(db: &C, select: Select<Records>, rule: &str, zone: Tz) -> usize {
    let all = select.clone().all(db).await.unwrap();
    let buckets = Buckets::new(rule.parse().unwrap(), zone);
    let mut count = 0;
    for first in [FIRST, LAST] {
        let resample = select.clone().resample(rule).unwrap().in_zone(zone);
        let resample = if first { resample.first() } else { resample };
        let expected = picked(&all, &buckets, first);
        let found = resample.buckets(db).await.unwrap();
        if found != expected {
            let wrong = found
                .iter()
                .zip(&expected)
                .position(|(a, b)| a != b)
                .unwrap_or(0);
            panic!(
                "{rule} in {zone}, first = {first}: {} instead of {}; at {wrong}: {:#?} instead of {:#?}",
                found.len(),
                expected.len(),
                found.get(wrong),
                expected.get(wrong),
            );
        }
        count = expected.len();
    }
    count
}

/// Each of these times, as a record of a row.
fn records(id: i32, times: impl IntoIterator<Item = DateTimeUtc>) -> Vec<Record> {
    times.into_iter().map(|at| record(id, at)).collect()
}

/// `n` times from `from` on.
fn steps(from: &str, step: TimeDelta, n: i32) -> impl Iterator<Item = DateTimeUtc> {
    let from = at(from);
    (0..n).map(move |i| from + step * i)
}

fn of(id: i32) -> Select<Records> {
    article::Entity::records_of(id)
}

fn times(found: &[Record]) -> Vec<DateTimeUtc> {
    found.iter().map(|record| record.recorded_at).collect()
}

/// Splitmix64: the same numbers on every database and in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        i64::try_from((z ^ (z >> 31)) % u64::try_from(n).unwrap()).unwrap()
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as i64)).unwrap()]
    }
}

/// Records of some rows: around a time of clock changes, often on or beside an edge, now dense and
/// now sparse.
fn scattered(random: &mut Random, ids: std::ops::Range<i32>, buckets: &Buckets) -> Vec<Record> {
    let centre = random.one_of(&[
        "2024-03-10T10:00:00Z",
        "2023-04-27T22:00:00Z",
        "2023-11-05T04:00:00Z",
        "2024-04-06T15:00:00Z",
        "2024-02-29T12:00:00Z",
        "1969-12-31T23:00:00Z",
        "2011-12-30T10:00:00Z",
        "0001-06-01T00:00:00Z",
        "9998-06-01T00:00:00Z",
    ]);
    let hours = random.one_of(&[1, 24, 24 * 9, 24 * 90]);
    let span = hours * 3_600_000_000;
    let n = random.one_of(&[0, 1, 2, 3, 10, 60, 200]);
    let mut of_place = BTreeMap::new();
    let mut place = at(centre) - TimeDelta::microseconds(span / 2);
    for _ in 0..n {
        let anywhere = at(centre) + TimeDelta::microseconds(random.below(span) - span / 2);
        place = match random.below(8) {
            0 => buckets.start_of(anywhere).unwrap(),
            1 => buckets.next(anywhere).unwrap() - MICRO,
            2 | 3 => place + TimeDelta::microseconds(random.below(90_000_000)),
            4 => place.with_nanosecond(0).unwrap() + TimeDelta::seconds(random.below(90)),
            5 => place,
            _ => anywhere,
        };
        let id = ids.start + i32::try_from(random.below(i64::from(ids.end - ids.start))).unwrap();
        let record = if random.below(8) == 0 {
            tombstone(id, place)
        } else {
            record(id, place)
        };
        of_place.insert((id, place), record);
    }
    of_place.into_values().collect()
}

#[derive(Deserialize)]
pub struct Golden {
    rows: usize,
    pub cases: Vec<GoldenCase>,
}

#[derive(Deserialize)]
pub struct GoldenCase {
    pub rule: String,
    pub zone: String,
    pub total: usize,
    pub buckets: Vec<GoldenBucket>,
}

#[derive(Deserialize)]
pub struct GoldenBucket {
    pub start: DateTimeUtc,
    last_at: DateTimeUtc,
    pub count: usize,
    pub first: f64,
    pub last: f64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
}

/// The temperatures in UTC. Local times that daylight saving skips or doubles are dropped.
pub fn temperatures() -> Vec<station::record::Model> {
    let csv = include_str!("golden/seattle-temps.csv");
    let measured = csv.lines().skip(1).filter_map(|line| {
        let (local, temperature) = line.split_once(',').unwrap();
        let local = NaiveDateTime::parse_from_str(local, "%Y/%m/%d %H:%M").unwrap();
        let at = chrono_tz::America::Los_Angeles
            .from_local_datetime(&local)
            .single()?;
        Some(station::record::Model {
            recording_id: 1,
            recorded_at: at.to_utc(),
            event: Event::Updated,
            temperature: temperature.trim().parse().unwrap(),
        })
    });
    measured.collect()
}

#[test]
fn a_rule_that_cannot_be_used_is_an_error_that_names_it() {
    for rule in [
        "m", "0h", "-1h", "7h", "W-SUN", "", "1h30m", "foo", "24h", "1.5h", "5", "1ns", "h1",
        "1001YS",
    ] {
        let error = Records::find().resample(rule).unwrap_err();
        let RecordError::Rule {
            rule: named,
            problem,
        } = &error
        else {
            panic!("`{rule}`: {error}");
        };
        assert_eq!((named.as_str(), problem.is_empty()), (rule, false));
        assert!(error.to_string().contains(&format!("`{rule}`")), "{error}");
        assert!(matches!(
            RecordError::of(&DbErr::from(error)),
            Some(RecordError::Rule { .. })
        ));
    }
    let error = Records::find().resample(Every::minutes(7)).unwrap_err();
    assert!(
        matches!(&error, RecordError::Rule { rule, .. } if rule == "7min"),
        "{error}"
    );
}

#[test]
fn a_rule_is_a_spelling_or_an_every() {
    fn canonical(rule: impl IntoRule + Clone) -> String {
        assert!(Records::find().resample(rule.clone()).is_ok());
        rule.into_rule().unwrap().to_string()
    }
    let spellings = [
        ("T", "1min"),
        ("min", "1min"),
        ("1h", "1h"),
        ("h", "1h"),
        ("15min", "15min"),
        ("D", "1D"),
        ("1D", "1D"),
        ("W", "1W"),
        ("MS", "1MS"),
        ("QS", "1QS"),
        ("YS", "1YS"),
        ("15T", "15min"),
        ("1mo", "1MS"),
    ];
    for (spelling, expected) in spellings {
        assert_eq!(canonical(spelling), expected);
        assert_eq!(canonical(spelling.to_owned()), expected);
    }
    assert_eq!(canonical(Every::minutes(15).unwrap()), "15min");
    assert!(Records::find().resample(Every::minutes(15)).is_ok());
}

each_database! {
    async fn the_last_record_of_each_bucket_or_the_first(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let t = |time: &str| at(&format!("2024-03-01T{time}Z"));
        let all = ["00:00:00", "00:20:00", "00:59:59.999999", "01:00:00", "03:30:00", "03:30:00.000001"].map(t);
        insert_records(&db, &records(1, all)).await;
        insert_records(&db, &records(2, [t("00:30:00")])).await;
        let last = of(1).resample("1h")?.all(&db).await?;
        assert_eq!(times(&last), [all[2], all[3], all[5]]);
        assert_eq!(last[0], record(1, all[2]));
        assert_eq!(times(&of(1).resample("1h")?.first().all(&db).await?), [all[0], all[3], all[4]]);
        let starts: Vec<_> = of(1).resample("1h")?.buckets(&db).await?.into_iter().map(|(start, _)| start).collect();
        assert_eq!(starts, [t("00:00:00"), t("01:00:00"), t("03:00:00")]);
        assert_eq!(times(&of(1).resample("1D")?.all(&db).await?), [all[5]]);
        assert_eq!(times(&of(1).resample(Every::minutes(15))?.all(&db).await?), [all[0], all[1], all[2], all[3], all[5]]);
        Ok(())
    }

    async fn every_rule_on_one_row_and_on_several(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        for id in 1..=3 {
            let step = TimeDelta::minutes(37) + TimeDelta::seconds(11 * i64::from(id));
            insert_records(&db, &records(id, steps("2023-11-30T23:00:00Z", step, 700))).await;
        }
        for rule in ["T", "min", "5min", "15min", "1h", "h", "6h", "D", "1D", "2D", "W", "2W", "MS", "QS", "YS", "us", "1s"] {
            check(&db, of(1), rule, Tz::UTC).await;
            check(&db, article::Entity::records(), rule, Tz::UTC).await;
        }
        Ok(())
    }

    async fn nothing_is_resampled_to_nothing(test: TestDb) -> TestResult {
        let (mut db, _) = test.counted().await;
        db.create_record_table(Records).await?;
        let counter = Counter::of(&mut db);
        for rule in ["1s", "1h", "1YS"] {
            assert_eq!(of(1).resample(rule)?.all(&db).await?, []);
            assert_eq!(article::Entity::records().resample(rule)?.first().buckets(&db).await?, []);
        }
        assert!(counter.take() <= 12);
        insert_records(&db, &[record(1, at("2024-03-01T00:00:00Z"))]).await;
        assert_eq!(of(2).resample("1h")?.all(&db).await?, []);
        assert_eq!(of(1).until(at("2024-03-01T00:00:00Z")).resample("1h")?.all(&db).await?, []);
        assert_eq!(times(&of(1).resample("1h")?.all(&db).await?), [at("2024-03-01T00:00:00Z")]);
        Ok(())
    }

    async fn tombstones_are_records_as_well(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let t = |time: &str| at(&format!("2024-03-01T{time}:00Z"));
        insert_records(&db, &[
            record(1, t("00:10")), tombstone(1, t("00:50")),
            record(2, t("00:20")), tombstone(2, t("01:00")), record(2, t("01:01")),
        ]).await;
        let events = |found: Vec<Record>| found.into_iter().map(|record| (record.recording_id, record.event)).collect::<Vec<_>>();
        use Event::{Deleted, Updated};
        let last = events(article::Entity::records().resample("1h")?.all(&db).await?);
        assert_eq!(last, [(2, Updated), (1, Deleted), (2, Updated)]);
        let first = events(article::Entity::records().resample("1h")?.first().all(&db).await?);
        assert_eq!(first, [(1, Updated), (2, Updated), (2, Deleted)]);
        let living = article::Entity::records().filter(Column::Event.ne(Deleted));
        assert_eq!(events(living.resample("1h")?.all(&db).await?), [(1, Updated), (2, Updated), (2, Updated)]);
        Ok(())
    }

    async fn windows_and_filters_choose_what_is_resampled(test: TestDb) -> TestResult {
        let db = test.connect().await;
        tables(&db).await;
        let now = Utc::now().with_nanosecond(0).unwrap();
        let all = |id| records(id, (0..600).map(|n| now - TimeDelta::minutes(29 * n)));
        for id in 1..=3 {
            insert_records(&db, &all(id)).await;
        }
        insert::<crate::blog::topic::Entity, _>(&db, [crate::blog::topic::Model { id: 1, name: "Rust".into() }]).await;
        insert::<article::Entity, _>(&db, [article::Model { id: 2, topic_id: 1, title: "a".into(), text: "b".into(), views: 0 }]).await;

        let week = of(1).created_in_days(7).resample("1h")?.all(&db).await?;
        let from = now - TimeDelta::days(7);
        let expected = picked(&all(1), &Buckets::new("1h".parse()?, Tz::UTC), LAST);
        let expected: Vec<_> = expected.into_iter().map(|(_, record)| record).filter(|record| record.recorded_at >= from).collect();
        // The oldest may go while the test runs.
        assert!(week.ends_with(&expected[1..]) && week.len() <= expected.len() && week.len() > 160);

        let (from, until) = (now - TimeDelta::days(5), now - TimeDelta::days(2));
        for rule in ["1min", "1h", "1D"] {
            check(&db, of(1).since(from).until(until), rule, Tz::UTC).await;
            check(&db, article::Entity::records().since(from).until(until), rule, Tz::UTC).await;
            check(&db, Records::find().filter(Column::RecordingId.is_in([1, 3])).since(from), rule, Tz::UTC).await;
            check(&db, of(2).filter(Column::Title.like("%:00 UTC")), rule, Tz::UTC).await;
            let or = sea_orm::Condition::any().add(Column::RecordingId.eq(3)).add(Column::RecordedAt.gte(from));
            check(&db, Records::find().filter(or), rule, Tz::UTC).await;
            // Through a join, whose table has columns of the same names.
            let joined = article::Entity::records().inner_join(article::Entity).filter(article::Column::TopicId.eq(1));
            check(&db, joined.clone(), rule, Tz::UTC).await;
            assert!(joined.resample(rule)?.all(&db).await?.iter().all(|record| record.recording_id == 2));
        }
        Ok(())
    }

    async fn orders_and_limits_of_before_give_way(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        for id in 1..=2 {
            insert_records(&db, &records(id, steps("2024-03-01T00:00:00Z", TimeDelta::minutes(7), 100))).await;
        }
        for rule in ["1min", "1h"] {
            for select in [of(1), article::Entity::records()] {
                let expected = select.clone().resample(rule)?.all(&db).await?;
                assert!(expected.len() > 10);
                let ordered = select.order_by_desc(Column::Title).order_by_desc(Column::RecordedAt).limit(3).offset(1);
                assert_eq!(ordered.clone().resample(rule)?.all(&db).await?, expected);
            }
        }
        Ok(())
    }

    async fn few_records_in_many_buckets_take_few_statements(test: TestDb) -> TestResult {
        let (db, counter) = test.counted().await;
        db.create_record_table(Records).await?;
        for id in 1..=2 {
            let years = steps("2014-03-01T00:00:00.123456Z", TimeDelta::days(366), 10);
            insert_records(&db, &records(id, years)).await;
        }
        for (select, expected) in [(of(1), 10), (article::Entity::records(), 20)] {
            for rule in ["1us", "1s", "1min", "1h"] {
                counter.clear();
                assert_eq!(select.clone().resample(rule)?.all(&db).await?.len(), expected);
                let statements = counter.take_statements();
                assert!(statements.len() <= 6, "{rule}:\n{}", statements.join("\n"));
                check(&db, select.clone(), rule, Tz::UTC).await;
            }
        }
        // Clusters, far from each other.
        for n in 0..5 {
            let from = format!("{}-01-01T00:00:00Z", 1900 + 25 * n);
            insert_records(&db, &records(3, steps(&from, TimeDelta::milliseconds(100), 300))).await;
        }
        counter.clear();
        assert_eq!(of(3).resample("1s")?.all(&db).await?.len(), 150);
        assert!(counter.take() <= 12);
        check(&db, of(3), "1s", Tz::UTC).await;
        check(&db, article::Entity::records(), "1s", Tz::UTC).await;
        Ok(())
    }

    async fn a_week_of_hours_takes_five_statements(test: TestDb) -> TestResult {
        let (db, counter) = test.counted().await;
        db.create_record_table(Records).await?;
        for id in 1..=2 {
            insert_records(&db, &records(id, steps("2024-03-01T00:00:00Z", TimeDelta::minutes(5), 168 * 12))).await;
        }
        counter.clear();
        assert_eq!(of(1).resample("1h")?.all(&db).await?.len(), 168);
        let statements = counter.take_statements();
        assert!(statements.len() <= 5, "{}", statements.join("\n"));
        // A query that selects no more than it returns.
        assert_eq!(article::Entity::records().resample("1h")?.all(&db).await?.len(), 336);
        let statements = counter.take_statements();
        assert!(statements.len() <= 6, "{}", statements.join("\n"));
        Ok(())
    }

    async fn more_dense_buckets_than_one_statement_takes(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        for id in 1..=2 {
            let from = format!("2024-03-01T00:00:00.{id}Z");
            insert_records(&db, &records(id, steps(&from, TimeDelta::milliseconds(300), 14_000))).await;
        }
        assert_eq!(check(&db, of(1), "1s", Tz::UTC).await, 4_200);
        assert_eq!(check(&db, article::Entity::records(), "1s", Tz::UTC).await, 8_400);
        // To the bucket.
        for buckets in [4_096, 4_097] {
            let until = at("2024-03-01T00:00:00Z") + TimeDelta::seconds(buckets);
            assert_eq!(check(&db, of(1).until(until), "1s", Tz::UTC).await, buckets as usize);
        }
        Ok(())
    }

    async fn as_many_sparse_records_as_are_read_at_once_and_one_more_or_less(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // Two in a bucket, so that what is read ends within one or at its edge.
        let seconds = steps("2024-03-01T00:00:00Z", TimeDelta::milliseconds(500), 8_196);
        let all: Vec<_> = seconds.collect();
        insert_records(&db, &records(1, all.iter().copied())).await;
        insert_records(&db, &records(2, all.iter().copied().step_by(2))).await;
        for n in [8_192, 8_193, 8_194] {
            assert_eq!(check(&db, of(1).until(all[n]), "1s", Tz::UTC).await, n.div_ceil(2));
        }
        for n in [5_460, 5_461, 5_462] {
            check(&db, article::Entity::records().until(all[n]), "250ms", Tz::UTC).await;
        }
        check(&db, of(1), "250ms", Tz::UTC).await;
        check(&db, article::Entity::records(), "250ms", Tz::UTC).await;
        Ok(())
    }

    async fn a_bucket_of_more_records_than_are_read_at_once(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        for id in 1..=2 {
            let sparse = steps("2000-01-01T12:00:00Z", TimeDelta::days(40), 12);
            let crowded = steps("2016-05-05T00:00:00Z", TimeDelta::seconds(9), 9_000 + id);
            let after = steps("2016-05-06T12:00:00Z", TimeDelta::days(1), 7);
            insert_records(&db, &records(id, sparse.chain(crowded).chain(after))).await;
        }
        for rule in ["1D", "1W", "1MS", "1YS", "1h"] {
            check(&db, of(1), rule, Tz::UTC).await;
            check(&db, article::Entity::records(), rule, Tz::UTC).await;
        }
        assert_eq!(check(&db, of(1), "1D", Tz::UTC).await, 20);
        // Alone, at either end and among others.
        let day = at("2016-05-05T00:00:00Z");
        assert_eq!(check(&db, of(1).since(day).until(day + TimeDelta::days(1)), "1D", Tz::UTC).await, 1);
        assert_eq!(check(&db, of(2).until(day + TimeDelta::days(1)), "1D", Tz::UTC).await, 13);
        Ok(())
    }

    async fn filters_may_bind_as_many_values_as_a_statement_takes(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        for id in 1..=2 {
            insert_records(&db, &records(id, steps("2024-03-01T00:00:00Z", TimeDelta::minutes(5), 3_000))).await;
        }
        let among = |ids: std::ops::Range<i32>| Records::find().filter(Column::RecordingId.is_in(ids));
        assert_eq!(check(&db, among(2..1_002), "1h", Tz::UTC).await, 250);
        assert_eq!(check(&db, among(1..1_001), "1h", Tz::UTC).await, 500);
        assert_eq!(check(&db, among(1..10_001), "1D", Tz::UTC).await, 22);
        // More keys than MariaDB (10.11) finds the last record of each by a loose scan for, without a fault.
        assert_eq!(check(&db, among(1..11_001), "1D", Tz::UTC).await, 22);
        let day = Window::between(at("2024-03-02T00:00:00Z"), at("2024-03-03T00:00:00Z"))?;
        assert_eq!(among(1..11_001).within(day).latest_of_each().all(&db).await?.len(), 2);
        let of_day = among(1..20_001).diff_between(at("2024-03-02T00:00:00Z"), at("2024-03-03T00:00:00Z"));
        assert_eq!(of_day.all(&db).await?.len(), 2);
        Ok(())
    }

    async fn records_on_edges_belong_to_the_bucket_that_begins_there(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let rules = [("15min", 15 * 60), ("1h", 3_600), ("1D", 86_400), ("1W", 7 * 86_400)];
        for (id, (rule, seconds)) in (1..).zip(rules) {
            // A Monday, as the weeks' edges are.
            let edges: Vec<_> = steps("2024-03-04T00:00:00Z", TimeDelta::seconds(seconds), 20).collect();
            let beside = edges.iter().flat_map(|edge| [*edge - MICRO, *edge, *edge + MICRO]);
            insert_records(&db, &records(id, beside)).await;
            let last = times(&of(id).resample(rule)?.all(&db).await?);
            let first = times(&of(id).resample(rule)?.first().all(&db).await?);
            assert_eq!((last.len(), first.len()), (21, 21));
            for (index, edge) in edges.iter().enumerate() {
                assert_eq!((last[index], first[index + 1]), (*edge - MICRO, *edge), "{rule}");
            }
            check(&db, of(id), rule, Tz::UTC).await;
        }
        Ok(())
    }

    async fn buckets_are_as_short_as_a_microsecond(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // From a whole second, whose fraction a database may not expect to grow.
        insert_records(&db, &records(1, steps("2024-03-01T00:00:00Z", TimeDelta::microseconds(100), 2_000))).await;
        insert_records(&db, &records(2, steps("2024-03-01T00:00:00Z", TimeDelta::microseconds(1), 2_000))).await;
        insert_records(&db, &records(3, steps("2024-03-01T00:00:00Z", TimeDelta::microseconds(1), 2_000))).await;
        let counts = [("1us", 2_000), ("100us", 2_000), ("500us", 400), ("1ms", 200), ("250ms", 1)];
        for (rule, count) in counts {
            assert_eq!(check(&db, of(1), rule, Tz::UTC).await, count, "{rule}");
            check(&db, article::Entity::records(), rule, Tz::UTC).await;
        }
        assert_eq!(check(&db, of(2), "5us", Tz::UTC).await, 400);
        assert_eq!(check(&db, article::Entity::records(), "5us", Tz::UTC).await, 800 + 2_000);
        Ok(())
    }

    async fn days_begin_where_the_zone_says_also_when_clocks_change(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let days = [
            ("Africa/Cairo", "2023-04-26T22:00 2023-04-27T22:00 2023-04-28T21:00 2023-04-29T21:00"),
            ("Africa/Cairo", "2023-10-25T21:00 2023-10-26T22:00 2023-10-27T22:00"),
            ("America/Havana", "2023-11-04T04:00 2023-11-05T04:00 2023-11-06T05:00"),
            ("America/Havana", "2023-03-11T05:00 2023-03-12T05:00 2023-03-13T04:00"),
            ("Australia/Lord_Howe", "2024-04-05T13:00 2024-04-06T13:00 2024-04-07T13:30 2024-04-08T13:30"),
            ("Australia/Lord_Howe", "2024-10-04T13:30 2024-10-05T13:30 2024-10-06T13:00"),
            ("Asia/Kathmandu", "2024-05-09T18:15 2024-05-10T18:15 2024-05-11T18:15"),
            ("Europe/Vienna", "2024-03-30T23:00 2024-03-31T22:00 2024-04-01T22:00"),
            ("Europe/Vienna", "2024-10-26T22:00 2024-10-27T23:00 2024-10-28T23:00"),
            ("Pacific/Apia", "2011-12-29T10:00 2011-12-30T10:00 2011-12-31T10:00"),
        ];
        for (id, (name, edges)) in (1..).zip(days) {
            let zone = zone(name);
            let edges: Vec<_> = edges.split(' ').map(|edge| at(&format!("{edge}:00Z"))).collect();
            // A record every ten minutes, and one just before each edge.
            let minutes = (edges[edges.len() - 1] - edges[0]).num_minutes() as i32;
            let regular = (0..minutes / 10).map(|n| edges[0] + TimeDelta::minutes(10) * n);
            let beside = edges[1..].iter().map(|edge| *edge - MICRO);
            insert_records(&db, &records(id, regular.chain(beside))).await;

            let last = of(id).resample("1D")?.in_zone(zone).buckets(&db).await?;
            let (starts, ends): (Vec<_>, Vec<_>) = last.into_iter().map(|(start, record)| (start, record.recorded_at)).unzip();
            assert_eq!(starts, edges[..edges.len() - 1], "{name}");
            assert_eq!(ends, edges[1..].iter().map(|edge| *edge - MICRO).collect::<Vec<_>>(), "{name}");
            let first = times(&of(id).resample("1D")?.in_zone(zone).first().all(&db).await?);
            assert_eq!(first, edges[..edges.len() - 1], "{name}");
            for rule in ["1min", "15min", "1h", "6h", "1D", "1W", "1MS"] {
                check(&db, of(id), rule, zone).await;
            }
        }
        for zone in ["Africa/Cairo", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"] {
            for rule in ["1h", "6h", "1D", "1W", "1QS"] {
                check(&db, article::Entity::records(), rule, super::zone(zone)).await;
            }
        }
        Ok(())
    }

    async fn composite_keys_are_resampled_row_by_row(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(seat::record::Entity).await?;
        let keys = [(1, "a"), (1, "b"), (2, "a")];
        let minutes = |n: i64| at("2024-03-01T00:00:00Z") + TimeDelta::minutes(n);
        for (hall, place) in keys {
            let record = |n: i64| seat::record::Model {
                recording_hall: hall,
                recording_place: place.to_owned(),
                recorded_at: minutes(n),
                event: Event::Updated,
                guest: None,
            };
            insert::<seat::record::Entity, _>(&db, (0..120).map(record)).await;
        }
        let places = |found: Vec<seat::record::Model>| -> Vec<_> {
            found.into_iter().map(|it| (it.recorded_at, it.recording_hall, it.recording_place)).collect()
        };
        let expected = |of_bucket: &[i64]| -> Vec<_> {
            of_bucket.iter().flat_map(|n| keys.map(|(hall, place)| (minutes(*n), hall, place.to_owned()))).collect()
        };
        let all = || seat::Entity::records();
        assert_eq!(places(all().resample("1h")?.all(&db).await?), expected(&[59, 119]));
        assert_eq!(places(all().resample("1h")?.first().all(&db).await?), expected(&[0, 60]));
        assert_eq!(all().resample("1s")?.all(&db).await?.len(), 360);
        let one = seat::Entity::records_of((2, "a".to_owned()));
        assert_eq!(times_of(&one.resample("1h")?.all(&db).await?), [minutes(59), minutes(119)]);
        let hall = all().filter(seat::record::Column::RecordingHall.eq(1));
        assert_eq!(hall.resample("1D")?.all(&db).await?.len(), 2);
        Ok(())
    }

    async fn whatever_the_records_the_answer_is_that_of_a_loop_over_them(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let zones = ["UTC", "America/New_York", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"];
        let rules = ["1s", "10s", "1min", "15min", "1h", "6h", "1D", "3D", "1W", "1MS", "1QS", "1YS", "250ms"];
        let mut random = Random(2024);
        let mut filled = 0;
        for case in 0..100 {
            let ids = case * 10..case * 10 + random.one_of(&[1, 2, 5]);
            let zone = zone(random.one_of(&zones));
            let rule = random.one_of(&rules);
            let all = scattered(&mut random, ids.clone(), &Buckets::new(rule.parse()?, zone));
            insert_records(&db, &all).await;
            // One row by its key, several by theirs, whatever they have in common with other cases'.
            filled += check(&db, of(ids.start), rule, zone).await;
            let several = Records::find().filter(Column::RecordingId.between(ids.start, ids.end - 1));
            filled += check(&db, several, rule, zone).await;
        }
        assert!(filled > 2_000, "{filled}");
        for rule in ["1h", "1D", "1MS"] {
            check(&db, article::Entity::records(), rule, Tz::UTC).await;
        }
        Ok(())
    }

    async fn all_rows_are_resampled_as_one_on_request(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let mut random = Random(11);
        let mut written = BTreeMap::new();
        // Several of one time, a dense hour, and sparse days.
        for (from, step, n) in [("2024-03-01T00:00:00Z", TimeDelta::seconds(4), 1_500), ("2024-03-02T00:00:00Z", TimeDelta::hours(5), 100)] {
            for at in steps(from, step, n) {
                for _ in 0..=random.below(3) {
                    let id = i32::try_from(random.below(6))?;
                    written.insert((at, id), if random.below(9) == 0 { tombstone(id, at) } else { record(id, at) });
                }
            }
        }
        let records: Vec<_> = written.into_values().collect();
        insert_records(&db, &records).await;
        let since = at("2024-03-01T00:30:00Z");
        for (select, records) in [
            (article::Entity::records(), records.clone()),
            (article::Entity::records().since(since), records.iter().filter(|it| it.recorded_at >= since).cloned().collect()),
            (of(3), records.iter().filter(|it| it.recording_id == 3).cloned().collect()),
        ] {
            for rule in ["1s", "1min", "1h", "1D", "1MS"] {
                let buckets = Buckets::new(rule.parse()?, Tz::UTC);
                for first in [FIRST, LAST] {
                    let mut expected = BTreeMap::new();
                    for record in &records {
                        let start = buckets.start_of(record.recorded_at)?;
                        if !first || !expected.contains_key(&start) {
                            expected.insert(start, record.clone());
                        }
                    }
                    let resample = select.clone().resample(rule)?.over_all_rows();
                    let resample = if first { resample.first() } else { resample };
                    let found: BTreeMap<_, _> = resample.clone().buckets(&db).await?.into_iter().collect();
                    assert_eq!(found, expected, "{rule}, first = {first}");
                    assert_eq!(resample.all(&db).await?, expected.into_values().collect::<Vec<_>>(), "{rule}, first = {first}");
                }
            }
        }
        Ok(())
    }

    async fn temperatures_of_seattle_are_resampled_as_pandas_does(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(station::record::Entity).await?;
        let golden: Golden = serde_json::from_str(include_str!("golden/seattle.json"))?;
        let measured = temperatures();
        assert_eq!(measured.len(), golden.rows);
        let other = measured.clone().into_iter().map(|record| station::record::Model { recording_id: 2, temperature: -40.0, ..record });
        let other: Vec<_> = other.collect();
        insert::<station::record::Entity, _>(&db, measured).await;
        insert::<station::record::Entity, _>(&db, other).await;
        for case in golden.cases {
            let name = format!("{} in {}", case.rule, case.zone);
            let zone = zone(&case.zone);
            let resample = || station::Entity::records_of(1).resample(case.rule.as_str()).unwrap().in_zone(zone);
            let last = resample().buckets(&db).await?;
            let first = resample().first().buckets(&db).await?;
            assert_eq!((last.len(), first.len()), (case.total, case.total), "{name}");
            for ((expected, last), first) in case.buckets.iter().zip(&last).zip(&first) {
                assert_eq!((last.0, last.1.recorded_at), (expected.start, expected.last_at), "{name}");
                assert_eq!((first.0, first.1.temperature), (expected.start, expected.first), "{name}");
                assert_eq!(last.1.temperature, expected.last, "{name}");
            }
            // Beside another station, the same.
            let both = station::Entity::records().resample(case.rule.as_str())?.in_zone(zone).all(&db).await?;
            let (ours, theirs): (Vec<_>, Vec<_>) = both.into_iter().partition(|record| record.recording_id == 1);
            assert_eq!(ours, last.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), "{name}");
            assert_eq!(theirs.len(), case.total);
        }
        Ok(())
    }
}

fn times_of(found: &[seat::record::Model]) -> Vec<DateTimeUtc> {
    found.iter().map(|record| record.recorded_at).collect()
}

fn zone(name: &str) -> Tz {
    sea_orm_record::zone(name).unwrap()
}
