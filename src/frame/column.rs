//! One column of a frame: its type, and its values as rows bring them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use polars::prelude::*;
use sea_orm::prelude::{Decimal, Json, Uuid};
use sea_orm::sea_query::ColumnType;
use sea_orm::{DbErr, QueryResult, TryGetable};

/// Of decimals that declare none: every `Decimal` has its integer part in it.
const PRECISION_AND_SCALE: (u32, u32) = (38, 10);

/// The digits that a decimal of polars may have.
const DIGITS: u32 = 38;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// A column in the making.
pub(super) struct Column {
    pub(super) name: &'static str,
    values: Box<dyn Values>,
}

/// What a column cannot hold, or the database does not give.
type Problem = String;

impl Column {
    pub(super) fn new(name: &'static str, ty: &ColumnType) -> Result<Self, Problem> {
        let values = values(ty).ok_or_else(|| {
            format!("polars has no type for `{ty:?}`; name the other columns by `frame_columns`")
        })?;
        Ok(Self { name, values })
    }

    pub(super) fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem> {
        self.values.push(row, place)
    }

    /// What was pushed; the column begins anew.
    pub(super) fn take(&mut self) -> PolarsResult<polars::frame::column::Column> {
        let series = self.values.take()?;
        Ok(series.with_name(self.name.into()).into())
    }
}

/// What a column of this type has in a frame; nothing where polars has no such type.
fn values(ty: &ColumnType) -> Option<Box<dyn Values>> {
    Some(match ty {
        ColumnType::Boolean => Box::new(Booleans(booleans())),
        ColumnType::TinyInteger => numbers::<i8, Int8Type>(Ok),
        ColumnType::SmallInteger => numbers::<i16, Int16Type>(Ok),
        ColumnType::Integer => numbers::<i32, Int32Type>(Ok),
        ColumnType::BigInteger => numbers::<i64, Int64Type>(Ok),
        ColumnType::TinyUnsigned => numbers::<u8, UInt8Type>(Ok),
        ColumnType::SmallUnsigned => numbers::<u16, UInt16Type>(Ok),
        ColumnType::Unsigned => numbers::<u32, UInt32Type>(Ok),
        ColumnType::BigUnsigned => numbers::<u64, UInt64Type>(Ok),
        ColumnType::Float => numbers::<f32, Float32Type>(Ok),
        ColumnType::Double => numbers::<f64, Float64Type>(Ok),
        ColumnType::Decimal(digits) | ColumnType::Money(digits) => decimals(*digits),
        ColumnType::DateTime | ColumnType::Timestamp => logical::<_, Int64Type>(naive, |values| {
            values.into_datetime(TimeUnit::Microseconds, None)
        }),
        ColumnType::TimestampWithTimeZone => logical::<_, Int64Type>(utc, |values| {
            values.into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
        }),
        ColumnType::Date => logical::<_, Int32Type>(date, Series::into_date),
        ColumnType::Time => logical::<_, Int64Type>(time, Series::into_time),
        ColumnType::Char(_)
        | ColumnType::String(_)
        | ColumnType::Text
        | ColumnType::Enum { .. } => texts(|text: String| text),
        ColumnType::Uuid => texts(|uuid: Uuid| uuid.to_string()),
        ColumnType::Json | ColumnType::JsonBinary => texts(|json: Json| json.to_string()),
        ColumnType::Blob | ColumnType::Binary(_) | ColumnType::VarBinary(_) => {
            Box::new(Bytes(BinaryChunkedBuilder::new(UNNAMED, 0)))
        }
        ColumnType::Array(of) => return lists(of),
        _ => return None,
    })
}

