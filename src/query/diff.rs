//! What changed from one record to another.

use std::fmt;

use sea_orm::sea_query::ValueType;
use sea_orm::{ColumnTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::json::{json, shown};
use super::{source_table_of, utc};
use crate::{ColumnOf, Properties, RecordEntity, RecordError};

/// What changed between two records of a row, or of two rows, or from a record to the row itself.
///
/// Only recorded columns and properties count: not the key, the time, the event nor the context.
///
/// Displayed, it is a line for each change, `title: "One" → "Two"`, of long texts only the part
/// that differs; with the feature `color`, `colored` shows it in colours on a terminal. Serialized, it
/// is `{"title": {"before": "One", "after": "Two"}}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// Table of the recorded entity, for messages.
    entity: &'static str,
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
    /// Whether the values are hashes of what is not recorded; they are not displayed.
    pub redacted: bool,
}

impl Diff {
    pub(super) fn between<M>(before: &M, after: &M) -> Self
    where
        M: ModelTrait<Entity: RecordEntity>,
    {
        let columns = value_columns::<M::Entity>().into_iter();
        let values = columns.map(|column| (column, before.get(column), after.get(column)));
        Self::of_values::<M::Entity>(values)
    }

    /// From a record to the row as it is. Neither properties nor redacted values can be told from the
    /// row.
    pub(super) fn to_row<R, M>(before: &R::Model, after: &M) -> Self
    where
        R: RecordEntity,
        M: ModelTrait<Entity = R::Recording>,
    {
        let redacted = R::redacted();
        let is_told = |column: &R::Column| redacted.iter().all(|it| it.as_str() != column.as_str());
        let columns = R::columns()
            .into_iter()
            .filter(|(_, column)| is_told(column));
        let values =
            columns.map(|(source, column)| (column, before.get(column), after.get(source)));
        Self::of_values::<R>(values)
    }

    fn of_values<R: RecordEntity>(values: impl Iterator<Item = (R::Column, Value, Value)>) -> Self {
        let redacted = R::redacted();
        let changes = values.map(|(column, before, after)| Change {
            redacted: redacted.iter().any(|it| it.as_str() == column.as_str()),
            column: column.as_str(),
            before,
            after,
        });
        Self {
            entity: source_table_of::<R>(),
            changes: changes
                .filter(|change| !is_same(&change.before, &change.after))
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

    /// The change of a column of the record entity, or `None` if it did not change.
    pub fn change(&self, column: impl ColumnTrait) -> Option<&Change> {
        let name = column.as_str();
        self.changes.iter().find(|change| change.column == name)
    }

    /// The values of a column before and after, in their type, or `None` if it did not change.
    ///
    /// The type is that of the field in the record's model; an `Option` where that is one.
    ///
    /// # Errors
    ///
    /// [`RecordError::Type`], naming the column, for another type.
    ///
    /// ```
    /// # use sea_orm_record::{Diff, RecordError};
    /// # fn example<C: sea_orm::ColumnTrait>(diff: &Diff, title: C) -> Result<(), RecordError> {
    /// if let Some((before, after)) = diff.values::<String>(title)? {
    ///     println!("{} characters more", after.len() - before.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn values<T: ValueType>(
        &self,
        column: impl ColumnTrait,
    ) -> Result<Option<(T, T)>, RecordError> {
        let Some(change) = self.change(column) else {
            return Ok(None);
        };
        let typed = |value: &Value| {
            <T as ValueType>::try_from(value.clone()).map_err(|_| RecordError::Type {
                entity: self.entity.to_owned(),
                column: change.column.to_owned(),
                asked: T::type_name(),
            })
        };
        Ok(Some((typed(&change.before)?, typed(&change.after)?)))
    }

    /// The same for a terminal: in colours where standard output is one that shows them, which
    /// `NO_COLOR`, `CLICOLOR` and `TERM` have their say in, and as plain as the rest elsewhere.
    ///
    /// ```
    /// # fn example(diff: &sea_orm_record::Diff) {
    /// println!("{}", diff.colored());
    /// # }
    /// ```
    #[cfg(feature = "color")]
    pub fn colored(&self) -> impl fmt::Display + '_ {
        fmt::from_fn(|f| self.show(f, &Paint::of_stdout()))
    }

    /// A line for each change.
    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>, paint: &Paint) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("no change");
        }
        for (index, change) in self.changes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write_change(f, change, paint)?;
        }
        Ok(())
    }
}

/// As recording compares: JSON by its value, wherever its keys stand.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Json(a), Value::Json(b)) => a == b,
        _ => a == b,
    }
}

/// Recorded columns and properties, in the order of the table.
pub(super) fn value_columns<R: RecordEntity>() -> Vec<R::Column> {
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

impl Serialize for Diff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.changes.len()))?;
        for change in &self.changes {
            map.serialize_entry(change.column, &Sides(change))?;
        }
        map.end()
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("column", self.column)?;
        map.serialize_entry("before", &json(&self.before))?;
        map.serialize_entry("after", &json(&self.after))?;
        map.end()
    }
}

