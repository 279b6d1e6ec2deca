//! Integers whose type is not said: the index of `for i in 0..3`.
//!
//! rustc infers the type from all uses. One as a position makes it `usize`, and without any it is `i32`. Lowering takes it for a `usize`, which only shows
//! in a difference: `i - 1` may be negative in one type and is an overflow in the other. So differences are remembered until the loop's end, when its
//! other uses are known.

use std::collections::HashMap;

use crate::ir::ValueId;

/// The integers of the open loops whose type is not said, and what is computed from them.
#[derive(Default)]
pub(super) struct Counters {
    /// The class of each value: values of one class have one type.
    class: HashMap<ValueId, usize>,
    classes: Vec<Class>,
}

#[derive(Default)]
struct Class {
    /// How many of the indices belong to loops that are still open.
    open: usize,
    is_usize: bool,
    difference: Option<syn::Expr>,
    /// The class it was found to be one with.
    same_as: Option<usize>,
}

impl Counters {
    /// Adds the index of a loop.
    pub(super) fn add(&mut self, index: ValueId) {
        self.class.insert(index, self.classes.len());
        self.classes.push(Class { open: 1, ..Class::default() });
    }

    /// Takes note that the value is used where only a `usize` can stand.
    pub(super) fn is_usize(&mut self, value: ValueId) {
        if let Some(class) = self.class_of(value) {
            self.classes[class].is_usize = true;
        }
    }

    /// Takes note of an operation on two integers, of which one may be a literal (`None`), and of its result if that is an integer. `difference` is
    /// the expression, if it subtracts.
    pub(super) fn combine(&mut self, operands: [Option<ValueId>; 2], result: Option<ValueId>, difference: Option<&syn::Expr>) {
        let classes = operands.map(|operand| operand.and_then(|value| self.class_of(value)));
        let class = match classes {
            [None, None] => return,
            [Some(a), Some(b)] => {
                self.unite(a, b);
                a
            }
            [Some(class), None] | [None, Some(class)] => {
                let with_known_type = operands.iter().zip(classes).any(|(operand, class)| operand.is_some() && class.is_none());
                self.classes[class].is_usize |= with_known_type;
                class
            }
        };
        if let Some(result) = result {
            self.class.insert(result, class);
        }
        if let Some(difference) = difference {
            self.classes[class].difference.get_or_insert_with(|| difference.clone());
        }
    }

    /// Ends the loop of the index. Gives a difference that has the type `i32`, if all uses of the integers in it are now known.
    pub(super) fn close(&mut self, index: ValueId) -> Option<syn::Expr> {
        let class = self.class_of(index)?;
        let class = &mut self.classes[class];
        class.open -= 1;
        if class.open > 0 || class.is_usize { None } else { class.difference.take() }
    }

    fn class_of(&self, value: ValueId) -> Option<usize> {
        let mut class = *self.class.get(&value)?;
        while let Some(same) = self.classes[class].same_as {
            class = same;
        }
        Some(class)
    }

    fn unite(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let other = std::mem::replace(&mut self.classes[b], Class { same_as: Some(a), ..Class::default() });
        let class = &mut self.classes[a];
        class.open += other.open;
        class.is_usize |= other.is_usize;
        class.difference = class.difference.take().or(other.difference);
    }
}
