//! What changed from one record to another.

use std::fmt;

use sea_orm::{EntityTrait, IdenStatic, Iterable, ModelTrait, Value};

use crate::{ColumnOf, Properties, RecordEntity};

/// What changed between two records of a row, or of two rows.
///
/// Only recorded columns and properties count: not the key, the time, the event nor the context.
/// Displayed, it is a line for each change: `title: "One" → "Two"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    changes: Vec<Change>,
}

/// One value that changed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The column of the record table.
    pub column: &'static str,
    /// The value in the older record.
    pub before: Value,
    /// The value in the newer record.
    pub after: Value,
}

impl Diff {
    pub(super) fn between<M>(before: &M, after: &M) -> Self
    where
        M: ModelTrait<Entity: RecordEntity>,
    {
        let change = |column: ColumnOf<M::Entity>| Change {
            column: column.as_str(),
            before: before.get(column),
            after: after.get(column),
        };
        let changes = value_columns::<M::Entity>().into_iter().map(change);
        Self {
            changes: changes
                .filter(|change| change.before != change.after)
                .collect(),
        }
    }

    /// The changes, in the order of the record's columns.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Recorded columns and properties, in the order of the table.
fn value_columns<R: RecordEntity>() -> Vec<R::Column> {
    let columns: Vec<_> = R::columns()
        .into_iter()
        .map(|(_, column)| column.as_str())
        .collect();
    let is_value = |column: &ColumnOf<R>| {
        columns.contains(&column.as_str()) || R::Properties::NAMES.contains(&column.as_str())
    };
    <R as EntityTrait>::Column::iter()
        .filter(is_value)
        .collect()
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no change");
        }
        for (index, change) in self.changes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} → {}",
            self.column,
            Shown(&self.before),
            Shown(&self.after)
        )
    }
}

/// A value as a person reads it: text in quotes, anything else plain.
struct Shown<'v>(&'v Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(Some(text)) => write!(f, "{text:?}"),
            value if crate::typed::is_null(value) => f.write_str("nothing"),
            value => match sea_orm::sea_query::sea_value_to_json_value(value) {
                serde_json::Value::String(text) => f.write_str(&text),
                other => write!(f, "{other}"),
            },
        }
    }
}
