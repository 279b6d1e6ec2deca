//! Iterators and `Zip`: what their turns give, and what is made of it.
//!
//! An iterator over elements is held as the arrays that it goes through, and a closure mapped over it is lowered once, on all elements together, like that
//! of `mapv`. Where that cannot be, because the items are rows or the closure reads positions that depend on the item, the iterator stays a recipe
//! for the item of one turn, and what consumes it becomes a loop.

use std::rc::Rc;

use syn::visit::Visit;

use super::methods::Call;
use super::operators::Operand;
use super::subiterators::Chosen;
use super::value::{Value, describe_rank, describe_type};
use super::{Closure, Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Control, Dim, Elem, Elementwise, Index, Note, Op, Pick, Reduce, Shape, Type, ValueId, Window};
use crate::syntax::items::path_key;

/// An iterator over the positions of a space, in row-major order.
#[derive(Clone, Debug)]
pub(super) struct Iter {
    /// The axes of the space; a plain iterator over a vector has one.
    pub(super) dims: Vec<Dim>,
    /// What a turn gives.
    pub(super) item: Item,
    /// Whether it is a `Zip`, whose closures take each array's item as an argument of its own.
    pub(super) is_zip: bool,
}

/// What a loop carries, and what it stacks.
type CarriedAndStacked = (Vec<ValueId>, Vec<ValueId>);

/// What lowers one turn of a loop, given the positions along the axes and what is carried.
type Turn<'t, L> = dyn FnMut(&mut L, &[ValueId], &[ValueId]) -> Option<CarriedAndStacked> + 't;

/// What one turn of an iterator gives.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// Elements of arrays that have the shape of the space: a tree of [`Value::Lane`] and of what is the same in all turns.
    Elements(Value),
    /// The position: a number for one axis, else a tuple.
    Position,
    /// A number of a range that does not start at zero.
    From(ValueId),
    /// A part of an array: each axis of the space is a position along one of these axes of it.
    Part(ValueId, Vec<usize>),
    /// A part of an array, with all its axes: for each axis of the space one of the array, the distance between neighbouring parts along it, and their length.
    Windows(ValueId, Vec<(usize, ValueId, Dim)>),
    /// An item at another position.
    Chosen(Box<Item>, Chosen),
    /// Several items.
    Tuple(Vec<Item>),
    /// What a function makes of an item; its arguments, if it is of a `Zip`.
    Mapped(Box<Item>, Function),
}

/// What stands in the place of a function, with what it sees.
#[derive(Clone, Debug)]
pub(super) struct Function {
    expr: syn::Expr,
    value: Option<Value>,
}

impl From<Iter> for Value {
    fn from(iter: Iter) -> Value {
        Value::Iter(Rc::new(iter))
    }
}

impl Iter {
    fn of(dims: Vec<Dim>, item: Item) -> Iter {
        Iter { dims, item, is_zip: false }
    }
}

