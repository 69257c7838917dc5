//! Statements that write to a recorded or watched table where no hook sees it.

mod sql;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sea_orm::{ConnectionTrait, DbErr};

use crate::RecordError;
use crate::registry::registry;

/// What becomes of a statement that writes to a recorded or watched table past the hooks; see
/// [`RecordedConnection::with_unseen_writes`](crate::RecordedConnection::with_unseen_writes), which has
/// an example, and the chapter [write paths](crate::book::write_paths).
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
    /// Whether many tasks share it, as they do a pool: a statement is then one announcement's, and none
    /// tells which operation it belongs to.
    shared: bool,
    /// Whether SeaORM inserts all links of a row at once, as it does where there is RETURNING.
    inserts_many: bool,
    /// Saves under way, by table, of which there are few.
    covered: Mutex<Vec<Covered>>,
}

/// What is under way on a table.
#[derive(Debug, Default)]
struct Covered {
    table: String,
    /// How many let any statement pass.
    free: usize,
    /// Statements that were announced and not sent.
    announced: usize,
    /// Of these, those that operations announced.
    within: usize,
    /// Operations under way.
    operations: usize,
}

impl Unseen {
    pub(crate) fn on_pool(policy: UnseenWrites) -> Self {
        Self {
            policy,
            shared: true,
            inserts_many: false,
            covered: Mutex::default(),
        }
    }

    /// Where nobody looks.
    pub(crate) fn nobody() -> Self {
        Self::on_pool(UnseenWrites::Allow)
    }

    /// Within a transaction on this connection.
    pub(crate) fn in_transaction(policy: UnseenWrites, on: &impl ConnectionTrait) -> Self {
        Self {
            shared: false,
            inserts_many: on.support_returning(),
            ..Self::on_pool(policy)
        }
    }

    pub(crate) fn policy(&self) -> UnseenWrites {
        self.policy
    }

    /// A hook says that a statement on this table follows.
    pub(crate) fn announce(&self, table: &str) {
        if self.policy != UnseenWrites::Allow {
            let mut covered = lock(&self.covered);
            let at = place(&mut covered, table);
            let covered = &mut covered[at];
            covered.announced += 1;
            covered.within += usize::from(covered.operations > 0);
        }
    }

    /// An operation on this table begins. What it announced and did not send, because the database
    /// refused it, SeaORM sent nothing, or it was given up, is taken back at its end.
    pub(crate) fn operation(&self, table: &str) -> Option<Covering<'_>> {
        if self.policy == UnseenWrites::Allow || self.shared {
            return None;
        }
        let mut covered = lock(&self.covered);
        let place = place(&mut covered, table);
        covered[place].operations += 1;
        Some(Covering {
            unseen: self,
            place,
        })
    }

    /// Lets every statement on this table pass, until [`bind`](Self::bind).
    pub(crate) fn free(&self, table: &str) {
        let mut covered = lock(&self.covered);
        let at = place(&mut covered, table);
        covered[at].free += 1;
    }

    pub(crate) fn bind(&self, table: &str) {
        let mut covered = lock(&self.covered);
        let at = place(&mut covered, table);
        covered[at].free -= 1;
    }

    /// Whether a statement on this table was announced, which it then no longer is. Within a
    /// transaction it may answer all announcements, for SeaORM calls the hooks of all links before it
    /// inserts or deletes them at once.
    fn covers(&self, table: &str, statement: &str) -> bool {
        let mut covered = lock(&self.covered);
        let Some(covered) = covered.iter_mut().find(|covered| covered.is_of(table)) else {
            return false;
        };
        if covered.free > 0 {
            return true;
        }
        let was_announced = covered.announced > 0;
        if self.shared || statement == "INSERT" && !self.inserts_many {
            covered.announced = covered.announced.saturating_sub(1);
            covered.within = covered.within.saturating_sub(1);
        } else {
            (covered.announced, covered.within) = (0, 0);
        }
        was_announced
    }

    /// Looks at a statement before it is sent; `prepared` ones are one statement each.
    pub(crate) fn look(&self, text: &str, prepared: bool) -> Result<(), DbErr> {
        if self.policy == UnseenWrites::Allow {
            return Ok(());
        }
        for write in sql::writes(text, prepared) {
            let is_recorded = registry().sees(write.schema.as_deref(), &write.table);
            if !is_recorded || self.covers(&write.table, write.statement) {
                continue;
            }
            if self.policy == UnseenWrites::Refuse {
                let (statement, table) = (write.statement, write.table.into_owned());
                return Err(RecordError::Unseen { statement, table }.into());
            }
            warn_once(text, &write);
        }
        Ok(())
    }
}

