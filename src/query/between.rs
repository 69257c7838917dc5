//! What changed between two moments.

use std::fmt;

use chrono::{DateTime, Utc};
use futures_util::stream::{Stream, TryStreamExt};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryFilter, QueryOrder,
    QueryTrait, Select, Value,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::as_of::{all, among};
use super::changes::{PAGE, each, paged};
use super::diff::{Paint, json_of, values_of, write_change};
use super::json::shown;
use super::records::instant;
use super::restore::{Back, NowAndThen};
use super::{
    Diff, Window, beyond, binds_many, has_records, held, is, key_of, ordered_by_key, own,
    source_table_of, unordered, within_years,
};
use crate::by_keys::record_key;
use crate::dialect::{Dialect, bind_time};
use crate::recorded::unread;
use crate::time::truncate_to_micros;
use crate::{ColumnOf, Event, RecordEntity};

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
    pub(super) fn of(before: Option<R::Model>, after: Option<R::Model>) -> Option<Self> {
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

    /// What changed in a row that was there at both moments; `None` for one that was not.
    pub fn diff(&self) -> Option<Diff> {
        match self {
            Self::Changed { before, after } => Some(Diff::between(before, after)),
            Self::Added(_) | Self::Removed(_) => None,
        }
    }

    /// The record that held at the first moment; `None` if the row was not there.
    pub fn before(&self) -> Option<&R::Model> {
        match self {
            Self::Removed(before) | Self::Changed { before, .. } => Some(before),
            Self::Added(_) => None,
        }
    }

    /// The record that held at the second moment; `None` if the row was not there.
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
    let event = record.get(R::EVENT);
    let endings = Event::ENDINGS.map(|ending| Value::from(ending.as_str()));
    !endings.contains(&event)
}

impl<R: RecordEntity> RowDiff<R> {
    /// The same for a terminal, as [`Diff::colored`] is.
    #[cfg(feature = "color")]
    pub fn colored(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| self.show(f, &Paint::of_stdout()))
    }

    fn show(&self, f: &mut fmt::Formatter<'_>, paint: &Paint) -> fmt::Result {
        write!(f, "{}", source_table_of::<R>())?;
        for key in record_key::<R>() {
            write!(f, " {}", shown(&self.any().get(key)))?;
        }
        match self {
            Self::Added(_) => f.write_str(": added"),
            Self::Removed(_) => f.write_str(": removed"),
            Self::Changed { before, after } => {
                for change in Diff::between(before, after).changes() {
                    f.write_str("\n  ")?;
                    write_change(f, change, paint)?;
                }
                Ok(())
            }
        }
    }
}

impl<R: RecordEntity> fmt::Display for RowDiff<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, &Paint::default())
    }
}

impl<R: RecordEntity> Serialize for RowDiff<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("row", &json_of(self.any(), record_key::<R>()))?;
        match self {
            Self::Added(record) => map.serialize_entry("added", &values_of(record))?,
            Self::Removed(record) => map.serialize_entry("removed", &values_of(record))?,
            Self::Changed { before, after } => {
                map.serialize_entry("changed", &Diff::between(before, after))?;
            }
        }
        map.end()
    }
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
    /// Where rows are to be put back: what of them.
    back: Option<Back<ColumnOf<R::Recording>>>,
}

impl<R: RecordEntity> DiffBetween<R> {
    pub(super) fn new(select: Select<R>, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let mut select = unordered(select);
        QueryTrait::query(&mut select).reset_limit().reset_offset();
        Self {
            select,
            from,
            to,
            back: None,
        }
    }

    /// Leaves rows alone of which nothing is to be put back.
    pub(super) fn for_restoring(mut self, back: Back<ColumnOf<R::Recording>>) -> Self {
        self.back = Some(back);
        self
    }

    /// The earlier moment, and the later.
    fn ends(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        match self.from <= self.to {
            true => (self.from, self.to),
            false => (self.to, self.from),
        }
    }

    /// The last records of rows that have any after the earlier moment, up to the later one.
    fn last(&self, dialect: Dialect, after: Option<&[Value]>, order: &Order) -> Select<R> {
        let (earlier, later) = self.ends();
        let mut last = self.of_rows(dialect);
        last.and_where(held::<R>(later)).limit(PAGE as u64);
        if earlier >= Window::EARLIEST {
            let earlier = bind_time(truncate_to_micros(within_years(earlier)));
            last.and_where(own::<R>(R::RECORDED_AT).gt(earlier));
        }
        if let Some(after) = after {
            let columns: Vec<_> = record_key::<R>().collect();
            last.cond_where(beyond::<R>(&columns, after, order));
        }
        let mut on = Expr::col((LAST, R::RECORDED_AT)).eq(own::<R>(R::RECORDED_AT));
        for key in record_key::<R>() {
            last.expr(own::<R>(key)).add_group_by([own::<R>(key)]);
            last.order_by_expr(own::<R>(key), order.clone());
            on = on.and(Expr::col((LAST, key)).eq(own::<R>(key)));
        }
        last.expr_as(own::<R>(R::RECORDED_AT).max(), R::RECORDED_AT.as_str());
        if binds_many(&last) {
            last.and_having(has_records());
        }
        let mut select = ordered_by_key(R::find(), order);
        QueryTrait::query(&mut select).join_subquery(JoinType::InnerJoin, last, LAST, on);
        select
    }

