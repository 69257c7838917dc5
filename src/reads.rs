//! Which tables a property closure reads.
//!
//! A forgotten watch is the commonest way to a wrong history, so debug builds look: the connection
//! that a closure gets notes the tables in its statements, and one that nobody watches is warned
//! of, once.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tables that were read during one call of a closure.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<BTreeSet<String>>);

impl Reads {
    pub(crate) fn note(&self, sql: &str) {
        lock(&self.0).extend(tables_in(sql));
    }

    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// A read of a table that the recorder of an entity does not watch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct UnwatchedRead {
    /// Table of the recorded entity.
    pub entity: String,
    /// The table that its properties read.
    pub table: String,
}

impl std::fmt::Display for UnwatchedRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the properties of {} read {}, which is not watched: a change there would go unrecorded",
            self.entity, self.table
        )
    }
}

static UNWATCHED: Mutex<BTreeSet<UnwatchedRead>> = Mutex::new(BTreeSet::new());

/// Tables that properties have read in this process and nobody watches; noted in debug builds only.
///
/// Each is also warned of once, through `tracing`. At the end of a test this turns a forgotten
/// `watch` into a failure:
///
/// ```
/// assert_eq!(sea_orm_record::unwatched_reads(), []);
/// ```
pub fn unwatched_reads() -> Vec<UnwatchedRead> {
    lock(&UNWATCHED).iter().cloned().collect()
}

/// Warns of what was read and is not watched, once for each entity and table.
pub(crate) fn warn_unwatched(entity: &str, read: BTreeSet<String>, watched: &BTreeSet<String>) {
    for table in read.difference(watched) {
        let finding = UnwatchedRead {
            entity: entity.to_owned(),
            table: table.clone(),
        };
        if lock(&UNWATCHED).insert(finding.clone()) {
            tracing::warn!(entity, table, "{finding}");
        }
    }
}

/// The table names that stand after FROM and JOIN, unquoted and without their schema.
fn tables_in(sql: &str) -> Vec<String> {
    let mut words = sql.split_whitespace();
    let mut tables = Vec::new();
    while let Some(word) = words.next() {
        if !word.eq_ignore_ascii_case("from") && !word.eq_ignore_ascii_case("join") {
            continue;
        }
        if let Some(table) = words.next().and_then(table_name) {
            tables.push(table);
        }
    }
    tables
}

fn table_name(word: &str) -> Option<String> {
    if word.starts_with('(') {
        return None;
    }
    let last = word.trim_end_matches([',', ')', ';']).rsplit('.').next()?;
    let name = last.trim_matches(['"', '`', '[', ']']);
    (!name.is_empty()).then(|| name.to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::tables_in;

    #[test]
    fn tables_are_found_after_from_and_join_whatever_the_quotes() {
        let sql = r#"SELECT a.x FROM "blog"."article" AS a INNER JOIN `topic` ON 1 = 1
                     WHERE EXISTS (SELECT 1 FROM tag) AND 2 IN (SELECT 2 FROM (SELECT 3) t)"#;
        assert_eq!(tables_in(sql), ["article", "topic", "tag"]);
    }
}
