//! Bounds on the time of records, as the windows of [`RecordQuery`](crate::RecordQuery) build them.

use chrono::{DateTime, Utc};
use sea_orm::{Select, Value};

use crate::RecordEntity;
use crate::query::{between, utc};

/// So many bounds of a select are told apart: two windows, in whatever order.
const MOST: usize = 4;

/// The window that several bounds leave.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) until: Option<DateTime<Utc>>,
}

impl Ends {
    /// What is in this window and in another.
    pub(super) fn and(self, since: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Self {
        Self {
            since: self.since.max(since),
            until: [self.until, until].into_iter().flatten().min(),
        }
    }
}

/// The ways in which the values that a select binds may be others and then bounds.
pub(super) fn apart(values: &[Value]) -> impl Iterator<Item = (&[Value], Vec<DateTime<Utc>>)> {
    let times = values.iter().rev().map(|value| utc(value.clone()));
    let times: Vec<_> = times.take(MOST).map_while(|time| time).collect();
    (0..=times.len()).map(move |count| {
        let bounds = times[..count].iter().rev().copied().collect();
        (&values[..values.len() - count], bounds)
    })
}

/// Each way of adding these times as bounds to a select, in this order, with the window that they
/// leave.
pub(super) fn windowed<R: RecordEntity>(
    select: &Select<R>,
    times: &[DateTime<Utc>],
) -> impl Iterator<Item = (Select<R>, Ends)> {
    (0..1_u32 << times.len()).map(move |which| {
        let bounds = times.iter().enumerate().map(|(place, time)| {
            let is_since = which & (1 << place) == 0;
            let [since, until] = [is_since, !is_since].map(|is| is.then_some(*time));
            (since, until)
        });
        let unbound = (select.clone(), Ends::default());
        bounds.fold(unbound, |(select, ends), (since, until)| {
            (between(select, since, until), ends.and(since, until))
        })
    })
}
