//! One record by itself, of a row whose values are all at hand: what a save outside a recorded
//! transaction writes.

use std::sync::Arc;

use sea_orm::{DbErr, Value};

use super::text::table;
use super::{Brought, From, Where, Writer};
use crate::Event;
use crate::dialect::{One, bind_time};
use crate::error::{is_retryable, refuses_null};
use crate::plan::Column;
use crate::typed::Row;

impl<'w> Writer<'w> {
    /// Records a row, if it changed.
    pub(super) async fn one(&self, way: One, event: Event, row: Row) -> Result<(), DbErr> {
        let bound = self.bound_by_one(way, event, &row);
        match self.write(self.text_of_one(way), bound).await {
            Ok(_) => Ok(()),
            Err(error) if way == One::Null && refuses_null(&error, &self.shape.recorded_at) => {
                self.shape.prove(self.dialect, true);
                Ok(())
            }
            Err(error) if is_retryable(&error) => Err(error),
            // What the table demands of a record, and its triggers, come before what tells that there
            // is nothing to record, and are not to be heard of then; nor may there be such a primary
            // key. Or the clock has gone back.
            Err(_) => {
                let insert = self.insert(From::Values, Where::Changed, event, vec![row]);
                insert.await.map(drop)
            }
        }
    }

    /// An INSERT … SELECT that reads the table it writes to lays what it finds into a temporary one
    /// first (SQLite's `insert.c`, `readsTable`; MySQL's manual, "INSERT ... SELECT Statement"), which
    /// costs more than the record does. An INSERT of VALUES does not, also where a subquery in them
    /// reads the table. So the time of the record tells whether the row has changed. Of one that has
    /// not, it is that of the latest record on SQLite, where the primary key, which is the key of the
    /// row and this time, lets no second one in. MySQL has no such clause for one key alone: there it
    /// is none, which the column refuses.
    fn text_of_one(&self, way: One) -> Arc<str> {
        self.text_of("one", Brought::Listed(1), || {
            let shape = self.shape;
            let mut names = Names::new(way);
            let now = self.now(&names.next());
            let event = names.next();
            let mut bound = |column: &'w Column| (column, self.bound(column, &names.next()));
            let context: Vec<_> = shape.context.iter().flatten().map(&mut bound).collect();
            let key: Vec<_> = shape.key.iter().map(&mut bound).collect();
            let values: Vec<_> = shape.values().map(&mut bound).collect();

            let mut sql = self.dialect.sql();
            self.insert_into_columns(&mut sql);
            sql.push(" VALUES (");
            for (_, key) in &key {
                sql.push(key).push(", ");
            }
            let never = way.never();
            sql.push("NULLIF(COALESCE((SELECT CASE WHEN ");
            self.differs(&mut sql, &values);
            sql.push(" THEN ");
            let latest = self.latest(&shape.recorded_at);
            match way {
                // What is not before now has to be stepped past, which the statement of a chunk can.
                One::Conflict => sql.push(&format!(
                    "CASE WHEN {latest} < {now} THEN {now} ELSE {never} END ELSE {latest}"
                )),
                One::Null => {
                    sql.push("COALESCE(");
                    self.dialect.stamp(&mut sql, &latest, |sql| sql.push(&now));
                    sql.push(&format!(", {latest}) ELSE {never}"))
                }
            };
            sql.push(" END FROM ");
            table(&mut sql, &shape.record);
            sql.push(" l WHERE ")
                .list(&key, " AND ", |sql, (column, key)| {
                    sql.column("l", &column.name).push(" = ").push(key);
                });
            sql.push(&format!(
                " ORDER BY {latest} DESC LIMIT 1), {now}), {never}), {event}"
            ));
            for (_, value) in values.iter().chain(&context) {
                sql.push(", ").push(value);
            }
            sql.push(")");
            if way == One::Conflict {
                sql.push(" ON CONFLICT (");
                let key = shape.key.iter().map(|column| &column.name);
                sql.list(key.chain([&shape.recorded_at]), ", ", |sql, name| {
                    sql.ident(name);
                });
                sql.push(") DO NOTHING");
            }
            sql.finish()
        })
    }

    /// What it binds: each value once, as that costs most of what is left, where they go by names;
    /// elsewhere in the order of the text.
    fn bound_by_one(&self, way: One, event: Event, row: &Row) -> Vec<Value> {
        let now = &[bind_time(self.stamp.at)][..];
        let event = &[event.as_str().into()][..];
        let (key, values, context) = (&*row.key, &*row.values, &*self.context);
        match way {
            One::Conflict => [now, event, context, key, values].concat(),
            One::Null => [key, values, now, now, key, now, event, values, context].concat(),
        }
    }

    fn bound(&self, column: &Column, name: &str) -> String {
        let mut sql = self.dialect.sql();
        column.write(&mut sql, self.dialect, |sql| sql.push(name));
        sql.finish()
    }

    fn now(&self, name: &str) -> String {
        let mut sql = self.dialect.sql();
        self.dialect.time_cell(&mut sql, |sql| sql.push(name));
        sql.finish()
    }
}

/// How bound values are called: `$1`, for sea-query takes every `?` for the next value when it writes
/// a statement out; or all alike, where a database has no names.
struct Names {
    way: One,
    last: usize,
}

impl Names {
    fn new(way: One) -> Self {
        Self { way, last: 0 }
    }

    fn next(&mut self) -> String {
        self.last += 1;
        match self.way {
            One::Conflict => format!("${}", self.last),
            One::Null => "?".to_owned(),
        }
    }
}

impl One {
    /// A time that no record has.
    fn never(self) -> &'static str {
        match self {
            Self::Conflict => "0",
            Self::Null => "TIMESTAMP'1000-01-01 00:00:00'",
        }
    }
}
