//! `verify`: what is wrong is found, and put right on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, Set,
};
use sea_orm_record::{
    Context, Event, Finding, Problem, Recorded, RecordedConnection, Verification, insert_many,
    verify,
};

use crate::blog::{self, article, note};
use crate::harness::each_database;
use crate::magazine::{Magazine, assert_current, story};

fn numbers(report: Verification) -> [u64; 5] {
    [
        report.rows,
        report.missing,
        report.differing,
        report.orphans,
        report.repaired,
    ]
}

/// What a run finds, by key.
async fn findings<E>(
    db: &impl ConnectionTrait,
    entity: E,
    repair: bool,
) -> (Verification, Vec<(i32, Problem)>)
where
    E: Recorded,
    E::PrimaryKey: sea_orm::PrimaryKeyTrait<ValueType = i32>,
{
    let found = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&found);
    let run = verify(entity).progress(move |progress| {
        let finding = |finding: Finding<i32>| (finding.key, finding.problem);
        to.lock()
            .unwrap()
            .extend(progress.findings.into_iter().map(finding));
    });
    let run = if repair { run.repair() } else { run };
    let report = run.exec(db).await.unwrap();
    let mut found = std::mem::take(&mut *found.lock().unwrap());
    found.sort_by_key(|(key, _)| *key);
    (report, found)
}

async fn insert_raw(db: &DatabaseConnection, ids: std::ops::RangeInclusive<i32>) {
    let rows = ids.map(|id| note::ActiveModel {
        id: Set(id),
        ..note::draft("raw")
    });
    note::Entity::insert_many(rows).exec(db).await.unwrap();
}

