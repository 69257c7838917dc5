//! Conditions on keys, and reads of keys, for any entity.

use sea_orm::sea_query::{
    BinOper, Condition, Expr, ExprTrait, LockType, Order, Query, SelectStatement,
};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DbErr, EntityTrait, IdenStatic, Iterable,
    PrimaryKeyToColumn, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};

use crate::RecordEntity;
use crate::erased::Connection;
use crate::keys::{Key, untyped_key};
use crate::recorded::{ColumnOf, column_named};
use crate::write::list_length;

/// The columns of the primary key.
pub(crate) fn key_columns<E: EntityTrait>() -> Vec<E::Column> {
    let keys = E::PrimaryKey::iter();
    keys.map(PrimaryKeyToColumn::into_column).collect()
}

/// The columns of the primary key, in its order, each with the column that repeats it.
pub(crate) fn key_pairs<R: RecordEntity>() -> Vec<(ColumnOf<R::Recording>, R::Column)> {
    let pairs = R::key();
    let repeated = |key: ColumnOf<R::Recording>| {
        let mut pairs = pairs.iter();
        pairs
            .find(|(source, _)| source.as_str() == key.as_str())
            .copied()
    };
    key_columns::<R::Recording>()
        .into_iter()
        .filter_map(repeated)
        .collect()
}

/// Those that repeat it alone.
pub(crate) fn record_key<R: RecordEntity>() -> impl Iterator<Item = R::Column> {
    key_pairs::<R>().into_iter().map(|(_, column)| column)
}

/// The names of those.
pub(crate) fn record_key_names<R: RecordEntity>() -> Vec<String> {
    record_key::<R>()
        .map(|column| column.as_str().to_owned())
        .collect()
}

/// `columns` of `table`, as expressions.
pub(crate) fn table_columns(table: &str, columns: &[String]) -> Vec<Expr> {
    let column = |name: &String| Expr::col((table.to_owned(), name.to_owned()));
    columns.iter().map(column).collect()
}

/// Rows whose key comes after `after`, in lexicographic order.
pub(crate) fn beyond<E: EntityTrait>(after: &Key) -> Condition {
    beyond_columns(&key_columns::<E>(), after)
}

/// Rows whose `columns` come after `after`, in lexicographic order.
pub(crate) fn beyond_columns<C: ColumnTrait>(columns: &[C], after: &Key) -> Condition {
    following(columns, after, BinOper::GreaterThan)
}

/// The row whose `columns` are `place`, and those that come after it.
pub(crate) fn from_columns<C: ColumnTrait>(columns: &[C], place: &Key) -> Condition {
    following(columns, place, BinOper::GreaterThanOrEqual)
}

/// Said twice where there are several: PostgreSQL and SQLite seek by a comparison of rows, MariaDB by
/// one column after the other.
fn following<C: ColumnTrait>(columns: &[C], place: &Key, follows: BinOper) -> Condition {
    let stepwise = (0..columns.len()).fold(Condition::any(), |any, last| {
        let equal = (0..last).fold(Condition::all(), |all, index| {
            all.add(columns[index].eq(place[index].clone()))
        });
        let value = place[last].clone();
        let beyond = match (follows, last + 1 == columns.len()) {
            (BinOper::GreaterThanOrEqual, true) => columns[last].gte(value),
            _ => columns[last].gt(value),
        };
        any.add(equal.add(beyond))
    });
    if columns.len() < 2 {
        return stepwise;
    }
    let values = columns.iter().zip(place);
    let values = values.map(|(column, value)| column.save_as(Expr::val(value.clone())));
    let whole = Expr::tuple(
        columns
            .iter()
            .map(|column| Expr::col(column.as_column_ref())),
    );
    Condition::all()
        .add(whole.binary(follows, Expr::tuple(values)))
        .add(stepwise)
}

/// Whether a row has one of these keys.
pub(crate) fn has_key<E: EntityTrait>(keys: &[Key]) -> Expr {
    have::<E>(&key_columns::<E>(), keys)
}

/// Whether these columns of a row together are one of `links`.
pub(crate) fn have<E: EntityTrait>(columns: &[E::Column], links: &[Key]) -> Expr {
    let places = columns.iter().map(|it| Expr::col((E::default(), *it)));
    are_among(places.collect(), links, |at, value| {
        columns[at].save_as(value)
    })
}

/// Whether `places`, which stand for these columns of an entity, together are one of `links`.
pub(crate) type Among = fn(places: Vec<Expr>, columns: &[String], links: &[Key]) -> Expr;

