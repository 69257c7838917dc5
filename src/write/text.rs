//! The text of the statements that write.

use super::{Brought, DELETED, ERASED, From, Where, Writer};
use crate::dialect::{Latest, Sql};
use crate::plan::{Column, Table};

impl<'w> Writer<'w> {
    pub(super) fn build_insert(&self, from: From, which: Where, brought: Brought) -> String {
        let shape = self.shape;
        let mut sql = self.insert_into(from, which);
        self.event_and_values(&mut sql, from, which);
        self.context_cells(&mut sql);
        sql.push(" FROM ");
        match (from, which) {
            (From::Run, _) => {
                table(&mut sql, &shape.source);
                sql.push(" s");
                match self.brought(from).count() {
                    0 => {}
                    arrays => self.dialect.arrays_beside(&mut sql, arrays),
                }
                sql.push(" WHERE ");
                self.within(&mut sql, "s", |column| &column.source);
                if which == Where::Unrecorded {
                    sql.push(" AND ");
                    self.no_record(&mut sql, |sql, (_, column)| {
                        sql.column("s", &column.source).push(" AND ");
                        // PostgreSQL keeps the plan that it made when there were few records, and
                        // would go on to read all of them for each chunk.
                        self.within(sql, "r", |column| &column.name);
                    });
                }
            }
            (_, Where::MadeHere) => self.rows_and_source(&mut sql, from, brought),
            (_, Where::Unrecorded) => {
                self.rows_and_source(&mut sql, from, brought);
                sql.push(" WHERE ");
                self.no_record(&mut sql, |sql, (index, _)| {
                    sql.column("v", &v_column(index));
                });
            }
            _ => {
                self.rows_and_latest(&mut sql, from, brought);
                self.condition(&mut sql, from, which);
            }
        }
        if let (From::Values, Brought::Listed(2..)) = (from, brought) {
            // Nothing else leaves out the places that no row has.
            sql.push(" AND ")
                .column("v", &v_column(0))
                .push(" IS NOT NULL");
        }
        sql.finish()
    }

    /// The columns of a record: its key, time and event, the values and the context.
    pub(super) fn insert_into_columns(&self, sql: &mut Sql) {
        let shape = self.shape;
        sql.push("INSERT INTO ");
        table(sql, &shape.record);
        let standard = [&shape.recorded_at, &shape.event];
        let names = shape.key.iter().map(|column| &column.name).chain(standard);
        let kept = shape.context.iter().flatten();
        let names = names.chain(shape.values().chain(kept).map(|column| &column.name));
        sql.push(" (")
            .list(names, ", ", |sql, name| {
                sql.ident(name);
            })
            .push(")");
    }

