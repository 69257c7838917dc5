//! The temperatures of a month as a PNG and an SVG: what was recorded, the last record of each day,
//! and what was in force as each day began.
//!
//! ```text
//! cargo run -p sea-orm-record-frames --example plot [-- DIRECTORY]
//! ```
//!
//! Without a directory the pictures go to `target/plot`.

use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use sea_orm::QueryOrder;
use sea_orm_record::Buckets;
use sea_orm_record::prelude::*;
use sea_orm_record_frames::seattle::{self, ZONE, station};

const SIZE: (u32, u32) = (1_600, 900);

/// A moment of a month with a change of clocks, on the 14th.
const MONTH: &str = "2010-03-15T00:00:00Z";

const RECORDED: RGBColor = RGBColor(150, 160, 175);
const LAST: RGBColor = RGBColor(214, 90, 30);
const IN_FORCE: RGBColor = RGBColor(25, 95, 170);

type Point = (DateTime<Utc>, f64);

/// What is drawn.
struct Picture {
    title: String,
    /// The beginning of each day, and of the month after.
    days: Vec<DateTime<Utc>>,
    recorded: Vec<Point>,
    last_of_day: Vec<Point>,
    in_force: Vec<Point>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1);
    let directory = PathBuf::from(directory.as_deref().unwrap_or("target/plot"));
    fs::create_dir_all(&directory)?;
    let (db, station) = seattle::recorded().await?;
    let picture = Picture::of(&db, &station).await?;

    // A font of our own, so that the picture is the same where none is installed.
    register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| "the font cannot be used")?;
    let (png, svg) = (
        directory.join("temperatures.png"),
        directory.join("temperatures.svg"),
    );
    picture.draw(BitMapBackend::new(&png, SIZE))?;
    picture.draw(SVGBackend::new(&svg, SIZE))?;
    println!("{}\n{}", png.display(), svg.display());
    Ok(())
}

impl Picture {
    async fn of(db: &RecordedConnection, station: &station::Model) -> Result<Self, Box<dyn Error>> {
        let days = days()?;
        let month = days[0]..days[days.len() - 1];
        let records = station.records().since(month.start).until(month.end);

        let frame = records
            .clone()
            .order_by_asc(station::record::Column::RecordedAt)
            .frame(db)
            .await?;
        let recorded = points(&frame)?;
        let daily = records.resample("1D")?.in_zone(ZONE);
        let last_of_day = daily.clone().all(db).await?;
        let last_of_day = last_of_day.iter().filter_map(point).collect();
        let filled = daily.forward_fill().buckets(db).await?;
        let filled = filled.iter();
        let mut in_force: Vec<_> = filled
            .filter_map(|(day, record)| Some((*day, record.fahrenheit?)))
            .collect();
        // What was in force on the last day holds to the end of the month.
        let last = in_force
            .last()
            .map(|(_, fahrenheit)| (month.end, *fahrenheit));
        in_force.extend(last);
        let title = format!(
            "Temperature in {}, {}",
            station.name,
            days[0].with_timezone(&ZONE).format("%B %Y")
        );
        Ok(Self {
            title,
            days,
            recorded,
            last_of_day,
            in_force,
        })
    }

    fn draw<B: DrawingBackend>(&self, backend: B) -> Result<(), Box<dyn Error>>
    where
        B::ErrorType: 'static,
    {
        let root = backend.into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(&self.title, ("sans-serif", 34))
            .margin(24)
            .set_label_area_size(LabelAreaPosition::Left, 80)
            .set_label_area_size(LabelAreaPosition::Bottom, 76)
            .build_cartesian_2d(TimeAxis(self.days.clone()), self.y())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.12))
            .x_desc(format!("local time in {ZONE}; each mark is midnight"))
            .y_desc("temperature in °F")
            .x_label_formatter(&|at| at.with_timezone(&ZONE).format("%b %-d").to_string())
            .y_label_formatter(&|y| format!("{y:.0}"))
            .label_style(("sans-serif", 19))
            .axis_desc_style(("sans-serif", 21))
            .draw()?;
        chart
            .draw_series(LineSeries::new(
                self.recorded.iter().copied(),
                RECORDED.stroke_width(2),
            ))?
            .label("recorded")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 34, y)], RECORDED.stroke_width(2)));
        chart
            .draw_series(
                self.in_force
                    .windows(2)
                    .map(|days| [days[0], (days[1].0, days[0].1)])
                    .map(|day| PathElement::new(day, IN_FORCE.stroke_width(4))),
            )?
            .label("forward fill by day: what was in force as it began")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 34, y)], IN_FORCE.stroke_width(4)));
        chart
            .draw_series(
                self.last_of_day
                    .iter()
                    .map(|point| Circle::new(*point, 5, LAST.filled())),
            )?
            .label("resampled by day: its last record")
            .legend(|(x, y)| Circle::new((x + 17, y), 5, LAST.filled()));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .margin(16)
            .legend_area_size(44)
            .label_font(("sans-serif", 20))
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        Ok(root.present()?)
    }

    /// Whole degrees around all that was recorded, with room for the legend.
    fn y(&self) -> Range<f64> {
        let values = || self.recorded.iter().map(|(_, y)| *y);
        let (low, high) = (
            values().fold(f64::MAX, f64::min),
            values().fold(f64::MIN, f64::max),
        );
        (low - 1.0).floor()..(high + 0.3 * (high - low)).ceil()
    }
}

/// Time, with a mark at every third of these midnights.
struct TimeAxis(Vec<DateTime<Utc>>);

impl Ranged for TimeAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = DateTime<Utc>;

    fn map(&self, at: &DateTime<Utc>, (left, right): (i32, i32)) -> i32 {
        let Range { start, end } = self.range();
        let part = (*at - start).as_seconds_f64() / (end - start).as_seconds_f64();
        left + (part * f64::from(right - left)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<DateTime<Utc>> {
        self.0.iter().step_by(3).copied().collect()
    }

    fn range(&self) -> Range<DateTime<Utc>> {
        self.0[0]..self.0[self.0.len() - 1]
    }
}

/// The local midnights of the month, and the one after.
fn days() -> Result<Vec<DateTime<Utc>>, Box<dyn Error>> {
    let month = Buckets::new(Every::months(1)?, ZONE);
    let first = month.start_of(MONTH.parse()?)?;
    let last = month.next(first)? - TimeDelta::microseconds(1);
    Ok(Buckets::new(Every::days(1)?, ZONE).edges(first, last, 31)?)
}

/// Times and temperatures of a frame.
fn points(frame: &polars::frame::DataFrame) -> polars::error::PolarsResult<Vec<Point>> {
    let times = frame.column("recorded_at")?.datetime()?.physical().iter();
    let temperatures = frame.column("fahrenheit")?.f64()?.iter();
    let points = times
        .zip(temperatures)
        .filter_map(|(at, fahrenheit)| Some((DateTime::from_timestamp_micros(at?)?, fahrenheit?)));
    Ok(points.collect())
}

fn point(record: &station::record::Model) -> Option<Point> {
    Some((record.recorded_at, record.fahrenheit?))
}
