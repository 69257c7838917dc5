//! Types by their names in the database: which are the same, which are wider.

use sea_orm::DbBackend;
use sea_orm::sea_query::{
    Alias, ColumnDef, ColumnType, DynIden, IntoIden, MysqlQueryBuilder, PostgresQueryBuilder,
    RcOrArc, SqliteQueryBuilder, StringLen, Table,
};

use super::column_type;

/// The type as a statement writes it, or why the database lacks it.
pub(crate) fn type_sql(ty: &ColumnType, backend: DbBackend) -> Result<String, String> {
    let ty = column_type(ty, backend)?;
    let mut table = Table::create();
    table
        .table(Alias::new("t"))
        .col(ColumnDef::new_with_type("c", ty));
    let sql = match backend {
        DbBackend::MySql => table.to_string(MysqlQueryBuilder),
        DbBackend::Postgres => table.to_string(PostgresQueryBuilder),
        _ => table.to_string(SqliteQueryBuilder),
    };
    let text = sql
        .split_once(['"', '`'])
        .and_then(|(_, rest)| rest.split_once("( "))
        .and_then(|(_, rest)| rest.strip_suffix(" )"))
        .and_then(|column| column.split_once(' '));
    Ok(text.map_or(String::new(), |(_, ty)| ty.to_owned()))
}

/// The type in one spelling, which is that of [`canonical`].
pub(crate) fn type_text(ty: &ColumnType, backend: DbBackend) -> Result<String, String> {
    type_sql(ty, backend).map(|text| canonical(&text, backend))
}

/// One spelling for each type: databases answer with another word than they were told.
pub(crate) fn canonical(text: &str, backend: DbBackend) -> String {
    let text = tidy(text);
    let (base, args, rest) = parts(&text);
    match backend {
        DbBackend::MySql => mysql(base, args, rest),
        DbBackend::Postgres => postgres(base, args, rest),
        _ => text,
    }
}

/// Lower case and no needless blanks, but for texts in quotes. A quoted name loses its quotes.
fn tidy(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for c in text.trim().chars() {
        match quote {
            Some(open) if c == open => {
                quote = None;
                out.extend((c == '\'').then_some(c));
            }
            Some(_) => out.push(c),
            None if c == '"' => quote = Some(c),
            None if c == '\'' => {
                quote = Some(c);
                out.push(c);
            }
            None if c.is_whitespace() && out.ends_with(['(', ',', ' ']) => {}
            None if c.is_whitespace() => out.push(' '),
            None if matches!(c, '(' | ')' | ',') => {
                out.truncate(out.trim_end().len());
                out.push(c);
            }
            None => out.extend(c.to_lowercase()),
        }
    }
    out
}

/// `varchar(9)[]`: the name, what is in the parentheses, and what comes after.
fn parts(text: &str) -> (&str, Option<&str>, &str) {
    if let Some((base, rest)) = text.split_once('(')
        && let Some((args, rest)) = rest.rsplit_once(')')
    {
        return (base, Some(args), rest);
    }
    match text.find("[]") {
        Some(at) => (&text[..at], None, &text[at..]),
        None => (text, None, ""),
    }
}

fn joined(base: &str, args: Option<&str>, rest: &str) -> String {
    match args {
        Some(args) => format!("{base}({args}){rest}"),
        None => format!("{base}{rest}"),
    }
}

/// Widths of integers say nothing (MySQL manual, 11.1.6), but for `tinyint(1)`, which is a boolean.
fn mysql(base: &str, args: Option<&str>, rest: &str) -> String {
    let rest = rest.trim_end_matches(" zerofill");
    match (base, args) {
        ("bool" | "boolean", None) => "tinyint(1)".to_owned(),
        ("tinyint", Some("1")) if rest.is_empty() => "tinyint(1)".to_owned(),
        ("tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year", Some(_)) => {
            format!("{base}{rest}")
        }
        ("integer", _) => format!("int{rest}"),
        ("integer unsigned", _) => "int unsigned".to_owned(),
        // MariaDB's `json` is a `longtext` with a check.
        ("json", None) => "longtext".to_owned(),
        ("char" | "bit", None) => format!("{base}(1){rest}"),
        ("numeric", _) => joined("decimal", args, rest),
        _ => joined(base, args, rest),
    }
}

