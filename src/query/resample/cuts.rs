//! Where the time of records is cut, and which pieces have any.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{
    ArrayType, Expr, ExprTrait, Func, JoinType, Query, SelectStatement, UnionType,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, QueryFilter, QueryTrait, Select, Value};

use super::one_row::STATEMENT;
use super::{Resample, time_in};
use crate::dialect::{BucketSeek, Dialect, bind_time};
use crate::query::{between, own, table_of};
use crate::recorded::unread;
use crate::time::{Buckets, MICROSECOND};
use crate::{RecordEntity, RecordError};

/// Buckets that are looked at together. Twice as many records are read at most.
pub(super) const STEP: usize = 4_096;

/// So few buckets are sought one by one without asking whether that pays.
pub(super) const FEW: usize = 2 * STATEMENT;

/// From when, and before when.
pub(super) type Interval = (DateTime<Utc>, DateTime<Utc>);

/// Buckets, perhaps a microsecond late: then each piece ends with the start of a bucket, as what
/// fills it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts {
    buckets: Buckets,
    late: TimeDelta,
}

impl Cuts {
    pub(super) fn of<R: RecordEntity>(resample: &Resample<R>) -> Self {
        Self {
            buckets: Buckets::new(resample.every, resample.zone),
            late: TimeDelta::zero(),
        }
    }

    pub(super) fn late(self) -> Self {
        Self {
            late: MICROSECOND,
            ..self
        }
    }

    /// The piece that holds a record of this time.
    pub(super) fn interval_of(&self, t: DateTime<Utc>) -> Result<Interval, RecordError> {
        let start = self.buckets.start_of(t - self.late)?;
        Ok((start + self.late, self.buckets.next(start)? + self.late))
    }

    /// At most `limit` pieces, from the one that holds `from` to the one that holds `last`.
    fn intervals(
        &self,
        from: DateTime<Utc>,
        last: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Interval>, RecordError> {
        let edges = self
            .buckets
            .edges(from - self.late, last - self.late, limit)?;
        let interval = |edge: &[DateTime<Utc>]| (edge[0] + self.late, edge[1] + self.late);
        Ok(edges.windows(2).map(interval).collect())
    }

    /// The beginnings of all buckets from one instant to another, where there are not too many.
    pub(super) fn starts<E: From<RecordError>>(
        &self,
        first: DateTime<Utc>,
        last: DateTime<Utc>,
        most: Most,
    ) -> Result<Vec<DateTime<Utc>>, E> {
        let mut edges = self.buckets.edges(first, last, most.buckets)?;
        match edges.pop() {
            Some(end) if end <= last => Err(most.exceeded(&format!(
                "more than {} buckets of `{}`",
                most.buckets,
                self.buckets.every()
            )))?,
            _ => Ok(edges),
        }
    }
}

/// How many buckets are filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) table: &'static str,
    pub(super) buckets: usize,
}

impl Most {
    pub(super) fn of<R: RecordEntity>() -> Self {
        Self {
            table: table_of::<R>(),
            buckets: 100_000,
        }
    }

    pub(super) fn exceeded(self, what: &str) -> RecordError {
        let problem = format!(
            "{what} would have to be filled, and {} may be; take a longer rule or a shorter window, \
             or raise the limit by `fill_at_most`",
            self.buckets
        );
        RecordError::resample(self.table, problem)
    }
}

/// The pieces in which records lie, some thousands at a time; where records are many, also empty ones
/// between them.
pub(super) struct Occupied<R: RecordEntity> {
    select: Select<R>,
    cuts: Cuts,
    next: Option<DateTime<Utc>>,
    last: DateTime<Utc>,
}

impl<R: RecordEntity> Occupied<R> {
    /// Those of what is selected from `first` to `last`.
    pub(super) fn new(
        select: Select<R>,
        cuts: Cuts,
        first: DateTime<Utc>,
        last: DateTime<Utc>,
    ) -> Self {
        Self {
            select,
            cuts,
            next: Some(first),
            last,
        }
    }

    pub(super) async fn next<C: ConnectionTrait>(
        &mut self,
        db: &C,
    ) -> Result<Option<Vec<Interval>>, DbErr> {
        let Some(from) = self.next.take().filter(|from| *from <= self.last) else {
            return Ok(None);
        };
        let all = self.cuts.intervals(from, self.last, STEP)?;
        let Some((_, end)) = all.last().copied() else {
            return Ok(None);
        };
        let piece = between(self.select.clone(), Some(from), Some(end));
        if all.len() > FEW && are_sparse(&piece, all.len(), db).await? {
            return self.by_times(from, db).await.map(Some);
        }
        self.next = Some(end);
        Ok(Some(all))
    }

