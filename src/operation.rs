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
use crate::error::{
    RecordError, ends_transaction, is_of_database, is_retryable, is_unreadable, lost_a_race,
};
use crate::gather::{Buffer, Gathering, Unit};
use crate::hooks::{self, ModelOf, Savable};
use crate::registry::{Node, registry};
use crate::target::Target;
use crate::unseen::Unseen;

/// Something that is done on whatever connection turns out to be right.
pub(crate) trait Operation: Send {
    type Output: Send;

    /// Whether it writes in several statements, of which a later one may fail.
    const IN_PARTS: bool = false;

    /// Whether the database may change other rows because of it, along foreign keys.
    fn reaches(&self, _node: &Node) -> bool {
        false
    }

    /// Whether there is something to record where rows of this entity are written.
    fn concerns(&self, node: &Node) -> bool {
        !node.is_idle() || self.reaches(node)
    }

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
    let node = registry().node_to_delete::<E>()?;
    let Some(node) = node.filter(|node| operation.concerns(node)) else {
        return operation.run(db).await;
    };
    match Target::of(db) {
        Target::Unit(_, unit) => {
            let saving = unit.begins();
            let covering = unit.unseen.operation(E::default().table_name());
            let output = operation.run(db).await;
            drop(covering);
            saving.ends();
            if let Err(error) = &output {
                unit.heed(Dialect::of(db), error);
                if is_unreadable(error) {
                    unit.spoil();
                }
            }
            output
        }
        // On the connection itself, so that the hooks see the pause.
        Target::Recorded(recorded) if recorded.is_paused() => operation.run(db).await,
        Target::Transaction(txn)
            if O::IN_PARTS || wants_savepoint(node, &operation, Dialect::of(txn)) =>
        {
            let options = TransactionOptions::default();
            Box::pin(in_transaction(txn, options, anonymous(), operation)).await
        }
        // Boxed, as the one above: kilobytes, in every future that saves.
        target => {
            let saved = Box::pin(apart(db, operation)).await;
            saved.map_err(|source| match is_unreadable(&source) && !target.is_pool() {
                true => RecordError::Stranded { source }.into(),
                false => source,
            })
        }
    }
}

/// Runs a bulk write that may lose to another of its kind, which a database shows by a deadlock. On a
/// pool, where it is a transaction of its own, it is tried again.
pub(crate) async fn run_patiently<E, C, O>(
    db: &C,
    mut operation: impl FnMut() -> O,
) -> Result<O::Output, DbErr>
where
    E: EntityTrait,
    C: ConnectionTrait,
    O: Operation,
{
    let target = Target::of(db);
    let node = registry().node_to_delete::<E>()?;
    let is_recorded = node.is_some_and(|node| operation().concerns(node));
    let patient = target.is_pool() && !hooks::is_paused(&target) && is_recorded;
    let most = if patient { PATIENCE } else { 1 };
    again(most, is_retryable, || run::<E, C, O>(db, operation())).await
}

/// Tries so often at most, as long as the error is one that passes.
async fn again<T, F>(
    most: usize,
    passes: fn(&DbErr) -> bool,
    mut attempt: impl FnMut() -> F,
) -> Result<T, DbErr>
where
    F: Future<Output = Result<T, DbErr>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt().await {
            Err(error) if tries < most && passes(&error) => {}
            done => return done,
        }
    }
}

/// Runs an operation in a unit of its own: in a new transaction on a pool, as it is within one.
pub(crate) async fn apart<C, O>(db: &C, operation: O) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    apart_as(db, TransactionOptions::default(), operation).await
}

/// Runs apart what can be run again. On a pool, where it is a transaction of its own, it is tried
/// again when another writer came first: what takes hours must not end with one deadlock, nor a row
/// that is written already go without its record.
pub(crate) async fn apart_patiently<C, O>(
    db: &C,
    operation: impl FnMut() -> O,
) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    patiently(db, TransactionOptions::default(), PATIENCE, operation).await
}

/// Runs an operation in parts apart, so that nothing of it is left where one fails: within a plain
/// transaction in a savepoint; one that records can only be rolled back then. On a pool it is tried
/// again as [`apart_patiently`] does.
pub(crate) async fn apart_wholly<C, O>(
    db: &C,
    mut operation: impl FnMut() -> O,
) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    match Target::of(db) {
        Target::Unit(conn, unit) => {
            let working = unit.begins();
            let output = in_theirs(conn, &unit.context, operation()).await?;
            working.ends();
            Ok(output)
        }
        Target::Transaction(txn) => {
            let options = TransactionOptions::default();
            in_transaction(txn, options, anonymous(), operation()).await
        }
        _ => apart_patiently(db, operation).await,
    }
}

