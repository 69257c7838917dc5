//! The history of a weather station as Parquet, CSV and NDJSON, a thousand records at a time, and
//! read back.
//!
//! ```text
//! cargo run -p sea-orm-record-frames --example export [-- DIRECTORY]
//! ```
//!
//! Without a directory the files go to `target/export`.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::TryStreamExt;
use polars::io::json::BatchedWriter as NdjsonWriter;
use polars::prelude::*;
use sea_orm::{PaginatorTrait, QueryOrder, Select};
use sea_orm_record::prelude::*;
use sea_orm_record_frames::seattle::{self, station};

/// How many records are held at once.
const BATCH: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1);
    let directory = PathBuf::from(directory.as_deref().unwrap_or("target/export"));
    fs::create_dir_all(&directory)?;
    let (db, station) = seattle::recorded().await?;
    let records = station
        .records()
        .order_by_asc(station::record::Column::RecordedAt);

    export(&db, records.clone(), &directory).await?;

    let recorded = records.frame(&db).await?;
    println!("{recorded}");
    for (file, frame) in [
        ("history.parquet", read_parquet(&directory)?),
        ("history.csv", read_csv(&directory, recorded.schema())?),
        (
            "history.ndjson",
            read_ndjson(&directory, recorded.schema())?,
        ),
    ] {
        let path = directory.join(file);
        let size = fs::metadata(&path)?.len().div_ceil(1_024);
        if !frame.equals_missing(&recorded) {
            return Err(format!("{} differs from what was recorded", path.display()).into());
        }
        println!("{}: {size} KiB, read back equal.", path.display());
    }
    Ok(())
}

/// Writes all three at once, so that the records are read once.
async fn export(
    db: &RecordedConnection,
    records: Select<station::record::Entity>,
    directory: &Path,
) -> Result<(), Box<dyn Error>> {
    let create = |name| File::create(directory.join(name));
    // What an empty frame is for: the columns and their types.
    let schema = station::Entity::records_of(0)
        .frame(db)
        .await?
        .schema()
        .clone();
    let parquet = ParquetWriter::new(create("history.parquet")?);
    let mut parquet = parquet.batched(&schema)?;
    let mut csv = CsvWriter::new(create("history.csv")?).batched(&schema)?;
    let mut ndjson = NdjsonWriter::new(create("history.ndjson")?);

    let bar = seattle::progress(records.clone().count(db).await?, "records exported")?;
    let mut frames = pin!(records.frames(db, BATCH));
    while let Some(frame) = frames.try_next().await? {
        parquet.write_batch(&frame)?;
        csv.write_batch(&frame)?;
        ndjson.write_batch(&frame)?;
        bar.inc(frame.height() as u64);
    }
    parquet.finish()?;
    csv.finish()?;
    bar.finish();
    Ok(())
}

fn read_parquet(directory: &Path) -> Result<DataFrame, Box<dyn Error>> {
    Ok(ParquetReader::new(File::open(directory.join("history.parquet"))?).finish()?)
}

/// CSV and NDJSON know no types: the schema says what the texts are.
fn read_csv(directory: &Path, schema: &SchemaRef) -> Result<DataFrame, Box<dyn Error>> {
    let options = CsvReadOptions::default().with_schema(Some(schema.clone()));
    let reader = options.try_into_reader_with_file_path(Some(directory.join("history.csv")))?;
    Ok(reader.finish()?)
}

fn read_ndjson(directory: &Path, schema: &SchemaRef) -> Result<DataFrame, Box<dyn Error>> {
    let reader = JsonReader::new(File::open(directory.join("history.ndjson"))?);
    let reader = reader.with_json_format(JsonFormat::JsonLines);
    Ok(reader.with_schema(schema.clone()).finish()?)
}
