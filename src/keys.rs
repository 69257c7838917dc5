//! The order of keys, and runs of them.

use std::cmp::Ordering;
use std::collections::HashSet;

use sea_orm::Value;

use crate::typed::Key;

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
        (Value::Unsigned(a), Value::Unsigned(b)) => a.cmp(b),
        (Value::BigUnsigned(a), Value::BigUnsigned(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => format!("{a:?}").cmp(&format!("{b:?}")),
    }
}

pub(crate) fn sorted(keys: HashSet<Key>) -> Vec<Key> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by(compare);
    keys
}

/// Whether no other key can stand between two: they are one integer each, and follow each other.
pub(crate) fn follow_each_other(a: &Key, b: &Key) -> bool {
    match (&a[..], &b[..]) {
        ([Value::Int(Some(a))], [Value::Int(Some(b))]) => a.checked_add(1) == Some(*b),
        ([Value::BigInt(Some(a))], [Value::BigInt(Some(b))]) => a.checked_add(1) == Some(*b),
        ([Value::Unsigned(Some(a))], [Value::Unsigned(Some(b))]) => a.checked_add(1) == Some(*b),
        ([Value::BigUnsigned(Some(a))], [Value::BigUnsigned(Some(b))]) => {
            a.checked_add(1) == Some(*b)
        }
        _ => false,
    }
}

/// Integer keys from a first to a last, without a gap.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) first: Value,
    pub(crate) last: Value,
}

impl Run {
    /// The run from one key to another.
    pub(crate) fn between(first: &Key, last: &Key) -> Option<Self> {
        Some(Self {
            first: first.first()?.clone(),
            last: last.first()?.clone(),
        })
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
}
