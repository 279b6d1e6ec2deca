//! No tokens make the compiler panic, and the user's item always comes back.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Programs that go through, to be broken.
const CORPUS: &[&str] = &[
    "mod weight_decay {
        use super::*;
        const HALF: f64 = 0.5;
        fn penalty(w: &Array2<f64>, l: &Array2<f64>) -> f64 { HALF * (l.exp() * w * w).sum() }
        #[inner(minimize = w)]
        pub fn train(w: &Array2<f64>, l: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
            cross_entropy(&x.dot(w), y) + penalty(w, l)
        }
        #[outer(minimize = l)]
        pub fn validate(w: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
            cross_entropy(&x_val.dot(w), y_val)
        }
    }",
    "fn f(x: &Array1<f64>, a: ArrayView2<'_, f64>, t: (f64, f64), n: usize, flag: bool) -> (f64, Array1<f64>) {
        let (n_rows, n_cols) = a.dim();
        let mut total = t.0;
        let mut state = Array1::<f64>::zeros(n_cols);
        for i in (0..n_rows).rev() {
            for j in 1..=n { total += a[[i, j]] * x[j] - 1e-3; }
            if flag && x[i] > 0.0 || i % 2 == 0 { state = &state * 0.5 + a.row(i); } else { total *= -2.0; }
        }
        let square = |v: f64| v * v;
        let y = x.mapv(|v| if v < 0.5 { (-v).exp().powi(3) } else { square(v).max(0.1) });
        let centered = &y - y.mean().unwrap() + a.mean_axis(Axis(0)).unwrap().insert_axis(Axis(0)).sum_axis(Axis(0));
        let z = softmax(&centered).mapv(f64::tanh) * std::f64::consts::PI;
        assert!(n > 0);
        (total + mse(&z, x) + n as f64, state.t().to_owned() + z.clamp(-1.0, 1.0))
    }",
];

/// The code of the message that a panic becomes.
const PANICKED: &str = "B0901";

/// Tokens to put in.
const POOL: &str = "+ - * / % = == != < > <= >= && || ! & | .. ..= . , ; : :: -> => ? # @ 'a $ _ 0 1 2 1.5 1e308 99999999999999999999 1f32 2usize 0x7f
    true false \"s\" 'c' b\"b\" x w a y f mut let for in if else while loop return break continue fn const unsafe async match move ref as crate self Self
    super struct impl dyn f64 f32 usize i64 bool Array1 Array2 ArrayD ArrayView1 Axis Vec Option dot sum mean exp t row mapv unwrap sum_axis zeros eye PI
    cross_entropy softmax log_sum_exp mse inner outer minimize differentiable wrt () {} [] (0) [0] {x} (x, y) |v| &mut x.0 x[0]";

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

/// The tokens with one change at a random place, at a random depth.
fn mutate(tokens: TokenStream, pool: &[TokenTree], random: &mut Random) -> TokenStream {
    let mut tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let groups: Vec<usize> = (0..tokens.len()).filter(|&k| matches!(tokens[k], TokenTree::Group(_))).collect();
    // Most tokens are deep inside.
    if !groups.is_empty() && random.below(8) > 0 {
        let at = groups[random.below(groups.len())];
        if let TokenTree::Group(group) = &tokens[at] {
            let delimiter = match random.below(40) {
                0 => [Delimiter::Parenthesis, Delimiter::Brace, Delimiter::Bracket, Delimiter::None][random.below(4)],
                _ => group.delimiter(),
            };
            tokens[at] = TokenTree::Group(Group::new(delimiter, mutate(group.stream(), pool, random)));
        }
        return tokens.into_iter().collect();
    }
    let at = random.below(tokens.len());
    let new = pool[random.below(pool.len())].clone();
    match random.below(5) {
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
        _ => tokens.insert(at.min(tokens.len()), new),
    }
    tokens.into_iter().collect()
}

fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap_or_else(|e| panic!("{e}: {source}"))
}

