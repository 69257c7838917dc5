//! Where buckets begin, in the calendar of a zone.

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz, TzOffset};

use super::rule::Step;
use super::window::{from_micros, to_micros};
use super::{Every, Window};
use crate::RecordError;

const SECOND: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/// Days from 0000-12-31, where chrono counts from, to 1970-01-01.
const EPOCH: i64 = 719_163;
/// Days from 1970-01-01, a Thursday, to the first Monday.
const MONDAY: i64 = 4;

/// The buckets of a rule in the calendar of a zone.
///
/// Buckets are closed on the left: an instant on an edge belongs to the bucket that begins there.
/// They follow each other without gap or overlap, so that every instant lies in exactly one.
///
/// - A **day** begins at the first instant at which the zone's calendar shows its date, or a
///   later one, and lasts until the next day begins. That is midnight, with four exceptions.
///   Where the clock skips midnight (Cairo in spring), the day begins at 01:00. Where it shows
///   midnight twice (Havana in autumn), at the first, as pandas has it. Where it steps back over
///   midnight after the date has changed (St. John's until 2011), the new day has begun and the
///   repeated minutes of the old one belong to it; where it does so at midnight (São Paulo
///   until 2019), they still belong to the old one. A date that the zone skipped (Apia,
///   2011-12-30) has no bucket.
/// - **Rules under a day** start anew with each day and run in elapsed time; the last one is cut
///   short by the next day. A day of 23 or 25 hours has as many buckets of an hour.
/// - **`nD`** are counted from 1970-01-01, **`nW`** from Monday 1970-01-05, **months, quarters and
///   years** from January 1970, forwards and backwards. Each begins with its first day.
///
/// Instants are in UTC; the zone only says where days begin. After 2099, the last year that
/// chrono-tz knows, zones keep the offset that they have then.
///
/// ```
/// use chrono::{DateTime, Utc};
/// use chrono_tz::Europe::Vienna;
/// use sea_orm_record::{Buckets, Every};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let days = Buckets::new(Every::days(1)?, Vienna);
/// let noon: DateTime<Utc> = "2024-03-31T12:00:00Z".parse()?;
/// let start = days.start_of(noon)?;
/// assert_eq!(start.to_rfc3339(), "2024-03-30T23:00:00+00:00");
/// assert_eq!((days.next(start)? - start).num_hours(), 23); // summer time begins
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buckets {
    every: Every,
    zone: Tz,
}

