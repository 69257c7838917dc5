//! `#[record_hooks]`: the four hooks, each with ours in it, and the saves in one transaction.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Block, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, Path, ReturnType, Stmt, Type,
    parse_quote,
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let hooks: ItemImpl = match syn::parse2(item.clone()) {
        Ok(hooks) => hooks,
        Err(_) => return refuse(item, syn::Error::new(Span::call_site(), WRONG_PLACE)),
    };
    match hooked(&args, hooks) {
        Ok(output) => output,
        Err(error) => refuse(item, error),
    }
}

const WRONG_PLACE: &str = "`#[record_hooks]` belongs on `impl ActiveModelBehavior for ActiveModel`";

/// The item stays: its absence would bury the error under others.
fn refuse(item: TokenStream, error: syn::Error) -> TokenStream {
    let error = error.into_compile_error();
    quote! { #item #error }
}

fn hooked(args: &TokenStream, mut hooks: ItemImpl) -> syn::Result<TokenStream> {
    if !args.is_empty() {
        let message = "`#[record_hooks]` takes no arguments";
        return Err(syn::Error::new_spanned(args, message));
    }
    let active_model = active_model(&hooks)?;
    let ours = Hook::ALL.into_iter().map(|hook| {
        let user = hooks.items.iter_mut().find_map(|item| match item {
            ImplItem::Fn(function) if function.sig.ident == hook.name() => Some(function),
            _ => None,
        });
        match user {
            Some(function) => hook.wrap(function).map(|()| None),
            None => Ok(Some(hook.alone())),
        }
    });
    let ours: Vec<_> = ours.collect::<syn::Result<_>>()?;
    hooks
        .items
        .extend(ours.into_iter().flatten().map(ImplItem::Fn));
    if !hooks
        .attrs
        .iter()
        .any(|attr| is(attr.path(), "async_trait"))
    {
        let attr = parse_quote!(#[::sea_orm_record::__private::async_trait::async_trait]);
        hooks.attrs.push(attr);
    }
    let methods = methods(&active_model);
    let links = links(&active_model);
    Ok(quote! {
        #hooks

        #[automatically_derived]
        impl ::sea_orm_record::Hooked for #active_model {}

        ::sea_orm_record::__private::inventory::submit! {
            ::sea_orm_record::Registration::hooked::<#active_model>()
        }

        // Recorded as well, if it is: `#[recorded]` may not stand there.
        ::sea_orm_record::__private::inventory::submit! {{
            #[allow(unused_imports)]
            use ::sea_orm_record::__private::MaybeRecorded as _;
            ::sea_orm_record::__private::Probe::<
                <#active_model as ::sea_orm_record::sea_orm::ActiveModelTrait>::Entity
            >::REGISTRATION
        }}

        #methods
        #links
    })
}

fn active_model(hooks: &ItemImpl) -> syn::Result<Path> {
    let is_behavior = match &hooks.trait_ {
        Some((None, path, _)) => is(path, "ActiveModelBehavior"),
        _ => false,
    };
    match &*hooks.self_ty {
        Type::Path(ty) if is_behavior && ty.qself.is_none() && is(&ty.path, "ActiveModel") => {
            Ok(ty.path.clone())
        }
        ty if is_behavior => Err(syn::Error::new_spanned(ty, WRONG_PLACE)),
        _ => Err(syn::Error::new(Span::call_site(), WRONG_PLACE)),
    }
}

fn is(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

#[derive(Clone, Copy)]
enum Hook {
    BeforeSave,
    AfterSave,
    BeforeDelete,
    AfterDelete,
}

impl Hook {
    const ALL: [Self; 4] = [
        Self::BeforeSave,
        Self::AfterSave,
        Self::BeforeDelete,
        Self::AfterDelete,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::BeforeSave => "before_save",
            Self::AfterSave => "after_save",
            Self::BeforeDelete => "before_delete",
            Self::AfterDelete => "after_delete",
        }
    }

    /// The names under which the arguments are passed on where the user has none for them: an
    /// argument may be taken by any pattern, or left out. `self` is no argument.
    fn arguments(self) -> Vec<Ident> {
        let names: &[&str] = match self {
            Self::BeforeSave => &["record_db", "record_insert"],
            Self::AfterSave => &["record_model", "record_db", "record_insert"],
            Self::BeforeDelete | Self::AfterDelete => &["record_db"],
        };
        let ident = |name: &&str| Ident::new(&format!("__{name}"), Span::call_site());
        names.iter().map(ident).collect()
    }

    /// The hook where the user has none.
    fn alone(self) -> ImplItemFn {
        let name = Ident::new(self.name(), Span::call_site());
        let ours = self.ours(&parse_quote!(self), &self.arguments());
        let (first, result) = match self {
            Self::AfterSave => (quote!(__record_model: #MODEL), quote!(#MODEL)),
            _ => (quote!(self), quote!(Self)),
        };
        let insert = match self {
            Self::BeforeSave | Self::AfterSave => quote!(__record_insert: bool),
            Self::BeforeDelete | Self::AfterDelete => quote!(),
        };
        parse_quote! {
            async fn #name<C>(
                #first,
                __record_db: &C,
                #insert
            ) -> ::core::result::Result<#result, ::sea_orm_record::sea_orm::DbErr>
            where
                C: ::sea_orm_record::sea_orm::ConnectionTrait,
            {
                #ours
            }
        }
    }

    /// Ours around the user's: ours has the last word before, and the first after.
    fn wrap(self, function: &mut ImplItemFn) -> syn::Result<()> {
        check_cfg(function)?;
        // With the hygiene of the user's, which may come from another macro than the attribute.
        let this = match function.sig.receiver() {
            Some(this) => this.self_token,
            None => parse_quote!(self),
        };
        let (patterns, arguments, result) = self.take_signature(function)?;
        let users = users(&function.block, &patterns, &arguments, &result);
        let ours = self.ours(&this, &arguments);
        let model = &arguments[0];
        function.block = match self {
            Self::BeforeSave | Self::BeforeDelete => parse_quote!({ #this = #users?; #ours }),
            Self::AfterSave => parse_quote!({ let #model = #ours?; #users }),
            Self::AfterDelete => parse_quote!({ #this = #ours?; #users }),
        };
        Ok(())
    }

    /// The call of our hook.
    fn ours(self, this: &syn::Token![self], arguments: &[Ident]) -> TokenStream {
        let name = Ident::new(self.name(), Span::call_site());
        let (types, this) = match self {
            Self::AfterSave => (quote!(::<Self, _>), quote!()),
            _ => (quote!(), quote!(#this,)),
        };
        quote!(::sea_orm_record::hooks::#name #types (#this #(#arguments),*).await)
    }

    /// Puts names in the place of the user's patterns: ours, but where the pattern is a name.
    fn take_signature(
        self,
        function: &mut ImplItemFn,
    ) -> syn::Result<(Vec<Pat>, Vec<Ident>, Type)> {
        let signature = &mut function.sig;
        if signature.asyncness.is_none() {
            return Err(syn::Error::new_spanned(
                &signature.ident,
                "this hook is not async: if `#[async_trait]` is above `#[record_hooks]`, \
                 put `#[record_hooks]` above it",
            ));
        }
        let mut arguments = self.arguments();
        let mut patterns = Vec::new();
        for input in &mut signature.inputs {
            match input {
                // We assign to it; that the user does not is no reason to warn.
                FnArg::Receiver(this) => this.mutability = Some(parse_quote!(mut)),
                FnArg::Typed(typed) => {
                    if let Some(argument) = arguments.get_mut(patterns.len()) {
                        // Another attribute of the hook's may say it, as `tracing`'s do.
                        if let Pat::Ident(pat) = &*typed.pat
                            && pat.by_ref.is_none()
                            && pat.subpat.is_none()
                            && !pat.ident.to_string().starts_with('_')
                        {
                            *argument = pat.ident.clone();
                        }
                        let ours = parse_quote!(#argument);
                        patterns.push(std::mem::replace(&mut *typed.pat, ours));
                    }
                }
            }
        }
        match &signature.output {
            ReturnType::Type(_, ty) if patterns.len() == arguments.len() => {
                Ok((patterns, arguments, (**ty).clone()))
            }
            _ => Err(syn::Error::new_spanned(
                signature,
                "this is not the hook of `ActiveModelBehavior`",
            )),
        }
    }
}

/// What we write would go with a hook whose `#[cfg]` does not hold.
fn check_cfg(function: &ImplItemFn) -> syn::Result<()> {
    let mut attrs = function.attrs.iter();
    match attrs.find(|attr| attr.path().is_ident("cfg")) {
        None => Ok(()),
        Some(cfg) => Err(syn::Error::new_spanned(
            cfg,
            "a hook that depends on a `#[cfg]` would take the recording with it: put the `#[cfg]` \
             within the hook",
        )),
    }
}

/// The user's hook: a block of its own, so that `return` and `?` leave it and not ours. What it
/// returns is told as `async_trait` does it, for an `async` block cannot declare it.
fn users(block: &Block, patterns: &[Pat], arguments: &[Ident], result: &Type) -> TokenStream {
    let statements: &[Stmt] = &block.stmts;
    let rebound = patterns
        .iter()
        .zip(arguments)
        .filter_map(|(pattern, argument)| {
            // What is so called already is used by us, and maybe by no more than an attribute.
            let is_there = *pattern == parse_quote!(#argument);
            (!is_there).then(|| quote!(let #pattern = #argument;))
        });
    quote! {
        async move {
            if let ::core::option::Option::Some(__record_result) =
                ::core::option::Option::None::<#result>
            {
                #[allow(unreachable_code)]
                return __record_result;
            }
            #(#rebound)*
            let __record_result: #result = { #(#statements)* };
            #[allow(unreachable_code)]
            __record_result
        }
        .await
    }
}

/// The type of the model, where a type is enough.
struct Model;
const MODEL: Model = Model;

impl quote::ToTokens for Model {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(quote! {
            <<Self as ::sea_orm_record::sea_orm::ActiveModelTrait>::Entity as ::sea_orm_record::sea_orm::EntityTrait>::Model
        });
    }
}

/// The saves that SeaORM has on its traits, on the types themselves: so they come first.
fn methods(active_model: &Path) -> TokenStream {
    let mut model = active_model.clone();
    if let Some(last) = model.segments.last_mut() {
        last.ident = Ident::new("Model", last.ident.span());
    }
    let method = |doc: &str, name: &str, result: TokenStream| {
        let name = Ident::new(name, Span::call_site());
        method(doc, &name, &quote!(::sea_orm_record::hooks::#name), &result)
    };
    let deleted = quote!(::sea_orm_record::sea_orm::DeleteResult);
    let insert = method("Inserts the row", "insert", quote!(#MODEL));
    let update = method("Updates the row", "update", quote!(#MODEL));
    let blind = method(
        "Updates the row without reading it back",
        "update_without_returning",
        quote!(::sea_orm_record::sea_orm::UpdateResult),
    );
    let save = method("Inserts or updates the row", "save", quote!(Self));
    let delete = method("Deletes the row", "delete", deleted.clone());
    let delete_model = self::method(
        "Deletes the row",
        &Ident::new("delete", Span::call_site()),
        &quote!(::sea_orm_record::hooks::delete_model::<#active_model, C>),
        &deleted,
    );
    quote! {
        impl #active_model {
            #insert
            #update
            #blind
            #save
            #delete
        }

        impl #model {
            #delete_model
        }
    }
}

/// What clears the links of a many-to-many when an `ActiveModelEx` is deleted. SeaORM has it on a
/// trait, and an inherent method comes first.
///
/// Which format the entity has cannot be seen from here. So there are two scopes: the inner one sees
/// the module's `ActiveModelEx`; where there is none, the name leads on to the outer one's, which is
/// empty.
fn links(active_model: &Path) -> TokenStream {
    let mut module = active_model.clone();
    module.segments.pop();
    let module = match module.segments.is_empty() {
        true => quote!(self::),
        false => quote!(#module),
    };
    let entity = quote!(<#active_model as ::sea_orm_record::sea_orm::ActiveModelTrait>::Entity);
    let method = |name: &str, ties: TokenStream| {
        let name = Ident::new(name, Span::call_site());
        quote! {
            #[doc(hidden)]
            pub async fn #name<J, C>(
                &self,
                _: J,
                db: &C,
            ) -> ::core::result::Result<::sea_orm_record::sea_orm::DeleteResult, ::sea_orm_record::sea_orm::DbErr>
            where
                J: ::sea_orm_record::sea_orm::EntityTrait<Model: ::core::marker::Sync>,
                #ties,
                C: ::sea_orm_record::sea_orm::ConnectionTrait,
            {
                #[allow(unused_imports)]
                use ::sea_orm_record::sea_orm::ActiveModelTrait as _;
                ::sea_orm_record::hooks::#name::<J, #entity, C>(|column| self.get(column), db).await
            }
        }
    };
    let delete_links = method(
        "delete_links",
        quote!(J: ::sea_orm_record::sea_orm::Related<#entity>),
    );
    let delete_links_self = method(
        "delete_links_self",
        quote!(#entity: ::sea_orm_record::sea_orm::RelatedSelfVia<J>),
    );
    let active_model_ex = Ident::new("ActiveModelEx", Span::call_site());
    quote! {
        const _: () = {
            #[allow(dead_code)]
            struct #active_model_ex;

            #[allow(dead_code)]
            impl #active_model_ex {
                fn get<T>(&self, _: T) -> ::sea_orm_record::sea_orm::ActiveValue<::sea_orm_record::sea_orm::Value> {
                    ::sea_orm_record::sea_orm::ActiveValue::NotSet
                }
            }

            {
                #[allow(unused_imports)]
                use #module *;

                #[allow(dead_code)]
                impl #active_model_ex {
                    #delete_links
                    #delete_links_self
                }
            }
        };
    }
}

fn method(doc: &str, name: &Ident, calls: &TokenStream, result: &TokenStream) -> TokenStream {
    let doc = format!(
        " {doc} and records it, in one transaction: a new one where `db` is a pool, \
         and the one that `db` is otherwise."
    );
    quote! {
        #[doc = #doc]
        pub async fn #name<C>(
            self,
            db: &C,
        ) -> ::core::result::Result<#result, ::sea_orm_record::sea_orm::DbErr>
        where
            C: ::sea_orm_record::sea_orm::ConnectionTrait,
        {
            #calls(self, db).await
        }
    }
}
