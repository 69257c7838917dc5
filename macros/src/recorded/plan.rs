//! What was asked meets what is there: the fields of the record, or what is wrong.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Attribute, Field, Ident, LitStr, Meta, Path, Type, TypePath, Visibility, parse_quote};

use super::args::Args;
use super::columns::{Kept, columns, key};
use super::record_field::{RecordField, computed, context, standard};
use super::source::{Source, ungrouped};
use super::{Errors, moved};

/// All that there is to write.
pub(super) struct Plan<'a> {
    pub(super) vis: &'a Visibility,
    /// The same, for what is in the module: an associated type may not be more private than
    /// the type whose it is, nor its properties than it.
    pub(super) inner_vis: Visibility,
    pub(super) module: Ident,
    pub(super) table_name: LitStr,
    pub(super) schema_name: Option<LitStr>,
    pub(super) derives: Vec<Path>,
    pub(super) attrs: Vec<Attribute>,
    pub(super) cascade: bool,
    pub(super) key: Vec<Kept>,
    /// `recorded_at` and `event`.
    pub(super) standard: Vec<RecordField>,
    pub(super) columns: Vec<Kept>,
    pub(super) properties: Vec<RecordField>,
    pub(super) retired: Vec<RecordField>,
    pub(super) context: Vec<RecordField>,
    /// Each with its `#[cfg]`.
    pub(super) many_to_many: Vec<(Vec<&'a Attribute>, &'a TypePath)>,
}

pub(super) fn plan<'a>(args: Args, source: &Source<'a>) -> syn::Result<Plan<'a>> {
    let mut errors = Errors::default();
    errors.keep(check_something(&args));
    let serde = args.derives.iter().any(is_serde);
    let key = key(source, serde, &mut errors);
    let columns = columns(&args, source, serde, &mut errors);
    let properties = computed(&args.properties, serde, &mut errors);
    let retired = computed(&args.retired, serde, &mut errors);
    if args.columns.all && columns.is_empty() && properties.is_empty() && retired.is_empty() {
        let message = "nothing to record: `columns(all)` finds no column beside the key; say \
                       `properties(…)`, of which a constant will do where the key says it all";
        errors.push(syn::Error::new(Span::call_site(), message));
    }
    for field in &args.retired {
        errors.keep(check_optional(field));
    }
    let plan = Plan {
        vis: source.vis,
        inner_vis: moved::visibility(source.vis),
        module: args.module.unwrap_or_else(|| parse_quote!(record)),
        table_name: errors
            .keep(table_name(args.table_name, source))
            .unwrap_or_else(|| parse_quote!("")),
        schema_name: source.schema_name.clone(),
        derives: args.derives.iter().map(moved::path).collect(),
        attrs: struct_attrs(source, serde),
        cascade: args.cascade,
        key,
        standard: standard(),
        columns,
        properties,
        retired,
        context: if args.context { context() } else { Vec::new() },
        many_to_many: source.many_to_many(),
    };
    check_collisions(&plan, &mut errors);
    errors.finish(plan)
}

fn check_something(args: &Args) -> syn::Result<()> {
    let columns = args.columns.all || !args.columns.listed.is_empty();
    if columns || !args.properties.is_empty() || !args.retired.is_empty() {
        return Ok(());
    }
    let message = "nothing to record: say `columns(…)`, `columns(all)` or `properties(…)`";
    Err(syn::Error::new(Span::call_site(), message))
}

fn table_name(given: Option<LitStr>, source: &Source<'_>) -> syn::Result<LitStr> {
    match (given, &source.table_name) {
        (Some(name), _) => Ok(name),
        (None, Some(name)) => Ok(LitStr::new(
            &format!("{}_record", name.value()),
            name.span(),
        )),
        (None, None) => Err(syn::Error::new(
            Span::call_site(),
            "the struct has no `#[sea_orm(table_name = \"…\")]`: \
             name the record table with `#[recorded(table_name = \"…\")]`",
        )),
    }
}

/// Records that are written from now on have no value for a retired column.
fn check_optional(field: &Field) -> syn::Result<()> {
    // SeaORM, too, goes by how the type is spelt.
    let optional = match ungrouped(&field.ty) {
        Type::Path(ty) => ty
            .path
            .segments
            .first()
            .is_some_and(|it| it.ident == "Option"),
        _ => false,
    };
    match optional {
        true => Ok(()),
        false => Err(syn::Error::new_spanned(
            &field.ty,
            "a retired column has to be `Option<…>`: new records have no value for it",
        )),
    }
}

fn check_collisions(plan: &Plan<'_>, errors: &mut Errors) {
    let mut taken: Vec<&RecordField> = Vec::new();
    taken.extend(plan.key.iter().map(|kept| &kept.field));
    taken.extend(plan.standard.iter().chain(&plan.context));
    for Kept { name, field, .. } in &plan.columns {
        check_free(field, &taken, errors, || {
            format!("rename it: `columns({name} as source_{})`", name.unraw())
        });
        taken.push(field);
    }
    for field in plan.properties.iter().chain(&plan.retired) {
        check_free(field, &taken, errors, || "choose another name".to_owned());
        taken.push(field);
    }
}

fn check_free(
    field: &RecordField,
    taken: &[&RecordField],
    errors: &mut Errors,
    advice: impl FnOnce() -> String,
) {
    if let Some(other) = taken.iter().find(|other| field.collides(other)) {
        let message = format!(
            "`{}` collides with the record's column `{}`: {}",
            field.ident,
            other.column,
            advice()
        );
        errors.push(syn::Error::new(field.span, message));
    }
}

/// Without a derive of serde's, its attributes would be unknown ones.
fn is_serde(derive: &Path) -> bool {
    let last = derive.segments.last();
    last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize")
}

/// What the record's `Model` has of the attributes of the source's.
fn struct_attrs(source: &Source<'_>, serde: bool) -> Vec<Attribute> {
    let kept = ["crate", "rename_all"];
    let is_kept = |meta: &&Meta| serde && kept.iter().any(|it| meta.path().is_ident(it));
    let metas = source.serde.iter().filter(is_kept);
    metas
        .map(|meta| moved::attr(&parse_quote!(#[serde(#meta)])))
        .collect()
}
