//! From when to when, and the years that one may ask about.

use chrono::{DateTime, Months, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::Value;

use super::{Buckets, Every};
use crate::RecordError;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z in microseconds of the Unix epoch.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

/// A span of time: from `since`, inclusive, until `until`, exclusive, either of them open.
///
/// A window that looks back ([`last`](Self::last), [`today`](Self::today)) has a beginning and no
/// end: a record whose time is ahead of this machine's clock, as that of a writer whose own clock is
/// ahead, is in it. [`between`](Self::between) gives an end. Bounds are instants in UTC, rounded up
/// to the microsecond, which changes no answer since that is how finely records are kept. The
/// default is [`EVERYTHING`](Self::EVERYTHING).
///
/// ```
/// use chrono::Utc;
/// use sea_orm_record::Window;
///
/// # fn main() -> Result<(), sea_orm_record::RecordError> {
/// let window = Window::last_days(3)?;
/// assert!(window.since() < Some(Utc::now()));
/// assert_eq!(window.until(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Window {
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

macro_rules! exact_windows {
    ($($name:ident $unit:literal $seconds:literal;)*) => { $(
        #[doc = concat!("From `n` ", $unit, " before now on, as an exact duration; without an end, as [`Window`] says.")]
        ///
        /// # Errors
        ///
        /// [`RecordError::Window`] if it would begin before the year 1.
        ///
        /// ```
        #[doc = concat!("let window = sea_orm_record::Window::", stringify!($name), "(3)?;")]
        /// assert!(window.since().is_some());
        /// # Ok::<(), sea_orm_record::RecordError>(())
        /// ```
        pub fn $name(n: u32) -> Result<Self, RecordError> {
            // The longest, u32::MAX weeks, is a third of what a `TimeDelta` can hold.
            let length = TimeDelta::seconds(i64::from(n) * $seconds);
            Self::last_before(Utc::now(), length, || format!("{n} {}", $unit))
        }
    )* };
}

macro_rules! calendar_windows {
    ($($name:ident $unit:literal $rule:ident;)*) => { $(
        #[doc = concat!("From the beginning of this ", $unit, " in `zone`, as [`Buckets`] has it, on; without an end, as [`Window`] says.")]
        ///
        /// # Errors
        ///
        /// [`RecordError::Window`] if the clock of this machine is outside the years 1 to 9999.
        ///
        /// ```
        #[doc = concat!("let window = sea_orm_record::Window::", stringify!($name), "(chrono_tz::Europe::Vienna)?;")]
        /// assert!(window.since() <= Some(chrono::Utc::now()));
        /// # Ok::<(), sea_orm_record::RecordError>(())
        /// ```
        pub fn $name(zone: Tz) -> Result<Self, RecordError> {
            Self::this_before(Utc::now(), Every::$rule(1)?, zone)
        }
    )* };
}

impl Window {
    /// All of time: no bound on either side.
    pub const EVERYTHING: Self = Self {
        since: None,
        until: None,
    };

    /// The first instant that a bound can have, 0001-01-01T00:00:00Z.
    pub const EARLIEST: DateTime<Utc> = constant(EARLIEST);

    /// The last instant that a bound can have, 9999-12-31T23:59:59.999999Z.
    pub const LATEST: DateTime<Utc> = constant(LATEST);

    /// From `since`, inclusive, until `until`, exclusive.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if it ends before it begins, or lies outside the years 1 to 9999.
    ///
    /// ```
    /// use chrono::{DateTime, Utc};
    /// use sea_orm_record::Window;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let monday: DateTime<Utc> = "2024-05-06T00:00:00Z".parse()?;
    /// let friday: DateTime<Utc> = "2024-05-10T00:00:00Z".parse()?;
    /// assert_eq!(Window::between(monday, friday)?.until(), Some(friday));
    /// assert!(Window::between(friday, monday).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn between(since: DateTime<Utc>, until: DateTime<Utc>) -> Result<Self, RecordError> {
        let refuse = |problem: &str| RecordError::Window {
            window: format!("from {since} until {until}"),
            problem: problem.to_owned(),
        };
        if until < since {
            return Err(refuse("it ends before it begins"));
        }
        match (bound(since), bound(until)) {
            (Some(since), Some(until)) => Ok(Self {
                since: Some(since),
                until: Some(until),
            }),
            _ => Err(refuse("it reaches outside the years 1 to 9999")),
        }
    }

    /// From `length` before now on; without an end, as [`Window`] says.
    ///
    /// A negative length begins after now, and holds only what is recorded ahead of that.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if it would begin before the year 1.
    ///
    /// ```
    /// use chrono::Duration;
    /// use sea_orm_record::Window;
    ///
    /// assert!(Window::last(Duration::minutes(90)).is_ok());
    /// assert!(Window::last(Duration::MAX).is_err());
    /// ```
    pub fn last(length: TimeDelta) -> Result<Self, RecordError> {
        Self::last_before(Utc::now(), length, || length.to_string())
    }

    exact_windows! {
        last_seconds "seconds" 1;
        last_minutes "minutes" 60;
        last_hours "hours" 3_600;
        last_days "days" 86_400;
        last_weeks "weeks" 604_800;
    }

    /// From `n` months before now on, in the calendar of UTC; without an end, as [`Window`] says.
    ///
    /// Where the earlier month is shorter it begins on its last day: a month before 31 March is
    /// 28 or 29 February.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if it would begin before the year 1.
    ///
    /// ```
    /// assert!(sea_orm_record::Window::last_months(6).is_ok());
    /// ```
    pub fn last_months(n: u32) -> Result<Self, RecordError> {
        Self::last_months_before(Utc::now(), Some(n), || format!("{n} months"))
    }

    /// From `n` years before now on, in the calendar of UTC; a year before 29 February is the 28th.
    /// It has no end, as [`Window`] says.
    ///
    /// # Errors
    ///
    /// [`RecordError::Window`] if it would begin before the year 1.
    ///
    /// ```
    /// use sea_orm_record::Window;
    ///
    /// assert!(Window::last_years(1).is_ok());
    /// assert!(Window::last_years(9_999).is_err());
    /// ```
    pub fn last_years(n: u32) -> Result<Self, RecordError> {
        Self::last_months_before(Utc::now(), n.checked_mul(12), || format!("{n} years"))
    }

    calendar_windows! {
        this_hour "hour" hours;
        today "day" days;
        this_week "week, which begins on Monday," weeks;
        this_month "month" months;
        this_year "year" years;
    }

    /// The first instant in the window, or `None` if it has no beginning.
    ///
    /// ```
    /// assert_eq!(sea_orm_record::Window::EVERYTHING.since(), None);
    /// ```
    #[must_use]
    pub const fn since(&self) -> Option<DateTime<Utc>> {
        self.since
    }

    /// The first instant after the window, or `None` if it has no end.
    ///
    /// ```
    /// assert_eq!(sea_orm_record::Window::EVERYTHING.until(), None);
    /// ```
    #[must_use]
    pub const fn until(&self) -> Option<DateTime<Utc>> {
        self.until
    }

    /// The window, or everything if it began before the year 1: no record is older than that.
    ///
    /// For what looks back from now; [`between`](Self::between) fails for other reasons too.
    pub(crate) fn saturating(window: Result<Self, RecordError>) -> Self {
        window.unwrap_or(Self::EVERYTHING)
    }

    fn last_before(
        now: DateTime<Utc>,
        length: TimeDelta,
        name: impl FnOnce() -> String,
    ) -> Result<Self, RecordError> {
        let since = now.checked_sub_signed(length);
        if length < TimeDelta::zero() {
            return Ok(Self::starting(
                since.and_then(bound).unwrap_or(Self::LATEST),
            ));
        }
        Self::looking_back(since, name)
    }

    fn last_months_before(
        now: DateTime<Utc>,
        months: Option<u32>,
        name: impl FnOnce() -> String,
    ) -> Result<Self, RecordError> {
        let since = months.and_then(|n| now.checked_sub_months(Months::new(n)));
        Self::looking_back(since, name)
    }

    fn this_before(now: DateTime<Utc>, every: Every, zone: Tz) -> Result<Self, RecordError> {
        Ok(Self::starting(Buckets::new(every, zone).start_of(now)?))
    }

    fn looking_back(
        since: Option<DateTime<Utc>>,
        name: impl FnOnce() -> String,
    ) -> Result<Self, RecordError> {
        match since.and_then(bound) {
            Some(since) => Ok(Self::starting(since)),
            None => Err(RecordError::Window {
                window: format!("of the last {}", name()),
                problem: "it would begin before the year 1".to_owned(),
            }),
        }
    }

    const fn starting(since: DateTime<Utc>) -> Self {
        Self {
            since: Some(since),
            until: None,
        }
    }
}

