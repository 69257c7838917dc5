//! Taking away what the history of a row says, and remembering that it was done.
//!
//! The row is locked, so that no save of it is under way; its records are deleted or blanked, and a
//! mark is left, all in one transaction. Who only looks at rows (verification, backfilling, the
//! dependents of watched rows) takes a mark for what it is: see `write/erasure.rs`.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityName, IdenStatic, QueryFilter, QueryOrder, Value,
};

use crate::by_keys::record_key;
use crate::capture::page;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::keys::{Key, KeyOfEntity, untyped_key};
use crate::operation::{Operation, apart_wholly};
use crate::plan::{Column, Shape};
use crate::recorded::table_name;
use crate::registry::plan_of;
use crate::target::Target;
use crate::typed::Plan;
use crate::write::{Blank, Cell, Writer, nothing};
use crate::{ColumnOf, RecordEntity, RecordError, Recorded, is_retryable};

/// What an erasure counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erasure {
    /// Records that were removed; with [`Erase::columns`], those that held something there.
    pub records: u64,
}

/// An erasure to be run; made by [`erase`].
#[must_use = "nothing is erased until `exec`"]
pub struct Erase<E: Recorded> {
    key: Key,
    columns: Option<Vec<ColumnOf<E::Record>>>,
    held: Vec<(ColumnOf<E::Record>, Value)>,
}

impl<E: Recorded> Clone for Erase<E> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            columns: self.columns.clone(),
            held: self.held.clone(),
        }
    }
}

impl<E: Recorded> fmt::Debug for Erase<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |columns: &Vec<ColumnOf<E::Record>>| {
            let names = columns.iter().map(|column| column.as_str().to_owned());
            names.collect::<Vec<_>>()
        };
        f.debug_struct("Erase")
            .field("key", &self.key)
            .field("columns", &self.columns.as_ref().map(names))
            .finish_non_exhaustive()
    }
}

/// Removes the history of a row, by its primary key; the row itself may be there or be gone.
///
/// What is left is one record with the event [`Erased`](crate::Event::Erased), the context of the
/// connection and no values: NULL, and in columns that cannot be NULL the *neutral value* of their
/// type (an empty text, 0, false, 1970-01-01, a nil UUID, JSON's null, an enum's first variant). It
/// ends what held,
/// as a deletion does. [`verify`](crate::verify), its repair and [`backfill`](crate::backfill) leave
/// the row alone from then on, until a save of the row is recorded. A row that has no records gets
/// none.
///
/// All is done in one transaction, on a pool tried again after a deadlock, with the row locked. It
/// needs the rights to DELETE from and UPDATE the record table.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, row) = blog().await?;
/// use sea_orm_record::{Recorded, erase, verify};
///
/// let officer = db.with_context(Context::actor("officer").reason("request 17"));
/// let erased = erase(article::Entity, row.id).exec(&officer).await?;
/// assert_eq!(erased.records, 1);
/// let records = article::Entity::records_of(row.id).all(&db).await?;
/// assert_eq!((records[0].event, &*records[0].title), (Event::Erased, ""));
/// assert!(verify(article::Entity).exec(&db).await?.is_clean());
/// # Ok(())
/// # }
/// ```
pub fn erase<E: Recorded>(entity: E, key: KeyOfEntity<E>) -> Erase<E> {
    let _ = entity;
    Erase {
        key: untyped_key::<E>(key),
        columns: None,
        held: Vec::new(),
    }
}

