//! `prune_to`, `prune_before` and `dedupe`: which records go, and what is answered afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, Set, Statement,
};
use sea_orm_record::{
    Buckets, Event, FOREVER, Pruned, RecordError, RecordQuery, Recorded, Retention, Window,
    backfill, dedupe, is_retryable, prune_before, prune_to, verify,
};

use tokio::sync::Notify;

use crate::backfill::pallet;
use crate::blog::{self, note};
use crate::harness::each_database;
use crate::library::{self, book};

type Record = note::record::Model;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % sides
    }
}

fn numbers(pruned: Pruned) -> (u64, u64) {
    (pruned.records, pruned.removed)
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn record(id: i32, at: DateTime<Utc>, event: Event, text: &str) -> note::record::ActiveModel {
    note::record::ActiveModel {
        recording_id: Set(id),
        recorded_at: Set(at),
        event: Set(event),
        text: Set(text.to_owned()),
        ..Default::default()
    }
}

async fn insert(db: &DatabaseConnection, records: Vec<note::record::ActiveModel>) {
    for records in records.chunks(1_000) {
        let insert = note::record::Entity::insert_many(records.to_vec());
        insert.exec(db).await.unwrap();
    }
}

/// All records, in the order of rows and times.
async fn all(db: &DatabaseConnection) -> Vec<Record> {
    let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordingId);
    let records = records.order_by_asc(note::record::Column::RecordedAt);
    records.all(db).await.unwrap()
}

/// Histories of a few rows over 40 days, dense and sparse, with deletions and marks.
fn random_histories(dice: &mut Dice, now: DateTime<Utc>) -> Vec<note::record::ActiveModel> {
    let mut records = Vec::new();
    for id in 1..=4 {
        let mut times = BTreeSet::new();
        let around = dice.roll(40 * 86_400);
        for _ in 0..dice.roll(120) {
            let seconds = match dice.roll(3) {
                0 => dice.roll(40 * 86_400),
                1 => around + dice.roll(7_200),
                _ => dice.roll(960) * 3_600,
            };
            times.insert(now - TimeDelta::seconds(seconds));
        }
        for time in times {
            let event = match dice.roll(12) {
                0 => Event::Deleted,
                _ => Event::Updated,
            };
            let text = ["plain", "marked"][usize::from(dice.roll(10) == 0)];
            records.push(record(id, time, event, text));
        }
    }
    records
}

/// What the documentation says of which records stay, record by record.
fn oracle(
    records: &[Record],
    tiers: &[(Option<&str>, Option<i64>)],
    zone: Tz,
    now: DateTime<Utc>,
) -> Vec<Record> {
    // A record's tier is the youngest whose buckets all end before the age that it reaches begins.
    let bucket_of = |record: &Record| {
        let mut bucket = None;
        let mut reached = Some(0);
        for (rule, until) in tiers {
            if let (Some(rule), Some(days)) = (rule, reached) {
                let buckets = Buckets::new(rule.parse().unwrap(), zone);
                let edge = buckets.start_of(now - TimeDelta::days(days)).unwrap();
                if record.recorded_at < edge {
                    bucket = Some((*rule, buckets.start_of(record.recorded_at).unwrap()));
                }
            }
            reached = *until;
        }
        bucket
    };
    let mut last_of_bucket = BTreeMap::new();
    let mut ends: BTreeMap<i32, [DateTime<Utc>; 2]> = BTreeMap::new();
    for record in records {
        if let Some(bucket) = bucket_of(record) {
            last_of_bucket.insert((record.recording_id, bucket), record.recorded_at);
        }
        let both = [record.recorded_at; 2];
        ends.entry(record.recording_id).or_insert(both)[1] = record.recorded_at;
    }
    let stays = |record: &&Record| {
        let is_needed = match bucket_of(record) {
            Some(bucket) => {
                let last = last_of_bucket[&(record.recording_id, bucket)];
                [bucket.1, last].contains(&record.recorded_at)
            }
            None => true,
        };
        is_needed
            || ends[&record.recording_id].contains(&record.recorded_at)
            || record.event == Event::Deleted
            || record.text == "marked"
    };
    records.iter().filter(stays).cloned().collect()
}

