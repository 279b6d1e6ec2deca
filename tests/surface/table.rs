//! No spelling without a program.

use std::collections::BTreeSet;

use bilevel_compiler::lower::{Category, On, spellings};
use syn::visit::Visit;

/// Macros that stand for derivatives of other functions, whose test is `calls`, and layers of networks, whose test is `networks`.
const ELSEWHERE: &[&str] =
    &["grad", "value_and_grad", "jvp", "hvp", "log_softmax", "layer_norm", "batch_norm", "embedding", "attention", "causal_attention"];

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
        super::parts::SOURCES,
        super::reductions::SOURCES,
    ];
    for source in sources.concat() {
        let item: syn::ItemFn = syn::parse_str(source).unwrap_or_else(|e| panic!("{e}: {source}"));
        names.visit_item_fn(&item);
    }
    let missing: Vec<String> = spellings()
        .into_iter()
        .filter(|s| !names.0.contains(s.name) && !ELSEWHERE.contains(&s.name))
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
