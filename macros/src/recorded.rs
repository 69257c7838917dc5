//! `#[recorded]`: from the struct of an entity to the module of its record entity.
//!
//! `args` (what was asked) and `source` (what is there) meet in `plan`, which with `columns` and
//! `record_field` finds what is wrong; `emit` only writes. `names` knows how SeaORM names things, `moved` what
//! changes in what moves one module down.

mod args;
mod columns;
mod emit;
mod moved;
mod names;
mod plan;
mod record_field;
mod source;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Item, ItemStruct};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut model = match syn::parse2(item) {
        Ok(Item::Struct(model)) => model,
        Ok(other) => return refuse(&other, WRONG_PLACE),
        Err(error) => return error.into_compile_error(),
    };
    let module = source::take_words(&mut model).and_then(|words| {
        check_place(&model)?;
        let source = source::Source::new(&model, &words)?;
        let plan = plan::plan(syn::parse2(args)?, &source)?;
        Ok(emit::module(&plan))
    });
    // The struct stays in any case: its absence would bury the error under others.
    let module = module.unwrap_or_else(syn::Error::into_compile_error);
    quote! { #model #module }
}

const WRONG_PLACE: &str = "`#[recorded]` belongs on the struct `Model` of an entity";

fn refuse(item: &Item, message: &str) -> TokenStream {
    let error = syn::Error::new(proc_macro2::Span::call_site(), message).into_compile_error();
    quote! { #item #error }
}

fn check_place(model: &ItemStruct) -> syn::Result<()> {
    if model.ident == "ModelEx" {
        // `#[sea_orm::model]` ran first and copied the attribute to both of its structs.
        return Err(syn::Error::new(
            proc_macro2::Span::call_site(),
            "put `#[recorded]` above `#[sea_orm::model]`",
        ));
    }
    if model.ident != "Model" {
        return Err(syn::Error::new_spanned(&model.ident, WRONG_PLACE));
    }
    if !matches!(model.fields, syn::Fields::Named(_)) {
        let message = "the fields of an entity have names";
        return Err(syn::Error::new_spanned(&model.fields, message));
    }
    if !model.generics.params.is_empty() {
        let message = "an entity cannot be generic";
        return Err(syn::Error::new_spanned(&model.generics, message));
    }
    Ok(())
}

/// Gathers errors, so that the user sees all of them at once.
#[derive(Default)]
struct Errors(Option<syn::Error>);

impl Errors {
    fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    fn finish<T>(self, value: T) -> syn::Result<T> {
        match self.0 {
            Some(error) => Err(error),
            None => Ok(value),
        }
    }
}
