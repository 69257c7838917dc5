//! Record tables, as `sea-orm-record-migration` makes them.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, QueryFilter, QueryOrder, Schema, Statement, prelude::Uuid,
};
use sea_orm_migration::{
    SchemaManager,
    sea_query::{MysqlQueryBuilder, SqliteQueryBuilder},
};
use sea_orm_record::{Event, RecordError};
use sea_orm_record_migration::{RecordSchema, RecordSchemaManager, record_indexes, record_table};

use crate::harness::*;

/// Of every type that there is something to say about.
mod sample {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(
        columns(all),
        properties(rank: i32, #[sea_orm(indexed)] group: i32),
        context
    )]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sample")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(unique)]
        pub name: String,
        #[sea_orm(default_value = 7)]
        pub count: Option<i64>,
        #[sea_orm(column_type = "Decimal(None)", nullable)]
        pub price: Option<Decimal>,
        #[sea_orm(column_type = "Decimal(Some((12, 4)))")]
        pub rate: Decimal,
        pub at: ChronoDateTime,
        #[sea_orm(column_type = "Timestamp")]
        pub stamp: ChronoDateTime,
        pub utc: ChronoDateTimeUtc,
        pub time: ChronoTime,
        pub date: ChronoDate,
        pub uuid: Uuid,
        pub json: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub jsonb: Json,
        pub bytes: Vec<u8>,
        pub flag: bool,
        pub ratio: f64,
        pub mood: Mood,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "mood")]
    pub enum Mood {
        #[sea_orm(string_value = "good")]
        Good,
        #[sea_orm(string_value = "bad")]
        Bad,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|_| record::Properties { rank: 1, group: 2 })
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A composite key, of a UUID and a text, and a name that makes others too long.
mod shelf {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(label))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shelf_of_a_library_with_quite_a_long_name")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub library: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub code: String,
        pub label: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Its records go with it.
mod draft {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(title), cascade)]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "draft")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// In a schema of its own.
mod audited {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(title))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(schema_name = "audit", table_name = "note")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
    }

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Arrays, one of a native enum that nothing else uses and whose name has to be quoted.
mod tagged {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(tags, tints))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tagged")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub tags: Vec<String>,
        pub tints: Vec<Tint>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "Tint")]
    pub enum Tint {
        #[sea_orm(string_value = "red")]
        Red,
        #[sea_orm(string_value = "blue")]
        Blue,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// A second history of drafts, written by hand, that asks for what no history may have.
mod handmade {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Event, RecordEntity};

    use super::draft;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "draft_log")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub recording_id: i32,
        #[sea_orm(primary_key)]
        pub recorded_at: ChronoDateTimeUtc,
        #[sea_orm(unique_key = "once")]
        pub event: Event,
        #[sea_orm(unique, default_value = "none", extra = "COLLATE MARK")]
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "draft::Entity",
            from = "Column::RecordingId",
            to = "draft::Column::Id"
        )]
        Recording,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl RecordEntity for Entity {
        type Recording = draft::Entity;
        type Properties = ();

        const RECORDED_AT: Column = Column::RecordedAt;
        const EVENT: Column = Column::Event;
    }
}

/// One whose primary key is the wrong way round.
mod reversed {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Event, RecordEntity};

    use super::draft;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "draft_reversed")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub recorded_at: ChronoDateTimeUtc,
        #[sea_orm(primary_key, auto_increment = false)]
        pub recording_id: i32,
        pub event: Event,
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl RecordEntity for Entity {
        type Recording = draft::Entity;
        type Properties = ();

        const RECORDED_AT: Column = Column::RecordedAt;
        const EVENT: Column = Column::Event;
    }
}

/// `name type` of each column, and `?` where it may be null.
async fn columns(db: &DatabaseConnection, table: &str) -> Vec<String> {
    let select = match db.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT attname || ' ' || format_type(atttypid, atttypmod) \
                || CASE WHEN attnotnull THEN '' ELSE '?' END AS line \
             FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        ),
        DbBackend::MySql => format!(
            "SELECT CAST(concat(column_name, ' ', column_type, \
                if(is_nullable = 'YES', '?', '')) AS char) AS line \
             FROM information_schema.columns \
             WHERE table_schema = database() AND table_name = '{table}' ORDER BY ordinal_position"
        ),
        _ => format!(
            "SELECT name || ' ' || type || iif(\"notnull\", '', '?') AS line \
             FROM pragma_table_info('{table}') ORDER BY cid"
        ),
    };
    lines(db, select).await
}

