//! What the examples are about: a year of a weather station, recorded in a SQLite database in
//! memory, as `examples/temperatures.rs` has it.

use std::error::Error;

use chrono::{DateTime, LocalResult, NaiveDateTime, Utc};
use chrono_tz::Tz;
use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, Set, Unchanged};
use sea_orm_record::prelude::*;

pub mod station {
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

/// A temperature in degrees Fahrenheit, and when it was read.
type Reading = (DateTime<Utc>, f64);

/// Where the station stands.
pub const ZONE: Tz = chrono_tz::America::Los_Angeles;

const CSV: &str = include_str!("../../examples/data/seattle-temps.csv");

/// The station with its records.
pub async fn recorded() -> Result<(RecordedConnection, station::Model), Box<dyn Error>> {
    let db = connect().await?;
    let schema = db.get_schema_builder().register(station::Entity);
    schema.register(station::record::Entity).apply(&db).await?;
    let db = RecordedConnection::new(db);
    let station = station::ActiveModel {
        id: Set(1),
        name: Set("Seattle".to_owned()),
        fahrenheit: Set(None),
    };
    let station = station.insert(&db.without_recording()).await?;
    let readings = readings()?;
    let bar = progress(readings.len() as u64, "readings recorded")?;
    for (at, fahrenheit) in bar.wrap_iter(readings.into_iter()) {
        let update = station::ActiveModel {
            id: Unchanged(station.id),
            fahrenheit: Set(Some(fahrenheit)),
            ..Default::default()
        };
        update
            .update(&db.with_context(Context::new().clock(at)))
            .await?;
    }
    Ok((db, station))
}

/// Every connection to `sqlite::memory:` opens a database of its own, so there may be only one.
async fn connect() -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1);
    Database::connect(options).await
}

/// The readings of the file. Local times that daylight saving skips or doubles name
/// no one instant and are dropped.
fn readings() -> Result<Vec<Reading>, Box<dyn Error>> {
    let mut readings = Vec::new();
    for line in CSV.lines().skip(1) {
        let (time, fahrenheit) = line.split_once(',').ok_or("expected `date,temp`")?;
        let local = NaiveDateTime::parse_from_str(time, "%Y/%m/%d %H:%M")?;
        if let LocalResult::Single(at) = local.and_local_timezone(ZONE) {
            readings.push((at.to_utc(), fahrenheit.parse()?));
        }
    }
    Ok(readings)
}

/// A progress bar, which shows itself on a terminal alone.
pub fn progress(length: u64, what: &'static str) -> Result<ProgressBar, Box<dyn Error>> {
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} {msg}, {eta} left")?;
    Ok(ProgressBar::new(length)
        .with_style(style)
        .with_message(what))
}
