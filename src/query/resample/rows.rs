//! The rows that buckets are of.

use std::cmp::Ordering;

use sea_orm::sea_query::{Alias, ArrayType, Expr, ExprTrait, SelectStatement};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, IdenStatic, ModelTrait, QueryResult, Value};
use serde::ser::{Serialize, Serializer};

use crate::RecordEntity;
use crate::by_keys::{key_columns, record_key, record_key_names};
use crate::keys::{Key, KeyOfEntity, is_null, untyped_key};
use crate::query::json::json;
use crate::query::{key_of, nothing, own};

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

    /// The key that filters name, in the types that it has; none where they do not fit.
    pub(super) fn given<R: RecordEntity>(values: Key) -> Option<Self> {
        let columns = key_columns::<R::Recording>().into_iter();
        let values = columns.zip(values).map(|(column, value)| {
            let ty = <R::Recording as EntityTrait>::Model::get_value_type(column);
            typed(value, &ty)
        });
        values.collect::<Option<_>>().map(Self::new)
    }

    pub(super) fn into_values(self) -> Key {
        self.values
    }

    /// The key in a row that a query found, under the names of the record's columns.
    pub(super) fn read<R: RecordEntity>(row: &QueryResult) -> Result<Self, DbErr> {
        let names = record_key_names::<R>();
        let key: KeyOfEntity<R::Recording> = row.try_get_many("", &names)?;
        Ok(Self::new(untyped_key::<R::Recording>(key)))
    }

    pub(super) fn of<R: RecordEntity>(record: &R::Model) -> Self {
        Self::new(key_of::<R>(record))
    }
}

/// Selects the key, so that [`RowKey::read`] finds it.
pub(super) fn select_keys<R: RecordEntity>(query: &mut SelectStatement) {
    for key in record_key::<R>() {
        query.expr_as(key.select_as(own::<R>(key)), key.as_str());
    }
}

/// Whether a record is of the row whose key another table has, as [`select_keys`] selected it.
pub(super) fn has_key_in<R: RecordEntity>(table: &'static str) -> Expr {
    let same = record_key::<R>().map(|key| {
        let selected = Expr::col((table, Alias::new(key.as_str())));
        own::<R>(key).eq(key.save_as(selected))
    });
    same.reduce(Expr::and).unwrap_or_else(nothing)
}

/// A value of this type; an integer is as good in another width.
fn typed(value: Value, ty: &ArrayType) -> Option<Value> {
    if is_null(&value) {
        return None;
    }
    if value.array_type() == *ty {
        return Some(value);
    }
    let Place::Integer(n) = place(&value) else {
        return None;
    };
    Some(match ty {
        ArrayType::TinyInt => i8::try_from(n).ok()?.into(),
        ArrayType::SmallInt => i16::try_from(n).ok()?.into(),
        ArrayType::Int => i32::try_from(n).ok()?.into(),
        ArrayType::BigInt => i64::try_from(n).ok()?.into(),
        ArrayType::TinyUnsigned => u8::try_from(n).ok()?.into(),
        ArrayType::SmallUnsigned => u16::try_from(n).ok()?.into(),
        ArrayType::Unsigned => u32::try_from(n).ok()?.into(),
        ArrayType::BigUnsigned => u64::try_from(n).ok()?.into(),
        _ => return None,
    })
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
        match self.values.as_slice() {
            [one] => json(one).serialize(serializer),
            several => serializer.collect_seq(several.iter().map(json)),
        }
    }
}
