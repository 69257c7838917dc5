//! The times of records.

use chrono::{DateTime, Utc};
use sea_orm::{DbBackend, Value};

use super::{Dialect, Sql};

impl Dialect {
    /// The time of a new record: now, or a microsecond after the latest record where that is not
    /// before now. `now` is written [`stamp_bindings`](Self::stamp_bindings) times.
    pub(crate) fn stamp(self, sql: &mut Sql, latest: &str, now: impl Fn(&mut Sql) -> &mut Sql) {
        match self.0 {
            DbBackend::Postgres => {
                now(sql.push("GREATEST("));
                sql.push(&format!(", {latest} + interval '1 microsecond')"));
            }
            DbBackend::MySql => {
                now(sql.push(&format!("CASE WHEN {latest} >= ")));
                now(sql.push(&format!(" THEN {latest} + INTERVAL 1 MICROSECOND ELSE ")));
                sql.push(" END");
            }
            _ => {
                now(sql.push(&format!("CASE WHEN {latest} >= ")));
                let next = sqlite_next_microsecond(latest);
                now(sql.push(&format!(" THEN {next} ELSE ")));
                sql.push(" END");
            }
        }
    }

    pub(crate) fn stamp_bindings(self) -> usize {
        match self.0 {
            DbBackend::Postgres => 1,
            _ => 2,
        }
    }
}

/// A time, in the form that every database compares with a record's, and sorts as it does.
///
/// A `DateTime<Utc>` goes to MySQL as a TIMESTAMP, which MariaDB, where it puts it into a column or
/// looks it up in an index, takes for NULL outside the years 1970 to 2038. One with an offset goes
/// there as text, and elsewhere as the column has it.
pub(crate) fn bind_time(at: DateTime<Utc>) -> Value {
    at.fixed_offset().into()
}

/// A microsecond after the RFC 3339 text `t`, written as sqlx binds it: with 0, 3 or 6 digits after
/// the second, whichever is enough (chrono's `SecondsFormat::AutoSi`). SQLite's own date functions
/// end at milliseconds.
fn sqlite_next_microsecond(t: &str) -> String {
    let micros =
        format!("CAST(substr(substr({t}, 21, length({t}) - 26) || '000000', 1, 6) AS INTEGER) + 1");
    format!(
        "CASE {micros} WHEN 1000000 THEN strftime('%Y-%m-%dT%H:%M:%S', substr({t}, 1, 19), '+1 second') \
         ELSE substr({t}, 1, 19) || CASE ({micros}) % 1000 \
         WHEN 0 THEN printf('.%03d', ({micros}) / 1000) ELSE printf('.%06d', {micros}) END END || '+00:00'"
    )
}
