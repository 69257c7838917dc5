//! Fewer partitions: whole ones go, and what held at their end is carried forward.

use std::marker::PhantomData;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_record::{Recorded, carry_forward};

use super::{parts_of, refuse_unpartitioned, run, tries_again, wait};
use crate::dialect::partitions::{Part, Target};

/// How long a partition has to be over before it goes: longer than any clock lags behind.
const MARGIN: TimeDelta = TimeDelta::hours(1);

/// What [`DropPartitions`] counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The names of the partitions that went, the oldest first.
    pub partitions: Vec<String>,
    /// The records that they had.
    pub records: u64,
    /// Records that were made at the end of the last of them, one for each row that was in them, but
    /// for rows that had one there.
    pub carried: u64,
}

/// Partitions to be dropped; made by [`drop_partitions_before`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is dropped until `exec`"]
pub struct DropPartitions<E> {
    moment: DateTime<Utc>,
    entity: PhantomData<E>,
}

/// Drops the partitions of a record table that end at a moment or before it, after the latest record of
/// each row in them has been carried forward.
///
/// The end of the last one dropped is the edge: each row that had records before it gets a copy of the
/// latest of them at the edge, by [`carry_forward`]. So no row loses its present, and `as_of` any
/// moment from the edge on answers as before; the time of such a copy is the edge, and no more when
/// that was written. Deletions are carried too. For the exact times, and for parts of partitions, there
/// is [`prune_before`](sea_orm_record::prune_before), which deletes record by record.
///
/// Saves go on beside it. Partitions leave one at a time, the oldest first, as tables of their own,
/// which are looked at again before they are dropped: a row that came into one meanwhile is put back.
/// The change itself takes milliseconds; it waits for open transactions on the table as
/// [`extend_partitions`](crate::RecordPartitions::extend_partitions) does. It may be killed at any
/// time, and called twice at once: the next call finishes what is left. Partitions that ended less than
/// an hour ago stay, whatever the moment, since writers' clocks may lag; so does the one without an
/// end. Nothing should import or erase records before the moment meanwhile.
///
/// It takes the rights of the table's owner. On MySQL and MariaDB it ends a transaction of the
/// caller's.
///
/// ```no_run
/// # mod article {
/// #     use sea_orm::entity::prelude::*;
/// #     use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};
/// #     #[recorded(columns(title))]
/// #     #[sea_orm::model]
/// #     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "article")]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key)]
/// #         pub id: i32,
/// #         pub title: String,
/// #     }
/// #     impl Recorded for Entity {
/// #         type Record = record::Entity;
/// #         fn recorder() -> Recorder<Self> {
/// #             Recorder::<Self>::new()
/// #         }
/// #     }
/// #     #[record_hooks]
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// use chrono::{TimeDelta, Utc};
/// use sea_orm_record_migration::drop_partitions_before;
///
/// # async fn yearly(db: sea_orm::DatabaseConnection) -> Result<(), sea_orm::DbErr> {
/// let seven_years = Utc::now() - TimeDelta::days(7 * 365);
/// let forecast = drop_partitions_before(article::Entity, seven_years).dry_run(&db).await?;
/// println!("{:?}: {} records would go", forecast.partitions, forecast.records);
/// let dropped = drop_partitions_before(article::Entity, seven_years).exec(&db).await?;
/// println!("{} rows carried", dropped.carried);
/// # Ok(())
/// # }
/// ```
pub fn drop_partitions_before<E: Recorded>(entity: E, moment: DateTime<Utc>) -> DropPartitions<E> {
    let _ = entity;
    DropPartitions {
        moment,
        entity: PhantomData,
    }
}

