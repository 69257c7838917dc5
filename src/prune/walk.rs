//! Which records go: each beside its neighbour.

use chrono::{DateTime, Utc};

use super::page::Seen;
use crate::keys::Key;
use crate::retention::Tiers;
use crate::{Event, RecordError};

/// Which of two neighbours goes.
#[derive(Debug)]
pub(super) enum Judge {
    Tiers(Tiers),
    /// All records that are read lie before the moment.
    Before,
    Repeated,
}

enum Verdict {
    BothStay,
    EarlierGoes,
    /// The earlier goes, unless the later is the first that stays.
    EarlierWaits,
    LaterGoes,
}

impl Judge {
    fn decide(
        &mut self,
        earlier: &Seen,
        is_first: bool,
        later: &Seen,
    ) -> Result<Verdict, RecordError> {
        let earlier_goes = match self {
            _ if earlier.event.is_mark() => false,
            Self::Tiers(_) if is_first || earlier.event == Event::Deleted => false,
            Self::Tiers(tiers) => tiers.can_spare(earlier.at, later.at)?,
            Self::Before => true,
            Self::Repeated => {
                let says_more = [earlier, later]
                    .iter()
                    .any(|it| it.event == Event::Deleted || it.event.is_mark());
                return Ok(match later.repeats && !says_more && !later.marked {
                    true => Verdict::LaterGoes,
                    false => Verdict::BothStay,
                });
            }
        };
        let is_before = matches!(self, Self::Before);
        Ok(match earlier_goes && !earlier.marked {
            true if is_before && later.event == Event::Created => Verdict::EarlierWaits,
            true => Verdict::EarlierGoes,
            false => Verdict::BothStay,
        })
    }
}

/// A record that is to go.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) key: Key,
    pub(crate) at: DateTime<Utc>,
    /// When the record of that row is of that says the same, or enough: it goes only while that is
    /// there, which another pruning might have removed.
    pub(crate) beside: DateTime<Utc>,
}

/// Records beside their neighbours, across pages.
pub(super) struct Walk {
    judge: Judge,
    /// The last record that stays so far, and whether it is the first of its row.
    last: Option<(Seen, bool)>,
    /// What stands before a `created` and goes only with it: were that the first of its row, the row
    /// would be taken for made then.
    waits: Option<Seen>,
    /// The last row that is done with.
    done: Option<Key>,
}

impl Walk {
    pub(super) const fn new(judge: Judge, after: Option<Key>) -> Self {
        Self {
            judge,
            last: None,
            waits: None,
            done: after,
        }
    }

    /// Where the last record lies that stays so far.
    pub(super) fn place(&self) -> Option<(&Key, DateTime<Utc>)> {
        self.last.as_ref().map(|(last, _)| (&last.key, last.at))
    }

    /// The last row that is done with: where nothing more comes, that of the last record.
    pub(super) fn done(&self, ended: bool) -> Option<&Key> {
        let last = self.last.as_ref().filter(|_| ended);
        last.map(|(last, _)| &last.key).or(self.done.as_ref())
    }

    /// Which of these records, or of the one before them, go.
    pub(super) fn through(&mut self, page: Vec<Seen>) -> Result<Vec<Gone>, RecordError> {
        let mut gone = Vec::new();
        for seen in page {
            let Some((last, is_first)) = self.last.take() else {
                self.last = Some((seen, true));
                continue;
            };
            if last.key != seen.key {
                self.waits = None;
                self.done = Some(last.key);
                self.last = Some((seen, true));
            } else {
                self.last = Some(match self.judge.decide(&last, is_first, &seen)? {
                    Verdict::BothStay => {
                        self.waits = None;
                        (seen, false)
                    }
                    // What waits is the last to go: all may end in between.
                    Verdict::EarlierGoes => {
                        let both = [Some(last), self.waits.take()].into_iter().flatten();
                        gone.extend(both.map(|it| it.gone(seen.at)));
                        (seen, false)
                    }
                    Verdict::EarlierWaits => {
                        match self.waits {
                            Some(_) => gone.push(last.gone(seen.at)),
                            None => self.waits = Some(last),
                        }
                        (seen, false)
                    }
                    Verdict::LaterGoes => {
                        gone.push(seen.gone(last.at));
                        (last, is_first)
                    }
                });
            }
        }
        Ok(gone)
    }
}

impl Seen {
    fn gone(self, beside: DateTime<Utc>) -> Gone {
        Gone {
            key: self.key,
            at: self.at,
            beside,
        }
    }
}