impl<E: Recorded> Erase<E> {
    /// Blanks these columns of the record table in all records of the row, and leaves the others as
    /// they are. Default: the whole history is removed.
    ///
    /// Blank is NULL where the column can be, else its neutral value. Properties, columns that are no
    /// longer recorded and those of the context can be blanked too; marks by the same actor keep
    /// theirs, so that they say who erased. The mark is the latest record
    /// again, with the event [`Blanked`](crate::Event::Blanked); for a row that is gone it is an
    /// [`Erased`](crate::Event::Erased) one.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, _, row) = blog().await?;
    /// let erase = sea_orm_record::erase(article::Entity, row.id).columns([article::record::Column::Text]);
    /// assert_eq!(erase.clone().dry_run(&db).await?.records, 1);
    /// assert_eq!(erase.exec(&db).await?.records, 1);
    /// let records = row.records().all(&db).await?;
    /// assert!(records.iter().all(|record| record.text.is_empty() && record.title == "Hello"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn columns(mut self, columns: impl IntoIterator<Item = ColumnOf<E::Record>>) -> Self {
        self.columns = Some(columns.into_iter().collect());
        self
    }

    /// What the mark holds in a column whose neutral value is none of its field's, as with an enum
    /// that is kept as text and cannot be NULL. Default: the neutral value.
    pub fn mark_holds(mut self, column: ColumnOf<E::Record>, value: impl Into<Value>) -> Self {
        self.held.push((column, value.into()));
        self
    }

    /// Erases.
    ///
    /// # Errors
    ///
    /// [`RecordError::Erasure`] where a column cannot be blanked, or the mark cannot hold what it
    /// would; the database's, and a [`RecordError`] within the `DbErr`. Nothing is erased then; but a
    /// [`RecordedTransaction`](crate::RecordedTransaction) can only be rolled back.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<Erasure, DbErr> {
        // What a transaction has gathered is recorded by this, so that it is erased as well.
        if self.clone().dry_run(db).await?.records == 0 {
            return Ok(Erasure::default());
        }
        let plan = plan_of::<E>()?;
        let run = || Run::<E> {
            plan: Arc::clone(&plan),
            erase: self.clone(),
            entity: PhantomData,
        };
        let records = apart_wholly(db, run).await?;
        if let Target::Unit(_, unit) = Target::of(db) {
            unit.erased(TypeId::of::<E>(), &self.key);
        }
        Ok(Erasure { records })
    }

    /// Counts what [`exec`](Self::exec) would erase, and erases nothing.
    ///
    /// # Errors
    ///
    /// Those of [`exec`](Self::exec).
    pub async fn dry_run<C: ConnectionTrait>(self, db: &C) -> Result<Erasure, DbErr> {
        let plan = plan_of::<E>()?;
        let conn = Connection::new(db);
        let dialect = Dialect::of(db);
        let shape = plan.shape();
        let (blanks, _) = (self.blanks(shape, dialect)?, self.cells(&*plan, dialect)?);
        let context = match Target::of(db) {
            Target::Unit(_, unit) => unit.context.clone(),
            Target::Recorded(recorded) => recorded.context().clone(),
            _ => Context::new(),
        };
        let writer = Writer::new(conn, shape, &context, context.stamp()?);
        let records = writer.erasable(&self.key, &blanks).await?;
        Ok(Erasure { records })
    }

    fn blanks(&self, shape: &Shape, dialect: Dialect) -> Result<Vec<Blank>, RecordError> {
        let Some(columns) = &self.columns else {
            return Ok(Vec::new());
        };
        if columns.is_empty() {
            return Err(failed::<E>(
                "no columns are named; leave `columns` away to erase all",
            ));
        }
        let standard = [E::Record::RECORDED_AT, E::Record::EVENT];
        let kept: Vec<_> = E::Record::key()
            .into_iter()
            .map(|(_, column)| column)
            .collect();
        let blank = |column: &ColumnOf<E::Record>| {
            let name = column.as_str();
            if standard
                .iter()
                .chain(&kept)
                .any(|kept| kept.as_str() == name)
            {
                return Err(failed::<E>(format!(
                    "`{name}` tells which record it is, and cannot be blanked"
                )));
            }
            let mut context = shape.context.iter().flatten();
            let is_context = context.any(|context| context.name == name);
            Blank::new(dialect, &Column::new(name, *column), is_context).ok_or_else(|| {
                failed::<E>(format!(
                    "`{name}` cannot be NULL, and no value of its type says nothing; make it \
                     nullable in the record table, or erase the whole history"
                ))
            })
        };
        columns.iter().map(blank).collect()
    }

    /// What a mark holds that holds nothing.
    fn cells(&self, plan: &dyn Plan, dialect: Dialect) -> Result<Vec<Cell>, RecordError> {
        let cell = |column: &Column| {
            let mut held = self.held.iter();
            if let Some((_, value)) = held.find(|(held, _)| held.as_str() == column.name) {
                return Ok(Cell::Bound(dialect.canonical(value.clone())));
            }
            nothing(dialect, column).map(Cell::Text).ok_or_else(|| {
                failed::<E>(format!(
                    "`{}` cannot be NULL, and no value of its type says nothing; say what the mark \
                     holds there, by `mark_holds`",
                    column.name
                ))
            })
        };
        let cells: Result<Vec<_>, _> = plan.shape().values().map(cell).collect();
        let unknown = |(column, _): &&(ColumnOf<E::Record>, Value)| {
            let mut values = plan.shape().values();
            values.all(|value| value.name != column.as_str())
        };
        match self.held.iter().find(unknown) {
            None => cells,
            Some((column, _)) => Err(failed::<E>(format!(
                "`{}` is no recorded column or property, so a mark holds nothing there anyway",
                column.as_str()
            ))),
        }
    }
}