impl Buckets {
    /// The buckets of `every` in `zone`; [`Tz::UTC`] where days have no other place.
    ///
    /// ```
    /// use sea_orm_record::{Buckets, Every};
    ///
    /// # fn main() -> Result<(), sea_orm_record::RecordError> {
    /// let buckets = Buckets::new(Every::hours(1)?, chrono_tz::UTC);
    /// assert_eq!(buckets.zone(), chrono_tz::UTC);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn new(every: Every, zone: Tz) -> Self {
        Self { every, zone }
    }

    /// The rule.
    ///
    /// ```
    /// use sea_orm_record::{Buckets, Every};
    ///
    /// # fn main() -> Result<(), sea_orm_record::RecordError> {
    /// let buckets = Buckets::new(Every::weeks(1)?, chrono_tz::UTC);
    /// assert_eq!(buckets.every().to_string(), "1W");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn every(&self) -> Every {
        self.every
    }

    /// The zone whose calendar is used.
    ///
    /// ```
    /// use sea_orm_record::{Buckets, Every};
    ///
    /// # fn main() -> Result<(), sea_orm_record::RecordError> {
    /// let buckets = Buckets::new(Every::weeks(1)?, chrono_tz::Asia::Tokyo);
    /// assert_eq!(buckets.zone().name(), "Asia/Tokyo");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// Where the bucket that holds `t` begins, at or before `t`.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if that, or `t`, is outside the years 1 to 9999 of UTC.
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use sea_orm_record::{Buckets, Every};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let quarters = Buckets::new(Every::minutes(15)?, chrono_tz::UTC);
    /// let t: DateTime<Utc> = "2024-05-06T07:29:59.9Z".parse()?;
    /// assert_eq!(quarters.start_of(t)?.to_rfc3339(), "2024-05-06T07:15:00+00:00");
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_of(&self, t: DateTime<Utc>) -> Result<DateTime<Utc>, RecordError> {
        to_micros(t)
            .and_then(|at| Cursor::at(*self, at))
            .and_then(|cursor| from_micros(cursor.edge))
            .ok_or_else(|| self.outside(t))
    }

    /// Where the bucket after the one that begins at `start` begins.
    ///
    /// `start` need not be an edge: what follows is the bucket after the one that holds it.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if that, or `start`, is outside the years 1 to 9999 of UTC.
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use sea_orm_record::{Buckets, Every};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let months = Buckets::new(Every::months(1)?, chrono_tz::UTC);
    /// let february: DateTime<Utc> = "2024-02-01T00:00:00Z".parse()?;
    /// assert_eq!(months.next(february)?.to_rfc3339(), "2024-03-01T00:00:00+00:00");
    /// # Ok(())
    /// # }
    /// ```
    pub fn next(&self, start: DateTime<Utc>) -> Result<DateTime<Utc>, RecordError> {
        to_micros(start)
            .and_then(|at| Cursor::at(*self, at)?.advanced())
            .and_then(|cursor| from_micros(cursor.edge))
            .ok_or_else(|| self.outside(start))
    }

    /// The edges of the buckets from the one that holds `from` to the one that holds `until`.
    ///
    /// The last is the first edge after `until`, so that `n` buckets have `n + 1` edges, strictly
    /// increasing. There are at most `limit + 1`: if the last one is not after `until`, there are
    /// more than `limit` buckets. If `until` is before the bucket of `from`, its start is all.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if an edge, `from` or `until` is outside the years 1 to 9999 of UTC.
    ///
    /// ```
    /// use chrono::{DateTime, TimeDelta, Utc};
    /// use sea_orm_record::{Buckets, Every};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hours = Buckets::new(Every::hours(1)?, chrono_tz::UTC);
    /// let from: DateTime<Utc> = "2024-05-06T07:30:00Z".parse()?;
    /// let edges = hours.edges(from, from + TimeDelta::hours(2), 1_000)?;
    /// assert_eq!(edges.len(), 4); // 07:00, 08:00, 09:00, 10:00
    /// # Ok(())
    /// # }
    /// ```
    pub fn edges(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DateTime<Utc>>, RecordError> {
        let last = to_micros(until).ok_or_else(|| self.outside(until))?;
        let first = to_micros(from).and_then(|at| Cursor::at(*self, at));
        let mut cursor = first.ok_or_else(|| self.outside(from))?;
        let mut edges = Vec::new();
        loop {
            edges.push(from_micros(cursor.edge).ok_or_else(|| self.outside(until))?);
            if cursor.edge > last || edges.len() > limit {
                return Ok(edges);
            }
            cursor = cursor.advanced().ok_or_else(|| self.outside(until))?;
        }
    }

    fn outside(&self, t: DateTime<Utc>) -> RecordError {
        let (from, until) = (Window::EARLIEST, Window::LATEST);
        let problem = if t < from || until < t {
            "it is outside the years 1 to 9999 of UTC".to_owned()
        } else {
            format!(
                "a bucket of `{}` in {} reaches outside the years 1 to 9999 of UTC",
                self.every, self.zone
            )
        };
        RecordError::Window {
            window: format!("at {t}"),
            problem,
        }
    }

    /// Which period holds this day: a day for rules under a day, else the bucket itself.
    fn period_of(&self, day: i64) -> Option<i64> {
        Some(match self.every.step() {
            Step::Micros(_) => day,
            Step::Days(n) => day.div_euclid(n),
            Step::Weeks(n) => (day - MONDAY).div_euclid(7 * n),
            Step::Months(n) => month_of(day)?.div_euclid(n),
        })
    }

    /// Where a period begins, in microseconds of the Unix epoch.
    fn begin(&self, period: i64) -> Option<i64> {
        let day = match self.every.step() {
            Step::Micros(_) => period,
            Step::Days(n) => period * n,
            Step::Weeks(n) => period * 7 * n + MONDAY,
            Step::Months(n) => first_day(period * n)?,
        };
        day_start(self.zone, day)
    }

    /// How long buckets are within their period; calendar rules have one a period.
    fn length(&self) -> i64 {
        match self.every.step() {
            Step::Micros(length) => length,
            _ => i64::MAX,
        }
    }
}

/// A bucket, with the period that it lies in, so that a step within the period asks no calendar.
#[derive(Clone, Copy)]
struct Cursor {
    buckets: Buckets,
    length: i64,
    period: i64,
    /// Where the bucket begins.
    edge: i64,
    /// Where the period ends.
    end: i64,
}

