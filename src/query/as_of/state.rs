//! The record of each row that was in force, in SQL.
//!
//! - PostgreSQL and SQLite find the keys by recursion, a seek in the index of the primary key for
//!   each, and each key's record by another. PostgreSQL finds both at once where no filter names
//!   the key; the index entries of later records are then stepped over. Where histories are short, it
//!   takes many records at a step instead, for one pass over them costs less than the seeks.
//! - MySQL and MariaDB do the same for a GROUP BY by themselves, and cut recursion short.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, JoinType, Query, SelectStatement, UnionType, WithClause,
};
use sea_orm::{IdenStatic, Iterable, Order, QueryTrait, Select};

use crate::by_keys::record_key;
use crate::dialect::Dialect;
use crate::query::{held, nothing, own, table_of, unordered};
use crate::recorded::column_named;
use crate::{Event, RecordEntity};

/// The keys of the rows that are looked at.
const KEYS: &str = "as_of_keys";

/// The record of each key.
pub(super) const STATE: &str = "as_of_state";

/// Puts `rows` where the record table stands, under its name.
pub(in crate::query) fn stand_in<R: RecordEntity>(
    query: &mut SelectStatement,
    rows: SelectStatement,
) {
    query.from_clear().from_subquery(rows, table_of::<R>());
}

/// The rows that a select is about, where that narrows them down: its filters name the key, and
/// nothing but columns of the record.
///
/// Filters on values alone would have to be tried on all records, where each row's one is enough.
pub(in crate::query) fn among<R: RecordEntity>(
    dialect: Dialect,
    select: &Select<R>,
) -> Option<SelectStatement> {
    let mut filtered = unordered(select.clone()).into_query();
    filtered.clear_selects().reset_limit().reset_offset();
    filtered.clear_group_by().clear_having();
    let entity = R::default();
    let keys: Vec<_> = record_key::<R>().map(|key| key.as_str()).collect();
    let named = dialect.names(&filtered);
    let own = |name: &str| {
        name == entity.table_name()
            || entity.schema_name() == Some(name)
            || column_named::<R>(name).is_some()
    };
    let narrows = named.iter().any(|name| keys.contains(&name.as_str()))
        && named.iter().all(|name| own(name));
    narrows.then_some(filtered)
}

/// The record of each row that was in force at a moment, with all its columns.
pub(super) fn rows<R: RecordEntity>(
    dialect: Dialect,
    at: DateTime<Utc>,
    with_deleted: bool,
    among: Option<SelectStatement>,
) -> SelectStatement {
    let held = held::<R>(at);
    let mut rows = match (dialect.groups_by_seeks(), dialect.has_lateral(), among) {
        (true, ..) => grouped::<R>(held),
        (false, true, None) => by_strides::<R>(held),
        (false, true, Some(among)) => {
            let keys = keys_by_seeks::<R>(&among);
            by_lateral::<R>(held).with_cte(keys).take()
        }
        (false, false, among) => {
            let keys = keys_by_seeks::<R>(&among.unwrap_or_else(all::<R>));
            by_maximum::<R>(held).with_cte(keys).take()
        }
    };
    for column in R::Column::iter() {
        rows.expr_as(Expr::col((STATE, column)), column.as_str());
    }
    if !with_deleted {
        rows.and_where(Expr::col((STATE, R::EVENT)).is_not_in(Event::ENDINGS.map(Event::as_str)));
    }
    rows
}

pub(in crate::query) fn all<R: RecordEntity>() -> SelectStatement {
    Query::select().from(R::default().table_ref()).take()
}

fn key_of<R: RecordEntity>(table: &'static str) -> impl Iterator<Item = Expr> {
    record_key::<R>().map(move |key| Expr::col((table, key)))
}

/// Whether rows of two tables have one key.
fn same_key(a: impl Iterator<Item = Expr>, b: impl Iterator<Item = Expr>) -> Expr {
    let equal = a.zip(b).map(|(a, b)| a.eq(b));
    equal.reduce(Expr::and).unwrap_or_else(nothing)
}