fn failed<E: Recorded>(problem: impl Into<String>) -> RecordError {
    RecordError::Erasure {
        entity: table_name::<E>(),
        problem: problem.into(),
        source: None,
    }
}

/// The erasure, in a transaction.
struct Run<E: Recorded> {
    plan: Arc<dyn Plan>,
    erase: Erase<E>,
    entity: PhantomData<fn() -> E>,
}

impl<E: Recorded> Operation for Run<E> {
    type Output = u64;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<u64, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        let dialect = Dialect::of(&conn);
        let anonymous = Context::new();
        let context = match &target {
            Target::Unit(_, unit) => &unit.context,
            _ => &anonymous,
        };
        let (plan, key) = (&*self.plan, &self.erase.key);
        let here = page(plan.shape(), std::slice::from_ref(key));
        let is_gone = plan.keys(conn, here.condition).await?.is_empty();
        let writer = Writer::new(conn, plan.shape(), context, context.stamp()?);
        let blanks = self.erase.blanks(plan.shape(), dialect)?;
        let records = match self.erase.columns {
            Some(_) => writer.blank(key, &blanks).await?,
            None => writer.erasable(key, &[]).await?,
        };
        if records == 0 {
            return Ok(0);
        }
        if self.erase.columns.is_some() && !is_gone {
            writer.mark_blanked(key.clone()).await?;
        } else {
            let cells = self.erase.cells(plan, dialect)?;
            writer.mark_erased(key.clone(), cells).await?;
        }
        if self.erase.columns.is_none() {
            writer.erase(key).await?;
        }
        self.read_back(conn).await?;
        Ok(records)
    }
}

impl<E: Recorded> Run<E> {
    /// A record that cannot be read would spoil every query of the history.
    async fn read_back(&self, conn: Connection<'_>) -> Result<(), DbErr> {
        let keys = record_key::<E::Record>().zip(&self.erase.key);
        let mark = keys.fold(E::records(), |records, (column, value)| {
            records.filter(column.eq(value.clone()))
        });
        let mark = mark.order_by_desc(E::Record::RECORDED_AT);
        match mark.one(&conn).await {
            Ok(_) => Ok(()),
            Err(error) if is_retryable(&error) => Err(error),
            Err(source) => Err(RecordError::Erasure {
                entity: table_name::<E>(),
                problem: format!(
                    "a record of `{}` could not be read any more ({source}); make the column \
                     nullable there, or say what the mark holds by `mark_holds`",
                    E::Record::default().table_name()
                ),
                source: Some(source),
            }
            .into()),
        }
    }
}
