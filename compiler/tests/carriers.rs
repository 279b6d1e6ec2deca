//! Questions and answers between expansions, without rustc: a carrier's bundle is put behind the state of whoever asks for it.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap_or_else(|e| panic!("{e}: {source}"))
}

/// The groups with this delimiter anywhere in the tokens, each after the tokens that precede it at its level.
fn groups(tokens: TokenStream, delimiter: Delimiter, visit: &mut impl FnMut(&str, TokenStream)) {
    let mut before = String::new();
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            if group.delimiter() == delimiter {
                visit(&before, group.stream());
            }
            groups(group.stream(), delimiter, visit);
        }
        before.push_str(&token.to_string());
        before.push(' ');
    }
}

/// What the carrier in an expansion holds.
fn bundle(expansion: &TokenStream) -> TokenStream {
    let mut found = None;
    groups(expansion.clone(), Delimiter::Brace, &mut |before, stream| {
        // The last group of the macro's right-hand side.
        if before.ends_with("$ ($ state) * ") || before.ends_with("$ ($ state) *") {
            found = Some(stream);
        }
    });
    found.unwrap_or_else(|| panic!("no carrier in {expansion}"))
}

/// The path and the state of the question in an expansion.
fn question(expansion: &TokenStream) -> Option<(String, TokenStream)> {
    let mut found = None;
    groups(expansion.clone(), Delimiter::Brace, &mut |before, stream| {
        let mut inside = stream.into_iter();
        let asks = matches!(inside.next(), Some(TokenTree::Group(g)) if g.stream().to_string().contains("__resume"));
        if asks && before.trim_end().ends_with('!') {
            let path = before.trim_end().trim_end_matches('!').rsplit(';').next().unwrap_or_default();
            found = Some((path.replace(' ', ""), inside.collect()));
        }
    });
    found
}

fn answer(mut state: TokenStream, bundle: TokenStream) -> TokenStream {
    state.extend([TokenTree::Group(proc_macro2::Group::new(Delimiter::Brace, bundle))]);
    bilevel_compiler::resume(state)
}

fn differentiable(item: &str) -> TokenStream {
    bilevel_compiler::differentiable(TokenStream::new(), tokens(item))
}

fn is_complete(expansion: &TokenStream) -> bool {
    let text = expansion.to_string();
    question(expansion).is_none() && !text.contains("compile_error") && text.contains("linearize")
}

#[test]
fn a_body_is_asked_for_and_carried_on() {
    let square = differentiable("fn square(x: f64) -> f64 { x * x }");
    assert!(is_complete(&square));
    let asks = differentiable("pub fn quartic(x: f64) -> f64 { m::square(m::square(x)) }");
    let (path, state) = question(&asks).expect("a question");
    assert_eq!(path, "m::square");
    let quartic = answer(state, bundle(&square));
    assert!(is_complete(&quartic), "{quartic}");
    // The item itself stands there already; its carrier brings both bodies to a third function, which knows nothing of `m`.
    assert!(!quartic.to_string().starts_with("pub fn quartic"), "{quartic}");
    let (path, state) = question(&differentiable("fn f(x: f64) -> f64 { quartic(x) + 1.0 }")).expect("a question");
    assert_eq!(path, "quartic");
    let f = answer(state, bundle(&quartic));
    assert!(is_complete(&f), "{f}");
}

#[test]
fn several_bodies_are_asked_for_one_after_the_other() {
    let a = differentiable("fn a(x: f64) -> f64 { 2.0 * x }");
    let b = differentiable("fn b(x: f64) -> f64 { 3.0 * x }");
    let first = differentiable("fn f(x: f64) -> f64 { a(b(x)) + N.sin() }");
    let n = differentiable("const N: f64 = 1.0;");
    let mut state = question(&first);
    let mut asked = Vec::new();
    let mut last = first;
    while let Some((path, question_state)) = state {
        let bundle = match path.as_str() {
            "a" => bundle(&a),
            "b" => bundle(&b),
            _ => bundle(&n),
        };
        asked.push(path);
        last = answer(question_state, bundle);
        state = question(&last);
    }
    asked.sort();
    assert_eq!(asked, ["N", "a", "b"]);
    assert!(is_complete(&last), "{last}");
}

#[test]
fn one_name_means_different_things_in_different_bodies() {
    // Both know a `scale`, and neither's is the other's.
    let scale_two = differentiable("fn scale(x: f64) -> f64 { 2.0 * x }");
    let scale_three = differentiable("fn scale(x: f64) -> f64 { 3.0 * x }");
    let via = |scale: &TokenStream, item: &str| answer(question(&differentiable(item)).expect("a question").1, bundle(scale));
    let two = via(&scale_two, "fn two(x: f64) -> f64 { scale(x) }");
    let three = via(&scale_three, "fn three(x: f64) -> f64 { scale(x) }");
    let (_, state) = question(&differentiable("fn both(x: f64) -> f64 { two(x) + three(x) }")).expect("a question");
    let next = answer(state, bundle(&two));
    let both = answer(question(&next).expect("the second question").1, bundle(&three));
    let text = both.to_string();
    let jvp = &text[text.find("fn jvp").expect("forward mode")..text.find("fn vjp").expect("reverse mode")];
    assert!(jvp.contains("5.0 * x"), "{jvp}");
}

