//! Ten thousand rows inserted in one transaction, in chunks of a thousand.

use std::time::Duration;

use chrono::{SubsecRound, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, QueryOrder, Set, Statement,
    TransactionTrait,
};
use sea_orm_record::{RecordedConnection, insert_many};

use crate::Result;
use crate::database::Engine;
use crate::entities::{counted, note, plain};
use crate::harness::{Bench, timed};
use crate::tables::{
    TEXT, count, fill_note_records, fill_notes, recreate, recreate_records, settle,
};

#[derive(Clone, Copy)]
enum Way {
    Plain,
    /// The same, and one unconditional INSERT … SELECT of all records.
    Floor,
    Columns,
    Property,
}

/// What was there before.
#[derive(Clone, Copy)]
enum Before {
    /// As many rows and records, with statistics.
    AsMany,
    /// Nothing, and no statistics: the first import.
    Nothing,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let rows = bench.size(10_000, 2_000);
    let names = [
        "not recorded",
        "bare INSERT … SELECT",
        "columns",
        "property",
    ];
    compare(bench, rows, Before::AsMany, names).await?;
    let names = [
        "not recorded, empty tables",
        "bare INSERT … SELECT, empty tables",
        "columns, empty tables",
        "property, empty tables",
    ];
    compare(bench, rows, Before::Nothing, names).await
}

async fn compare(
    bench: &mut Bench<'_>,
    rows: usize,
    before: Before,
    names: [&'static str; 4],
) -> Result<()> {
    let ways = [
        (names[0], Way::Plain),
        (names[1], Way::Floor),
        (names[2], Way::Columns),
        (names[3], Way::Property),
    ];
    let [plain, floor, columns, property] = bench
        .alternate(ways, async |way| insert(bench, way, rows, before).await)
        .await?;
    let limits = match bench.engine {
        Engine::Sqlite => Some([1.7, 3.0]),
        Engine::Postgres => Some([1.7, 2.2]),
        // The bare statement alone takes twice as long there.
        Engine::MariaDb => None,
    };
    match limits {
        Some([alone, computed]) => {
            bench.promise(&columns, &plain, alone);
            bench.promise(&property, &plain, computed);
        }
        None => {
            bench.compare(&columns, &plain);
            bench.compare(&property, &plain);
        }
    }
    bench.compare(&floor, &plain);
    bench.compare(&columns, &floor);
    Ok(())
}

/// New rows of an entity.
macro_rules! drafts {
    ($entity:ident, $count:expr) => {
        (0..$count)
            .map(|index| $entity::ActiveModel {
                title: Set(format!("new title {index}")),
                text: Set(TEXT.to_owned()),
                views: Set(0),
                ..Default::default()
            })
            .collect::<Vec<_>>()
    };
}

async fn insert(bench: &Bench<'_>, way: Way, rows: usize, before: Before) -> Result<Duration> {
    let db = &bench.db;
    let gathering = RecordedConnection::new(db.clone());
    let (tables, properties): (&[&str], &[_]) = match way {
        Way::Plain => {
            recreate(bench, plain::Entity).await?;
            (&["plain"], &[])
        }
        Way::Floor => {
            recreate(bench, plain::Entity).await?;
            recreate_records(bench, note::record::Entity).await?;
            (&["plain", "note_record"], &[])
        }
        Way::Columns => {
            recreate(bench, note::Entity).await?;
            recreate_records(bench, note::record::Entity).await?;
            (&["note", "note_record"], &[])
        }
        Way::Property => {
            recreate(bench, counted::Entity).await?;
            recreate_records(bench, counted::record::Entity).await?;
            (&["counted", "counted_record"], &[("word_count", "20")])
        }
    };
    if let Before::AsMany = before {
        fill_notes(bench, tables[0], rows).await?;
        if let [table, records] = tables {
            fill_note_records(bench, table, records, properties).await?;
        }
        settle(bench, tables).await?;
    } else {
        settle(bench, &[]).await?;
    }
    let time = match way {
        Way::Plain => insert_plain(db, drafts!(plain, rows), false).await?,
        Way::Floor => insert_plain(db, drafts!(plain, rows), true).await?,
        Way::Columns => insert_recorded(&gathering, drafts!(note, rows)).await?,
        Way::Property => insert_recorded(&gathering, drafts!(counted, rows)).await?,
    };
    let expected = match before {
        Before::AsMany => 2 * rows,
        Before::Nothing => rows,
    };
    for table in tables {
        assert_eq!(count(bench, table).await?, expected, "{table}");
    }
    Ok(time)
}

async fn insert_plain(
    db: &DatabaseConnection,
    rows: Vec<plain::ActiveModel>,
    and_records: bool,
) -> Result<Duration> {
    let records = "INSERT INTO note_record (recording_id, recorded_at, event, title, text) \
        SELECT id, $1, 'created', title, text FROM plain WHERE id > $2";
    let backend = db.get_database_backend();
    let records = match backend {
        DbBackend::Postgres => records.to_owned(),
        _ => records.replace("$1", "?").replace("$2", "?"),
    };
    let last = plain::Entity::find().order_by_desc(plain::Column::Id);
    let last = last.one(db).await?.map_or(0, |row| row.id);
    let now = Utc::now().trunc_subsecs(6);
    let records = Statement::from_sql_and_values(backend, records, [now.into(), last.into()]);
    let (time, ()) = timed(async {
        let txn = db.begin().await?;
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            plain::Entity::insert_many(rows.by_ref().take(1_000))
                .exec(&txn)
                .await?;
        }
        if and_records {
            txn.execute_raw(records).await?;
        }
        Ok(txn.commit().await?)
    })
    .await?;
    Ok(time)
}

async fn insert_recorded<A>(db: &RecordedConnection, rows: Vec<A>) -> Result<Duration>
where
    A: sea_orm_record::hooks::Savable,
{
    let (time, ()) = timed(async {
        let txn = db.begin().await?;
        insert_many(rows, &txn).await?;
        Ok(txn.commit().await?)
    })
    .await?;
    Ok(time)
}
