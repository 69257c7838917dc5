//! The fields of the record's `Model`.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Attribute, Field, Ident, LitStr, Type, Visibility, parse_quote};

use super::source::{check_cfg, is_recorded, sea_orm_metas, text};
use super::{Errors, moved, names};

/// A field of the record's `Model`.
pub(super) struct RecordField {
    pub(super) ident: Ident,
    pub(super) vis: Visibility,
    pub(super) ty: Type,
    pub(super) attrs: Vec<Attribute>,
    /// Its variant in `Column`.
    pub(super) variant: Ident,
    /// Its SQL name.
    pub(super) column: String,
    /// What the user wrote to have it.
    pub(super) span: Span,
}

/// Properties, and columns that are no longer recorded.
pub(super) fn computed(fields: &[Field], serde: bool, errors: &mut Errors) -> Vec<RecordField> {
    let field = |field: &Field| {
        if let Some(ours) = field.attrs.iter().find(|attr| is_recorded(attr)) {
            let message = "`#[recorded(…)]` belongs on a field of the struct; what a property says \
                           is what its closure computes";
            return Err(syn::Error::new_spanned(ours, message));
        }
        let metas = sea_orm_metas(&field.attrs)?;
        let enum_name = text(&metas, "enum_name");
        let Some(ident) = field.ident.clone() else {
            return Err(syn::Error::new_spanned(field, "expected `name: Type`"));
        };
        check_cfg(&field.attrs, &ident, ident.span(), serde)?;
        let column = match text(&metas, "column_name") {
            Some(name) => name.value(),
            None => names::column(&ident, enum_name.as_ref(), None)?,
        };
        let mut attrs = docs_or(&field.attrs, &format!(" What `{}` was.", ident.unraw()));
        attrs.extend(field.attrs.iter().filter(|it| !is_doc(it)).cloned());
        let field = Field {
            vis: parse_quote!(pub),
            ..field.clone()
        };
        RecordField::new(ident, &field, attrs, column, enum_name.as_ref())
    };
    fields
        .iter()
        .filter_map(|it| errors.keep(field(it)))
        .collect()
}

pub(super) fn standard() -> Vec<RecordField> {
    let at = parse_quote!(#[sea_orm(
        primary_key,
        auto_increment = false,
        column_name = "recorded_at",
        column_type = "TimestampWithTimeZone",
        indexed
    )]);
    vec![
        RecordField::standard(
            "recorded_at",
            " When the record was written: UTC, to the microsecond.",
            parse_quote!(::sea_orm_record::__private::DateTimeUtc),
            Some(at),
        ),
        RecordField::standard(
            "event",
            " Why the record was written.",
            parse_quote!(::sea_orm_record::Event),
            None,
        ),
    ]
}

pub(super) fn context() -> Vec<RecordField> {
    let text: Attribute = parse_quote!(#[sea_orm(column_type = "Text")]);
    let string: Type = parse_quote!(Option<::std::string::String>);
    vec![
        RecordField::standard(
            "actor",
            " Who changed the row.",
            string.clone(),
            Some(text.clone()),
        ),
        RecordField::standard("reason", " Why the row was changed.", string, Some(text)),
        RecordField::standard(
            "change_id",
            " The unit of work, the same in all its records.",
            parse_quote!(Option<::sea_orm_record::__private::Uuid>),
            Some(parse_quote!(#[sea_orm(column_type = "Uuid")])),
        ),
        RecordField::standard(
            "metadata",
            " What else is known of the change.",
            parse_quote!(Option<::sea_orm_record::__private::Json>),
            Some(parse_quote!(#[sea_orm(column_type = "JsonBinary")])),
        ),
    ]
}

impl RecordField {
    pub(super) fn new(
        ident: Ident,
        like: &Field,
        attrs: Vec<Attribute>,
        column: String,
        enum_name: Option<&LitStr>,
    ) -> syn::Result<Self> {
        Ok(Self {
            vis: moved::visibility(&like.vis),
            ty: moved::ty(&like.ty),
            attrs: attrs.iter().map(moved::attr).collect(),
            variant: names::variant(&ident, enum_name)?,
            column,
            span: ident.span(),
            ident,
        })
    }

    fn standard(name: &str, doc: &str, ty: Type, attr: Option<Attribute>) -> Self {
        let doc: Attribute = parse_quote!(#[doc = #doc]);
        let ident = Ident::new(name, Span::call_site());
        Self {
            vis: parse_quote!(pub),
            ty,
            attrs: [doc].into_iter().chain(attr).collect(),
            variant: names::default_variant(&ident),
            column: name.to_owned(),
            span: ident.span(),
            ident,
        }
    }

    /// Databases differ in whether they tell `Event` from `event`, so nobody may need to.
    pub(super) fn collides(&self, other: &Self) -> bool {
        self.ident.unraw() == other.ident.unraw()
            || self.variant == other.variant
            || self.column.to_lowercase() == other.column.to_lowercase()
    }
}

pub(super) fn attrs_of<'a>(
    attrs: &'a [Attribute],
    name: &'static str,
) -> impl Iterator<Item = &'a Attribute> {
    attrs.iter().filter(move |attr| attr.path().is_ident(name))
}

pub(super) fn is_doc(attr: &Attribute) -> bool {
    attr.path().is_ident("doc")
}

/// The docs that the user wrote, or else ours.
pub(super) fn docs_or(attrs: &[Attribute], doc: &str) -> Vec<Attribute> {
    let docs: Vec<_> = attrs.iter().filter(|it| is_doc(it)).cloned().collect();
    match docs.is_empty() {
        true => vec![parse_quote!(#[doc = #doc])],
        false => docs,
    }
}
