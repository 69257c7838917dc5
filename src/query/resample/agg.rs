//! What can be computed from the numbers of a bucket.
//!
//! The functions of this module name what is asked for; [`Resample::agg`](crate::Resample::agg)
//! takes a list of it, and each bucket is answered with an [`Aggregated`]:
//!
//! ```
//! # use sea_orm::entity::prelude::*;
//! # use sea_orm_record::prelude::*;
//! # async fn example<R>(records: Select<R>, price: R::Column, db: &DatabaseConnection) -> Result<(), DbErr>
//! # where R: RecordEntity {
//! use sea_orm_record::agg::{count, max, mean};
//!
//! let days = records.resample("1D")?.agg([mean(price), max(price), count()]).all(db).await?;
//! for day in days {
//!     let (mean, max) = (day.get(mean(price))?, day.get(max(price))?);
//!     println!("{}: {mean:?} on average, {max:?} at most", day.start);
//! }
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, IdenStatic, PrimaryKeyTrait};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Resample;
use super::measure::measured;
use super::rows::RowKey;
use super::scope::Scope;
use super::weighted::weighted;
use crate::dialect::Dialect;
use crate::keys::typed_key;
use crate::query::table_of;
use crate::{Number, RecordEntity, RecordError};

/// Something to compute for each bucket; the functions of [this module](self) make one.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate<C> {
    pub(super) what: What,
    pub(super) column: Option<C>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Count,
    CountOf,
    Mean,
    TimeWeightedMean,
    Min,
    Max,
    Sum,
    First,
    Last,
    Ohlc,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Count | Self::CountOf => "count",
            Self::Mean => "mean",
            Self::TimeWeightedMean => "time_weighted_mean",
            Self::Min => "min",
            Self::Max => "max",
            Self::Sum => "sum",
            Self::First => "first",
            Self::Last => "last",
            Self::Ohlc => "ohlc",
        }
    }
}

impl<C: IdenStatic> Aggregate<C> {
    const fn of(what: What, column: C) -> Self {
        Self {
            what,
            column: Some(column),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        let name = |aggregate: &Self| aggregate.column.map(|column| column.as_str());
        self.what == other.what && name(self) == name(other)
    }

    /// What it is made of: itself, but for those of [`ohlc`].
    fn parts(self) -> Vec<Self> {
        match self.what {
            What::Ohlc => [What::First, What::Max, What::Min, What::Last]
                .map(|what| Self { what, ..self })
                .to_vec(),
            _ => vec![self],
        }
    }
}

/// `mean_price`, `count`
impl<C: IdenStatic> fmt::Display for Aggregate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "{}_{}", self.what.name(), column.as_str()),
            None => f.write_str(self.what.name()),
        }
    }
}

/// How many records there are, deletions left out: of 2, NULL, 4 it is 3.
pub const fn count<C>() -> Aggregate<C> {
    Aggregate {
        what: What::Count,
        column: None,
    }
}

/// How many records have a value in a column, which need not be numeric; NULL and NaN are none: of 2,
/// NULL, 4 it is 2.
pub const fn count_of<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::CountOf, column)
}

/// The mean of the recorded values, each counted once however long it held: that of a history
/// depends on how often it was written. [`time_weighted_mean`] does not. Always a float: of 2, NULL, 4
/// it is 3.0.
pub const fn mean<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::Mean, column)
}

/// The mean of the value over the time in which there was one, always a float. Of 2 from 10:00 and 5
/// from 10:45 the hour to 11:00 has 2.75, where [`mean`] is 3.5.
///
/// A value holds from its record to the row's next one, and from the record before a bucket into
/// it, also where that lies before the window. A deletion ends it, and NULL and NaN interrupt it:
/// such times do not count. Nothing counts beyond the window's ends or after now.
///
/// Over all rows, the mean of all their values, each by its time.
///
/// Values beyond about 10²⁹⁸ are out of range for PostgreSQL and MariaDB, which say so.
pub const fn time_weighted_mean<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::TimeWeightedMean, column)
}

/// The least value: of 2, NULL, 4 it is 2.
pub const fn min<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::Min, column)
}

/// The greatest value: of 2, NULL, 4 it is 4.
pub const fn max<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::Max, column)
}

/// The sum of the values: of 2, NULL, 4 it is 6. One of decimals that has more digits than a `Decimal`
/// is an error, where [`mean`] is not.
pub const fn sum<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::Sum, column)
}

