//! Lengths that `#[shape(..)]` names: what is checked when the program is compiled, and what the errors say.

use proc_macro2::TokenStream;

fn expand(item: &str) -> String {
    let tokens: TokenStream = item.parse().unwrap_or_else(|e| panic!("{e}: {item}"));
    bilevel_compiler::differentiable(TokenStream::new(), tokens).to_string()
}

/// Asserts that the function is refused once, with all of the given words.
#[track_caller]
fn refused(item: &str, words: &[&str]) {
    let out = expand(item);
    assert_eq!(out.matches("compile_error").count(), 1, "{out}");
    for word in words {
        assert!(out.contains(word), "`{word}` is not in {out}");
    }
}

#[track_caller]
fn accepted(item: &str) -> String {
    let out = expand(item);
    assert!(!out.contains("compile_error"), "{}", &out[out.find("compile_error").unwrap_or(0)..]);
    out
}

#[test]
fn different_names_are_different_lengths() {
    refused(
        "fn f(#[shape(n, d)] x: &Array2<f64>, #[shape(n)] w: &Array1<f64>) -> f64 { x.dot(w).sum() }",
        &[
            "B0602",
            "`x.dot(w)` joins the lengths `d` and `n`",
            "`d` is the length of axis 1 of `x`",
            "`n` is the length of axis 0 of `x` and axis 0 of `w`",
        ],
    );
}

#[test]
fn the_error_says_which_expression_carried_the_length() {
    refused(
        "fn f(#[shape(n)] x: &Array1<f64>, y: &Array1<f64>, #[shape(m)] z: &Array1<f64>) -> f64 { let a = x * y; (a + y * z).sum() }",
        &["B0602", "`y * z` joins the lengths `n` and `m`", "axis 0 of `x` and axis 0 of `y` (by `x * y`)", "axis 0 of `z`"],
    );
}

#[test]
fn a_name_is_not_a_number() {
    refused(
        "fn f(#[shape(n)] x: &Array1<f64>) -> f64 { (x + &Array1::ones(3)).sum() }",
        &["B0602", "`n` is the length of axis 0 of `x`", "`3` is a length of `&Array1::ones(3)`"],
    );
    refused(
        "fn f(#[shape(2)] x: &Array1<f64>, #[shape(3)] y: &Array1<f64>) -> f64 { x.dot(y) }",
        &["`2` is the length of axis 0 of `x`", "`3` is the length of axis 0 of `y`"],
    );
}

#[test]
fn what_became_a_number_is_remembered() {
    refused(
        "fn f(x: &Array1<f64>) -> f64 { (Array1::ones(3) * x).sum() + (Array1::ones(4) * x).sum() }",
        &["`4` is a length of `Array1::ones(4)`", "`3` is the length of axis 0 of `x` (by `Array1::ones(3) * x`)"],
    );
}

#[test]
fn equal_names_are_equal_lengths() {
    // Nothing in the code joins the two parameters, so only the name makes their lengths one.
    let out = accepted("fn f(#[shape(n)] x: &Array1<f64>, #[shape(n)] y: &Array1<f64>) -> f64 { x.sum() * y.sum() }");
    // The carrier, for calls from elsewhere, keeps what the signature says.
    assert!(out.starts_with("fn f (x :"), "the attribute is not given back: {out}");
    let n_lengths = |out: &str| ["x_len", "y_len"].iter().filter(|name| out.contains(*name)).count();
    assert_eq!(n_lengths(&out), 0, "{out}");
    let without = accepted("fn f(x: &Array1<f64>, y: &Array1<f64>) -> f64 { x.sum() * y.sum() }");
    assert_eq!(n_lengths(&without), 2, "{without}");
}

#[test]
fn unnamed_axes_take_the_name_of_what_they_meet() {
    accepted("fn f(#[shape(_, d)] x: &Array2<f64>, #[shape(d)] w: &Array1<f64>, y: &Array1<f64>) -> f64 { (x.dot(w) * y).sum() }");
    accepted("fn f(#[shape(n, 3)] x: &Array2<f64>) -> f64 { x.dot(&Array1::ones(3)).sum() }");
}

#[test]
fn the_attribute_goes_also_where_there_is_an_error() {
    let out = expand("fn f(#[shape(n)] x: &Array1<f64>) -> f64 { x.what() }");
    assert!(out.contains("compile_error") && out.contains("fn f (x : & Array1 < f64 >)"), "{out}");
}

#[test]
fn helpers_of_a_problem_say_what_they_take() {
    let problem = |body: &str| {
        let items = format!(
            "mod problem {{
                fn helper(#[shape(k, k)] a: &Array2<f64>, #[shape(k)] b: &Array1<f64>) -> f64 {{ a.dot(b).sum() }}
                #[inner(minimize = w)] fn inner(#[shape(n)] w: &Array1<f64>, l: &f64, #[shape(n, m)] x: &Array2<f64>) -> f64 {{ {body} * l }}
                #[outer(minimize = l)] fn outer(w: &Array1<f64>) -> f64 {{ w.sum() }}
            }}"
        );
        bilevel_compiler::bilevel(TokenStream::new(), items.parse().unwrap()).to_string()
    };
    let out = problem("helper(&x.dot(&x.t()), w)");
    assert!(!out.contains("compile_error") && !out.contains("# [shape"), "{out}");
    let out = problem("helper(x, w)");
    assert!(out.contains("B0602") && out.contains("`m` is the length of axis 1 of `x`"), "{out}");
}
