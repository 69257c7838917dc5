//! What held at a moment.
//!
//! The table of a `Select` is replaced by a derived table under the same name, which holds the one
//! record of each row that was in force: filters, joins and orders of the user's then see that
//! state, whether they were added before or after. How the derived table finds its records depends
//! on the database, so the query is finished when it is executed.
//!
//! - PostgreSQL and SQLite find the keys by recursion, a seek in the index of the primary key for
//!   each, and each key's record by another. PostgreSQL finds both at once where no filter names
//!   the key; the index entries of later records are then stepped over.
//! - MySQL and MariaDB do the same for a GROUP BY by themselves, and cut recursion short.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, JoinType, Query, SelectStatement, UnionType, WithClause,
};
use sea_orm::{
    ConnectionTrait, DbErr, IdenStatic, Identity, Iterable, Order, QueryTrait, Related,
    RelationDef, Select, SelectTwo,
};

use super::late::{builds_on_select, executes_its_select};
use super::{held, held_as, keys, nothing, own, source_table_of, table_of, unordered};
use crate::dialect::Dialect;
use crate::recorded::{ColumnOf, column_named};
use crate::{Event, RecordEntity, RecordError, Recorded};

/// The keys of the rows that are looked at.
const KEYS: &str = "as_of_keys";

/// The record of each key.
const STATE: &str = "as_of_state";

/// A query of the records that held at a moment, one of each row; see
/// [`RecordQuery::as_of`](super::RecordQuery::as_of).
///
/// It filters, orders and limits as a `Select` does, and a filter is about what held: a row that
/// was called `a` before and `b` at the moment is not found by `a`. What else SeaORM has for a
/// `Select` is had from [`into_select`](Self::into_select).
///
/// It seeks in the index of the primary key for each row that was ever recorded, rather than read
/// the histories; where filters name the key, for the rows alone that they select.
///
/// ```
/// # use sea_orm::entity::prelude::*;
/// # use sea_orm_record::prelude::*;
/// # async fn example<E>(db: &DatabaseConnection, monday: DateTimeUtc) -> Result<(), DbErr>
/// # where E: Recorded, <E::Record as EntityTrait>::Model: Sync {
/// let then = E::as_of(monday).all(db).await?;
/// let how_many = E::as_of(monday).with_deleted().count(db).await?;
/// let as_json = E::as_of(monday).into_select(db).into_json().all(db).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct AsOf<R: RecordEntity> {
    select: Select<R>,
    at: DateTime<Utc>,
    with_deleted: bool,
}

impl<R: RecordEntity> AsOf<R> {
    pub(super) fn new(select: Select<R>, at: DateTime<Utc>) -> Self {
        Self {
            select,
            at,
            with_deleted: false,
        }
    }

    /// Keeps rows that were deleted by then, as the records that say so. Default: they are left
    /// out.
    pub fn with_deleted(mut self) -> Self {
        self.with_deleted = true;
        self
    }

    /// Joins what held at the same moment in a related entity that is recorded too.
    ///
    /// It goes by SeaORM's relation of the two entities, over the values that were recorded: a row
    /// is found together with what it was related to then. As in SeaORM's `find_also_related`,
    /// rows without any come with `None`.
    ///
    /// ```
    /// # use sea_orm::entity::prelude::*;
    /// # use sea_orm_record::prelude::*;
    /// # async fn example<A, T>(topic: T, db: &DatabaseConnection, monday: DateTimeUtc) -> Result<(), DbErr>
    /// # where A: Recorded + Related<T>, T: Recorded {
    /// for (article, topic) in A::as_of(monday).find_also(topic).all(db).await? {
    ///     println!("{article:?} in {topic:?}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_also<T>(self, related: T) -> AsOfTwo<R, T::Record>
    where
        T: Recorded,
        R::Recording: Related<T>,
    {
        let _ = related;
        let relation = match <R::Recording as Related<T>>::via() {
            None => Some(<R::Recording as Related<T>>::to()),
            Some(_) => None,
        };
        AsOfTwo {
            select: self.select.clone().select_also(T::Record::default()),
            left: self,
            relation,
        }
    }

    /// The query as a `Select` for the database of this connection.
    pub fn into_select<C: ConnectionTrait>(self, db: &C) -> Select<R> {
        let rows = self.rows(Dialect::of(db));
        let mut select = self.select;
        stand_in::<R>(QueryTrait::query(&mut select), rows);
        select
    }

    fn rows(&self, dialect: Dialect) -> SelectStatement {
        let among = among(dialect, &self.select);
        rows::<R>(dialect, self.at, self.with_deleted, among)
    }
}

