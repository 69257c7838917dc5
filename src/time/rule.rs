//! How long a bucket is: the rules that `resample` takes.

use std::fmt;
use std::str::FromStr;

use crate::RecordError;

/// Microseconds in 24 hours.
const DAY: i64 = 86_400_000_000;
/// The longest rule: a thousand years, in months and in days.
const MONTHS: i64 = 12_000;
const DAYS: i64 = 365_250;

const SPELLINGS: &str =
    "write a number and one of `us`, `ms`, `s`, `min`, `h`, `D`, `W`, `MS`, `QS`, `YS`";

/// A rule: one bucket every 15 minutes, every day, every quarter.
///
/// Parsed from the spellings of pandas and polars, or made by a constructor. Two rules are equal
/// when they mean the same: 60 minutes are an hour, 12 months a year; but 7 days are not a week,
/// for they are counted from another day.
///
/// | length | parsed from | printed as |
/// | --- | --- | --- |
/// | microsecond | `us` `U` | `1us` |
/// | millisecond | `ms` `L` | `1ms` |
/// | second | `s` `S` | `1s` |
/// | minute | `min` `T` | `1min` |
/// | hour | `h` `H` | `1h` |
/// | day | `d` `D` | `1D` |
/// | week, from Monday | `w` `W` | `1W` |
/// | month | `mo` `M` `MS` `ME` | `1MS` |
/// | quarter | `q` `Q` `QS` `QE` | `1QS` |
/// | year | `y` `Y` `YS` `YE` `A` `AS` | `1YS` |
///
/// A whole number may stand in front, 1 if there is none. Rules under a day must divide 24 hours,
/// so that they nest in days; none is longer than a thousand years. Where buckets begin,
/// [`Buckets`](crate::Buckets) says.
///
/// ```
/// use sea_orm_record::Every;
///
/// # fn main() -> Result<(), sea_orm_record::RecordError> {
/// assert_eq!("15T".parse::<Every>()?, Every::minutes(15)?);
/// assert_eq!(Every::minutes(60)?.to_string(), "1h");
/// assert!("5m".parse::<Every>().is_err()); // a minute to polars, a month to pandas
/// assert!("7h".parse::<Every>().is_err()); // does not divide the day
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Every(Step);

/// The length of a rule in the largest unit that has the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Micros(i64),
    Days(i64),
    Weeks(i64),
    Months(i64),
}

#[derive(Clone, Copy)]
enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

macro_rules! constructors {
    ($($name:ident $unit:ident $refused:literal $example:literal $printed:literal;)*) => { $(
        #[doc = concat!("A bucket every `n` ", stringify!($name), ".")]
        ///
        /// # Errors
        ///
        #[doc = concat!("[`RecordError::Rule`] ", $refused, ".")]
        ///
        /// ```
        #[doc = concat!("let every = sea_orm_record::Every::", $example, "?;")]
        #[doc = concat!("assert_eq!(every.to_string(), \"", $printed, "\");")]
        /// # Ok::<(), sea_orm_record::RecordError>(())
        /// ```
        pub fn $name(n: u32) -> Result<Self, RecordError> {
            Self::counted(n, Unit::$unit)
        }
    )* };
}

impl Every {
    constructors! {
        microseconds Microsecond "if `n` is zero or does not divide 24 hours" "microseconds(500)" "500us";
        milliseconds Millisecond "if `n` is zero or does not divide 24 hours" "milliseconds(250)" "250ms";
        seconds Second "if `n` is zero or does not divide 24 hours" "seconds(30)" "30s";
        minutes Minute "if `n` is zero or does not divide 24 hours" "minutes(15)" "15min";
        hours Hour "if `n` is zero, does not divide 24 hours or is 24, for which write `days(1)`" "hours(6)" "6h";
        days Day "if `n` is zero or more than a thousand years" "days(1)" "1D";
        weeks Week "if `n` is zero or more than a thousand years" "weeks(2)" "2W";
        months Month "if `n` is zero or more than a thousand years" "months(1)" "1MS";
        quarters Quarter "if `n` is zero or more than a thousand years" "quarters(1)" "1QS";
        years Year "if `n` is zero or more than a thousand years" "years(1)" "1YS";
    }

