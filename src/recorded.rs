//! The traits that tie an entity to its record entity.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{IntoValueTuple, StringLen};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DbErr, DeriveActiveEnum, EntityTrait, EnumIter, IdenStatic,
    Iterable, PrimaryKeyToColumn, PrimaryKeyTrait, QueryFilter, RelationDef, Select, Value,
};

use serde::{Deserialize, Serialize};

use crate::{AsOf, DiffBetween, RecordError, RecordQuery, Recorder, RestoreTo};

/// An entity whose history is kept; it must have hooks, or its changes would go unseen.
///
/// `#[recorded]` writes the record entity; the implementation says what is computed and what is
/// watched:
///
/// ```
/// use sea_orm::entity::prelude::*;
/// use sea_orm_record::prelude::*;
///
/// #[recorded(columns(title), properties(words: i32))]
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// #[sea_orm(table_name = "note")]
/// pub struct Model {
///     #[sea_orm(primary_key)]
///     pub id: i32,
///     pub title: String,
/// }
///
/// #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// pub enum Relation {}
///
/// impl Recorded for Entity {
///     type Record = record::Entity;
///
///     fn recorder() -> Recorder<Self> {
///         Recorder::<Self>::new().properties(|note| record::Properties {
///             words: note.title.split_whitespace().count() as i32,
///         })
///     }
/// }
///
/// #[record_hooks]
/// impl ActiveModelBehavior for ActiveModel {}
/// # fn main() {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how it is recorded",
    note = "write `impl Recorded for Entity`, with `type Record = record::Entity`"
)]
pub trait Recorded: EntityTrait<Model: Sync, ActiveModel: Hooked> {
    /// The entity of the record table.
    type Record: RecordEntity<Recording = Self>;

    /// What is computed and what is watched. Called once, when the entity is first saved or
    /// asked about; the plan that it becomes is kept. Default: the columns alone.
    fn recorder() -> Recorder<Self> {
        Recorder::new()
    }

    /// The records of all rows, as a `Select` of the record entity.
    fn records() -> Select<Self::Record> {
        Self::Record::find()
    }

    /// The whole table as it was at `t`: the record of each row that held then, deleted rows left
    /// out; see [`RecordQuery::as_of`].
    fn as_of(t: DateTime<Utc>) -> AsOf<Self::Record> {
        Self::records().as_of(t)
    }

    /// What changed in the table from one moment to another, row by row; see
    /// [`RecordQuery::diff_between`].
    fn diff_between(from: DateTime<Utc>, to: DateTime<Utc>) -> DiffBetween<Self::Record> {
        Self::records().diff_between(from, to)
    }

    /// Puts the whole table back as it was at `t`; see [`RecordQuery::restore_to`].
    fn restore_to(t: DateTime<Utc>) -> RestoreTo<Self::Record> {
        Self::records().restore_to(t)
    }

    /// The records of one row by its primary key, which also finds those of a row that is gone. A key
    /// of several columns is a tuple, as in SeaORM's `find_by_id`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, _, article) = blog().await?;
    /// let key = article.id;
    /// article.delete(&db).await?;
    /// assert_eq!(article::Entity::records_of(key).all(&db).await?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    fn records_of(key: <Self::PrimaryKey as PrimaryKeyTrait>::ValueType) -> Select<Self::Record> {
        let values = key.into_value_tuple();
        let keys = Self::PrimaryKey::iter()
            .map(PrimaryKeyToColumn::into_column)
            .zip(values);
        keys.fold(Self::records(), |select, (key, value)| {
            let pairs = Self::Record::key().into_iter();
            let repeated = pairs.filter(|(source, _)| source.as_str() == key.as_str());
            repeated.fold(select, |select, (_, column)| {
                select.filter(column.eq(value.clone()))
            })
        })
    }
}

