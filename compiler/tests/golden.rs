//! Expansions as a user sees them with `cargo expand`.
//!
//! Each file `golden/NAME.rs` is an annotated item; its expansion stands in `golden/NAME.expanded.rs`. `BILEVEL_BLESS=1` rewrites the expansions; the
//! difference is the review.

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;
use quote::ToTokens;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The item of a source file with its one attribute of ours applied.
fn expand(source: &str) -> String {
    let file: syn::File = syn::parse_str(source).expect("a source file");
    let items = file.items.into_iter().map(|mut item| {
        let attrs = match &mut item {
            syn::Item::Fn(f) => &mut f.attrs,
            syn::Item::Mod(m) => &mut m.attrs,
            _ => return item.into_token_stream(),
        };
        type Macro = fn(TokenStream, TokenStream) -> TokenStream;
        let macros: [(&str, Macro); 2] = [("differentiable", bilevel_compiler::differentiable), ("bilevel", bilevel_compiler::bilevel)];
        for (name, expand) in macros {
            if let Some(k) = attrs.iter().position(|a| a.path().is_ident(name)) {
                let attr = match attrs.remove(k).meta {
                    syn::Meta::List(list) => list.tokens,
                    syn::Meta::Path(_) | syn::Meta::NameValue(_) => TokenStream::new(),
                };
                return expand(attr, item.into_token_stream());
            }
        }
        item.into_token_stream()
    });
    let tokens: TokenStream = items.collect();
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("the expansion is not Rust: {error}\n{tokens}"),
    }
}

#[test]
fn expansions_are_as_reviewed() {
    let bless = std::env::var_os("BILEVEL_BLESS").is_some();
    let mut different = Vec::new();
    let mut n_files = 0;
    for entry in std::fs::read_dir(directory()).expect("the directory of golden files") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name in UTF-8").to_owned();
        if name.ends_with(".expanded.rs") || !name.ends_with(".rs") {
            continue;
        }
        n_files += 1;
        let expanded = expand(&std::fs::read_to_string(&path).expect("a readable file"));
        let golden = path.with_extension("expanded.rs");
        if bless {
            std::fs::write(&golden, &expanded).expect("a writable file");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != expanded {
            different.push(format!("{name}: {}", first_difference(&std::fs::read_to_string(&golden).unwrap_or_default(), &expanded)));
        }
    }
    assert!(n_files >= 4, "the golden files are there");
    assert!(different.is_empty(), "expansions changed; rewrite them with BILEVEL_BLESS=1 and review:\n{}", different.join("\n"));
}

fn first_difference(before: &str, after: &str) -> String {
    let line = before.lines().zip(after.lines()).position(|(a, b)| a != b);
    match line {
        Some(k) => format!("line {}: `{}` became `{}`", k + 1, before.lines().nth(k).unwrap_or(""), after.lines().nth(k).unwrap_or("")),
        None => "one is a part of the other".to_owned(),
    }
}

/// In every mode, a loop that fills an array does it where the array stands: no turn copies an array or exchanges buffers.
#[test]
fn loops_that_fill_arrays_copy_nothing() {
    struct Turns(Vec<String>);
    impl<'ast> syn::visit::Visit<'ast> for Turns {
        fn visit_expr_for_loop(&mut self, e: &'ast syn::ExprForLoop) {
            self.0.push(e.body.to_token_stream().to_string());
        }
    }
    let sources = [
        "#[differentiable] fn f(x: &Array1<f64>) -> Array1<f64> {
            let mut y = Array1::zeros(x.len());
            for i in 0..x.len() { y[i] = x[i] * x[i]; }
            y
        }",
        "#[differentiable] fn f(x: &Array1<f64>, a: f64) -> Array2<f64> {
            let mut y = Array2::zeros((x.len(), x.len()));
            for i in 0..x.len() {
                for j in 0..x.len() {
                    if i > j { y[[i, j]] = x[i] * a; } else { y[[i, j]] += x[j]; }
                }
            }
            y
        }",
        "#[differentiable] fn f(a: &Array2<f64>, x: &Array1<f64>) -> Array2<f64> {
            let mut y = a.clone();
            for mut row in y.rows_mut() { row += x; }
            y
        }",
    ];
    for source in sources {
        let expanded = expand(source);
        let mut turns = Turns(Vec::new());
        syn::visit::Visit::visit_file(&mut turns, &syn::parse_str(&expanded).expect("a file"));
        // The user's own loop is among them.
        assert!(turns.0.len() >= 4, "{expanded}");
        for turn in &turns.0 {
            // What is kept for the way back goes to its row, and the sum of a row's cotangents is exchanged; `y`, `y_dot` and `y_bar` are not.
            let exchanges = turn.contains("rt :: swap (& mut buffers . y");
            assert!(!turn.contains("rt :: copy (buffers") && !exchanges, "{turn}\n{expanded}");
        }
    }
}