    pub(super) fn step(self) -> Step {
        self.0
    }

    /// Whether each bucket lies within one of `wider`, in every zone.
    pub(crate) fn nests_in(self, wider: Self) -> bool {
        match (self.0, wider.0) {
            (Step::Micros(n), Step::Micros(of))
            | (Step::Days(n), Step::Days(of))
            | (Step::Weeks(n), Step::Weeks(of))
            | (Step::Months(n), Step::Months(of)) => of % n == 0,
            // Rules under a day start anew with each day; all others begin with one.
            (Step::Micros(_) | Step::Days(1), _) => !matches!(wider.0, Step::Micros(_)),
            _ => false,
        }
    }

    fn counted(n: u32, unit: Unit) -> Result<Self, RecordError> {
        Self::of(n, unit).map_err(|problem| RecordError::Rule {
            rule: format!("{n}{}", unit.suffix()),
            problem,
        })
    }

    /// The rule, or what is wrong with it and what to write.
    fn of(n: u32, unit: Unit) -> Result<Self, String> {
        let step = unit.times(n.into());
        let too_long = match step {
            _ if n == 0 => return Err(format!("it has no length; write `1{}`", unit.suffix())),
            Step::Micros(length) => return nested(n.into(), length),
            Step::Days(days) => days > DAYS,
            Step::Weeks(weeks) => weeks > DAYS / 7,
            Step::Months(months) => months > MONTHS,
        };
        if too_long {
            return Err("it is longer than a thousand years; write at most `1000YS`".to_owned());
        }
        Ok(Self(step))
    }
}

/// A rule under a day, if it nests in days.
fn nested(n: i64, length: i64) -> Result<Every, String> {
    match length {
        _ if length < DAY && DAY % length == 0 => Ok(Every(Step::Micros(length))),
        _ if length % DAY == 0 => Err(format!(
            "a day is not always 24 hours; write `{}D`",
            length / DAY
        )),
        _ => Err(format!(
            "rules under a day must divide 24 hours; write {}",
            neighbours(n, length / n)
        )),
    }
}

/// The nearest rules, in units of this length, that do nest in days.
fn neighbours(n: i64, unit: i64) -> String {
    let per_day = DAY / unit;
    let divisors = || {
        (1..)
            .take_while(|low| low * low <= per_day)
            .filter(|low| per_day % low == 0)
            .flat_map(|low| [low, per_day / low])
    };
    let spelled = |count: i64| match count * unit {
        DAY => "`1D`".to_owned(),
        length => format!("`{}`", Every(Step::Micros(length))),
    };
    let below = divisors().filter(|count| *count < n).max();
    let above = divisors().filter(|count| *count > n).min();
    let found: Vec<_> = below.into_iter().chain(above).map(spelled).collect();
    found.join(" or ")
}

impl Unit {
    fn spelled(name: &str) -> Option<Self> {
        Some(match name {
            "us" | "U" => Self::Microsecond,
            "ms" | "L" => Self::Millisecond,
            "s" | "S" => Self::Second,
            "min" | "T" => Self::Minute,
            "h" | "H" => Self::Hour,
            "d" | "D" => Self::Day,
            "w" | "W" => Self::Week,
            "mo" | "M" | "MS" | "ME" => Self::Month,
            "q" | "Q" | "QS" | "QE" => Self::Quarter,
            "y" | "Y" | "YS" | "YE" | "A" | "AS" => Self::Year,
            _ => return None,
        })
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Microsecond => "us",
            Self::Millisecond => "ms",
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "D",
            Self::Week => "W",
            Self::Month => "MS",
            Self::Quarter => "QS",
            Self::Year => "YS",
        }
    }

    /// `n` comes from a `u32`, so that no product overflows.
    fn times(self, n: i64) -> Step {
        match self {
            Self::Microsecond => Step::Micros(n),
            Self::Millisecond => Step::Micros(n * 1_000),
            Self::Second => Step::Micros(n * 1_000_000),
            Self::Minute => Step::Micros(n * 60_000_000),
            Self::Hour => Step::Micros(n * 3_600_000_000),
            Self::Day => Step::Days(n),
            Self::Week => Step::Weeks(n),
            Self::Month => Step::Months(n),
            Self::Quarter => Step::Months(n * 3),
            Self::Year => Step::Months(n * 12),
        }
    }
}

