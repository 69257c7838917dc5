//! What changes in types and visibilities that move one module down.

use proc_macro2::Span;
use syn::visit_mut::{VisitMut, visit_path_mut, visit_type_path_mut};
use syn::{Ident, Path, PathSegment, Type, TypePath, Visibility, parse_quote};

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

struct OneDown;

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
    fn visibilities_follow_their_module() {
        let check = |before: Visibility, after: Visibility| assert_eq!(visibility(&before), after);
        check(parse_quote!(pub), parse_quote!(pub));
        check(parse_quote!(), parse_quote!(pub(super)));
        check(parse_quote!(pub(self)), parse_quote!(pub(super)));
        check(parse_quote!(pub(super)), parse_quote!(pub(in super::super)));
        check(parse_quote!(pub(crate)), parse_quote!(pub(in crate)));
    }
}
