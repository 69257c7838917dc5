//! What differs between databases. No other file branches on one, but for its rooms
//! `dialect/values.rs`: which values a database keeps as they are; and `dialect/numbers.rs`: how
//! numbers are aggregated; and `dialect/neutral.rs`: what stands for nothing.
//!
//! Sources are named where a choice would surprise: the manuals of PostgreSQL 15, MariaDB 10.11,
//! MySQL 8 and SQLite 3.

mod neutral;
mod numbers;
mod values;

pub(crate) use numbers::NumberKind;
pub(crate) use values::declared_length;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ColumnType, LockType, SelectStatement};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, IsolationLevel, SqliteTransactionMode, Statement,
    TransactionOptions, Value,
};

/// The SQL of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect(DbBackend);

/// The form of a query that seeks once for each bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BucketSeek {
    /// The record itself, by LATERAL.
    Lateral,
    /// The record whose time a correlated subquery finds.
    Correlated,
    /// A UNION of a query for each: of a range whose bounds are another table's values, MariaDB
    /// (10.11) uses the first column of the key alone.
    Union,
}

/// How the latest record of a row is joined to it.
pub(crate) enum Latest {
    /// By LATERAL.
    Lateral,
    /// By its row id, which the index of the primary key tells (SQLite, "Rowid Tables"): a seek less
    /// than by key and time.
    RowId(&'static str),
    /// By key and time.
    Time,
}

/// Ways to write a record by itself; see `write/one.rs`.
#[derive(Clone, Copy)]
pub(crate) enum One {
    /// A record of what has not changed conflicts with the latest one.
    Conflict,
    /// The latest record is looked for by a constant.
    Constant,
}

/// A statement under construction: its text, and its values in the order of their placeholders.
#[derive(Debug)]
pub(crate) struct Sql {
    dialect: Dialect,
    text: String,
    placeholders: usize,
}

impl Sql {
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(crate) fn ident(&mut self, name: &str) -> &mut Self {
        let quote = self.dialect.quote();
        self.text.push(quote);
        for c in name.chars() {
            if c == quote {
                self.text.push(quote);
            }
            self.text.push(c);
        }
        self.text.push(quote);
        self
    }

    /// `alias.column`
    pub(crate) fn column(&mut self, alias: &str, name: &str) -> &mut Self {
        self.push(alias).push(".").ident(name)
    }

    pub(crate) fn placeholder(&mut self) -> &mut Self {
        self.placeholders += 1;
        match self.dialect.0 {
            DbBackend::Postgres => self.text.push_str(&format!("${}", self.placeholders)),
            _ => self.text.push('?'),
        }
        self
    }

    pub(crate) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &str,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            write(self, item);
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

impl Dialect {
    pub(crate) fn of(connection: &impl ConnectionTrait) -> Self {
        Self(connection.get_database_backend())
    }

    pub(crate) fn build(self, statement: &SelectStatement) -> Statement {
        self.0.build(statement)
    }

    pub(crate) fn index(self) -> usize {
        match self.0 {
            DbBackend::MySql => 0,
            DbBackend::Postgres => 1,
            _ => 2,
        }
    }

    pub(crate) fn sql(self) -> Sql {
        Sql {
            dialect: self,
            text: String::with_capacity(512),
            placeholders: 0,
        }
    }

    fn quote(self) -> char {
        match self.0 {
            DbBackend::MySql => '`',
            _ => '"',
        }
    }

    /// How many values one statement may bind: SQLite's `SQLITE_MAX_VARIABLE_NUMBER`, and the 16
    /// bits of the wire protocols.
    pub(crate) fn max_parameters(self) -> usize {
        match self.0 {
            DbBackend::Sqlite => 32_766,
            _ => 65_535,
        }
    }

    /// Whether rows can be locked. SQLite has one writer at a time instead.
    pub(crate) fn locks_rows(self) -> bool {
        self.0 != DbBackend::Sqlite
    }

    /// Whether the check of a foreign key takes a lock on the referenced row that ours must wait for:
    /// InnoDB's shared one (MySQL, 17.7.3). PostgreSQL's FOR KEY SHARE goes beside it.
    pub(crate) fn checks_lock_out(self) -> bool {
        self.0 == DbBackend::MySql
    }

