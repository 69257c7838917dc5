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
//! | `resample/cuts.rs` | where time is cut, and which pieces have records |
//! | `resample/fill.rs` | what was in force at the beginning of each bucket; empty buckets |
//! | `resample/measure.rs` | numbers of a bucket's records |
//! | `resample/one_row.rs` | one row: a seek for each bucket |
//! | `resample/rows.rs` | the rows that buckets are of |
//! | `resample/scope.rs` | a select apart from its window |
//! | `resample/weighted.rs` | means by the time in which values held |

pub mod agg;
mod cuts;
mod fill;
mod measure;
mod one_row;
mod rows;
mod scope;
mod weighted;

use std::collections::HashSet;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, ModelTrait, Order, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Select,
};

use self::agg::{Agg, Aggregate};
use self::cuts::{Interval, Most};
pub use self::fill::{Bucket, WithGaps};
use self::one_row::{OneRow, STATEMENT};
use super::{between, own, table_of, unordered, utc};
use crate::dialect::{Dialect, bind_time};
use crate::time::{Buckets, Every, Window};
use crate::typed::Key;
use crate::{RecordEntity, RecordError};

/// Buckets that are looked at together. Twice as many records are read at most.
const STEP: usize = 4_096;

/// So few buckets are sought one by one without asking whether that pays.
const FEW: usize = 2 * STATEMENT;

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
    window: Option<Window>,
    most: Most,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    First,
    Last,
}

impl Pick {
    fn of(self, column: Expr) -> Expr {
        match self {
            Self::First => column.min(),
            Self::Last => column.max(),
        }
    }

    fn order(self) -> Order {
        match self {
            Self::First => Order::Asc,
            Self::Last => Order::Desc,
        }
    }
}

/// What the selected records span; both ends are within.
struct Span<R: RecordEntity> {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    /// Where the records are of one row.
    row: Option<OneRow<R>>,
    /// Whether they are all that the row has in this span.
    whole: bool,
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

