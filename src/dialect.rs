//! What differs between databases. No other file branches on one.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `dialect.rs` | the rest: locks, transactions, keys, the forms of queries |
//! | `dialect/sql.rs` | a statement under construction |
//! | `dialect/rows.rs` | rows that a statement brings along |
//! | `dialect/values.rs` | which values a database keeps as they are |
//! | `dialect/same.rs` | which values are the same |
//! | `dialect/times.rs` | the times of records |
//! | `dialect/numbers.rs` | how numbers are aggregated |
//! | `dialect/neutral.rs` | what stands for nothing |
//!
//! Sources are named where a choice would surprise: the manuals of PostgreSQL 15, MariaDB 10.11,
//! MySQL 8 and SQLite 3.

mod neutral;
mod numbers;
mod rows;
mod same;
mod sql;
mod times;
mod values;

pub(crate) use numbers::NumberKind;
pub(crate) use sql::Sql;
pub(crate) use times::bind_time;
pub(crate) use values::declared_length;

use std::collections::BTreeSet;

use sea_orm::sea_query::{LockType, SelectStatement};
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
        Sql::of(self)
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
    /// foreign keys be checked beside it (manual, 13.3.2), so it is none for rows with which the
    /// database `takes_others`: who comes to reference such a row would be changed unseen.
    pub(crate) fn row_lock(self, takes_others: bool) -> LockType {
        match self.0 {
            DbBackend::Postgres if !takes_others => LockType::NoKeyUpdate,
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

    /// The words of a statement in lower case: its names too, whether quoted or not, as raw SQL has
    /// them. Texts are left out where none can have a quote in it that is escaped.
    pub(crate) fn words(self, statement: &SelectStatement) -> BTreeSet<String> {
        let text = self.0.build(statement).sql.to_lowercase();
        let step = if text.contains('\\') { 1 } else { 2 };
        let outside = text.split('\'').step_by(step);
        let is_between = |c: char| !(c.is_alphanumeric() || c == '_' || c == '$');
        let words = outside.flat_map(|text| text.split(is_between));
        words.map(str::to_owned).collect()
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
}