/// As [`apart_patiently`], for what nothing can be locked for: on a pool it is SERIALIZABLE, so that
/// the database lets one of two through, and the other sees what that has done.
pub(crate) async fn apart_alone<C, O>(
    db: &C,
    operation: impl FnMut() -> O,
) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    let options = Dialect::of(db).alone_options();
    patiently(db, options, PATIENCE_ALONE, operation).await
}

async fn patiently<C, O>(
    db: &C,
    options: TransactionOptions,
    most: usize,
    mut operation: impl FnMut() -> O,
) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    let most = if Target::of(db).is_pool() { most } else { 1 };
    again(most, lost_a_race, || apart_as(db, options, operation())).await
}

/// How often it is tried. Each failure is another writer's success.
const PATIENCE: usize = 20;
/// The same for what is SERIALIZABLE, which on PostgreSQL also fails for what others did on the same
/// page of a table or an index.
const PATIENCE_ALONE: usize = 500;

/// As [`apart`]; the options are for a transaction that is opened.
async fn apart_as<C, O>(
    db: &C,
    options: TransactionOptions,
    operation: O,
) -> Result<O::Output, DbErr>
where
    C: ConnectionTrait,
    O: Operation,
{
    let options = Dialect::of(db).transaction_options(options);
    match Target::of(db) {
        Target::Pool(pool) => in_transaction(pool, options, anonymous(), operation).await,
        Target::Recorded(recorded) => {
            let unseen = Unseen::in_transaction(recorded.unseen().policy(), recorded.inner());
            let unit = Unit::immediate(recorded.context(), unseen);
            in_transaction(recorded.inner(), options, unit, operation).await
        }
        #[cfg(feature = "rbac")]
        Target::Restricted(pool) => in_transaction(pool, options, anonymous(), operation).await,
        #[cfg(feature = "rbac")]
        Target::RestrictedTransaction(txn) => {
            in_theirs(Connection::new(txn), &Context::new(), operation).await
        }
        Target::Transaction(txn) => {
            in_theirs(Connection::new(txn), &Context::new(), operation).await
        }
        Target::Unit(conn, unit) => in_theirs(conn, &unit.context, operation).await,
        Target::Other(conn) => in_theirs(conn, &Context::new(), operation).await,
    }
}

/// Records that a row was deleted, and what is to be looked at because of it, after the deletion.
///
/// On a pool the deletion has committed, and nothing is left to lock: two who deleted the row at once
/// would both find it unrecorded. SERIALIZABLE lets one of them through, and the other try again.
pub(crate) async fn bury<C>(db: &C, tombstone: Buffer, mut notes: Buffer) -> Result<(), DbErr>
where
    C: ConnectionTrait,
{
    match tombstone {
        tombstone if tombstone.is_empty() => {}
        tombstone if Target::of(db).is_pool() => {
            apart_alone(db, || Noted(tombstone.clone())).await?;
        }
        tombstone => notes.merge(tombstone),
    }
    if notes.is_empty() {
        return Ok(());
    }
    apart_patiently(db, || Noted(notes.clone())).await
}

/// A save can fail after the row was written: a closure fails, a text is too long for the record, or
/// the database refuses it. Within a transaction of the user's that must leave what was there before,
/// so such saves get a savepoint, which costs two more round trips. Columns alone are refused where the
/// record table is missing or another: PostgreSQL then aborts the transaction by itself; elsewhere the
/// first save in the process finds out, within its savepoint. Where it goes missing later, or its
/// column would alter a value, the error says what is left.
fn wants_savepoint<O: Operation>(node: &Node, operation: &O, dialect: Dialect) -> bool {
    let wants =
        |node: &Node| node.may_refuse() || dialect.survives_errors() && !node.is_proven(dialect);
    wants(node) || operation.reaches(node) && registry().reached_from(node).any(wants)
}

/// A unit of nobody in particular, in which nobody looks out for unseen writes.
fn anonymous() -> Unit {
    Unit::immediate(&Context::new(), Unseen::nobody())
}