    /// Looks at a window, as the windows of [`RecordQuery`](super::RecordQuery) do, beside any
    /// filter. Default: all of time, or the window of the query.
    ///
    /// A value that held when it begins is known to [`forward_fill`](Self::forward_fill) and
    /// [`time_weighted_mean`](agg::time_weighted_mean).
    pub fn within(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// How many buckets, of all rows together, may be filled that have no record of their own.
    /// Default: 100,000. More are an error.
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

    async fn picked<C: ConnectionTrait>(self, db: &C) -> Result<Vec<R::Model>, DbErr> {
        let buckets = Buckets::new(self.every, self.zone);
        let Some(span) = self.span(db, &buckets).await? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let mut from = buckets.start_of(span.first)?;
        while from <= span.last {
            let edges = buckets.edges(from, span.last, STEP)?;
            let (Some(&end), true) = (edges.last(), edges.len() > 1) else {
                break;
            };
            let few = span.row.is_some() && edges.len() <= FEW;
            let piece = self.between(from, end);
            if !few && are_sparse(&piece, edges.len() - 1, db).await? {
                from = self.read_and_pick(db, &buckets, from, &mut found).await?;
                continue;
            }
            let intervals: Vec<_> = edges.windows(2).map(|edge| (edge[0], edge[1])).collect();
            found.extend(match &span.row {
                Some(row) => self.seek(db, &intervals, row, &span).await?,
                None => self.group(db, &intervals).await?,
            });
            from = end;
        }
        Ok(found)
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

    async fn span<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &Buckets,
    ) -> Result<Option<Span<R>>, DbErr> {
        let Some(row) = OneRow::of(&self.select, db.get_database_backend()) else {
            return self.span_of_any(db).await;
        };
        let ends = match window_of_few(&row, buckets) {
            Some(ends) => Some(ends),
            None => self.ends(self.select.clone(), db).await?,
        };
        Ok(ends.map(|(first, last)| Span {
            first,
            last,
            row: Some(row),
            whole: true,
        }))
    }

    /// The first and the last time of all: two seeks where the records are of one row.
    async fn ends<C: ConnectionTrait>(
        &self,
        select: Select<R>,
        db: &C,
    ) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, DbErr> {
        let end = |pick: Pick| {
            let mut end = select.clone().into_query();
            let end = end.clear_selects().expr(pick.of(own::<R>(R::RECORDED_AT)));
            Expr::SubQuery(None, Box::new(end.take().into()))
        };
        let ends = Query::select()
            .expr_as(end(Pick::First), "first")
            .expr_as(end(Pick::Last), "last")
            .take();
        let Some(row) = db.query_one(&ends).await.map_err(failed::<R>)? else {
            return Ok(None);
        };
        Ok(time_in(&row, "first")?.zip(time_in(&row, "last")?))
    }

    /// The first and the last record by key and time; for several rows, by time alone.
    async fn span_of_any<C: ConnectionTrait>(&self, db: &C) -> Result<Option<Span<R>>, DbErr> {
        let keys = || R::key().into_iter().map(|(_, column)| column);
        let end = |order: Order, by_key: bool| {
            let select = if by_key {
                keys().fold(self.select.clone(), |select, key| {
                    select.order_by(key, order.clone())
                })
            } else {
                self.select.clone()
            };
            self.one(db, select.order_by(R::RECORDED_AT, order))
        };
        let (Some(mut first), Some(mut last)) =
            (end(Order::Asc, true).await?, end(Order::Desc, true).await?)
        else {
            return Ok(None);
        };
        let key_of = |record: &R::Model| -> Key { keys().map(|key| record.get(key)).collect() };
        let row = Some(key_of(&first)).filter(|key| *key == key_of(&last));
        if row.is_none() {
            first = end(Order::Asc, false).await?.unwrap_or(first);
            last = end(Order::Desc, false).await?.unwrap_or(last);
        }
        Ok(Some(Span {
            first: recorded_at::<R>(&first)?,
            last: recorded_at::<R>(&last)?,
            row: row.map(OneRow::whole),
            whole: false,
        }))
    }

    async fn one<C: ConnectionTrait>(
        &self,
        db: &C,
        select: Select<R>,
    ) -> Result<Option<R::Model>, DbErr> {
        select.one(db).await.map_err(failed::<R>)
    }

    async fn read<C: ConnectionTrait>(
        &self,
        db: &C,
        select: Select<R>,
    ) -> Result<Vec<R::Model>, DbErr> {
        let keys = R::key().into_iter().map(|(_, column)| column);
        let by_time = select.order_by_asc(R::RECORDED_AT);
        let select = keys.fold(by_time, |select, key| select.order_by_asc(key));
        select.all(db).await.map_err(failed::<R>)
    }

    fn between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Select<R> {
        between(self.select.clone(), Some(from), Some(until))
    }

    /// Reads records from `from` on, picks those of whole buckets, and answers where to go on.
    async fn read_and_pick<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &Buckets,
        from: DateTime<Utc>,
        found: &mut Vec<R::Model>,
    ) -> Result<DateTime<Utc>, DbErr> {
        let most = 2 * STEP;
        let select = self
            .select
            .clone()
            .filter(R::RECORDED_AT.gte(bind_time(from)))
            .limit(most as u64 + 1);
        let records = self.read(db, select).await?;
        let is_rest = records.len() <= most;
        let mut placed = Vec::with_capacity(records.len());
        for record in records {
            placed.push((buckets.start_of(recorded_at::<R>(&record)?)?, record));
        }
        let unfinished = placed.last().map(|(start, _)| *start);
        let next = match (is_rest, unfinished) {
            (false, Some(start)) if start > from => start,
            // One bucket holds more than was read, which cannot be sparse; or this was the rest.
            (false, _) => return self.pick_one_bucket(db, buckets, from, found).await,
            (true, _) => after_all(),
        };
        placed.retain(|(start, _)| *start < next);
        found.extend(pick_from::<R>(placed, self.pick));
        Ok(next)
    }

