//! What becomes of types and values: each is what the model of its row says.

use chrono::{DateTime as Chrono, TimeDelta};
use futures_util::TryStreamExt;
use polars::prelude::{
    AnyValue, Column as Values, DataFrame, DataType, Series, TimeUnit, TimeZone,
};
use rust_decimal::Decimal;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OptionEnum;
use sea_orm::{ConnectionTrait, IdenStatic, Iterable, QueryOrder, QuerySelect};
use sea_orm_record::prelude::*;
use serde_json::json;

use crate::entities::*;
use crate::harness::*;

use everything::record::Model as Everything;
use everything::{Native, Number, Word};

const MICROS: TimeUnit = TimeUnit::Microseconds;

fn utc() -> DataType {
    DataType::Datetime(MICROS, Some(TimeZone::UTC))
}

fn at(t: &str) -> DateTimeUtc {
    t.parse().unwrap()
}

/// SeaORM binds a time in UTC to MariaDB as a TIMESTAMP, which has no other years.
fn bound(engine: Engine, at: DateTimeUtc, on_mariadb: &str) -> DateTimeUtc {
    match engine {
        Engine::MariaDb => on_mariadb.parse().unwrap(),
        _ => at,
    }
}

/// The least of everything, without what may be missing.
fn small(engine: Engine) -> Everything {
    let long_ago = at("0001-01-01T00:00:00Z");
    let utc = bound(engine, long_ago, "1970-01-01T00:00:01Z");
    Everything {
        recording_id: 1,
        recorded_at: bound(
            engine,
            at("1969-12-31T23:59:59.999999Z"),
            "1970-01-01T00:00:01Z",
        ),
        event: Event::Created,
        bool: false,
        bool_or: None,
        i16: i16::MIN,
        i16_or: None,
        i32: i32::MIN,
        i32_or: None,
        i64: i64::MIN,
        i64_or: None,
        f32: -1234.5677,
        f32_or: None,
        f64: -1e300,
        f64_or: None,
        decimal: decimal("-123456.7891"),
        decimal_or: None,
        bare: decimal("-0.25"),
        string: String::new(),
        string_or: None,
        text: "ä 漢 🦀".to_owned(),
        chars: "abcd".to_owned(),
        bytes: Vec::new(),
        bytes_or: None,
        date: "0001-01-01".parse().unwrap(),
        date_or: None,
        time: "00:00:00".parse().unwrap(),
        time_or: None,
        naive: long_ago.naive_utc(),
        naive_or: None,
        utc,
        utc_or: None,
        zoned: long_ago.fixed_offset(),
        uuid: Uuid::nil(),
        uuid_or: None,
        json: json!(null),
        binary: json!({"a": [1, 2.5, null], "b": "ä"}),
        json_or: None,
        word: Word::Draft,
        word_or: None,
        number: Number::Draft,
        native: Native::Draft,
        native_or: None,
    }
}

