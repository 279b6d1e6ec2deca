//! From the expressions in an attribute to what they choose.

use proc_macro2::Ident;
use quote::{ToTokens, quote};
use syn::Expr;

use super::bytes::parse_bytes;
use super::table::{Conflict, Entry, Family, HYPER_CALLS, InnerKind, Kind, METHODS, Setting, Variants};
use super::{Built, OuterHyper, Value};
use crate::diagnostics::{Diagnostics, messages};
use crate::syntax::source_text;

/// Reads what stands behind `hypergradient =`.
pub fn read_method(expr: &Expr, diags: &mut Diagnostics) -> Option<(&'static Family, Built)> {
    let names = || list(METHODS.iter().map(|family| family.name));
    let (name, args) = name_and_args(expr, "a method", &names(), diags)?;
    let Some(family) = METHODS.iter().find(|family| name == family.name) else {
        diags.error(&name, messages::NOT_A_CHOICE, &[&name.to_string(), "a method", &names()]);
        return None;
    };
    let built = match family.variants {
        Variants::Only(entry) => read_entry(entry, name, args, diags),
        Variants::First(what, entries) => {
            let names = list(entries.iter().map(|entry| entry.name));
            let Some((first, rest)) = args.split_first() else {
                diags.error(&name, messages::SETTING_MISSING, &[family.name, &format!("a {what}"), &format!("one of {names}")]);
                return None;
            };
            let (variant, entry) = choose(first, &format!("a {what}"), entries, diags)?;
            read_entry(entry, variant, rest.to_vec(), diags)
        }
        Variants::Key(key, entries) => {
            let (chosen, rest): (Vec<Expr>, Vec<Expr>) = args.into_iter().partition(|arg| named(arg).is_some_and(|(name, _)| name == key));
            for again in chosen.iter().skip(1) {
                diags.error(again, messages::SETTING_TWICE, &[key, family.name]);
            }
            let Some((_, value)) = chosen.first().and_then(named) else {
                let names = list(entries.iter().map(|entry| format!("{key} = {}", entry.name)));
                diags.error(&name, messages::SETTING_MISSING, &[family.name, &format!("a `{key}`"), &format!("one of {names}")]);
                return None;
            };
            let (variant, entry) = choose(value, &format!("a {key}"), entries, diags)?;
            read_entry(entry, variant, rest, diags)
        }
    };
    built.map(|built| (family, built))
}

/// Reads what stands behind `inner =`, for a method if that is known.
pub fn read_inner(expr: &Expr, family: Option<&'static Family>, diags: &mut Diagnostics) -> Option<Built> {
    let kinds = family.map_or(vec![InnerKind::Solver, InnerKind::Update], |family| vec![family.inner]);
    let names = || list(kinds.iter().flat_map(|kind| kind.entries()).map(|entry| entry.name));
    let (name, args) = name_and_args(expr, "what solves an inner problem", &names(), diags)?;
    if let Some(entry) = kinds.iter().flat_map(|kind| kind.entries()).find(|entry| name == entry.name) {
        return read_entry(entry, name, args, diags);
    }
    let exists = [InnerKind::Solver, InnerKind::Update].iter().flat_map(|kind| kind.entries()).any(|entry| name == entry.name);
    match family.filter(|_| exists) {
        Some(family) => {
            let particulars = [name.to_string(), family.name.to_owned(), family.inner.purpose().to_owned(), names()];
            diags.error(&name, messages::INNER_DOES_NOT_FIT, &particulars.each_ref().map(String::as_str));
        }
        None => diags.error(&name, messages::NOT_A_CHOICE, &[&name.to_string(), "what solves an inner problem", &names()]),
    }
    None
}

