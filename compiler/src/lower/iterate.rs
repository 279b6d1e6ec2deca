//! What a `for` loop goes through: ranges, and arrays by elements, rows, or parts along an axis, read or changed.
//!
//! A [`Source`] says how many turns there are and what each of them gives. An array that is gone through by elements has a loop for each axis. What is read is a
//! part of the array at the position of the turn; what is changed is bound as a view (see [`places`](super::places)).

use std::rc::Rc;

use syn::ext::IdentExt;

use super::assign::name_of;
use super::iterators::Iter;
use super::places::Place;
use super::value::{Number, Value, describe_rank};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Index, Pick, Type, ValueId, Window};

/// What a loop goes through.
pub(super) struct Source {
    /// The number of turns of each loop, outermost first.
    pub(super) trips: Vec<Dim>,
    pub(super) reverse: bool,
    /// Whether both bounds of a range are literals, so that only the uses of the index say its type.
    pub(super) untyped: bool,
    item: Item,
}

/// What a turn gives.
enum Item {
    /// A number: the first, and for each turn so much more or less.
    Number {
        first: Option<ValueId>,
        step: Option<ValueId>,
        downwards: bool,
        elem: Elem,
    },
    /// The part of an array at a position of each of these axes.
    Read {
        array: ValueId,
        axes: Vec<usize>,
    },
    /// The same, to be changed.
    Change {
        place: Place,
        axes: Vec<usize>,
    },
    /// The position, and something else.
    Enumerated(Box<Item>),
    /// The position along each axis, and something else.
    Indexed(Box<Item>),
    Zipped(Box<Item>, Box<Item>),
    /// What an iterator gives that is a value.
    Iterator(Rc<Iter>),
}

/// Parts of arrays along axes.
#[derive(Clone, Copy)]
enum Along {
    Elements,
    Rows,
    Columns,
    Axis(usize),
}

