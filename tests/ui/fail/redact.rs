mod entity {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(
        columns(title),
        properties(#[recorded(redact)] words: i32)
    )]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "entity")]
    pub struct Model {
        #[sea_orm(primary_key)]
        #[recorded(redact)]
        pub id: i32,
        pub title: String,
        #[recorded(redact)]
        pub unrecorded: String,
        #[sea_orm(ignore)]
        #[recorded(redact)]
        pub ignored: i32,
        pub other_id: i32,
        #[recorded(redact)]
        #[sea_orm(belongs_to, from = "other_id", to = "id")]
        pub other: HasOne<super::other::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod marked {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(all))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "marked")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[recorded(skip)]
        #[recorded(redact)]
        pub both: String,
        #[recorded(hide)]
        pub unknown: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod other {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "other")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

fn main() {}
