//! What was in force at the beginning of each bucket, and buckets without records.

use chrono::{TimeDelta, Timelike, Utc};
use chrono_tz::Tz;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use sea_orm_record::agg::{count, time_weighted_mean};
use sea_orm_record::prelude::{RecordError, RecordQuery, Recorded, Window};
use sea_orm_record::{Bucket, Buckets};
use sea_orm_record_migration::RecordSchema;

use crate::aggregates::gauge;
use crate::aggregates::gauge::record::{Column, Entity as Records, Model as Record};
use crate::aggregates::{gauge as value, gauges, gone, history};
use crate::harness::*;
use crate::reading::{at, insert};

fn of(id: i32) -> Select<Records> {
    gauge::Entity::records_of(id)
}

fn all() -> Select<Records> {
    gauge::Entity::records()
}

fn t(time: &str) -> DateTimeUtc {
    at(&format!("2024-03-01T{time}Z"))
}

/// The hour of each bucket, the row, and its value.
async fn filled(select: Select<Records>, db: &impl ConnectionTrait) -> Vec<(u32, i32, f64)> {
    let filled = select
        .resample("1h")
        .unwrap()
        .forward_fill()
        .buckets(db)
        .await
        .unwrap();
    let each = filled.into_iter();
    each.map(|(start, record)| (start.hour(), record.recording_id, record.x.unwrap()))
        .collect()
}

fn buckets_of(found: Vec<Bucket<Records>>) -> Vec<(u32, i32, Option<f64>)> {
    let each = found.into_iter();
    each.map(|bucket| {
        (
            bucket.start.hour(),
            bucket.row().unwrap(),
            bucket.record.and_then(|record| record.x),
        )
    })
    .collect()
}

/// What was in force, the slow way; for the rows that were ever in force, with and without gaps.
fn slowly(
    records: &[Record],
    starts: &[DateTimeUtc],
    gaps: bool,
) -> Vec<(DateTimeUtc, i32, Option<Record>)> {
    let in_force = |start: DateTimeUtc, row: i32| {
        let of_row = records
            .iter()
            .filter(|record| record.recording_id == row && record.recorded_at <= start);
        let last = of_row.max_by_key(|record| record.recorded_at);
        last.filter(|record| record.event != sea_orm_record::Event::Deleted)
            .cloned()
    };
    let rows = (1..4).filter(|row| starts.iter().any(|start| in_force(*start, *row).is_some()));
    let rows: Vec<_> = rows.collect();
    let places = starts
        .iter()
        .flat_map(|start| rows.iter().map(move |row| (*start, *row)));
    let each = places.map(|(start, row)| (start, row, in_force(start, row)));
    each.filter(|(_, _, record)| gaps || record.is_some())
        .collect()
}

/// Records compare by their text: NaN is no equal of its own.
fn shown(found: &[(DateTimeUtc, i32, Option<Record>)]) -> String {
    format!("{found:#?}")
}