/// A record entity: an ordinary SeaORM entity whose rows are what another entity's rows were.
///
/// `#[recorded]` writes one. By hand, or on top of what `sea-orm-cli` generated from the table,
/// the four items without a default are enough: the rest goes by column names. On SQLite its table
/// has row ids, so it is not made `WITHOUT ROWID`: records are found and pruned by them.
///
/// ```
/// mod note {
///     use sea_orm::entity::prelude::*;
///     use sea_orm_record::prelude::*;
///
///     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
///     #[sea_orm(table_name = "note")]
///     pub struct Model {
///         #[sea_orm(primary_key)]
///         pub id: i32,
///         pub title: String,
///         pub secret: String,
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     impl Recorded for Entity {
///         type Record = super::note_record::Entity;
///
///         fn recorder() -> Recorder<Self> {
///             Recorder::<Self>::new().properties(|note| super::note_record::Length {
///                 length: note.title.len() as i32,
///             })
///         }
///     }
///
///     #[record_hooks]
///     impl ActiveModelBehavior for ActiveModel {}
/// }
///
/// mod note_record {
///     use sea_orm::entity::prelude::*;
///     use sea_orm_record::{Event, Properties, RecordEntity};
///
///     #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
///     #[sea_orm(table_name = "note_record")]
///     pub struct Model {
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub recording_id: i32,
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub recorded_at: DateTimeUtc,
///         pub event: Event,
///         pub title: String,         // a column of the note, by its name
///         pub length: i32,           // a property
///         pub actor: Option<String>, // of the context
///     }
///
///     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
///     pub enum Relation {}
///
///     impl ActiveModelBehavior for ActiveModel {}
///
///     pub struct Length {
///         pub length: i32,
///     }
///
///     impl Properties for Length {
///         const NAMES: &'static [&'static str] = &["length"];
///
///         fn into_values(self) -> Vec<sea_orm::Value> {
///             vec![self.length.into()]
///         }
///     }
///
///     impl RecordEntity for Entity {
///         type Recording = super::note::Entity;
///         type Properties = Length;
///
///         const RECORDED_AT: Column = Column::RecordedAt;
///         const EVENT: Column = Column::Event;
///     }
/// }
/// # fn main() {}
/// ```
pub trait RecordEntity: EntityTrait {
    /// The entity that is recorded.
    type Recording: EntityTrait;

    /// The values that closures compute; `()` where there are none.
    type Properties: Properties;

    /// The column with the time of a record: `recorded_at`.
    const RECORDED_AT: Self::Column;

    /// The column with the reason for a record, an [`Event`]: `event`.
    const EVENT: Self::Column;

    /// The primary key of what is recorded, and the columns that repeat it here.
    ///
    /// Default: `recording_id` for a key of one column, else `recording_<column>` for each.
    fn key() -> Vec<(ColumnOf<Self::Recording>, Self::Column)> {
        let keys: Vec<_> = <Self::Recording as EntityTrait>::PrimaryKey::iter()
            .map(PrimaryKeyToColumn::into_column)
            .collect();
        let single = keys.len() == 1;
        let name = |column: &ColumnOf<Self::Recording>| match single {
            true => "recording_id".to_owned(),
            false => format!("recording_{}", column.as_str()),
        };
        keys.into_iter()
            .filter_map(|column| Some((column, column_named::<Self>(&name(&column))?)))
            .collect()
    }

    /// The recorded columns of the source, each with the column that keeps it.
    ///
    /// Default: every column of the same name that has no other part to play here.
    fn columns() -> Vec<(ColumnOf<Self::Recording>, Self::Column)> {
        let context = Self::context();
        let taken: Vec<&str> = [Some(Self::RECORDED_AT), Some(Self::EVENT)]
            .into_iter()
            .chain(context.all())
            .chain(Self::key().into_iter().map(|(_, column)| Some(column)))
            .chain(Self::retired().into_iter().map(Some))
            .flatten()
            .map(|column| column.as_str())
            .chain(Self::Properties::NAMES.iter().copied())
            .collect();
        ColumnOf::<Self::Recording>::iter()
            .filter(|column| !taken.contains(&column.as_str()))
            .filter_map(|column| Some((column, column_named::<Self>(column.as_str())?)))
            .collect()
    }

    /// The columns for who and why. Default: those of the standard names that exist, but for names
    /// of columns of the source, which are recorded.
    fn context() -> ContextColumns<Self::Column> {
        let named = |name: &str| {
            let of_source = column_named::<Self::Recording>(name).is_some();
            column_named::<Self>(name).filter(|_| !of_source)
        };
        ContextColumns {
            actor: named("actor"),
            reason: named("reason"),
            change_id: named("change_id"),
            metadata: named("metadata"),
        }
    }

    /// Columns that are no longer recorded; they keep their past values and must be nullable.
    /// Default: none.
    fn retired() -> Vec<Self::Column> {
        Vec::new()
    }

    /// Columns of the record that keep a keyed hash in the place of the value; among those of
    /// [`columns`](Self::columns), nullable, and text of at least 64 characters, as
    /// [`Redacted`](crate::Redacted) is. Default: none.
    fn redacted() -> Vec<Self::Column> {
        Vec::new()
    }

    /// Paths to many-to-many relatives, which SeaORM's `Relation` does not list; for
    /// [`Recorder::watch_all`]. Default: none, so that a record entity by hand names them here, or
    /// each in a [`Recorder::watch`].
    fn many_to_many() -> Vec<Vec<RelationDef>> {
        Vec::new()
    }
}

/// The column enum of an entity.
pub type ColumnOf<E> = <E as EntityTrait>::Column;

/// The model of the records of an entity.
pub(crate) type RecordOf<E> = <<E as Recorded>::Record as EntityTrait>::Model;

/// The column of an entity by its name in the database.
pub(crate) fn column_named<E: EntityTrait>(name: &str) -> Option<E::Column> {
    E::Column::iter().find(|column| column.as_str() == name)
}

/// Which columns of a record entity keep the [`Context`](crate::Context). Default: none.
#[derive(Clone, Copy, Debug)]
pub struct ContextColumns<C> {
    /// Who changed the row: text.
    pub actor: Option<C>,
    /// Why: text.
    pub reason: Option<C>,
    /// The unit of work, the same in all its records: a UUID.
    pub change_id: Option<C>,
    /// Anything else: JSON.
    pub metadata: Option<C>,
}

impl<C> Default for ContextColumns<C> {
    fn default() -> Self {
        Self {
            actor: None,
            reason: None,
            change_id: None,
            metadata: None,
        }
    }
}

impl<C> ContextColumns<C> {
    /// All four, in the order of their declaration.
    pub(crate) fn all(self) -> [Option<C>; 4] {
        [self.actor, self.reason, self.change_id, self.metadata]
    }
}

/// The computed values of one record.
///
/// `#[recorded(properties(…))]` writes the struct; by hand:
///
/// ```
/// use sea_orm_record::Properties;
///
/// struct Counted {
///     word_count: i32,
/// }
///
/// impl Properties for Counted {
///     const NAMES: &'static [&'static str] = &["word_count"];
///
///     fn into_values(self) -> Vec<sea_orm::Value> {
///         vec![self.word_count.into()]
///     }
/// }
/// ```
pub trait Properties: Send + 'static {
    /// The columns of the record table that keep them.
    const NAMES: &'static [&'static str];

    /// The values, in the order of [`NAMES`](Self::NAMES).
    fn into_values(self) -> Vec<Value>;
}

