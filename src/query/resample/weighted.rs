//! Means of values by the time in which they held.
//!
//! SQL adds up what lies between the records of a bucket. What holds from the record before into it,
//! and from its last record to its end, is added here: the value that a bucket ends with is carried
//! on, through buckets without records, which are not asked about.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbErr, IdenStatic, QueryResult, QueryTrait};

use super::agg::{Aggregate, Asking, What, when_empty};
use super::cuts::{Cuts, Edges, Interval, Occupied, of_each_bucket};
use super::measure::{BUCKET, Found, GROUPS, bound, interval_in, kind_of, living};
use super::one_row::STATEMENT;
use super::rows::{RowKey, has_key_in, select_keys};
use super::scope::Scope;
use super::time_in;
use crate::by_keys::record_key;
use crate::dialect::{Dialect, NumberKind};
use crate::query::changes::quoted;
use crate::query::{between, own, table_of};
use crate::recorded::unread;
use crate::time::MICROSECOND;
use crate::{Number, RecordEntity, RecordError};

/// The records of a bucket, each beside the time of the next.
const RECORDS: &str = "agg_records";
const NEXT_AT: &str = "agg_next_at";
const FIRST_AT: &str = "agg_first_at";
const LAST_AT: &str = "agg_last_at";

/// A value for each column, where there is one.
type Values = Vec<Option<f64>>;

/// A value summed over time, and for how many microseconds there was one.
#[derive(Clone, Copy, Debug, Default)]
struct Area {
    sum: f64,
    micros: i64,
}

impl Area {
    /// No time adds nothing, also of a value that is infinite.
    fn add(&mut self, value: Option<f64>, length: TimeDelta) {
        let micros = length.num_microseconds().unwrap_or(i64::MAX);
        if let (Some(value), true) = (value, micros > 0) {
            self.sum += value * micros as f64;
            self.micros += micros;
        }
    }

    fn mean(self) -> Option<Number> {
        (self.micros > 0).then(|| Number::Float(self.sum / self.micros as f64))
    }
}

/// What SQL tells of a row's records in a bucket.
struct Piece {
    row: RowKey,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    areas: Vec<Area>,
    /// What holds after the last.
    left: Values,
}

struct Weighted<'a, R: RecordEntity> {
    scope: &'a Scope<R>,
    dialect: Dialect,
    columns: Vec<(R::Column, NumberKind)>,
}

/// Adds the time-weighted means that are asked for.
pub(super) async fn weighted<R: RecordEntity, C: ConnectionTrait>(
    asking: &Asking<'_, R>,
    db: &C,
    found: &mut Found,
) -> Result<(), DbErr> {
    let resample = &asking.agg.resample;
    let columns = columns::<R>(asking.parts)?;
    if columns.is_empty() {
        return Ok(());
    }
    let scope = asking.scope.reaching_back()?;
    let Some((begin, end)) = scope.in_force(resample, db).await? else {
        return Ok(());
    };
    let weighted = Weighted {
        scope,
        dialect: asking.dialect,
        columns,
    };
    let cuts = Cuts::of(resample);
    let last = end - MICROSECOND;
    let starts: Vec<_> = cuts.starts::<DbErr>(begin, last, resample.most)?;
    let mut held = weighted.carried_in(begin, db).await?;
    let mut pieces = weighted.pieces(cuts, begin, last, db).await?;
    let mut filled = 0;
    let ends = starts.iter().skip(1).copied().chain([end]);
    for (start, until) in starts.iter().copied().zip(ends) {
        let bucket = (Ord::max(start, begin), until);
        let areas = weighted.bucket(&mut held, pieces.remove(&start).unwrap_or_default(), bucket);
        let areas = match asking.agg.is_over_all() {
            true => together(areas).into_iter().collect(),
            false => areas,
        };
        filled += put(found, asking.parts, start, areas);
        resample.bounded(filled, 1)?;
    }
    Ok(())
}

fn columns<R: RecordEntity>(
    parts: &[Aggregate<R::Column>],
) -> Result<Vec<(R::Column, NumberKind)>, RecordError> {
    let mut columns = Vec::new();
    for part in parts {
        if let (What::TimeWeightedMean, Some(column)) = (part.what, part.column) {
            columns.push((column, kind_of::<R>(part, column)?));
        }
    }
    Ok(columns)
}

/// Puts the means of a bucket to what was found, and answers how many places that made.
fn put<C: IdenStatic>(
    found: &mut Found,
    parts: &[Aggregate<C>],
    start: DateTime<Utc>,
    areas: BTreeMap<RowKey, Vec<Area>>,
) -> usize {
    let mut made = 0;
    for (row, areas) in areas {
        let means: Vec<_> = areas.into_iter().map(Area::mean).collect();
        let place = (start, row);
        if means.iter().all(Option::is_none) && !found.contains_key(&place) {
            continue;
        }
        let values = found.entry(place).or_insert_with(|| {
            made += 1;
            parts.iter().map(when_empty).collect()
        });
        let of_means = values.iter_mut().zip(parts);
        let of_means = of_means.filter(|(_, part)| part.what == What::TimeWeightedMean);
        for ((value, _), mean) in of_means.zip(means) {
            *value = mean;
        }
    }
    made
}