impl Lowering<'_> {
    /// What `for … in e` goes through.
    pub(super) fn source(&mut self, e: &syn::Expr) -> Option<Source> {
        match e {
            syn::Expr::Paren(p) => self.source(&p.expr),
            syn::Expr::Group(p) => self.source(&p.expr),
            syn::Expr::Range(range) => match (&range.start, &range.end) {
                (Some(start), Some(end)) => self.range(start, end, matches!(range.limits, syn::RangeLimits::Closed(_)), e),
                _ => self.no_source(e),
            },
            syn::Expr::Reference(r) => self.array_source(&r.expr, Along::Elements, r.mutability.is_some(), e),
            syn::Expr::MethodCall(call) => self.source_of_call(call, e),
            syn::Expr::Path(_) => self.array_source(e, Along::Elements, false, e),
            _ => self.no_source(e),
        }
    }

    fn no_source(&mut self, e: &syn::Expr) -> Option<Source> {
        self.error(e, messages::LOOP_RANGE, &[&text(e)]);
        None
    }

    fn source_of_call(&mut self, call: &syn::ExprMethodCall, e: &syn::Expr) -> Option<Source> {
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        let receiver = &*call.receiver;
        match (call.method.to_string().as_str(), &args[..]) {
            ("into_iter", []) if !matches!(receiver, syn::Expr::Path(_)) => self.source(receiver),
            ("rev", []) => {
                let source = self.source(receiver)?;
                if source.item.counts() && !matches!(source.item, Item::Number { .. }) && source.trips.len() > 1 {
                    return self.no_source(e);
                }
                Some(Source { reverse: !source.reverse, ..source })
            }
            ("step_by", [step]) if is_range(receiver) => self.step_by(receiver, step, e),
            ("enumerate", []) => {
                let source = self.source(receiver)?;
                // The position counts turns, whichever way the items run.
                if source.reverse && !source.item.changes() {
                    return self.iterator_source(e);
                }
                if source.reverse || source.trips.len() != 1 {
                    return self.no_source(e);
                }
                Some(Source { item: Item::Enumerated(Box::new(source.item)), untyped: false, ..source })
            }
            ("zip", [other]) => {
                let (a, b) = (self.source(receiver)?, self.source(other)?);
                if a.reverse != b.reverse && !a.item.changes() && !b.item.changes() {
                    return self.iterator_source(e);
                }
                if a.reverse != b.reverse || a.trips.len() != b.trips.len() {
                    return self.no_source(e);
                }
                for (&x, &y) in a.trips.iter().zip(&b.trips) {
                    if !self.unify(x, y, e, receiver, other) {
                        return None;
                    }
                }
                let item = Item::Zipped(Box::new(a.item), Box::new(b.item));
                Some(Source { trips: a.trips, reverse: a.reverse, untyped: false, item })
            }
            ("iter" | "into_iter", []) => self.array_source(receiver, Along::Elements, false, e),
            ("iter_mut", []) => self.array_source(receiver, Along::Elements, true, e),
            ("indexed_iter", []) => self.indexed(receiver, false, e),
            ("indexed_iter_mut", []) => self.indexed(receiver, true, e),
            ("rows", []) => self.array_source(receiver, Along::Rows, false, e),
            ("rows_mut", []) => self.array_source(receiver, Along::Rows, true, e),
            ("columns", []) => self.array_source(receiver, Along::Columns, false, e),
            ("columns_mut", []) => self.array_source(receiver, Along::Columns, true, e),
            ("outer_iter", []) => self.array_source(receiver, Along::Axis(0), false, e),
            ("outer_iter_mut", []) => self.array_source(receiver, Along::Axis(0), true, e),
            ("axis_iter" | "axis_iter_mut", [axis]) => {
                let axis = self.axis(axis)?;
                self.array_source(receiver, Along::Axis(axis), call.method == "axis_iter_mut", e)
            }
            _ => self.iterator_source(e),
        }
    }

    /// An iterator that is a value.
    fn iterator_source(&mut self, e: &syn::Expr) -> Option<Source> {
        match self.expr(e) {
            Value::Iter(iter) => {
                let trips = iter.dims.clone();
                Some(Source { trips, reverse: false, untyped: false, item: Item::Iterator(iter) })
            }
            Value::Poison => None,
            _ => self.no_source(e),
        }
    }

    /// How many turns an iterator over a range has, and what it starts with if that is not zero.
    pub(super) fn turns_of(&mut self, e: &syn::Expr) -> Option<(Dim, Option<ValueId>)> {
        let source = self.source(e)?;
        if source.untyped {
            self.error(e, messages::INTEGER_TYPE, &[&text(e)]);
            return None;
        }
        match source.item {
            Item::Number { first, step: None, elem: Elem::Usize, .. } if !source.reverse => Some((source.trips[0], first)),
            _ => {
                self.error(e, messages::LOOP_RANGE, &[&text(e)]);
                None
            }
        }
    }

    fn indexed(&mut self, array: &syn::Expr, changes: bool, e: &syn::Expr) -> Option<Source> {
        let source = self.array_source(array, Along::Elements, changes, e)?;
        Some(Source { item: Item::Indexed(Box::new(source.item)), ..source })
    }

    fn array_source(&mut self, array: &syn::Expr, along: Along, changes: bool, e: &syn::Expr) -> Option<Source> {
        // The item is complete once the axes are known.
        let (ty, mut item) = if changes {
            let place = self.assignable(array)?;
            let ty = self.type_of(&place, array)?;
            if self.is_fixed(&place) && ty.rank() != 1 {
                return self.no_source(e);
            }
            (ty, Item::Change { place, axes: Vec::new() })
        } else {
            match self.expr(array) {
                Value::Tensor(array) => (self.b.ty(array).clone(), Item::Read { array, axes: Vec::new() }),
                Value::Fixed(array) if self.b.ty(array).rank() == 1 => (self.b.ty(array).clone(), Item::Read { array, axes: Vec::new() }),
                Value::Poison => return None,
                _ => return self.no_source(e),
            }
        };
        let rank = ty.rank();
        let axes: Vec<usize> = match along {
            Along::Elements => (0..rank).collect(),
            Along::Rows if rank == 2 => vec![0],
            Along::Columns if rank == 2 => vec![1],
            Along::Axis(axis) if axis < rank => vec![axis],
            Along::Axis(axis) if rank > 0 => {
                self.error(e, messages::AXIS_OUT_OF_RANGE, &[&text(array), &describe_rank(rank), &axis.to_string()]);
                return None;
            }
            Along::Rows | Along::Columns | Along::Axis(_) => return self.no_source(e),
        };
        if axes.is_empty() {
            return self.no_source(e);
        }
        let trips = axes.iter().map(|&axis| ty.dims[axis]).collect();
        if let Item::Read { axes: of, .. } | Item::Change { axes: of, .. } = &mut item {
            *of = axes;
        }
        Some(Source { trips, reverse: false, untyped: false, item })
    }

    /// `a..b`
    fn range(&mut self, start: &syn::Expr, end: &syn::Expr, closed: bool, e: &syn::Expr) -> Option<Source> {
        let (first, last) = (self.expr(start), self.expr(end));
        let of = |trip: Dim, first: Option<ValueId>, elem: Elem, untyped: bool| {
            let item = Item::Number { first, step: None, downwards: false, elem };
            Some(Source { trips: vec![trip], reverse: false, untyped, item })
        };
        if let (Value::Number(Number::Int(a)), Value::Number(Number::Int(b))) = (&first, &last) {
            let turns = (b - a + i64::from(closed)).max(0);
            let start = if *a == 0 { None } else { Some(self.constant(Number::Int(*a), Elem::Usize, start)?) };
            return of(Dim::Const(turns as u64), start, Elem::Usize, true);
        }
        let name = "turns";
        let is_signed = [&first, &last].iter().any(|v| self.elem_of(v) == Some(Elem::I64));
        let elem = if is_signed { Elem::I64 } else { Elem::Usize };
        if !closed && !is_signed && matches!(first, Value::Number(Number::Int(0))) {
            let trip = self.dim_of_length(&last, name, end)?;
            return of(trip, None, Elem::Usize, false);
        }
        // The number of turns is `max(start, end) - start`, which an empty range makes zero.
        let a = self.bound_of_range(first, elem, start)?;
        let mut b = self.bound_of_range(last, elem, end)?;
        if closed {
            let one = self.constant(Number::Int(1), elem, end)?;
            b = self.part(e, Elementwise::Add, &[b, one])?;
        }
        let b = self.part(e, Elementwise::Max, &[a, b])?;
        let mut turns = self.emit(e, Elementwise::Sub, &[b, a])?;
        if is_signed {
            turns = self.part(e, Elementwise::Cast(Elem::Usize), &[turns])?;
        }
        let trip = self.dim_of_length(&Value::Tensor(turns), name, e)?;
        of(trip, Some(a), elem, false)
    }

    fn bound_of_range(&mut self, value: Value, elem: Elem, at: &syn::Expr) -> Option<ValueId> {
        match value {
            Value::Number(n @ Number::Int(_)) => self.constant(n, elem, at),
            Value::Tensor(v) if *self.b.ty(v) == Type::scalar(elem) => {
                self.counters.is_usize(v);
                Some(v)
            }
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                let expected = format!("a bound of type `{elem}`");
                self.error(at, messages::EXPECTED_KIND, &[&expected, &found, "loop over `usize` or `i64`"]);
                None
            }
        }
    }

    /// `(a..b).step_by(k)` and `(a..b).rev().step_by(k)`
    fn step_by(&mut self, range: &syn::Expr, step: &syn::Expr, e: &syn::Expr) -> Option<Source> {
        let source = self.source(range)?;
        let Item::Number { first, step: None, elem, .. } = source.item else { return self.no_source(e) };
        let stride = self.position(step)?;
        // As many turns as there are multiples of the step below the number of turns.
        let (trip, n) = match (source.trips[0], self.known.get(&stride).copied()) {
            (Dim::Const(n), Some(k)) if k > 0 => (Dim::Const(n.div_ceil(k as u64)), None),
            (dim, _) => {
                let n = self.number_of_turns(dim, range)?;
                let one = self.constant(Number::Int(1), Elem::Usize, e)?;
                let sum = self.part(e, Elementwise::Add, &[n, stride])?;
                let more = self.part(e, Elementwise::Sub, &[sum, one])?;
                let turns = self.part(e, Elementwise::Div, &[more, stride])?;
                (self.dim_of_length(&Value::Tensor(turns), "turns", e)?, Some(n))
            }
        };
        let as_elem = |this: &mut Self, v: ValueId| match elem {
            Elem::Usize => Some(v),
            _ => this.part(e, Elementwise::Cast(elem), &[v]),
        };
        let mut first = first;
        if source.reverse {
            // From the last number downwards; without turns there is none, and nobody asks for it.
            let n = match n {
                Some(n) => n,
                None => self.number_of_turns(source.trips[0], range)?,
            };
            let one = self.constant(Number::Int(1), Elem::Usize, e)?;
            let n = self.part(e, Elementwise::Max, &[n, one])?;
            let last = self.part(e, Elementwise::Sub, &[n, one])?;
            let last = as_elem(self, last)?;
            first = Some(match first {
                Some(first) => self.part(e, Elementwise::Add, &[first, last])?,
                None => last,
            });
        }
        let stride = as_elem(self, stride)?;
        let item = Item::Number { first, step: Some(stride), downwards: source.reverse, elem };
        Some(Source { trips: vec![trip], reverse: false, untyped: source.untyped, item })
    }

    /// The length of a dimension.
    pub(super) fn number_of_turns(&mut self, dim: Dim, at: &syn::Expr) -> Option<ValueId> {
        match self.b.current_dim(dim) {
            Dim::Const(n) => self.constant(Number::Int(n as i64), Elem::Usize, at),
            dim => self.length(dim, at),
        }
    }

    /// In the body of the loops: binds the names of the pattern to what the turn gives. Gives the number of a range that is just counted.
    pub(super) fn bind_item(&mut self, pat: &syn::Pat, source: &Source, turns: &[ValueId], at: &syn::Expr) -> Option<ValueId> {
        self.bind_part(pat, &source.item, turns, at)
    }

    fn bind_part(&mut self, pat: &syn::Pat, item: &Item, turns: &[ValueId], at: &syn::Expr) -> Option<ValueId> {
        if !item.changes() {
            let value = self.item_value(item, turns, at);
            let counted = match (&value, item) {
                (Some(Value::Tensor(v)), Item::Number { .. }) => Some(*v),
                _ => None,
            };
            self.bind(pat, value.unwrap_or(Value::Poison));
            return counted;
        }
        let parts = match pat {
            syn::Pat::Paren(p) => return self.bind_part(&p.pat, item, turns, at),
            syn::Pat::Tuple(tuple) if tuple.elems.len() == 2 => Some((&tuple.elems[0], &tuple.elems[1])),
            _ => None,
        };
        match (item, parts) {
            (Item::Change { place, axes }, _) => {
                let picks: Vec<(usize, Pick, ValueId)> = axes.iter().zip(turns).map(|(&axis, &turn)| (axis, Pick::At, turn)).collect();
                let name = match pat {
                    syn::Pat::Wild(_) => return None,
                    pat => name_of(pat),
                };
                let Some(name) = name else {
                    self.error(pat, messages::UNSUPPORTED_PATTERN, &[&text(pat)]);
                    return None;
                };
                match self.narrowed(place.clone(), &picks, at) {
                    Some(place) => self.bind_view(name, place),
                    None => self.scope.bind(name.unraw().to_string(), Value::Poison),
                }
            }
            (Item::Enumerated(inner) | Item::Indexed(inner), Some((position, rest))) => {
                let at_position = self.position_value(item, turns);
                self.bind(position, at_position);
                self.bind_part(rest, inner, turns, at);
            }
            (Item::Zipped(a, b), Some((left, right))) => {
                self.bind_part(left, a, turns, at);
                self.bind_part(right, b, turns, at);
            }
            (
                Item::Number { .. } | Item::Read { .. } | Item::Iterator(_) | Item::Enumerated(_) | Item::Indexed(_) | Item::Zipped(..),
                _,
            ) => {
                self.error(pat, messages::UNSUPPORTED_PATTERN, &[&text(pat)]);
            }
        }
        None
    }

    fn position_value(&self, item: &Item, turns: &[ValueId]) -> Value {
        match turns {
            [turn] if matches!(item, Item::Enumerated(_)) || turns.len() == 1 => Value::Tensor(*turn),
            turns => Value::Tuple(turns.iter().map(|&turn| Value::Tensor(turn)).collect()),
        }
    }

    fn item_value(&mut self, item: &Item, turns: &[ValueId], at: &syn::Expr) -> Option<Value> {
        match item {
            Item::Number { first, step, downwards, elem } => {
                let mut value = turns[0];
                if *elem != Elem::Usize {
                    value = self.part(at, Elementwise::Cast(*elem), &[value])?;
                }
                if let Some(step) = step {
                    value = self.part(at, Elementwise::Mul, &[value, *step])?;
                }
                let op = if *downwards { Elementwise::Sub } else { Elementwise::Add };
                match first {
                    Some(first) => self.part(at, op, &[*first, value]).map(Value::Tensor),
                    None => Some(Value::Tensor(value)),
                }
            }
            Item::Read { array, axes } => {
                let window = Window { axes: axes.iter().map(|&axis| (axis, Pick::At)).collect() };
                self.part(at, Index::Read(window), &[&[*array], turns].concat()).map(Value::Tensor)
            }
            Item::Change { .. } => None,
            Item::Iterator(iter) => self.item_at(&iter.item, turns, at),
            Item::Enumerated(inner) | Item::Indexed(inner) => {
                let position = self.position_value(item, turns);
                Some(Value::Tuple(vec![position, self.item_value(inner, turns, at)?]))
            }
            Item::Zipped(a, b) => {
                let (a, b) = (self.item_value(a, turns, at)?, self.item_value(b, turns, at)?);
                Some(Value::Tuple(vec![a, b]))
            }
        }
    }
}

