//! One record by itself, of a row whose values are all at hand: what a save outside a recorded
//! transaction writes.

use std::sync::Arc;

use sea_orm::{DbErr, Value};

use super::text::table;
use super::{Brought, From, Where, Writer};
use crate::Event;
use crate::dialect::{One, Sql, bind_time};
use crate::error::refuses;
use crate::plan::Column;
use crate::typed::Row;

impl<'w> Writer<'w> {
    /// Records a row, if it changed.
    pub(super) async fn one(&self, way: One, event: Event, row: Row) -> Result<(), DbErr> {
        match way {
            One::Conflict => self.one_by_conflict(event, row).await,
            One::Constant => {
                let mut values = self.bindings(event, Where::Changed);
                values.extend(row.key.iter().cloned());
                values.extend(row.values.into_iter().chain(row.key));
                self.write(self.text_by_constant(), values).await.map(drop)
            }
        }
    }

    async fn one_by_conflict(&self, event: Event, row: Row) -> Result<(), DbErr> {
        let fixed: [Value; 2] = [bind_time(self.stamp.at), event.as_str().into()];
        let values = fixed.into_iter().chain(self.context.iter().cloned());
        let values = values.chain(row.key.iter().chain(&row.values).cloned());
        match self.write(self.text_by_conflict(), values.collect()).await {
            Ok(_) => Ok(()),
            // What the table demands of a record, and its triggers, come before the conflict, and are
            // not to be heard of where nothing is recorded; nor may there be such a primary key. Or the
            // clock has gone back.
            Err(error) if refuses(&error) => {
                let insert = self.insert(From::Values, Where::Changed, event, vec![row]);
                insert.await.map(drop)
            }
            error => error.map(drop),
        }
    }

    /// An INSERT … SELECT that reads the table it writes to lays what it finds into a temporary one
    /// first (SQLite's `insert.c`, `readsTable`), which costs more than the record does. An INSERT of
    /// VALUES does not, also where a subquery in them reads the table. So the time of the record tells
    /// whether the row has changed: if it has not, that is the time of the latest record, and the
    /// primary key, which is the key of the row and this time, lets no second one in. Where the latest
    /// record is not before now the statement fails, for a time is no JSON, and that of a chunk finds
    /// the next: its text is long, and a short one is looked up and copied quicker.
    ///
    /// Each value is bound once, as that costs most of what is left, and so goes by a name: `$1`, for
    /// sea-query takes every `?` for the next value when it writes a statement out.
    fn text_by_conflict(&self) -> Arc<str> {
        self.text_of("one", Brought::Listed(1), || {
            let shape = self.shape;
            let mut numbers = 1_usize..;
            let mut next = || format!("${}", numbers.next().unwrap_or_default());
            let (now, event) = (next(), next());
            let mut bound = |column: &'w Column| (column, self.bound(column, &next()));
            let context: Vec<_> = shape.context.iter().flatten().map(&mut bound).collect();
            let key: Vec<_> = shape.key.iter().map(&mut bound).collect();
            let values: Vec<_> = shape.values().map(&mut bound).collect();

            let mut sql = self.dialect.sql();
            self.insert_into_columns(&mut sql);
            sql.push(" VALUES (");
            for (_, key) in &key {
                sql.push(key).push(", ");
            }
            sql.push("COALESCE((SELECT CASE WHEN ");
            self.differs(&mut sql, &values);
            let latest = self.latest(&shape.recorded_at);
            sql.push(&format!(
                " THEN CASE WHEN {latest} < {now} THEN {now} ELSE json({latest}) END ELSE {latest} END FROM "
            ));
            table(&mut sql, &shape.record);
            sql.push(" l WHERE ")
                .list(&key, " AND ", |sql, (column, key)| {
                    sql.column("l", &column.name).push(" = ").push(key);
                });
            sql.push(&format!(
                " ORDER BY {latest} DESC LIMIT 1), {now}), {event}"
            ));
            for (_, value) in values.iter().chain(&context) {
                sql.push(", ").push(value);
            }
            sql.push(") ON CONFLICT (");
            let key = shape.key.iter().map(|column| &column.name);
            sql.list(key.chain([&shape.recorded_at]), ", ", |sql, name| {
                sql.ident(name);
            });
            sql.push(") DO NOTHING");
            sql.finish()
        })
    }

    /// As a chunk of one, but that the key is bound where the latest record is looked for: of a
    /// constant MAX is the end of an index, found before the statement runs.
    fn text_by_constant(&self) -> Arc<str> {
        self.text_of("one", Brought::Listed(1), || {
            let (shape, from, which) = (self.shape, From::Values, Where::Changed);
            let mut sql = self.insert_into(from, which);
            self.event_and_values(&mut sql, from, which);
            self.context_cells(&mut sql);
            sql.push(" FROM ");
            self.rows(&mut sql, from, 1, false);
            sql.push(" LEFT JOIN ");
            self.latest_by_time(&mut sql, |sql| {
                sql.push("(SELECT MAX(")
                    .column("r", &shape.recorded_at)
                    .push(") FROM ");
                table(sql, &shape.record);
                sql.push(" r WHERE ")
                    .list(&shape.key, " AND ", |sql, column| {
                        sql.column("r", &column.name).push(" = ");
                        column.write(sql, self.dialect, Sql::placeholder);
                    })
                    .push(")")
            });
            self.condition(&mut sql, from, which);
            sql.finish()
        })
    }

    fn bound(&self, column: &Column, name: &str) -> String {
        let mut sql = self.dialect.sql();
        column.write(&mut sql, self.dialect, |sql| sql.push(name));
        sql.finish()
    }
}
