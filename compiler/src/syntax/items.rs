//! What the tokens of a function may refer to: the functions, constants and structs whose own tokens the macro has.
//!
//! They come from the module under `#[bilevel]`, where all see each other, and from carriers (see [`carrier`](super::carrier)), where each sees what
//! its own expansion saw: the same name may mean different things in different places.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::ext::IdentExt;

use super::carrier::{Bundle, this_crate};

/// An item that others may name.
#[derive(Clone, Debug)]
pub enum Item {
    /// A function.
    Function(syn::ItemFn),
    /// A constant.
    Const(syn::ItemConst),
    /// A struct.
    Struct(syn::ItemStruct),
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
        out
    }

    /// Adds what a carrier gave as the meaning of `path` in the tokens that are being expanded.
    pub fn add(&mut self, path: &str, bundle: Bundle) {
        // The place of each definition of the bundle among those that are here already.
        let mut places = Vec::with_capacity(bundle.definitions.len());
        for mut definition in bundle.definitions {
            // A definition follows all that it sees.
            definition.sees = definition.sees.map(|names| names.into_iter().map(|(name, k)| (name, places[k])).collect());
            let known = self.definitions.iter().position(|d| d.sees.is_some() && d.id == definition.id);
            places.push(known.unwrap_or(self.definitions.len()));
            if known.is_none() {
                self.definitions.push(definition);
            }
        }
        if let Some(&root) = places.last() {
            self.here.insert((self.definitions[root].item.kind(), path.to_owned()), root);
        }
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
            Item::Const(_) | Item::Struct(_) => None,
        })
    }

    /// The constant that a path stands for.
    pub fn constant(&self, place: Place, path: &str) -> Option<Found<'_, syn::ItemConst>> {
        self.find(place, Kind::Const, path, |item| match item {
            Item::Const(c) => Some(c),
            Item::Function(_) | Item::Struct(_) => None,
        })
    }

    /// The struct that a path stands for.
    pub fn structure(&self, place: Place, path: &str) -> Option<Found<'_, syn::ItemStruct>> {
        self.find(place, Kind::Struct, path, |item| match item {
            Item::Struct(s) => Some(s),
            Item::Function(_) | Item::Const(_) => None,
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
            Item::Function(_) => Kind::Function,
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
        }
    }

    /// Its visibility.
    pub fn visibility(&self) -> &syn::Visibility {
        match self {
            Item::Function(f) => &f.vis,
            Item::Const(c) => &c.vis,
            Item::Struct(s) => &s.vis,
        }
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        match self {
            Item::Function(f) => f.to_tokens(tokens),
            Item::Const(c) => c.to_tokens(tokens),
            Item::Struct(s) => s.to_tokens(tokens),
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
