//! Generic code, which adding hooks must not break.

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ConnectionTrait, DatabaseConnection,
    DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, ModelTrait, Set, TransactionTrait,
};
use sea_orm_record::{RecordedConnection, RecordedTransaction};

use super::hooks::with_async_trait as note;

/// A repository that knows SeaORM's traits alone.
pub async fn save_any<A, C>(am: A, db: &C) -> Result<<A::Entity as EntityTrait>::Model, DbErr>
where
    A: ActiveModelTrait + ActiveModelBehavior + Send,
    <A::Entity as EntityTrait>::Model: IntoActiveModel<A>,
    C: ConnectionTrait,
{
    am.insert(db).await
}

pub async fn delete_any<M, A, C>(model: M, db: &C) -> Result<u64, DbErr>
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait<Entity = M::Entity> + ActiveModelBehavior + Send,
    C: ConnectionTrait,
{
    Ok(model.delete(db).await?.rows_affected)
}

/// Code that knows the entity, and takes any connection.
pub async fn save_one<C: ConnectionTrait>(title: &str, db: &C) -> Result<note::Model, DbErr> {
    let am = note::ActiveModel {
        title: Set(title.to_owned()),
        ..Default::default()
    };
    let saved = am.insert(db).await?;
    let mut am = saved.into_active_model();
    am.title = Set(format!("{title}, twice"));
    let saved = am.update(db).await?;
    let again = saved.clone().into_active_model().save(db).await?;
    again.update_without_returning(db).await?;
    Ok(saved)
}

pub async fn delete_one(model: note::Model, db: &impl ConnectionTrait) -> Result<u64, DbErr> {
    let by_model = model.clone().delete(db).await?.rows_affected;
    let by_active_model = model.into_active_model().delete(db).await?.rows_affected;
    Ok(by_model + by_active_model)
}

pub async fn in_transaction<T: TransactionTrait>(db: &T) -> Result<(), DbErr> {
    let txn = db.begin().await?;
    save_one("in a transaction", &txn).await?;
    sea_orm::TransactionSession::commit(txn).await
}

fn assert_send<T: Send>(future: T) -> T {
    future
}

pub async fn every_connection(
    pool: &DatabaseConnection,
    txn: &DatabaseTransaction,
    recorded: &RecordedConnection,
    gathering: &RecordedTransaction,
) -> Result<(), DbErr> {
    assert_send(save_one("a", pool)).await?;
    assert_send(save_one("a", txn)).await?;
    assert_send(save_one("a", recorded)).await?;
    assert_send(save_one("a", gathering)).await?;
    assert_send(save_any(note::ActiveModel::new(), pool)).await?;
    assert_send(save_any(note::ActiveModel::new(), gathering)).await?;
    assert_send(in_transaction(recorded)).await
}