/// `name (columns)` of each index, first the primary key, then by name; where it is unique, `!`.
async fn indexes(db: &DatabaseConnection, table: &str) -> Vec<String> {
    let select = match db.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT CASE WHEN indisprimary THEN 'primary' ELSE relname::text END || ' (' || ( \
                SELECT string_agg(attname::text, ', ' ORDER BY attnum) FROM pg_attribute \
                WHERE attrelid = indexrelid) || ')' \
                || CASE WHEN indisunique AND NOT indisprimary THEN '!' ELSE '' END AS line \
             FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
             WHERE indrelid = '{table}'::regclass ORDER BY NOT indisprimary, relname"
        ),
        DbBackend::MySql => format!(
            "SELECT CAST(concat(if(index_name = 'PRIMARY', 'primary', index_name), ' (', \
                group_concat(column_name ORDER BY seq_in_index SEPARATOR ', '), ')', \
                if(non_unique OR index_name = 'PRIMARY', '', '!')) AS char) AS line \
             FROM information_schema.statistics \
             WHERE table_schema = database() AND table_name = '{table}' \
             GROUP BY index_name, non_unique ORDER BY index_name <> 'PRIMARY', index_name"
        ),
        _ => format!(
            "SELECT iif(l.origin = 'pk', 'primary', l.name) || ' (' || ( \
                SELECT group_concat(i.name, ', ') FROM pragma_index_info(l.name) i) || ')' \
                || iif(l.\"unique\" AND l.origin <> 'pk', '!', '') AS line \
             FROM pragma_index_list('{table}') l ORDER BY l.origin <> 'pk', l.name"
        ),
    };
    lines(db, select).await
}

async fn lines(db: &DatabaseConnection, select: String) -> Vec<String> {
    let select = Statement::from_string(db.get_database_backend(), select);
    let rows = db.query_all_raw(select).await.unwrap();
    rows.iter()
        .map(|row| row.try_get("", "line").unwrap())
        .collect()
}

async fn create_source<E: EntityTrait>(db: &DatabaseConnection, entity: E) {
    let schema = Schema::new(db.get_database_backend());
    for create in schema.create_enum_from_entity(entity) {
        db.execute(&create).await.unwrap();
    }
    db.execute(&schema.create_table_from_entity(entity))
        .await
        .unwrap();
}

fn to_the_microsecond() -> DateTime<Utc> {
    "2026-03-04T05:06:07.123456Z".parse().unwrap()
}

fn sample() -> sample::record::Model {
    let at = to_the_microsecond();
    sample::record::Model {
        recording_id: 1,
        recorded_at: at,
        event: Event::Backfilled,
        name: "one".into(),
        count: None,
        price: None,
        rate: "12.5".parse().unwrap(),
        at: at.naive_utc(),
        stamp: at.naive_utc(),
        utc: at,
        time: at.time(),
        date: at.date_naive(),
        uuid: Uuid::from_u128(7),
        json: serde_json::json!({"a": [1, null]}),
        jsonb: serde_json::json!({"b": 1.5}),
        bytes: vec![0, 255],
        flag: true,
        ratio: 0.1,
        mood: sample::Mood::Bad,
        rank: 1,
        group: 2,
        actor: Some("alice".into()),
        reason: None,
        change_id: Some(Uuid::from_u128(8)),
        metadata: Some(serde_json::json!({})),
    }
}

async fn insert_sample(
    db: &DatabaseConnection,
    sample: sample::record::Model,
) -> Result<(), DbErr> {
    use sea_orm::{ActiveModelTrait, IntoActiveModel};
    let sample = sample.into_active_model().reset_all();
    sample::record::Entity::insert(sample)
        .exec_without_returning(db)
        .await?;
    Ok(())
}