/// The greatest of everything, and all of it.
fn large(engine: Engine) -> Everything {
    let far_off = at("9999-12-31T23:59:59.999999Z");
    let utc = bound(engine, far_off, "2037-12-31T23:59:59.999999Z");
    Everything {
        recording_id: 2,
        recorded_at: at("2024-02-29T12:00:00.000001Z"),
        event: Event::Deleted,
        bool: true,
        bool_or: Some(false),
        i16: i16::MAX,
        i16_or: Some(0),
        i32: i32::MAX,
        i32_or: Some(0),
        i64: i64::MAX,
        i64_or: Some(0),
        f32: 16_777_216.0,
        f32_or: Some(0.1),
        f64: 0.1 + 0.2,
        f64_or: Some(5e-300),
        decimal: decimal("999999.0001"),
        decimal_or: Some(decimal("0.5")),
        bare: decimal("1234567.25"),
        string: "it's \"quoted\"".to_owned(),
        string_or: Some("longer than what a view has within itself".to_owned()),
        text: "x".repeat(60_000),
        chars: "zzzz".to_owned(),
        bytes: vec![0, 1, 255],
        bytes_or: Some(vec![7; 40]),
        date: "9999-12-31".parse().unwrap(),
        date_or: Some("1970-01-01".parse().unwrap()),
        time: "23:59:59.999999".parse().unwrap(),
        time_or: Some("12:00:00".parse().unwrap()),
        naive: far_off.naive_utc(),
        naive_or: Some(Chrono::UNIX_EPOCH.naive_utc()),
        utc,
        utc_or: Some(at("2011-12-30T10:00:00Z")),
        zoned: "2024-03-31T03:00:00.5+02:00".parse().unwrap(),
        uuid: Uuid::max(),
        uuid_or: Some(Uuid::from_u128(7)),
        json: json!("text"),
        binary: json!([]),
        json_or: Some(json!({"deep": {"deeper": true}})),
        word: Word::Public,
        word_or: Some(Word::Draft),
        number: Number::Public,
        native: Native::Public,
        native_or: Some(Native::Draft),
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Compares each value of a frame with that of the model of its row.
fn assert_same<R: EntityTrait>(frame: &DataFrame, models: &[R::Model]) {
    let names: Vec<_> = R::Column::iter().map(|column| column.as_str()).collect();
    assert_eq!(frame.get_column_names(), names);
    assert_eq!(frame.height(), models.len());
    for column in R::Column::iter() {
        let values = frame.column(column.as_str()).unwrap();
        for (place, model) in models.iter().enumerate() {
            let name = format!("{} of row {place}", column.as_str());
            let expected = expected(model.get(column), values.dtype());
            assert_eq!(values.get(place).unwrap(), expected, "{name}");
        }
    }
}

/// What polars should have of a value of SeaORM's.
fn expected(value: Value, ty: &DataType) -> AnyValue<'static> {
    let micros = |at: DateTime| at.and_utc().timestamp_micros();
    let text = |text: String| AnyValue::StringOwned(text.into());
    let present = match value {
        Value::Bool(x) => x.map(AnyValue::Boolean),
        Value::TinyInt(x) => x.map(AnyValue::Int8),
        Value::SmallInt(x) => x.map(AnyValue::Int16),
        Value::Int(x) => x.map(AnyValue::Int32),
        Value::BigInt(x) => x.map(AnyValue::Int64),
        Value::TinyUnsigned(x) => x.map(AnyValue::UInt8),
        Value::SmallUnsigned(x) => x.map(AnyValue::UInt16),
        Value::Unsigned(x) => x.map(AnyValue::UInt32),
        Value::BigUnsigned(x) => x.map(AnyValue::UInt64),
        Value::Float(x) => x.map(AnyValue::Float32),
        Value::Double(x) => x.map(AnyValue::Float64),
        Value::String(x) => x.map(text),
        Value::Enum(OptionEnum::Some(x)) => Some(text(x.value.to_string())),
        Value::Enum(OptionEnum::None(_)) => None,
        Value::Bytes(x) => x.map(AnyValue::BinaryOwned),
        Value::Uuid(x) => x.map(|x| text(x.to_string())),
        Value::Json(x) => x.map(|x| text(x.to_string())),
        Value::ChronoDate(x) => x.map(|x| AnyValue::Date((x - Date::default()).num_days() as i32)),
        Value::ChronoTime(x) => {
            x.map(|x| AnyValue::Time((x - Time::default()).num_nanoseconds().unwrap()))
        }
        Value::ChronoDateTime(x) => x.map(|x| AnyValue::DatetimeOwned(micros(x), MICROS, None)),
        Value::ChronoDateTimeUtc(x) => x.map(|x| zoned(micros(x.naive_utc()))),
        Value::ChronoDateTimeWithTimeZone(x) => x.map(|x| zoned(micros(x.naive_utc()))),
        Value::Decimal(x) => x.map(|mut x| {
            let DataType::Decimal(precision, scale) = ty else {
                panic!("a decimal became {ty}")
            };
            x.rescale(*scale as u32);
            AnyValue::Decimal(x.mantissa(), *precision, *scale)
        }),
        other => panic!("{other:?}"),
    };
    present.unwrap_or(AnyValue::Null)
}

fn zoned(micros: i64) -> AnyValue<'static> {
    AnyValue::DatetimeOwned(micros, MICROS, Some(TimeZone::UTC.into()))
}

fn types(frame: &DataFrame) -> Vec<(&str, DataType)> {
    let columns = frame.columns().iter();
    columns
        .map(|column| (column.name().as_str(), column.dtype().clone()))
        .collect()
}

