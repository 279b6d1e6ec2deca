//! The table from Rust spellings to operations.
//!
//! Adding a spelling is one line in `methods_table` if it is one operation or a composition of elements, and a function in the file of its subject if it
//! is more. Every line says what it lowers to, in the words of the language page, which is made from this table.

use std::collections::HashSet;

use super::compositions::Composer;
use super::iterators::Iter;
use super::methods::Call;
use super::value::Value;
use super::{Lowering, constructors, functions, generics, instead, linalg, macros, own_functions, places_table};
use crate::ir::{Elementwise as E, ValueId};

pub(super) use super::methods_table::METHODS;

/// What a spelling is for: a section of the language page.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Category {
    /// Functions of one number, on numbers and on each element of an array.
    Elementwise,
    /// Functions of several numbers.
    Numbers,
    /// Questions to a number, answered by a truth value.
    Tests,
    /// Sums, means, products, extremes.
    Reductions,
    /// Products of vectors and matrices.
    Products,
    /// The order and number of axes.
    Axes,
    /// Parts of arrays, and arrays put together.
    Parts,
    /// Lengths.
    Lengths,
    /// Closures over elements, rows and positions.
    Closures,
    /// Iterators.
    Iterators,
    /// Copies, views and conversions, which lower to nothing.
    Copies,
    /// Arrays made of nothing.
    Constructors,
    /// The functions of this crate and of `ndarray`.
    Functions,
    /// Linear algebra.
    Linalg,
    /// Macros.
    Macros,
    /// Methods that change `let mut` arrays, and views through which they are changed.
    Changes,
    /// What only `for` loops go through.
    Loops,
}

impl Category {
    /// All categories, in the order of the language page.
    pub const ALL: &[Category] = &[
        Category::Elementwise,
        Category::Numbers,
        Category::Tests,
        Category::Reductions,
        Category::Products,
        Category::Axes,
        Category::Parts,
        Category::Lengths,
        Category::Closures,
        Category::Iterators,
        Category::Copies,
        Category::Constructors,
        Category::Functions,
        Category::Linalg,
        Category::Macros,
        Category::Changes,
        Category::Loops,
    ];

    /// The heading of its section.
    pub fn title(self) -> &'static str {
        match self {
            Category::Elementwise => "Functions of one number",
            Category::Numbers => "Functions of several numbers",
            Category::Tests => "Questions to a number",
            Category::Reductions => "Reductions",
            Category::Products => "Products",
            Category::Axes => "Axes",
            Category::Parts => "Parts of arrays, and arrays put together",
            Category::Lengths => "Lengths",
            Category::Closures => "Closures over elements, lanes and positions",
            Category::Iterators => "Iterators",
            Category::Copies => "Copies, views and conversions",
            Category::Constructors => "Constructors",
            Category::Functions => "Functions",
            Category::Linalg => "Linear algebra",
            Category::Macros => "Macros",
            Category::Changes => "Changes of `let mut` arrays",
            Category::Loops => "What only `for` goes through",
        }
    }
}

/// What a method is called on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// Numbers only.
    Numbers,
    /// Arrays only.
    Arrays,
    /// Numbers and arrays.
    Both,
    /// Iterators, and `Zip`.
    Iterators,
    /// Anything.
    Anything,
    /// A `let mut` array, or a part of one.
    Places,
    /// Nothing: it is a function, a constructor or a macro.
    Nothing,
}

/// One line of the language page.
#[derive(Clone, Debug)]
pub struct Spelling {
    /// The name in Rust.
    pub name: &'static str,
    /// What it is a method of.
    pub on: On,
    /// Its section.
    pub category: Category,
    /// What it lowers to.
    pub lowers_to: String,
}

/// Every spelling that lowers, by category and, within it, in the order of the table.
pub fn spellings() -> Vec<Spelling> {
    let methods = METHODS.iter().map(|m| Spelling { name: m.name, on: m.on, category: m.category, lowers_to: m.lowers_to() });
    let others = [
        (On::Nothing, Category::Constructors, constructors::NAMES),
        (On::Nothing, Category::Functions, functions::NAMES),
        (On::Nothing, Category::Functions, generics::NAMES),
        (On::Nothing, Category::Macros, macros::NAMES),
        (On::Places, Category::Changes, places_table::CHANGES),
        (On::Places, Category::Changes, places_table::VIEWS),
        (On::Iterators, Category::Loops, places_table::LOOPS),
    ];
    let others = others.into_iter().flat_map(|(on, category, names)| {
        names.iter().map(move |&(name, lowers_to)| Spelling { name, on, category, lowers_to: lowers_to.to_owned() })
    });
    let linalg = linalg::FUNCTIONS.iter().map(|&(name, _, lowers_to)| Spelling {
        name,
        on: On::Nothing,
        category: Category::Linalg,
        lowers_to: lowers_to.to_owned(),
    });
    let own = own_functions::OWN.iter().map(|own| Spelling {
        name: own.name,
        on: On::Nothing,
        category: Category::Functions,
        lowers_to: own.words.to_owned(),
    });
    let mut all: Vec<Spelling> = methods.chain(own).chain(others).chain(linalg).collect();
    all.sort_by_key(|s| s.category);
    all
}

