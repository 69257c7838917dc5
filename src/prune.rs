//! Taking records away: those that a retention has no use for, those before a moment, and those that
//! say nothing new.
//!
//! Records are read without locks, in the order of rows and times, and each is looked at beside its
//! neighbour. What goes is deleted so many at a time, each in a transaction of its own, and only while
//! the neighbour that stands for it is there: another pruning may have removed that. What a row's last
//! record says is still said by one afterwards, so writers, who compare with nothing else, need not be
//! waited for.

mod page;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{Condition, IntoCondition};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait};

use self::page::{Pages, Place};
pub(crate) use self::walk::Gone;
use self::walk::{Judge, Walk};
use crate::context::Context;
use crate::erased::Connection;
use crate::keys::{Key, KeyOfEntity, typed_key, untyped_key};
use crate::operation::{Operation, apart_alone};
use crate::registry::plan_of;
use crate::retention::Tiers;
use crate::target::Target;
use crate::time::{Window, truncate_to_micros};
use crate::typed::Plan;
use crate::write::{CHUNK, Writer};
use crate::{RecordError, Recorded, Retention};

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
    /// `None` if the database does not say (a SQLite without `dbstat`). The database uses the room
    /// again; it gives it back to the disk only on VACUUM (FULL) or OPTIMIZE TABLE.
    pub bytes: Option<u64>,
}

/// How far a pruning has come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PruneProgress<K> {
    /// What was counted so far.
    pub so_far: Pruned,
    /// The last row whose records were all looked at: [`Prune::after`] goes on from here. `None` as
    /// long as it is the first.
    pub key: Option<K>,
}

type OnProgress<K> = Box<dyn FnMut(PruneProgress<K>) + Send>;
type Pause = Box<dyn FnMut(Duration) -> BoxFuture<'static, ()> + Send>;

/// How many times as many records are read at once as are removed at once.
const PAGE: usize = 10;

/// A pruning to be run; made by [`prune_to`], [`prune_before`] and [`dedupe`].
#[must_use = "nothing is removed until `exec`"]
pub struct Prune<E: EntityTrait> {
    what: What,
    now: Option<DateTime<Utc>>,
    marked: Option<Condition>,
    after: Option<Key>,
    at_a_time: usize,
    progress: OnProgress<KeyOfEntity<E>>,
    pause: Option<Pause>,
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

/// Removes the records that a retention has no use for: of each of its buckets, all but the last, and
/// one that was made at the very start of it.
///
/// What is kept answers as before: the last record of each bucket of each tier, and the value in
/// force at its start (`resample(rule)` and `forward_fill` at the rule of its tier, or a wider one).
/// Counts and means of the records themselves do change.
///
/// It reads 10,000 records at a time without locks, in the order of rows and times, and deletes 1,000
/// at a time, on a pool each in a short SERIALIZABLE transaction of its own that is tried again after a
/// deadlock. Saves go on beside it: a row's last record is never removed. So may another pruning: what
/// one has removed, the other does not rely on. Run twice, it finds nothing to do; it may be dropped
/// or killed at any time, and what is left is a valid history. For a database that is busy, see
/// [`pause`](Prune::pause).
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
/// was gone by then keeps the record that says so. Where the latest says that the row was made, one
/// from before it stays as well, if there is any: by that [`restore_to`](crate::RecordQuery::restore_to)
/// knows that the row had been there. Else as [`prune_to`].
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
/// as well; event and context are not. A deletion, and what follows it, stays. A row's last record goes
/// where it repeats the one before, which then is the last. Else as [`prune_to`].
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
        at_a_time: CHUNK,
        progress: Box::new(|_| {}),
        pause: None,
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

    /// Removes so many records at a time, each time in a transaction of its own on a pool, and reads
    /// ten times as many. Default: 1,000; at least 1.
    ///
    /// Fewer take longer in all, and let those who wait for one statement wait less: on SQLite, who
    /// has one writer at a time, every save does. See [`pause`](Self::pause).
    pub fn at_a_time(mut self, records: usize) -> Self {
        self.at_a_time = records.max(1);
        self
    }