    /// The lock that an UPDATE of a column outside every key takes. PostgreSQL's weaker one lets
    /// foreign keys be checked beside it (manual, 13.3.2).
    pub(crate) fn row_lock(self) -> LockType {
        match self.0 {
            DbBackend::Postgres => LockType::NoKeyUpdate,
            _ => LockType::Update,
        }
    }

    /// READ COMMITTED, so that what is read after a lock is what stands there; SQLite's IMMEDIATE
    /// takes its one write lock before anything is read.
    pub(crate) fn transaction_options(self, options: TransactionOptions) -> TransactionOptions {
        let default = match self.0 {
            DbBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            },
            _ => TransactionOptions {
                isolation_level: Some(IsolationLevel::ReadCommitted),
                ..Default::default()
            },
        };
        TransactionOptions {
            isolation_level: options.isolation_level.or(default.isolation_level),
            access_mode: options.access_mode.or(default.access_mode),
            sqlite_transaction_mode: options
                .sqlite_transaction_mode
                .or(default.sqlite_transaction_mode),
        }
    }

    /// Options of a transaction that nothing can be locked for: SERIALIZABLE, where writers are not
    /// one at a time anyway.
    pub(crate) fn alone_options(self) -> TransactionOptions {
        TransactionOptions {
            isolation_level: self.locks_rows().then_some(IsolationLevel::Serializable),
            ..Default::default()
        }
    }

    /// How far the last inserted id that it tells of is from the first of so many rows in a statement:
    /// SQLite tells of the last row (without RETURNING, which SeaORM's feature
    /// `sqlite-use-returning-for-3_35` uses), MySQL of the first.
    pub(crate) fn keys_before_last_id(self, rows: usize) -> i64 {
        match self.0 {
            DbBackend::Sqlite => rows as i64 - 1,
            _ => 0,
        }
    }

    /// The step between the keys that AUTO_INCREMENT gives; Galera nodes take turns.
    pub(crate) async fn key_step(self, db: &impl ConnectionTrait) -> Result<i64, DbErr> {
        if self.0 == DbBackend::Sqlite {
            return Ok(1);
        }
        let statement = Statement::from_string(
            self.0,
            "SELECT CAST(@@auto_increment_increment AS SIGNED) AS step",
        );
        let row = db.query_one_raw(statement).await?;
        row.map_or(Ok(1), |row| row.try_get("", "step"))
    }

    /// Whether a failed statement leaves a transaction that can still be committed. PostgreSQL
    /// aborts it; MySQL and SQLite undo the statement alone.
    pub(crate) fn survives_errors(self) -> bool {
        self.0 != DbBackend::Postgres
    }

