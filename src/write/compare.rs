//! What would be written, and what is there.

use sea_orm::{DbErr, QueryResult};

use super::text::{table, v_column};
use super::{Brought, CHUNK, DELETED, ERASED, From, Where, Writer};
use crate::dialect::Sql;
use crate::keys::{Key, Run};
use crate::typed::Row;

impl Writer<'_> {
    /// Whether there are records of rows of a run.
    pub(crate) async fn has_any(&self, run: &Run) -> Result<bool, DbErr> {
        let text = self.text_of("any", Brought::Listed(1), || {
            let mut sql = self.dialect.sql();
            sql.push("SELECT 1 AS found FROM ");
            table(&mut sql, &self.shape.record);
            sql.push(" r WHERE ");
            self.within(&mut sql, "r", |column| &column.name);
            sql.push(" LIMIT 1");
            sql.finish()
        });
        let any = self.read(text, run.ends().to_vec());
        Ok(!any.await?.is_empty())
    }

    /// Whether a record would be written now that this row is gone.
    pub(crate) async fn lacks_tombstone(&self, key: &Row) -> Result<bool, DbErr> {
        let text = self.text_of("lacks tombstone", Brought::Listed(1), || {
            let mut sql = self.dialect.sql();
            sql.push("SELECT 1 AS due FROM ");
            self.rows_and_latest(&mut sql, From::Latest, Brought::Listed(1));
            self.condition(&mut sql, From::Latest, Where::Gone);
            let event = self.latest(&self.shape.event);
            sql.push(&format!(" AND {event} <> '{ERASED}'"));
            sql.finish()
        });
        let due = self.read(text, key.key.clone()).await?;
        Ok(!due.is_empty())
    }

    /// Which of these keys have no record, by their places.
    pub(crate) async fn unrecorded(&self, keys: &[Key]) -> Result<Vec<usize>, DbErr> {
        let mut unrecorded = Vec::new();
        for (chunk, keys) in keys.chunks(CHUNK).enumerate() {
            let text = self.text_of("unrecorded", Brought::Listed(keys.len()), || {
                let mut sql = self.dialect.sql();
                sql.push("SELECT ")
                    .column("v", &v_column(self.shape.key.len()));
                sql.push(" AS place FROM ");
                self.rows(&mut sql, From::Latest, keys.len(), true);
                sql.push(" WHERE NOT EXISTS (SELECT 1 FROM ");
                table(&mut sql, &self.shape.record);
                sql.push(" r WHERE ");
                self.same_key(&mut sql, "r", |column| &column.name);
                sql.push(")");
                sql.finish()
            });
            let found = self.read(text, keys.iter().flatten().cloned().collect());
            for row in found.await? {
                unrecorded.push(chunk * CHUNK + place(&row)?);
            }
        }
        Ok(unrecorded)
    }

    /// Which rows differ from their latest records, and in what. What was erased does not differ.
    pub(crate) async fn compare(&self, rows: &[Row]) -> Result<Vec<Difference>, DbErr> {
        let width = self.shape.key.len() + self.shape.values().count();
        let chunk = self.rows_of_one_statement(width);
        let mut differences = Vec::new();
        for (at, rows) in rows.chunks(chunk).enumerate() {
            let text = self.text_of("compare", Brought::Listed(rows.len()), || {
                self.compare_text(rows.len(), width)
            });
            let values = self.cells(From::Values, rows.to_vec());
            for row in self.read(text, values).await? {
                differences.push(self.difference(&row, at * chunk)?);
            }
        }
        Ok(differences)
    }

    fn compare_text(&self, rows: usize, width: usize) -> String {
        let flag = |sql: &mut Sql, condition: &str, name: &str| {
            sql.push(&format!(
                ", CASE WHEN {condition} THEN 1 ELSE 0 END AS {name}"
            ));
        };
        let recorded_at = self.latest(&self.shape.recorded_at);
        let event = self.latest(&self.shape.event);
        let mut sql = self.dialect.sql();
        sql.push("SELECT ")
            .column("v", &v_column(width))
            .push(" AS place");
        flag(&mut sql, &format!("{recorded_at} IS NULL"), "unrecorded");
        flag(&mut sql, &format!("{event} = '{DELETED}'"), "deleted");
        for (at, (column, value)) in self.values_of(From::Values).into_iter().enumerate() {
            let same = self.seen_as(column, &value);
            flag(&mut sql, &format!("NOT ({same})"), &format!("differs{at}"));
        }
        sql.push(" FROM ");
        self.timed(&mut sql, |sql| self.rows(sql, From::Values, rows, true));
        self.join_latest(&mut sql, From::Values);
        self.condition(&mut sql, From::Values, Where::Seen);
        sql.finish()
    }

    fn difference(&self, row: &QueryResult, offset: usize) -> Result<Difference, DbErr> {
        let is = |name: &str| Ok::<_, DbErr>(row.try_get::<i32>("", name)? != 0);
        let mut columns = Vec::new();
        for (at, column) in self.shape.values().enumerate() {
            if is(&format!("differs{at}"))? {
                columns.push(column.name.clone());
            }
        }
        Ok(Difference {
            place: offset + place(row)?,
            unrecorded: is("unrecorded")?,
            deleted: is("deleted")?,
            columns,
        })
    }
}

/// How a row differs from its latest record.
pub(crate) struct Difference {
    /// Which of the rows that were compared.
    pub(crate) place: usize,
    /// It has no record.
    pub(crate) unrecorded: bool,
    /// Its latest record says that it was deleted.
    pub(crate) deleted: bool,
    /// Columns and properties whose values differ.
    pub(crate) columns: Vec<String>,
}

fn place(row: &QueryResult) -> Result<usize, DbErr> {
    let place: i32 = row.try_get("", "place")?;
    usize::try_from(place).map_err(|_| DbErr::Type("a place below zero".to_owned()))
}
