//! A number that a query computed from recorded ones.

use std::fmt;

use sea_orm::prelude::Decimal;
use serde::{Serialize, Serializer};

/// A number as exact as its column is: what a query computes from integers is an integer, from
/// decimals a decimal, from floats a float. Means are floats.
///
/// As JSON, integers and floats are numbers and decimals are text, which keeps their digits; so are
/// integers beyond 64 bits.
///
/// ```
/// use sea_orm_record::Number;
///
/// let sum = Number::Integer(3);
/// assert_eq!((sum.to_f64(), sum.to_i64(), sum.to_string().as_str()), (3.0, Some(3), "3"));
/// assert_eq!(Number::Float(0.5).to_i64(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Number {
    /// From a column of integers; sums do not overflow.
    Integer(i128),
    /// From a column of decimals.
    Decimal(Decimal),
    /// From a column of floats, and every mean.
    Float(f64),
}

impl Number {
    /// The nearest float.
    ///
    /// ```
    /// # use sea_orm_record::Number;
    /// assert_eq!(Number::Decimal("0.10".parse().unwrap()).to_f64(), 0.1);
    /// ```
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Integer(n) => n as f64,
            // By its text, which is rounded once.
            Self::Decimal(decimal) => decimal.to_string().parse().unwrap_or(f64::NAN),
            Self::Float(x) => x,
        }
    }

    /// The integer, if it fits; `None` for floats, and for decimals with digits after the point.
    ///
    /// ```
    /// # use sea_orm_record::Number;
    /// assert_eq!(Number::Decimal("2.00".parse().unwrap()).to_i64(), Some(2));
    /// ```
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        match self {
            Self::Integer(n) => n.try_into().ok(),
            Self::Decimal(decimal) if decimal.fract().is_zero() => decimal.try_into().ok(),
            _ => None,
        }
    }

    /// The same number as a decimal; `None` for floats, and for integers beyond 96 bits.
    ///
    /// ```
    /// # use sea_orm_record::Number;
    /// assert_eq!(Number::Integer(2).to_decimal(), Some(2.into()));
    /// ```
    #[must_use]
    pub fn to_decimal(self) -> Option<Decimal> {
        match self {
            Self::Integer(n) => Decimal::try_from_i128_with_scale(n, 0).ok(),
            Self::Decimal(decimal) => Some(decimal),
            Self::Float(_) => None,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => n.fmt(f),
            Self::Decimal(decimal) => decimal.fmt(f),
            Self::Float(x) => x.fmt(f),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Integer(n) => match i64::try_from(*n) {
                Ok(n) => serializer.serialize_i64(n),
                Err(_) => serializer.collect_str(n),
            },
            Self::Decimal(decimal) => serializer.collect_str(decimal),
            Self::Float(x) => serializer.serialize_f64(*x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_converted_where_nothing_is_lost() {
        let decimal = |text: &str| Number::Decimal(text.parse().unwrap());
        let big = Number::Integer(i128::MAX);
        assert_eq!((big.to_i64(), big.to_decimal()), (None, None));
        assert_eq!(Number::Integer(-3).to_decimal(), Some(Decimal::from(-3)));
        assert_eq!(decimal("2.50").to_i64(), None);
        assert_eq!(decimal("2.50").to_decimal(), "2.50".parse().ok());
        assert_eq!(
            (Number::Float(2.0).to_i64(), Number::Float(2.0).to_decimal()),
            (None, None)
        );
    }

    #[test]
    fn as_text_and_as_json_a_number_keeps_its_digits() {
        let all = [
            (Number::Integer(7), "7", "7"),
            (
                Number::Integer(i128::MAX),
                "170141183460469231731687303715884105727",
                "\"170141183460469231731687303715884105727\"",
            ),
            (Number::Decimal("1.20".parse().unwrap()), "1.20", "\"1.20\""),
            (Number::Float(0.5), "0.5", "0.5"),
        ];
        for (number, text, json) in all {
            assert_eq!(number.to_string(), text);
            assert_eq!(serde_json::to_string(&number).unwrap(), json);
        }
    }
}
