//! Taking away what records say, and the marks of it.
//!
//! A mark is a record: `erased` holds nothing, `blanked` all but what was blanked. What is blank in a
//! `blanked` record is not known any more, so whoever only looks at its row takes it as it is, and
//! hands it on. A save of the row is recorded as ever.

use sea_orm::{DbErr, Value};

use super::text::table;
use super::{BLANKED, Brought, ERASED, From, Where, Writer};
use crate::Event;
use crate::dialect::{Dialect, Sql};
use crate::keys::Key;
use crate::plan::Column;
use crate::typed::Row;

/// A column of the record table that is to hold nothing.
#[derive(Clone, Debug)]
pub(crate) struct Blank {
    pub(crate) column: String,
    /// What it then holds, as SQL.
    pub(crate) nothing: String,
    /// Whether it is so, as SQL about that column.
    is_blank: String,
    /// Whether it says who and why: what the marks themselves say.
    is_context: bool,
}

/// What a mark holds in a column.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    /// NULL, or a literal.
    Text(String),
    Bound(Value),
}

impl Blank {
    pub(crate) fn new(dialect: Dialect, column: &Column, is_context: bool) -> Option<Self> {
        let mut name = dialect.sql();
        name.ident(&column.name);
        Some(Self {
            column: column.name.clone(),
            nothing: nothing(dialect, column)?,
            is_blank: is_blank(dialect, column, &name.finish())?,
            is_context,
        })
    }
}

/// What a column holds that holds nothing.
pub(crate) fn nothing(dialect: Dialect, column: &Column) -> Option<String> {
    match column.nullable {
        true => Some("NULL".to_owned()),
        false => dialect.neutral(&column.ty),
    }
}

/// Whether what stands in a column is that.
fn is_blank(dialect: Dialect, column: &Column, value: &str) -> Option<String> {
    if column.nullable {
        return Some(format!("{value} IS NULL"));
    }
    let neutral = dialect.neutral(&column.ty)?;
    let mut sql = dialect.sql();
    dialect.same(&mut sql, &column.ty, value, &neutral);
    Some(sql.finish())
}

