//! Records beside the ones before them.

use std::fmt;

use futures_util::stream::{self, Stream, TryStreamExt};
use sea_orm::sea_query::{Expr, ExprTrait, Query, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, FromQueryResult, IdenStatic, Iterable, ModelTrait, Order,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Value,
};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::as_of::{all, stand_in};
use super::diff::{Paint, json_of, time_of, values_of};
use super::json::json;
use super::late::{builds_on_select, executes_its_select};
use super::records::{RecordModel, instant};
use super::{Diff, beyond, own, source_table_of, table_of, unordered};
use crate::by_keys::record_key;
use crate::dialect::Dialect;
use crate::recorded::unread;
use crate::{Event, RecordEntity};

/// Records that are read together, and whose predecessors are one statement: SQLite takes 500
/// queries in a UNION.
pub(super) const PAGE: usize = 256;

/// The record before, in SQL.
const PREVIOUS: &str = "previous_record";

/// The column that tells whether a value changed, where it is computed beside the records.
const CHANGED: &str = "record_changed";

/// The column with the place of a query among those that are asked together.
const PLACE: &str = "asked_as";

/// A record and the one before it.
///
/// Displayed, it says what happened: `deleted`, `came back`, or a line for each change, as a
/// [`Diff`] has them. Serialized, it is
/// `{"row": {"recording_id": 1}, "recorded_at": "…", "event": "updated", "changed": {…}}`; a first
/// record has its `values` instead of what changed. Where the record entity has columns of the
/// [`Context`](crate::Context), `context` has them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordChange<R: RecordEntity> {
    /// The record.
    pub record: R::Model,
    /// The record of the same row before it; `None` if it is the first.
    pub previous: Option<R::Model>,
}

impl<R: RecordEntity> RecordChange<R> {
    /// What changed from the record before; `None` for a first record.
    pub fn diff(&self) -> Option<Diff> {
        let previous = self.previous.as_ref()?;
        Some(Diff::between(previous, &self.record))
    }
}

/// Each record with the one before it; see [`RecordQuery::changes`](super::RecordQuery::changes).
///
/// ```
/// # use sea_orm::entity::prelude::*;
/// # use sea_orm_record::prelude::*;
/// # async fn example<R>(records: Select<R>, db: &DatabaseConnection) -> Result<(), DbErr>
/// # where R: RecordEntity<Model: Sync> {
/// for change in records.created_in_days(3).changes().newest_first().all(db).await? {
///     if let Some(diff) = change.diff() {
///         println!("{diff}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct Changes<R: RecordEntity> {
    select: Select<R>,
    order: Order,
}

impl<R: RecordEntity> Changes<R> {
    pub(super) fn new(select: Select<R>) -> Self {
        let mut select = unordered(select);
        QueryTrait::query(&mut select).reset_limit().reset_offset();
        Self {
            select,
            order: Order::Asc,
        }
    }

    /// The last change first. Default: the first.
    pub fn newest_first(mut self) -> Self {
        self.order = Order::Desc;
        self
    }
}

impl<R: RecordEntity<Model: Sync>> Changes<R> {
    /// All of them.
    ///
    /// # Errors
    ///
    /// The database's, as a [`RecordError::Database`](crate::RecordError::Database) within the
    /// `DbErr`.
    pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<RecordChange<R>>, DbErr> {
        self.stream(db).try_collect().await
    }

    /// One by one. Some hundreds are read at a time, so memory does not grow with their number.
    ///
    /// Items are errors as of [`all`](Self::all); the stream ends after one.
    pub fn stream<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Stream<Item = Result<RecordChange<R>, DbErr>> + '_ {
        paged(None, move |after: Option<Vec<Value>>| {
            let page = self.page(after);
            async move {
                let records = page.all(db).await.map_err(unread::<R>)?;
                let next = (records.len() == PAGE).then(|| records.last().map(place::<R>));
                let previous = each(db, records.iter().map(RecordModel::previous)).await?;
                let pairs = records.into_iter().zip(previous);
                let changes = pairs.map(|(record, previous)| RecordChange { record, previous });
                Ok((changes.collect(), next.flatten()))
            }
        })
    }

    fn page(&self, after: Option<Vec<Value>>) -> Select<R> {
        let columns: Vec<_> = [R::RECORDED_AT]
            .into_iter()
            .chain(record_key::<R>())
            .collect();
        let mut page = self.select.clone();
        if let Some(after) = after {
            page = page.filter(beyond::<R>(&columns, &after, &self.order));
        }
        for column in columns {
            page = page.order_by(column, self.order.clone());
        }
        page.limit(PAGE as u64)
    }
}