async fn in_transaction<T, O>(
    db: &T,
    options: TransactionOptions,
    unit: Unit,
    operation: O,
) -> Result<O::Output, DbErr>
where
    T: TransactionTrait,
    O: Operation,
{
    let txn = db.begin_with_options(options).await?;
    match in_unit(Connection::new(&txn), unit, operation).await {
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

/// In a transaction of the user's, which nothing here undoes: an error says what it leaves.
async fn in_theirs<O: Operation>(
    conn: Connection<'_>,
    context: &Context,
    operation: O,
) -> Result<O::Output, DbErr> {
    let unit = Unit::immediate(context, Unseen::nobody());
    unit.doubts_births();
    let (output, flushed) = run_in(unit, conn, operation).await;
    let output = output?;
    match flushed {
        Ok(()) => Ok(output),
        Err(error) if ends_transaction(&error) => Err(error),
        Err(error) if Dialect::of(&conn).survives_errors() || !is_of_database(&error) => {
            Err(RecordError::Stranded { source: error }.into())
        }
        Err(error) => Err(error),
    }
}

async fn in_unit<O: Operation>(
    conn: Connection<'_>,
    unit: Unit,
    operation: O,
) -> Result<O::Output, DbErr> {
    let (output, flushed) = run_in(unit, conn, operation).await;
    let output = output?;
    flushed.map(|()| output)
}

/// Runs an operation and records what it noted.
async fn run_in<O: Operation>(
    unit: Unit,
    conn: Connection<'_>,
    operation: O,
) -> (Result<O::Output, DbErr>, Result<(), DbErr>) {
    let gathering = Gathering { conn, unit };
    let result = operation.run(&gathering).await;
    let Gathering { unit, .. } = gathering;
    // Also where it failed: in a transaction of the user's, what a hook refused after it was
    // written may be committed all the same. Not where the transaction is over: MySQL would take the
    // records one by one, without a lock.
    let flushed = match &result {
        Err(error) if ends_transaction(error) => Ok(()),
        _ => flush(conn, &unit.context, unit.take(), true).await,
    };
    (result, flushed)
}

/// Records what was noted.
pub(crate) struct Noted(pub(crate) Buffer);

impl Operation for Noted {
    type Output = ();

    async fn run<C: ConnectionTrait>(self, db: &C) -> Result<(), DbErr> {
        if let Target::Unit(_, unit) = Target::of(db) {
            let mut buffer = unit.buffer();
            buffer.merge(self.0);
            // Nothing was written, so nothing has locked the rows.
            buffer.unlocked = true;
        }
        Ok(())
    }
}

macro_rules! operation {
    ($name:ident -> $output:ty, $reaches:expr, |$am:ident, $db:ident| $body:expr) => {
        pub(crate) struct $name<A>(pub(crate) A);

        impl<A> Operation for $name<A>
        where
            A: Savable,
        {
            type Output = $output;

            fn reaches(&self, node: &Node) -> bool {
                $reaches(node, &self.0)
            }

            async fn run<C: ConnectionTrait>(self, $db: &C) -> Result<$output, DbErr> {
                let $am = self.0;
                $body
            }
        }
    };
}

operation!(Insert -> ModelOf<A>, |_, _| false, |am, db| ActiveModelTrait::insert(am, db).await);
operation!(Update -> ModelOf<A>, hooks::hands_on, |am, db| ActiveModelTrait::update(am, db).await);
operation!(Save -> A, hooks::hands_on, |am, db| ActiveModelTrait::save(am, db).await);
operation!(Delete -> DeleteResult, |_, _| true, |am, db| {
    let entity = std::any::TypeId::of::<A::Entity>();
    let key = am.get_primary_key_value().map(|key| key.into_iter().collect());
    let unit = match Target::of(db) {
        Target::Unit(_, unit) => key.as_ref().map(|key| (unit, key)),
        _ => None,
    };
    let noted = unit.and_then(|(unit, key)| {
        let mut buffer = unit.buffer();
        buffer.note_of(entity, key).map(|note| note.last.is_some())
    });
    let deleted = ActiveModelTrait::delete(am, db).await?;
    if let (0, Some((unit, key))) = (deleted.rows_affected, unit) {
        match noted {
            // Whoever did delete it records that.
            None => unit.buffer().forget(entity, key),
            Some(false) => unit.buffer().forget_last(entity, key),
            Some(true) => {}
        }
    }
    Ok(deleted)
});
operation!(UpdateWithoutReturning -> UpdateResult, hooks::hands_on, |am, db| {
    let row = am.clone();
    let updated = ActiveModelTrait::update_without_returning(am, db).await?;
    let is_seen = registry().node::<A::Entity>()?.is_some();
    if !is_seen || hooks::is_paused(&Target::of(db)) {
        return Ok(updated);
    }
    if let Some(model) = hooks::stored(&row, Connection::new(db)).await? {
        hooks::after_save::<A, C>(model, db, false).await?;
    }
    Ok(updated)
});
