//! What changes in types, attributes and visibilities that move one module down.

use proc_macro2::Span;
use quote::ToTokens as _;
use syn::punctuated::Punctuated;
use syn::visit_mut::{VisitMut, visit_expr_path_mut, visit_path_mut, visit_type_path_mut};
use syn::{
    Attribute, Expr, ExprPath, Ident, LitStr, Macro, Meta, MetaNameValue, Path, PathSegment, Token,
    Type, TypePath, Visibility, parse_quote,
};

/// Types of the source's module that are hidden by types of the record's module.
const HIDDEN: [&str; 7] = [
    "ActiveModel",
    "Column",
    "Entity",
    "Model",
    "PrimaryKey",
    "Properties",
    "Relation",
];

/// The keys of SeaORM's and serde's attributes whose strings are Rust.
const CODE: [&str; 9] = [
    "column_type",
    "crate",
    "default",
    "default_expr",
    "deserialize_with",
    "getter",
    "serialize_with",
    "skip_serializing_if",
    "with",
];

struct OneDown;

/// Strings that hold code.
struct Code;

pub(super) fn ty(ty: &Type) -> Type {
    let mut ty = ty.clone();
    OneDown.visit_type_mut(&mut ty);
    ty
}

pub(super) fn path(path: &Path) -> Path {
    let mut path = path.clone();
    OneDown.visit_path_mut(&mut path);
    path
}

/// With the Rust in its strings. Strings that are names stay, whatever they look like.
pub(super) fn attr(attr: &Attribute) -> Attribute {
    let mut attr = attr.clone();
    let is_theirs = attr.path().is_ident("sea_orm") || attr.path().is_ident("serde");
    if let Meta::List(list) = &mut attr.meta
        && is_theirs
        && let Ok(mut metas) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
    {
        for meta in &mut metas {
            if let Meta::NameValue(MetaNameValue { path, value, .. }) = meta
                && CODE.iter().any(|key| path.is_ident(key))
            {
                Code.visit_expr_mut(value);
            }
        }
        list.tokens = metas.into_token_stream();
    }
    attr
}

/// Visible from the same places as before; private is visible in the source's module.
pub(super) fn visibility(vis: &Visibility) -> Visibility {
    match vis {
        Visibility::Inherited => parse_quote!(pub(super)),
        Visibility::Public(_) => vis.clone(),
        Visibility::Restricted(restricted) if restricted.path.is_ident("self") => {
            parse_quote!(pub(super))
        }
        Visibility::Restricted(restricted) => {
            let path = path(&restricted.path);
            parse_quote!(pub(in #path))
        }
    }
}

impl VisitMut for Code {
    fn visit_lit_str_mut(&mut self, text: &mut LitStr) {
        // What is no Rust is reported by the derive that reads it.
        let Ok(before) = text.parse::<Expr>() else {
            return;
        };
        let mut after = before.clone();
        OneDown.visit_expr_mut(&mut after);
        if after != before {
            *text = LitStr::new(&after.into_token_stream().to_string(), text.span());
        }
    }
}

impl VisitMut for OneDown {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_path_mut(self, path);
        let parent = Ident::new("super", Span::call_site());
        match path.segments.first_mut() {
            _ if path.leading_colon.is_some() => {}
            Some(first) if first.ident == "self" => first.ident = parent,
            Some(first) if first.ident == "super" || HIDDEN.iter().any(|it| first.ident == it) => {
                path.segments.insert(0, PathSegment::from(parent));
            }
            _ => {}
        }
    }

    fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
        let before = ty.path.segments.len();
        visit_type_path_mut(self, ty);
        if let Some(qself) = &mut ty.qself {
            // `<T as super::Trait>::Type`: the trait's path got longer.
            qself.position += ty.path.segments.len() - before;
        }
    }

    fn visit_expr_path_mut(&mut self, expr: &mut ExprPath) {
        let before = expr.path.segments.len();
        visit_expr_path_mut(self, expr);
        if let Some(qself) = &mut expr.qself {
            qself.position += expr.path.segments.len() - before;
        }
    }

    /// `vec![super::Kind::Good]`, or another that takes expressions.
    fn visit_macro_mut(&mut self, mac: &mut Macro) {
        self.visit_path_mut(&mut mac.path);
        if let Ok(mut arguments) =
            mac.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated)
        {
            for argument in &mut arguments {
                self.visit_expr_mut(argument);
            }
            mac.tokens = arguments.into_token_stream();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: Type, after: Type) {
        assert_eq!(ty(&before), after);
    }

    #[test]
    fn types_follow_their_module() {
        check(parse_quote!(String), parse_quote!(String));
        check(parse_quote!(super::Kind), parse_quote!(super::super::Kind));
        check(parse_quote!(self::Kind), parse_quote!(super::Kind));
        check(parse_quote!(crate::Kind), parse_quote!(crate::Kind));
        check(
            parse_quote!(Option<super::Kind<self::Of>>),
            parse_quote!(Option<super::super::Kind<super::Of>>),
        );
        check(parse_quote!(Properties), parse_quote!(super::Properties));
        check(parse_quote!(::a::Model), parse_quote!(::a::Model));
        check(
            parse_quote!(<super::Kind as super::Of>::Type),
            parse_quote!(<super::super::Kind as super::super::Of>::Type),
        );
        check(
            parse_quote!(<self::Kind>::Type),
            parse_quote!(<super::Kind>::Type),
        );
    }

    #[test]
    fn code_in_strings_follows_its_module() {
        let check = |before: Attribute, after: Attribute| assert_eq!(attr(&before), after);
        check(
            parse_quote!(#[serde(with = "super::money", default = "self::none")]),
            parse_quote!(#[serde(with = "super :: super :: money", default = "super :: none")]),
        );
        check(
            parse_quote!(#[serde(skip_serializing_if = "<self::A as super::B>::no", default)]),
            parse_quote!(#[serde(
                skip_serializing_if = "< super :: A as super :: super :: B > :: no",
                default
            )]),
        );
        check(
            parse_quote!(#[sea_orm(
                indexed,
                column_type = "Enum { name: super::name(), variants: vec![super::A.into_iden()] }"
            )]),
            parse_quote!(#[sea_orm(
                indexed,
                column_type = "Enum { name : super :: super :: name () , variants : vec ! [super :: super :: A . into_iden ()] }"
            )]),
        );
    }

    #[test]
    fn strings_that_are_no_code_or_lead_nowhere_else_stay() {
        for attr in [
            parse_quote!(#[serde(rename = "super::x", alias = "self::x", with = "crate::money")]),
            parse_quote!(#[serde(with = "hex::serde")]),
            parse_quote!(#[sea_orm(column_name = "super::x", select_as = "self::x")]),
            parse_quote!(#[sea_orm(column_type = "Decimal(Some((10,2)))", default_value = "super")]),
            parse_quote!(#[sea_orm(column_type = "no Rust, super::x")]),
            parse_quote!(#[doc = "super::x"]),
            parse_quote!(#[other(with = "super::x")]),
        ] {
            assert_eq!(super::attr(&attr), attr);
        }
    }

    #[test]
    fn visibilities_follow_their_module() {
        let check = |before: Visibility, after: Visibility| assert_eq!(visibility(&before), after);
        check(parse_quote!(pub), parse_quote!(pub));
        check(parse_quote!(), parse_quote!(pub(super)));
        check(parse_quote!(pub(self)), parse_quote!(pub(super)));
        check(parse_quote!(pub(super)), parse_quote!(pub(in super::super)));
        check(parse_quote!(pub(crate)), parse_quote!(pub(in crate)));
    }
}
