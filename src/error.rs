//! What can go wrong, and how it travels through SeaORM.

use std::sync::Arc;

use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxError};

/// Everything that recording and its queries can fail with.
///
/// Each message names the entity, column, rule or row that it is about and says what to do.
/// Messages and traces never show recorded values.
///
/// | variant | when | what to do |
/// | --- | --- | --- |
/// | [`Plan`](Self::Plan) | at the first save of an entity, or in [`check`](crate::check) | correct the entity or its recorder, as the message says |
/// | [`Database`](Self::Database) | the database refused a statement of ours | run the migrations if [`is_missing_table`](Self::is_missing_table), the transaction again if [`is_retryable`](Self::is_retryable) |
/// | [`Property`](Self::Property) | a property closure failed or panicked | correct the closure |
/// | [`Value`](Self::Value) | a value would be altered by the database | refuse it as bad input, or widen the column |
/// | [`Stranded`](Self::Stranded) | in a plain transaction, a row stands without its record | roll the transaction back |
/// | [`Interrupted`](Self::Interrupted) | at the commit of a recorded transaction, after a future was dropped in it, a row was written and could not be read back, or a deadlock ended it | roll it back, and run it again |
/// | [`Unseen`](Self::Unseen) | a write past the hooks, where such are refused | write as the message says |
/// | [`NotAtomic`](Self::NotAtomic) | a save by a trait method on a [`strict`](crate::RecordedConnection::strict) pool | save by the inherent method, or in a transaction |
/// | [`Clock`](Self::Clock) | the time set by a context is in the future, or not after the row's last record | set another time |
/// | [`Bulk`](Self::Bulk) | a bulk write that cannot be recorded as asked | write the rows otherwise, as the message says |
/// | [`Restore`](Self::Restore) | a record cannot be put back | set the columns that the message names |
/// | [`Import`](Self::Import) | records cannot be imported as they are given | as the message says; where times are equal, perhaps [`keep_last`](crate::Import::keep_last) |
/// | [`Erasure`](Self::Erasure) | a history cannot be erased as asked | [`mark_holds`](crate::Erase::mark_holds), or as the message says |
/// | [`Rule`](Self::Rule), [`Window`](Self::Window), [`Zone`](Self::Zone), [`Resample`](Self::Resample), [`Retention`](Self::Retention), [`Frame`](Self::Frame), [`Type`](Self::Type) | a question that cannot be asked so | ask as the message says |
///
/// SeaORM's hooks and executors speak [`DbErr`]; a `RecordError` travels inside one and
/// [`RecordError::of`] finds it again:
///
/// ```
/// use sea_orm::DbErr;
/// use sea_orm_record::{Every, RecordError};
///
/// let error = "5m".parse::<Every>().unwrap_err();
/// let at_the_edge = DbErr::from(error);
/// assert!(matches!(RecordError::of(&at_the_edge), Some(RecordError::Rule { .. })));
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The recorder of an entity contradicts its tables; found when it is first used.
    #[error("the recorder of `{entity}` cannot be used: {problem}")]
    Plan {
        /// Table of the recorded entity.
        entity: String,
        /// What is wrong, with the column's name, and what to do.
        problem: String,
    },

    /// The database refused a statement of ours.
    #[error("{action} for `{entity}` failed: {source}{hint}")]
    Database {
        /// Table of the recorded entity.
        entity: String,
        /// What was being done, for example ``writing to `article_record` ``.
        action: String,
        /// What to do, or nothing.
        hint: &'static str,
        /// What the database said.
        source: DbErr,
    },

    /// A property closure returned an error, panicked or answered for the wrong number of rows.
    #[error("the properties of `{entity}` could not be computed: {problem}; nothing was recorded")]
    Property {
        /// Table of the recorded entity.
        entity: String,
        /// What the closure did.
        problem: String,
        /// The closure's error, where it returned one.
        source: Option<DbErr>,
    },

    /// A value that this database cannot keep as it is, such as a text of more characters than its
    /// column is declared to hold. SQLite knows no lengths, and keeps such a text.
    #[error("`{column}` of `{entity}` holds a value that this database would alter: {problem}")]
    Value {
        /// Table of the recorded entity.
        entity: String,
        /// The column or property.
        column: String,
        /// Why it would be altered, and what to do.
        problem: String,
    },

    /// Recording failed in a transaction of yours after the row was written, without a savepoint
    /// that would undo it.
    #[error(
        "{}; the row of this save stands in the transaction without its record: roll the \
         transaction back",
        shown(.source)
    )]
    Stranded {
        /// Why it failed; [`RecordError::of`] finds what is ours.
        source: DbErr,
    },

    /// A value was asked for in a type that it does not have.
    #[error(
        "`{column}` of the records of `{entity}` is no `{asked}`; ask for the type of its field"
    )]
    Type {
        /// Table of the recorded entity.
        entity: String,
        /// The column of the record.
        column: String,
        /// The type that was asked for.
        asked: String,
    },

    /// A row that cannot be put back from its record.
    #[error("a row of `{entity}` cannot be put back: {problem}")]
    Restore {
        /// Table of the recorded entity.
        entity: String,
        /// What is in the way, with the columns' names, and what to do.
        problem: String,
        /// What the database said, where it was asked.
        source: Option<DbErr>,
    },

    /// The clock of a [`Context`](crate::Context) stands at a time that records cannot have.
    #[error("the clock set in the context stands at {at}: {problem}")]
    Clock {
        /// The time that was set, in UTC.
        at: chrono::DateTime<chrono::Utc>,
        /// Why it cannot be used, with the row, and what to do.
        problem: String,
    },

    /// A bulk write that cannot be recorded as it is asked for; nothing was written.
    #[error("a bulk write of `{entity}` cannot be recorded: {problem}")]
    Bulk {
        /// Table of the entity.
        entity: String,
        /// Why not, with the column's name, and what to do.
        problem: String,
    },

    /// A statement that goes past the hooks of a recorded or watched table, where such are refused.
    #[error(
        "this {statement} goes past the record hooks of `{table}`; write through the hooks, by \
         `insert_many`, `update_many`, `delete_many` or `upsert_many` of sea_orm_record, within \
         `capture(…).around(…)`, or on `without_recording()`"
    )]
    Unseen {
        /// What it does, such as `UPDATE`.
        statement: &'static str,
        /// The table that it writes to.
        table: String,
    },

    /// A save by a trait method outside a transaction, where such are refused; nothing was written.
    #[error(
        "the row of `{entity}` would be committed before its record; save it by the inherent method \
         of its active model, or within a transaction"
    )]
    NotAtomic {
        /// Table of the entity.
        entity: String,
    },

    /// A recorded transaction in which something was interrupted before it could be recorded, or which
    /// MySQL has ended by itself, after a deadlock.
    #[error("this transaction cannot be committed: {problem}; roll it back and run it again")]
    Interrupted {
        /// What happened in it.
        problem: &'static str,
    },

    /// A resampling rule that does not parse or cannot be used.
    #[error("the rule `{rule}` cannot be used: {problem}")]
    Rule {
        /// The rule as it was given.
        rule: String,
        /// Why not, and what to write instead.
        problem: String,
    },

    /// Records that cannot be resampled as asked: of a column that is not numeric, over more buckets
    /// than are filled, or through a filter that hides what held before.
    #[error("the records in `{table}` cannot be resampled so: {problem}")]
    Resample {
        /// The table of records.
        table: String,
        /// Why not, with the column's name, and what to do.
        problem: String,
    },

    /// Records that cannot be imported; none was.
    #[error("records of `{entity}` cannot be imported: {problem}")]
    Import {
        /// Table of the recorded entity.
        entity: String,
        /// Why not, and what to do.
        problem: String,
    },

    /// A retention whose tiers do not follow each other.
    #[error("the retention cannot be used: {problem}")]
    Retention {
        /// Which tier is wrong, and what to write instead.
        problem: String,
    },

    /// A history that cannot be erased as asked; nothing was erased.
    #[error("the history of a row of `{entity}` cannot be erased: {problem}")]
    Erasure {
        /// Table of the recorded entity.
        entity: String,
        /// Why not, with the column's name, and what to do.
        problem: String,
        /// What reading the mark brought, where it was read.
        source: Option<DbErr>,
    },

    /// Records that cannot be put in a data frame.
    #[error("`{column}` of the records of `{entity}` cannot be put in a frame: {problem}")]
    Frame {
        /// Table of the recorded entity.
        entity: String,
        /// The column of the record, or `*` for all.
        column: String,
        /// Why not, and what to do.
        problem: String,
    },

    /// A window that lies outside the years 1 to 9999.
    #[error("the window {window} cannot be used: {problem}")]
    Window {
        /// The window as it was asked for.
        window: String,
        /// Why not.
        problem: String,
    },

    /// A name that the IANA time zone database does not have.
    #[error(
        "`{zone}` is not a time zone of the IANA database; write one such as `Europe/Vienna` or `UTC`"
    )]
    Zone {
        /// The name as it was given.
        zone: String,
    },
}

