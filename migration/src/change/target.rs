//! What a table is to become, change by change.

use sea_orm::sea_query::ColumnType;
use sea_orm::{DbBackend, DbErr, Value};

use super::Change;
use crate::description::TableName;
use crate::dialect::types::{type_sql, type_text};
use crate::found::{Found, FoundColumn, FoundIndex};

/// What a table is to become.
pub(crate) struct Target {
    backend: DbBackend,
    pub(crate) name: TableName,
    pub(crate) columns: Vec<TargetColumn>,
    pub(crate) key: Vec<String>,
    indexes: Vec<FoundIndex>,
    /// Names and columns.
    pub(crate) new_indexes: Vec<(String, Vec<String>)>,
    pub(crate) dropped_indexes: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct TargetColumn {
    /// The column that it is now; none where it is to be added.
    pub(crate) origin: Option<String>,
    pub(crate) name: String,
    /// As the database spells it, in one spelling for each type.
    pub(crate) text: String,
    /// The new type, where it is to change.
    pub(crate) ty: Option<ColumnType>,
    pub(crate) nullable: bool,
    /// What takes the place of NULL.
    pub(crate) fill: Option<Value>,
    /// Whether it is to have no default, also where it was left one half-way.
    pub(crate) no_default: bool,
    /// Of a column that is to be added: what follows its type, and a comment.
    pub(crate) extra: Option<String>,
    pub(crate) comment: Option<String>,
}

type Refusal = String;

impl Target {
    pub(super) fn of(found: &Found, backend: DbBackend) -> Self {
        let column = |column: &FoundColumn| TargetColumn {
            origin: Some(column.name.clone()),
            name: column.name.clone(),
            text: column.ty.clone(),
            ty: None,
            nullable: column.nullable,
            fill: None,
            no_default: false,
            extra: None,
            comment: None,
        };
        Self {
            backend,
            name: found.name.clone(),
            columns: found.columns.iter().map(column).collect(),
            key: found.key.clone(),
            indexes: found.indexes.clone(),
            new_indexes: Vec::new(),
            dropped_indexes: Vec::new(),
        }
    }

    pub(crate) fn column(&self, name: &str) -> Option<&TargetColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn existing(&mut self, name: &str) -> Result<&mut TargetColumn, Refusal> {
        let all: Vec<_> = self.columns.iter().map(|it| it.name.clone()).collect();
        let found = self.columns.iter_mut().find(|column| column.name == name);
        found.ok_or_else(|| format!("has no column `{name}`; it has {}", all.join(", ")))
    }

    /// A column that is not in the key, which none of these changes may touch.
    fn value(&mut self, name: &str) -> Result<&mut TargetColumn, Refusal> {
        match self.key.iter().any(|key| key == name) {
            true => Err(format!("has `{name}` in its primary key, where it stays")),
            false => self.existing(name),
        }
    }

    fn text(&self, name: &str, ty: &ColumnType) -> Result<String, Refusal> {
        type_text(ty, self.backend)
            .map_err(|problem| format!("has a column `{name}`, which {problem}"))
    }

    pub(super) fn make(&mut self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::AddColumn {
                name,
                ty,
                fill,
                extra,
                comment,
            } => {
                self.add_column(name, ty, fill.as_ref())?;
                let new = self.columns.last_mut().filter(|it| it.origin.is_none());
                if let Some(new) = new.filter(|it| it.name == *name) {
                    new.extra.clone_from(extra);
                    new.comment.clone_from(comment);
                }
                Ok(())
            }
            Change::DropColumn(name) => self.drop_column(name),
            Change::RenameColumn(from, to) => self.rename_column(from, to),
            Change::Retype { name, from, to } => self.change_type(name, from, to),
            Change::AllowNull(name) => {
                self.value(name)?.nullable = true;
                Ok(())
            }
            Change::FillNulls(name, fill) => {
                let column = self.value(name)?;
                column.fill = column.nullable.then(|| fill.clone());
                column.nullable = false;
                Ok(())
            }
            Change::RequireWhereFilled(name) => {
                self.value(name)?.nullable = false;
                Ok(())
            }
            Change::AddIndex(columns) => self.add_index(columns),
            Change::DropIndex(columns) => {
                self.drop_index(columns);
                Ok(())
            }
        }
    }

