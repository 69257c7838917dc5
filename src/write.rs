//! From snapshots to records: one conditional `INSERT … SELECT` for a chunk of rows.
//!
//! Rows come along in a derived table `v`; the latest record of each is joined as `l`; what differs
//! is inserted, with a time after that of `l`. Columns that the source table holds in the same form
//! are taken from there in SQL (`s`), so that a fan-out carries keys and properties alone.
//!
//! The latest record is read in this statement, which is never the one that locked the row:
//! PostgreSQL re-reads a row that it waited for, but keeps what was joined to it.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, StatementBuilder, Value,
    Values,
};

use crate::context::{Context, Stamp};
use crate::dialect::{Dialect, Sql, bind_time};
use crate::erased::Connection;
use crate::keys::Run;
use crate::plan::{Column, Shape};
use crate::typed::{Key, Row};
use crate::{Event, RecordError};

/// Rows of one statement, as far as its parameters allow.
pub(crate) const CHUNK: usize = 1_000;

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
    /// All from the source table, for a run of keys, which are not listed.
    Run,
}

/// Which rows get a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Those that differ from their latest record, or have none.
    Changed,
    /// Those without any record.
    Unrecorded,
    /// Those that are gone, and not yet said to be.
    Gone,
    /// All: it is known that they have no records.
    MadeHere,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(
        conn: Connection<'w>,
        shape: &'w Shape,
        context: &Context,
        stamp: Stamp,
    ) -> Self {
        let kept = shape.context.iter().zip(context.values());
        Self {
            conn,
            dialect: Dialect::of(&conn),
            shape,
            stamp,
            context: kept
                .filter_map(|(column, value)| column.as_ref().map(|_| value))
                .collect(),
        }
    }

    /// Records rows whose values are all at hand, if they changed.
    pub(crate) async fn values(&self, event: Event, rows: &[Row]) -> Result<(), DbErr> {
        self.insert(From::Values, Where::Changed, event, rows)
            .await
            .map(drop)
    }

    /// Records rows of the source table, which the caller has locked, if they changed.
    pub(crate) async fn source(&self, event: Event, rows: &[Row]) -> Result<(), DbErr> {
        self.insert(From::Source, Where::Changed, event, rows)
            .await
            .map(drop)
    }

    /// Records rows of the source table that nobody else can see and that have no records.
    pub(crate) async fn made_here(&self, event: Event, rows: &[Row]) -> Result<(), DbErr> {
        self.insert(From::Source, Where::MadeHere, event, rows)
            .await
            .map(drop)
    }

    /// The same for a run of rows that the source table holds as they are to be recorded.
    pub(crate) async fn run_made_here(&self, event: Event, run: &Run) -> Result<(), DbErr> {
        let mut values = self.bindings(event, Where::MadeHere);
        values.extend([run.first.clone(), run.last.clone()]);
        let text = self.insert_text(From::Run, Where::MadeHere, 1);
        self.write(text, values).await.map(drop)
    }

    /// Whether there are records of rows of a run.
    pub(crate) async fn has_any(&self, run: &Run) -> Result<bool, DbErr> {
        let text = self.text_of("any", 1, || {
            let mut sql = self.dialect.sql();
            sql.push("SELECT 1 AS found FROM ");
            table(&mut sql, &self.shape.record);
            sql.push(" r WHERE ");
            self.within_run(&mut sql, "r", |column| &column.name);
            sql.push(" LIMIT 1");
            sql.finish()
        });
        let any = self.read(text, vec![run.first.clone(), run.last.clone()]);
        Ok(!any.await?.is_empty())
    }

    /// Records that rows are gone, with the values of their latest records; answers for how many.
    pub(crate) async fn gone(&self, keys: &[Row]) -> Result<u64, DbErr> {
        self.insert(From::Latest, Where::Gone, Event::Deleted, keys)
            .await
    }

    /// Gives rows that have no record one, of the values at hand.
    pub(crate) async fn first(&self, event: Event, rows: &[Row]) -> Result<(), DbErr> {
        self.insert(From::Values, Where::Unrecorded, event, rows)
            .await
            .map(drop)
    }

    /// Whether a record would be written now that this row is gone.
    pub(crate) async fn lacks_tombstone(&self, key: &Row) -> Result<bool, DbErr> {
        let text = self.text_of("lacks tombstone", 1, || {
            let mut sql = self.dialect.sql();
            sql.push("SELECT 1 AS due FROM ");
            self.rows_and_latest(&mut sql, From::Latest, 1);
            self.condition(&mut sql, From::Latest, Where::Gone);
            sql.finish()
        });
        let due = self.read(text, key.key.clone()).await?;
        Ok(!due.is_empty())
    }

    /// Which of these keys have no record, by their places.
    pub(crate) async fn unrecorded(&self, keys: &[Key]) -> Result<Vec<usize>, DbErr> {
        let mut unrecorded = Vec::new();
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            let text = self.text_of("unrecorded", keys.len(), || {
                let mut sql = self.dialect.sql();
                sql.push("SELECT ")
                    .column("v", &v_column(self.shape.key.len()));
                sql.push(" AS place FROM ");
                self.rows(&mut sql, From::Latest, keys.len(), true);
                sql.push(" WHERE NOT EXISTS (SELECT 1 FROM ");
                table(&mut sql, &self.shape.record);
                sql.push(" r WHERE ");
                self.same_key(&mut sql, "r", |column| &column.name);
                sql.push(")");
                sql.finish()
            });
            let found = self.read(text, keys.iter().flatten().cloned().collect());
            for row in found.await? {
                unrecorded.push(chunk * CHUNK + place(&row)?);
            }
        }
        Ok(unrecorded)
    }

    /// Which rows differ from their latest records, and in what.
    pub(crate) async fn compare(&self, rows: &[Row]) -> Result<Vec<Difference>, DbErr> {
        let width = self.shape.key.len() + self.shape.values().count();
        let chunk = self.rows_of_one_statement(width);
        let mut differences = Vec::new();
        for (at, rows) in rows.chunks(chunk).enumerate() {
            let text = self.text_of("compare", rows.len(), || {
                self.compare_text(rows.len(), width)
            });
            let values = self.cells(From::Values, rows).collect();
            for row in self.read(text, values).await? {
                differences.push(self.difference(&row, at * chunk)?);
            }
        }
        Ok(differences)
    }

    fn compare_text(&self, rows: usize, width: usize) -> String {
        let flag = |sql: &mut Sql, condition: &str, name: &str| {
            sql.push(&format!(
                ", CASE WHEN {condition} THEN 1 ELSE 0 END AS {name}"
            ));
        };
        let recorded_at = self.latest(&self.shape.recorded_at);
        let event = self.latest(&self.shape.event);
        let mut sql = self.dialect.sql();
        sql.push("SELECT ")
            .column("v", &v_column(width))
            .push(" AS place");
        flag(&mut sql, &format!("{recorded_at} IS NULL"), "unrecorded");
        flag(&mut sql, &format!("{event} = 'deleted'"), "deleted");
        for (at, (column, value)) in self.values_of(From::Values).into_iter().enumerate() {
            let mut same = self.dialect.sql();
            let latest = self.latest(&column.name);
            self.dialect.same(&mut same, &column.ty, &latest, &value);
            flag(
                &mut sql,
                &format!("NOT ({})", same.finish()),
                &format!("differs{at}"),
            );
        }
        sql.push(" FROM ");
        self.rows(&mut sql, From::Values, rows, true);
        self.join_latest(&mut sql, From::Values);
        self.condition(&mut sql, From::Values, Where::Changed);
        sql.finish()
    }

    fn difference(&self, row: &QueryResult, offset: usize) -> Result<Difference, DbErr> {
        let is = |name: &str| Ok::<_, DbErr>(row.try_get::<i32>("", name)? != 0);
        let mut columns = Vec::new();
        for (at, column) in self.shape.values().enumerate() {
            if is(&format!("differs{at}"))? {
                columns.push(column.name.clone());
            }
        }
        Ok(Difference {
            place: offset + place(row)?,
            unrecorded: is("unrecorded")?,
            deleted: is("deleted")?,
            columns,
        })
    }

    async fn read(&self, text: Arc<str>, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
        let statement = self.statement(text, values);
        let rows = self.conn.query_all(&statement).await;
        rows.map_err(|error| self.failed("reading", error))
    }

    /// The text of a statement for so many rows. Odd sizes come once; only the first and the full
    /// chunk come again and again.
    fn text_of(&self, name: &'static str, rows: usize, build: impl FnOnce() -> String) -> Arc<str> {
        match rows {
            1 | CHUNK => self.shape.text((name, self.dialect.index(), rows), build),
            _ => build().into(),
        }
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
        rows: &[Row],
    ) -> Result<u64, DbErr> {
        let mut written = 0;
        let width = self.shape.key.len() + self.brought(from).count();
        for rows in rows.chunks(self.rows_of_one_statement(width)) {
            if self.stamp.fixed && which != Where::MadeHere {
                self.refuse_stale_clock(from, which, rows).await?;
            }
            let mut values = self.bindings(event, which);
            values.extend(self.cells(from, rows));
            let text = self.insert_text(from, which, rows.len());
            written += self.write(text, values).await?;
        }
        Ok(written)
    }

    async fn write(&self, text: Arc<str>, values: Vec<Value>) -> Result<u64, DbErr> {
        let statement = self.statement(text, values);
        let result: Result<ExecResult, _> = self.conn.execute(&statement).await;
        self.shape.prove(self.dialect, result.is_ok());
        let result = result.map_err(|error| self.failed("writing", error))?;
        Ok(result.rows_affected())
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
        self.rows_and_latest(&mut sql, from, rows.len());
        self.condition(&mut sql, from, which);
        sql.push(" AND ")
            .column("l", &self.shape.recorded_at)
            .push(" >= ")
            .placeholder()
            .push(" LIMIT 1");
        let values = self
            .cells(from, rows)
            .chain([bind_time(self.stamp.at)])
            .collect();
        let statement = self.statement(sql.finish().into(), values);
        let found = self
            .conn
            .query_one(&statement)
            .await
            .map_err(|error| self.failed("reading", error))?;
        let Some(row) = found else { return Ok(()) };
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
        self.stamp.fixed || which == Where::MadeHere
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

    /// The values of `v`, row by row.
    fn cells<'r>(&'r self, from: From, rows: &'r [Row]) -> impl Iterator<Item = Value> + 'r {
        let brought: Vec<usize> = self.brought(from).map(|(index, _)| index).collect();
        rows.iter().flat_map(move |row| {
            let values: Vec<_> = brought
                .iter()
                .filter_map(|index| row.values.get(*index).cloned())
                .collect();
            row.key.iter().cloned().chain(values)
        })
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
                From::Source => *index >= columns || !dialect.copies(&column.ty),
                From::Latest | From::Run => false,
            })
    }

    fn statement(&self, text: Arc<str>, values: Vec<Value>) -> Prepared<'_> {
        Prepared {
            text,
            values,
            shape: self.shape,
        }
    }

    fn failed(&self, action: &str, source: DbErr) -> DbErr {
        let action = format!("{action} `{}`", self.shape.record);
        RecordError::database(&self.shape.entity, action, source).into()
    }

    fn insert_text(&self, from: From, which: Where, rows: usize) -> Arc<str> {
        let name = match (from, which, self.stamp.fixed) {
            (From::Run, ..) => "run",
            (_, Where::MadeHere, _) => "made here",
            (From::Values, Where::Unrecorded, false) => "first",
            (From::Values, Where::Unrecorded, true) => "first, at",
            (From::Values, _, false) => "values",
            (From::Values, _, true) => "values, at",
            (From::Source, _, false) => "source",
            (From::Source, _, true) => "source, at",
            (From::Latest, _, false) => "gone",
            (From::Latest, _, true) => "gone, at",
        };
        self.text_of(name, rows, || self.build_insert(from, which, rows))
    }

    fn build_insert(&self, from: From, which: Where, rows: usize) -> String {
        let shape = self.shape;
        let kept = || shape.context.iter().flatten();
        let mut sql = self.dialect.sql();
        sql.push("INSERT INTO ");
        table(&mut sql, &shape.record);
        let standard = [&shape.recorded_at, &shape.event];
        let names = shape.key.iter().map(|column| &column.name).chain(standard);
        let names = names.chain(shape.values().chain(kept()).map(|column| &column.name));
        sql.push(" (")
            .list(names, ", ", |sql, name| {
                sql.ident(name);
            })
            .push(") SELECT ");
        for (index, column) in shape.key.iter().enumerate() {
            match from {
                From::Run => sql.column("s", &column.source),
                _ => sql.column("v", &v_column(index)),
            };
            sql.push(", ");
        }
        match self.stamps_plainly(which) {
            true => {
                sql.placeholder();
            }
            false => {
                let latest = self.latest(&shape.recorded_at);
                self.dialect.stamp(&mut sql, &latest);
            }
        }
        sql.push(", ").placeholder();
        for (_, value) in self.values_of(from) {
            sql.push(", ").push(&value);
        }
        for column in kept() {
            sql.push(", ");
            column.cell(&mut sql, self.dialect);
        }
        sql.push(" FROM ");
        match (from, which) {
            (From::Run, _) => {
                table(&mut sql, &shape.source);
                sql.push(" s WHERE ");
                self.within_run(&mut sql, "s", |column| &column.source);
            }
            (_, Where::MadeHere) => self.rows_and_source(&mut sql, from, rows),
            _ => {
                self.rows_and_latest(&mut sql, from, rows);
                self.condition(&mut sql, from, which);
            }
        }
        sql.finish()
    }

    fn within_run(&self, sql: &mut Sql, alias: &str, name: impl Fn(&Column) -> &str) {
        sql.list(&self.shape.key, " AND ", |sql, column| {
            sql.column(alias, name(column)).push(" BETWEEN ");
            sql.placeholder().push(" AND ").placeholder();
        });
    }

    /// The rows, joined with the latest record of each.
    fn rows_and_latest(&self, sql: &mut Sql, from: From, rows: usize) {
        self.rows_and_source(sql, from, rows);
        self.join_latest(sql, from);
    }

    /// `v`, joined with the source where its columns are needed.
    fn rows_and_source(&self, sql: &mut Sql, from: From, rows: usize) {
        self.rows(sql, from, rows, false);
        if from == From::Source {
            sql.push(" INNER JOIN ");
            table(sql, &self.shape.source);
            sql.push(" s ON ");
            self.same_key(sql, "s", |column| &column.source);
        }
    }

    /// `v`, whose last column is the place of each row where that is asked for.
    fn rows(&self, sql: &mut Sql, from: From, rows: usize, places: bool) {
        let brought = self.brought(from).map(|(_, column)| column);
        let cells: Vec<&Column> = self.shape.key.iter().chain(brought).collect();
        let width = cells.len() + usize::from(places);
        self.dialect.rows(sql, rows, width, |sql, row, column| {
            match cells.get(column) {
                Some(cell) => cell.cell(sql, self.dialect),
                None => drop(sql.push(&row.to_string())),
            }
        });
    }

    fn join_latest(&self, sql: &mut Sql, from: From) {
        let join = if from == From::Latest {
            " INNER JOIN "
        } else {
            " LEFT JOIN "
        };
        sql.push(join);
        match self.dialect.has_lateral() {
            true => self.latest_by_lateral(sql),
            false => self.latest_by_maximum(sql),
        }
    }

    fn latest_by_lateral(&self, sql: &mut Sql) {
        sql.push("LATERAL (SELECT * FROM ");
        table(sql, &self.shape.record);
        sql.push(" r WHERE ");
        self.same_key(sql, "r", |column| &column.name);
        sql.push(" ORDER BY ")
            .column("r", &self.shape.recorded_at)
            .push(" DESC LIMIT 1) l ON TRUE");
    }

    fn latest_by_maximum(&self, sql: &mut Sql) {
        table(sql, &self.shape.record);
        sql.push(" l ON ");
        self.same_key(sql, "l", |column| &column.name);
        sql.push(" AND ")
            .column("l", &self.shape.recorded_at)
            .push(" = (SELECT MAX(");
        sql.column("r", &self.shape.recorded_at).push(") FROM ");
        table(sql, &self.shape.record);
        sql.push(" r WHERE ");
        self.same_key(sql, "r", |column| &column.name);
        sql.push(")");
    }

    fn same_key(&self, sql: &mut Sql, alias: &str, name: impl Fn(&Column) -> &str) {
        sql.list(
            self.shape.key.iter().enumerate(),
            " AND ",
            |sql, (index, column)| {
                sql.column(alias, name(column))
                    .push(" = ")
                    .column("v", &v_column(index));
            },
        );
    }

    fn condition(&self, sql: &mut Sql, from: From, which: Where) {
        let recorded_at = self.latest(&self.shape.recorded_at);
        let event = self.latest(&self.shape.event);
        match which {
            Where::MadeHere => {}
            Where::Unrecorded => {
                sql.push(&format!(" WHERE {recorded_at} IS NULL"));
            }
            Where::Gone => {
                sql.push(&format!(
                    " WHERE {event} <> 'deleted' AND NOT EXISTS (SELECT 1 FROM "
                ));
                table(sql, &self.shape.source);
                sql.push(" s WHERE ");
                self.same_key(sql, "s", |column| &column.source);
                sql.push(")");
            }
            Where::Changed => {
                sql.push(&format!(
                    " WHERE ({recorded_at} IS NULL OR {event} = 'deleted'"
                ));
                for (column, value) in self.values_of(from) {
                    sql.push(" OR NOT (");
                    self.dialect
                        .same(sql, &column.ty, &self.latest(&column.name), &value);
                    sql.push(")");
                }
                sql.push(")");
            }
        }
    }

    /// Each value column with the expression of its new value.
    fn values_of(&self, from: From) -> Vec<(&'w Column, String)> {
        let brought: Vec<usize> = self.brought(from).map(|(index, _)| index).collect();
        let keys = self.shape.key.len();
        let values = self.shape.values().enumerate();
        values
            .map(|(index, column)| {
                let place = brought.iter().position(|brought| *brought == index);
                let expression = match (place, from) {
                    (Some(place), _) => self.quoted("v", &v_column(keys + place)),
                    (None, From::Latest) => self.latest(&column.name),
                    (None, _) => self.quoted("s", &column.source),
                };
                (column, expression)
            })
            .collect()
    }

    fn latest(&self, column: &str) -> String {
        self.quoted("l", column)
    }

    fn quoted(&self, alias: &str, column: &str) -> String {
        let mut sql = self.dialect.sql();
        sql.column(alias, column);
        sql.finish()
    }
}

