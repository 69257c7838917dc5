//! Other types for columns: no value becomes another on the way, and texts stay as they compare.

use sea_orm::sea_query::{ColumnType as T, StringLen};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use sea_orm_migration::SchemaManager;
use sea_orm_record_migration::{ChangeRecordTable, Evolution, RecordTable};

use super::sql;
use crate::harness::*;

fn widget() -> RecordTable {
    RecordTable::new("widget_record")
        .column("recording_id", T::Integer)
        .column("recorded_at", T::TimestampWithTimeZone)
        .key(["recording_id", "recorded_at"])
}

fn change() -> ChangeRecordTable {
    ChangeRecordTable::new("widget_record")
}

async fn text(db: &DatabaseConnection, select: &str, of: &str) -> Option<String> {
    let select = Statement::from_string(db.get_database_backend(), select);
    let row = db.query_one_raw(select).await.unwrap().unwrap();
    row.try_get("", of).unwrap()
}

/// A collation that no text has unasked.
fn collation(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "COLLATE NOCASE",
        Engine::Postgres => "COLLATE \"C\"",
        Engine::MariaDb => "COLLATE latin1_bin",
    }
}

/// Whether the column has it.
async fn is_collated(db: &DatabaseConnection, engine: Engine, column: &str) -> bool {
    if engine == Engine::Sqlite {
        let select = "SELECT sql FROM sqlite_master WHERE name = 'widget_record'";
        let text = text(db, select, "sql").await.unwrap();
        let (_, definition) = text.split_once(&format!("\"{column}\" ")).unwrap();
        return definition
            .split(',')
            .next()
            .unwrap()
            .contains("COLLATE NOCASE");
    }
    let select = format!(
        "SELECT CAST(collation_name AS char(20)) AS named FROM information_schema.columns \
         WHERE table_name = 'widget_record' AND column_name = '{column}' AND table_schema = {}",
        if engine == Engine::Postgres {
            "current_schema()"
        } else {
            "DATABASE()"
        }
    );
    let named = text(db, &select, "named").await;
    let named = named.as_deref().map(str::trim);
    named == Some("C") || named == Some("latin1_bin")
}

each_database! {
    /// SQLite's types have no such limits, and leave values as they are.
    async fn a_type_that_would_alter_a_value_is_refused(test: TestDb) {
        if test.engine() == Engine::Sqlite {
            return;
        }
        let db = &test.connect().await;
        let manager = &SchemaManager::new(db);
        let text = |length| T::String(StringLen::N(length));
        for (from, to, altered, kept) in [
            (T::Double, T::Integer, "1.5", "2"),
            (T::Double, T::SmallInteger, "-0.25", "-3"),
            (T::Double, T::Float, "0.1", "0.25"),
            (T::BigInteger, T::Double, "9007199254740993", "9007199254740992"),
            (T::Decimal(Some((12, 4))), T::Decimal(Some((12, 2))), "1.005", "1.25"),
            (T::Decimal(Some((12, 4))), T::BigInteger, "1.5", "7"),
            (text(9), text(2), "'ab '", "'ab'"),
            (text(9), T::Char(Some(9)), "'ab '", "'ab'"),
            (T::DateTime, T::Date, "'2026-01-02 03:04:05'", "'2026-01-02 00:00:00'"),
        ] {
            widget().column("it", from.clone()).create(manager).await.unwrap();
            let insert = |value: &str| format!(
                "INSERT INTO widget_record (recording_id, recorded_at, it) VALUES (1, '2026-01-01 00:00:00', {value})"
            );
            sql(db, &insert(altered)).await;
            let apply = change().change_type("it", from.clone(), to.clone());
            let error = apply.apply(manager).await.unwrap_err().to_string();
            assert!(error.contains("has values in `it`"), "{from:?} to {to:?}: {error}");
            sql(db, "DELETE FROM widget_record").await;
            sql(db, &insert(kept)).await;
            apply.apply(manager).await.unwrap();
            widget().drop(manager).await.unwrap();
        }
    }

    /// As the table that is made has it, so the one that comes by changes.
    async fn a_column_is_added_with_all_that_its_entity_says_of_it(test: TestDb) {
        let db = &test.connect().await;
        let (manager, engine) = (&SchemaManager::new(db), test.engine());
        widget().create(manager).await.unwrap();
        let wanted = widget().nullable_column("code", T::String(StringLen::N(9)))
            .extra(collation(engine)).comment("it's a code");
        let source = Evolution::new().table(wanted.clone()).migration(db).await.unwrap().unwrap();
        let calls = format!(".extra({:?})\n            .comment(\"it's a code\")\n", collation(engine));
        assert!(source.contains(&calls), "{source}");
        change().add_column("code", T::String(StringLen::N(9))).extra(collation(engine)).comment("it's a code")
            .add_filled_column("mark", T::String(StringLen::N(9)), "x").extra(collation(engine))
            .apply(manager).await.unwrap();
        assert!(is_collated(db, engine, "code").await);
        assert!(is_collated(db, engine, "mark").await);
        if engine == Engine::MariaDb {
            let comment = "SELECT column_comment AS it FROM information_schema.columns \
                WHERE table_schema = DATABASE() AND table_name = 'widget_record' AND column_name = 'code'";
            assert_eq!(text(db, comment, "it").await.as_deref(), Some("it's a code"));
        }
        if engine != Engine::Sqlite {
            // Whose copy would lose it: refused.
            change().change_type("code", T::String(StringLen::N(9)), T::String(StringLen::N(20)))
                .apply(manager).await.unwrap();
            assert!(is_collated(db, engine, "code").await);
        }
    }

    /// Where a schema is a database, its tables are not mistaken for those of the connection's own.
    async fn a_missing_index_is_made_in_the_schema_of_its_table(test: TestDb) {
        let db = &test.connect().await;
        let schema = match test.engine() {
            Engine::Sqlite => return, // Its schemas are attached files.
            Engine::Postgres => "audit".to_owned(),
            Engine::MariaDb => {
                let own = "SELECT CONCAT('audit_', LEFT(SHA2(DATABASE(), 256), 32)) AS own";
                text(db, own, "own").await.unwrap()
            }
        };
        let manager = &SchemaManager::new(db);
        sql(db, &format!("DROP SCHEMA IF EXISTS {schema}")).await;
        sql(db, &format!("CREATE SCHEMA {schema}")).await;
        widget().create(manager).await.unwrap();
        widget().in_schema(&schema).create(manager).await.unwrap();
        let indexed = widget().in_schema(&schema).index(["recorded_at"]);
        indexed.create(manager).await.unwrap();
        assert!(Evolution::new().table(indexed.clone()).differences(db).await.unwrap().is_empty());
        let own = Evolution::new().table(widget().index(["recorded_at"]));
        assert_eq!(own.differences(db).await.unwrap().len(), 1);
        indexed.drop(manager).await.unwrap();
        sql(db, &format!("DROP SCHEMA {schema}")).await;
    }
}