/// What an array has in a frame, which PostgreSQL alone knows.
fn lists(of: &ColumnType) -> Option<Box<dyn Values>> {
    Some(match of {
        ColumnType::Boolean => list(Ok::<bool, _>, DataType::Boolean),
        ColumnType::SmallInteger => list(Ok::<i16, _>, DataType::Int16),
        ColumnType::Integer => list(Ok::<i32, _>, DataType::Int32),
        ColumnType::BigInteger => list(Ok::<i64, _>, DataType::Int64),
        ColumnType::Float => list(Ok::<f32, _>, DataType::Float32),
        ColumnType::Double => list(Ok::<f64, _>, DataType::Float64),
        ColumnType::DateTime | ColumnType::Timestamp => {
            list(naive, DataType::Datetime(TimeUnit::Microseconds, None))
        }
        ColumnType::TimestampWithTimeZone => {
            let utc_type = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
            list(utc, utc_type)
        }
        ColumnType::Date => list(date, DataType::Date),
        ColumnType::Time => list(time, DataType::Time),
        ColumnType::Char(_)
        | ColumnType::String(_)
        | ColumnType::Text
        | ColumnType::Enum { .. } => list(Ok::<String, _>, DataType::String),
        ColumnType::Uuid => list(|uuid: Uuid| Ok(uuid.to_string()), DataType::String),
        _ => return None,
    })
}

fn naive(at: NaiveDateTime) -> Result<i64, Problem> {
    Ok(at.and_utc().timestamp_micros())
}

fn utc(at: DateTime<Utc>) -> Result<i64, Problem> {
    Ok(at.timestamp_micros())
}

fn date(date: NaiveDate) -> Result<i32, Problem> {
    Ok(date.to_epoch_days())
}

fn time(time: NaiveTime) -> Result<i64, Problem> {
    let nanos =
        i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond());
    let within_the_day = (nanos < NANOS_PER_DAY).then_some(nanos);
    within_the_day.ok_or_else(|| "it holds a leap second, which polars does not know".to_owned())
}

/// Values in the making.
trait Values: Send {
    fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem>;

    /// The values so far; what is pushed next begins anew.
    fn take(&mut self) -> PolarsResult<Series>;
}

const UNNAMED: PlSmallStr = PlSmallStr::EMPTY;

/// A value of a row. The message leaves out what the driver says, which may show the value.
fn get<T: TryGetable>(row: &QueryResult, place: usize) -> Result<Option<T>, Problem> {
    row.try_get_by_index::<Option<T>>(place)
        .map_err(|error| match error {
            DbErr::Type(of_the_driver) => of_the_driver,
            _ => format!(
                "the database holds a value that cannot be read as `{}`",
                std::any::type_name::<T>()
            ),
        })
}

/// Numbers, and what polars keeps as numbers.
struct Numbers<P: PolarsNumericType, F, G> {
    builder: PrimitiveChunkedBuilder<P>,
    number: F,
    finish: G,
}

fn numbers<T, P>(number: fn(T) -> Result<P::Native, Problem>) -> Box<dyn Values>
where
    T: TryGetable + 'static,
    P: PolarsNumericType,
    ChunkedArray<P>: IntoSeries,
{
    logical::<T, P>(number, |values| values)
}

fn logical<T, P>(
    number: fn(T) -> Result<P::Native, Problem>,
    finish: fn(Series) -> Series,
) -> Box<dyn Values>
where
    T: TryGetable + 'static,
    P: PolarsNumericType,
    ChunkedArray<P>: IntoSeries,
{
    boxed::<T, P>(number, move |values| Ok(finish(values)))
}

fn boxed<T, P>(
    number: impl Fn(T) -> Result<P::Native, Problem> + Send + 'static,
    finish: impl Fn(Series) -> PolarsResult<Series> + Send + 'static,
) -> Box<dyn Values>
where
    T: TryGetable + 'static,
    P: PolarsNumericType,
    ChunkedArray<P>: IntoSeries,
{
    let builder = PrimitiveChunkedBuilder::<P>::new(UNNAMED, 0);
    Box::new(Numbers {
        builder,
        number: move |row: &QueryResult, place| get::<T>(row, place)?.map(&number).transpose(),
        finish,
    })
}

impl<P, F, G> Values for Numbers<P, F, G>
where
    P: PolarsNumericType,
    ChunkedArray<P>: IntoSeries,
    F: Fn(&QueryResult, usize) -> Result<Option<P::Native>, Problem> + Send,
    G: Fn(Series) -> PolarsResult<Series> + Send,
{
    fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem> {
        self.builder.append_option((self.number)(row, place)?);
        Ok(())
    }

    fn take(&mut self) -> PolarsResult<Series> {
        let next = PrimitiveChunkedBuilder::new(UNNAMED, 0);
        let mut builder = std::mem::replace(&mut self.builder, next);
        builder.shrink_to_fit();
        (self.finish)(builder.finish().into_series())
    }
}

