//! Records in the order of rows and times, a page at a time.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{
    CaseStatement, Condition, Expr, ExprTrait, Order, Query, SelectStatement,
};
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityName, IdenStatic, Iterable, QueryResult};

use crate::by_keys::{beyond_columns, from_columns, record_key, record_key_names};
use crate::dialect::{Dialect, bind_time};
use crate::erased::Connection;
use crate::keys::{Key, untyped_key};
use crate::recorded::unread;
use crate::{ColumnOf, Event, RecordEntity, Recorded};

/// A record that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) key: Key,
    pub(super) at: DateTime<Utc>,
    pub(super) event: Event,
    /// Whether the user's condition marks it.
    pub(super) marked: bool,
    /// Whether it says the same as the record before it, where that was asked for.
    pub(super) repeats: bool,
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Start,
    /// After all records of a row.
    After(Key),
    /// After this record.
    Beyond(Key, DateTime<Utc>),
}

/// What to read.
#[derive(Debug)]
pub(super) struct Pages {
    /// Records before this time alone.
    pub(super) until: Option<DateTime<Utc>>,
    /// Records that the user marks.
    pub(super) marked: Option<Condition>,
    /// Whether neighbours are compared.
    pub(super) compares: bool,
    /// How many records are read at once: of each, its key, its time and its event.
    pub(super) size: usize,
}

impl Pages {
    /// The next records, and whether there may be more.
    pub(super) async fn read<E: Recorded>(
        &self,
        conn: Connection<'_>,
        place: &Place,
    ) -> Result<(Vec<Seen>, bool), DbErr> {
        let page = self.select::<E>(place);
        let page = match self.compares {
            true => compared::<E>(Dialect::of(&conn), page),
            false => page,
        };
        let rows = conn.query_all(&page).await.map_err(unread::<E::Record>)?;
        let names = record_key_names::<E::Record>();
        let seen = rows.iter().map(|row| self.seen::<E>(row, &names));
        let mut seen: Vec<Seen> = seen.collect::<Result<_, _>>()?;
        let full = seen.len() == self.size;
        if let (Place::Beyond(key, at), Some(first)) = (place, seen.first())
            && (&first.key, &first.at) == (key, at)
        {
            seen.remove(0);
        }
        Ok((seen, full))
    }

    fn seen<E: Recorded>(&self, row: &QueryResult, names: &[String]) -> Result<Seen, DbErr> {
        let is = |name: &str| Ok::<_, DbErr>(row.try_get::<i32>("", name)? == 1);
        Ok(Seen {
            key: untyped_key::<E>(row.try_get_many("", names)?),
            at: row.try_get("", E::Record::RECORDED_AT.as_str())?,
            event: row.try_get("", E::Record::EVENT.as_str())?,
            marked: is(MARKED)?,
            repeats: self.compares && is(REPEATS)?,
        })
    }

    fn select<E: Recorded>(&self, place: &Place) -> SelectStatement {
        let mut columns: Vec<_> = record_key::<E::Record>().collect();
        columns.push(E::Record::RECORDED_AT);
        let own = |column: ColumnOf<E::Record>| Expr::col((E::Record::default(), column));
        let mut page = Query::select();
        page.from(E::Record::default().table_ref());
        for column in &columns {
            // Compared pages are put in order by the key as it is.
            let selected = match self.compares {
                true => own(*column),
                false => column.select_as(own(*column)),
            };
            page.expr_as(selected, column.as_str());
            page.order_by_expr(own(*column), Order::Asc);
        }
        page.column((E::Record::default(), E::Record::EVENT));
        if self.compares {
            page.columns(compared_columns::<E>().map(|column| (E::Record::default(), column)));
        }
        page.expr_as(flag(self.marked.clone()), MARKED);
        page.limit(self.size as u64);
        let begin = match place {
            Place::Start => None,
            Place::After(key) => Some(beyond_columns(&columns[..columns.len() - 1], key)),
            Place::Beyond(key, at) => {
                let place: Key = key.iter().cloned().chain([bind_time(*at)]).collect();
                // The next one is compared with it.
                Some(match self.compares {
                    true => from_columns(&columns, &place),
                    false => beyond_columns(&columns, &place),
                })
            }
        };
        let before = |until: DateTime<Utc>| own(E::Record::RECORDED_AT).lt(bind_time(until));
        page.cond_where(
            Condition::all()
                .add_option(begin)
                .add_option(self.until.map(before)),
        );
        page
    }
}

// No column of a user's is called so.
const MARKED: &str = "sea_orm_record_marked";
const REPEATS: &str = "sea_orm_record_repeats";

/// 1 where a condition holds; neither where it does not nor where it is unknown.
fn flag(condition: Option<Condition>) -> Expr {
    match condition {
        Some(condition) => CaseStatement::new()
            .case(condition, Expr::cust("1"))
            .finally(Expr::cust("0"))
            .into(),
        None => Expr::cust("0"),
    }
}

/// A page, each record compared with the one before it as recording compares them.
fn compared<E: Recorded>(dialect: Dialect, page: SelectStatement) -> SelectStatement {
    let named = |name: &str| {
        let mut sql = dialect.sql();
        sql.column("page", name);
        sql.finish()
    };
    let keys = record_key_names::<E::Record>();
    let at = named(E::Record::RECORDED_AT.as_str());
    let partition: Vec<String> = keys.iter().map(|key| named(key)).collect();
    let over = format!("OVER (PARTITION BY {} ORDER BY {at})", partition.join(", "));
    let mut sql = dialect.sql();
    sql.push(&format!("CASE WHEN LAG({at}) {over} IS NOT NULL"));
    for column in compared_columns::<E>() {
        let value = named(column.as_str());
        let before = format!("LAG({value}) {over}");
        sql.push(" AND ");
        dialect.same(&mut sql, column.def().get_column_type(), &before, &value);
    }
    sql.push(" THEN 1 ELSE 0 END");
    let mut compared = Query::select();
    let standard = [
        E::Record::RECORDED_AT.as_str(),
        E::Record::EVENT.as_str(),
        MARKED,
    ];
    for key in record_key::<E::Record>() {
        let selected = key.select_as(Expr::col(("page", key)));
        compared.expr_as(selected, key.as_str());
    }
    compared.columns(standard.map(|name| ("page", name)));
    compared.expr_as(Expr::cust(sql.finish()), REPEATS);
    compared.from_subquery(page, "page");
    for name in keys.iter().map(String::as_str).chain([standard[0]]) {
        compared.order_by_expr(Expr::col(("page", name.to_owned())), Order::Asc);
    }
    compared
}

/// All that a record says of its row: also what is no longer recorded.
fn compared_columns<E: Recorded>() -> impl Iterator<Item = ColumnOf<E::Record>> {
    let context = E::Record::context().all().into_iter().flatten();
    let standard = [E::Record::RECORDED_AT, E::Record::EVENT];
    let others = E::Record::key().into_iter().map(|(_, column)| column);
    let others: Vec<&str> = others
        .chain(standard)
        .chain(context)
        .map(|column| column.as_str())
        .collect();
    ColumnOf::<E::Record>::iter().filter(move |column| !others.contains(&column.as_str()))
}
