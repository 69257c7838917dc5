//! Whatever goes in: nothing panics, nothing is altered.
//!
//! `RECORD_FUZZ_CASES` says how many cases each test tries (it has a default of its own), and
//! `RECORD_FUZZ_SEED` what they grow from; both are printed when one fails, with the smallest input
//! that fails.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Debug;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use sea_orm::prelude::{Decimal, Json};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseBackend, DatabaseConnection, EntityTrait,
    IntoActiveModel, MockDatabase, QueryOrder, Set,
};
use sea_orm_record::{
    Buckets, Context, Every, RecordError, RecordedConnection, UnseenWrites, Window,
};

use sea_orm_record_migration::RecordSchema;

use crate::blog::{self, create_table, note};
use crate::harness::each_database;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok().and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

/// Tries so many inputs, and shrinks the first that fails.
async fn try_all<S: Strategy>(
    default_cases: u32,
    inputs: S,
    check: impl AsyncFn(S::Value) -> Result<(), String>,
) where
    S::Value: Clone + Debug,
{
    let seed = setting("RECORD_FUZZ_SEED", 1_u64);
    let cases = setting("RECORD_FUZZ_CASES", default_cases);
    let mut runner = TestRunner::new(Config {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    });
    for case in 0..cases {
        let mut tree = inputs.new_tree(&mut runner).unwrap();
        let Err(problem) = check(tree.current()).await else {
            continue;
        };
        let mut smallest = (tree.current(), problem);
        for _ in 0..200 {
            let goes_on = match check(tree.current()).await {
                Err(problem) => {
                    smallest = (tree.current(), problem);
                    tree.simplify()
                }
                Ok(()) => tree.complicate(),
            };
            if !goes_on {
                break;
            }
        }
        let (input, problem) = smallest;
        panic!("RECORD_FUZZ_SEED={seed}, case {case}: {problem}: {input:?}");
    }
}

fn ensure(holds: bool, problem: impl Into<String>) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(problem.into()),
    }
}

// ---- Rules, buckets and windows ----

fn rules() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        "[ +-]?[0-9]{0,12}[ .,]?[0-9]{0,3} ?[a-zA-Zµ°-]{0,5}",
        "[0-9]{1,5}(us|ms|s|min|T|h|H|D|d|W|MS|M|QS|Q|YS|y|A)",
    ]
    .boxed()
}

#[tokio::test]
async fn a_rule_is_taken_and_said_again_or_refused_by_its_name() {
    try_all(20_000, rules(), async |rule| match rule.parse::<Every>() {
        Ok(every) => {
            let again = every.to_string().parse::<Every>();
            ensure(
                again.ok() == Some(every),
                format!("it is said as `{every}`"),
            )
        }
        Err(RecordError::Rule {
            rule: named,
            problem,
        }) => ensure(
            named == rule && !problem.is_empty(),
            format!("{named}: {problem}"),
        ),
        Err(other) => Err(format!("{other:?}")),
    })
    .await;
}

/// Any time that chrono has, more of them near the ends of what is allowed.
fn times() -> BoxedStrategy<DateTime<Utc>> {
    let first = DateTime::<Utc>::MIN_UTC.timestamp();
    let last = DateTime::<Utc>::MAX_UTC.timestamp();
    let (one, end) = (-62_135_596_800_i64, 253_402_300_800_i64);
    let near = |at: i64| (at - 100_000_000)..=(at + 100_000_000);
    let seconds = prop_oneof![
        first..=last,
        near(one),
        near(end),
        -4_000_000_000..=8_000_000_000_i64,
        Just(first),
        Just(last),
    ];
    (seconds, 0..2_000_000_000_u32)
        .prop_filter_map("a time", |(seconds, nanos)| {
            DateTime::from_timestamp(seconds, nanos).or(DateTime::from_timestamp(seconds, 0))
        })
        .boxed()
}

const ZONES: [Tz; 6] = [
    Tz::UTC,
    Tz::Europe__Vienna,
    Tz::America__Havana,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Pacific__Kiritimati,
];