impl Writer<'_> {
    /// Whether a column of the latest record was blanked.
    fn is_blanked(&self, column: &Column) -> Option<String> {
        let event = self.latest(&self.shape.event);
        let is_blank = is_blank(self.dialect, column, &self.latest(&column.name))?;
        // The event last: a comparison of texts for each column costs a tenth of a fan-out.
        Some(format!("({is_blank} AND {event} = '{BLANKED}')"))
    }

    /// Whether a row that was only looked at says the same as its latest record.
    pub(super) fn seen_as(&self, column: &Column, value: &str) -> String {
        let mut sql = self.dialect.sql();
        let latest = self.latest(&column.name);
        self.dialect.same(&mut sql, &column.ty, &latest, value);
        if let Some(is_blanked) = self.is_blanked(column) {
            sql.push(" OR ").push(&is_blanked);
        }
        sql.finish()
    }

    /// What was blanked stays so, and so does the event that says it.
    pub(super) fn seen_event_and_values(&self, sql: &mut Sql, from: From) {
        let event = self.latest(&self.shape.event);
        sql.push(&format!(
            ", CASE WHEN {event} = '{BLANKED}' THEN '{BLANKED}' ELSE "
        ));
        sql.placeholder().push(" END");
        for (column, value) in self.values_of(from) {
            let nothing = nothing(self.dialect, column);
            match self.is_blanked(column).zip(nothing) {
                Some((is_blanked, nothing)) => sql.push(&format!(
                    ", CASE WHEN {is_blanked} THEN {nothing} ELSE {value} END"
                )),
                None => sql.push(", ").push(&value),
            };
        }
    }

    /// How many records of a row say something: all but marks, or those that are not blank yet.
    pub(crate) async fn erasable(&self, key: &Key, blanks: &[Blank]) -> Result<u64, DbErr> {
        let mut sql = self.dialect.sql();
        sql.push("SELECT COUNT(*) AS counted FROM ");
        table(&mut sql, &self.shape.record);
        let values = self.say_something(&mut sql, key, blanks);
        self.count(sql, values).await
    }

    /// Deletes the records of a row that are no marks; answers for how many.
    pub(crate) async fn erase(&self, key: &Key) -> Result<u64, DbErr> {
        let mut sql = self.dialect.sql();
        sql.push("DELETE FROM ");
        table(&mut sql, &self.shape.record);
        let values = self.say_something(&mut sql, key, &[]);
        self.change(sql.finish().into(), values, "deleting from")
            .await
    }

    /// Blanks columns of all records of a row; answers for how many held something there.
    pub(crate) async fn blank(&self, key: &Key, blanks: &[Blank]) -> Result<u64, DbErr> {
        let mut sql = self.dialect.sql();
        sql.push("UPDATE ");
        table(&mut sql, &self.shape.record);
        let mut values = Vec::new();
        sql.push(" SET ").list(blanks, ", ", |sql, blank| {
            sql.ident(&blank.column).push(" = ");
            match blank.is_context {
                true => {
                    sql.push("CASE WHEN ");
                    values.extend(self.is_own_mark(sql));
                    sql.push(" THEN ").ident(&blank.column);
                    sql.push(" ELSE ").push(&blank.nothing).push(" END");
                }
                false => drop(sql.push(&blank.nothing)),
            }
        });
        values.extend(self.say_something(&mut sql, key, blanks));
        self.change(sql.finish().into(), values, "blanking columns of")
            .await
    }

    /// Whether a record is a mark that says what the one to come would say again, so that its context
    /// is not to be blanked: one of a whole history, or by the same actor. A `blanked` record may also
    /// be that of a change, by whoever made it. Returns what it binds.
    fn is_own_mark(&self, sql: &mut Sql) -> Option<Value> {
        let event = &self.shape.event;
        sql.push("(").ident(event).push(&format!(" = '{ERASED}'"));
        let actor = self.shape.context[0].as_ref().zip(self.context.first());
        let actor = actor.filter(|(_, value)| **value != value.as_null());
        if let Some((column, _)) = actor {
            sql.push(" OR ")
                .ident(event)
                .push(&format!(" = '{BLANKED}' AND "));
            sql.ident(&column.name).push(" = ");
            column.write(sql, self.dialect, Sql::placeholder);
        }
        sql.push(")");
        actor.map(|(_, value)| value.clone())
    }

    /// Returns what it binds.
    fn say_something(&self, sql: &mut Sql, key: &Key, blanks: &[Blank]) -> Vec<Value> {
        let mut values = key.clone();
        sql.push(" WHERE ")
            .list(&self.shape.key, " AND ", |sql, column| {
                sql.ident(&column.name).push(" = ");
                column.write(sql, self.dialect, Sql::placeholder);
            });
        sql.push(" AND ");
        match blanks {
            [] => drop(
                sql.ident(&self.shape.event)
                    .push(&format!(" <> '{ERASED}'")),
            ),
            blanks => {
                sql.push("NOT (").list(blanks, " AND ", |sql, blank| {
                    sql.push("(").push(&blank.is_blank);
                    if blank.is_context {
                        sql.push(" OR ");
                        values.extend(self.is_own_mark(sql));
                    }
                    sql.push(")");
                });
                sql.push(")");
            }
        }
        values
    }

    /// Records that a row's history was erased; `cells` are in the order of
    /// [`Shape::values`](crate::plan::Shape::values).
    pub(crate) async fn mark_erased(&self, key: Key, cells: Vec<Cell>) -> Result<(), DbErr> {
        let mut sql = self.insert_into(From::Latest, Where::Marked);
        sql.push(", ").placeholder();
        let mut bound = Vec::new();
        for (column, cell) in self.shape.values().zip(cells) {
            sql.push(", ");
            match cell {
                Cell::Text(text) => drop(sql.push(&text)),
                Cell::Bound(value) => {
                    column.write(&mut sql, self.dialect, Sql::placeholder);
                    bound.push(value);
                }
            }
        }
        self.mark(sql, Event::Erased, bound, key).await
    }

    /// Records that columns of a row's history were blanked: the latest record again, which they
    /// were blanked in.
    pub(crate) async fn mark_blanked(&self, key: Key) -> Result<(), DbErr> {
        let mut sql = self.insert_into(From::Latest, Where::Marked);
        sql.push(", ").placeholder();
        for (_, value) in self.values_of(From::Latest) {
            sql.push(", ").push(&value);
        }
        self.mark(sql, Event::Blanked, Vec::new(), key).await
    }

    async fn mark(
        &self,
        mut sql: Sql,
        event: Event,
        cells: Vec<Value>,
        key: Key,
    ) -> Result<(), DbErr> {
        self.context_cells(&mut sql);
        sql.push(" FROM ");
        self.rows_and_latest(&mut sql, From::Latest, Brought::Listed(1));
        let row = Row {
            key,
            values: Vec::new(),
        };
        if self.stamp.fixed {
            let rows = std::slice::from_ref(&row);
            self.refuse_stale_clock(From::Latest, Where::Marked, rows)
                .await?;
        }
        let mut values = self.bindings(event, Where::Marked);
        let context = values.split_off(values.len() - self.context.len());
        values.extend(cells.into_iter().chain(context).chain(row.key));
        self.write(sql.finish().into(), values).await.map(drop)
    }
}