async fn check(db: &DatabaseConnection, records: &[Record], rule: &str, zone: Tz) {
    Records::delete_many().exec(db).await.unwrap();
    insert::<Records, _>(db, records.iter().cloned()).await;
    let buckets = Buckets::new(rule.parse().unwrap(), zone);
    let until = t("00:00:00") + TimeDelta::minutes(2_500);
    let before = |record: &&Record| record.recorded_at < until;
    let first = records
        .iter()
        .filter(before)
        .map(|record| record.recorded_at)
        .min();
    for since in [None, Some(t("11:07:00"))] {
        let starts = since.or(first).map_or_else(Vec::new, |from| {
            let mut edges = buckets
                .edges(from, until - TimeDelta::microseconds(1), 10_000)
                .unwrap();
            edges.pop();
            edges
        });
        let select = since
            .into_iter()
            .fold(all(), |select, since| select.since(since))
            .until(until);
        let fill = || {
            select
                .clone()
                .resample(rule)
                .unwrap()
                .in_zone(zone)
                .forward_fill()
        };
        let found = fill().buckets(db).await.unwrap().into_iter();
        let found: Vec<_> = found
            .map(|(start, record)| (start, record.recording_id, Some(record)))
            .collect();
        assert_eq!(
            shown(&found),
            shown(&slowly(records, &starts, false)),
            "{rule} in {zone}, since {since:?}"
        );
        let found = fill().keep_gaps().all(db).await.unwrap().into_iter();
        let found: Vec<_> = found
            .map(|bucket| (bucket.start, bucket.row().unwrap(), bucket.record))
            .collect();
        assert_eq!(
            shown(&found),
            shown(&slowly(records, &starts, true)),
            "{rule} in {zone}, since {since:?}"
        );
        // One row alone, which is found by other means.
        let one = since
            .into_iter()
            .fold(of(2), |select, since| select.since(since))
            .until(t("20:00:00"));
        let found = one
            .resample(rule)
            .unwrap()
            .in_zone(zone)
            .forward_fill()
            .buckets(db)
            .await
            .unwrap();
        for (start, record) in &found {
            let of_row = records
                .iter()
                .filter(|record| record.recording_id == 2 && record.recorded_at <= *start);
            let expected = of_row.max_by_key(|record| record.recorded_at);
            assert_eq!(
                format!("{:?}", Some(record)),
                format!("{expected:?}"),
                "{start}"
            );
        }
    }
}

