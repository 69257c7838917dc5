//! A year of a weather station: 8,757 updates of one row, then the last of each month and day.
//!
//! ```text
//! cargo run --release --example temperatures
//! ```
//!
//! `data/README.md` says whose measurements they are.

#![allow(unreachable_pub, reason = "entities are `pub` by custom")]

use std::collections::BTreeSet;
use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, Utc};
use chrono_tz::Tz;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectOptions, Database, Set, Unchanged};
use sea_orm_record::prelude::*;

use station::record::Model as Record;

mod station {
    //! A station knows its current temperature alone; the records know the others.

    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(fahrenheit))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "station")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
        pub fahrenheit: Option<f64>,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

const CSV: &str = include_str!("data/seattle-temps.csv");

/// A temperature in degrees Fahrenheit, and when it was read.
type Reading = (DateTime<Utc>, f64);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seattle = zone("America/Los_Angeles")?;
    let db = connect().await?;
    create_tables(&db).await?;
    let db = RecordedConnection::new(db);
    let station = install(&db).await?;
    let readings = readings(seattle)?;

    let started = Instant::now();
    record(&db, &station, &readings).await?;
    let took = started.elapsed();
    let records = station.records().count(&db).await?;
    print_summary(readings.len(), records, took);

    let monthly = station.records().resample("1MS")?.in_zone(seattle);
    let months = monthly.all(&db).await?;
    print_months(&months, seattle);
    let daily = station.records().resample("1D")?.in_zone(seattle);
    let days = daily.all(&db).await?;
    print_days(&days, seattle);

    let found = (records, months.len(), days.len());
    assert_eq!(found, expected(readings, seattle));
    Ok(())
}

/// Every connection to `sqlite::memory:` opens a database of its own, so there may be only one.
async fn connect() -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    Database::connect(options).await
}

async fn create_tables(db: &DatabaseConnection) -> Result<(), DbErr> {
    let schema = db.get_schema_builder().register(station::Entity);
    schema.register(station::record::Entity).apply(db).await
}

/// A station without a temperature, which is no reading: its history begins with the first one.
async fn install(db: &RecordedConnection) -> Result<station::Model, DbErr> {
    let station = station::ActiveModel {
        id: Set(1),
        name: Set("Seattle".to_owned()),
        fahrenheit: Set(None),
    };
    station.insert(&db.without_recording()).await
}

/// The readings of the file. A local time that daylight saving skips or doubles names no one
/// instant: such readings are dropped.
fn readings(zone: Tz) -> Result<Vec<Reading>, Box<dyn Error>> {
    let mut readings = Vec::new();
    for line in CSV.lines().skip(1) {
        let (time, fahrenheit) = line.split_once(',').ok_or("expected `date,temp`")?;
        let local = NaiveDateTime::parse_from_str(time, "%Y/%m/%d %H:%M")?;
        match local.and_local_timezone(zone) {
            LocalResult::Single(at) => readings.push((at.to_utc(), fahrenheit.parse()?)),
            LocalResult::None => println!("Dropped: {local}, skipped by daylight saving."),
            LocalResult::Ambiguous(..) => println!("Dropped: {local}, doubled by daylight saving."),
        }
    }
    Ok(readings)
}

/// Updates the station with each reading, at the time of the reading.
async fn record(
    db: &RecordedConnection,
    station: &station::Model,
    readings: &[Reading],
) -> Result<(), DbErr> {
    for &(at, fahrenheit) in readings {
        let update = station::ActiveModel {
            id: Unchanged(station.id),
            fahrenheit: Set(Some(fahrenheit)),
            ..Default::default()
        };
        let db = db.with_context(Context::new().clock(at));
        update.update(&db).await?;
    }
    Ok(())
}

fn print_summary(readings: usize, records: u64, took: Duration) {
    println!(
        "\n{readings} readings were saved in {:.1} s, one transaction each ({:.0} a second).\n\
         {records} left a record. The others were as warm as the one before, and changed nothing.",
        took.as_secs_f64(),
        readings as f64 / took.as_secs_f64(),
    );
}

fn print_months(records: &[Record], zone: Tz) {
    println!("\nThe last record of each month, in local time:\n");
    for record in records {
        let at = record.recorded_at.with_timezone(&zone);
        let time = at.format("%b %d, %H:%M %Z");
        println!("  {time}  {} °F", degrees(record.fahrenheit));
    }
}

fn print_days(records: &[Record], zone: Tz) {
    let mut year = [[None; 12]; 31];
    for record in records {
        let at = record.recorded_at.with_timezone(&zone);
        year[at.day0() as usize][at.month0() as usize] = record.fahrenheit;
    }
    let days = records.len();
    println!("\nThe last record of each day, {days} of them, in °F:\n");
    println!("       Jan   Feb   Mar   Apr   May   Jun   Jul   Aug   Sep   Oct   Nov   Dec");
    for (day, months) in (1..).zip(year) {
        println!("  {day:2}  {}", months.map(degrees).join("  ").trim_end());
    }
}

/// In four places, blank where there is none.
fn degrees(fahrenheit: Option<f64>) -> String {
    fahrenheit.map_or_else(|| " ".repeat(4), |fahrenheit| format!("{fahrenheit:4.1}"))
}

/// How many records, months and days the readings leave: one leaves a record if it differs from the
/// one before.
fn expected(mut readings: Vec<Reading>, zone: Tz) -> (u64, usize, usize) {
    readings.dedup_by_key(|(_, fahrenheit)| *fahrenheit);
    let dates = readings
        .iter()
        .map(|(at, _)| at.with_timezone(&zone).date_naive());
    let days: BTreeSet<_> = dates.collect();
    let months: BTreeSet<_> = days.iter().map(|day| (day.year(), day.month())).collect();
    (readings.len() as u64, months.len(), days.len())
}
