//! Statements as SeaORM's access control takes them.

use sea_orm::sea_query::{Alias, IntoTableRef, Query};
use sea_orm::{AuditError, DbBackend, QueryAccessAudit, Statement, StatementBuilder};

use crate::plan::{Shape, Table};

/// A statement that says which tables it reads and writes: a `RestrictedConnection` takes no other.
pub(super) struct Audited<'s> {
    pub(super) statement: Statement,
    pub(super) shape: &'s Shape,
}

impl StatementBuilder for Audited<'_> {
    fn build(&self, _: &DbBackend) -> Statement {
        self.statement.clone()
    }

    fn audit(&self) -> Result<QueryAccessAudit, AuditError> {
        let named = |table: &Table| match &table.schema {
            Some(schema) => (Alias::new(schema), Alias::new(&table.name)).into_table_ref(),
            None => Alias::new(&table.name).into_table_ref(),
        };
        let (record, source) = (named(&self.shape.record), named(&self.shape.source));
        let mut audit = Query::select()
            .from(record.clone())
            .from(source)
            .take()
            .audit()?;
        let sql = &self.statement.sql;
        if sql.starts_with("INSERT") {
            let insert = Query::insert().into_table(record.clone()).take();
            audit.requests.extend(insert.audit()?.requests);
        }
        if sql.starts_with("UPDATE") {
            let update = Query::update().table(record.clone()).take();
            audit.requests.extend(update.audit()?.requests);
        }
        if sql.starts_with("DELETE") {
            let delete = Query::delete().from_table(record).take();
            audit.requests.extend(delete.audit()?.requests);
        }
        Ok(audit)
    }
}
