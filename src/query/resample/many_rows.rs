//! The records of several rows: those of a bucket are grouped by row, or taken together.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, UnionType};
use sea_orm::{ConnectionTrait, DbErr, QueryFilter, QueryTrait};

use super::cuts::Interval;
use super::one_row::STATEMENT;
use super::{PICKED, Resample};
use crate::RecordEntity;
use crate::by_keys::record_key;
use crate::dialect::{Dialect, bind_time};
use crate::query::changes::each;
use crate::query::{binds_many, has_records, ordered_by_key, own};

impl<R: RecordEntity> Resample<R> {
    pub(super) async fn of_several<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
    ) -> Result<Vec<R::Model>, DbErr> {
        match self.all_rows {
            true => self.together(db, buckets).await,
            false => self.group(db, buckets).await,
        }
    }

    /// All rows as one: of the records of one time, which may be many, one is read.
    async fn together<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
    ) -> Result<Vec<R::Model>, DbErr> {
        let times: BTreeSet<_> = self.pick_times(db, buckets).await?.into_iter().collect();
        let ends = times.into_iter().map(|at| {
            let at = own::<R>(R::RECORDED_AT).eq(bind_time(at));
            let select = self.select.clone().filter(at);
            ordered_by_key(select, &self.pick.order())
        });
        let found = each(db, ends).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Several rows: the records of a bucket are grouped by row.
    async fn group<C: ConnectionTrait>(
        &self,
        db: &C,
        buckets: &[Interval],
    ) -> Result<Vec<R::Model>, DbErr> {
        let keys: Vec<_> = record_key::<R>().collect();
        let mut found = Vec::new();
        for buckets in buckets.chunks(self.union(db)) {
            let (Some((from, _)), Some((_, until))) = (buckets.first(), buckets.last()) else {
                continue;
            };
            // A derived table, which is made once.
            let groups = Query::select()
                .expr(Expr::cust("*"))
                .from_subquery(self.of_each(buckets, &keys), "picks")
                .take();
            let place = keys.iter().copied().map(own::<R>);
            let place = Expr::tuple(place.chain([own::<R>(R::RECORDED_AT)]));
            let picked = self.between(*from, *until);
            let picked = picked.filter(place.in_subquery(groups));
            found.extend(self.read(db, picked).await?);
        }
        Ok(found)
    }

    /// How many buckets' picks are one statement: each repeats what the user's filters bind.
    pub(super) fn union<C: ConnectionTrait>(&self, db: &C) -> usize {
        let statement = QueryTrait::build(&self.select, db.get_database_backend());
        let bound = statement.values.map_or(0, |values| values.0.len()) + 2;
        let most = Dialect::of(db).max_parameters().saturating_sub(bound);
        (most / bound).clamp(1, STATEMENT)
    }

    /// The time to pick of each bucket, in one statement, grouped by keys.
    ///
    /// A query for each: its edges are constants, by which every database seeks in an index,
    /// whatever the user's filters are.
    pub(super) fn of_each(&self, buckets: &[Interval], keys: &[R::Column]) -> SelectStatement {
        let is_about_many = !keys.is_empty() && binds_many(self.select.as_query());
        let picks = buckets.iter().map(|(from, until)| {
            let mut pick = self.between(*from, *until).into_query();
            pick.clear_selects();
            for key in keys {
                pick.expr(own::<R>(*key)).add_group_by([own::<R>(*key)]);
            }
            if is_about_many {
                pick.and_having(has_records());
            }
            pick.expr_as(self.pick.of(own::<R>(R::RECORDED_AT)), PICKED)
                .take()
        });
        let union = picks.reduce(|mut first, next| first.union(UnionType::All, next).take());
        union.unwrap_or_default()
    }
}