    /// Null-safe equality of two values of a recorded column.
    pub(crate) fn same(self, sql: &mut Sql, ty: &ColumnType, a: &str, b: &str) {
        let (left, operator, right) = match (self.0, ty) {
            // `json` has no equality operator (PostgreSQL, 8.14).
            (DbBackend::Postgres, ColumnType::Json) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS jsonb)")
            }
            // Beside `text`, which is what is bound, a padded value loses its padding.
            (DbBackend::Postgres, ColumnType::Char(_)) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS bpchar)")
            }
            // `varchar[]` has no equality with `text[]`, which is what is bound.
            (DbBackend::Postgres, ColumnType::Array(of)) if is_told_by_text(of) => (
                "CAST(",
                " IS NOT DISTINCT FROM ",
                " AS text[]) COLLATE \"C\"",
            ),
            // By bytes: `citext` and collations that are not deterministic hold other texts for the
            // same, and intervals a day for 24 hours. And what has no equality at all, as `xml`,
            // has a text.
            (DbBackend::Postgres, ty) if is_told_by_text(ty) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS text) COLLATE \"C\"")
            }
            (DbBackend::Postgres, _) => ("", " IS NOT DISTINCT FROM ", ""),
            // By value: MySQL's JSON_EXTRACT gives its normal form, and MariaDB, whose JSON is
            // text, runs what stands in its own comments.
            (DbBackend::MySql, ColumnType::Json | ColumnType::JsonBinary) => (
                "CAST(/*M!100700 JSON_NORMALIZE(*/JSON_EXTRACT(",
                " <=> ",
                ", '$')/*M!100700 )*/ AS BINARY)",
            ),
            // Text compares by collation otherwise, often without regard to case.
            (DbBackend::MySql, ty) if is_text(ty) => {
                ("CAST(CONVERT(", " <=> ", " USING utf8mb4) AS BINARY)")
            }
            (DbBackend::MySql, _) => ("", " <=> ", ""),
            _ => ("", " IS ", ""),
        };
        sql.push(left)
            .push(a)
            .push(right)
            .push(operator)
            .push(left)
            .push(b)
            .push(right);
    }

    /// The time of a new record: now, or a microsecond after the latest record where that is not
    /// before now. `now` is written [`stamp_bindings`](Self::stamp_bindings) times.
    pub(crate) fn stamp(self, sql: &mut Sql, latest: &str, now: impl Fn(&mut Sql) -> &mut Sql) {
        match self.0 {
            DbBackend::Postgres => {
                now(sql.push("GREATEST("));
                sql.push(&format!(", {latest} + interval '1 microsecond')"));
            }
            DbBackend::MySql => {
                now(sql.push(&format!("CASE WHEN {latest} >= ")));
                now(sql.push(&format!(" THEN {latest} + INTERVAL 1 MICROSECOND ELSE ")));
                sql.push(" END");
            }
            _ => {
                now(sql.push(&format!("CASE WHEN {latest} >= ")));
                let next = sqlite_next_microsecond(latest);
                now(sql.push(&format!(" THEN {next} ELSE ")));
                sql.push(" END");
            }
        }
    }

    pub(crate) fn stamp_bindings(self) -> usize {
        match self.0 {
            DbBackend::Postgres => 1,
            _ => 2,
        }
    }

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

    /// A join that goes through what stands before it and seeks in what comes after it.
    pub(crate) fn join_in_order(self) -> &'static str {
        match self.0 {
            DbBackend::Postgres => " INNER JOIN ",
            DbBackend::MySql => " STRAIGHT_JOIN ",
            _ => " CROSS JOIN ",
        }
    }

    /// After the name of a table that is sought by its primary key: beside a constant time MariaDB takes
    /// the index on times, and so all records of that time.
    pub(crate) fn by_primary_key(self) -> &'static str {
        match self.0 {
            DbBackend::MySql => " FORCE INDEX (PRIMARY)",
            _ => "",
        }
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

    /// A question for the `bytes` of a table with its indexes, and what it binds.
    pub(crate) fn size_of(self, schema: Option<&str>, table: &str) -> (&'static str, Vec<Value>) {
        match self.0 {
            DbBackend::Postgres => {
                let mut name = self.sql();
                if let Some(schema) = schema {
                    name.ident(schema).push(".");
                }
                name.ident(table);
                (
                    // The tree of a table without partitions has no rows.
                    "SELECT CAST(COALESCE((SELECT SUM(pg_total_relation_size(relid)) \
                     FROM pg_partition_tree(to_regclass($1))), \
                     pg_total_relation_size(to_regclass($1))) AS bigint) AS bytes",
                    vec![name.finish().into()],
                )
            }
            DbBackend::MySql => (
                "SELECT CAST(data_length + index_length AS SIGNED) AS bytes \
                 FROM information_schema.tables \
                 WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
                vec![schema.map(str::to_owned).into(), table.into()],
            ),
            _ => (
                "SELECT SUM(pgsize) AS bytes FROM dbstat \
                 WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = ?)",
                vec![table.into()],
            ),
        }
    }

    /// How the last record of each of many buckets is found by a seek in an index.
    pub(crate) fn bucket_seek(self) -> BucketSeek {
        match self.0 {
            DbBackend::Postgres => BucketSeek::Lateral,
            DbBackend::MySql => BucketSeek::Union,
            _ => BucketSeek::Correlated,
        }
    }

    /// Whether a GROUP BY of an index's first columns with the MAX of the next seeks from group to
    /// group ("Using index for group-by"). There recursion, which does so elsewhere, ends after
    /// 1,000 steps (`max_recursive_iterations`, `cte_max_recursion_depth`), on MariaDB silently.
    pub(crate) fn groups_by_seeks(self) -> bool {
        self.0 == DbBackend::MySql
    }

    /// The names that a statement quotes: its tables and columns.
    pub(crate) fn names(self, statement: &SelectStatement) -> BTreeSet<String> {
        let text = self.0.build(statement).sql;
        let quoted = text.split(self.quote()).skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    }

    /// Whether there is LATERAL, which MariaDB 10.11 and SQLite lack.
    pub(crate) fn has_lateral(self) -> bool {
        self.0 == DbBackend::Postgres
    }

    /// Whether many rows are cheaper to have as one, with a JSON array for each column. Such a read
    /// takes no lock, and may fail without an end to the transaction.
    pub(crate) fn packs_rows(self) -> bool {
        self.0 == DbBackend::Sqlite
    }

    /// How a record by itself is written; none where that is a chunk of one as well.
    pub(crate) fn one(self) -> Option<One> {
        match self.0 {
            DbBackend::Sqlite => Some(One::Conflict),
            DbBackend::MySql => Some(One::Constant),
            _ => None,
        }
    }

    pub(crate) fn latest(self) -> Latest {
        match self.0 {
            DbBackend::Postgres => Latest::Lateral,
            DbBackend::Sqlite => Latest::RowId("_rowid_"),
            _ => Latest::Time,
        }
    }

    /// Whether a value copied from table to table is the same that goes through Rust. SQLite's times,
    /// decimals and JSON may be written in several ways.
    pub(crate) fn copies(self, ty: &ColumnType) -> bool {
        self.0 != DbBackend::Sqlite
            || !matches!(
                ty,
                ColumnType::DateTime
                    | ColumnType::Timestamp
                    | ColumnType::TimestampWithTimeZone
                    | ColumnType::Time
                    | ColumnType::Date
                    | ColumnType::Decimal(_)
                    | ColumnType::Money(_)
                    | ColumnType::Json
                    | ColumnType::JsonBinary
            )
    }

    /// Whether such a copy cannot be [altered](Self::alters), whatever the value.
    pub(crate) fn copies_unseen(self, ty: &ColumnType) -> bool {
        self.0 != DbBackend::MySql
            && matches!(
                ty,
                ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text | ColumnType::Blob
            )
    }
}