    /// Up to the time of the record: the event, the values and the context are to follow.
    pub(super) fn insert_into(&self, from: From, which: Where) -> Sql {
        let shape = self.shape;
        let mut sql = self.dialect.sql();
        self.insert_into_columns(&mut sql);
        sql.push(" SELECT ");
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
                self.dialect.stamp(&mut sql, &latest, Sql::placeholder);
            }
        }
        sql
    }

    pub(super) fn event_and_values(&self, sql: &mut Sql, from: From, which: Where) {
        if which == Where::Seen {
            self.seen_event_and_values(sql, from);
            return;
        }
        sql.push(", ").placeholder();
        for (_, value) in self.values_of(from) {
            sql.push(", ").push(&value);
        }
    }

    pub(super) fn context_cells(&self, sql: &mut Sql) {
        for column in self.shape.context.iter().flatten() {
            sql.push(", ");
            column.cell(sql, self.dialect);
        }
    }

    pub(super) fn within(&self, sql: &mut Sql, alias: &str, name: impl Fn(&Column) -> &str) {
        sql.list(&self.shape.key, " AND ", |sql, column| {
            sql.column(alias, name(column)).push(" BETWEEN ");
            column.write(sql, self.dialect, Sql::placeholder);
            sql.push(" AND ");
            column.write(sql, self.dialect, Sql::placeholder);
        });
    }

    /// Whether there is no record of the row whose key columns `key` writes.
    fn no_record(&self, sql: &mut Sql, key: impl Fn(&mut Sql, (usize, &Column))) {
        sql.push("NOT EXISTS (SELECT 1 FROM ");
        table(sql, &self.shape.record);
        sql.push(" r WHERE ");
        sql.list(
            self.shape.key.iter().enumerate(),
            " AND ",
            |sql, (index, column)| {
                sql.column("r", &column.name).push(" = ");
                key(sql, (index, column));
            },
        );
        sql.push(")");
    }

    /// The rows, joined with the latest record of each.
    pub(super) fn rows_and_latest(&self, sql: &mut Sql, from: From, brought: Brought) {
        self.timed(sql, |sql| self.rows_brought(sql, from, brought));
        self.join_source(sql, from, brought);
        self.join_latest(sql, from);
    }

    /// The rows, joined with the source where its columns are needed.
    fn rows_and_source(&self, sql: &mut Sql, from: From, brought: Brought) {
        self.rows_brought(sql, from, brought);
        self.join_source(sql, from, brought);
    }

    fn rows_brought(&self, sql: &mut Sql, from: From, brought: Brought) {
        match brought {
            Brought::Listed(rows) => self.rows(sql, from, rows, false),
            Brought::Arrays | Brought::ArraysWithin => self.arrays(sql, from),
        }
    }

    fn join_source(&self, sql: &mut Sql, from: From, brought: Brought) {
        if from == From::Source {
            sql.push(self.dialect.join_in_order());
            table(sql, &self.shape.source);
            sql.push(" s ON ");
            self.same_key(sql, "s", |column| &column.source);
            if let Brought::ArraysWithin = brought {
                sql.push(" AND ");
                self.within(sql, "s", |column| &column.source);
            }
        }
    }

    /// `v`, whose last column is the place of each row where that is asked for.
    pub(super) fn rows(&self, sql: &mut Sql, from: From, rows: usize, places: bool) {
        let cells = self.columns_of_rows(from);
        let width = cells.len() + usize::from(places);
        self.dialect.rows(sql, rows, width, |sql, row, column| {
            match cells.get(column) {
                Some(cell) => cell.cell(sql, self.dialect),
                None => drop(sql.push(&row.to_string())),
            }
        });
    }

    fn arrays(&self, sql: &mut Sql, from: From) {
        let cells = self.columns_of_rows(from);
        self.dialect
            .rows_of_arrays(sql, cells.len(), |sql, column, name| {
                cells[column].write(sql, self.dialect, |sql| sql.push(name));
            });
    }

    fn columns_of_rows(&self, from: From) -> Vec<&'w Column> {
        let brought = self.brought(from).map(|(_, column)| column);
        self.shape.key.iter().chain(brought).collect()
    }

    pub(super) fn join_latest(&self, sql: &mut Sql, from: From) {
        let join = if from == From::Latest {
            self.dialect.join_in_order()
        } else {
            " LEFT JOIN "
        };
        sql.push(join);
        match self.dialect.latest() {
            Latest::Lateral => self.latest_by_lateral(sql),
            Latest::RowId(row_id) => self.latest_by_row_id(sql, row_id),
            Latest::Time => self.latest_by_time(sql, |sql| sql.column("v", LATEST_AT)),
        }
    }

    fn latest_by_lateral(&self, sql: &mut Sql) {
        sql.push("LATERAL ");
        self.last_of_row(sql, "*");
        sql.push(" l ON TRUE");
    }

    fn latest_by_row_id(&self, sql: &mut Sql, row_id: &str) {
        table(sql, &self.shape.record);
        sql.push(&format!(" l ON l.{row_id} = "));
        self.last_of_row(sql, &format!("r.{row_id}"));
    }

    pub(super) fn latest_by_time(&self, sql: &mut Sql, time: impl FnOnce(&mut Sql) -> &mut Sql) {
        table(sql, &self.shape.record);
        sql.push(" l ON ");
        self.same_key(sql, "l", |column| &column.name);
        sql.push(" AND ")
            .column("l", &self.shape.recorded_at)
            .push(" = ");
        time(sql);
    }

    /// `v`, with the time of each row's latest record where that is what it is joined by. MariaDB
    /// would look it up twice, for the join and for its condition, if the limit, which is none, did
    /// not have it write the rows down.
    pub(super) fn timed(&self, sql: &mut Sql, rows: impl FnOnce(&mut Sql)) {
        let Latest::Time = self.dialect.latest() else {
            return rows(sql);
        };
        sql.push("(SELECT v.*, ");
        self.last_of_row(sql, &self.quoted("r", &self.shape.recorded_at));
        sql.push(" AS ").ident(LATEST_AT).push(" FROM ");
        rows(sql);
        sql.push(&format!(" LIMIT {}) v", u64::MAX));
    }

    /// A subquery for this of the latest record of a row. Not by MAX, for which MariaDB and MySQL read
    /// all records of the row where its key comes from outside the subquery; and in the order of the
    /// whole primary key, for MySQL sorts them by the time alone.
    fn last_of_row(&self, sql: &mut Sql, what: &str) {
        sql.push(&format!("(SELECT {what} FROM "));
        table(sql, &self.shape.record);
        sql.push(" r WHERE ");
        self.same_key(sql, "r", |column| &column.name);
        let key = self.shape.key.iter().map(|column| &column.name);
        let order = key.chain([&self.shape.recorded_at]);
        sql.push(" ORDER BY ")
            .list(order, ", ", |sql, name| {
                sql.column("r", name).push(" DESC");
            })
            .push(" LIMIT 1)");
    }

    pub(super) fn same_key(&self, sql: &mut Sql, alias: &str, name: impl Fn(&Column) -> &str) {
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

    pub(super) fn condition(&self, sql: &mut Sql, from: From, which: Where) {
        let recorded_at = self.latest(&self.shape.recorded_at);
        let event = self.latest(&self.shape.event);
        match which {
            Where::MadeHere | Where::Unrecorded => {}
            Where::Gone | Where::SeenGone => {
                sql.push(&format!(" WHERE {event} <> '{DELETED}' AND "));
                if which == Where::SeenGone {
                    sql.push(&format!("{event} <> '{ERASED}' AND "));
                }
                sql.push("NOT EXISTS (SELECT 1 FROM ");
                table(sql, &self.shape.source);
                sql.push(" s WHERE ");
                self.same_key(sql, "s", |column| &column.source);
                sql.push(")");
            }
            Where::Changed => {
                sql.push(&format!(" WHERE ({recorded_at} IS NULL OR "));
                self.differs(sql, &self.values_of(from));
                sql.push(")");
            }
            Where::Seen => {
                sql.push(&format!(
                    " WHERE ({recorded_at} IS NULL OR {event} <> '{ERASED}' AND ("
                ));
                // Properties first: what was only looked at seldom differs in a column.
                for (column, value) in self.values_of(from).into_iter().rev() {
                    sql.push("NOT (").push(&self.seen_as(column, &value));
                    sql.push(") OR ");
                }
                sql.push(&format!("{event} = '{DELETED}'))"));
            }
            Where::Marked => drop(sql.push(" WHERE 1 = 1")),
        }
    }

    /// Whether the latest record says something else than these values.
    pub(super) fn differs(&self, sql: &mut Sql, values: &[(&Column, String)]) {
        let event = self.latest(&self.shape.event);
        sql.push(&format!("{event} IN ('{DELETED}', '{ERASED}')"));
        for (column, value) in values {
            sql.push(" OR NOT (");
            self.dialect
                .same(sql, &column.ty, &self.latest(&column.name), value);
            sql.push(")");
        }
    }

    /// Each value column with the expression of its new value.
    pub(super) fn values_of(&self, from: From) -> Vec<(&'w Column, String)> {
        let brought: Vec<usize> = self.brought(from).map(|(index, _)| index).collect();
        let keys = self.shape.key.len();
        let values = self.shape.values().enumerate();
        values
            .map(|(index, column)| {
                let place = brought.iter().position(|brought| *brought == index);
                let expression = match (place, from) {
                    (Some(place), From::Run) => self.element(place, column),
                    (Some(place), _) => self.quoted("v", &v_column(keys + place)),
                    (None, From::Latest) => self.latest(&column.name),
                    (None, _) => self.quoted("s", &column.source),
                };
                (column, expression)
            })
            .collect()
    }

    /// The element of an array for the row of a run: its key tells which.
    fn element(&self, place: usize, column: &Column) -> String {
        let mut sql = self.dialect.sql();
        let key = self.quoted("s", &self.shape.key[0].source);
        let element = self.dialect.element_of_run(place, &key);
        column.write(&mut sql, self.dialect, |sql| sql.push(&element));
        sql.finish()
    }

    pub(super) fn latest(&self, column: &str) -> String {
        self.quoted("l", column)
    }

    fn quoted(&self, alias: &str, column: &str) -> String {
        let mut sql = self.dialect.sql();
        sql.column(alias, column);
        sql.finish()
    }
}

/// What the time of a row's latest record is called among the columns of `v`.
const LATEST_AT: &str = "latest_at";

/// The name that a derived table gives its columns.
pub(super) fn v_column(index: usize) -> String {
    format!("column{}", index + 1)
}

pub(super) fn table(sql: &mut Sql, table: &Table) {
    if let Some(schema) = &table.schema {
        sql.ident(schema).push(".");
    }
    sql.ident(&table.name);
}