#[tokio::test]
async fn a_bucket_holds_its_time_or_lies_outside_the_years() {
    let inputs = (rules(), prop::sample::select(&ZONES[..]), times());
    try_all(5_000, inputs, async |(rule, zone, at)| {
        let Ok(every) = rule.parse::<Every>() else {
            return Ok(());
        };
        let buckets = Buckets::new(every, zone);
        let Ok(start) = buckets.start_of(at) else {
            return Ok(());
        };
        ensure(start <= at, format!("it begins at {start}"))?;
        match buckets.next(start) {
            Ok(next) => ensure(next > at, format!("from {start} until {next}")),
            Err(_) => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_window_lies_within_the_years_in_order_or_is_refused() {
    let within = |window: Result<Window, RecordError>| match window {
        Ok(window) => {
            let year = |at: DateTime<Utc>| at.year();
            let bounds = [window.since(), window.until()];
            let inside = bounds
                .iter()
                .flatten()
                .all(|at| (1..=10_000).contains(&year(*at)));
            let ordered = match (window.since(), window.until()) {
                (Some(since), Some(until)) => since <= until || until <= Utc::now(),
                _ => true,
            };
            ensure(inside && ordered, format!("{window:?}"))
        }
        Err(RecordError::Window { .. }) => Ok(()),
        Err(other) => Err(format!("{other:?}")),
    };
    let lengths = (any::<i64>(), 0..1_000_000_000_u32);
    let inputs = (
        times(),
        times(),
        lengths,
        any::<u32>(),
        prop::sample::select(&ZONES[..]),
    );
    try_all(20_000, inputs, async |(a, b, (seconds, nanos), n, zone)| {
        within(Window::between(a, b))?;
        if let Some(length) = TimeDelta::new(seconds, nanos) {
            within(Window::last(length))?;
        }
        within(Window::last_seconds(n))?;
        within(Window::last_minutes(n))?;
        within(Window::last_hours(n))?;
        within(Window::last_days(n))?;
        within(Window::last_weeks(n))?;
        within(Window::last_months(n))?;
        within(Window::last_years(n))?;
        within(Window::this_week(zone))?;
        within(Window::this_year(zone))
    })
    .await;
}

// ---- Statements ----

/// Texts that look like SQL, and texts that do not.
fn statements() -> BoxedStrategy<String> {
    let words = prop::sample::select(
        &[
            "INSERT",
            "INTO",
            "UPDATE",
            "DELETE",
            "FROM",
            "WITH",
            "AS",
            "(",
            ")",
            "note",
            "\"note\"",
            "`note`",
            "note_record",
            "public.note",
            "--",
            "/*",
            "*/",
            "'",
            "\"",
            "`",
            ";",
            "$$",
            "E'\\'",
            "CREATE TRIGGER",
            "BEGIN",
            "END",
            "REPLACE",
            "TRUNCATE",
            "MERGE",
            "SET",
            "VALUES",
            "\n",
            ",",
            "SELECT",
            "é",
            "🦀",
            "\0",
            "ONLY",
            "LOW_PRIORITY",
            "IGNORE",
        ][..],
    );
    let like_sql = prop::collection::vec(words, 0..25);
    prop_oneof![
        any::<String>(),
        like_sql.clone().prop_map(|words| words.join(" ")),
        like_sql.prop_map(|words| words.concat()),
    ]
    .boxed()
}

/// A text as a comment of each kind that a database has.
fn comments(text: &str, backend: DatabaseBackend) -> Vec<String> {
    let line = text.replace(['\n', '\r'], " ");
    let mut comments = vec![
        format!("/* {} */ ", text.replace(['*', '/'], " ")),
        format!("-- {line}\n"),
    ];
    // To MySQL that is none.
    if backend != DatabaseBackend::MySql {
        comments.push(format!("--{line}\n"));
    }
    comments
}

#[tokio::test]
async fn any_text_of_a_statement_is_looked_at() {
    // So that `note` is known to be recorded.
    sea_orm_record::check().ok();
    try_all(20_000, statements(), async |sql| {
        for backend in [
            DatabaseBackend::Postgres,
            DatabaseBackend::MySql,
            DatabaseBackend::Sqlite,
        ] {
            let db = MockDatabase::new(backend).into_connection();
            let db = RecordedConnection::new(db).with_unseen_writes(UnseenWrites::Refuse);
            db.execute_unprepared(&sql).await.unwrap_err();
            for comment in comments(&sql, backend) {
                let update = format!("{comment}UPDATE note SET text = 'a'");
                let error = db.execute_unprepared(&update).await.unwrap_err();
                let seen = matches!(RecordError::of(&error), Some(RecordError::Unseen { .. }));
                ensure(seen, format!("an UPDATE was not seen: {update}"))?;
            }
        }
        Ok(())
    })
    .await;
}

// ---- Values ----

mod fuzzed {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

    #[recorded(columns(all), properties(
        single: Option<f32>,
        double: Option<f64>,
        whole: Option<i64>,
        string: Option<String>,
        #[sea_orm(column_type = "Text", nullable)] text: Option<String>,
        #[sea_orm(column_type = "VarBinary(StringLen::N(3000))", nullable)] bytes: Option<Vec<u8>>,
        date: Option<Date>,
        time: Option<Time>,
        naive: Option<DateTime>,
        utc: Option<DateTimeUtc>,
        zoned: Option<DateTimeWithTimeZone>,
        uuid: Option<Uuid>,
        #[sea_orm(column_type = "Decimal(Some((28, 10)))", nullable)] decimal: Option<Decimal>,
        json: Option<Json>,
        #[sea_orm(column_type = "JsonBinary", nullable)] binary: Option<Json>,
    ))]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "fuzzed")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[sea_orm(column_type = "Text")]
        pub own_text: String,
        pub own_double: Option<f64>,
        #[sea_orm(column_type = "Decimal(Some((28, 10)))", nullable)]
        pub own_decimal: Option<Decimal>,
        pub own_naive: Option<DateTime>,
        pub own_json: Option<Json>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl Recorded for Entity {
        type Record = record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new().properties(|row| super::values_of(row.id).into_properties())
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Debug, PartialEq)]
struct Values {
    single: Option<f32>,
    double: Option<f64>,
    whole: Option<i64>,
    string: Option<String>,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    date: Option<NaiveDate>,
    time: Option<NaiveTime>,
    utc: Option<DateTime<Utc>>,
    offset: i32,
    uuid: Option<u128>,
    decimal: Option<Decimal>,
    json: Option<Json>,
}

