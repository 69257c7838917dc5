//! First records of rows that were there before they were recorded.
//!
//! A chunk of rows is locked in the order of its keys, and what has no record is inserted by a later
//! statement, from the source table where it holds all there is to record. Whoever wrote one of the
//! rows meanwhile has committed by then, and its record is the first.

use std::fmt;
use std::sync::Arc;

use sea_orm::sea_query::{ColumnType, Condition};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};

use crate::by_keys::is_integer;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::keys::{Key, KeyOfEntity, typed_key, untyped_key};
use crate::operation::{Operation, apart_patiently};
use crate::plan::Column;
use crate::registry::plan_of;
use crate::target::{Target, flush_noted};
use crate::typed::{Extent, Page, Plan, Row};
use crate::write::{CHUNK, Writer, keys_alone};
use crate::{Event, Recorded};

/// What a backfill counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backfilled {
    /// Rows that were looked at.
    pub rows: u64,
    /// Records that were written.
    pub records: u64,
}

/// How far a backfill has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackfillProgress<K> {
    /// What was counted so far.
    pub so_far: Backfilled,
    /// The last key that was looked at: [`Backfill::after`] goes on from here. `None` if there are
    /// no rows.
    pub key: Option<K>,
}

type OnProgress<K> = Box<dyn FnMut(BackfillProgress<K>) + Send>;

/// A backfill to be run; made by [`backfill`].
#[must_use = "nothing is recorded until `exec`"]
pub struct Backfill<E: EntityTrait> {
    after: Option<Key>,
    differing: bool,
    progress: OnProgress<KeyOfEntity<E>>,
}

impl<E: EntityTrait> fmt::Debug for Backfill<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backfill")
            .field("after", &self.after)
            .field("differing", &self.differing)
            .finish_non_exhaustive()
    }
}

/// Gives every row that has no record its first one, with the event
/// [`Backfilled`](Event::Backfilled).
///
/// It goes through the table in the order of its keys. Where the database can copy all that is recorded
/// and the key is one column, 5,000 rows at a time take two statements, and none of them comes here; else
/// 1,000 rows at a time take two and what the properties query (more where a row has so many values that
/// one statement cannot bind those of 1,000). On a pool each of these is a short transaction of its own,
/// tried again after a deadlock; in a transaction of yours they are part of that. No more than a thousand
/// rows are in memory, or five thousand keys that are no integers.
///
/// Saves may go on beside it: rows are locked before they are recorded, and a row that a save has
/// recorded by then gets no other record. Rows that come later record themselves.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, _) = blog().await?;
/// # use sea_orm::ConnectionTrait;
/// # db.inner().execute_unprepared("DELETE FROM blog_article_record").await?;
/// let done = sea_orm_record::backfill(article::Entity)
///     .progress(|progress| println!("{} rows", progress.so_far.rows))
///     .exec(&db)
///     .await?;
/// assert_eq!((done.rows, done.records), (1, 1));
/// # Ok(())
/// # }
/// ```
pub fn backfill<E: Recorded>(entity: E) -> Backfill<E> {
    let _ = entity;
    Backfill {
        after: None,
        differing: false,
        progress: Box::new(|_| {}),
    }
}

impl<E: Recorded> Backfill<E> {
    /// Also gives a record to each row that differs from its latest one: after a column or a
    /// property was added to the recording, its present values are on record from now on. Default:
    /// only rows without any record get one.
    pub fn differing(mut self) -> Self {
        self.differing = true;
        self
    }

    /// Calls back after each chunk. Default: nothing is called.
    pub fn progress(
        mut self,
        progress: impl FnMut(BackfillProgress<KeyOfEntity<E>>) + Send + 'static,
    ) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Begins after a key, such as [`BackfillProgress::key`] of a run that was interrupted. Default:
    /// at the beginning, which does no harm either, since rows with records are passed over.
    pub fn after(mut self, key: KeyOfEntity<E>) -> Self {
        self.after = Some(untyped_key::<E>(key));
        self
    }

