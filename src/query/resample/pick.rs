//! The first or last record of each bucket: where the records lie, and which way is cheapest.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};

use super::cuts::{FEW, Interval, STEP, are_sparse};
use super::one_row::OneRow;
use super::{PICKED, Resample, recorded_at, time_in};
use crate::RecordEntity;
use crate::by_keys::record_key;
use crate::dialect::bind_time;
use crate::query::{between, key_of, ordered_by_key, own};
use crate::recorded::unread;
use crate::time::{Buckets, MICROSECOND};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    First,
    Last,
}

impl Pick {
    pub(super) fn of(self, column: Expr) -> Expr {
        match self {
            Self::First => column.min(),
            Self::Last => column.max(),
        }
    }

    pub(super) fn order(self) -> Order {
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
    pub(super) async fn picked<C: ConnectionTrait>(self, db: &C) -> Result<Vec<R::Model>, DbErr> {
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
                None => self.of_several(db, &intervals).await?,
            });
            from = end;
        }
        Ok(found)
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
    pub(super) async fn ends<C: ConnectionTrait>(
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
        let Some(row) = db.query_one(&ends).await.map_err(unread::<R>)? else {
            return Ok(None);
        };
        Ok(time_in(&row, "first")?.zip(time_in(&row, "last")?))
    }

    /// The first and the last record by key and time; for several rows, by time alone.
    async fn span_of_any<C: ConnectionTrait>(&self, db: &C) -> Result<Option<Span<R>>, DbErr> {
        let end = |order: Order, by_key: bool| {
            let select = match by_key {
                true => ordered_by_key(self.select.clone(), &order),
                false => self.select.clone(),
            };
            self.one(db, select.order_by(R::RECORDED_AT, order))
        };
        let (Some(mut first), Some(mut last)) =
            (end(Order::Asc, true).await?, end(Order::Desc, true).await?)
        else {
            return Ok(None);
        };
        let is_one = key_of::<R>(&first) == key_of::<R>(&last);
        let row =
            is_one.then(|| OneRow::whole(record_key::<R>().zip(key_of::<R>(&first)).collect()));
        if row.is_none() {
            first = end(Order::Asc, false).await?.unwrap_or(first);
            last = end(Order::Desc, false).await?.unwrap_or(last);
        }
        Ok(Some(Span {
            first: recorded_at::<R>(&first)?,
            last: recorded_at::<R>(&last)?,
            row,
            whole: false,
        }))
    }

    async fn one<C: ConnectionTrait>(
        &self,
        db: &C,
        select: Select<R>,
    ) -> Result<Option<R::Model>, DbErr> {
        select.one(db).await.map_err(unread::<R>)
    }

    pub(super) async fn read<C: ConnectionTrait>(
        &self,
        db: &C,
        select: Select<R>,
    ) -> Result<Vec<R::Model>, DbErr> {
        let by_time = select.order_by_asc(R::RECORDED_AT);
        let select = ordered_by_key(by_time, &Order::Asc);
        select.all(db).await.map_err(unread::<R>)
    }

    pub(super) fn between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Select<R> {
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
        found.extend(self.pick_from(placed));
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
        found.extend(self.of_several(db, &[(from, next)]).await?);
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
        let after_last = span.last.checked_add_signed(MICROSECOND);
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

    pub(super) async fn pick_times<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
    ) -> Result<HashSet<DateTime<Utc>>, DbErr> {
        let mut times = HashSet::new();
        for buckets in buckets.chunks(self.union(db)) {
            let picks = self.of_each(buckets, &[]);
            for row in db.query_all(&picks).await.map_err(unread::<R>)? {
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

    /// The first or last of each row and bucket, of records in the order of time.
    fn pick_from(&self, mut placed: Vec<(DateTime<Utc>, R::Model)>) -> Vec<R::Model> {
        let is_last = self.pick == Pick::Last;
        if is_last {
            placed.reverse();
        }
        let mut seen = HashSet::new();
        placed.retain(|(start, record)| seen.insert((*start, self.key_of(record))));
        if is_last {
            placed.reverse();
        }
        placed.into_iter().map(|(_, record)| record).collect()
    }
}

/// The ends of a row's window, where few buckets fill it: nobody needs to ask what is in them.
fn window_of_few<R: RecordEntity>(
    row: &OneRow<R>,
    buckets: &Buckets,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let first = row.ends.since?;
    let last = row.ends.until?.checked_sub_signed(MICROSECOND)?;
    let edges = buckets.edges(first, last, FEW).ok()?;
    (first <= last && edges.len() <= FEW).then_some((first, last))
}

fn times_of<R: RecordEntity>(records: &[R::Model]) -> Result<HashSet<DateTime<Utc>>, DbErr> {
    records.iter().map(recorded_at::<R>).collect()
}

fn after_all() -> DateTime<Utc> {
    DateTime::<Utc>::MAX_UTC
}