impl fmt::Display for Every {
    /// The canonical spelling, which parses back to the same rule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, suffix) = match self.0 {
            Step::Micros(n) if n % 3_600_000_000 == 0 => (n / 3_600_000_000, "h"),
            Step::Micros(n) if n % 60_000_000 == 0 => (n / 60_000_000, "min"),
            Step::Micros(n) if n % 1_000_000 == 0 => (n / 1_000_000, "s"),
            Step::Micros(n) if n % 1_000 == 0 => (n / 1_000, "ms"),
            Step::Micros(n) => (n, "us"),
            Step::Days(n) => (n, "D"),
            Step::Weeks(n) => (n, "W"),
            Step::Months(n) if n % 12 == 0 => (n / 12, "YS"),
            Step::Months(n) if n % 3 == 0 => (n / 3, "QS"),
            Step::Months(n) => (n, "MS"),
        };
        write!(f, "{n}{suffix}")
    }
}

impl FromStr for Every {
    type Err = RecordError;

    fn from_str(rule: &str) -> Result<Self, RecordError> {
        parse(rule.trim()).map_err(|problem| RecordError::Rule {
            rule: rule.to_owned(),
            problem,
        })
    }
}

impl TryFrom<&str> for Every {
    type Error = RecordError;

    fn try_from(rule: &str) -> Result<Self, RecordError> {
        rule.parse()
    }
}

impl TryFrom<&String> for Every {
    type Error = RecordError;

    fn try_from(rule: &String) -> Result<Self, RecordError> {
        rule.parse()
    }
}

fn parse(rule: &str) -> Result<Every, String> {
    let unit = rule.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = rule.get(..rule.len() - unit.len()).unwrap_or_default();
    let unit = unit.trim_start();
    let Some(known) = Unit::spelled(unit) else {
        return Err(hint(rule, number, unit));
    };
    let n = match number {
        "" => 1,
        _ => number
            .parse()
            .map_err(|_| "its number is too large; use a longer unit".to_owned())?,
    };
    Every::of(n, known)
}

/// Why a rule is not taken, and what to write instead.
fn hint(rule: &str, number: &str, unit: &str) -> String {
    match unit {
        "" if number.is_empty() => "it is empty; write `1h`".to_owned(),
        "" => format!("it has no unit; write `{number}min`"),
        "m" => format!(
            "`m` is a minute to polars and a month to pandas; write `{number}min` or `{number}MS`"
        ),
        "ns" | "N" | "n" => "records are kept to the microsecond; write `1us` or more".to_owned(),
        _ if unit.starts_with(['-', '+']) && number.is_empty() => {
            format!("a length has no sign; {SPELLINGS}")
        }
        _ if unit.starts_with(['.', ',']) => {
            "its number is not whole; use a shorter unit, as `90min` for an hour and a half"
                .to_owned()
        }
        _ => match unit.split_once('-') {
            Some((base, _)) if Unit::spelled(base).is_some() => format!(
                "weeks begin on Monday and years in January; write `{number}{base}` without an anchor"
            ),
            _ if unit.contains(|c: char| c.is_ascii_digit()) => compound_hint(rule),
            _ => format!("its unit is not known; {SPELLINGS}"),
        },
    }
}

/// polars also takes `1h30m`.
fn compound_hint(rule: &str) -> String {
    match sum(rule) {
        Some(every) => format!("it has several parts; write `{every}`"),
        None => format!("it has several parts; {SPELLINGS}"),
    }
}