    /// Runs it.
    ///
    /// It may be dropped, or its process killed, at any time: chunks that were committed stay, and
    /// the one under way leaves nothing.
    ///
    /// # Errors
    ///
    /// The database's, those of closures that compute properties, and a
    /// [`RecordError`](crate::RecordError) within the `DbErr`.
    pub async fn exec<C: ConnectionTrait>(mut self, db: &C) -> Result<Backfilled, DbErr> {
        let plan = plan_of::<E>()?;
        flush_noted(db).await?;
        let mut so_far = Backfilled::default();
        loop {
            let chunk = apart_patiently(db, || Chunk {
                plan: Arc::clone(&plan),
                after: self.after.clone(),
                differing: self.differing,
            });
            let done = chunk.await?;
            so_far.rows += done.rows;
            so_far.records += done.records;
            let full = done.full;
            self.after = done.last.or(self.after);
            (self.progress)(BackfillProgress {
                so_far,
                key: self.after.clone().map(typed_key::<E>),
            });
            if !full {
                return Ok(so_far);
            }
        }
    }
}

/// Rows that are recorded in one transaction.
struct Chunk {
    plan: Arc<dyn Plan>,
    after: Option<Key>,
    differing: bool,
}

/// Rows of one statement that come along as the first key and the last: few enough to be locked for some
/// ten milliseconds, and enough that a commit of each is a small part of the work.
const RUN: usize = 5_000;

/// How many rows were looked at, the last of them, and how many records were written.
#[derive(Default)]
struct Done {
    rows: u64,
    last: Option<Key>,
    records: u64,
    /// Whether there may be more.
    full: bool,
}

impl Done {
    fn of(rows: &[Row]) -> Self {
        Self {
            rows: rows.len() as u64,
            full: rows.len() >= CHUNK,
            last: rows.last().map(|row| row.key.clone()),
            records: 0,
        }
    }
}

impl Operation for Chunk {
    type Output = Done;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<Done, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        let anonymous = Context::new();
        let context = match &target {
            Target::Unit(_, unit) => &unit.context,
            _ => &anonymous,
        };
        // Before the rows are locked: whoever writes to one that came after that is later.
        let stamp = context.stamp()?;
        let writer = Writer::new(conn, self.plan.shape(), context, stamp);
        let shape = self.plan.shape();
        // Text and enums lie between others by a collation or the order of a declaration, which
        // may be another one in the record table.
        let is_ordered = |key: &Column| is_integer(&key.ty) || key.ty == ColumnType::Uuid;
        let runs = matches!(&shape.key[..], [key] if is_ordered(key));
        match shape.is_copied(Dialect::of(&conn)) {
            true if runs && !self.differing => self.within(conn, &writer).await,
            true => self.copied(conn, &writer).await,
            false => self.computed(conn, &writer).await,
        }
    }
}

impl Chunk {
    fn page(&self, limit: usize) -> Page<'_> {
        Page {
            condition: Condition::all(),
            after: self.after.as_ref(),
            limit: limit as u64,
            lock: true,
            like: None,
        }
    }

    /// Rows that the database copies by itself, all from one key to another.
    async fn within(&self, conn: Connection<'_>, writer: &Writer<'_>) -> Result<Done, DbErr> {
        let Some(ends) = self.plan.ends_of_page(conn, self.page(RUN)).await? else {
            return Ok(Done::default());
        };
        let records = writer.first_within(Event::Backfilled, &ends).await?;
        Ok(Done {
            rows: ends.rows,
            last: Some(ends.last),
            records,
            full: ends.rows >= RUN as u64,
        })
    }

    /// Rows that the database copies by itself, each named by its key.
    async fn copied(&self, conn: Connection<'_>, writer: &Writer<'_>) -> Result<Done, DbErr> {
        let found = self.plan.page_of_keys(conn, self.page(CHUNK)).await?;
        self.recorded(writer, keys_alone(found)).await
    }

    /// Rows of which something is computed here.
    async fn computed(&self, conn: Connection<'_>, writer: &Writer<'_>) -> Result<Done, DbErr> {
        let models = self.plan.load(conn, self.page(CHUNK)).await?;
        let rows = self
            .plan
            .snapshot(conn, &models, Extent::BesideSource)
            .await?;
        self.recorded(writer, rows).await
    }

    async fn recorded(&self, writer: &Writer<'_>, rows: Vec<Row>) -> Result<Done, DbErr> {
        let done = Done::of(&rows);
        let records = match self.differing {
            true => writer.source_seen(Event::Backfilled, rows).await?,
            false => writer.first_of_source(Event::Backfilled, rows).await?,
        };
        Ok(Done { records, ..done })
    }
}