impl RecordError {
    /// The `RecordError` that travels inside `error`, if one does.
    pub fn of(error: &DbErr) -> Option<&Self> {
        match error {
            DbErr::TryIntoErr { source, .. } => source.downcast_ref(),
            _ => None,
        }
    }

    /// Whether running the whole transaction again may succeed: a deadlock, a serialization
    /// failure, a lock that was not had in time, a busy SQLite file.
    ///
    /// Sources: PostgreSQL 40001, 40P01 and 55P03; MySQL and MariaDB 1213 and 1205; SQLite
    /// `SQLITE_BUSY` (5) and `SQLITE_LOCKED` (6), with their extended codes.
    pub fn is_retryable(&self) -> bool {
        self.database_source().is_some_and(is_retryable)
    }

    /// What a database said, which may be an error of ours in turn.
    fn database_source(&self) -> Option<&DbErr> {
        match self {
            Self::Database { source, .. }
            | Self::Stranded { source }
            | Self::Property {
                source: Some(source),
                ..
            }
            | Self::Restore {
                source: Some(source),
                ..
            }
            | Self::Erasure {
                source: Some(source),
                ..
            } => Some(source),
            _ => None,
        }
    }

    /// Whether the table of records, or a column of it, is missing from the database.
    pub fn is_missing_table(&self) -> bool {
        match self {
            Self::Database { hint, .. } => *hint == MISSING,
            Self::Stranded { source } => Self::of(source).is_some_and(Self::is_missing_table),
            _ => false,
        }
    }

