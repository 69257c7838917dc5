//! A whole table as it was in the middle of its history: ten thousand rows of a hundred records each,
//! of which a hundredth is deleted by now; and the same of many rows with two records.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseConnection, EntityTrait, Statement};
use sea_orm_record::Recorded;

use crate::Result;
use crate::database::{BEGIN, Engine};
use crate::entities::note::{self, record};
use crate::harness::{Bench, timed};
use crate::tables::{execute, fill_histories, fill_notes, recreate, recreate_records, settle};

/// The distance of a row's records, in seconds.
const STEP: i64 = 7_200;

/// One row of so many is deleted.
const GONE: usize = 100;

#[derive(Clone, Copy)]
enum Way {
    AsOf,
    Seek,
    Group,
    WindowFunction,
    /// Misses the rows that are gone.
    SeekLiving,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let long = Histories {
        rows: bench.size(10_000, 500),
        records: 100,
    };
    compare(
        bench,
        long,
        WAYS.map(|(name, _, way)| (name, way)),
        Some(1.5),
    )
    .await?;
    let short = Histories {
        rows: bench.size(100_000, 5_000),
        records: 2,
    };
    compare(bench, short, WAYS.map(|(_, name, way)| (name, way)), None).await
}

/// What each is called with long histories and with short ones.
const WAYS: [(&str, &str, Way); 5] = [
    ("as_of", "as_of, short", Way::AsOf),
    ("one seek a row", "one seek a row, short", Way::Seek),
    ("GROUP BY", "GROUP BY, short", Way::Group),
    (
        "window function",
        "window function, short",
        Way::WindowFunction,
    ),
    (
        "one seek a living row",
        "one seek a living row, short",
        Way::SeekLiving,
    ),
];

/// How many rows there are, and how many records each has.
#[derive(Clone, Copy)]
struct Histories {
    rows: usize,
    records: usize,
}

impl Histories {
    /// In seconds from the first record of a row.
    fn middle(self) -> i64 {
        STEP * self.records as i64 / 2
    }
}

