//! `#[bound(n)]` on loops: rustc knows no attribute of that name, so what is given back to the user is without it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

/// The tokens with the `#[bound(n)]` on loops replaced by `let _: usize = n;`, which keeps what it uses from being unused.
pub fn without_bounds(tokens: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(tree) = rest.next() {
        match &tree {
            TokenTree::Punct(p) if p.as_char() == '#' => match rest.peek().and_then(bound) {
                Some(bound) => {
                    rest.next();
                    if begins_statement(kept.last()) {
                        kept.extend(quote!(let _: ::core::primitive::usize = #bound;));
                    }
                }
                None => kept.push(tree),
            },
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_bounds(group.stream()));
                inner.set_span(group.span());
                kept.push(inner.into());
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => kept.push(tree),
        }
    }
    kept.into_iter().collect()
}

/// Whether a statement can stand after this token.
fn begins_statement(before: Option<&TokenTree>) -> bool {
    match before {
        None => true,
        Some(TokenTree::Punct(p)) => p.as_char() == ';',
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(TokenTree::Ident(_) | TokenTree::Literal(_)) => false,
    }
}

/// The argument of the attribute, if these are its brackets.
fn bound(tree: &TokenTree) -> Option<TokenStream> {
    let TokenTree::Group(group) = tree else { return None };
    let mut inside = group.stream().into_iter();
    match (inside.next(), inside.next(), inside.next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(argument)), None) if name == "bound" => Some(argument.stream()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::without_bounds;

    #[test]
    fn only_the_attribute_goes() {
        let given = quote!(
            #[inline]
            fn f(bound: f64) -> f64 {
                #[bound(2 * n)]
                'a: while bound(x) {
                    #[bound(3)]
                    loop {}
                }
                x[bound(1)]
            }
        );
        let expected = quote!(
            #[inline]
            fn f(bound: f64) -> f64 {
                let _: ::core::primitive::usize = 2 * n;
                'a: while bound(x) {
                    let _: ::core::primitive::usize = 3;
                    loop {}
                }
                x[bound(1)]
            }
        );
        assert_eq!(without_bounds(given).to_string(), expected.to_string());
    }
}
