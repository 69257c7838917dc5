//! Tables that somebody has been at, and migrations that were interrupted.

use sea_orm::sea_query::{ColumnType, Index, StringLen};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};
use sea_orm_migration::{MigratorTrait, SchemaManager};
use sea_orm_record_migration::{ChangeRecordTable, Evolution, RecordTable, enumeration};

use super::migrations::Migrator;
use super::versions::{v1, v3};
use super::{lines, sql, wanted};
use crate::harness::*;

fn widget() -> RecordTable {
    RecordTable::new("widget_record")
        .column("recording_id", ColumnType::Integer)
        .column("recorded_at", ColumnType::TimestampWithTimeZone)
        .column("event", ColumnType::String(StringLen::N(10)))
        .column("title", ColumnType::String(StringLen::N(40)))
        .nullable_column("note", ColumnType::Text)
        .key(["recording_id", "recorded_at"])
        .index(["recorded_at"])
}

/// What is refused of the differences, and why.
async fn refused(db: &DatabaseConnection, table: RecordTable) -> Vec<String> {
    let evolution = Evolution::new().table(table);
    let differences = evolution.differences(db).await.unwrap();
    let whole = evolution.migration(db).await;
    let refused: Vec<_> = differences
        .iter()
        .filter_map(|it| Some(format!("{it}: {}", it.remedy().err()?)))
        .collect();
    assert_eq!(whole.is_err(), !refused.is_empty());
    refused
}

async fn create(db: &DatabaseConnection, table: &RecordTable) -> Result<(), DbErr> {
    table.create(&SchemaManager::new(db)).await
}

/// In whichever quotes the database has.
async fn quoted(db: &DatabaseConnection, text: &str) {
    match db.get_database_backend() {
        DbBackend::MySql => sql(db, &text.replace('"', "`")).await,
        _ => sql(db, text).await,
    }
}

/// Every type that the database has.
fn every_type(engine: Engine) -> Vec<ColumnType> {
    use ColumnType as T;
    let mut types = vec![
        T::Char(None),
        T::Char(Some(3)),
        T::String(StringLen::None),
        T::String(StringLen::N(9)),
        T::Text,
        T::Blob,
        T::TinyInteger,
        T::SmallInteger,
        T::Integer,
        T::BigInteger,
        T::TinyUnsigned,
        T::SmallUnsigned,
        T::Unsigned,
        T::BigUnsigned,
        T::Float,
        T::Double,
        T::Decimal(None),
        T::Decimal(Some((40, 20))),
        T::DateTime,
        T::Timestamp,
        T::TimestampWithTimeZone,
        T::Time,
        T::Date,
        T::Binary(16),
        T::VarBinary(StringLen::N(20)),
        T::Boolean,
        T::Money(None),
        T::Json,
        T::JsonBinary,
        T::Uuid,
        enumeration("Feeling", ["good", "it's, bad"]),
    ];
    if engine != Engine::Sqlite {
        types.extend([T::Bit(None), T::Bit(Some(3)), T::VarBit(3)]);
    }
    match engine {
        Engine::Sqlite => {}
        Engine::Postgres => types.extend([
            T::Interval(None, None),
            T::Cidr,
            T::Inet,
            T::MacAddr,
            T::Array(sea_orm::sea_query::RcOrArc::new(T::Integer)),
            T::Array(sea_orm::sea_query::RcOrArc::new(T::Text)),
            T::custom("timestamptz(3)"),
        ]),
        Engine::MariaDb => types.push(T::Year),
    }
    types
}