/// An operation under way; see [`Unseen::operation`].
#[must_use]
pub(crate) struct Covering<'u> {
    unseen: &'u Unseen,
    place: usize,
}

impl Drop for Covering<'_> {
    fn drop(&mut self) {
        let mut covered = lock(&self.unseen.covered);
        let covered = &mut covered[self.place];
        covered.operations -= 1;
        if covered.operations == 0 {
            covered.announced -= std::mem::take(&mut covered.within);
        }
    }
}

impl Covered {
    /// Whether it is of a table of this name, which some databases write in any case.
    fn is_of(&self, table: &str) -> bool {
        self.table.eq_ignore_ascii_case(table)
            || !self.table.is_ascii() && self.table.to_lowercase() == table.to_lowercase()
    }
}

/// Where a table stands among those that are covered; once there, it stays.
fn place(covered: &mut Vec<Covered>, table: &str) -> usize {
    let at = covered.iter().position(|covered| covered.is_of(table));
    at.unwrap_or_else(|| {
        covered.push(Covered {
            table: table.to_owned(),
            ..Covered::default()
        });
        covered.len() - 1
    })
}

/// How many texts are remembered; a program that writes values into its SQL has no end of them.
const REMEMBERED: usize = 1_000;

fn warn_once(text: &str, write: &sql::Write<'_>) {
    static WARNED: Mutex<Option<Warned>> = Mutex::new(None);
    let (statement, table) = (write.statement, &*write.table);
    if lock(&WARNED)
        .get_or_insert_default()
        .is_new(text, statement, table)
    {
        tracing::warn!(
            statement,
            table,
            "a statement goes past the record hooks of its table: what it changes is not recorded; \
             see the chapter `book::write_paths` of sea-orm-record"
        );
    }
}

/// What was warned of.
#[derive(Default)]
struct Warned(HashSet<u64>);

impl Warned {
    /// By its text, as long as texts can be remembered; else by what it does to which table, of
    /// which there are not many.
    fn is_new(&mut self, text: &str, statement: &str, table: &str) -> bool {
        match self.0.len() < REMEMBERED {
            true => self.0.insert(hash(&text)),
            false => self.0.insert(hash(&(statement, table))),
        }
    }
}

fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_transaction() -> Unseen {
        Unseen {
            shared: false,
            ..Unseen::on_pool(UnseenWrites::Refuse)
        }
    }

    #[test]
    fn where_texts_have_no_end_each_table_is_warned_of_once_more() {
        let mut warned = Warned::default();
        for n in 0..REMEMBERED {
            assert!(warned.is_new(&n.to_string(), "UPDATE", "note"));
        }
        assert!(warned.is_new("another", "UPDATE", "note"));
        assert!(!warned.is_new("and another", "UPDATE", "note"));
        assert!(warned.is_new("and another", "DELETE", "note"));
        assert!(warned.is_new("and another", "UPDATE", "topic"));
    }

    #[test]
    fn what_an_operation_announced_and_did_not_send_is_taken_back_at_its_end() {
        let unseen = in_transaction();
        unseen.announce("note");
        let (one, other) = (unseen.operation("note"), unseen.operation("Note"));
        unseen.announce("note");
        drop(one);
        drop(other);
        // What was announced by somebody else stays.
        assert!(unseen.covers("note", "UPDATE"));
        assert!(!unseen.covers("note", "UPDATE"));
        let operation = unseen.operation("note");
        unseen.announce("note");
        drop(operation);
        assert!(!unseen.covers("note", "UPDATE"));
    }

    #[test]
    fn a_statement_answers_one_announcement_on_a_pool_and_all_in_a_transaction() {
        let left = |unseen: &Unseen, statement| {
            unseen.announce("note");
            unseen.announce("Note");
            assert!(unseen.covers("note", statement));
            unseen.covers("note", statement)
        };
        assert!(left(&Unseen::on_pool(UnseenWrites::Refuse), "DELETE"));
        assert!(!left(&in_transaction(), "DELETE"));
        // Without RETURNING links are inserted one by one.
        for inserts_many in [false, true] {
            let unseen = Unseen {
                inserts_many,
                ..in_transaction()
            };
            assert_eq!(left(&unseen, "INSERT"), !inserts_many);
            assert!(!unseen.covers("note", "INSERT"));
        }
    }

    #[test]
    fn any_number_of_statements_passes_while_a_table_is_free() {
        let unseen = in_transaction();
        unseen.free("note");
        unseen.free("Note");
        unseen.bind("note");
        assert!(unseen.covers("note", "UPDATE") && unseen.covers("note", "UPDATE"));
        unseen.bind("note");
        assert!(!unseen.covers("note", "UPDATE"));
    }
}
