//! Numbers of the records of each bucket, each record counted once.
//!
//! A bucket is a query of its own, grouped by row, and some hundreds of them are one statement: each
//! record is looked at once, in the database. First and last values are found by their times, which
//! is a seek for each.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, IdenStatic, Order, QueryResult, QueryTrait};

use super::agg::{Aggregate, Asking, What, when_empty};
use super::cuts::{Cuts, Edges, Interval, Occupied, of_each_bucket};
use super::one_row::STATEMENT;
use super::rows::{RowKey, has_key_in, select_keys};
use super::scope::Scope;
use crate::by_keys::record_key;
use crate::dialect::{Dialect, NumberKind};
use crate::query::changes::quoted;
use crate::query::{own, table_of};
use crate::recorded::unread;
use crate::{Event, Number, RecordEntity, RecordError};

/// The numbers of each bucket and row.
pub(super) type Found = BTreeMap<(DateTime<Utc>, RowKey), Vec<Option<Number>>>;

/// The place of a bucket among those of a statement.
pub(super) const BUCKET: &str = "agg_bucket";

/// The buckets of a statement.
pub(super) const GROUPS: &str = "agg_groups";

/// How many records there are, deletions left out.
const RECORDS: &str = "agg_records";

/// A column whose values are aggregated.
struct Measured<C> {
    column: C,
    /// None where it is not numeric.
    kind: Option<NumberKind>,
    place: usize,
}

impl<C: ColumnTrait> Measured<C> {
    fn name(&self, what: &str) -> String {
        format!("agg_{what}_{}", self.place)
    }

    /// Its value; NULL in deletions and for NaN.
    fn value(&self, dialect: Dialect, table: &str, event: C) -> String {
        let column = quoted(dialect, table, self.column);
        let number = match self.kind {
            Some(kind) => dialect.number(kind, &column),
            None => column,
        };
        living(&quoted(dialect, table, event), &number)
    }
}

/// Nothing in deletions and marks of erasures.
pub(super) fn living(event: &str, value: &str) -> String {
    format!(
        "CASE WHEN {event} NOT IN ('{}') THEN {value} END",
        Event::ENDINGS.map(Event::as_str).join("', '")
    )
}

/// Of which kind of number a column is.
pub(super) fn kind_of<R: RecordEntity>(
    aggregate: &Aggregate<R::Column>,
    column: R::Column,
) -> Result<NumberKind, RecordError> {
    let ty = column.def().get_column_type().clone();
    NumberKind::of(&ty).ok_or_else(|| {
        let problem = format!(
            "`{}` is not numeric, so there is no `{aggregate}`; `count_of` takes any column",
            column.as_str()
        );
        RecordError::resample(table_of::<R>(), problem)
    })
}

struct Measure<'a, R: RecordEntity> {
    parts: &'a [Aggregate<R::Column>],
    columns: Vec<Measured<R::Column>>,
    scope: &'a Scope<R>,
    dialect: Dialect,
    all_rows: bool,
}

/// What is asked for, but for time-weighted means.
pub(super) async fn measured<R: RecordEntity, C: ConnectionTrait>(
    asking: &Asking<'_, R>,
    db: &C,
) -> Result<Found, DbErr> {
    let resample = &asking.agg.resample;
    let measure = Measure {
        parts: asking.parts,
        columns: columns::<R>(asking.parts)?,
        scope: asking.scope,
        dialect: asking.dialect,
        all_rows: asking.agg.is_over_all(),
    };
    let select = asking.scope.select();
    let mut found = Found::new();
    let Some((first, last)) = resample.ends(select.clone(), db).await? else {
        return Ok(found);
    };
    let together = measure.together();
    let mut occupied = Occupied::new(select, Cuts::of(resample), first, last);
    while let Some(intervals) = occupied.next(db).await? {
        for intervals in intervals.chunks(together) {
            let statement = measure.statement(intervals);
            for row in db.query_all(&statement).await.map_err(unread::<R>)? {
                measure.read(&row, intervals, &mut found)?;
            }
        }
    }
    Ok(found)
}

