//! What differs between databases. No other file branches on one.
//!
//! Sources are named where a choice would surprise: the manuals of PostgreSQL 15, MariaDB 10.11,
//! MySQL 8 and SQLite 3.

use std::collections::BTreeSet;

use chrono::{DateTime, Timelike, Utc};
use sea_orm::sea_query::{
    ArrayType, ColumnType, Expr, ExprTrait, LockType, SelectStatement, ValueTuple,
};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, IsolationLevel, SqliteTransactionMode, Statement,
    TransactionOptions, Value,
};

/// The SQL of one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect(DbBackend);

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

    /// The step between the keys that AUTO_INCREMENT gives; Galera nodes take turns.
    pub(crate) async fn key_step(self, db: &impl ConnectionTrait) -> Result<i64, DbErr> {
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

    /// Whether `columns` together are one of `links`.
    pub(crate) fn is_among(self, mut columns: Vec<Expr>, links: &[Vec<Value>]) -> Expr {
        match columns.len() {
            1 => columns.remove(0).is_in(links.iter().flatten().cloned()),
            _ => Expr::tuple(columns).in_tuples(links.iter().cloned().map(ValueTuple::Many)),
        }
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
            (DbBackend::Postgres, ColumnType::Array(of)) if is_text(of) => {
                ("CAST(", " IS NOT DISTINCT FROM ", " AS text[])")
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
    /// before now. Binds `now` [`stamp_bindings`](Self::stamp_bindings) times.
    pub(crate) fn stamp(self, sql: &mut Sql, latest: &str) {
        match self.0 {
            DbBackend::Postgres => {
                sql.push("GREATEST(").placeholder();
                sql.push(&format!(", {latest} + interval '1 microsecond')"));
            }
            DbBackend::MySql => {
                sql.push(&format!("CASE WHEN {latest} >= ")).placeholder();
                sql.push(&format!(" THEN {latest} + INTERVAL 1 MICROSECOND ELSE "))
                    .placeholder();
                sql.push(" END");
            }
            _ => {
                sql.push(&format!("CASE WHEN {latest} >= ")).placeholder();
                sql.push(&format!(" THEN {} ELSE ", sqlite_next_microsecond(latest)))
                    .placeholder();
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

    /// Whether a correlated subquery seeks by the values of the row that it is run for. MariaDB
    /// (10.11) and SQLite do not where the values bound a range.
    pub(crate) fn seeks_by_rows(self) -> bool {
        self.0 == DbBackend::Postgres
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

    /// Whether the latest record is joined by LATERAL, which MariaDB 10.11 and SQLite lack.
    pub(crate) fn has_lateral(self) -> bool {
        self.0 == DbBackend::Postgres
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

    /// Why this database would alter `value`, or refuse it in a way that loses the column's name.
    pub(crate) fn alters(self, value: &Value) -> Option<&'static str> {
        use sea_orm::DatabaseBackend::{MySql, Postgres, Sqlite};
        match (self.0, value) {
            (Sqlite, Value::Double(Some(x))) if x.is_nan() => Some("SQLite turns NaN into NULL"),
            (Sqlite, Value::Float(Some(x))) if x.is_nan() => Some("SQLite turns NaN into NULL"),
            (MySql, Value::Double(Some(x))) if !x.is_finite() => {
                Some("MySQL has no NaN and no infinities")
            }
            (MySql, Value::Float(Some(x))) if !x.is_finite() => {
                Some("MySQL has no NaN and no infinities")
            }
            (Postgres | Sqlite, Value::BigUnsigned(Some(n))) if i64::try_from(*n).is_err() => {
                Some("it is above 9,223,372,036,854,775,807, the largest integer here")
            }
            (Postgres, Value::String(Some(text))) if text.contains('\0') => {
                Some("PostgreSQL has no NUL character in text")
            }
            (Sqlite, Value::Decimal(Some(decimal))) if !survives_double(decimal) => {
                Some("SQLite keeps decimals as doubles, which hold 15 digits")
            }
            (Sqlite, Value::Array(..)) => Some("SQLite has no arrays"),
            (MySql, Value::Array(..)) => Some("MySQL has no arrays"),
            (MySql | Postgres, time) if nanoseconds(time).is_some_and(|ns| ns % 1_000 != 0) => {
                Some("it has parts of a microsecond; cut them off, as with `trunc_subsecs(6)`")
            }
            _ => None,
        }
    }
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

fn survives_double(decimal: &sea_orm::prelude::Decimal) -> bool {
    let double: Result<f64, _> = (*decimal).try_into();
    double.is_ok_and(|double| {
        sea_orm::prelude::Decimal::try_from(double).is_ok_and(|back| back == *decimal)
    })
}

fn nanoseconds(value: &Value) -> Option<u32> {
    match value {
        Value::ChronoTime(time) => time.map(|time| time.nanosecond()),
        Value::ChronoDateTime(time) => time.map(|time| time.nanosecond()),
        Value::ChronoDateTimeUtc(time) => time.map(|time| time.nanosecond()),
        Value::ChronoDateTimeLocal(time) => time.map(|time| time.nanosecond()),
        Value::ChronoDateTimeWithTimeZone(time) => time.map(|time| time.nanosecond()),
        _ => None,
    }
}

/// JSON with its keys in order, so that text comparison is comparison by value; arrays of JSON in a
/// JSON column become one, as SeaORM's `save_as` makes them.
pub(crate) fn canonical(value: Value) -> Value {
    match value {
        Value::Json(Some(json)) => Value::Json(Some(Box::new(sorted(*json)))),
        Value::Array(ArrayType::Json, Some(items)) => {
            let items = items.into_iter().map(|item| match item {
                Value::Json(Some(json)) => sorted(*json),
                _ => serde_json::Value::Null,
            });
            Value::Json(Some(Box::new(items.collect())))
        }
        other => other,
    }
}

fn sorted(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect()
        }
        serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// The form of a time that compares and sorts as the column does.
pub(crate) fn bind_time(at: DateTime<Utc>) -> Value {
    at.into()
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
