//! `RecordedTransaction`: reading what is about to be recorded, nesting, closures; and the context
//! of a unit of work.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use sea_orm::prelude::Uuid;
use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, IntoActiveModel, ModelTrait, PaginatorTrait, QueryOrder,
    Set, Statement, StreamTrait, TransactionError, TransactionTrait,
};
use sea_orm_record::{Context, Event, RecordedConnection, RecordedModel};

use crate::blog::{self, article, note, topic};
use crate::harness::each_database;

async fn count(db: &impl ConnectionTrait) -> u64 {
    note::record::Entity::find().count(db).await.unwrap()
}

fn set_text(note: &note::Model, text: &str) -> note::ActiveModel {
    note::ActiveModel {
        text: Set(text.to_owned()),
        ..note.clone().into_active_model()
    }
}

each_database! {
    async fn whoever_reads_records_in_a_transaction_reads_its_own(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let note = blog::note(&txn, "0").await;

        let found = note.find_related(note::record::Entity).all(&txn).await.unwrap();
        assert_eq!(found.len(), 1);
        set_text(&note, "1").update(&txn).await.unwrap();
        assert_eq!(note::record::Entity::find().all(&txn).await.unwrap().len(), 2);
        set_text(&note, "2").update(&txn).await.unwrap();
        assert_eq!(count(&txn).await, 3);
        set_text(&note, "3").update(&txn).await.unwrap();
        let page = note::record::Entity::find().order_by_desc(note::record::Column::RecordedAt);
        let page = page.paginate(&txn, 2).fetch_page(0).await.unwrap();
        assert_eq!(page.iter().map(|record| &*record.text).collect::<Vec<_>>(), ["3", "2"]);
        set_text(&note, "4").update(&txn).await.unwrap();
        let raw = Statement::from_string(db.get_database_backend(), "SELECT text FROM note_record");
        assert_eq!(txn.query_all_raw(raw.clone()).await.unwrap().len(), 5);
        set_text(&note, "5").update(&txn).await.unwrap();
        let stream = note::record::Entity::find().stream(&txn).await.unwrap();
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().len(), 6);
        set_text(&note, "6").update(&txn).await.unwrap();
        assert_eq!(txn.stream_raw(raw.clone()).await.unwrap().try_collect::<Vec<_>>().await.unwrap().len(), 7);
        set_text(&note, "7").update(&txn).await.unwrap();
        assert!(txn.query_one_raw(raw).await.unwrap().is_some());
        // In a savepoint, and joined to what is recorded.
        set_text(&note, "8").update(&txn).await.unwrap();
        let nested = txn.begin().await.unwrap();
        let both = note::Entity::find().find_with_related(note::record::Entity).all(&nested).await.unwrap();
        assert_eq!(both[0].1.len(), 9);
        nested.commit().await.unwrap();
        assert_eq!(count(&db.begin().await.unwrap()).await, 0);
        txn.commit().await.unwrap();
        assert_eq!(count(&db).await, 9);
    }

    async fn records_of_dependents_are_there_as_well(test: TestDb) {
        let db = test.connect().await;
        blog::create_tables(&db).await;
        let topic = blog::topic(&db, "t").await;
        blog::article(&db, &topic, "a").await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        let renamed = topic::ActiveModel { name: Set("u".to_owned()), ..topic.into_active_model() };
        renamed.update(&txn).await.unwrap();
        let records = article::record::Entity::find().order_by_asc(article::record::Column::RecordedAt);
        let records = records.all(&txn).await.unwrap();
        assert_eq!(records[1].headline, "u: a");
        txn.rollback().await.unwrap();
        assert_eq!(article::record::Entity::find().count(&db).await.unwrap(), 1);
    }

    async fn reading_anything_else_records_nothing_yet(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        blog::note(&txn, "0").await;
        counter.clear();
        note::Entity::find().all(&txn).await.unwrap();
        counter.assert(1);
        txn.commit().await.unwrap();
        assert_eq!(count(&db).await, 1);
    }

    async fn transactions_nest(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let txn = RecordedConnection::new(db.clone()).begin().await.unwrap();
        blog::note(&txn, "1").await;
        let second = txn.begin().await.unwrap();
        blog::note(&second, "2").await;
        let third = second.begin().await.unwrap();
        blog::note(&third, "3").await;
        third.commit().await.unwrap();
        let third = second.begin().await.unwrap();
        blog::note(&third, "not").await;
        third.rollback().await.unwrap();
        second.commit().await.unwrap();
        let second = txn.begin().await.unwrap();
        blog::note(&second, "not either").await;
        drop(second);
        blog::note(&txn, "4").await;
        txn.commit().await.unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordingId).all(&db).await.unwrap();
        assert_eq!(records.iter().map(|record| &*record.text).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
        assert_eq!(records.iter().map(|record| record.recorded_at).collect::<BTreeSet<_>>().len(), 1);
    }

    async fn closures_commit_or_roll_back(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let made = recorded.transaction::<_, _, DbErr>(|txn| Box::pin(async move { note::draft("boxed").insert(txn).await }));
        let made = made.await.unwrap();
        let text = "borrowed".to_owned();
        let changed = recorded
            .transaction_async(async |txn| set_text(&made, &text).update(txn).await)
            .await
            .unwrap();
        assert_eq!(changed.text, "borrowed");
        assert_eq!(count(&db).await, 2);

        let refused = recorded.transaction_async(async |txn| {
            set_text(&made, "refused").update(txn).await?;
            txn.flush().await?;
            Err::<(), _>(DbErr::Custom("no".to_owned()))
        });
        let refused = refused.await.unwrap_err();
        assert!(matches!(&refused, TransactionError::Transaction(DbErr::Custom(no)) if no == "no"), "{refused:?}");
        let refused = recorded.transaction::<_, (), DbErr>(|txn| Box::pin(async move {
            note::draft("refused").insert(txn).await?;
            Err(DbErr::Custom("no".to_owned()))
        }));
        refused.await.unwrap_err();
        assert_eq!(count(&db).await, 2);

        // Nested: the inner one is rolled back, the outer one goes on.
        recorded.transaction_async(async |txn| {
            let inner = txn.transaction_async(async |txn| {
                note::draft("inner").insert(txn).await?;
                Err::<(), _>(DbErr::Custom("no".to_owned()))
            });
            inner.await.unwrap_err();
            txn.transaction::<_, _, DbErr>(|txn| Box::pin(async move { note::draft("second").insert(txn).await })).await.unwrap();
            note::draft("outer").insert(txn).await
        }).await.unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordingId).all(&db).await.unwrap();
        let texts: Vec<_> = records.iter().map(|record| &*record.text).collect();
        assert_eq!(texts[2..], ["second", "outer"]);
    }

    async fn a_closure_whose_records_fail_says_so_as_a_connection_error(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        db.execute_unprepared("ALTER TABLE note_record RENAME TO note_away").await.unwrap();
        let recorded = RecordedConnection::new(db.clone());
        let failed = recorded.transaction_async(async |txn| note::draft("a").insert(txn).await).await.unwrap_err();
        let TransactionError::Connection(error) = failed else { panic!("{failed:?}") };
        assert!(sea_orm_record::RecordError::of(&error).unwrap().is_missing_table());
        assert_eq!(note::Entity::find().count(&db).await.unwrap(), 0);
    }

    async fn a_context_is_the_same_in_all_records_of_a_unit_and_its_own_in_the_next(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let nobody = RecordedConnection::new(db.clone());
        let metadata = serde_json::json!({ "ticket": 7, "b": [1, null], "a": "ü" });
        let alice = nobody.with_context(Context::actor("alice").reason("typo").metadata(metadata.clone()));

        // Units: two saves in a transaction, across a flush and a savepoint; two saves alone.
        let txn = alice.begin().await.unwrap();
        let first = blog::note(&txn, "0").await;
        txn.flush().await.unwrap();
        let nested = txn.begin().await.unwrap();
        blog::note(&nested, "1").await;
        nested.commit().await.unwrap();
        txn.commit().await.unwrap();
        blog::note(&alice, "2").await;
        set_text(&first, "3").update(&alice).await.unwrap();
        first.clone().delete(&alice).await.unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap();
        assert_eq!(records.len(), 5);
        for record in &records {
            assert_eq!(record.actor.as_deref(), Some("alice"), "{record:?}");
            assert_eq!(record.reason.as_deref(), Some("typo"), "{record:?}");
            assert_eq!(record.metadata, Some(metadata.clone()), "{record:?}");
        }
        let ids: Vec<_> = records.iter().map(|record| record.change_id.unwrap()).collect();
        assert_eq!(ids[0], ids[1]);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 4);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));

        // A change id of one's own, and the context of nobody, on a pool and in a plain transaction.
        let own = Uuid::from_u128(42);
        let imports = nobody.with_context(Context::new().change_id(own));
        blog::note(&imports, "4").await;
        blog::note(&imports, "5").await;
        blog::note(&nobody, "6").await;
        blog::note(&db, "7").await;
        let txn = db.begin().await.unwrap();
        blog::note(&txn, "8").await;
        txn.commit().await.unwrap();
        let records = note::record::Entity::find().order_by_asc(note::record::Column::RecordedAt).all(&db).await.unwrap();
        assert!(records[5..7].iter().all(|record| record.change_id == Some(own)));
        for record in &records[5..] {
            assert_eq!((&record.actor, &record.reason, &record.metadata), (&None, &None, &None), "{record:?}");
            assert!(record.change_id.is_some(), "{record:?}");
        }
    }

    async fn what_is_done_in_pieces_within_a_transaction_has_its_change_id(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        note::Entity::insert_many([note::draft("a"), note::draft("b")]).exec(&db).await.unwrap();
        let recorded = RecordedConnection::new(db.clone());
        let done = recorded.transaction_async(async |txn| {
            sea_orm_record::backfill(note::Entity).exec(txn).await?;
            blog::note(txn, "c").await;
            txn.flush().await?;
            note::Entity::update_many().col_expr(note::Column::Text, sea_orm::sea_query::Expr::value("d")).exec(txn).await?;
            sea_orm_record::verify(note::Entity).repair().exec(txn).await.map(drop)
        });
        done.await.unwrap();
        let records = note::record::Entity::find().all(&db).await.unwrap();
        let ids: BTreeSet<_> = records.iter().map(|record| record.change_id.unwrap()).collect();
        assert_eq!((records.len(), ids.len()), (6, 1));
    }

    async fn saves_through_the_trait_carry_the_context_too(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let alice = RecordedConnection::new(db.clone()).with_context(Context::actor("alice"));
        let note = sea_orm::ActiveModelTrait::insert(note::draft("0"), &alice).await.unwrap();
        sea_orm::ActiveModelTrait::update(set_text(&note, "1"), &alice).await.unwrap();
        ModelTrait::delete(note, &alice).await.unwrap();
        let records = note::record::Entity::find().all(&db).await.unwrap();
        assert_eq!(records.len(), 3);
        assert!(records.iter().all(|record| record.actor.as_deref() == Some("alice")));
    }

    async fn nothing_is_recorded_in_a_pause(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        blog::create_tables(&db).await;
        let recorded = RecordedConnection::new(db.clone());
        let paused = recorded.without_recording();
        let topic = blog::topic(&db, "t").await;
        let article = blog::article(&paused, &topic, "a").await;
        let note = blog::note(&paused, "0").await;
        set_text(&note, "1").update(&paused).await.unwrap();
        set_text(&note, "1").save(&paused).await.unwrap();
        set_text(&note, "1").update_without_returning(&paused).await.unwrap();
        sea_orm::ActiveModelTrait::update(set_text(&note, "2"), &paused).await.unwrap();
        let renamed = topic::ActiveModel { name: Set("u".to_owned()), ..topic.clone().into_active_model() };
        renamed.clone().update(&paused).await.unwrap();
        let txn = paused.begin().await.unwrap();
        set_text(&note, "3").update(&txn).await.unwrap();
        topic::ActiveModel { name: Set("v".to_owned()), ..renamed }.update(&txn).await.unwrap();
        txn.commit().await.unwrap();
        blog::note(&paused, "gone").await.delete(&paused).await.unwrap();
        assert_eq!(count(&db).await, 0);
        assert_eq!(article::record::Entity::find().count(&db).await.unwrap(), 0);
        // The next save tells where it stands.
        set_text(&note, "3").update(&recorded).await.unwrap();
        let records = note::record::Entity::find().all(&db).await.unwrap();
        assert_eq!((records.len(), &*records[0].text, records[0].event), (1, "3", Event::Updated));
        article.clone().into_active_model().save(&recorded).await.unwrap();
        let records = article::record::Entity::find().all(&db).await.unwrap();
        assert_eq!((records.len(), &*records[0].headline), (1, "v: a"));
    }
}