/// The first value, of 2, NULL, 4 it is 2; over all rows, of those recorded at one time that of the row with the least key.
pub const fn first<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::First, column)
}

/// The last value, of 2, NULL, 4 it is 4; over all rows, of those recorded at one time that of the row
/// with the greatest key.
pub const fn last<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::Last, column)
}

/// The first, greatest, least and last value: [`Aggregated::ohlc`] has the four together, and
/// [`Aggregated::get`] each. Of 3, 5, 2, 4 it is 3, 5, 2, 4.
pub const fn ohlc<C: IdenStatic>(column: C) -> Aggregate<C> {
    Aggregate::of(What::Ohlc, column)
}

/// Four numbers of a bucket, as charts of prices show them.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Ohlc {
    /// The first.
    pub open: Number,
    /// The greatest.
    pub high: Number,
    /// The least.
    pub low: Number,
    /// The last.
    pub close: Number,
}

/// What was computed for a bucket: of one row, or of all of them.
///
/// As JSON an object: `start`, `row` (the key; a list of its columns where it has several) and what
/// was asked for, such as `mean_price`.
#[derive(Clone, Debug)]
pub struct Aggregated<R: RecordEntity> {
    /// Where the bucket begins.
    pub start: DateTime<Utc>,
    row: Option<RowKey>,
    asked: Arc<Asked<R>>,
    values: Vec<Option<Number>>,
}

impl<R: RecordEntity> Aggregated<R> {
    /// The key of the row; `None` where all rows were taken together.
    pub fn row(
        &self,
    ) -> Option<<<R::Recording as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType> {
        let row = self.row.clone()?;
        Some(typed_key::<R::Recording>(row.into_values()))
    }

    /// A number that was asked for; `None` if the bucket has no value of the column.
    ///
    /// # Errors
    ///
    /// [`RecordError::Resample`] for one that was not asked for, and for [`ohlc`], which is four.
    pub fn get(&self, aggregate: Aggregate<R::Column>) -> Result<Option<Number>, RecordError> {
        let mut parts = self.asked.parts.iter();
        let place = parts.position(|part| part.is(&aggregate));
        place
            .and_then(|place| self.values.get(place).copied())
            .ok_or_else(|| {
                let problem = match aggregate.what {
                    What::Ohlc => format!("`{aggregate}` is four numbers; get them by `ohlc`"),
                    _ => format!("`{aggregate}` was not asked for; list it in `agg`"),
                };
                RecordError::resample(table_of::<R>(), problem)
            })
    }

    /// The four numbers of a column, where it has any value.
    ///
    /// # Errors
    ///
    /// [`RecordError::Resample`] where one of them was not asked for.
    pub fn ohlc(&self, column: R::Column) -> Result<Option<Ohlc>, RecordError> {
        let four = (
            self.get(first(column))?,
            self.get(max(column))?,
            self.get(min(column))?,
            self.get(last(column))?,
        );
        Ok(match four {
            (Some(open), Some(high), Some(low), Some(close)) => Some(Ohlc {
                open,
                high,
                low,
                close,
            }),
            _ => None,
        })
    }
}

impl<R: RecordEntity> Serialize for Aggregated<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("start", &self.start.to_rfc3339())?;
        if let Some(row) = &self.row {
            map.serialize_entry("row", row)?;
        }
        for aggregate in &self.asked.aggregates {
            let name = aggregate.to_string();
            match (aggregate.what, aggregate.column) {
                (What::Ohlc, Some(column)) => {
                    let ohlc = self.ohlc(column).map_err(serde::ser::Error::custom)?;
                    map.serialize_entry(&name, &ohlc)?;
                }
                _ => {
                    let value = self.get(*aggregate).map_err(serde::ser::Error::custom)?;
                    map.serialize_entry(&name, &value)?;
                }
            }
        }
        map.end()
    }
}

/// What was asked for, and what that is made of.
#[derive(Debug)]
pub(super) struct Asked<R: RecordEntity> {
    aggregates: Vec<Aggregate<R::Column>>,
    pub(super) parts: Vec<Aggregate<R::Column>>,
}

