//! What the tokens of a function may refer to: the functions, constants and structs whose own tokens the macro has.
//!
//! They come from the module under `#[bilevel]`, where all see each other, and from carriers (see [`carrier`](super::carrier)), where each sees what
//! its own expansion saw: the same name may mean different things in different places.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use quote::ToTokens;
use syn::ext::IdentExt;

use super::carrier::{Bundle, this_crate};
use super::rule::{Rules, rule_functions, rule_of, rules_item};
use super::signature::Assumed;
use crate::ir::Opaque;

/// An item that others may name.
#[derive(Clone, Debug)]
pub enum Item {
    /// A function.
    Function(syn::ItemFn),
    /// A constant.
    Const(syn::ItemConst),
    /// A struct.
    Struct(syn::ItemStruct),
    /// The rules of a function that the macro cannot look into, as a module of the function's name.
    Rules(syn::ItemMod),
}

/// What a name is looked up as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A function.
    Function,
    /// A constant.
    Const,
    /// A struct.
    Struct,
}

/// What is seen from one place: paths as they are written there, and what each of them stands for.
pub type Names = BTreeMap<(Kind, String), usize>;

/// An item with what it sees.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Tells it from all other definitions: its name in the module that is being expanded, or its carrier's name.
    pub id: String,
    /// The item.
    pub item: Item,
    /// What its tokens see; `None` if it stands in the module that is being expanded.
    pub sees: Option<Names>,
    /// The crate that it comes from; see [`Definition::is_foreign`].
    pub home: String,
}

impl Definition {
    /// Whether it comes from another crate, so that its spans say little to the user.
    pub fn is_foreign(&self) -> bool {
        self.home != this_crate()
    }
}

/// Where tokens stand, which decides what a path in them means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place(Option<usize>);

impl Place {
    /// The module or function that is being expanded.
    pub const HERE: Place = Place(None);

    /// Whether the tokens are those that are being expanded, and not carried from elsewhere.
    pub fn is_here(self) -> bool {
        self == Place::HERE
    }
}

/// The items that the tokens under a macro's attribute may refer to.
#[derive(Clone, Debug, Default)]
pub struct Items {
    definitions: Vec<Definition>,
    here: Names,
    /// The functions with rules that have been called so far, by the ids of their definitions.
    opaque: RefCell<BTreeMap<String, OpaqueState>>,
    /// Names in rules that stand in what is being expanded, which were taken for items that the macro does not see.
    assumed: RefCell<Vec<Assumed>>,
    /// Tells what is generated for this item from what is generated for all others.
    owner: String,
}

/// What is known of a function that has rules.
#[derive(Clone, Debug)]
pub enum OpaqueState {
    /// Its rules are being read for the first time, to find out what lengths its result has.
    InProgress,
    /// It can be called.
    Ready(Rc<Opaque>, Rc<Rules>),
    /// Its rules have an error, which has been reported.
    Faulty,
}

/// An item that was found, and the place from which its own tokens are read.
#[derive(Debug)]
pub struct Found<'a, T> {
    /// The item.
    pub item: &'a T,
    /// Tells it from all others.
    pub id: &'a str,
    /// Where its tokens stand.
    pub place: Place,
    /// Whether it comes from another crate.
    pub foreign: bool,
}

impl<T> Clone for Found<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Found<'_, T> {}

impl Items {
    /// The functions, constants and structs of a module.
    pub fn of(items: &[syn::Item]) -> Self {
        let mut out = Items::default();
        for item in items {
            let (name, item) = match item {
                syn::Item::Fn(f) => (&f.sig.ident, Item::Function(f.clone())),
                syn::Item::Const(c) => (&c.ident, Item::Const(c.clone())),
                syn::Item::Struct(s) => (&s.ident, Item::Struct(s.clone())),
                _ => continue,
            };
            let id = name.unraw().to_string();
            out.here.insert((item.kind(), id.clone()), out.definitions.len());
            out.definitions.push(Definition { id, item, sees: None, home: this_crate() });
        }
        // A function with a rule is not looked into.
        let mut rules: Vec<(syn::Ident, Vec<syn::ItemFn>)> = Vec::new();
        for item in items {
            let attrs = match item {
                syn::Item::Fn(f) => &f.attrs,
                syn::Item::Mod(module) => &module.attrs,
                _ => continue,
            };
            let (Some(name), Some(functions)) = (attrs.iter().find_map(rule_of), rule_functions(item)) else { continue };
            match rules.iter_mut().find(|(other, _)| *other == name) {
                Some((_, known)) => known.extend(functions),
                None => rules.push((name, functions)),
            }
        }
        for (name, functions) in &rules {
            out.add_rules(name, &syn::Visibility::Inherited, functions);
        }
        out
    }