/// Where a record stands in the order of time.
fn place<R: RecordEntity>(record: &R::Model) -> Vec<Value> {
    let time = instant(record.get(R::RECORDED_AT));
    let keys = record_key::<R>().map(|key| record.get(key));
    [time].into_iter().chain(keys).collect()
}

/// Items of pages, each of which tells where the next begins.
pub(super) fn paged<'s, T, K, F, P>(
    first: Option<K>,
    page: F,
) -> impl Stream<Item = Result<T, DbErr>> + 's
where
    T: 's,
    K: 's,
    F: Fn(Option<K>) -> P + 's,
    P: Future<Output = Result<(Vec<T>, Option<K>), DbErr>> + 's,
{
    let pages = stream::try_unfold((Some(first), page), |(at, page)| async move {
        let Some(at) = at else { return Ok(None) };
        let (items, next) = page(at).await?;
        Ok::<_, DbErr>(Some((items, (next.map(Some), page))))
    });
    pages
        .map_ok(|items| stream::iter(items.into_iter().map(Ok)))
        .try_flatten()
}

/// What each of these queries finds first, in as few statements as may be.
///
/// A query for each, whose values are constants: by those every database seeks.
pub(super) async fn each<R, C>(
    db: &C,
    selects: impl IntoIterator<Item = Select<R>>,
) -> Result<Vec<Option<R::Model>>, DbErr>
where
    R: RecordEntity,
    C: ConnectionTrait,
{
    let selects: Vec<_> = selects.into_iter().collect();
    let mut found: Vec<Option<R::Model>> = selects.iter().map(|_| None).collect();
    let bound = selects.first().map_or(1, |select| {
        let statement = QueryTrait::build(select, db.get_database_backend());
        statement.values.map_or(0, |values| values.0.len()) + 2
    });
    let together = (Dialect::of(db).max_parameters() / bound).clamp(1, PAGE);
    for (chunk, selects) in selects.chunks(together).enumerate() {
        let asked = selects.iter().enumerate().map(|(index, select)| {
            Query::select()
                .expr(Expr::cust("*"))
                .expr_as(Expr::val(index as i64), PLACE)
                .from_subquery(select.clone().limit(1).into_query(), "asked")
                .take()
        });
        let union = asked.reduce(|mut all, next| all.union(UnionType::All, next).take());
        let found_together = db.query_all(&union.unwrap_or_default()).await;
        for row in found_together.map_err(unread::<R>)? {
            let index: i64 = row.try_get("", PLACE)?;
            let place = chunk * together + usize::try_from(index).unwrap_or_default();
            if let Some(found) = found.get_mut(place) {
                *found = Some(R::Model::from_query_result(&row, "")?);
            }
        }
    }
    Ok(found)
}

/// Records in which a value changed; see
/// [`RecordQuery::where_changed`](super::RecordQuery::where_changed).
///
/// It filters, orders and limits as a `Select` does; what else SeaORM has for one is had from
/// [`into_select`](Self::into_select).
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct WhereChanged<R: RecordEntity> {
    select: Select<R>,
    column: R::Column,
}

builds_on_select!(WhereChanged<R>);
executes_its_select!(WhereChanged);

impl<R: RecordEntity> WhereChanged<R> {
    pub(super) fn new(select: Select<R>, column: R::Column) -> Self {
        Self { select, column }
    }

    /// The query as a `Select` for the database of this connection.
    pub fn into_select<C: ConnectionTrait>(self, db: &C) -> Select<R> {
        let dialect = Dialect::of(db);
        match dialect.groups_by_seeks() {
            true => self.beside(dialect),
            false => self.by_seeks(dialect),
        }
    }

    /// The record before is found by a seek for each record.
    fn by_seeks(self, dialect: Dialect) -> Select<R> {
        let before = |column: R::Column| Expr::col((PREVIOUS, column));
        let ours = quoted(dialect, table_of::<R>(), self.column);
        let theirs = quoted(dialect, PREVIOUS, self.column);
        let mut changed = Query::select();
        changed
            .expr(self.differs(dialect, &theirs, &ours))
            .from_as(R::default().table_ref(), PREVIOUS)
            .and_where(before(R::RECORDED_AT).lt(own::<R>(R::RECORDED_AT)))
            .order_by_expr(before(R::RECORDED_AT), Order::Desc)
            .limit(1);
        for key in record_key::<R>() {
            changed.and_where(before(key).eq(own::<R>(key)));
        }
        let changed = Expr::SubQuery(None, Box::new(changed.into()));
        self.select.filter(changed.eq(1))
    }