/// Columns of two entities that are equal where they are related.
type Pairs<R, S> = Vec<(ColumnOf<R>, ColumnOf<S>)>;

/// Two entities as they were at one moment; see [`AsOf::find_also`].
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct AsOfTwo<R: RecordEntity, S: RecordEntity> {
    left: AsOf<R>,
    select: SelectTwo<R, S>,
    /// None where the two meet in a third table.
    relation: Option<RelationDef>,
}

impl<R: RecordEntity, S: RecordEntity> AsOfTwo<R, S> {
    /// The query as SeaORM's, for the database of this connection.
    ///
    /// # Errors
    ///
    /// [`RecordError::Plan`] where the relation goes through a junction, or over a column that is
    /// not recorded, which it names.
    pub fn into_select<C: ConnectionTrait>(self, db: &C) -> Result<SelectTwo<R, S>, RecordError> {
        let dialect = Dialect::of(db);
        let pairs = self.pairs()?;
        let at = self.left.at;
        let mut select = self.select;
        let query = QueryTrait::query(&mut select);
        stand_in::<R>(query, self.left.rows(dialect));
        if has_whole_key::<R, S>(&pairs) {
            join_by_key::<R, S>(query, dialect, at, &pairs);
        } else {
            let related = rows::<S>(dialect, at, false, None);
            let condition = tied::<R, S>(&pairs);
            query.join_subquery(JoinType::LeftJoin, related, table_of::<S>(), condition);
        }
        Ok(select)
    }

    /// The records, each with the related one.
    ///
    /// # Errors
    ///
    /// Those of [`into_select`](Self::into_select), within a `DbErr`, and the database's.
    pub async fn all<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> Result<Vec<(R::Model, Option<S::Model>)>, DbErr> {
        self.into_select(db)?.all(db).await
    }

    /// The first of them, if there is any.
    ///
    /// # Errors
    ///
    /// Those of [`all`](Self::all).
    pub async fn one<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> Result<Option<(R::Model, Option<S::Model>)>, DbErr> {
        self.into_select(db)?.one(db).await
    }

    /// The recorded columns that tie the two.
    fn pairs(&self) -> Result<Pairs<R, S>, RecordError> {
        let Some(relation) = &self.relation else {
            let problem = format!(
                "it meets `{}` in a junction; ask for the past of the junction, and join that",
                source_table_of::<S>()
            );
            return Err(RecordError::plan(source_table_of::<R>(), problem));
        };
        let pairs = names(&relation.from_col)
            .into_iter()
            .zip(names(&relation.to_col));
        pairs
            .map(|(from, to)| Ok((recorded::<R>(&from)?, recorded::<S>(&to)?)))
            .collect()
    }
}

/// Whether the related row is named by its key.
fn has_whole_key<R: RecordEntity, S: RecordEntity>(pairs: &[(R::Column, S::Column)]) -> bool {
    keys::<S>().all(|key| {
        let mut to = pairs.iter().map(|(_, to)| to.as_str());
        to.any(|to| to == key.as_str())
    })
}

fn tied<R: RecordEntity, S: RecordEntity>(pairs: &[(R::Column, S::Column)]) -> Expr {
    let same = pairs
        .iter()
        .map(|(from, to)| own::<R>(*from).eq(own::<S>(*to)));
    same.reduce(Expr::and).unwrap_or_else(nothing)
}

/// Joins what held of each related row, found by its key: a seek for each, where the state of all
/// related rows would be a seek for every row that there ever was.
fn join_by_key<R: RecordEntity, S: RecordEntity>(
    query: &mut SelectStatement,
    dialect: Dialect,
    at: DateTime<Utc>,
    pairs: &[(R::Column, S::Column)],
) {
    let held = || held_as::<S>(STATE, at);
    let mut last = Query::select();
    last.from_as(S::default().table_ref(), STATE)
        .and_where(held())
        .order_by_expr(Expr::col((STATE, S::RECORDED_AT)), Order::Desc)
        .limit(1);
    for (from, to) in pairs {
        last.and_where(Expr::col((STATE, *to)).eq(own::<R>(*from)));
    }
    let lives = own::<S>(S::EVENT).ne(Event::Deleted.as_str());
    if dialect.has_lateral() {
        last.expr(Expr::cust("*"));
        query.join_lateral(JoinType::LeftJoin, last, table_of::<S>(), lives);
        return;
    }
    last.expr(Expr::col((STATE, S::RECORDED_AT)));
    let last = Expr::SubQuery(None, Box::new(last.into()));
    let is_last = own::<S>(S::RECORDED_AT).eq(last);
    let on = tied::<R, S>(pairs).and(is_last).and(lives);
    query.join(JoinType::LeftJoin, S::default().table_ref(), on);
}