    /// All records of the rows that the filters may be about, where those name keys: also records
    /// that do not fit them, for the last of all is looked for.
    fn of_rows(&self, dialect: Dialect) -> SelectStatement {
        let Some(mut fitting) = among(dialect, &self.select) else {
            return all::<R>();
        };
        if names_keys_alone::<R>(dialect, &fitting) {
            return fitting;
        }
        for key in record_key::<R>() {
            fitting.expr(own::<R>(key));
        }
        let mut records = all::<R>();
        let key = Expr::tuple(record_key::<R>().map(own::<R>));
        records.and_where(key.in_subquery(fitting));
        records
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

/// The record that holds at the later moment, and the one that held at the earlier.
type LastAndFirst<R> = NowAndThen<<R as EntityTrait>::Model>;

/// Rows that are read together.
pub(super) struct Page<R: RecordEntity> {
    pub(super) rows: Vec<RowDiff<R>>,
    /// How many rows are left alone, since it is not known whether they were there.
    pub(super) kept: u64,
    /// The last key, where there may be more.
    pub(super) next: Option<Vec<Value>>,
}

fn names_keys_alone<R: RecordEntity>(dialect: Dialect, statement: &SelectStatement) -> bool {
    let keys: Vec<_> = record_key::<R>().map(|key| key.as_str()).collect();
    let (names, words) = (dialect.names(statement), dialect.words(statement));
    let is_named = |name: &str| names.contains(name) || words.contains(&name.to_lowercase());
    let others = R::Column::iter().map(|column| column.as_str());
    let mut others = others.filter(|name| !keys.contains(name));
    !others.any(is_named)
}

/// A select of the records of the same row as this one.
pub(super) fn of_row<R: RecordEntity>(select: Select<R>, record: &R::Model) -> Select<R> {
    record_key::<R>().fold(select, |select, key| {
        select.filter(is::<R>(key, record.get(key)))
    })
}

impl<R: RecordEntity<Model: Sync>> DiffBetween<R> {
    /// All of them.
    ///
    /// # Errors
    ///
    /// The database's, as a [`RecordError::Database`](crate::RecordError::Database) within the
    /// `DbErr`.
    pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<RowDiff<R>>, DbErr> {
        self.stream(db).try_collect().await
    }

    /// One by one. Some hundreds of rows are read at a time, so memory does not grow with their
    /// number.
    ///
    /// Items are errors as of [`all`](Self::all); the stream ends after one.
    pub fn stream<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Stream<Item = Result<RowDiff<R>, DbErr>> + '_ {
        let diff = std::sync::Arc::new(self);
        paged(None, move |after: Option<Vec<Value>>| {
            let diff = std::sync::Arc::clone(&diff);
            async move {
                let page = diff.page(db, after, Order::Asc).await?;
                Ok((page.rows, page.next))
            }
        })
    }

    /// The rows of some keys after one, in this order.
    pub(super) async fn page<C: ConnectionTrait>(
        &self,
        db: &C,
        after: Option<Vec<Value>>,
        order: Order,
    ) -> Result<Page<R>, DbErr> {
        let last = self.last(Dialect::of(db), after.as_deref(), &order);
        let last = last.all(db).await.map_err(unread::<R>)?;
        let next = last.last().filter(|_| last.len() == PAGE);
        let next = next.map(key_of::<R>);
        let first = each(db, last.iter().map(|last| self.first(last))).await?;
        let mut pairs: Vec<_> = last.into_iter().zip(first).collect();
        if self.is_filtered() {
            pairs = self.fitting(db, pairs).await?;
        }
        let (rows, kept) = match &self.back {
            Some(back) => back.rows(db, pairs).await?,
            None => (self.between(pairs), 0),
        };
        Ok(Page { rows, kept, next })
    }

    fn between(&self, pairs: Vec<LastAndFirst<R>>) -> Vec<RowDiff<R>> {
        let forward = self.from <= self.to;
        let rows = pairs.into_iter().filter_map(|(last, first)| match forward {
            true => RowDiff::of(first, Some(last)),
            false => RowDiff::of(Some(last), first),
        });
        rows.collect()
    }

    /// Those whose first or last record the user's filters let pass.
    async fn fitting<C: ConnectionTrait>(
        &self,
        db: &C,
        pairs: Vec<LastAndFirst<R>>,
    ) -> Result<Vec<LastAndFirst<R>>, DbErr> {
        let record = |record: &R::Model| {
            let at = own::<R>(R::RECORDED_AT).eq(instant(record.get(R::RECORDED_AT)));
            of_row::<R>(self.select.clone(), record).filter(at)
        };
        let last = each(db, pairs.iter().map(|(last, _)| record(last))).await?;
        let known = pairs
            .iter()
            .map(|(last, first)| first.as_ref().unwrap_or(last));
        let first = each(db, known.map(record)).await?;
        let fits = first.into_iter().zip(last);
        let pairs = pairs.into_iter().zip(fits);
        Ok(pairs
            .filter(|(_, (first, last))| first.is_some() || last.is_some())
            .map(|(pair, _)| pair)
            .collect())
    }
}