/// Whether PostgreSQL tells two values apart by their texts alone.
fn is_told_by_text(ty: &ColumnType) -> bool {
    is_text(ty) || matches!(ty, ColumnType::Interval(_, _))
}

fn is_text(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Char(_)
            | ColumnType::String(_)
            | ColumnType::Text
            | ColumnType::Enum { .. }
            | ColumnType::Custom(_)
    )
}

/// A time, in the form that every database compares with a record's, and sorts as it does.
///
/// A `DateTime<Utc>` goes to MySQL as a TIMESTAMP, which MariaDB, where it puts it into a column or
/// looks it up in an index, takes for NULL outside the years 1970 to 2038. One with an offset goes there as text, and elsewhere as the column has it.
pub(crate) fn bind_time(at: DateTime<Utc>) -> Value {
    at.fixed_offset().into()
}

/// A microsecond after the RFC 3339 text `t`, written as sqlx binds it: with 0, 3 or 6 digits after
/// the second, whichever is enough (chrono's `SecondsFormat::AutoSi`). SQLite's own date functions
/// end at milliseconds.
fn sqlite_next_microsecond(t: &str) -> String {
    let micros =
        format!("CAST(substr(substr({t}, 21, length({t}) - 26) || '000000', 1, 6) AS INTEGER) + 1");
    format!(
        "CASE {micros} WHEN 1000000 THEN strftime('%Y-%m-%dT%H:%M:%S', substr({t}, 1, 19), '+1 second') \
         ELSE substr({t}, 1, 19) || CASE ({micros}) % 1000 \
         WHEN 0 THEN printf('.%03d', ({micros}) / 1000) ELSE printf('.%06d', {micros}) END END || '+00:00'"
    )
}