    pub(crate) fn plan(entity: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Plan {
            entity: entity.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn resample(table: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Resample {
            table: table.into(),
            problem: problem.into(),
        }
    }

    pub(crate) fn bulk(entity: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Bulk {
            entity: entity.into(),
            problem: problem.into(),
        }
    }

    /// Wraps what the database said, unless it carries an error of ours already.
    pub(crate) fn database(entity: &str, action: impl Into<String>, source: DbErr) -> Self {
        if let Some(ours) = Self::of(&source) {
            return ours.clone();
        }
        Self::Database {
            entity: entity.to_owned(),
            action: action.into(),
            hint: if is_missing(&source) { MISSING } else { "" },
            source,
        }
    }
}

const MISSING: &str = "; does the table of records exist, with every recorded column? \
                       `create_record_table` of sea-orm-record-migration makes it";

impl From<RecordError> for DbErr {
    fn from(error: RecordError) -> Self {
        DbErr::TryIntoErr {
            from: "entity",
            into: "record",
            source: Arc::new(error),
        }
    }
}

/// Whether running the whole transaction again may succeed; see [`RecordError::is_retryable`].
///
/// Takes SeaORM's error, since that is what a save returns. On MySQL and MariaDB a savepoint that is
/// gone counts: a deadlock, or on a Galera cluster another node's write, has undone its transaction.
/// (So does a statement that commits implicitly, such as `CREATE TABLE`, which has no place in one.)
///
/// ```
/// assert!(!sea_orm_record::is_retryable(&sea_orm::DbErr::RecordNotUpdated));
/// ```
pub fn is_retryable(error: &DbErr) -> bool {
    if let Some(ours) = RecordError::of(error) {
        return ours.is_retryable();
    }
    let Some((code, text)) = database_error(error) else {
        return false;
    };
    match code.parse::<u32>() {
        // SQLite: SQLITE_BUSY and SQLITE_LOCKED; the low byte of an extended code is the primary one.
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6),
        // PostgreSQL: serialization_failure, deadlock_detected, lock_not_available; MySQL says
        // 40001 for a deadlock (1213) and has no SQLSTATE of its own for a lock timeout (1205), nor
        // MariaDB for a row that changed since a snapshot (1020, `innodb_snapshot_isolation`).
        _ => {
            matches!(code.as_str(), "40001" | "40P01" | "55P03")
                || text.starts_with("1205 ")
                || text.starts_with("1020 ")
                || is_lost_savepoint(&text)
        }
    }
}

/// MySQL undoes the whole transaction of a deadlock's victim, and its savepoints with it. Where the
/// victim was idle, as one is whose rows another node of a Galera cluster has written, the savepoint
/// is the first to say so (error 1305).
fn is_lost_savepoint(text: &str) -> bool {
    text.starts_with("1305 ") && text.contains("SAVEPOINT")
}

/// Whether the database has undone the whole transaction, so that on MySQL what follows would stand in
/// none: a deadlock, a serialization failure or no room for more locks (1206), rather than a lock that was
/// waited for in vain.
pub(crate) fn ends_transaction(error: &DbErr) -> bool {
    if let Some(source) = RecordError::of(error).and_then(RecordError::database_source) {
        return ends_transaction(source);
    }
    database_error(error).is_some_and(|(code, text)| {
        matches!(code.as_str(), "40001" | "40P01")
            || text.starts_with("1206 ")
            || is_lost_savepoint(&text)
    })
}

/// Without what SeaORM says around an error of ours.
fn shown(error: &DbErr) -> String {
    RecordError::of(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Whether the database itself failed, rather than what was to be recorded.
pub(crate) fn is_of_database(error: &DbErr) -> bool {
    RecordError::of(error).is_none_or(|ours| matches!(ours, RecordError::Database { .. }))
}

/// Whether what a statement answered could not be read: it has been run, and nothing tells the hooks.
pub(crate) fn is_unreadable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::UnpackInsertId | DbErr::UpdateGetPrimaryKey => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(
                **error,
                SqlxError::ColumnDecode { .. }
                    | SqlxError::ColumnNotFound(_)
                    | SqlxError::Decode(_)
                    | SqlxError::TypeNotFound { .. }
            )
        }
        _ => false,
    }
}

