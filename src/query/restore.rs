//! Putting back what was.

use std::future::Future;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityName, EntityTrait, IdenStatic,
    Iterable, ModelTrait, PrimaryKeyToColumn, Select,
};

use super::{DiffBetween, RowDiff, Window, source_table_of};
use crate::erased::Connection;
use crate::hooks::{ModelOf, Savable, stored};
use crate::operation::{Operation, run};
use crate::typed::is_null;
use crate::{ColumnOf, RecordEntity, RecordError};

/// The active model of what a record entity records.
pub(super) type RestoredOf<R> = <<R as RecordEntity>::Recording as EntityTrait>::ActiveModel;

/// The columns of what a record entity records.
type Source<R> = ColumnOf<<R as RecordEntity>::Recording>;

/// Which columns to bring back.
#[derive(Clone, Debug)]
pub(super) enum Which<C> {
    All,
    Only(Vec<C>),
    Except(Vec<C>),
}

impl<C: IdenStatic> Which<C> {
    fn has(&self, column: &C) -> bool {
        let is_among = |columns: &[C]| columns.iter().any(|c| c.as_str() == column.as_str());
        match self {
            Self::All => true,
            Self::Only(columns) => is_among(columns),
            Self::Except(columns) => !is_among(columns),
        }
    }

    fn named(&self) -> &[C] {
        match self {
            Self::All => &[],
            Self::Only(columns) | Self::Except(columns) => columns,
        }
    }
}

/// What a record says of its row, as an active model with the key.
pub(super) fn restored<M, R>(
    record: &M,
    which: &Which<Source<R>>,
) -> Result<RestoredOf<R>, RecordError>
where
    M: ModelTrait<Entity = R>,
    R: RecordEntity,
{
    let mut row = <RestoredOf<R> as ActiveModelTrait>::default();
    let columns = R::columns();
    let known = |name: &str| {
        let pairs = columns.iter().map(|(source, _)| source);
        pairs
            .chain(R::key().iter().map(|(source, _)| source))
            .any(|known| known.as_str() == name)
    };
    if let Some(unknown) = which.named().iter().find(|column| !known(column.as_str())) {
        let problem = format!("`{}` is not recorded", unknown.as_str());
        return Err(failed::<R>(problem));
    }
    for (source, column) in R::key() {
        set::<R>(&mut row, source, record.get(column))?;
    }
    for (source, column) in columns.iter().filter(|(source, _)| which.has(source)) {
        let value = record.get(*column);
        // A column that was recorded later, or is required only now.
        if is_null(&value) && !source.def().is_null() {
            continue;
        }
        set::<R>(&mut row, *source, value)?;
    }
    Ok(row)
}

fn set<R: RecordEntity>(
    row: &mut RestoredOf<R>,
    column: Source<R>,
    value: sea_orm::Value,
) -> Result<(), RecordError> {
    row.try_set(column, value).map_err(|_| {
        let name = column.as_str();
        failed::<R>(format!(
            "`{name}` was recorded as another type than it has; set it by hand"
        ))
    })
}

fn failed<R: RecordEntity>(problem: String) -> RecordError {
    RecordError::Restore {
        entity: source_table_of::<R>().to_owned(),
        problem,
        source: None,
    }
}

/// Saving a row wherever it is; implemented for the active models of all entities with hooks.
pub trait PutBack: Savable {
    /// Updates the row with this key if it is there, and inserts it with its key if it is gone.
    ///
    /// Recorded like any save, in one transaction.
    ///
    /// # Errors
    ///
    /// Those of `update` and `insert`; where the row is gone and the insert fails for want of
    /// required columns, a [`RecordError::Restore`] that names them, within the `DbErr`.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<M>(record: M, db: &DatabaseConnection) -> Result<(), Box<dyn std::error::Error>>
    /// # where M: RecordModel,
    /// #     <<M::Entity as RecordEntity>::Recording as EntityTrait>::ActiveModel: PutBack {
    /// let article = record.restore()?.put_back(db).await?;
    /// # Ok(())
    /// # }
    /// ```
    fn put_back<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Future<Output = Result<ModelOf<Self>, DbErr>> + Send {
        run::<Self::Entity, C, _>(db, Put(self))
    }
}

impl<A: Savable> PutBack for A {}

struct Put<A>(A);

impl<A: Savable> Operation for Put<A> {
    type Output = ModelOf<A>;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<ModelOf<A>, DbErr> {
        put(self.0, db).await
    }
}

async fn put<A: Savable, C: ConnectionTrait>(row: A, db: &C) -> Result<ModelOf<A>, DbErr> {
    if stored(&row, Connection::new(db)).await?.is_some() {
        return ActiveModelTrait::update(row, db).await;
    }
    let missing = missing(&row);
    let inserted = ActiveModelTrait::insert(row, db).await;
    inserted.map_err(|source| match missing.as_slice() {
        [] => source,
        // Hooks of the user's may have set them; that the insert failed says that they did not.
        names => RecordError::Restore {
            entity: A::Entity::default().table_name().to_owned(),
            problem: format!(
                "it is gone, and {} required and not brought back; set them on the active model \
                 (the database said: {source})",
                match names {
                    [one] => format!("`{one}` is"),
                    several => format!("`{}` are", several.join("`, `")),
                }
            ),
            source: Some(source),
        }
        .into(),
    })
}

