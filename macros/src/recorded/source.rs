//! What there is: the struct of the entity, as SeaORM's derives will read it.

use proc_macro2::Span;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprLit, Field, GenericArgument, Ident, ItemStruct, Lit, LitStr, Meta,
    PathArguments, Token, Type, TypePath, Visibility,
};

use super::record_field::attrs_of;
use super::{Errors, names};

pub(super) struct Source<'a> {
    pub(super) vis: &'a Visibility,
    pub(super) table_name: Option<LitStr>,
    pub(super) schema_name: Option<LitStr>,
    /// What is said to serde of the struct, by itself or through SeaORM's `model_attrs`.
    pub(super) serde: Vec<Meta>,
    pub(super) fields: Vec<SourceField<'a>>,
    rename_all: Option<LitStr>,
}

pub(super) struct SourceField<'a> {
    pub(super) ident: &'a Ident,
    pub(super) field: &'a Field,
    pub(super) kind: Kind,
    pub(super) skipped: bool,
    /// The word `redact` that stands on it.
    pub(super) redacted: Option<Ident>,
    metas: Vec<Meta>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Key,
    Column,
    Relation,
    Ignored,
}

impl<'a> Source<'a> {
    pub(super) fn new(model: &'a ItemStruct, words: &Words) -> syn::Result<Self> {
        let metas = sea_orm_metas(&model.attrs)?;
        let mut errors = Errors::default();
        let fields = model.fields.iter().filter_map(|field| {
            let ident = field.ident.as_ref()?;
            let metas = errors.keep(sea_orm_metas(&field.attrs))?;
            Some(SourceField {
                ident,
                field,
                kind: kind(field, &metas),
                skipped: words.skipped.contains(ident),
                redacted: words.redact(ident),
                metas,
            })
        });
        let source = Self {
            vis: &model.vis,
            table_name: text(&metas, "table_name"),
            schema_name: text(&metas, "schema_name"),
            fields: fields.collect(),
            serde: serde_of_struct(&model.attrs, &metas)?,
            rename_all: text(&metas, "rename_all"),
        };
        errors.finish(source)
    }

    /// The SQL name of a field's column.
    pub(super) fn column_name(&self, field: &SourceField<'_>) -> syn::Result<String> {
        match text(&field.metas, "column_name") {
            Some(name) => Ok(name.value()),
            None => names::column(
                field.ident,
                field.enum_name().as_ref(),
                self.rename_all.as_ref(),
            ),
        }
    }

    /// The targets of the many-to-many fields for which SeaORM writes `Related`, each with the
    /// `#[cfg]` on which it depends: it does so for targets that are named by one field only.
    pub(super) fn many_to_many(&self) -> Vec<(Vec<&'a Attribute>, &'a TypePath)> {
        let targets: Vec<_> = self
            .fields
            .iter()
            .filter(|field| field.kind == Kind::Relation && has_sea_orm(&field.field.attrs))
            .filter_map(|field| Some((field, relation_target(&field.field.ty)?)))
            .collect();
        let is_unique = |target| targets.iter().filter(|(_, it)| *it == target).count() == 1;
        targets
            .iter()
            .filter(|(field, target)| {
                field.has("has_many")
                    && text(&field.metas, "via").is_some()
                    && !field.has("self_ref")
                    && is_unique(*target)
            })
            .map(|(field, target)| (attrs_of(&field.field.attrs, "cfg").collect(), *target))
            .collect()
    }
}

impl SourceField<'_> {
    pub(super) fn enum_name(&self) -> Option<LitStr> {
        text(&self.metas, "enum_name")
    }

    /// The variant of the source's `Column`.
    pub(super) fn variant(&self) -> syn::Result<Ident> {
        names::variant(self.ident, self.enum_name().as_ref())
    }

    /// Those of the attributes that are about the values of the column.
    pub(super) fn value_metas(&self) -> impl Iterator<Item = &Meta> {
        let about_values = ["column_type", "select_as", "save_as", "nullable"];
        self.metas
            .iter()
            .filter(move |meta| about_values.iter().any(|name| meta.path().is_ident(name)))
    }

    fn has(&self, name: &str) -> bool {
        has(&self.metas, name)
    }
}

/// What is said of fields, by `#[recorded(skip)]` and `#[recorded(redact)]`.
#[derive(Default)]
pub(super) struct Words {
    skipped: Vec<Ident>,
    /// The fields, each with the word that is said of it.
    redacted: Vec<(Ident, Ident)>,
}

/// Takes the `#[recorded(…)]` out of the fields.
pub(super) fn take_words(model: &mut ItemStruct) -> syn::Result<Words> {
    let mut words = Words::default();
    let mut errors = Errors::default();
    for field in &mut model.fields {
        let (ours, others): (Vec<_>, _) = field.attrs.drain(..).partition(is_recorded);
        field.attrs = others;
        let Some(ident) = &field.ident else { continue };
        for (at, attr) in ours.iter().enumerate() {
            match errors.keep(word(attr)) {
                Some(word) if at > 0 => {
                    let message = format!("`{ident}` is marked already; one of them is enough");
                    errors.push(syn::Error::new(word.span(), message));
                }
                Some(word) if word == "skip" => words.skipped.push(ident.clone()),
                Some(word) => words.redacted.push((ident.clone(), word)),
                None => {}
            }
        }
    }
    errors.finish(words)
}

