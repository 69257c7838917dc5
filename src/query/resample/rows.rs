//! The rows that buckets are of.

use std::cmp::Ordering;

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ColumnTrait, DbErr, IdenStatic, QueryResult, Value};
use serde::ser::{Serialize, Serializer};

use crate::RecordEntity;
use crate::bulk::{KeyOfEntity, untyped_key};
use crate::query::own;
use crate::typed::{Key, key_columns};

/// The key of a row, in an order that is the same for every database: numbers by their size, text by
/// its bytes. The empty one stands for all rows.
#[derive(Clone, Debug, Default)]
pub(super) struct RowKey {
    values: Key,
    places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Integer(i128),
    Bytes(Vec<u8>),
    Text(String),
}

impl RowKey {
    pub(super) fn new(values: Key) -> Self {
        let places = values.iter().map(place).collect();
        Self { values, places }
    }

    pub(super) fn into_values(self) -> Key {
        self.values
    }

    /// The key in a row that a query found, under the names of the record's columns.
    pub(super) fn read<R: RecordEntity>(row: &QueryResult) -> Result<Self, DbErr> {
        let names: Vec<_> = keys::<R>().map(|key| key.as_str().to_owned()).collect();
        let key: KeyOfEntity<R::Recording> = row.try_get_many("", &names)?;
        Ok(Self::new(untyped_key::<R::Recording>(key)))
    }

    pub(super) fn of<R: RecordEntity>(record: &R::Model) -> Self {
        use sea_orm::ModelTrait;
        Self::new(keys::<R>().map(|key| record.get(key)).collect())
    }
}

/// The columns that repeat the key, in the order of the primary key.
pub(super) fn keys<R: RecordEntity>() -> impl Iterator<Item = R::Column> {
    let pairs = R::key();
    let columns = key_columns::<R::Recording>().into_iter();
    columns.filter_map(move |key| {
        let mut pairs = pairs.iter();
        let pair = pairs.find(|(source, _)| source.as_str() == key.as_str());
        pair.map(|(_, column)| *column)
    })
}

/// Selects the key, so that [`RowKey::read`] finds it.
pub(super) fn select_keys<R: RecordEntity>(query: &mut SelectStatement) {
    for key in keys::<R>() {
        query.expr_as(key.select_as(own::<R>(key)), key.as_str());
    }
}

fn place(value: &Value) -> Place {
    let integer = |n: i128| Place::Integer(n);
    match value {
        Value::TinyInt(Some(n)) => integer((*n).into()),
        Value::SmallInt(Some(n)) => integer((*n).into()),
        Value::Int(Some(n)) => integer((*n).into()),
        Value::BigInt(Some(n)) => integer((*n).into()),
        Value::TinyUnsigned(Some(n)) => integer((*n).into()),
        Value::SmallUnsigned(Some(n)) => integer((*n).into()),
        Value::Unsigned(Some(n)) => integer((*n).into()),
        Value::BigUnsigned(Some(n)) => integer((*n).into()),
        Value::Bytes(Some(bytes)) => Place::Bytes(bytes.clone()),
        Value::String(Some(text)) => Place::Text(text.to_string()),
        Value::Uuid(Some(uuid)) => Place::Bytes(uuid.as_bytes().to_vec()),
        other => Place::Text(other.to_string()),
    }
}

impl PartialEq for RowKey {
    fn eq(&self, other: &Self) -> bool {
        self.places == other.places
    }
}

impl Eq for RowKey {}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RowKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.places.cmp(&other.places)
    }
}

impl Serialize for RowKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use sea_orm::sea_query::sea_value_to_json_value;
        let json = |value: &Value| match value {
            Value::Bytes(Some(bytes)) => bytes.clone().into(),
            other => sea_value_to_json_value(other),
        };
        match self.values.as_slice() {
            [one] => json(one).serialize(serializer),
            several => serializer.collect_seq(several.iter().map(json)),
        }
    }
}