impl<E: Recorded> DropPartitions<E> {
    /// Drops them.
    ///
    /// # Errors
    /// A [`RecordError::Plan`](sea_orm_record::RecordError::Plan) on SQLite and where the table is not
    /// partitioned by time, before anything is changed; and whatever the database says.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<Dropped, DbErr> {
        refuse_unpartitioned::<E::Record>(db)?;
        let target = Target::of::<E::Record>(db.get_database_backend());
        let mut dropped = Dropped::default();
        let going = self.going(db, &target).await?;
        dropped.records += finish(db, &target).await?;
        let Some((_, edge)) = going.last() else {
            return Ok(dropped);
        };
        dropped.carried = carry_forward(E::default(), *edge).exec(db).await?.carried;
        for (part, _) in going {
            if self.take_out(db, &target, &part).await? {
                dropped.records += finish(db, &target).await?;
                dropped.partitions.push(part.name);
            }
        }
        Ok(dropped)
    }

    /// Counts what [`exec`](Self::exec) would drop and carry, and does neither.
    ///
    /// # Errors
    /// Those of [`exec`](Self::exec).
    pub async fn dry_run<C: ConnectionTrait>(self, db: &C) -> Result<Dropped, DbErr> {
        refuse_unpartitioned::<E::Record>(db)?;
        let target = Target::of::<E::Record>(db.get_database_backend());
        let mut dropped = Dropped::default();
        let going = self.going(db, &target).await?;
        if let Some((_, edge)) = going.last() {
            dropped.carried = carry_forward(E::default(), *edge)
                .dry_run(db)
                .await?
                .carried;
        }
        for (part, _) in going {
            dropped.records += target.records(db, &part).await?;
            dropped.partitions.push(part.name);
        }
        Ok(dropped)
    }

    /// The partitions that are to go, each with its end, the oldest first.
    async fn going<C: ConnectionTrait>(
        &self,
        db: &C,
        target: &Target,
    ) -> Result<Vec<(Part, DateTime<Utc>)>, DbErr> {
        let until = self.moment.min(Utc::now() - MARGIN);
        let mut going = Vec::new();
        for part in parts_of::<E::Record>(db, target).await? {
            if let Some(end) = part.end.filter(|end| *end <= until) {
                // It stays to take what is older than all others.
                if !part.is_past() || !target.is_empty(db, &part).await? {
                    going.push((part, end));
                }
            }
        }
        Ok(going)
    }

    /// Makes a partition a table of its own; false where another has done so.
    async fn take_out<C: ConnectionTrait>(
        &self,
        db: &C,
        target: &Target,
        part: &Part,
    ) -> Result<bool, DbErr> {
        let mut tried = 0;
        let mut parts = parts_of::<E::Record>(db, target).await?;
        while parts.contains(part) {
            let own = target.leaving();
            let script = target
                .take_out(db, (&parts, part), &own, wait(tried))
                .await?;
            let Err(error) = run(db, &script).await else {
                return Ok(true);
            };
            tried += 1;
            parts = match parts_of::<E::Record>(db, target).await {
                Ok(parts) => parts,
                Err(_) => return Err(error),
            };
            if parts.contains(part)
                && !tries_again(tried, &error)
                && !target.has_lost(db, &own).await?
            {
                return Err(error);
            }
        }
        Ok(false)
    }
}

/// Drops what was taken out, by this call or by one that was killed, after what it alone has is put
/// back; answers for how many records it had.
async fn finish<C: ConnectionTrait>(db: &C, target: &Target) -> Result<u64, DbErr> {
    let mut records = 0;
    for table in target.left_behind(db).await? {
        records += finish_one(db, target, table).await?;
    }
    Ok(records)
}

async fn finish_one<C: ConnectionTrait>(
    db: &C,
    target: &Target,
    mut table: String,
) -> Result<u64, DbErr> {
    let mut tried = 0;
    loop {
        // Under a name that is new, nobody exchanges a partition with it any more. Another call may
        // rename it again, and then drops it, which is as good.
        let own = target.leaving();
        let finished = match db.execute_unprepared(&target.rename(&table, &own)).await {
            Ok(_) => emptied(db, target, &own).await,
            Err(error) => Err(error),
        };
        let Err(error) = finished else {
            return finished;
        };
        let mut there = target.left_behind(db).await?.into_iter();
        let Some(left) = there.find(|left| *left == own || *left == table) else {
            return Ok(0);
        };
        table = left;
        tried += 1;
        if !tries_again(tried, &error) {
            return Err(error);
        }
    }
}

async fn emptied<C: ConnectionTrait>(db: &C, target: &Target, table: &str) -> Result<u64, DbErr> {
    let records = target.records_of(db, table).await?;
    if target.missing(db, table).await? > 0 {
        db.execute_unprepared(&target.put_back(table)).await?;
    }
    db.execute_unprepared(&target.drop(table)).await?;
    Ok(records)
}