fn postgres(base: &str, args: Option<&str>, rest: &str) -> String {
    let name = match base {
        "varchar" => "character varying",
        "char" | "bpchar" => "character",
        "decimal" => "numeric",
        "bool" => "boolean",
        "int2" => "smallint",
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "varbit" => "bit varying",
        "timestamptz" => return with_zone("timestamp", args, rest),
        "timestamp" | "time" if rest.is_empty() || rest.starts_with('[') => {
            let rest = format!(" without time zone{rest}");
            return joined(base, args, &rest);
        }
        _ => base,
    };
    match (name, args) {
        ("character" | "bit", None) => joined(name, Some("1"), rest),
        _ => joined(name, args, rest),
    }
}

fn with_zone(base: &str, args: Option<&str>, rest: &str) -> String {
    joined(base, args, &format!(" with time zone{rest}"))
}

/// A type that becomes this one here. What several types become is the most usual of them; what none
/// becomes is passed on as it is.
pub(crate) fn portable(text: &str, backend: DbBackend) -> ColumnType {
    let (element, is_array) = match text.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (text, false),
    };
    let found = candidates(element)
        .into_iter()
        .find(|ty| type_text(ty, backend).is_ok_and(|it| it == element));
    match (found, is_array) {
        (Some(ty), false) => ty,
        (Some(ty), true) => ColumnType::Array(RcOrArc::new(ty)),
        (None, _) => ColumnType::custom(text.to_owned()),
    }
}

fn candidates(text: &str) -> Vec<ColumnType> {
    use ColumnType as T;
    let (base, args, _) = parts(text);
    let numbers: Vec<u32> = args
        .into_iter()
        .flat_map(|args| args.split(','))
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    let mut types = vec![
        T::String(StringLen::None),
        T::Text,
        T::Boolean,
        T::Integer,
        T::BigInteger,
        T::SmallInteger,
        T::TinyInteger,
        T::Unsigned,
        T::BigUnsigned,
        T::SmallUnsigned,
        T::TinyUnsigned,
        T::Float,
        T::Double,
        T::Decimal(None),
        T::TimestampWithTimeZone,
        T::DateTime,
        T::Timestamp,
        T::Time,
        T::Date,
        T::Year,
        T::JsonBinary,
        T::Json,
        T::Uuid,
        T::VarBinary(StringLen::None),
        T::Blob,
        T::Char(None),
        T::Bit(None),
        T::Money(None),
        T::Interval(None, None),
        T::Cidr,
        T::Inet,
        T::MacAddr,
        T::LTree,
        T::Vector(None),
        T::String(StringLen::Max),
        T::VarBinary(StringLen::Max),
    ];
    if let [n] = numbers[..] {
        types.extend([
            T::String(StringLen::N(n)),
            T::Char(Some(n)),
            T::Binary(n),
            T::VarBinary(StringLen::N(n)),
            T::Bit(Some(n)),
            T::VarBit(n),
            T::Vector(Some(n)),
        ]);
    }
    if let [p, s] = numbers[..] {
        types.extend([T::Decimal(Some((p, s))), T::Money(Some((p, s)))]);
    }
    if base.starts_with("enum") {
        types.push(T::Enum {
            name: "enum".into_iden(),
            variants: args.map_or_else(Vec::new, variants),
        });
    }
    types
}

/// Those of `'good','bad'`.
fn variants(args: &str) -> Vec<DynIden> {
    names(args)
        .into_iter()
        .map(|name| name.trim_matches('\'').to_owned().into_iden())
        .collect()
}

/// Whether every value of one type is the same value of the other, without loss.
pub(crate) fn widens(from: &str, to: &str) -> bool {
    let ((from_base, from_args, _), (to_base, to_args, _)) = (parts(from), parts(to));
    if from == to {
        return true;
    }
    if from.ends_with("[]") || to.ends_with("[]") {
        return false;
    }
    if let (Some(from), Some(to)) = (integer(from), integer(to)) {
        return from.0 >= to.0 && from.1 <= to.1;
    }
    if let (Some((_, high)), true) = (integer(from), is_double(to)) {
        return high <= 32;
    }
    if is_float(from) {
        return is_double(to);
    }
    if let (Some(from), Some(to)) = (text_length(from), text_length(to)) {
        return from <= to;
    }
    match (family(from_base), family(to_base)) {
        (Some("decimal"), Some("decimal")) => decimal(from_args) <= decimal(to_args),
        (Some("bytes"), Some("bytes")) => length(from_args) <= length(to_args),
        (Some("enum"), Some("enum")) => has_all(to_args, from_args),
        (Some("enum"), _) => text_length(to) == Some(u32::MAX),
        (Some("json"), Some("jsonb")) => true,
        (Some("datetime"), Some("datetime")) | (Some("time"), Some("time")) => {
            fraction(from_args) <= fraction(to_args)
        }
        _ => false,
    }
}

