//! Entities as `sea-orm-cli` writes them from the tables of a database, record table and its foreign
//! key included, on which recording is put by hand.

use sea_orm::{DatabaseConnection, EntityTrait, IntoActiveModel, PaginatorTrait, QueryOrder, Set};
use sea_orm_record::{Event, RecordedConnection, RecordedModel, verify};

use crate::blog::create_table;
use crate::harness::each_database;

/// Watches all its relations, one of which is to its own records.
mod house {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Recorded, Recorder, record_hooks};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Eq)]
    #[sea_orm(table_name = "house")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub street: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(has_many = "super::house_record::Entity")]
        HouseRecord,
        #[sea_orm(has_many = "super::house_tenant::Entity")]
        HouseTenant,
        #[sea_orm(has_one = "super::plate::Entity")]
        Plate,
    }

    impl Related<super::house_record::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::HouseRecord.def()
        }
    }

    impl Related<super::house_tenant::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::HouseTenant.def()
        }
    }

    impl Related<super::plate::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Plate.def()
        }
    }

    impl Related<super::tenant::Entity> for Entity {
        fn to() -> RelationDef {
            super::house_tenant::Relation::Tenant.def()
        }
        fn via() -> Option<RelationDef> {
            Some(super::house_tenant::Relation::House.def().rev())
        }
    }

    impl Recorded for Entity {
        type Record = super::house_record::Entity;

        fn recorder() -> Recorder<Self> {
            Recorder::<Self>::new()
                .properties_with(|houses, db| {
                    Box::pin(async move {
                        let plates = houses.load_one(super::plate::Entity, &db).await?;
                        let tenants = houses.load_many(super::tenant::Entity, &db).await?;
                        let door = |(plate, tenants): (Option<super::plate::Model>, Vec<_>)| {
                            let number = plate.map_or("?".to_owned(), |plate| plate.number);
                            let names = tenants.into_iter().map(|it: super::tenant::Model| it.name);
                            let parts: Vec<_> = [number].into_iter().chain(names).collect();
                            super::house_record::Door {
                                door: parts.join(" "),
                            }
                        };
                        Ok(plates.into_iter().zip(tenants).map(door).collect())
                    })
                })
                .watch_all()
                // Of what a junction leads to nothing is known to `watch_all` here.
                .watch(super::tenant::Entity)
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod house_record {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::{Event, Properties, RecordEntity};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Eq)]
    #[sea_orm(table_name = "house_record")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub recording_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub recorded_at: DateTimeUtc,
        pub event: Event,
        pub street: String,
        pub door: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::house::Entity",
            from = "Column::RecordingId",
            to = "super::house::Column::Id",
            on_update = "NoAction",
            on_delete = "Cascade"
        )]
        House,
    }

    impl Related<super::house::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::House.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}

    pub struct Door {
        pub door: String,
    }

    impl Properties for Door {
        const NAMES: &'static [&'static str] = &["door"];

        fn into_values(self) -> Vec<sea_orm::Value> {
            vec![self.door.into()]
        }
    }

    impl RecordEntity for Entity {
        type Recording = super::house::Entity;
        type Properties = Door;

        const RECORDED_AT: Column = Column::RecordedAt;
        const EVENT: Column = Column::Event;
    }
}

/// One at most on each house.
mod plate {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Eq)]
    #[sea_orm(table_name = "plate")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(unique)]
        pub house_id: i32,
        pub number: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::house::Entity",
            from = "Column::HouseId",
            to = "super::house::Column::Id",
            on_update = "NoAction",
            on_delete = "Cascade"
        )]
        House,
    }

    impl Related<super::house::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::House.def()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod tenant {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Eq)]
    #[sea_orm(table_name = "tenant")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(has_many = "super::house_tenant::Entity")]
        HouseTenant,
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

mod house_tenant {
    use sea_orm::entity::prelude::*;
    use sea_orm_record::record_hooks;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Eq)]
    #[sea_orm(table_name = "house_tenant")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub house_id: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::house::Entity",
            from = "Column::HouseId",
            to = "super::house::Column::Id",
            on_update = "NoAction",
            on_delete = "Cascade"
        )]
        House,
        #[sea_orm(
            belongs_to = "super::tenant::Entity",
            from = "Column::TenantId",
            to = "super::tenant::Column::Id",
            on_update = "NoAction",
            on_delete = "Cascade"
        )]
        Tenant,
    }

    impl Related<super::house::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::House.def()
        }
    }

    impl Related<super::tenant::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Tenant.def()
        }
    }

    #[record_hooks]
    impl ActiveModelBehavior for ActiveModel {}
}

async fn create_houses(db: &DatabaseConnection) {
    create_table(db, house::Entity).await;
    create_table(db, house_record::Entity).await;
    create_table(db, plate::Entity).await;
    create_table(db, tenant::Entity).await;
    create_table(db, house_tenant::Entity).await;
}

each_database! {
    async fn all_relations_are_watched_but_the_one_to_an_entitys_own_records(test: TestDb) {
        let db = test.connect().await;
        create_houses(&db).await;
        let db = RecordedConnection::new(db);
        let house = house::ActiveModel { street: Set("Ring".to_owned()), ..Default::default() };
        let house = house.insert(&db).await.unwrap();
        let other = house::ActiveModel { street: Set("Markt".to_owned()), ..Default::default() };
        let other = other.insert(&db).await.unwrap();
        let doors = async |house: &house::Model| {
            let records = house.records().order_by_asc(house_record::Column::RecordedAt);
            let records = records.all(&db).await.unwrap();
            let events: Vec<_> = records.iter().skip(1).map(|record| record.event).collect();
            assert!(events.iter().all(|event| *event == Event::Related), "{events:?}");
            records.into_iter().map(|record| record.door).collect::<Vec<_>>()
        };

        let plate = plate::ActiveModel { house_id: Set(house.id), number: Set("1".to_owned()), ..Default::default() };
        let plate = plate.insert(&db).await.unwrap();
        let plate = plate::ActiveModel { number: Set("1a".to_owned()), ..plate.into_active_model() };
        let plate = plate.update(&db).await.unwrap();
        // From one to the other, which had none.
        let plate = plate::ActiveModel { house_id: Set(other.id), ..plate.into_active_model() };
        let plate = plate.update(&db).await.unwrap();
        plate.delete(&db).await.unwrap();
        assert_eq!(doors(&house).await, ["?", "1", "1a", "?"]);
        assert_eq!(doors(&other).await, ["?", "1a", "?"]);

        let tenant = tenant::ActiveModel { name: Set("Ada".to_owned()), ..Default::default() };
        let tenant = tenant.insert(&db).await.unwrap();
        let link = house_tenant::ActiveModel { house_id: Set(house.id), tenant_id: Set(tenant.id) };
        link.insert(&db).await.unwrap();
        let renamed = tenant::ActiveModel { name: Set("Bea".to_owned()), ..tenant.into_active_model() };
        renamed.update(&db).await.unwrap();
        assert_eq!(doors(&house).await[4..], ["? Ada", "? Bea"]);
        assert!(verify(house::Entity).exec(&db).await.unwrap().is_clean());

        // Its records go with it, by the foreign key.
        house.delete(&db).await.unwrap();
        let left = house_record::Entity::find().count(&db).await.unwrap();
        assert_eq!(left, doors(&other).await.len() as u64);
        assert!(verify(house::Entity).exec(&db).await.unwrap().is_clean());
    }
}
