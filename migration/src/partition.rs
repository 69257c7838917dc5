//! Record tables in partitions by time: how they are to be cut, made, extended, and shortened.

mod drop;
mod extend;

use chrono::{DateTime, Datelike, TimeDelta, TimeZone, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_record::{Buckets, Every, IntoRule, RecordEntity, RecordError, is_retryable, zone};

pub use drop::{DropPartitions, Dropped, drop_partitions_before};
pub use extend::{Extended, RecordPartitions};

use crate::RecordTable;
use crate::dialect::partitions::{Part, Target, has_partitions, partitions_have_foreign_keys};
use crate::entity::table_name;
use crate::table::plan_error;

/// The most partitions that are made at once: MySQL has at most 8,192 in a table (manual, 24.6), and
/// PostgreSQL plans in a time that grows with them.
const MOST_AT_ONCE: usize = 1_000;

/// How a record table is cut into partitions by time, in UTC.
///
/// It is a value: [`RecordTable::partitioned`] and
/// [`create_partitioned_record_table`](crate::RecordSchema::create_partitioned_record_table) make a
/// table so, and [`extend_partitions`](RecordPartitions::extend_partitions) adds what is missing later
/// on.
///
/// ```
/// use sea_orm_record_migration::Partitions;
///
/// let monthly = Partitions::every("1MS").ahead(3);
/// # drop(monthly);
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is made of it by itself"]
pub struct Partitions {
    every: Result<Every, RecordError>,
    ahead: u32,
    from: Option<DateTime<Utc>>,
    most: u64,
}

impl Partitions {
    /// One partition for each bucket of a rule of
    /// [`resample`](sea_orm_record::RecordQuery::resample), such as `"1MS"` for months; of a day at
    /// least.
    ///
    /// What cannot be used is refused where it is used.
    pub fn every(rule: impl IntoRule) -> Self {
        Self {
            every: rule.into_rule(),
            ahead: 3,
            from: None,
            most: 100_000,
        }
    }

    /// How many partitions are to be there after the current one. Default: 3.
    ///
    /// What comes after them is not refused: it goes into a partition without an end.
    pub const fn ahead(mut self, partitions: u32) -> Self {
        self.ahead = partitions;
        self
    }

    /// Where the first bucket lies, when the table is made: what is older shares one partition, the
    /// first. Default: now. For tables that are to take old records.
    pub const fn from(mut self, moment: DateTime<Utc>) -> Self {
        self.from = Some(moment);
        self
    }

    /// As [`from`](Self::from), by a date of UTC, as generated migrations write it.
    ///
    /// A date that is in no calendar is refused where it is used.
    ///
    /// ```
    /// use sea_orm_record_migration::Partitions;
    ///
    /// let since_2020 = Partitions::every("1YS").from_date(2020, 1, 1);
    /// # drop(since_2020);
    /// ```
    pub fn from_date(mut self, year: i32, month: u32, day: u32) -> Self {
        match Utc.with_ymd_and_hms(year, month, day, 0, 0, 0).single() {
            Some(moment) => self.from = Some(moment),
            None => {
                self.every = Err(RecordError::Window {
                    window: format!("from {year}-{month}-{day}"),
                    problem: "there is no such date".to_owned(),
                });
            }
        }
        self
    }

    /// The most records that extending moves out of the partition without an end, where it comes too
    /// late; writers wait meanwhile. Default: 100,000, which takes seconds.
    pub const fn moving_at_most(mut self, records: u64) -> Self {
        self.most = records;
        self
    }

    /// The calls that make it, as a migration writes them. Edges lie at midnight, so that a date is all
    /// there is to say of a beginning.
    pub(crate) fn source(&self) -> String {
        let rule = self
            .every
            .as_ref()
            .map_or_else(|_| String::new(), ToString::to_string);
        let from = self.from.map_or(String::new(), |from| {
            let (year, month, day) = (from.year(), from.month(), from.day());
            format!(".from_date({year}, {month}, {day})")
        });
        format!("Partitions::every({rule:?}).ahead({}){from}", self.ahead)
    }

    /// The buckets, of an entity that errors name.
    fn buckets(&self, entity: &impl ToString) -> Result<Buckets, RecordError> {
        let every = self.every.clone()?;
        let buckets = Buckets::new(every, zone("UTC")?);
        let edge = buckets.start_of(DateTime::UNIX_EPOCH)?;
        match buckets.next(edge)? - edge >= TimeDelta::days(1) {
            true => Ok(buckets),
            false => Err(plan_error(
                entity,
                format!(
                    "partitions of `{every}` would be too many; let each be of a day at least: `1D`"
                ),
            )),
        }
    }

    /// The edges from `start` to the end of the last partition that is to be there.
    fn edges(
        &self,
        entity: &impl ToString,
        start: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<DateTime<Utc>>, RecordError> {
        let buckets = self.buckets(entity)?;
        let too_many = || {
            plan_error(
                entity,
                format!(
                    "that would be more than {MOST_AT_ONCE} partitions at once; take a longer rule, fewer \
                 ahead or a later beginning"
                ),
            )
        };
        if self.ahead as usize > MOST_AT_ONCE {
            return Err(too_many());
        }
        let mut target = buckets.next(now)?;
        for _ in 0..self.ahead {
            target = buckets.next(target)?;
        }
        let mut edges = vec![start];
        let mut last = start;
        while last < target {
            last = buckets.next(last)?;
            edges.push(last);
            if edges.len() > MOST_AT_ONCE + 1 {
                return Err(too_many());
            }
        }
        Ok(edges)
    }

    /// What follows the statement that makes a table, and the statements after it; nothing on SQLite,
    /// whose tables have no partitions.
    pub(crate) fn creation(
        &self,
        table: &RecordTable,
        backend: DbBackend,
    ) -> Result<(String, Vec<String>), RecordError> {
        let entity = &table.entity;
        if !partitions_have_foreign_keys(backend) && !table.foreign_keys.is_empty() {
            return Err(plan_error(
                entity,
                "its records are to go with their rows (`cascade`), which takes a foreign key, and \
                 MySQL's partitioned tables have none; leave one of the two out"
                    .to_owned(),
            ));
        }
        let now = Utc::now();
        let from = self.from.map_or(now, |from| from.min(now));
        let start = self.buckets(entity)?.start_of(from)?;
        let edges = self.edges(entity, start, now)?;
        Ok(match has_partitions(backend) {
            true => Target::of_table(table, backend).creation(&edges),
            false => Default::default(),
        })
    }
}

/// Refuses a database that has no partitions, before anything is done.
pub(crate) fn refuse_unpartitioned<R: RecordEntity>(
    db: &impl ConnectionTrait,
) -> Result<(), RecordError> {
    match has_partitions(db.get_database_backend()) {
        true => Ok(()),
        false => Err(plan_error(
            &table_name::<R::Recording>(),
            "SQLite has no partitions; there, make the table by `create_record_table`".to_owned(),
        )),
    }
}

/// The partitions of a table that has to have some.
async fn parts_of<R: RecordEntity>(
    db: &impl ConnectionTrait,
    target: &Target,
) -> Result<Vec<Part>, DbErr> {
    let parts = target.parts(db).await?;
    parts.ok_or_else(|| {
        let problem = format!(
            "`{}` is not there, or not partitioned by ranges of `{}` alone; make it by \
             `create_partitioned_record_table`",
            table_name::<R>(),
            sea_orm::IdenStatic::as_str(&R::RECORDED_AT)
        );
        plan_error(&table_name::<R::Recording>(), problem).into()
    })
}

/// How often a change of partitions is tried: for a minute in all.
const TRIES: u32 = 20;

/// How many seconds a try waits for the transactions on the table, while others wait for it. It grows,
/// since where commits take a second, no try of a second would ever find the table free.
fn wait(tried: u32) -> u32 {
    1 + tried / 4
}

/// Whether to try again: another used the table for too long, or came first.
fn tries_again(tried: u32, error: &DbErr) -> bool {
    tried < TRIES && is_retryable(error)
}

/// Runs statements one after the other.
async fn run(db: &impl ConnectionTrait, script: &[String]) -> Result<(), DbErr> {
    for sql in script {
        db.execute_unprepared(sql).await?;
    }
    Ok(())
}
