//! What an entity wants and what the database has.

use std::fmt;

use sea_orm::{DbBackend, DbErr, Value};

use crate::change::Change;
use crate::description::{Column, RecordTable};
use crate::dialect::partitions::by_time;
use crate::dialect::types::{type_text, widens};
use crate::fill;
use crate::found::{Found, FoundColumn, FoundIndex};

/// A difference between a record table as it is to be and as it is in the database; of
/// [`Evolution::differences`](crate::Evolution::differences).
#[derive(Clone, Debug)]
pub struct Difference {
    table: String,
    what: String,
    wanted: String,
    found: String,
    pub(crate) remedy: Remedy,
}

/// What a migration does about it.
#[derive(Clone, Debug)]
pub(crate) enum Remedy {
    Create,
    Change(Change),
    Refused(String),
}

impl Difference {
    /// The record table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// What differs: the name of a column, or `table`, `primary key`, `partitions`, `index on …`.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// How the entity wants it.
    pub fn wanted(&self) -> &str {
        &self.wanted
    }

    /// How it is in the database.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What a generated migration does about it, in a few words; the error says why it can do nothing,
    /// and what to do instead.
    ///
    /// # Errors
    /// When no migration can be generated.
    pub fn remedy(&self) -> Result<String, String> {
        match &self.remedy {
            Remedy::Create => Ok("create the table".to_owned()),
            Remedy::Change(change) => Ok(change.to_string()),
            Remedy::Refused(why) => Err(why.clone()),
        }
    }

    /// The columns of an index that is all that is missing.
    pub(crate) fn missing_index(&self) -> Option<&[String]> {
        match &self.remedy {
            Remedy::Change(Change::AddIndex(columns)) => Some(columns),
            _ => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            wanted,
            found,
            ..
        } = self;
        write!(f, "{what}: {found}, wanted {wanted}")
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddColumn { fill: None, .. } => f.write_str("add the column"),
            Self::AddColumn { .. } => f.write_str("add the column, filled"),
            Self::DropColumn(_) => f.write_str("drop the column"),
            Self::RenameColumn(from, _) => write!(f, "rename `{from}`"),
            Self::Retype { .. } => f.write_str("widen the column"),
            Self::AllowNull(_) => f.write_str("allow NULL"),
            Self::FillNulls(..) => f.write_str("fill, and allow NULL no more"),
            Self::RequireWhereFilled(_) => f.write_str("allow NULL no more"),
            Self::AddIndex(_) => f.write_str("add the index"),
            Self::DropIndex(_) => f.write_str("drop the index"),
        }
    }
}

/// What cannot be seen in the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// Columns that were renamed: from, to.
    pub(crate) renames: Vec<(String, String)>,
    /// Values for records from before a column was required.
    pub(crate) fills: Vec<(String, Value)>,
}

pub(crate) fn differences(
    table: &RecordTable,
    found: Option<&Found>,
    hints: &Hints,
    backend: DbBackend,
) -> Result<Vec<Difference>, DbErr> {
    // What the database lacks is refused first.
    table.statement(backend)?;
    table.partitioning(backend)?;
    let mut comparison = Comparison {
        table,
        hints,
        backend,
        differences: Vec::new(),
    };
    match found {
        None => comparison.add("table", "present", "missing", Remedy::Create),
        Some(found) => comparison.compare(found.clone()),
    }
    Ok(comparison.differences)
}

