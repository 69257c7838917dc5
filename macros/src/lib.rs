//! The attribute macros of `sea-orm-record`, which re-exports them and without which they are of
//! no use: `#[recorded]` and `#[record_hooks]`. They write what a person would write by hand.

mod hooks;
mod recorded;

use proc_macro::TokenStream;

/// Writes the record entity of an entity: `mod record`, beside the struct.
///
/// It stands outermost, above `#[sea_orm::model]` or `#[derive(…, DeriveEntityModel)]`, and leaves
/// the struct as it is:
///
/// ```text
/// #[recorded(columns(title, text), properties(word_count: i32))]
/// #[sea_orm::model]
/// #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
/// #[sea_orm(table_name = "article")]
/// pub struct Model {
///     #[sea_orm(primary_key)]
///     pub id: i32,
///     pub title: String,
///     pub text: String,
/// }
/// ```
///
/// What it does not write is `impl Recorded for Entity`, which says how properties are computed
/// and what is watched; without that the attribute does not compile.
///
/// # Arguments
///
/// In any order, each at most once, all optional, as long as there is something to record:
///
/// ```text
/// columns(title, text)               the fields to record; the primary key always is
/// columns(event as source_event)     the same, under another name in the record
/// columns(title, text?)              an `Option` in the record: it was not recorded from the start
/// columns(all)                       every column without `#[recorded(skip)]`
/// columns(all, event as source_event, text?)
///
/// properties(word_count: i32)        computed values: fields of `record::Properties`
/// properties(#[sea_orm(column_type = "Text")] summary: Option<String>)
///                                    attributes go to the field of the record's `Model`
///
/// retired(subtitle: Option<String>)  no longer recorded: the past values stay, and are readable
///
/// context                            adds the columns actor, reason, change_id and metadata
/// cascade                            a foreign key: deleting the row deletes its history
/// table_name = "article_history"     default: the table's name and `_record`
/// module = history                   default: `record`
/// derives(Eq, Serialize)             on the record's `Model`, besides Clone, Debug, PartialEq
/// ```
///
/// On a field of the struct, `#[recorded(skip)]` keeps it out of `columns(all)`. `#[recorded(redact)]`,
/// on a field that is recorded, keeps a keyed hash of its values in the record: its field there is
/// `Option<Redacted>`, and `Recorder::redaction_key` gives the key.
///
/// # What it writes
///
/// A module with an ordinary entity, whose `Model` has, in this order: the key of what is recorded
/// (`recording_id`, or `recording_<field>` for each field of a composite key), `recorded_at`,
/// `event`, the recorded columns, the properties, the retired columns, the context. Recorded
/// columns keep their name and type and lose what belongs to the source alone: key, index,
/// default, comment. A field whose name is one of the standard ones has to be renamed with `as`;
/// this the compiler says. With a derive of serde's among `derives(…)`, recorded fields keep their
/// `#[serde(…)]` attributes, the key those about how its values are written, and the struct its
/// `rename_all` and `crate`. What is recorded may depend neither on a `#[cfg]` nor on a `#[cfg_attr]`
/// that adds an attribute which matters here: the compiler looks at those later.
///
/// Both entities are `Related` to each other, and `record::Relation::Recording` leads back. It
/// makes no foreign key unless `cascade` asks for one: history outlives what it is the history of.
///
/// Types may be written as they are in the struct: `super::` and `self::` are adapted, also in
/// attributes whose strings are Rust, such as `column_type` and serde's `with`. The entity has to
/// stand in a module, not within a function, since the record's module refers to its parent by
/// `super`.
#[proc_macro_attribute]
pub fn recorded(args: TokenStream, item: TokenStream) -> TokenStream {
    recorded::expand(args.into(), item.into()).into()
}

/// Has an entity's changes seen: on its `impl ActiveModelBehavior for ActiveModel`.
///
/// ```text
/// #[record_hooks]
/// impl ActiveModelBehavior for ActiveModel {}
/// ```
///
/// Needed on every entity that is recorded or watched. Hooks that are already there keep working:
///
/// - `before_save` and `before_delete` run first and the recording after them, so that it sees
///   what they changed, and nothing when they refuse;
/// - `after_save` and `after_delete` run after the recording.
///
/// `#[async_trait]` may be left out; if it is there, `#[record_hooks]` stands above it. A `#[cfg]`
/// belongs within a hook, not on it.
///
/// It also gives `ActiveModel` inherent methods `insert`, `update`, `update_without_returning`,
/// `save` and `delete`, and `Model` a `delete`. They take precedence over the trait methods of
/// those names, and do the same in one transaction with the recording. `ActiveModelEx` gets a
/// `delete_links`, by which SeaORM clears the links of a many-to-many before a cascading delete: those
/// are recorded as well. That is not so where `ActiveModel` is imported from another module by its own
/// name: name it by its path, or import all of that module.
#[proc_macro_attribute]
pub fn record_hooks(args: TokenStream, item: TokenStream) -> TokenStream {
    hooks::expand(args.into(), item.into()).into()
}
