//! From when to when: windows that look back, calendar ones, and bounds that are given.

use chrono::{Datelike, NaiveDate, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use sea_orm::entity::prelude::*;
use sea_orm::{DatabaseConnection, QueryOrder};
use sea_orm_record::prelude::*;

use crate::blog::article;
use crate::harness::*;
use crate::reading::{at, insert_records, record, record_table};

use article::record::{Column, Entity as Records};

const MICRO: TimeDelta = TimeDelta::microseconds(1);
const NANO: TimeDelta = TimeDelta::nanoseconds(1);

type Look = fn(Select<Records>, u32) -> Select<Records>;
type LookIn = fn(Select<Records>, Tz) -> Select<Records>;
type LookInUtc = fn(Select<Records>) -> Select<Records>;

async fn times(db: &DatabaseConnection, select: Select<Records>) -> Vec<DateTimeUtc> {
    let records = select
        .order_by_asc(Column::RecordedAt)
        .all(db)
        .await
        .unwrap();
    records.iter().map(|record| record.recorded_at).collect()
}

fn of(id: i32) -> Select<Records> {
    article::Entity::records_of(id)
}

/// Now, on a whole microsecond.
fn now() -> DateTimeUtc {
    DateTimeUtc::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap()
}

/// The beginnings of this hour, day, week, month and year by the clock of a zone without changes
/// around midnight.
fn beginnings(zone: Tz) -> [DateTimeUtc; 5] {
    let now = now();
    let local = zone.from_utc_datetime(&now.naive_utc());
    let midnight = |date: NaiveDate| {
        let local = date.and_hms_opt(0, 0, 0).unwrap();
        zone.from_local_datetime(&local).unwrap().to_utc()
    };
    let today = local.date_naive();
    let into_hour = TimeDelta::seconds(i64::from(local.minute() * 60 + local.second()));
    let hour = now - into_hour - TimeDelta::nanoseconds(i64::from(local.nanosecond()));
    let monday = today - TimeDelta::days(i64::from(today.weekday().num_days_from_monday()));
    [
        hour,
        midnight(today),
        midnight(monday),
        midnight(today.with_day(1).unwrap()),
        midnight(NaiveDate::from_ymd_opt(today.year(), 1, 1).unwrap()),
    ]
}

#[test]
fn a_window_longer_than_time_is_an_error_of_its_own() {
    for window in [
        Window::last_years(u32::MAX),
        Window::last_months(u32::MAX),
        Window::last_weeks(u32::MAX),
        Window::last(TimeDelta::MAX),
        Window::between(DateTimeUtc::MIN_UTC, Utc::now()),
        Window::between(Utc::now(), DateTimeUtc::MAX_UTC),
        Window::between(Window::LATEST, Window::EARLIEST),
    ] {
        let error = DbErr::from(window.unwrap_err());
        assert!(
            matches!(RecordError::of(&error), Some(RecordError::Window { .. })),
            "{error}"
        );
    }
    let error = Window::last_years(u32::MAX).unwrap_err().to_string();
    assert!(error.contains("4294967295 years"), "{error}");
}

each_database! {
    async fn created_in_honours_n_in_every_unit(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // The first three spans of each unit have a record each, in their middle.
        let days = TimeDelta::days;
        let units: [(u32, [TimeDelta; 3], Look); 7] = [
            (60, [30, 90, 150].map(TimeDelta::seconds), |s, n| s.created_in_seconds(n)),
            (1, [30, 90, 150].map(TimeDelta::seconds), |s, n| s.created_in_minutes(n)),
            (1, [30, 90, 150].map(TimeDelta::minutes), |s, n| s.created_in_hours(n)),
            (1, [12, 36, 60].map(TimeDelta::hours), |s, n| s.created_in_days(n)),
            (1, [3, 10, 17].map(days), |s, n| s.created_in_weeks(n)),
            (1, [15, 45, 76].map(days), |s, n| s.created_in_months(n)),
            (1, [180, 540, 910].map(days), |s, n| s.created_in_years(n)),
        ];
        for (id, (many, ages, look)) in (1..).zip(units) {
            let newest_first = ages.map(|age| now() - age);
            insert_records(&db, &newest_first.map(|at| record(id, at))).await;
            for n in 0..=3 {
                let mut found = times(&db, look(of(id), n * many)).await;
                found.reverse();
                assert_eq!(found, newest_first[..n as usize], "unit {id}, n = {n}");
            }
            let of_all = look(Records::find(), 2 * many).filter(Column::RecordingId.eq(id));
            assert_eq!(times(&db, of_all).await.len(), 2);
        }
        Ok(())
    }

    async fn created_in_takes_any_duration(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let now = now();
        let ages = [30, 90, 150].map(TimeDelta::seconds);
        insert_records(&db, &ages.map(|age| record(1, now - age))).await;
        insert_records(&db, &[record(1, Window::EARLIEST), record(1, now + TimeDelta::days(1))]).await;
        let count = async |length: TimeDelta| of(1).created_in(length).count(&db).await.unwrap();
        assert_eq!(count(TimeDelta::seconds(60)).await, 2);
        assert_eq!(count(TimeDelta::milliseconds(120_000)).await, 3);
        assert_eq!(count(TimeDelta::days(700_000)).await, 4);
        assert_eq!(count(TimeDelta::MAX).await, 5);
        assert_eq!(count(TimeDelta::zero()).await, 1);
        assert_eq!(count(TimeDelta::hours(-1)).await, 1);
        assert_eq!(count(TimeDelta::days(-2)).await, 0);
        assert_eq!(count(TimeDelta::MIN).await, 0);
        Ok(())
    }

    async fn since_is_inclusive_and_until_exclusive(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        // With no, six and three digits after the second, which SQLite keeps as text.
        let all = ["11:59:59.999999", "12:00:00", "12:00:00.000001", "12:00:00.001", "12:00:00.001001", "12:00:01"]
            .map(|time| at(&format!("2024-03-01T{time}Z")));
        insert_records(&db, &all.map(|at| record(1, at))).await;
        for (index, bound) in all.into_iter().enumerate() {
            assert_eq!(times(&db, of(1).since(bound)).await, all[index..]);
            assert_eq!(times(&db, of(1).until(bound)).await, all[..index]);
            for (end, until) in all.into_iter().enumerate().skip(index) {
                let window = Window::between(bound, until)?;
                assert_eq!(times(&db, of(1).within(window)).await, all[index..end]);
                assert_eq!(times(&db, of(1).since(bound).until(until)).await, all[index..end]);
            }
        }
        assert_eq!(times(&db, of(1).within(Window::EVERYTHING)).await, all);
        assert!(times(&db, of(1).since(all[3]).until(all[1])).await.is_empty());
        // Several bounds are met together.
        assert_eq!(times(&db, of(1).since(all[1]).since(all[3]).until(all[5]).until(all[4])).await, all[3..4]);
        Ok(())
    }

    async fn bounds_between_microseconds_are_exact(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        for (id, time) in (1..).zip(["2024-03-01T12:00:00Z", "2024-03-01T12:00:00.123456Z", "1969-12-31T23:59:59.999999Z"]) {
            let at = at(time);
            insert_records(&db, &[record(id, at)]).await;
            let nanos = TimeDelta::nanoseconds(999);
            for (bound, is_since, is_until) in [
                (at - MICRO, true, false), (at - nanos, true, false), (at - NANO, true, false),
                (at, true, false),
                (at + NANO, false, true), (at + nanos, false, true), (at + MICRO, false, true),
            ] {
                let far = TimeDelta::days(1);
                assert_eq!(of(id).since(bound).count(&db).await?, u64::from(is_since), "since {bound:?}");
                assert_eq!(of(id).until(bound).count(&db).await?, u64::from(is_until), "until {bound:?}");
                let since = of(id).within(Window::between(bound, at + far)?);
                assert_eq!(since.count(&db).await?, u64::from(is_since), "between {bound:?} …");
                let until = of(id).within(Window::between(at - far, bound)?);
                assert_eq!(until.count(&db).await?, u64::from(is_until), "between … {bound:?}");
            }
        }
        // A leap second is the last microsecond before it.
        let leap = "2016-12-31T23:59:60.5Z";
        insert_records(&db, &[record(9, at("2016-12-31T23:59:59.999999Z")), record(9, at("2017-01-01T00:00:00Z"))]).await;
        assert_eq!(of(9).since(at(leap)).count(&db).await?, 1);
        assert_eq!(of(9).until(at(leap)).count(&db).await?, 1);
        Ok(())
    }

    async fn the_first_and_the_last_year_are_within_reach(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let all = [
            Window::EARLIEST, Window::EARLIEST + MICRO, at("0001-12-31T23:59:59.999Z"), at("0999-06-01T00:00:00Z"),
            at("2024-03-01T00:00:00Z"), at("9999-12-31T00:00:00Z"), Window::LATEST - MICRO, Window::LATEST,
        ];
        insert_records(&db, &all.map(|at| record(1, at))).await;
        for (index, bound) in all.into_iter().enumerate() {
            assert_eq!(times(&db, of(1).since(bound)).await, all[index..], "since {bound}");
            assert_eq!(times(&db, of(1).until(bound)).await, all[..index], "until {bound}");
            let window = Window::between(Window::EARLIEST, bound)?;
            assert_eq!(times(&db, of(1).within(window)).await, all[..index]);
            let window = Window::between(bound, Window::LATEST)?;
            assert_eq!(times(&db, of(1).within(window)).await, all[index..7.max(index)]);
        }
        Ok(())
    }

    async fn bounds_outside_the_years_1_to_9999_hold_everything_or_nothing(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let all = [Window::EARLIEST, at("2024-03-01T00:00:00Z"), Window::LATEST];
        insert_records(&db, &all.map(|at| record(1, at))).await;
        let before = [DateTimeUtc::MIN_UTC, at("-0044-03-15T12:00:00Z"), Window::EARLIEST - NANO];
        let after = [Window::LATEST + NANO, Window::LATEST + MICRO, at("+10000-01-01T00:00:00Z"), at("+12024-01-01T00:00:00Z"), DateTimeUtc::MAX_UTC];
        for bound in before {
            assert_eq!(times(&db, of(1).since(bound)).await, all, "since {bound}");
            assert_eq!(of(1).until(bound).count(&db).await?, 0, "until {bound}");
        }
        for bound in after {
            assert_eq!(of(1).since(bound).count(&db).await?, 0, "since {bound}");
            assert_eq!(times(&db, of(1).until(bound)).await, all, "until {bound}");
        }
        Ok(())
    }

    async fn a_span_of_any_length_is_no_error(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let first = Window::EARLIEST;
        insert_records(&db, &[record(1, first), record(1, now())]).await;
        let looks: [Look; 7] = [
            |s, n| s.created_in_seconds(n), |s, n| s.created_in_minutes(n), |s, n| s.created_in_hours(n), |s, n| s.created_in_days(n),
            |s, n| s.created_in_weeks(n), |s, n| s.created_in_months(n), |s, n| s.created_in_years(n),
        ];
        for (index, look) in looks.into_iter().enumerate() {
            // 2³² seconds are 136 years, and minutes 8,166: only the first is shorter than time.
            let expected = if index == 0 { 1 } else { 2 };
            assert_eq!(look(of(1), u32::MAX).count(&db).await?, expected, "{index}");
        }
        // Beginnings in the first years.
        let years = u32::try_from(Utc::now().year())?;
        for n in [years - 1, years - 2, years - 9, years - 99, years - 999] {
            assert_eq!(of(1).created_in_years(n).count(&db).await?, 1, "{n} years");
            assert_eq!(of(1).created_in_months(n * 12).count(&db).await?, 1, "{n} years in months");
            assert_eq!(of(1).created_in_days(n * 365).count(&db).await?, 1, "{n} years in days");
        }
        for n in [years, years + 1] {
            assert_eq!(of(1).created_in_years(n).count(&db).await?, 2, "{n} years");
        }
        Ok(())
    }

    async fn calendar_windows_begin_where_the_zone_says(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let zones = ["UTC", "Europe/Vienna", "America/Los_Angeles", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"];
        let looks: [LookIn; 5] = [
            |s, zone| s.this_hour_in(zone), |s, zone| s.today_in(zone), |s, zone| s.this_week_in(zone),
            |s, zone| s.this_month_in(zone), |s, zone| s.this_year_in(zone),
        ];
        let in_utc: [LookInUtc; 5] = [
            |s| s.this_hour(), |s| s.today(), |s| s.this_week(), |s| s.this_month(), |s| s.this_year(),
        ];
        let mut id = 0;
        for name in zones {
            let zone = zone(name)?;
            // Once more where an hour ended meanwhile.
            for attempt in 0.. {
                assert!(attempt < 3, "it is a new hour all the time");
                let starts = beginnings(zone);
                let mut found = Vec::new();
                for (start, look) in starts.into_iter().zip(looks) {
                    id += 1;
                    insert_records(&db, &[start - MICRO, start, start + MICRO].map(|at| record(id, at))).await;
                    found.push((times(&db, look(of(id), zone)).await, start));
                }
                let mut of_utc = Vec::new();
                for (index, look) in in_utc.into_iter().enumerate().filter(|_| name == "UTC") {
                    of_utc.push((times(&db, look(of(id - 4 + index as i32))).await, starts[index]));
                }
                if starts == beginnings(zone) {
                    for (times, start) in found.into_iter().chain(of_utc) {
                        assert_eq!(times, [start, start + MICRO], "{name}");
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    async fn windows_go_together_with_filters_and_span_rows(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let now = now();
        let hours = |n: i64| now - TimeDelta::hours(n);
        let records: Vec<_> = (1..=3).flat_map(|id| (1..=48).map(move |n| record(id, hours(n)))).collect();
        insert_records(&db, &records).await;
        let half = TimeDelta::minutes(30);
        let all = || article::Entity::records();
        assert_eq!(all().created_in_hours(24).count(&db).await?, 3 * 23);
        assert_eq!(all().created_in(TimeDelta::hours(24) + half).count(&db).await?, 3 * 24);
        assert_eq!(all().created_in_days(1).until(hours(12)).count(&db).await?, 3 * 11);
        assert_eq!(all().filter(Column::RecordingId.ne(2)).created_in_days(1).since(hours(5)).count(&db).await?, 2 * 5);
        assert_eq!(of(3).created_in_weeks(1).created_in_hours(3).count(&db).await?, 2);
        let latest = all().until(hours(40)).latest_of_each().count(&db).await?;
        assert_eq!(latest, 3);
        Ok(())
    }
}
