//! The records of one row: each bucket is a seek in the index of the primary key.

use std::marker::PhantomData;

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, FromQueryResult, Iterable, JoinType,
    QueryFilter, QueryTrait, Select, Value,
};

use super::PICKED;
use super::bounds::{Ends, apart, windowed};
use super::cuts::{Interval, of_arrays};
use super::pick::Pick;
use crate::dialect::{BucketSeek, Dialect, bind_time};
use crate::query::{is, own};
use crate::recorded::unread;
use crate::{ColumnOf, RecordEntity};

/// Buckets of one statement. MariaDB, whose buckets are queries of a UNION, opens the table once for
/// each.
pub(super) const STATEMENT: usize = 256;

/// Each column of the key with its value.
type KeyOf<R> = Vec<(ColumnOf<R>, Value)>;

/// The records of one row, perhaps of a window of time.
#[derive(Debug)]
pub(super) struct OneRow<R: RecordEntity> {
    key: KeyOf<R>,
    pub(super) ends: Ends,
    record: PhantomData<fn() -> R>,
}

impl<R: RecordEntity> OneRow<R> {
    /// All records of the row with this key.
    pub(super) fn whole(key: KeyOf<R>) -> Self {
        Self {
            key,
            ends: Ends::default(),
            record: PhantomData,
        }
    }

    /// The row and the window of a select that asks for nothing else, as `records()` and the windows
    /// build it. sea-query does not show a select's conditions, so it is known by its text.
    pub(super) fn of(select: &Select<R>, backend: DbBackend) -> Option<Self> {
        let given = QueryTrait::build(select, backend);
        let values = given.values.map_or_else(Vec::new, |values| values.0);
        let (key, times) = apart(&values).find(|(key, _)| key.len() == R::key().len())?;
        let columns = R::key().into_iter().map(|(_, column)| column);
        let key: KeyOf<R> = columns.zip(key.iter().cloned()).collect();
        let row = key.iter().fold(R::find(), |select, (column, value)| {
            select.filter(column.eq(value.clone()))
        });
        let same = windowed(&row, &times)
            .find(|(windowed, _)| QueryTrait::build(windowed, backend).sql == given.sql);
        same.map(|(_, ends)| Self {
            ends,
            ..Self::whole(key)
        })
    }

    /// The record to pick of each of these buckets; the window does not matter any more.
    pub(super) async fn seek<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
        pick: Pick,
    ) -> Result<Vec<R::Model>, DbErr> {
        let mut found = Vec::new();
        for buckets in buckets.chunks(STATEMENT) {
            let picks = match Dialect::of(db).bucket_seek() {
                BucketSeek::Lateral => self.by_lateral(buckets, pick),
                BucketSeek::Correlated => self.by_correlation(buckets, pick),
                BucketSeek::Union => self.by_union(buckets, pick),
            };
            for row in db.query_all(&picks).await.map_err(unread::<R>)? {
                found.push(R::Model::from_query_result(&row, "")?);
            }
        }
        Ok(found)
    }

    /// The columns that SeaORM selects.
    fn columns() -> SelectStatement {
        let mut columns = Query::select();
        for column in R::Column::iter() {
            columns.expr(column.select_as(own::<R>(column)));
        }
        columns
    }

    /// This row's records, under the name `x`.
    fn records(&self) -> SelectStatement {
        let mut records = Query::select();
        records.from_as(R::default().table_ref(), "x");
        for (column, value) in &self.key {
            let value = column.save_as(Expr::val(value.clone()));
            records.and_where(Expr::col(("x", *column)).eq(value));
        }
        records
    }

    fn is_this_row(&self) -> Condition {
        let key = self.key.iter();
        key.fold(Condition::all(), |all, (column, value)| {
            all.add(is::<R>(*column, value.clone()))
        })
    }

    fn by_lateral(&self, buckets: &[Interval], pick: Pick) -> SelectStatement {
        let mut one = within_bucket(self.records(), R::RECORDED_AT);
        one.expr(Expr::cust("*"))
            .order_by(("x", R::RECORDED_AT), pick.order())
            .limit(1);
        let name = Alias::new(R::default().table_name());
        Self::columns()
            .from_subquery(of_arrays(buckets), "v")
            .join_lateral(JoinType::InnerJoin, one, name, Expr::cust("TRUE"))
            .take()
    }

    /// CROSS JOIN tells SQLite which comes first.
    fn by_correlation(&self, buckets: &[Interval], pick: Pick) -> SelectStatement {
        let mut one = within_bucket(self.records(), R::RECORDED_AT);
        one.expr(pick.of(Expr::col(("x", R::RECORDED_AT))));
        let one = Expr::SubQuery(None, Box::new(one.into()));
        Self::columns()
            .from_values(bound(buckets), "v")
            .cross_join(R::default().table_ref())
            .cond_where(self.is_this_row().add(own::<R>(R::RECORDED_AT).eq(one)))
            .take()
    }

    /// A query for each bucket, whose edges are constants.
    fn by_union(&self, buckets: &[Interval], pick: Pick) -> SelectStatement {
        let at = || Expr::col(("x", R::RECORDED_AT));
        let times = buckets.iter().map(|(from, until)| {
            let mut one = self.records();
            one.expr_as(pick.of(at()), PICKED)
                .and_where(at().gte(bind_time(*from)))
                .and_where(at().lt(bind_time(*until)));
            one
        });
        let times = times.reduce(|mut first, next| first.union(UnionType::All, next).take());
        let is_picked = own::<R>(R::RECORDED_AT).eq(Expr::col(("v", PICKED)));
        Self::columns()
            .from_subquery(times.unwrap_or_default(), "v")
            .join(
                JoinType::InnerJoin,
                R::default().table_ref(),
                self.is_this_row().add(is_picked),
            )
            .take()
    }
}

/// Bounds `x` by the bucket `v`.
fn within_bucket<C: ColumnTrait>(mut records: SelectStatement, recorded_at: C) -> SelectStatement {
    let edge = |name: &'static str| Expr::col(("v", name));
    let at = || Expr::col(("x", recorded_at));
    records
        .and_where(at().gte(edge("column1")))
        .and_where(at().lt(edge("column2")))
        .take()
}

fn bound(buckets: &[Interval]) -> impl Iterator<Item = (Value, Value)> {
    let both = |(from, until): &Interval| (bind_time(*from), bind_time(*until));
    buckets.iter().map(both)
}
