//! The last record of each bucket of one row, over the last seven of thirty days.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseConnection, EntityTrait, Statement};
use sea_orm_record::{RecordQuery, Recorded};

use crate::Result;
use crate::database::{BEGIN, Engine};
use crate::entities::note::{self, record};
use crate::harness::{Bench, timed};
use crate::report::Measured;
use crate::tables::{fill_history, recreate_records, settle};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// A history, and the rule that it is resampled by.
#[derive(Clone, Copy)]
struct Question {
    id: i32,
    rule: &'static str,
    minutes: i64,
}

/// A million records over thirty days.
const DENSE: Question = Question {
    id: 1,
    rule: "1h",
    minutes: 60,
};

/// A million before the window, and records in 3 of its 168 hours.
const SPARSE: Question = Question { id: 2, ..DENSE };

/// Two thousand records in ten thousand minutes.
const FINE: Question = Question {
    id: 3,
    rule: "1min",
    minutes: 1,
};

#[derive(Clone, Copy)]
enum Way {
    Resample,
    Seek,
    Group,
    WindowFunction,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    fill(bench, bench.size(1_000_000, 20_000)).await?;
    let names = ["dense", "one seek a bucket", "GROUP BY", "window function"];
    let [resample, by_hand @ ..] = compare(bench, DENSE, names).await?;
    bench.promise(&resample, &by_hand[0], 1.5);
    by_hand[1..]
        .iter()
        .for_each(|way| bench.compare(&resample, way));

    beside_loading(bench).await?;

    let names = ["empty buckets", names[1], names[2], names[3]];
    let [resample, by_hand @ ..] = compare(bench, SPARSE, names).await?;
    beside_best(bench, resample, by_hand);

    let names = ["more buckets than records", names[1], names[2], names[3]];
    let [resample, by_hand @ ..] = compare(bench, FINE, names).await?;
    beside_best(bench, resample, by_hand);
    Ok(())
}

/// Beside what needs no SQL: all records of the row are loaded, and the last of each hour is picked.
async fn beside_loading(bench: &mut Bench<'_>) -> Result<()> {
    let expected = resample(&bench.db, DENSE).await?.1;
    let ways = [("dense", true), ("loaded, and picked in Rust", false)];
    let [resample, loaded] = bench
        .alternate(ways, async |in_sql| {
            let (time, records) = match in_sql {
                true => {
                    // Untimed once: the allocator tidies up after a load of a million only when it is
                    // next asked for memory, and the pages of the database are to be cached again.
                    resample(&bench.db, DENSE).await?;
                    resample(&bench.db, DENSE).await?
                }
                false => timed(load_and_pick(&bench.db)).await?,
            };
            assert!(records == expected, "{} records", records.len());
            Ok(time)
        })
        .await?;
    bench.compare(&loaded, &resample);
    Ok(())
}

async fn load_and_pick(db: &DatabaseConnection) -> Result<Vec<record::Model>> {
    let mut last = BTreeMap::new();
    for record in note::Entity::records_of(DENSE.id).all(db).await? {
        let seconds = record.recorded_at.timestamp();
        if record.recorded_at >= at(23 * DAY) && record.recorded_at < at(30 * DAY) {
            let hour = last
                .entry(seconds / 3_600)
                .or_insert_with(|| record.clone());
            if record.recorded_at > hour.recorded_at {
                *hour = record;
            }
        }
    }
    Ok(last.into_values().collect())
}

/// Beside the best that is written by hand.
fn beside_best(bench: &mut Bench<'_>, resample: Measured, mut by_hand: [Measured; 3]) {
    by_hand.sort_by(|a, b| a.amount.number().total_cmp(&b.amount.number()));
    let [best, others @ ..] = by_hand;
    bench.promise(&resample, &best, 1.5);
    others.iter().for_each(|way| bench.compare(&resample, way));
}

