//! The arguments of `#[recorded(…)]`.

use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Field, Ident, LitStr, Path, Token, parenthesized};

#[derive(Default)]
pub(super) struct Args {
    pub(super) columns: Columns,
    pub(super) properties: Vec<Field>,
    pub(super) retired: Vec<Field>,
    pub(super) context: bool,
    pub(super) cascade: bool,
    pub(super) table_name: Option<LitStr>,
    pub(super) module: Option<Ident>,
    pub(super) derives: Vec<Path>,
}

/// What stands in `columns(…)`.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) all: bool,
    pub(super) listed: Vec<Listed>,
}

/// `title`, or `event as source_event`; with a `?` where records from before have none.
pub(super) struct Listed {
    pub(super) field: Ident,
    pub(super) renamed: Option<Ident>,
    pub(super) optional: Option<Token![?]>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name = input.call(Ident::parse_any)?;
            if seen.contains(&name) {
                let message = format!("`{name}` is given twice");
                return Err(syn::Error::new(name.span(), message));
            }
            args.parse_one(&name, input)?;
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    fn parse_one(&mut self, name: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        match name.to_string().as_str() {
            "columns" => self.columns = Columns::new(list(input, Listed::parse)?),
            "properties" => self.properties = list(input, Field::parse_named)?,
            "retired" => self.retired = list(input, Field::parse_named)?,
            "derives" => self.derives = list(input, Path::parse_mod_style)?,
            "context" => self.context = true,
            "cascade" => self.cascade = true,
            "table_name" => self.table_name = Some(value(input)?),
            "module" => self.module = Some(value(input)?),
            word @ ("skip" | "redact") => {
                let message = format!("`#[recorded({word})]` belongs on a field");
                return Err(syn::Error::new(name.span(), message));
            }
            _ => {
                let message = "expected `columns(…)`, `properties(…)`, `retired(…)`, `context`, \
                     `cascade`, `table_name = \"…\"`, `module = …` or `derives(…)`";
                return Err(syn::Error::new(name.span(), message));
            }
        }
        Ok(())
    }
}

impl Columns {
    fn new(mut listed: Vec<Listed>) -> Self {
        // A field that is called `all` can be listed as `r#all`.
        let is_all =
            |one: &Listed| one.field == "all" && one.renamed.is_none() && one.optional.is_none();
        let all = listed.iter().any(is_all);
        listed.retain(|one| !is_all(one));
        Self { all, listed }
    }
}

impl Parse for Listed {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let field = input.call(Ident::parse_any)?;
        let renamed = match input.parse::<Option<Token![as]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Self {
            field,
            renamed,
            optional: input.parse()?,
        })
    }
}

/// `(one, two)`
fn list<T>(
    input: ParseStream<'_>,
    parse: fn(ParseStream<'_>) -> syn::Result<T>,
) -> syn::Result<Vec<T>> {
    let content;
    parenthesized!(content in input);
    let items: Punctuated<T, Token![,]> = content.parse_terminated(parse, Token![,])?;
    Ok(items.into_iter().collect())
}

/// `= value`
fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}
