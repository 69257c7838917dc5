//! What a record has may not depend on a `#[cfg]`, however it is written.

mod one {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;
    use serde::Serialize;

    #[recorded(
        columns(all),
        properties(#[cfg(unix)] on_unix: i32, #[cfg_attr(unix, sea_orm(column_type = "Text"))] words: String),
        derives(Serialize)
    )]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
    #[sea_orm(table_name = "one")]
    pub struct Model {
        #[cfg_attr(unix, sea_orm(primary_key))]
        pub id: i32,
        #[cfg(unix)]
        pub title: String,
        #[cfg_attr(unix, serde(skip))]
        pub hash: String,
        #[cfg_attr(unix, allow(dead_code), sea_orm(ignore))]
        pub ignored: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn main() {}
