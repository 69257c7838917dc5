//! A page of rows in one: how SQLite hands over many models.
//!
//! sqlx reads SQLite in a thread of its own, and sends each row by itself with each value in memory of
//! its own; that costs several times what reading does. So a page of a long walk comes as one row,
//! which has a JSON array for each column, and its models are made after one of another page. Only of
//! columns that JSON says exactly. Where anything is not as expected there is no answer, and
//! the page is read as SeaORM reads it, whose error it then is.

use sea_orm::sea_query::{Alias, Expr, Func, Query};
use sea_orm::{
    ConnectionTrait, EntityTrait, IdenStatic, Iterable, ModelTrait, QueryTrait, Select, Value,
};
use serde_json::Value as Json;

use crate::erased::Connection;
use crate::keys::{Key, compare, key_of};

/// The models of a page; `like` is one of another page, which there is where rows are packed.
pub(super) async fn models<E: EntityTrait>(
    conn: Connection<'_>,
    page: &Select<E>,
    like: &E::Model,
) -> Option<Vec<E::Model>> {
    let kinds: Vec<(E::Column, Value)> = E::Column::iter()
        .map(|column| (column, like.get(column)))
        .collect();
    if !kinds.iter().all(|(_, kind)| is_exact(kind)) {
        return None;
    }
    let mut packed = Query::select();
    for (column, _) in &kinds {
        let column = Alias::new(column.as_str());
        let array = Func::cust("json_group_array").arg(Expr::col(column.clone()));
        packed.expr_as(array, column);
    }
    packed.from_subquery(page.clone().into_query(), "page");
    let row = conn.query_one(&packed).await.ok()??;
    let mut models = Vec::new();
    for (column, kind) in kinds {
        let cells: String = row.try_get("", column.as_str()).ok()?;
        let cells: Vec<Json> = serde_json::from_str(&cells).ok()?;
        models.resize(cells.len(), like.clone());
        for (model, cell) in models.iter_mut().zip(cells) {
            model.try_set(column, value(&kind, cell)?).ok()?;
        }
    }
    // The arrays have the order of the page, though nothing says that they must.
    let keys: Vec<Key> = models.iter().map(key_of).collect();
    let in_order = keys.is_sorted_by(|a, b| compare(a, b).is_lt());
    in_order.then_some(models)
}

/// Whether JSON says values of this kind as they are.
fn is_exact(kind: &Value) -> bool {
    matches!(
        kind,
        Value::Bool(_)
            | Value::TinyInt(_)
            | Value::SmallInt(_)
            | Value::Int(_)
            | Value::BigInt(_)
            | Value::TinyUnsigned(_)
            | Value::SmallUnsigned(_)
            | Value::Unsigned(_)
            | Value::String(_)
    )
}

/// A cell as a value of this kind.
fn value(kind: &Value, cell: Json) -> Option<Value> {
    let number = match cell {
        Json::Null => return Some(kind.as_null()),
        Json::String(text) => {
            return matches!(kind, Value::String(_)).then_some(Value::String(Some(text)));
        }
        cell => cell.as_i64()?,
    };
    Some(match kind {
        Value::Bool(_) => Value::Bool(Some(number != 0)),
        Value::TinyInt(_) => Value::TinyInt(Some(number.try_into().ok()?)),
        Value::SmallInt(_) => Value::SmallInt(Some(number.try_into().ok()?)),
        Value::Int(_) => Value::Int(Some(number.try_into().ok()?)),
        Value::BigInt(_) => Value::BigInt(Some(number)),
        Value::TinyUnsigned(_) => Value::TinyUnsigned(Some(number.try_into().ok()?)),
        Value::SmallUnsigned(_) => Value::SmallUnsigned(Some(number.try_into().ok()?)),
        Value::Unsigned(_) => Value::Unsigned(Some(number.try_into().ok()?)),
        _ => return None,
    })
}
