//! Every type as a recorded column.

use sea_orm::prelude::{DateTime, Decimal, Json, Time, Uuid};
use sea_orm::{ConnectionTrait, IntoActiveModel};
use serde_json::json;

use self::everything::{ActiveModel, Entity, Model, Native, Number, Word};
use super::protocol::*;
use crate::harness::{Engine, each_database};

/// An entity of which every column is recorded.
macro_rules! entity {
    ($name:ident, $table:literal, {$($body:tt)*} $($more:tt)*) => {
        pub(super) mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded(columns(all))]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: i32,
                $($body)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl Recorded for Entity {
                type Record = record::Entity;

                fn recorder() -> Recorder<Self> {
                    Recorder::new()
                }
            }

            #[record_hooks]
            impl ActiveModelBehavior for ActiveModel {}

            $($more)*
        }
    };
}

// One entity, of what SeaORM can write and read on each database, so that the tests compile in good
// time; each test varies the columns that it is about.
entity!(nocase, "v_nocase", {
    #[sea_orm(column_type = "custom(\"TEXT COLLATE NOCASE\")")]
    pub title: String,
});

entity!(everything, "v_everything", {
    pub i16: i16,
    pub i32: i32,
    pub i64: i64,
    pub i16_or: Option<i16>,
    pub i32_or: Option<i32>,
    pub i64_or: Option<i64>,
    pub f32: f32,
    pub f64: f64,
    pub f32_or: Option<f32>,
    pub f64_or: Option<f64>,
    pub bool: bool,
    pub bool_or: Option<bool>,
    pub string: String,
    pub string_or: Option<String>,
    #[sea_orm(column_type = "String(StringLen::N(40))")]
    pub limited: String,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub text_or: Option<String>,
    #[sea_orm(column_type = "Char(Some(4))")]
    pub chars: String,
    #[sea_orm(column_type = "Char(Some(4))", nullable)]
    pub chars_or: Option<String>,
    pub bytes: Vec<u8>,
    pub bytes_or: Option<Vec<u8>>,
    #[sea_orm(column_type = "VarBinary(StringLen::N(20))")]
    pub limited_bytes: Vec<u8>,
    pub date: Date,
    pub date_or: Option<Date>,
    pub time: Time,
    pub time_or: Option<Time>,
    pub naive: DateTime,
    pub naive_or: Option<DateTime>,
    pub utc: DateTimeUtc,
    pub utc_or: Option<DateTimeUtc>,
    pub zoned: DateTimeWithTimeZone,
    pub zoned_or: Option<DateTimeWithTimeZone>,
    pub uuid: Uuid,
    pub uuid_or: Option<Uuid>,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))")]
    pub decimal: Decimal,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))", nullable)]
    pub decimal_or: Option<Decimal>,
    pub json: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub binary: Json,
    pub json_or: Option<Json>,
    pub word: Word,
    pub word_or: Option<Word>,
    pub number: Number,
    pub number_or: Option<Number>,
    pub native: Native,
    pub native_or: Option<Native>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
    pub enum Word {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "dRAFT")]
        Shouted,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Number {
        #[sea_orm(num_value = -1)]
        Draft,
        #[sea_orm(num_value = 70_000)]
        Public,
    }

    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "v_native")]
    pub enum Native {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "in the open")]
        Public,
    }
);

// Texts that PostgreSQL holds for the same where they differ in case alone.
entity!(caseless, "v_caseless", {
    #[sea_orm(column_type = r#"custom("citext")"#, select_as = "text", save_as = "citext")]
    pub email: String,
    pub title: String,
});

// What Rust holds as texts and PostgreSQL as values of its own.
entity!(addressed, "v_addressed", {
    #[sea_orm(column_type = "Inet", select_as = "text", save_as = "inet")]
    pub host: String,
    #[sea_orm(column_type = "Cidr", select_as = "text", save_as = "cidr")]
    pub network: String,
    #[sea_orm(column_type = "MacAddr", select_as = "text", save_as = "macaddr")]
    pub device: String,
    #[sea_orm(column_type = "Inet", nullable, select_as = "text", save_as = "inet")]
    pub host_or: Option<String>,
});