/// A name with the settings behind it.
fn read_entry(entry: &'static Entry, name: Ident, args: Vec<Expr>, diags: &mut Diagnostics) -> Option<Built> {
    let before = diags.n_errors();
    let mut given: Vec<(&'static Setting, Expr, Option<Value>)> = Vec::new();
    let mut n_positional = 0;
    for arg in args {
        let (setting, value) = match named(&arg) {
            Some((key, value)) => (entry.all_settings().find(|s| key == s.name && !matches!(s.kind, Kind::Flag)), value.clone()),
            None => {
                let flag = entry.all_settings().find(|s| matches!(s.kind, Kind::Flag) && ident(&arg).is_some_and(|name| name == s.name));
                let positional = || {
                    n_positional += 1;
                    entry.args.get(n_positional - 1)
                };
                (flag.or_else(positional), arg.clone())
            }
        };
        let Some(setting) = setting else {
            let wrong = named(&arg).map_or_else(|| source_text(&arg), |(key, _)| key.to_string());
            diags.error(&arg, messages::UNKNOWN_SETTING, &[entry.name, &wrong, &settings_of(entry)]);
            continue;
        };
        if given.iter().any(|(other, _, _)| other.name == setting.name) {
            diags.error(&arg, messages::SETTING_TWICE, &[setting.name, entry.name]);
            continue;
        }
        let value = read_value(setting, entry, &value, diags);
        given.push((setting, arg, value));
    }
    let has = |setting: &Setting| given.iter().any(|(other, _, _)| other.name == setting.name);
    let needed = if entry.has_default && !entry.args.iter().any(has) { &[] } else { entry.args };
    for missing in needed.iter().chain(entry.settings.iter().copied().flatten()).filter(|s| s.required && !has(s)) {
        diags.error(&name, messages::SETTING_MISSING, &[entry.name, &format!("`{}`", missing.name), &format!("`{}`", example(missing))]);
    }
    for conflict in entry.conflicts {
        check_conflict(conflict, &given, diags);
    }
    if diags.n_errors() > before {
        return None;
    }
    let mut value_of = |setting: &Setting| given.iter_mut().find(|(other, _, _)| other.name == setting.name).and_then(|(_, _, v)| v.take());
    let args = entry.args.iter().filter_map(&mut value_of).collect();
    let settings = given.into_iter().filter_map(|(setting, _, value)| Some((setting, value?))).collect();
    Some(Built { name, entry, args, settings })
}

fn check_conflict(conflict: &Conflict, given: &[(&'static Setting, Expr, Option<Value>)], diags: &mut Diagnostics) {
    let [first, second] = conflict.settings.map(|name| given.iter().find(|(setting, _, _)| setting.name == name));
    let (Some((first, at, _)), Some((second, _, value))) = (first, second) else { return };
    let chosen = match value {
        Some(Value::Built(built)) => Some(built.entry.name),
        Some(Value::Flag | Value::Rust(_) | Value::Outer(_)) | None => None,
    };
    if conflict.choices.is_empty() || chosen.is_some_and(|chosen| conflict.choices.contains(&chosen)) {
        diags.error(at, messages::SETTINGS_CONFLICT, &[first.name, second.name, conflict.reason]);
    }
}

fn read_value(setting: &'static Setting, of: &'static Entry, expr: &Expr, diags: &mut Diagnostics) -> Option<Value> {
    let expr = bare(expr);
    let rust = || Some(Value::Rust(expr.to_token_stream()));
    let value = match (&setting.kind, literal(expr)) {
        (Kind::Flag, _) => Some(Value::Flag),
        (Kind::OneOf(entries), _) => {
            let (name, args) = name_and_args(expr, &format!("a `{}`", setting.name), &list(entries.iter().map(|e| e.name)), diags)?;
            let entry = find(&name, &format!("a `{}`", setting.name), entries, diags)?;
            return read_entry(entry, name, args, diags).map(Value::Built);
        }
        (Kind::Float | Kind::Hyper, Some(syn::Lit::Float(_))) => rust(),
        (Kind::Count | Kind::Bytes, Some(syn::Lit::Int(_))) if !matches!(expr, Expr::Unary(_)) => rust(),
        (Kind::Truth, Some(syn::Lit::Bool(_))) => rust(),
        (Kind::Bytes, Some(syn::Lit::Str(text))) => parse_bytes(&text.value()).map(|bytes| {
            let mut bytes = proc_macro2::Literal::u64_unsuffixed(bytes);
            bytes.set_span(text.span());
            Value::Rust(quote!(#bytes))
        }),
        (Kind::Float | Kind::Count | Kind::Truth | Kind::Bytes, None) if is_constant(expr) => rust(),
        (Kind::Hyper, None) if is_constant(expr) && !is_variable(expr) => rust(),
        (Kind::Hyper, None) => outer_hyper(expr).map(Value::Outer),
        (Kind::Float | Kind::Hyper | Kind::Count | Kind::Truth | Kind::Bytes, Some(_))
        | (Kind::Float | Kind::Count | Kind::Truth | Kind::Bytes, None) => None,
    };
    if value.is_none() {
        let (expected, example) = (expected(&setting.kind), example(setting));
        diags.error(expr, messages::SETTING_VALUE, &[setting.name, of.name, expected, &source_text(expr), &example]);
    }
    value
}

/// An outer variable and what it goes through.
fn outer_hyper(expr: &Expr) -> Option<OuterHyper> {
    match bare(expr) {
        Expr::MethodCall(call) if call.args.is_empty() && call.turbofish.is_none() => {
            let mut hyper = outer_hyper(&call.receiver)?;
            let group = HYPER_CALLS.iter().find(|group| group.iter().any(|name| call.method == name))?;
            let is_first = !hyper.calls.iter().any(|other| group.iter().any(|name| other == name));
            hyper.calls.push(call.method.clone());
            is_first.then_some(hyper)
        }
        place @ (Expr::Path(_) | Expr::Field(_)) => Some(OuterHyper { place: place.clone(), name: place_name(place)?, calls: Vec::new() }),
        _ => None,
    }
}

fn place_name(place: &Expr) -> Option<String> {
    match place {
        Expr::Path(_) => ident(place).map(ToString::to_string),
        Expr::Field(field) => {
            let member = match &field.member {
                syn::Member::Named(name) => name.to_string(),
                syn::Member::Unnamed(at) => at.index.to_string(),
            };
            Some(format!("{}.{member}", place_name(&field.base)?))
        }
        _ => None,
    }
}

/// The literal that an expression is, but for a sign.
fn literal(expr: &Expr) -> Option<&syn::Lit> {
    match bare(expr) {
        Expr::Lit(lit) => Some(&lit.lit),
        Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => literal(expr),
        _ => None,
    }
}

/// Whether an expression is made of numbers and names only, of which rustc knows the types.
fn is_constant(expr: &Expr) -> bool {
    match bare(expr) {
        Expr::Lit(_) | Expr::Path(_) => true,
        Expr::Unary(unary) => is_constant(&unary.expr),
        Expr::Binary(binary) => is_constant(&binary.left) && is_constant(&binary.right),
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}

/// Whether an expression is a name that Rust's conventions give to variables, and not to constants.
fn is_variable(expr: &Expr) -> bool {
    ident(expr).is_some_and(|name| name.to_string().chars().any(char::is_lowercase))
}

fn choose(expr: &Expr, what: &str, entries: &'static [Entry], diags: &mut Diagnostics) -> Option<(Ident, &'static Entry)> {
    let Some(name) = ident(bare(expr)) else {
        diags.error(expr, messages::NOT_A_CHOICE, &[&source_text(expr), what, &list(entries.iter().map(|entry| entry.name))]);
        return None;
    };
    find(name, what, entries, diags).map(|entry| (name.clone(), entry))
}

fn find(name: &Ident, what: &str, entries: &'static [Entry], diags: &mut Diagnostics) -> Option<&'static Entry> {
    let found = entries.iter().find(|entry| name == entry.name);
    if found.is_none() {
        diags.error(name, messages::NOT_A_CHOICE, &[&name.to_string(), what, &list(entries.iter().map(|entry| entry.name))]);
    }
    found
}

/// A name, and the arguments where it is called.
fn name_and_args(expr: &Expr, what: &str, names: &str, diags: &mut Diagnostics) -> Option<(Ident, Vec<Expr>)> {
    let parts = match bare(expr) {
        Expr::Call(call) => ident(&call.func).map(|name| (name.clone(), call.args.iter().cloned().collect())),
        other => ident(other).map(|name| (name.clone(), Vec::new())),
    };
    if parts.is_none() {
        diags.error(expr, messages::NOT_A_CHOICE, &[&source_text(expr), what, names]);
    }
    parts
}

fn named(arg: &Expr) -> Option<(&Ident, &Expr)> {
    match arg {
        Expr::Assign(assign) => ident(&assign.left).map(|name| (name, &*assign.right)),
        _ => None,
    }
}

fn ident(expr: &Expr) -> Option<&Ident> {
    match bare(expr) {
        Expr::Path(path) if path.attrs.is_empty() && path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// The expression within parentheses.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => bare(&paren.expr),
        Expr::Group(group) => bare(&group.expr),
        other => other,
    }
}

fn list(names: impl Iterator<Item = impl std::fmt::Display>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn settings_of(entry: &Entry) -> String {
    let settings: Vec<String> = entry.all_settings().map(|setting| format!("`{}`", example(setting))).collect();
    if settings.is_empty() { "none".to_owned() } else { settings.join(", ") }
}

/// What a setting takes, in words.
fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Float => "a number with a decimal point",
        Kind::Count => "a whole number",
        Kind::Truth => "`true` or `false`",
        Kind::Bytes => "a number of bytes",
        Kind::Hyper => "a number with a decimal point, or an outer variable",
        Kind::Flag => "nothing",
        Kind::OneOf(_) => "a choice",
    }
}

/// How a setting may be written.
fn example(setting: &Setting) -> String {
    let name = setting.name;
    match &setting.kind {
        Kind::Float => format!("{name} = 1e-3"),
        Kind::Count => format!("{name} = 10"),
        Kind::Truth => format!("{name} = true"),
        Kind::Bytes => format!("{name} = \"256 MiB\""),
        Kind::Hyper => format!("{name} = 0.1"),
        Kind::Flag => name.to_owned(),
        Kind::OneOf(entries) => format!("{name} = {}", entries.first().map_or("", |entry| entry.name)),
    }
}
