//! What the program is about.

use sea_orm::entity::prelude::*;
use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

#[recorded(columns(name), properties(letters: i32))]
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "gizmo")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub name: String,
}

impl Recorded for Entity {
    type Record = record::Entity;

    fn recorder() -> Recorder<Self> {
        Recorder::<Self>::new().properties(|gizmo| record::Properties {
            letters: gizmo.name.len() as i32,
        })
    }
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}