/// Decimals as whole numbers of the last place.
fn decimals(digits: Option<(u32, u32)>) -> Box<dyn Values> {
    let (precision, scale) = digits.unwrap_or(PRECISION_AND_SCALE);
    let (precision, scale) = (precision.min(DIGITS), scale.min(DIGITS));
    boxed::<Decimal, Int128Type>(
        move |decimal| scaled(&decimal, precision, scale),
        move |values| values.into_decimal(precision as usize, scale as usize),
    )
}

fn scaled(decimal: &Decimal, precision: u32, scale: u32) -> Result<i128, Problem> {
    let decimal = decimal.normalize();
    let factor = scale
        .checked_sub(decimal.scale())
        .map(|more| 10_i128.pow(more));
    let number = factor.and_then(|factor| decimal.mantissa().checked_mul(factor));
    let fits = number.filter(|number| number.unsigned_abs() < 10_u128.pow(precision));
    fits.ok_or_else(|| {
        format!("it holds a decimal that does not fit in {precision} digits with {scale} decimals")
    })
}

struct Booleans(BooleanChunkedBuilder);

fn booleans() -> BooleanChunkedBuilder {
    BooleanChunkedBuilder::new(UNNAMED, 0)
}

impl Values for Booleans {
    fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem> {
        self.0.append_option(get(row, place)?);
        Ok(())
    }

    fn take(&mut self) -> PolarsResult<Series> {
        Ok(std::mem::replace(&mut self.0, booleans())
            .finish()
            .into_series())
    }
}

struct Texts<T> {
    builder: StringChunkedBuilder,
    text: fn(T) -> String,
}

fn texts<T: TryGetable + 'static>(text: fn(T) -> String) -> Box<dyn Values> {
    let builder = StringChunkedBuilder::new(UNNAMED, 0);
    Box::new(Texts { builder, text })
}

impl<T: TryGetable> Values for Texts<T> {
    fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem> {
        self.builder.append_option(get(row, place)?.map(self.text));
        Ok(())
    }

    fn take(&mut self) -> PolarsResult<Series> {
        let next = StringChunkedBuilder::new(UNNAMED, 0);
        Ok(std::mem::replace(&mut self.builder, next)
            .finish()
            .into_series())
    }
}

struct Bytes(BinaryChunkedBuilder);

impl Values for Bytes {
    fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem> {
        self.0.append_option(get::<Vec<u8>>(row, place)?);
        Ok(())
    }

    fn take(&mut self) -> PolarsResult<Series> {
        let next = BinaryChunkedBuilder::new(UNNAMED, 0);
        Ok(std::mem::replace(&mut self.0, next).finish().into_series())
    }
}

/// Arrays. They are rare, so each becomes a series of its own at once.
struct Lists<F> {
    lists: Vec<Option<Series>>,
    item: F,
    of: DataType,
}

fn list<T, N>(item: fn(T) -> Result<N, Problem>, of: DataType) -> Box<dyn Values>
where
    T: 'static,
    N: 'static,
    Vec<T>: TryGetable,
    Series: NamedFrom<Vec<N>, [N]>,
{
    let ty = of.clone();
    Box::new(Lists {
        lists: Vec::new(),
        item: move |row: &QueryResult, place| {
            let Some(items) = get::<Vec<T>>(row, place)? else {
                return Ok(None);
            };
            let items = items.into_iter().map(item).collect::<Result<Vec<N>, _>>()?;
            let series = Series::new(UNNAMED, items).cast(&ty);
            series.map(Some).map_err(|error| error.to_string())
        },
        of,
    })
}

impl<F> Values for Lists<F>
where
    F: Fn(&QueryResult, usize) -> Result<Option<Series>, Problem> + Send,
{
    fn push(&mut self, row: &QueryResult, place: usize) -> Result<(), Problem> {
        self.lists.push((self.item)(row, place)?);
        Ok(())
    }

    fn take(&mut self) -> PolarsResult<Series> {
        let lists: ListChunked = std::mem::take(&mut self.lists).into_iter().collect();
        let ty = DataType::List(Box::new(self.of.clone()));
        lists.into_series().cast(&ty)
    }
}
