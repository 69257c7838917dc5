//! The tasks of a program, and how their units of work end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use sea_orm::{
    ColumnTrait, ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, IsolationLevel, QueryFilter, QuerySelect, Set, SqliteTransactionMode,
    TransactionOptions, TransactionSession, TransactionTrait,
};
use sea_orm_record::{RecordError, RecordedConnection, RecordedTransaction, hooks, is_retryable};

use super::apart;
use super::check;
use super::operations::{Doer, Place};
use super::program::{End, Operation, Phase, Program, Step, Unit, Way};
use super::state::{Own, Shared};
use super::tables::{self, article, link, mark, tag, topic};
use super::waits;

/// How often a unit is run again before it counts as rolled back.
const TRIES: usize = 8;

/// What happened while programs ran.
#[derive(Debug, Default)]
pub struct Tally {
    pub operations: AtomicUsize,
    /// Units that were run again, and those that were given up.
    pub retries: AtomicUsize,
    pub given_up: AtomicUsize,
    /// Futures that were dropped before they were done.
    pub cancelled: AtomicUsize,
    /// Commits that were refused after a save was dropped half-way.
    pub interrupted: AtomicUsize,
    /// Lock waits that were seen.
    pub waits: AtomicUsize,
}

impl Tally {
    pub fn of(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::Relaxed)
    }

    fn add(counter: &AtomicUsize, count: usize) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// A future that is dropped when it has been polled so often.
struct Limited<F> {
    future: Pin<Box<F>>,
    left: u16,
}

impl<F: Future> Future for Limited<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.future.as_mut().poll(cx).map(Some)
    }
}

fn limited<F: Future>(future: F, left: u16) -> Limited<F> {
    Limited {
        future: Box::pin(future),
        left,
    }
}

/// What all tasks of a program stand on.
#[derive(Clone)]
pub struct Stage {
    pub db: DatabaseConnection,
    /// Where what was written is read again; see [`Databases`].
    pub reader: DatabaseConnection,
    pub options: ConnectOptions,
    pub shared: Shared,
    pub tally: Arc<Tally>,
}

/// The database of a lane.
pub struct Databases {
    pub db: DatabaseConnection,
    /// The same, or another node of the cluster that it is.
    pub reader: DatabaseConnection,
    /// Those of `db`, for connections that belong to one unit of work.
    pub options: ConnectOptions,
}

/// Runs a program on an empty database.
pub async fn run(databases: &Databases, program: &Program, tally: &Arc<Tally>) {
    let Databases {
        db,
        reader,
        options,
    } = databases;
    tables::clear(db).await;
    let (shared, mut owns) = set_up(
        db,
        program.phases.first().map_or(0, |phase| phase.tasks.len()),
    )
    .await;
    let stage = Stage {
        db: db.clone(),
        reader: reader.clone(),
        options: options.clone(),
        shared,
        tally: Arc::clone(tally),
    };
    let mut past = check::Past::default();
    check::at_rest(&stage, &mut owns, &mut past).await;
    for phase in &program.phases {
        run_phase(&stage, phase, &mut owns).await;
        check::at_rest(&stage, &mut owns, &mut past).await;
    }
    check::whole(&stage, &past).await;
}

async fn set_up(db: &DatabaseConnection, tasks: usize) -> (Shared, Vec<(Own, bool)>) {
    let mut topics = Vec::new();
    let mut tags = Vec::new();
    for name in ["first", "second"] {
        let am = topic::ActiveModel {
            name: Set(name.to_owned()),
            ..Default::default()
        };
        topics.push(am.insert(db).await.unwrap().id);
        let am = tag::ActiveModel {
            name: Set(name.to_owned()),
            ..Default::default()
        };
        tags.push(am.insert(db).await.unwrap().id);
    }
    let mut landmarks = Vec::new();
    for at in 0..3 {
        let code = format!("landmark {at}");
        let am = article::ActiveModel {
            code: Set(code.clone()),
            owner: Set(0),
            title: Set("first".to_owned()),
            topic_id: Set(Some(topics[at % 2])),
            ..Default::default()
        };
        let id = am.insert(db).await.unwrap().id;
        let am = link::ActiveModel {
            article_id: Set(id),
            tag_id: Set(tags[at % 2]),
        };
        am.insert(db).await.unwrap();
        landmarks.push((id, code));
    }
    for task in 1..=tasks {
        let am = mark::ActiveModel {
            task: Set(task as i32),
            step: Set(0),
        };
        mark::Entity::insert(am)
            .exec_without_returning(db)
            .await
            .unwrap();
    }
    (
        Shared::new(topics, tags, landmarks),
        vec![(Own::default(), false); tasks],
    )
}