    /// Adds the rules of a function that stands in what is being expanded.
    pub fn add_rules(&mut self, name: &syn::Ident, vis: &syn::Visibility, functions: &[syn::ItemFn]) {
        let id = name.unraw().to_string();
        self.here.insert((Kind::Function, id.clone()), self.definitions.len());
        let item = rules_item(name, vis, functions);
        self.definitions.push(Definition { id, item, sees: None, home: this_crate() });
    }

    /// Adds what a carrier gave as the meaning of `path` in the tokens that are being expanded.
    pub fn add(&mut self, path: &str, bundle: Bundle) {
        // The place of each definition of the bundle among those that are here already.
        let mut places = Vec::with_capacity(bundle.definitions.len());
        for mut definition in bundle.definitions {
            let known = self.definitions.iter().position(|d| d.sees.is_some() && d.id == definition.id);
            places.push(known.unwrap_or(self.definitions.len()));
            // A definition follows all that it sees, but for itself.
            definition.sees = definition.sees.map(|names| names.into_iter().map(|(name, k)| (name, places[k])).collect());
            if known.is_none() {
                self.definitions.push(definition);
            }
        }
        if let Some(&root) = places.last() {
            self.here.insert((self.definitions[root].item.kind(), path.to_owned()), root);
        }
    }

    /// Says which item is being expanded.
    pub fn set_owner(&mut self, owner: String) {
        self.owner = owner;
    }

    /// What tells the item that is being expanded from all others.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What is known of a function that has rules.
    pub fn opaque(&self, id: &str) -> Option<OpaqueState> {
        self.opaque.borrow().get(id).cloned()
    }

    /// Notes what is known of a function that has rules.
    pub fn set_opaque(&self, id: &str, state: OpaqueState) {
        self.opaque.borrow_mut().insert(id.to_owned(), state);
    }

    /// Notes names in rules that were taken for items that the macro does not see.
    pub fn assume(&self, names: Vec<Assumed>) {
        self.assumed.borrow_mut().extend(names);
    }

    /// The names in rules that were taken for items that the macro does not see.
    pub fn assumed(&self) -> Vec<Assumed> {
        self.assumed.borrow().clone()
    }

    /// The functions with rules that have been called.
    pub fn called_opaque(&self) -> Vec<(Rc<Opaque>, Rc<Rules>)> {
        let states = self.opaque.borrow();
        let ready = states.values().filter_map(|state| match state {
            OpaqueState::Ready(opaque, rules) => Some((opaque.clone(), rules.clone())),
            OpaqueState::InProgress | OpaqueState::Faulty => None,
        });
        ready.collect()
    }

    /// A path by which a definition is seen from the tokens that are being expanded.
    pub fn path_to(&self, id: &str) -> Option<&str> {
        self.here.iter().find(|&(_, &k)| self.definitions[k].id == id).map(|((_, path), _)| path.as_str())
    }

    /// All definitions, each after those that it sees if it was carried.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// What is seen from the tokens that are being expanded.
    pub fn here(&self) -> &Names {
        &self.here
    }

    /// Whether a carrier has answered for this path, with an item of any kind.
    pub fn has_answer(&self, path: &str) -> bool {
        self.here.iter().any(|((_, name), &k)| name == path && self.definitions[k].sees.is_some())
    }