/// Each key, found by a seek from the one before.
fn keys_by_seeks<R: RecordEntity>(among: &SelectStatement) -> WithClause {
    let own_key = || Expr::tuple(record_key::<R>().map(own::<R>));
    let seek = |columns: Vec<R::Column>, after: Option<Expr>| {
        let mut seek = among.clone();
        for column in columns {
            seek.expr(own::<R>(column));
        }
        for key in record_key::<R>() {
            seek.order_by_expr(own::<R>(key), Order::Asc);
        }
        seek.and_where_option(after).limit(1);
        seek
    };
    let beyond = || own_key().gt(Expr::tuple(key_of::<R>(KEYS)));
    let mut next = Query::select().from(KEYS).take();
    for key in record_key::<R>() {
        let found = seek(vec![key], Some(beyond()));
        next.expr(Expr::SubQuery(None, Box::new(found.into())));
    }
    if let Some(first) = key_of::<R>(KEYS).next() {
        next.and_where(first.is_not_null());
    }
    // A derived table, for an ORDER BY would be the union's.
    let mut found = Query::select()
        .expr(Expr::cust("*"))
        .from_subquery(seek(record_key::<R>().collect(), None), "as_of_first")
        .take();
    found.union(UnionType::All, next);
    let keys = CommonTableExpression::new()
        .table_name(KEYS)
        .columns(record_key::<R>())
        .query(found)
        .to_owned();
    WithClause::new().recursive(true).cte(keys).to_owned()
}

/// Each row's record, by a seek for each or by one pass over all, whichever is less.
///
/// One statement says both, and conditions that are looked at once let one of them run. The pass is a
/// walk too, of many records at a step: the planner takes a recursion to be short, where the cost that
/// it expects of reading a large table would have it compile the statement (`jit_above_cost`), for
/// longer than the walk takes.
fn by_strides<R: RecordEntity>(held: Expr) -> SelectStatement {
    let walked = |stride, goes: Expr| {
        let walk = by_walking::<R>(&held, stride, goes);
        let mut all = Query::select();
        all.expr(Expr::cust("*")).from_subquery(walk, "as_of_walk");
        all
    };
    let are_short = has_short_histories::<R>();
    let mut rows = walked(1, are_short.clone().not());
    rows.union(UnionType::All, walked(STRIDE, are_short));
    Query::select().from_subquery(rows, STATE).take()
}

/// Records of one step of a pass.
const STRIDE: u64 = 1_000;

/// Records of each end of the table by which the length of histories is judged.
const SAMPLE: u64 = 1_000;

/// Records of a row from which on a seek costs less than to read them all.
const LONG: u64 = 10;

/// Whether rows have few records, at both ends of the table.
fn has_short_histories<R: RecordEntity>() -> Expr {
    let rows_at = |end: Order| {
        let mut sample = all::<R>();
        for key in record_key::<R>() {
            sample.expr(own::<R>(key));
            sample.order_by_expr(own::<R>(key), end.clone());
        }
        sample.limit(SAMPLE);
        let mut keys = Query::select();
        keys.distinct().expr(Expr::cust("*"));
        keys.from_subquery(sample, "as_of_sample");
        let mut count = Query::select();
        count.expr(Expr::cust("count(*)"));
        count.from_subquery(keys, "as_of_sampled");
        Expr::SubQuery(None, Box::new(count.into()))
    };
    let many = Expr::val(SAMPLE / LONG);
    let are_many = |end| rows_at(end).gt(many.clone());
    are_many(Order::Asc).and(are_many(Order::Desc))
}

