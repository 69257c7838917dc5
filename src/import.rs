//! Records of the past that come from elsewhere, put between those that are there.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::sea_query::{Condition, Expr, InsertStatement, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityName, EntityTrait, IdenStatic, Iterable, ModelTrait,
    QueryFilter, QuerySelect, Value,
};

use crate::by_keys::{has_key, have, record_key};
use crate::dialect::{Dialect, bind_time};
use crate::erased::Connection;
use crate::gather::Note;
use crate::keys::{Key, compare};
use crate::operation::{Operation, apart_wholly};
use crate::plan::Column;
use crate::recorded::{RecordOf, table_name, unread};
use crate::registry::plan_of;
use crate::target::{Target, flush_noted};
use crate::time::{truncate_to_micros, utc};
use crate::typed::Plan;
use crate::write::CHUNK;
use crate::{ColumnOf, Event, RecordEntity, RecordError, Recorded};

/// What an [`Import`] counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// Records that were written, or put in the place of others.
    pub records: u64,
}

/// An import to be run; made by [`import`].
#[must_use = "nothing is imported until `exec`"]
pub struct Import<E: Recorded> {
    records: Vec<RecordOf<E>>,
    keep_last: bool,
}

impl<E: Recorded> fmt::Debug for Import<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Import")
            .field("records", &self.records.len())
            .field("keep_last", &self.keep_last)
            .finish()
    }
}

/// Writes records of the past as they are given: a history that another library kept, or an export.
///
/// Each comes to stand among the records of its row by its `recorded_at`, which is UTC and is cut to
/// microseconds; in which order they are given does not matter. They may be of rows that are gone, and
/// of rows without any record. Afterwards the latest record of each row says what the row is now: where
/// the last that was imported says something else, one more is written, with the event
/// [`Backfilled`](Event::Backfilled), or [`Deleted`](Event::Deleted) for a row that is not there.
///
/// It is all or nothing: one transaction on a pool, tried again after a deadlock, a savepoint in a
/// plain transaction, and a part of a recorded one. All records are held in memory, so import long
/// histories in pieces. Neighbours that say the same are imported as they are; [`dedupe`](crate::dedupe)
/// removes them.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, article) = blog().await?;
/// use chrono::{TimeDelta, Utc};
/// use sea_orm_record::import;
///
/// let now = article.records().latest().one(&db).await?.ok_or("no record")?;
/// let older = article::record::Model {
///     recorded_at: Utc::now() - TimeDelta::days(30),
///     title: "What it was called a month ago".to_owned(),
///     ..now
/// };
/// let imported = import(article::Entity, [older]).exec(&db).await?;
/// assert_eq!(imported.records, 1);
/// assert_eq!(article.records().all(&db).await?.len(), 2);
/// # Ok(())
/// # }
/// ```
pub fn import<E: Recorded>(entity: E, records: impl IntoIterator<Item = RecordOf<E>>) -> Import<E> {
    let _ = entity;
    Import {
        records: records.into_iter().collect(),
        keep_last: false,
    }
}

impl<E: Recorded> Import<E> {
    /// Of records of one row with the same time keeps the one that is given last, also in the place
    /// of one that is in the table, so that an import can be repeated. Default: they are refused.
    ///
    /// Replacing takes the right to UPDATE the record table.
    pub const fn keep_last(mut self) -> Self {
        self.keep_last = true;
        self
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// Before anything is written: a [`RecordError::Import`] for two records of one row with the same
    /// time, a time more than a minute ahead of now, and a row of which something was
    /// [erased](crate::erase); a [`RecordError::Value`] for a value that the database would alter.
    /// Else the database's, and nothing is left.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<Imported, DbErr> {
        let plan = plan_of::<E>()?;
        let rows = Arc::new(self.checked(&*plan, Dialect::of(db))?);
        if rows.is_empty() {
            return Ok(Imported::default());
        }
        flush_noted(db).await?;
        apart_wholly(db, || Write::<E> {
            plan: Arc::clone(&plan),
            rows: Arc::clone(&rows),
            replaces: self.keep_last,
            entity: PhantomData,
        })
        .await
    }

    /// What is to be written, in the order of rows and times.
    fn checked(&self, plan: &dyn Plan, dialect: Dialect) -> Result<Vec<Past>, RecordError> {
        let latest = Utc::now() + TimeDelta::minutes(1);
        let mut rows = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let row = Past::of::<E>(record, dialect)?;
            plan.shape()
                .refuse_altered(dialect, row.recorded::<E>(plan))?;
            if row.at > latest {
                let at = row.at;
                return Err(problem::<E>(format!(
                    "one lies at {at}, more than a minute ahead of now, and would hide every change until then"
                )));
            }
            rows.push(row);
        }
        // Stable: of equals the last stays last.
        rows.sort_by(Past::by_place);
        if let Some(two) = rows
            .windows(2)
            .find(|two| Past::by_place(&two[0], &two[1]).is_eq())
            && !self.keep_last
        {
            return Err(taken::<E>(two[0].at));
        }
        rows.reverse();
        rows.dedup_by(|earlier, later| Past::by_place(earlier, later).is_eq());
        rows.reverse();
        Ok(rows)
    }
}

/// A record to be written.
struct Past {
    key: Key,
    at: DateTime<Utc>,
    /// In the order of the columns of the record entity.
    values: Vec<Value>,
}

impl Past {
    fn of<E: Recorded>(record: &RecordOf<E>, dialect: Dialect) -> Result<Self, RecordError> {
        let at = utc(record.get(E::Record::RECORDED_AT));
        let at = at.ok_or_else(|| problem::<E>("one has no time".to_owned()))?;
        let keys = record_key::<E::Record>();
        let values = columns::<E>().map(|column| dialect.canonical(record.get(column)));
        Ok(Self {
            key: keys.map(|column| record.get(column)).collect(),
            at: truncate_to_micros(at),
            values: values.collect(),
        })
    }

