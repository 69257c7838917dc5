//! Changes of a record table, as a migration freezes them.

mod target;

use sea_orm::sea_query::ColumnType;
use sea_orm::{ConnectionTrait, DbErr, Value};
use sea_orm_migration::SchemaManager;

pub(crate) use self::target::{Target, TargetColumn};
use crate::description::{TableName, missing_types};
use crate::dialect::alter::{alter, has_null};
use crate::dialect::run;
use crate::found::Found;

/// Changes of a record table, to be applied together.
///
/// `record generate` writes them into migrations; they can also be written by hand. Each looks first
/// at what the table is: what is done already is passed over, so that a migration that was
/// interrupted can run again, and what can be neither done nor done already is refused before
/// anything is changed. PostgreSQL and SQLite change a table in one transaction, MySQL and MariaDB in
/// one `ALTER TABLE`, and a second one where a column is added filled.
///
/// No change loses a record; [`drop_column`](Self::drop_column), which is there for `down`, loses the
/// values of its column.
///
/// SQLite renames and drops columns in place, and adds those that may be NULL. For any other change of
/// a column it copies the table, with its indexes, triggers and foreign keys.
///
/// ```
/// use sea_orm_migration::prelude::*;
/// use sea_orm_record_migration::{ChangeRecordTable, RecordTable};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), DbErr> {
/// # let db = sea_orm::Database::connect("sqlite::memory:").await?;
/// # let manager = &SchemaManager::new(&db);
/// # RecordTable::new("article_record")
/// #     .column("recording_id", ColumnType::Integer)
/// #     .column("recorded_at", ColumnType::TimestampWithTimeZone)
/// #     .column("event", ColumnType::String(StringLen::N(10)))
/// #     .column("text", ColumnType::String(StringLen::N(80)))
/// #     .column("headline", ColumnType::Text)
/// #     .key(["recording_id", "recorded_at"])
/// #     .create(manager).await?;
/// // Up:
/// ChangeRecordTable::new("article_record")
///     .rename_column("text", "body")
///     .change_type("body", ColumnType::String(StringLen::N(80)), ColumnType::Text)
///     .add_column("word_count", ColumnType::Integer)
///     .allow_null("headline")
///     .apply(manager)
///     .await?;
///
/// // And down:
/// ChangeRecordTable::new("article_record")
///     .require_where_filled("headline")
///     .drop_column("word_count")
///     .change_type("body", ColumnType::Text, ColumnType::String(StringLen::N(80)))
///     .rename_column("body", "text")
///     .apply(manager)
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is changed until `apply`"]
pub struct ChangeRecordTable {
    name: TableName,
    changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    AddColumn {
        name: String,
        ty: ColumnType,
        /// What records from before have; without it, nothing.
        fill: Option<Value>,
        extra: Option<String>,
        comment: Option<String>,
    },
    DropColumn(String),
    RenameColumn(String, String),
    Retype {
        name: String,
        from: ColumnType,
        to: ColumnType,
    },
    AllowNull(String),
    FillNulls(String, Value),
    RequireWhereFilled(String),
    AddIndex(Vec<String>),
    DropIndex(Vec<String>),
}

impl Change {
    /// The change that takes it back. What NULL was made for, and the values of a column that was
    /// added, are lost on the way. Nothing takes back the dropping of a column, which is never generated:
    /// it is kept for its past.
    pub(crate) fn inverse(&self) -> Option<Self> {
        Some(match self.clone() {
            Self::AddColumn { name, .. } => Self::DropColumn(name),
            Self::RenameColumn(from, to) => Self::RenameColumn(to, from),
            Self::Retype { name, from, to } => Self::Retype {
                name,
                from: to,
                to: from,
            },
            Self::AllowNull(name) => Self::RequireWhereFilled(name),
            Self::FillNulls(name, _) | Self::RequireWhereFilled(name) => Self::AllowNull(name),
            Self::AddIndex(columns) => Self::DropIndex(columns),
            Self::DropIndex(columns) => Self::AddIndex(columns),
            Self::DropColumn(_) => return None,
        })
    }
}

