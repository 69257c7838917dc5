//! What `before_delete` leaves for `after_delete`.
//!
//! Who references a row can be found while it is there; once it is gone, the database may have set
//! their foreign keys to NULL. Within a unit the first hook notes them. Elsewhere nothing goes from
//! one hook to the other but the row, so its key leads to the notes here. To look at a row once too
//! often does no harm: deletions of one row at once, also in two databases, get the notes of all.

use std::any::TypeId;
use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::gather::Buffer;
use crate::keys::Key;

/// Rows that are noted here at most, for deletions that are under way or failed: those never take
/// what was left. The oldest make room, and a single deletion may leave more.
const MOST: usize = 100_000;

static LEFT: LazyLock<Mutex<Left>> = LazyLock::new(Mutex::default);

/// Leaves what a deletion of the row will want to know.
pub(crate) fn leave(entity: TypeId, key: Key, notes: Buffer) {
    let size = notes.size();
    if size > 0 {
        left().leave((entity, key), notes, size, MOST);
    }
}

/// What was left for a deletion of the row, which has now happened.
pub(crate) fn take(entity: TypeId, key: Key) -> Buffer {
    left().take(&(entity, key))
}

fn left() -> MutexGuard<'static, Left> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

type Row = (TypeId, Key);

#[derive(Default)]
struct Left {
    waiting: HashMap<Row, Waiting>,
    /// Oldest first.
    order: VecDeque<Row>,
    size: usize,
}

/// Notes, how many rows they name, and how many deletions have not taken them.
#[derive(Default)]
struct Waiting {
    notes: Buffer,
    size: usize,
    deletions: usize,
}

impl Left {
    fn leave(&mut self, row: Row, notes: Buffer, size: usize, most: usize) {
        let waiting = self.waiting.entry(row.clone()).or_default();
        waiting.notes.merge(notes);
        waiting.size += size;
        waiting.deletions += 1;
        self.size += size;
        self.order.retain(|known| *known != row);
        self.order.push_back(row);
        while self.size > most
            && self.order.len() > 1
            && let Some(oldest) = self.order.pop_front()
        {
            self.remove(&oldest);
        }
    }

    fn take(&mut self, row: &Row) -> Buffer {
        match self.waiting.get_mut(row) {
            None => Buffer::default(),
            Some(waiting) if waiting.deletions > 1 => {
                waiting.deletions -= 1;
                waiting.notes.clone()
            }
            Some(_) => {
                self.order.retain(|known| known != row);
                self.remove(row)
            }
        }
    }

    fn remove(&mut self, row: &Row) -> Buffer {
        let waiting = self.waiting.remove(row).unwrap_or_default();
        self.size -= waiting.size;
        waiting.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i32) -> Row {
        (TypeId::of::<()>(), vec![id.into()])
    }

    impl Left {
        fn knows(&self, id: i32) -> bool {
            let known = self.waiting.contains_key(&row(id));
            assert_eq!(known, self.order.contains(&row(id)));
            known
        }
    }

    #[test]
    fn what_is_left_is_taken_once_for_each_deletion() {
        let mut left = Left::default();
        left.leave(row(1), Buffer::default(), 3, 10);
        left.leave(row(1), Buffer::default(), 3, 10);
        left.take(&row(1));
        assert!(left.knows(1));
        left.take(&row(1));
        assert!(!left.knows(1));
        left.take(&row(1));
        assert_eq!(left.size, 0);
    }

    #[test]
    fn what_failed_deletions_leave_makes_room_oldest_first() {
        let mut left = Left::default();
        for id in 0..100 {
            left.leave(row(id), Buffer::default(), 3, 10);
        }
        assert_eq!((left.waiting.len(), left.order.len(), left.size), (3, 3, 9));
        assert!(left.knows(97) && left.knows(99));
        // The one that is under way stays, however large.
        left.leave(row(97), Buffer::default(), 50, 10);
        assert_eq!((left.waiting.len(), left.order.len()), (1, 1));
        assert!(left.knows(97));
        left.take(&row(97));
        left.take(&row(97));
        assert_eq!(left.size, 0);
    }
}