impl Values {
    fn into_properties(self) -> fuzzed::record::Properties {
        let offset = chrono::FixedOffset::east_opt(self.offset * 60).unwrap();
        fuzzed::record::Properties {
            single: self.single,
            double: self.double,
            whole: self.whole,
            string: self.string,
            text: self.text,
            bytes: self.bytes,
            date: self.date,
            time: self.time,
            naive: self.utc.map(|utc| utc.naive_utc()),
            utc: self.utc,
            zoned: self.utc.map(|utc| utc.with_timezone(&offset)),
            uuid: self.uuid.map(sea_orm::prelude::Uuid::from_u128),
            decimal: self.decimal,
            json: self.json.clone(),
            binary: self.json,
        }
    }
}

/// What the properties of a row are to be, by its key.
static VALUES: Mutex<BTreeMap<i32, Values>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicI32 = AtomicI32::new(1);

fn values_of(id: i32) -> Values {
    let values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    values[&id].clone()
}

fn texts() -> BoxedStrategy<String> {
    prop_oneof![
        4 => any::<String>(),
        1 => "[a-z' \"\\\\%_;?$:\u{0}🦀é\n]{0,40}",
        1 => (0..200_000_usize).prop_map(|length| "🦀x".repeat(length / 2)),
    ]
    .boxed()
}

fn jsons() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<i32>().prop_map(|n| Json::from(f64::from(n) / 8.0)),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().collect::<Json>()),
        ]
    })
    .boxed()
}

fn decimals() -> BoxedStrategy<Decimal> {
    let bits = (
        any::<u32>(),
        any::<u32>(),
        any::<u32>(),
        any::<bool>(),
        0..=28_u32,
    );
    let any_decimal = bits.prop_map(|(lo, mid, hi, negative, scale)| {
        Decimal::from_parts(lo, mid, hi, negative, scale)
    });
    let short = (any::<i64>(), 0..=12_u32).prop_map(|(n, scale)| Decimal::new(n, scale));
    prop_oneof![
        any_decimal,
        short,
        any::<i32>().prop_map(Decimal::from),
        Just(Decimal::MAX),
        Just(Decimal::MIN),
    ]
    .boxed()
}

fn floats() -> BoxedStrategy<f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        prop::num::f64::ANY,
        any::<i32>().prop_map(f64::from),
        prop::sample::select(
            &[
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                -0.0,
                f64::MAX,
                f64::MIN_POSITIVE
            ][..]
        ),
    ]
    .boxed()
}

