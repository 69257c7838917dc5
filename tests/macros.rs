//! What the macros accept, refuse and write, and how hooks that are already there keep working.
//!
//! - `ui/pass`: what they accept, compiled as modules of this binary; some are tested here, too
//! - `ui/fail`: what they refuse, with what the compiler then says
//! - `hooks`: the user's hooks and ours, in one save
//! - `mock`: what SeaORM's `MockDatabase` must be fed

mod hooks;
mod mock;

#[deny(warnings)]
#[allow(dead_code, non_snake_case, reason = "what matters is that it compiles")]
#[path = "ui/pass"]
mod accepted {
    pub(crate) mod by_hand;
    pub(crate) mod compact;
    pub(crate) mod dense;
    pub(crate) mod generic;
    pub(crate) mod hooks;
    pub(crate) mod layouts;
}

use sea_orm::sea_query::{ColumnType, StringLen};
use sea_orm::{ColumnTrait, EntityName, EntityTrait, IdenStatic, Iterable};
use sea_orm_record::{Properties, RecordEntity};

use accepted::{compact, dense};

/// `TRYBUILD=overwrite` writes anew what the compiler says.
#[test]
fn macros_accept_and_refuse() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}

fn columns<E: EntityTrait>() -> Vec<&'static str> {
    E::Column::iter().map(|column| column.as_str()).collect()
}

fn pairs<S: IdenStatic, R: IdenStatic>(pairs: Vec<(S, R)>) -> Vec<(&'static str, &'static str)> {
    let names = pairs.into_iter();
    names
        .map(|(source, record)| (source.as_str(), record.as_str()))
        .collect()
}

#[test]
fn a_record_has_its_key_its_time_its_event_and_then_the_rest_in_order() {
    use dense::article::record::Entity;
    assert_eq!(
        columns::<Entity>(),
        [
            "recording_id",
            "recorded_at",
            "event",
            "title",
            "text",
            "type",
            "foo_bar2",
            "status",
            "order",
            "concealed",
            "source_event",
            "props",
            "word_count",
            "status_was",
            "maybe",
            "Summary",
            "final",
            "subtitle",
            "actor",
            "reason",
            "change_id",
            "metadata",
        ]
    );
    assert_eq!(
        <Entity as RecordEntity>::Properties::NAMES,
        ["word_count", "status_was", "maybe", "Summary", "final"]
    );
    let columns = pairs(Entity::columns());
    assert!(columns.contains(&("hid", "concealed")));
    assert!(columns.contains(&("event", "source_event")));
    assert_eq!(pairs(Entity::key()), [("id", "recording_id")]);
    assert_eq!(Entity::retired().len(), 1);
    assert!(Entity::context().actor.is_some());
    assert_eq!(Entity::many_to_many()[0].len(), 2);
}

#[test]
fn tables_modules_and_schemas_are_named_as_asked() {
    assert_eq!(dense::topic::record::Entity.schema_name(), Some("public"));
    assert_eq!(dense::topic::record::Entity.table_name(), "ui_topic_record");
    assert_eq!(
        dense::article_tag::history::Entity.table_name(),
        "ui_link_log"
    );
    assert_eq!(
        columns::<dense::article_tag::history::Entity>(),
        [
            "recording_article_id",
            "recording_tagId",
            "recorded_at",
            "event",
            "note",
            "source_event",
            "actor",
            "reason",
            "change_id",
            "metadata",
        ]
    );
}

#[test]
fn columns_are_renamed_as_sea_orm_renames_them() {
    use compact::{composite, plain};
    assert_eq!(
        pairs(composite::record::Entity::key()),
        [
            ("TENANT_ID", "recording_TENANT_ID"),
            ("KEY2", "recording_KEY2")
        ]
    );
    assert_eq!(
        pairs(plain::record::Entity::columns()),
        [
            ("WordCount", "WordCount"),
            ("EventKind", "kind"),
            ("own", "own"),
            ("Data", "Data")
        ]
    );
}

#[test]
fn by_hand_everything_goes_by_the_names_of_columns() {
    use accepted::by_hand::note_record::Entity;
    assert_eq!(pairs(Entity::key()), [("id", "recording_id")]);
    assert_eq!(pairs(Entity::columns()), [("title", "title")]);
    let context = Entity::context();
    assert_eq!(
        (context.actor.is_some(), context.reason.is_some()),
        (true, false)
    );
}

#[test]
fn a_record_with_serde_reads_what_it_wrote() {
    use compact::plain::record::Model;
    let model = Model {
        recording_id: sea_orm::prelude::Uuid::nil(),
        recorded_at: "2024-02-29T12:00:00.000001Z".parse().unwrap(),
        event: sea_orm_record::Event::Related,
        word_count: 1,
        kind: 2,
        own_name: "1.50".parse().unwrap(),
        data: serde_json::json!({"a": [1]}),
    };
    let json = serde_json::to_value(&model).unwrap();
    assert_eq!(json["recordedAt"], "2024-02-29T12:00:00.000001Z");
    assert_eq!(
        (&json["event"], &json["kind"]),
        (&"related".into(), &2.into())
    );
    // As in the source.
    assert!(json.get("wordCount").is_none());
}

#[test]
fn a_record_has_the_names_that_serde_is_told_through_seaorm() {
    let model = dense::counted::record::Model {
        recording_id: 1,
        recorded_at: "2024-02-29T12:00:00.000001Z".parse().unwrap(),
        event: sea_orm_record::Event::Created,
        word_count: 3,
    };
    assert_eq!(serde_json::to_value(&model).unwrap()["wordCount"], 3);
}

#[test]
fn code_in_the_strings_of_attributes_means_the_same_in_the_record() {
    use compact::priced::record::{Column, Model};
    let model = Model {
        recording_id: 1,
        recorded_at: "2024-02-29T12:00:00.000001Z".parse().unwrap(),
        event: sea_orm_record::Event::Created,
        price: 150,
        note: " ".to_owned(),
        twice: 300,
    };
    let json = serde_json::to_value(&model).unwrap();
    // How the key is written, not what it is called there.
    assert_eq!(json["recording_id"], "1 cents");
    assert_eq!(json["super::price"], "150 cents");
    assert_eq!(json["twice"], "300 cents");
    assert!(json.get("note").is_none());
    let read: Model = serde_json::from_value(json).unwrap();
    assert_eq!((read.price, read.twice), (150, 300));
    let note = Column::Note.def();
    assert_eq!(
        note.get_column_type(),
        &ColumnType::String(StringLen::N(77))
    );
}

#[test]
fn the_recorders_of_what_is_accepted_can_be_used() {
    let errors = sea_orm_record::check().err().unwrap_or_default();
    let ours: Vec<_> = errors
        .iter()
        .map(ToString::to_string)
        .filter(|error| error.contains("`ui_"))
        .collect();
    assert_eq!(ours, Vec::<String>::new());
}