impl Cursor {
    /// The bucket that holds this instant.
    fn at(buckets: Buckets, at: i64) -> Option<Self> {
        let period = buckets.period_of(day_of(buckets.zone, at)?)?;
        let (begin, end) = (buckets.begin(period)?, buckets.begin(period + 1)?);
        let length = buckets.length();
        Some(Self {
            buckets,
            length,
            period,
            edge: at - (at - begin) % length,
            end,
        })
    }

    /// The bucket after this one.
    fn advanced(mut self) -> Option<Self> {
        self.edge = self.edge.saturating_add(self.length);
        if self.edge >= self.end {
            self.edge = self.end;
            // A date that the zone skipped begins where the next one does, and is empty.
            while self.end <= self.edge {
                self.period += 1;
                self.end = self.buckets.begin(self.period + 1)?;
            }
        }
        Some(self)
    }
}

/// The day that holds this instant, counted from 1970-01-01.
fn day_of(zone: Tz, at: i64) -> Option<i64> {
    let utc = naive(at.div_euclid(SECOND))?;
    let offset = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
    let mut day = (at.div_euclid(SECOND) + offset).div_euclid(DAY_SECONDS);
    // The date may have been shown before, if the clock stepped back over midnight since.
    while day_start(zone, day + 1)? <= at {
        day += 1;
    }
    Some(day)
}

/// The first instant at which the zone shows this date or a later one.
fn day_start(zone: Tz, day: i64) -> Option<i64> {
    let midnight = naive(day.checked_mul(DAY_SECONDS)?)?;
    let east = |offset: TzOffset| i64::from(offset.fix().local_minus_utc());
    let (local, offset) = match zone.offset_from_local_datetime(&midnight) {
        LocalResult::Single(offset) => (midnight, east(offset)),
        // The first is the one further east; pandas takes it too (`ambiguous=True` in resample.py).
        LocalResult::Ambiguous(one, other) => (midnight, east(one).max(east(other))),
        LocalResult::None => {
            let (skipped, offset) = GapInfo::new(&midnight, &zone)?.begin?;
            (skipped, east(offset))
        }
    };
    Some((local.and_utc().timestamp() - offset) * SECOND)
}

fn naive(seconds: i64) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp(seconds, 0)?.naive_utc())
}

/// The month of a day, counted from January 1970.
fn month_of(day: i64) -> Option<i64> {
    let day = i32::try_from(day + EPOCH).ok()?;
    let date = NaiveDate::from_num_days_from_ce_opt(day)?;
    Some((i64::from(date.year()) - 1970) * 12 + i64::from(date.month0()))
}

