//! The arguments of the program.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::path::PathBuf;

/// `record` and its subcommands, which go beside those of SeaORM's migrator.
pub(super) fn command() -> Command {
    Command::new("record")
        .about("Record tables: generate migrations, check, backfill, verify, prune")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(generate())
        .subcommand(
            Command::new("check")
                .about("Compare the entities with the database; exit with 1 when they differ"),
        )
        .subcommand(Command::new("status").about("Count rows, records and differences"))
        .subcommand(
            Command::new("backfill")
                .about("Give each row that has no record its first one")
                .arg(flag(
                    "differing",
                    "Also record rows that differ from their latest record",
                ))
                .arg(after())
                .arg(entities()),
        )
        .subcommand(
            Command::new("verify")
                .about("Compare each row with its latest record; exit with 1 when some differ")
                .arg(flag("repair", "Write the records that are missing"))
                .arg(after())
                .arg(entities()),
        )
        .subcommand(
            Command::new("prune")
                .about("Remove the records that no retention has a use for")
                .arg(flag("dry-run", "Only count what would be removed"))
                .arg(share())
                .arg(after())
                .arg(entities()),
        )
}

fn share() -> Arg {
    Arg::new("share")
        .long("share")
        .value_name("PERCENT")
        .value_parser(percent)
        .default_value("10")
        .help("How much of the time to take; others have the database to themselves for the rest")
}

fn percent(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    let share = share.filter(|share| (0.01..=100.0).contains(share));
    share.ok_or_else(|| "a number from 0.01 to 100, such as 2 or 0.5".to_owned())
}

fn generate() -> Command {
    let list = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .action(ArgAction::Append)
            .help(help)
    };
    Command::new("generate")
        .about("Write a migration of what differs between the entities and the database")
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("What the migration is called after its time [default: what it does]"),
        )
        .arg(list(
            "rename",
            "[TABLE.]OLD=NEW",
            "A column of a record table was renamed",
        ))
        .arg(list(
            "fill",
            "[TABLE.]COLUMN=VALUE",
            "What records from before get in a column that may not be NULL",
        ))
        .arg(flag(
            "anew",
            "Make tables again that are gone, with an empty history",
        ))
        .arg(
            Arg::new("migration-dir")
                .short('d')
                .long("migration-dir")
                .env("MIGRATION_DIR")
                .value_parser(value_parser!(PathBuf))
                .help("The crate of the migrator [default: the one that `cargo run` runs, or `.`]"),
        )
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}

fn after() -> Arg {
    Arg::new("after")
        .long("after")
        .value_name("KEY")
        .help("Begin with the row after this key, where a run ended; for one TABLE")
}

fn entities() -> Arg {
    Arg::new("entity")
        .value_name("TABLE")
        .action(ArgAction::Append)
        .help("Tables of the entities to look at [default: all]")
}

/// Those of an argument that may be given several times.
pub(super) fn list<'m>(matches: &'m ArgMatches, name: &str) -> Vec<&'m str> {
    matches
        .get_many::<String>(name)
        .map_or_else(Vec::new, |values| values.map(String::as_str).collect())
}

/// `[TABLE.]LEFT=RIGHT`; without a table it is the only one.
pub(super) fn assignment<'a>(
    text: &'a str,
    tables: &'a [String],
) -> Result<(&'a str, &'a str, &'a str), String> {
    let Some((place, value)) = text.split_once('=') else {
        return Err(format!("`{text}` is not `TABLE.COLUMN=…`"));
    };
    let (table, column) = match (place.rsplit_once('.'), tables) {
        (Some((table, column)), _) => (table, column),
        (None, [table]) => (&**table, place),
        (None, _) => {
            return Err(format!(
                "`{text}` does not say which table: write `TABLE.{text}`, with one of {}",
                tables.join(", ")
            ));
        }
    };
    match tables.iter().any(|it| it == table) {
        true => Ok((table, column, value)),
        false => Err(format!(
            "there is no record table `{table}`; there is {}",
            tables.join(", ")
        )),
    }
}