impl ChangeRecordTable {
    /// No changes yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self::of(TableName {
            schema: None,
            name: name.into(),
        })
    }

    pub(crate) const fn of(name: TableName) -> Self {
        Self {
            name,
            changes: Vec::new(),
        }
    }

    /// The schema of the table. Default: the connection's.
    pub fn in_schema(mut self, schema: impl Into<String>) -> Self {
        self.name.schema = Some(schema.into());
        self
    }

    pub(crate) fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Adds a column that may be NULL, as it is in the records from before.
    pub fn add_column(self, name: impl Into<String>, ty: ColumnType) -> Self {
        self.with(Change::AddColumn {
            name: name.into(),
            ty,
            fill: None,
            extra: None,
            comment: None,
        })
    }

    /// Adds a column that may not be NULL. Records from before get this value, though it is nothing
    /// that was ever recorded; those that come have no default. A date, a decimal, a UUID and the like
    /// can be given as a text.
    pub fn add_filled_column(
        self,
        name: impl Into<String>,
        ty: ColumnType,
        fill: impl Into<Value>,
    ) -> Self {
        self.with(Change::AddColumn {
            name: name.into(),
            ty,
            fill: Some(fill.into()),
            extra: None,
            comment: None,
        })
    }

    /// SQL that stands after the type and nullability of the column that was added before, such as a
    /// collation. Default: none.
    pub fn extra(mut self, sql: impl Into<String>) -> Self {
        if let Some(Change::AddColumn { extra, .. }) = self.changes.last_mut() {
            *extra = Some(sql.into());
        }
        self
    }

    /// A comment on the column that was added before, where `CREATE TABLE` can make one: on MySQL and
    /// MariaDB. Default: none.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        if let Some(Change::AddColumn { comment, .. }) = self.changes.last_mut() {
            *comment = Some(text.into());
        }
        self
    }

    /// Drops a column, with its values.
    pub fn drop_column(self, name: impl Into<String>) -> Self {
        self.with(Change::DropColumn(name.into()))
    }

    /// Renames a column; its indexes follow.
    pub fn rename_column(self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.with(Change::RenameColumn(from.into(), to.into()))
    }

    /// Changes the type of a column; a text keeps its collation. It is refused, by this library or the
    /// database, where a value would become another; SQLite has no such limits.
    pub fn change_type(self, name: impl Into<String>, from: ColumnType, to: ColumnType) -> Self {
        self.with(Change::Retype {
            name: name.into(),
            from,
            to,
        })
    }

    /// Allows NULL: for what is no longer recorded, or not always.
    pub fn allow_null(self, name: impl Into<String>) -> Self {
        self.with(Change::AllowNull(name.into()))
    }

    /// No longer allows NULL. Records that have none get this value, though it is nothing that was ever
    /// recorded.
    pub fn fill_nulls(self, name: impl Into<String>, fill: impl Into<Value>) -> Self {
        self.with(Change::FillNulls(name.into(), fill.into()))
    }

    /// No longer allows NULL, unless a record has it: then the column stays as it is, since no value
    /// can be made up. It undoes [`allow_null`](Self::allow_null).
    pub fn require_where_filled(self, name: impl Into<String>) -> Self {
        self.with(Change::RequireWhereFilled(name.into()))
    }

    /// Adds an index, called `idx-<table>-<columns>`, where no plain one of these columns is there: a
    /// B-tree of whole columns and all rows that is not unique.
    pub fn add_index(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(Change::AddIndex(
            columns.into_iter().map(Into::into).collect(),
        ))
    }

    /// Drops the index that [`add_index`](Self::add_index) makes of these columns. One of another name
    /// or kind is left alone; `SchemaManager::drop_index` drops it.
    pub fn drop_index(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(Change::DropIndex(
            columns.into_iter().map(Into::into).collect(),
        ))
    }

    /// Applies them.
    ///
    /// # Errors
    /// A `DbErr::Migration` that says what was seen, before anything is changed: when there is no
    /// such table, or when a column is neither as it was before nor as it will be. And what the
    /// database says.
    pub async fn apply(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let Some(found) = Found::load(db, &self.name).await? else {
            return Err(self
                .name
                .error("is not there: has it been dropped by hand?"));
        };
        let mut target = Target::of(&found, db.get_database_backend());
        for change in &self.changes {
            let change = self.decided(db, &target, change).await?;
            if let Some(change) = change {
                target
                    .make(change)
                    .map_err(|problem| self.name.error(problem))?;
            }
        }
        let types = target.columns.iter().filter_map(|it| it.ty.as_ref());
        run(db, &missing_types(db, types).await?).await?;
        alter(db, &found, &target).await
    }

    /// What depends on the records: none, where some of them stand against it.
    async fn decided<'c, C: ConnectionTrait>(
        &self,
        db: &C,
        target: &Target,
        change: &'c Change,
    ) -> Result<Option<&'c Change>, DbErr> {
        let Change::RequireWhereFilled(name) = change else {
            return Ok(Some(change));
        };
        match target.column(name).and_then(|it| it.origin.as_deref()) {
            Some(origin) if has_null(db, &self.name, origin).await? => Ok(None),
            _ => Ok(Some(change)),
        }
    }
}