/// Whether it is a range, perhaps backwards.
fn is_range(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Paren(p) => is_range(&p.expr),
        syn::Expr::Group(p) => is_range(&p.expr),
        syn::Expr::MethodCall(call) => call.method == "rev" && is_range(&call.receiver),
        e => matches!(e, syn::Expr::Range(_)),
    }
}

impl Source {
    /// Whether a turn gives its own number.
    pub(super) fn counts_from_zero(&self) -> bool {
        matches!(self.item, Item::Number { first: None, step: None, elem: Elem::Usize, .. })
    }
}

impl Item {
    /// Whether something in it is changed.
    fn changes(&self) -> bool {
        match self {
            Item::Number { .. } | Item::Read { .. } | Item::Iterator(_) => false,
            Item::Change { .. } => true,
            Item::Enumerated(inner) | Item::Indexed(inner) => inner.changes(),
            Item::Zipped(a, b) => a.changes() || b.changes(),
        }
    }

    /// Whether it contains a number that counts turns.
    fn counts(&self) -> bool {
        match self {
            Item::Number { .. } | Item::Enumerated(_) | Item::Iterator(_) => true,
            Item::Indexed(_) | Item::Read { .. } | Item::Change { .. } => false,
            Item::Zipped(a, b) => a.counts() || b.counts(),
        }
    }
}
