//! SeaORM's statements on a recorded entity that call no hooks.

use futures_util::TryStreamExt;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, Set, Statement,
    StreamTrait,
};

use crate::blog::note;
use crate::harness::is_mysql;

/// How many there are.
pub(super) const STATEMENTS: usize = 29;

/// The one that sets the text of a note, on any database.
pub(super) const UPDATE: usize = 6;

/// Each changes one note or makes one.
pub(super) async fn statement<C>(at: usize, id: i32, db: &C) -> Result<(), DbErr>
where
    C: ConnectionTrait + StreamTrait,
{
    match at {
        ..6 => insert(at, id, db).await,
        6..11 => update_or_delete(at, id, db).await,
        11..19 => returning(at, id, db).await,
        _ => by_hand(at, id, db).await,
    }
}

fn draft(at: usize) -> note::ActiveModel {
    note::draft(&format!("by {at}"))
}

async fn insert<C: ConnectionTrait>(at: usize, id: i32, db: &C) -> Result<(), DbErr> {
    let conflicting = || note::ActiveModel {
        id: Set(id),
        ..draft(at)
    };
    let on_id = || {
        OnConflict::column(note::Column::Id)
            .update_column(note::Column::Text)
            .to_owned()
    };
    match at {
        0 => {
            note::Entity::insert(draft(at)).exec(db).await?;
        }
        1 => {
            note::Entity::insert_many([draft(at)]).exec(db).await?;
        }
        2 => {
            let upsert = note::Entity::insert(conflicting()).on_conflict(on_id());
            upsert.exec_without_returning(db).await?;
        }
        3 => {
            let upsert = note::Entity::insert_many([conflicting()]).on_conflict(on_id());
            upsert.exec_without_returning(db).await?;
        }
        4 => {
            let insert = note::Entity::insert(draft(at)).on_conflict_do_nothing();
            insert.exec(db).await?;
        }
        _ => {
            let insert = note::Entity::insert(draft(at)).try_insert();
            insert.exec(db).await?;
        }
    }
    Ok(())
}

async fn update_or_delete<C: ConnectionTrait>(at: usize, id: i32, db: &C) -> Result<(), DbErr> {
    let changed = note::ActiveModel {
        id: Set(id),
        text: Set(format!("by {at}")),
        ..Default::default()
    };
    match at {
        6 => {
            let update = note::Entity::update_many().filter(note::Column::Id.eq(id));
            let text = Expr::value("by 6");
            update.col_expr(note::Column::Text, text).exec(db).await?;
        }
        7 => {
            note::Entity::update(changed).exec(db).await?;
        }
        8 => {
            let update = note::Entity::update(changed);
            update.exec_without_returning(db).await?;
        }
        9 => {
            note::Entity::delete(changed).exec(db).await?;
        }
        _ => {
            note::Entity::delete_by_id(id).exec(db).await?;
        }
    }
    Ok(())
}

/// Those that read what they wrote, where SeaORM can do that.
async fn returning<C: ConnectionTrait>(at: usize, id: i32, db: &C) -> Result<(), DbErr> {
    let reads = db.support_returning();
    let insert = || note::Entity::insert_many([draft(at)]);
    let update = || {
        let update = note::Entity::update_many().filter(note::Column::Id.eq(id));
        update.col_expr(note::Column::Text, Expr::value(format!("by {at}")))
    };
    let delete = || note::Entity::delete_many().filter(note::Column::Id.eq(id));
    match at {
        11 => {
            let insert = note::Entity::insert(draft(at));
            insert.exec_with_returning(db).await?;
        }
        12 if reads => {
            insert().exec_with_returning(db).await?;
        }
        13 if reads => {
            insert().exec_with_returning_keys(db).await?;
        }
        14 if reads => {
            let insert = note::Entity::insert(draft(at)).try_insert();
            insert.exec_with_returning_many(db).await?;
        }
        15 if reads => {
            let insert = note::Entity::insert(draft(at));
            let insert = insert.on_conflict_do_nothing_on([note::Column::Id]);
            insert.exec_with_returning(db).await?;
        }
        16 if reads => {
            update().exec_with_returning(db).await?;
        }
        17 if reads => {
            delete().exec_with_returning(db).await?;
        }
        18 if reads => {
            let delete = note::Entity::delete_by_id(id);
            delete.exec_with_returning(db).await?;
        }
        15 => {
            let insert = note::Entity::insert(draft(at));
            let insert = insert.on_conflict_do_nothing_on([note::Column::Id]);
            insert.exec(db).await?;
        }
        16 => {
            update().exec(db).await?;
        }
        17 | 18 => {
            delete().exec(db).await?;
        }
        _ => {
            insert().exec(db).await?;
        }
    }
    Ok(())
}

/// Statements of sea-query, and texts, whatever they are sent by.
async fn by_hand<C>(at: usize, id: i32, db: &C) -> Result<(), DbErr>
where
    C: ConnectionTrait + StreamTrait,
{
    let is_it = || Expr::col(note::Column::Id).eq(id);
    let mut delete = Query::delete();
    delete.from_table(note::Entity).and_where(is_it());
    delete.returning_all();
    // MariaDB has RETURNING here, though SeaORM does not know.
    let text =
        |text: String| Statement::from_string(ConnectionTrait::get_database_backend(db), text);
    let raw = || text(format!("DELETE FROM note WHERE id = {id} RETURNING *"));
    let lacks_returning = (20..28).contains(&at) && is_mysql(db).await;
    match if lacks_returning { STATEMENTS } else { at } {
        19 => {
            let mut update = Query::update();
            let set = update
                .table(note::Entity)
                .value(note::Column::Text, "by 19");
            db.execute(set.and_where(is_it())).await?;
        }
        20 => {
            db.query_one(&delete).await?;
        }
        21 => {
            let mut insert = Query::insert();
            let columns = [note::Column::Text, note::Column::Stars];
            insert.into_table(note::Entity).columns(columns);
            insert.values_panic(["by 21".into(), 0.into()]);
            db.query_all(insert.returning_all()).await?;
        }
        22 => {
            let found = note::Model::find_by_statement(raw()).one(db).await?;
            assert!(found.is_some());
        }
        23 => {
            let deleted = note::Entity::find().from_raw_sql(raw()).all(db).await?;
            assert_eq!(deleted.len(), 1);
        }
        24 => {
            let deleted = note::Entity::find().from_raw_sql(raw()).stream(db).await?;
            assert_eq!(deleted.try_collect::<Vec<_>>().await?.len(), 1);
        }
        25 => {
            let deleted = db.stream_raw(raw()).await?;
            assert_eq!(deleted.try_collect::<Vec<_>>().await?.len(), 1);
        }
        26 => {
            db.stream(&delete).await?.try_collect::<Vec<_>>().await?;
        }
        27 => {
            db.query_one_raw(raw()).await?;
        }
        _ => {
            let update = format!("UPDATE note SET text = 'raw' WHERE id = {id}");
            db.execute_raw(text(update)).await?;
        }
    }
    Ok(())
}