/// Runs the tasks of a phase at once, until all are done.
async fn run_phase(stage: &Stage, phase: &Phase, owns: &mut Vec<(Own, bool)>) {
    let tasks = phase.tasks.iter().cloned().zip(owns.drain(..)).enumerate();
    let running: Vec<_> = tasks
        .map(|(at, (units, (own, _)))| {
            let task = Task {
                stage: stage.clone(),
                number: at as i32 + 1,
                own,
                doubtful: false,
            };
            tokio::spawn(task.run(units))
        })
        .collect();
    let mut failed = None;
    for task in running {
        if failed.is_some() {
            // It would run into the next candidate of shrinking.
            task.abort();
        }
        match task.await {
            Ok(own) => owns.push(own),
            Err(error) => failed = failed.or_else(|| error.try_into_panic().ok()),
        }
    }
    if let Some(panic) = failed {
        std::panic::resume_unwind(panic);
    }
}

struct Task {
    stage: Stage,
    number: i32,
    own: Own,
    /// A single save was dropped: nobody can tell whether it was committed until all is quiet.
    doubtful: bool,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Committed,
    RolledBack,
}

impl Task {
    async fn run(mut self, units: Vec<Unit>) -> (Own, bool) {
        for unit in units {
            if self.doubtful {
                break;
            }
            match unit.way {
                Way::Plain | Way::Gathered => self.transaction(&unit).await,
                _ => self.singly(&unit).await,
            }
        }
        Tally::add(
            &self.stage.tally.operations,
            std::mem::take(&mut self.own.operations),
        );
        (self.own, self.doubtful)
    }

    /// Each operation by itself.
    async fn singly(&mut self, unit: &Unit) {
        let operations: Vec<Operation> = unit
            .steps
            .iter()
            .flat_map(|step| match step {
                Step::Do(operation) => vec![*operation],
                Step::Savepoint(operations, _) => operations.clone(),
                Step::Dropped(_) => vec![],
            })
            .collect();
        for (at, operation) in operations.iter().enumerate() {
            let limit = match unit.end {
                End::Cancel(polls) if at + 1 == operations.len() && unit.way != Way::Trait => {
                    polls % 16 + 1
                }
                _ => u16::MAX,
            };
            self.single(unit.way, *operation, limit).await;
        }
    }

    async fn single(&mut self, way: Way, operation: Operation, limit: u16) {
        for _ in 0..TRIES {
            let mut own = self.own.clone();
            let place = apart::Place::of(&self.stage, limit != u16::MAX).await;
            let done = match way {
                Way::RecordedPool => {
                    let db = RecordedConnection::new(place.db().clone());
                    limited(self.doer(&db, false).run(operation, &mut own), limit).await
                }
                _ => {
                    let doer = self.doer(place.db(), way == Way::Trait);
                    limited(doer.run(operation, &mut own), limit).await
                }
            };
            place.leave(&self.stage).await;
            match done {
                Some(Ok(())) => {
                    self.own = own;
                    return;
                }
                Some(Err(error)) => {
                    // By the traits, the row may have been written all the same.
                    self.own.said = own.said;
                    self.pass(error);
                }
                None => {
                    Tally::add(&self.stage.tally.cancelled, 1);
                    // What it may have said is all that is known.
                    self.own.said = own.said;
                    self.doubtful = true;
                    return;
                }
            }
        }
        Tally::add(&self.stage.tally.given_up, 1);
    }