impl Properties for () {
    const NAMES: &'static [&'static str] = &[];

    fn into_values(self) -> Vec<Value> {
        Vec::new()
    }
}

/// Why a record was written. Kept as text of at most 10 characters.
///
/// It is the value of the record's column `event`, in models and in filters; the example of
/// [`RecordQuery`] has one, and the chapter [capture](crate::book::capture) says when each is written.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(10))")]
pub enum Event {
    /// The row was inserted.
    #[sea_orm(string_value = "created")]
    Created,
    /// The row was updated.
    #[sea_orm(string_value = "updated")]
    Updated,
    /// A watched row changed.
    #[sea_orm(string_value = "related")]
    Related,
    /// The row was deleted; the values are those of the record before.
    #[sea_orm(string_value = "deleted")]
    Deleted,
    /// Written by [`backfill`](crate::backfill): for a row that existed before recording began, or,
    /// with `differing`, before a column or property was recorded.
    #[sea_orm(string_value = "backfilled")]
    Backfilled,
    /// What was recorded before was [erased](crate::erase); the record holds nothing. Like a
    /// deletion it ends what held.
    #[sea_orm(string_value = "erased")]
    Erased,
    /// Columns of this record, and of those before it, were [blanked](crate::Erase::columns); the
    /// others are as they were.
    #[sea_orm(string_value = "blanked")]
    Blanked,
}

impl Event {
    /// The text in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Related => "related",
            Self::Deleted => "deleted",
            Self::Backfilled => "backfilled",
            Self::Erased => "erased",
            Self::Blanked => "blanked",
        }
    }

    /// Those of records that say of no row that it is there.
    pub(crate) const ENDINGS: [Self; 2] = [Self::Deleted, Self::Erased];

    /// Whether a record of this event says that something was erased.
    pub(crate) const fn is_mark(self) -> bool {
        matches!(self, Self::Erased | Self::Blanked)
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// An `ActiveModel` whose `ActiveModelBehavior` calls this library's [`hooks`](crate::hooks).
///
/// `#[record_hooks]` implements it. An `ActiveModelBehavior` that calls the hooks by hand says so
/// by implementing this, and [`register`](crate::register)s; else its saves are refused. The module
/// [`hooks`](crate::hooks) has an example.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no record hooks, so its changes would go unseen",
    label = "this entity cannot be recorded or watched yet",
    note = "put `#[record_hooks]` on its `impl ActiveModelBehavior for ActiveModel`"
)]
pub trait Hooked: ActiveModelTrait<Entity: EntityTrait<Model: Sync + 'static>> {}

/// The full name of an entity's table, for messages.
pub(crate) fn table_name<E: EntityTrait>() -> String {
    let entity = E::default();
    match entity.schema_name() {
        Some(schema) => format!("{schema}.{}", entity.table_name()),
        None => entity.table_name().to_owned(),
    }
}

/// What the database said of a question to the records of an entity.
pub(crate) fn unread<R: RecordEntity>(source: DbErr) -> DbErr {
    let action = format!("reading `{}`", table_name::<R>());
    RecordError::database(&table_name::<R::Recording>(), action, source).into()
}