/// Spreads `count` records over so many microseconds, at about the same distance.
pub fn spread(count: usize, over: i64) -> String {
    let step = over / count as i64;
    // A step of the multiplicative generator of Lehmer; each stays within its own three quarters.
    format!("i * {step} - {step} + (i * 48271 % 2147483647) % ({step} * 3 / 4)")
}

async fn fill(bench: &Bench<'_>, count: usize) -> Result<()> {
    recreate_records(bench, note::record::Entity).await?;
    fill_history(bench, DENSE.id, count, &spread(count, 30 * DAY)).await?;
    fill_history(bench, SPARSE.id, count, &spread(count, 22 * DAY)).await?;
    for hour in [30, 80, 120] {
        let start = 23 * DAY + hour * 3_600 * SECOND;
        let micros = format!("{start} + i * {}", 3 * SECOND);
        fill_history(bench, SPARSE.id, 1_000, &micros).await?;
    }
    let micros = format!("{} + {}", 23 * DAY, spread(2_000, 7 * DAY));
    fill_history(bench, FINE.id, 2_000, &micros).await?;
    settle(bench, &["note_record"]).await
}

async fn compare(
    bench: &Bench<'_>,
    question: Question,
    names: [&'static str; 4],
) -> Result<[Measured; 4]> {
    let ways = [
        (names[0], Way::Resample),
        (names[1], Way::Seek),
        (names[2], Way::Group),
        (names[3], Way::WindowFunction),
    ];
    let expected = resample(&bench.db, question).await?.1;
    assert!(!expected.is_empty());
    bench
        .alternate(ways, async |way| {
            let (time, records) = match way {
                Way::Resample => resample(&bench.db, question).await?,
                Way::Seek => ask(bench, seek(bench.engine, question)).await?,
                Way::Group => ask(bench, group(bench.engine, question)).await?,
                Way::WindowFunction => ask(bench, window_function(bench.engine, question)).await?,
            };
            assert!(records == expected, "{} records", records.len());
            Ok(time)
        })
        .await
}

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(BEGIN * SECOND + micros).unwrap()
}

async fn resample(
    db: &DatabaseConnection,
    question: Question,
) -> Result<(Duration, Vec<record::Model>)> {
    timed(async {
        let records = note::Entity::records_of(question.id)
            .since(at(23 * DAY))
            .until(at(30 * DAY))
            .resample(question.rule)?;
        Ok(records.all(db).await?)
    })
    .await
}

/// Asks what was written by hand.
async fn ask(bench: &Bench<'_>, sql: String) -> Result<(Duration, Vec<record::Model>)> {
    timed(async {
        let statement = Statement::from_string(bench.db.get_database_backend(), sql);
        let records = record::Entity::find().from_raw_sql(statement);
        Ok(records.all(&bench.db).await?)
    })
    .await
}

const COLUMNS: &str = "r.recording_id, r.recorded_at, r.event, r.title, r.text";

