//! Copies of records at a later moment.

use chrono::{DateTime, Utc};
use sea_orm::{DbErr, Value};

use super::Writer;
use super::text::{table, v_column};
use crate::Event;
use crate::dialect::{Sql, bind_time};
use crate::keys::Key;

impl Writer<'_> {
    /// Copies the records of these rows and times to a moment, but for rows that have a record there;
    /// answers for how many.
    pub(crate) async fn carry(
        &self,
        places: &[(Key, DateTime<Utc>)],
        moment: DateTime<Utc>,
        columns: &[String],
    ) -> Result<u64, DbErr> {
        let mut carried = 0;
        for places in places.chunks(self.rows_of_one_statement(self.shape.key.len() + 1)) {
            let text = self.carry_text(places.len(), columns);
            let values = [bind_time(moment)].into_iter();
            let values = values.chain(self.brought_places(places, moment));
            let values = values.collect();
            carried += self.change(text.into(), values, "writing").await?;
        }
        Ok(carried)
    }

    /// How many records [`carry`](Self::carry) would write.
    pub(crate) async fn count_carried(
        &self,
        places: &[(Key, DateTime<Utc>)],
        moment: DateTime<Utc>,
    ) -> Result<u64, DbErr> {
        let mut carried = 0;
        for places in places.chunks(self.rows_of_one_statement(self.shape.key.len() + 1)) {
            let mut sql = self.dialect.sql();
            sql.push("SELECT COUNT(*) AS counted FROM ");
            self.places(&mut sql, places.len(), 1);
            sql.push(" WHERE ");
            self.none_there(&mut sql);
            let values = self.brought_places(places, moment).collect();
            carried += self.count(sql, values).await?;
        }
        Ok(carried)
    }

    fn brought_places(
        &self,
        places: &[(Key, DateTime<Utc>)],
        moment: DateTime<Utc>,
    ) -> impl Iterator<Item = Value> {
        let cells = places.iter().flat_map(|(key, at)| {
            let key = key.iter().cloned();
            key.chain([bind_time(*at)])
        });
        cells.chain([bind_time(moment)])
    }

    fn carry_text(&self, rows: usize, columns: &[String]) -> String {
        let keys: Vec<&str> = self.shape.key.iter().map(|key| key.name.as_str()).collect();
        let recorded_at = self.shape.recorded_at.as_str();
        let mut sql = self.dialect.sql();
        sql.push("INSERT INTO ");
        table(&mut sql, &self.shape.record);
        let others = columns.iter().map(String::as_str);
        let names = keys.iter().copied().chain([recorded_at]).chain(others);
        sql.push(" (")
            .list(names, ", ", |sql, name| {
                sql.ident(name);
            })
            .push(") SELECT ");
        for key in &keys {
            sql.column("r", key).push(", ");
        }
        self.dialect.time_cell(&mut sql);
        for column in columns {
            sql.push(", ");
            self.carried(&mut sql, column);
        }
        sql.push(" FROM ");
        self.places(&mut sql, rows, 1);
        sql.push(self.dialect.join_in_order());
        table(&mut sql, &self.shape.record);
        sql.push(" r ON ");
        self.same_key(&mut sql, "r", |column| &column.name);
        sql.push(" AND ")
            .column("r", recorded_at)
            .push(" = v.")
            .push(&v_column(keys.len()))
            .push(" WHERE ");
        self.none_there(&mut sql);
        sql.finish()
    }

    /// What a copy has in a column: the same, but that its row was not made at the copy's time.
    fn carried(&self, sql: &mut Sql, column: &str) {
        if column != self.shape.event {
            sql.column("r", column);
            return;
        }
        let [made, was_there] = [Event::Created, Event::Backfilled].map(Event::as_str);
        sql.push("CASE WHEN ").column("r", column);
        sql.push(&format!(" = '{made}' THEN '{was_there}' ELSE "));
        sql.column("r", column).push(" END");
    }

    /// `v`: keys, and so many times for each.
    pub(super) fn places(&self, sql: &mut Sql, rows: usize, times: usize) {
        let keys = &self.shape.key;
        self.dialect
            .rows(sql, rows, keys.len() + times, |sql, _, column| {
                match keys.get(column) {
                    Some(key) => key.cell(sql, self.dialect),
                    None => self.dialect.time_cell(sql),
                }
            });
    }

    /// Whether a row has no record at the moment.
    fn none_there(&self, sql: &mut Sql) {
        sql.push("NOT EXISTS (SELECT 1 FROM ");
        table(sql, &self.shape.record);
        sql.push(" x").push(self.dialect.by_primary_key());
        sql.push(" WHERE ");
        self.same_key(sql, "x", |column| &column.name);
        sql.push(" AND ")
            .column("x", &self.shape.recorded_at)
            .push(" = ")
            .placeholder()
            .push(")");
    }
}