/// Required columns that an insert would leave out.
fn missing<A: ActiveModelTrait>(row: &A) -> Vec<&'static str> {
    let keys = <A::Entity as EntityTrait>::PrimaryKey::iter().map(|key| key.into_column().as_str());
    let keys: Vec<_> = keys.collect();
    <A::Entity as EntityTrait>::Column::iter()
        .filter(|column| {
            let def = column.def();
            let is_optional = def.is_null() || def.get_column_default().is_some();
            row.is_not_set(*column) && !is_optional && !keys.contains(&column.as_str())
        })
        .map(|column| column.as_str())
        .collect()
}

/// Rows that are put back as they were at a moment; see
/// [`RecordQuery::restore_to`](super::RecordQuery::restore_to).
///
/// ```
/// # use sea_orm::entity::prelude::*;
/// # use sea_orm_record::prelude::*;
/// # use sea_orm_record::hooks::Savable;
/// # async fn example<E>(db: &RecordedConnection, monday: DateTimeUtc) -> Result<(), DbErr>
/// # where E: Recorded<Record: RecordEntity<Model: Sync>>, E::ActiveModel: Savable {
/// let back = E::restore_to(monday);
/// for row in back.preview().all(db).await? {
///     println!("{row}");
/// }
/// let alice = db.with_context(Context::actor("alice").reason("the import of Tuesday was wrong"));
/// let restored = back.apply(&alice).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is put back until it is applied"]
pub struct RestoreTo<R: RecordEntity> {
    select: Select<R>,
    at: DateTime<Utc>,
    which: Which<Source<R>>,
}

/// How many rows were put back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// Rows that were changed back, or that returned.
    pub restored: u64,
    /// Rows that were made since and are deleted now.
    pub deleted: u64,
}

impl<R: RecordEntity> RestoreTo<R> {
    pub(super) fn new(select: Select<R>, at: DateTime<Utc>) -> Self {
        Self {
            select,
            at,
            which: Which::All,
        }
    }

    /// Brings these columns back alone; others stay as they are. Default: all that are recorded.
    pub fn only(mut self, columns: impl IntoIterator<Item = Source<R>>) -> Self {
        self.which = Which::Only(columns.into_iter().collect());
        self
    }

    /// Leaves these columns as they are. Default: none.
    pub fn except(mut self, columns: impl IntoIterator<Item = Source<R>>) -> Self {
        self.which = Which::Except(columns.into_iter().collect());
        self
    }

    /// What it would do, as the way from now to then: rows that are added return, rows that are
    /// removed are deleted.
    ///
    /// It goes by the records. All their columns and properties count, also those that are left out.
    pub fn preview(&self) -> DiffBetween<R> {
        DiffBetween::new(self.select.clone(), Window::LATEST, self.at)
    }

    /// Does it, in one transaction: on a pool in one of its own, within one as a part of it.
    ///
    /// Rows are saved one by one in the order of their keys, a few hundred read at a time, and of
    /// those the ones to delete first; hooks are called, and all is recorded like any save.
    ///
    /// # Errors
    ///
    /// Those of [`PutBack::put_back`], a [`RecordError::Restore`] for a column that is not
    /// recorded, and the database's; where the transaction was opened here, nothing is changed
    /// then.
    pub async fn apply<C>(self, db: &C) -> Result<Restored, DbErr>
    where
        C: ConnectionTrait,
        R: RecordEntity<Model: Sync>,
        RestoredOf<R>: Savable,
    {
        run::<R::Recording, C, _>(db, self).await
    }
}

impl<R> Operation for RestoreTo<R>
where
    R: RecordEntity<Model: Sync>,
    RestoredOf<R>: Savable,
{
    type Output = Restored;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<Restored, DbErr> {
        let diff = self.preview();
        let mut done = Restored::default();
        let mut after = None;
        loop {
            let (rows, next) = diff.page(db, after).await?;
            let (made_since, rest): (Vec<_>, Vec<_>) = rows
                .into_iter()
                .partition(|row| matches!(row, RowDiff::Removed(_)));
            for row in made_since.iter().filter_map(RowDiff::before) {
                let row = restored(row, &Which::Only(Vec::new()))?;
                done.deleted += ActiveModelTrait::delete(row, db).await?.rows_affected;
            }
            for row in rest.iter().filter_map(RowDiff::after) {
                put(restored(row, &self.which)?, db).await?;
                done.restored += 1;
            }
            match next {
                Some(key) => after = Some(key),
                None => return Ok(done),
            }
        }
    }
}
