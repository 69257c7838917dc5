//! The source of a migration, as a person would write it.

use sea_orm::Value;
use sea_orm::sea_query::{ColumnType, StringLen, TableName as Target, TableRef};

use crate::RecordTable;
use crate::change::Change;
use crate::description::TableName;
use crate::fill;

/// What is to be done with a table.
pub(crate) enum Step<'t> {
    Create(&'t RecordTable),
    Change(&'t RecordTable, Vec<Change>),
}

impl Step<'_> {
    pub(crate) fn table(&self) -> &RecordTable {
        let (Self::Create(table) | Self::Change(table, _)) = self;
        table
    }

    fn up(&self) -> String {
        match self {
            Self::Create(table) => chain("RecordTable", &table.name, described(table), "create"),
            Self::Change(table, changes) => changing(table, changes.iter().flat_map(calls)),
        }
    }

    fn down(&self) -> String {
        match self {
            Self::Create(table) => chain("RecordTable", &table.name, Vec::new(), "drop"),
            Self::Change(table, changes) => {
                changing(table, changes.iter().rev().filter_map(undone))
            }
        }
    }
}

/// A migration that takes these steps, and takes them back.
pub(crate) fn source(steps: &[Step<'_>]) -> String {
    let names: Vec<_> = steps
        .iter()
        .map(|step| format!("`{}`", step.table().name()))
        .collect();
    let up: String = steps.iter().map(Step::up).collect();
    let down: String = steps.iter().rev().map(Step::down).collect();
    let both = [up.as_str(), down.as_str()].concat();
    format!(
        "//! Record tables: {}. Written by `record generate`; no entity is needed for it.

use sea_orm_migration::prelude::*;
use sea_orm_record_migration::{};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {{
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {{
{up}        Ok(())
    }}

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {{
{down}        Ok(())
    }}
}}
",
        names.join(", "),
        imports(&both),
    )
}

fn imports(source: &str) -> String {
    let all = [
        "ChangeRecordTable",
        "Partitions",
        "RecordTable",
        "enumeration",
    ];
    let is_used = |name: &&str| {
        let mut before = source.match_indices(*name).map(|(at, _)| &source[..at]);
        before.any(|before| !before.ends_with(char::is_alphanumeric))
    };
    let used: Vec<_> = all.into_iter().filter(is_used).collect();
    match used.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(", ")),
    }
}

fn changing(table: &RecordTable, calls: impl Iterator<Item = String>) -> String {
    chain("ChangeRecordTable", &table.name, calls.collect(), "apply")
}

/// A call of a method, as rustfmt would have it in a chain: its arguments on lines of their own when
/// they take more than 60 characters.
fn method(name: &str, args: &[String]) -> String {
    let line = args.join(", ");
    if line.len() <= 60 {
        return format!(".{name}({line})");
    }
    let lines: String = args
        .iter()
        .map(|arg| format!("                {arg},\n"))
        .collect();
    format!(".{name}(\n{lines}            )")
}

fn text(text: &str) -> String {
    format!("{text:?}")
}

/// On one line where rustfmt would have it so.
fn chain(of: &str, table: &TableName, calls: Vec<String>, end: &str) -> String {
    let schema = table.schema.iter();
    let calls: Vec<_> = schema
        .map(|schema| format!(".in_schema({schema:?})"))
        .chain(calls)
        .chain([format!(".{end}(manager)"), ".await?".to_owned()])
        .collect();
    let new = format!("{of}::new({:?})", table.name);
    let line = new.clone() + &calls.concat();
    if line.len() <= 60 {
        return format!("        {line};\n");
    }
    let mut lines = vec![format!("        {new}\n")];
    let last = calls.len() - 1;
    for (at, call) in calls.into_iter().enumerate() {
        let end = if at == last { ";" } else { "" };
        lines.push(format!("            {call}{end}\n"));
    }
    lines.concat()
}

fn described(table: &RecordTable) -> Vec<String> {
    let comment = table.comment.iter();
    let mut calls: Vec<_> = comment
        .map(|comment| method("table_comment", &[text(comment)]))
        .collect();
    for column in &table.columns {
        let name = match column.nullable {
            true => "nullable_column",
            false => "column",
        };
        calls.push(method(name, &[text(&column.name), of_type(&column.ty)]));
        let extra = column.extra.iter();
        calls.extend(extra.map(|sql| method("extra", &[text(sql)])));
        let comment = column.comment.iter();
        calls.extend(comment.map(|comment| method("comment", &[text(comment)])));
    }
    calls.push(method("key", &[list(&table.key)]));
    let indexes = table.indexes.iter();
    calls.extend(indexes.map(|columns| method("index", &[list(columns)])));
    for foreign_key in &table.foreign_keys {
        let key = foreign_key.get_foreign_key();
        let (from, to) = (key.get_columns(), key.get_ref_columns());
        let table = key.get_ref_table().map_or(String::new(), reference);
        calls.push(method("cascade", &[list(&from), table, list(&to)]));
    }
    let partitions = table.partitions.iter();
    calls.extend(partitions.map(|it| method("partitioned", &[it.source()])));
    calls
}

