//! A year of a weather station: 8,757 updates of one row, and the last record of each month and day.
//!
//! ```text
//! cargo run --release --example temperatures
//! ```
//!
//! `data/README.md` says whose measurements they are.

use std::error::Error;
use std::time::Instant;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use chrono_tz::Tz;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectOptions, Database, Set};
use sea_orm_record::prelude::*;

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
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seattle = zone("America/Los_Angeles")?;
    let db = RecordedConnection::new(connect().await?);
    create_tables(&db).await?;
    let station = install(&db).await?;

    let readings = readings(seattle)?;
    let started = Instant::now();
    record(&db, station.id, &readings).await?;
    print_summary(&db, &station, readings.len(), started).await?;

    print_months(&db, &station, seattle).await?;
    print_days(&db, &station, seattle).await
}
