//! The module of the record entity, written as a person would write it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use super::columns::Kept;
use super::moved;
use super::plan::Plan;
use super::record_field::RecordField;

pub(super) fn module(plan: &Plan<'_>) -> TokenStream {
    let (vis, name) = (plan.vis, &plan.module);
    let doc = format!(
        " The history of this entity: rows of `{}`.",
        plan.table_name.value()
    );
    let model = model(plan);
    let relation = relation(plan);
    let properties = properties(plan);
    let record_entity = record_entity(plan);
    let parent = parent(name);
    quote! {
        #[doc = #doc]
        #vis mod #name {
            // Also what SeaORM's derives leave unqualified: it is there, for the source has them.
            use super::*;

            #model
            #relation
            #properties
            #record_entity
        }

        #parent
    }
}

fn model(plan: &Plan<'_>) -> TokenStream {
    let table_name = &plan.table_name;
    let schema_name = plan.schema_name.iter();
    let (derives, attrs, vis) = (&plan.derives, &plan.attrs, &plan.inner_vis);
    let fields = fields(plan).map(|field| {
        let RecordField {
            attrs,
            vis,
            ident,
            ty,
            ..
        } = field;
        quote! { #(#attrs)* #vis #ident: #ty }
    });
    quote! {
        #[doc = " What a row was at one moment."]
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            #(#derives,)*
            ::sea_orm_record::sea_orm::DeriveEntityModel
        )]
        #[sea_orm(table_name = #table_name #(, schema_name = #schema_name)*)]
        #(#attrs)*
        #vis struct Model {
            #(#fields,)*
        }

        #[automatically_derived]
        impl ::sea_orm_record::sea_orm::ActiveModelBehavior for ActiveModel {}
    }
}

fn fields<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = &'p RecordField> {
    let kept = |kept: &'p Kept| &kept.field;
    plan.key
        .iter()
        .map(kept)
        .chain(&plan.standard)
        .chain(plan.columns.iter().map(kept))
        .chain(&plan.properties)
        .chain(&plan.retired)
        .chain(&plan.context)
}

fn relation(plan: &Plan<'_>) -> TokenStream {
    let from = columns_text("Column", plan.key.iter().map(|kept| &kept.field.variant));
    let to = columns_text("super::Column", plan.key.iter().map(|kept| &kept.source));
    let foreign_key = match plan.cascade {
        true => quote!(on_delete = "Cascade"),
        false => quote!(skip_fk),
    };
    let vis = &plan.inner_vis;
    quote! {
        #[doc = " The relations of a record."]
        #[derive(
            ::core::marker::Copy,
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::sea_orm_record::sea_orm::EnumIter,
            ::sea_orm_record::sea_orm::DeriveRelation
        )]
        #vis enum Relation {
            #[doc = " What is recorded."]
            #[sea_orm(belongs_to = "super::Entity", from = #from, to = #to, #foreign_key)]
            Recording,
        }

        #[automatically_derived]
        impl ::sea_orm_record::sea_orm::Related<super::Entity> for Entity {
            fn to() -> ::sea_orm_record::sea_orm::RelationDef {
                ::sea_orm_record::sea_orm::RelationTrait::def(&Relation::Recording)
            }
        }
    }
}

/// `Column::A`, or `(Column::A, Column::B)`.
fn columns_text<'p>(of: &str, variants: impl Iterator<Item = &'p Ident>) -> String {
    let columns: Vec<_> = variants.map(|variant| format!("{of}::{variant}")).collect();
    match columns.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    }
}

fn properties(plan: &Plan<'_>) -> TokenStream {
    if plan.properties.is_empty() {
        return TokenStream::new();
    }
    let names = plan.properties.iter().map(|field| &field.column);
    let idents: Vec<_> = plan.properties.iter().map(|field| &field.ident).collect();
    let fields = plan.properties.iter().map(|field| {
        let docs = field
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("doc"));
        let (ident, ty) = (&field.ident, &field.ty);
        quote! { #(#docs)* pub #ident: #ty }
    });
    let vis = &plan.inner_vis;
    quote! {
        #[doc = " The computed values of one record."]
        #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
        #vis struct Properties {
            #(#fields,)*
        }

        #[automatically_derived]
        impl ::sea_orm_record::Properties for Properties {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn into_values(self) -> ::std::vec::Vec<::sea_orm_record::sea_orm::Value> {
                ::std::vec![#(::core::convert::Into::<::sea_orm_record::sea_orm::Value>::into(self.#idents)),*]
            }
        }
    }
}