impl Lowering<'_> {
    /// `x.iter()`
    pub(super) fn iter(&mut self, x: ValueId) -> Value {
        Iter::of(self.b.ty(x).dims.clone(), Item::Elements(Value::Lane(x))).into()
    }

    /// `x.indexed_iter()`
    pub(super) fn indexed_iter(&mut self, x: ValueId) -> Value {
        let item = Item::Tuple(vec![Item::Position, Item::Elements(Value::Lane(x))]);
        Iter::of(self.b.ty(x).dims.clone(), item).into()
    }

    /// `x.lanes(Axis(k))`
    pub(super) fn lanes(&mut self, call: Call<'_>, x: ValueId) -> Value {
        match self.axis_of(call, self.b.ty(x).rank()) {
            Some(axis) => self.lanes_along(x, axis),
            None => Value::Poison,
        }
    }

    /// The parts along an axis: all other axes are gone through. Beyond the last axis, the last is meant.
    pub(super) fn lanes_along(&mut self, x: ValueId, axis: usize) -> Value {
        let rank = self.b.ty(x).rank();
        let axis = axis.min(rank - 1);
        if rank == 1 {
            // The only lane is the vector itself.
            return Iter::of(vec![Dim::Const(1)], Item::Elements(Value::Tensor(x))).into();
        }
        let others: Vec<usize> = (0..rank).filter(|&k| k != axis).collect();
        let dims = others.iter().map(|&k| self.b.ty(x).dims[k]).collect();
        Iter::of(dims, Item::Part(x, others)).into()
    }

    /// `x.axis_iter(Axis(k))`
    pub(super) fn axis_iter(&mut self, call: Call<'_>, x: ValueId) -> Value {
        match self.axis_of(call, self.b.ty(x).rank()) {
            Some(axis) => self.parts(x, axis),
            None => Value::Poison,
        }
    }

    /// The parts at each position of an axis.
    pub(super) fn parts(&mut self, x: ValueId, axis: usize) -> Value {
        let dims = vec![self.b.ty(x).dims[axis]];
        if self.b.ty(x).rank() == 1 {
            return Iter::of(dims, Item::Elements(Value::Lane(x))).into();
        }
        Iter::of(dims, Item::Part(x, vec![axis])).into()
    }

    /// `a..b` as an iterator.
    pub(super) fn range_iterator(&mut self, range: &syn::ExprRange) -> Value {
        let whole = syn::Expr::Range(range.clone());
        let Some((dim, start)) = self.turns_of(&whole) else { return Value::Poison };
        let item = start.map_or(Item::Position, Item::From);
        Iter::of(vec![dim], item).into()
    }

    /// `Zip::from(&a)`, `Zip::indexed(&a)`
    pub(super) fn zip_from(&mut self, arg: &syn::Expr, indexed: bool) -> Value {
        let Some(first) = self.producer(arg) else { return Value::Poison };
        let mut items = vec![first.item];
        if indexed {
            items.insert(0, Item::Position);
        }
        Iter { dims: first.dims, item: Item::Tuple(items), is_zip: true }.into()
    }

    /// What an argument of `zip` gives in each turn: an array its elements.
    fn producer(&mut self, e: &syn::Expr) -> Option<Iter> {
        match self.expr(e) {
            Value::Iter(iter) => Some((*iter).clone()),
            Value::Tensor(x) if self.b.ty(x).rank() > 0 => Some(Iter::of(self.b.ty(x).dims.clone(), Item::Elements(Value::Lane(x)))),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(e, messages::EXPECTED_KIND, &["an array or an iterator", &found, "write `x.iter()`"]);
                None
            }
        }
    }

    /// `.zip(other)`
    pub(super) fn zip_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        let Some(other) = self.producer(call.args[0]) else { return Value::Poison };
        match self.joint_space(call, &iter.dims, &other.dims) {
            Some(dims) => Iter::of(dims, Item::Tuple(vec![iter.item, other.item])).into(),
            None => Value::Poison,
        }
    }

    /// `.and(&b)`, `.and_broadcast(&b)`
    pub(super) fn zip_and(&mut self, call: Call<'_>, iter: Iter, broadcast: bool) -> Value {
        let Some(mut other) = self.producer(call.args[0]) else { return Value::Poison };
        if let (true, Item::Elements(Value::Lane(x))) = (broadcast, &other.item) {
            let (x, rank) = (*x, other.dims.len());
            for k in 0..rank.min(iter.dims.len()) {
                let (own, of_space) = (other.dims[rank - 1 - k], iter.dims[iter.dims.len() - 1 - k]);
                if own != Dim::Const(1) && !self.unify(own, of_space, call.whole, call.args[0], call.receiver) {
                    return Value::Poison;
                }
            }
            let dims: Vec<Dim> = iter.dims.iter().map(|&d| self.b.current_dim(d)).collect();
            if rank <= dims.len() {
                let Some(wide) = self.stretch(x, &dims, call.args[0]) else { return Value::Poison };
                other = Iter::of(dims, Item::Elements(Value::Lane(wide)));
            }
        }
        let Some(dims) = self.joint_space(call, &iter.dims, &other.dims) else { return Value::Poison };
        let Item::Tuple(mut items) = iter.item else {
            return self.fail(call.name, messages::METHOD_ON_NUMBER, &["and", &text(call.receiver), "an iterator"]);
        };
        items.push(other.item);
        Iter { dims, item: Item::Tuple(items), is_zip: true }.into()
    }

    /// The space of two iterators that run together. Rust would stop with the shorter one; here both have one length.
    fn joint_space(&mut self, call: Call<'_>, a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
        if a.len() != b.len() {
            let (m, n) = (describe_rank(a.len()), describe_rank(b.len()));
            let help = "go through arrays with as many axes";
            let (x, y, whole) = (text(call.receiver), text(call.args[0]), text(call.whole));
            self.error(call.name, messages::RANK_MISMATCH, &[&x, &m, &y, &n, &whole, help]);
            return None;
        }
        for (&x, &y) in a.iter().zip(b) {
            if !self.unify(x, y, call.whole, call.receiver, call.args[0]) {
                return None;
            }
        }
        Some(a.iter().map(|&d| self.b.current_dim(d)).collect())
    }

    /// `.enumerate()`
    pub(super) fn enumerate_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        if iter.dims.len() != 1 {
            let help = "write `indexed_iter`, which gives the position along each axis";
            let found = format!("one over {}", describe_rank(iter.dims.len()));
            return self.fail(call.name, messages::EXPECTED_KIND, &["an iterator over one axis", &found, help]);
        }
        Iter::of(iter.dims, Item::Tuple(vec![Item::Position, iter.item])).into()
    }

    /// `.map(f)`
    pub(super) fn map_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        match self.mapped(call.args[0], &iter) {
            Some(item) => Iter { item, dims: iter.dims, is_zip: false }.into(),
            None => Value::Poison,
        }
    }

    /// The item after a function: on all elements at once where that is possible.
    pub(super) fn mapped(&mut self, f: &syn::Expr, iter: &Iter) -> Option<Item> {
        if !self.needs_turns(f)
            && let Some(elements) = self.elements(&iter.item, &iter.dims, f)
        {
            let args = self.arguments(iter, elements);
            let value = self.apply_to_elements(f, None, args, &iter.dims)?;
            return Some(Item::Elements(value));
        }
        let value = match f {
            syn::Expr::Path(path) if path.path.get_ident().is_none_or(|name| self.scope.get(&name.to_string()).is_none()) => None,
            f => Some(self.expr(f)),
        };
        if value.as_ref().is_some_and(Value::is_poisoned) {
            return None;
        }
        let item = if iter.is_zip { iter.item.clone() } else { Item::Tuple(vec![iter.item.clone()]) };
        Some(Item::Mapped(Box::new(item), Function { expr: f.clone(), value }))
    }

    /// The arguments of a closure, given the value of the item.
    fn arguments(&self, iter: &Iter, item: Value) -> Vec<Value> {
        match item {
            Value::Tuple(parts) if iter.is_zip => parts,
            item => vec![item],
        }
    }

    /// Applies a function to elements of a space, all at once. The result has a lane wherever it depends on the element.
    pub(super) fn apply_to_elements(&mut self, f: &syn::Expr, value: Option<Value>, args: Vec<Value>, dims: &[Dim]) -> Option<Value> {
        if self.closure.is_some() {
            self.error(f, messages::ELEMENT_LOOP, &[]);
            return None;
        }
        self.closure = Some(Closure { dims: dims.to_vec(), mark: self.scope.mark(), reached: None });
        let exprs = vec![f; args.len()];
        let result = match value {
            Some(value) => self.apply_value(f, value, args, &exprs),
            None => self.apply(f, args, &exprs),
        };
        self.closure = None;
        (!result.is_poisoned()).then_some(result)
    }

    /// The positions of a space, as elements.
    pub(super) fn positions(&mut self, dims: &[Dim], at: &syn::Expr) -> Option<Value> {
        self.elements(&Item::Position, dims, at)
    }

    /// The items of all turns as elements; `None` where they are not numbers.
    pub(super) fn elements(&mut self, item: &Item, dims: &[Dim], at: &syn::Expr) -> Option<Value> {
        let dims: Vec<Dim> = dims.iter().map(|&d| self.b.current_dim(d)).collect();
        match item {
            Item::Elements(value) => Some(value.clone()),
            Item::Position => {
                let mut positions = Vec::new();
                for (k, &dim) in dims.iter().enumerate() {
                    let iota = self.part(at, Shape::Iota { dim }, &[])?;
                    self.b.set_default_note(part_of(at));
                    positions.push(Value::Lane(self.b.broadcast(iota, &[k], &dims)));
                }
                match <[Value; 1]>::try_from(positions) {
                    Ok([only]) => Some(only),
                    Err(positions) => Some(Value::Tuple(positions)),
                }
            }
            Item::From(start) => {
                let iota = self.part(at, Shape::Iota { dim: dims[0] }, &[])?;
                let start = self.spread(Operand { value: *start, lane: false }, &dims, at)?;
                self.part(at, Elementwise::Add, &[start, iota]).map(Value::Lane)
            }
            Item::Tuple(items) => {
                let parts: Vec<Option<Value>> = items.iter().map(|item| self.elements(item, &dims, at)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Value::Tuple)
            }
            Item::Chosen(item, chosen) => {
                let all = self.elements(item, &[chosen.of], at)?;
                self.some_elements(&all, chosen, at)
            }
            Item::Part(..) | Item::Windows(..) | Item::Mapped(..) => None,
        }
    }

    /// The item of one turn.
    pub(super) fn item_at(&mut self, item: &Item, turn: &[ValueId], at: &syn::Expr) -> Option<Value> {
        match item {
            Item::Elements(value) => self.element_at(value, turn, at),
            Item::Position => match turn {
                [only] => Some(Value::Tensor(*only)),
                several => Some(Value::Tuple(several.iter().map(|&i| Value::Tensor(i)).collect())),
            },
            Item::From(start) => self.part(at, Elementwise::Add, &[*start, turn[0]]).map(Value::Tensor),
            Item::Part(x, axes) => {
                let window = Window { axes: axes.iter().map(|&axis| (axis, Pick::At)).collect() };
                self.part(at, Index::Read(window), &[&[*x], turn].concat()).map(Value::Tensor)
            }
            Item::Windows(x, axes) => self.window_at(*x, axes, turn, at).map(Value::Tensor),
            Item::Chosen(item, chosen) => {
                let position = self.some_position(chosen, turn[0], at)?;
                self.item_at(item, &[position], at)
            }
            Item::Tuple(items) => {
                let parts: Vec<Option<Value>> = items.iter().map(|item| self.item_at(item, turn, at)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Value::Tuple)
            }
            Item::Mapped(item, f) => {
                let Value::Tuple(args) = self.item_at(item, turn, at)? else { return None };
                let exprs = vec![&f.expr; args.len()];
                let value = match &f.value {
                    Some(value) => self.apply_value(&f.expr, value.clone(), args, &exprs),
                    None => self.apply(&f.expr, args, &exprs),
                };
                (!value.is_poisoned()).then_some(value)
            }
        }
    }

    fn element_at(&mut self, value: &Value, turn: &[ValueId], at: &syn::Expr) -> Option<Value> {
        match value {
            Value::Lane(x) => {
                let window = Window { axes: (0..turn.len()).map(|axis| (axis, Pick::At)).collect() };
                self.part(at, Index::Read(window), &[&[*x], turn].concat()).map(Value::Tensor)
            }
            Value::Tuple(parts) => {
                let parts: Vec<Option<Value>> = parts.iter().map(|part| self.element_at(part, turn, at)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Value::Tuple)
            }
            same => Some(same.clone()),
        }
    }

    /// Whether a function must be run turn by turn: it reads at positions, has loops, or goes through other arrays.
    fn needs_turns(&self, f: &syn::Expr) -> bool {
        let mut visitor = NeedsTurns(false);
        match f {
            syn::Expr::Path(path) => {
                let variable = path.path.get_ident().and_then(|name| self.scope.get(&name.to_string()));
                let function = path_key(&path.path).and_then(|key| self.items.function(self.place, &key));
                match (variable, function) {
                    (Some(Value::Closure(closure)), _) => visitor.visit_expr(&closure.0.body),
                    (None, Some(found)) => visitor.visit_block(&found.item.block),
                    (Some(_), _) | (None, None) => {}
                }
            }
            syn::Expr::Closure(closure) => visitor.visit_expr(&closure.body),
            _ => {}
        }
        visitor.0
    }

    /// An array that holds what all turns give, of the shape of the space followed by that of an item.
    pub(super) fn collected(&mut self, iter: &Iter, at: &syn::Expr) -> Option<ValueId> {
        let dims: Vec<Dim> = iter.dims.iter().map(|&d| self.b.current_dim(d)).collect();
        if let Some(value) = self.elements(&iter.item, &dims, at) {
            let x = self.operand(value, self.default_float, at)?;
            if !x.lane && self.b.ty(x.value).rank() > 0 {
                let found = self.describe(&Value::Tensor(x.value));
                self.error(at, messages::EXPECTED_KIND, &["a closure that gives a number", &found, "use whole-array operations"]);
                return None;
            }
            return self.spread(x, &dims, at);
        }
        self.looped(&dims, Vec::new(), at, &mut |this, turn, _| {
            let value = this.item_at(&iter.item, turn, at)?;
            let leaf = this.leaf(value.clone(), Some(this.default_float), at);
            if leaf.is_none() && !value.is_poisoned() {
                let found = this.describe(&value);
                this.error(at, messages::EXPECTED_KIND, &["one number or array for each turn", &found, "give back one value"]);
            }
            Some((Vec::new(), vec![leaf?]))
        })
        .and_then(|(_, stacked)| stacked.first().copied())
    }

    /// Nested loops over the axes of a space, which carry values and stack what their innermost turns give.
    pub(super) fn looped(
        &mut self,
        dims: &[Dim],
        carried: Vec<ValueId>,
        at: &syn::Expr,
        turn: &mut Turn<'_, Self>,
    ) -> Option<CarriedAndStacked> {
        if self.closure.is_some() {
            self.error(at, messages::ELEMENT_LOOP, &[]);
            return None;
        }
        self.looped_inside(dims, &mut Vec::new(), carried, at, turn)
    }

    fn looped_inside(
        &mut self,
        dims: &[Dim],
        indices: &mut Vec<ValueId>,
        carried: Vec<ValueId>,
        at: &syn::Expr,
        turn: &mut Turn<'_, Self>,
    ) -> Option<CarriedAndStacked> {
        let Some((&trip, rest)) = dims.split_first() else { return turn(self, indices, &carried) };
        self.b.open();
        indices.push(self.b.param(Type::scalar(Elem::Usize), Note::at(super::span_of(at))));
        let params: Vec<ValueId> = carried.iter().map(|&v| self.b.param(self.b.ty(v).clone(), self.b.note(v).clone())).collect();
        let results = self.looped_inside(rest, indices, params, at, turn);
        indices.pop();
        let Some((next, stacked)) = results else {
            self.b.close(Vec::new());
            self.forget_inner_lengths();
            return None;
        };
        let mismatch = next.iter().zip(&carried).find(|&(&new, &old)| {
            let (new, old) = (self.b.ty(new), self.b.ty(old));
            (new.elem, new.rank()) != (old.elem, old.rank())
        });
        if let Some((&new, &old)) = mismatch {
            let (old, new) = (describe_type(self.b.ty(old)), describe_type(self.b.ty(new)));
            self.error(at, messages::CARRIED_TYPE, &["the accumulator", &old, &new]);
        }
        for (&new, &old) in next.iter().zip(&carried).filter(|_| mismatch.is_none()) {
            for (m, n) in self.b.ty(new).dims.clone().into_iter().zip(self.b.ty(old).dims.clone()) {
                self.unify(m, n, at, at, at);
            }
        }
        let n_carried = carried.len();
        let failed = mismatch.is_some();
        let body = self.b.close(next.into_iter().chain(stacked).collect());
        self.forget_inner_lengths();
        if failed {
            return None;
        }
        self.b.set_default_note(part_of(at));
        let op = Op::Control(Control::For { trip: self.b.current_dim(trip), reverse: false });
        match self.b.try_stmt(op, carried, vec![body]) {
            Ok(mut outs) => {
                let stacked = outs.split_off(n_carried);
                Some((outs, stacked))
            }
            Err(why) => {
                self.error(at, messages::OPERANDS, &[&text(at), &why.0]);
                None
            }
        }
    }

    /// `.collect()`
    pub(super) fn collect_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        if iter.dims.len() != 1 {
            let found = format!("one over {}", describe_rank(iter.dims.len()));
            let help = "write `mapv` or `Zip::map_collect`, which keep the shape";
            return self.fail(call.name, messages::EXPECTED_KIND, &["an iterator over one axis", &found, help]);
        }
        Operand::wrap(self.collected(&iter, call.whole), false)
    }

    /// `.map_collect(f)`
    pub(super) fn map_collect(&mut self, call: Call<'_>, iter: Iter) -> Value {
        let Some(item) = self.mapped(call.args[0], &iter) else { return Value::Poison };
        let iter = Iter { item, dims: iter.dims, is_zip: false };
        Operand::wrap(self.collected(&iter, call.args[0]), false)
    }

    /// `x.mapv(f)`
    pub(super) fn mapv(&mut self, call: Call<'_>, x: ValueId) -> Value {
        if self.closure.is_some() {
            return self.fail(call.name, messages::ARRAY_IN_CLOSURE, &[&text(call.receiver)]);
        }
        let iter = Iter::of(self.b.ty(x).dims.clone(), Item::Elements(Value::Lane(x)));
        self.map_collect(call, iter)
    }

    /// `x.map_axis(Axis(k), f)`
    pub(super) fn map_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(axis) = self.axis_of(call, self.b.ty(x).rank()) else { return Value::Poison };
        let f = call.args[1];
        let Value::Iter(iter) = self.lanes_along(x, axis) else { return Value::Poison };
        if self.b.ty(x).rank() == 1 {
            let help = "call the function on the vector itself";
            return self.fail(call.receiver, messages::EXPECTED_KIND, &["an array with several axes", "one with 1 axis", help]);
        }
        let Some(item) = self.mapped(f, &iter) else { return Value::Poison };
        let iter = Iter { item, dims: iter.dims.clone(), is_zip: false };
        Operand::wrap(self.collected(&iter, f), false)
    }

    /// `.sum()`
    pub(super) fn sum_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        self.reduce_items(call, &iter, |axes| Reduce::Sum { axes })
    }

    /// `.product()`
    pub(super) fn product_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        self.reduce_items(call, &iter, |axes| Reduce::Prod { axes })
    }

    fn reduce_items(&mut self, call: Call<'_>, iter: &Iter, reduce: fn(Vec<usize>) -> Reduce) -> Value {
        let Some(items) = self.collected(iter, call.whole) else { return Value::Poison };
        let axes = (0..iter.dims.len()).collect();
        Operand::wrap(self.reduce_numbers(call.whole, items, reduce(axes)), false)
    }

    /// `.count()`, `.len()`
    pub(super) fn count_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        Operand::wrap(self.count_of(call.whole, &iter.dims), false)
    }

    /// `.all(f)`
    pub(super) fn all_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        let Some(truths) = self.truths(call, iter) else { return Value::Poison };
        let Some(falsehoods) = self.part(call.whole, Elementwise::Not, &[truths]) else { return Value::Poison };
        Operand::wrap(self.counts_zero(call.whole, falsehoods, true), false)
    }

    /// `.any(f)`
    pub(super) fn any_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        let Some(truths) = self.truths(call, iter) else { return Value::Poison };
        Operand::wrap(self.counts_zero(call.whole, truths, false), false)
    }

    fn truths(&mut self, call: Call<'_>, iter: Iter) -> Option<ValueId> {
        let item = self.mapped(call.args[0], &iter)?;
        let truths = self.collected(&Iter { item, dims: iter.dims, is_zip: false }, call.args[0])?;
        if self.b.ty(truths).elem != Elem::Bool {
            let found = self.describe(&Value::Tensor(truths));
            self.error(call.args[0], messages::CONDITION, &[&found]);
            return None;
        }
        Some(truths)
    }
}

/// Looks for what cannot be done for all elements at once.
struct NeedsTurns(bool);

impl<'ast> Visit<'ast> for NeedsTurns {
    fn visit_expr_index(&mut self, _: &'ast syn::ExprIndex) {
        self.0 = true;
    }

    fn visit_expr_for_loop(&mut self, _: &'ast syn::ExprForLoop) {
        self.0 = true;
    }

    fn visit_expr_while(&mut self, _: &'ast syn::ExprWhile) {
        self.0 = true;
    }

    fn visit_expr_loop(&mut self, _: &'ast syn::ExprLoop) {
        self.0 = true;
    }

    fn visit_expr_method_call(&mut self, e: &'ast syn::ExprMethodCall) {
        const OF_ARRAYS: &[&str] =
            &["row", "column", "index_axis", "slice", "iter", "rows", "columns", "axis_iter", "outer_iter", "mapv", "dot"];
        self.0 |= OF_ARRAYS.iter().any(|&name| e.method == name);
        syn::visit::visit_expr_method_call(self, e);
    }
}
