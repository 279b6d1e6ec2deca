//! No spelling without a program.

use std::collections::BTreeSet;

use bilevel_compiler::lower::{Category, On, Spelling, spellings};
use syn::visit::Visit;

/// The files of other tests, for the spellings that are more than functions of numbers and arrays: derivatives of other functions, factorisations, layers of
/// networks, and what changes arrays.
const ELSEWHERE: &[&str] = &[
    include_str!("../calls/derivatives.rs"),
    include_str!("../control_flow/assignment.rs"),
    include_str!("../control_flow/iteration.rs"),
    include_str!("../linalg.rs"),
    include_str!("../networks/main.rs"),
    include_str!("../networks/windows.rs"),
];

/// Whether other tests may have the program of this spelling.
fn may_be_elsewhere(spelling: &Spelling) -> bool {
    match spelling.category {
        Category::Functions | Category::Linalg | Category::Macros | Category::Changes | Category::Loops => true,
        Category::Elementwise | Category::Numbers | Category::Tests | Category::Reductions | Category::Products | Category::Axes => false,
        Category::Parts | Category::Lengths | Category::Closures | Category::Iterators | Category::Copies => false,
        Category::Constructors => false,
    }
}

/// All identifiers in tokens.
fn identifiers(tokens: proc_macro2::TokenStream, into: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(ident) => drop(into.insert(ident.to_string())),
            proc_macro2::TokenTree::Group(group) => identifiers(group.stream(), into),
            proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => {}
        }
    }
}

/// The names of methods, functions and macros in a program.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_expr_method_call(&mut self, e: &'ast syn::ExprMethodCall) {
        self.0.insert(e.method.to_string());
        syn::visit::visit_expr_method_call(self, e);
    }

    fn visit_expr_path(&mut self, e: &'ast syn::ExprPath) {
        let names: Vec<String> = e.path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let [.., ty, name] = &names[..] {
            self.0.insert(format!("{ty}::{name}"));
        }
        self.0.extend(names.last().cloned());
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        self.0.extend(mac.path.segments.last().map(|s| s.ident.to_string()));
    }
}

#[test]
fn every_spelling_has_a_program() {
    let mut names = Names::default();
    let sources = [
        super::axes::SOURCES,
        super::closures::SOURCES,
        super::elements::SOURCES,
        super::generics::SOURCES,
        super::iterators::SOURCES,
        super::parts::SOURCES,
        super::reductions::SOURCES,
    ];
    for source in sources.concat() {
        let item: syn::ItemFn = syn::parse_str(source).unwrap_or_else(|e| panic!("{e}: {source}"));
        names.visit_item_fn(&item);
    }
    let mut elsewhere = BTreeSet::new();
    for file in ELSEWHERE {
        identifiers(file.parse().unwrap_or_else(|e| panic!("{e}")), &mut elsewhere);
    }
    let missing: Vec<String> = spellings()
        .into_iter()
        .filter(|s| {
            let is_elsewhere = may_be_elsewhere(s) && elsewhere.contains(s.name);
            !names.0.contains(s.name) && !is_elsewhere
        })
        .map(|s| format!("{} ({})", s.name, s.category.title()))
        .collect();
    assert!(missing.is_empty(), "spellings without a program: {missing:#?}");
}

#[test]
fn every_category_has_a_spelling_and_a_title() {
    let all = spellings();
    let mut titles = BTreeSet::new();
    for &category in Category::ALL {
        assert!(all.iter().any(|s| s.category == category), "{category:?}");
        assert!(titles.insert(category.title()));
    }
    assert!(all.iter().filter(|s| s.on == On::Nothing).all(|s| s.category >= Category::Constructors));
}