/// [`Among`] for `E`: values are written as SeaORM saves them, in a native enum's type for example.
pub(crate) fn among<E: EntityTrait>(places: Vec<Expr>, columns: &[String], links: &[Key]) -> Expr {
    let columns: Vec<_> = columns.iter().map(|it| column_named::<E>(it)).collect();
    are_among(places, links, |at, value| match columns[at] {
        Some(column) => column.save_as(value),
        None => value,
    })
}

fn are_among(mut places: Vec<Expr>, links: &[Key], write: impl Fn(usize, Expr) -> Expr) -> Expr {
    // What is over repeats the last.
    let over = list_length(links.len()) - links.len();
    let links = links
        .iter()
        .chain(links.last().into_iter().cycle().take(over));
    let cells = |link: &Key| {
        let cells = link.iter().cloned().map(Expr::val).enumerate();
        cells
            .map(|(at, value)| write(at, value))
            .collect::<Vec<_>>()
    };
    match places.len() {
        1 => places.remove(0).is_in(links.flat_map(cells)),
        _ => Expr::tuple(places).is_in(links.map(|link| Expr::tuple(cells(link)))),
    }
}

/// The rows with these keys.
pub(crate) async fn find_models<E: EntityTrait>(
    conn: Connection<'_>,
    keys: &[Key],
) -> Result<Vec<E::Model>, DbErr> {
    E::find().filter(has_key::<E>(keys)).all(&conn).await
}

/// In the order of keys, which is that of all locks.
pub(crate) fn by_key<E: EntityTrait>(select: Select<E>) -> Select<E> {
    let keys = key_columns::<E>().into_iter();
    keys.fold(select, |select, key| select.order_by(key, Order::Asc))
}

/// What a select finds, locked.
pub(crate) async fn lock_models<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
    lock: LockType,
) -> Result<Vec<E::Model>, DbErr> {
    by_key(select).lock(lock).all(&conn).await
}

/// The keys of what a select finds, locked.
pub(crate) async fn lock_keys<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
    lock: LockType,
) -> Result<Vec<Key>, DbErr> {
    find_keys(conn, by_key(select).lock(lock)).await
}

/// The keys of what a select finds.
pub(crate) async fn find_keys<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
) -> Result<Vec<Key>, DbErr> {
    let keys = key_columns::<E>();
    let columns = keys.iter();
    let select = columns.fold(select.select_only(), |select, key| select.column(*key));
    read_keys::<E>(conn, &select.into_query(), &keys).await
}

/// The first and the last key of a page, and how many rows it has.
pub(crate) struct Ends {
    pub(crate) first: Key,
    pub(crate) last: Key,
    pub(crate) rows: u64,
}

/// The ends of what a select finds, without the rows between: a million keys take a second to bring.
/// Of integers alone, of which every database knows the least and the greatest.
pub(crate) async fn find_ends<E: EntityTrait>(
    conn: Connection<'_>,
    select: Select<E>,
    lock: Option<LockType>,
    key: E::Column,
) -> Result<Option<Ends>, DbErr> {
    let mut page = by_key(select).select_only().column(key).into_query();
    if let Some(lock) = lock {
        page.lock(lock);
    }
    let ends = Query::select()
        .expr_as(Expr::col(key).min(), "first_key")
        .expr_as(Expr::col(key).max(), "last_key")
        .expr_as(Expr::cust("COUNT(*)"), "rows_there")
        .from_subquery(page, "page")
        .take();
    let Some(row) = conn.query_one(&ends).await? else {
        return Ok(None);
    };
    let rows = row.try_get::<i64>("", "rows_there")?.unsigned_abs();
    if rows == 0 {
        return Ok(None);
    }
    let key = |name: &str| row.try_get_many("", &[name.to_owned()]);
    Ok(Some(Ends {
        first: untyped_key::<E>(key("first_key")?),
        last: untyped_key::<E>(key("last_key")?),
        rows,
    }))
}

pub(crate) fn is_integer(ty: &ColumnType) -> bool {
    use ColumnType::{
        BigInteger, BigUnsigned, Integer, SmallInteger, SmallUnsigned, TinyInteger, TinyUnsigned,
        Unsigned,
    };
    matches!(
        ty,
        TinyInteger
            | SmallInteger
            | Integer
            | BigInteger
            | TinyUnsigned
            | SmallUnsigned
            | Unsigned
            | BigUnsigned
    )
}

/// Keys of `E`, as a statement finds them in `columns`.
pub(crate) async fn read_keys<E: EntityTrait>(
    conn: Connection<'_>,
    select: &SelectStatement,
    columns: &[impl IdenStatic],
) -> Result<Vec<Key>, DbErr> {
    let names: Vec<_> = columns.iter().map(|key| key.as_str().to_owned()).collect();
    let rows = conn.query_all(select).await?;
    let keys = rows.iter().map(|row| row.try_get_many("", &names));
    keys.map(|key| key.map(untyped_key::<E>)).collect()
}
