//! Type parameters of functions and structs: each is a float type, `F: Float`.
//!
//! Of the bounds the macro reads only that there is one called `Float`; the [witness](super::witness) proves that it is this crate's.

use std::collections::BTreeMap;

use crate::ir::{Elem, TypeParam};

/// What type parameters stand for where tokens are read, by their names.
pub type TypeArguments = BTreeMap<String, Elem>;

/// Each type parameter as itself: the meaning of the tokens for every type that it may stand for.
pub fn open_parameters(generics: &syn::Generics) -> TypeArguments {
    generics.type_params().map(|p| p.ident.to_string()).map(|name| (name.clone(), Elem::Generic(TypeParam::named(&name)))).collect()
}

/// The type parameters that no bound makes floats.
pub fn unbounded(generics: &syn::Generics) -> impl Iterator<Item = &syn::TypeParam> {
    generics.type_params().filter(|param| !names_float(&param.bounds) && !is_bounded_below(generics, &param.ident))
}

/// Whether the `where` clause says that the parameter is a float.
fn is_bounded_below(generics: &syn::Generics, param: &syn::Ident) -> bool {
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    predicates.into_iter().any(|predicate| match predicate {
        syn::WherePredicate::Type(of) => {
            matches!(&of.bounded_ty, syn::Type::Path(path) if path.path.is_ident(param)) && names_float(&of.bounds)
        }
        _ => false,
    })
}

fn names_float<'b>(bounds: impl IntoIterator<Item = &'b syn::TypeParamBound>) -> bool {
    bounds.into_iter().any(|bound| match bound {
        syn::TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|s| s.ident == "Float"),
        _ => false,
    })
}