fn dates() -> BoxedStrategy<NaiveDate> {
    let near = prop_oneof![
        -5_000..=10_100_i32,
        -262_000..=262_000_i32,
        1_900..=2_100_i32
    ];
    let days = (near, prop_oneof![Just(60_u32), Just(366), 1..=366_u32]);
    days.prop_filter_map("a day", |(year, day)| NaiveDate::from_yo_opt(year, day))
        .boxed()
}

fn clock_times() -> BoxedStrategy<NaiveTime> {
    let nanos = prop_oneof![
        (0..1_000_000_u32).prop_map(|micros| micros * 1_000),
        0..1_000_000_000_u32,
        Just(1_500_000_000),
    ];
    (0..86_400_u32, nanos)
        .prop_filter_map("a time", |(seconds, nanos)| {
            NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)
        })
        .boxed()
}

/// Few of them at once: where all were set, some value would always be refused.
fn values() -> BoxedStrategy<Values> {
    use prop::option::weighted;
    let numbers = (
        weighted(0.2, floats()),
        weighted(0.2, floats()),
        weighted(0.3, any::<i64>()),
    );
    let texts = (
        weighted(0.3, "[^\u{10ffff}]{0,60}"),
        weighted(0.3, texts()),
        weighted(0.3, prop::collection::vec(any::<u8>(), 0..3_000)),
    );
    let moments = (dates(), clock_times()).prop_map(|(date, time)| date.and_time(time).and_utc());
    let times = (
        weighted(0.2, dates()),
        weighted(0.2, clock_times()),
        weighted(0.3, moments),
        -840..=840_i32,
    );
    let others = (
        weighted(0.3, any::<u128>()),
        weighted(0.2, decimals()),
        weighted(0.3, jsons()),
    );
    (numbers, texts, times, others)
        .prop_map(|(numbers, texts, times, others)| Values {
            single: numbers.0.map(|single| single as f32),
            double: numbers.1,
            whole: numbers.2,
            string: texts.0,
            text: texts.1,
            bytes: texts.2,
            date: times.0,
            time: times.1,
            utc: times.2,
            offset: times.3,
            uuid: others.0,
            decimal: others.1,
            json: others.2,
        })
        .boxed()
}

/// Not a number equals itself here.
fn same(a: Option<f64>, b: Option<f64>) -> bool {
    a == b || matches!((a, b), (Some(a), Some(b)) if a.is_nan() && b.is_nan())
}

async fn records_of(db: &DatabaseConnection, id: i32) -> Vec<fuzzed::record::Model> {
    let records = fuzzed::record::Entity::find().order_by_asc(fuzzed::record::Column::RecordedAt);
    let records = records.all(db).await.unwrap().into_iter();
    records.filter(|record| record.recording_id == id).collect()
}

