//! A million records of six columns in a data frame, beside the same in typed models; and how much
//! memory that takes, each in a process of its own.

use std::time::Duration;

use futures_util::TryStreamExt;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, Select};
use sea_orm_record::RecordFrames;

use super::memory::peak;
use crate::Result;
use crate::entities::counted::{self, record};
use crate::harness::{Bench, timed};
use crate::tables::{fill_note_records, fill_notes, recreate, recreate_records, settle};

#[derive(Clone, Copy)]
enum Way {
    Frame,
    All,
    Stream,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let (few, many) = (bench.size(10_000, 5_000), bench.size(1_000_000, 50_000));
    fill(bench, many).await?;
    let ways = [
        ("frame", Way::Frame),
        ("models", Way::All),
        ("models by stream", Way::Stream),
    ];
    let measured = bench.alternate(ways, async |way| {
        let (time, count) = fetch(&bench.db, way).await?;
        assert_eq!(count, many);
        Ok(time)
    });
    let [frame, all, stream] = measured.await?;
    bench.promise(&frame, &all, 1.5);
    bench.compare(&frame, &stream);

    let (last_of_few, last_of_all) = (few as i32, many as i32);
    let frame = peak(&bench.url, "frame", "frame", last_of_all)?;
    let models = peak(&bench.url, "models", "models", last_of_all)?;
    bench.compare(&frame, &models);
    let few = peak(&bench.url, "frames(10,000) of few", "frames", last_of_few)?;
    let many = peak(&bench.url, "frames(10,000) of many", "frames", last_of_all)?;
    bench.promise(&many, &few, 1.2);
    recreate_records(bench, record::Entity).await?;
    recreate(bench, counted::Entity).await
}

async fn fill(bench: &Bench<'_>, count: usize) -> Result<()> {
    recreate(bench, counted::Entity).await?;
    recreate_records(bench, record::Entity).await?;
    fill_notes(bench, "counted", count).await?;
    fill_note_records(bench, "counted", "counted_record", &[("word_count", "20")]).await?;
    settle(bench, &["counted_record"]).await
}

async fn fetch(db: &DatabaseConnection, way: Way) -> Result<(Duration, usize)> {
    let records = record::Entity::find();
    timed(async {
        Ok(match way {
            Way::Frame => records.frame(db).await?.height(),
            Way::All => records.all(db).await?.len(),
            Way::Stream => {
                let models: Vec<_> = records.stream(db).await?.try_collect().await?;
                models.len()
            }
        })
    })
    .await
}

/// Reads the records of rows up to this one, in a process of its own.
pub async fn read(db: &DatabaseConnection, work: &str, last: i32) -> Result<()> {
    let records: Select<record::Entity> =
        record::Entity::find().filter(record::Column::RecordingId.lte(last));
    match work {
        "frame" => drop(records.frame(db).await?),
        "models" => drop(records.all(db).await?),
        _ => {
            let mut frames = std::pin::pin!(records.frames(db, 10_000));
            while frames.try_next().await?.is_some() {}
        }
    }
    Ok(())
}
