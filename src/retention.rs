//! How long records are kept, and how many.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::RecordError;
use crate::time::{Buckets, Every, IntoRule, Window};

/// Without an end: the last tier of a [`Retention`].
pub const FOREVER: Option<TimeDelta> = None;

/// How long records are kept: all of the last days, then the last one of each hour, then of each
/// day.
///
/// It is a value; [`prune_to`](crate::prune_to) carries it out. Ages are exact durations, counted
/// back from now; buckets are those of [`resample`](crate::RecordQuery::resample), in the calendar
/// of one zone. Where an age ends within a bucket, the whole bucket still belongs to the younger
/// tier.
///
/// Always kept are the first and the last record of each row, those that say that it was deleted, and
/// those that [`Prune::keep`](crate::Prune::keep) marks.
///
/// ```
/// use chrono::TimeDelta;
/// use sea_orm_record::{FOREVER, Retention};
///
/// # fn main() -> Result<(), sea_orm_record::RecordError> {
/// let retention = Retention::new()
///     .keep_all(TimeDelta::days(7))
///     .then_every("1h", TimeDelta::days(90))
///     .then_every("1D", FOREVER)
///     .in_zone(chrono_tz::Europe::Vienna);
/// retention.check()?;
///
/// let backwards = Retention::new()
///     .keep_all(TimeDelta::days(90))
///     .then_every("1h", TimeDelta::days(7))
///     .then_every("1D", FOREVER);
/// assert!(backwards.check().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is pruned until `prune_to`"]
pub struct Retention {
    tiers: Vec<Tier>,
    zone: Tz,
}

#[derive(Clone, Debug)]
struct Tier {
    /// One record of each bucket; none where all are kept.
    every: Option<Result<Every, RecordError>>,
    until: Option<TimeDelta>,
}

impl Tier {
    /// For messages.
    fn name(&self) -> String {
        match &self.every {
            Some(Ok(every)) => format!("`then_every(\"{every}\", …)`"),
            Some(Err(_)) => "`then_every`".to_owned(),
            None => "`keep_all`".to_owned(),
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self::new()
    }
}

impl Retention {
    /// A retention without tiers, which no one can use yet; in UTC.
    pub const fn new() -> Self {
        Self {
            tiers: Vec::new(),
            zone: Tz::UTC,
        }
    }

    /// Keeps all records up to this age. It comes first. Default: the first rule begins with now.
    pub fn keep_all(self, until: TimeDelta) -> Self {
        self.tier(None, Some(until))
    }

    /// Then keeps the last record of each bucket, up to this age, or [`FOREVER`]. The rule is one of
    /// [`resample`](crate::RecordQuery::resample).
    pub fn then_every(self, rule: impl IntoRule, until: impl Into<Option<TimeDelta>>) -> Self {
        self.tier(Some(rule.into_rule()), until.into())
    }

    /// The zone in whose calendar buckets are counted. Default: UTC.
    pub const fn in_zone(mut self, zone: Tz) -> Self {
        self.zone = zone;
        self
    }

    fn tier(mut self, every: Option<Result<Every, RecordError>>, until: Option<TimeDelta>) -> Self {
        self.tiers.push(Tier { every, until });
        self
    }

