use sea_orm_record::record_hooks;

struct ActiveModel;

trait Marker {}

#[record_hooks]
impl ActiveModel {}

#[record_hooks]
struct Other;

#[record_hooks]
impl ActiveModelBehavior for Other {}

#[record_hooks]
impl Marker for ActiveModel {}

#[record_hooks(columns)]
impl ActiveModelBehavior for ActiveModel {}

#[record_hooks]
impl ActiveModelBehavior for ActiveModel {
    async fn before_save(self) {}
}

fn main() {}