#[test]
fn a_call_that_does_not_fit_is_an_error_at_the_call() {
    let item = "fn pairs(x: &Array1<f64>) -> f64 { (x + &Array1::ones(3)).sum() }";
    let caller = "fn f(x: f64) -> f64 { pairs(&Array1::from_elem(4, x)) }";
    let out = answer(question(&differentiable(caller)).expect("a question").1, bundle(&differentiable(item))).to_string();
    assert!(out.contains("`pairs` cannot be called like this") && out.contains("[B0507]"), "{out}");
}

#[test]
fn an_error_is_reported_once() {
    let faulty = differentiable("fn g(x: f64) -> f64 { x.gamma() }");
    assert!(faulty.to_string().contains("B0501"));
    let caller = answer(question(&differentiable("fn f(x: f64) -> f64 { g(x) }")).expect("a question").1, bundle(&faulty));
    assert!(!caller.to_string().contains("compile_error"), "{caller}");
    let caller = answer(question(&differentiable("fn h(x: f64) -> f64 { f(x) }")).expect("a question").1, bundle(&caller));
    assert!(!caller.to_string().contains("compile_error"), "{caller}");
}

#[test]
fn what_is_no_state_is_no_panic() {
    for state in [
        "",
        "{ differentiable }",
        "a b c",
        "{ x } { } { } { } { } { } { }",
        "{ differentiable } { ::a } { } { fn f() {} } { } { { g } } { { 1 } }",
    ] {
        assert!(bilevel_compiler::resume(tokens(state)).to_string().contains("compile_error"), "{state}");
    }
}

#[test]
fn the_function_of_a_derivative_is_asked_for_by_the_function_and_by_the_item() {
    let quartic = differentiable("fn quartic(x: f64) -> f64 { x.powi(4) }");
    let caller = differentiable("fn slope(x: f64) -> f64 { let y = grad!(m::quartic, x); grad!(m::quartic(2.0 * y), x) }");
    // In the plain function stand calls that the carrier completes, since only it knows the names of the parameters.
    let function = caller.to_string();
    let function = &function[..function.find("mod").expect("the question")];
    assert!(!function.contains("grad !") && function.matches("m :: quartic ! (").count() == 2, "{function}");
    let mut calls = Vec::new();
    groups(caller.clone(), Delimiter::Parenthesis, &mut |before, stream| {
        if before.trim_end().ends_with("quartic !") {
            let state: TokenStream = stream.into_iter().skip(1).collect();
            calls.push(answer(state, bundle(&quartic)).to_string());
        }
    });
    assert!(calls[0].ends_with(":: grad (x)") && calls[1].ends_with(":: grad (2.0 * y)"), "{calls:?}");
    let (path, state) = question(&caller).expect("a question");
    assert_eq!(path, "m::quartic");
    let generated = answer(state, bundle(&quartic));
    assert!(is_complete(&generated), "{generated}");
    // Both uses are one.
    let module = calls[0].split("::").next().expect("a module").trim();
    assert_eq!(generated.to_string().matches(&format!("mod {module}")).count(), 1, "{generated}");
}

#[test]
fn recursion_through_a_derivative_is_found() {
    let out = differentiable("fn f(x: f64) -> f64 { grad!(f, x) }").to_string();
    assert!(out.contains("[B0504]"), "{out}");
}

#[test]
fn rules_are_carried_and_know_their_function() {
    let rule = "pub fn r(x: &Array1<f64>, x_dot: &Array1<f64>) -> Array1<f64> { grow(x) * x_dot }";
    let grow = bilevel_compiler::derivative(tokens("of = grow"), tokens(rule));
    assert!(is_complete(&grow), "{grow}");
    let caller = differentiable("fn f(x: &Array1<f64>) -> f64 { m::grow(x).sum() }");
    let f = answer(question(&caller).expect("a question").1, bundle(&grow));
    assert!(is_complete(&f), "{f}");
    // The function itself is called by its path, once beside all derivatives.
    assert_eq!(f.to_string().matches("let value = m :: grow (").count(), 1, "{f}");
    // Who only knows `f` is asked for what `f` calls, which must be the same function.
    let outer = differentiable("fn g(x: &Array1<f64>) -> f64 { f(x) * 2.0 }");
    let g = answer(question(&outer).expect("a question").1, bundle(&f));
    let (path, state) = question(&g).expect("a second question");
    assert_eq!(path, "grow");
    assert!(is_complete(&answer(state.clone(), bundle(&grow))), "{g}");
    let other = bilevel_compiler::derivative(tokens("of = grow"), tokens(&rule.replace("grow(x) *", "2.0 *")));
    let refused = answer(state, bundle(&other)).to_string();
    assert!(refused.contains("[B0515]"), "{refused}");
}