    /// Whether it can be used.
    ///
    /// # Errors
    ///
    /// [`RecordError::Rule`] for a rule that does not parse; [`RecordError::Retention`] where a tier
    /// ends before the one before it or does not follow it, a rule does not nest in the next, or the
    /// last tier has an end.
    pub fn check(&self) -> Result<(), RecordError> {
        let (mut ended, mut narrower) = (Some(TimeDelta::zero()), None::<Every>);
        for (place, tier) in self.tiers.iter().enumerate() {
            let name = tier.name();
            let Some(before) = ended else {
                return problem(format!("{name} comes after FOREVER; leave it out"));
            };
            if tier.until.is_some_and(|until| until <= before) {
                return problem(format!(
                    "{name} ends at an age of {}, where the tier before it already ended at {}; \
                     tiers go from the youngest to the oldest",
                    age(tier.until.unwrap_or_default()),
                    age(before)
                ));
            }
            match &tier.every {
                None if place > 0 => {
                    return problem("`keep_all` comes first, and once".to_owned());
                }
                None => {}
                Some(every) => {
                    let every = every.clone()?;
                    if let Some(narrow) = narrower.filter(|narrow| !narrow.nests_in(every)) {
                        return problem(format!(
                            "the buckets of `{narrow}` do not nest in those of `{every}`, so its last \
                             records would not be theirs; take rules of which each divides the next"
                        ));
                    }
                    narrower = Some(every);
                }
            }
            ended = tier.until;
        }
        match (self.tiers.is_empty(), ended) {
            (true, _) => problem("it has no tiers; `keep_all(…)` is the first".to_owned()),
            (_, Some(end)) => problem(format!(
                "it ends at an age of {}; let the last tier be FOREVER, and remove what is older \
                 with `prune_before`",
                age(end)
            )),
            (_, None) => Ok(()),
        }
    }

    /// Before which moment it has something to remove, counted from `now`; none where that lies before
    /// all times. A progress bar may count the records from before.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check).
    ///
    /// ```
    /// use chrono::{DateTime, TimeDelta, Utc};
    /// use sea_orm_record::{FOREVER, Retention};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let retention = Retention::new().keep_all(TimeDelta::days(7)).then_every("1D", FOREVER);
    /// let now: DateTime<Utc> = "2026-03-09T12:00:00Z".parse()?;
    /// assert_eq!(retention.prunes_before(now)?, Some("2026-03-02T00:00:00Z".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn prunes_before(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, RecordError> {
        Ok(self.spans(now)?.first().map(|span| span.until))
    }

    /// From when to when which buckets count, the youngest first.
    pub(crate) fn spans(&self, now: DateTime<Utc>) -> Result<Vec<Span>, RecordError> {
        self.check()?;
        let mut spans = Vec::new();
        let mut ended = Some(TimeDelta::zero());
        for tier in &self.tiers {
            if let (Some(every), Some(age)) = (&tier.every, ended) {
                let buckets = Buckets::new(every.clone()?, self.zone);
                let until = now.checked_sub_signed(age);
                let Some(until) = until.filter(|until| *until >= Window::EARLIEST) else {
                    break;
                };
                let until = buckets.start_of(until)?;
                spans.push(Span { until, buckets });
            }
            ended = tier.until;
        }
        Ok(spans)
    }
}

/// A time before which one record of each of these buckets is enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) until: DateTime<Utc>,
    buckets: Buckets,
}

