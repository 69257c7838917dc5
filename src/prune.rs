//! Taking records away: those that a retention has no use for, those before a moment, and those that
//! say nothing new.
//!
//! Records are read without locks, in the order of rows and times, and each is looked at beside its
//! neighbour. What goes is deleted a thousand at a time, each in a transaction of its own. A row's
//! last record never goes, so writers, who read and add to nothing else, need not be waited for.

mod page;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, IntoCondition};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};

use self::page::{PAGE, Pages, Place, Seen};
use crate::bulk::{KeyOfEntity, typed_key, untyped_key};
use crate::context::Context;
use crate::erased::Connection;
use crate::operation::{Operation, apart_patiently};
use crate::registry::plan_of;
use crate::retention::Tiers;
use crate::target::Target;
use crate::time::truncate_to_micros;
use crate::typed::{Key, Plan};
use crate::write::{CHUNK, Writer};
use crate::{Event, RecordError, Recorded, Retention};

/// What a pruning counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Records that were looked at; younger ones than any rule is about are not.
    pub records: u64,
    /// Records that were removed.
    pub removed: u64,
}

/// What a pruning would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// Records that were looked at; younger ones than any rule is about are not.
    pub records: u64,
    /// Records that would be removed.
    pub removed: u64,
    /// Their share of the bytes that the table takes with its indexes, by their number: an estimate.
    /// None where the database does not say (a SQLite without `dbstat`). The database uses the room
    /// again; it gives it back to the disk on VACUUM (FULL) or OPTIMIZE TABLE alone.
    pub bytes: Option<u64>,
}

/// How far a pruning has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneProgress<K> {
    /// What was counted so far.
    pub so_far: Pruned,
    /// The last row whose records were all looked at: [`Prune::after`] goes on from here. None as
    /// long as it is the first.
    pub key: Option<K>,
}

type OnProgress<K> = Box<dyn FnMut(PruneProgress<K>) + Send>;

/// A pruning to be run; made by [`prune_to`], [`prune_before`] and [`dedupe`].
#[must_use = "nothing is removed until `exec`"]
pub struct Prune<E: EntityTrait> {
    what: What,
    now: Option<DateTime<Utc>>,
    marked: Option<Condition>,
    after: Option<Key>,
    progress: OnProgress<KeyOfEntity<E>>,
}

#[derive(Clone, Debug)]
enum What {
    Beyond(Retention),
    Before(DateTime<Utc>),
    Repeated,
}

impl<E: EntityTrait> fmt::Debug for Prune<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prune")
            .field("what", &self.what)
            .field("now", &self.now)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

/// Removes the records that a retention has no use for: of each of its buckets, all but the last.
///
/// What is kept answers as before: the last record of each bucket of each tier, and the value in
/// force at its edges (`resample(rule)` and `forward_fill` at the rule of its tier, or a wider one).
/// Counts and means of the records themselves do change.
///
/// It reads 10,000 records at a time without locks, in the order of rows and times, and deletes 1,000
/// at a time, on a pool each in a short transaction of its own that is tried again after a deadlock.
/// Saves go on beside it: a row's last record is never removed. Run twice, it finds nothing to do; it
/// may be dropped or killed at any time, and what is left is a valid history.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, _) = blog().await?;
/// use chrono::TimeDelta;
/// use sea_orm::ColumnTrait;
/// use sea_orm_record::{FOREVER, Retention, prune_to};
///
/// let retention = Retention::new()
///     .keep_all(TimeDelta::days(7))
///     .then_every("1h", TimeDelta::days(90))
///     .then_every("1D", FOREVER);
/// let approved = article::record::Column::Reason.eq("approved");
/// let forecast = prune_to(article::Entity, &retention).keep(approved).dry_run(&db).await?;
/// println!("{} of {} records would go, about {:?} bytes", forecast.removed, forecast.records, forecast.bytes);
/// let pruned = prune_to(article::Entity, &retention).exec(&db).await?;
/// assert_eq!(pruned.removed, 0);
/// # Ok(())
/// # }
/// ```
pub fn prune_to<E: Recorded>(entity: E, retention: &Retention) -> Prune<E> {
    prune(entity, What::Beyond(retention.clone()))
}

