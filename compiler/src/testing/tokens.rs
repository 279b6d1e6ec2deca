//! Arbitrary tokens for the macros: programs that go through, broken at random places.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;

use super::Random;

/// The code of the message that a panic becomes.
pub const PANICKED: &str = "B0901";

/// Tokens to put in.
const POOL: &str = "+ - * / % = == != < > <= >= && || ! & | .. ..= . , ; : :: -> => ? # @ 'a $ _ 0 1 2 1.5 1e308 99999999999999999999 1f32 2usize 0x7f
    true false \"s\" 'c' b\"b\" x w a y f mut let for in if else while loop return break continue fn const unsafe async match move ref as crate self Self
    super struct impl dyn f64 f32 usize i64 bool Array0 Array1 Array2 Array4 ArrayD ArrayView1 Axis Vec Option dot sum mean exp t row mapv unwrap sum_axis
    zeros eye PI s slice select fold zip enumerate iter rev step_by concatenate stack azip grad jvp hvp stop_gradient cross_entropy softmax log_sum_exp mse
    inner outer minimize differentiable wrt shape bound derivative of r#type n () {} [] (0) [0] {x} (x, y) |v| &mut x.0 x[0] x[[0, 1]] #[shape(n, 3)]
    #[shape(_)] #[shape] #[bound(n)] #[bound(0)] #[cfg(test)] #[derivative(of = f)] -1 <f64> ::<f64> [f64; 3] s![.., 1..;2, -1] <F: Float> 'a: {}";

/// [`POOL`] as tokens.
pub fn pool() -> Vec<TokenTree> {
    tokens(POOL).into_iter().collect()
}

/// The tokens of a text.
///
/// # Panics
/// If it cannot be split into tokens.
pub fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap_or_else(|e| panic!("{e}: {source}"))
}

/// The items of a file that carry an attribute of this crate, without it, and whether each is a problem. Modules are looked into.
pub fn annotated(file: &str) -> Vec<(bool, TokenStream)> {
    fn collect(items: Vec<syn::Item>, out: &mut Vec<(bool, TokenStream)>) {
        for item in items {
            match item {
                syn::Item::Fn(mut f) => {
                    let n = f.attrs.len();
                    f.attrs.retain(|a| !a.path().is_ident("differentiable"));
                    if f.attrs.len() < n {
                        out.push((false, f.into_token_stream()));
                    }
                }
                syn::Item::Mod(mut m) => {
                    let n = m.attrs.len();
                    m.attrs.retain(|a| !a.path().is_ident("bilevel"));
                    if m.attrs.len() < n {
                        out.push((true, m.into_token_stream()));
                    } else if let Some((_, items)) = m.content {
                        collect(items, out);
                    }
                }
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    collect(syn::parse_file(file).map_or_else(|_| Vec::new(), |file| file.items), &mut out);
    out
}

/// The tokens with one change at a random place, at a random depth.
pub fn mutate(tokens: TokenStream, pool: &[TokenTree], random: &mut Random) -> TokenStream {
    let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let groups: Vec<usize> = (0..tokens.len()).filter(|&k| matches!(tokens[k], TokenTree::Group(_))).collect();
    // Most tokens are deep inside.
    if !groups.is_empty() && !random.one_in(8) {
        let at = groups[random.below(groups.len())];
        if let TokenTree::Group(group) = &tokens[at] {
            let delimiter = match random.below(40) {
                0 => *random.pick(&[Delimiter::Parenthesis, Delimiter::Brace, Delimiter::Bracket, Delimiter::None]),
                _ => group.delimiter(),
            };
            tokens[at] = TokenTree::Group(Group::new(delimiter, mutate(group.stream(), pool, random)));
        }
        return tokens.into_iter().collect();
    }
    let at = random.below(tokens.len().max(1));
    let new = random.pick(pool).clone();
    match random.below(6) {
        0 if !tokens.is_empty() => {
            tokens.remove(at);
        }
        1 if !tokens.is_empty() => tokens[at] = new,
        2 if !tokens.is_empty() => {
            let other = random.below(tokens.len());
            tokens.swap(at, other);
        }
        3 if !tokens.is_empty() => {
            let copy = tokens[at].clone();
            tokens.insert(at, copy);
        }
        // A whole stretch once more: a statement, an argument, an arm.
        4 if !tokens.is_empty() => {
            let end = (at + 1 + random.below(8)).min(tokens.len());
            let stretch: Vec<TokenTree> = tokens[at..end].to_vec();
            tokens.splice(end..end, stretch);
        }
        _ => tokens.insert(at.min(tokens.len()), new),
    }
    tokens.into_iter().collect()
}

/// The expansion of an item, as text; an error if the compiler panicked inside.
///
/// # Errors
/// The expansion.
pub fn expansion(problem: bool, attr: &TokenStream, item: &TokenStream) -> Result<String, String> {
    let expand = if problem { crate::bilevel } else { crate::differentiable };
    let out = expand(attr.clone(), item.clone()).to_string();
    if out.contains(PANICKED) { Err(out) } else { Ok(out) }
}

/// The tokens without all that a failure does not need.
pub fn shrink(item: &TokenStream, fails: &dyn Fn(&TokenStream) -> bool) -> TokenStream {
    let mut current = item.clone();
    while let Some(smaller) = (0..count(&current)).map(|k| without(&current, &mut k.clone())).find(|t| fails(t)) {
        current = smaller;
    }
    current
}

fn count(tokens: &TokenStream) -> usize {
    let of = |token: TokenTree| match token {
        TokenTree::Group(group) => 1 + count(&group.stream()),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
    };
    tokens.clone().into_iter().map(of).sum()
}

/// The tokens without the `k`-th, groups counting before what is in them.
fn without(tokens: &TokenStream, k: &mut usize) -> TokenStream {
    let mut out = Vec::new();
    for token in tokens.clone() {
        if *k == 0 {
            *k = usize::MAX;
            continue;
        }
        *k = if *k == usize::MAX { *k } else { *k - 1 };
        out.push(match token {
            TokenTree::Group(group) if *k != usize::MAX => {
                let n = count(&group.stream());
                if *k >= n {
                    *k -= n;
                    TokenTree::Group(group)
                } else {
                    TokenTree::Group(Group::new(group.delimiter(), without(&group.stream(), k)))
                }
            }
            token => token,
        });
    }
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{count, shrink, tokens, without};

    #[test]
    fn each_token_can_be_left_out() {
        let t = tokens("a (b c) d");
        let texts: Vec<String> = (0..count(&t)).map(|mut k| without(&t, &mut k).to_string()).collect();
        assert_eq!(texts, ["(b c) d", "a d", "a (c) d", "a (b) d", "a (b c)"]);
    }

    #[test]
    fn what_the_failure_does_not_need_goes() {
        let t = tokens("fn f(x: f64) -> f64 { let y = x + 1.0; y.bad(x) }");
        assert_eq!(shrink(&t, &|t| t.to_string().contains("bad")).to_string(), "{ bad }");
    }
}
