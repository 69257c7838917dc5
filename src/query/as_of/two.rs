//! Two related entities as they were at one moment.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbErr, IdenStatic, Order, QueryTrait, RelationDef, SelectTwo};

use super::AsOf;
use super::state::{STATE, rows, stand_in};
use crate::by_keys::record_key;
use crate::dialect::Dialect;
use crate::listen::names;
use crate::query::late::builds_on_select;
use crate::query::{held_as, nothing, own, source_table_of, table_of};
use crate::recorded::unread;
use crate::{ColumnOf, Event, RecordEntity, RecordError};

/// Columns of two entities that are equal where they are related.
type Pairs<R, S> = Vec<(ColumnOf<R>, ColumnOf<S>)>;

/// Two entities as they were at one moment; see [`AsOf::find_also`].
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is executed"]
pub struct AsOfTwo<R: RecordEntity, S: RecordEntity> {
    pub(super) left: AsOf<R>,
    pub(super) select: SelectTwo<R, S>,
    /// None where the two meet in a third table.
    pub(super) relation: Option<RelationDef>,
}

impl<R: RecordEntity, S: RecordEntity> AsOfTwo<R, S> {
    /// The query as SeaORM's, for the database of this connection.
    ///
    /// # Errors
    ///
    /// [`RecordError::Plan`] where the relation goes through a junction, has an `on_condition`, or
    /// goes over a column that is not recorded, which it names.
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
    /// Those of [`into_select`](Self::into_select), and the database's as a
    /// [`RecordError::Database`], within a `DbErr`.
    pub async fn all<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> Result<Vec<(R::Model, Option<S::Model>)>, DbErr> {
        let both = self.into_select(db)?.all(db);
        both.await.map_err(unread::<R>)
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
        let both = self.into_select(db)?.one(db);
        both.await.map_err(unread::<R>)
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
        if relation.on_condition.is_some() {
            let problem = format!(
                "its relation to `{}` has a condition of its own, which is about the tables and not \
                 about their records; ask for both by `as_of`, and put them together yourself",
                source_table_of::<S>()
            );
            return Err(RecordError::plan(source_table_of::<R>(), problem));
        }
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
    record_key::<S>().all(|key| {
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
///
/// Other columns that tie the two are looked at in what is found: a record in which they still were
/// the same does not hold any more.
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
        .limit(1);
    let is_key = |to: &S::Column| record_key::<S>().any(|key| key.as_str() == to.as_str());
    for (from, to) in pairs.iter().filter(|(_, to)| is_key(to)) {
        last.and_where(Expr::col((STATE, *to)).eq(own::<R>(*from)));
        // For MySQL, which sorts a related row's records by the time alone.
        last.order_by_expr(Expr::col((STATE, *to)), Order::Desc);
    }
    last.order_by_expr(Expr::col((STATE, S::RECORDED_AT)), Order::Desc);
    let lives = own::<S>(S::EVENT).is_not_in(Event::ENDINGS.map(Event::as_str));
    let on = tied::<R, S>(pairs).and(lives);
    if dialect.has_lateral() {
        last.expr(Expr::cust("*"));
        query.join_lateral(JoinType::LeftJoin, last, table_of::<S>(), on);
        return;
    }
    last.expr(Expr::col((STATE, S::RECORDED_AT)));
    let last = Expr::SubQuery(None, Box::new(last.into()));
    let is_last = own::<S>(S::RECORDED_AT).eq(last);
    let table = S::default().table_ref();
    query.join(JoinType::LeftJoin, table, on.and(is_last));
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

builds_on_select!(AsOfTwo<R, S>);
