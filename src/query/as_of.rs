//! What held at a moment.
//!
//! The table of a `Select` is replaced by a derived table under the same name, which holds the one
//! record of each row that was in force: filters, joins and orders of the user's then see that
//! state, whether they were added before or after. How the derived table finds its records depends
//! on the database, so the query is finished when it is executed.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `as_of/state.rs` | the derived table, in SQL |
//! | `as_of/two.rs` | two related entities at one moment |

mod state;
mod two;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbErr, QueryTrait, Related, Select};

use self::state::rows;
pub(super) use self::state::{all, among, stand_in};
pub use self::two::AsOfTwo;
use super::late::{builds_on_select, executes_its_select};
use crate::dialect::Dialect;
use crate::recorded::unread;
use crate::{RecordEntity, Recorded};

/// A query of the records that held at a moment, one of each row; see
/// [`RecordQuery::as_of`](super::RecordQuery::as_of).
///
/// It filters, orders and limits as a `Select` does, and a filter is about what held: a row that
/// was called `a` before and `b` at the moment is not found by `a`. What else SeaORM has for a
/// `Select` is had from [`into_select`](Self::into_select).
///
/// It seeks in the index of the primary key for each row that was ever recorded, rather than read
/// the histories; where filters name the key, for the rows alone that they select. On PostgreSQL it
/// reads them all in one pass where they are short.
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
    /// rows without any come with `None`. It is one step of `Related`; what that trait cannot say,
    /// as relations that only `relation_enum` tells apart, and `Linked`, cannot be joined.
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

builds_on_select!(AsOf<R>);
executes_its_select!(AsOf);
