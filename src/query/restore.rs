//! Putting back what was.

use std::future::Future;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityName, EntityTrait, IdenStatic,
    Iterable, ModelTrait, Order, PrimaryKeyToColumn, QueryOrder, QueryTrait, Select,
};

use super::between::{is_there, of_row};
use super::changes::each;
use super::diff::{is_same, value_columns};
use super::{DiffBetween, RowDiff, Window, source_table_of};
use crate::erased::Connection;
use crate::hooks::{ModelOf, Savable, stored};
use crate::keys::is_null;
use crate::operation::{Operation, run};
use crate::{ColumnOf, Event, RecordEntity, RecordError};

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

impl<C: IdenStatic> Which<C> {
    /// Refuses columns that are not recorded, and a choice of those that are recorded as hashes.
    fn check<R>(&self) -> Result<(), RecordError>
    where
        R: RecordEntity<Recording: EntityTrait<Column = C>>,
    {
        let columns = R::columns();
        let recorded = columns.iter().copied().chain(R::key());
        let recorded: Vec<_> = recorded.map(|(source, _)| source.as_str()).collect();
        let mut named = self.named().iter().map(IdenStatic::as_str);
        if let Some(unknown) = named.find(|name| !recorded.contains(name)) {
            return Err(failed::<R>(format!("`{unknown}` is not recorded")));
        }
        if !matches!(self, Self::Only(_)) {
            return Ok(());
        }
        let mut redacted = columns
            .iter()
            .filter(|(_, column)| is_redacted::<R>(column));
        match redacted.find(|(source, _)| self.has(source)) {
            Some((source, _)) => Err(failed::<R>(format!(
                "`{}` is redacted: its values are not recorded",
                source.as_str()
            ))),
            None => Ok(()),
        }
    }
}

fn is_redacted<R: RecordEntity>(column: &R::Column) -> bool {
    let mut redacted = R::redacted().into_iter();
    redacted.any(|redacted| redacted.as_str() == column.as_str())
}

/// The columns to bring back, each with that of the record.
fn brought_back<R: RecordEntity>(which: &Which<Source<R>>) -> Vec<(Source<R>, R::Column)> {
    let columns = R::columns().into_iter();
    columns
        .filter(|(source, column)| which.has(source) && !is_redacted::<R>(column))
        .collect()
}

