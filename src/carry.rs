//! Carrying records forward: each row gets a record at a moment that says what held there, so that
//! all older ones can go at once.
//!
//! Rows are taken a thousand at a time, in the order of their keys: one statement finds the latest
//! record of each before the moment, another copies it, unless the row has a record at that very
//! moment already. What is copied is in the database at all times, so nothing is locked.

use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Func, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityName, IdenStatic, Iterable};

use crate::by_keys::{beyond_columns, record_key, record_key_names};
use crate::context::Context;
use crate::dialect::bind_time;
use crate::erased::Connection;
use crate::keys::{Key, untyped_key};
use crate::operation::{Operation, apart_patiently};
use crate::recorded::unread;
use crate::registry::plan_of;
use crate::target::Target;
use crate::time::truncate_to_micros;
use crate::typed::Plan;
use crate::write::{CHUNK, Writer};
use crate::{ColumnOf, RecordEntity, Recorded};

/// What a [`Carry`] counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Carried {
    /// Rows that have records before the moment.
    pub rows: u64,
    /// Records that were made at the moment.
    pub carried: u64,
}

/// Records to be carried forward; made by [`carry_forward`].
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is carried until `exec`"]
pub struct Carry<E> {
    moment: DateTime<Utc>,
    entity: PhantomData<E>,
}

/// Copies the latest record of each row before a moment to that moment: then all that is older can go
/// without a row losing its present, or `as_of` its answer for any later moment.
///
/// It is what comes before whole partitions are dropped, and does by itself what
/// `drop_partitions_before` of `sea-orm-record-migration` begins with; to remove single records, see
/// [`prune_before`](crate::prune_before), which needs no copies.
///
/// A copy has the values, event, actor, reason and the rest of what it is copied from, deletions too;
/// its time is the moment, cut to microseconds, and where the event would be
/// [`Event::Created`](crate::Event::Created) it is [`Event::Backfilled`](crate::Event::Backfilled),
/// for the row was not made then: by that [`restore_to`](crate::RecordQuery::restore_to) tells it
/// from one that was. A row with a record at that very moment gets none.
///
/// Run twice, it finds nothing to do; it may be dropped or killed at any time. Two statements a
/// thousand rows, on a pool each thousand in a short transaction of its own, which is tried again
/// after a deadlock.
///
/// The moment should lie so far in the past that no writer's clock is still before it, and nobody
/// should import records of before it meanwhile.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, _) = blog().await?;
/// use chrono::{TimeDelta, Utc};
/// use sea_orm_record::carry_forward;
///
/// let year = Utc::now() - TimeDelta::days(365);
/// let forecast = carry_forward(article::Entity, year).dry_run(&db).await?;
/// let carried = carry_forward(article::Entity, year).exec(&db).await?;
/// assert_eq!(carried, forecast);
/// assert_eq!(carried.carried, 0); // nothing is that old
/// # Ok(())
/// # }
/// ```
pub fn carry_forward<E: Recorded>(entity: E, moment: DateTime<Utc>) -> Carry<E> {
    let _ = entity;
    Carry {
        moment: truncate_to_micros(moment),
        entity: PhantomData,
    }
}

impl<E: Recorded> Carry<E> {
    /// Makes the records that are missing at the moment.
    ///
    /// # Errors
    ///
    /// The database's, within a [`RecordError`](crate::RecordError) in the `DbErr`.
    pub async fn exec<C: ConnectionTrait>(self, db: &C) -> Result<Carried, DbErr> {
        self.run(db, true).await
    }

    /// Counts what [`exec`](Self::exec) would make, and makes nothing.
    ///
    /// # Errors
    ///
    /// Those of [`exec`](Self::exec).
    pub async fn dry_run<C: ConnectionTrait>(self, db: &C) -> Result<Carried, DbErr> {
        self.run(db, false).await
    }

    async fn run<C: ConnectionTrait>(self, db: &C, writes: bool) -> Result<Carried, DbErr> {
        let plan = plan_of::<E>()?;
        let columns = kept_columns::<E>();
        let mut after: Option<Key> = None;
        let mut so_far = Carried::default();
        loop {
            let places = latest::<E>(Connection::new(db), self.moment, after.as_ref()).await?;
            let full = places.len() == CHUNK;
            so_far.rows += places.len() as u64;
            after = places.last().map(|(key, _)| key.clone()).or(after);
            if !places.is_empty() {
                let copy = || Copy {
                    plan: Arc::clone(&plan),
                    places: places.clone(),
                    moment: self.moment,
                    columns: columns.clone(),
                    writes,
                };
                so_far.carried += apart_patiently(db, copy).await?;
            }
            if !full {
                return Ok(so_far);
            }
        }
    }
}

/// The latest record of each of the next rows before a moment: its key and time.
async fn latest<E: Recorded>(
    conn: Connection<'_>,
    moment: DateTime<Utc>,
    after: Option<&Key>,
) -> Result<Vec<(Key, DateTime<Utc>)>, DbErr> {
    let rows = conn.query_all(&select::<E>(moment, after)).await;
    let rows = rows.map_err(unread::<E::Record>)?;
    let names = record_key_names::<E::Record>();
    let read = rows.iter().map(|row| {
        let key = untyped_key::<E>(row.try_get_many("", &names)?);
        Ok((key, row.try_get("", LATEST)?))
    });
    read.collect()
}

// No column of a user's is called so.
const LATEST: &str = "sea_orm_record_latest";

fn select<E: Recorded>(moment: DateTime<Utc>, after: Option<&Key>) -> SelectStatement {
    let keys: Vec<_> = record_key::<E::Record>().collect();
    let own = |column: ColumnOf<E::Record>| Expr::col((E::Record::default(), column));
    let mut select = Query::select();
    select.from(E::Record::default().table_ref());
    for key in &keys {
        select.expr_as(key.select_as(own(*key)), key.as_str());
        select.add_group_by([own(*key)]);
        select.order_by_expr(own(*key), Order::Asc);
    }
    select.expr_as(Func::max(own(E::Record::RECORDED_AT)), LATEST);
    select.cond_where(
        Condition::all()
            .add(own(E::Record::RECORDED_AT).lt(bind_time(moment)))
            .add_option(after.map(|after| beyond_columns(&keys, after))),
    );
    select.limit(CHUNK as u64);
    select
}

/// All that a copy takes over: also what is no longer recorded.
fn kept_columns<E: Recorded>() -> Vec<String> {
    let keys = E::Record::key().into_iter().map(|(_, key)| key.as_str());
    let left_out: Vec<&str> = keys.chain([E::Record::RECORDED_AT.as_str()]).collect();
    ColumnOf::<E::Record>::iter()
        .map(|column| column.as_str())
        .filter(|column| !left_out.contains(column))
        .map(str::to_owned)
        .collect()
}

struct Copy {
    plan: Arc<dyn Plan>,
    places: Vec<(Key, DateTime<Utc>)>,
    moment: DateTime<Utc>,
    columns: Vec<String>,
    writes: bool,
}

impl Operation for Copy {
    type Output = u64;

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<u64, DbErr> {
        let context = Context::new();
        let conn = Target::of(db).conn(db);
        let writer = Writer::new(conn, self.plan.shape(), &context, context.stamp()?);
        match self.writes {
            true => writer.carry(&self.places, self.moment, &self.columns).await,
            false => writer.count_carried(&self.places, self.moment).await,
        }
    }
}
