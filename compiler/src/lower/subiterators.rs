//! Iterators that give some of the items of another: backwards, without the first, up to a number, at equal distances; and those over windows and chunks.

use super::iterators::{Item, Iter};
use super::methods::Call;
use super::slices::Bound;
use super::value::{Value, describe_rank};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Control, Dim, Elementwise, Index, Pick, Shape, ValueId, Window};

/// Some of the items of an iterator over one axis.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// How many items there are to choose from.
    pub(super) of: Dim,
    /// The position of the first of them.
    pub(super) first: ValueId,
    /// The distance from one to the next.
    pub(super) step: i64,
    /// How many.
    pub(super) len: Dim,
}

impl Lowering<'_> {
    /// `.rev()`
    pub(super) fn reversed_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        self.some_items(call, iter, |this, dim| {
            let (n, one) = (this.number_of_turns(dim, call.whole)?, this.usize_constant(1, call.whole)?);
            let n = this.part(call.whole, Elementwise::Max, &[n, one])?;
            let first = this.part(call.whole, Elementwise::Sub, &[n, one])?;
            Some(Chosen { of: dim, first, step: -1, len: dim })
        })
    }

    /// `.skip(k)`
    pub(super) fn skipped_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        self.some_items(call, iter, |this, dim| {
            let (k, at) = (this.bound(call.args[0])?, call.args[0]);
            let len = match k {
                Bound::FromStart(k) => this.width(Bound::FromStart(k), Bound::FromEnd(0), dim, at)?,
                Bound::FromEnd(_) => return this.not_counted(at),
                Bound::At(k) => {
                    let n = this.number_of_turns(dim, at)?;
                    let larger = this.part(at, Elementwise::Max, &[n, k])?;
                    let rest = this.part(at, Elementwise::Sub, &[larger, k])?;
                    this.dim_of_length(&Value::Tensor(rest), "len", at)?
                }
            };
            // The first position of an empty rest is the end of the axis.
            let (k, n) = (this.place_of(k, dim, at)?, this.number_of_turns(dim, at)?);
            let first = this.part(at, Elementwise::Min, &[k, n])?;
            Some(Chosen { of: dim, first, step: 1, len })
        })
    }

    /// `.take(k)`
    pub(super) fn taken_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        self.some_items(call, iter, |this, dim| {
            let (k, at) = (this.bound(call.args[0])?, call.args[0]);
            let len = match (k, this.b.current_dim(dim)) {
                (Bound::FromStart(k), Dim::Const(n)) => Dim::Const(k.min(n)),
                (Bound::FromEnd(_), _) => return this.not_counted(at),
                (k, dim) => {
                    let (k, n) = (this.place_of(k, dim, at)?, this.number_of_turns(dim, at)?);
                    let fewer = this.part(at, Elementwise::Min, &[k, n])?;
                    this.dim_of_length(&Value::Tensor(fewer), "len", at)?
                }
            };
            let first = this.usize_constant(0, at)?;
            Some(Chosen { of: dim, first, step: 1, len })
        })
    }

    /// `.step_by(k)`
    pub(super) fn stepped_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        self.some_items(call, iter, |this, dim| {
            let at = call.args[0];
            let step = match this.bound(at)? {
                Bound::FromStart(step) if step > 0 => i64::try_from(step).ok()?,
                Bound::FromStart(_) | Bound::FromEnd(_) | Bound::At(_) => {
                    let help = "write a number above zero, or a `for` loop over `(0..n).step_by(k)`";
                    this.error(at, messages::EXPECTED_KIND, &["a step that is known when the program is compiled", &text(at), help]);
                    return None;
                }
            };
            let dim = this.b.current_dim(dim);
            let len = this.n_steps(dim, step.unsigned_abs(), at)?;
            let first = this.usize_constant(0, at)?;
            Some(Chosen { of: dim, first, step, len })
        })
    }

    fn not_counted<T>(&mut self, at: &syn::Expr) -> Option<T> {
        self.error(at, messages::EXPECTED_KIND, &["a number of items", &text(at), "write a `usize`"]);
        None
    }

    fn some_items(&mut self, call: Call<'_>, iter: Iter, choose: impl FnOnce(&mut Self, Dim) -> Option<Chosen>) -> Value {
        let Some(iter) = self.over_one_axis(call, iter) else { return Value::Poison };
        let dim = self.b.current_dim(iter.dims[0]);
        let Some(some) = choose(self, dim) else { return Value::Poison };
        let len = some.len;
        match self.some_of(iter.item, some, call.whole) {
            Some(item) => Iter { dims: vec![len], item, is_zip: false }.into(),
            None => Value::Poison,
        }
    }

    /// The same items along one axis, in the order of positions.
    fn over_one_axis(&mut self, call: Call<'_>, iter: Iter) -> Option<Iter> {
        if iter.dims.len() == 1 {
            return Some(iter);
        }
        if let Item::Elements(Value::Lane(x)) = iter.item {
            let dim = self.flat_dim(&iter.dims, call.whole)?;
            let flat = self.part(call.whole, Shape::Reshape { dims: vec![dim] }, &[x])?;
            return Some(Iter { dims: vec![dim], item: Item::Elements(Value::Lane(flat)), is_zip: false });
        }
        let found = format!("one over {}", describe_rank(iter.dims.len()));
        let help = "write nested `for` loops, or go through `x.iter()` by itself";
        self.error(call.name, messages::EXPECTED_KIND, &["an iterator over one axis", &found, help]);
        None
    }

    /// Some of the items: of elements a part of the array, of others the item at another position.
    fn some_of(&mut self, item: Item, some: Chosen, at: &syn::Expr) -> Option<Item> {
        match item {
            Item::Elements(value) => self.some_elements(&value, &some, at).map(Item::Elements),
            Item::Tuple(items) => {
                let parts: Vec<Option<Item>> = items.into_iter().map(|item| self.some_of(item, some.clone(), at)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Item::Tuple)
            }
            Item::Position | Item::From(_) | Item::Part(..) | Item::Windows(..) | Item::Mapped(..) | Item::Chosen(..) => {
                Some(Item::Chosen(Box::new(item), some))
            }
        }
    }

    /// Some of the elements, which stand along one axis.
    pub(super) fn some_elements(&mut self, value: &Value, some: &Chosen, at: &syn::Expr) -> Option<Value> {
        match value {
            Value::Lane(x) => {
                let window = Window { axes: vec![(0, Pick::Slice { step: some.step, len: some.len })] };
                self.part(at, Index::Read(window), &[*x, some.first]).map(Value::Lane)
            }
            Value::Tuple(parts) => {
                let parts: Vec<Option<Value>> = parts.iter().map(|part| self.some_elements(part, some, at)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Value::Tuple)
            }
            same => Some(same.clone()),
        }
    }

    /// The position among all items of one that was chosen.
    pub(super) fn some_position(&mut self, some: &Chosen, turn: ValueId, at: &syn::Expr) -> Option<ValueId> {
        let distance = self.usize_constant(some.step.unsigned_abs(), at)?;
        let far = if some.step.abs() == 1 { turn } else { self.part(at, Elementwise::Mul, &[turn, distance])? };
        let op = if some.step > 0 { Elementwise::Add } else { Elementwise::Sub };
        self.part(at, op, &[some.first, far])
    }

    /// `x.windows(k)`, `x.windows((k, l))`
    pub(super) fn windows_of(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(lens) = self.part_lengths(call, x) else { return Value::Poison };
        let mut dims = Vec::new();
        for (axis, &len) in lens.iter().enumerate() {
            let Some(dim) = self.n_windows(self.b.ty(x).dims[axis], len, call) else { return Value::Poison };
            dims.push(dim);
        }
        let Some(one) = self.usize_constant(1, call.whole) else { return Value::Poison };
        let axes = lens.into_iter().enumerate().map(|(axis, len)| (axis, one, Dim::Const(len))).collect();
        Iter { dims, item: Item::Windows(x, axes), is_zip: false }.into()
    }

    /// `x.axis_windows(Axis(k), n)`
    pub(super) fn axis_windows(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axis = self.axis_of(call, self.b.ty(x).rank());
        let (Some(axis), Some(len)) = (axis, self.part_length(call.args[1])) else { return Value::Poison };
        let dim = self.n_windows(self.b.ty(x).dims[axis], len, call);
        let (Some(dim), Some(one)) = (dim, self.usize_constant(1, call.whole)) else { return Value::Poison };
        Iter { dims: vec![dim], item: Item::Windows(x, vec![(axis, one, Dim::Const(len))]), is_zip: false }.into()
    }

    /// `x.exact_chunks(k)`, `x.exact_chunks((k, l))`: what is left at the end is left out, as in `ndarray`.
    pub(super) fn exact_chunks(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(lens) = self.part_lengths(call, x) else { return Value::Poison };
        let (mut dims, mut axes) = (Vec::new(), Vec::new());
        for (axis, &len) in lens.iter().enumerate() {
            let dim = self.n_chunks(self.b.ty(x).dims[axis], len, call);
            let (Some(dim), Some(stride)) = (dim, self.usize_constant(len, call.whole)) else { return Value::Poison };
            dims.push(dim);
            axes.push((axis, stride, Dim::Const(len)));
        }
        Iter { dims, item: Item::Windows(x, axes), is_zip: false }.into()
    }

    /// `x.axis_chunks_iter(Axis(k), n)`. The last chunk of `ndarray` may be shorter, which arrays of the IR cannot be: lengths that are no multiple are refused, at the latest
    /// when the function runs.
    pub(super) fn axis_chunks(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axis = self.axis_of(call, self.b.ty(x).rank());
        let (Some(axis), Some(len)) = (axis, self.part_length(call.args[1])) else { return Value::Poison };
        let whole = self.b.current_dim(self.b.ty(x).dims[axis]);
        match whole {
            Dim::Const(n) if n % len != 0 => {
                let found = format!("{n} positions in chunks of {len}");
                let help = "the last chunk would be shorter than the others: write `exact_chunks`, which leaves it out, or slices";
                return self.fail(call.args[1], messages::EXPECTED_KIND, &["chunks of one length", &found, help]);
            }
            Dim::Const(_) => {}
            Dim::Sym(_) => {
                let checked = (|| {
                    let (n, chunk) = (self.length(whole, call.whole)?, self.usize_constant(len, call.whole)?);
                    let rest = self.part(call.whole, Elementwise::Rem, &[n, chunk])?;
                    let zero = self.usize_constant(0, call.whole)?;
                    let holds = self.part(call.whole, Elementwise::Eq, &[rest, zero])?;
                    let message =
                        format!("the axis is no multiple of {len} in `{}`, so that the last chunk would be shorter", text(call.whole));
                    self.check(holds, &message);
                    Some(())
                })();
                if checked.is_none() {
                    return Value::Poison;
                }
            }
        }
        let dim = self.n_chunks(whole, len, call);
        let (Some(dim), Some(stride)) = (dim, self.usize_constant(len, call.whole)) else { return Value::Poison };
        Iter { dims: vec![dim], item: Item::Windows(x, vec![(axis, stride, Dim::Const(len))]), is_zip: false }.into()
    }

    /// A statement that fails where a condition does not hold.
    pub(super) fn check(&mut self, holds: ValueId, message: &str) {
        self.b.stmt(Control::Check { message: message.into() }, &[holds], Vec::new());
    }

    /// The part of an array that a turn over windows or chunks gives.
    pub(super) fn window_at(&mut self, x: ValueId, axes: &[(usize, ValueId, Dim)], turn: &[ValueId], at: &syn::Expr) -> Option<ValueId> {
        let (mut window, mut args) = (Window { axes: Vec::new() }, vec![x]);
        for (&(axis, stride, len), &turn) in axes.iter().zip(turn) {
            window.axes.push((axis, Pick::Slice { step: 1, len }));
            let is_one = self.known.get(&stride) == Some(&1);
            args.push(if is_one { turn } else { self.part(at, Elementwise::Mul, &[turn, stride])? });
        }
        self.part(at, Index::Read(window), &args)
    }

    /// How many windows of a length there are; none on an axis that is shorter.
    fn n_windows(&mut self, dim: Dim, len: u64, call: Call<'_>) -> Option<Dim> {
        self.width(Bound::FromStart(len - 1), Bound::FromEnd(0), dim, call.whole)
    }

    fn n_chunks(&mut self, dim: Dim, len: u64, call: Call<'_>) -> Option<Dim> {
        match self.b.current_dim(dim) {
            dim if len == 1 => Some(dim),
            Dim::Const(n) => Some(Dim::Const(n / len)),
            dim => {
                let (n, len) = (self.length(dim, call.whole)?, self.usize_constant(len, call.whole)?);
                let n = self.part(call.whole, Elementwise::Div, &[n, len])?;
                self.dim_of_length(&Value::Tensor(n), "chunks", call.whole)
            }
        }
    }

    /// The lengths of windows or chunks: one for each axis.
    fn part_lengths(&mut self, call: Call<'_>, x: ValueId) -> Option<Vec<u64>> {
        let rank = self.b.ty(x).rank();
        let arg = call.args[0];
        let elems: Vec<&syn::Expr> = match arg {
            syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            syn::Expr::Array(array) => array.elems.iter().collect(),
            other => vec![other],
        };
        if elems.len() != rank {
            let (name, given) = (text(call.receiver), describe_rank(elems.len()));
            let expected = format!("one length for each axis of `{name}`, which has {}", describe_rank(rank));
            let help = "write `x.windows(n)` for a vector, `x.windows((n, m))` for a matrix, or `axis_windows` for one axis";
            self.error(arg, messages::EXPECTED_KIND, &[&expected, &format!("lengths for {given}"), help]);
            return None;
        }
        elems.into_iter().map(|e| self.part_length(e)).collect()
    }

    fn part_length(&mut self, e: &syn::Expr) -> Option<u64> {
        match self.bound(e)? {
            Bound::FromStart(len) if len > 0 => Some(len),
            Bound::FromStart(_) | Bound::FromEnd(_) | Bound::At(_) => {
                let help = "write a number above zero, or a `for` loop that reads `x.slice(s![i..i + n])`";
                self.error(e, messages::EXPECTED_KIND, &["a length that is known when the program is compiled", &text(e), help]);
                None
            }
        }
    }
}
