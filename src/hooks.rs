//! What `#[record_hooks]` calls.
//!
//! The four functions named like SeaORM's hooks belong at the end of `before_save` and
//! `before_delete` and at the start of `after_save` and `after_delete`; an `ActiveModelBehavior` by
//! hand calls them there. The others are saves that open the transaction they need: `#[record_hooks]`
//! puts them on the `ActiveModel` under SeaORM's own names.
//!
//! ```
//! use sea_orm::entity::prelude::*;
//! use sea_orm_record::{Hooked, Registration, hooks};
//!
//! #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
//! #[sea_orm(table_name = "topic")]
//! pub struct Model {
//!     #[sea_orm(primary_key)]
//!     pub id: i32,
//!     pub name: String,
//! }
//!
//! #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//! pub enum Relation {}
//!
//! #[async_trait::async_trait]
//! impl ActiveModelBehavior for ActiveModel {
//!     async fn before_save<C: ConnectionTrait>(self, db: &C, insert: bool) -> Result<Self, DbErr> {
//!         hooks::before_save(self, db, insert).await
//!     }
//!
//!     async fn after_save<C: ConnectionTrait>(model: Model, db: &C, insert: bool) -> Result<Model, DbErr> {
//!         hooks::after_save::<Self, C>(model, db, insert).await
//!     }
//!
//!     async fn before_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
//!         hooks::before_delete(self, db).await
//!     }
//!
//!     async fn after_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
//!         hooks::after_delete(self, db).await
//!     }
//! }
//!
//! impl Hooked for ActiveModel {}
//!
//! sea_orm_record::register_static!(Registration::hooked::<ActiveModel>());
//! # fn main() {}
//! ```

mod deletions;
mod links;
mod moves;
mod saves;

use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, DeleteResult,
    EntityName, EntityTrait, IntoActiveModel, Iterable, PrimaryKeyToColumn, QueryFilter,
    QuerySelect, TryIntoModel, UpdateResult,
};

pub use self::deletions::{after_delete, before_delete};
pub use self::links::{delete_links, delete_links_self};
pub(crate) use self::moves::hands_on;
pub use self::saves::{after_save, before_save};
use crate::RecordError;
use crate::dialect::Dialect;
use crate::erased::Connection;
use crate::operation::{self, run};
use crate::recorded::table_name;
use crate::registry::Node;
use crate::target::Target;

/// The model of an active model.
pub(crate) type ModelOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Model;

/// What the hooks need of an active model; every derived one has it.
pub trait Savable:
    ActiveModelBehavior<Entity: EntityTrait<Model: IntoActiveModel<Self> + Sync + 'static>>
    + TryIntoModel<ModelOf<Self>>
    + Send
    + Sync
    + 'static
{
}

impl<A> Savable for A where
    A: ActiveModelBehavior<Entity: EntityTrait<Model: IntoActiveModel<Self> + Sync + 'static>>
        + TryIntoModel<ModelOf<Self>>
        + Send
        + Sync
        + 'static
{
}

/// What a hook finds: its entity's node, and what the connection is. Nothing where the entity is neither
/// recorded nor watched, or nothing is to be recorded.
fn at_work<'r, 'c, C: ConnectionTrait>(
    node: Option<&'r Node>,
    db: &'c C,
) -> Option<(&'r Node, Target<'c>)> {
    let target = Target::of(db);
    let node = node.filter(|_| !is_paused(&target))?;
    Some((node, target))
}

/// What a hook that reads and locks came to: a unit whose transaction a deadlock has ended there, in a
/// save by the traits as well, is not to be committed.
fn heeded<C: ConnectionTrait, T>(db: &C, done: Result<T, DbErr>) -> Result<T, DbErr> {
    if let (Err(error), Target::Unit(_, unit)) = (&done, Target::of(db)) {
        unit.heed(Dialect::of(db), error);
    }
    done
}