/// The properties are as they were computed, and the columns as the row has them; or the record was
/// refused by the name of a column, and the row is not there either.
async fn check_values(
    db: &DatabaseConnection,
    own: Values,
    computed: Values,
) -> Result<(), String> {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    VALUES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, computed);
    // With or without records, sqlx waits for ever on a connection to MySQL for the answer to a
    // statement of which it could not encode a value.
    let can_be_sent = |naive: &NaiveDateTime| {
        db.get_database_backend() != DatabaseBackend::MySql || (0..=9999).contains(&naive.year())
    };
    let row = fuzzed::Model {
        id,
        own_text: own.text.unwrap_or_default(),
        own_double: own.double,
        own_decimal: own.decimal,
        own_naive: own.utc.map(|utc| utc.naive_utc()).filter(can_be_sent),
        own_json: own.json,
    };
    let saved = row.into_active_model().reset_all().insert(db).await;
    let stored = fuzzed::Entity::find_by_id(id).one(db).await;
    let Ok(stored) = stored else {
        // SeaORM cannot read back what it wrote.
        fuzzed::Entity::delete_by_id(id).exec(db).await.unwrap();
        return ensure(saved.is_err(), "recorded, though it cannot be read");
    };
    let records = records_of(db, id).await;
    if let Err(error) = saved {
        ensure(
            stored.is_none() && records.is_empty(),
            format!("refused, and yet there: {error}"),
        )?;
        return match RecordError::of(&error) {
            // The row itself was refused.
            None => Ok(()),
            Some(RecordError::Value { column, .. }) => {
                ensure(!column.is_empty(), "refused without a name")
            }
            Some(other) => Err(other.to_string()),
        };
    }
    let stored = stored.ok_or("it was saved, and is not there")?;
    let [record] = &records[..] else {
        return Err(format!("{} records", records.len()));
    };
    let expected = values_of(id).into_properties();
    let told = |problem: &str| format!("{problem} was altered: {record:?}");
    let singles = [record.single, expected.single].map(|single| single.map(f64::from));
    ensure(same(singles[0], singles[1]), told("single"))?;
    ensure(same(record.double, expected.double), told("double"))?;
    ensure(record.whole == expected.whole, told("whole"))?;
    ensure(record.string == expected.string, told("string"))?;
    ensure(record.text == expected.text, told("text"))?;
    ensure(record.bytes == expected.bytes, told("bytes"))?;
    ensure(record.date == expected.date, told("date"))?;
    ensure(record.time == expected.time, told("time"))?;
    ensure(record.naive == expected.naive, told("naive"))?;
    ensure(record.utc == expected.utc, told("utc"))?;
    ensure(record.zoned == expected.zoned, told("zoned"))?;
    ensure(record.uuid == expected.uuid, told("uuid"))?;
    ensure(record.decimal == expected.decimal, told("decimal"))?;
    ensure(record.json == expected.json, told("json"))?;
    ensure(record.binary == expected.binary, told("binary"))?;
    ensure(record.own_text == stored.own_text, told("own_text"))?;
    ensure(
        same(record.own_double, stored.own_double),
        told("own_double"),
    )?;
    ensure(
        record.own_decimal == stored.own_decimal,
        told("own_decimal"),
    )?;
    ensure(record.own_naive == stored.own_naive, told("own_naive"))?;
    ensure(record.own_json == stored.own_json, told("own_json"))?;
    // And nothing differs from itself.
    let again = stored.into_active_model().reset_all().update(db).await;
    if let Err(error) = again {
        // SeaORM cannot write what it read.
        return ensure(RecordError::of(&error).is_none(), error.to_string());
    }
    ensure(
        records_of(db, id).await.len() == 1,
        "it differs from itself",
    )
}

each_database! {
    async fn values_of_every_type_are_kept_or_refused_by_the_name_of_their_column(test: TestDb) {
        let db = &test.connect().await;
        create_table(db, fuzzed::Entity).await;
        db.create_record_table(fuzzed::record::Entity).await.unwrap();
        try_all(150, (values(), values()), async |(own, computed)| {
            let checked = check_values(db, own, computed).await;
            db.execute_unprepared("DELETE FROM fuzzed_record").await.unwrap();
            checked
        })
        .await;
    }

    async fn actors_reasons_and_metadata_are_kept_or_refused(test: TestDb) {
        let db = &test.connect().await;
        blog::create_notes(db).await;
        let text = || prop_oneof![any::<String>(), "[^\u{10ffff}]{0,60}"].prop_map(|text: String| {
            text.chars().take(200).collect::<String>()
        });
        try_all(200, (text(), text(), jsons(), text()), async |(actor, reason, metadata, own)| {
            let context = Context::actor(actor.clone()).reason(reason.clone()).metadata(metadata.clone());
            let recorded = RecordedConnection::new(db.clone()).with_context(context);
            let saved = note::ActiveModel { text: Set("kept".to_owned()), stars: Set(0), ..Default::default() }.insert(&recorded).await;
            let latest = note::record::Entity::find().order_by_desc(note::record::Column::RecordedAt).one(db).await.unwrap();
            let checked = match saved {
                Ok(note) => {
                    let record = latest.ok_or("no record")?;
                    let kept = record.recording_id == note.id
                        && record.actor == Some(actor) && record.reason == Some(reason)
                        && record.metadata == Some(metadata);
                    ensure(kept, format!("altered: {record:?}"))
                }
                Err(error) => match RecordError::of(&error) {
                    Some(RecordError::Value { column, .. }) => {
                        let named = ["actor", "reason", "metadata"].contains(&&**column);
                        ensure(named && latest.is_none(), format!("{column} {latest:?}"))
                    }
                    _ => Err(format!("{error:?}")),
                },
            };
            // A row's own text goes in and out as it is, or not at all.
            if let Ok(note) = note::draft(&own).insert(db).await {
                let record = note::record::Entity::find().order_by_desc(note::record::Column::RecordedAt).one(db).await.unwrap();
                ensure(record.is_some_and(|record| record.text == own && record.recording_id == note.id), "its text was altered")?;
            }
            note::Entity::delete_many().exec(db).await.unwrap();
            note::record::Entity::delete_many().exec(db).await.unwrap();
            checked
        }).await;
    }
}
