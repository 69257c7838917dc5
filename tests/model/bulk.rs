//! Operations on many rows, and raw SQL within a capture.

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect, Set};
use sea_orm_record::{delete_many, insert_many, update_many, upsert_many};

use super::operations::{Doer, Place};
use super::program::{Kind, Operation};
use super::state::{Article, Own};
use super::tables::{article, topic};

/// A row's key, read under a lock.
pub async fn locked<C: Place>(id: i32, db: &C) -> Result<i32, DbErr> {
    let row = article::Entity::find_by_id(id)
        .lock_exclusive()
        .one(db)
        .await?;
    Ok(row.expect("a landmark stays").id)
}

pub async fn run<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    match operation.kind {
        Kind::InsertMany => insert(doer, operation, own).await,
        Kind::UpdateMany => update(doer, operation, own).await,
        Kind::DeleteMany => delete(doer, operation, own).await,
        Kind::UpsertMany => upsert(doer, operation, own).await,
        Kind::Capture => capture(doer, operation, own).await,
        _ => of_all(doer, operation, own).await,
    }
}

async fn insert<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    let mut articles = Vec::new();
    for _ in 0..2 + operation.b % 20 {
        let topic = Some(doer.shared.topic(operation.a)).filter(|_| !operation.b.is_multiple_of(4));
        articles.push(Article {
            topic,
            ..doer.draft(own)
        });
    }
    let rows: Vec<_> = articles
        .iter()
        .map(|article| doer.active(article))
        .collect();
    let ids = insert_many(rows, doer.db).await?;
    own.articles.extend(ids.into_iter().zip(articles));
    Ok(())
}

/// Some articles of its own, and a condition that names them.
fn some(operation: Operation, own: &Own) -> Vec<i32> {
    let from = operation.a as usize % own.articles.len().max(1);
    let count = 1 + operation.b as usize % 4;
    own.articles
        .keys()
        .skip(from)
        .take(count)
        .copied()
        .collect()
}

async fn update<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    let ids = some(operation, own);
    if ids.is_empty() {
        return own.idles();
    }
    let (title, topic) = (own.say(doer.shared), doer.shared.topic(operation.b));
    update_many(article::Entity)
        .col_expr(article::Column::Title, Expr::value(title.clone()))
        .col_expr(article::Column::TopicId, Expr::value(topic))
        .filter(article::Column::Id.is_in(ids.clone()))
        .exec(doer.db)
        .await?;
    for id in ids {
        own.edit(id, |article| {
            (article.title, article.topic) = (title.clone(), Some(topic))
        });
    }
    Ok(())
}

async fn delete<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    let ids = some(operation, own);
    if ids.is_empty() {
        return own.idles();
    }
    let filter = article::Column::Id.is_in(ids.clone());
    delete_many(article::Entity)
        .filter(filter)
        .exec(doer.db)
        .await?;
    ids.into_iter().for_each(|id| own.lose(id));
    Ok(())
}

/// Some that are there, and a new one.
async fn upsert<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    let new = doer.draft(own);
    let mut written = Vec::new();
    for id in some(operation, own) {
        let title = own.say(doer.shared);
        written.push((
            Some(id),
            Article {
                title,
                ..own.articles[&id].clone()
            },
        ));
    }
    written.push((None, new));
    let rows: Vec<_> = written
        .iter()
        .map(|(_, article)| doer.active(article))
        .collect();
    let conflict = [article::Column::Code];
    let mut ids = upsert_many(rows, conflict, |conflict| {
        conflict.update_column(article::Column::Title)
    })
    .exec(doer.db)
    .await?;
    ids.retain(|id| !written.iter().any(|(known, _)| *known == Some(*id)));
    assert_eq!(ids.len(), 1, "the new one");
    for (known, article) in written {
        own.articles.insert(known.unwrap_or(ids[0]), article);
    }
    Ok(())
}

/// One is renamed by raw SQL, another deleted.
async fn capture<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    let ids = some(operation, own);
    let Some(first) = ids.first().copied() else {
        return own.idles();
    };
    let last = ids.last().copied().filter(|last| *last != first);
    let title = own.say(doer.shared);
    let mut sql = vec![format!(
        "UPDATE model_article SET title = '{title}' WHERE id = {first}"
    )];
    sql.extend(last.map(|last| format!("DELETE FROM model_article WHERE id = {last}")));
    // Also who sees the one that goes: the database cuts them loose.
    let seen = |article: &Article| last.is_some() && article.see == last;
    let seeing = own
        .articles
        .iter()
        .filter(|(_, article)| seen(article))
        .map(|(id, _)| *id);
    let all: Vec<i32> = ids.iter().copied().chain(seeing).collect();
    let select = article::Entity::find().filter(article::Column::Id.is_in(all));
    if doer.db.raw(select, sql).await? {
        own.edit(first, |article| article.title = title);
        last.into_iter().for_each(|last| own.lose(last));
        return Ok(());
    }
    own.idles()
}

/// What all tasks write.
async fn of_all<C: Place>(
    doer: &Doer<'_, C>,
    operation: Operation,
    own: &mut Own,
) -> Result<(), DbErr> {
    let (shared, db) = (doer.shared, doer.db);
    match operation.kind {
        Kind::RenameTopics => {
            let name = own.say(shared);
            update_many(topic::Entity)
                .col_expr(topic::Column::Name, Expr::value(name))
                .filter(topic::Column::Id.is_in(shared.topics.clone()))
                .exec(db)
                .await?;
        }
        Kind::StarsOfATopic => {
            let stars = own.say_number(shared);
            update_many(article::Entity)
                .col_expr(article::Column::Stars, Expr::value(stars))
                .filter(article::Column::TopicId.eq(shared.topic(operation.a)))
                .exec(db)
                .await?;
        }
        Kind::CaptureStars => {
            let stars = own.say_number(shared);
            let topic = shared.topic(operation.a);
            let sql = format!("UPDATE model_article SET stars = {stars} WHERE topic_id = {topic}");
            let select = article::Entity::find().filter(article::Column::TopicId.eq(topic));
            if !db.raw(select.lock_exclusive(), vec![sql]).await? {
                return own.idles();
            }
        }
        _ => {
            let title = own.say(shared);
            let row = |(_, code): &(i32, String)| article::ActiveModel {
                code: Set(code.clone()),
                owner: Set(0),
                title: Set(title.clone()),
                stars: Set(None),
                topic_id: Set(None),
                see_id: Set(None),
                ..Default::default()
            };
            let rows: Vec<_> = shared.landmarks.iter().map(row).collect();
            let conflict = [article::Column::Code];
            upsert_many(rows, conflict, |conflict| {
                conflict.update_column(article::Column::Title)
            })
            .exec(db)
            .await?;
        }
    }
    Ok(())
}