entity!(spans, "v_spans", {
    #[sea_orm(column_type = "Interval(None, None)", select_as = "text", save_as = "interval")]
    pub span: String,
    #[sea_orm(column_type = "Interval(None, None)", nullable, select_as = "text", save_as = "interval")]
    pub span_or: Option<String>,
});

entity!(bits, "v_bits", {
    #[sea_orm(column_type = "Bit(Some(4))", select_as = "text", save_as = "bit(4)")]
    pub four: String,
    #[sea_orm(column_type = "VarBit(8)", select_as = "text", save_as = "varbit")]
    pub some: String,
});

// MySQL's and MariaDB's.
entity!(years, "v_years", {
    #[sea_orm(column_type = "Year")]
    pub year: u16,
    #[sea_orm(column_type = "Year", nullable)]
    pub year_or: Option<u16>,
});

// SeaORM cannot write or read these on PostgreSQL.
entity!(unsigned, "v_unsigned", {
    pub i8: i8,
    pub u8: u8,
    pub u16: u16,
    pub u32: u32,
    pub i8_or: Option<i8>,
    pub u8_or: Option<u8>,
    pub u16_or: Option<u16>,
    pub u32_or: Option<u32>,
});

// SeaORM can read back this one on MySQL and MariaDB only.
entity!(large, "v_large", {
    pub u64: u64,
    pub u64_or: Option<u64>,
});

entity!(arrays, "v_arrays", {
    pub numbers: Vec<i32>,
    pub words: Vec<String>,
    pub numbers_or: Option<Vec<i32>>,
    pub words_or: Option<Vec<String>>,
    pub kinds: Vec<Kind>,
    pub kinds_or: Option<Vec<Kind>>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "v_array_kind")]
    pub enum Kind {
        #[sea_orm(string_value = "one")]
        One,
        #[sea_orm(string_value = "two")]
        Two,
    }
);

