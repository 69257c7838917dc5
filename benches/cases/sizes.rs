//! Transactions of many sizes, as a program has them: what is prepared for one size serves no other.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryOrder, Set, TransactionTrait};
use sea_orm_record::RecordedConnection;

use crate::Result;
use crate::entities::{note, plain};
use crate::harness::{Bench, timed};
use crate::tables::{count, fill_note_records, fill_notes, recreate, recreate_records, settle};

#[derive(Clone, Copy)]
enum Way {
    Plain,
    /// Recorded, in transactions of as many sizes as there are transactions.
    Varied,
    /// As many updates in as many transactions, all of one size.
    Even,
}

pub async fn run(bench: &mut Bench<'_>) -> Result<()> {
    let most = bench.size(120, 20);
    let ways = [
        ("not recorded", Way::Plain),
        ("of many sizes", Way::Varied),
        ("of one size", Way::Even),
    ];
    let [plain, varied, even] = bench
        .alternate(ways, async |way| update(bench, way, most).await)
        .await?;
    bench.promise(&varied, &even, 1.15);
    bench.compare(&varied, &plain);
    bench.compare(&even, &plain);
    Ok(())
}

/// From two rows to `most`, in an order in which no size follows its neighbour.
fn sizes(way: Way, most: usize) -> impl Iterator<Item = usize> {
    (0..most - 1).map(move |at| match way {
        Way::Even => most / 2 + 1,
        _ => 2 + at * 61 % (most - 1),
    })
}

macro_rules! update {
    ($entity:ident, $bench:expr, $db:expr, $way:expr, $most:expr) => {{
        let rows = $entity::Entity::find()
            .order_by_asc($entity::Column::Id)
            .all(&$bench.db)
            .await?;
        timed(async {
            for (round, size) in sizes($way, $most).enumerate() {
                let txn = $db.begin().await?;
                for row in &rows[..size] {
                    let mut row = row.clone().into_active_model();
                    row.title = Set(format!("title {round}"));
                    row.update(&txn).await?;
                }
                txn.commit().await?;
            }
            Ok(())
        })
        .await?
        .0
    }};
}

async fn update(bench: &Bench<'_>, way: Way, most: usize) -> Result<Duration> {
    let db = &bench.db;
    // PostgreSQL reads a table of a few pages from end to end, and keeps that plan as it grows.
    let rows = most * 10;
    if let Way::Plain = way {
        recreate(bench, plain::Entity).await?;
        fill_notes(bench, "plain", rows).await?;
        settle(bench, &["plain"]).await?;
        return Ok(update!(plain, bench, db, way, most));
    }
    recreate(bench, note::Entity).await?;
    fill_notes(bench, "note", rows).await?;
    recreate_records(bench, note::record::Entity).await?;
    fill_note_records(bench, "note", "note_record", &[]).await?;
    settle(bench, &["note", "note_record"]).await?;
    let recorded = RecordedConnection::new(db.clone());
    let time = update!(note, bench, recorded, way, most);
    let updates: usize = sizes(way, most).sum();
    assert_eq!(count(bench, "note_record").await?, rows + updates);
    Ok(time)
}
