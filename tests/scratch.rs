use crate::blog::article;
use crate::harness::*;
use crate::reading::*;
use chrono::*;
use sea_orm::entity::prelude::*;
use sea_orm::*;
use sea_orm_record::prelude::*;
use std::time::Instant;

each_database! {
    async fn scratch(test: TestDb) -> TestResult {
        let db = record_table(&test).await;
        let now = Utc::now();
        let all: Vec<_> = (0..200_000).map(|n| record(1, now - TimeDelta::seconds(60 * n))).collect();
        let t = Instant::now();
        insert_records(&db, &all).await;
        println!("{:?} inserted {:?}", test.engine(), t.elapsed());
        if test.engine() == Engine::Postgres { db.execute_unprepared("ANALYZE article_record").await?; }
        for (name, s) in [("one row", article::Entity::records_of(1)), ("entity", article::Entity::records())] {
            for _ in 0..2 {
                let t = Instant::now();
                let n = s.clone().created_in_days(7).resample("1h")?.all(&db).await?.len();
                println!("{:?} {name} 7 days 1h: {n} {:?}", test.engine(), t.elapsed());
            }
            let t = Instant::now();
            let n = s.clone().resample("1h")?.all(&db).await?.len();
            println!("{:?} {name} all 1h: {n} {:?}", test.engine(), t.elapsed());
            let t = Instant::now();
            let n = s.clone().resample("1D")?.all(&db).await?.len();
            println!("{:?} {name} all 1D: {n} {:?}", test.engine(), t.elapsed());
        }
        let mut two = all; two.truncate(100_000); two.iter_mut().for_each(|r| r.recording_id = 2);
        insert_records(&db, &two).await;
        for _ in 0..2 {
        let t = Instant::now();
        let n = article::Entity::records().created_in_days(7).resample("1h")?.all(&db).await?.len();
        println!("{:?} two rows 7 days 1h: {n} {:?}", test.engine(), t.elapsed());
        }
        use article::record::Column;
        let both = || article::Entity::records().filter(Column::RecordingId.is_in([1, 2]));
        for (name, s) in [("7 days", both().created_in_days(7)), ("all", both())] {
            let t = Instant::now();
            let r = tokio::time::timeout(std::time::Duration::from_secs(60), s.resample("1h")?.all(&db)).await.map(|n| n.unwrap().len());
            println!("{:?} is_in two rows {name} 1h: {r:?} {:?}", test.engine(), t.elapsed());
        }
        let t = Instant::now();
        let n = article::Entity::records().resample("1h")?.all(&db).await?.len();
        println!("{:?} two rows 1h: {n} {:?}", test.engine(), t.elapsed());
        Ok(())
    }
}
