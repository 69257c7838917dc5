//! Promise 5, no silent gap: what recording cannot see is found and repaired.
//!
//! Each write path that goes past the hooks, what warns of it and what refuses it is in
//! `write_paths`, as the book lists them; what `verify` reports of each kind of damage, and in how
//! many statements, in `verify`; saves that were given up or cut off half-way in `dropped_futures`
//! and `faults`. Here: any mixture of damage at once, and a repair that is itself given up.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder, Set,
};
use sea_orm_record::{Event, Problem, insert_many, verify};

use crate::blog::{self, article, note, topic};
use crate::harness::each_database;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What is done to a note past the hooks, and what is wrong with it then.
async fn damage(db: &DatabaseConnection, id: i32, what: u64) -> Option<&'static str> {
    let run = async |sql: String| {
        db.execute_unprepared(&sql).await.unwrap();
    };
    match what {
        0 => {
            run(format!("UPDATE note SET text = 'behind' WHERE id = {id}")).await;
            Some("differs")
        }
        1 => {
            run(format!("DELETE FROM note WHERE id = {id}")).await;
            Some("orphan")
        }
        2 => {
            run(format!("DELETE FROM note_record WHERE recording_id = {id}")).await;
            Some("missing")
        }
        3 => {
            run(format!("DELETE FROM note WHERE id = {id}")).await;
            run(format!("DELETE FROM note_record WHERE recording_id = {id}")).await;
            None
        }
        4 => {
            // It is not recorded, so nothing is wrong.
            run(format!("UPDATE note SET stars = 7 WHERE id = {id}")).await;
            None
        }
        _ => None,
    }
}

fn kind(problem: &Problem) -> &'static str {
    match problem {
        Problem::Missing => "missing",
        Problem::Differs(_) => "differs",
        _ => "orphan",
    }
}

each_database! {
    /// Found row by row, repaired once, and the repair is a record like any other.
    async fn any_mixture_of_damage_is_found_and_repaired(test: TestDb) {
        let db = &test.connect().await;
        blog::create_notes(db).await;
        let drafts = (0..1_500).map(|at| note::draft(&format!("note {at}")));
        let keys = insert_many(drafts, db).await.unwrap();
        let mut dice = Dice(5);
        let mut expected = BTreeMap::new();
        for id in keys {
            let what = dice.roll(40);
            if let Some(problem) = damage(db, id, what).await {
                expected.insert(id, problem);
            }
        }
        let found = std::sync::Arc::new(std::sync::Mutex::new(BTreeMap::new()));
        let to = found.clone();
        let run = verify(note::Entity).progress(move |progress| {
            let findings = progress.findings.into_iter();
            to.lock().unwrap().extend(findings.map(|finding| (finding.key, kind(&finding.problem))));
        });
        let report = run.exec(db).await.unwrap();
        assert_eq!(*found.lock().unwrap(), expected);
        assert!(report.missing > 10 && report.differing > 10 && report.orphans > 10, "{report:?}");

        let repaired = verify(note::Entity).repair().exec(db).await.unwrap();
        assert_eq!(repaired.repaired as usize, expected.len());
        let again = verify(note::Entity).repair().exec(db).await.unwrap();
        assert!(again.is_clean() && again.repaired == 0, "{again:?}");
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt);
        let records = records.all(db).await.unwrap();
        for (id, problem) in expected {
            let own: Vec<_> = records.iter().filter(|record| record.recording_id == id).collect();
            let latest = own.last().unwrap();
            match problem {
                "orphan" => assert_eq!(latest.event, Event::Deleted),
                "differs" => assert_eq!(latest.text, "behind"),
                _ => assert_eq!((own.len(), latest.event), (1, Event::Backfilled)),
            }
        }
    }

    /// A repair that is given up leaves what it had repaired, and the next goes on.
    async fn a_repair_that_is_given_up_is_gone_on_with(test: TestDb) {
        let db = &test.connect().await;
        blog::create_tables(db).await;
        let topic = blog::topic(db, "before").await;
        let drafts = (0..2_500).map(|at| article::draft(topic.id, &format!("article {at}")));
        insert_many(drafts, db).await.unwrap();
        let rename = topic::ActiveModel { id: Set(topic.id), name: Set("after".to_owned()) };
        topic::Entity::update(rename).exec_without_returning(db).await.unwrap();

        let mut repaired = 0;
        for millis in [1, 5, 20, 80] {
            // A pool of its own, which goes with what was given up.
            let victim = test.connect().await;
            let run = verify(article::Entity).repair().exec(&victim);
            let _ = tokio::time::timeout(Duration::from_millis(millis), run).await;
            let _ = tokio::time::timeout(Duration::from_secs(1), victim.close()).await;
            let report = verify(article::Entity).exec(db).await.unwrap();
            assert!(report.differing <= 2_500 - repaired, "{report:?}");
            repaired = 2_500 - report.differing;
            // Chunks of a thousand are repaired whole.
            assert!(repaired % 1_000 == 0 || repaired == 2_500, "{report:?}");
        }
        verify(article::Entity).repair().exec(db).await.unwrap();
        let report = verify(article::Entity).exec(db).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        let records = article::record::Entity::find()
            .filter(article::record::Column::Headline.starts_with("after"))
            .all(db).await.unwrap();
        assert_eq!(records.len(), 2_500);
    }
}
