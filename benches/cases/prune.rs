//! A million records are pruned to hourly, while another connection saves.
//!
//! The pruning is a process of its own, so that its memory is its own; who saves is this one.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, Set};
use sea_orm_record::{FOREVER, Retention, prune_to};

use super::memory::CHILD;
use crate::Result;
use crate::database::Engine;
use crate::entities::note;
use crate::harness::{Bench, timed};
use crate::report::{Amount, Measured};
use crate::tables::{count, fill_histories, fill_notes, recreate, recreate_records, settle};

/// Records of each note: ten an hour.
const RECORDS: usize = 1_000;
/// How many times as long as it works it rests, where it gives way. On SQLite a save that meets the
/// write lock waits for a millisecond at least, so that less than one in a hundred may meet it.
fn rest(engine: Engine) -> i32 {
    match engine {
        Engine::Sqlite => 199,
        Engine::Postgres | Engine::MariaDb => 49,
    }
}

/// How many records it removes at once then.
const PIECE: usize = 100;
/// The writer's pause between saves. One without any never lets go of SQLite's lock.
const BREATH: Duration = Duration::from_millis(2);
const STEP: i64 = 6 * 60 * 1_000_000;

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let many = bench.size(1_000, 20);
    let few = bench.size(10, 5);
    let saves = bench.size(3_000, 200);

    let [_, small, _] = pruned(bench, few, 0, 0).await?;
    // On its own first, for how long it takes and what it holds.
    let [_, memory, _] = pruned(bench, many, 0, 0).await?;
    bench.promise(
        &as_mebibytes("peak, many records", memory),
        &as_mebibytes("peak, few records", small),
        1.5,
    );
    let [beside, _, longest] = pruned(bench, many, saves, 0).await?;
    let alone = percentile(bench, saves).await?;
    bench.compare(
        &as_millis("p99 of saves beside it", beside),
        &as_millis("p99 of saves alone", alone),
    );
    bench.compare(
        &as_millis("longest statement that deletes", longest),
        &as_millis("p99 of saves alone", alone),
    );
    // Of a tenth, since it takes ten times as long.
    let [giving_way, _, longest] = pruned(bench, many / 10, saves, rest(bench.engine)).await?;
    let alone = percentile(bench, saves).await?;
    bench.promise(
        &as_millis("p99 of saves beside one that gives way", giving_way),
        &as_millis("p99 of saves alone", alone),
        2.0,
    );
    bench.compare(
        &as_millis("longest statement that deletes, giving way", longest),
        &as_millis("p99 of saves alone", alone),
    );
    all_stay(bench, many, few).await?;
    recreate(bench, note::Entity).await?;
    recreate_records(bench, note::record::Entity).await
}

