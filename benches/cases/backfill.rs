//! A million rows get their first records.

use std::time::Duration;

use chrono::{SubsecRound, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use sea_orm_record::backfill;

use crate::Result;
use crate::database::connect;
use crate::entities::{counted, note};
use crate::harness::{Bench, timed};
use crate::tables::{count, fill_notes, recreate, recreate_records, settle};

#[derive(Clone, Copy)]
enum Way {
    /// One INSERT … SELECT of all records.
    Floor,
    Columns,
    Property,
    /// Again, when every row has its record.
    Again,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let rows = bench.size(1_000_000, 10_000);
    recreate(bench, note::Entity).await?;
    fill_notes(bench, "note", rows).await?;
    recreate(bench, counted::Entity).await?;
    fill_notes(bench, "counted", rows).await?;
    settle(bench, &["note", "counted"]).await?;
    let ways = [
        ("one INSERT … SELECT", Way::Floor),
        ("columns", Way::Columns),
        ("property", Way::Property),
        ("nothing left to do", Way::Again),
    ];
    let [floor, columns, property, again] = bench
        .alternate(ways, async |way| fill(bench, way, rows).await)
        .await?;
    bench.promise(&columns, &floor, 2.0);
    bench.compare(&property, &floor);
    bench.compare(&again, &floor);
    recreate(bench, note::Entity).await?;
    recreate(bench, counted::Entity).await?;
    recreate_records(bench, counted::record::Entity).await?;
    recreate_records(bench, note::record::Entity).await
}

async fn fill(bench: &Bench<'_>, way: Way, rows: usize) -> Result<Duration> {
    if !matches!(way, Way::Again) {
        recreate_records(bench, note::record::Entity).await?;
        recreate_records(bench, counted::record::Entity).await?;
        settle(bench, &["note", "note_record", "counted", "counted_record"]).await?;
    }
    let db = fresh(bench, way).await?;
    let (time, ()) = timed(work(&db, way)).await?;
    db.close().await?;
    let table = match way {
        Way::Property => "counted_record",
        _ => "note_record",
    };
    assert_eq!(count(bench, table).await?, rows);
    Ok(time)
}

/// A connection of its own: what is prepared on one would keep the plan that was made for the tables
/// before.
async fn fresh(bench: &Bench<'_>, way: Way) -> Result<DatabaseConnection> {
    if matches!(way, Way::Again) {
        let db = connect(&bench.url).await?;
        work(&db, Way::Columns).await?;
        db.close().await?;
    }
    connect(&bench.url).await
}

async fn work(db: &DatabaseConnection, way: Way) -> Result<()> {
    match way {
        Way::Floor => {
            db.execute_raw(floor(db)).await?;
        }
        Way::Columns | Way::Again => {
            backfill(note::Entity).exec(db).await?;
        }
        Way::Property => {
            backfill(counted::Entity).exec(db).await?;
        }
    }
    Ok(())
}

fn floor(db: &impl ConnectionTrait) -> Statement {
    let backend = db.get_database_backend();
    let place = match backend {
        DbBackend::Postgres => "$1",
        _ => "?",
    };
    let sql = format!(
        "INSERT INTO note_record (recording_id, recorded_at, event, title, text) \
         SELECT id, {place}, 'backfilled', title, text FROM note"
    );
    Statement::from_sql_and_values(backend, sql, [Utc::now().trunc_subsecs(6).into()])
}
