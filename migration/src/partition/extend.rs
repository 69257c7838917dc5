//! More partitions, ahead of time.

use chrono::Utc;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_record::{RecordEntity, RecordError};

use super::{Partitions, parts_of, refuse_unpartitioned, run, tries_again, wait};
use crate::dialect::partitions::{Span, Target};
use crate::entity::table_name;
use crate::table::plan_error;

/// What [`extend_partitions`](RecordPartitions::extend_partitions) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extended {
    /// Partitions that were made.
    pub partitions: usize,
    /// Records that had to be moved, since it came too late: more than 0 calls for a look at what
    /// schedules it.
    pub moved: u64,
}

/// Adding partitions to record tables, on any connection.
pub trait RecordPartitions {
    /// Adds the partitions that are missing, from the end of the last one to so many ahead of now.
    ///
    /// A scheduler may call it as often as it likes, on several machines at once: where nothing is
    /// missing, it asks one question. The rule may be another than before: it goes on from the last
    /// edge.
    ///
    /// While the partition without an end is empty, the change itself takes milliseconds. It waits for
    /// open transactions on the table for a second at a time, at last for five, during which later ones
    /// wait for it, and gives up after a minute; MySQL, unlike MariaDB, waits once, as long as its `lock_wait_timeout` says. Where
    /// it comes too late, records lie in that partition already: they are moved within the same change,
    /// while writers wait, as far as [`Partitions::moving_at_most`] allows.
    ///
    /// It takes the rights of the table's owner. On MySQL and MariaDB it ends a transaction of the
    /// caller's, as every change of tables does there.
    ///
    /// # Errors
    /// A [`RecordError::Plan`] on SQLite, where the table is not partitioned by time, and where too
    /// many records would have to be moved, each before anything is changed; and whatever the database
    /// says.
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
    /// use sea_orm_record_migration::{Partitions, RecordPartitions};
    ///
    /// // Once a day, by cron or a task of your own.
    /// # async fn daily(db: sea_orm::DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    /// let monthly = Partitions::every("1MS").ahead(3);
    /// let extended = db.extend_partitions(article::record::Entity, &monthly).await?;
    /// println!("{} partitions, {} records moved", extended.partitions, extended.moved);
    /// # Ok(())
    /// # }
    /// ```
    fn extend_partitions<R: RecordEntity>(
        &self,
        record: R,
        partitions: &Partitions,
    ) -> impl Future<Output = Result<Extended, DbErr>> + Send;
}

impl<C: ConnectionTrait> RecordPartitions for C {
    async fn extend_partitions<R: RecordEntity>(
        &self,
        record: R,
        partitions: &Partitions,
    ) -> Result<Extended, DbErr> {
        let _ = record;
        refuse_unpartitioned::<R>(self)?;
        let target = Target::of::<R>(self.get_database_backend());
        let mut parts = parts_of::<R>(self, &target).await?;
        let mut tried = 0;
        loop {
            let last = parts.iter().filter_map(|part| part.end).max();
            let spans = spans::<R>(partitions, last)?;
            let (Some(first), Some(end)) = (spans.first(), spans.last()) else {
                return Ok(Extended::default());
            };
            let moving = target.moving(self, &parts, (first.0, end.1), partitions.most);
            let moved = moving.await?;
            if moved > partitions.most {
                return Err(too_late::<R>(partitions).into());
            }
            let Err(error) = run(self, &target.extension(&parts, &spans, wait(tried))).await else {
                let partitions = spans.len();
                return Ok(Extended { partitions, moved });
            };
            tried += 1;
            // Within a failed transaction of the caller's nothing can be read any more.
            let Ok(now_there) = parts_of::<R>(self, &target).await else {
                return Err(error);
            };
            // Another may have made them meanwhile.
            if now_there == parts && !tries_again(tried, &error) {
                return Err(error);
            }
            parts = now_there;
        }
    }
}

/// What is missing after the last edge.
fn spans<R: RecordEntity>(
    partitions: &Partitions,
    last: Option<chrono::DateTime<Utc>>,
) -> Result<Vec<Span>, RecordError> {
    let entity = table_name::<R::Recording>();
    let now = Utc::now();
    let start = match last {
        Some(last) => last,
        None => partitions.buckets(&entity)?.start_of(now)?,
    };
    let edges = partitions.edges(&entity, start, now)?;
    Ok(edges.windows(2).map(|pair| (pair[0], pair[1])).collect())
}

fn too_late<R: RecordEntity>(partitions: &Partitions) -> RecordError {
    plan_error(
        &table_name::<R::Recording>(),
        format!(
            "more than {} records of `{}` lie behind its last partition and would have to be moved, while \
         writers wait; allow that by `moving_at_most(…)` at a quiet time",
            partitions.most,
            table_name::<R>()
        ),
    )
}
