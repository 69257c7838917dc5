//! Questions about the past.
//!
//! | room | what is in it |
//! | --- | --- |
//! | `query/as_of.rs`, `query/as_of/` | what held at a moment |
//! | `query/between.rs` | what changed between two moments |
//! | `query/changes.rs` | records beside the ones before them |
//! | `query/diff.rs` | what changed from one record to another |
//! | `query/json.rs` | values as JSON, and as a person reads them |
//! | `query/late.rs` | queries whose SQL depends on the database |
//! | `query/records.rs` | from a row to its records and back, and recording on request |
//! | `query/resample.rs`, `query/resample/` | one record of each bucket of time, or numbers of all |
//! | `query/restore.rs` | putting back what was |
//!
//! Records are rows of an ordinary entity, and [`RecordQuery`] a builder on SeaORM's `Select`, as
//! `QueryFilter` and `QueryOrder` are: queries build, the caller executes.

mod as_of;
mod between;
mod changes;
mod diff;
mod json;
mod late;
mod records;
mod resample;
mod restore;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, DbBackend, EntityName, EntityTrait, ModelTrait, Order, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Value,
};

pub use as_of::{AsOf, AsOfTwo};
pub use between::{DiffBetween, RowDiff};
pub use changes::{Changes, RecordChange, WhereChanged};
pub use diff::{Change, Diff};
pub use records::{RecordModel, RecordedModel};
pub use resample::{Bucket, Resample, WithGaps, agg};
pub use restore::{PutBack, RestoreTo, Restored};

use crate::by_keys::record_key;
use crate::dialect::bind_time;
use crate::keys::Key;
use crate::time::{IntoRule, MICROSECOND, Window, truncate_to_micros, utc};
use crate::{RecordEntity, RecordError};