/// The bits of the least and of the greatest value.
fn integer(text: &str) -> Option<(i32, i32)> {
    let (base, unsigned) = match text.strip_suffix(" unsigned") {
        Some(base) => (base, true),
        None => (text, false),
    };
    let bits = match base {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" | "integer" => 32,
        "bigint" => 64,
        _ => return None,
    };
    Some(if unsigned {
        (0, bits)
    } else {
        (1 - bits, bits - 1)
    })
}

fn is_float(text: &str) -> bool {
    matches!(text, "float" | "real")
}

fn is_double(text: &str) -> bool {
    matches!(text, "double" | "double precision")
}

/// How many characters fit. Not of `char`, which drops blanks at the end, or adds some.
pub(crate) fn text_length(text: &str) -> Option<u32> {
    let (base, args, _) = parts(text);
    match base {
        "text" => Some(u32::MAX),
        "varchar" | "character varying" => Some(length(args)),
        _ => None,
    }
}

fn length(args: Option<&str>) -> u32 {
    args.and_then(|args| args.parse().ok()).unwrap_or(u32::MAX)
}

fn fraction(args: Option<&str>) -> u32 {
    args.and_then(|args| args.parse().ok()).unwrap_or(0)
}

fn family(base: &str) -> Option<&'static str> {
    Some(match base {
        "decimal" | "numeric" | "real_decimal" | "real" => "decimal",
        "varbinary" | "blob" | "varbinary_blob" => "bytes",
        "enum" | "enum_text" => "enum",
        "json" | "json_text" => "json",
        "jsonb" | "jsonb_text" => "jsonb",
        "datetime" => "datetime",
        "time" => "time",
        _ => return None,
    })
}

/// Digits before and after the point; without a precision, any number of them.
#[derive(PartialEq)]
struct Digits(u32, u32);

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self.0.cmp(&other.0), self.1.cmp(&other.1)) {
            (a, b) if a == b || b.is_eq() => Some(a),
            (a, b) if a.is_eq() => Some(b),
            _ => None,
        }
    }
}

fn decimal(args: Option<&str>) -> Digits {
    let numbers: Vec<u32> = args
        .into_iter()
        .flat_map(|args| args.split(','))
        .filter_map(|number| number.trim().parse().ok())
        .collect();
    match numbers[..] {
        [all, after] => Digits(all.saturating_sub(after), after),
        [all] => Digits(all, 0),
        _ => Digits(u32::MAX, u32::MAX),
    }
}

fn has_all(all: Option<&str>, some: Option<&str>) -> bool {
    let all: Vec<String> = all.map_or_else(Vec::new, names);
    some.map_or_else(Vec::new, names)
        .iter()
        .all(|variant| all.contains(variant))
}

fn names(args: &str) -> Vec<String> {
    args.split(',').map(|name| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::widens;

    #[test]
    fn what_alters_no_value_is_wider() {
        for (from, to) in [
            ("varchar(5)", "varchar(9)"),
            ("varchar(5)", "text"),
            ("char(5)", "char(5)"),
            ("int", "bigint"),
            ("int", "double"),
            ("float", "double"),
            ("decimal(8,2)", "decimal(9,3)"),
        ] {
            assert!(widens(from, to), "{from} to {to}");
        }
        for (from, to) in [
            ("varchar(9)", "varchar(5)"),
            ("text", "varchar(9)"),
            // It drops blanks at the end, or adds some.
            ("varchar(5)", "char(9)"),
            ("char(5)", "varchar(9)"),
            ("character(5)", "text"),
            ("char(5)", "char(9)"),
            ("bigint", "double"),
            ("double", "float"),
            ("double", "int"),
        ] {
            assert!(!widens(from, to), "{from} to {to}");
        }
    }
}
