//! Which kind of connection generic code was given.
//!
//! Hooks take any `C: ConnectionTrait`, as SeaORM's do, so that adding them breaks no generic code;
//! but a pool, a transaction and a recording connection are to be treated each in its own way.
#![allow(unsafe_code)]

use std::any::TypeId;

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbErr};

use crate::connection::{RecordedConnection, RecordedTransaction};
use crate::erased::Connection;
use crate::gather::{Gathering, Unit};
use crate::unseen::Unseen;

/// A connection, with its kind.
pub(crate) enum Target<'c> {
    /// A plain pool: each statement commits by itself.
    Pool(&'c DatabaseConnection),
    /// A plain transaction of the user's.
    Transaction(&'c DatabaseTransaction),
    /// A recording connection.
    Recorded(&'c RecordedConnection),
    /// A unit of work that gathers what is written.
    Unit(Connection<'c>, &'c Unit),
    #[cfg(feature = "rbac")]
    /// A pool whose user may not do everything.
    Restricted(&'c sea_orm::RestrictedConnection),
    #[cfg(feature = "rbac")]
    /// A transaction whose user may not do everything.
    RestrictedTransaction(&'c sea_orm::RestrictedTransaction),
    /// Something that wraps a connection; taken to be a transaction.
    Other(Connection<'c>),
}

impl<'c> Target<'c> {
    pub(crate) fn of<C: ConnectionTrait>(db: &'c C) -> Self {
        // SAFETY of each cast: see `cast`. None of these types has a lifetime.
        if let Some(pool) = unsafe { cast::<C, DatabaseConnection>(db) } {
            return Self::Pool(pool);
        }
        if let Some(txn) = unsafe { cast::<C, DatabaseTransaction>(db) } {
            return Self::Transaction(txn);
        }
        if let Some(recorded) = unsafe { cast::<C, RecordedConnection>(db) } {
            return Self::Recorded(recorded);
        }
        if let Some(txn) = unsafe { cast::<C, RecordedTransaction>(db) } {
            return Self::Unit(txn.inner(), txn.unit());
        }
        #[cfg(feature = "rbac")]
        if let Some(pool) = unsafe { cast::<C, sea_orm::RestrictedConnection>(db) } {
            return Self::Restricted(pool);
        }
        #[cfg(feature = "rbac")]
        if let Some(txn) = unsafe { cast::<C, sea_orm::RestrictedTransaction>(db) } {
            return Self::RestrictedTransaction(txn);
        }
        Self::of_borrowing(db)
    }

    /// Whether statements commit by themselves, so that a save needs a transaction opened.
    pub(crate) fn is_pool(&self) -> bool {
        match self {
            Self::Pool(_) | Self::Recorded(_) => true,
            #[cfg(feature = "rbac")]
            Self::Restricted(_) => true,
            _ => false,
        }
    }

    /// The connection to write on: in a unit the one beneath it, which takes what is covered for.
    pub(crate) fn conn<C: ConnectionTrait>(&self, db: &'c C) -> Connection<'c> {
        match self {
            Self::Unit(conn, _) => *conn,
            _ => Connection::new(db),
        }
    }

    /// Who looks at the statements that go to it.
    pub(crate) fn unseen(&self) -> Option<&'c Unseen> {
        match self {
            Self::Unit(_, unit) => Some(&unit.unseen),
            Self::Recorded(recorded) => Some(recorded.unseen()),
            _ => None,
        }
    }

    /// The types that borrow, and are covariant in what they borrow.
    fn of_borrowing<C: ConnectionTrait>(db: &'c C) -> Self {
        // SAFETY: the lifetime of the cast's target is that of `db`, and both types may be shortened
        // to it: `DatabaseExecutor` and `Gathering` hold plain shared references.
        if let Some(gathering) = unsafe { cast::<C, Gathering<'c>>(db) } {
            return Self::Unit(gathering.conn, &gathering.unit);
        }
        match unsafe { cast::<C, DatabaseExecutor<'c>>(db) } {
            Some(DatabaseExecutor::Connection(pool)) => Self::Pool(pool),
            Some(DatabaseExecutor::Transaction(txn)) => Self::Transaction(txn),
            Some(DatabaseExecutor::OwnedTransaction(txn)) => Self::Transaction(txn),
            None => Self::Other(Connection::new(db)),
        }
    }
}

/// Records what a recorded transaction has noted so far: it happened before what comes.
pub(crate) async fn flush_noted<C: ConnectionTrait>(db: &C) -> Result<(), DbErr> {
    // SAFETY: see `cast`. The type has no lifetime.
    match unsafe { cast::<C, RecordedTransaction>(db) } {
        Some(txn) => txn.flush().await,
        None => Ok(()),
    }
}

/// `db` as a `T`, if that is what it is but for lifetimes.
///
/// # Safety
///
/// Type ids are compared without lifetimes (`typeid::of`), so `T` must have none, or be covariant in
/// all it has with each at most that of the reference.
unsafe fn cast<C: ConnectionTrait, T: ConnectionTrait>(db: &C) -> Option<&T> {
    let same: bool = typeid::of::<C>() == id_of::<T>();
    // SAFETY: `C` and `T` are one type up to lifetimes, so the layout is the same, and the caller
    // answers for the lifetimes.
    same.then(|| unsafe { &*std::ptr::from_ref(db).cast::<T>() })
}

fn id_of<T>() -> TypeId {
    typeid::of::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_covariant<'short>(
        executor: DatabaseExecutor<'static>,
        gathering: Gathering<'static>,
    ) -> (DatabaseExecutor<'short>, Gathering<'short>) {
        (executor, gathering)
    }

    #[test]
    fn what_is_cast_with_a_lifetime_is_covariant_in_it() {
        let _: fn(_, _) -> _ = assert_covariant;
    }

    #[test]
    fn connections_are_told_apart_by_type() {
        let pool = DatabaseConnection::default();
        assert!(matches!(Target::of(&pool), Target::Pool(_)));
        let executor = DatabaseExecutor::from(&pool);
        assert!(matches!(Target::of(&executor), Target::Pool(_)));
        let recorded = RecordedConnection::new(pool.clone());
        assert!(matches!(Target::of(&recorded), Target::Recorded(_)));
        let erased = Connection::new(&pool);
        assert!(matches!(Target::of(&erased), Target::Other(_)));
    }
}
