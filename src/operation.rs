//! A save, and the transaction that it needs.

use std::future::Future;

use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DbErr, DeleteResult, EntityTrait, TransactionOptions,
    TransactionSession, TransactionTrait, UpdateResult,
};

use crate::capture::flush;
use crate::context::Context;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::gather::{Buffer, Gathering, Unit};
use crate::hooks::{self, ModelOf, Savable};
use crate::registry::{Node, registry};
use crate::target::Target;

/// Something that is done on whatever connection turns out to be right.
pub(crate) trait Operation: Send {
    type Output: Send;

    fn run<C: ConnectionTrait>(
        self,
        db: &C,
    ) -> impl Future<Output = Result<Self::Output, DbErr>> + Send;
}

/// Runs a save of `E` so that it and its records stand or fall together.
pub(crate) async fn run<E, C, O>(db: &C, operation: O) -> Result<O::Output, DbErr>
where
    E: EntityTrait,
    C: ConnectionTrait,
    O: Operation,
{
    let registry = registry();
    let Some(node) = registry.node::<E>()? else {
        return operation.run(db).await;
    };
    match Target::of(db) {
        Target::Unit(_, unit) => {
            let saving = unit.begins();
            let output = operation.run(db).await;
            saving.ends();
            output
        }
        // On the connection itself, so that the hooks see the pause.
        Target::Recorded(recorded) if recorded.is_paused() => operation.run(db).await,
        Target::Transaction(txn) if wants_savepoint(node, Dialect::of(txn)) => {
            in_transaction(
                txn,
                TransactionOptions::default(),
                &Context::new(),
                operation,
            )
            .await
        }
        _ => apart(db, operation).await,
    }
}

/// Runs an operation in a unit of its own: in a new transaction on a pool, as it is within one.
pub(crate) async fn apart<C, O>(db: &C, operation: O) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    let anonymous = Context::new();
    let options = Dialect::of(db).transaction_options(TransactionOptions::default());
    match Target::of(db) {
        Target::Pool(pool) => in_transaction(pool, options, &anonymous, operation).await,
        Target::Recorded(recorded) => {
            in_transaction(recorded.inner(), options, recorded.context(), operation).await
        }
        #[cfg(feature = "rbac")]
        Target::Restricted(pool) => in_transaction(pool, options, &anonymous, operation).await,
        #[cfg(feature = "rbac")]
        Target::RestrictedTransaction(txn) => {
            in_unit(Connection::new(txn), &anonymous, operation).await
        }
        Target::Transaction(txn) => in_unit(Connection::new(txn), &anonymous, operation).await,
        Target::Unit(conn, unit) => in_unit(conn, &unit.context, operation).await,
        Target::Other(conn) => in_unit(conn, &anonymous, operation).await,
    }
}

/// A save can fail after the row was written: a closure fails, or the database refuses the record.
/// Within a transaction of the user's that must leave what was there before, so such saves get a
/// savepoint, which costs two more round trips. Columns alone are refused where the record table is
/// missing or another: PostgreSQL then aborts the transaction by itself; elsewhere the first save in
/// the process finds out, within its savepoint.
fn wants_savepoint(node: &Node, dialect: Dialect) -> bool {
    node.computes() || dialect.survives_errors() && !node.is_proven(dialect)
}

async fn in_transaction<T, O>(
    db: &T,
    options: TransactionOptions,
    context: &Context,
    operation: O,
) -> Result<O::Output, DbErr>
where
    T: TransactionTrait,
    O: Operation,
{
    let txn = db.begin_with_options(options).await?;
    match in_unit(Connection::new(&txn), context, operation).await {
        Ok(output) => {
            txn.commit().await?;
            Ok(output)
        }
        Err(error) => {
            // What went wrong first is what the caller wants to know.
            if let Err(rollback) = txn.rollback().await {
                tracing::warn!(%rollback, "a failed save could not be rolled back");
            }
            Err(error)
        }
    }
}

async fn in_unit<O: Operation>(
    conn: Connection<'_>,
    context: &Context,
    operation: O,
) -> Result<O::Output, DbErr> {
    let gathering = Gathering {
        conn,
        unit: Unit::immediate(context),
    };
    let result = operation.run(&gathering).await;
    let Gathering { unit, .. } = gathering;
    // Also where it failed: in a transaction of the user's, what a hook refused after it was
    // written may be committed all the same.
    let flushed = flush(conn, &unit.context, unit.take(), true).await;
    let output = result?;
    flushed.map(|()| output)
}

/// Records what was noted.
pub(crate) struct Noted(pub(crate) Buffer);

impl Operation for Noted {
    type Output = ();

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<(), DbErr> {
        if let Target::Unit(_, unit) = Target::of(db) {
            unit.buffer().merge(self.0);
        }
        Ok(())
    }
}

macro_rules! operation {
    ($name:ident -> $output:ty, |$am:ident, $db:ident| $body:expr) => {
        pub(crate) struct $name<A>(pub(crate) A);

        impl<A> Operation for $name<A>
        where
            A: Savable,
        {
            type Output = $output;

            async fn run<C: ConnectionTrait>(self, $db: &C) -> Result<$output, DbErr> {
                let $am = self.0;
                $body
            }
        }
    };
}

operation!(Insert -> ModelOf<A>, |am, db| ActiveModelTrait::insert(am, db).await);
operation!(Update -> ModelOf<A>, |am, db| ActiveModelTrait::update(am, db).await);
operation!(Save -> A, |am, db| ActiveModelTrait::save(am, db).await);
operation!(Delete -> DeleteResult, |am, db| {
    let entity = std::any::TypeId::of::<A::Entity>();
    let key = am.get_primary_key_value().map(|key| key.into_iter().collect());
    let unit = match Target::of(db) {
        Target::Unit(_, unit) => key.as_ref().map(|key| (unit, key)),
        _ => None,
    };
    let known = unit.is_some_and(|(unit, key)| unit.buffer().knows_last(entity, key));
    let deleted = ActiveModelTrait::delete(am, db).await?;
    if let (0, false, Some((unit, key))) = (deleted.rows_affected, known, unit) {
        unit.buffer().forget_last(entity, key);
    }
    Ok(deleted)
});
operation!(UpdateWithoutReturning -> UpdateResult, |am, db| {
    let row = am.clone();
    let updated = ActiveModelTrait::update_without_returning(am, db).await?;
    if let Some(model) = hooks::stored(&row, Connection::new(db)).await? {
        hooks::after_save::<A, C>(model, db, false).await?;
    }
    Ok(updated)
});