/// The zone of this name in the IANA database, such as `Europe/Vienna` or `UTC`.
///
/// Names are case-sensitive, and links such as `US/Pacific` are taken.
///
/// # Errors
///
/// [`RecordError::Zone`] if there is none.
///
/// ```
/// use sea_orm_record::zone;
///
/// # fn main() -> Result<(), sea_orm_record::RecordError> {
/// assert_eq!(zone("Asia/Kathmandu")?, chrono_tz::Asia::Kathmandu);
/// assert!(zone("Mars/Olympus_Mons").is_err());
/// # Ok(())
/// # }
/// ```
pub fn zone(name: &str) -> Result<Tz, RecordError> {
    name.parse().map_err(|_| RecordError::Zone {
        zone: name.to_owned(),
    })
}

/// The microsecond that holds `t`: how finely every database keeps times.
///
/// chrono writes a leap second as a second of up to two billion nanoseconds, which no database
/// takes; it becomes the last microsecond before it.
pub(crate) fn truncate_to_micros(t: DateTime<Utc>) -> DateTime<Utc> {
    let micros = t.timestamp_subsec_micros().min(999_999);
    DateTime::from_timestamp(t.timestamp(), micros * 1_000).unwrap_or(t)
}

/// The time in a value, whichever of chrono's types it has.
pub(crate) fn utc(value: Value) -> Option<DateTime<Utc>> {
    match value {
        Value::ChronoDateTimeUtc(at) => at,
        Value::ChronoDateTimeWithTimeZone(at) => Some(at?.to_utc()),
        Value::ChronoDateTime(at) => Some(at?.and_utc()),
        _ => None,
    }
}