macro_rules! looking_back {
    ($($(#[$doc:meta])* $name:ident, $last:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// Looks back from now; a window longer than time (which begins in the year 1) holds
        /// everything. [`Window`] has the same with an error instead.
        #[must_use]
        fn $name(self, n: u32) -> Self {
            self.within(Window::saturating(Window::$last(n)))
        }
    )+};
}

macro_rules! calendar {
    ($($(#[$doc:meta])* $name:ident, $name_in:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// By the calendar in UTC, up to now and beyond.
        #[must_use]
        fn $name(self) -> Self {
            self.$name_in(Tz::UTC)
        }

        $(#[$doc])*
        ///
        /// By the calendar of a time zone, up to now and beyond; [`zone`](crate::zone) finds one by
        /// its name.
        #[must_use]
        fn $name_in(self, zone: Tz) -> Self {
            self.within(Window::saturating(Window::$name(zone)))
        }
    )+};
}

/// What can be asked of the records that a `Select` finds.
///
/// It goes together with everything that SeaORM has for a `Select`: `filter`, `order_by`,
/// `paginate`, `cursor_by`, `stream`, `into_json`, `into_partial_model`, `find_also_related`.
///
/// # Example
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blog.rs"));
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (db, _, article) = blog().await?;
/// use article::record::Column;
/// use chrono::{TimeDelta, Utc};
/// use sea_orm::{ColumnTrait, QueryFilter};
///
/// // Windows, of one article or of all.
/// let recent = article.records().created_in_days(3).all(&db).await?;
/// let week = Window::between("2024-05-06T00:00:00Z".parse()?, "2024-05-13T00:00:00Z".parse()?)?;
/// let old = article::Entity::records().within(week).all(&db).await?;
/// assert_eq!((recent.len(), old.len()), (1, 0));
///
/// // The last save of each article, and one record an hour.
/// let saves = article::Entity::records().filter(Column::Event.eq(Event::Updated));
/// let last_saves = saves.latest_of_each().all(&db).await?;
/// let hourly = article.records().today().resample("1h")?.all(&db).await?;
/// assert_eq!((last_saves.len(), hourly.len()), (0, 1));
///
/// // As it was, and what changed since.
/// let (now, an_hour_ago) = (Utc::now(), Utc::now() - TimeDelta::hours(1));
/// assert_eq!(article.records().as_of(an_hour_ago).one(&db).await?, None);
/// for row in article.records().diff_between(an_hour_ago, now).all(&db).await? {
///     println!("{row}");                          // blog_article 1: added
/// }
/// for change in article.records().changes().newest_first().all(&db).await? {
///     if let Some(diff) = change.diff() {
///         println!("{diff}");                     // a line for each value; `None` for a first record
///     }
/// }
/// let retitled = article.records().where_changed(Column::Title).all(&db).await?;
/// assert_eq!(retitled, []);
///
/// // And back.
/// let back = article.records().restore_to(now);
/// assert!(back.preview().all(&db).await?.is_empty());
/// back.apply(&db).await?;
/// # Ok(())
/// # }
/// ```
#[expect(
    clippy::wrong_self_convention,
    reason = "`as_of` is the field's name for it"
)]
pub trait RecordQuery: Sized {
    /// The record entity.
    type Record: RecordEntity;

    /// Records of a window.
    #[must_use]
    fn within(self, window: Window) -> Self;

    /// Records of the last `length`, an exact duration.
    #[must_use]
    fn created_in(self, length: TimeDelta) -> Self {
        self.within(Window::saturating(Window::last(length)))
    }

    looking_back! {
        /// Records of the last `n` calendar years; 29 February less a year is 28 February.
        created_in_years, last_years;
        /// Records of the last `n` calendar months; 31 March less a month is 28 or 29 February.
        created_in_months, last_months;
        /// Records of the last `n` times 7 × 24 hours.
        created_in_weeks, last_weeks;
        /// Records of the last `n` times 24 hours.
        created_in_days, last_days;
        /// Records of the last `n` hours.
        created_in_hours, last_hours;
        /// Records of the last `n` minutes.
        created_in_minutes, last_minutes;
        /// Records of the last `n` seconds.
        created_in_seconds, last_seconds;
    }

    calendar! {
        /// Records of this hour.
        this_hour, this_hour_in;
        /// Records of today.
        today, today_in;
        /// Records of this week, from Monday.
        this_week, this_week_in;
        /// Records of this month.
        this_month, this_month_in;
        /// Records of this year.
        this_year, this_year_in;
    }

    /// Records of `from` and later.
    #[must_use]
    fn since(self, from: DateTime<Utc>) -> Self;

    /// Records before `to`.
    #[must_use]
    fn until(self, to: DateTime<Utc>) -> Self;

    /// The last record; `.one(&db)` gets it. Over several rows, the last of all.
    #[must_use]
    fn latest(self) -> Self;

    /// The first record; `.one(&db)` gets it. Over several rows, the first of all.
    #[must_use]
    fn earliest(self) -> Self;

    /// The last record of each row, among those that are selected.
    #[must_use]
    fn latest_of_each(self) -> Self;

    /// The record of each row that held at `t`, which is cut to microseconds; rows that were
    /// deleted by then are left out unless [`with_deleted`](AsOf::with_deleted) keeps them.
    ///
    /// Before the first record there is nothing, and after now what there is now. Filters apply to
    /// what held, also those that were there before.
    fn as_of(self, t: DateTime<Utc>) -> AsOf<Self::Record>;

    /// What changed from one moment to another, row by row: added, removed or changed.
    ///
    /// Both are cut to microseconds. Where `to` lies before `from`, it is the way back. A filter
    /// picks rows: those that it fits at either moment. An order or a limit from before gives way.
    fn diff_between(self, from: DateTime<Utc>, to: DateTime<Utc>) -> DiffBetween<Self::Record>;

    /// Each record with the one before it, in the order of time.
    ///
    /// That is the record of the same row before it, whether it is selected or not. An order or a
    /// limit from before gives way.
    fn changes(self) -> Changes<Self::Record>;

    /// Records in which a value differs from that in the record before; first records are left
    /// out.
    ///
    /// Values are compared in SQL as recording compares them: NULL as a value, text by its
    /// characters on every database, JSON by value.
    fn where_changed(
        self,
        column: <Self::Record as EntityTrait>::Column,
    ) -> WhereChanged<Self::Record>;

    /// Puts rows back as they were at a moment, in one transaction: what changed since changes
    /// back, what was deleted since returns, what was made since is deleted.
    ///
    /// A filter picks rows: those that it fits now, or fitted then; an order gives way, and a limit
    /// is refused. Rows of which it is not known whether they were there are left as they are; see
    /// [`RestoreTo::apply`].
    fn restore_to(self, t: DateTime<Utc>) -> RestoreTo<Self::Record>;

    /// The last record of each bucket of time that has any, of each row where the query spans
    /// several; counted in UTC unless [`in_zone`](Resample::in_zone) says otherwise.
    ///
    /// An order or a limit from before gives way.
    ///
    /// The rule is pandas' or polars': `"15min"`, `"1h"`, `"1D"`, `"1W"`, `"1MS"`; or an
    /// [`Every`](crate::Every).
    ///
    /// # Errors
    ///
    /// [`RecordError::Rule`] for a rule that does not parse, is zero or does not divide the day.
    fn resample(self, rule: impl IntoRule) -> Result<Resample<Self::Record>, RecordError>;
}

impl<R: RecordEntity> RecordQuery for Select<R> {
    type Record = R;

    fn within(self, window: Window) -> Self {
        between(self, window.since(), window.until())
    }

    fn since(self, from: DateTime<Utc>) -> Self {
        if from > Window::LATEST {
            return self.filter(nothing());
        }
        self.filter(R::RECORDED_AT.gte(bind_time(rounded_up(within_years(from)))))
    }

    fn until(self, to: DateTime<Utc>) -> Self {
        if to > Window::LATEST {
            return self;
        }
        self.filter(R::RECORDED_AT.lt(bind_time(rounded_up(within_years(to)))))
    }

    fn latest(self) -> Self {
        end(self, Order::Desc)
    }

    fn earliest(self) -> Self {
        end(self, Order::Asc)
    }

    fn latest_of_each(self) -> Self {
        let mut latest = unordered(self.clone()).into_query();
        latest.clear_selects().reset_limit().reset_offset();
        for key in record_key::<R>() {
            latest.expr(own::<R>(key)).add_group_by([own::<R>(key)]);
        }
        latest.expr(own::<R>(R::RECORDED_AT).max());
        if binds_many(&latest) {
            latest.and_having(has_records());
        }
        // A derived table: MySQL wants no LIMIT directly within IN, and materializes it once.
        let derived = Query::select()
            .expr(Expr::cust("*"))
            .from_subquery(latest, "latest_of_each")
            .take();
        let place = record_key::<R>().chain([R::RECORDED_AT]).map(own::<R>);
        self.filter(Expr::tuple(place).in_subquery(derived))
    }

    fn as_of(self, t: DateTime<Utc>) -> AsOf<R> {
        AsOf::new(self, t)
    }

    fn diff_between(self, from: DateTime<Utc>, to: DateTime<Utc>) -> DiffBetween<R> {
        DiffBetween::new(self, from, to)
    }

    fn changes(self) -> Changes<R> {
        Changes::new(self)
    }

    fn where_changed(self, column: R::Column) -> WhereChanged<R> {
        WhereChanged::new(self, column)
    }

    fn restore_to(self, t: DateTime<Utc>) -> RestoreTo<R> {
        RestoreTo::new(self, t)
    }

    fn resample(self, rule: impl IntoRule) -> Result<Resample<R>, RecordError> {
        Ok(Resample::new(self, rule.into_rule()?))
    }
}

/// A column of the record table, by the name that `Entity::find` gives it.
fn own<R: EntityTrait>(column: R::Column) -> Expr {
    Expr::col((R::default(), column))
}

/// Whether a column has a value, written as SeaORM saves it: in a native enum's type for example.
fn is<R: EntityTrait>(column: R::Column, value: Value) -> Expr {
    own::<R>(column).eq(column.save_as(Expr::val(value)))
}

/// The key of a record's row.
fn key_of<R: RecordEntity>(record: &R::Model) -> Key {
    record_key::<R>().map(|key| record.get(key)).collect()
}

/// Whether a record had been written at `t`.
fn held<R: RecordEntity>(t: DateTime<Utc>) -> Expr {
    is_by(own::<R>(R::RECORDED_AT), t)
}

/// The same of a record table under another name.
fn held_as<R: RecordEntity>(table: &'static str, t: DateTime<Utc>) -> Expr {
    is_by(Expr::col((table, R::RECORDED_AT)), t)
}

fn is_by(recorded_at: Expr, t: DateTime<Utc>) -> Expr {
    if t < Window::EARLIEST {
        return nothing();
    }
    recorded_at.lte(bind_time(truncate_to_micros(within_years(t))))
}

/// What comes after a place, in the order of these columns.
///
/// Said twice where there are several: PostgreSQL and SQLite seek by a comparison of rows, MariaDB by
/// one column after the other.
fn beyond<R: EntityTrait>(columns: &[R::Column], place: &[Value], order: &Order) -> Condition {
    let after = |a: Expr, b: Expr| match order {
        Order::Desc => a.lt(b),
        _ => a.gt(b),
    };
    let columns = || {
        let both = columns.iter().zip(place);
        both.map(|(column, value)| {
            let value = column.save_as(Expr::val(value.clone()));
            (own::<R>(*column), value)
        })
    };
    let stepwise = (0..place.len()).fold(Condition::any(), |any, last| {
        let equal = columns().take(last).map(|(column, value)| column.eq(value));
        let next = columns()
            .nth(last)
            .map(|(column, value)| after(column, value));
        any.add(equal.chain(next).fold(Condition::all(), Condition::add))
    });
    if place.len() < 2 {
        return stepwise;
    }
    let (whole, place): (Vec<_>, Vec<_>) = columns().unzip();
    let beyond = after(Expr::tuple(whole), Expr::tuple(place));
    Condition::all().add(beyond).add(stepwise)
}

fn ordered_by_key<R: RecordEntity>(select: Select<R>, order: &Order) -> Select<R> {
    record_key::<R>().fold(select, |select, key| select.order_by(key, order.clone()))
}

/// Filters that bind more values are said to be about many rows.
const MANY: usize = 4_000;

/// Whether groups of which the first or last record is looked for have to be told that they
/// [have records](has_records).
fn binds_many(select: &SelectStatement) -> bool {
    // The text is not looked at, and the values are the same for every database.
    let statement = DbBackend::Postgres.build(select);
    statement.values.is_some_and(|values| values.0.len() > MANY)
}

/// What is so of any group, and has its records counted. MariaDB (10.11) looks for the first or last
/// of each by a loose scan otherwise, which forgets the bounds on the time where filters have more than
/// some 10,000 keys, and then answers with nothing.
fn has_records() -> Expr {
    Expr::cust("COUNT(*)").gt(0)
}

fn unordered<R: EntityTrait>(mut select: Select<R>) -> Select<R> {
    QueryTrait::query(&mut select).clear_order_by();
    select
}

/// The first or last record. Rows that were recorded together have the same time: of those the one
/// with the least or greatest key, so that it is the same on every database.
fn end<R: RecordEntity>(select: Select<R>, order: Order) -> Select<R> {
    let by_time = unordered(select).order_by(R::RECORDED_AT, order.clone());
    ordered_by_key(by_time, &order).limit(1)
}

/// From `since` on and before `until`, where they are given.
fn between<R: RecordEntity>(
    select: Select<R>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
) -> Select<R> {
    let after = since.into_iter().fold(select, |select, since| {
        select.filter(R::RECORDED_AT.gte(bind_time(since)))
    });
    until.into_iter().fold(after, |select, until| {
        select.filter(R::RECORDED_AT.lt(bind_time(until)))
    })
}

/// The nearest time that every database can compare with.
fn within_years(t: DateTime<Utc>) -> DateTime<Utc> {
    t.clamp(Window::EARLIEST, Window::LATEST)
}

/// A condition that no record meets.
fn nothing() -> Expr {
    Expr::val(1).eq(0)
}

/// Bounds between microseconds: records stand on whole ones.
fn rounded_up(t: DateTime<Utc>) -> DateTime<Utc> {
    let cut = truncate_to_micros(t);
    if cut == t {
        return cut;
    }
    cut.checked_add_signed(MICROSECOND).unwrap_or(cut)
}

/// The name of the record table.
fn table_of<R: RecordEntity>() -> &'static str {
    R::default().table_name()
}

/// The name of the recorded entity's table, for messages.
pub(crate) fn source_table_of<R: RecordEntity>() -> &'static str {
    R::Recording::default().table_name()
}