/// Whether a row cannot take a value: NULL from when the column was not recorded, or not required.
fn is_too_little<C: ColumnTrait>(column: &C, value: &sea_orm::Value) -> bool {
    is_null(value) && !column.def().is_null()
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
    if record.get(R::EVENT) == sea_orm::Value::from(Event::Erased.as_str()) {
        let problem = "this record says that the history was erased, and holds nothing else";
        return Err(failed::<R>(problem.to_owned()));
    }
    which.check::<R>()?;
    let mut row = <RestoredOf<R> as ActiveModelTrait>::default();
    for (source, column) in R::key() {
        set::<R>(&mut row, source, record.get(column))?;
    }
    for (source, column) in brought_back::<R>(which) {
        let value = record.get(column);
        if !is_too_little(&source, &value) {
            set::<R>(&mut row, source, value)?;
        }
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
    /// Rows that are left as they are, since whether they were there is not known: they have no
    /// record of the moment, and their first one does not say that they were made.
    pub kept: u64,
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
    ///
    /// It is about the values of rows that were there and still are: none returns, and none is
    /// deleted.
    pub fn only(mut self, columns: impl IntoIterator<Item = Source<R>>) -> Self {
        self.which = Which::Only(columns.into_iter().collect());
        self
    }

    /// Leaves these columns as they are. Default: none.
    ///
    /// As with [`only`](Self::only), no row returns, and none is deleted.
    pub fn except(mut self, columns: impl IntoIterator<Item = Source<R>>) -> Self {
        self.which = Which::Except(columns.into_iter().collect());
        self
    }

    /// What it would do, as the way from now to then: rows that are added return, rows that are
    /// removed are deleted.
    ///
    /// It goes by the records. Rows in which nothing differs that would be brought back are left
    /// out. Properties are shown beside the columns that changed, for they follow what they are
    /// computed from; where columns are chosen, those are shown alone.
    pub fn preview(&self) -> DiffBetween<R> {
        let back = Back {
            which: self.which.clone(),
            is_limited: is_limited(&self.select),
        };
        DiffBetween::new(self.select.clone(), Window::LATEST, self.at).for_restoring(back)
    }

    /// Does it, in one transaction: on a pool in one of its own, within one as a part of it.
    ///
    /// Rows are saved one by one, a few hundred read at a time: first those to delete, from the
    /// greatest key down, then the others from the least key up, so that rows that refer to older
    /// ones of their table can go and return. Hooks are called, and all is recorded like any save.
    ///
    /// A row that has no record of the moment is deleted only where its first record says that it
    /// was made since. The history of others begins later than they do: with a
    /// [`backfill`](crate::backfill), with what [`prune_before`](crate::prune_before) or dropped
    /// partitions left, after an erasure, or with the first change since recording began. They are
    /// left as they are, and counted as [`kept`](Restored::kept).
    ///
    /// # Errors
    ///
    /// Those of [`PutBack::put_back`]; a [`RecordError::Restore`] for a column that is not
    /// recorded, and for a query with a limit, which does not say which rows to put back; and the
    /// database's, such as for two rows that have swapped a unique value. Where the transaction was
    /// opened here, nothing is changed then.
    pub async fn apply<C>(self, db: &C) -> Result<Restored, DbErr>
    where
        C: ConnectionTrait,
        R: RecordEntity<Model: Sync>,
        RestoredOf<R>: Savable,
    {
        run::<R::Recording, C, _>(db, self).await
    }
}

fn is_limited<R: RecordEntity>(select: &Select<R>) -> bool {
    let mut unlimited = select.clone();
    let query = QueryTrait::query(&mut unlimited);
    query.reset_limit().reset_offset();
    query != select.as_query()
}

/// What is to be put back of the rows that a [`DiffBetween`] finds.
#[derive(Clone, Debug)]
pub(super) struct Back<C> {
    which: Which<C>,
    is_limited: bool,
}

/// A row as it is and as it was: the records that hold now and that held then.
pub(super) type NowAndThen<M> = (M, Option<M>);

impl<C: ColumnTrait> Back<C> {
    /// The rows to put back, and how many are left since it is not known whether they were there.
    pub(super) async fn rows<R, D>(
        &self,
        db: &D,
        found: Vec<NowAndThen<R::Model>>,
    ) -> Result<(Vec<RowDiff<R>>, u64), DbErr>
    where
        R: RecordEntity<Model: Sync, Recording: EntityTrait<Column = C>>,
        D: ConnectionTrait,
    {
        if self.is_limited {
            let problem = "a limit does not say which rows to put back; filter by their keys";
            return Err(failed::<R>(problem.to_owned()).into());
        }
        self.which.check::<R>()?;
        let born_since = born_since::<R, D>(db, &found).await?;
        let mut kept = 0;
        let mut rows = Vec::new();
        for ((now, then), born_since) in found.into_iter().zip(born_since) {
            match RowDiff::of(Some(now), then) {
                Some(RowDiff::Changed { before, after }) => {
                    rows.extend(self.changed(before, after))
                }
                Some(_) if !matches!(self.which, Which::All) => {}
                Some(RowDiff::Removed(_)) if !born_since => kept += 1,
                Some(row) => rows.push(row),
                None => {}
            }
        }
        Ok((rows, kept))
    }

    /// A row that was there and still is, if anything would be brought back.
    fn changed<R>(&self, before: R::Model, mut after: R::Model) -> Option<RowDiff<R>>
    where
        R: RecordEntity<Recording: EntityTrait<Column = C>>,
    {
        let back = brought_back::<R>(&self.which);
        let differs = |(source, column): &(C, R::Column)| {
            let then = after.get(*column);
            !is_too_little(source, &then) && !is_same(&before.get(*column), &then)
        };
        if !back.iter().any(differs) {
            return None;
        }
        if !matches!(self.which, Which::All) {
            let is_back =
                |it: &R::Column| back.iter().any(|(_, back)| back.as_str() == it.as_str());
            for column in value_columns::<R>().into_iter().filter(|it| !is_back(it)) {
                after.set(column, before.get(column));
            }
        }
        Some(RowDiff::Changed { before, after })
    }
}

/// Of each row, whether it is known not to have been there then.
///
/// A record of a deletion says so. Without any, the row's first record must say that it was made:
/// that a row has no record of a moment does not say that it was not there.
async fn born_since<R, C>(db: &C, found: &[NowAndThen<R::Model>]) -> Result<Vec<bool>, DbErr>
where
    R: RecordEntity<Model: Sync>,
    C: ConnectionTrait,
{
    let says = |record: &R::Model, event: Event| record.get(R::EVENT) == event.as_str().into();
    let is_without = |(now, then): &&NowAndThen<R::Model>| then.is_none() && is_there::<R>(now);
    let without = found.iter().filter(is_without);
    let earliest = without.map(|(now, _)| of_row(R::find(), now).order_by_asc(R::RECORDED_AT));
    let mut earliest = each(db, earliest).await?.into_iter();
    let born = found.iter().map(|row| match &row.1 {
        Some(then) => says(then, Event::Deleted),
        None if is_without(&row) => {
            let first = earliest.next().flatten();
            first.is_some_and(|first| says(&first, Event::Created))
        }
        None => false,
    });
    Ok(born.collect())
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
        if matches!(self.which, Which::All) {
            delete_made_since(&diff, &mut done, db).await?;
        }
        let mut after = None;
        loop {
            let page = diff.page(db, after, Order::Asc).await?;
            for row in page.rows.iter().filter_map(RowDiff::after) {
                put(restored(row, &self.which)?, db).await?;
                done.restored += 1;
            }
            match page.next {
                Some(key) => after = Some(key),
                None => return Ok(done),
            }
        }
    }
}

async fn delete_made_since<R, C>(
    diff: &DiffBetween<R>,
    done: &mut Restored,
    db: &C,
) -> Result<(), DbErr>
where
    R: RecordEntity<Model: Sync>,
    RestoredOf<R>: Savable,
    C: ConnectionTrait,
{
    let mut after = None;
    loop {
        let page = diff.page(db, after, Order::Desc).await?;
        done.kept += page.kept;
        for row in &page.rows {
            if let RowDiff::Removed(row) = row {
                let row = restored(row, &Which::Only(Vec::new()))?;
                done.deleted += ActiveModelTrait::delete(row, db).await?.rows_affected;
            }
        }
        match page.next {
            Some(key) => after = Some(key),
            None => return Ok(()),
        }
    }
}