/// How a row differs from its latest record.
pub(crate) struct Difference {
    /// Which of the rows that were compared.
    pub(crate) place: usize,
    /// It has no record.
    pub(crate) unrecorded: bool,
    /// Its latest record says that it was deleted.
    pub(crate) deleted: bool,
    /// Columns and properties whose values differ.
    pub(crate) columns: Vec<String>,
}

fn place(row: &QueryResult) -> Result<usize, DbErr> {
    let place: i32 = row.try_get("", "place")?;
    usize::try_from(place).map_err(|_| DbErr::Type("a place below zero".to_owned()))
}

/// The name that a derived table gives its columns.
fn v_column(index: usize) -> String {
    format!("column{}", index + 1)
}

fn table(sql: &mut Sql, table: &crate::plan::Table) {
    if let Some(schema) = &table.schema {
        sql.ident(schema).push(".");
    }
    sql.ident(&table.name);
}

/// Rows that bring their keys alone.
pub(crate) fn keys_alone(keys: Vec<Key>) -> Vec<Row> {
    let row = |key| Row {
        key,
        values: Vec::new(),
    };
    keys.into_iter().map(row).collect()
}

/// A statement whose text is already there. It travels as a builder, since SeaORM's
/// `RestrictedConnection` takes nothing else.
struct Prepared<'s> {
    text: Arc<str>,
    values: Vec<Value>,
    #[cfg_attr(
        not(feature = "rbac"),
        expect(dead_code, reason = "audited with rbac alone")
    )]
    shape: &'s Shape,
}

impl StatementBuilder for Prepared<'_> {
    fn build(&self, db_backend: &DbBackend) -> Statement {
        Statement {
            sql: self.text.to_string(),
            values: Some(Values(self.values.clone())),
            db_backend: *db_backend,
        }
    }

    #[cfg(feature = "rbac")]
    fn audit(&self) -> Result<sea_orm::QueryAccessAudit, sea_orm::AuditError> {
        use sea_orm::sea_query::{Alias, IntoTableRef, Query};
        let named = |table: &crate::plan::Table| match &table.schema {
            Some(schema) => (Alias::new(schema), Alias::new(&table.name)).into_table_ref(),
            None => Alias::new(&table.name).into_table_ref(),
        };
        let (record, source) = (named(&self.shape.record), named(&self.shape.source));
        let mut audit = Query::select()
            .from(record.clone())
            .from(source)
            .take()
            .audit()?;
        if self.text.starts_with("INSERT") {
            audit
                .requests
                .extend(Query::insert().into_table(record).take().audit()?.requests);
        }
        Ok(audit)
    }
}