/// What a rule of several parts amounts to; after an hour, `m` is a minute.
fn sum(mut rule: &str) -> Option<Every> {
    let mut length: i64 = 0;
    while !rule.is_empty() {
        let rest = rule.trim_start_matches(|c: char| c.is_ascii_digit());
        let n: u32 = rule.get(..rule.len() - rest.len())?.parse().ok()?;
        rule = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
        let unit = match rest.get(..rest.len() - rule.len())?.trim() {
            "m" => Unit::Minute,
            name => Unit::spelled(name)?,
        };
        let Step::Micros(part) = unit.times(n.into()) else {
            return None;
        };
        length = length.checked_add(part)?;
    }
    let nests = 0 < length && length < DAY && DAY % length == 0;
    nests.then_some(Every(Step::Micros(length)))
}

/// What `resample` takes as its rule: a spelling, an [`Every`], or the [`Result`] of making one.
///
/// ```
/// use sea_orm_record::{Every, IntoRule, RecordError};
///
/// fn canonical(rule: impl IntoRule) -> Result<String, RecordError> {
///     Ok(rule.into_rule()?.to_string())
/// }
///
/// # fn main() -> Result<(), RecordError> {
/// assert_eq!(canonical("15T")?, "15min");
/// assert_eq!(canonical(Every::days(1))?, "1D");
/// # Ok(())
/// # }
/// ```
pub trait IntoRule {
    /// The rule.
    ///
    /// # Errors
    ///
    /// [`RecordError::Rule`] if it does not parse or cannot be used.
    fn into_rule(self) -> Result<Every, RecordError>;
}

impl IntoRule for &str {
    fn into_rule(self) -> Result<Every, RecordError> {
        self.parse()
    }
}

impl IntoRule for &String {
    fn into_rule(self) -> Result<Every, RecordError> {
        self.parse()
    }
}

impl IntoRule for String {
    fn into_rule(self) -> Result<Every, RecordError> {
        self.parse()
    }
}

impl IntoRule for Every {
    fn into_rule(self) -> Result<Every, RecordError> {
        Ok(self)
    }
}

impl IntoRule for Result<Every, RecordError> {
    fn into_rule(self) -> Result<Every, RecordError> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(rule: &str) -> String {
        match rule.parse::<Every>() {
            Err(RecordError::Rule {
                rule: given,
                problem,
            }) => {
                assert_eq!(given, rule);
                problem
            }
            other => panic!("`{rule}` gave {other:?}"),
        }
    }

    #[test]
    fn rules_nest_in_those_whose_edges_are_theirs() {
        let every = |rule: &str| rule.parse::<Every>().unwrap();
        for pair in [
            "1min 1h", "15min 6h", "1h 1D", "90min 1W", "1D 1W", "1D 1MS", "2D 4D", "1W 2W",
            "1MS 1YS", "1D 1D",
        ] {
            let (narrow, wide) = pair.split_once(' ').unwrap();
            assert!(every(narrow).nests_in(every(wide)), "{pair}");
        }
        for pair in [
            "1h 1min", "4h 6h", "1D 1h", "2D 1W", "2D 3D", "7D 1W", "1W 1MS", "2MS 5MS", "1YS 1D",
        ] {
            let (narrow, wide) = pair.split_once(' ').unwrap();
            assert!(!every(narrow).nests_in(every(wide)), "{pair}");
        }
    }