each_database! {
    async fn what_is_wrong_is_found_and_put_right_on_request(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_many((1..=6).map(|id| note::ActiveModel { id: Set(id), ..note::draft("a") }), &db).await.unwrap();
        assert_eq!(numbers(verify(note::Entity).exec(&db).await.unwrap()), [6, 0, 0, 0, 0]);
        blog::note::Entity::find_by_id(5).one(&db).await.unwrap().unwrap().delete(&db).await.unwrap();

        insert_raw(&db, 10..=10).await;
        db.execute_unprepared("UPDATE note SET text = 'b' WHERE id = 2").await.unwrap();
        db.execute_unprepared("UPDATE note SET stars = 9 WHERE id = 3").await.unwrap();
        db.execute_unprepared("DELETE FROM note WHERE id = 1 OR id = 6").await.unwrap();
        insert_raw(&db, 5..=5).await;
        let expected = [
            (1, Problem::Orphan),
            (2, Problem::Differs(vec!["text".to_owned()])),
            (5, Problem::Missing),
            (6, Problem::Orphan),
            (10, Problem::Missing),
        ];
        let (report, found) = findings(&db, note::Entity, false).await;
        assert_eq!((numbers(report), report.is_clean()), ([5, 2, 1, 2, 0], false));
        assert_eq!(found, expected);

        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice"));
        let (report, found) = findings(&alice, note::Entity, true).await;
        assert_eq!((numbers(report), found.as_slice()), ([5, 2, 1, 2, 5], expected.as_slice()));
        let repairs = note::record::Entity::find().filter(note::record::Column::Actor.eq("alice"));
        let repairs = repairs.order_by_asc(note::record::Column::RecordingId).all(&db).await.unwrap();
        let repairs: Vec<_> = repairs.iter().map(|it| (it.recording_id, it.event, it.text.as_str())).collect();
        assert_eq!(repairs, [
            (1, Event::Deleted, "a"),
            (2, Event::Updated, "b"),
            (5, Event::Created, "raw"),
            (6, Event::Deleted, "a"),
            (10, Event::Backfilled, "raw"),
        ]);
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn records_beyond_all_rows_are_found(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        insert_many((1..=2_500).map(|id| note::ActiveModel { id: Set(id), ..note::draft("a") }), &db).await.unwrap();
        db.execute_unprepared("DELETE FROM note").await.unwrap();
        let (report, found) = findings(&db, note::Entity, true).await;
        assert_eq!(numbers(report), [0, 0, 0, 2_500, 2_500]);
        assert_eq!(found.iter().map(|(key, _)| *key).collect::<Vec<_>>(), (1..=2_500).collect::<Vec<_>>());
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn properties_are_verified_as_well(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        blog::create_tables(&db).await;
        assert!(verify(story::Entity).exec(&db).await.unwrap().is_clean());
        db.execute_unprepared("UPDATE editor SET name = 'raw'").await.unwrap();
        let (_, found) = findings(&db, story::Entity, true).await;
        let digest = Problem::Differs(vec!["digest".to_owned()]);
        assert_eq!(found, magazine.stories.each_ref().map(|story| (story.id, digest.clone())));
        assert_current(&db).await;
        assert!(verify(article::Entity).exec(&db).await.unwrap().is_clean());
    }

    async fn a_verification_takes_three_statements_a_thousand_rows_and_goes_on_where_it_stopped(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let row = |id| note::ActiveModel { id: Set(id), ..note::draft("a") };
        insert_many((1..=3_500).map(row), &db).await.unwrap();
        counter.clear();
        let keys = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&keys);
        let whole = verify(note::Entity).progress(move |progress| to.lock().unwrap().push((progress.so_far.rows, progress.key)));
        assert_eq!(numbers(whole.exec(&db).await.unwrap()), [3_500, 0, 0, 0, 0]);
        assert!(counter.take() <= 4 * 3);
        let keys = keys.lock().unwrap().clone();
        assert_eq!(keys, [(1_000, Some(1_000)), (2_000, Some(2_000)), (3_000, Some(3_000)), (3_500, Some(3_500))]);

        db.execute_unprepared("UPDATE note SET text = 'b' WHERE id IN (1, 2001)").await.unwrap();
        db.execute_unprepared("DELETE FROM note WHERE id = 2 OR id = 3400").await.unwrap();
        let rest = verify(note::Entity).after(2_000).repair().exec(&db).await.unwrap();
        assert_eq!(numbers(rest), [1_499, 0, 1, 1, 2]);
        let rest = verify(note::Entity).exec(&db).await.unwrap();
        assert_eq!(numbers(rest), [3_498, 0, 1, 1, 0]);
    }

    /// What was repaired before is done, and the rest is begun after the last key that was told.
    async fn a_repair_that_is_dropped_goes_on_after_its_last_key(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let row = |id| note::ActiveModel { id: Set(id), ..note::draft("a") };
        insert_many((1..=3_500).map(row), &db).await.unwrap();
        db.execute_unprepared("UPDATE note SET text = 'b'").await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let repair = verify(note::Entity)
            .progress(move |progress| tell.send((progress.so_far.repaired, progress.key)).unwrap())
            .repair();
        let first = tokio::select! {
            biased;
            progress = told.recv() => progress,
            whole = repair.exec(&db) => panic!("it was not dropped: {whole:?}"),
        };
        let (mut repaired, mut key) = first.unwrap();
        // A chunk that came to its end while it was dropped was told of as well.
        while let Some((more, after)) = told.recv().await {
            (repaired, key) = (more, after);
        }
        assert!((1_000..3_500).contains(&repaired), "{repaired}");
        assert_eq!(key, Some(i32::try_from(repaired).unwrap()));
        // With sqlx on MariaDB, a BEGIN that is given up leaves its transaction open in the pool.
        db.close().await.unwrap();
        let db = test.connect().await;
        let rest = verify(note::Entity).after(key.unwrap()).repair().exec(&db).await.unwrap();
        assert_eq!((rest.differing, rest.repaired), (3_500 - repaired, 3_500 - repaired));
        assert!(verify(note::Entity).exec(&db).await.unwrap().is_clean());
        assert_eq!(note::record::Entity::find().count(&db).await.unwrap(), 7_000);
    }

    async fn saves_under_way_are_no_findings(test: TestDb) {
        let db = test.connect().await;
        let magazine = Magazine::new(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let saving = tokio::spawn(async move {
            let editor = magazine.editors[0].clone();
            for n in 0..40 {
                let renamed = crate::magazine::editor::ActiveModel { name: Set(format!("E{n}")), ..editor.clone().into_active_model() };
                while let Err(error) = renamed.clone().update(&recorded).await {
                    assert!(sea_orm_record::is_retryable(&error), "{error}");
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        while !saving.is_finished() {
            let report = verify(story::Entity).exec(&db).await.unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
        saving.await.unwrap();
        assert_eq!(story::record::Entity::find().count(&db).await.unwrap() % 2, 0);
    }
}