fn record_entity(plan: &Plan<'_>) -> TokenStream {
    let properties = match plan.properties.is_empty() {
        true => quote!(()),
        false => quote!(Properties),
    };
    let key = pairs(&plan.key);
    let columns = pairs(&plan.columns);
    let context = context(plan);
    let retired = plan.retired.iter().map(|field| &field.variant);
    let redacted = redacted(plan);
    let many_to_many = many_to_many(plan);
    quote! {
        #[automatically_derived]
        impl ::sea_orm_record::RecordEntity for Entity {
            type Recording = super::Entity;
            type Properties = #properties;

            const RECORDED_AT: Column = Column::RecordedAt;
            const EVENT: Column = Column::Event;

            fn key() -> ::std::vec::Vec<(super::Column, Column)> {
                ::std::vec![#key]
            }

            fn columns() -> ::std::vec::Vec<(super::Column, Column)> {
                ::std::vec![#columns]
            }

            fn context() -> ::sea_orm_record::ContextColumns<Column> {
                #context
            }

            fn retired() -> ::std::vec::Vec<Column> {
                ::std::vec![#(Column::#retired),*]
            }

            #redacted
            #many_to_many
        }
    }
}

fn redacted(plan: &Plan<'_>) -> TokenStream {
    let redacted = plan.columns.iter().filter(|kept| kept.redacted);
    let redacted: Vec<_> = redacted.map(|kept| &kept.field.variant).collect();
    if redacted.is_empty() {
        return TokenStream::new();
    }
    quote! {
        fn redacted() -> ::std::vec::Vec<Column> {
            ::std::vec![#(Column::#redacted),*]
        }
    }
}

fn pairs(kept: &[Kept]) -> TokenStream {
    let source = kept.iter().map(|kept| &kept.source);
    let record = kept.iter().map(|kept| &kept.field.variant);
    quote! { #((super::Column::#source, Column::#record)),* }
}

fn context(plan: &Plan<'_>) -> TokenStream {
    if plan.context.is_empty() {
        // Not the trait's default: a recorded column may well be called `actor`.
        return quote!(::core::default::Default::default());
    }
    let fields = plan.context.iter().map(|field| {
        let (ident, variant) = (&field.ident, &field.variant);
        quote!(#ident: ::core::option::Option::Some(Column::#variant))
    });
    quote!(::sea_orm_record::ContextColumns { #(#fields),* })
}

fn many_to_many(plan: &Plan<'_>) -> TokenStream {
    if plan.many_to_many.is_empty() {
        return TokenStream::new();
    }
    let paths = plan.many_to_many.iter().map(|(cfgs, target)| {
        let target = moved::ty(&syn::Type::Path((*target).clone()));
        let related = quote!(<super::Entity as ::sea_orm_record::sea_orm::Related<#target>>);
        quote! {
            #(#cfgs)*
            ::core::iter::Iterator::collect(::core::iter::Iterator::chain(
                ::core::iter::IntoIterator::into_iter(#related::via()),
                [#related::to()],
            ))
        }
    });
    quote! {
        fn many_to_many() -> ::std::vec::Vec<::std::vec::Vec<::sea_orm_record::sea_orm::RelationDef>> {
            ::std::vec::Vec::from([#(#paths),*])
        }
    }
}

/// What stands beside the module: the way from the source to its records.
fn parent(module: &Ident) -> TokenStream {
    // With the span of the attribute, which is where a missing `impl Recorded` is reported.
    let entity = Ident::new("Entity", Span::call_site());
    quote! {
        #[automatically_derived]
        impl ::sea_orm_record::sea_orm::Related<#module::Entity> for #entity {
            fn to() -> ::sea_orm_record::sea_orm::RelationDef {
                <Self as ::sea_orm_record::sea_orm::EntityTrait>::has_many(#module::Entity).into()
            }
        }

        ::sea_orm_record::__private::inventory::submit! {
            ::sea_orm_record::Registration::recorded::<#entity>()
        }
    }
}
