//! From snapshots to records: one conditional `INSERT … SELECT` for a chunk of rows.
//!
//! Rows come along in a derived table `v`; the latest record of each is joined as `l`; what differs
//! is inserted, with a time after that of `l`. Columns that the source table holds in the same form
//! are taken from there in SQL (`s`), so that a fan-out carries keys and properties alone.
//!
//! `write/one.rs` records a single row where that is quicker by another statement;
//! `write/compare.rs` reads what would be written, `write/carry.rs` copies records to a later moment,
//! `write/remove.rs` takes records away, `write/erasure.rs` what they say; `write/audit.rs` says under
//! access control what a statement reads and writes.
//!
//! The latest record is read in this statement, which is never the one that locked the row:
//! PostgreSQL re-reads a row that it waited for, but keeps what was joined to it.

#[cfg(feature = "rbac")]
mod audit;
mod carry;
mod compare;
mod erasure;
mod one;
mod remove;
mod text;

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr, ExecResult, QueryResult, Statement, Value, Values};

use crate::by_keys::Ends;
use crate::context::{Context, Stamp};
use crate::dialect::{Dialect, Sql, bind_time};
use crate::erased::Connection;
use crate::keys::{self, Key, Run};
use crate::plan::{Column, Shape};
use crate::typed::Row;
use crate::{Event, RecordError};

pub(crate) use compare::Difference;
pub(crate) use erasure::{Blank, Cell, nothing};

/// Rows of one statement, as far as its parameters allow.
pub(crate) const CHUNK: usize = 1_000;

/// The length of a list that holds so many: 1, 2, 3, 4, 6, 8, 12 and so on, so that texts come again.
/// One that is new costs a round trip to prepare it, and soon another that sqlx forgets, of a hundred
/// to a connection.
pub(crate) fn list_length(count: usize) -> usize {
    let power = count.next_power_of_two();
    match count {
        CHUNK.. => count,
        _ if count * 4 <= power * 3 => power / 4 * 3,
        _ => power.min(CHUNK),
    }
}

/// Events that statements name.
const DELETED: &str = Event::Deleted.as_str();
const ERASED: &str = Event::Erased.as_str();
const BLANKED: &str = Event::Blanked.as_str();

/// Writes the records of one entity.
pub(crate) struct Writer<'w> {
    conn: Connection<'w>,
    dialect: Dialect,
    shape: &'w Shape,
    stamp: Stamp,
    context: Vec<Value>,
}

/// Where the recorded columns come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// All from Rust.
    Values,
    /// From the source table, as far as it holds them in the same form.
    Source,
    /// From the latest record, for rows that are gone.
    Latest,
    /// The same, for a run of keys, which are not listed.
    Run,
}

/// How rows come along.
#[derive(Clone, Copy)]
enum Brought {
    /// So many rows of placeholders.
    Listed(usize),
    /// An array for each column, or all as JSON: one text for any number of rows, which is planned once.
    Arrays,
    /// The same, and the first and the last key, so that the source is not read from end to end.
    ArraysWithin,
}

/// Which rows get a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Those that differ from their latest record, or have none.
    Changed,
    /// The same of rows that were looked at without having been saved: what was erased of them is
    /// not brought back.
    Seen,
    /// Those without any record.
    Unrecorded,
    /// Those that are gone, and not yet said to be.
    Gone,
    /// The same, but for those whose history was erased.
    SeenGone,
    /// Those with records, which get a mark of an erasure.
    Marked,
    /// All: it is known that they have no records.
    MadeHere,
}

impl Where {
    /// Whether what is written has no record before it.
    fn is_first(self) -> bool {
        matches!(self, Self::Unrecorded | Self::MadeHere)
    }
}

impl<'w> Writer<'w> {
    pub(crate) fn new(
        conn: Connection<'w>,
        shape: &'w Shape,
        context: &Context,
        stamp: Stamp,
    ) -> Self {
        let mut kept = Vec::new();
        // A change id is made for who keeps it.
        if shape.context.iter().any(Option::is_some) {
            let cells = shape.context.iter().zip(context.values());
            kept.extend(cells.filter_map(|(column, value)| column.as_ref().map(|_| value)));
        }
        Self {
            conn,
            dialect: Dialect::of(&conn),
            shape,
            stamp,
            context: kept,
        }
    }