/// Finds the buckets of times that follow each other.
#[derive(Debug)]
pub(crate) struct Tiers {
    spans: Vec<Span>,
    /// The last bucket that was looked at.
    bucket: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Tiers {
    pub(crate) fn new(spans: Vec<Span>) -> Self {
        Self {
            spans,
            bucket: None,
        }
    }

    /// Whether `earlier` may go for `later`: both lie in one bucket, of which the last record is kept.
    /// One at the very start of a bucket is in force there, and stays.
    pub(crate) fn can_spare(
        &mut self,
        earlier: DateTime<Utc>,
        later: DateTime<Utc>,
    ) -> Result<bool, RecordError> {
        if let Some((start, end)) = self.bucket
            && start <= earlier
            && earlier < end
        {
            return Ok(earlier > start && later < end);
        }
        // The oldest tier that holds it: the last whose end lies after it.
        let Some(span) = self.spans.iter().rev().find(|span| earlier < span.until) else {
            return Ok(false);
        };
        let start = span.buckets.start_of(earlier)?;
        let end = span.buckets.next(start)?;
        self.bucket = Some((start, end));
        Ok(earlier > start && later < end)
    }
}

fn problem<T>(problem: String) -> Result<T, RecordError> {
    Err(RecordError::Retention { problem })
}

/// An age in whole days or seconds.
fn age(age: TimeDelta) -> String {
    match age.num_seconds() {
        seconds if seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(n: i64) -> TimeDelta {
        TimeDelta::days(n)
    }

    fn refused(retention: Retention) -> String {
        match retention.check() {
            Err(error) => error.to_string(),
            Ok(()) => panic!("{retention:?} was taken"),
        }
    }

    #[test]
    fn what_does_not_follow_is_refused_and_named() {
        let seven = || Retention::new().keep_all(days(7));
        let backwards = refused(seven().then_every("1h", days(3)).then_every("1D", FOREVER));
        assert!(
            backwards.contains("`then_every(\"1h\", …)` ends at an age of 3 days"),
            "{backwards}"
        );
        let overlap = refused(seven().then_every("1h", days(7)).then_every("1D", FOREVER));
        assert!(overlap.contains("already ended at 7 days"), "{overlap}");
        let apart = refused(
            seven()
                .then_every("7D", days(90))
                .then_every("1MS", FOREVER),
        );
        assert!(
            apart.contains("`7D` do not nest in those of `1MS`"),
            "{apart}"
        );
        let wider = refused(seven().then_every("1D", days(90)).then_every("1h", FOREVER));
        assert!(
            wider.contains("`1D` do not nest in those of `1h`"),
            "{wider}"
        );
        assert!(
            refused(seven().then_every("1h", FOREVER).then_every("1D", FOREVER))
                .contains("after FOREVER")
        );
        assert!(refused(seven().keep_all(days(8))).contains("comes first"));
        assert!(refused(Retention::new().keep_all(days(-1))).contains("ends at an age of -1 days"));
        assert!(refused(Retention::new()).contains("no tiers"));
        assert!(refused(seven()).contains("let the last tier be FOREVER"));
        assert!(refused(seven().then_every("5m", FOREVER)).contains("5m"));
        assert!(
            seven()
                .then_every("1h", days(90))
                .then_every("1D", FOREVER)
                .check()
                .is_ok()
        );
    }

    #[test]
    fn an_age_that_ends_within_a_bucket_leaves_it_to_the_younger_tier() {
        let retention = Retention::new()
            .keep_all(days(1))
            .then_every("1h", days(10))
            .then_every("1D", FOREVER);
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let spans = retention.spans(at("2026-03-20T10:30:00Z")).unwrap();
        let ends: Vec<_> = spans.iter().map(|span| span.until).collect();
        assert_eq!(
            ends,
            [at("2026-03-19T10:00:00Z"), at("2026-03-10T00:00:00Z")]
        );
        let mut tiers = Tiers::new(spans);
        let mut spares = |a: &str, b: &str| tiers.can_spare(at(a), at(b)).unwrap();
        assert!(!spares("2026-03-19T10:10:00Z", "2026-03-19T10:20:00Z"));
        assert!(spares("2026-03-19T09:10:00Z", "2026-03-19T09:20:00Z"));
        assert!(!spares("2026-03-19T09:10:00Z", "2026-03-19T10:00:00Z"));
        assert!(!spares("2026-03-10T09:10:00Z", "2026-03-10T10:20:00Z"));
        assert!(spares("2026-03-09T09:10:00Z", "2026-03-09T23:20:00Z"));
        assert!(!spares("2026-03-09T09:10:00Z", "2026-03-10T00:00:00Z"));
        assert!(!spares("2026-03-09T00:00:00Z", "2026-03-09T23:20:00Z"));
        assert!(!spares("2026-03-09T00:00:00Z", "2026-03-09T23:20:00Z"));
        assert!(spares(
            "2026-03-09T00:00:00.000001Z",
            "2026-03-09T23:20:00Z"
        ));
    }
}
