//! Rows that a statement brings along.

use sea_orm::DbBackend;
use sea_orm::sea_query::ColumnType;

use super::{Dialect, Sql};

impl Dialect {
    /// Opens the rows that a statement brings along, as a derived table `v` whose columns are
    /// `column1`, `column2`…; `cell` writes one.
    pub(crate) fn rows(
        self,
        sql: &mut Sql,
        rows: usize,
        columns: usize,
        mut cell: impl FnMut(&mut Sql, usize, usize),
    ) {
        // MariaDB loses the parameters of a VALUES in a derived table (10.11).
        let selects = rows == 1 || self.0 == DbBackend::MySql;
        let separator = if selects {
            " UNION ALL SELECT "
        } else {
            "), ("
        };
        sql.push(if selects { "(SELECT " } else { "(VALUES (" });
        sql.list(0..rows, separator, |sql, row| {
            sql.list(0..columns, ", ", |sql, column| {
                cell(sql, row, column);
                if selects && row == 0 {
                    sql.push(" AS ").ident(&format!("column{}", column + 1));
                }
            });
        });
        sql.push(if selects { ") v" } else { ")) v" });
    }

    /// The same rows from [`arrays`](Self::arrays); `cell` writes a value, given where it stands.
    pub(crate) fn rows_of_arrays(
        self,
        sql: &mut Sql,
        columns: usize,
        mut cell: impl FnMut(&mut Sql, usize, &str),
    ) {
        let name = |column: usize| format!("column{}", column + 1);
        sql.push("(SELECT ").list(0..columns, ", ", |sql, column| {
            cell(sql, column, &format!("u.{}", name(column)));
            sql.push(" AS ").push(&name(column));
        });
        match self.0 {
            DbBackend::MySql => {
                sql.push(" FROM JSON_TABLE(").placeholder();
                sql.push(", '$[*]' COLUMNS (")
                    .list(0..columns, ", ", |sql, column| {
                        sql.push(&name(column));
                        sql.push(&format!(" BIGINT PATH '$[{column}]' ERROR ON ERROR"));
                    });
                sql.push(")) u) v");
            }
            _ => {
                sql.push(" FROM unnest(").list(0..columns, ", ", |sql, _| {
                    sql.placeholder();
                });
                sql.push(") u (").list(0..columns, ", ", |sql, column| {
                    sql.push(&name(column));
                });
                sql.push(")) v");
            }
        }
    }

    /// Arrays, in the order of the keys of a run, and the first of these, beside each row of the run.
    pub(crate) fn arrays_beside(self, sql: &mut Sql, arrays: usize) {
        sql.push(" CROSS JOIN (SELECT ");
        for array in 1..=arrays {
            sql.placeholder().push(&format!(" AS column{array}, "));
        }
        sql.placeholder().push(" AS first) v");
    }

    /// The element that such an array has for a row. By its place, it needs no join.
    pub(crate) fn element_of_run(self, array: usize, key: &str) -> String {
        format!(
            "(v.column{})[CAST({key} - v.first AS integer) + 1]",
            array + 1
        )
    }

    /// A bound value as a column of a derived table, which no column beside it gives its type. MySQL
    /// settles that when it prepares the statement and when it runs it first (its manual, "PREPARE
    /// Statement"), and then takes bytes for text, which it refuses, and times for whole seconds.
    pub(crate) fn cell(
        self,
        sql: &mut Sql,
        ty: &ColumnType,
        value: impl FnOnce(&mut Sql) -> &mut Sql,
    ) {
        use ColumnType as Of;
        let cast = match (self.0, ty) {
            (DbBackend::MySql, Of::DateTime | Of::Timestamp | Of::TimestampWithTimeZone) => {
                "DATETIME(6)"
            }
            (DbBackend::MySql, Of::Time) => "TIME(6)",
            (DbBackend::MySql, Of::Uuid | Of::Binary(_) | Of::VarBinary(_) | Of::Blob) => "BINARY",
            _ => {
                value(sql);
                return;
            }
        };
        value(sql.push("CAST(")).push(" AS ").push(cast).push(")");
    }

    /// The same for the time of a record.
    pub(crate) fn time_cell(self, sql: &mut Sql) {
        self.cell(sql, &ColumnType::TimestampWithTimeZone, Sql::placeholder);
    }

    /// A DELETE from a table of the rows that a derived table lists, each by its key and a time, while
    /// the row of the same key and the other time listed is there.
    ///
    /// `columns` are those of the key and the time, in the order in which they are listed; the other
    /// time comes last.
    pub(crate) fn delete_listed(
        self,
        sql: &mut Sql,
        table: impl Fn(&mut Sql),
        columns: &[&str],
        rows: impl Fn(&mut Sql),
    ) {
        let last = columns.len();
        let same = |sql: &mut Sql, alias: &str, at: usize| {
            sql.list(
                columns.iter().enumerate(),
                " AND ",
                |sql, (place, column)| {
                    let listed = if place + 1 == last { at } else { place + 1 };
                    sql.column(alias, column)
                        .push(&format!(" = v.column{listed}"));
                },
            );
        };
        let (gone, beside) = (last, last + 1);
        // In this order, so that the list is gone through and the table sought.
        let listed = |sql: &mut Sql| {
            rows(sql);
            for (alias, at) in [("r", gone), ("b", beside)] {
                sql.push(self.join_in_order());
                table(sql);
                sql.push(&format!(" {alias} ON "));
                same(sql, alias, at);
            }
        };
        match self.0 {
            DbBackend::Postgres => {
                sql.push("DELETE FROM ");
                table(sql);
                sql.push(" r USING ");
                rows(sql);
                sql.push(self.join_in_order());
                table(sql);
                sql.push(" b ON ");
                same(sql, "b", beside);
                sql.push(" WHERE ");
                same(sql, "r", gone);
            }
            DbBackend::MySql => {
                sql.push("DELETE r FROM ");
                listed(sql);
            }
            _ => {
                // By rows of values it seeks with the first column alone: all records of a row for each.
                sql.push("DELETE FROM ");
                table(sql);
                sql.push(" WHERE _rowid_ IN (SELECT r._rowid_ FROM ");
                listed(sql);
                sql.push(")");
            }
        }
    }
}