struct Comparison<'c> {
    table: &'c RecordTable,
    hints: &'c Hints,
    backend: DbBackend,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn add(
        &mut self,
        what: impl Into<String>,
        wanted: impl Into<String>,
        found: impl Into<String>,
        remedy: Remedy,
    ) {
        self.differences.push(Difference {
            table: self.table.name(),
            what: what.into(),
            wanted: wanted.into(),
            found: found.into(),
            remedy,
        });
    }

    fn compare(&mut self, mut found: Found) {
        self.renames(&mut found);
        self.key(&found);
        self.partitions(&found);
        let table = self.table;
        for column in &table.columns {
            match found.column(&column.name) {
                None => self.missing(column),
                Some(it) => self.column(column, it),
            }
        }
        for column in &found.columns {
            let is_known = table.columns.iter().any(|it| it.name == column.name);
            if !is_known && !column.nullable && column.default.is_none() {
                self.forgotten(column, &found);
            }
        }
        self.indexes(&found);
        self.foreign_keys(&found);
    }

    /// What was renamed is then compared under its new name.
    fn renames(&mut self, found: &mut Found) {
        for (at, (from, next)) in self.hints.renames.iter().enumerate() {
            // What was renamed again is called so at once, unless it is half-way there.
            let later = &self.hints.renames[at + 1..];
            let to = match found.column(next) {
                Some(_) => next,
                None => later
                    .iter()
                    .fold(next, |name, (from, to)| match from == name {
                        true => to,
                        false => name,
                    }),
            };
            let wanted = self.table.columns.iter().any(|it| it.name == *to);
            let (old, new) = (found.column(from).is_some(), found.column(to).is_some());
            let kept = self.table.columns.iter().any(|it| it.name == *from);
            match (old, new) {
                // Done in a migration from before; then the old name may have been taken anew, also
                // for a while.
                (_, true) => {}
                (true, false) if wanted && !kept => {
                    let change = Change::RenameColumn(from.clone(), to.clone());
                    let (what, was) = (format!("`{to}`"), format!("called `{from}`"));
                    self.add(what, format!("called `{to}`"), was, Remedy::Change(change));
                    rename(found, from, to);
                }
                _ => {
                    let (wanted, found) = (columns(&self.table.columns), names(found));
                    let why = format!(
                        "`{from}` cannot have been renamed to `{to}`: the first has to be a column \
                         of the table alone, the second of the entity alone"
                    );
                    self.add(format!("`{to}`"), wanted, found, Remedy::Refused(why));
                }
            }
        }
    }

    fn key(&mut self, found: &Found) {
        if found.key == self.table.key {
            return;
        }
        let [wanted, is] = [&self.table.key, &found.key].map(|key| match key.is_empty() {
            true => "none".to_owned(),
            false => format!("({})", key.join(", ")),
        });
        let why = "it was made or changed by hand so, and no migration can be generated: move the table \
            out of the way, generate, and copy the records";
        self.add("primary key", wanted, is, Remedy::Refused(why.to_owned()));
    }

    /// Of partitions only whether they are by time: where they begin and end changes daily, and those of
    /// another kind are somebody's own.
    fn partitions(&mut self, found: &Found) {
        let at = self.table.key.last();
        let Some(by_time) = at.and_then(|at| by_time(at, self.backend)) else {
            return;
        };
        let is = found.partitions.as_deref();
        let (wanted, why) = match (&self.table.partitions, is == Some(&by_time)) {
            (Some(_), false) => (
                &*by_time,
                "no table becomes partitioned where it stands: in a migration of your own, move it out \
                 of the way, make the partitioned one, copy the records and drop the old one, while \
                 nobody writes",
            ),
            (None, true) => (
                "none",
                "a database that is made anew would have none: name them, by `partitions(…)` of the \
                 entity's options or `RecordTable::partitioned`",
            ),
            _ => return,
        };
        let remedy = Remedy::Refused(why.to_owned());
        self.add("partitions", wanted, is.unwrap_or("none"), remedy);
    }

    fn describe(&self, column: &Column) -> String {
        let ty = type_text(&column.ty, self.backend).unwrap_or_default();
        let null = if column.nullable { "" } else { " NOT NULL" };
        format!("{ty}{null}")
    }

    fn fill(&self, column: &Column) -> Option<Value> {
        let fills = &self.hints.fills;
        let fill = fills.iter().find(|(name, _)| *name == column.name);
        fill.map(|(_, value)| value.clone())
    }

    fn missing(&mut self, column: &Column) {
        let name = &column.name;
        let is_standard = self.table.key.contains(name) || self.table.event.as_ref() == Some(name);
        let remedy = match (column.nullable, self.fill(column)) {
            _ if is_standard => Remedy::Refused(format!(
                "`{name}` was lost by hand, and what it said cannot be made up: put it back from a \
                 backup"
            )),
            (false, None) => Remedy::Refused(required(column)),
            (false, Some(fill)) if fill::source(&fill).is_none() => {
                Remedy::Refused(unwritable(column))
            }
            (true, _) => Remedy::Change(Change::AddColumn {
                name: name.clone(),
                ty: column.ty.clone(),
                fill: None,
                extra: column.extra.clone(),
                comment: column.comment.clone(),
            }),
            (false, fill) => Remedy::Change(Change::AddColumn {
                name: name.clone(),
                ty: column.ty.clone(),
                fill,
                extra: column.extra.clone(),
                comment: column.comment.clone(),
            }),
        };
        self.add(
            format!("`{name}`"),
            self.describe(column),
            "missing",
            remedy,
        );
    }

    fn column(&mut self, column: &Column, found: &FoundColumn) {
        let name = format!("`{}`", column.name);
        let wanted = self.describe(column);
        if !found.is(&column.ty, self.backend) {
            let remedy = self.retyped(column, found);
            self.add(&*name, &*wanted, found.to_string(), remedy);
        }
        let remedy = match (column.nullable, found.nullable, self.fill(column)) {
            _ if self.table.key.contains(&column.name) => return,
            (true, false, _) => Remedy::Change(Change::AllowNull(column.name.clone())),
            (false, true, Some(fill)) if fill::source(&fill).is_none() => {
                Remedy::Refused(unwritable(column))
            }
            (false, true, Some(fill)) => {
                Remedy::Change(Change::FillNulls(column.name.clone(), fill))
            }
            (false, true, None) => Remedy::Refused(required(column)),
            _ => return,
        };
        self.add(name, wanted, found.to_string(), remedy);
    }

    fn retyped(&self, column: &Column, found: &FoundColumn) -> Remedy {
        let wider = type_text(&column.ty, self.backend).is_ok_and(|to| widens(&found.ty, &to));
        match wider {
            true => Remedy::Change(Change::Retype {
                name: column.name.clone(),
                from: found.portable(self.backend),
                to: column.ty.clone(),
            }),
            false => Remedy::Refused(format!(
                "not every {} is the same value as {}: record it under another name, and retire `{}`",
                found.ty,
                type_text(&column.ty, self.backend).unwrap_or_default(),
                column.name
            )),
        }
    }

    /// A column that the entity does not have, and that no new record could leave out.
    fn forgotten(&mut self, column: &FoundColumn, found: &Found) {
        let remedy = match found.key.contains(&column.name) {
            true => return,
            false => Remedy::Change(Change::AllowNull(column.name.clone())),
        };
        let name = format!("`{}`", column.name);
        self.add(
            name,
            "NULL, as it is recorded no more",
            column.to_string(),
            remedy,
        );
    }

    fn indexes(&mut self, found: &Found) {
        for columns in &self.table.indexes {
            // Also one of another kind, which somebody may have put in its place.
            let is_it = |it: &FoundIndex| !it.unique && it.columns.as_ref() == Some(columns);
            if !found.indexes.iter().any(is_it) {
                let what = format!("index on ({})", columns.join(", "));
                let remedy = Remedy::Change(Change::AddIndex(columns.clone()));
                self.add(what, "present", "missing", remedy);
            }
        }
        for index in &found.indexes {
            let Some(columns) = &index.columns else {
                continue;
            };
            let what = format!("index on ({})", columns.join(", "));
            if index.unique {
                let why = format!(
                    "a history has the same value many times, which the unique index `{}` refuses: \
                     drop it",
                    index.name
                );
                self.add(what, "not unique", "unique", Remedy::Refused(why));
            } else if !self.table.indexes.contains(columns)
                && index.is_plain(columns)
                && index.name == self.table.name.index(columns)
            {
                let remedy = Remedy::Change(Change::DropIndex(columns.clone()));
                self.add(what, "none", "present", remedy);
            }
        }
    }

    fn foreign_keys(&mut self, found: &Found) {
        let wanted: Vec<_> = self.table.foreign_keys.iter().collect();
        let columns = |columns: &[String]| format!("foreign key of ({})", columns.join(", "));
        for key in &wanted {
            let names = key.get_foreign_key().get_columns();
            if !found.foreign_keys.iter().any(|it| it.columns == names) {
                let why = "`cascade` needs a foreign key, and rows of records may be gone: add it in a \
                    migration of your own";
                let remedy = Remedy::Refused(why.to_owned());
                self.add(columns(&names), "present", "missing", remedy);
            }
        }
        for key in &found.foreign_keys {
            let is_it = |it: &&_| {
                let it: &sea_orm::sea_query::ForeignKeyCreateStatement = it;
                it.get_foreign_key().get_columns() == key.columns
            };
            if !wanted.iter().any(is_it) {
                let why = "it keeps rows from being deleted, or deletes their history; drop it in a \
                    migration of your own, or ask for it with `cascade`";
                let remedy = Remedy::Refused(why.to_owned());
                self.add(columns(&key.columns), "none", "present", remedy);
            }
        }
    }
}

fn required(column: &Column) -> String {
    let name = &column.name;
    format!(
        "records from before have no `{name}`, and the entity reads one in every record: make it an \
         `Option` in the record (a column by `columns({name}?)`), or say what they get with `--fill \
         {name}=VALUE`"
    )
}

fn unwritable(column: &Column) -> String {
    format!(
        "a migration has no words for the value that `{}` is to be filled with: give a number, a text, a \
         date or the like, or write the migration by hand",
        column.name
    )
}

fn columns(columns: &[Column]) -> String {
    let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
    names.join(", ")
}

fn names(found: &Found) -> String {
    let names: Vec<_> = found.columns.iter().map(|column| &*column.name).collect();
    names.join(", ")
}

fn rename(found: &mut Found, from: &str, to: &str) {
    for column in &mut found.columns {
        if column.name == from {
            to.clone_into(&mut column.name);
        }
    }
    let indexes = found
        .indexes
        .iter_mut()
        .filter_map(|it| it.columns.as_mut());
    for name in indexes
        .flatten()
        .chain(&mut found.key)
        .filter(|it| *it == from)
    {
        to.clone_into(name);
    }
}
