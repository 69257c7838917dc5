//! From a row to its records, and from a record to its row and its neighbours.

use std::future::Future;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ModelTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
};

use super::restore::{RestoredOf, Which, restored};
use super::{Diff, utc};
use crate::capture;
use crate::dialect::bind_time;
use crate::erased::Connection;
use crate::gather::{Buffer, Note};
use crate::hooks::is_paused;
use crate::keys::key_of;
use crate::operation::{Noted, apart_alone, run};
use crate::recorded::RecordOf;
use crate::registry::plan_of;
use crate::target::Target;
use crate::typed::Of;
use crate::{ColumnOf, Event, RecordEntity, RecordError, Recorded};

/// What the model of a recorded entity can be asked; implemented for all of them.
///
/// # Example
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, article) = blog().await?;
/// use sea_orm::ConnectionTrait;
///
/// let record = article.records().latest().one(&db).await?.ok_or("no record")?;
/// assert!(article.diff_from(&record).is_empty());
///
/// // What SQL wrote past the hooks is recorded on request.
/// db.inner().execute_unprepared("UPDATE blog_article SET title = 'By hand'").await?;
/// assert!(article.has_unrecorded_changes(&db).await?);
/// article.record_now(&db).await?;
/// assert!(!article.has_unrecorded_changes(&db).await?);
/// # Ok(())
/// # }
/// ```
pub trait RecordedModel: ModelTrait<Entity: Recorded> + Sync {
    /// The records of this row, as a `Select` of the record entity.
    ///
    /// For a row that is gone, [`Recorded::records_of`] takes its key.
    fn records(&self) -> Select<<Self::Entity as Recorded>::Record> {
        let keys = <Self::Entity as Recorded>::Record::key().into_iter();
        keys.fold(Self::Entity::records(), |select, (source, record)| {
            select.filter(record.eq(self.get(source)))
        })
    }

    /// What changed from a record to this row as it is: recorded columns, for properties are known
    /// to records only.
    fn diff_from(&self, record: &RecordOf<Self::Entity>) -> Diff {
        Diff::to_row::<<Self::Entity as Recorded>::Record, Self>(record, self)
    }

    /// Records the row as it stands in the database, if that differs from its last record, or that
    /// it is gone.
    ///
    /// For rows that something else wrote; saves need no call. In a recorded transaction the
    /// record is written with the others.
    ///
    /// # Errors
    ///
    /// A [`RecordError`] within the `DbErr`.
    fn record_now<C: ConnectionTrait>(
        &self,
        db: &C,
    ) -> impl Future<Output = Result<(), DbErr>> + Send {
        let key = key_of(self);
        async move {
            let plan = plan_of::<Self::Entity>()?;
            let noted = |note| {
                let mut notes = Buffer::default();
                notes.touch(&plan, key.clone(), note);
                Noted(notes)
            };
            let target = Target::of(db);
            if !target.is_pool() || is_paused(&target) {
                return run::<Self::Entity, C, _>(db, noted(Note::uncertain())).await;
            }
            run::<Self::Entity, C, _>(db, noted(Note::new(Event::Updated))).await?;
            let one = std::slice::from_ref(&key);
            match plan.orphans(Connection::new(db), Of::Keys(one)).await? {
                gone if gone.is_empty() => Ok(()),
                // No lock is to be had on it, and another may be about to say the same.
                _ => apart_alone(db, || noted(Note::new(Event::Deleted))).await,
            }
        }
    }

    /// Whether the row as it stands in the database differs from its last record, or has none;
    /// for a row that is gone, whether its last record does not say so.
    ///
    /// # Errors
    ///
    /// A [`RecordError`] within the `DbErr`.
    fn has_unrecorded_changes<C: ConnectionTrait>(
        &self,
        db: &C,
    ) -> impl Future<Output = Result<bool, DbErr>> + Send {
        let key = key_of(self);
        async move {
            let plan = plan_of::<Self::Entity>()?;
            capture::differs(Connection::new(db), &*plan, key).await
        }
    }
}

impl<M> RecordedModel for M where M: ModelTrait<Entity: Recorded> + Sync {}

