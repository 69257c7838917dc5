//! Promise 8, the same answer everywhere: one history, one set of questions, one file of answers.
//!
//! That each kind of query answers as pandas and as a plain oracle do is in `resample`, `windows`,
//! `past` and `zones`; that values of every type are kept or refused, in `values` and `fuzz`. Here
//! all three databases are asked the same, and must say what stands in `golden/same_answer.txt`.
//! `RECORD_TEST_BLESS=1` writes that file anew, from SQLite.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, Set};
use sea_orm_record::{Context, RecordQuery, Recorded, RecordedConnection};

use crate::blog::{self, note};
use crate::harness::{Engine, each_database};

const TEXTS: [&str; 9] = ["a", "A", "a ", "ä", "a\u{308}", "", "🦀", "ß", "SS"];

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Five notes over five days in which Vienna's clocks go forward, saved every 97 minutes and some
/// microseconds; some are deleted and made again.
async fn write_history(db: &DatabaseConnection) {
    let recorded = RecordedConnection::new(db.clone());
    let step = TimeDelta::minutes(97) + TimeDelta::microseconds(1_001);
    let mut now = at("2024-03-29T20:00:00.999999Z");
    for turn in 0..75_usize {
        now += step;
        let clock = recorded.with_context(Context::actor("clock").clock(now));
        let id = (turn * turn % 5) as i32 + 1;
        let text = TEXTS[turn * 7 % TEXTS.len()].to_owned();
        let am = note::ActiveModel {
            id: Set(id),
            text: Set(text),
            stars: Set(0),
        };
        match note::Entity::find_by_id(id).one(db).await.unwrap() {
            None => drop(am.insert(&clock).await.unwrap()),
            Some(row) if turn % 11 == 3 => drop(row.delete(&clock).await.unwrap()),
            Some(_) => drop(am.update(&clock).await.unwrap()),
        }
    }
}

fn tell(answers: &mut String, question: &str, records: &[note::record::Model]) {
    writeln!(answers, "## {question}").unwrap();
    for record in records {
        let (id, at, event) = (record.recording_id, record.recorded_at, record.event);
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        writeln!(answers, "{id} {at} {event:?} {:?}", record.text).unwrap();
    }
}

async fn ask(db: &DatabaseConnection) -> String {
    use note::record::Column::{RecordedAt, RecordingId, Text};
    let mut answers = String::new();
    let ordered = || {
        note::Entity::records()
            .order_by_asc(RecordedAt)
            .order_by_asc(RecordingId)
    };
    let moments = [
        "2024-03-30T12:00:00Z",
        "2024-03-31T01:00:00Z",
        "2024-04-02T00:00:00Z",
    ]
    .map(at);

    tell(&mut answers, "all", &ordered().all(db).await.unwrap());
    let window = ordered().since(moments[0]).until(moments[1]);
    tell(&mut answers, "a window", &window.all(db).await.unwrap());
    let equal = ordered().filter(Text.eq("🦀"));
    tell(&mut answers, "by a text", &equal.all(db).await.unwrap());
    let mut latest = note::Entity::records()
        .latest_of_each()
        .all(db)
        .await
        .unwrap();
    latest.sort_by_key(|record| record.recording_id);
    tell(&mut answers, "the latest of each", &latest);
    for moment in moments {
        let mut then = note::Entity::as_of(moment).all(db).await.unwrap();
        then.sort_by_key(|record| record.recording_id);
        tell(&mut answers, &format!("as of {moment}"), &then);
    }
    for rule in ["6h", "1D", "1W"] {
        for zone in [Tz::UTC, Tz::Europe__Vienna, Tz::America__Havana] {
            let resampled = note::Entity::records()
                .resample(rule)
                .unwrap()
                .in_zone(zone);
            let mut last = resampled.all(db).await.unwrap();
            last.sort_by_key(|record| (record.recording_id, record.recorded_at));
            tell(&mut answers, &format!("{rule} in {zone}"), &last);
        }
    }
    let resampled = note::Entity::records_of(1).resample("1h").unwrap().first();
    tell(
        &mut answers,
        "the first of each hour of one note",
        &resampled.all(db).await.unwrap(),
    );
    let changed = ordered().where_changed(Text).all(db).await.unwrap();
    let mut changed: Vec<_> = changed;
    changed.sort_by_key(|record| (record.recorded_at, record.recording_id));
    tell(&mut answers, "where the text changed", &changed);

    writeln!(answers, "## between two moments").unwrap();
    let between = note::Entity::records().diff_between(moments[0], moments[2]);
    let mut lines: Vec<_> = between
        .all(db)
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            let sides = [row.before(), row.after()];
            let [before, after] = sides.map(|side| side.map(|record| record.text.clone()));
            let id = sides
                .into_iter()
                .flatten()
                .next()
                .map(|record| record.recording_id);
            format!("{id:?} {before:?} {after:?}")
        })
        .collect();
    lines.sort();
    answers + &lines.join("\n") + "\n"
}

each_database! {
    async fn every_database_gives_the_answers_that_stand_in_the_file(test: TestDb) {
        let db = &test.connect().await;
        blog::create_notes(db).await;
        write_history(db).await;
        let answers = ask(db).await;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/same_answer.txt");
        if std::env::var_os("RECORD_TEST_BLESS").is_some() && test.engine() == Engine::Sqlite {
            std::fs::write(file, &answers).unwrap();
        }
        let expected = std::fs::read_to_string(file).unwrap();
        for (line, (expected, given)) in expected.lines().zip(answers.lines()).enumerate() {
            assert_eq!(given, expected, "line {}", line + 1);
        }
        assert_eq!(answers.lines().count(), expected.lines().count());
    }
}