each_database! {
    /// What the database answers is told from what it was told, for each type; and nulls come and go.
    async fn every_type_is_known_again(test: TestDb) {
        let db = &test.connect().await;
        let types = match test.engine() {
            // sea-query escapes no quote in MySQL's enums.
            Engine::MariaDb => every_type(test.engine()).into_iter()
                .filter(|ty| !matches!(ty, ColumnType::Enum { .. }))
                .chain([enumeration("feeling", ["good", "quite bad"])]).collect(),
            _ => every_type(test.engine()),
        };
        let mut table = RecordTable::new("typed_record")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .key(["recording_id", "recorded_at"]);
        let mut nullable = table.clone();
        let (mut allow, mut require) = (ChangeRecordTable::new("typed_record"), ChangeRecordTable::new("typed_record"));
        for (at, ty) in types.iter().enumerate() {
            let name = format!("c{at}");
            table = table.column(&*name, ty.clone());
            nullable = nullable.nullable_column(&*name, ty.clone());
            allow = allow.allow_null(&*name);
            require = require.require_where_filled(&*name);
        }
        let manager = SchemaManager::new(db);
        table.create(&manager).await.unwrap();
        let (strict, loose) = (Evolution::new().table(table), Evolution::new().table(nullable));
        assert_eq!(lines(strict.differences(db).await.unwrap()), Vec::<String>::new());
        let before = definition(db).await;
        allow.apply(&manager).await.unwrap();
        assert_eq!(lines(loose.differences(db).await.unwrap()), Vec::<String>::new());
        require.apply(&manager).await.unwrap();
        assert_eq!(lines(strict.differences(db).await.unwrap()), Vec::<String>::new());
        assert_eq!(definition(db).await, before);
        // None of them is wider than itself, or refused.
        assert_eq!(strict.migration(db).await.unwrap(), None);
    }

    async fn what_a_hand_has_lost_is_not_made_up(test: TestDb) {
        let db = &test.connect().await;
        create(db, &widget()).await.unwrap();
        assert_eq!(refused(db, widget()).await, Vec::<String>::new());

        sql(db, "CREATE UNIQUE INDEX once ON widget_record (title)").await;
        let why = refused(db, widget()).await;
        assert_eq!(why.len(), 1, "{why:?}");
        assert!(why[0].contains("the unique index `once`"), "{why:?}");
        sql(db, if test.engine() == Engine::MariaDb { "DROP INDEX once ON widget_record" } else { "DROP INDEX once" }).await;

        // Narrower than it is, and of another kind.
        let narrower = widget().column("rank", ColumnType::BigInteger);
        create(db, &narrower).await.unwrap_err();
        for ty in ["Integer", "Text"] {
            sql(db, "DROP TABLE widget_record").await;
            create(db, &narrower).await.unwrap();
            let wanted = match ty {
                "Integer" => ColumnType::SmallInteger,
                _ => ColumnType::Text,
            };
            let why = refused(db, widget().column("rank", wanted)).await;
            assert_eq!(why.len(), 1, "{why:?}");
            assert!(why[0].contains("record it under another name, and retire `rank`"), "{why:?}");
        }

        // What cannot be made up.
        quoted(db, "ALTER TABLE widget_record DROP COLUMN event").await;
        let why = refused(db, narrower).await;
        assert!(why[0].contains("`event`: missing"), "{why:?}");

        sql(db, "DROP TABLE widget_record").await;
        sql(db, "CREATE TABLE widget_record (id integer PRIMARY KEY, title varchar(40) NOT NULL)").await;
        let why = refused(db, widget()).await;
        assert!(why[0].starts_with("primary key: (id), wanted (recording_id, recorded_at)"), "{why:?}");
        assert_eq!(why.len(), 4, "and its columns: {why:?}");

        // An entity's own lost columns: no value is offered for them.
        sql(db, "CREATE TABLE gadget_record (recording_id integer, title varchar(40))").await;
        let why = refused(db, RecordTable::of(v1::Entity).unwrap()).await;
        assert!(why.iter().any(|it| it.contains("`event` was lost by hand")), "{why:?}");
        assert!(why.iter().any(|it| it.contains("primary key: none")), "{why:?}");
    }

    async fn what_is_required_needs_a_value_or_an_option(test: TestDb) {
        let db = &test.connect().await;
        create(db, &widget()).await.unwrap();
        let why = refused(db, widget().column("rank", ColumnType::Integer)).await;
        assert_eq!(why.len(), 1);
        assert!(why[0].contains("an `Option` in the record (a column by `columns(rank?)`), or say what they get with `--fill rank=VALUE`"), "{why:?}");
        let filled = Evolution::new().table(widget().column("rank", ColumnType::Integer))
            .filled("widget_record", "rank", 7);
        let source = filled.migration(db).await.unwrap().unwrap();
        assert!(source.contains(".add_filled_column(\"rank\", ColumnType::Integer, 7)"), "{source}");
    }

    async fn a_rename_is_never_guessed(test: TestDb) {
        let db = &test.connect().await;
        create(db, &widget()).await.unwrap();
        let renamed = || RecordTable::new("widget_record")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .column("event", ColumnType::String(StringLen::N(10)))
            .column("title", ColumnType::String(StringLen::N(40)))
            .nullable_column("remark", ColumnType::Text)
            .key(["recording_id", "recorded_at"])
            .index(["recorded_at"]);
        let evolution = || Evolution::new().table(renamed());
        let guesses = evolution().possible_renames(db).await.unwrap();
        assert_eq!(guesses, [("widget_record".to_owned(), "note".to_owned(), "remark".to_owned())]);
        let source = evolution().migration(db).await.unwrap().unwrap();
        assert!(source.contains(".add_column(\"remark\", ColumnType::Text)"), "{source}");
        let told = evolution().renamed("widget_record", "note", "remark");
        assert_eq!(told.possible_renames(db).await.unwrap(), []);
        let source = told.migration(db).await.unwrap().unwrap();
        assert!(source.contains(".rename_column(\"note\", \"remark\")"), "{source}");
        // Neither may the entity still have the one, nor the table already the other.
        for (from, to) in [("title", "remark"), ("nothing", "remark"), ("note", "nothing")] {
            let wrong = evolution().renamed("widget_record", from, to);
            assert!(wrong.migration(db).await.unwrap_err().to_string().contains("cannot have been renamed"));
        }
    }

    /// Over the years, with both hints kept: whichever name a database still has.
    async fn a_column_may_be_renamed_twice(test: TestDb) {
        let db = &test.connect().await;
        let base = || RecordTable::new("widget_record")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .key(["recording_id", "recorded_at"]);
        let wanted = Evolution::new().table(base().nullable_column("length", ColumnType::Integer))
            .renamed("widget_record", "words", "word_count")
            .renamed("widget_record", "word_count", "length");
        for name in ["words", "word_count"] {
            create(db, &base().nullable_column(name, ColumnType::Integer)).await.unwrap();
            let source = wanted.migration(db).await.unwrap().unwrap();
            assert_eq!(source.matches("rename_column").count(), 2, "up and down: {source}");
            assert!(source.contains(&format!(".rename_column({name:?}, \"length\")")), "{source}");
            sql(db, "DROP TABLE widget_record").await;
        }
        // Done; also where the first name came and went again.
        create(db, &base().nullable_column("length", ColumnType::Integer)).await.unwrap();
        assert_eq!(wanted.migration(db).await.unwrap(), None);
        sql(db, "ALTER TABLE widget_record ADD COLUMN words integer").await;
        assert_eq!(wanted.migration(db).await.unwrap(), None);
        // And back to what it was called at first.
        let back = Evolution::new().table(base().nullable_column("length", ColumnType::Integer))
            .renamed("widget_record", "length", "size")
            .renamed("widget_record", "size", "length");
        assert_eq!(back.migration(db).await.unwrap(), None);
        sql(db, "ALTER TABLE widget_record RENAME COLUMN length TO size").await;
        let source = back.migration(db).await.unwrap().unwrap();
        assert!(source.contains(".rename_column(\"size\", \"length\")"), "{source}");
    }

    async fn a_second_run_finishes_what_was_interrupted(test: TestDb) {
        let db = &test.connect().await;
        // A table without its index.
        Migrator::up(db, Some(1)).await.unwrap();
        sql(db, "DELETE FROM seaql_migrations").await;
        let drop = match test.engine() {
            Engine::MariaDb => "DROP INDEX `idx-gadget_record-recorded_at` ON gadget_record",
            _ => "DROP INDEX \"idx-gadget_record-recorded_at\"",
        };
        sql(db, drop).await;
        assert_eq!(lines(wanted()[0].differences(db).await.unwrap()), ["index on (recorded_at): missing, wanted present"]);
        Migrator::up(db, Some(1)).await.unwrap();
        assert_eq!(lines(wanted()[0].differences(db).await.unwrap()), Vec::<String>::new());

        // Of a column and its index the column, and of two changes of a column one.
        Migrator::up(db, Some(1)).await.unwrap();
        quoted(db, "ALTER TABLE gadget_record ADD COLUMN \"rank\" integer").await;
        Migrator::up(db, Some(3)).await.unwrap();
        assert_eq!(lines(wanted()[4].differences(db).await.unwrap()), Vec::<String>::new());
        ChangeRecordTable::new("gadget_record").allow_null("price").apply(&SchemaManager::new(db)).await.unwrap();
        Migrator::up(db, None).await.unwrap();
        assert_eq!(lines(wanted()[9].differences(db).await.unwrap()), Vec::<String>::new());
        // And down, with what it would do done already.
        ChangeRecordTable::new("gadget_record").drop_column("actor").apply(&SchemaManager::new(db)).await.unwrap();
        Migrator::down(db, None).await.unwrap();
    }

    async fn what_is_neither_before_nor_after_is_refused_whole(test: TestDb) {
        let db = &test.connect().await;
        Migrator::up(db, Some(2)).await.unwrap();
        quoted(db, "ALTER TABLE gadget_record ADD COLUMN \"rank\" varchar(9)").await;
        let error = Migrator::up(db, Some(1)).await.unwrap_err().to_string();
        assert!(error.contains("the record table `gadget_record` has a column `rank` already"), "{error}");
        let left = lines(Evolution::new().table(RecordTable::of(v3::Entity).unwrap()).differences(db).await.unwrap());
        assert!(left.contains(&"index on (rank): missing, wanted present".to_owned()), "{left:?}");
        quoted(db, "ALTER TABLE gadget_record DROP COLUMN \"rank\"").await;

        let manager = SchemaManager::new(db);
        let change = || ChangeRecordTable::new("gadget_record");
        let refused = |error: Result<(), DbErr>| error.unwrap_err().to_string();
        let error = refused(change().change_type("title", ColumnType::Integer, ColumnType::Text).apply(&manager).await);
        assert!(error.contains("and neither as"), "{error}");
        let error = refused(change().add_column("pages", ColumnType::Integer).rename_column("title", "subtitle").apply(&manager).await);
        assert!(error.contains("has both `title` and `subtitle`"), "{error}");
        let error = refused(change().rename_column("a", "b").apply(&manager).await);
        assert!(error.contains("has neither `a` nor `b`"), "{error}");
        let error = refused(change().allow_null("nothing").apply(&manager).await);
        assert!(error.contains("has no column `nothing`; it has recording_id, recorded_at"), "{error}");
        let error = refused(change().drop_column("recorded_at").apply(&manager).await);
        assert!(error.contains("has `recorded_at` in its primary key"), "{error}");
        let error = refused(ChangeRecordTable::new("nowhere").allow_null("a").apply(&manager).await);
        assert!(error.contains("`nowhere` is not there"), "{error}");
        assert_eq!(lines(wanted()[1].differences(db).await.unwrap()), Vec::<String>::new(), "nothing was done");

        let error = refused(RecordTable::of(v1::Entity).unwrap().column("other", ColumnType::Integer).create(&manager).await);
        assert!(error.contains("is there already, and differs in `other`: missing"), "{error}");
    }

    /// A change of a column keeps what else there is: SQLite copies the table for it.
    async fn what_a_table_has_besides_stays(test: TestDb) {
        let db = &test.connect().await;
        sql(db, "CREATE TABLE widget (id integer PRIMARY KEY)").await;
        let table = widget().cascade(["recording_id"], "widget", ["id"]);
        create(db, &table).await.unwrap();
        sql(db, "CREATE INDEX own ON widget_record (title)").await;
        sql(db, "CREATE TABLE heard (n integer)").await;
        let trigger = match test.engine() {
            Engine::Sqlite => "CREATE TRIGGER hear AFTER INSERT ON widget_record BEGIN INSERT INTO heard VALUES (1); END",
            Engine::MariaDb => "CREATE TRIGGER hear AFTER INSERT ON widget_record FOR EACH ROW INSERT INTO heard VALUES (1)",
            Engine::Postgres => "CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO heard VALUES (1); RETURN NULL; END $$; \
                CREATE TRIGGER hear AFTER INSERT ON widget_record FOR EACH ROW EXECUTE FUNCTION hear()",
        };
        sql(db, trigger).await;
        sql(db, "INSERT INTO widget VALUES (1)").await;
        let manager = &SchemaManager::new(db);
        let change = ChangeRecordTable::new("widget_record")
            .allow_null("title")
            .change_type("title", ColumnType::String(StringLen::N(40)), ColumnType::String(StringLen::N(50)))
            .rename_column("note", "remark")
            .add_column("rank", ColumnType::Integer)
            .add_index(["rank"]);
        change.apply(manager).await.unwrap();
        change.apply(manager).await.unwrap();
        sql(db, "INSERT INTO widget_record (recording_id, recorded_at, event) VALUES (1, '2026-01-01 00:00:00', 'created')").await;
        assert_eq!(count(db, "heard").await, 1);
        let indexes = Evolution::new().table(RecordTable::new("widget_record")
            .column("recording_id", ColumnType::Integer)
            .column("recorded_at", ColumnType::TimestampWithTimeZone)
            .column("event", ColumnType::String(StringLen::N(10)))
            .nullable_column("title", ColumnType::String(StringLen::N(50)))
            .nullable_column("remark", ColumnType::Text)
            .nullable_column("rank", ColumnType::Integer)
            .key(["recording_id", "recorded_at"])
            .index(["recorded_at"]).index(["rank"]).index(["title"])
            .cascade(["recording_id"], "widget", ["id"]));
        assert_eq!(lines(indexes.differences(db).await.unwrap()), Vec::<String>::new());
        sql(db, "DELETE FROM widget").await;
        assert_eq!(count(db, "widget_record").await, 0);
    }

    /// Of the indexes of one column, only the one that `indexed` made comes and goes.
    async fn indexes_of_ones_own_outlive_indexed(test: TestDb) {
        let db = &test.connect().await;
        let indexed = || Evolution::new().table(widget().index(["title"]));
        create(db, &widget().index(["title"])).await.unwrap();
        sql(db, "CREATE INDEX own ON widget_record (title)").await;
        let other = match test.engine() {
            Engine::Sqlite => "CREATE INDEX other ON widget_record (title) WHERE title <> ''",
            Engine::Postgres => "CREATE INDEX other ON widget_record USING hash (title)",
            Engine::MariaDb => "CREATE FULLTEXT INDEX other ON widget_record (title)",
        };
        sql(db, other).await;
        let source = Evolution::new().table(widget()).migration(db).await.unwrap().unwrap();
        assert!(source.contains(".drop_index([\"title\"])"), "{source}");

        let manager = &SchemaManager::new(db);
        let drop_index = ChangeRecordTable::new("widget_record").drop_index(["title"]);
        let has = async |name| manager.has_index("widget_record", name).await.unwrap();
        // A second time, after an interruption say, it finds nothing to do.
        for _ in 0..2 {
            drop_index.apply(manager).await.unwrap();
            assert_eq!(
                (has("idx-widget_record-title").await, has("own").await, has("other").await),
                (false, true, true)
            );
        }
        assert_eq!(lines(Evolution::new().table(widget()).differences(db).await.unwrap()), Vec::<String>::new());
        assert_eq!(lines(indexed().differences(db).await.unwrap()), Vec::<String>::new(), "one's own will do");

        // Back again, beside one of another kind.
        manager.drop_index(Index::drop().name("own").table("widget_record").to_owned()).await.unwrap();
        ChangeRecordTable::new("widget_record").add_index(["title"]).apply(manager).await.unwrap();
        assert_eq!((has("idx-widget_record-title").await, has("other").await), (true, true));
        assert_eq!(lines(indexed().differences(db).await.unwrap()), Vec::<String>::new());
    }

    /// Integers of more bits, on databases that have such.
    async fn a_wider_integer(test: TestDb) {
        let db = &test.connect().await;
        create(db, &widget().column("rank", ColumnType::Integer)).await.unwrap();
        let wider = Evolution::new().table(widget().column("rank", ColumnType::BigInteger));
        let source = wider.migration(db).await.unwrap();
        if test.engine() == Engine::Sqlite {
            assert_eq!(source, None);
            return;
        }
        let source = source.unwrap();
        assert!(source.contains(".change_type(\"rank\", ColumnType::Integer, ColumnType::BigInteger)"), "{source}");
        // The key of what is recorded may grow as well.
        let manager = &SchemaManager::new(db);
        ChangeRecordTable::new("widget_record")
            .change_type("recording_id", ColumnType::Integer, ColumnType::BigInteger)
            .change_type("rank", ColumnType::Integer, ColumnType::BigInteger)
            .apply(manager).await.unwrap();
        quoted(db, "INSERT INTO widget_record (recording_id, recorded_at, event, title, \"rank\") \
            VALUES (1, '2026-01-01 00:00:00', 'created', '', 3000000000)").await;
        // And not shrink under a value that does not fit.
        ChangeRecordTable::new("widget_record")
            .change_type("rank", ColumnType::BigInteger, ColumnType::Integer)
            .apply(manager).await.unwrap_err();
        sql(db, "DELETE FROM widget_record").await;
        ChangeRecordTable::new("widget_record")
            .change_type("rank", ColumnType::BigInteger, ColumnType::Integer)
            .apply(manager).await.unwrap();
    }
}

async fn count(db: &DatabaseConnection, table: &str) -> i64 {
    let select = format!("SELECT COUNT(*) AS n FROM {table}");
    let select = Statement::from_string(db.get_database_backend(), select);
    let row = db.query_one_raw(select).await.unwrap().unwrap();
    row.try_get("", "n").unwrap()
}

/// All that MySQL says of the table, checks of JSON included; nothing elsewhere.
async fn definition(db: &DatabaseConnection) -> String {
    if db.get_database_backend() != DbBackend::MySql {
        return String::new();
    }
    let show = Statement::from_string(DbBackend::MySql, "SHOW CREATE TABLE typed_record");
    let row = db.query_one_raw(show).await.unwrap().unwrap();
    row.try_get_by_index(1).unwrap()
}
