//! Keys: their values, their order, and runs of them.

use std::cmp::Ordering;
use std::collections::HashSet;

use sea_orm::{EntityTrait, Iterable, ModelTrait, PrimaryKeyToColumn, PrimaryKeyTrait, Value};

use crate::recorder::value_of;

/// The values of a key or of link columns, in their order.
pub(crate) type Key = Vec<Value>;

/// The primary key of a row.
pub(crate) fn key_of<M: ModelTrait>(model: &M) -> Key {
    let keys = <M::Entity as EntityTrait>::PrimaryKey::iter();
    keys.map(|key| model.get(key.into_column())).collect()
}

/// The values of link columns, unless one is NULL.
pub(crate) fn link_of<M: ModelTrait>(model: &M, columns: &[String]) -> Option<Key> {
    let values = columns.iter().map(|column| value_of(model, column));
    values
        .map(|value| value.filter(|value| !is_null(value)))
        .collect()
}

pub(crate) fn is_null(value: &Value) -> bool {
    *value == value.as_null()
}

/// The type of an entity's primary key.
pub(crate) type KeyOfEntity<E> = <<E as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

/// A key as its entity has it.
pub(crate) fn typed_key<E: EntityTrait>(key: Key) -> KeyOfEntity<E> {
    use sea_orm::sea_query::{FromValueTuple, ValueTuple};
    let mut values = key.into_iter();
    KeyOfEntity::<E>::from_value_tuple(
        match (values.next(), values.next(), values.next(), values.len()) {
            (Some(a), None, ..) => ValueTuple::One(a),
            (Some(a), Some(b), None, _) => ValueTuple::Two(a, b),
            (Some(a), Some(b), Some(c), 0) => ValueTuple::Three(a, b, c),
            (a, b, c, _) => {
                ValueTuple::Many([a, b, c].into_iter().flatten().chain(values).collect())
            }
        },
    )
}

/// A key as the engine has it.
pub(crate) fn untyped_key<E: EntityTrait>(key: KeyOfEntity<E>) -> Key {
    use sea_orm::sea_query::IntoValueTuple;
    key.into_value_tuple().into_iter().collect()
}

/// One order for all writers, so that none locks against another's order.
pub(crate) fn compare(a: &Key, b: &Key) -> Ordering {
    let pairs = a.iter().zip(b);
    pairs
        .map(|(a, b)| compare_values(a, b))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::BigInt(a), Value::BigInt(b)) => a.cmp(b),
        (Value::SmallInt(a), Value::SmallInt(b)) => a.cmp(b),
        (Value::TinyInt(a), Value::TinyInt(b)) => a.cmp(b),
        (Value::TinyUnsigned(a), Value::TinyUnsigned(b)) => a.cmp(b),
        (Value::SmallUnsigned(a), Value::SmallUnsigned(b)) => a.cmp(b),
        (Value::Unsigned(a), Value::Unsigned(b)) => a.cmp(b),
        (Value::BigUnsigned(a), Value::BigUnsigned(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        // However many digits follow the point, or whatever the offset.
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::ChronoDateTimeWithTimeZone(a), Value::ChronoDateTimeWithTimeZone(b)) => a.cmp(b),
        _ => format!("{a:?}").cmp(&format!("{b:?}")),
    }
}

pub(crate) fn sorted(keys: HashSet<Key>) -> Vec<Key> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by(compare);
    keys
}

/// The integer key so far after another; none beyond the ends of its type, and for other keys.
pub(crate) fn ahead(key: &Value, by: i64) -> Option<Value> {
    match key {
        Value::Int(Some(key)) => Some(key.checked_add(by.try_into().ok()?)?.into()),
        Value::BigInt(Some(key)) => Some(key.checked_add(by)?.into()),
        Value::Unsigned(Some(key)) => Some(key.checked_add(by.try_into().ok()?)?.into()),
        Value::BigUnsigned(Some(key)) => Some(key.checked_add(by.try_into().ok()?)?.into()),
        _ => None,
    }
}

/// The first and the last of integer keys, which every database puts in this order.
pub(crate) fn ends<'k>(keys: impl Iterator<Item = &'k Key> + Clone) -> Option<[Value; 2]> {
    let is_integer = |key: &Key| matches!(&key[..], [key] if ahead(key, 0).is_some());
    if !keys.clone().all(is_integer) {
        return None;
    }
    let first = keys.clone().min_by(|a, b| compare(a, b))?.first()?;
    let last = keys.max_by(|a, b| compare(a, b))?.first()?;
    Some([first.clone(), last.clone()])
}

/// Whether no other key can stand between two: they are one integer each, and follow each other.
pub(crate) fn follow_each_other(a: &Key, b: &Key) -> bool {
    match (&a[..], &b[..]) {
        ([a], [b]) => ahead(a, 1).is_some_and(|next| next == *b),
        _ => false,
    }
}

