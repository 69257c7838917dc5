//! Which columns are recorded, and how they look in the record.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Attribute, Ident, LitStr, parse_quote};

use super::args::{Args, Listed};
use super::record_field::{RecordField, attrs_of, docs_or};
use super::source::{Kind, Source, SourceField, check_cfg, metas_of};
use super::{Errors, names};

/// A column of the source and the field that keeps it.
pub(super) struct Kept {
    /// The field of the source.
    pub(super) name: Ident,
    /// Its variant in the source's `Column`.
    pub(super) source: Ident,
    /// Whether a hash is kept in its place.
    pub(super) redacted: bool,
    pub(super) field: RecordField,
}

pub(super) fn key(source: &Source<'_>, serde: bool, errors: &mut Errors) -> Vec<Kept> {
    let fields: Vec<_> = source
        .fields
        .iter()
        .filter(|field| field.kind == Kind::Key)
        .collect();
    if fields.is_empty() {
        let message = "no field is `#[sea_orm(primary_key)]`: what is recorded needs a key";
        errors.push(syn::Error::new(Span::call_site(), message));
    }
    let single = fields.len() == 1;
    fields
        .iter()
        .filter_map(|field| errors.keep(key_field(field, source, single, serde)))
        .collect()
}

fn key_field(
    field: &SourceField<'_>,
    source: &Source<'_>,
    single: bool,
    serde: bool,
) -> syn::Result<Kept> {
    check_cfg(&field.field.attrs, field.ident, field.ident.span(), serde)?;
    let name = field.ident.unraw();
    let (ident, column) = match single {
        true => (
            Ident::new("recording_id", field.ident.span()),
            "recording_id".to_owned(),
        ),
        false => (
            format_ident!("recording_{name}", span = field.ident.span()),
            format!("recording_{}", source.column_name(field)?),
        ),
    };
    let name_meta = name_meta(&ident, None, &column)?;
    let metas = name_meta.into_iter().chain(values(field));
    let doc = format!(" The `{name}` of what is recorded.");
    let mut attrs = vec![
        parse_quote!(#[doc = #doc]),
        parse_quote!(#[sea_orm(primary_key, auto_increment = false #(, #metas)*)]),
    ];
    if serde {
        attrs.extend(serde_of_key(field)?);
    }
    Ok(Kept {
        name: field.ident.clone(),
        source: field.variant()?,
        redacted: false,
        field: RecordField::new(ident, field.field, attrs, column, None)?,
    })
}

/// How its values are written and read; not what it is called, nor whether it is there.
fn serde_of_key(field: &SourceField<'_>) -> syn::Result<Vec<Attribute>> {
    let about_values = ["with", "serialize_with", "deserialize_with", "bound"];
    let mut metas = metas_of(&field.field.attrs, "serde")?;
    metas.retain(|meta| about_values.iter().any(|it| meta.path().is_ident(it)));
    let attrs = metas.iter().map(|meta| parse_quote!(#[serde(#meta)]));
    Ok(attrs.collect())
}

pub(super) fn columns(
    args: &Args,
    source: &Source<'_>,
    serde: bool,
    errors: &mut Errors,
) -> Vec<Kept> {
    let mut wanted: Vec<(&SourceField<'_>, Option<&Listed>)> = Vec::new();
    if args.columns.all {
        let all = source
            .fields
            .iter()
            .filter(|field| field.kind == Kind::Column);
        wanted.extend(
            all.filter(|field| !field.skipped)
                .map(|field| (field, None)),
        );
    }
    for listed in &args.columns.listed {
        let Some(field) = errors.keep(listed_field(listed, source)) else {
            continue;
        };
        match wanted.iter_mut().find(|(it, _)| it.ident == field.ident) {
            None => wanted.push((field, Some(listed))),
            Some((_, by @ None)) if listed.renamed.is_some() || listed.optional.is_some() => {
                *by = Some(listed);
            }
            Some(_) => {
                let message = format!("`{}` is already recorded", listed.field);
                errors.push(syn::Error::new(listed.field.span(), message));
            }
        }
    }
    for field in &source.fields {
        let recorded = wanted.iter().any(|(it, _)| it.ident == field.ident);
        errors.keep(check_redacted(field, recorded));
    }
    wanted
        .into_iter()
        .filter_map(|(field, listed)| errors.keep(column_field(field, listed, source, serde)))
        .collect()
}

/// What is redacted must be a column that is recorded.
fn check_redacted(field: &SourceField<'_>, recorded: bool) -> syn::Result<()> {
    let Some(word) = &field.redacted else {
        return Ok(());
    };
    let name = field.ident;
    let message = match field.kind {
        Kind::Key => format!("`{name}` is in the primary key, by which records are found"),
        Kind::Relation => format!("`{name}` is a relation, not a column"),
        Kind::Ignored => format!("`{name}` is ignored, so it is no column"),
        Kind::Column if !recorded => format!(
            "`{name}` is not recorded, so there is nothing to redact; list it in `columns(…)`"
        ),
        Kind::Column => return Ok(()),
    };
    Err(syn::Error::new(word.span(), message))
}

/// The field that the user means, if it can be recorded.
fn listed_field<'s, 'a>(
    listed: &Listed,
    source: &'s Source<'a>,
) -> syn::Result<&'s SourceField<'a>> {
    let name = &listed.field;
    let error = |message| Err(syn::Error::new(name.span(), message));
    let found = source
        .fields
        .iter()
        .find(|field| field.ident.unraw() == name.unraw());
    match found.map(|field| (field, field.kind)) {
        Some((field, Kind::Column)) if field.skipped => {
            error(format!("`{}` is marked `#[recorded(skip)]`", field.ident))
        }
        Some((field, Kind::Column)) => Ok(field),
        Some((_, Kind::Key)) => error(format!(
            "`{name}` is in the primary key, which is always recorded: leave it out"
        )),
        Some((_, Kind::Relation)) => error(format!("`{name}` is a relation, not a column")),
        Some((_, Kind::Ignored)) => error(format!("`{name}` is ignored, so it is no column")),
        None => error(format!("there is no field `{name}`; {}", available(source))),
    }
}

fn available(source: &Source<'_>) -> String {
    let names: Vec<_> = source
        .fields
        .iter()
        .filter(|field| field.kind == Kind::Column && !field.skipped)
        .map(|field| format!("`{}`", field.ident))
        .collect();
    match names.is_empty() {
        true => "there are no columns besides the key".to_owned(),
        false => format!("the columns are {}", names.join(", ")),
    }
}

fn column_field(
    field: &SourceField<'_>,
    listed: Option<&Listed>,
    source: &Source<'_>,
    serde: bool,
) -> syn::Result<Kept> {
    let span = listed.map_or(field.ident.span(), |listed| listed.field.span());
    // Hashes are written as they are.
    let redacted = field.redacted.is_some();
    let reads_serde = serde && !redacted;
    check_cfg(&field.field.attrs, field.ident, span, reads_serde)?;
    let renamed = listed.and_then(|listed| listed.renamed.as_ref());
    // Another name is another name throughout: in Rust, in `Column` and in SQL.
    let (ident, enum_name, column) = match renamed {
        Some(name) => (name.clone(), None, names::column(name, None, None)?),
        None => (
            field.ident.clone(),
            field.enum_name(),
            source.column_name(field)?,
        ),
    };
    let name_meta = name_meta(&ident, enum_name.as_ref(), &column)?;
    let variant_meta = enum_name.iter().map(|name| quote!(enum_name = #name));
    // What is about the values of the source is not about their hashes.
    let values = values(field).filter(|_| !redacted);
    let metas: Vec<_> = name_meta
        .into_iter()
        .chain(variant_meta)
        .chain(values)
        .collect();

    let name = field.ident.unraw();
    let doc = match redacted {
        true => format!(" A keyed hash of what `{name}` was."),
        false => format!(" What `{name}` was."),
    };
    let mut attrs = docs_or(&field.field.attrs, &doc);
    attrs.extend(
        attrs_of(&field.field.attrs, "serde")
            .filter(|_| reads_serde)
            .cloned(),
    );
    if !metas.is_empty() {
        attrs.push(parse_quote!(#[sea_orm(#(#metas),*)]));
    }
    let mut field_of_record =
        RecordField::new(ident, field.field, attrs, column, enum_name.as_ref())?;
    if let Some(mark) = listed.and_then(|listed| listed.optional) {
        let ty = &field_of_record.ty;
        if quote!(#ty).to_string().starts_with("Option <") {
            let message = format!("`{}` is an `Option` already", field.ident.unraw());
            return Err(syn::Error::new_spanned(mark, message));
        }
        // Without its path, or SeaORM's derive does not see that it is one.
        field_of_record.ty = parse_quote!(Option<#ty>);
    }
    if redacted {
        // SeaORM finds out what can be NULL by how the type is spelt.
        field_of_record.ty = parse_quote!(Option<::sea_orm_record::Redacted>);
    }
    Ok(Kept {
        name: field.ident.clone(),
        source: field.variant()?,
        redacted,
        field: RecordField {
            span: renamed.map_or(span, Ident::span),
            ..field_of_record
        },
    })
}

/// Only where the name is not the one that SeaORM comes to by itself.
fn name_meta(
    ident: &Ident,
    enum_name: Option<&LitStr>,
    column: &str,
) -> syn::Result<Option<TokenStream>> {
    let derived = names::column(ident, enum_name, None)?;
    Ok((column != derived).then(|| quote!(column_name = #column)))
}

fn values(field: &SourceField<'_>) -> impl Iterator<Item = TokenStream> {
    field.value_metas().map(|meta| quote!(#meta))
}