    async fn pick_one_bucket<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &Buckets,
        from: DateTime<Utc>,
        found: &mut Vec<R::Model>,
    ) -> Result<DateTime<Utc>, DbErr> {
        let next = buckets.next(from)?;
        found.extend(self.group(db, &[(from, next)]).await?);
        Ok(next)
    }

    /// One row: each bucket is a seek in the index.
    ///
    /// The seeks leave the user's filters out, since bounds of time among them spoil the seek on
    /// SQLite and MariaDB. Where all that they find passes the filters it is the answer: what is last
    /// of all is last of some. Otherwise the filters go into the seeks.
    async fn seek<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
        row: &OneRow<R>,
        span: &Span<R>,
    ) -> Result<Vec<R::Model>, DbErr> {
        let after_last = span.last.checked_add_signed(TimeDelta::microseconds(1));
        let within = |edge: DateTime<Utc>| edge.clamp(span.first, after_last.unwrap_or(span.last));
        let clipped = buckets
            .iter()
            .map(|(from, until)| (within(*from), within(*until)));
        let clipped: Vec<_> = clipped.collect();
        let mut found = row.seek(db, &clipped, self.pick).await?;
        if span.whole {
            found.sort_by_cached_key(|record| recorded_at::<R>(record).ok());
            return Ok(found);
        }
        let times: HashSet<_> = times_of::<R>(&found)?;
        let passed = self.read_at(db, &times).await?;
        if times_of::<R>(&passed)?.len() == times.len() {
            return Ok(passed);
        }
        let times = self.pick_times(db, buckets).await?;
        self.read_at(db, &times).await
    }

    async fn pick_times<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
    ) -> Result<HashSet<DateTime<Utc>>, DbErr> {
        let mut times = HashSet::new();
        for buckets in buckets.chunks(self.union(db)) {
            let picks = self.of_each(buckets, &[]);
            for row in db.query_all(&picks).await.map_err(failed::<R>)? {
                times.extend(time_in(&row, PICKED)?);
            }
        }
        Ok(times)
    }

    async fn read_at<C: ConnectionTrait>(
        &self,
        db: &C,
        times: &HashSet<DateTime<Utc>>,
    ) -> Result<Vec<R::Model>, DbErr> {
        if times.is_empty() {
            return Ok(Vec::new());
        }
        let times = times.iter().copied().map(bind_time);
        let picked = self.select.clone();
        self.read(db, picked.filter(own::<R>(R::RECORDED_AT).is_in(times)))
            .await
    }

    /// Several rows: the records of a bucket are grouped by row.
    async fn group<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
    ) -> Result<Vec<R::Model>, DbErr> {
        let keys: Vec<_> = R::key().into_iter().map(|(_, column)| column).collect();
        let mut found = Vec::new();
        for buckets in buckets.chunks(self.union(db)) {
            let (Some((from, _)), Some((_, until))) = (buckets.first(), buckets.last()) else {
                continue;
            };
            // A derived table, which is made once.
            let groups = Query::select()
                .expr(Expr::cust("*"))
                .from_subquery(self.of_each(buckets, &keys), "picks")
                .take();
            let place = keys.iter().copied().map(own::<R>);
            let place = Expr::tuple(place.chain([own::<R>(R::RECORDED_AT)]));
            let picked = self.between(*from, *until);
            let picked = picked.filter(place.in_subquery(groups));
            found.extend(self.read(db, picked).await?);
        }
        Ok(found)
    }

    /// How many buckets' picks are one statement: each repeats what the user's filters bind.
    fn union<C: ConnectionTrait>(&self, db: &C) -> usize {
        let statement = QueryTrait::build(&self.select, db.get_database_backend());
        let bound = statement.values.map_or(0, |values| values.0.len()) + 2;
        let most = Dialect::of(db).max_parameters().saturating_sub(bound);
        (most / bound).clamp(1, STATEMENT)
    }

    /// The time to pick of each bucket, in one statement, grouped by keys.
    ///
    /// A query for each: its edges are constants, by which every database seeks in an index,
    /// whatever the user's filters are.
    fn of_each(&self, buckets: &[Interval], keys: &[R::Column]) -> SelectStatement {
        let picks = buckets.iter().map(|(from, until)| {
            let mut pick = self.between(*from, *until).into_query();
            pick.clear_selects();
            for key in keys {
                pick.expr(own::<R>(*key)).add_group_by([own::<R>(*key)]);
            }
            pick.expr_as(self.pick.of(own::<R>(R::RECORDED_AT)), PICKED)
                .take()
        });
        let union = picks.reduce(|mut first, next| first.union(UnionType::All, next).take());
        union.unwrap_or_default()
    }
}

