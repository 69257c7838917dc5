//! Buckets that are answered whether or not they have records of their own.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, IdenStatic, PrimaryKeyTrait, QueryFilter};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::cuts::{Cuts, Occupied};
use super::one_row::OneRow;
use super::pick::Pick;
use super::rows::RowKey;
use super::scope::Scope;
use super::{Resample, recorded_at};
use crate::RecordEntity;
use crate::dialect::Dialect;
use crate::keys::typed_key;
use crate::query::between::is_there;
use crate::query::diff::{json_of, time_of, values_of};
use crate::query::{RecordQuery, between, held};
use crate::recorded::unread;
use crate::time::MICROSECOND;

/// A bucket of one row, or of all, which may be empty.
///
/// As JSON an object: `start`, `row` (the key; a list of its columns where it has several) and
/// `record`, which is null or has `recorded_at`, `event` and the recorded values.
#[derive(Clone, Debug)]
pub struct Bucket<R: RecordEntity> {
    /// Where it begins.
    pub start: DateTime<Utc>,
    /// The record that was picked for it.
    pub record: Option<R::Model>,
    row: Option<RowKey>,
}

impl<R: RecordEntity> Bucket<R> {
    /// The key of the row; none where all rows were taken together.
    pub fn row(
        &self,
    ) -> Option<<<R::Recording as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType> {
        let row = self.row.clone()?;
        Some(typed_key::<R::Recording>(row.into_values()))
    }
}

impl<R: RecordEntity> Serialize for Bucket<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("start", &self.start.to_rfc3339())?;
        if let Some(row) = &self.row {
            map.serialize_entry("row", row)?;
        }
        let record = self.record.as_ref().map(|record| {
            let mut json = json_of(record, [R::RECORDED_AT, R::EVENT]);
            json.insert(R::RECORDED_AT.as_str().to_owned(), time_of(record));
            json.extend(values_of(record));
            json
        });
        map.serialize_entry("record", &record)?;
        map.end()
    }
}

impl<R: RecordEntity<Model: PartialEq>> PartialEq for Bucket<R> {
    fn eq(&self, other: &Self) -> bool {
        (self.start, &self.row, &self.record) == (other.start, &other.row, &other.record)
    }
}

/// A query of every bucket of a range, empty or not; see
/// [`Resample::keep_gaps`](crate::Resample::keep_gaps).
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct WithGaps<R: RecordEntity>(pub(super) Resample<R>);

impl<R: RecordEntity> WithGaps<R> {
    /// The buckets, in the order of time; those of several rows in the order of keys.
    ///
    /// # Errors
    ///
    /// Those of [`Resample::all`](crate::Resample::all), and
    /// [`RecordError::Resample`](crate::RecordError::Resample) for more buckets than may be filled.
    pub async fn all<C: ConnectionTrait>(self, db: &C) -> Result<Vec<Bucket<R>>, DbErr> {
        let scope = Scope::of(&self.0, Dialect::of(db));
        let resample = self.0.clone();
        let starts = match self.0.forward_fill {
            true => in_force(&self.0, &scope, db).await?,
            false => scope.starts(&self.0, db).await?,
        };
        let mut found: BTreeMap<_, _> = self
            .0
            .buckets(db)
            .await?
            .into_iter()
            .map(|(start, record)| ((start, resample.row_of(&record)), record))
            .collect();
        let rows = match resample.all_rows {
            true => vec![RowKey::default()],
            false => scope.rows_of(found.keys().map(|(_, row)| row)),
        };
        resample.bounded(starts.len(), rows.len())?;
        let mut buckets = Vec::with_capacity(starts.len() * rows.len());
        for start in starts {
            for row in &rows {
                let record = found.remove(&(start, row.clone()));
                let row = (!resample.all_rows).then(|| row.clone());
                buckets.push(Bucket { start, record, row });
            }
        }
        Ok(buckets)
    }
}

/// The beginnings of the buckets at which something may be in force.
async fn in_force<R: RecordEntity, C: ConnectionTrait>(
    resample: &Resample<R>,
    scope: &Scope<R>,
    db: &C,
) -> Result<Vec<DateTime<Utc>>, DbErr> {
    match scope.reaching_back()?.in_force(resample, db).await? {
        Some((begin, end)) => Cuts::of(resample).starts(begin, end - MICROSECOND, resample.most),
        None => Ok(Vec::new()),
    }
}

/// The record of each row that was in force at the beginning of each bucket.
///
/// What held at the first is asked for; after that the last record up to each beginning is enough,
/// for what was in force stays so.
pub(super) async fn forward_filled<R: RecordEntity, C: ConnectionTrait>(
    resample: &Resample<R>,
    db: &C,
) -> Result<Vec<(DateTime<Utc>, R::Model)>, DbErr> {
    let scope = Scope::of(resample, Dialect::of(db));
    let starts = in_force(resample, &scope, db).await?;
    let (Some(first), Some(last)) = (starts.first().copied(), starts.last().copied()) else {
        return Ok(Vec::new());
    };
    let mut state = BTreeMap::new();
    let up_to_first = || scope.records().clone().filter(held::<R>(first));
    let at_first = match resample.all_rows {
        true => up_to_first().latest(),
        false => scope.state(first, db).unwrap_or_else(up_to_first),
    };
    for record in at_first.all(db).await.map_err(unread::<R>)? {
        change(resample, &mut state, record);
    }
    let mut changes = changes(resample, &scope, first, last, db)
        .await?
        .into_iter();
    let mut next = changes.next();
    let mut filled = Vec::new();
    for start in starts {
        while let Some(record) = next.take_if(|record| is_by::<R>(record, start)) {
            change(resample, &mut state, record);
            next = changes.next();
        }
        resample.bounded(filled.len() + state.len(), 1)?;
        filled.extend(state.values().map(|record| (start, record.clone())));
    }
    Ok(filled)
}

fn is_by<R: RecordEntity>(record: &R::Model, start: DateTime<Utc>) -> bool {
    recorded_at::<R>(record).is_ok_and(|at| at <= start)
}

fn change<R: RecordEntity>(
    resample: &Resample<R>,
    state: &mut BTreeMap<RowKey, R::Model>,
    record: R::Model,
) {
    let row = resample.row_of(&record);
    if is_there::<R>(&record) {
        state.insert(row, record);
    } else {
        state.remove(&row);
    }
}

/// The last records up to the beginnings after the first, in the order of time.
async fn changes<R: RecordEntity, C: ConnectionTrait>(
    resample: &Resample<R>,
    scope: &Scope<R>,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    db: &C,
) -> Result<Vec<R::Model>, DbErr> {
    let from = first + MICROSECOND;
    let select = between(
        scope.records().clone(),
        Some(from),
        Some(last + MICROSECOND),
    );
    let whole = Resample {
        select: scope.records().clone(),
        pick: Pick::Last,
        window: None,
        forward_fill: false,
        ..resample.clone()
    };
    let row = OneRow::of(&whole.select, db.get_database_backend());
    let mut found = Vec::new();
    let mut occupied = Occupied::new(select, Cuts::of(resample).late(), from, last);
    while let Some(intervals) = occupied.next(db).await? {
        found.extend(match &row {
            Some(row) => row.seek(db, &intervals, Pick::Last).await?,
            None => whole.of_several(db, &intervals).await?,
        });
    }
    found.sort_by_cached_key(|record| recorded_at::<R>(record).ok());
    Ok(found)
}