    fn doer<'d, C>(&'d self, db: &'d C, by_trait: bool) -> Doer<'d, C> {
        Doer {
            task: self.number,
            shared: &self.stage.shared,
            db,
            by_trait,
        }
    }

    /// Lets an error pass after which one tries again.
    fn pass(&self, error: DbErr) {
        assert!(is_retryable(&error), "task {}: {error:?}", self.number);
        Tally::add(&self.stage.tally.retries, 1);
    }

    /// A unit of work in one transaction.
    async fn transaction(&mut self, unit: &Unit) {
        let limit = match unit.end {
            End::Cancel(polls) => polls,
            _ => u16::MAX,
        };
        let is_dropped = limit != u16::MAX || unit.steps.iter().any(|it| dropped(it).is_some());
        for _ in 0..TRIES {
            let step = self.stage.shared.number();
            let mut own = self.own.clone();
            let place = apart::Place::of(&self.stage, is_dropped).await;
            let ended = self.attempt(&place, unit, step, &mut own, limit).await;
            place.leave(&self.stage).await;
            match ended {
                Some(Ok(Ended::Committed)) => {
                    self.own = own;
                    return;
                }
                Some(Ok(Ended::RolledBack)) => {
                    self.own
                        .unsay(&own, &format!("rolled back: {:?}", unit.way));
                    return;
                }
                Some(Err(error)) => {
                    self.own.unsay(&own, &format!("{:?}: {error}", unit.way));
                    self.pass(error);
                }
                None => {
                    Tally::add(&self.stage.tally.cancelled, 1);
                    if self.came_to(step).await {
                        self.own = own;
                    } else {
                        self.own.unsay(&own, &format!("dropped: {unit:?}"));
                    }
                    return;
                }
            }
        }
        Tally::add(&self.stage.tally.given_up, 1);
    }

    /// Begins, and drops the rest after so many polls.
    async fn attempt(
        &self,
        place: &apart::Place,
        unit: &Unit,
        step: i32,
        own: &mut Own,
        limit: u16,
    ) -> Option<Result<Ended, DbErr>> {
        let options = options(self.stage.db.get_database_backend());
        let began = Instant::now();
        if unit.way == Way::Plain {
            let txn = match place.db().begin_with_options(options).await {
                Ok(txn) => txn,
                Err(error) => return Some(Err(error)),
            };
            waits::note_slow(&self.stage, began);
            return limited(self.within(txn, unit, step, own), limit).await;
        }
        let db = RecordedConnection::new(place.db().clone());
        let txn = match db.begin().await {
            Ok(txn) => txn,
            Err(error) => return Some(Err(error)),
        };
        waits::note_slow(&self.stage, began);
        match unit.steps.iter().find_map(dropped) {
            Some(polls) => {
                let interrupted = self.interrupted(txn, place, polls, step, own);
                limited(interrupted, limit).await
            }
            None => limited(self.within(txn, unit, step, own), limit).await,
        }
    }

    async fn within<T>(&self, txn: T, unit: &Unit, step: i32, own: &mut Own) -> Result<Ended, DbErr>
    where
        T: Place + TransactionSession + TransactionTrait<Transaction = T>,
    {
        match self.steps(&txn, unit, step, own).await {
            Ok(()) if unit.end != End::Rollback => {
                own.recorded();
                txn.commit().await?;
                Ok(Ended::Committed)
            }
            Ok(()) => {
                txn.rollback().await?;
                Ok(Ended::RolledBack)
            }
            Err(error) => {
                // A deadlock may have ended the transaction already.
                let _ = txn.rollback().await;
                Err(error)
            }
        }
    }

