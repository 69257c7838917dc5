//! Every type as a recorded column.

use sea_orm::prelude::{Date, DateTime, DateTimeUtc, DateTimeWithTimeZone, Decimal, Json, Time, Uuid};
use sea_orm::{ConnectionTrait, IntoActiveModel};
use serde_json::json;

use super::protocol::*;
use crate::harness::{Engine, TestDb, each_database};

/// An entity of which every column is recorded.
macro_rules! entity {
    ($name:ident, $table:literal, {$($body:tt)*} $($more:tt)*) => {
        pub(super) mod $name {
            use sea_orm::entity::prelude::*;
            use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

            #[recorded(columns(all))]
            #[sea_orm::model]
            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: i32,
                $($body)*
            }

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

entity!(integers, "v_integers", {
    pub i8: i8,
    pub i16: i16,
    pub i32: i32,
    pub i64: i64,
    pub u8: u8,
    pub u16: u16,
    pub u32: u32,
    pub u64: u64,
    pub i8_or: Option<i8>,
    pub i16_or: Option<i16>,
    pub i32_or: Option<i32>,
    pub i64_or: Option<i64>,
    pub u8_or: Option<u8>,
    pub u16_or: Option<u16>,
    pub u32_or: Option<u32>,
    pub u64_or: Option<u64>,
});

entity!(unsigned, "v_unsigned", {
    pub u64: u64,
    pub u32: u32,
});

entity!(floats, "v_floats", {
    pub f32: f32,
    pub f64: f64,
    pub f32_or: Option<f32>,
    pub f64_or: Option<f64>,
});

entity!(bools, "v_bools", {
    pub yes: bool,
    pub yes_or: Option<bool>,
});

entity!(texts, "v_texts", {
    pub string: String,
    #[sea_orm(column_type = "String(StringLen::N(40))")]
    pub limited: String,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub text_or: Option<String>,
    pub string_or: Option<String>,
});

entity!(fixed, "v_fixed", {
    #[sea_orm(column_type = "Char(Some(4))")]
    pub chars: String,
    #[sea_orm(column_type = "Char(Some(4))", nullable)]
    pub chars_or: Option<String>,
});

entity!(bytes, "v_bytes", {
    pub bytes: Vec<u8>,
    pub bytes_or: Option<Vec<u8>>,
    #[sea_orm(column_type = "VarBinary(StringLen::N(20))")]
    pub limited: Vec<u8>,
});

entity!(dates, "v_dates", {
    pub date: Date,
    pub date_or: Option<Date>,
});

entity!(times, "v_times", {
    pub time: Time,
    pub time_or: Option<Time>,
});

entity!(naive, "v_naive", {
    pub at: DateTime,
    pub at_or: Option<DateTime>,
});

entity!(utc, "v_utc", {
    pub at: DateTimeUtc,
    pub at_or: Option<DateTimeUtc>,
});

entity!(zoned, "v_zoned", {
    pub at: DateTimeWithTimeZone,
    pub at_or: Option<DateTimeWithTimeZone>,
});

entity!(uuids, "v_uuids", {
    pub uuid: Uuid,
    pub uuid_or: Option<Uuid>,
});

entity!(decimals, "v_decimals", {
    #[sea_orm(column_type = "Decimal(Some((16, 4)))")]
    pub decimal: Decimal,
    #[sea_orm(column_type = "Decimal(Some((16, 4)))", nullable)]
    pub decimal_or: Option<Decimal>,
});

entity!(jsons, "v_jsons", {
    pub json: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub binary: Json,
    pub json_or: Option<Json>,
    pub note: i32,
});

entity!(string_enums, "v_string_enums", {
    pub status: Status,
    pub status_or: Option<Status>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
    pub enum Status {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "dRAFT")]
        Shouted,
    }
);

entity!(integer_enums, "v_integer_enums", {
    pub status: Status,
    pub status_or: Option<Status>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "i32", db_type = "Integer")]
    pub enum Status {
        #[sea_orm(num_value = -1)]
        Draft,
        #[sea_orm(num_value = 70_000)]
        Public,
    }
);

entity!(native_enums, "v_native_enums", {
    pub status: Status,
    pub status_or: Option<Status>,
}
    #[derive(Clone, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "v_native_status")]
    pub enum Status {
        #[sea_orm(string_value = "draft")]
        Draft,
        #[sea_orm(string_value = "in the 'open'")]
        Public,
    }
);

entity!(arrays, "v_arrays", {
    pub numbers: Vec<i32>,
    pub words: Vec<String>,
    pub numbers_or: Option<Vec<i32>>,
    pub words_or: Option<Vec<String>>,
});

