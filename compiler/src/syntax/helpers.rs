//! What an item is given back as where it is not read, because a person is still typing it or because the parser does not know its syntax: without the
//! attributes that only the macros know. rustc would call them unknown, which would be a second error about nothing.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::bounds::without_bounds;
use super::problem::{FIXED_POINT, ROLES};

/// The tokens without attributes such as `#[inner(minimize = w)]` and `#[shape(n)]`, at any depth; all others stay as they are.
pub fn without_helpers(tokens: TokenStream) -> TokenStream {
    strip(without_bounds(tokens))
}

fn strip(tokens: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(tree) = rest.next() {
        match tree {
            TokenTree::Punct(p) if p.as_char() == '#' && rest.peek().is_some_and(is_helper) => drop(rest.next()),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), strip(group.stream()));
                inner.set_span(group.span());
                kept.push(inner.into());
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => kept.push(tree),
        }
    }
    kept.into_iter().collect()
}

/// Whether these are the brackets of such an attribute, whatever its arguments.
fn is_helper(tree: &TokenTree) -> bool {
    let TokenTree::Group(group) = tree else { return false };
    let mut inside = group.stream().into_iter();
    let (name, arguments) = (inside.next(), inside.next());
    let has_arguments = matches!(&arguments, Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis);
    let is_named =
        |name: &TokenTree| matches!(name, TokenTree::Ident(i) if i == "shape" || i == FIXED_POINT || ROLES.iter().any(|role| i == role));
    group.delimiter() == Delimiter::Bracket && name.as_ref().is_some_and(is_named) && (arguments.is_none() || has_arguments)
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::without_helpers;

    #[test]
    fn only_attributes_of_the_macros_go() {
        let given = quote! {
            #[allow(dead_code)]
            mod m {
                #[inner(minimize = )]
                fn f(#[shape(n, 3)] w: &Array2<f64>) -> f64 { #[inline] fn inner() {} #[bound(3)] loop { w. } }
                #[outer]
                #[doc = "outer"]
                fn g() {}
            }
        };
        let expected = quote! {
            #[allow(dead_code)]
            mod m {
                fn f(w: &Array2<f64>) -> f64 { #[inline] fn inner() {} let _: ::core::primitive::usize = 3; loop { w. } }
                #[doc = "outer"]
                fn g() {}
            }
        };
        assert_eq!(without_helpers(given).to_string(), expected.to_string());
    }
}