/// A table that is referred to: its name, or schema and name.
fn reference(table: &TableRef) -> String {
    match table {
        TableRef::Table(Target(None, table), _) => format!("{:?}", table.to_string()),
        TableRef::Table(Target(Some(schema), table), _) => {
            format!("({:?}, {:?})", schema.1.to_string(), table.to_string())
        }
        _ => String::new(),
    }
}

fn list(columns: &[String]) -> String {
    format!("{columns:?}")
}

fn call(change: &Change) -> String {
    match change {
        Change::AddColumn { name, ty, fill, .. } => match fill {
            None => method("add_column", &[text(name), of_type(ty)]),
            Some(fill) => {
                let args = [text(name), of_type(ty), value(fill)];
                method("add_filled_column", &args)
            }
        },
        Change::DropColumn(name) => method("drop_column", &[text(name)]),
        Change::RenameColumn(from, to) => method("rename_column", &[text(from), text(to)]),
        Change::Retype { name, from, to } => {
            method("change_type", &[text(name), of_type(from), of_type(to)])
        }
        Change::AllowNull(name) => method("allow_null", &[text(name)]),
        Change::FillNulls(name, fill) => method("fill_nulls", &[text(name), value(fill)]),
        Change::RequireWhereFilled(name) => method("require_where_filled", &[text(name)]),
        Change::AddIndex(columns) => method("add_index", &[list(columns)]),
        Change::DropIndex(columns) => method("drop_index", &[list(columns)]),
    }
}

/// The call, and those that say more of the column that it adds.
fn calls(change: &Change) -> Vec<String> {
    let mut calls = vec![call(change)];
    if let Change::AddColumn { extra, comment, .. } = change {
        calls.extend(extra.iter().map(|sql| method("extra", &[text(sql)])));
        calls.extend(comment.iter().map(|it| method("comment", &[text(it)])));
    }
    calls
}

fn undone(change: &Change) -> Option<String> {
    change.inverse().as_ref().map(call)
}

/// One that cannot be written has been refused by now.
fn value(value: &Value) -> String {
    fill::source(value).unwrap_or_default()
}

fn of_type(ty: &ColumnType) -> String {
    let path = match ty {
        ColumnType::Enum { name, variants } => {
            let variants: Vec<_> = variants.iter().map(ToString::to_string).collect();
            return format!("enumeration({:?}, {variants:?})", name.to_string());
        }
        ColumnType::Custom(name) => format!("custom({:?})", name.to_string()),
        ColumnType::Array(element) => format!("Array(RcOrArc::new({}))", of_type(element)),
        ColumnType::String(length) => format!("String({})", of_length(length)),
        ColumnType::VarBinary(length) => format!("VarBinary({})", of_length(length)),
        ColumnType::Interval(fields, precision) => {
            let fields = fields.as_ref().map(|it| format!("PgInterval::{it:?}"));
            let fields = fields.map_or("None".to_owned(), |it| format!("Some({it})"));
            format!("Interval({fields}, {precision:?})")
        }
        // Its name, or its name and numbers: as `Debug` writes it.
        plain => format!("{plain:?}"),
    };
    format!("ColumnType::{path}")
}

fn of_length(length: &StringLen) -> String {
    format!("StringLen::{length:?}")
}

/// An enum type: a native one on PostgreSQL, where it is made if it is not there.
///
/// ```
/// use sea_orm_migration::prelude::*;
/// use sea_orm_record_migration::{RecordTable, enumeration};
///
/// let mood = RecordTable::new("person_record").column("mood", enumeration("mood", ["good", "bad"]));
/// # let _ = mood;
/// ```
pub fn enumeration(
    name: impl Into<String>,
    variants: impl IntoIterator<Item = impl Into<String>>,
) -> ColumnType {
    use sea_orm::sea_query::IntoIden;
    ColumnType::Enum {
        name: name.into().into_iden(),
        variants: variants
            .into_iter()
            .map(|variant| variant.into().into_iden())
            .collect(),
    }
}
