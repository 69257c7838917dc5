use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel, QueryOrder, TransactionTrait};
use sea_orm_record::{Event, RecordedConnection};

use crate::blog::{article, create_tables, topic};
use crate::harness::{TestDb, each_database};

async fn all(db: &impl sea_orm::ConnectionTrait) -> Vec<article::record::Model> {
    article::record::Entity::find().order_by_asc(article::record::Column::RecordedAt).all(db).await.unwrap()
}

each_database! {
    async fn smoke(test: TestDb) {
        let (db, counter) = test.counted().await;
        create_tables(&db).await;
        let t = topic::ActiveModel { name: Set("Rust".into()), ..Default::default() }.insert(&db).await.unwrap();
        counter.clear();
        let a = article::ActiveModel { topic_id: Set(t.id), title: Set("One".into()), text: Set("a b c".into()), views: Set(0), ..Default::default() }.insert(&db).await.unwrap();
        println!("insert: {:#?}", counter.take_statements());
        let mut am = a.clone().into_active_model();
        am.title = Set("Two".into());
        let a = am.update(&db).await.unwrap();
        println!("update: {:#?}", counter.take_statements());
        let mut am = t.clone().into_active_model();
        am.name = Set("Rust!".into());
        let t = am.update(&db).await.unwrap();
        println!("rename: {:#?}", counter.take_statements());
        let mut am = a.clone().into_active_model();
        am.views = Set(5);
        let a = am.update(&db).await.unwrap();
        println!("nothing: {:#?}", counter.take_statements());
        assert_eq!(all(&db).await.iter().map(|r| (r.event, r.headline.clone(), r.word_count)).collect::<Vec<_>>(), [
            (Event::Created, "Rust: One".into(), 3), (Event::Updated, "Rust: Two".into(), 3), (Event::Related, "Rust!: Two".into(), 3)]);
        let rdb = RecordedConnection::new(db.clone());
        let txn = rdb.begin().await.unwrap();
        counter.clear();
        for i in 0..10 {
            let mut am = a.clone().into_active_model();
            am.title = Set(format!("Title {i}"));
            am.update(&txn).await.unwrap();
        }
        let b = article::ActiveModel { topic_id: Set(t.id), title: Set("B".into()), text: Set("x".into()), views: Set(0), ..Default::default() }.insert(&txn).await.unwrap();
        println!("gathered: {:#?}", counter.take_statements());
        txn.commit().await.unwrap();
        println!("commit: {:#?}", counter.take_statements());
        assert_eq!(all(&db).await.len(), 5);
        counter.clear();
        a.delete(&db).await.unwrap();
        println!("delete: {:#?}", counter.take_statements());
        b.delete(&rdb).await.unwrap();
        let rows = all(&db).await;
        assert_eq!(rows.len(), 7);
        assert_eq!(rows[6].event, Event::Deleted);
        assert_eq!(rows[6].title, "B");
    }
}
