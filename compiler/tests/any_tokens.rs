//! No tokens make the compiler panic, and the user's item always comes back. `cargo run --release -p bilevel-compiler --example fuzz` goes on with new
//! seeds until it is stopped.

use std::path::Path;

use bilevel_compiler::testing::Random;
use bilevel_compiler::testing::tokens::{PANICKED, annotated, expansion, mutate, pool, tokens};
use proc_macro2::TokenStream;

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

#[test]
fn mutated_programs_never_panic() {
    let pool = pool();
    let mut random = Random::new(1);
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

/// What the tests of the whole crate differentiate, broken.
#[test]
fn real_programs_broken_never_panic() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut corpus = Vec::new();
    let mut folders = vec![tests];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder).expect("the folder of tests").map(|e| e.expect("an entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                corpus.extend(annotated(&std::fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    assert!(corpus.len() > 150, "{} programs", corpus.len());
    let pool = pool();
    let mut random = Random::new(11);
    for k in 0..4000 {
        let (problem, item) = &corpus[k % corpus.len()];
        let item = (0..1 + random.below(2)).fold(item.clone(), |item, _| mutate(item, &pool, &mut random));
        if let Err(out) = expansion(*problem, &TokenStream::new(), &item) {
            panic!("{item}\n{out}");
        }
    }
}

#[test]
fn arbitrary_tokens_never_panic() {
    let pool = pool();
    let mut random = Random::new(7);
    for _ in 0..2000 {
        let body: TokenStream = (0..random.below(12)).map(|_| random.pick(&pool).clone()).collect();
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

/// Whatever is wrong, the user's item is there for rustc and for editors: the function as it was written, without attributes that only the macro knows.
#[test]
fn items_come_back_whatever_the_error() {
    let cases = [
        // Syntax that only a later version will know, a wrong attribute, errors while lowering, errors while deriving.
        ("", "fn f(#[shape(n)] x: &Array1<f64>) -> f64 { x.nothing() }"),
        ("what", "fn f(x: &Array1<f64>) -> f64 { x.sum() }"),
        ("wrt(nobody)", "fn f(x: &Array1<f64>) -> f64 { x.sum() }"),
        ("", "fn f(x: &mut Array1<f64>) -> f64 { x.sum() }"),
        ("", "fn f(x: &Array1<f64>) -> f64 { x.sum() + unknown(x) + other }"),
        ("", "async fn f<T>(x: &Array1<f64>, t: T) -> f64 { x.sum() }"),
    ];
    for (attr, item) in cases {
        let out = bilevel_compiler::differentiable(tokens(attr), tokens(item)).to_string();
        // Tokens that `syn` has read may stand closer together.
        let squeezed = |text: &str| text.split_whitespace().collect::<String>();
        assert!(out.contains("compile_error"), "{item}");
        assert!(squeezed(&out).contains(&squeezed(&item.replace("#[shape(n)] ", ""))), "{item}\nis not in\n{out}");
    }
}

/// Editors send the name `__ra_fixup` where an expression is missing.
#[test]
fn half_typed_code_is_not_lectured() {
    for item in [
        "fn f(x: f64) -> f64 { x. __ra_fixup }",
        "fn f(x: f64) -> f64 { let y = __ra_fixup; y }",
        "fn f(x: &Array1<f64>) -> f64 { if __ra_fixup {} x.nothing() }",
        "fn f(x: &Array1<f64>) -> f64 { x.mapv(|v| __ra_fixup).sum() }",
        "fn f(x: __ra_fixup) -> f64 { 1.0 }",
    ] {
        let out = bilevel_compiler::differentiable(TokenStream::new(), tokens(item)).to_string();
        assert_eq!(out, tokens(item).to_string());
        let module = format!("mod m {{ {item} #[inner(minimize = w)] fn g(w: f64) -> f64 {{ w }} }}");
        let out = bilevel_compiler::bilevel(TokenStream::new(), tokens(&module)).to_string();
        assert!(!out.contains("compile_error"), "{out}");
        // rustc does not know this attribute: it would be an error about something that is right.
        assert_eq!(out, tokens(&module.replace("#[inner(minimize = w)] ", "")).to_string());
    }
    // The attributes themselves may be half typed.
    let module =
        "mod m { #[inner(minimize = __ra_fixup)] fn f(#[shape(__ra_fixup)] w: &Array1<f64>) -> f64 { w.sum() } #[outer] fn g() {} }";
    let out = bilevel_compiler::bilevel(TokenStream::new(), tokens(module)).to_string();
    assert_eq!(out, tokens("mod m { fn f(w: &Array1<f64>) -> f64 { w.sum() } fn g() {} }").to_string());
    let function = "fn f(#[shape(n)] x: &Array1<f64>) -> f64 { #[bound(3)] while true {} x. __ra_fixup }";
    let out = bilevel_compiler::differentiable(TokenStream::new(), tokens(function)).to_string();
    assert!(!out.contains("shape") && !out.contains("bound") && !out.contains("compile_error"), "{out}");
}
