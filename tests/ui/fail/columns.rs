mod entity {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(titel, id, other, ignored, secret, title, title, note?))]
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "entity")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
        #[recorded(skip)]
        pub secret: String,
        pub note: Option<String>,
        #[sea_orm(ignore)]
        pub ignored: i32,
        pub other_id: i32,
        #[sea_orm(belongs_to, from = "other_id", to = "id")]
        pub other: HasOne<super::other::Entity>,
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
