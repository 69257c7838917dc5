//! A thousand single updates in one transaction, of a thousand rows that have one record each.

use std::time::Duration;

use chrono::{SubsecRound, Utc};
use sea_orm::{
    ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel, Set, TransactionTrait,
};
use sea_orm_record::{Event, RecordedConnection};

use crate::Result;
use crate::database::Engine;
use crate::entities::{counted, note, plain};
use crate::harness::{Bench, timed};
use crate::tables::{count, fill_note_records, fill_notes, recreate, recreate_records, settle};

#[derive(Clone, Copy)]
enum Way {
    /// Plain SeaORM, not recorded.
    Plain,
    /// The same, and an unconditional INSERT of the record after each.
    Floor,
    /// Recorded, in a plain transaction.
    Immediate,
    ImmediateProperty,
    /// Recorded, in a transaction that gathers.
    Gathered,
    GatheredProperty,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let rows = bench.size(1_000, 200);
    let ways = [
        ("not recorded", Way::Plain),
        ("bare INSERT after each", Way::Floor),
        ("immediate", Way::Immediate),
        ("immediate, property", Way::ImmediateProperty),
        ("gathered", Way::Gathered),
        ("gathered, property", Way::GatheredProperty),
    ];
    let [
        plain,
        floor,
        immediate,
        immediate_property,
        gathered,
        gathered_property,
    ] = bench
        .alternate(ways, async |way| update(bench, way, rows).await)
        .await?;
    match bench.engine {
        Engine::Sqlite | Engine::Postgres => bench.promise(&immediate, &floor, 1.15),
        Engine::MariaDb => bench.compare(&immediate, &floor),
    }
    bench.compare(&immediate_property, &floor);
    let limit = match bench.engine {
        Engine::Sqlite => 1.3,
        Engine::Postgres | Engine::MariaDb => 1.15,
    };
    bench.promise(&gathered, &plain, limit);
    bench.compare(&gathered_property, &plain);
    bench.compare(&immediate, &plain);
    bench.compare(&immediate_property, &plain);
    bench.compare(&floor, &plain);
    Ok(())
}

/// Loads all rows of an entity, changed.
macro_rules! changed {
    ($entity:ident, $db:expr) => {{
        let models = $entity::Entity::find().all($db).await?;
        let changed = models.into_iter().map(|model| {
            let title = format!("{} again", model.title);
            let mut row = model.into_active_model();
            row.title = Set(title);
            row
        });
        changed.collect::<Vec<_>>()
    }};
}

/// Updates rows one by one in a transaction; a macro, for `update` of a recorded entity is its own.
macro_rules! update_each {
    ($rows:expr, $db:expr) => {{
        let rows = $rows;
        timed(async {
            let txn = $db.begin().await?;
            for row in rows {
                row.update(&txn).await?;
            }
            Ok(txn.commit().await?)
        })
        .await?
        .0
    }};
}

async fn update(bench: &Bench<'_>, way: Way, rows: usize) -> Result<Duration> {
    let db = &bench.db;
    match way {
        Way::Plain | Way::Floor => {
            recreate(bench, plain::Entity).await?;
            fill_notes(bench, "plain", rows).await?;
            settle(bench, &["plain"]).await?;
        }
        Way::Immediate | Way::Gathered => {
            recreate(bench, note::Entity).await?;
            fill_notes(bench, "note", rows).await?;
            settle(bench, &["note"]).await?;
        }
        Way::ImmediateProperty | Way::GatheredProperty => {
            recreate(bench, counted::Entity).await?;
            fill_notes(bench, "counted", rows).await?;
            settle(bench, &["counted"]).await?;
        }
    }
    let records = match way {
        Way::Plain => return Ok(update_each!(changed!(plain, db), db)),
        Way::Floor => fill_columns(bench, "plain").await?,
        Way::Immediate | Way::Gathered => fill_columns(bench, "note").await?,
        Way::ImmediateProperty | Way::GatheredProperty => fill_properties(bench).await?,
    };
    let gathering = RecordedConnection::new(db.clone());
    let time = match way {
        Way::Plain => unreachable!("it has no records"),
        Way::Floor => update_and_insert(db).await?,
        Way::Immediate => update_each!(changed!(note, db), db),
        Way::ImmediateProperty => update_each!(changed!(counted, db), db),
        Way::Gathered => update_each!(changed!(note, db), gathering),
        Way::GatheredProperty => update_each!(changed!(counted, db), gathering),
    };
    assert_eq!(count(bench, records).await?, 2 * rows, "{records}");
    Ok(time)
}

/// One record for each row of `table`; answers with where they are.
async fn fill_columns(bench: &Bench<'_>, table: &str) -> Result<&'static str> {
    recreate_records(bench, note::record::Entity).await?;
    fill_note_records(bench, table, "note_record", &[]).await?;
    settle(bench, &["note_record"]).await?;
    Ok("note_record")
}

async fn fill_properties(bench: &Bench<'_>) -> Result<&'static str> {
    recreate_records(bench, counted::record::Entity).await?;
    let properties = [("word_count", "20")];
    fill_note_records(bench, "counted", "counted_record", &properties).await?;
    settle(bench, &["counted_record"]).await?;
    Ok("counted_record")
}

/// The least that a hook can do.
async fn update_and_insert(db: &DatabaseConnection) -> Result<Duration> {
    let rows = changed!(plain, db);
    let (time, ()) = timed(async {
        let txn = db.begin().await?;
        for row in rows {
            let model = row.update(&txn).await?;
            let record = note::record::ActiveModel {
                recording_id: Set(model.id),
                recorded_at: Set(Utc::now().trunc_subsecs(6)),
                event: Set(Event::Updated),
                title: Set(model.title),
                text: Set(model.text),
            };
            note::record::Entity::insert(record)
                .exec_without_returning(&txn)
                .await?;
        }
        Ok(txn.commit().await?)
    })
    .await?;
    Ok(time)
}
