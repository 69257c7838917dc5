//! The latest record of a row, and a save, on tables of 1, 12 and 120 partitions.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::Set;
use sea_orm_record::{Buckets, RecordQuery, Recorded, zone};
use sea_orm_record_migration::{Partitions, RecordSchema};

use crate::Result;
use crate::database::{BEGIN, Engine};
use crate::entities::note;
use crate::harness::{Bench, median, timed};
use crate::report::{Amount, Measured};
use crate::tables::{TEXT, count, execute, fill_notes, recreate, settle};

/// Days that the histories span; each row has a record every day.
const DAYS: i64 = 117;

struct Layout {
    rule: Option<&'static str>,
    latest: &'static str,
    rare: &'static str,
    save: &'static str,
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        rule: None,
        latest: "latest, not partitioned",
        rare: "latest of long ago, not partitioned",
        save: "save, not partitioned",
    },
    Layout {
        rule: Some("13D"),
        latest: "latest, 12 partitions",
        rare: "latest of long ago, 12 partitions",
        save: "save, 12 partitions",
    },
    Layout {
        rule: Some("1D"),
        latest: "latest, 120 partitions",
        rare: "latest of long ago, 120 partitions",
        save: "save, 120 partitions",
    },
];

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    if bench.engine == Engine::Sqlite {
        return Ok(());
    }
    let rows = bench.size(2_000, 50);
    let mut measured: Vec<[Measured; 3]> = Vec::new();
    for layout in &LAYOUTS {
        fill(bench, layout, rows).await?;
        measured.push(ask(bench, layout, rows).await?);
    }
    for place in 0..3 {
        for more in &measured[1..] {
            bench.compare(&more[place], &measured[0][place]);
        }
    }
    bench.db.drop_record_table(note::record::Entity).await?;
    bench.db.create_record_table(note::record::Entity).await?;
    recreate(bench, note::Entity).await
}

/// Every row has a record a day, but for every tenth, whose last is of the first day.
async fn fill(bench: &Bench<'_>, layout: &Layout, rows: usize) -> Result<()> {
    recreate(bench, note::Entity).await?;
    fill_notes(bench, "note", rows).await?;
    let record = note::record::Entity;
    bench.db.drop_record_table_if_exists(record).await?;
    let days = Buckets::new("1D".parse()?, zone("UTC")?);
    let first = days.start_of(Utc::now() - TimeDelta::days(DAYS))?;
    match layout.rule {
        Some(rule) => {
            let partitions = Partitions::every(rule).ahead(0).from(first);
            bench
                .db
                .create_partitioned_record_table(record, partitions)
                .await?;
        }
        None => bench.db.create_record_table(record).await?,
    }
    let base = (first - DateTime::from_timestamp(BEGIN, 0).ok_or("no time")?).num_microseconds();
    let base = base.ok_or("no time")?;
    let numbers = bench.engine.numbers(rows * DAYS as usize);
    let (id, day) = (
        format!("((i - 1) % {rows} + 1)"),
        format!("((i - 1 - (i - 1) % {rows}) / {rows})"),
    );
    let at = bench.engine.time(&format!(
        "{base} + {day} * 86400000000 + 3600000000 + i % 999 + 1"
    ));
    execute(
        bench,
        &format!(
            "INSERT INTO note_record (recording_id, recorded_at, event, title, text) \
             SELECT {id}, {at}, 'updated', CONCAT('title ', i), '{TEXT}' FROM {numbers} \
             WHERE {id} % 10 <> 0 OR i <= {rows}"
        ),
    )
    .await?;
    settle(bench, &["note", "note_record"]).await?;
    let records = count(bench, "note_record").await?;
    assert_eq!(records, rows / 10 * 9 * DAYS as usize + rows / 10);
    Ok(())
}

/// The median time of each question, after some for warmth.
async fn ask(bench: &Bench<'_>, layout: &Layout, rows: usize) -> Result<[Measured; 3]> {
    let often = bench.size(1_000, 50);
    let mut times: [Vec<f64>; 3] = Default::default();
    let row = |n: usize| i32::try_from(n * 37 % rows);
    for n in 0..often + 50 {
        // Not every tenth; every tenth.
        for (place, id) in [row(n)? / 10 * 10 + 1, (row(n)? / 10 + 1) * 10]
            .into_iter()
            .enumerate()
        {
            let (time, found) = timed(async {
                let latest = note::Entity::records_of(id).latest();
                Ok(latest.one(&bench.db).await?)
            })
            .await?;
            assert!(found.is_some());
            times[place].push(time.as_secs_f64() * 1_000.0);
        }
        let note = note::ActiveModel {
            id: Set(row(n)? / 10 * 10 + 2),
            title: Set(format!("saved {n}")),
            ..Default::default()
        };
        let (time, _) = timed(async { Ok(note.update(&bench.db).await?) }).await?;
        times[2].push(time.as_secs_f64() * 1_000.0);
    }
    let ways = [layout.latest, layout.rare, layout.save];
    Ok(std::array::from_fn(|place| {
        let amount = Amount::Millis(median(&times[place][50..]));
        Measured::once(ways[place], amount)
    }))
}