    fn by_place(&self, other: &Self) -> Ordering {
        compare(&self.key, &other.key).then(self.at.cmp(&other.at))
    }

    /// The values of columns that are recorded, with what is known of each.
    fn recorded<'r, E: Recorded>(
        &'r self,
        plan: &'r dyn Plan,
    ) -> impl Iterator<Item = (&'r Column, &'r Value)> {
        let shape = plan.shape();
        let known = || {
            let key = shape.key.iter().chain(shape.values());
            key.chain(shape.context.iter().flatten())
        };
        columns::<E>()
            .zip(&self.values)
            .filter_map(move |(column, value)| {
                let known = known().find(|known| known.name == column.as_str())?;
                Some((known, value))
            })
    }

    fn place(&self) -> Vec<Value> {
        self.key
            .iter()
            .cloned()
            .chain([bind_time(self.at)])
            .collect()
    }
}

/// The columns by which a record is known.
fn place<E: Recorded>() -> Vec<ColumnOf<E::Record>> {
    let key = record_key::<E::Record>();
    key.chain([E::Record::RECORDED_AT]).collect()
}

fn columns<E: Recorded>() -> impl Iterator<Item = ColumnOf<E::Record>> {
    ColumnOf::<E::Record>::iter()
}

fn problem<E: Recorded>(problem: String) -> RecordError {
    RecordError::Import {
        entity: table_name::<E>(),
        problem,
    }
}

fn taken<E: Recorded>(at: DateTime<Utc>) -> RecordError {
    problem::<E>(format!(
        "two of one row have the time {at}; `keep_last` lets the last take the place of the other"
    ))
}

struct Write<E> {
    plan: Arc<dyn Plan>,
    rows: Arc<Vec<Past>>,
    replaces: bool,
    entity: PhantomData<E>,
}

impl<E: Recorded> Operation for Write<E> {
    type Output = Imported;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<Imported, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        let mut keys: Vec<Key> = self.rows.iter().map(|row| row.key.clone()).collect();
        keys.dedup();
        for keys in keys.chunks(CHUNK) {
            self.hold(conn, keys).await?;
        }
        let dialect = Dialect::of(&conn);
        let fitting = dialect.max_parameters() / columns::<E>().count().max(1);
        for rows in self.rows.chunks(fitting.clamp(1, CHUNK)) {
            if !self.replaces {
                self.refuse_taken(conn, rows).await?;
            }
            let written = conn.execute(&self.insertion(rows)).await;
            written.map_err(failed::<E>)?;
        }
        if let Target::Unit(_, unit) = &target {
            // What each row is now comes after its past; some may be gone.
            let note = Note {
                deleted: true,
                ..Note::new(Event::Backfilled)
            };
            unit.buffer().touch_all(&self.plan, &keys, &note);
        }
        Ok(Imported {
            records: self.rows.len() as u64,
        })
    }
}

impl<E: Recorded> Write<E> {
    /// Locks rows against saves, which compare with their latest records, and refuses those that are
    /// not to be remembered.
    async fn hold(&self, conn: Connection<'_>, keys: &[Key]) -> Result<(), DbErr> {
        if Dialect::of(&conn).locks_rows() {
            let rows = Condition::all().add(has_key::<E>(keys));
            self.plan.keys(conn, rows).await?;
        }
        let marks = [Event::Erased, Event::Blanked].map(Event::as_str);
        let key: Vec<_> = record_key::<E::Record>().collect();
        let marked = E::Record::find()
            .filter(have::<E::Record>(&key, keys))
            .filter(E::Record::EVENT.is_in(marks))
            .limit(1);
        match marked.one(&conn).await.map_err(unread::<E::Record>)? {
            None => Ok(()),
            Some(_) => Err(problem::<E>(
                "something was erased from the history of a row among them, which is not to come back"
                    .to_owned(),
            )
            .into()),
        }
    }

    async fn refuse_taken(&self, conn: Connection<'_>, rows: &[Past]) -> Result<(), DbErr> {
        let places: Vec<_> = rows.iter().map(Past::place).collect();
        let there = E::Record::find()
            .filter(have::<E::Record>(&place::<E>(), &places))
            .limit(1);
        match there.one(&conn).await.map_err(unread::<E::Record>)? {
            None => Ok(()),
            Some(record) => {
                let there = Past::of::<E>(&record, Dialect::of(&conn))?;
                Err(taken::<E>(there.at).into())
            }
        }
    }

    fn insertion(&self, rows: &[Past]) -> InsertStatement {
        let mut insertion = Query::insert();
        insertion.into_table(E::Record::default().table_ref());
        insertion.columns(columns::<E>());
        for row in rows {
            let cells = columns::<E>().zip(&row.values).map(|(column, value)| {
                let is_time = column.as_str() == E::Record::RECORDED_AT.as_str();
                let value = if is_time {
                    bind_time(row.at)
                } else {
                    value.clone()
                };
                column.save_as(Expr::val(value))
            });
            insertion.values_panic(cells);
        }
        if self.replaces {
            let place = place::<E>();
            let others = columns::<E>()
                .filter(|column| place.iter().all(|place| place.as_str() != column.as_str()));
            let replace = OnConflict::columns(place.clone())
                .update_columns(others)
                .to_owned();
            insertion.on_conflict(replace);
        }
        insertion
    }
}

fn failed<E: Recorded>(source: DbErr) -> DbErr {
    let action = format!("importing into `{}`", table_name::<E::Record>());
    RecordError::database(&table_name::<E>(), action, source).into()
}
