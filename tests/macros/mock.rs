//! What SeaORM's `MockDatabase` must be fed, on PostgreSQL.

use sea_orm::{
    ActiveValue::Set, DatabaseConnection, DbBackend, IntoActiveModel, MockDatabase, MockExecResult,
    TransactionTrait,
};
use sea_orm_record::RecordedConnection;

use super::hooks::guarded;
use super::hooks::watching::{article, author};
use crate::blog::plain::hooked;

const ONE: MockExecResult = MockExecResult {
    last_insert_id: 0,
    rows_affected: 1,
};

fn statements(db: DatabaseConnection) -> Vec<Vec<String>> {
    let log = db.into_transaction_log().into_iter();
    log.map(|transaction| {
        let statements = transaction.statements().iter();
        statements
            .map(|statement| beginning(&statement.sql))
            .collect()
    })
    .collect()
}

fn beginning(sql: &str) -> String {
    let words = sql.split_whitespace().filter(|word| *word != "FROM");
    let words: Vec<_> = words
        .take(if sql.starts_with("SELECT") { 1 } else { 3 })
        .collect();
    match sql.contains(" FOR ") {
        true => format!("{}, locking", words.join(" ")),
        false => words.join(" "),
    }
}

fn row(id: i32) -> guarded::Model {
    guarded::Model {
        id,
        title: "Rust".to_owned(),
        calls: String::new(),
    }
}

fn inserted() -> guarded::ActiveModel {
    guarded::ActiveModel {
        title: Set("Rust".to_owned()),
        calls: Set(String::new()),
        ..Default::default()
    }
}

fn ann() -> author::Model {
    author::Model {
        id: 1,
        name: "Ann".to_owned(),
    }
}

fn one() -> article::Model {
    article::Model {
        id: 7,
        title: "One".to_owned(),
        author_id: 1,
    }
}

/// A row for the save, and a result for the record.
#[tokio::test]
async fn an_insert_takes_one_row_and_one_result() {
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_query_results([[row(1)]])
        .append_exec_results([ONE])
        .into_connection();
    assert_eq!(inserted().insert(&db).await.unwrap().id, 1);
    assert_eq!(
        statements(db),
        [[
            "BEGIN",
            "INSERT INTO \"m_guarded\"",
            "INSERT INTO \"m_guarded_record\"",
            "COMMIT"
        ]]
    );
}

#[tokio::test]
async fn an_update_takes_one_row_and_one_result() {
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_query_results([[row(1)]])
        .append_exec_results([ONE])
        .into_connection();
    let mut am = row(1).into_active_model();
    am.title = Set("changed".to_owned());
    am.update(&db).await.unwrap();
    assert_eq!(
        statements(db),
        [[
            "BEGIN",
            "UPDATE \"m_guarded\" SET",
            "INSERT INTO \"m_guarded_record\"",
            "COMMIT"
        ]]
    );
}

/// A result for the save, and a result for the record.
#[tokio::test]
async fn a_delete_takes_two_results() {
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_exec_results([ONE, ONE])
        .into_connection();
    assert_eq!(row(1).delete(&db).await.unwrap().rows_affected, 1);
    assert_eq!(
        statements(db)[0][1..3],
        [
            "DELETE \"m_guarded\" WHERE",
            "INSERT INTO \"m_guarded_record\""
        ]
    );
}

/// A row for each save, and one result at the commit.
#[tokio::test]
async fn a_gathering_transaction_takes_a_row_for_each_save_and_one_result() {
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_query_results([[row(1)], [row(2)]])
        .append_exec_results([ONE])
        .into_connection();
    let recorded = RecordedConnection::new(db.clone());
    let txn = recorded.begin().await.unwrap();
    inserted().insert(&txn).await.unwrap();
    inserted().insert(&txn).await.unwrap();
    txn.commit().await.unwrap();
    drop(recorded);
    assert_eq!(
        statements(db)[0][1..],
        [
            "INSERT INTO \"m_guarded\"",
            "INSERT INTO \"m_guarded\"",
            "INSERT INTO \"m_guarded_record\"",
            "COMMIT"
        ]
    );
}

/// A row for the save, the lock on what is watched, what the closure reads, and a result for the
/// record.
#[tokio::test]
async fn an_insert_that_watches_takes_its_lock_and_what_the_closure_reads_as_well() {
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_query_results([[one()]])
        .append_query_results([Vec::<author::Model>::new()])
        .append_query_results([[ann()]])
        .append_exec_results([ONE])
        .into_connection();
    let am = article::ActiveModel {
        title: Set("One".to_owned()),
        author_id: Set(1),
        ..Default::default()
    };
    assert_eq!(am.insert(&db).await.unwrap(), one());
    assert_eq!(
        statements(db)[0][1..],
        [
            "INSERT INTO \"m_article\"",
            "SELECT, locking",
            "SELECT",
            "INSERT INTO \"m_article_record\"",
            "COMMIT"
        ]
    );
}

/// A row for the save, a result for its own record, the dependents, what their closure reads, and
/// a result for their records.
#[tokio::test]
async fn an_update_of_what_is_watched_takes_its_dependents_as_well() {
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_query_results([[ann()]])
        .append_query_results([[one()]])
        .append_query_results([[ann()]])
        .append_exec_results([ONE, ONE])
        .into_connection();
    let mut am = ann().into_active_model();
    am.name = Set("Anna".to_owned());
    am.update(&db).await.unwrap();
    assert_eq!(
        statements(db)[0][1..],
        [
            "UPDATE \"m_author\" SET",
            "INSERT INTO \"m_author_record\"",
            "SELECT, locking",
            "SELECT",
            "INSERT INTO \"m_article_record\"",
            "COMMIT"
        ]
    );
}

/// Of an entity with hooks that is neither recorded nor watched each save is its one statement, as
/// without hooks.
#[tokio::test]
async fn hooks_of_an_idle_entity_open_no_transaction() {
    let row = hooked::Model {
        id: 1,
        text: "a".to_owned(),
        stars: 0,
    };
    let db = MockDatabase::new(DbBackend::Postgres)
        .append_query_results([[row.clone()], [row.clone()], [row.clone()]])
        .append_exec_results([ONE, ONE])
        .into_connection();
    let draft = hooked::ActiveModel {
        text: Set("a".to_owned()),
        stars: Set(0),
        ..Default::default()
    };
    let changed = hooked::ActiveModel {
        text: Set("b".to_owned()),
        ..row.clone().into_active_model()
    };
    draft.clone().insert(&db).await.unwrap();
    draft.save(&db).await.unwrap();
    changed.clone().update(&db).await.unwrap();
    changed.update_without_returning(&db).await.unwrap();
    row.delete(&db).await.unwrap();
    assert_eq!(
        statements(db),
        [
            ["INSERT INTO \"hooked_note\""],
            ["INSERT INTO \"hooked_note\""],
            ["UPDATE \"hooked_note\" SET"],
            ["UPDATE \"hooked_note\" SET"],
            ["DELETE \"hooked_note\" WHERE"]
        ]
    );
}