/// One seek in the primary key for each bucket.
fn seek(engine: Engine, Question { id, minutes, .. }: Question) -> String {
    match engine {
        Engine::Postgres => format!(
            "SELECT {COLUMNS}
             FROM generate_series(TIMESTAMPTZ '2026-01-24 00:00:00Z', TIMESTAMPTZ '2026-01-30 23:59:59Z',
                 interval '{minutes} minute') AS b(start)
             CROSS JOIN LATERAL (
                 SELECT * FROM note_record r WHERE r.recording_id = {id}
                 AND r.recorded_at >= b.start AND r.recorded_at < b.start + interval '{minutes} minute'
                 ORDER BY r.recorded_at DESC LIMIT 1
             ) r ORDER BY r.recorded_at"
        ),
        Engine::Sqlite => format!(
            "WITH RECURSIVE b(start, stop) AS (
                 SELECT '2026-01-24T00:00:00', strftime('%Y-%m-%dT%H:%M:%S', '2026-01-24', '+{minutes} minute')
                 UNION ALL
                 SELECT stop, strftime('%Y-%m-%dT%H:%M:%S', stop, '+{minutes} minute')
                 FROM b WHERE stop < '2026-01-31T00:00:00')
             SELECT {COLUMNS} FROM b CROSS JOIN note_record r
             WHERE r.recording_id = {id} AND r.recorded_at = (
                 SELECT MAX(x.recorded_at) FROM note_record x WHERE x.recording_id = {id}
                 AND x.recorded_at >= b.start AND x.recorded_at < b.stop)
             ORDER BY r.recorded_at"
        ),
        // Of a range that an outer table gives it only uses the first column of the key.
        Engine::MariaDb => {
            let bucket = |bucket: i64| {
                let edge = |bucket| at(23 * DAY + bucket * minutes * 60 * SECOND).naive_utc();
                format!(
                    "SELECT MAX(x.recorded_at) AS picked FROM note_record x WHERE x.recording_id = {id}
                     AND x.recorded_at >= '{}' AND x.recorded_at < '{}'",
                    edge(bucket),
                    edge(bucket + 1)
                )
            };
            let buckets: Vec<_> = (0..7 * 24 * 60 / minutes).map(bucket).collect();
            format!(
                "SELECT {COLUMNS} FROM ({}) b JOIN note_record r
                 ON r.recording_id = {id} AND r.recorded_at = b.picked ORDER BY r.recorded_at",
                buckets.join(" UNION ALL ")
            )
        }
    }
}

/// One pass over the window, for the last time of each bucket. CROSS JOIN tells SQLite which comes
/// first; it gets that wrong otherwise (3.51).
fn group(engine: Engine, Question { id, minutes, .. }: Question) -> String {
    let (bucket, window) = (bucket(engine, minutes), window(engine));
    format!(
        "SELECT {COLUMNS} FROM (
             SELECT MAX(r.recorded_at) AS picked FROM note_record r
             WHERE r.recording_id = {id} AND {window} GROUP BY {bucket}
         ) b CROSS JOIN note_record r WHERE r.recording_id = {id} AND r.recorded_at = b.picked
         ORDER BY r.recorded_at"
    )
}

/// One pass over the window, which sorts each bucket.
fn window_function(engine: Engine, Question { id, minutes, .. }: Question) -> String {
    let (bucket, window) = (bucket(engine, minutes), window(engine));
    format!(
        "SELECT {COLUMNS} FROM (
             SELECT r.*, ROW_NUMBER() OVER (PARTITION BY {bucket} ORDER BY r.recorded_at DESC) AS place
             FROM note_record r WHERE r.recording_id = {id} AND {window}
         ) r WHERE r.place = 1 ORDER BY r.recorded_at"
    )
}

/// What all records of a bucket of one hour or one minute have in common.
fn bucket(engine: Engine, minutes: i64) -> String {
    match engine {
        Engine::Postgres => {
            format!(
                "date_bin('{minutes} minute', r.recorded_at, TIMESTAMPTZ '2026-01-01 00:00:00Z')"
            )
        }
        Engine::Sqlite => {
            format!(
                "substr(r.recorded_at, 1, {})",
                if minutes == 60 { 13 } else { 16 }
            )
        }
        Engine::MariaDb => {
            format!("TIMESTAMPDIFF(MINUTE, '2026-01-01', r.recorded_at) DIV {minutes}")
        }
    }
}

/// Whether a record is of the last seven days.
fn window(engine: Engine) -> &'static str {
    match engine {
        Engine::Postgres => {
            "r.recorded_at >= TIMESTAMPTZ '2026-01-24 00:00:00Z' \
             AND r.recorded_at < TIMESTAMPTZ '2026-01-31 00:00:00Z'"
        }
        Engine::Sqlite => {
            "r.recorded_at >= '2026-01-24T00:00:00' AND r.recorded_at < '2026-01-31T00:00:00'"
        }
        Engine::MariaDb => {
            "r.recorded_at >= '2026-01-24 00:00:00' AND r.recorded_at < '2026-01-31 00:00:00'"
        }
    }
}
