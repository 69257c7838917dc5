//! One mistake each.

mod entity {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::prelude::*;

    #[recorded(columns(title), retired(old: String, older: Option<String>, Oldest: i32))]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "entity")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod places {
    use sea_orm_record::prelude::*;

    #[recorded(columns(all))]
    pub enum Model {
        A,
    }

    #[recorded(columns(all))]
    pub struct Article {
        a: i32,
    }
}

mod tuple {
    use sea_orm_record::prelude::*;

    #[recorded(columns(all))]
    pub struct Model(i32, String);
}

mod generic {
    use sea_orm_record::prelude::*;

    #[recorded(columns(all))]
    pub struct Model<T> {
        a: T,
    }
}

mod unknown {
    use sea_orm_record::prelude::*;

    #[recorded(column(a))]
    pub struct Model {
        a: i32,
    }
}

mod twice {
    use sea_orm_record::prelude::*;

    #[recorded(columns(a), columns(b))]
    pub struct Model {
        a: i32,
    }
}

mod nothing {
    use sea_orm_record::prelude::*;

    #[recorded(context)]
    pub struct Model {
        a: i32,
    }
}

mod skip_above {
    use sea_orm_record::prelude::*;

    #[recorded(skip)]
    pub struct Model {
        a: i32,
    }
}

mod skip_misspelt {
    use sea_orm_record::prelude::*;

    #[recorded(columns(a))]
    pub struct Model {
        a: i32,
        #[recorded(skipped)]
        b: i32,
    }
}

fn main() {}