    /// The pieces of the next records, whose times alone are read.
    async fn by_times<C: ConnectionTrait>(
        &mut self,
        from: DateTime<Utc>,
        db: &C,
    ) -> Result<Vec<Interval>, DbErr> {
        let most = 2 * STEP;
        let records = self.select.clone();
        let records = records
            .filter(R::RECORDED_AT.gte(bind_time(from)))
            .filter(R::RECORDED_AT.lte(bind_time(self.last)));
        let mut times = records.into_query();
        times
            .clear_selects()
            .expr_as(own::<R>(R::RECORDED_AT), "at")
            .order_by_expr(own::<R>(R::RECORDED_AT), sea_orm::Order::Asc)
            .limit(most as u64);
        let rows = db.query_all(&times).await.map_err(unread::<R>)?;
        let mut intervals = BTreeSet::new();
        for row in &rows {
            if let Some(at) = time_in(row, "at")? {
                intervals.insert(self.cuts.interval_of(at)?);
            }
        }
        if rows.len() == most {
            self.next = intervals.last().map(|(_, end)| *end);
        }
        Ok(intervals.into_iter().collect())
    }
}

/// Whether at most two records a bucket are there, so that reading all of them is cheapest.
pub(super) async fn are_sparse<R: RecordEntity, C: ConnectionTrait>(
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
    let row = db.query_one(&count).await.map_err(unread::<R>)?;
    let records: i64 = row.map_or(Ok(0), |row| row.try_get("", "records"))?;
    Ok(u64::try_from(records).is_ok_and(|records| records <= most))
}

/// A bucket in SQL: its place among those of a statement, and its edges.
pub(super) struct Edges {
    pub(super) place: Expr,
    pub(super) from: Expr,
    pub(super) until: Expr,
}

impl Edges {
    /// Whether a record lies between them.
    pub(super) fn hold(&self, at: Expr) -> Expr {
        let from = at.clone().gte(self.from.clone());
        from.and(at.lt(self.until.clone()))
    }
}

/// What `group` selects of each bucket.
///
/// Elsewhere than on PostgreSQL a query for each, whose edges are constants, by which every database
/// seeks in an index; there planning hundreds of queries takes longer than running them.
pub(super) fn of_each_bucket(
    dialect: Dialect,
    buckets: &[Interval],
    group: impl Fn(Edges) -> SelectStatement,
) -> SelectStatement {
    if dialect.bucket_seek() == BucketSeek::Lateral {
        let edge = |name: &'static str| Expr::col(("v", name));
        let group = group(Edges {
            place: edge("place"),
            from: edge("column1"),
            until: edge("column2"),
        });
        return Query::select()
            .expr(Expr::cust("g.*"))
            .from_subquery(of_arrays(buckets), "v")
            .join_lateral(JoinType::InnerJoin, group, "g", Expr::cust("TRUE"))
            .take();
    }
    let groups = buckets.iter().zip(0_i64..).map(|((from, until), place)| {
        group(Edges {
            place: Expr::val(place),
            from: Expr::val(bind_time(*from)),
            until: Expr::val(bind_time(*until)),
        })
    });
    let union = groups.reduce(|mut first, next| first.union(UnionType::All, next).take());
    union.unwrap_or_default()
}

/// Arrays, so that the text is the same for any number of buckets and is planned once.
pub(super) fn of_arrays(buckets: &[Interval]) -> SelectStatement {
    let array = |edge: fn(&Interval) -> DateTime<Utc>| {
        let edges = buckets.iter().map(edge).map(bind_time).collect();
        Value::Array(ArrayType::ChronoDateTimeWithTimeZone, Some(Box::new(edges)))
    };
    let places = (0..buckets.len()).map(|place| Value::from(place as i64));
    let places = Value::Array(ArrayType::BigInt, Some(Box::new(places.collect())));
    let unnest = |values: Value| Func::cust("unnest").arg(Expr::val(values));
    Query::select()
        .expr_as(unnest(array(|(from, _)| *from)), "column1")
        .expr_as(unnest(array(|(_, until)| *until)), "column2")
        .expr_as(unnest(places), "place")
        .take()
}