/// Removes all records before a moment but the latest of each row, which says what held then.
///
/// The moment is cut to microseconds. What held at it, and all that came later, stays; a row that
/// was gone by then keeps the record that says so. Else as [`prune_to`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, _) = blog().await?;
/// use chrono::{TimeDelta, Utc};
///
/// let ten_years = Utc::now() - TimeDelta::days(3_650);
/// let pruned = sea_orm_record::prune_before(article::Entity, ten_years).exec(&db).await?;
/// assert_eq!(pruned.removed, 0);
/// # Ok(())
/// # }
/// ```
pub fn prune_before<E: Recorded>(entity: E, moment: DateTime<Utc>) -> Prune<E> {
    prune(entity, What::Before(truncate_to_micros(moment)))
}

/// Removes records that say what the record before them says, as imported histories have them: of
/// neighbours that are equal in all recorded values, the later goes.
///
/// Values are compared in SQL as recording compares them, those of columns that are recorded no more
/// as well; event and context are not. A deletion, and what follows it, stays. Else as [`prune_to`].
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, _) = blog().await?;
/// let pruned = sea_orm_record::dedupe(article::Entity).exec(&db).await?;
/// assert_eq!(pruned.removed, 0); // what this library writes has no repetitions
/// # Ok(())
/// # }
/// ```
pub fn dedupe<E: Recorded>(entity: E) -> Prune<E> {
    prune(entity, What::Repeated)
}

fn prune<E: Recorded>(entity: E, what: What) -> Prune<E> {
    let _ = entity;
    Prune {
        what,
        now: None,
        marked: None,
        after: None,
        progress: Box::new(|_| {}),
    }
}

impl<E: Recorded> Prune<E> {
    /// Keeps the records that a condition on the record entity's columns marks, whatever the rules
    /// say; several add up. Default: none.
    pub fn keep(mut self, marked: impl IntoCondition) -> Self {
        let all = self.marked.take().unwrap_or_else(Condition::any);
        self.marked = Some(all.add(marked.into_condition()));
        self
    }

    /// The moment from which a retention counts ages. Default: now.
    pub const fn counted_from(mut self, now: DateTime<Utc>) -> Self {
        self.now = Some(now);
        self
    }

    /// Calls back after each page of 10,000 records. Default: nothing is called.
    pub fn progress(
        mut self,
        progress: impl FnMut(PruneProgress<KeyOfEntity<E>>) + Send + 'static,
    ) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Begins with the row after a key, such as [`PruneProgress::key`] of a run that was interrupted.
    /// Default: at the beginning.
    pub fn after(mut self, key: KeyOfEntity<E>) -> Self {
        self.after = Some(untyped_key::<E>(key));
        self
    }

    /// Removes what is to go.
    ///
    /// # Errors
    ///
    /// [`RecordError::Retention`] and [`RecordError::Rule`] where the retention cannot be used, before
    /// anything is removed; the database's, and a [`RecordError`] within the `DbErr`.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<Pruned, DbErr> {
        let plan = plan_of::<E>()?;
        self.run(db, Some(plan)).await
    }

    /// Counts what [`exec`](Self::exec) would remove, and removes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`exec`](Self::exec).
    pub async fn dry_run<C: ConnectionTrait>(self, db: &C) -> Result<Forecast, DbErr> {
        let plan = plan_of::<E>()?;
        let counted = self.run(db, None).await?;
        let context = Context::new();
        let writer = Writer::new(
            Connection::new(db),
            plan.shape(),
            &context,
            context.stamp()?,
        );
        let (bytes, records) = writer.size().await?;
        let share = |bytes: u64| {
            let share = u128::from(bytes) * u128::from(counted.removed);
            u64::try_from(share / u128::from(records.max(1))).unwrap_or(bytes)
        };
        Ok(Forecast {
            records: counted.records,
            removed: counted.removed,
            bytes: bytes.map(share),
        })
    }

    /// Goes through the records; removes them where a plan is given.
    async fn run<C: ConnectionTrait>(
        mut self,
        db: &C,
        plan: Option<Arc<dyn Plan>>,
    ) -> Result<Pruned, DbErr> {
        let (judge, until) = self.judge()?;
        let pages = Pages {
            until,
            marked: self.marked.take(),
            compares: matches!(judge, Judge::Repeated),
        };
        let mut walk = Walk {
            judge,
            last: None,
            done: self.after.clone(),
        };
        let mut place = self.after.map_or(Place::Start, Place::After);
        let mut so_far = Pruned::default();
        loop {
            let page = pages.read::<E>(Connection::new(db), &place).await?;
            let full = page.len() + 1 >= PAGE;
            let mut end = page.last().map(|last| (last.key.clone(), last.at));
            so_far.records += page.len() as u64;
            let gone = walk.through(page)?;
            match &plan {
                Some(plan) => {
                    so_far.removed += removed(db, plan, &gone).await?;
                    // Where the page ended is gone, if that repeated what stays before it.
                    end = walk
                        .last
                        .as_ref()
                        .map(|(last, _)| (last.key.clone(), last.at));
                }
                None => so_far.removed += gone.len() as u64,
            }
            if let Some((key, at)) = end {
                place = Place::At(key, at);
            }
            let key = match full {
                true => walk.done.clone(),
                false => walk
                    .last
                    .as_ref()
                    .map(|(last, _)| last.key.clone())
                    .or(walk.done.clone()),
            };
            (self.progress)(PruneProgress {
                so_far,
                key: key.map(typed_key::<E>),
            });
            if !full {
                return Ok(so_far);
            }
        }
    }

    /// Who decides, and before when there is something to decide.
    fn judge(&self) -> Result<(Judge, Option<DateTime<Utc>>), RecordError> {
        Ok(match &self.what {
            What::Beyond(retention) => {
                let spans = retention.spans(self.now.unwrap_or_else(Utc::now))?;
                let until = spans.first().map(|span| span.until);
                (Judge::Tiers(Tiers::new(spans)), until)
            }
            What::Before(moment) => (Judge::Before, Some(*moment)),
            What::Repeated => (Judge::Repeated, None),
        })
    }
}