builds_on_select!(AsOf<R>);
builds_on_select!(AsOfTwo<R, S>);
executes_its_select!(AsOf);

fn names(identity: &Identity) -> Vec<String> {
    identity.iter().map(ToString::to_string).collect()
}

/// The column of a record that repeats one of the source.
fn recorded<R: RecordEntity>(source: &str) -> Result<R::Column, RecordError> {
    let pairs = R::key().into_iter().chain(R::columns());
    let mut same = pairs.filter(|(column, _)| column.as_str() == source);
    same.next().map(|(_, column)| column).ok_or_else(|| {
        let problem = format!(
            "`{source}` ties it to others, and is not recorded; list it in `#[recorded(columns(…))]`"
        );
        RecordError::plan(source_table_of::<R>(), problem)
    })
}

/// Puts `rows` where the record table stands, under its name.
pub(super) fn stand_in<R: RecordEntity>(query: &mut SelectStatement, rows: SelectStatement) {
    query.from_clear().from_subquery(rows, table_of::<R>());
}

/// The rows that a select is about, where that narrows them down: its filters name the key, and
/// nothing but columns of the record.
///
/// Filters on values alone would have to be tried on all records, where each row's one is enough.
pub(super) fn among<R: RecordEntity>(
    dialect: Dialect,
    select: &Select<R>,
) -> Option<SelectStatement> {
    let mut filtered = unordered(select.clone()).into_query();
    filtered.clear_selects().reset_limit().reset_offset();
    filtered.clear_group_by().clear_having();
    let entity = R::default();
    let keys = R::key().into_iter().map(|(_, column)| column.as_str());
    let keys: Vec<_> = keys.collect();
    let named = dialect.names(&filtered);
    let own = |name: &str| {
        name == entity.table_name()
            || entity.schema_name() == Some(name)
            || column_named::<R>(name).is_some()
    };
    let narrows = named.iter().any(|name| keys.contains(&name.as_str()))
        && named.iter().all(|name| own(name));
    narrows.then_some(filtered)
}

/// The record of each row that was in force at a moment, with all its columns.
fn rows<R: RecordEntity>(
    dialect: Dialect,
    at: DateTime<Utc>,
    with_deleted: bool,
    among: Option<SelectStatement>,
) -> SelectStatement {
    let held = held::<R>(at);
    let mut rows = match (dialect.groups_by_seeks(), dialect.has_lateral(), among) {
        (true, ..) => grouped::<R>(held),
        (false, true, None) => by_walking::<R>(held),
        (false, true, Some(among)) => {
            let keys = keys_by_seeks::<R>(&among);
            by_lateral::<R>(held).with_cte(keys).take()
        }
        (false, false, among) => {
            let keys = keys_by_seeks::<R>(&among.unwrap_or_else(all::<R>));
            by_maximum::<R>(held).with_cte(keys).take()
        }
    };
    for column in R::Column::iter() {
        rows.expr_as(Expr::col((STATE, column)), column.as_str());
    }
    if !with_deleted {
        rows.and_where(Expr::col((STATE, R::EVENT)).ne(Event::Deleted.as_str()));
    }
    rows
}

pub(super) fn all<R: RecordEntity>() -> SelectStatement {
    Query::select().from(R::default().table_ref()).take()
}

fn key_of<R: RecordEntity>(table: &'static str) -> impl Iterator<Item = Expr> {
    keys::<R>().map(move |key| Expr::col((table, key)))
}

/// Whether rows of two tables have one key.
fn same_key(a: impl Iterator<Item = Expr>, b: impl Iterator<Item = Expr>) -> Expr {
    let equal = a.zip(b).map(|(a, b)| a.eq(b));
    equal.reduce(Expr::and).unwrap_or_else(nothing)
}