/// `t` in microseconds of the Unix epoch, rounded down, if it is in the years 1 to 9999.
pub(super) fn to_micros(t: DateTime<Utc>) -> Option<i64> {
    let micros = truncate_to_micros(t).timestamp_micros();
    (EARLIEST..=LATEST).contains(&micros).then_some(micros)
}

/// The reverse of [`to_micros`].
pub(super) fn from_micros(micros: i64) -> Option<DateTime<Utc>> {
    match micros {
        EARLIEST..=LATEST => DateTime::from_timestamp_micros(micros),
        _ => None,
    }
}

/// `t` rounded up to the microsecond, since a record is at or after both or before both.
fn bound(t: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let micros = to_micros(t)?;
    from_micros(micros)
        .filter(|down| *down == t)
        .or_else(|| from_micros(micros + 1))
}

const fn constant(micros: i64) -> DateTime<Utc> {
    match DateTime::from_timestamp_micros(micros) {
        Some(t) => t,
        None => DateTime::UNIX_EPOCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(t: &str) -> DateTime<Utc> {
        t.parse().unwrap()
    }

    fn months_before(now: &str, n: u32) -> Option<DateTime<Utc>> {
        let name = || format!("{n} months");
        Window::last_months_before(at(now), Some(n), name)
            .unwrap()
            .since()
    }

    fn this(now: &str, rule: &str, zone_name: &str) -> Option<DateTime<Utc>> {
        let zone = zone(zone_name).unwrap();
        Window::this_before(at(now), rule.parse().unwrap(), zone)
            .unwrap()
            .since()
    }

    #[test]
    fn months_and_years_clamp_to_the_last_day() {
        let february = |year: &str| Some(at(&format!("{year}T12:00:00Z")));
        assert_eq!(
            months_before("2023-03-31T12:00:00Z", 1),
            february("2023-02-28")
        );
        assert_eq!(
            months_before("2024-03-31T12:00:00Z", 1),
            february("2024-02-29")
        );
        assert_eq!(
            months_before("2024-02-29T12:00:00Z", 12),
            february("2023-02-28")
        );
        assert_eq!(
            months_before("2024-02-29T12:00:00Z", 48),
            february("2020-02-29")
        );
    }

    #[test]
    fn weeks_and_shorter_are_exact_and_n_is_honoured() {
        let now = Utc::now();
        for (window, seconds) in [
            (Window::last_seconds(7), 7),
            (Window::last_minutes(7), 420),
            (Window::last_hours(7), 25_200),
            (Window::last_days(7), 604_800),
            (Window::last_weeks(7), 4_233_600),
            (Window::last(TimeDelta::days(2)), 172_800),
        ] {
            let window = window.unwrap();
            let off = now - window.since().unwrap() - TimeDelta::seconds(seconds);
            assert!(off.abs() < TimeDelta::seconds(60), "{off}");
            assert_eq!(window.until(), None);
        }
        assert!(Window::last_years(2).unwrap().since() < Window::last_years(1).unwrap().since());
    }

    #[test]
    fn calendar_windows_begin_where_the_zone_says() {
        let now = "2024-05-09T20:40:00Z"; // Friday 2024-05-10 02:25 in Kathmandu, UTC+05:45
        let kathmandu = |rule| this(now, rule, "Asia/Kathmandu");
        assert_eq!(kathmandu("h"), Some(at("2024-05-09T20:15:00Z")));
        assert_eq!(kathmandu("D"), Some(at("2024-05-09T18:15:00Z")));
        assert_eq!(kathmandu("W"), Some(at("2024-05-05T18:15:00Z")));
        assert_eq!(kathmandu("MS"), Some(at("2024-04-30T18:15:00Z")));
        assert_eq!(kathmandu("YS"), Some(at("2023-12-31T18:15:00Z")));
        assert_eq!(this(now, "D", "UTC"), Some(at("2024-05-09T00:00:00Z")));
        for window in [
            Window::this_hour(Tz::UTC),
            Window::today(Tz::UTC),
            Window::this_week(Tz::UTC),
            Window::this_month(Tz::UTC),
            Window::this_year(Tz::UTC),
        ] {
            assert!(window.unwrap().since() <= Some(Utc::now()));
        }
    }

    #[test]
    fn what_would_begin_before_the_year_1_is_refused_or_saturates() {
        let name = || "…".to_owned();
        for window in [
            Window::last_weeks(u32::MAX),
            Window::last_months(u32::MAX),
            Window::last_years(u32::MAX),
            Window::last_years(9_998),
            Window::last(TimeDelta::MAX),
            Window::last_before(DateTime::<Utc>::MIN_UTC, TimeDelta::MAX, name),
            Window::last_months_before(at("0001-01-31T00:00:00Z"), Some(1), name),
        ] {
            assert!(matches!(window, Err(RecordError::Window { .. })));
            assert_eq!(Window::saturating(window), Window::EVERYTHING);
        }
        let error = Window::last_years(9_998).unwrap_err().to_string();
        assert!(
            error.starts_with("the window of the last 9998 years cannot"),
            "{error}"
        );
    }

    #[test]
    fn a_negative_length_begins_after_now() {
        let later = Window::last(TimeDelta::hours(-1)).unwrap();
        assert!(later.since() > Some(Utc::now()));
        assert_eq!(
            Window::last(TimeDelta::MIN).unwrap().since(),
            Some(Window::LATEST)
        );
    }

    #[test]
    fn bounds_are_rounded_up_since_records_lie_on_microseconds() {
        let window = Window::between(
            at("2024-01-01T00:00:00.000000001Z"),
            at("2024-01-01T00:00:01.000001Z"),
        );
        let window = window.unwrap();
        assert_eq!(window.since(), Some(at("2024-01-01T00:00:00.000001Z")));
        assert_eq!(window.until(), Some(at("2024-01-01T00:00:01.000001Z")));
    }

    #[test]
    fn bounds_lie_in_the_years_1_to_9999_in_order() {
        assert_eq!(Window::EARLIEST, at("0001-01-01T00:00:00Z"));
        assert_eq!(Window::LATEST, at("9999-12-31T23:59:59.999999Z"));
        assert!(Window::between(Window::EARLIEST, Window::LATEST).is_ok());
        let (least, most) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
        let nano = TimeDelta::nanoseconds(1);
        for (since, until) in [
            (Window::EARLIEST - nano, Window::LATEST),
            (Window::EARLIEST, Window::LATEST + nano),
            (least, most),
            (Window::LATEST, Window::EARLIEST),
        ] {
            assert!(Window::between(since, until).is_err(), "{since} {until}");
        }
    }

    #[test]
    fn truncation_is_down_also_before_1970_and_in_leap_seconds() {
        let table = [
            (
                "1969-12-31T23:59:59.9999999Z",
                "1969-12-31T23:59:59.999999Z",
            ),
            (
                "2024-01-01T00:00:00.123456789Z",
                "2024-01-01T00:00:00.123456Z",
            ),
            ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999Z"),
        ];
        for (from, to) in table {
            assert_eq!(truncate_to_micros(at(from)), at(to));
        }
        let _ = truncate_to_micros(DateTime::<Utc>::MIN_UTC);
        let _ = truncate_to_micros(DateTime::<Utc>::MAX_UTC);
    }

    #[test]
    fn zones_are_had_by_name() {
        assert_eq!(zone("US/Pacific").unwrap(), Tz::US__Pacific);
        for name in ["", "Vienna", "europe/vienna", "+02:00"] {
            assert!(matches!(zone(name), Err(RecordError::Zone { .. })));
        }
    }
}