entity!(enum_arrays, "v_enum_arrays", {
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

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

each_database! {
    async fn an_integer_is_recorded_and_quiet(test: TestDb) {
        let small = integers::Model {
            id: 0,
            i8: i8::MIN, i16: i16::MIN, i32: i32::MIN, i64: i64::MIN, u8: 0, u16: 0, u32: 0, u64: 0,
            i8_or: None, i16_or: None, i32_or: None, i64_or: None,
            u8_or: None, u16_or: None, u32_or: None, u64_or: None,
        };
        let large = integers::Model {
            id: 0,
            i8: i8::MAX, i16: i16::MAX, i32: i32::MAX, i64: i64::MAX,
            u8: 127, u16: 32_767, u32: 2_147_483_647, u64: i64::MAX as u64,
            i8_or: Some(0), i16_or: Some(0), i32_or: Some(0), i64_or: Some(i64::MAX - 1),
            u8_or: Some(0), u16_or: Some(1), u32_or: Some(2), u64_or: Some(3),
        };
        is_recorded_and_quiet::<integers::Entity>(&test, vec![small, large]).await;
    }

    async fn the_largest_unsigned_integers_are_recorded_where_there_are_any(test: TestDb) {
        if !is(&test, Engine::MariaDb) {
            return;
        }
        let value = |u64, u32| unsigned::Model { id: 0, u64, u32 };
        let values = vec![value(u64::MAX, u32::MAX), value(u64::MAX - 1, u32::MAX - 1)];
        is_recorded_and_quiet::<unsigned::Entity>(&test, values).await;
    }

    async fn a_float_is_recorded_and_quiet(test: TestDb) {
        let value = |f32, f64, or| floats::Model { id: 0, f32, f64, f32_or: or, f64_or: or.map(f64::from) };
        let values = vec![
            value(0.1, 0.1, None),
            value(0.3, 0.1 + 0.2, Some(1.0 / 3.0)),
            value(-1234.5677, 1e300, Some(16_777_216.0)),
            value(1e-10, 5e-300, Some(0.0)),
        ];
        is_recorded_and_quiet::<floats::Entity>(&test, values).await;
    }

    async fn nan_and_infinity_are_recorded_and_quiet_where_columns_hold_them(test: TestDb) {
        let value = |f32, f64| floats::Model { id: 0, f32, f64, f32_or: Some(f32), f64_or: Some(f64) };
        let values = match test.engine() {
            Engine::Postgres => vec![
                value(f32::NAN, f64::NAN),
                value(f32::INFINITY, f64::NEG_INFINITY),
                value(0.0, f64::NAN),
            ],
            Engine::Sqlite => vec![value(f32::INFINITY, f64::NEG_INFINITY), value(0.0, 0.0)],
            Engine::MariaDb => return,
        };
        is_recorded_and_quiet::<floats::Entity>(&test, values).await;
    }

    async fn a_bool_is_recorded_and_quiet(test: TestDb) {
        let value = |yes, yes_or| bools::Model { id: 0, yes, yes_or };
        let values = vec![value(true, None), value(true, Some(false)), value(false, Some(true))];
        is_recorded_and_quiet::<bools::Entity>(&test, values).await;
    }

    async fn a_text_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| texts::Model {
            id: 0,
            string: text.to_owned(),
            limited: text.to_owned(),
            text: text.to_owned(),
            text_or: or.map(str::to_owned),
            string_or: or.map(str::to_owned),
        };
        let values = vec![
            value("", None),
            value("", Some("")),
            value("it's \"quoted\" \\ `so` %s ? $1 :a", Some("\\'")),
            value("🦀 ünï\u{301}\n\t", Some("🦀")),
        ];
        is_recorded_and_quiet::<texts::Entity>(&test, values).await;
    }

    async fn a_change_of_case_accent_or_trailing_space_alone_is_recorded(test: TestDb) {
        let value = |text: &str| texts::Model {
            id: 0,
            string: text.to_owned(),
            limited: "same".to_owned(),
            text: "same".to_owned(),
            text_or: None,
            string_or: None,
        };
        let words = ["abc", "ABC", "ABC ", "ABC  ", "ÀBC", "àbc", "a\u{300}bc"];
        is_recorded_and_quiet::<texts::Entity>(&test, words.map(value).into()).await;
    }

    async fn a_char_column_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| fixed::Model {
            id: 0,
            chars: text.to_owned(),
            chars_or: or.map(str::to_owned),
        };
        let values = vec![value("ab", None), value("AB", Some("abcd")), value("abcd", Some("ABCD"))];
        is_recorded_and_quiet::<fixed::Entity>(&test, values).await;
    }

    async fn bytes_are_recorded_and_quiet(test: TestDb) {
        let value = |bytes: &[u8], or: Option<&[u8]>| bytes::Model {
            id: 0,
            bytes: bytes.to_vec(),
            bytes_or: or.map(<[u8]>::to_vec),
            limited: bytes.to_vec(),
        };
        let values = vec![
            value(&[0, 128, 255, b'a'], None),
            value(&[0, 128, 255, b'A'], Some(&[])),
            value(&[0, 128, 255, b'A', b' '], Some(&[0])),
            value(&[], Some(&[0, 0])),
        ];
        is_recorded_and_quiet::<bytes::Entity>(&test, values).await;
    }

    async fn a_date_is_recorded_and_quiet(test: TestDb) {
        let value = |date: &str, or: Option<&str>| dates::Model {
            id: 0,
            date: date.parse().unwrap(),
            date_or: or.map(|date| date.parse().unwrap()),
        };
        let values = vec![value("2024-02-29", None), value("1970-01-01", Some("9999-12-31"))];
        is_recorded_and_quiet::<dates::Entity>(&test, values).await;
    }

    async fn a_time_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| times::Model { id: 0, time: time(text), time_or: or.map(time) };
        let mut values = vec![
            value("00:00:00", None),
            value("23:59:59.999999", Some("12:00:00")),
            value("23:59:59.999", Some("12:00:00.5")),
            value("23:59:59", Some("12:00:00.000001")),
        ];
        if is(&test, Engine::Sqlite) {
            values.push(value("23:59:59.123456789", None));
        }
        is_recorded_and_quiet::<times::Entity>(&test, values).await;
    }

    async fn a_date_time_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| naive::Model {
            id: 0,
            at: text.parse::<DateTime>().unwrap(),
            at_or: or.map(|text| text.parse().unwrap()),
        };
        let mut values = vec![
            value("2024-02-29T00:00:00", None),
            value("2024-02-29T23:59:59.999999", Some("2024-01-01T12:00:00")),
            value("2024-02-29T23:59:59.5", Some("2024-01-01T12:00:00.000001")),
        ];
        if is(&test, Engine::Sqlite) {
            values.push(value("2024-02-29T23:59:59.123456789", None));
        }
        is_recorded_and_quiet::<naive::Entity>(&test, values).await;
    }

    async fn a_utc_time_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| utc::Model {
            id: 0,
            at: text.parse::<DateTimeUtc>().unwrap(),
            at_or: or.map(|text| text.parse().unwrap()),
        };
        let mut values = vec![
            value("2024-02-29T00:00:00Z", None),
            value("2024-02-29T23:59:59.999999Z", Some("2024-01-01T12:00:00Z")),
            value("2024-02-29T23:59:59.5Z", Some("2024-01-01T12:00:00.000001Z")),
        ];
        if is(&test, Engine::Sqlite) {
            values.push(value("2024-02-29T23:59:59.123456789Z", None));
        }
        is_recorded_and_quiet::<utc::Entity>(&test, values).await;
    }

    async fn a_time_with_an_offset_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| zoned::Model {
            id: 0,
            at: text.parse::<DateTimeWithTimeZone>().unwrap(),
            at_or: or.map(|text| text.parse().unwrap()),
        };
        let values = vec![
            value("2024-02-29T00:00:00+02:00", None),
            value("2024-02-29T23:59:59.999999-09:30", Some("2024-01-01T12:00:00Z")),
            value("2024-02-29T23:59:59.5+00:00", Some("2024-01-01T12:00:00.000001+14:00")),
        ];
        is_recorded_and_quiet::<zoned::Entity>(&test, values).await;
    }

    async fn a_uuid_is_recorded_and_quiet(test: TestDb) {
        let value = |uuid, uuid_or| uuids::Model { id: 0, uuid, uuid_or };
        let values = vec![
            value(Uuid::from_u128(u128::MAX / 3), None),
            value(Uuid::nil(), Some(Uuid::from_u128(7))),
            value(Uuid::max(), Some(Uuid::nil())),
        ];
        is_recorded_and_quiet::<uuids::Entity>(&test, values).await;
    }

    async fn a_decimal_is_recorded_and_quiet(test: TestDb) {
        let value = |text: &str, or: Option<&str>| decimals::Model {
            id: 0,
            decimal: text.parse::<Decimal>().unwrap(),
            decimal_or: or.map(|text| text.parse().unwrap()),
        };
        let values = vec![
            value("0.1", None),
            value("12345678901.2345", Some("0")),
            value("-7.5000", Some("-0.0001")),
            value("0.3", Some("10")),
        ];
        is_recorded_and_quiet::<decimals::Entity>(&test, values).await;
    }

    async fn json_is_recorded_and_quiet(test: TestDb) {
        let value = |json: Json, json_or| jsons::Model { id: 0, json: json.clone(), binary: json, json_or, note: 0 };
        let values = vec![
            value(json!({"b": 1, "a": [1, {"d": null, "c": "x"}]}), None),
            value(json!({"b": 1, "a": [1, {"d": null, "c": "X"}]}), Some(json!(null))),
            value(json!({"b": 1, "a": [{"d": null, "c": "X"}, 1]}), Some(json!("null"))),
            value(json!({"é\"\\\n🦀": "é\"\\\n🦀/ </", "f": 1.1, "n": -7, "t": true}), Some(json!([]))),
            value(json!({"big": i64::MAX, "e": 1e30, "f": 0.1}), Some(json!({}))),
            value(json!("text"), Some(json!(0))),
        ];
        is_recorded_and_quiet::<jsons::Entity>(&test, values).await;
    }

    async fn the_order_of_keys_in_json_is_no_change(test: TestDb) {
        let db = test.connect().await;
        create::<jsons::Entity>(&db).await;
        let json = json!({"a": 1, "b": {"c": 2, "d": [3]}});
        let row = jsons::Model { id: 1, json: json.clone(), binary: json.clone(), json_or: Some(json), note: 0 };
        jsons::ActiveModel::insert(whole(row.clone()), &db).await.unwrap();
        let other = r#"{"b" : {"d":[3],"c":2},   "a":1}"#;
        db.execute_unprepared(&format!(
            "UPDATE v_jsons SET json = '{other}', {} = '{other}', json_or = '{other}'",
            if is(&test, Engine::MariaDb) { "`binary`" } else { "\"binary\"" }
        ))
        .await
        .unwrap();
        for way in WAYS {
            way.save(&db, Act::Update, whole::<_, jsons::ActiveModel>(row.clone())).await.unwrap();
            db.execute_unprepared(&format!("UPDATE v_jsons SET json = '{other}'")).await.unwrap();
            let mut note = row.clone().into_active_model();
            note.note = sea_orm::Set(0);
            way.save(&db, Act::Update, note).await.unwrap();
            assert_count::<jsons::Entity>(&db, &vec![1.into()], 1, &format!("{way:?}")).await;
        }
    }

    async fn a_string_enum_is_recorded_and_quiet(test: TestDb) {
        use string_enums::{Model, Status};
        let value = |status, status_or| Model { id: 0, status, status_or };
        let values = vec![
            value(Status::Draft, None),
            value(Status::Shouted, Some(Status::Shouted)),
            value(Status::Shouted, Some(Status::Draft)),
        ];
        is_recorded_and_quiet::<string_enums::Entity>(&test, values).await;
    }

    async fn an_integer_enum_is_recorded_and_quiet(test: TestDb) {
        use integer_enums::{Model, Status};
        let value = |status, status_or| Model { id: 0, status, status_or };
        let values = vec![
            value(Status::Draft, None),
            value(Status::Public, Some(Status::Public)),
            value(Status::Public, Some(Status::Draft)),
        ];
        is_recorded_and_quiet::<integer_enums::Entity>(&test, values).await;
    }

    async fn a_native_enum_is_recorded_and_quiet(test: TestDb) {
        use native_enums::{Model, Status};
        let value = |status, status_or| Model { id: 0, status, status_or };
        let values = vec![
            value(Status::Draft, None),
            value(Status::Public, Some(Status::Public)),
            value(Status::Public, Some(Status::Draft)),
        ];
        is_recorded_and_quiet::<native_enums::Entity>(&test, values).await;
    }

    async fn an_array_is_recorded_and_quiet(test: TestDb) {
        if !is(&test, Engine::Postgres) {
            return;
        }
        let value = |numbers: &[i32], words: &[&str], or: bool| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            arrays::Model {
                id: 0,
                numbers: numbers.to_vec(),
                words: words.clone(),
                numbers_or: or.then(|| numbers.to_vec()),
                words_or: or.then_some(words),
            }
        };
        let values = vec![
            value(&[], &[], false),
            value(&[], &[], true),
            value(&[1, 2], &["a, b", "\"{}\""], true),
            value(&[2, 1], &["a, b", "\"{}\"", "", "NULL"], true),
        ];
        is_recorded_and_quiet::<arrays::Entity>(&test, values).await;
    }

    async fn an_array_of_native_enums_is_recorded_and_quiet(test: TestDb) {
        use enum_arrays::Kind::{One, Two};
        if !is(&test, Engine::Postgres) {
            return;
        }
        let value = |kinds, kinds_or| enum_arrays::Model { id: 0, kinds, kinds_or };
        let values = vec![
            value(vec![], None),
            value(vec![One, Two], Some(vec![])),
            value(vec![Two, One], Some(vec![Two])),
        ];
        is_recorded_and_quiet::<enum_arrays::Entity>(&test, values).await;
    }
}
