//! Taking records away, and what they weigh.

use sea_orm::DbErr;

use super::text::table;
use super::{Brought, Writer};
use crate::dialect::bind_time;
use crate::prune::Gone;

impl Writer<'_> {
    /// Deletes these records, but for those beside which nothing stands any more; answers for how
    /// many.
    pub(crate) async fn remove(&self, gone: &[Gone]) -> Result<u64, DbErr> {
        let mut removed = 0;
        for gone in gone.chunks(self.rows_of_one_statement(self.shape.key.len() + 2)) {
            let text = self.text_of("remove", Brought::Listed(gone.len()), || {
                self.remove_text(gone.len())
            });
            let values = gone.iter().flat_map(|gone| {
                let key = gone.key.iter().cloned();
                key.chain([bind_time(gone.at), bind_time(gone.beside)])
            });
            removed += self.change(text, values.collect(), "deleting from").await?;
        }
        Ok(removed)
    }

    /// The bytes of the table of records with its indexes, as far as the database can say, and how
    /// many records it has.
    pub(crate) async fn size(&self) -> Result<(Option<u64>, u64), DbErr> {
        let mut count = self.dialect.sql();
        count.push("SELECT COUNT(*) AS counted FROM ");
        table(&mut count, &self.shape.record);
        let records = self.count(count, Vec::new()).await?;
        let record = &self.shape.record;
        let (text, values) = self.dialect.size_of(record.schema.as_deref(), &record.name);
        // Not every SQLite has `dbstat`.
        let answer = self.read(text.into(), values).await.ok();
        let bytes =
            answer.and_then(|rows| rows.first()?.try_get::<Option<i64>>("", "bytes").ok()?);
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        Ok((bytes, records))
    }

    fn remove_text(&self, rows: usize) -> String {
        let names = self.shape.key.iter().map(|key| key.name.as_str());
        let names: Vec<&str> = names.chain([self.shape.recorded_at.as_str()]).collect();
        let mut sql = self.dialect.sql();
        self.dialect.delete_listed(
            &mut sql,
            |sql| table(sql, &self.shape.record),
            &names,
            // What goes, and beside what.
            |sql| self.places(sql, rows, 2),
        );
        sql.finish()
    }
}