each_database! {
    async fn a_transaction_of_an_async_closure_can_be_spawned(test: TestDb) {
        let db = test.connect().await;
        blog::create_notes(&db).await;
        let note = blog::note(&db, "first").await;
        let recorded = RecordedConnection::new(db.clone());
        let row = note.clone();
        let spawned = tokio::spawn(async move {
            recorded.transaction_async(async |txn| {
                let mut am = row.clone().into_active_model();
                am.text = Set("second".to_owned());
                let row = am.update(txn).await?;
                txn.transaction_async(async |nested| {
                    let mut am = row.clone().into_active_model();
                    am.text = Set("third".to_owned());
                    sea_orm::ActiveModelTrait::update(am, nested).await
                }).await.map_err(|error| DbErr::Custom(error.to_string()))?;
                note::record::Entity::find().all(txn).await
            }).await
        });
        assert_eq!(spawned.await.unwrap().unwrap().len(), 2);
    }

    /// Two traits have it, and both may be in scope.
    async fn which_database_it_is_can_be_asked_with_every_trait_in_scope(test: TestDb) {
        #[allow(unused_imports)]
        use sea_orm::{ConnectionTrait, StreamTrait};
        let db = test.connect().await;
        let recorded = RecordedConnection::new(db.clone());
        let txn = recorded.begin().await.unwrap();
        assert_eq!(recorded.get_database_backend(), db.get_database_backend());
        assert_eq!(txn.get_database_backend(), db.get_database_backend());
    }

    /// What prepares statements can use them again: lists come in a few sizes, from 1 to 24 in nine.
    async fn transactions_of_many_sizes_share_their_statements(test: TestDb) {
        let (db, counter) = test.counted().await;
        blog::create_tables(&db).await;
        blog::create_notes(&db).await;
        let (mut notes, mut articles) = (Vec::new(), Vec::new());
        for at in 0..24 {
            let topic = blog::topic(&db, "0").await;
            articles.push((blog::article(&db, &topic, "a").await, topic));
            notes.push(blog::note(&db, &format!("{at}")).await);
        }
        let recorded = RecordedConnection::new(db.clone());
        counter.clear();
        for size in 1..=24 {
            let txn = recorded.begin().await.unwrap();
            for note in &notes[..size] {
                set_text(note, &format!("of {size}")).update(&txn).await.unwrap();
            }
            for (_, topic) in &articles[..size] {
                let name = Set(format!("of {size}"));
                topic::ActiveModel { name, ..topic.clone().into_active_model() }.update(&txn).await.unwrap();
            }
            txn.commit().await.unwrap();
        }
        for size in 1..=6 {
            let txn = recorded.begin().await.unwrap();
            for note in notes.drain(..size) {
                note.delete(&txn).await.unwrap();
            }
            txn.commit().await.unwrap();
        }
        let texts: BTreeSet<String> = counter.take_statements().into_iter().collect();
        for (beginning, most) in [
            ("INSERT INTO \"note_record\"", 9 + 5),
            ("INSERT INTO \"article_record\"", 9),
            ("SELECT \"article\".", 9),
        ] {
            let of_it = texts.iter().filter(|sql| sql.replace('`', "\"").starts_with(beginning));
            let count = of_it.count();
            assert!((1..=most).contains(&count), "{beginning}: {count}");
        }
        for (at, (article, _)) in articles.iter().enumerate() {
            assert_eq!(article.records().count(&db).await.unwrap(), 1 + 24 - at as u64);
        }
        // 21 of the notes were deleted.
        assert_eq!(count(&db).await, 24 + (1..=24).sum::<u64>() + 21);
    }
}