fn columns<R: RecordEntity>(
    parts: &[Aggregate<R::Column>],
) -> Result<Vec<Measured<R::Column>>, RecordError> {
    let mut columns: Vec<Measured<R::Column>> = Vec::new();
    for part in parts {
        let Some(column) = part.column else { continue };
        let kind = match part.what {
            What::CountOf => NumberKind::of(column.def().get_column_type()),
            _ => Some(kind_of::<R>(part, column)?),
        };
        let is_known = columns
            .iter()
            .any(|known| known.column.as_str() == column.as_str());
        if !is_known && part.what != What::TimeWeightedMean {
            columns.push(Measured {
                column,
                kind,
                place: columns.len(),
            });
        }
    }
    Ok(columns)
}

impl<R: RecordEntity> Measure<'_, R> {
    fn asks(&self, column: &Measured<R::Column>, what: &[What]) -> bool {
        self.parts.iter().any(|part| {
            let same = part.column.map(|column| column.as_str()) == Some(column.column.as_str());
            same && what.contains(&part.what)
        })
    }

    /// How many buckets are one statement: each repeats what the user's filters bind, and so does
    /// each seek.
    fn together(&self) -> usize {
        let bound = bound(self.scope, self.dialect);
        let seeks = 2 * self.columns.len() * bound;
        let most = self.dialect.max_parameters().saturating_sub(seeks);
        (most / (bound + 3)).clamp(1, STATEMENT)
    }

    fn statement(&self, intervals: &[Interval]) -> SelectStatement {
        let groups = of_each_bucket(self.dialect, intervals, |edges| self.group(&edges));
        let mut statement = Query::select();
        statement
            .expr(Expr::cust(format!("{GROUPS}.*")))
            .from_subquery(groups, GROUPS);
        for column in &self.columns {
            for (what, at, value, order) in [
                (What::First, "first_at", "first", Order::Asc),
                (What::Last, "last_at", "last", Order::Desc),
            ] {
                if self.asks(column, &[what]) {
                    let seek = self.seek(column, &column.name(at), order);
                    statement.expr_as(seek, column.name(value));
                }
            }
        }
        statement
    }

    fn group(&self, edges: &Edges) -> SelectStatement {
        let mut group = self.scope.select().into_query();
        group
            .clear_selects()
            .expr_as(edges.place.clone(), BUCKET)
            .and_where(edges.hold(own::<R>(R::RECORDED_AT)));
        if !self.all_rows {
            select_keys::<R>(&mut group);
            group.add_group_by(record_key::<R>().map(own::<R>));
        }
        let mut add = |sql: String, name: String| {
            group.expr_as(Expr::cust(sql), Alias::new(name));
        };
        let table = table_of::<R>();
        let event = quoted(self.dialect, table, R::EVENT);
        add(
            format!("COUNT({})", living(&event, "1")),
            RECORDS.to_owned(),
        );
        for column in &self.columns {
            let value = column.value(self.dialect, table, R::EVENT);
            add(format!("COUNT({value})"), column.name("count"));
            let Some(kind) = column.kind else { continue };
            for (what, function, name) in [(What::Min, "MIN", "min"), (What::Max, "MAX", "max")] {
                if self.asks(column, &[what]) {
                    let number = format!("{function}({value})");
                    add(self.dialect.written(kind, &number), column.name(name));
                }
            }
            if self.asks(column, &[What::Sum, What::Mean]) {
                let [sum, rest] = self.dialect.sum(kind, &value);
                add(sum, column.name("sum"));
                add(rest, column.name("rest"));
            }
            let time = quoted(self.dialect, table, R::RECORDED_AT);
            let time = format!("CASE WHEN {value} IS NOT NULL THEN {time} END");
            if self.asks(column, &[What::First]) {
                add(format!("MIN({time})"), column.name("first_at"));
            }
            if self.asks(column, &[What::Last]) {
                add(format!("MAX({time})"), column.name("last_at"));
            }
        }
        group
    }

    /// The value at a time that a group found.
    fn seek(&self, column: &Measured<R::Column>, at: &str, order: Order) -> Expr {
        let value = column.value(self.dialect, table_of::<R>(), R::EVENT);
        let mut seek = self.scope.select().into_query();
        let is_then = own::<R>(R::RECORDED_AT).eq(Expr::col((GROUPS, Alias::new(at))));
        let written = match column.kind {
            Some(kind) => self.dialect.written(kind, &value),
            None => value.clone(),
        };
        seek.clear_selects()
            .expr(Expr::cust(written))
            .and_where(is_then);
        if self.all_rows {
            seek.and_where(Expr::cust(format!("({value}) IS NOT NULL")));
            for key in record_key::<R>() {
                seek.order_by_expr(own::<R>(key), order.clone());
            }
            seek.limit(1);
        } else {
            seek.and_where(has_key_in::<R>(GROUPS));
        }
        Expr::SubQuery(None, Box::new(seek.into()))
    }

    fn read(
        &self,
        row: &QueryResult,
        intervals: &[Interval],
        found: &mut Found,
    ) -> Result<(), DbErr> {
        let records: i64 = row.try_get("", RECORDS)?;
        let Some((start, _)) = interval_in(row, intervals)? else {
            return Ok(());
        };
        if records == 0 {
            return Ok(());
        }
        let key = match self.all_rows {
            true => RowKey::default(),
            false => RowKey::read::<R>(row)?,
        };
        let values = self.parts.iter().map(|part| {
            let value = self.value(part, row);
            value.map_err(|error| unreadable::<R>(part, error))
        });
        found.insert((start, key), values.collect::<Result<_, _>>()?);
        Ok(())
    }

    fn value(
        &self,
        part: &Aggregate<R::Column>,
        row: &QueryResult,
    ) -> Result<Option<Number>, DbErr> {
        let count = |name: &str| -> Result<i64, DbErr> { row.try_get("", name) };
        let mut columns = self.columns.iter();
        let measured = part.column.and_then(|column| {
            columns.find(|measured| measured.column.as_str() == column.as_str())
        });
        let Some(column) = measured else {
            return Ok(match part.what {
                What::Count => Some(Number::Integer(count(RECORDS)?.into())),
                _ => when_empty(part),
            });
        };
        let Some(kind) = column.kind else {
            return Ok(Some(Number::Integer(count(&column.name("count"))?.into())));
        };
        let read = |name: &str| self.dialect.read_number(kind, row, &column.name(name));
        let names = [column.name("sum"), column.name("rest")];
        let names = [names[0].as_str(), names[1].as_str()];
        match part.what {
            What::CountOf => Ok(Some(Number::Integer(count(&column.name("count"))?.into()))),
            What::Min => read("min"),
            What::Max => read("max"),
            What::First => read("first"),
            What::Last => read("last"),
            What::Sum => self.dialect.read_sum(kind, row, names),
            What::Mean => {
                let count = count(&column.name("count"))? as f64;
                let sum = self.dialect.read_double_sum(kind, row, names)?;
                Ok(sum.map(|sum| Number::Float(sum / count)))
            }
            What::Count | What::TimeWeightedMean | What::Ohlc => Ok(None),
        }
    }
}

/// Names what a number that Rust cannot hold was asked for.
fn unreadable<R: RecordEntity>(part: &Aggregate<R::Column>, error: DbErr) -> DbErr {
    let (DbErr::Type(reason), Some(column)) = (&error, part.column) else {
        return error;
    };
    let problem = format!(
        "`{part}`, of the column `{}`, cannot be read: {reason}; `mean` is a float and always can, \
         and narrower buckets or fewer rows have smaller sums",
        column.as_str()
    );
    RecordError::resample(table_of::<R>(), problem).into()
}

/// How many values a select binds, with a window.
pub(super) fn bound<R: RecordEntity>(scope: &Scope<R>, dialect: Dialect) -> usize {
    let statement = dialect.build(&scope.select().into_query());
    statement.values.map_or(0, |values| values.0.len()) + 2
}

/// The bucket that a row of a UNION is of.
pub(super) fn interval_in(
    row: &QueryResult,
    intervals: &[Interval],
) -> Result<Option<Interval>, DbErr> {
    let place: i64 = row.try_get("", BUCKET)?;
    let place = usize::try_from(place).ok();
    Ok(place.and_then(|place| intervals.get(place)).copied())
}
