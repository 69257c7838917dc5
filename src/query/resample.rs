//! One record of each bucket.
//!
//! Edges are worked out in Rust, in the calendar of the zone, and bound: no zone reaches SQL. Then,
//! a chunk of buckets at a time:
//!
//! - a few buckets of one row are a seek in the index of the primary key each, one statement in all;
//! - where there are more, and the records hardly outnumber them, the records are read in order and
//!   picked from here;
//! - where they do, those of one row are seeks again; those of several rows are grouped by row.
//!
//! Records are only ever added after the last, so the statements of one call agree.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `resample/agg.rs` | what can be computed of a bucket, and the answer |
//! | `resample/bounds.rs` | the windows among a select's filters |
//! | `resample/cuts.rs` | where time is cut, and which pieces have records |
//! | `resample/fill.rs` | what was in force at the beginning of each bucket; empty buckets |
//! | `resample/many_rows.rs` | several rows: the records of a bucket are grouped |
//! | `resample/measure.rs` | numbers of a bucket's records |
//! | `resample/one_row.rs` | one row: a seek for each bucket |
//! | `resample/pick.rs` | the first or last record of each bucket |
//! | `resample/rows.rs` | the rows that buckets are of |
//! | `resample/scope.rs` | a select apart from its window |
//! | `resample/weighted.rs` | means by the time in which values held |

pub mod agg;
mod bounds;
mod cuts;
mod fill;
mod many_rows;
mod measure;
mod one_row;
mod pick;
mod rows;
mod scope;
mod weighted;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use sea_orm::{ConnectionTrait, DbErr, ModelTrait, QueryResult, QueryTrait, Select};

use self::agg::{Agg, Aggregate};
use self::cuts::Most;
pub use self::fill::{Bucket, WithGaps};
use self::pick::Pick;
use self::rows::RowKey;
use super::{between, key_of, source_table_of, table_of, unordered, utc};
use crate::keys::Key;
use crate::time::{Buckets, Every, Window};
use crate::{RecordEntity, RecordError};

/// The column with the time to pick.
const PICKED: &str = "picked";

/// A query of one record for each bucket of time; see [`RecordQuery::resample`](super::RecordQuery::resample).
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct Resample<R: RecordEntity> {
    select: Select<R>,
    every: Every,
    zone: Tz,
    pick: Pick,
    forward_fill: bool,
    all_rows: bool,
    window: Option<Window>,
    most: Most,
}

impl<R: RecordEntity> Resample<R> {
    pub(super) fn new(select: Select<R>, every: Every) -> Self {
        let mut select = unordered(select);
        QueryTrait::query(&mut select).reset_limit().reset_offset();
        Self {
            select,
            every,
            zone: Tz::UTC,
            pick: Pick::Last,
            forward_fill: false,
            all_rows: false,
            window: None,
            most: Most::of::<R>(),
        }
    }