/// Integer keys without a gap: enough of them to be worth a question of their own.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    first: Value,
    last: Value,
    length: usize,
}

impl Run {
    /// Fewer keys are no run.
    const LEAST: usize = 16;

    pub(crate) fn of(keys: &[Key]) -> Option<Self> {
        let follows = |pair: &[Key]| follow_each_other(&pair[0], &pair[1]);
        let is_run = keys.len() >= Self::LEAST && keys.windows(2).all(follows);
        let (first, last) = (keys.first()?.first()?, keys.last()?.first()?);
        is_run.then(|| Self {
            first: first.clone(),
            last: last.clone(),
            length: keys.len(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The first and the last key.
    pub(crate) fn ends(&self) -> [Value; 2] {
        [self.first.clone(), self.last.clone()]
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> {
        let key = |by| ahead(&self.first, i64::try_from(by).ok()?).map(|key| vec![key]);
        (0..self.length).filter_map(key)
    }

    /// The same keys in runs of so many, the last of which may be short.
    pub(crate) fn pieces(&self, most: usize) -> impl Iterator<Item = Self> {
        (0..self.length).step_by(most).filter_map(move |from| {
            let length = most.min(self.length - from);
            let first = ahead(&self.first, i64::try_from(from).ok()?)?;
            let last = ahead(&first, i64::try_from(length - 1).ok()?)?;
            Some(Self {
                first,
                last,
                length,
            })
        })
    }

    pub(crate) fn is_followed_by(&self, next: &Self) -> bool {
        ahead(&self.last, 1).is_some_and(|key| key == next.first)
    }

    pub(crate) fn append(&mut self, next: &Self) {
        self.last = next.last.clone();
        self.length += next.length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_one_apart_follow_each_other() {
        let one = |value: Value| vec![value];
        assert!(follow_each_other(&one(1.into()), &one(2.into())));
        assert!(!follow_each_other(&one(1.into()), &one(3.into())));
        assert!(!follow_each_other(&one(2.into()), &one(1.into())));
        assert!(!follow_each_other(
            &one(i32::MAX.into()),
            &one(i32::MIN.into())
        ));
        assert!(!follow_each_other(&one("a".into()), &one("b".into())));
        assert!(!follow_each_other(
            &vec![1.into(), 1.into()],
            &vec![1.into(), 2.into()]
        ));
    }

    #[test]
    fn keys_that_are_equal_compare_so_and_numbers_by_their_size() {
        let one = |text: &str| vec![Value::Decimal(text.parse().ok())];
        assert_eq!(compare(&one("1"), &one("1.00")), Ordering::Equal);
        assert_eq!(compare(&one("9.5"), &one("10")), Ordering::Less);
        let key = |n: i8| vec![n.into()];
        assert_eq!(compare(&key(9), &key(10)), Ordering::Less);
        let at = |text: &str| {
            let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
            vec![at.into()]
        };
        let (utc, there) = (at("2024-01-01T00:00:00Z"), at("2024-01-01T02:00:00+02:00"));
        assert_eq!(compare(&utc, &there), Ordering::Equal);
    }

    #[test]
    fn a_run_is_its_keys_and_so_are_its_pieces() {
        let keys: Vec<Key> = (i32::MAX - 19..=i32::MAX).map(|n| vec![n.into()]).collect();
        let run = Run::of(&keys).unwrap();
        assert_eq!(run.keys().collect::<Vec<_>>(), keys);
        let pieces: Vec<_> = run.pieces(7).collect();
        assert_eq!(pieces.iter().map(Run::len).collect::<Vec<_>>(), [7, 7, 6]);
        assert_eq!(pieces.iter().flat_map(Run::keys).collect::<Vec<_>>(), keys);
        assert_eq!(pieces[2].ends()[1], Value::from(i32::MAX));
        let mut joined = pieces[0].clone();
        assert!(joined.is_followed_by(&pieces[1]) && !joined.is_followed_by(&pieces[2]));
        joined.append(&pieces[1]);
        assert_eq!(joined.keys().collect::<Vec<_>>(), keys[..14]);
        assert!(!pieces[2].is_followed_by(&pieces[0]));
    }

    #[test]
    fn few_keys_and_keys_with_gaps_are_no_run() {
        let keys = |numbers: Vec<i64>| -> Vec<Key> {
            numbers.into_iter().map(|n| vec![n.into()]).collect()
        };
        assert!(Run::of(&keys((0..16).collect())).is_some());
        assert!(Run::of(&keys((0..15).collect())).is_none());
        assert!(Run::of(&keys((0..16).chain(17..40).collect())).is_none());
        assert!(Run::of(&[]).is_none());
    }
}
