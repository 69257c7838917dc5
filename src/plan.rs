//! The checked plan that a recorder becomes.

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use sea_orm::sea_query::{ColumnType, Expr, ForeignKeyAction, Query, StringLen};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, RelationTrait,
    Value,
};

use crate::by_keys::{Among, among, key_pairs};
use crate::dialect::{Dialect, Sql, declared_length};
use crate::recorded::{ColumnOf, RecordEntity, Recorded, table_name};
use crate::recorder::PropertiesOf;
use crate::{Properties, RecordError};

/// Everything about the recording of an entity that is known without its types.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Table of the recorded entity, for messages.
    pub(crate) entity: String,
    pub(crate) type_id: TypeId,
    pub(crate) source: Table,
    pub(crate) record: Table,
    pub(crate) key: Vec<Column>,
    /// Conditions on the source's columns.
    pub(crate) among: Among,
    pub(crate) recorded_at: String,
    pub(crate) event: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) properties: Vec<Column>,
    /// In the order of [`ContextColumns`](crate::ContextColumns).
    pub(crate) context: [Option<Column>; 4],
    texts: RwLock<HashMap<TextKey, Arc<str>>>,
    /// Whether the record table has taken a record in this process, by [`Dialect::index`].
    proven: [AtomicBool; 3],
    /// Whether records go with their row, by a foreign key (`#[recorded(cascade)]`).
    pub(crate) cascades: bool,
}

/// Which statement, for which database and how many rows.
pub(crate) type TextKey = (&'static str, usize, usize);

#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A column of the record table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The column of the source that it repeats; the name again for what has none.
    pub(crate) source: String,
    pub(crate) ty: ColumnType,
    pub(crate) nullable: bool,
    /// Whether it keeps a hash in the place of the value.
    pub(crate) redacted: bool,
    /// Whether the source may hold longer texts.
    shorter: bool,
    /// How a bound value is written, by [`Dialect::index`]: text before and after the placeholder.
    write: [(String, String); 3],
}

impl Column {
    pub(crate) fn new<C: ColumnTrait>(source: &str, column: C) -> Self {
        Self {
            name: column.as_str().to_owned(),
            source: source.to_owned(),
            ty: column.def().get_column_type().clone(),
            nullable: column.def().is_null(),
            redacted: false,
            shorter: false,
            write: [DbBackend::MySql, DbBackend::Postgres, DbBackend::Sqlite]
                .map(|backend| write_form(column, backend)),
        }
    }

    /// Whether the source table holds it as it is to be recorded.
    pub(crate) fn is_copied(&self, dialect: Dialect) -> bool {
        !self.redacted && !self.shorter && dialect.copies(&self.ty)
    }

    /// Whether nothing about such a copy could be refused, so that no value need be looked at.
    pub(crate) fn is_copied_unseen(&self, dialect: Dialect) -> bool {
        self.is_copied(dialect) && dialect.copies_unseen(&self.ty)
    }

    /// Writes a value of this column: a placeholder, or where else it comes from.
    pub(crate) fn write(
        &self,
        sql: &mut Sql,
        dialect: Dialect,
        value: impl FnOnce(&mut Sql) -> &mut Sql,
    ) {
        let (before, after) = &self.write[dialect.index()];
        value(sql.push(before)).push(after);
    }

    /// Writes a placeholder for one among rows that a statement brings along.
    pub(crate) fn cell(&self, sql: &mut Sql, dialect: Dialect) {
        dialect.cell(sql, &self.ty, |sql| {
            self.write(sql, dialect, Sql::placeholder);
            sql
        });
    }
}

/// What SeaORM's `save_as` puts around a value, such as the cast to a native enum.
fn write_form<C: ColumnTrait>(column: C, backend: DbBackend) -> (String, String) {
    const MARK: &str = "\u{1}";
    let select = Query::select()
        .expr(column.save_as(Expr::cust(MARK)))
        .take();
    let text = backend.build(&select).sql;
    let text = text.strip_prefix("SELECT ").unwrap_or(&text);
    match text.split_once(MARK) {
        Some((before, after)) => (before.to_owned(), after.to_owned()),
        None => Default::default(),
    }
}

