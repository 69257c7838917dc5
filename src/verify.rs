//! Whether every row's latest record says what the row is.
//!
//! Rows are read without locks, a chunk at a time in the order of their keys, and compared in one
//! statement; so are the records between them whose rows are gone. What looks wrong is looked at
//! again under locks, since it may have been a save under way.

use std::fmt;
use std::sync::Arc;

use sea_orm::sea_query::Condition;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};

use crate::capture::page;
use crate::context::Context;
use crate::erased::Connection;
use crate::gather::Note;
use crate::keys::{Key, KeyOfEntity, typed_key, untyped_key};
use crate::operation::{Operation, apart_alone, apart_patiently};
use crate::registry::plan_of;
use crate::target::Target;
use crate::typed::{Extent, Models, Of, Page, Plan, Row};
use crate::write::{CHUNK, Difference, Writer};
use crate::{Event, Recorded};

/// What is wrong with a row's history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The row has no record, or none since its latest one said that it was deleted.
    Missing,
    /// The latest record says something else in these columns and properties.
    Differs(Vec<String>),
    /// The row is gone, and its latest record does not say so.
    Orphan,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it has no record"),
            Self::Differs(columns) => {
                write!(f, "its latest record differs in {}", columns.join(", "))
            }
            Self::Orphan => f.write_str("it is gone, and no record says so"),
        }
    }
}

/// A row whose history is wrong. Columns are named; no value is shown but the key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding<K> {
    /// The primary key of the row.
    pub key: K,
    /// What is wrong.
    pub problem: Problem,
    /// Whether a record was written that puts it right.
    pub repaired: bool,
}

/// How far a verification has come, and what it found in the last chunk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifyProgress<K> {
    /// What was counted so far.
    pub so_far: Verification,
    /// The last key that was looked at: [`Verify::after`] goes on from here. `None` if the end
    /// was reached without one.
    pub key: Option<K>,
    /// What the last chunk brought, in no particular order.
    pub findings: Vec<Finding<K>>,
}

/// What a verification counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Rows that were compared.
    pub rows: u64,
    /// Rows without a record.
    pub missing: u64,
    /// Rows that differ from their latest record.
    pub differing: u64,
    /// Records whose rows are gone.
    pub orphans: u64,
    /// How many of those were put right.
    pub repaired: u64,
}

impl Verification {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.missing + self.differing + self.orphans == 0
    }

    fn count<K>(&mut self, findings: &[Finding<K>]) {
        for finding in findings {
            match finding.problem {
                Problem::Missing => self.missing += 1,
                Problem::Differs(_) => self.differing += 1,
                Problem::Orphan => self.orphans += 1,
            }
            self.repaired += u64::from(finding.repaired);
        }
    }
}

type OnProgress<K> = Box<dyn FnMut(VerifyProgress<K>) + Send>;

/// A verification to be run; made by [`verify`].
#[must_use = "nothing is verified until `exec`"]
pub struct Verify<E: EntityTrait> {
    after: Option<Key>,
    repair: bool,
    progress: OnProgress<KeyOfEntity<E>>,
}

impl<E: EntityTrait> fmt::Debug for Verify<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify")
            .field("after", &self.after)
            .field("repair", &self.repair)
            .finish_non_exhaustive()
    }
}

/// Compares every row with its latest record: reports rows without one, rows that differ from it,
/// and records whose rows are gone. On request it writes the records that are missing.
///
/// It reads 1,000 rows at a time, in the order of their keys, in three statements and what the
/// properties query (more where a row has so many columns that a statement cannot bind 1,000), and
/// keeps no more than that in memory. What looks wrong is looked at again under row locks before it
/// is reported, so saves under way are no findings.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, row) = blog().await?;
/// # use sea_orm::ConnectionTrait;
/// # db.inner().execute_unprepared("UPDATE blog_article SET title = 'Raw'").await?;
/// let report = sea_orm_record::verify(article::Entity)
///     .repair()
///     .progress(|progress| {
///         for finding in progress.findings {
///             println!("article {}: {}", finding.key, finding.problem);
///         }
///     })
///     .exec(&db)
///     .await?;
/// assert_eq!((report.rows, report.differing, report.repaired), (1, 1, 1));
/// # assert!(sea_orm_record::verify(article::Entity).exec(&db).await?.is_clean());
/// # Ok(())
/// # }
/// ```
pub fn verify<E: Recorded>(entity: E) -> Verify<E> {
    let _ = entity;
    Verify {
        after: None,
        repair: false,
        progress: Box::new(|_| {}),
    }
}