/// Fills, prunes in a child and saves meanwhile: the 99th percentile of saves, the peak in KiB and the
/// longest statement of the child.
async fn pruned(bench: &Bench<'_>, notes: usize, saves: usize, rest: i32) -> Result<[f64; 3]> {
    fill(bench, notes, STEP).await?;
    if saves > 0 {
        // Connections, statements and caches.
        save(bench, notes, 200, || true).await?;
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args([CHILD, "prune", &bench.url, &rest.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut times = Vec::new();
    if saves > 0 {
        times = save(bench, notes, usize::MAX, || {
            matches!(child.try_wait(), Ok(None))
        })
        .await?;
        eprintln!("  {} saves beside it", times.len());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err("the pruning failed".into());
    }
    let left = count(bench, "note_record").await?;
    let hourly = notes * (RECORDS / 10 + 1);
    assert!(
        left >= hourly && left <= hourly + times.len() + 200 + notes,
        "{left}"
    );
    let numbers = String::from_utf8(output.stdout)?;
    let mut numbers = numbers.split_whitespace().map(str::parse::<f64>);
    let longest = numbers.next().ok_or("no longest statement")??;
    let peak = numbers.next().ok_or("no peak")??;
    Ok([p99(&mut times), peak, longest])
}

/// A note each hour, of which nothing goes: time a record, of many beside few. It grows where pages
/// are not sought.
async fn all_stay(bench: &mut Bench<'_>, many: usize, few: usize) -> Result<()> {
    let hourly = Retention::new().then_every("1h", FOREVER);
    let mut times = [0.0; 2];
    for (time, notes) in times.iter_mut().zip([few, many]) {
        fill(bench, notes, 10 * STEP).await?;
        let look = async { Ok(prune_to(note::Entity, &hourly).dry_run(&bench.db).await?) };
        let (took, forecast) = timed(look).await?;
        assert!(forecast.removed == 0);
        *time = took.as_secs_f64() * 1_000.0 / (forecast.records as f64 / 10_000.0);
    }
    bench.promise(
        &as_millis("10,000 records looked at, of many", times[1]),
        &as_millis("10,000 records looked at, of few", times[0]),
        2.0,
    );
    Ok(())
}

/// Notes with so many records each, so far apart.
async fn fill(bench: &Bench<'_>, notes: usize, step: i64) -> Result<()> {
    recreate(bench, note::Entity).await?;
    recreate_records(bench, note::record::Entity).await?;
    fill_notes(bench, "note", notes).await?;
    fill_histories(bench, notes, RECORDS, step).await?;
    settle(bench, &["note", "note_record"]).await
}

/// The 99th percentile of saves when nothing else goes on.
async fn percentile(bench: &Bench<'_>, saves: usize) -> Result<f64> {
    let notes = count(bench, "note").await?;
    save(bench, notes, 200, || true).await?;
    let mut times = save(bench, notes, saves, || true).await?;
    Ok(p99(&mut times))
}

/// Saves one note after the other, with a pause between them, and says how long each took.
async fn save(
    bench: &Bench<'_>,
    notes: usize,
    most: usize,
    mut goes_on: impl FnMut() -> bool,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while times.len() < most && goes_on() {
        let id = times.len() * 37 % notes + 1;
        let note = note::ActiveModel {
            id: Set(i32::try_from(id)?),
            title: Set(format!("saved {} {:?}", times.len(), Instant::now())),
            ..Default::default()
        };
        let began = Instant::now();
        note.update(&bench.db).await?;
        times.push(began.elapsed());
        tokio::time::sleep(BREATH).await;
    }
    Ok(times)
}

fn p99(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let place = times.len() * 99 / 100;
    times
        .get(place)
        .map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

/// What the child does: prunes, and prints its longest statement that deletes, in milliseconds.
pub async fn child(db: &mut DatabaseConnection, rest: i32) -> Result<()> {
    let longest = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&longest);
    db.set_metric_callback(move |info| {
        if info.statement.sql.starts_with("DELETE") {
            let micros = u64::try_from(info.elapsed.as_micros()).unwrap_or(u64::MAX);
            seen.fetch_max(micros, Ordering::Relaxed);
        }
    });
    let hourly = Retention::new().then_every("1h", FOREVER);
    let mut prune = prune_to(note::Entity, &hourly);
    if rest > 0 {
        let rest = u32::try_from(rest)?;
        prune = prune.at_a_time(PIECE);
        prune = prune.pause(move |busy| tokio::time::sleep(busy * rest));
    }
    let (time, pruned) = timed(async { Ok(prune.exec(db).await?) }).await?;
    assert!(pruned.removed > 0);
    let rate = pruned.records as f64 / time.as_secs_f64();
    eprintln!(
        "  {rate:.0} records looked at a second, {} removed",
        pruned.removed
    );
    println!("{}", longest.load(Ordering::Relaxed) as f64 / 1_000.0);
    Ok(())
}

fn as_millis(way: &'static str, millis: f64) -> Measured {
    let amount = Amount::Millis(millis);
    Measured::once(way, amount)
}

fn as_mebibytes(way: &'static str, kibibytes: f64) -> Measured {
    let amount = Amount::Mebibytes(kibibytes / 1_024.0);
    Measured::once(way, amount)
}