/// Columns of a record, as JSON.
pub(super) fn json_of<M: ModelTrait>(
    record: &M,
    columns: impl IntoIterator<Item = ColumnOf<M::Entity>>,
) -> serde_json::Map<String, serde_json::Value> {
    let columns = columns.into_iter();
    columns
        .map(|column| (column.as_str().to_owned(), json(&record.get(column))))
        .collect()
}

/// What is recorded of a row, as JSON.
pub(super) fn values_of<M>(record: &M) -> serde_json::Map<String, serde_json::Value>
where
    M: ModelTrait<Entity: RecordEntity>,
{
    json_of(record, value_columns::<M::Entity>())
}

/// The time of a record, as JSON has times.
pub(super) fn time_of<M: ModelTrait<Entity: RecordEntity>>(record: &M) -> serde_json::Value {
    let recorded_at = record.get(M::Entity::RECORDED_AT);
    match utc(recorded_at.clone()) {
        Some(at) => at.to_rfc3339().into(),
        None => json(&recorded_at),
    }
}

/// A change without its name.
struct Sides<'c>(&'c Change);

impl Serialize for Sides<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("before", &json(&self.0.before))?;
        map.serialize_entry("after", &json(&self.0.after))?;
        map.end()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f, &Paint::default())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_change(f, self, &Paint::default())
    }
}

/// What is written around the parts of a change; nothing by default.
#[derive(Default)]
pub(super) struct Paint {
    column: &'static str,
    before: &'static str,
    after: &'static str,
    end: &'static str,
}

#[cfg(feature = "color")]
impl Paint {
    /// Bold, red and green (ECMA-48, SGR).
    const COLORS: Self = Self {
        column: "\u{1b}[1m",
        before: "\u{1b}[31m",
        after: "\u{1b}[32m",
        end: "\u{1b}[0m",
    };

    pub(super) fn of_stdout() -> Self {
        match anstream::AutoStream::choice(&std::io::stdout()) {
            anstream::ColorChoice::Never => Self::default(),
            _ => Self::COLORS,
        }
    }
}

pub(super) fn write_change(
    f: &mut fmt::Formatter<'_>,
    change: &Change,
    paint: &Paint,
) -> fmt::Result {
    let Paint {
        column,
        before,
        after,
        end,
    } = paint;
    let name = change.column;
    if change.redacted {
        return write!(f, "{column}{name}{end}: redacted");
    }
    let (old, new) = both(&change.before, &change.after);
    write!(
        f,
        "{column}{name}{end}: {before}{old}{end} → {after}{new}{end}"
    )
}

/// Two values as a person reads them, of long texts what differs.
fn both(before: &Value, after: &Value) -> (String, String) {
    match (before, after) {
        (Value::String(Some(before)), Value::String(Some(after))) => differing(before, after),
        (before, after) => (shown(before), shown(after)),
    }
}

/// Characters of a text that are shown in any case.
const LONG: usize = 60;

/// Characters that are shown on either side of what differs in a long text.
const AROUND: usize = 20;

/// Two texts, cut to where they differ if one is long.
fn differing(before: &str, after: &str) -> (String, String) {
    let (a, b): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    if a.len() <= LONG && b.len() <= LONG {
        return (format!("{before:?}"), format!("{after:?}"));
    }
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rest = a.len().min(b.len()) - same;
    let pairs = a.iter().rev().zip(b.iter().rev());
    let same_end = pairs.take(rest).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(AROUND);
    let until = same_end.saturating_sub(AROUND);
    (cut(&a, from, until), cut(&b, from, until))
}

/// A text without so many characters at its start and at its end.
fn cut(text: &[char], start: usize, end: usize) -> String {
    let middle: String = text[start..text.len() - end].iter().collect();
    let mark = |cut: usize| if cut > 0 { "…" } else { "" };
    format!("{}{middle:?}{}", mark(start), mark(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_shown_where_it_differs() {
        let before = format!("{}one{}", "a".repeat(100), "z".repeat(100));
        let after = before.replace("one", "two or six");
        let (a, z) = ("a".repeat(20), "z".repeat(20));
        assert_eq!(
            differing(&before, &after),
            (
                format!("…\"{a}one{z}\"…"),
                format!("…\"{a}two or six{z}\"…")
            )
        );
        let (short, longer) = ("ä".repeat(60), "ä".repeat(61));
        assert_eq!(
            differing(&short, &longer),
            (
                format!("…\"{}\"", "ä".repeat(20)),
                format!("…\"{}\"", "ä".repeat(21))
            )
        );
        assert_eq!(differing("", "b"), ("\"\"".to_owned(), "\"b\"".to_owned()));
    }

    #[cfg(feature = "color")]
    #[test]
    fn colours_are_for_terminals_alone() {
        let change = Change {
            column: "words",
            before: 1.into(),
            after: 2.into(),
            redacted: false,
        };
        let diff = Diff {
            entity: "article",
            changes: vec![change],
        };
        let lines = |paint: Paint| fmt::from_fn(|f| diff.show(f, &paint)).to_string();
        assert_eq!(lines(Paint::default()), "words: 1 → 2");
        assert_eq!(
            lines(Paint::COLORS),
            "\u{1b}[1mwords\u{1b}[0m: \u{1b}[31m1\u{1b}[0m → \u{1b}[32m2\u{1b}[0m"
        );
    }
}