impl<R: RecordEntity> Asked<R> {
    fn new(aggregates: Vec<Aggregate<R::Column>>) -> Self {
        let once = |all: Vec<Aggregate<R::Column>>| {
            let mut kept: Vec<Aggregate<R::Column>> = Vec::new();
            for aggregate in all {
                if !kept.iter().any(|known| known.is(&aggregate)) {
                    kept.push(aggregate);
                }
            }
            kept
        };
        let parts = aggregates.iter().flat_map(|aggregate| aggregate.parts());
        Self {
            parts: once(parts.collect()),
            aggregates: once(aggregates),
        }
    }
}

/// A query that computes numbers for each bucket; see [`Resample::agg`](crate::Resample::agg).
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct Agg<R: RecordEntity> {
    pub(super) resample: Resample<R>,
    asked: Arc<Asked<R>>,
    gaps: bool,
}

impl<R: RecordEntity> Agg<R> {
    pub(super) fn new(resample: Resample<R>, aggregates: Vec<Aggregate<R::Column>>) -> Self {
        Self {
            resample,
            asked: Arc::new(Asked::new(aggregates)),
            gaps: false,
        }
    }

    /// Takes the records of all rows together. Default: each row's by themselves.
    pub fn over_all_rows(mut self) -> Self {
        self.resample = self.resample.over_all_rows();
        self
    }

    /// Answers for empty buckets as well: counts are 0, and there is nothing else. Default: they
    /// are left out. Which buckets those are is told at [`Resample::keep_gaps`]; a row of which there is
    /// nothing but deletions has none here.
    pub fn keep_gaps(mut self) -> Self {
        self.gaps = true;
        self
    }

    /// The buckets, in the order of time; those of several rows in the order of keys.
    ///
    /// There is one where a record lies that is no deletion, or, where a time-weighted mean is asked
    /// for, where a value held.
    ///
    /// # Errors
    ///
    /// A [`RecordError`] within the `DbErr`: [`Resample`](RecordError::Resample) for a column that
    /// is not numeric, for a number that Rust's types cannot hold, for more buckets than may be
    /// filled, after [`Resample::forward_fill`], and for a filter that hides what held before, which a time-weighted mean must know, or where the
    /// buckets begin and end, which [`keep_gaps`](Self::keep_gaps) must;
    /// [`Window`](RecordError::Window) for records outside the years 1 to 9999; or what the database
    /// said.
    pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<Aggregated<R>>, DbErr> {
        if self.resample.forward_fill {
            let problem = "`agg` computes from what was recorded, and not from what `forward_fill` \
                           fills; leave that out, or ask for `time_weighted_mean`, the mean of what \
                           was in force";
            return Err(RecordError::resample(table_of::<R>(), problem).into());
        }
        let dialect = Dialect::of(db);
        let scope = Scope::of(&self.resample, dialect);
        let asked = Arc::clone(&self.asked);
        let parts = &asked.parts;
        let asking = Asking {
            agg: &self,
            scope: &scope,
            parts,
            dialect,
        };
        let mut found = measured(&asking, db).await?;
        weighted(&asking, db, &mut found).await?;
        if self.gaps {
            let empty: Vec<_> = parts.iter().map(when_empty).collect();
            let rows = if self.is_over_all() {
                vec![RowKey::default()]
            } else {
                scope.rows_of(found.keys().map(|(_, row)| row))
            };
            let starts = scope.starts(&self.resample, db).await?;
            self.resample.bounded(starts.len(), rows.len())?;
            for start in starts {
                for row in &rows {
                    let place = (start, row.clone());
                    found.entry(place).or_insert_with(|| empty.clone());
                }
            }
        }
        let is_over_all = self.is_over_all();
        let aggregated = found.into_iter().map(|((start, row), values)| Aggregated {
            start,
            row: (!is_over_all).then_some(row),
            asked: Arc::clone(&asked),
            values,
        });
        Ok(aggregated.collect())
    }

    pub(super) fn is_over_all(&self) -> bool {
        self.resample.all_rows
    }
}

/// What is to be computed, of which records and in which database.
pub(super) struct Asking<'a, R: RecordEntity> {
    pub(super) agg: &'a Agg<R>,
    pub(super) scope: &'a Scope<R>,
    pub(super) parts: &'a [Aggregate<R::Column>],
    pub(super) dialect: Dialect,
}

/// What an empty bucket has.
pub(super) fn when_empty<C>(part: &Aggregate<C>) -> Option<Number> {
    matches!(part.what, What::Count | What::CountOf).then_some(Number::Integer(0))
}
