//! What changed between two moments.

use std::fmt;

use chrono::{DateTime, Utc};
use futures_util::stream::{Stream, TryStreamExt};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{
    ConnectionTrait, DbErr, IdenStatic, ModelTrait, QueryFilter, QueryOrder, QueryTrait, Select,
    Value,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::as_of::{all, among};
use super::changes::{PAGE, each, paged};
use super::diff::value_columns;
use super::records::instant;
use super::{Diff, Window, beyond, held, keys, own, source_table_of, unordered, within_years};
use crate::dialect::{Dialect, bind_time};
use crate::time::truncate_to_micros;
use crate::{Event, RecordEntity};

/// The last record of each row in the window.
const LAST: &str = "last_between";

/// How a row differs between two moments; see [`RecordQuery::diff_between`](super::RecordQuery::diff_between).
///
/// Displayed, it names the row and what changed; serialized, it is
/// `{"row": {"recording_id": 1}, "changed": {"title": {"before": "One", "after": "Two"}}}`, or has
/// `added` or `removed` with the recorded values.
#[derive(Clone, Debug)]
pub enum RowDiff<R: RecordEntity> {
    /// It was not there, and is: the record that holds at the later moment.
    Added(R::Model),
    /// It was there, and is not: the record that held at the earlier moment.
    Removed(R::Model),
    /// It was there at both, and a recorded value differs.
    Changed {
        /// The record that held at the first moment.
        before: R::Model,
        /// The record that held at the second.
        after: R::Model,
    },
}

impl<R: RecordEntity> RowDiff<R> {
    /// From what held at two moments; nothing where it is the same.
    fn of(before: Option<R::Model>, after: Option<R::Model>) -> Option<Self> {
        match (before.filter(is_there::<R>), after.filter(is_there::<R>)) {
            (None, None) => None,
            (None, Some(after)) => Some(Self::Added(after)),
            (Some(before), None) => Some(Self::Removed(before)),
            (Some(before), Some(after)) => {
                let same = Diff::between(&before, &after).is_empty();
                (!same).then_some(Self::Changed { before, after })
            }
        }
    }

    /// What changed in a row that was there at both moments.
    pub fn diff(&self) -> Option<Diff> {
        match self {
            Self::Changed { before, after } => Some(Diff::between(before, after)),
            Self::Added(_) | Self::Removed(_) => None,
        }
    }

    /// The record that held at the first moment, if the row was there.
    pub fn before(&self) -> Option<&R::Model> {
        match self {
            Self::Removed(before) | Self::Changed { before, .. } => Some(before),
            Self::Added(_) => None,
        }
    }

    /// The record that held at the second moment, if the row was there.
    pub fn after(&self) -> Option<&R::Model> {
        match self {
            Self::Added(after) | Self::Changed { after, .. } => Some(after),
            Self::Removed(_) => None,
        }
    }

    fn any(&self) -> &R::Model {
        match self {
            Self::Added(record) | Self::Removed(record) => record,
            Self::Changed { after, .. } => after,
        }
    }
}

/// Whether a record says that the row is there.
pub(super) fn is_there<R: RecordEntity>(record: &R::Model) -> bool {
    record.get(R::EVENT) != Value::from(Event::Deleted.as_str())
}

impl<R: RecordEntity> fmt::Display for RowDiff<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", source_table_of::<R>())?;
        for key in keys::<R>() {
            let value = sea_orm::sea_query::sea_value_to_json_value(&self.any().get(key));
            write!(f, " {value}")?;
        }
        match self {
            Self::Added(_) => f.write_str(": added"),
            Self::Removed(_) => f.write_str(": removed"),
            Self::Changed { before, after } => {
                for change in Diff::between(before, after).changes() {
                    write!(f, "\n  {change}")?;
                }
                Ok(())
            }
        }
    }
}

impl<R: RecordEntity> Serialize for RowDiff<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("row", &object::<R>(self.any(), keys::<R>()))?;
        let values = |record| object::<R>(record, value_columns::<R>().into_iter());
        match self {
            Self::Added(record) => map.serialize_entry("added", &values(record))?,
            Self::Removed(record) => map.serialize_entry("removed", &values(record))?,
            Self::Changed { before, after } => {
                map.serialize_entry("changed", &Diff::between(before, after))?;
            }
        }
        map.end()
    }
}

fn object<R: RecordEntity>(
    record: &R::Model,
    columns: impl Iterator<Item = R::Column>,
) -> serde_json::Map<String, serde_json::Value> {
    let json = |column| sea_orm::sea_query::sea_value_to_json_value(&record.get(column));
    columns
        .map(|column| (column.as_str().to_owned(), json(column)))
        .collect()
}

