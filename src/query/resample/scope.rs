//! Which rows a select is about, and in which window.
//!
//! What held at the beginning of a window was recorded before it, where the window's own filter
//! does not look. sea-query does not show a select's conditions; those that `records()`,
//! `records_of(…)`, a filter on keys and the windows build are known by their text. Of any other
//! that names the time of records it cannot be told what it would hide.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, IdenStatic, QueryFilter, QueryTrait, Select, Value,
};

use super::Resample;
use super::bounds::{Ends, apart, windowed};
use super::cuts::Cuts;
use super::rows::RowKey;
use crate::by_keys::record_key;
use crate::dialect::Dialect;
use crate::keys::Key;
use crate::query::{RecordQuery, between, held, table_of, unordered};
use crate::time::{MICROSECOND, truncate_to_micros};
use crate::{Event, RecordEntity, RecordError};

/// A select, apart from its window.
#[derive(Clone, Debug)]
pub(super) struct Scope<R: RecordEntity> {
    /// What is selected, of all time.
    records: Select<R>,
    ends: Ends,
    /// Whether filters name keys and nothing else.
    by_key: bool,
    /// Whether there are filters on time that are no window of ours.
    hides: bool,
    row: Option<RowKey>,
    now: DateTime<Utc>,
}

impl<R: RecordEntity> Scope<R> {
    pub(super) fn of(resample: &Resample<R>, dialect: Dialect) -> Self {
        let mut scope = Self::by_text(&resample.select, dialect).unwrap_or_else(|| Self {
            hides: names_time(&resample.select, dialect),
            ..Self::over(resample.select.clone(), false)
        });
        if let Some(window) = resample.window {
            scope.ends = scope.ends.and(window.since(), window.until());
        }
        scope
    }

    fn over(records: Select<R>, by_key: bool) -> Self {
        Self {
            records,
            ends: Ends::default(),
            by_key,
            hides: false,
            row: None,
            now: truncate_to_micros(Utc::now()),
        }
    }

    fn by_text(select: &Select<R>, dialect: Dialect) -> Option<Self> {
        let given = dialect.build(select.as_query());
        let values = given.values.map_or_else(Vec::new, |values| values.0);
        for (keys, times) in apart(&values) {
            for (records, row) in among_keys::<R>(keys) {
                let mut windowed = windowed(&records, &times);
                let same = windowed.find(|(windowed, _)| {
                    let text = dialect.build(windowed.as_query()).sql;
                    text == given.sql
                });
                if let Some((_, ends)) = same {
                    drop(windowed);
                    return Some(Self {
                        ends,
                        row: row.and_then(RowKey::given::<R>),
                        ..Self::over(records, true)
                    });
                }
            }
        }
        None
    }

    /// What is selected, in the window.
    pub(super) fn select(&self) -> Select<R> {
        between(self.records.clone(), self.ends.since, self.ends.until)
    }

    /// What is selected, of all time.
    pub(super) fn records(&self) -> &Select<R> {
        &self.records
    }

    /// The same, for what must know the window, or what held before it.
    pub(super) fn reaching_back(&self) -> Result<&Self, RecordError> {
        if !self.hides {
            return Ok(self);
        }
        let time = R::RECORDED_AT.as_str();
        let problem = format!(
            "a filter on `{time}` hides what held before, and where the buckets begin and end; take \
             it off, and give the window by `resample(…)?.within(window)`"
        );
        Err(RecordError::resample(table_of::<R>(), problem))
    }

    /// The record of each row in force at a moment, where its past is not known to be empty.
    pub(super) fn state<C: ConnectionTrait>(&self, at: DateTime<Utc>, db: &C) -> Option<Select<R>> {
        self.ends.since?;
        Some(if self.by_key {
            self.records.clone().as_of(at).into_select(db)
        } else {
            let latest = self.records.clone().filter(held::<R>(at)).latest_of_each();
            latest.filter(R::EVENT.is_not_in(Event::ENDINGS))
        })
    }

    /// From when to when values hold: from the window's beginning, or the first record, to its end,
    /// but not beyond now. The end is not within.
    pub(super) async fn in_force<C: ConnectionTrait>(
        &self,
        resample: &Resample<R>,
        db: &C,
    ) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, DbErr> {
        let end = self
            .ends
            .until
            .map_or(self.now, |until| until.min(self.now));
        let begin = match self.ends.since {
            Some(since) => Some(since),
            None => resample
                .ends(self.select(), db)
                .await?
                .map(|(first, _)| first),
        };
        Ok(begin.filter(|begin| *begin < end).map(|begin| (begin, end)))
    }

    /// The beginnings of all buckets, empty or not: from the window's beginning, or the first record,
    /// to its end, but not beyond now; without a window, to the last record.
    pub(super) async fn starts<C: ConnectionTrait>(
        &self,
        resample: &Resample<R>,
        db: &C,
    ) -> Result<Vec<DateTime<Utc>>, DbErr> {
        self.reaching_back()?;
        let ends = resample.ends(self.select(), db).await?;
        let first = self.ends.since.or(ends.map(|(first, _)| first));
        let end = match (self.ends.since, self.ends.until) {
            (None, None) => None,
            (_, until) => Some(until.map_or(self.now, |until| until.min(self.now)) - MICROSECOND),
        };
        // A record is never outside, also where its writer's clock ran ahead.
        let last = end.max(ends.map(|(_, last)| last));
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(Vec::new());
        };
        if first > last {
            return Ok(Vec::new());
        }
        Cuts::of(resample).starts(first, last, resample.most)
    }

    /// The rows to answer for: those that were found, or the one that was asked for.
    pub(super) fn rows_of<'k>(&'k self, found: impl Iterator<Item = &'k RowKey>) -> Vec<RowKey> {
        let rows: BTreeSet<_> = found.chain(&self.row).cloned().collect();
        rows.into_iter().collect()
    }
}

/// Selects that these values may be the keys of, in the order in which `records_of` binds them; with
/// the key of the one row, in that of the primary key.
fn among_keys<R: RecordEntity>(values: &[Value]) -> Vec<(Select<R>, Option<Key>)> {
    let columns: Vec<_> = R::key().into_iter().map(|(_, column)| column).collect();
    let mut selects = Vec::new();
    if values.is_empty() {
        selects.push((R::find(), None));
    }
    if values.len() == columns.len() {
        let pairs = || columns.iter().zip(values);
        let one = pairs().fold(R::find(), |select, (column, value)| {
            select.filter(column.eq(value.clone()))
        });
        let key = record_key::<R>().filter_map(|key| {
            let value = pairs().find(|(column, _)| column.as_str() == key.as_str());
            value.map(|(_, value)| value.clone())
        });
        selects.push((one, Some(key.collect())));
    }
    if let ([key], false) = (columns.as_slice(), values.is_empty()) {
        selects.push((R::find().filter(key.is_in(values.iter().cloned())), None));
    }
    selects
}

fn names_time<R: RecordEntity>(select: &Select<R>, dialect: Dialect) -> bool {
    let mut filtered = unordered(select.clone()).into_query();
    filtered.clear_selects();
    let time = R::RECORDED_AT.as_str();
    dialect.names(&filtered).contains(time)
        || dialect.words(&filtered).contains(&time.to_lowercase())
}