    /// Records rows whose values are all at hand, if they changed.
    pub(crate) async fn values(&self, event: Event, rows: Vec<Row>) -> Result<(), DbErr> {
        if let Some(way) = self.dialect.one().filter(|_| !self.stamp.fixed) {
            for row in rows {
                self.one(way, event, row).await?;
            }
            return Ok(());
        }
        self.insert(From::Values, Where::Changed, event, rows)
            .await
            .map(drop)
    }

    /// Records rows of the source table, which the caller has locked, if they changed; answers for
    /// how many.
    pub(crate) async fn source(&self, event: Event, rows: Vec<Row>) -> Result<u64, DbErr> {
        self.insert(From::Source, Where::Changed, event, rows).await
    }

    /// The same for rows that were not saved themselves: what was erased of them stays so.
    pub(crate) async fn source_seen(&self, event: Event, rows: Vec<Row>) -> Result<u64, DbErr> {
        self.insert(From::Source, Where::Seen, event, rows).await
    }

    /// Records a run of rows of the source table that nobody else can see and that have no records.
    /// `rows` are their snapshots; none are needed where the table holds all that is to be recorded.
    pub(crate) async fn made_here(
        &self,
        event: Event,
        run: &Run,
        rows: Vec<Row>,
    ) -> Result<(), DbErr> {
        let Some(cells) = self.cells_of_run(run, &rows) else {
            let insert = self.insert(From::Source, Where::MadeHere, event, rows);
            return insert.await.map(drop);
        };
        let mut values = self.bindings(event, Where::MadeHere);
        values.extend(cells.into_iter().chain(run.ends()));
        let text = self.insert_text(From::Run, Where::MadeHere, Brought::Listed(1));
        self.write(text, values).await.map(drop)
    }

    /// Records that rows are gone, with the values of their latest records; answers for how many. Of
    /// rows that were only `seen` to be, what was erased is not said to be gone as well.
    pub(crate) async fn gone(&self, keys: Vec<Row>, seen: bool) -> Result<u64, DbErr> {
        let which = if seen { Where::SeenGone } else { Where::Gone };
        self.insert(From::Latest, which, Event::Deleted, keys).await
    }

    /// Gives rows of the source table that have no record one; the caller has locked them. Answers
    /// for how many.
    pub(crate) async fn first_of_source(&self, event: Event, rows: Vec<Row>) -> Result<u64, DbErr> {
        self.insert(From::Source, Where::Unrecorded, event, rows)
            .await
    }

    /// The same for all rows from a key to another, which the source table holds as they are to be
    /// recorded; of a key of one column.
    pub(crate) async fn first_within(&self, event: Event, ends: &Ends) -> Result<u64, DbErr> {
        let mut values = self.bindings(event, Where::Unrecorded);
        // Once for the source, once for its records.
        for _ in 0..2 {
            values.extend(ends.first.iter().chain(&ends.last).cloned());
        }
        let text = self.insert_text(From::Run, Where::Unrecorded, Brought::Listed(1));
        self.write(text, values).await
    }

    /// Gives rows that have no record one, of the values at hand.
    pub(crate) async fn first(&self, event: Event, rows: Vec<Row>) -> Result<(), DbErr> {
        self.insert(From::Values, Where::Unrecorded, event, rows)
            .await
            .map(drop)
    }

    async fn read(&self, text: Arc<str>, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        let statement = self.statement(&text, values);
        #[cfg(not(feature = "rbac"))]
        let rows = self.conn.query_all_raw(statement).await;
        #[cfg(feature = "rbac")]
        let rows = self.conn.query_all(&self.audited(statement)).await;
        rows.map_err(|error| self.failed("reading", error))
    }

    /// What a statement counts, which calls it `counted`.
    async fn count(&self, sql: Sql, values: Vec<Value>) -> Result<u64, DbErr> {
        let rows = self.read(sql.finish().into(), values).await?;
        let counted: i64 = match rows.first() {
            Some(row) => row.try_get("", "counted")?,
            None => 0,
        };
        Ok(counted.unsigned_abs())
    }

    /// Changes records; answers for how many.
    async fn change(&self, text: Arc<str>, values: Vec<Value>, action: &str) -> Result<u64, DbErr> {
        let statement = self.statement(&text, values);
        #[cfg(not(feature = "rbac"))]
        let changed: Result<ExecResult, _> = self.conn.execute_raw(statement).await;
        #[cfg(feature = "rbac")]
        let changed: Result<ExecResult, _> = self.conn.execute(&self.audited(statement)).await;
        let changed = changed.map_err(|error| self.failed(action, error))?;
        Ok(changed.rows_affected())
    }