/// Whether another writer came first, in a transaction that can be run again.
pub(crate) fn lost_a_race(error: &DbErr) -> bool {
    is_retryable(error)
        || match RecordError::of(error) {
            Some(RecordError::Database { source, .. }) => is_repeated(source),
            _ => is_repeated(error),
        }
}

/// Whether a row of the same unique columns is there.
pub(crate) fn is_repeated(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether SQLite refuses a statement or its row, rather than the disk, memory or an interrupt, for which
/// it may undo the whole transaction (its manual, "Response To Errors Within A Transaction").
pub(crate) fn refuses(error: &DbErr) -> bool {
    let source = RecordError::of(error).and_then(RecordError::database_source);
    let raised = database_error(source.unwrap_or(error));
    let code = raised.and_then(|(code, _)| code.parse::<u32>().ok());
    // SQLITE_ERROR, SQLITE_CONSTRAINT and SQLITE_MISMATCH, or an extended code of one.
    code.is_some_and(|code| matches!(code & 0xff, 1 | 19 | 20))
}

/// Whether the database says that a table or a column does not exist.
fn is_missing(error: &DbErr) -> bool {
    let Some((code, text)) = database_error(error) else {
        return false;
    };
    // PostgreSQL: undefined_table, undefined_column; MySQL: ER_NO_SUCH_TABLE, ER_BAD_FIELD_ERROR.
    matches!(code.as_str(), "42P01" | "42703" | "42S02" | "42S22")
        || text.contains("no such table")
        || text.contains("no such column")
        || text.contains("has no column named")
}

/// The code and the text of an error that the database itself raised.
fn database_error(error: &DbErr) -> Option<(String, String)> {
    let (DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime)) = error else {
        return None;
    };
    let RuntimeErr::SqlxError(error) = runtime else {
        return None;
    };
    let raised = error.as_database_error()?;
    Some((raised.code()?.into_owned(), raised.to_string()))
}