/// Each key, found by a seek from the one before.
fn keys_by_seeks<R: RecordEntity>(among: &SelectStatement) -> WithClause {
    let own_key = || Expr::tuple(keys::<R>().map(own::<R>));
    let seek = |columns: Vec<R::Column>, after: Option<Expr>| {
        let mut seek = among.clone();
        for column in columns {
            seek.expr(own::<R>(column));
        }
        for key in keys::<R>() {
            seek.order_by_expr(own::<R>(key), Order::Asc);
        }
        seek.and_where_option(after).limit(1);
        seek
    };
    let beyond = || own_key().gt(Expr::tuple(key_of::<R>(KEYS)));
    let mut next = Query::select().from(KEYS).take();
    for key in keys::<R>() {
        let found = seek(vec![key], Some(beyond()));
        next.expr(Expr::SubQuery(None, Box::new(found.into())));
    }
    if let Some(first) = key_of::<R>(KEYS).next() {
        next.and_where(first.is_not_null());
    }
    // A derived table, for an ORDER BY would be the union's.
    let mut found = Query::select()
        .expr(Expr::cust("*"))
        .from_subquery(seek(keys::<R>().collect(), None), "as_of_first")
        .take();
    found.union(UnionType::All, next);
    let keys = CommonTableExpression::new()
        .table_name(KEYS)
        .columns(keys::<R>())
        .query(found)
        .to_owned();
    WithClause::new().recursive(true).cte(keys).to_owned()
}

/// Each row's record, found by a seek from the one before, backwards.
fn by_walking<R: RecordEntity>(held: Expr) -> SelectStatement {
    const NEXT: &str = "as_of_next";
    let seek = |before: Option<Expr>| {
        let mut seek = all::<R>();
        for column in R::Column::iter() {
            seek.expr(own::<R>(column));
        }
        seek.and_where(held.clone()).and_where_option(before);
        for column in keys::<R>().chain([R::RECORDED_AT]) {
            seek.order_by_expr(own::<R>(column), Order::Desc);
        }
        seek.limit(1).take()
    };
    let own_key = Expr::tuple(keys::<R>().map(own::<R>));
    let before = own_key.lt(Expr::tuple(key_of::<R>(KEYS)));
    let next = Query::select()
        .exprs(R::Column::iter().map(|column| Expr::col((NEXT, column))))
        .from(KEYS)
        .join_lateral(
            JoinType::InnerJoin,
            seek(Some(before)),
            NEXT,
            Expr::val(true),
        )
        .take();
    let mut found = Query::select()
        .expr(Expr::cust("*"))
        .from_subquery(seek(None), "as_of_first")
        .take();
    found.union(UnionType::All, next);
    let rows = CommonTableExpression::new()
        .table_name(KEYS)
        .columns(R::Column::iter())
        .query(found)
        .to_owned();
    let rows = WithClause::new().recursive(true).cte(rows).to_owned();
    Query::select().from_as(KEYS, STATE).with_cte(rows).take()
}

fn by_lateral<R: RecordEntity>(held: Expr) -> SelectStatement {
    let state = all::<R>()
        .expr(Expr::cust("*"))
        .and_where(same_key(keys::<R>().map(own::<R>), key_of::<R>(KEYS)))
        .and_where(held)
        .order_by_expr(own::<R>(R::RECORDED_AT), Order::Desc)
        .limit(1)
        .take();
    Query::select()
        .from(KEYS)
        .join_lateral(JoinType::InnerJoin, state, STATE, Expr::val(true))
        .take()
}

fn by_maximum<R: RecordEntity>(held: Expr) -> SelectStatement {
    let latest = all::<R>()
        .expr(own::<R>(R::RECORDED_AT).max())
        .and_where(same_key(keys::<R>().map(own::<R>), key_of::<R>(KEYS)))
        .and_where(held)
        .take();
    let latest = Expr::SubQuery(None, Box::new(latest.into()));
    let is_latest = Expr::col((STATE, R::RECORDED_AT)).eq(latest);
    let on = same_key(key_of::<R>(STATE), key_of::<R>(KEYS)).and(is_latest);
    Query::select()
        .from(KEYS)
        .join_as(JoinType::InnerJoin, R::default().table_ref(), STATE, on)
        .take()
}

fn grouped<R: RecordEntity>(held: Expr) -> SelectStatement {
    let mut latest = all::<R>();
    for key in keys::<R>() {
        latest.expr(own::<R>(key)).add_group_by([own::<R>(key)]);
    }
    latest
        .expr_as(own::<R>(R::RECORDED_AT).max(), R::RECORDED_AT.as_str())
        .and_where(held);
    let is_latest = Expr::col((STATE, R::RECORDED_AT)).eq(Expr::col((KEYS, R::RECORDED_AT)));
    let on = same_key(key_of::<R>(STATE), key_of::<R>(KEYS)).and(is_latest);
    Query::select()
        .from_subquery(latest, KEYS)
        .join_as(JoinType::InnerJoin, R::default().table_ref(), STATE, on)
        .take()
}
