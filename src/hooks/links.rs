//! The links of a many-to-many that a cascading delete clears.

use sea_orm::sea_query::Condition;
use sea_orm::{
    ActiveValue, ConnectionTrait, DbErr, DeleteResult, EntityTrait, Identity, Related,
    RelatedSelfVia, Value,
};

use crate::bulk::delete_many;
use crate::by_keys::have;
use crate::keys::Key;
use crate::listen::names;
use crate::recorded::{column_named, table_name};

/// SeaORM's `delete_links`, recorded: deletes the rows of the junction `J` that tie a row of `E` to
/// others.
///
/// `ActiveModelEx` calls a method of that name when it deletes a row, before the hooks of that row
/// see it and without those of the junction. `#[record_hooks]` gives it an inherent one that calls
/// this; where the hooks are written by hand, so is that method. `get` is the row's
/// `ActiveModelTrait::get`.
///
/// ```
/// # use sea_orm::entity::prelude::*;
/// # #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
/// # #[sea_orm(table_name = "tag")]
/// # pub struct Model { #[sea_orm(primary_key)] pub id: i32 }
/// # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {}
/// # type ActiveModelEx = ActiveModel;
/// use sea_orm::{DeleteResult, Related};
/// use sea_orm_record::hooks;
///
/// impl ActiveModelEx {
///     pub async fn delete_links<J, C>(&self, _: J, db: &C) -> Result<DeleteResult, DbErr>
///     where
///         J: EntityTrait<Model: Sync> + Related<Entity>,
///         C: ConnectionTrait,
///     {
///         hooks::delete_links::<J, Entity, C>(|column| self.get(column), db).await
///     }
/// }
/// # fn main() {}
/// ```
///
/// # Errors
///
/// Those of [`delete_many`], and `DbErr::AttrNotSet` where the row lacks its key.
pub async fn delete_links<J, E, C>(
    get: impl Fn(E::Column) -> ActiveValue<Value> + Send,
    db: &C,
) -> Result<DeleteResult, DbErr>
where
    J: EntityTrait<Model: Sync> + Related<E>,
    E: EntityTrait,
    C: ConnectionTrait,
{
    let link = <J as Related<E>>::to();
    let links = linked::<J, E>(&link.from_col, &link.to_col, &get)?;
    delete_many(J::default()).filter(links).exec(db).await
}

/// The same for a junction that ties rows of `E` to each other: SeaORM's `delete_links_self`.
///
/// # Errors
///
/// Those of [`delete_links`].
pub async fn delete_links_self<J, E, C>(
    get: impl Fn(E::Column) -> ActiveValue<Value> + Send,
    db: &C,
) -> Result<DeleteResult, DbErr>
where
    J: EntityTrait<Model: Sync>,
    E: EntityTrait + RelatedSelfVia<J>,
    C: ConnectionTrait,
{
    let (left, right) = (E::via().rev(), E::to());
    let links = Condition::any()
        .add(linked::<J, E>(&left.from_col, &left.to_col, &get)?)
        .add(linked::<J, E>(&right.from_col, &right.to_col, &get)?);
    delete_many(J::default()).filter(links).exec(db).await
}

/// The rows of the junction whose columns `from` hold what the row has in `to`.
fn linked<J, E>(
    from: &Identity,
    to: &Identity,
    get: impl Fn(E::Column) -> ActiveValue<Value>,
) -> Result<Condition, DbErr>
where
    J: EntityTrait,
    E: EntityTrait,
{
    let columns = names(from).into_iter().map(known::<J>);
    let columns: Vec<J::Column> = columns.collect::<Result<_, _>>()?;
    let value = |column: String| {
        let unset = || DbErr::AttrNotSet(format!("{}.{column}", table_name::<E>()));
        get(known::<E>(column.clone())?)
            .into_value()
            .ok_or_else(unset)
    };
    let link: Key = names(to).into_iter().map(value).collect::<Result<_, _>>()?;
    Ok(Condition::all().add(have::<J>(&columns, &[link])))
}

fn known<E: EntityTrait>(column: String) -> Result<E::Column, DbErr> {
    let unknown = || DbErr::Type(format!("`{}` has no column `{column}`", table_name::<E>()));
    column_named::<E>(&column).ok_or_else(unknown)
}