/// Those of all rows in one.
fn together(areas: BTreeMap<RowKey, Vec<Area>>) -> Option<(RowKey, Vec<Area>)> {
    let all = areas.into_values().reduce(|mut all, areas| {
        for (all, area) in all.iter_mut().zip(areas) {
            all.sum += area.sum;
            all.micros += area.micros;
        }
        all
    });
    all.map(|all| (RowKey::default(), all))
}

impl<R: RecordEntity> Weighted<'_, R> {
    /// The areas of each row in a bucket; `held` becomes what holds at its end.
    fn bucket(
        &self,
        held: &mut BTreeMap<RowKey, Values>,
        pieces: Vec<Piece>,
        (from, until): Interval,
    ) -> BTreeMap<RowKey, Vec<Area>> {
        let mut areas = BTreeMap::new();
        let mut left = Vec::new();
        for piece in pieces {
            let mut of_row = piece.areas;
            let carried = held.remove(&piece.row).unwrap_or_default();
            for (area, value) in of_row.iter_mut().zip(carried) {
                area.add(value, piece.first_at - from);
            }
            for (area, value) in of_row.iter_mut().zip(&piece.left) {
                area.add(*value, until - piece.last_at);
            }
            areas.insert(piece.row.clone(), of_row);
            left.push((piece.row, piece.left));
        }
        for (row, values) in held.iter() {
            let mut of_row = vec![Area::default(); values.len()];
            for (area, value) in of_row.iter_mut().zip(values) {
                area.add(*value, until - from);
            }
            areas.insert(row.clone(), of_row);
        }
        let left = left.into_iter();
        held.extend(left.filter(|(_, values)| values.iter().any(Option::is_some)));
        areas
    }

    /// What held before the window, by row.
    async fn carried_in<C: ConnectionTrait>(
        &self,
        begin: DateTime<Utc>,
        db: &C,
    ) -> Result<BTreeMap<RowKey, Values>, DbErr> {
        let before = begin - MICROSECOND;
        let Some(state) = self.scope.state(before, db) else {
            return Ok(BTreeMap::new());
        };
        let mut state = state.into_query();
        state.clear_selects();
        select_keys::<R>(&mut state);
        for (place, (column, kind)) in self.columns.iter().enumerate() {
            let column = quoted(self.dialect, table_of::<R>(), *column);
            let number = self.double(*kind, &column);
            state.expr_as(Expr::cust(number), left_name(place));
        }
        let rows = db.query_all(&state).await.map_err(unread::<R>)?;
        let held = rows
            .iter()
            .map(|row| Ok((RowKey::read::<R>(row)?, self.left(row)?)));
        held.collect()
    }

    fn double(&self, kind: NumberKind, column: &str) -> String {
        let number = self.dialect.number(kind, column);
        self.dialect.double(&number)
    }

    fn left(&self, row: &QueryResult) -> Result<Values, DbErr> {
        let places = 0..self.columns.len();
        places
            .map(|place| row.try_get("", &left_name(place)))
            .collect()
    }

    async fn pieces<C: ConnectionTrait>(
        &self,
        cuts: Cuts,
        begin: DateTime<Utc>,
        last: DateTime<Utc>,
        db: &C,
    ) -> Result<BTreeMap<DateTime<Utc>, Vec<Piece>>, DbErr> {
        let end = last + MICROSECOND;
        let select = between(self.scope.records().clone(), Some(begin), Some(end));
        let bound = bound(self.scope, self.dialect);
        let most = self.dialect.max_parameters();
        let seeks = self.columns.len() * bound;
        let at_once = (most.saturating_sub(seeks) / (bound + 3)).clamp(1, STATEMENT);
        let mut pieces: BTreeMap<_, Vec<Piece>> = BTreeMap::new();
        let mut occupied = Occupied::new(select, cuts, begin, last);
        while let Some(intervals) = occupied.next(db).await? {
            for intervals in intervals.chunks(at_once) {
                let clipped =
                    |interval: &Interval| (Ord::max(interval.0, begin), Ord::min(interval.1, end));
                let clipped: Vec<_> = intervals.iter().map(clipped).collect();
                let statement = self.statement(&clipped);
                for row in db.query_all(&statement).await.map_err(unread::<R>)? {
                    let interval = interval_in(&row, intervals)?;
                    if let Some(((start, _), piece)) = interval.zip(self.piece(&row)?) {
                        pieces.entry(start).or_default().push(piece);
                    }
                }
            }
        }
        Ok(pieces)
    }

    fn piece(&self, row: &QueryResult) -> Result<Option<Piece>, DbErr> {
        let ends = time_in(row, FIRST_AT)?.zip(time_in(row, LAST_AT)?);
        let Some((first_at, last_at)) = ends else {
            return Ok(None);
        };
        let areas = (0..self.columns.len()).map(|place| {
            let [sum, rest, micros] = area_names(place);
            let names = [sum.as_str(), rest.as_str()];
            let sum = self.dialect.read_sum(NumberKind::Float, row, names)?;
            let kind = NumberKind::Integer;
            let micros = self.dialect.read_number(kind, row, &micros)?;
            Ok::<_, DbErr>(Area {
                sum: sum.map_or(0.0, Number::to_f64),
                micros: micros.and_then(Number::to_i64).unwrap_or_default(),
            })
        });
        Ok(Some(Piece {
            row: RowKey::read::<R>(row)?,
            first_at,
            last_at,
            areas: areas.collect::<Result<_, _>>()?,
            left: self.left(row)?,
        }))
    }

    fn statement(&self, intervals: &[Interval]) -> SelectStatement {
        let groups = of_each_bucket(self.dialect, intervals, |edges| self.group(&edges));
        let mut statement = Query::select();
        statement
            .expr(Expr::cust(format!("{GROUPS}.*")))
            .from_subquery(groups, GROUPS);
        for (place, (column, kind)) in self.columns.iter().enumerate() {
            let mut seek = self.scope.records().clone().into_query();
            seek.clear_selects()
                .expr(Expr::cust(self.living(*column, *kind)))
                .and_where(own::<R>(R::RECORDED_AT).eq(Expr::col((GROUPS, LAST_AT))));
            seek.and_where(has_key_in::<R>(GROUPS));
            statement.expr_as(
                Expr::SubQuery(None, Box::new(seek.into())),
                left_name(place),
            );
        }
        statement
    }

    fn living(&self, column: R::Column, kind: NumberKind) -> String {
        let column = quoted(self.dialect, table_of::<R>(), column);
        let event = quoted(self.dialect, table_of::<R>(), R::EVENT);
        living(&event, &self.double(kind, &column))
    }

    fn group(&self, edges: &Edges) -> SelectStatement {
        let mut records = self.scope.records().clone().into_query();
        records.clear_selects();
        records.and_where(edges.hold(own::<R>(R::RECORDED_AT)));
        select_keys::<R>(&mut records);
        records.expr_as(own::<R>(R::RECORDED_AT), R::RECORDED_AT.as_str());
        for (place, (column, kind)) in self.columns.iter().enumerate() {
            let value = self.living(*column, *kind);
            records.expr_as(Expr::cust(value), left_name(place));
        }
        let column = |column: R::Column| quoted(self.dialect, table_of::<R>(), column);
        let rows: Vec<_> = record_key::<R>().map(column).collect();
        let next = format!(
            "LEAD({at}) OVER (PARTITION BY {rows} ORDER BY {at})",
            at = column(R::RECORDED_AT),
            rows = rows.join(", ")
        );
        records.expr_as(Expr::cust(next), NEXT_AT);
        self.areas(edges, records)
    }

    fn areas(&self, edges: &Edges, records: SelectStatement) -> SelectStatement {
        let at = || Expr::col((RECORDS, Alias::new(R::RECORDED_AT.as_str())));
        let mut group = Query::select();
        group
            .expr_as(edges.place.clone(), BUCKET)
            .expr_as(at().min(), FIRST_AT)
            .expr_as(at().max(), LAST_AT)
            .from_subquery(records, RECORDS);
        for key in record_key::<R>() {
            let key = Expr::col((RECORDS, Alias::new(key.as_str())));
            group.expr(key.clone()).add_group_by([key]);
        }
        let at = quoted(self.dialect, RECORDS, R::RECORDED_AT);
        let next_at = format!("{RECORDS}.{NEXT_AT}");
        let micros = self.dialect.micros_between(&at, &next_at);
        for place in 0..self.columns.len() {
            let value = format!("{RECORDS}.{}", left_name(place));
            let area = format!("({value} * {micros})");
            let known = format!("SUM(CASE WHEN {value} IS NOT NULL THEN {micros} END)");
            let [sum, rest] = self.dialect.sum(NumberKind::Float, &area);
            let known = self.dialect.written(NumberKind::Integer, &known);
            for (sql, name) in [sum, rest, known].into_iter().zip(area_names(place)) {
                group.expr_as(Expr::cust(sql), Alias::new(name));
            }
        }
        group
    }
}

/// The value that a row is left with.
fn left_name(place: usize) -> String {
    format!("agg_left_{place}")
}

fn area_names(place: usize) -> [String; 3] {
    ["sum", "rest", "micros"].map(|what| format!("agg_{what}_{place}"))
}