    fn add_column(
        &mut self,
        name: &str,
        ty: &ColumnType,
        fill: Option<&Value>,
    ) -> Result<(), Refusal> {
        let text = self.text(name, ty)?;
        if let Some(column) = self.columns.iter_mut().find(|column| column.name == name) {
            if column.text != text {
                return Err(format!(
                    "has a column `{name}` already: it is {}, and would be {text}",
                    column.text
                ));
            }
            column.no_default = fill.is_some();
            if let (Some(fill), true) = (fill, column.nullable) {
                column.fill = Some(fill.clone());
                column.nullable = false;
            }
            return Ok(());
        }
        self.columns.push(TargetColumn {
            origin: None,
            name: name.to_owned(),
            text,
            ty: Some(ty.clone()),
            nullable: fill.is_none(),
            fill: fill.cloned(),
            no_default: fill.is_some(),
            extra: None,
            comment: None,
        });
        Ok(())
    }

    fn drop_column(&mut self, name: &str) -> Result<(), Refusal> {
        if self.column(name).is_some() {
            self.value(name)?;
            self.columns.retain(|column| column.name != name);
        }
        Ok(())
    }

    fn rename_column(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        match (self.column(from).is_some(), self.column(to).is_some()) {
            (true, false) => {
                to.clone_into(&mut self.existing(from)?.name);
                let names = self.indexes.iter_mut().filter_map(|it| it.columns.as_mut());
                for name in names
                    .flatten()
                    .chain(&mut self.key)
                    .filter(|it| *it == from)
                {
                    to.clone_into(name);
                }
                Ok(())
            }
            (false, true) => Ok(()),
            (true, true) => Err(format!(
                "has both `{from}` and `{to}`, of which the first was to be renamed to the second"
            )),
            (false, false) => Err(format!(
                "has neither `{from}` nor `{to}`, of which the first was to be renamed to the second"
            )),
        }
    }

    fn change_type(
        &mut self,
        name: &str,
        from: &ColumnType,
        to: &ColumnType,
    ) -> Result<(), Refusal> {
        let (from, text) = (self.text(name, from)?, self.text(name, to)?);
        let column = self.existing(name)?;
        if column.text == text {
            return Ok(());
        }
        if column.text != from {
            return Err(format!(
                "has `{name}` as {}, and neither as {from}, which it was, nor as {text}, which it \
                 would be",
                column.text
            ));
        }
        column.text = text;
        column.ty = Some(to.clone());
        Ok(())
    }

    fn add_index(&mut self, columns: &[String]) -> Result<(), Refusal> {
        for column in columns {
            self.existing(column)?;
        }
        if !self.indexes.iter().any(|it| it.is_plain(columns)) {
            let name = self.name.index(columns);
            if self.indexes.iter().any(|other| other.name == name) {
                return Err(format!("has another index `{name}`"));
            }
            self.new_indexes.push((name, columns.to_vec()));
        }
        Ok(())
    }

    /// Only the one that `add_index` makes: another of these columns is somebody's own.
    fn drop_index(&mut self, columns: &[String]) {
        let name = self.name.index(columns);
        let is_meant = |it: &FoundIndex| it.name == name && it.is_plain(columns);
        if self.indexes.iter().any(is_meant) {
            self.indexes.retain(|it| !is_meant(it));
            self.dropped_indexes.push(name);
        }
    }
}

impl TargetColumn {
    /// The type as a statement writes it.
    pub(crate) fn sql(&self, backend: DbBackend) -> Result<String, DbErr> {
        match &self.ty {
            Some(ty) => type_sql(ty, backend).map_err(DbErr::Migration),
            None => Ok(self.text.clone()),
        }
    }
}