    async fn steps<T>(&self, txn: &T, unit: &Unit, step: i32, own: &mut Own) -> Result<(), DbErr>
    where
        T: Place + TransactionSession + TransactionTrait<Transaction = T>,
    {
        self.leave_mark(txn, step).await?;
        for step in &unit.steps {
            match step {
                Step::Do(operation) => {
                    self.doer(txn, operation.by_trait())
                        .run(*operation, own)
                        .await?
                }
                Step::Savepoint(operations, kept) => {
                    self.savepoint(txn, operations, *kept, own).await?;
                }
                Step::Dropped(_) => {}
            }
        }
        Ok(())
    }

    /// Tells, once it is committed, that the transaction was.
    async fn leave_mark(&self, txn: &impl ConnectionTrait, step: i32) -> Result<(), DbErr> {
        let update = mark::Entity::update_many()
            .col_expr(mark::Column::Step, step.into())
            .filter(mark::Column::Task.eq(self.number));
        update.exec(txn).await.map(drop)
    }

    async fn savepoint<T>(
        &self,
        txn: &T,
        operations: &[Operation],
        kept: bool,
        own: &mut Own,
    ) -> Result<(), DbErr>
    where
        T: Place + TransactionSession + TransactionTrait<Transaction = T>,
    {
        let inner = txn.begin().await?;
        let before = own.clone();
        for operation in operations {
            if let Err(error) = self
                .doer(&inner, operation.by_trait())
                .run(*operation, own)
                .await
            {
                let _ = inner.rollback().await;
                return Err(error);
            }
        }
        if kept {
            return inner.commit().await;
        }
        inner.rollback().await?;
        let done = std::mem::replace(own, before);
        own.unsay(&done, "a savepoint was rolled back");
        Ok(())
    }

    /// A save that is dropped half-way leaves a transaction that cannot be committed.
    async fn interrupted(
        &self,
        txn: RecordedTransaction,
        place: &apart::Place,
        polls: u16,
        step: i32,
        own: &mut Own,
    ) -> Result<Ended, DbErr> {
        self.leave_mark(&txn, step).await?;
        let title = own.say(&self.stage.shared);
        let id = sea_orm::Unchanged(self.stage.shared.landmark(polls as u8));
        let am = article::ActiveModel {
            id,
            title: Set(title),
            ..Default::default()
        };
        match limited(hooks::update(am, &txn), polls).await {
            Some(Ok(_)) => {
                txn.commit().await?;
                own.operations += 1;
                return Ok(Ended::Committed);
            }
            Some(Err(error)) => {
                let _ = txn.rollback().await;
                return Err(error);
            }
            None => {}
        }
        Tally::add(&self.stage.tally.interrupted, 1);
        // A rollback there would wait for an answer for ever.
        place.leave(&self.stage).await;
        let refused = txn.commit().await.expect_err("a save was dropped in it");
        let refused = RecordError::of(&refused);
        assert!(
            matches!(refused, Some(RecordError::Interrupted { .. })),
            "{refused:?}"
        );
        Ok(Ended::RolledBack)
    }

    /// Whether a transaction that was dropped was committed: its mark is waited for and read.
    async fn came_to(&self, step: i32) -> bool {
        loop {
            match self.mark().await {
                Ok(mark) => return mark == step,
                Err(error) => self.pass(error),
            }
        }
    }

    async fn mark(&self) -> Result<i32, DbErr> {
        let options = options(self.stage.db.get_database_backend());
        let txn = self.stage.db.begin_with_options(options).await?;
        let mark = mark::Entity::find_by_id(self.number)
            .lock_exclusive()
            .one(&txn)
            .await?;
        txn.commit().await?;
        Ok(mark.expect("a mark of each task").step)
    }
}

fn dropped(step: &Step) -> Option<u16> {
    match step {
        Step::Dropped(polls) => Some(*polls),
        _ => None,
    }
}

/// Those of the library's own transactions, for plain ones.
pub fn options(backend: DbBackend) -> TransactionOptions {
    match backend {
        DbBackend::Sqlite => TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        },
        _ => TransactionOptions {
            isolation_level: Some(IsolationLevel::ReadCommitted),
            ..Default::default()
        },
    }
}