/// Each row's record, found in the index of the primary key from the one before, backwards, so many
/// records at a step; none where the walk does not go.
fn by_walking<R: RecordEntity>(held: &Expr, stride: u64, goes: Expr) -> SelectStatement {
    const NEXT: &str = "as_of_next";
    const LAST: &str = "as_of_last";
    let seek = |limit: u64, condition: Expr| {
        let mut seek = all::<R>();
        seek.columns(R::Column::iter());
        seek.and_where(held.clone()).and_where(condition);
        backwards::<R>(&mut seek).limit(limit).take()
    };
    let own_key = Expr::tuple(record_key::<R>().map(own::<R>));
    let before = own_key.lt(Expr::tuple(key_of::<R>(LAST)));
    let mut next = Query::select();
    next.exprs(R::Column::iter().map(|column| Expr::col((NEXT, column))));
    let step = match stride {
        1 => {
            next.from_as(KEYS, LAST);
            seek(1, before)
        }
        _ => {
            next.from_subquery(least_key::<R>(), LAST);
            first_of_each::<R>(seek(stride, before))
        }
    };
    next.join_lateral(JoinType::InnerJoin, step, NEXT, Expr::val(true));
    let mut found = Query::select();
    found.expr(Expr::cust("*"));
    found.from_subquery(seek(1, goes), "as_of_first");
    found.union(UnionType::All, next);
    let rows = CommonTableExpression::new()
        .table_name(KEYS)
        .columns(R::Column::iter())
        .query(found)
        .to_owned();
    let rows = WithClause::new().recursive(true).cte(rows).to_owned();
    Query::select()
        .expr(Expr::cust("*"))
        .from(KEYS)
        .with_cte(rows)
        .take()
}

/// In the order of a walk.
fn backwards<R: RecordEntity>(query: &mut SelectStatement) -> &mut SelectStatement {
    for column in record_key::<R>().chain([R::RECORDED_AT]) {
        query.order_by(column, Order::Desc);
    }
    query
}

/// Where a step of many records ended.
fn least_key<R: RecordEntity>() -> SelectStatement {
    let mut least = Query::select();
    least.columns(record_key::<R>()).from(KEYS);
    for key in record_key::<R>() {
        least.order_by(key, Order::Asc);
    }
    least.limit(1).take()
}

/// Of the records of a step, each row's latest.
fn first_of_each<R: RecordEntity>(records: SelectStatement) -> SelectStatement {
    let mut first = Query::select();
    first.distinct_on(record_key::<R>()).expr(Expr::cust("*"));
    first.from_subquery(records, "as_of_stride");
    backwards::<R>(&mut first).take()
}

fn by_lateral<R: RecordEntity>(held: Expr) -> SelectStatement {
    let state = all::<R>()
        .expr(Expr::cust("*"))
        .and_where(same_key(record_key::<R>().map(own::<R>), key_of::<R>(KEYS)))
        .and_where(held)
        .order_by_expr(own::<R>(R::RECORDED_AT), Order::Desc)
        .limit(1)
        .take();
    Query::select()
        .from(KEYS)
        .join_lateral(JoinType::InnerJoin, state, STATE, Expr::val(true))
        .take()
}

fn by_maximum<R: RecordEntity>(held: Expr) -> SelectStatement {
    let latest = all::<R>()
        .expr(own::<R>(R::RECORDED_AT).max())
        .and_where(same_key(record_key::<R>().map(own::<R>), key_of::<R>(KEYS)))
        .and_where(held)
        .take();
    let latest = Expr::SubQuery(None, Box::new(latest.into()));
    let is_latest = Expr::col((STATE, R::RECORDED_AT)).eq(latest);
    let on = same_key(key_of::<R>(STATE), key_of::<R>(KEYS)).and(is_latest);
    Query::select()
        .from(KEYS)
        .join_as(JoinType::InnerJoin, R::default().table_ref(), STATE, on)
        .take()
}

fn grouped<R: RecordEntity>(held: Expr) -> SelectStatement {
    let mut latest = all::<R>();
    for key in record_key::<R>() {
        latest.expr(own::<R>(key)).add_group_by([own::<R>(key)]);
    }
    latest
        .expr_as(own::<R>(R::RECORDED_AT).max(), R::RECORDED_AT.as_str())
        .and_where(held);
    let is_latest = Expr::col((STATE, R::RECORDED_AT)).eq(Expr::col((KEYS, R::RECORDED_AT)));
    let on = same_key(key_of::<R>(STATE), key_of::<R>(KEYS)).and(is_latest);
    Query::select()
        .from_subquery(latest, KEYS)
        .join_as(JoinType::InnerJoin, R::default().table_ref(), STATE, on)
        .take()
}