each_database! {
    async fn a_record_table_has_its_columns(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(sample::record::Entity).await?;
        let expected = match test.engine() {
            Engine::Sqlite => [
                "recording_id INTEGER", "recorded_at timestamp_with_timezone_text",
                "event varchar(10)", "name varchar", "count INTEGER?", "price real_decimal?",
                "rate real(12, 4)", "at datetime_text", "stamp timestamp_text",
                "utc timestamp_with_timezone_text", "time time_text", "date date_text",
                "uuid uuid_text", "json json_text", "jsonb jsonb_text", "bytes varbinary_blob",
                "flag boolean", "ratio double", "mood enum_text", "rank INTEGER", "group INTEGER",
                "actor TEXT?", "reason TEXT?", "change_id uuid_text?", "metadata jsonb_text?",
            ],
            Engine::Postgres => [
                "recording_id integer", "recorded_at timestamp with time zone",
                "event character varying(10)", "name character varying", "count bigint?",
                "price numeric?", "rate numeric(12,4)", "at timestamp without time zone",
                "stamp timestamp without time zone", "utc timestamp with time zone",
                "time time without time zone", "date date", "uuid uuid", "json json",
                "jsonb jsonb", "bytes bytea", "flag boolean", "ratio double precision",
                "mood mood", "rank integer", "group integer", "actor text?", "reason text?",
                "change_id uuid?", "metadata jsonb?",
            ],
            Engine::MariaDb => [
                "recording_id int(11)", "recorded_at datetime(6)", "event varchar(10)",
                "name varchar(255)", "count bigint(20)?", "price decimal(57,28)?",
                "rate decimal(12,4)", "at datetime(6)", "stamp datetime(6)", "utc datetime(6)",
                "time time(6)", "date date", "uuid binary(16)", "json longtext",
                "jsonb longtext", "bytes varbinary(255)", "flag tinyint(1)", "ratio double",
                "mood enum('good','bad')", "rank int(11)", "group int(11)", "actor text?",
                "reason text?", "change_id binary(16)?", "metadata longtext?",
            ],
        };
        let mut expected = expected.map(str::to_owned);
        if is_mysql(&db).await {
            // Integers have no width there, and JSON is a type.
            let of_mysql = [("int(11)", "int"), ("bigint(20)", "bigint"), ("longtext", "json")];
            for (theirs, its) in of_mysql {
                expected = expected.map(|column| column.replace(theirs, its));
            }
        }
        assert_eq!(columns(&db, "sample_record").await, expected);
        Ok(())
    }

    async fn a_record_table_has_its_key_and_indexes(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(sample::record::Entity).await?;
        assert_eq!(indexes(&db, "sample_record").await, [
            "primary (recording_id, recorded_at)",
            "idx-sample_record-group (group)",
            "idx-sample_record-recorded_at (recorded_at)",
        ]);
        Ok(())
    }

    async fn a_composite_key_comes_before_the_time(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(shelf::record::Entity).await?;
        let table = "shelf_of_a_library_with_quite_a_long_name_record";
        assert_eq!(indexes(&db, table).await, [
            "primary (recording_library, recording_code, recorded_at)",
            "idx-shelf_of_a_library_with_quite_a_long_name_record-r-71ef2fe3 (recorded_at)",
        ]);
        let records = [("a", Some("A")), ("b", None)].map(|(code, label)| shelf::record::Model {
            recording_library: Uuid::from_u128(3),
            recording_code: code.into(),
            recorded_at: to_the_microsecond(),
            event: Event::Created,
            label: label.map(Into::into),
        });
        for record in records.clone() {
            let record = shelf::record::ActiveModel::from(record);
            shelf::record::Entity::insert(record).exec_without_returning(&db).await?;
        }
        let found = shelf::record::Entity::find()
            .filter(shelf::record::Column::RecordingLibrary.eq(Uuid::from_u128(3)))
            .order_by_asc(shelf::record::Column::RecordingCode);
        assert_eq!(found.all(&db).await?, records);
        Ok(())
    }

    async fn what_a_record_table_takes_it_gives_back(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(sample::record::Entity).await?;
        let mut other = sample();
        other.recorded_at += chrono::TimeDelta::microseconds(1);
        for record in [sample(), other.clone()] {
            insert_sample(&db, record).await?;
        }
        let found = sample::record::Entity::find()
            .order_by_asc(sample::record::Column::RecordedAt);
        assert_eq!(found.all(&db).await?, [sample(), other]);
        // The same microsecond again.
        assert!(insert_sample(&db, sample()).await.is_err());
        Ok(())
    }

    async fn a_bare_decimal_holds_every_decimal(test: TestDb) -> TestResult {
        let db = test.connect().await;
        db.create_record_table(sample::record::Entity).await?;
        let prices: &[&str] = match test.engine() {
            // Its `real` has 53 bits; what does not fit is the recording's to refuse.
            Engine::Sqlite => &["12.5", "-0.25"],
            _ => &[
                "1234567890.123456789012345678",
                "-79228162514264337593543950335",
                "0.0000000000000000000000000001",
                "7.9228162514264337593543950335",
            ],
        };
        for (id, price) in prices.iter().enumerate() {
            let price: Decimal = price.parse()?;
            let recording_id = i32::try_from(id)?;
            insert_sample(&db, sample::record::Model { recording_id, price: Some(price), ..sample() })
                .await?;
            let found = sample::record::Entity::find()
                .filter(sample::record::Column::RecordingId.eq(recording_id))
                .one(&db)
                .await?;
            assert_eq!(found.unwrap().price, Some(price));
        }
        Ok(())
    }

    async fn a_table_that_exists_is_an_error_unless_allowed(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create_source(&db, draft::Entity).await;
        db.create_record_table_if_not_exists(draft::record::Entity).await?;
        db.create_record_table(draft::record::Entity).await.unwrap_err();
        db.create_record_table_if_not_exists(draft::record::Entity).await?;

        db.drop_record_table(draft::record::Entity).await?;
        db.drop_record_table(draft::record::Entity).await.unwrap_err();
        db.drop_record_table_if_exists(draft::record::Entity).await?;
        db.create_record_table(draft::record::Entity).await?;
        db.drop_record_table_if_exists(draft::record::Entity).await?;
        assert!(draft::record::Entity::find().all(&db).await.is_err());
        Ok(())
    }

    async fn a_migration_makes_and_drops_a_record_table(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create_source(&db, draft::Entity).await;
        let manager = SchemaManager::new(&db);
        let record = draft::record::Entity;
        manager.create_record_table(record).await?;
        manager.create_record_table_if_not_exists(record).await?;
        assert_eq!(draft::record::Entity::find().all(&db).await?, []);
        manager.drop_record_table(record).await?;
        manager.drop_record_table_if_exists(record).await?;

        // Again and again, by whichever connection of the pool: SQLite's remember the schema.
        for _ in 0..20 {
            manager.create_record_table(record).await?;
            manager.drop_record_table(record).await?;
        }

        // In a transaction, as PostgreSQL's migrations run.
        let transaction = manager.begin().await?;
        transaction.create_record_table(record).await?;
        transaction.commit().await?;
        assert_eq!(draft::record::Entity::find().all(&db).await?, []);
        Ok(())
    }

    async fn native_enums_are_shared_with_the_source(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create_source(&db, sample::Entity).await;
        db.create_record_table(sample::record::Entity).await?;
        insert_sample(&db, sample()).await?;
        db.drop_record_table(sample::record::Entity).await?;
        // The source still has its type.
        assert_eq!(sample::Entity::find().all(&db).await?, []);
        db.create_record_table(sample::record::Entity).await?;
        Ok(())
    }

    async fn a_type_that_the_database_lacks_is_refused(test: TestDb) -> TestResult {
        let db = test.connect().await;
        let created = db.create_record_table(tagged::record::Entity).await;
        if test.engine() == Engine::Postgres {
            created?;
            let record = tagged::record::Model {
                recording_id: 1,
                recorded_at: to_the_microsecond(),
                event: Event::Created,
                tags: vec!["a".into(), "b".into()],
                tints: vec![tagged::Tint::Blue],
            };
            let active = tagged::record::ActiveModel::from(record.clone());
            tagged::record::Entity::insert(active).exec_without_returning(&db).await?;
            assert_eq!(tagged::record::Entity::find().all(&db).await?, [record]);
            return Ok(());
        }
        let error = created.unwrap_err();
        let error = RecordError::of(&error).expect("an error of ours");
        assert!(matches!(error, RecordError::Plan { entity, .. } if entity == "tagged"));
        let lacking = if test.engine() == Engine::Sqlite { "SQLite" } else { "MySQL" };
        assert_eq!(error.to_string(), format!(
            "the recorder of `tagged` cannot be used: `tags` of `tagged_record` is an array, which \
             {lacking} lacks; record it in another type, as a property",
        ));
        Ok(())
    }

    async fn a_foreign_key_is_made_when_asked_for(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create_source(&db, draft::Entity).await;
        db.create_record_table(draft::record::Entity).await?;
        let record = draft::record::ActiveModel {
            recording_id: Set(1),
            recorded_at: Set(to_the_microsecond()),
            event: Set(Event::Created),
            title: Set("One".into()),
        };
        let insert = || draft::record::Entity::insert(record.clone()).exec_without_returning(&db);
        insert().await.unwrap_err();
        db.execute_unprepared("INSERT INTO draft (id, title) VALUES (1, 'One')").await?;
        insert().await?;
        db.execute_unprepared("DELETE FROM draft").await?;
        assert_eq!(draft::record::Entity::find().all(&db).await?, []);
        Ok(())
    }

    async fn history_outlives_its_row_otherwise(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create_source(&db, shelf::Entity).await;
        db.create_record_table(shelf::record::Entity).await?;
        let record = shelf::record::ActiveModel {
            recording_library: Set(Uuid::from_u128(3)),
            recording_code: Set("a".into()),
            recorded_at: Set(to_the_microsecond()),
            event: Set(Event::Deleted),
            label: Set(None),
        };
        shelf::record::Entity::insert(record).exec_without_returning(&db).await?;
        assert_eq!(shelf::record::Entity::find().all(&db).await?.len(), 1);
        Ok(())
    }

    async fn a_schema_name_is_honoured(test: TestDb) -> TestResult {
        if test.engine() != Engine::Postgres {
            return Ok(()); // Its schemas are databases, or attached files.
        }
        let db = test.connect().await;
        db.execute_unprepared("CREATE SCHEMA audit").await?;
        db.create_record_table(audited::record::Entity).await?;
        assert_eq!(indexes(&db, "audit.note_record").await, [
            "primary (recording_id, recorded_at)",
            "idx-note_record-recorded_at (recorded_at)",
        ]);
        db.drop_record_table(audited::record::Entity).await?;
        Ok(())
    }

    async fn schema_sync_makes_a_record_table(test: TestDb) -> TestResult {
        let db = test.connect().await;
        let sync = || {
            let builder = Schema::new(db.get_database_backend()).builder();
            builder.register(sample::Entity).register(sample::record::Entity)
        };
        if test.engine() == Engine::MariaDb {
            // As the documentation says: made before, a record table is left as it is.
            sync().sync(&db).await?;
            assert_eq!(columns(&db, "sample_record").await[1], "recorded_at timestamp");
            db.drop_record_table(sample::record::Entity).await?;
            db.create_record_table(sample::record::Entity).await?;
            let made = columns(&db, "sample_record").await;
            sync().sync(&db).await?;
            assert_eq!(columns(&db, "sample_record").await, made);
            return Ok(());
        }
        sync().sync(&db).await?;
        let table = "sample_record";
        let synced = (columns(&db, table).await, indexes(&db, table).await);
        sync().sync(&db).await?;
        db.drop_record_table(sample::record::Entity).await?;
        db.create_record_table(sample::record::Entity).await?;
        let made = (columns(&db, table).await, indexes(&db, table).await);
        assert_eq!(synced, made);
        sync().sync(&db).await?;
        assert_eq!(made, (columns(&db, table).await, indexes(&db, table).await));
        Ok(())
    }
}