impl Shape {
    pub(crate) fn of<E: Recorded>(computes: bool) -> Result<Self, RecordError> {
        let entity = table_name::<E>();
        let shape = Self {
            type_id: TypeId::of::<E>(),
            source: table::<E>(),
            record: table::<E::Record>(),
            key: columns(key_pairs::<E::Record>()),
            among: among::<E>,
            recorded_at: E::Record::RECORDED_AT.as_str().to_owned(),
            event: E::Record::EVENT.as_str().to_owned(),
            columns: value_columns::<E>(),
            properties: property_columns::<E>(&entity)?,
            context: E::Record::context()
                .all()
                .map(|column| column.map(|column| Column::new(column.as_str(), column))),
            texts: RwLock::default(),
            proven: Default::default(),
            cascades: cascades::<E>(),
            entity,
        };
        shape.check::<E>(computes)?;
        Ok(shape)
    }

    fn check<E: Recorded>(&self, computes: bool) -> Result<(), RecordError> {
        let fail = |problem: String| Err(RecordError::plan(&self.entity, problem));
        let arity = <E::PrimaryKey as Iterable>::iter().count();
        let key: Vec<_> = E::Record::key()
            .into_iter()
            .map(|(_, column)| column.as_str())
            .collect();
        if self.key.len() != arity || key.len() != arity {
            return fail(format!(
                "`{}` does not repeat its whole primary key; it needs `recording_id`, or \
                 `recording_<column>` for each column of a composite key",
                self.record
            ));
        }
        if computes == self.properties.is_empty() {
            return fail(match computes {
                true => "a closure computes properties, but the record has none; list them in \
                         `#[recorded(properties(…))]`"
                    .to_owned(),
                false => format!(
                    "nothing computes `{}`; give `Recorder::properties` or `properties_with`",
                    self.properties[0].name
                ),
            });
        }
        if self.columns.is_empty() && self.properties.is_empty() {
            return fail(format!(
                "`{}` has neither columns nor properties to record",
                self.record
            ));
        }
        let key_first: Vec<_> = <<E::Record as EntityTrait>::PrimaryKey as Iterable>::iter()
            .map(|key| key.into_column().as_str())
            .collect();
        let wanted: Vec<_> = key.into_iter().chain([self.recorded_at.as_str()]).collect();
        if key_first != wanted {
            return fail(format!(
                "the primary key of `{}` must be ({}), in this order",
                self.record,
                wanted.join(", ")
            ));
        }
        self.check_redacted::<E>()?;
        self.check_leftovers::<E>()
    }

    fn check_redacted<E: Recorded>(&self) -> Result<(), RecordError> {
        for column in E::Record::redacted() {
            let name = column.as_str();
            let column = self.columns.iter().find(|column| column.name == name);
            let problem = match column {
                None => "is redacted, but repeats no column of the source",
                Some(column) if !holds_hash(&column.ty) || !column.nullable => {
                    "is redacted, so it must be a nullable text of at least 64 characters, as \
                     `Option<Redacted>` is"
                }
                Some(_) => continue,
            };
            let problem = format!("`{name}` of `{}` {problem}", self.record);
            return Err(RecordError::plan(&self.entity, problem));
        }
        Ok(())
    }

    /// Whether a row that is there may have no record: a closure fails, or a text is too long for it.
    pub(crate) fn may_refuse(&self) -> bool {
        !self.properties.is_empty() || self.columns.iter().any(|column| column.shorter)
    }

    pub(crate) fn redacts(&self) -> bool {
        self.columns.iter().any(|column| column.redacted)
    }

    /// A column of the record that nobody fills must be declared retired, and nullable.
    fn check_leftovers<E: Recorded>(&self) -> Result<(), RecordError> {
        let filled: BTreeSet<&str> = self.filled().collect();
        let retired = E::Record::retired();
        for column in <E::Record as EntityTrait>::Column::iter() {
            let name = column.as_str();
            let is_retired = retired.iter().any(|retired| retired.as_str() == name);
            let problem = match (filled.contains(name), is_retired) {
                (true, true) => "is retired, but still filled",
                (true, false) => continue,
                (false, true) if column.def().is_null() => continue,
                (false, true) => "is retired, so it must be nullable",
                (false, false) => {
                    "repeats no column of the source and is no property; name it as its source \
                     column, or list it in `retired()`"
                }
            };
            let problem = format!("`{name}` of `{}` {problem}", self.record);
            return Err(RecordError::plan(&self.entity, problem));
        }
        Ok(())
    }