    /// MySQL and MariaDB cannot seek by a range of joined values: there each record gets the value
    /// before it in one pass over the row, or the table.
    fn beside(self, dialect: Dialect) -> Select<R> {
        let column = |column: R::Column| quoted(dialect, table_of::<R>(), column);
        let partition: Vec<_> = record_key::<R>().map(column).collect();
        let over = format!(
            "OVER (PARTITION BY {} ORDER BY {})",
            partition.join(", "),
            column(R::RECORDED_AT)
        );
        let ours = column(self.column);
        let differs = self.differs(dialect, &format!("LAG({ours}) {over}"), &ours);
        let has_previous = Expr::cust(format!("LAG(1) {over}")).is_not_null();
        let mut records = all::<R>();
        for column in R::Column::iter() {
            records.expr_as(own::<R>(column), column.as_str());
        }
        let changed = Expr::case(has_previous, differs).finally(0);
        records.expr_as(changed, CHANGED);
        let mut select = self.select;
        stand_in::<R>(QueryTrait::query(&mut select), records);
        select.filter(Expr::col((table_of::<R>(), CHANGED)).eq(1))
    }

    /// 1 where two values differ, else 0.
    fn differs(&self, dialect: Dialect, a: &str, b: &str) -> Expr {
        let mut same = dialect.sql();
        let ty = self.column.def().get_column_type().clone();
        dialect.same(&mut same, &ty, a, b);
        Expr::cust(format!("CASE WHEN {} THEN 0 ELSE 1 END", same.finish()))
    }
}

pub(super) fn quoted<C: IdenStatic>(dialect: Dialect, table: &str, column: C) -> String {
    let mut sql = dialect.sql();
    sql.ident(table).push(".").ident(column.as_str());
    sql.finish()
}

impl<R: RecordEntity> RecordChange<R> {
    /// The same for a terminal, as [`Diff::colored`] is.
    #[cfg(feature = "color")]
    pub fn colored(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| self.show(f, &Paint::of_stdout()))
    }

    fn show(&self, f: &mut fmt::Formatter<'_>, paint: &Paint) -> fmt::Result {
        if let Some(happened) = happened(&self.record) {
            return f.write_str(happened);
        }
        let Some(previous) = &self.previous else {
            return write!(f, "the first record of a row of {}", source_table_of::<R>());
        };
        let diff = Diff::between(previous, &self.record);
        if is(previous, Event::Erased) {
            return f.write_str("the first record since the history was erased");
        }
        if is(previous, Event::Deleted) {
            f.write_str("came back")?;
            if diff.is_empty() {
                return Ok(());
            }
            f.write_str("\n")?;
        }
        diff.show(f, paint)
    }
}

/// What a record says by its event rather than by its values, which repeat those before.
fn happened<M: ModelTrait<Entity: RecordEntity>>(record: &M) -> Option<&'static str> {
    let told = [
        (Event::Deleted, "deleted"),
        (Event::Erased, "history erased"),
        (Event::Blanked, "columns blanked"),
    ];
    let mut told = told.into_iter();
    told.find(|(event, _)| is(record, *event))
        .map(|(_, text)| text)
}

fn is<M: ModelTrait<Entity: RecordEntity>>(record: &M, event: Event) -> bool {
    record.get(M::Entity::EVENT) == event.as_str().into()
}

impl<R: RecordEntity> fmt::Display for RecordChange<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, &Paint::default())
    }
}

impl<R: RecordEntity> Serialize for RecordChange<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("row", &json_of(&self.record, record_key::<R>()))?;
        map.serialize_entry("recorded_at", &time_of(&self.record))?;
        map.serialize_entry("event", &json(&self.record.get(R::EVENT)))?;
        match self.diff() {
            Some(diff) => map.serialize_entry("changed", &diff)?,
            None => map.serialize_entry("values", &values_of(&self.record))?,
        }
        let context: Vec<_> = R::context().all().into_iter().flatten().collect();
        if !context.is_empty() {
            map.serialize_entry("context", &json_of(&self.record, context))?;
        }
        map.end()
    }
}