    #[test]
    fn spellings_of_pandas_and_polars_are_taken() {
        let table = [
            ("1us", "us U 1us 1U"),
            ("1ms", "ms L 1000us"),
            ("1s", "s S 1000ms"),
            ("1min", "min T 60s 60S 01T"),
            ("15min", "15min 15T 900s"),
            ("90min", "90min 90T"),
            ("1h", "h H 1h 60min"),
            ("12h", "12H 720T"),
            ("1D", "d D 1d"),
            ("7D", "7D"),
            ("1W", "w W 1w"),
            ("1MS", "M MS ME mo 1mo"),
            ("1QS", "q Q QS QE 3M"),
            ("6QS", "18mo"),
            ("1YS", "y Y YS YE A AS 4q 12MS"),
            ("1000YS", "1000y 12000M"),
        ];
        for (canonical, spellings) in table {
            for spelling in spellings.split(' ') {
                let every: Every = spelling.parse().unwrap();
                assert_eq!(every.to_string(), canonical, "{spelling}");
                assert_eq!(canonical.parse::<Every>().unwrap(), every);
            }
        }
        assert_eq!(" 2 h\n".parse::<Every>().unwrap().to_string(), "2h");
    }

    #[test]
    fn what_is_refused_says_what_to_write() {
        let table = [
            ("", "`1h`"),
            ("   ", "`1h`"),
            ("5", "`5min`"),
            ("m", "`min` or `MS`"),
            ("5m", "`5min` or `5MS`"),
            ("10ns", "`1us`"),
            ("N", "`1us`"),
            ("W-SUN", "`W`"),
            ("2QS-FEB", "`2QS`"),
            ("A-DEC", "`A`"),
            ("-1h", "no sign"),
            ("+1h", "no sign"),
            ("1.5h", "`90min`"),
            ("0.5D", "whole"),
            (".5h", "whole"),
            ("0h", "`1h`"),
            ("0", "no unit"),
            ("4294967296s", "too large"),
            ("99999999999999999999D", "too large"),
            ("1h30m", "`90min`"),
            ("1h30min", "`90min`"),
            ("1h17m", "several parts"),
            ("1d12h", "several parts"),
            ("24h", "`1D`"),
            ("48h", "`2D`"),
            ("1440min", "`1D`"),
            ("7h", "`6h` or `8h`"),
            ("7min", "`6min` or `8min`"),
            ("36h", "`1D`"),
            ("23h", "`12h` or `1D`"),
            ("4294967295us", "`1h` or `72min`"),
            ("1001y", "`1000YS`"),
            ("4294967295D", "`1000YS`"),
            ("4294967295YS", "`1000YS`"),
            ("hour", "`min`"),
            ("1hh", "`min`"),
            ("B", "`min`"),
            ("SM", "`min`"),
            ("1i", "`min`"),
            ("٣h", "`min`"),
            ("1µs", "`us`"),
            ("-", "`min`"),
            ("1-", "`min`"),
        ];
        for (rule, expected) in table {
            let problem = problem(rule);
            assert!(problem.contains(expected), "{rule}: {problem}");
        }
    }

    #[test]
    fn constructors_agree_with_spellings_and_name_what_they_refuse() {
        assert_eq!(Every::hours(6).unwrap(), "6h".parse().unwrap());
        assert_eq!(Every::quarters(4).unwrap(), Every::years(1).unwrap());
        assert_ne!(Every::days(7).unwrap(), Every::weeks(1).unwrap());
        for refused in [Every::hours(7), Every::days(0), Every::years(u32::MAX)] {
            assert!(matches!(refused, Err(RecordError::Rule { .. })));
        }
        let Err(error) = Every::minutes(7) else {
            panic!("7 minutes do not divide the day")
        };
        assert!(error.to_string().starts_with("the rule `7min` cannot"));
    }

    #[test]
    fn every_way_of_giving_a_rule_is_the_same() {
        let owned = String::from("2D");
        let every = Every::days(2).unwrap();
        assert_eq!("2D".into_rule().unwrap(), every);
        assert_eq!((&owned).into_rule().unwrap(), every);
        assert_eq!(Every::try_from(&owned).unwrap(), every);
        assert_eq!(Every::try_from("2D").unwrap(), every);
        assert_eq!(owned.into_rule().unwrap(), every);
        assert_eq!(every.into_rule().unwrap(), every);
        assert_eq!(Every::days(2).into_rule().unwrap(), every);
        assert!("m".into_rule().is_err());
    }
}