/// What changed between two moments, a row at a time in the order of keys; see
/// [`RecordQuery::diff_between`](super::RecordQuery::diff_between).
///
/// ```
/// # use sea_orm::entity::prelude::*;
/// # use sea_orm_record::prelude::*;
/// # async fn example<E>(db: &DatabaseConnection, monday: DateTimeUtc, friday: DateTimeUtc) -> Result<(), DbErr>
/// # where E: Recorded<Record: RecordEntity<Model: Sync>> {
/// for row in E::diff_between(monday, friday).all(db).await? {
///     println!("{row}");                               // article 3: added
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct DiffBetween<R: RecordEntity> {
    select: Select<R>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl<R: RecordEntity> DiffBetween<R> {
    pub(super) fn new(select: Select<R>, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let mut select = unordered(select);
        QueryTrait::query(&mut select).reset_limit().reset_offset();
        Self { select, from, to }
    }

    /// The earlier moment, and the later.
    fn ends(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        match self.from <= self.to {
            true => (self.from, self.to),
            false => (self.to, self.from),
        }
    }

    /// The last records of rows that have any after the earlier moment, up to the later one.
    fn last(&self, dialect: Dialect, after: Option<&[Value]>) -> Select<R> {
        let (earlier, later) = self.ends();
        let mut last = among(dialect, &self.select).unwrap_or_else(all::<R>);
        last.and_where(held::<R>(later)).limit(PAGE as u64);
        if earlier >= Window::EARLIEST {
            let earlier = bind_time(truncate_to_micros(within_years(earlier)));
            last.and_where(own::<R>(R::RECORDED_AT).gt(earlier));
        }
        if let Some(after) = after {
            let columns: Vec<_> = keys::<R>().map(own::<R>).collect();
            last.cond_where(beyond(&columns, after, &Order::Asc));
        }
        let mut on = Expr::col((LAST, R::RECORDED_AT)).eq(own::<R>(R::RECORDED_AT));
        for key in keys::<R>() {
            last.expr(own::<R>(key)).add_group_by([own::<R>(key)]);
            last.order_by_expr(own::<R>(key), Order::Asc);
            on = on.and(Expr::col((LAST, key)).eq(own::<R>(key)));
        }
        last.expr_as(own::<R>(R::RECORDED_AT).max(), R::RECORDED_AT.as_str());
        let mut select = keys::<R>().fold(R::find(), |select, key| select.order_by_asc(key));
        QueryTrait::query(&mut select).join_subquery(JoinType::InnerJoin, last, LAST, on);
        select
    }

    /// The last record of the same row at the earlier moment.
    fn first(&self, last: &R::Model) -> Select<R> {
        of_row::<R>(R::find(), last)
            .filter(held::<R>(self.ends().0))
            .order_by_desc(R::RECORDED_AT)
    }

    fn is_filtered(&self) -> bool {
        let mut select: SelectStatement = self.select.clone().into_query();
        select.clear_selects();
        select != Query::select().from(R::default().table_ref()).take()
    }
}

/// A select of the records of the same row as this one.
fn of_row<R: RecordEntity>(select: Select<R>, record: &R::Model) -> Select<R> {
    keys::<R>().fold(select, |select, key| {
        select.filter(own::<R>(key).eq(record.get(key)))
    })
}

impl<R: RecordEntity<Model: Sync>> DiffBetween<R> {
    /// All of them.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<RowDiff<R>>, DbErr> {
        self.stream(db).try_collect().await
    }

    /// One by one. Some hundreds of rows are read at a time, so memory does not grow with their
    /// number.
    ///
    /// Items are errors of the database; the stream ends after one.
    pub fn stream<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Stream<Item = Result<RowDiff<R>, DbErr>> + '_ {
        let diff = std::sync::Arc::new(self);
        paged(None, move |after: Option<Vec<Value>>| {
            let diff = std::sync::Arc::clone(&diff);
            async move { diff.page(db, after).await }
        })
    }

    /// The rows of some keys after one, and the last key where there may be more.
    pub(super) async fn page<C: ConnectionTrait>(
        &self,
        db: &C,
        after: Option<Vec<Value>>,
    ) -> Result<(Vec<RowDiff<R>>, Option<Vec<Value>>), DbErr> {
        let last = self.last(Dialect::of(db), after.as_deref()).all(db).await?;
        let next = last.last().filter(|_| last.len() == PAGE);
        let next = next.map(|last| keys::<R>().map(|key| last.get(key)).collect());
        let first = each(db, last.iter().map(|last| self.first(last))).await?;
        let mut pairs: Vec<_> = first.into_iter().zip(last).collect();
        if self.is_filtered() {
            pairs = self.fitting(db, pairs).await?;
        }
        let forward = self.from <= self.to;
        let rows = pairs.into_iter().filter_map(|(first, last)| match forward {
            true => RowDiff::of(first, Some(last)),
            false => RowDiff::of(Some(last), first),
        });
        Ok((rows.collect(), next))
    }

    /// Those whose first or last record the user's filters let pass.
    async fn fitting<C: ConnectionTrait>(
        &self,
        db: &C,
        pairs: Vec<(Option<R::Model>, R::Model)>,
    ) -> Result<Vec<(Option<R::Model>, R::Model)>, DbErr> {
        let record = |record: &R::Model| {
            let at = own::<R>(R::RECORDED_AT).eq(instant(record.get(R::RECORDED_AT)));
            of_row::<R>(self.select.clone(), record).filter(at)
        };
        let last = each(db, pairs.iter().map(|(_, last)| record(last))).await?;
        let known = pairs
            .iter()
            .map(|(first, last)| first.as_ref().unwrap_or(last));
        let first = each(db, known.map(record)).await?;
        let fits = first.into_iter().zip(last);
        let pairs = pairs.into_iter().zip(fits);
        Ok(pairs
            .filter(|(_, (first, last))| first.is_some() || last.is_some())
            .map(|(pair, _)| pair)
            .collect())
    }
}
