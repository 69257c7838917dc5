use sea_orm::entity::prelude::*;
use sea_orm_record::{Recorded, Recorder, record_hooks, recorded};

#[recorded(columns(text), context)]
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "note")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i32,
    pub text: String,
    /// Not recorded.
    pub stars: i32,
}

impl Recorded for Entity {
    type Record = record::Entity;

    fn recorder() -> Recorder<Self> {
        Recorder::new()
    }
}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {}

/// A note to be inserted.
pub fn draft(text: &str) -> ActiveModel {
    ActiveModel {
        text: sea_orm::Set(text.to_owned()),
        stars: sea_orm::Set(0),
        ..Default::default()
    }
}