/// Which of two neighbours goes.
#[derive(Debug)]
enum Judge {
    Tiers(Tiers),
    /// All records that are read lie before the moment.
    Before,
    Repeated,
}

enum Verdict {
    BothStay,
    EarlierGoes,
    LaterGoes,
}

impl Judge {
    fn decide(
        &mut self,
        earlier: &Seen,
        is_first: bool,
        later: &Seen,
    ) -> Result<Verdict, RecordError> {
        let earlier_goes = match self {
            Self::Tiers(_) if is_first || earlier.event == Event::Deleted => false,
            Self::Tiers(tiers) => tiers.share_a_bucket(earlier.at, later.at)?,
            Self::Before => true,
            Self::Repeated => {
                let about_deletion = [earlier, later].iter().any(|it| it.event == Event::Deleted);
                return Ok(match later.repeats && !about_deletion && !later.marked {
                    true => Verdict::LaterGoes,
                    false => Verdict::BothStay,
                });
            }
        };
        Ok(match earlier_goes && !earlier.marked {
            true => Verdict::EarlierGoes,
            false => Verdict::BothStay,
        })
    }
}

/// Records beside their neighbours, across pages.
struct Walk {
    judge: Judge,
    /// The last record that stays so far, and whether it is the first of its row.
    last: Option<(Seen, bool)>,
    /// The last row that is done with.
    done: Option<Key>,
}

impl Walk {
    /// Which of these records, or of the one before them, go.
    fn through(&mut self, page: Vec<Seen>) -> Result<Vec<(Key, DateTime<Utc>)>, RecordError> {
        let mut gone = Vec::new();
        for seen in page {
            let Some((last, is_first)) = self.last.take() else {
                self.last = Some((seen, true));
                continue;
            };
            if last.key != seen.key {
                self.done = Some(last.key);
                self.last = Some((seen, true));
            } else {
                self.last = Some(match self.judge.decide(&last, is_first, &seen)? {
                    Verdict::BothStay => (seen, false),
                    Verdict::EarlierGoes => {
                        gone.push((last.key, last.at));
                        (seen, false)
                    }
                    Verdict::LaterGoes => {
                        gone.push((seen.key, seen.at));
                        (last, is_first)
                    }
                });
            }
        }
        Ok(gone)
    }
}

async fn removed<C: ConnectionTrait>(
    db: &C,
    plan: &Arc<dyn Plan>,
    gone: &[(Key, DateTime<Utc>)],
) -> Result<u64, DbErr> {
    let mut removed = 0;
    for places in gone.chunks(CHUNK) {
        let remove = || Remove {
            plan: Arc::clone(plan),
            places: places.to_vec(),
        };
        removed += apart_patiently(db, remove).await?;
    }
    Ok(removed)
}

struct Remove {
    plan: Arc<dyn Plan>,
    places: Vec<(Key, DateTime<Utc>)>,
}

impl Operation for Remove {
    type Output = u64;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<u64, DbErr> {
        let context = Context::new();
        let conn = Target::of(db).conn(db);
        let writer = Writer::new(conn, self.plan.shape(), &context, context.stamp()?);
        writer.remove(&self.places).await
    }
}
