//! Statements that write to a recorded or watched table where no hook sees it.

mod sql;

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::DbErr;

use crate::RecordError;
use crate::registry::registry;

/// What becomes of a statement that writes to a recorded or watched table past the hooks; see
/// [`RecordedConnection::with_unseen_writes`](crate::RecordedConnection::with_unseen_writes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnseenWrites {
    /// It is run.
    Allow,
    /// It is run, and warned of through `tracing`, once for each text of a statement.
    #[default]
    Warn,
    /// It fails with [`RecordError::Unseen`] before it is sent.
    Refuse,
}

/// Tells statements of hooked saves from others, on one connection or within one transaction.
#[derive(Debug)]
pub(crate) struct Unseen {
    policy: UnseenWrites,
    /// Whether each save sends one statement and its end is not told of, as on a pool, which many
    /// tasks share. Within a transaction a save of several statements begins and ends instead.
    counts_statements: bool,
    /// Saves under way, by table.
    covered: Mutex<HashMap<String, usize>>,
}

impl Unseen {
    pub(crate) fn on_pool(policy: UnseenWrites) -> Self {
        Self {
            policy,
            counts_statements: true,
            covered: Mutex::default(),
        }
    }

    pub(crate) fn in_transaction(policy: UnseenWrites) -> Self {
        Self {
            counts_statements: false,
            ..Self::on_pool(policy)
        }
    }

    pub(crate) fn policy(&self) -> UnseenWrites {
        self.policy
    }

    /// A hook says that a statement on this table follows.
    pub(crate) fn begin(&self, table: &str) {
        if self.policy != UnseenWrites::Allow {
            *lock(&self.covered).entry(table.to_lowercase()).or_default() += 1;
        }
    }

    /// A hook says that it was sent.
    pub(crate) fn end(&self, table: &str) {
        if self.policy != UnseenWrites::Allow && !self.counts_statements {
            self.take(&table.to_lowercase());
        }
    }

    fn take(&self, table: &str) -> bool {
        let mut covered = lock(&self.covered);
        match covered.get_mut(table) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    fn covers(&self, table: &str) -> bool {
        match self.counts_statements {
            true => self.take(table),
            false => lock(&self.covered)
                .get(table)
                .is_some_and(|count| *count > 0),
        }
    }

    /// Looks at a statement before it is sent; `prepared` ones are one statement each.
    pub(crate) fn look(&self, text: &str, prepared: bool) -> Result<(), DbErr> {
        if self.policy == UnseenWrites::Allow {
            return Ok(());
        }
        for write in sql::writes(text, prepared) {
            let table = write.table.to_lowercase();
            let is_recorded = registry().sees(write.schema.as_deref(), &table);
            if !is_recorded || self.covers(&table) {
                continue;
            }
            if self.policy == UnseenWrites::Refuse {
                let (statement, table) = (write.statement, write.table);
                return Err(RecordError::Unseen { statement, table }.into());
            }
            warn_once(text, &write);
        }
        Ok(())
    }
}

/// How many texts are remembered; a program that writes values into its SQL has no end of them.
const REMEMBERED: usize = 1_000;

fn warn_once(text: &str, write: &sql::Write) {
    static WARNED: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
    let mut hash = DefaultHasher::new();
    text.hash(&mut hash);
    let mut warned = lock(&WARNED);
    let warned = warned.get_or_insert_default();
    if warned.len() < REMEMBERED && warned.insert(hash.finish()) {
        let (statement, table) = (write.statement, &*write.table);
        tracing::warn!(
            statement,
            table,
            "a statement goes past the record hooks of its table: what it changes is not recorded; \
             see `docs/write-paths.md`"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