    /// Whether records can be made from the source table in SQL alone.
    pub(crate) fn is_copied(&self, dialect: Dialect) -> bool {
        let mut columns = self.columns.iter();
        self.properties.is_empty() && columns.all(|column| column.is_copied(dialect))
    }

    /// Whether the record table took the last record that was written to it.
    pub(crate) fn is_proven(&self, dialect: Dialect) -> bool {
        self.proven[dialect.index()].load(Ordering::Relaxed)
    }

    pub(crate) fn prove(&self, dialect: Dialect, took: bool) {
        self.proven[dialect.index()].store(took, Ordering::Relaxed);
    }

    /// Fails at the first value that its column would alter, or refuse without its name.
    pub(crate) fn refuse_altered<'v>(
        &self,
        dialect: Dialect,
        mut cells: impl Iterator<Item = (&'v Column, &'v Value)>,
    ) -> Result<(), RecordError> {
        let altered = cells.find_map(|(column, value)| {
            let problem = dialect.alters(&column.ty, value)?;
            Some((column.name.clone(), problem.to_owned()))
        });
        match altered {
            None => Ok(()),
            Some((column, problem)) => Err(RecordError::Value {
                entity: self.entity.clone(),
                column,
                problem,
            }),
        }
    }

    fn filled(&self) -> impl Iterator<Item = &str> {
        let named = self
            .key
            .iter()
            .chain(self.values())
            .chain(self.context.iter().flatten());
        named
            .map(|column| column.name.as_str())
            .chain([self.recorded_at.as_str(), self.event.as_str()])
    }

    /// Recorded columns, then properties: the order of values everywhere.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Column> + Clone {
        self.columns.iter().chain(&self.properties)
    }

    /// The text of a statement, built once for each shape of it.
    pub(crate) fn text(&self, key: TextKey, build: impl FnOnce() -> String) -> Arc<str> {
        if let Some(text) = self
            .texts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Arc::clone(text);
        }
        let text: Arc<str> = build().into();
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(texts.entry(key).or_insert(text))
    }
}

fn table<E: EntityTrait>() -> Table {
    let entity = E::default();
    Table {
        schema: entity.schema_name().map(str::to_owned),
        name: entity.table_name().to_owned(),
    }
}

/// Whether the record table has a foreign key to the source that deletes with it.
fn cascades<E: Recorded>() -> bool {
    let relations = <E::Record as EntityTrait>::Relation::iter().map(|relation| relation.def());
    let own = E::default().table_ref();
    relations
        .filter(|relation| !relation.is_owner && !relation.skip_fk && relation.to_tbl == own)
        .any(|relation| matches!(relation.on_delete, Some(ForeignKeyAction::Cascade)))
}

fn columns<S: ColumnTrait, R: ColumnTrait>(pairs: Vec<(S, R)>) -> Vec<Column> {
    let column = |(source, record): (S, R)| {
        let source_holds = declared_length(source.def().get_column_type());
        let mut column = Column::new(source.as_str(), record);
        column.shorter = declared_length(&column.ty)
            .is_some_and(|most| source_holds.is_none_or(|length| length > most));
        column
    };
    pairs.into_iter().map(column).collect()
}

fn value_columns<E: Recorded>() -> Vec<Column> {
    let redacted = E::Record::redacted();
    let mut columns = columns(E::Record::columns());
    for column in &mut columns {
        column.redacted = redacted.iter().any(|it| it.as_str() == column.name);
    }
    columns
}

fn holds_hash(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Text | ColumnType::String(StringLen::None | StringLen::Max) => true,
        ColumnType::Char(Some(width)) | ColumnType::String(StringLen::N(width)) => {
            *width >= crate::redact::WIDTH
        }
        _ => false,
    }
}

fn property_columns<E: Recorded>(entity: &str) -> Result<Vec<Column>, RecordError> {
    <PropertiesOf<E> as Properties>::NAMES
        .iter()
        .map(|name| {
            <ColumnOf<E::Record>>::iter()
                .find(|column| column.as_str() == *name)
                .map(|column| Column::new(name, column))
                .ok_or_else(|| {
                    let problem = format!(
                        "`{}` has no column for the property `{name}`",
                        table::<E::Record>()
                    );
                    RecordError::plan(entity, problem)
                })
        })
        .collect()
}