#[test]
fn mutated_programs_never_panic() {
    let pool: Vec<TokenTree> = tokens(POOL).into_iter().collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let unbroken = [
        bilevel_compiler::bilevel(TokenStream::new(), tokens(CORPUS[0])),
        bilevel_compiler::differentiable(TokenStream::new(), tokens(CORPUS[1])),
    ];
    for out in unbroken {
        let out = out.to_string();
        assert!(!out.contains("compile_error"), "{}", &out[out.find("compile_error").unwrap_or(0)..]);
    }
    let mut n_accepted = 0;
    for k in 0..5000 {
        let mut item = tokens(CORPUS[k % CORPUS.len()]);
        for _ in 0..1 + random.below(3) {
            item = mutate(item, &pool, &mut random);
        }
        let attr = if random.below(10) == 0 { mutate(tokens("wrt(x), crate = path"), &pool, &mut random) } else { TokenStream::new() };
        let (shown, shown_attr) = (item.to_string(), attr.to_string());
        let out = match k % 2 {
            0 => bilevel_compiler::bilevel(attr, item),
            _ => bilevel_compiler::differentiable(attr, item),
        };
        let out = out.to_string();
        assert!(!out.contains(PANICKED), "#[..({shown_attr})]\n{shown}");
        n_accepted += usize::from(!out.contains("compile_error"));
    }
    // Most mutations are errors, but not all: the test would be empty if nothing came through to lowering.
    assert!(n_accepted > 50, "{n_accepted}");
}

#[test]
fn arbitrary_tokens_never_panic() {
    let pool: Vec<TokenTree> = tokens(POOL).into_iter().collect();
    let mut random = Random(7);
    for _ in 0..2000 {
        let body: TokenStream = (0..random.below(12)).map(|_| pool[random.below(pool.len())].clone()).collect();
        let item: TokenStream = match random.below(3) {
            0 => body,
            1 => quote::quote!(fn f(x: f64, a: &Array2<f64>) -> f64 { #body }),
            _ => quote::quote!(mod m { #[inner(minimize = w)] fn f(w: &f64) -> f64 { #body } #body }),
        };
        for out in [
            bilevel_compiler::differentiable(TokenStream::new(), item.clone()),
            bilevel_compiler::bilevel(TokenStream::new(), item.clone()),
        ] {
            assert!(!out.to_string().contains(PANICKED), "{item}");
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    let mut body = quote::quote!(x);
    for _ in 0..5000 {
        body = quote::quote!((#body));
    }
    let out = bilevel_compiler::differentiable(TokenStream::new(), quote::quote!(fn f(x: f64) -> f64 { #body })).to_string();
    assert!(out.contains("B0410"), "{}", &out[out.len() - 300..]);

    let sum = "x + ".repeat(1000) + "x";
    let out = bilevel_compiler::differentiable(TokenStream::new(), tokens(&format!("fn f(x: f64) -> f64 {{ {sum} }}"))).to_string();
    assert!(out.contains("B0410"), "{}", &out[out.len() - 300..]);
}

#[test]
fn the_item_comes_back_on_error_and_attributes_of_the_crate_do_not() {
    let item = "mod m { #[inner(minimize = w)] fn f(w: &f64) -> f64 { w.what() } }";
    let out = bilevel_compiler::bilevel(TokenStream::new(), tokens(item)).to_string();
    assert!(out.contains(&tokens("fn f(w: &f64) -> f64 { w.what() }").to_string()), "{out}");
    assert!(!out.contains("inner (minimize"), "{out}");
    // The unknown method and the missing outer loss.
    assert_eq!(out.matches("compile_error").count(), 2, "{out}");
}

#[test]
fn half_typed_code_is_given_back_in_silence() {
    let item = "fn f(x: f64) -> f64 { x. __ra_fixup }";
    let out = bilevel_compiler::differentiable(TokenStream::new(), tokens(item)).to_string();
    assert_eq!(out, tokens(item).to_string());
}