    /// Counts days, weeks, months and the beginnings of shorter buckets in a time zone.
    /// Default: UTC. [`zone`](crate::zone) finds one by its name.
    pub fn in_zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self
    }

    /// Takes the first record of each bucket. Default: the last.
    pub fn first(mut self) -> Self {
        self.pick = Pick::First;
        self.forward_fill = false;
        self
    }

    /// Takes the record in force at the beginning of each bucket: the row's last one up to there,
    /// also from before the window. Default: the last record of each bucket.
    ///
    /// A row has none before its first record, and after a deletion until there is a record again;
    /// such buckets are left out unless [`keep_gaps`](Self::keep_gaps) keeps them. The buckets are
    /// those from the window's beginning, or else the first record, to its end, but not beyond now:
    /// what was last recorded is in force still.
    ///
    /// A filter picks records: one that it leaves out neither holds nor ends what did. One on the
    /// time of records, but for the windows of [`RecordQuery`](super::RecordQuery) on `records()`,
    /// `records_of(…)` or a filter on keys, is refused, since it hides what held before;
    /// [`within`](Self::within) says it instead.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<R: RecordEntity>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr> {
    /// for (hour, record) in records.today().resample("1h")?.forward_fill().buckets(db).await? {
    ///     println!("at {hour}: {record:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn forward_fill(mut self) -> Self {
        self.forward_fill = true;
        self
    }

    /// Takes the records of all rows together, as if they were of one: one for each bucket, the last
    /// or first of all, or that in force, which the deletion of any row ends. Of records of one time
    /// the last is that of the greatest key. Default: each row's by themselves.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<R: RecordEntity>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr> {
    /// let last_of_each_hour = records.today().resample("1h")?.over_all_rows().buckets(db).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn over_all_rows(mut self) -> Self {
        self.all_rows = true;
        self
    }

    /// Looks at a window, as the windows of [`RecordQuery`](super::RecordQuery) do, beside any
    /// filter. Default: all of time, or the window of the query.
    ///
    /// A value that held when it begins is known to [`forward_fill`](Self::forward_fill) and
    /// [`time_weighted_mean`](agg::time_weighted_mean).
    pub fn within(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// How many buckets, of all rows together, may be answered for where empty ones are filled, those
    /// that have a record among them. Default: 100,000. More are an error.
    pub fn fill_at_most(mut self, buckets: usize) -> Self {
        self.most.buckets = buckets;
        self
    }

    /// Keeps buckets without a record, so that each row has all of them. Default: they are left out.
    ///
    /// They are those from the beginning of the window, or else the first record, to its end, but
    /// not beyond now; where there is no window, to the last record. Rows are those that have any
    /// record there, and one that was asked for by its key.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<R: RecordEntity>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr> {
    /// for bucket in records.today().resample("1h")?.keep_gaps().all(db).await? {
    ///     println!("from {}: {:?}", bucket.start, bucket.record);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_gaps(self) -> WithGaps<R> {
        WithGaps(self)
    }

    /// Computes numbers of each bucket from recorded columns and properties; see
    /// [`agg`](crate::agg) for what there is. Deletions, NULL and NaN are left out.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<R: RecordEntity>(records: Select<R>, price: R::Column, db: &DatabaseConnection) -> Result<(), DbErr> {
    /// use sea_orm_record::agg::time_weighted_mean;
    ///
    /// let days = records.this_month().resample("1D")?.agg([time_weighted_mean(price)]);
    /// for day in days.all(db).await? {
    ///     println!("{}: {:?}", day.start, day.get(time_weighted_mean(price))?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn agg(self, aggregates: impl IntoIterator<Item = Aggregate<R::Column>>) -> Agg<R> {
        Agg::new(self, aggregates.into_iter().collect())
    }

    /// The records, in the order of time; those of several rows at one time in the order of keys.
    ///
    /// # Errors
    ///
    /// A [`RecordError`] within the `DbErr`: [`Window`](RecordError::Window) for records outside
    /// the years 1 to 9999; of [`forward_fill`](Self::forward_fill), [`Resample`](RecordError::Resample)
    /// for more buckets than may be filled, or a filter that hides what held before; or what the
    /// database said.
    pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<R::Model>, DbErr> {
        if self.forward_fill {
            let filled = fill::forward_filled(&self, db).await?;
            return Ok(filled.into_iter().map(|(_, record)| record).collect());
        }
        self.windowed().picked(db).await
    }

    /// With the window among the filters.
    fn windowed(mut self) -> Self {
        if let Some(window) = self.window.take() {
            self.select = between(self.select, window.since(), window.until());
        }
        self
    }

    /// The same, each record with the start of its bucket.
    ///
    /// # Errors
    ///
    /// Those of [`all`](Self::all).
    pub async fn buckets<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> Result<Vec<(DateTime<Utc>, R::Model)>, DbErr> {
        if self.forward_fill {
            return fill::forward_filled(&self, db).await;
        }
        let buckets = Buckets::new(self.every, self.zone);
        let records = self.all(db).await?;
        let with_start = records.into_iter().map(|record| {
            let start = buckets.start_of(recorded_at::<R>(&record)?)?;
            Ok((start, record))
        });
        with_start.collect()
    }

    /// Refuses to fill more buckets than may be.
    fn bounded(&self, buckets: usize, rows: usize) -> Result<(), RecordError> {
        let filled = buckets.saturating_mul(rows);
        if filled <= self.most.buckets {
            return Ok(());
        }
        Err(self.most.exceeded(&format!("{filled} buckets or more")))
    }

    /// What tells rows apart: nothing where they are taken together.
    fn key_of(&self, record: &R::Model) -> Key {
        match self.all_rows {
            true => Key::new(),
            false => key_of::<R>(record),
        }
    }

    fn row_of(&self, record: &R::Model) -> RowKey {
        match self.all_rows {
            true => RowKey::default(),
            false => RowKey::of::<R>(record),
        }
    }
}

/// A time that a query found, whether or not its column has a zone.
fn time_in(row: &QueryResult, column: &str) -> Result<Option<DateTime<Utc>>, DbErr> {
    row.try_get("", column).or_else(|_| {
        let local: Option<NaiveDateTime> = row.try_get("", column)?;
        Ok(local.map(|at| at.and_utc()))
    })
}

/// The time of a record, whichever of chrono's types its column has.
pub(super) fn recorded_at<R: RecordEntity>(record: &R::Model) -> Result<DateTime<Utc>, DbErr> {
    utc(record.get(R::RECORDED_AT)).ok_or_else(|| {
        let problem = format!(
            "`recorded_at` of `{}` must be a chrono `DateTime<Utc>`",
            table_of::<R>()
        );
        RecordError::plan(source_table_of::<R>(), problem).into()
    })
}