/// A save that reaches the hooks on a connection itself commits its row before its record.
fn refuse_apart<A: ActiveModelTrait>(target: &Target<'_>) -> Result<(), RecordError> {
    match target {
        Target::Recorded(db) if db.is_strict() => Err(RecordError::NotAtomic {
            entity: table_name::<A::Entity>(),
        }),
        _ => Ok(()),
    }
}

/// Says that SeaORM's statement on the row follows.
fn announce<A: ActiveModelTrait>(target: &Target<'_>) {
    if let Some(unseen) = target.unseen() {
        unseen.announce(A::Entity::default().table_name());
    }
}

/// The row as it stands, locked.
pub(crate) async fn stored<A>(am: &A, conn: Connection<'_>) -> Result<Option<ModelOf<A>>, DbErr>
where
    A: ActiveModelTrait,
{
    stored_as(am, conn, false).await
}

/// The same where what follows `takes_others` along: see [`Dialect::row_lock`].
async fn stored_as<A>(
    am: &A,
    conn: Connection<'_>,
    takes_others: bool,
) -> Result<Option<ModelOf<A>>, DbErr>
where
    A: ActiveModelTrait,
{
    let mut select = A::Entity::find();
    for key in <A::Entity as EntityTrait>::PrimaryKey::iter() {
        let column = key.into_column();
        let Some(value) = am.get(column).into_value() else {
            return Ok(None);
        };
        select = select.filter(column.eq(value));
    }
    let lock = Dialect::of(&conn).row_lock(takes_others);
    select.lock(lock).one(&conn).await
}

/// Whether a row is recorded as SeaORM returns it. On a pool it may have changed since, so it is
/// read again, under a lock; as it is where records are gathered. What wraps a connection may wrap a
/// pool.
fn keeps_model(target: &Target<'_>) -> bool {
    match target {
        Target::Unit(_, unit) => unit.immediate,
        Target::Other(_) => false,
        _ => !target.is_pool(),
    }
}

pub(crate) fn is_paused(target: &Target<'_>) -> bool {
    match target {
        Target::Unit(_, unit) => unit.paused,
        Target::Recorded(db) => db.is_paused(),
        _ => false,
    }
}

macro_rules! save {
    ($(#[$doc:meta])* $name:ident: $operation:ident -> $output:ty) => {
        $(#[$doc])*
        ///
        /// On a pool it opens a transaction, so that the row and its records commit together;
        /// within a transaction it goes straight through.
        ///
        /// # Errors
        ///
        /// Those of SeaORM's method, and a [`RecordError`] within the `DbErr`;
        /// nothing is written then.
        pub async fn $name<A, C>(am: A, db: &C) -> Result<$output, DbErr>
        where
            A: Savable,
            C: ConnectionTrait,
        {
            run::<A::Entity, C, _>(db, operation::$operation(am)).await
        }
    };
}

save!(
    /// SeaORM's `ActiveModelTrait::insert`, recorded.
    insert: Insert -> ModelOf<A>
);
save!(
    /// SeaORM's `ActiveModelTrait::update`, recorded.
    update: Update -> ModelOf<A>
);
save!(
    /// SeaORM's `ActiveModelTrait::save`, recorded.
    save: Save -> A
);
save!(
    /// SeaORM's `ActiveModelTrait::delete`, recorded.
    delete: Delete -> DeleteResult
);
save!(
    /// SeaORM's `ActiveModelTrait::update_without_returning`, recorded; reads the row once for it.
    update_without_returning: UpdateWithoutReturning -> UpdateResult
);

/// SeaORM's `ModelTrait::delete`, recorded.
///
/// # Errors
///
/// Those of [`delete`].
pub async fn delete_model<A, C>(model: ModelOf<A>, db: &C) -> Result<DeleteResult, DbErr>
where
    A: Savable,
    C: ConnectionTrait,
{
    delete(model.into_active_model(), db).await
}