/// Whether at most two records a bucket are there, so that reading all of them is cheapest.
async fn are_sparse<R: RecordEntity, C: ConnectionTrait>(
    records: &Select<R>,
    buckets: usize,
    db: &C,
) -> Result<bool, DbErr> {
    let most = 2 * buckets as u64;
    let mut some = records.clone().into_query();
    some.clear_selects()
        .expr_as(Expr::val(1), "one")
        .limit(most + 1);
    let count = Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "records")
        .from_subquery(some, "some")
        .take();
    let row = db.query_one(&count).await.map_err(failed::<R>)?;
    let records: i64 = row.map_or(Ok(0), |row| row.try_get("", "records"))?;
    Ok(u64::try_from(records).is_ok_and(|records| records <= most))
}

/// The ends of a row's window, where few buckets fill it: nobody needs to ask what is in them.
fn window_of_few<R: RecordEntity>(
    row: &OneRow<R>,
    buckets: &Buckets,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let first = row.since?;
    let last = row.until?.checked_sub_signed(TimeDelta::microseconds(1))?;
    let edges = buckets.edges(first, last, FEW).ok()?;
    (edges.len() <= FEW).then_some((first, last))
}

fn times_of<R: RecordEntity>(records: &[R::Model]) -> Result<HashSet<DateTime<Utc>>, DbErr> {
    records.iter().map(recorded_at::<R>).collect()
}

/// A time that a query found, whether or not its column has a zone.
fn time_in(row: &QueryResult, column: &str) -> Result<Option<DateTime<Utc>>, DbErr> {
    row.try_get("", column).or_else(|_| {
        let local: Option<NaiveDateTime> = row.try_get("", column)?;
        Ok(local.map(|at| at.and_utc()))
    })
}

fn after_all() -> DateTime<Utc> {
    DateTime::<Utc>::MAX_UTC
}

/// The first or last of each row and bucket, of records in the order of time.
fn pick_from<R: RecordEntity>(placed: Vec<(DateTime<Utc>, R::Model)>, pick: Pick) -> Vec<R::Model> {
    let keys: Vec<_> = R::key().into_iter().map(|(_, column)| column).collect();
    let mut seen = HashSet::new();
    let mut is_new = |start: DateTime<Utc>, record: &R::Model| {
        let key: Key = keys.iter().map(|key| record.get(*key)).collect();
        seen.insert((start, key))
    };
    let mut picked: Vec<R::Model> = match pick {
        Pick::First => placed
            .into_iter()
            .filter(|(start, record)| is_new(*start, record))
            .map(|(_, record)| record)
            .collect(),
        Pick::Last => {
            let last_first = placed.into_iter().rev();
            last_first
                .filter(|(start, record)| is_new(*start, record))
                .map(|(_, record)| record)
                .collect()
        }
    };
    if pick == Pick::Last {
        picked.reverse();
    }
    picked
}

/// The time of a record, whichever of chrono's types its column has.
pub(super) fn recorded_at<R: RecordEntity>(record: &R::Model) -> Result<DateTime<Utc>, DbErr> {
    utc(record.get(R::RECORDED_AT)).ok_or_else(|| {
        let problem = format!(
            "`recorded_at` of `{}` must be a chrono `DateTime<Utc>`",
            table_of::<R>()
        );
        RecordError::plan(table_of::<R>(), problem).into()
    })
}

fn failed<R: RecordEntity>(source: DbErr) -> DbErr {
    let table = table_of::<R>();
    RecordError::database(table, format!("resampling `{table}`"), source).into()
}