impl<E: Recorded> Verify<E> {
    /// Writes the records that are missing, each chunk in a transaction of its own: the events are
    /// [`Backfilled`](Event::Backfilled) for a row that never had one, [`Created`](Event::Created)
    /// for one that came back, [`Updated`](Event::Updated) and [`Deleted`](Event::Deleted).
    /// Default: it only reports.
    pub fn repair(mut self) -> Self {
        self.repair = true;
        self
    }

    /// Calls back after each chunk. Default: nothing is called.
    pub fn progress(
        mut self,
        progress: impl FnMut(VerifyProgress<KeyOfEntity<E>>) + Send + 'static,
    ) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Begins after a key, such as [`VerifyProgress::key`] of a run that was interrupted. Default: at the
    /// beginning.
    pub fn after(mut self, key: KeyOfEntity<E>) -> Self {
        self.after = Some(untyped_key::<E>(key));
        self
    }

    /// Verifies.
    ///
    /// It may be dropped at any time; what was repaired until then stays.
    ///
    /// # Errors
    ///
    /// The database's, those of closures that compute properties, and a
    /// [`RecordError`](crate::RecordError) within the `DbErr`.
    pub async fn exec<C: ConnectionTrait>(mut self, db: &C) -> Result<Verification, DbErr> {
        let plan = plan_of::<E>()?;
        let mut so_far = Verification::default();
        loop {
            let chunk = compared(&*plan, Connection::new(db), self.after.as_ref()).await?;
            so_far.rows += chunk.rows;
            let suspects = Suspects::Rows(chunk.suspects);
            let mut findings = confirmed(&plan, db, suspects, self.repair).await?;
            let until = chunk.last.as_ref().filter(|_| chunk.full);
            findings.extend(self.orphans(&plan, db, until, &mut so_far).await?);
            let full = chunk.full;
            self.after = chunk.last.or(self.after);
            self.report(&mut so_far, findings);
            if !full {
                return Ok(so_far);
            }
        }
    }

    /// The records of rows that are gone, up to a key; more than a chunk are passed on at once.
    async fn orphans<C: ConnectionTrait>(
        &mut self,
        plan: &Arc<dyn Plan>,
        db: &C,
        until: Option<&Key>,
        so_far: &mut Verification,
    ) -> Result<Vec<(Key, Problem)>, DbErr> {
        let mut from = self.after.clone();
        loop {
            let among = Of::Between(from.as_ref(), until);
            let gone = plan.orphans(Connection::new(db), among).await?;
            let (found, last) = (gone.len(), gone.last().cloned());
            let findings = confirmed(plan, db, Suspects::Gone(gone), self.repair).await?;
            if found < CHUNK {
                return Ok(findings);
            }
            self.report(so_far, findings);
            from = last;
        }
    }

    /// Counts findings and passes them on.
    fn report(&mut self, so_far: &mut Verification, findings: Vec<(Key, Problem)>) {
        let repaired = self.repair;
        let typed = |(key, problem)| Finding {
            key: typed_key::<E>(key),
            problem,
            repaired,
        };
        let findings: Vec<_> = findings.into_iter().map(typed).collect();
        so_far.count(&findings);
        (self.progress)(VerifyProgress {
            so_far: *so_far,
            key: self.after.clone().map(typed_key::<E>),
            findings,
        });
    }
}