    /// The text of a statement for so many rows. Those of a [`list_length`] come again and again,
    /// others once.
    fn text_of(
        &self,
        name: &'static str,
        brought: Brought,
        build: impl FnOnce() -> String,
    ) -> Arc<str> {
        let rows = match brought {
            Brought::Arrays => 0,
            Brought::ArraysWithin => usize::MAX,
            Brought::Listed(rows) if rows == list_length(rows) => rows,
            Brought::Listed(_) => return build().into(),
        };
        self.shape.text((name, self.dialect.index(), rows), build)
    }

    fn rows_of_one_statement(&self, width: usize) -> usize {
        let fixed = self.context.len() + self.dialect.stamp_bindings() + 1;
        let fitting = (self.dialect.max_parameters() - fixed) / width.max(1);
        CHUNK.min(fitting).max(1)
    }

    async fn insert(
        &self,
        from: From,
        which: Where,
        event: Event,
        mut rows: Vec<Row>,
    ) -> Result<u64, DbErr> {
        let mut written = 0;
        let width = self.shape.key.len() + self.brought(from).count();
        let most = self.rows_of_one_statement(width);
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(most));
            let rows = std::mem::replace(&mut rows, rest);
            if self.stamp.fixed && !which.is_first() {
                self.refuse_stale_clock(from, which, &rows).await?;
            }
            let mut values = self.bindings(event, which);
            let (brought, cells) = self.bring(from, rows, most);
            values.extend(cells);
            let text = self.insert_text(from, which, brought);
            written += self.write(text, values).await?;
        }
        Ok(written)
    }

    async fn write(&self, text: Arc<str>, values: Vec<Value>) -> Result<u64, DbErr> {
        let context = self.shape.context.iter().flatten().zip(&self.context);
        self.shape.refuse_altered(self.dialect, context)?;
        let written = self.change(text, values, "writing").await;
        self.shape.prove(self.dialect, written.is_ok());
        written
    }

    /// A time that a context set is not moved, so it must come after every latest record.
    async fn refuse_stale_clock(
        &self,
        from: From,
        which: Where,
        rows: &[Row],
    ) -> Result<(), DbErr> {
        let mut sql = self.dialect.sql();
        sql.push("SELECT ");
        sql.column("l", &self.shape.recorded_at)
            .push(" AS recorded_at FROM ");
        self.rows_and_latest(&mut sql, from, Brought::Listed(rows.len()));
        self.condition(&mut sql, from, which);
        sql.push(" AND ")
            .column("l", &self.shape.recorded_at)
            .push(" >= ")
            .placeholder()
            .push(" LIMIT 1");
        let mut values = self.cells(from, rows.to_vec());
        values.push(bind_time(self.stamp.at));
        let found = self.read(sql.finish().into(), values).await?;
        let Some(row) = found.first() else {
            return Ok(());
        };
        let latest: chrono::DateTime<chrono::Utc> = row.try_get("", "recorded_at")?;
        Err(RecordError::Clock {
            at: self.stamp.at,
            problem: format!(
                "a row of `{}` already has a record of {latest}; set a later time",
                self.shape.entity
            ),
        }
        .into())
    }

    /// Whether records get the time as it is, since no record can be in its way.
    fn stamps_plainly(&self, which: Where) -> bool {
        self.stamp.fixed || which.is_first()
    }

    fn bindings(&self, event: Event, which: Where) -> Vec<Value> {
        let stamps = if self.stamps_plainly(which) {
            1
        } else {
            self.dialect.stamp_bindings()
        };
        let mut values = vec![bind_time(self.stamp.at); stamps];
        values.push(event.as_str().into());
        values.extend(self.context.iter().cloned());
        values
    }

    /// How `v` comes along, of `most` rows at most, and what is bound for it. Places that are over get
    /// no key, which is nobody's.
    fn bring(&self, from: From, rows: Vec<Row>, most: usize) -> (Brought, Vec<Value>) {
        let length = rows.len();
        let ends = (from == From::Source && self.dialect.has_arrays())
            .then(|| keys::ends(rows.iter().map(|row| &row.key)));
        let cells = self.cells(from, rows);
        let arrays = match length {
            1 => Err(cells),
            _ => self.dialect.arrays(cells, length),
        };
        match (arrays, ends.flatten()) {
            (Err(mut cells), _) => {
                let listed = list_length(length).min(most);
                let width = cells.len() / length;
                let over = cells[..width].iter().map(Value::as_null);
                let over: Vec<Value> = over.cycle().take((listed - length) * width).collect();
                cells.extend(over);
                (Brought::Listed(listed), cells)
            }
            (Ok(arrays), Some(ends)) => {
                let cells = arrays.into_iter().chain(ends).collect();
                (Brought::ArraysWithin, cells)
            }
            (Ok(arrays), None) => (Brought::Arrays, arrays),
        }
    }

    /// What comes along with a run: an array for each column, in the order of its keys, and the first
    /// key. Not where there are no arrays, or a row of the run is missing.
    fn cells_of_run(&self, run: &Run, rows: &[Row]) -> Option<Vec<Value>> {
        let brought: Vec<usize> = self.brought(From::Run).map(|(index, _)| index).collect();
        if brought.is_empty() {
            return Some(Vec::new());
        }
        let cells = rows
            .iter()
            .flat_map(|row| brought.iter().map(|index| row.values[*index].clone()));
        let keys = rows.iter().map(|row| &row.key[0]);
        if !self.dialect.has_arrays() || !keys.eq(run.keys().flatten().collect::<Vec<_>>().iter()) {
            return None;
        }
        let mut cells = self.dialect.arrays(cells.collect(), rows.len()).ok()?;
        let [first, _] = run.ends();
        cells.push(first);
        Some(cells)
    }

    /// The values of `v`, row by row.
    fn cells(&self, from: From, rows: Vec<Row>) -> Vec<Value> {
        let brought: Vec<usize> = self.brought(from).map(|(index, _)| index).collect();
        let mut cells = Vec::with_capacity(rows.len() * (self.shape.key.len() + brought.len()));
        for row in rows {
            let values = row.values.into_iter().enumerate();
            let values = values.filter(|(index, _)| brought.contains(index));
            cells.extend(row.key);
            cells.extend(values.map(|(_, value)| value));
        }
        cells
    }

    /// The values that come along in `v`, by their place among all.
    fn brought(&self, from: From) -> impl Iterator<Item = (usize, &'w Column)> + use<'w> {
        let columns = self.shape.columns.len();
        let dialect = self.dialect;
        self.shape
            .values()
            .enumerate()
            .filter(move |(index, column)| match from {
                From::Values => true,
                From::Source | From::Run => *index >= columns || !column.is_copied(dialect),
                From::Latest => false,
            })
    }

    fn statement(&self, text: &str, values: Vec<Value>) -> Statement {
        Statement {
            sql: text.to_owned(),
            values: Some(Values(values)),
            db_backend: self.conn.get_database_backend(),
        }
    }

    #[cfg(feature = "rbac")]
    fn audited(&self, statement: Statement) -> audit::Audited<'_> {
        audit::Audited {
            statement,
            shape: self.shape,
        }
    }

    fn failed(&self, action: &str, source: DbErr) -> DbErr {
        let action = format!("{action} `{}`", self.shape.record);
        RecordError::database(&self.shape.entity, action, source).into()
    }

    fn insert_text(&self, from: From, which: Where, brought: Brought) -> Arc<str> {
        let name = match (from, which, self.stamp.fixed) {
            (From::Run, Where::Unrecorded, _) => "first within",
            (From::Run, ..) => "run",
            (_, Where::MadeHere, _) => "made here",
            (From::Values, Where::Unrecorded, _) => "first",
            (From::Source, Where::Unrecorded, _) => "first of source",
            (From::Values, _, false) => "values",
            (From::Values, _, true) => "values, at",
            (From::Source, Where::Seen, false) => "source, seen",
            (From::Source, Where::Seen, true) => "source, seen, at",
            (From::Source, _, false) => "source",
            (From::Source, _, true) => "source, at",
            (From::Latest, Where::SeenGone, false) => "seen gone",
            (From::Latest, Where::SeenGone, true) => "seen gone, at",
            (From::Latest, _, false) => "gone",
            (From::Latest, _, true) => "gone, at",
        };
        self.text_of(name, brought, || self.build_insert(from, which, brought))
    }
}

/// Rows that bring their keys alone.
pub(crate) fn keys_alone(keys: Vec<Key>) -> Vec<Row> {
    let row = |key| Row {
        key,
        values: Vec::new(),
    };
    keys.into_iter().map(row).collect()
}