    /// The function that a path stands for.
    pub fn function(&self, place: Place, path: &str) -> Option<Found<'_, syn::ItemFn>> {
        self.find(place, Kind::Function, path, |item| match item {
            Item::Function(f) => Some(f),
            Item::Const(_) | Item::Struct(_) | Item::Rules(_) => None,
        })
    }

    /// The rules of the function that a path stands for, if it has no body that can be looked into.
    pub fn rules(&self, place: Place, path: &str) -> Option<Found<'_, syn::ItemMod>> {
        self.find(place, Kind::Function, path, |item| match item {
            Item::Rules(rules) => Some(rules),
            Item::Function(_) | Item::Const(_) | Item::Struct(_) => None,
        })
    }

    /// The constant that a path stands for.
    pub fn constant(&self, place: Place, path: &str) -> Option<Found<'_, syn::ItemConst>> {
        self.find(place, Kind::Const, path, |item| match item {
            Item::Const(c) => Some(c),
            Item::Function(_) | Item::Struct(_) | Item::Rules(_) => None,
        })
    }

    /// The struct that a path stands for.
    pub fn structure(&self, place: Place, path: &str) -> Option<Found<'_, syn::ItemStruct>> {
        self.find(place, Kind::Struct, path, |item| match item {
            Item::Struct(s) => Some(s),
            Item::Function(_) | Item::Const(_) | Item::Rules(_) => None,
        })
    }

    fn find<'a, T>(&'a self, place: Place, kind: Kind, path: &str, pick: impl Fn(&'a Item) -> Option<&'a T>) -> Option<Found<'a, T>> {
        let names = place.0.and_then(|k| self.definitions[k].sees.as_ref()).unwrap_or(&self.here);
        let &k = names.get(&(kind, path.to_owned()))?;
        let definition = &self.definitions[k];
        let place = if definition.sees.is_some() { Place(Some(k)) } else { Place::HERE };
        Some(Found { item: pick(&definition.item)?, id: &definition.id, place, foreign: definition.is_foreign() })
    }

    /// The names of the functions that are seen from a place, for suggestions.
    pub fn function_names(&self, place: Place) -> impl Iterator<Item = &str> {
        let names = place.0.and_then(|k| self.definitions[k].sees.as_ref()).unwrap_or(&self.here);
        names.keys().filter(|(kind, _)| *kind == Kind::Function).map(|(_, name)| name.as_str())
    }
}

impl Item {
    /// What it is looked up as.
    pub fn kind(&self) -> Kind {
        match self {
            Item::Function(_) | Item::Rules(_) => Kind::Function,
            Item::Const(_) => Kind::Const,
            Item::Struct(_) => Kind::Struct,
        }
    }

    /// Its name.
    pub fn name(&self) -> &syn::Ident {
        match self {
            Item::Function(f) => &f.sig.ident,
            Item::Const(c) => &c.ident,
            Item::Struct(s) => &s.ident,
            Item::Rules(m) => &m.ident,
        }
    }

    /// Its visibility.
    pub fn visibility(&self) -> &syn::Visibility {
        match self {
            Item::Function(f) => &f.vis,
            Item::Const(c) => &c.vis,
            Item::Struct(s) => &s.vis,
            Item::Rules(m) => &m.vis,
        }
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        match self {
            Item::Function(f) => f.to_tokens(tokens),
            Item::Const(c) => c.to_tokens(tokens),
            Item::Struct(s) => s.to_tokens(tokens),
            Item::Rules(m) => m.to_tokens(tokens),
        }
    }
}

/// A path as it is looked up: its names without generic arguments, and without `self::`, which changes nothing. `None` if it is no plain path to an item
/// of a module.
pub fn path_key(path: &syn::Path) -> Option<String> {
    let mut names: Vec<String> = path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
    if names.len() > 1 && names[0] == "self" {
        names.remove(0);
    }
    // What belongs to a type is not an item of a module.
    let of_type = names.iter().rev().skip(1).any(|name| name.starts_with(|c: char| c.is_uppercase()));
    if names.is_empty() || of_type {
        return None;
    }
    let lead = if path.leading_colon.is_some() { "::" } else { "" };
    Some(format!("{lead}{}", names.join("::")))
}
