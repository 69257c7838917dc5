//! What a table looks like in the database.

use sea_orm::sea_query::ColumnType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use crate::description::TableName;
use crate::dialect::inspect;
use crate::dialect::types::{portable, type_text};

/// A table as the database describes it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) name: TableName,
    pub(crate) columns: Vec<FoundColumn>,
    pub(crate) key: Vec<String>,
    /// All but the one of the primary key.
    pub(crate) indexes: Vec<FoundIndex>,
    pub(crate) foreign_keys: Vec<FoundKey>,
    /// How it is partitioned, where it is.
    pub(crate) partitions: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// As the database spells it, in one spelling for each type.
    pub(crate) ty: String,
    pub(crate) nullable: bool,
    pub(crate) default: Option<String>,
    /// The collation, where it is not the usual one of its type.
    pub(crate) collation: Option<String>,
    /// What `CREATE TABLE` says of it after its name, where the database tells.
    pub(crate) definition: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundIndex {
    pub(crate) name: String,
    /// None where it is more than columns: of expressions, or of a part of the rows.
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) unique: bool,
    /// Whether it is a B-tree, as this library makes them: none for full texts, hashes or the like.
    pub(crate) btree: bool,
}

impl FoundIndex {
    /// Whether it does what an index does that this library makes.
    pub(crate) fn is_plain(&self, columns: &[String]) -> bool {
        self.btree && !self.unique && self.columns.as_deref() == Some(columns)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundKey {
    pub(crate) columns: Vec<String>,
    pub(crate) table: String,
    pub(crate) to: Vec<String>,
    /// `CASCADE`, or whatever else happens.
    pub(crate) on_delete: String,
}

impl Found {
    /// None where there is no such table.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn load<C: ConnectionTrait>(
        db: &C,
        name: &TableName,
    ) -> Result<Option<Self>, DbErr> {
        let columns = inspect::columns(db, name).await?;
        if columns.is_empty() {
            return Ok(None);
        }
        let indexes = inspect::indexes(db, name).await?;
        let (primary, others): (Vec<_>, Vec<_>) =
            indexes.into_iter().partition(|(primary, _)| *primary);
        Ok(Some(Self {
            name: name.clone(),
            columns,
            key: primary
                .into_iter()
                .find_map(|(_, index)| index.columns)
                .unwrap_or_default(),
            indexes: others.into_iter().map(|(_, index)| index).collect(),
            foreign_keys: inspect::foreign_keys(db, name).await?,
            partitions: inspect::partitions(db, name).await?,
        }))
    }

    pub(crate) fn column(&self, name: &str) -> Option<&FoundColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl FoundColumn {
    /// Whether a record that leaves it out gets a value. MariaDB says NULL of none.
    pub(crate) fn has_default(&self) -> bool {
        let default = self.default.as_deref();
        default.is_some_and(|sql| !sql.eq_ignore_ascii_case("NULL"))
    }

    /// Whether it is of this type.
    pub(crate) fn is(&self, ty: &ColumnType, backend: DbBackend) -> bool {
        type_text(ty, backend).is_ok_and(|text| text == self.ty)
    }

    /// Its type in a word that every database has, as far as there is one.
    pub(crate) fn portable(&self, backend: DbBackend) -> ColumnType {
        portable(&self.ty, backend)
    }
}

impl std::fmt::Display for FoundColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let null = if self.nullable { "" } else { " NOT NULL" };
        write!(f, "{}{null}", self.ty)
    }
}