each_database! {
    async fn the_record_in_force_at_the_start_of_each_bucket(test: TestDb) -> TestResult {
        let db = gauges(&test, &[
            value(1, t("01:10:00"), Some(1.0)), value(1, t("01:50:00"), Some(2.0)),
            // On an edge, and a microsecond after it.
            value(1, t("03:00:00"), Some(3.0)), value(1, t("04:00:00.000001"), Some(4.0)),
            gone(1, t("05:30:00"), Some(4.0)), value(1, t("07:30:00"), Some(5.0)),
            gone(1, t("08:00:00"), Some(5.0)), value(2, t("02:00:00"), Some(9.0)),
        ]).await;
        let one = [(2, 1, 2.0), (3, 1, 3.0), (4, 1, 3.0), (5, 1, 4.0)];
        assert_eq!(filled(of(1).until(t("10:00:00")), &db).await, one);
        // The bucket of 01:00 begins before the first record, and those of 06:00 to 09:00 after a deletion.
        let gaps = of(1).until(t("10:00:00")).resample("1h")?.forward_fill().keep_gaps().all(&db).await?;
        let gap = |hour| (hour, 1, None);
        let some = |at: usize| (one[at].0, 1, Some(one[at].2));
        assert_eq!(buckets_of(gaps), [gap(1), some(0), some(1), some(2), some(3), gap(6), gap(7), gap(8), gap(9)]);
        // From before the window; its first bucket begins before it does.
        assert_eq!(filled(of(1).since(t("02:30:00")).until(t("04:30:00")), &db).await, one[..3]);
        let both = [(2, 1, 2.0), (2, 2, 9.0), (3, 1, 3.0), (3, 2, 9.0)];
        assert_eq!(filled(all().until(t("04:00:00")), &db).await, both);
        assert_eq!(filled(all().since(t("02:20:00")).until(t("04:00:00")), &db).await, both);
        let among = || Records::find().filter(Column::RecordingId.is_in([1, 2]));
        assert_eq!(filled(among().since(t("02:20:00")).until(t("04:00:00")), &db).await, both);
        // A filter picks records; a window beside it knows what held when it begins.
        let window = Window::between(t("02:20:00"), t("04:00:00"))?;
        let small = among().filter(Column::X.lt(3.0)).resample("1h")?.within(window).forward_fill();
        let small: Vec<_> = small.all(&db).await?.into_iter().map(|record| record.x).collect();
        assert_eq!(small, [Some(2.0), Some(2.0)]);
        Ok(())
    }

    async fn what_was_last_recorded_is_in_force_until_now(test: TestDb) -> TestResult {
        let now = Utc::now();
        let db = gauges(&test, &[value(1, now.with_nanosecond(0).unwrap() - TimeDelta::hours(30), Some(1.0))]).await;
        for select in [of(1), all(), of(1).until(now + TimeDelta::days(9)), of(1).created_in_days(2)] {
            let found = select.resample("1h")?.forward_fill().buckets(&db).await?;
            assert!((29..=31).contains(&found.len()), "{}", found.len());
            assert!(found.iter().all(|(start, _)| *start <= Utc::now()));
        }
        // A window of nothing, after now, before the first record; and a rule longer than all of it.
        for select in [of(1).since(now + TimeDelta::days(1)), of(1).until(now - TimeDelta::days(4)), of(7), of(1).since(now).until(now)] {
            assert_eq!(select.clone().resample("1h")?.forward_fill().all(&db).await?, []);
            assert_eq!(select.resample("1h")?.all(&db).await?, []);
        }
        let years = of(1).resample("100YS")?.forward_fill().keep_gaps().all(&db).await?;
        assert_eq!((years.len(), &years[0].record), (1, &None));
        // Parts of a microsecond are rounded up where they begin or end a window: records have none.
        let part = TimeDelta::nanoseconds(500);
        let first = of(1).earliest().one(&db).await?.ok_or("no record")?.recorded_at;
        assert_eq!(of(1).since(first + part).resample("1s")?.all(&db).await?, []);
        assert_eq!(of(1).until(first + part).resample("1s")?.all(&db).await?.len(), 1);
        Ok(())
    }

    async fn empty_buckets_of_first_and_last_are_kept_on_request(test: TestDb) -> TestResult {
        let db = gauges(&test, &[
            value(1, t("01:10:00"), Some(1.0)), value(1, t("01:50:00"), Some(2.0)), value(1, t("03:00:00"), Some(3.0)), value(2, t("02:30:00"), Some(9.0)),
        ]).await;
        let some = |hour, row, x| (hour, row, Some(x));
        let last = of(1).resample("1h")?.keep_gaps().all(&db).await?;
        assert_eq!(buckets_of(last), [some(1, 1, 2.0), (2, 1, None), some(3, 1, 3.0)]);
        let first = of(1).until(t("04:30:00")).resample("1h")?.first().keep_gaps().all(&db).await?;
        assert_eq!(buckets_of(first), [some(1, 1, 1.0), (2, 1, None), some(3, 1, 3.0), (4, 1, None)]);
        let both = all().since(t("01:30:00")).until(t("03:00:00")).resample("1h")?.keep_gaps().all(&db).await?;
        assert_eq!(buckets_of(both), [some(1, 1, 2.0), (1, 2, None), (2, 1, None), some(2, 2, 9.0)]);
        let none = of(3).since(t("01:30:00")).until(t("03:00:00")).resample("1h")?.keep_gaps().all(&db).await?;
        assert_eq!(buckets_of(none), [(1, 3, None), (2, 3, None)]);
        assert_eq!(of(3).resample("1h")?.keep_gaps().all(&db).await?, []);
        Ok(())
    }

    async fn more_buckets_than_may_be_filled_are_an_error_that_says_so(test: TestDb) -> TestResult {
        let (db, counter) = test.counted().await;
        db.create_record_table(Records).await?;
        let rows = (1..=3).flat_map(|id| [value(id, t("00:00:00"), Some(1.0)), value(id, t("12:00:00"), Some(2.0))]);
        insert::<Records, _>(&db, rows).await;
        counter.clear();
        let day = || of(1).until(t("23:59:00"));
        let errors = [
            day().resample("10ms")?.forward_fill().all(&db).await.unwrap_err(),
            day().resample("10ms")?.keep_gaps().all(&db).await.unwrap_err(),
            day().resample("1us")?.forward_fill().keep_gaps().all(&db).await.unwrap_err(),
            // Few buckets of each row, but too many of all together.
            all().until(t("23:59:00")).resample("1s")?.forward_fill().all(&db).await.unwrap_err(),
            all().until(t("23:59:00")).resample("1min")?.fill_at_most(4_000).keep_gaps().all(&db).await.unwrap_err(),
        ];
        for error in &errors {
            assert!(matches!(RecordError::of(error), Some(RecordError::Resample { table, .. }) if table == "gauge_record"), "{error}");
            assert!(error.to_string().contains("fill_at_most"), "{error}");
        }
        assert!(counter.take() < 30);
        let filled = day().resample("1s")?.forward_fill().all(&db).await?;
        assert_eq!(filled.len(), 24 * 3_600 - 60);
        let raised = all().until(t("23:59:00")).resample("1s")?.fill_at_most(300_000).forward_fill().all(&db).await?;
        assert_eq!(raised.len(), 3 * filled.len());
        // A day of seconds, filled from two records.
        let statements = counter.take_statements();
        assert!(statements.len() < 16, "{}", statements.join("\n"));
        Ok(())
    }

    async fn a_filter_that_hides_what_held_is_an_error_that_names_it(test: TestDb) -> TestResult {
        let db = gauges(&test, &[value(1, t("00:00:00"), Some(1.0)), value(1, t("03:00:00"), Some(2.0))]).await;
        let late = of(1).filter(Column::RecordedAt.gt(t("01:00:00").fixed_offset())).filter(Column::X.gt(0.0));
        let error = late.resample("1h")?.forward_fill().all(&db).await.unwrap_err();
        assert!(error.to_string().contains("`recorded_at` hides what held before"), "{error}");
        assert!(error.to_string().contains("within(window)"), "{error}");
        Ok(())
    }

    async fn a_filter_in_raw_sql_hides_what_held_as_well(test: TestDb) -> TestResult {
        let db = gauges(&test, &[value(1, t("00:00:00"), Some(1.0)), value(1, t("03:00:00"), Some(2.0))]).await;
        let part = time_weighted_mean(Column::X);
        for raw in ["recorded_at >= '2024-03-01 01:00:00'", "gauge_record.recorded_at>='2024-03-01'", "NOT RECORDED_AT < '2024-03-01'"] {
            let hidden = || of(1).filter(Expr::cust(raw)).resample("1h").unwrap();
            let errors = [
                hidden().forward_fill().all(&db).await.unwrap_err(),
                hidden().keep_gaps().all(&db).await.unwrap_err(),
                hidden().agg([part]).all(&db).await.unwrap_err(),
            ];
            for error in errors {
                assert!(error.to_string().contains("`recorded_at` hides what held before"), "{raw}: {error}");
            }
        }
        // Texts, values and longer names are no times.
        let until = t("05:00:00");
        let texts = [
            of(1).filter(Expr::cust("label <> 'recorded_at'")),
            of(1).filter(Expr::cust("label <> 'it''s recorded_at'")),
            of(1).filter(Column::Label.ne("recorded_at")),
            of(1).filter(Expr::cust("1 = (SELECT 1 AS recorded_at_all)")),
        ];
        for select in texts {
            assert_eq!(select.resample("1h")?.within(Window::between(t("00:00:00"), until)?).forward_fill().all(&db).await?.len(), 5);
        }
        Ok(())
    }

    async fn gaps_are_refused_where_a_filter_hides_the_window(test: TestDb) -> TestResult {
        let db = gauges(&test, &[value(1, t("00:10:00"), Some(1.0)), value(1, t("03:00:00"), Some(2.0))]).await;
        let high = || of(1).filter(Column::X.gt(0.0));
        let hidden = || high().since(t("01:00:00")).until(t("05:00:00")).resample("1h").unwrap();
        let errors = [
            hidden().keep_gaps().all(&db).await.unwrap_err(),
            hidden().agg([count()]).keep_gaps().all(&db).await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains("`recorded_at` hides what held before, and where the buckets begin and end"), "{error}");
        }
        let window = Window::between(t("01:00:00"), t("05:00:00"))?;
        let found = high().resample("1h")?.within(window).keep_gaps().all(&db).await?;
        assert_eq!(found.iter().map(|bucket| (bucket.start.hour(), bucket.record.is_some())).collect::<Vec<_>>(), [(1, false), (2, false), (3, true), (4, false)]);
        let found = high().resample("1h")?.within(window).agg([count()]).keep_gaps().all(&db).await?;
        assert_eq!(found.len(), 4);
        Ok(())
    }

    async fn windows_are_known_in_whatever_order_they_are_given(test: TestDb) -> TestResult {
        let db = gauges(&test, &[value(1, t("00:10:00"), Some(1.0)), value(1, t("03:10:00"), Some(2.0)), value(1, t("09:00:00"), Some(3.0))]).await;
        let (since, until) = (t("01:00:00"), t("05:00:00"));
        for one in [of(1), all(), all().filter(Column::RecordingId.is_in([1, 2]))] {
            let selects = [
                one.clone().since(since).until(until),
                one.clone().until(until).since(since),
                one.clone().since(since).since(t("00:30:00")).until(until),
                one.clone().until(t("08:00:00")).since(since).until(until),
                one.clone().since(t("00:30:00")).until(t("08:00:00")).until(until).since(since),
            ];
            for select in selects {
                assert_eq!(filled(select.clone(), &db).await, [(1, 1, 1.0), (2, 1, 1.0), (3, 1, 1.0), (4, 1, 2.0)]);
                let gaps = select.clone().resample("1h")?.keep_gaps().all(&db).await?;
                assert_eq!(buckets_of(gaps), [(1, 1, None), (2, 1, None), (3, 1, Some(2.0)), (4, 1, None)]);
                let part = time_weighted_mean(Column::X);
                let means = select.resample("1h")?.agg([part]).all(&db).await?;
                let means: Vec<_> = means.iter().map(|mean| mean.get(part).unwrap().unwrap().to_f64()).collect();
                assert_eq!((means.len(), means[1], means[3]), (4, 1.0, 2.0));
            }
        }
        // What lies in two windows that do not meet is nothing.
        assert_eq!(filled(of(1).until(since).since(until), &db).await, []);
        assert_eq!(of(1).until(since).since(until).resample("1h")?.keep_gaps().all(&db).await?, []);
        // Also within one bucket.
        let (early, late) = (t("03:05:00"), t("03:20:00"));
        for select in [of(1).since(late).until(early), of(1).until(early).since(late)] {
            assert_eq!(select.resample("1h")?.all(&db).await?, []);
        }
        Ok(())
    }

    async fn a_row_has_its_key_whichever_integer_named_it(test: TestDb) -> TestResult {
        let db = gauges(&test, &[value(1, t("01:10:00"), Some(1.0)), value(1, t("03:00:00"), Some(3.0))]).await;
        let wide = || all().filter(Column::RecordingId.eq(1_i64)).until(t("05:00:00"));
        let found = wide().resample("1h")?.keep_gaps().all(&db).await?;
        assert_eq!(buckets_of(found), [(1, 1, Some(1.0)), (2, 1, None), (3, 1, Some(3.0)), (4, 1, None)]);
        let found = wide().resample("1h")?.agg([count()]).keep_gaps().all(&db).await?;
        assert_eq!(found.iter().map(|bucket| bucket.row()).collect::<Vec<_>>(), [Some(1); 4]);
        let none = all().filter(Column::RecordingId.eq(7_i64)).since(t("03:00:00")).until(t("05:00:00"));
        let none = none.resample("1h")?.keep_gaps().all(&db).await?;
        assert_eq!(buckets_of(none), [(3, 7, None), (4, 7, None)]);
        Ok(())
    }

    async fn all_rows_are_filled_as_one_on_request(test: TestDb) -> TestResult {
        let db = gauges(&test, &[
            value(1, t("00:10:00"), Some(1.0)), value(2, t("00:50:00"), Some(2.0)),
            // Of what was recorded at one time, the greatest key.
            value(3, t("02:00:00"), Some(3.0)), value(1, t("02:00:00"), Some(9.0)),
            gone(2, t("03:30:00"), Some(2.0)), value(1, t("04:10:00"), Some(4.0)),
        ]).await;
        let until = t("06:00:00");
        let fill = |select: Select<Records>| select.until(until).resample("1h").unwrap().forward_fill().over_all_rows();
        let values = |found: Vec<(DateTimeUtc, Record)>| -> Vec<_> {
            found.into_iter().map(|(start, record)| (start.hour(), record.recording_id, record.x.unwrap())).collect()
        };
        assert_eq!(values(fill(all()).buckets(&db).await?), [(1, 2, 2.0), (2, 3, 3.0), (3, 3, 3.0), (5, 1, 4.0)]);
        assert_eq!(values(fill(all().since(t("03:00:00"))).buckets(&db).await?), [(3, 3, 3.0), (5, 1, 4.0)]);
        assert_eq!(values(fill(all().since(t("04:00:00"))).buckets(&db).await?), [(5, 1, 4.0)]);
        let gaps = fill(all().since(t("03:00:00"))).keep_gaps().all(&db).await?;
        assert!(gaps.iter().all(|bucket| bucket.row().is_none()));
        let gaps: Vec<_> = gaps.iter().map(|bucket| (bucket.start.hour(), bucket.record.as_ref().and_then(|record| record.x))).collect();
        assert_eq!(gaps, [(3, Some(3.0)), (4, None), (5, Some(4.0))]);
        let last = all().until(until).resample("1h")?.over_all_rows().keep_gaps().all(&db).await?;
        let last: Vec<_> = last.iter().map(|bucket| bucket.record.as_ref().and_then(|record| record.x)).collect();
        assert_eq!(last, [Some(2.0), None, Some(3.0), Some(2.0), Some(4.0), None]);
        Ok(())
    }

    async fn buckets_are_json(test: TestDb) -> TestResult {
        let db = gauges(&test, &[value(1, t("00:10:00"), Some(1.5))]).await;
        let found = of(1).until(t("02:00:00")).resample("1h")?.keep_gaps().all(&db).await?;
        assert_eq!(serde_json::to_value(&found)?, serde_json::json!([
            { "start": "2024-03-01T00:00:00+00:00", "row": 1, "record": {
                "recorded_at": "2024-03-01T00:10:00+00:00", "event": "updated",
                "n": null, "x": 1.5, "small": null, "price": null, "label": "a", "twice": 0,
            } },
            { "start": "2024-03-01T01:00:00+00:00", "row": 1, "record": null },
        ]));
        Ok(())
    }

    async fn random_histories_are_filled_as_a_loop_over_them_does(test: TestDb) -> TestResult {
        let db = gauges(&test, &[]).await;
        let rule = proptest::sample::select(vec!["15min", "1h", "6h", "1D", "1W"]);
        let zone = proptest::sample::select(vec!["UTC", "Asia/Kathmandu", "America/Havana"]);
        let strategy = (history(test.engine() == Engine::Postgres), rule, zone);
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let runtime = tokio::runtime::Handle::current();
        let ran = tokio::task::block_in_place(|| runner.run(&strategy, |(records, rule, zone)| {
            let zone = zone.parse().map_err(|_| TestCaseError::fail("zone"))?;
            runtime.block_on(check(&db, &records, rule, zone));
            Ok(())
        }));
        Ok(ran?)
    }
}