/// Methods that do not lower anywhere, each with what to write instead.
pub fn refused_spellings() -> Vec<(&'static str, &'static str)> {
    let lowers: HashSet<&str> = spellings().iter().filter(|s| s.on != On::Nothing).map(|s| s.name).collect();
    instead::INSTEAD.iter().filter(|(name, _)| !lowers.contains(name)).copied().collect()
}

/// A method.
#[derive(Clone, Copy)]
pub(super) struct Method {
    /// Its name in Rust.
    pub(super) name: &'static str,
    /// What it is a method of.
    pub(super) on: On,
    /// Its section of the language page.
    pub(super) category: Category,
    /// How many arguments it takes.
    pub(super) n_args: usize,
    /// What it computes.
    pub(super) meaning: Meaning,
    /// What it lowers to, where that is not a single operation.
    pub(super) words: &'static str,
}

/// What a method computes.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// A function of each element.
    Unary(Unary),
    /// A function of each element and a second number.
    Binary(Binary),
    /// A function of each element and two more numbers.
    Ternary(fn(&mut Composer<'_>, ValueId, ValueId, ValueId) -> ValueId),
    /// Anything, of a receiver of any kind.
    Value(fn(&mut Lowering<'_>, Call<'_>, Value) -> Value),
    /// Anything, of an array.
    Array(fn(&mut Lowering<'_>, Call<'_>, ValueId) -> Value),
    /// Anything, of an iterator.
    Iter(fn(&mut Lowering<'_>, Call<'_>, Iter) -> Value),
}

/// A function of one number.
#[derive(Clone, Copy)]
pub(super) struct Unary {
    pub(super) compute: Compute,
    /// An operand at which value and derivative are finite, for the elements of an `if` in a closure that do not take the branch; `None` if they are
    /// finite everywhere.
    pub(super) safe: Option<f64>,
    /// Whether it is a method of this crate; all others are of the standard library or of `ndarray`.
    pub(super) is_own: bool,
}

/// How a function of one number is computed.
#[derive(Clone, Copy)]
pub(super) enum Compute {
    /// One operation.
    Op(E),
    /// A composition.
    Composed(fn(&mut Composer<'_>, ValueId) -> ValueId),
}

/// A function of two numbers.
#[derive(Clone, Copy)]
pub(super) struct Binary {
    pub(super) compute: fn(&mut Composer<'_>, ValueId, ValueId) -> ValueId,
    /// Whether integers have it, and floats.
    pub(super) integers: bool,
    pub(super) floats: bool,
    /// Operands for elements that do not take the branch, as in [`Unary::safe`].
    pub(super) safe: Option<[f64; 2]>,
}

impl Method {
    fn lowers_to(&self) -> String {
        match self.meaning {
            Meaning::Unary(Unary { compute: Compute::Op(op), .. }) => format!("`{}`", op.name()),
            Meaning::Unary(_) | Meaning::Binary(_) | Meaning::Ternary(_) | Meaning::Value(_) | Meaning::Array(_) | Meaning::Iter(_) => {
                self.words.to_owned()
            }
        }
    }
}

/// The method of a name. A name that iterators have and others too stands twice.
pub(super) fn method(name: &str, of_iterator: bool) -> Option<&'static Method> {
    let fits = |m: &&Method| m.name == name && (m.on == On::Iterators) == of_iterator;
    METHODS.iter().find(fits).or_else(|| METHODS.iter().find(|m| m.name == name && m.on == On::Anything))
}

/// The names of all methods.
pub(super) fn method_names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|m| m.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_stands_once_with_its_words() {
        let mut seen: Vec<(&str, bool)> = Vec::new();
        for spelling in spellings() {
            let key = (spelling.name, spelling.on == On::Iterators);
            assert!(spelling.on == On::Nothing || !seen.contains(&key), "`{}` stands twice", spelling.name);
            seen.push(key);
            assert!(!spelling.lowers_to.is_empty(), "`{}` says what it lowers to", spelling.name);
        }
        for (k, (name, help)) in instead::INSTEAD.iter().enumerate() {
            assert!(METHODS.iter().all(|m| m.name != *name || m.on == On::Iterators), "`{name}` is refused and lowers");
            assert!(!instead::INSTEAD[..k].iter().any(|(other, _)| other == name), "`{name}` is refused twice");
            assert!(!help.is_empty() && !help.ends_with('.'), "`{name}`: no full stop at the end");
        }
    }
}