    /// Calls back after each page of records. Default: nothing is called.
    pub fn progress(
        mut self,
        progress: impl FnMut(PruneProgress<KeyOfEntity<E>>) + Send + 'static,
    ) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Awaits what this gives after each page that was read and each piece that was removed, so that
    /// others have the database to themselves for a while: a timer of your runtime. It is told how
    /// long that page or piece took. Default: no pause.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (db, _, _) = blog().await?;
    /// # use chrono::{TimeDelta, Utc};
    /// # let moment = Utc::now() - TimeDelta::days(90);
    /// use sea_orm_record::prune_before;
    ///
    /// // At most a tenth of the time, in short pieces.
    /// let prune = prune_before(article::Entity, moment)
    ///     .at_a_time(100)
    ///     .pause(|busy| tokio::time::sleep(busy * 9));
    /// prune.exec(&db).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause<F>(mut self, mut pause: impl FnMut(Duration) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.pause = Some(Box::new(move |busy| Box::pin(pause(busy))));
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
            size: self.at_a_time.saturating_mul(PAGE),
        };
        let mut walk = Walk::new(judge, self.after.clone());
        let mut place = self.after.take().map_or(Place::Start, Place::After);
        let mut so_far = Pruned::default();
        loop {
            let began = Instant::now();
            let (page, full) = pages.read::<E>(Connection::new(db), &place).await?;
            let end = page.last().map(|last| (last.key.clone(), last.at));
            so_far.records += page.len() as u64;
            let gone = walk.through(page)?;
            self.pause_after(began).await;
            so_far.removed += match &plan {
                Some(plan) => self.remove(db, plan, &gone).await?,
                None => gone.len() as u64,
            };
            // Where a page ended may be gone, if that repeats what stays before it.
            let stays = walk.place().map(|(key, at)| (key.clone(), at));
            if let Some((key, at)) = if plan.is_some() { stays } else { end } {
                place = Place::Beyond(key, at);
            }
            let key = walk.done(!full).cloned();
            (self.progress)(PruneProgress {
                so_far,
                key: key.map(typed_key::<E>),
            });
            if !full {
                return Ok(so_far);
            }
        }
    }

    /// Removes what is to go, so many at a time.
    async fn remove<C: ConnectionTrait>(
        &mut self,
        db: &C,
        plan: &Arc<dyn Plan>,
        gone: &[Gone],
    ) -> Result<u64, DbErr> {
        let mut removed = 0;
        for gone in gone.chunks(self.at_a_time) {
            let began = Instant::now();
            let remove = || Remove {
                plan: Arc::clone(plan),
                gone: gone.to_vec(),
            };
            removed += apart_alone(db, remove).await?;
            self.pause_after(began).await;
        }
        Ok(removed)
    }

    async fn pause_after(&mut self, began: Instant) {
        if let Some(pause) = &mut self.pause {
            pause(began.elapsed()).await;
        }
    }

    /// Who decides, and before when there is something to decide.
    fn judge(&self) -> Result<(Judge, Option<DateTime<Utc>>), RecordError> {
        Ok(match &self.what {
            What::Beyond(retention) => {
                let spans = retention.spans(self.now.unwrap_or_else(Utc::now))?;
                // Where no age has been reached, nothing is old enough to be looked at.
                let until = spans.first().map_or(Window::EARLIEST, |span| span.until);
                (Judge::Tiers(Tiers::new(spans)), Some(until))
            }
            What::Before(moment) => (Judge::Before, Some(*moment)),
            What::Repeated => (Judge::Repeated, None),
        })
    }
}

struct Remove {
    plan: Arc<dyn Plan>,
    gone: Vec<Gone>,
}

impl Operation for Remove {
    type Output = u64;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<u64, DbErr> {
        let context = Context::new();
        let conn = Target::of(db).conn(db);
        let writer = Writer::new(conn, self.plan.shape(), &context, context.stamp()?);
        writer.remove(&self.gone).await
    }
}
