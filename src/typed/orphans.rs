//! Rows that are gone though no record says so.

use sea_orm::sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, EntityName, IdenStatic};

use crate::by_keys::{beyond_columns, have, key_pairs};
use crate::keys::Key;
use crate::recorded::{ColumnOf, Recorded};
use crate::write::CHUNK;
use crate::{Event, RecordEntity};

/// Which records to look among for those of rows that are gone.
#[derive(Clone, Copy)]
pub(crate) enum Of<'k> {
    /// Those with keys after the first and up to the second, a chunk of them.
    Between(Option<&'k Key>, Option<&'k Key>),
    /// Those of these rows.
    Keys(&'k [Key]),
}

/// Latest records that are no deletions, of rows that are gone.
pub(super) fn orphans<E: Recorded>(of: Of<'_>) -> SelectStatement {
    let pairs = key_pairs::<E::Record>();
    let columns: Vec<_> = pairs.iter().map(|(_, record)| *record).collect();
    let own = |column: &ColumnOf<E::Record>| Expr::col((E::Record::default(), *column));
    let newer = |column: ColumnOf<E::Record>| Expr::col(("newer", column));
    let mut source = Query::select();
    source.expr(Expr::val(1)).from(E::default().table_ref());
    let mut newest = Query::select();
    // Not by MAX, for which MariaDB and MySQL would read all records of the row, as MySQL would to sort
    // them by the time alone.
    newest.expr(newer(E::Record::RECORDED_AT));
    newest.from_as(E::Record::default().table_ref(), "newer");
    for column in columns.iter().copied().chain([E::Record::RECORDED_AT]) {
        newest.order_by_expr(newer(column), Order::Desc);
    }
    newest.limit(1);
    for (key, record) in &pairs {
        source.and_where(Expr::col((E::default(), *key)).eq(own(record)));
        newest.and_where(newer(*record).eq(own(record)));
    }
    let (after, until, keys) = match of {
        Of::Between(after, until) => (after, until, None),
        Of::Keys(keys) => (None, None, Some(keys)),
    };
    let beyond = |key: &Key| beyond_columns(&columns, key);
    let mut select = Query::select();
    select.from(E::Record::default().table_ref());
    for column in &columns {
        select.expr_as(column.select_as(own(column)), column.as_str());
    }
    select.cond_where(
        Condition::all()
            .add_option(after.map(beyond))
            .add_option(until.map(|until| beyond(until).not()))
            .add_option(keys.map(|keys| have::<E::Record>(&columns, keys)))
            .add(E::Record::EVENT.is_not_in(Event::ENDINGS))
            .add(Expr::exists(source).not())
            .add(own(&E::Record::RECORDED_AT).eq(Expr::SubQuery(None, Box::new(newest.into())))),
    );
    for column in &columns {
        select.order_by_expr(own(column), Order::Asc);
    }
    select.limit(CHUNK as u64);
    select
}