/// A row of `everything`, from which each test departs.
fn row() -> Model {
    let naive: DateTime = "2024-02-29T12:00:00".parse().unwrap();
    Model {
        id: 0,
        i16: 0,
        i32: 0,
        i64: 0,
        i16_or: None,
        i32_or: None,
        i64_or: None,
        f32: 0.0,
        f64: 0.0,
        f32_or: None,
        f64_or: None,
        bool: false,
        bool_or: None,
        string: String::new(),
        string_or: None,
        limited: String::new(),
        text: String::new(),
        text_or: None,
        chars: "abcd".to_owned(),
        chars_or: None,
        bytes: Vec::new(),
        bytes_or: None,
        limited_bytes: Vec::new(),
        date: naive.date(),
        date_or: None,
        time: naive.time(),
        time_or: None,
        naive,
        naive_or: None,
        utc: naive.and_utc(),
        utc_or: None,
        zoned: naive.and_utc().fixed_offset(),
        zoned_or: None,
        uuid: Uuid::nil(),
        uuid_or: None,
        decimal: Decimal::ZERO,
        decimal_or: None,
        json: json!(null),
        binary: json!(null),
        json_or: None,
        word: Word::Draft,
        word_or: None,
        number: Number::Draft,
        number_or: None,
        native: Native::Draft,
        native_or: None,
    }
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

each_database! {
    async fn text_that_the_database_compares_without_case_is_compared_by_its_bytes(test: TestDb) {
        use sea_orm::Set;
        use sea_orm_record::{RecordedConnection, RecordedModel, verify};
        if !is(&test, Engine::Postgres) {
            return;
        }
        let db = test.connect().await;
        db.execute_unprepared("CREATE EXTENSION citext").await.unwrap();
        let collation = "CREATE COLLATION v_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)";
        db.execute_unprepared(collation).await.unwrap();
        create::<caseless::Entity>(&db).await;
        for table in ["v_caseless", "v_caseless_record"] {
            let collate = format!("ALTER TABLE {table} ALTER COLUMN title TYPE varchar COLLATE v_ci");
            db.execute_unprepared(&collate).await.unwrap();
        }
        let row = caseless::ActiveModel { id: Set(1), email: Set("bob@x".to_owned()), title: Set("abc".to_owned()) };
        let row = row.insert(&db).await.unwrap();
        let records = async || row.records().all(&db).await.unwrap().len();
        let set = |email: &str, title: &str| caseless::ActiveModel {
            id: sea_orm::Unchanged(1),
            email: Set(email.to_owned()),
            title: Set(title.to_owned()),
        };
        set("Bob@x", "abc").update(&db).await.unwrap();
        assert_eq!(records().await, 2);
        set("Bob@x", "Abc").update(&db).await.unwrap();
        assert_eq!(records().await, 3);
        let recorded = RecordedConnection::new(db.clone());
        recorded.transaction_async(async |txn| set("Bob@x", "ABC").update(txn).await).await.unwrap();
        assert_eq!(records().await, 4);
        set("Bob@x", "ABC").update(&db).await.unwrap();
        assert_eq!(records().await, 4);
        db.execute_unprepared("UPDATE v_caseless SET email = 'BOB@x'").await.unwrap();
        assert!(row.has_unrecorded_changes(&db).await.unwrap());
        assert_eq!(verify(caseless::Entity).repair().exec(&db).await.unwrap().repaired, 1);
    }

    async fn an_integer_is_recorded_and_quiet(test: TestDb) {
        let small = Model { i16: i16::MIN, i32: i32::MIN, i64: i64::MIN, ..row() };
        let large = Model {
            i16: i16::MAX, i32: i32::MAX, i64: i64::MAX,
            i16_or: Some(0), i32_or: Some(0), i64_or: Some(i64::MAX - 1),
            ..row()
        };
        is_recorded_and_quiet::<Entity>(&test, vec![small, large]).await;
    }

    async fn an_unsigned_integer_is_recorded_and_quiet(test: TestDb) {
        if is(&test, Engine::Postgres) {
            return;
        }
        let value = |i8, u8, u16, u32, or: bool| unsigned::Model {
            id: 0, i8, u8, u16, u32,
            i8_or: or.then_some(i8), u8_or: or.then_some(u8), u16_or: or.then_some(u16), u32_or: or.then_some(u32),
        };
        let values = vec![value(i8::MIN, 0, 0, 0, false), value(i8::MAX, u8::MAX, u16::MAX, u32::MAX, true)];
        is_recorded_and_quiet::<unsigned::Entity>(&test, values).await;
    }

    async fn the_largest_unsigned_integer_is_recorded_and_quiet(test: TestDb) {
        if !is(&test, Engine::MariaDb) {
            return;
        }
        let value = |u64, u64_or| large::Model { id: 0, u64, u64_or };
        let values = vec![value(0, None), value(u64::MAX, Some(0)), value(u64::MAX - 1, Some(u64::MAX))];
        is_recorded_and_quiet::<large::Entity>(&test, values).await;
    }

    async fn a_float_is_recorded_and_quiet(test: TestDb) {
        let value = |f32, f64, or| Model { f32, f64, f32_or: or, f64_or: or.map(f64::from), ..row() };
        let values = vec![
            value(0.1, 0.1, None),
            value(0.3, 0.1 + 0.2, Some(1.0 / 3.0)),
            value(-1234.5677, 1e300, Some(16_777_216.0)),
            value(1e-10, 5e-300, Some(0.0)),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn nan_and_infinity_are_recorded_and_quiet_where_columns_hold_them(test: TestDb) {
        let value = |f32, f64| Model { f32, f64, f32_or: Some(f32), f64_or: Some(f64), ..row() };
        let values = match test.engine() {
            Engine::Postgres => vec![
                value(f32::NAN, f64::NAN),
                value(f32::INFINITY, f64::NEG_INFINITY),
                value(0.0, f64::NAN),
            ],
            Engine::Sqlite => vec![value(f32::INFINITY, f64::NEG_INFINITY), value(0.0, 0.0)],
            Engine::MariaDb => return,
        };
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_bool_is_recorded_and_quiet(test: TestDb) {
        let value = |bool, bool_or| Model { bool, bool_or, ..row() };
        let values = vec![value(true, None), value(true, Some(false)), value(false, Some(true))];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_text_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model {
            string: text.to_owned(),
            limited: text.to_owned(),
            text: text.to_owned(),
            text_or: or.map(str::to_owned),
            string_or: or.map(str::to_owned),
            ..row()
        };
        let values = vec![
            value("", None),
            value("", Some("")),
            value("it's \"quoted\" \\ `so` %s ? $1 :a", Some("\\'")),
            value("🦀 ünï\u{301}\n\t", Some("🦀")),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_change_of_case_accent_or_trailing_space_alone_is_recorded(test: TestDb) {
        let values = |set: fn(&mut Model, String)| {
            let words = ["abc", "ABC", "ABC ", "ABC  ", "ÀBC", "àbc", "a\u{300}bc"];
            words.map(|word| {
                let mut row = row();
                set(&mut row, word.to_owned());
                row
            })
        };
        let strings = values(|row, word| row.string = word);
        let texts = values(|row, word| row.text_or = Some(word));
        is_recorded_and_quiet::<Entity>(&test, strings.into_iter().chain(texts).collect()).await;
    }

    async fn a_char_column_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model {
            chars: text.to_owned(),
            chars_or: or.map(str::to_owned),
            ..row()
        };
        let values = vec![value("ab", None), value("AB", Some("abcd")), value("abcd", Some("ABCD"))];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn bytes_are_recorded_and_quiet(test: TestDb) {
        let value = |bytes: &[u8], or: Option<&[u8]>| Model {
            bytes: bytes.to_vec(),
            bytes_or: or.map(<[u8]>::to_vec),
            limited_bytes: bytes.to_vec(),
            ..row()
        };
        let values = vec![
            value(&[0, 128, 255, b'a'], None),
            value(&[0, 128, 255, b'A'], Some(&[])),
            value(&[0, 128, 255, b'A', b' '], Some(&[0])),
            value(&[], Some(&[0, 0])),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_date_is_recorded_and_quiet(test: TestDb) {
        let value = |date: &str, or: Option<&str>| Model {
            date: date.parse().unwrap(),
            date_or: or.map(|date| date.parse().unwrap()),
            ..row()
        };
        let values = vec![value("2024-02-29", None), value("1970-01-01", Some("9999-12-31"))];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_time_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model { time: time(text), time_or: or.map(time), ..row() };
        let mut values = vec![
            value("00:00:00", None),
            value("23:59:59.999999", Some("12:00:00")),
            value("23:59:59.999", Some("12:00:00.5")),
            value("23:59:59", Some("12:00:00.000001")),
        ];
        if is(&test, Engine::Sqlite) {
            values.push(value("23:59:59.123456789", None));
        }
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_date_time_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model {
            naive: text.parse().unwrap(),
            naive_or: or.map(|text| text.parse().unwrap()),
            ..row()
        };
        let mut values = vec![
            value("2024-02-29T00:00:00", None),
            value("2024-02-29T23:59:59.999999", Some("2024-01-01T12:00:00")),
            value("2024-02-29T23:59:59.5", Some("2024-01-01T12:00:00.000001")),
        ];
        if is(&test, Engine::Sqlite) {
            values.push(value("2024-02-29T23:59:59.123456789", None));
        }
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_utc_time_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model {
            utc: text.parse().unwrap(),
            utc_or: or.map(|text| text.parse().unwrap()),
            ..row()
        };
        let mut values = vec![
            value("2024-02-29T00:00:00Z", None),
            value("2024-02-29T23:59:59.999999Z", Some("2024-01-01T12:00:00Z")),
            value("2024-02-29T23:59:59.5Z", Some("2024-01-01T12:00:00.000001Z")),
        ];
        if is(&test, Engine::Sqlite) {
            values.push(value("2024-02-29T23:59:59.123456789Z", None));
        }
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_time_with_an_offset_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model {
            zoned: text.parse().unwrap(),
            zoned_or: or.map(|text| text.parse().unwrap()),
            ..row()
        };
        let values = vec![
            value("2024-02-29T00:00:00+02:00", None),
            value("2024-02-29T23:59:59.999999-09:30", Some("2024-01-01T12:00:00Z")),
            value("2024-02-29T23:59:59.5+00:00", Some("2024-01-01T12:00:00.000001+14:00")),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_uuid_is_recorded_and_quiet(test: TestDb) {
        let value = |uuid, uuid_or| Model { uuid, uuid_or, ..row() };
        let values = vec![
            value(Uuid::from_u128(u128::MAX / 3), None),
            value(Uuid::nil(), Some(Uuid::from_u128(7))),
            value(Uuid::max(), Some(Uuid::nil())),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_decimal_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| Model {
            decimal: text.parse().unwrap(),
            decimal_or: or.map(|text| text.parse().unwrap()),
            ..row()
        };
        let values = vec![
            value("0.1", None),
            value("12345678901.2345", Some("0")),
            value("-7.5000", Some("-0.0001")),
            value("0.3", Some("10")),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn json_is_recorded_and_quiet(test: TestDb) {
        let value = |json: Json, json_or| Model { json: json.clone(), binary: json, json_or, ..row() };
        let values = vec![
            value(json!({"b": 1, "a": [1, {"d": null, "c": "x"}]}), None),
            value(json!({"b": 1, "a": [1, {"d": null, "c": "X"}]}), Some(json!(null))),
            value(json!({"b": 1, "a": [{"d": null, "c": "X"}, 1]}), Some(json!("null"))),
            value(json!({"é\"\\\n🦀": "é\"\\\n🦀/ </", "f": 1.1, "n": -7, "t": true}), Some(json!([]))),
            value(json!({"big": i64::MAX, "e": 1e30, "f": 0.1}), Some(json!({}))),
            value(json!("text"), Some(json!(0))),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn the_order_of_keys_in_json_is_no_change(test: TestDb) {
        let db = test.connect().await;
        create::<Entity>(&db).await;
        let json = json!({"a": 1, "b": {"c": 2, "d": [3]}});
        let row = Model { id: 1, json: json.clone(), binary: json.clone(), json_or: Some(json), ..row() };
        ActiveModel::insert(whole(row.clone()), &db).await.unwrap();
        let other = r#"{"b" : {"d":[3],"c":2},   "a":1}"#;
        db.execute_unprepared(&format!(
            "UPDATE v_everything SET json = '{other}', {} = '{other}', json_or = '{other}'",
            if is(&test, Engine::MariaDb) { "`binary`" } else { "\"binary\"" }
        ))
        .await
        .unwrap();
        for way in WAYS {
            way.save(&db, Act::Update, whole::<_, ActiveModel>(row.clone())).await.unwrap();
            db.execute_unprepared(&format!("UPDATE v_everything SET json = '{other}'")).await.unwrap();
            let mut note = row.clone().into_active_model();
            note.i32 = sea_orm::Set(0);
            way.save(&db, Act::Update, note).await.unwrap();
            assert_count::<Entity>(&db, &vec![1.into()], 1, &format!("{way:?}")).await;
        }
    }

    async fn a_string_enum_is_recorded_and_quiet(test: TestDb) {
        let value = |word, word_or| Model { word, word_or, ..row() };
        let values = vec![
            value(Word::Draft, None),
            value(Word::Shouted, Some(Word::Shouted)),
            value(Word::Shouted, Some(Word::Draft)),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn an_integer_enum_is_recorded_and_quiet(test: TestDb) {
        let value = |number, number_or| Model { number, number_or, ..row() };
        let values = vec![
            value(Number::Draft, None),
            value(Number::Public, Some(Number::Public)),
            value(Number::Public, Some(Number::Draft)),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn a_native_enum_is_recorded_and_quiet(test: TestDb) {
        let value = |native, native_or| Model { native, native_or, ..row() };
        let values = vec![
            value(Native::Draft, None),
            value(Native::Public, Some(Native::Public)),
            value(Native::Public, Some(Native::Draft)),
        ];
        is_recorded_and_quiet::<Entity>(&test, values).await;
    }

    async fn an_address_is_recorded_and_quiet(test: TestDb) {
        if !is(&test, Engine::Postgres) {
            return;
        }
        let value = |host: &str, network: &str, device: &str, or: Option<&str>| addressed::Model {
            id: 0,
            host: host.to_owned(),
            network: network.to_owned(),
            device: device.to_owned(),
            host_or: or.map(str::to_owned),
        };
        let values = vec![
            value("10.0.0.1/32", "10.0.0.0/8", "08:00:2b:01:02:03", None),
            value("10.0.0.1/24", "10.0.0.0/8", "08:00:2b:01:02:03", None),
            value("10.0.0.1/24", "10.0.0.0/9", "08:00:2b:01:02:03", Some("::1/128")),
            value("fe80::1/64", "10.0.0.0/9", "08:00:2b:01:02:04", Some("::1/64")),
        ];
        is_recorded_and_quiet::<addressed::Entity>(&test, values).await;
    }

    /// The database holds a day for 24 hours, and a month for 30 days, where it compares them.
    async fn an_interval_is_recorded_and_quiet(test: TestDb) {
        if !is(&test, Engine::Postgres) {
            return;
        }
        let value = |span: &str, or: Option<&str>| spans::Model {
            id: 0,
            span: span.to_owned(),
            span_or: or.map(str::to_owned),
        };
        let values = vec![
            value("1 year 2 mons 3 days 04:05:06.000007", None),
            value("-00:00:00.000001", Some("00:00:00")),
            value("1 day", Some("00:00:00")),
            value("24:00:00", Some("00:00:00")),
            value("24:00:00", Some("1 mon")),
            value("24:00:00", Some("30 days")),
        ];
        is_recorded_and_quiet::<spans::Entity>(&test, values).await;
    }

    async fn bits_are_recorded_and_quiet(test: TestDb) {
        if !is(&test, Engine::Postgres) {
            return;
        }
        let value = |four: &str, some: &str| bits::Model {
            id: 0,
            four: four.to_owned(),
            some: some.to_owned(),
        };
        let values = vec![value("0000", ""), value("1010", ""), value("1010", "0"), value("1010", "00000000")];
        is_recorded_and_quiet::<bits::Entity>(&test, values).await;
    }

    async fn a_year_is_recorded_and_quiet(test: TestDb) {
        if !is(&test, Engine::MariaDb) {
            return;
        }
        let value = |year, year_or| years::Model { id: 0, year, year_or };
        let values = vec![value(1901, None), value(2155, Some(0)), value(2000, Some(2000))];
        is_recorded_and_quiet::<years::Entity>(&test, values).await;
    }

    async fn an_array_is_recorded_and_quiet(test: TestDb) {
        use arrays::Kind::{One, Two};
        if !is(&test, Engine::Postgres) {
            return;
        }
        let db = test.connect().await;
        db.execute_unprepared("CREATE TYPE v_array_kind AS ENUM ('one', 'two')").await.unwrap();
        create::<arrays::Entity>(&db).await;
        let value = |numbers: &[i32], words: &[&str], kinds: &[arrays::Kind], or: bool| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            arrays::Model {
                id: 0,
                numbers: numbers.to_vec(),
                words: words.clone(),
                kinds: kinds.to_vec(),
                numbers_or: or.then(|| numbers.to_vec()),
                words_or: or.then_some(words),
                kinds_or: or.then(|| kinds.to_vec()),
            }
        };
        let values = vec![
            value(&[], &[], &[], false),
            value(&[], &[], &[], true),
            value(&[1, 2], &[], &[], true),
            value(&[2, 1], &[], &[], true),
            value(&[2, 1], &["a, b", "\"{}\""], &[], true),
            value(&[2, 1], &["a, b", "\"{}\"", "", "NULL"], &[], true),
            value(&[2, 1], &["a, b", "\"{}\"", "", "null"], &[One, Two], true),
            value(&[2, 1], &["a, b", "\"{}\"", "", "null"], &[Two, One], true),
        ];
        walk::<arrays::Entity>(&db, values).await;
    }

    async fn text_is_told_apart_by_its_bytes_also_where_sqlite_has_another_collation(test: TestDb) {
        if !is(&test, Engine::Sqlite) {
            return;
        }
        let db = test.connect().await;
        create::<nocase::Entity>(&db).await;
        let title = |title: &str| nocase::Model { id: 0, title: title.to_owned() };
        walk::<nocase::Entity>(&db, ["a", "A", "a", "\u{e4}"].map(title).to_vec()).await;
    }
}