/// What a tier is to answer as before: of each row, the last record of each bucket, and what is in
/// force at each of its edges.
async fn resampled(
    db: &DatabaseConnection,
    rule: &str,
    zone: Tz,
    window: Window,
) -> Vec<(Vec<Record>, String)> {
    let mut answers = Vec::new();
    for id in 1..=4 {
        let of_row = note::Entity::records_of(id).within(window).resample(rule);
        let of_row = of_row.unwrap().in_zone(zone);
        let last = of_row.clone().all(db).await.unwrap();
        let in_force = of_row.forward_fill().buckets(db).await.unwrap();
        answers.push((last, format!("{in_force:?}")));
    }
    answers
}

fn seven_days() -> Retention {
    Retention::new().keep_all(TimeDelta::days(7))
}

/// A rule, or all records; and for how many days.
type Tier = (Option<&'static str>, Option<i64>);

each_database! {
    async fn what_stays_is_what_an_oracle_keeps_and_answers_as_before(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let vienna = chrono_tz::Europe::Vienna;
        let plans: [(&[Tier], Tz, &str); 4] = [
            (&[(None, Some(3)), (Some("1h"), Some(10)), (Some("1D"), None)], vienna, "2026-04-10T10:30:00Z"),
            (&[(Some("15min"), Some(2)), (Some("6h"), Some(20)), (Some("1W"), None)], chrono_tz::UTC, "2026-04-10T00:00:00Z"),
            (&[(None, Some(1)), (Some("1D"), Some(12)), (Some("1MS"), None)], vienna, "2026-11-05T23:10:00Z"),
            (&[(Some("1h"), None)], chrono_tz::Asia::Kathmandu, "2026-04-10T10:30:00Z"),
        ];
        let mut dice = Dice(7);
        let mut removed = 0;
        for round in 0..8 {
            let (tiers, zone, now) = plans[round % plans.len()];
            let now = at(now);
            note::record::Entity::delete_many().exec(&db).await.unwrap();
            insert(&db, random_histories(&mut dice, now)).await;
            let before = all(&db).await;
            let mut retention = Retention::new().in_zone(zone);
            for (rule, until) in tiers {
                let until = until.map(TimeDelta::days);
                retention = match rule {
                    Some(rule) => retention.then_every(*rule, until),
                    None => retention.keep_all(until.unwrap()),
                };
            }
            let marked = note::record::Column::Text.eq("marked");
            let prune = || prune_to(note::Entity, &retention).keep(marked.clone()).counted_from(now);
            // The rule of each tier, up to where it begins to apply.
            let mut spans = Vec::new();
            let mut reached = Some(0);
            for (rule, until) in tiers {
                if let (Some(rule), Some(days)) = (rule, reached) {
                    let buckets = Buckets::new(rule.parse().unwrap(), zone);
                    spans.push((*rule, buckets.start_of(now - TimeDelta::days(days)).unwrap()));
                }
                reached = *until;
            }
            // Each applies from where the next one begins.
            let begins = spans.iter().skip(1).map(|next| next.1);
            let begins = begins.chain([spans[spans.len() - 1].1 - TimeDelta::days(45)]);
            let spans: Vec<_> = spans.iter().zip(begins).map(|((rule, end), begin)| (*rule, Window::between(begin, *end).unwrap())).collect();
            let answers = async || {
                let mut answers = Vec::new();
                for (rule, window) in &spans {
                    answers.push(resampled(&db, rule, zone, *window).await);
                }
                answers
            };
            let said = answers().await;

            let forecast = prune().dry_run(&db).await.unwrap();
            assert_eq!(all(&db).await, before);
            let pruned = prune().exec(&db).await.unwrap();
            assert_eq!((forecast.records, forecast.removed), numbers(pruned));
            assert!(forecast.bytes.is_some());
            let after = all(&db).await;
            assert_eq!(after, oracle(&before, tiers, zone, now), "round {round}");
            assert_eq!(pruned.removed as usize, before.len() - after.len());
            assert_eq!(answers().await, said, "round {round}");
            assert_eq!(prune().exec(&db).await.unwrap().removed, 0);
            removed += pruned.removed;
        }
        assert!(removed > 100, "{removed} removed");
    }

    async fn what_cannot_be_used_is_refused_before_anything_goes(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert(&db, (0..9).map(|n| record(1, at("2020-01-01T00:00:00Z") + TimeDelta::seconds(n), Event::Updated, "a")).collect()).await;
        let backwards = seven_days().then_every("1h", TimeDelta::days(3)).then_every("1D", FOREVER);
        let error = prune_to(note::Entity, &backwards).exec(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&error), Some(RecordError::Retention { .. })), "{error:?}");
        let unknown = prune_to(note::Entity, &seven_days().then_every("5m", FOREVER)).dry_run(&db).await.unwrap_err();
        assert!(matches!(RecordError::of(&unknown), Some(RecordError::Rule { .. })), "{unknown:?}");
        assert_eq!(all(&db).await.len(), 9);
    }

    async fn an_age_that_no_record_can_have_removes_nothing(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert(&db, (0..9).map(|n| record(1, at("2020-01-01T00:00:00Z") + TimeDelta::seconds(n), Event::Updated, "a")).collect()).await;
        for days in [1_000_000, 100_000_000] {
            let retention = Retention::new().keep_all(TimeDelta::days(days)).then_every("1h", FOREVER);
            assert_eq!(retention.prunes_before(Utc::now()).unwrap(), None);
            assert_eq!(numbers(prune_to(note::Entity, &retention).exec(&db).await.unwrap()), (0, 0));
        }
        // The tiers before it count.
        let retention = Retention::new().then_every("1h", TimeDelta::days(1_000_000)).then_every("1D", FOREVER);
        assert_eq!(numbers(prune_to(note::Entity, &retention).exec(&db).await.unwrap()), (9, 7));
    }

    async fn before_a_moment_each_row_keeps_what_held_then(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let day = |n: i64| at("2026-01-01T00:00:00Z") + TimeDelta::days(n);
        let mut records = Vec::new();
        for n in 0..6 {
            records.push(record(1, day(n), Event::Updated, &format!("{n}")));
        }
        records.push(record(2, day(0), Event::Created, "gone"));
        records.push(record(2, day(1), Event::Deleted, "gone"));
        records.push(record(3, day(3), Event::Created, "at the moment"));
        records.push(record(4, day(0), Event::Created, "signed"));
        records.push(record(4, day(1), Event::Updated, "later"));
        // Made, gone, and made again, more than once.
        for (n, event) in [Event::Created, Event::Deleted, Event::Created, Event::Deleted, Event::Created].into_iter().enumerate() {
            records.push(record(5, day(0) + TimeDelta::hours(n as i64), event, "again"));
        }
        for (n, event) in [Event::Created, Event::Deleted, Event::Created, Event::Updated].into_iter().enumerate() {
            records.push(record(6, day(0) + TimeDelta::hours(n as i64), event, "again"));
        }
        for n in 0..3 {
            records.push(record(7, day(n), Event::Created, "made"));
        }
        let again = ["again", "signed"];
        for (n, event) in [Event::Created, Event::Deleted, Event::Created, Event::Updated].into_iter().enumerate() {
            records.push(record(8, day(0) + TimeDelta::hours(n as i64), event, again[usize::from(n == 2)]));
        }
        insert(&db, records).await;
        let prune = || prune_before(note::Entity, day(3)).keep(note::record::Column::Text.eq("signed"));
        let then = note::Entity::as_of(day(3)).with_deleted().all(&db).await.unwrap();
        // Also where a row's records are on several pages.
        assert_eq!(prune().at_a_time(1).dry_run(&db).await.unwrap().removed, 11);
        assert_eq!(numbers(prune().exec(&db).await.unwrap()), (23, 11));
        let left: Vec<_> = all(&db).await.into_iter().map(|it| (it.recording_id, it.recorded_at)).collect();
        let (again, left) = left.into_iter().partition::<Vec<_>, _>(|(id, _)| *id > 4);
        let hour = |n: i64| day(0) + TimeDelta::hours(n);
        assert_eq!(again, [(5, hour(3)), (5, hour(4)), (6, hour(3)), (7, day(0)), (7, day(2)), (8, hour(1)), (8, hour(2)), (8, hour(3))]);
        assert_eq!(left, [(1, day(2)), (1, day(3)), (1, day(4)), (1, day(5)), (2, day(1)), (3, day(3)), (4, day(0)), (4, day(1))]);
        assert_eq!(note::Entity::as_of(day(3)).with_deleted().all(&db).await.unwrap(), then);
        assert_eq!(prune().exec(&db).await.unwrap().removed, 0);
    }

    async fn neighbours_that_say_the_same_lose_the_later(test: TestDb) {
        let db = test.connect().await;
        library::library(&db).await;
        let day = |n: i64| at("2026-01-01T00:00:00Z") + TimeDelta::days(n);
        let said = |n: i64, event: Event, blurb: Option<&str>, facts: &str| book::record::ActiveModel {
            recording_id: Set(1),
            recorded_at: Set(day(n)),
            event: Set(event),
            shelf_id: Set(None),
            title: Set("title".to_owned()),
            blurb: Set(blurb.map(str::to_owned)),
            facts: Set(serde_json::from_str(facts).unwrap()),
            letters: Set(5),
            actor: Set(Some(format!("actor {n}"))),
            ..Default::default()
        };
        let pages = r#"{"a": 1, "b": [2]}"#;
        let records = [
            said(0, Event::Created, None, pages),
            said(1, Event::Updated, None, r#"{"b": [2], "a": 1}"#),
            said(2, Event::Related, None, pages),
            said(3, Event::Updated, Some(""), pages),
            said(4, Event::Updated, Some("é"), pages),
            said(5, Event::Updated, Some("e"), pages),
            said(6, Event::Updated, Some("E"), pages),
            said(7, Event::Updated, Some("E"), r#"{"a": 2}"#),
            said(8, Event::Deleted, Some("E"), r#"{"a": 2}"#),
            said(9, Event::Created, Some("E"), r#"{"a": 2}"#),
            said(10, Event::Updated, Some("E"), r#"{"a": 2}"#),
            said(11, Event::Updated, Some("E"), r#"{"a": 2}"#),
        ];
        book::record::Entity::insert_many(records).exec(&db).await.unwrap();
        let kept = book::record::Column::Actor.eq("actor 11");
        assert_eq!(dedupe(book::Entity).dry_run(&db).await.unwrap().removed, 4);
        assert_eq!(numbers(dedupe(book::Entity).keep(kept).exec(&db).await.unwrap()), (12, 3));
        assert_eq!(numbers(dedupe(book::Entity).exec(&db).await.unwrap()), (9, 1));
        assert_eq!(numbers(dedupe(book::Entity).exec(&db).await.unwrap()), (8, 0));
        let left = book::Entity::records_of(1).order_by_asc(book::record::Column::RecordedAt).all(&db).await.unwrap();
        let left: Vec<_> = left.into_iter().map(|record| record.recorded_at).collect();
        assert_eq!(left, [0, 3, 4, 5, 6, 7, 8, 9].map(day));
    }

    async fn histories_longer_than_a_page_take_a_statement_a_page_and_a_thousand_removed(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let from = at("2025-01-01T00:00:00.000001Z");
        let texts = |n: i64| if n < 100 { "a" } else { "b" };
        let records = || (0..22_000).map(|n| record(7, from + TimeDelta::seconds(n * 30), Event::Updated, texts(n))).collect::<Vec<_>>();
        insert(&db, records()).await;
        counter.clear();
        let hourly = seven_days().then_every("1h", FOREVER);
        let pruned = prune_to(note::Entity, &hourly).exec(&db).await.unwrap();
        // 120 an hour; the first stays as well.
        assert_eq!(numbers(pruned), (22_000, 22_000 - 184 - 1));
        let statements = counter.take();
        assert!(statements <= 3 + 22 + 3, "{statements} statements");
        let left = all(&db).await;
        assert_eq!((left[0].recorded_at, left[1].recorded_at), (from, from + TimeDelta::seconds(119 * 30)));

        note::record::Entity::delete_many().exec(&db).await.unwrap();
        insert(&db, records()).await;
        assert_eq!(dedupe(note::Entity).dry_run(&db).await.unwrap().removed, 21_998);
        assert_eq!(numbers(dedupe(note::Entity).exec(&db).await.unwrap()), (22_000, 21_998));
        assert_eq!(all(&db).await.iter().map(|it| it.text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    async fn what_one_pruning_removed_the_other_does_not_rely_on(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let ten = at("2025-01-01T10:00:00Z");
        let history = |id: i32| [(1, "before"), (5, "now"), (30, "now")].map(|(minute, text)| {
            record(id, ten + TimeDelta::minutes(minute), Event::Updated, text)
        });
        // The first to look is the last to remove: it waits until the other is through.
        for first in ["prune", "dedupe"] {
            note::record::Entity::delete_many().exec(&db).await.unwrap();
            insert(&db, history(1).into_iter().chain(history(2)).collect()).await;
            let hourly = Retention::new().then_every("1h", FOREVER);
            let by_name = |name: &str| match name {
                "prune" => prune_to(note::Entity, &hourly),
                _ => dedupe(note::Entity),
            };
            let (go, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (looked, may_go) = (Arc::clone(&gone), Arc::clone(&go));
            let mut waits = true;
            let late = by_name(first).pause(move |_| {
                let (looked, may_go, waits) = (Arc::clone(&looked), Arc::clone(&may_go), std::mem::take(&mut waits));
                async move {
                    if waits {
                        looked.notify_one();
                        may_go.notified().await;
                    }
                }
            });
            let late = late.exec(&db);
            let other = async {
                gone.notified().await;
                let other = if first == "prune" { "dedupe" } else { "prune" };
                let done = by_name(other).exec(&db).await;
                go.notify_one();
                done
            };
            let (late, other) = tokio::join!(late, other);
            assert_eq!((late.unwrap().removed, other.unwrap().removed), (0, 2), "{first} looks first");
            let texts: Vec<_> = all(&db).await.into_iter().map(|it| it.text).collect();
            assert_eq!(texts, ["before", "now", "before", "now"], "{first} looks first");
        }
    }

    async fn prunings_at_once_leave_what_one_of_them_would(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let ten = at("2025-01-01T10:00:00Z");
        let history = |id: i32| (0..40).map(move |n| {
            record(id, ten + TimeDelta::minutes(i64::from(n) * 6), Event::Updated, if n / 3 % 2 == 0 { "a" } else { "b" })
        });
        insert(&db, (1..=25).flat_map(history).collect()).await;
        let hourly = Retention::new().then_every("1h", FOREVER);
        let last = all(&db).await.into_iter().map(|it| (it.recording_id, it.text)).collect::<BTreeMap<_, _>>();
        let (one, other, third) = tokio::join!(
            prune_to(note::Entity, &hourly).at_a_time(7).exec(&db),
            dedupe(note::Entity).at_a_time(5).exec(&db),
            prune_to(note::Entity, &hourly).at_a_time(3).exec(&db),
        );
        let removed = one.unwrap().removed + other.unwrap().removed + third.unwrap().removed;
        let left = all(&db).await;
        assert_eq!(left.len() as u64 + removed, 1_000);
        assert_eq!(left.into_iter().map(|it| (it.recording_id, it.text)).collect::<BTreeMap<_, _>>(), last);
    }

    async fn pages_are_sought_and_pieces_are_as_small_as_asked_for(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let from = at("2025-01-01T00:00:00.000001Z");
        insert(&db, (0..100).map(|n| record(n % 3, from + TimeDelta::seconds(i64::from(n)), Event::Updated, "a")).collect()).await;
        let pieces = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&pieces);
        let hourly = Retention::new().then_every("1h", FOREVER);
        counter.clear();
        let prune = prune_to(note::Entity, &hourly).at_a_time(4).pause(move |busy| {
            assert!(busy > std::time::Duration::ZERO);
            counted.fetch_add(1, Ordering::Relaxed);
            std::future::ready(())
        });
        assert_eq!(numbers(prune.exec(&db).await.unwrap()), (100, 94));
        let statements = counter.take_statements();
        let (deletes, pages): (Vec<_>, Vec<_>) = statements.iter().partition(|sql| sql.starts_with("DELETE"));
        assert_eq!(pages.len(), 3, "{statements:#?}");
        assert!((94 / 4..=94 / 4 + 3).contains(&deletes.len()), "{statements:#?}");
        assert_eq!(pieces.load(Ordering::Relaxed), statements.len());
        dedupe(note::Entity).at_a_time(1).exec(&db).await.unwrap();
        if db.get_database_backend() != DbBackend::Sqlite {
            return;
        }
        let repeated = counter.take_statements();
        for page in pages.into_iter().chain(&repeated).filter(|sql| sql.contains("recorded_at\" >")) {
            let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {page}"));
            let plan = db.query_all_raw(explain).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|step| step.try_get("", "detail").unwrap()).collect();
            assert!(plan.iter().any(|step| step.starts_with("SEARCH note_record")), "{page}\n{plan:#?}");
        }
    }

    async fn keys_of_several_columns_and_a_key_to_go_on_after(test: TestDb) {
        let db = test.connect().await;
        blog::create_table(&db, pallet::Entity).await;
        blog::create_table(&db, pallet::record::Entity).await;
        let from = at("2025-01-01T00:00:00.000001Z");
        for depot in 1..=2 {
            for code in ["x", "Y", "it's"] {
                let records = (0..10).map(|n| pallet::record::ActiveModel {
                    recording_depot: Set(depot),
                    recording_code: Set(code.to_owned()),
                    recorded_at: Set(from + TimeDelta::minutes(n)),
                    event: Set(Event::Updated),
                    load: Set(format!("{n}")),
                });
                pallet::record::Entity::insert_many(records).exec(&db).await.unwrap();
            }
        }
        let seen = Arc::new(std::sync::Mutex::new(None));
        let to = Arc::clone(&seen);
        let daily = Retention::new().then_every("1D", FOREVER);
        let run = prune_to(pallet::Entity, &daily).after((1, "zzz".to_owned())).progress(move |progress| *to.lock().unwrap() = progress.key);
        assert_eq!(numbers(run.exec(&db).await.unwrap()), (30, 24));
        assert_eq!(seen.lock().unwrap().clone().map(|(depot, _)| depot), Some(2));
        assert_eq!(numbers(prune_to(pallet::Entity, &daily).exec(&db).await.unwrap()), (36, 24));
        assert_eq!(pallet::record::Entity::find().count(&db).await.unwrap(), 12);
    }

    async fn saves_go_on_beside_it_and_being_killed_leaves_a_history(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let rows = (1..=20).map(|id| note::ActiveModel { id: Set(id), ..note::draft("raw") });
        note::Entity::insert_many(rows).exec(&db).await.unwrap();
        let from = (Utc::now() - TimeDelta::days(20)).trunc_subsecs(6);
        let records = (0..14_000).map(|n| record(n % 20 + 1, from + TimeDelta::seconds(i64::from(n)), Event::Updated, "old"));
        insert(&db, records.collect()).await;
        backfill(note::Entity).differing().exec(&db).await.unwrap();
        let daily = Retention::new().then_every("1D", FOREVER);
        for killed in [true, false] {
            let (of, daily) = (db.clone(), daily.clone());
            // Two pages; the first time it ends after one.
            let pruning = tokio::spawn(async move {
                let run = prune_to(note::Entity, &daily).progress(move |_| assert!(!killed, "killed"));
                run.exec(&of).await
            });
            let mut n = 0;
            while !pruning.is_finished() {
                n += 1;
                let row = note::ActiveModel { id: Set(n % 20 + 1), text: Set(format!("saved {killed} {n}")), ..Default::default() };
                if let Err(error) = row.update(&db).await {
                    assert!(is_retryable(&error), "{error:?}");
                }
            }
            match pruning.await {
                Ok(done) => assert!(done.unwrap().removed > 0),
                Err(error) => assert!(killed && error.is_panic()),
            }
            assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
        }
        prune_to(note::Entity, &daily).exec(&db).await.unwrap();
        let old = note::record::Entity::find().filter(note::record::Column::Text.eq("old")).count(&db).await.unwrap();
        assert!((20..=80).contains(&old), "{old} old records");
    }
}
