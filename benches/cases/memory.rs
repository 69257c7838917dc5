//! The peak of resident memory, over few rows and over many.
//!
//! Each is measured in a process of its own: this program, called again. The tables are filled
//! before, from here.

use std::process::Command;

use sea_orm_record::{RecordQuery, Recorded, backfill, verify};

use super::{fan_out, resample};
use crate::Result;
use crate::database::connect;
use crate::entities::note;
use crate::harness::Bench;
use crate::report::{Amount, Measured};
use crate::tables::{
    count, fill_history, fill_notes, fill_topic, recreate, recreate_articles, recreate_records,
    settle,
};

/// The first argument of such a process; then come the work, the URL and which row, or how many.
pub const CHILD: &str = "--child";

const FEW: i32 = 1;
const MANY: i32 = 2;

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let (few, many) = (bench.size(10_000, 5_000), bench.size(1_000_000, 50_000));

    recreate_articles(bench).await?;
    fill_topic(bench, FEW, 0, few).await?;
    fill_topic(bench, MANY, few, many).await?;
    settle(bench, &["topic", "article", "article_record"]).await?;
    compare(bench, "fan-out", ["fan-out to few", "fan-out to many"])?;
    assert_eq!(count(bench, "article_record").await?, 2 * (few + many));
    recreate_articles(bench).await?;

    recreate_records(bench, note::record::Entity).await?;
    for (id, count) in [(FEW, few), (MANY, many)] {
        fill_history(bench, id, count, &resample::spread(count, MONTH)).await?;
    }
    settle(bench, &["note_record"]).await?;
    compare(bench, "resample", ["resample of few", "resample of many"])?;

    let backfills = ["backfill of few", "backfill of many"];
    let verifies = ["verify of few", "verify of many"];
    let [backfilled, verified] = whole_table(bench, few, [backfills[0], verifies[0]]).await?;
    let of_many = whole_table(bench, many, [backfills[1], verifies[1]]).await?;
    bench.promise(&of_many[0], &backfilled, 1.2);
    bench.promise(&of_many[1], &verified, 1.2);
    recreate(bench, note::Entity).await?;
    recreate_records(bench, note::record::Entity).await
}

/// The peaks of work on a whole table of so many rows: their first records, and a look at them.
async fn whole_table(
    bench: &Bench<'_>,
    rows: usize,
    names: [&'static str; 2],
) -> Result<[Measured; 2]> {
    recreate(bench, note::Entity).await?;
    recreate_records(bench, note::record::Entity).await?;
    fill_notes(bench, "note", rows).await?;
    settle(bench, &["note", "note_record"]).await?;
    let rows = i32::try_from(rows)?;
    let backfilled = peak(&bench.url, names[0], "backfill", rows)?;
    settle(bench, &["note", "note_record"]).await?;
    Ok([backfilled, peak(&bench.url, names[1], "verify", rows)?])
}

/// Thirty days in microseconds.
const MONTH: i64 = 30 * 86_400 * 1_000_000;

fn compare(bench: &mut Bench<'_>, work: &str, names: [&'static str; 2]) -> Result<()> {
    let few = peak(&bench.url, names[0], work, FEW)?;
    let many = peak(&bench.url, names[1], work, MANY)?;
    bench.promise(&many, &few, 1.2);
    Ok(())
}

/// The peak of a process that does this work, under a name for it.
pub fn peak(url: &str, way: &'static str, work: &str, id: i32) -> Result<Measured> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args([CHILD, work, url, &id.to_string()]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let kibibytes: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let amount = Amount::Mebibytes(kibibytes as f64 / 1_024.0);
    Ok(Measured::once(way, amount))
}

/// Does the work of a child process and prints its peak.
pub async fn child(arguments: &[String]) -> Result<()> {
    let [work, url, id] = arguments else {
        return Err("a child wants its work, a URL and a row".into());
    };
    let id: i32 = id.parse()?;
    let mut db = connect(url).await?;
    match work.as_str() {
        "fan-out" => drop(fan_out::rename_recorded(&db, id).await?),
        "resample" => {
            let hourly = note::Entity::records_of(id).resample("1h")?;
            let records = hourly.all(&db).await?;
            assert_eq!(records.len(), 30 * 24);
        }
        "backfill" => {
            let backfilled = backfill(note::Entity).exec(&db).await?;
            assert_eq!(i64::try_from(backfilled.records)?, i64::from(id));
        }
        "verify" => {
            let verified = verify(note::Entity).exec(&db).await?;
            assert!(verified.is_clean() && i64::try_from(verified.rows)? == i64::from(id));
        }
        "prune" => super::prune::child(&mut db, id).await?,
        #[cfg(feature = "polars")]
        "frame" | "frames" | "models" => super::frame::read(&db, work, id).await?,
        _ => return Err(format!("no such work: {work}").into()),
    }
    db.close().await?;
    println!("{}", peak_of_this_process()?);
    Ok(())
}

fn peak_of_this_process() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|_| "the peak of memory is known on Linux alone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM in /proc/self/status")?.parse()?)
}