#[test]
fn a_handmade_history_loses_what_no_history_may_have() {
    let table = record_table(handmade::Entity, DbBackend::Sqlite).unwrap();
    assert_eq!(
        table.to_string(SqliteQueryBuilder),
        "CREATE TABLE \"draft_log\" ( \"recording_id\" integer NOT NULL, \
         \"recorded_at\" timestamp_with_timezone_text NOT NULL, \
         \"event\" varchar(10) NOT NULL, \"title\" varchar NOT NULL COLLATE MARK, \
         CONSTRAINT \"pk-draft_log\" PRIMARY KEY (\"recording_id\", \"recorded_at\") )"
    );
    let indexes = record_indexes(handmade::Entity, DbBackend::Sqlite);
    let indexes: Vec<_> = indexes
        .iter()
        .map(|index| index.to_string(SqliteQueryBuilder))
        .collect();
    assert_eq!(
        indexes,
        ["CREATE INDEX \"idx-draft_log-recorded_at\" ON \"draft_log\" (\"recorded_at\")"]
    );
}

#[test]
fn a_key_in_another_order_is_refused() {
    let error = record_table(reversed::Entity, DbBackend::Postgres).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the recorder of `draft` cannot be used: the primary key of `draft_reversed` must be \
         (recording_id, recorded_at), in this order"
    );
}

#[test]
fn mysql_makes_the_index_with_the_table_in_whatever_schema() {
    let table = record_table(audited::record::Entity, DbBackend::MySql).unwrap();
    assert_eq!(
        table.to_string(MysqlQueryBuilder),
        "CREATE TABLE `audit`.`note_record` ( `recording_id` int NOT NULL, \
         `recorded_at` datetime(6) NOT NULL, `event` varchar(10) NOT NULL, \
         `title` varchar(255) NOT NULL, \
         PRIMARY KEY `pk-note_record` (`recording_id`, `recorded_at`), \
         KEY `idx-note_record-recorded_at` (`recorded_at`) )"
    );
    let indexes = record_indexes(audited::record::Entity, DbBackend::MySql);
    assert!(indexes.is_empty());
}
