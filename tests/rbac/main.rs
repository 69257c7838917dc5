//! SeaORM's role-based access control beneath recording; run with `--features rbac`.
//!
//! A binary of its own: the feature changes SeaORM, and the suite need not be built again for it.
#![allow(dead_code, reason = "the entities are the suite's")]

#[path = "../blog/mod.rs"]
mod blog;
#[path = "../harness/mod.rs"]
mod harness;

use sea_orm::rbac::{RbacContext, RbacUserId};
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait, IntoActiveModel, TransactionTrait};
use sea_orm_record::{Event, RecordQuery, RecordedModel};

use crate::blog::{article, create_tables, topic};
use crate::harness::{TestResult, each_database};

async fn set_up(db: &sea_orm::DatabaseConnection) -> Result<(), DbErr> {
    create_tables(db).await;
    sea_orm::rbac::schema::create_tables(db, Default::default()).await?;
    let mut context = RbacContext::load(db).await?;
    context
        .add_tables(db, &["topic", "article", "article_record", "*"])
        .await?;
    context.add_crud_permissions(db).await?;
    context.add_roles(db, &["writer", "editor"]).await?;
    context
        .assign_user_role(db, &[(1, "writer"), (2, "editor")])
        .await?;
    for role in ["writer", "editor"] {
        context
            .add_role_permissions(db, role, &["select"], &["*"])
            .await?;
        context
            .add_role_permissions(db, role, &["insert", "update"], &["topic", "article"])
            .await?;
    }
    context
        .add_role_permissions(db, "writer", &["insert"], &["article_record"])
        .await?;
    db.load_rbac().await
}

fn article_of(topic: &topic::Model) -> article::ActiveModel {
    article::ActiveModel {
        topic_id: Set(topic.id),
        title: Set("Hello".to_owned()),
        text: Set("one two".to_owned()),
        views: Set(0),
        ..Default::default()
    }
}

each_database! {
    async fn a_restricted_connection_records_what_its_user_may_write(test: TestDb) -> TestResult {
        let db = test.connect().await;
        set_up(&db).await?;
        let writer = db.restricted_for(RbacUserId(1))?;

        let topic = topic::ActiveModel { name: Set("Rust".to_owned()), ..Default::default() };
        let topic = topic.insert(&writer).await?;
        let article = article_of(&topic).insert(&writer).await?;
        let mut renamed = topic.into_active_model();
        renamed.name = Set("SQL".to_owned());
        renamed.update(&writer).await?;

        let records = article.records().all(&db).await?;
        assert_eq!(records.len(), 2);
        assert!(records.iter().any(|record| record.event == Event::Related));

        let txn = writer.begin().await?;
        let mut edited = article.clone().into_active_model();
        edited.title = Set("In a transaction".to_owned());
        edited.update(&txn).await?;
        txn.commit().await?;
        let latest = article.records().latest().one(&db).await?.unwrap();
        assert_eq!((latest.event, latest.title.as_str()), (Event::Updated, "In a transaction"));
        Ok(())
    }

    async fn a_user_who_may_not_write_records_saves_nothing(test: TestDb) -> TestResult {
        let db = test.connect().await;
        set_up(&db).await?;
        let editor = db.restricted_for(RbacUserId(2))?;

        let topic = topic::ActiveModel { name: Set("Rust".to_owned()), ..Default::default() };
        let topic = topic.insert(&editor).await?;
        let refused = article_of(&topic).insert(&editor).await.unwrap_err();

        assert!(refused.to_string().contains("article_record"), "{refused}");
        assert!(article::Entity::find().all(&db).await?.is_empty());
        Ok(())
    }
}
