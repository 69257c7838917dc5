//! Hooks in a file of their own, beside entities that a tool writes.

mod generated {
    pub mod tag {
        use sea_orm::entity::prelude::*;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "ui_layout_tag")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            #[sea_orm(has_many, via = "tagged")]
            pub notes: HasMany<super::note::Entity>,
        }
    }

    pub mod note {
        use sea_orm::entity::prelude::*;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "ui_layout_note")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
            #[sea_orm(has_many, via = "tagged")]
            pub tags: HasMany<super::tag::Entity>,
        }
    }

    pub mod tagged {
        use sea_orm::entity::prelude::*;

        #[sea_orm::model]
        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "ui_layout_tagged")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub tag_id: i32,
            #[sea_orm(primary_key, auto_increment = false)]
            pub note_id: i32,
            #[sea_orm(belongs_to, from = "tag_id", to = "id")]
            pub tag: BelongsTo<super::tag::Entity>,
            #[sea_orm(belongs_to, from = "note_id", to = "id")]
            pub note: BelongsTo<super::note::Entity>,
        }
    }

    pub mod old {
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
        #[sea_orm(table_name = "ui_layout_old")]
        pub struct Model {
            #[sea_orm(primary_key)]
            pub id: i32,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}
    }
}

/// All names by a glob.
mod tag {
    use super::generated::tag::*;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

/// Some names, one by one.
mod note {
    use super::generated::note::Model;
    pub use super::generated::note::{ActiveModel, Entity};
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod tagged {
    use super::generated::tagged;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[record_hooks]
    impl ActiveModelBehavior for tagged::ActiveModel {}
}

mod old {
    use super::generated::old::*;
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

fn main() {
    let _ = note::Entity;
}