/// The types of `everything`, also where there are no rows.
fn types_of_everything() -> Vec<(&'static str, DataType)> {
    use DataType::*;
    vec![
        ("recording_id", Int32),
        ("recorded_at", utc()),
        ("event", String),
        ("bool", Boolean),
        ("bool_or", Boolean),
        ("i16", Int16),
        ("i16_or", Int16),
        ("i32", Int32),
        ("i32_or", Int32),
        ("i64", Int64),
        ("i64_or", Int64),
        ("f32", Float32),
        ("f32_or", Float32),
        ("f64", Float64),
        ("f64_or", Float64),
        ("decimal", Decimal(16, 4)),
        ("decimal_or", Decimal(16, 4)),
        ("bare", Decimal(38, 10)),
        ("string", String),
        ("string_or", String),
        ("text", String),
        ("chars", String),
        ("bytes", Binary),
        ("bytes_or", Binary),
        ("date", Date),
        ("date_or", Date),
        ("time", Time),
        ("time_or", Time),
        ("naive", Datetime(MICROS, None)),
        ("naive_or", Datetime(MICROS, None)),
        ("utc", utc()),
        ("utc_or", utc()),
        ("zoned", utc()),
        ("uuid", String),
        ("uuid_or", String),
        ("json", String),
        ("binary", String),
        ("json_or", String),
        ("word", String),
        ("word_or", String),
        ("number", Int32),
        ("native", String),
        ("native_or", String),
    ]
}

/// The error of a frame: the column that it names, and its message.
fn named(error: &DbErr) -> (String, String) {
    match RecordError::of(error) {
        Some(RecordError::Frame { column, .. }) => (column.clone(), error.to_string()),
        _ => panic!("{error}"),
    }
}

#[test]
fn values_are_compared_by_their_types_too() {
    let micros = 1_709_208_000_000_001;
    assert_eq!(
        expected(at("2024-02-29T12:00:00.000001Z").into(), &utc()),
        zoned(micros)
    );
    assert_ne!(
        expected(1_i32.into(), &DataType::Int32),
        expected(2_i32.into(), &DataType::Int32)
    );
    let price = expected(decimal("1.5").into(), &DataType::Decimal(16, 4));
    assert_eq!(price, AnyValue::Decimal(15_000, 16, 4));
}

