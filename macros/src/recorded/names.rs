//! How `DeriveEntityModel` names columns and the variants of `Column`. It has to be the same here,
//! to the letter: the record repeats the names of the source's columns.

use heck::{
    ToKebabCase as _, ToLowerCamelCase as _, ToShoutySnakeCase as _, ToSnakeCase as _,
    ToTitleCase as _, ToUpperCamelCase as _,
};
use syn::ext::IdentExt as _;
use syn::{Ident, LitStr};

/// The variant of `Column` for a field.
pub(super) fn variant(field: &Ident, enum_name: Option<&LitStr>) -> syn::Result<Ident> {
    enum_name.map_or_else(|| Ok(default_variant(field)), LitStr::parse)
}

/// The variant of `Column` where no `enum_name` is given.
pub(super) fn default_variant(field: &Ident) -> Ident {
    let camel = field.unraw().to_string().to_upper_camel_case();
    match camel.as_str() {
        // The one keyword that a camel-cased name can be.
        "Self" => Ident::new("Self_", field.span()),
        name => Ident::new(name, field.span()),
    }
}

/// The SQL name of a field's column where no `column_name` is given.
pub(super) fn column(
    field: &Ident,
    enum_name: Option<&LitStr>,
    rename_all: Option<&LitStr>,
) -> syn::Result<String> {
    let name = field.unraw().to_string();
    let camel = name.to_upper_camel_case();
    if let Some(style) = rename_all {
        return convert(&camel, style);
    }
    if name != camel.to_snake_case() {
        return Ok(name.to_snake_case());
    }
    Ok(variant(field, enum_name)?.to_string().to_snake_case())
}

/// The styles of `#[sea_orm(rename_all = "…")]`.
fn convert(camel: &str, style: &LitStr) -> syn::Result<String> {
    Ok(match style.value().as_str() {
        "camel_case" | "PascalCase" => camel.to_upper_camel_case(),
        "camelCase" | "mixed_case" => camel.to_lower_camel_case(),
        "snake_case" | "snek_case" => camel.to_snake_case(),
        "kebab_case" | "kebab-case" => camel.to_kebab_case(),
        "SCREAMING-KEBAB-CASE" => camel.to_kebab_case().to_uppercase(),
        "shouty_snake_case" | "shouty_snek_case" | "SCREAMING_SNAKE_CASE" => {
            camel.to_shouty_snake_case()
        }
        "title_case" => camel.to_title_case(),
        "lowercase" => camel.to_lowercase(),
        "UPPERCASE" => camel.to_uppercase(),
        _ => {
            let message = "SeaORM does not know this style";
            return Err(syn::Error::new(style.span(), message));
        }
    })
}