pub(super) fn is_recorded(attr: &Attribute) -> bool {
    attr.path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "recorded")
}

impl Words {
    fn redact(&self, field: &Ident) -> Option<Ident> {
        let mut redacted = self.redacted.iter();
        let (_, word) = redacted.find(|(ident, _)| ident == field)?;
        Some(word.clone())
    }
}

fn word(attr: &Attribute) -> syn::Result<Ident> {
    match attr.parse_args::<Ident>() {
        Ok(word) if word == "skip" || word == "redact" => Ok(word),
        _ => Err(syn::Error::new_spanned(
            attr,
            "on a field it is `#[recorded(skip)]` or `#[recorded(redact)]`",
        )),
    }
}

fn kind(field: &Field, metas: &[Meta]) -> Kind {
    if has(metas, "ignore") {
        Kind::Ignored
    } else if relation_segment(&field.ty).is_some() {
        Kind::Relation
    } else if has(metas, "primary_key") {
        Kind::Key
    } else {
        Kind::Column
    }
}

/// `BelongsTo<…>`, `HasOne<…>` or `HasMany<…>`, by whatever path.
fn relation_segment(ty: &Type) -> Option<&syn::PathSegment> {
    let Type::Path(path) = ungrouped(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let names = ["BelongsTo", "HasOne", "HasMany"];
    names.iter().any(|name| last.ident == name).then_some(last)
}

/// The type itself, where a macro of the user's put it in a group that nobody sees.
pub(super) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        ty => ty,
    }
}

fn relation_target(ty: &Type) -> Option<&TypePath> {
    let target = only_argument(relation_segment(ty)?)?;
    let last = target.path.segments.last()?;
    match last.ident == "Option" {
        true => only_argument(last),
        false => Some(target),
    }
}

fn only_argument(segment: &syn::PathSegment) -> Option<&TypePath> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(Type::Path(path)) => Some(path),
        _ => None,
    }
}

/// What stands in the `#[sea_orm(…)]` attributes.
pub(super) fn sea_orm_metas(attrs: &[Attribute]) -> syn::Result<Vec<Meta>> {
    metas_of(attrs, "sea_orm")
}

/// What stands in the attributes of this name.
pub(super) fn metas_of(attrs: &[Attribute], name: &'static str) -> syn::Result<Vec<Meta>> {
    let mut metas = Vec::new();
    for attr in attrs_of(attrs, name) {
        metas.extend(metas_in(&attr.meta)?);
    }
    Ok(metas)
}

/// `#[sea_orm]` alone says nothing.
fn metas_in(meta: &Meta) -> syn::Result<Punctuated<Meta, Token![,]>> {
    match meta {
        Meta::List(list) => list.parse_args_with(Punctuated::parse_terminated),
        _ => Ok(Punctuated::new()),
    }
}

fn serde_of_struct(attrs: &[Attribute], sea_orm: &[Meta]) -> syn::Result<Vec<Meta>> {
    let mut serde = metas_of(attrs, "serde")?;
    for meta in sea_orm
        .iter()
        .filter(|it| it.path().is_ident("model_attrs"))
    {
        for attr in metas_in(meta)?
            .iter()
            .filter(|it| it.path().is_ident("serde"))
        {
            serde.extend(metas_in(attr)?);
        }
    }
    Ok(serde)
}

/// Refuses what the compiler decides after us, where we have to know it.
pub(super) fn check_cfg(
    attrs: &[Attribute],
    field: &Ident,
    span: Span,
    serde: bool,
) -> syn::Result<()> {
    let depends = if attrs_of(attrs, "cfg").next().is_some() {
        "cfg"
    } else if attrs_of(attrs, "cfg_attr").any(|attr| adds_what_is_read(attr, serde)) {
        "cfg_attr"
    } else {
        return Ok(());
    };
    let message = format!("`{field}` depends on a `#[{depends}]`, and a record cannot");
    Err(syn::Error::new(span, message))
}

/// Whether a `#[cfg_attr]` adds an attribute that is read here, or copied.
fn adds_what_is_read(attr: &Attribute, serde: bool) -> bool {
    let is_read = |meta: &Meta| {
        let is = |name| meta.path().is_ident(name);
        is("sea_orm") || is("recorded") || is("cfg_attr") || serde && is("serde")
    };
    metas_in(&attr.meta).is_ok_and(|metas| metas.iter().skip(1).any(is_read))
}

fn has_sea_orm(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("sea_orm"))
}

fn has(metas: &[Meta], name: &str) -> bool {
    metas.iter().any(|meta| meta.path().is_ident(name))
}

/// The last `name = "text"`, as with SeaORM.
pub(super) fn text(metas: &[Meta], name: &str) -> Option<LitStr> {
    metas.iter().rev().find_map(|meta| match meta {
        Meta::NameValue(meta) if meta.path.is_ident(name) => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    })
}