/// What a record can be asked; implemented for the models of all record entities.
///
/// # Example
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, article) = blog().await?;
/// let mut edited = article.clone().into_active_model();
/// edited.text = Set("four".to_owned());
/// let article = edited.update(&db).await?;
///
/// let latest = article.records().latest().one(&db).await?.ok_or("no record")?;
/// let older = latest.previous().one(&db).await?.ok_or("no record")?;
/// assert_eq!(latest.diff(&older).to_string(), "text: \"one two three\" → \"four\"");
/// assert_eq!(older.next().one(&db).await?.as_ref(), Some(&latest));
/// assert_eq!(latest.recording(&db).await?, Some(article));
///
/// // Put back without the title, or only the text.
/// older.restore_except([article::Column::Title])?.put_back(&db).await?;
/// older.restore_only([article::Column::Text])?.put_back(&db).await?;
/// # Ok(())
/// # }
/// ```
pub trait RecordModel: ModelTrait<Entity: RecordEntity> + Sync {
    /// The record of the same row before this one; `.one(&db)` gets it.
    fn previous(&self) -> Select<Self::Entity> {
        let column = Self::Entity::RECORDED_AT;
        neighbours(self)
            .filter(column.lt(instant(self.get(column))))
            .order_by_desc(column)
            .limit(1)
    }

    /// The record of the same row after this one; `.one(&db)` gets it.
    fn next(&self) -> Select<Self::Entity> {
        let column = Self::Entity::RECORDED_AT;
        neighbours(self)
            .filter(column.gt(instant(self.get(column))))
            .order_by_asc(column)
            .limit(1)
    }

    /// What changed from `older` to this record.
    fn diff(&self, older: &Self) -> Diff {
        Diff::between(older, self)
    }

    /// The row with what was recorded, as an active model with its key.
    ///
    /// `update` saves it where the row is there, `insert` where it is gone, and
    /// [`put_back`](super::PutBack::put_back) whichever fits. Columns that are not recorded are not
    /// set, so an update leaves them as they are; nor are those that the record holds as NULL and
    /// the row cannot. Properties are computed anew.
    ///
    /// # Errors
    ///
    /// [`RecordError::Restore`] where a column was recorded in another type than it has.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<M>(record: M, db: &DatabaseConnection) -> Result<(), Box<dyn std::error::Error>>
    /// # where M: RecordModel,
    /// #     <<M::Entity as RecordEntity>::Recording as EntityTrait>::ActiveModel: PutBack {
    /// record.restore()?.put_back(db).await?;
    /// # Ok(())
    /// # }
    /// ```
    fn restore(&self) -> Result<RestoredOf<Self::Entity>, RecordError> {
        restored(self, &Which::All)
    }

    /// The same with these columns alone, and the key.
    ///
    /// # Errors
    ///
    /// Those of [`restore`](Self::restore), and [`RecordError::Restore`] for a column that is not
    /// recorded.
    fn restore_only(
        &self,
        columns: impl IntoIterator<Item = ColumnOf<<Self::Entity as RecordEntity>::Recording>>,
    ) -> Result<RestoredOf<Self::Entity>, RecordError> {
        restored(self, &Which::Only(columns.into_iter().collect()))
    }

    /// The same without these columns: an old role or price may be better left.
    ///
    /// # Errors
    ///
    /// Those of [`restore_only`](Self::restore_only).
    fn restore_except(
        &self,
        columns: impl IntoIterator<Item = ColumnOf<<Self::Entity as RecordEntity>::Recording>>,
    ) -> Result<RestoredOf<Self::Entity>, RecordError> {
        restored(self, &Which::Except(columns.into_iter().collect()))
    }

    /// The row that this records, as it is today; `None` if it is gone.
    ///
    /// # Errors
    ///
    /// The database's.
    fn recording<C: ConnectionTrait>(
        &self,
        db: &C,
    ) -> impl Future<Output = Result<Option<RecordingOf<Self::Entity>>, DbErr>> + Send {
        let keys = Self::Entity::key().into_iter();
        let select = keys.fold(
            <Self::Entity as RecordEntity>::Recording::find(),
            |select, (source, record)| select.filter(source.eq(self.get(record))),
        );
        async move { select.one(db).await }
    }
}

impl<M> RecordModel for M where M: ModelTrait<Entity: RecordEntity> + Sync {}

/// The model of what a record entity records.
type RecordingOf<R> = <<R as RecordEntity>::Recording as EntityTrait>::Model;

/// The time of a record, as times are compared.
pub(super) fn instant(recorded_at: Value) -> Value {
    utc(recorded_at.clone()).map_or(recorded_at, bind_time)
}

fn neighbours<M: RecordModel>(record: &M) -> Select<M::Entity> {
    let keys = M::Entity::key().into_iter();
    keys.fold(M::Entity::find(), |select, (_, column)| {
        select.filter(column.eq(record.get(column)))
    })
}