/// Apart from [`Verify`], whose callback need not be shared between threads: a future that borrowed it
/// could not be spawned.
async fn confirmed<C: ConnectionTrait>(
    plan: &Arc<dyn Plan>,
    db: &C,
    suspects: Suspects,
    repair: bool,
) -> Result<Vec<(Key, Problem)>, DbErr> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    let again = Again {
        plan: Arc::clone(plan),
        suspects,
        repair,
    };
    match again.suspects {
        Suspects::Rows(_) => apart_patiently(db, || again.clone()).await,
        // No lock is to be had on a row that is gone, and two may be about to say that it is.
        Suspects::Gone(_) => apart_alone(db, || again.clone()).await,
    }
}

/// A chunk of rows, compared without locks.
struct Chunk {
    rows: u64,
    suspects: Vec<Key>,
    last: Option<Key>,
    full: bool,
}

async fn compared(
    plan: &dyn Plan,
    conn: Connection<'_>,
    after: Option<&Key>,
) -> Result<Chunk, DbErr> {
    let page = Page {
        condition: Condition::all(),
        after,
        limit: CHUNK as u64,
        lock: false,
        like: None,
    };
    let models = plan.load(conn, page).await?;
    let (mut rows, differences) = differences(plan, conn, &models).await?;
    Ok(Chunk {
        rows: rows.len() as u64,
        suspects: differences
            .iter()
            .map(|it| rows[it.place].key.clone())
            .collect(),
        full: rows.len() >= CHUNK,
        last: rows.pop().map(|row| row.key),
    })
}

async fn differences(
    plan: &dyn Plan,
    conn: Connection<'_>,
    models: &Models,
) -> Result<(Vec<Row>, Vec<Difference>), DbErr> {
    let context = Context::new();
    let writer = Writer::new(conn, plan.shape(), &context, context.stamp()?);
    let rows = plan.snapshot(conn, models, Extent::Whole).await?;
    let differences = writer.compare(&rows).await?;
    Ok((rows, differences))
}

/// Rows whose history looks wrong.
#[derive(Clone)]
enum Suspects {
    Rows(Vec<Key>),
    Gone(Vec<Key>),
}

impl Suspects {
    fn is_empty(&self) -> bool {
        let (Self::Rows(keys) | Self::Gone(keys)) = self;
        keys.is_empty()
    }
}

/// A second look, in a transaction and under locks, which may put right what it finds.
#[derive(Clone)]
struct Again {
    plan: Arc<dyn Plan>,
    suspects: Suspects,
    repair: bool,
}

impl Operation for Again {
    type Output = Vec<(Key, Problem)>;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<Self::Output, DbErr> {
        let target = Target::of(db);
        let conn = target.conn(db);
        let found = match &self.suspects {
            Suspects::Rows(keys) => self.rows(conn, keys).await?,
            Suspects::Gone(keys) => {
                let gone = self.plan.orphans(conn, Of::Keys(keys)).await?.into_iter();
                gone.map(|key| (key, Problem::Orphan, Note::new(Event::Deleted)))
                    .collect()
            }
        };
        if let (true, Target::Unit(_, unit)) = (self.repair, target) {
            let mut buffer = unit.buffer();
            for (key, _, note) in &found {
                buffer.touch(&self.plan, key.clone(), note.clone());
            }
        }
        Ok(found
            .into_iter()
            .map(|(key, problem, _)| (key, problem))
            .collect())
    }
}

impl Again {
    async fn rows(
        &self,
        conn: Connection<'_>,
        keys: &[Key],
    ) -> Result<Vec<(Key, Problem, Note)>, DbErr> {
        let page = page(self.plan.shape(), keys);
        let models = self.plan.load(conn, page).await?;
        let (rows, differences) = differences(&*self.plan, conn, &models).await?;
        let finding = |difference: Difference| {
            let (problem, event) = match difference {
                Difference {
                    unrecorded: true, ..
                } => (Problem::Missing, Event::Backfilled),
                Difference { deleted: true, .. } => (Problem::Missing, Event::Created),
                Difference { columns, .. } => (Problem::Differs(columns), Event::Updated),
            };
            let note = Note {
                born: false,
                seen: true,
                ..Note::new(event)
            };
            (rows[difference.place].key.clone(), problem, note)
        };
        Ok(differences.into_iter().map(finding).collect())
    }
}