async fn compare(
    bench: &mut Bench<'_>,
    histories: Histories,
    ways: [(&'static str, Way); 5],
    limit: Option<f64>,
) -> Result<()> {
    let Histories { rows, records } = histories;
    recreate(bench, note::Entity).await?;
    recreate_records(bench, note::record::Entity).await?;
    fill_notes(bench, "note", rows).await?;
    fill_histories(bench, rows, records, STEP * 1_000_000).await?;
    delete_some(bench, 2 * histories.middle()).await?;
    settle(bench, &["note", "note_record"]).await?;
    let middle = histories.middle();
    let expected = as_of(&bench.db, middle).await?.1;
    assert_eq!(expected.len(), rows);
    let engine = bench.engine;
    let at = literal(engine, middle);
    let [as_of, mut by_hand @ .., living] = bench
        .alternate(ways, async |way| {
            let (time, records) = match way {
                Way::AsOf => as_of(&bench.db, middle).await?,
                Way::Seek => ask(bench, seek(engine, keys(engine), &at)).await?,
                Way::SeekLiving => ask(bench, seek(engine, "note", &at)).await?,
                Way::Group => ask(bench, group(&at)).await?,
                Way::WindowFunction => ask(bench, window_function(&at)).await?,
            };
            match way {
                Way::SeekLiving => assert_eq!(records.len(), rows - rows / GONE),
                _ => assert!(records == expected, "{} records", records.len()),
            }
            Ok(time)
        })
        .await?;
    by_hand.sort_by(|a, b| a.amount.number().total_cmp(&b.amount.number()));
    let [best, others @ ..] = by_hand;
    match limit {
        Some(limit) => bench.promise(&as_of, &best, limit),
        None => bench.compare(&as_of, &best),
    }
    others.iter().for_each(|way| bench.compare(&as_of, way));
    bench.compare(&as_of, &living);
    Ok(())
}

/// Deletes each hundredth row, after all that was recorded.
async fn delete_some(bench: &Bench<'_>, end: i64) -> Result<()> {
    let at = bench.engine.time(&format!("{} + 1", end * 1_000_000));
    let record = format!(
        "INSERT INTO note_record (recording_id, recorded_at, event, title, text) \
         SELECT id, {at}, 'deleted', title, text FROM note WHERE id % {GONE} = 0"
    );
    execute(bench, &record).await?;
    execute(bench, &format!("DELETE FROM note WHERE id % {GONE} = 0")).await
}

/// In the order of keys, which is no part of the work.
fn sorted((time, mut records): (Duration, Vec<record::Model>)) -> (Duration, Vec<record::Model>) {
    records.sort_by_key(|record| record.recording_id);
    (time, records)
}

async fn as_of(db: &DatabaseConnection, middle: i64) -> Result<(Duration, Vec<record::Model>)> {
    let middle = DateTime::<Utc>::from_timestamp(BEGIN + middle, 0).ok_or("no such time")?;
    let found = timed(async { Ok(note::Entity::as_of(middle).all(db).await?) }).await?;
    Ok(sorted(found))
}

/// Asks what was written by hand.
async fn ask(bench: &Bench<'_>, sql: String) -> Result<(Duration, Vec<record::Model>)> {
    let found = timed(async {
        let statement = Statement::from_string(bench.db.get_database_backend(), sql);
        let records = record::Entity::find().from_raw_sql(statement);
        Ok(records.all(&bench.db).await?)
    })
    .await?;
    Ok(sorted(found))
}

const COLUMNS: &str = "r.recording_id, r.recorded_at, r.event, r.title, r.text";

/// All rows that were ever recorded, each found by a seek from the one before where the database does
/// not do that by itself.
fn keys(engine: Engine) -> &'static str {
    match engine {
        Engine::MariaDb => "(SELECT DISTINCT recording_id AS id FROM note_record)",
        _ => {
            "(WITH RECURSIVE k(id) AS (
                 SELECT MIN(recording_id) FROM note_record
                 UNION ALL
                 SELECT (SELECT MIN(r.recording_id) FROM note_record r WHERE r.recording_id > k.id)
                 FROM k WHERE k.id IS NOT NULL
             ) SELECT id FROM k WHERE id IS NOT NULL)"
        }
    }
}

/// The record of each of these rows.
fn seek(engine: Engine, keys: &str, at: &str) -> String {
    match engine {
        Engine::Postgres => format!(
            "SELECT {COLUMNS} FROM {keys} n CROSS JOIN LATERAL (
                 SELECT * FROM note_record r WHERE r.recording_id = n.id AND r.recorded_at <= {at}
                 ORDER BY r.recorded_at DESC LIMIT 1
             ) r WHERE r.event <> 'deleted'"
        ),
        _ => format!(
            "SELECT {COLUMNS} FROM {keys} n JOIN note_record r ON r.recording_id = n.id AND r.recorded_at = (
                 SELECT MAX(x.recorded_at) FROM note_record x
                 WHERE x.recording_id = n.id AND x.recorded_at <= {at}
             ) WHERE r.event <> 'deleted'"
        ),
    }
}

fn group(at: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM (
             SELECT x.recording_id, MAX(x.recorded_at) AS picked FROM note_record x
             WHERE x.recorded_at <= {at} GROUP BY x.recording_id
         ) b JOIN note_record r ON r.recording_id = b.recording_id AND r.recorded_at = b.picked
         WHERE r.event <> 'deleted'"
    )
}

fn window_function(at: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM (
             SELECT r.*, ROW_NUMBER() OVER (PARTITION BY r.recording_id ORDER BY r.recorded_at DESC) AS place
             FROM note_record r WHERE r.recorded_at <= {at}
         ) r WHERE r.place = 1 AND r.event <> 'deleted'"
    )
}

fn literal(engine: Engine, middle: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp(BEGIN + middle, 0).unwrap_or_default();
    match engine {
        Engine::Postgres => format!("TIMESTAMPTZ '{}'", at.to_rfc3339()),
        Engine::Sqlite => format!("'{}'", at.to_rfc3339()),
        Engine::MariaDb => format!("'{}'", at.format("%Y-%m-%d %H:%M:%S")),
    }
}