each_database! {
    async fn every_value_is_what_its_model_says(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create::<everything::Entity>(&db).await;
        insert::<everything::record::Entity>(&db, vec![small(test.engine()), large(test.engine())]).await;
        let records = everything::Entity::records().order_by_asc(everything::record::Column::RecordedAt);
        let frame = records.clone().frame(&db).await?;
        assert_eq!(types(&frame), types_of_everything());
        assert_same::<everything::record::Entity>(&frame, &records.all(&db).await?);
        Ok(())
    }

    async fn without_records_there_are_the_columns_with_their_types(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create::<everything::Entity>(&db).await;
        let frame = everything::Entity::records().frame(&db).await?;
        assert_eq!((frame.height(), types(&frame)), (0, types_of_everything()));
        let frames: Vec<_> = everything::Entity::records().frames(&db, 10).try_collect().await?;
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].height(), types(&frames[0])), (0, types_of_everything()));
        Ok(())
    }

    async fn small_and_unsigned_integers_keep_their_width(test: TestDb) -> TestResult {
        let db = test.connect().await;
        if test.engine() == Engine::Postgres {
            return Ok(());
        }
        create::<narrow::Entity>(&db).await;
        let record = |id, i8, u8, u16, u32, u32_or| narrow::record::Model {
            recording_id: id, recorded_at: Chrono::UNIX_EPOCH, event: Event::Updated, i8, u8, u16, u32, u32_or,
        };
        let least = record(1, i8::MIN, 0, 0, 0, None);
        let greatest = record(2, i8::MAX, u8::MAX, u16::MAX, u32::MAX, Some(u32::MAX));
        insert::<narrow::record::Entity>(&db, vec![least.clone(), greatest.clone()]).await;
        let records = narrow::Entity::records().order_by_asc(narrow::record::Column::RecordingId);
        let frame = records.frame(&db).await?;
        use DataType::{Int8, UInt8, UInt16, UInt32};
        let integers: Vec<_> = types(&frame).into_iter().skip(3).map(|(_, ty)| ty).collect();
        assert_eq!(integers, [Int8, UInt8, UInt16, UInt32, UInt32]);
        assert_same::<narrow::record::Entity>(&frame, &[least, greatest]);
        Ok(())
    }

    async fn the_largest_unsigned_integer_is_in_the_frame_or_named(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create::<large::Entity>(&db).await;
        if test.engine() == Engine::Postgres {
            return Ok(());
        }
        let record = large::record::Model {
            recording_id: 1, recorded_at: Chrono::UNIX_EPOCH, event: Event::Updated, u64: 7, u64_or: None,
        };
        insert::<large::record::Entity>(&db, vec![record]).await;
        let frame = large::Entity::records().frame(&db).await;
        if test.engine() == Engine::Sqlite {
            // SeaORM does not read it there.
            assert_eq!(named(&frame.unwrap_err()).0, "u64");
            return Ok(());
        }
        db.execute_unprepared("UPDATE large_record SET u64 = 18446744073709551615").await?;
        let frame = large::Entity::records().frame(&db).await?;
        assert_eq!(frame.column("u64")?.get(0)?, AnyValue::UInt64(u64::MAX));
        assert_eq!(frame.column("u64_or")?.get(0)?, AnyValue::Null);
        Ok(())
    }

    async fn an_array_is_a_list(test: TestDb) -> TestResult {
        if test.engine() != Engine::Postgres {
            return Ok(());
        }
        let db = test.connect().await;
        create::<arrays::Entity>(&db).await;
        let noon = at("2024-02-29T12:00:00.000001Z");
        let full = arrays::record::Model {
            recording_id: 1,
            recorded_at: at("2024-01-01T00:00:00Z"),
            event: Event::Created,
            bools: vec![true, false],
            i16s: vec![1, -2],
            i32s: vec![3, i32::MAX],
            i64s: vec![i64::MIN, 4],
            f32s: vec![0.5, -0.25],
            f64s: vec![0.1, 1e300],
            words: vec!["one".to_owned(), String::new()],
            uuids: vec![Uuid::nil()],
            dates: vec![noon.date_naive()],
            times: vec![noon.time()],
            naives: vec![noon.naive_utc()],
            utcs: vec![noon, Chrono::UNIX_EPOCH],
            i32s_or: Some(vec![5]),
            words_or: Some(vec!["ä".to_owned()]),
            kinds: vec![arrays::Kind::Two, arrays::Kind::One],
        };
        let empty = arrays::record::Model {
            recording_id: 2,
            recorded_at: at("2024-01-02T00:00:00Z"),
            event: Event::Created,
            bools: vec![], i16s: vec![], i32s: vec![], i64s: vec![], f32s: vec![], f64s: vec![],
            words: vec![], uuids: vec![], dates: vec![], times: vec![], naives: vec![], utcs: vec![],
            i32s_or: None, words_or: None, kinds: vec![],
        };
        let none = arrays::Entity::records().frame(&db).await?;
        insert::<arrays::record::Entity>(&db, vec![full, empty]).await;
        let frame = arrays::Entity::records()
            .order_by_asc(arrays::record::Column::RecordingId).frame(&db).await?;
        assert_eq!(types(&none), types(&frame));

        let list = |name: &str, row| match frame.column(name).unwrap().get(row).unwrap() {
            AnyValue::List(items) => Some(items),
            AnyValue::Null => None,
            other => panic!("{name}: {other}"),
        };
        let of = |items: Series| Some(items);
        assert_eq!(list("bools", 0), of([true, false].into_iter().collect()));
        assert_eq!(list("i16s", 0), of([1_i16, -2].into_iter().collect()));
        assert_eq!(list("i32s", 0), of([3, i32::MAX].into_iter().collect()));
        assert_eq!(list("i64s", 0), of([i64::MIN, 4].into_iter().collect()));
        assert_eq!(list("f32s", 0), of([0.5_f32, -0.25].into_iter().collect()));
        assert_eq!(list("f64s", 0), of([0.1, 1e300].into_iter().collect()));
        assert_eq!(list("words", 0), of(["one", ""].into_iter().collect()));
        assert_eq!(list("uuids", 0), of([Uuid::nil().to_string()].into_iter().collect()));
        assert_eq!(list("kinds", 0), of(["two", "one"].into_iter().collect()));
        assert_eq!(list("i32s_or", 0), of([5].into_iter().collect()));
        assert_eq!(list("words_or", 0), of(["ä"].into_iter().collect()));
        let first = |name| list(name, 0).unwrap().get(0).unwrap().into_static();
        assert_eq!(first("dates"), expected(noon.date_naive().into(), &DataType::Date));
        assert_eq!(first("times"), expected(noon.time().into(), &DataType::Time));
        assert_eq!(first("naives"), expected(noon.naive_utc().into(), &DataType::Null));
        assert_eq!(first("utcs"), expected(noon.into(), &DataType::Null));
        for column in &frame.columns()[3..] {
            let is_empty = list(column.name(), 1).is_none_or(|items| items.is_empty());
            assert!(is_empty, "{}", column.name());
        }
        assert_eq!((list("i32s_or", 1), list("words_or", 1)), (None, None));
        Ok(())
    }

    async fn a_type_that_polars_lacks_is_an_error_that_names_the_column(test: TestDb) -> TestResult {
        let db = test.connect().await;
        let (column, message) = named(&address::Entity::records().frame(&db).await.unwrap_err());
        assert_eq!(column, "ip");
        assert!(message.contains("`address`") && message.contains("Inet"), "{message}");
        let prices = address::Entity::records().frame_columns([address::record::Column::Prices]);
        assert_eq!(named(&prices.frame(&db).await.unwrap_err()).0, "prices");
        let mut frames = std::pin::pin!(address::Entity::records().frames(&db, 5));
        assert_eq!(named(&frames.try_next().await.unwrap_err()).0, "ip");
        Ok(())
    }

    async fn columns_can_be_chosen_without_those_that_polars_lacks(test: TestDb) -> TestResult {
        use address::record::{Column, Entity};
        let db = test.connect().await;
        let time = if test.engine() == Engine::Postgres { "timestamptz" } else { "varchar(40)" };
        db.execute_unprepared(&format!(
            "CREATE TABLE address_record (recording_id integer, recorded_at {time}, event varchar(8), \
             name varchar(40), ip varchar(40), prices varchar(40))"
        )).await?;
        db.execute_unprepared(
            "INSERT INTO address_record VALUES (1, '2024-01-01T00:00:00+00:00', 'created', 'home', '::1', NULL)"
        ).await?;
        let frame = Entity::find().frame_columns([Column::Name, Column::RecordingId]).frame(&db).await?;
        assert_eq!(types(&frame), [("name", DataType::String), ("recording_id", DataType::Int32)]);
        assert_eq!(frame.column("name")?.get(0)?, AnyValue::String("home"));
        Ok(())
    }

    async fn a_column_that_is_not_selected_is_named(test: TestDb) -> TestResult {
        use station::record::{Column, Model};
        let db = test.connect().await;
        create::<station::Entity>(&db).await;
        insert::<station::record::Entity>(&db, vec![Model {
            recording_id: 1, recorded_at: Chrono::UNIX_EPOCH, event: Event::Created, temperature: Some(1.0),
        }]).await;
        let partly = station::Entity::records().select_only().columns([Column::RecordedAt, Column::Event]);
        let (column, message) = named(&partly.frame(&db).await.unwrap_err());
        assert_eq!(column, "recording_id");
        assert!(message.contains("frame_columns"), "{message}");
        let twice = station::Entity::records().frame_columns([Column::Event, Column::Event]);
        assert_eq!(named(&twice.frame(&db).await.unwrap_err()).0, "*");
        Ok(())
    }

    async fn a_decimal_that_does_not_fit_is_named_and_never_rounded(test: TestDb) -> TestResult {
        let db = test.connect().await;
        create::<everything::Entity>(&db).await;
        // SQLite keeps decimals as doubles, and what its columns declare does not bind it.
        let bare = decimal("0.00000000001");
        insert::<everything::record::Entity>(&db, vec![Everything { bare, ..small(test.engine()) }]).await;
        let (column, message) = named(&everything::Entity::records().frame(&db).await.unwrap_err());
        assert_eq!(column, "bare");
        assert!(!message.contains("00001"), "{message}");
        Ok(())
    }

    async fn parts_of_a_microsecond_are_cut_off(test: TestDb) -> TestResult {
        if test.engine() != Engine::Sqlite {
            return Ok(());
        }
        let db = test.connect().await;
        create::<everything::Entity>(&db).await;
        let utc = at("1969-12-31T23:59:59.999999Z") + TimeDelta::nanoseconds(7);
        insert::<everything::record::Entity>(&db, vec![Everything { utc, ..small(test.engine()) }]).await;
        let frame = everything::Entity::records().frame(&db).await?;
        let values: &Values = frame.column("utc")?;
        assert_eq!(values.get(0)?.into_static(), zoned(-1));
        Ok(())
    }

    async fn a_value_of_another_type_is_an_error_that_names_the_column_alone(test: TestDb) -> TestResult {
        if test.engine() != Engine::Sqlite {
            return Ok(());
        }
        let db = test.connect().await;
        create::<everything::Entity>(&db).await;
        insert::<everything::record::Entity>(&db, vec![small(test.engine())]).await;
        db.execute_unprepared("UPDATE everything_record SET i16 = 'secret', date = 'secret'").await?;
        let (column, message) = named(&everything::Entity::records().frame(&db).await.unwrap_err());
        assert_eq!(column, "i16");
        assert!(!message.contains("secret"), "{message}");
        db.execute_unprepared("UPDATE everything_record SET i16 = 1").await?;
        let (column, message) = named(&everything::Entity::records().frame(&db).await.unwrap_err());
        assert_eq!(column, "date");
        assert!(!message.contains("secret"), "{message}");
        Ok(())
    }
}