/// The first day of a month.
fn first_day(month: i64) -> Option<i64> {
    let year = i32::try_from(1970 + month.div_euclid(12)).ok()?;
    let month = u32::try_from(month.rem_euclid(12) + 1).ok()?;
    let date = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some(i64::from(date.num_days_from_ce()) - EPOCH)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use chrono_tz::TZ_VARIANTS;

    use super::*;

    fn at(t: &str) -> DateTime<Utc> {
        let full = format!("{t}:00Z");
        t.parse().or_else(|_| full.parse()).unwrap()
    }

    fn buckets(zone: &str, rule: &str) -> Buckets {
        Buckets::new(rule.parse().unwrap(), zone.parse().unwrap())
    }

    /// Checks the edges that follow each other from the first, by each of the three methods.
    #[track_caller]
    fn follow(zone: &str, rule: &str, edges: &str) {
        let buckets = buckets(zone, rule);
        let expected: Vec<_> = edges.split(' ').map(at).collect();
        let tick = TimeDelta::microseconds(1);
        for pair in expected.windows(2) {
            assert_eq!(buckets.start_of(pair[0]).unwrap(), pair[0]);
            assert_eq!(buckets.start_of(pair[1] - tick).unwrap(), pair[0]);
            assert_eq!(buckets.next(pair[0]).unwrap(), pair[1]);
        }
        let last = expected[expected.len() - 1] - tick;
        assert_eq!(buckets.edges(expected[0], last, 100).unwrap(), expected);
    }

    #[test]
    fn cairo_days_begin_at_one_when_midnight_is_skipped() {
        let spring = "2023-04-26T22:00 2023-04-27T22:00 2023-04-28T21:00";
        follow("Africa/Cairo", "D", spring);
        follow(
            "Africa/Cairo",
            "12h",
            "2023-04-27T22:00 2023-04-28T10:00 2023-04-28T21:00",
        );
        // 24:00 became 23:00: the hour before midnight came twice, midnight once.
        follow(
            "Africa/Cairo",
            "D",
            "2023-10-25T21:00 2023-10-26T22:00 2023-10-27T22:00",
        );
    }

    #[test]
    fn havana_days_begin_at_the_first_of_two_midnights() {
        follow(
            "America/Havana",
            "D",
            "2023-11-04T04:00 2023-11-05T04:00 2023-11-06T05:00",
        );
        follow(
            "America/Havana",
            "D",
            "2023-03-11T05:00 2023-03-12T05:00 2023-03-13T04:00",
        );
    }

    #[test]
    fn apia_has_no_bucket_for_the_day_that_it_skipped() {
        let days = "2011-12-29T10:00 2011-12-30T10:00 2011-12-31T10:00";
        follow("Pacific/Apia", "D", days);
        follow(
            "Pacific/Apia",
            "12h",
            "2011-12-29T22:00 2011-12-30T10:00 2011-12-30T22:00",
        );
        // 2011-12-30 is the 15,338th day: with 2D the first of its bucket, which begins with the next date.
        follow(
            "Pacific/Apia",
            "2D",
            "2011-12-28T10:00 2011-12-30T10:00 2011-12-31T10:00",
        );
    }

    #[test]
    fn lord_howe_days_are_half_an_hour_longer_and_their_last_hour_is_cut_short() {
        let zone = "Australia/Lord_Howe";
        follow(zone, "D", "2024-04-06T13:00 2024-04-07T13:30");
        follow(
            zone,
            "h",
            "2024-04-07T12:00 2024-04-07T13:00 2024-04-07T13:30 2024-04-07T14:30",
        );
    }

    #[test]
    fn kathmandu_hours_begin_at_a_quarter_past() {
        follow(
            "Asia/Kathmandu",
            "h",
            "2024-05-09T17:15 2024-05-09T18:15 2024-05-09T19:15",
        );
        follow("Asia/Kathmandu", "MS", "2024-01-31T18:15 2024-02-29T18:15");
    }

    #[test]
    fn sao_paulo_repeats_the_hour_before_midnight_within_its_day() {
        let zone = "America/Sao_Paulo";
        follow(
            zone,
            "D",
            "2019-02-16T02:00 2019-02-17T03:00 2019-02-18T03:00",
        );
        follow(
            zone,
            "h",
            "2019-02-17T01:00 2019-02-17T02:00 2019-02-17T03:00",
        );
        follow(
            zone,
            "D",
            "2018-11-03T03:00 2018-11-04T03:00 2018-11-05T02:00",
        );
    }

    #[test]
    fn a_day_that_has_begun_keeps_the_minutes_that_a_step_back_over_midnight_repeats() {
        let st_johns = "2006-10-28T02:30 2006-10-29T02:30 2006-10-30T03:30";
        follow("America/St_Johns", "D", st_johns);
        follow(
            "America/St_Johns",
            "h",
            "2006-10-29T01:30 2006-10-29T02:30 2006-10-29T03:30",
        );
        // Bought by the United States, Sitka had 18 October 1867 once more while it was the 19th.
        let sitka = buckets("America/Sitka", "D");
        let start = sitka.start_of(at("1867-10-19T12:00")).unwrap();
        assert!(sitka.next(start).unwrap() - start > TimeDelta::hours(47));
    }

    #[test]
    fn dublin_and_casablanca_whose_winter_or_ramadan_is_the_exception() {
        follow(
            "Europe/Dublin",
            "D",
            "2024-03-31T00:00 2024-03-31T23:00 2024-04-01T23:00",
        );
        follow("Europe/Dublin", "D", "2024-10-26T23:00 2024-10-28T00:00");
        follow(
            "Africa/Casablanca",
            "D",
            "2024-03-09T23:00 2024-03-11T00:00",
        );
        follow(
            "Africa/Casablanca",
            "D",
            "2024-04-14T00:00 2024-04-14T23:00",
        );
    }

    #[test]
    fn buckets_of_several_units_are_counted_from_1970_both_ways() {
        follow(
            "UTC",
            "2D",
            "1969-12-30T00:00 1970-01-01T00:00 1970-01-03T00:00",
        );
        follow(
            "UTC",
            "2W",
            "1969-12-22T00:00 1970-01-05T00:00 1970-01-19T00:00",
        );
        follow(
            "UTC",
            "5MS",
            "1969-08-01T00:00 1970-01-01T00:00 1970-06-01T00:00",
        );
        follow(
            "UTC",
            "QS",
            "2023-10-01T00:00 2024-01-01T00:00 2024-04-01T00:00",
        );
        follow(
            "UTC",
            "100y",
            "1870-01-01T00:00 1970-01-01T00:00 2070-01-01T00:00",
        );
        follow("Europe/Vienna", "QS", "2023-12-31T23:00 2024-03-31T22:00");
        follow(
            "UTC",
            "us",
            "1969-12-31T23:59:59.999999Z 1970-01-01T00:00 1970-01-01T00:00:00.000001Z",
        );
    }

    #[test]
    fn edges_end_after_until_or_at_the_limit() {
        let hours = buckets("UTC", "h");
        let (from, until) = (at("2024-01-01T00:30"), at("2024-01-01T02:00"));
        let len = |until, limit| hours.edges(from, until, limit).unwrap().len();
        assert_eq!(len(until, 100), 4);
        assert_eq!(len(until - TimeDelta::nanoseconds(1), 100), 3);
        assert_eq!(
            (len(until, 2), len(until, 0), len(until, usize::MAX)),
            (3, 1, 4)
        );
        assert_eq!(len(from - TimeDelta::hours(1), 100), 1);
    }

    #[test]
    fn outside_the_years_1_to_9999_is_an_error() {
        let nano = TimeDelta::nanoseconds(1);
        for rule in ["us", "h", "D", "W", "7D", "MS", "1000y"] {
            for zone in ["UTC", "Pacific/Apia", "America/Juneau"] {
                let buckets = buckets(zone, rule);
                for t in [
                    DateTime::<Utc>::MIN_UTC,
                    Window::EARLIEST - nano,
                    Window::LATEST + TimeDelta::microseconds(1),
                    DateTime::<Utc>::MAX_UTC,
                ] {
                    let now = at("2024-01-01T00:00");
                    assert!(matches!(
                        buckets.start_of(t),
                        Err(RecordError::Window { .. })
                    ));
                    assert!(matches!(buckets.next(t), Err(RecordError::Window { .. })));
                    assert!(matches!(
                        buckets.edges(t, now, 1),
                        Err(RecordError::Window { .. })
                    ));
                    assert!(matches!(
                        buckets.edges(now, t, 1),
                        Err(RecordError::Window { .. })
                    ));
                }
                let end = Window::LATEST;
                assert!(matches!(buckets.next(end), Err(RecordError::Window { .. })));
                assert!(matches!(
                    buckets.edges(end, end, 9),
                    Err(RecordError::Window { .. })
                ));
            }
        }
        let start = buckets("UTC", "D").start_of(Window::EARLIEST).unwrap();
        assert_eq!(start, Window::EARLIEST);
        let error = buckets("Asia/Tokyo", "D")
            .start_of(Window::EARLIEST)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`1D` in Asia/Tokyo reaches outside"),
            "{error}"
        );
    }

    #[test]
    fn every_instant_lies_in_exactly_one_bucket_in_every_zone() {
        let rules = [
            "us", "250ms", "s", "5min", "h", "8h", "D", "3D", "W", "MS", "QS", "7YS",
        ];
        let mut random: u64 = 42;
        let mut below = |n: i64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            i64::try_from(random >> 33).unwrap() % n
        };
        for zone in TZ_VARIANTS {
            for rule in rules {
                let buckets = Buckets::new(rule.parse().unwrap(), zone);
                // Instants at random from 1850 to 2110, often within two hours of a local midnight.
                let day = below(95_000) - 43_800;
                let near = (below(14_400) - 7_200 + 86_400 * (day + 1)) * SECOND + below(SECOND);
                let t = from_micros(near - below(2) * below(86_400) * SECOND).unwrap();
                let start = buckets.start_of(t).unwrap();
                let end = buckets.next(start).unwrap();
                let case = format!("{rule} in {zone} at {t}: {start} to {end}");
                assert!(start <= t && t < end, "{case}");
                assert_eq!(buckets.start_of(start).unwrap(), start, "{case}");
                assert_eq!(buckets.start_of(end).unwrap(), end, "{case}");
                assert_eq!(buckets.next(t).unwrap(), end, "{case}");
                let edges = buckets.edges(t, end, 9).unwrap();
                assert_eq!(edges, [start, end, buckets.next(end).unwrap()], "{case}");
            }
        }
    }
}
