//! Parts of arrays by slices and positions, arrays put together, and the same elements in another shape.

use std::rc::Rc;

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;

use super::methods::Call;
use super::operators::Operand;
use super::value::{Number, Value, describe_rank};
use super::{Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Index, Literal, Op, Pick, Shape, Type, ValueId, Window};

/// One argument of `s![..]`: an expression, and a step after a semicolon.
struct SliceArg {
    of: syn::Expr,
    step: Option<syn::Expr>,
}

impl Parse for SliceArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let of = input.parse()?;
        let step = if input.peek(syn::Token![;]) {
            input.parse::<syn::Token![;]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(SliceArg { of, step })
    }
}

/// A bound of a slice: so far from the start of the axis, or from its end.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    FromStart(u64),
    FromEnd(u64),
    At(ValueId),
}

/// What an entry of `s![..]` makes of its axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SlicePart {
    /// There is none: a new axis of length one.
    New,
    /// It stays as it is.
    Whole,
    /// A position or some of them, of which the first is given.
    Picked(Pick, ValueId),
}

/// The window that entries of `s![..]` stand for, and where it starts on its axes.
pub(super) fn indexed(parts: &[SlicePart]) -> (Window, Vec<ValueId>) {
    let (mut window, mut starts) = (Window { axes: Vec::new() }, Vec::new());
    for (axis, part) in parts.iter().filter(|&&part| part != SlicePart::New).enumerate() {
        if let SlicePart::Picked(pick, start) = *part {
            window.axes.push((axis, pick));
            starts.push(start);
        }
    }
    (window, starts)
}

impl Lowering<'_> {
    /// `x.slice(s![a..b;step, i, NewAxis])`
    pub(super) fn slice(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let dims = self.b.ty(x).dims.clone();
        let Some(parts) = self.slice_parts(call.args[0], &dims, call.receiver) else { return Value::Poison };
        let (window, starts) = indexed(&parts);
        let value = match window.axes.is_empty() {
            true => Some(x),
            false => self.emit(call.whole, Index::Read(window), &[&[x], &starts[..]].concat()),
        };
        let Some(value) = value else { return Value::Poison };
        if !parts.contains(&SlicePart::New) {
            return Value::Tensor(value);
        }
        let mut own = self.b.ty(value).dims.clone().into_iter();
        let mut dims = Vec::new();
        for part in &parts {
            match part {
                SlicePart::New => dims.push(Dim::Const(1)),
                SlicePart::Picked(Pick::At, _) => {}
                SlicePart::Whole | SlicePart::Picked(Pick::Slice { .. }, _) => dims.extend(own.next()),
            }
        }
        Operand::wrap(self.emit(call.whole, Shape::Reshape { dims }, &[value]), false)
    }

    /// `x.split_at(Axis(k), i)`
    pub(super) fn split_at(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axis = self.axis_of(call, self.b.ty(x).rank());
        let (Some(axis), Some(middle)) = (axis, self.bound(call.args[1])) else { return Value::Poison };
        let (dim, at) = (self.b.ty(x).dims[axis], call.whole);
        let mut part = |start: Bound, end: Bound| {
            let len = self.width(start, end, dim, at)?;
            let first = self.place_of(start, dim, at)?;
            let window = Window { axes: vec![(axis, Pick::Slice { step: 1, len })] };
            self.emit(at, Index::Read(window), &[x, first]).map(Value::Tensor)
        };
        match (part(Bound::FromStart(0), middle), part(middle, Bound::FromEnd(0))) {
            (Some(first), Some(second)) => Value::Tuple(vec![first, second]),
            _ => Value::Poison,
        }
    }

    /// The entries of `s![..]` for an array with these axes.
    pub(super) fn slice_parts(&mut self, arg: &syn::Expr, dims: &[Dim], array: &syn::Expr) -> Option<Vec<SlicePart>> {
        let mut e = arg;
        while let syn::Expr::Reference(r) = e {
            e = &r.expr;
        }
        let parsed = match e {
            syn::Expr::Macro(m) if m.mac.path.segments.last().is_some_and(|s| s.ident == "s") => {
                m.mac.parse_body_with(Punctuated::<SliceArg, syn::Token![,]>::parse_terminated).ok()
            }
            _ => None,
        };
        let Some(parsed) = parsed else {
            let help = "write the slice where it is used: `x.slice(s![1.., ..])`";
            self.error(arg, messages::EXPECTED_KIND, &["`s![..]`", &text(arg), help]);
            return None;
        };
        let is_new = |arg: &SliceArg| matches!(&arg.of, syn::Expr::Path(p) if p.path.segments.last().is_some_and(|s| s.ident == "NewAxis"));
        let n_axes = parsed.iter().filter(|arg| !is_new(arg)).count();
        if n_axes != dims.len() {
            let (x, have, given) = (text(array), describe_rank(dims.len()), n_axes.to_string());
            let expected = format!("one slice or position for each axis of `{x}`, which has {have}");
            self.error(arg, messages::EXPECTED_KIND, &[&expected, &given, "write `..` for an axis that is taken whole"]);
            return None;
        }
        let mut axes = dims.iter();
        let mut parts = Vec::new();
        for part in &parsed {
            if is_new(part) {
                parts.push(SlicePart::New);
                continue;
            }
            let &dim = axes.next()?;
            parts.push(match &part.of {
                syn::Expr::Range(range) => match self.slice_of_axis(range, part.step.as_ref(), dim)? {
                    (Some(start), Some(pick)) => SlicePart::Picked(pick, start),
                    (Some(_), None) | (None, Some(_)) | (None, None) => SlicePart::Whole,
                },
                position => {
                    let bound = self.bound(position)?;
                    SlicePart::Picked(Pick::At, self.place_of(bound, dim, position)?)
                }
            });
        }
        Some(parts)
    }

    /// A bound or position: a literal, which may count from the end, or a `usize`.
    pub(super) fn bound(&mut self, e: &syn::Expr) -> Option<Bound> {
        match self.expr(e) {
            Value::Number(Number::Int(i)) if i < 0 => Some(Bound::FromEnd(i.unsigned_abs())),
            Value::Number(Number::Int(i)) => Some(Bound::FromStart(i as u64)),
            Value::Tensor(v) if *self.b.ty(v) == Type::scalar(Elem::Usize) => {
                self.counters.is_usize(v);
                match self.known.get(&v) {
                    Some(&i) => Some(Bound::FromStart(i as u64)),
                    None => Some(Bound::At(v)),
                }
            }
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                let help = "write a literal, which may count from the end, or a `usize`";
                self.error(e, messages::EXPECTED_KIND, &["a position", &found, help]);
                None
            }
        }
    }

    /// The position that a bound stands for.
    pub(super) fn place_of(&mut self, bound: Bound, dim: Dim, at: &syn::Expr) -> Option<ValueId> {
        match bound {
            Bound::At(v) => Some(v),
            Bound::FromStart(i) => self.usize_constant(i, at),
            Bound::FromEnd(k) => {
                let (n, k) = (self.length(dim, at)?, self.usize_constant(k, at)?);
                self.part(at, Elementwise::Sub, &[n, k])
            }
        }
    }

    pub(super) fn usize_constant(&mut self, i: u64, at: &syn::Expr) -> Option<ValueId> {
        let i = i64::try_from(i).ok()?;
        let value = self.part(at, Op::Const(Elem::Usize, Literal::Int(i)), &[])?;
        self.known.insert(value, i);
        Some(value)
    }

    /// Where the slice of an axis starts and what it picks; nothing if it is the whole axis.
    fn slice_of_axis(&mut self, range: &syn::ExprRange, step: Option<&syn::Expr>, dim: Dim) -> Option<(Option<ValueId>, Option<Pick>)> {
        let whole = syn::Expr::Range(range.clone());
        let step = match step {
            None => 1,
            Some(step) => match self.literal_int(step)? {
                Ok(step) if step != 0 => step,
                Ok(_) | Err(()) => {
                    let help = "write a number that is not zero; a negative one runs from the end";
                    self.error(step, messages::EXPECTED_KIND, &["a step that is known when the program is compiled", &text(step), help]);
                    return None;
                }
            },
        };
        let start = match &range.start {
            Some(start) => self.bound(start)?,
            None => Bound::FromStart(0),
        };
        let mut end = match &range.end {
            Some(end) => self.bound(end)?,
            None => Bound::FromEnd(0),
        };
        if matches!(range.limits, syn::RangeLimits::Closed(_)) {
            end = match end {
                Bound::FromStart(i) => Bound::FromStart(i + 1),
                Bound::FromEnd(k) => Bound::FromEnd(k.saturating_sub(1)),
                Bound::At(v) => {
                    let one = self.usize_constant(1, &whole)?;
                    Bound::At(self.part(&whole, Elementwise::Add, &[v, one])?)
                }
            };
        }
        if let (Bound::FromStart(0), Bound::FromEnd(0), 1) = (start, end, step) {
            return Some((None, None));
        }
        let width = self.width(start, end, dim, &whole)?;
        let len = self.n_steps(width, step.unsigned_abs(), &whole)?;
        let mut first = self.place_of(start, dim, &whole)?;
        if step < 0 {
            // From the last position of the range; of an empty one, from its start.
            let one = self.usize_constant(1, &whole)?;
            let width = self.length(width, &whole)?;
            let some = self.part(&whole, Elementwise::Max, &[width, one])?;
            let last = self.part(&whole, Elementwise::Sub, &[some, one])?;
            first = self.part(&whole, Elementwise::Add, &[first, last])?;
        }
        Some((Some(first), Some(Pick::Slice { step, len })))
    }

    /// The number of positions between two bounds of an axis. Equal numbers that are computed in the same way are one dimension, so that
    /// `x.slice(s![1..])` and `x.slice(s![..-1])` have one length.
    pub(super) fn width(&mut self, start: Bound, end: Bound, dim: Dim, at: &syn::Expr) -> Option<Dim> {
        let dim = self.b.current_dim(dim);
        match (start, end, dim) {
            (Bound::FromStart(a), Bound::FromStart(b), _) => Some(Dim::Const(b.saturating_sub(a))),
            (Bound::FromEnd(a), Bound::FromEnd(b), _) => Some(Dim::Const(a.saturating_sub(b))),
            (Bound::FromStart(a), Bound::FromEnd(b), Dim::Const(n)) => Some(Dim::Const(n.saturating_sub(a + b))),
            (Bound::FromStart(0), Bound::FromEnd(0), dim) => Some(dim),
            (Bound::FromStart(a), Bound::FromEnd(b), dim) => self.shorter(dim, a + b, at),
            (Bound::At(a), Bound::At(b), _) if let Some(n) = self.distance(a, b) => self.dim_of_length(&Value::Tensor(n), "len", at),
            (Bound::FromStart(0), Bound::At(b), _) => self.dim_of_length(&Value::Tensor(b), "len", at),
            (start, end, dim) => {
                let (a, b) = (self.place_of(start, dim, at)?, self.place_of(end, dim, at)?);
                let b = self.part(at, Elementwise::Max, &[a, b])?;
                let n = self.part(at, Elementwise::Sub, &[b, a])?;
                self.dim_of_length(&Value::Tensor(n), "len", at)
            }
        }
    }

    /// `n`, if `b` is computed as `a + n`.
    fn distance(&self, a: ValueId, b: ValueId) -> Option<ValueId> {
        let stmt = self.b.definition(b).filter(|stmt| stmt.op == Op::Elementwise(Elementwise::Add))?;
        match stmt.args[..] {
            [p, n] if p == a => Some(n),
            [n, p] if p == a => Some(n),
            _ => None,
        }
    }

    /// The dimension that is so much shorter than another; zero if that is not so long.
    fn shorter(&mut self, dim: Dim, by: u64, at: &syn::Expr) -> Option<Dim> {
        let same = |this: &Self, &(d, k, v): &(Dim, u64, ValueId)| this.b.current_dim(d) == dim && k == by && this.b.depth_of(v).is_some();
        let known = self.shortened.iter().find(|entry| same(self, entry)).map(|entry| entry.2);
        let length = match known {
            Some(length) => length,
            None => {
                let (n, k) = (self.length(dim, at)?, self.usize_constant(by, at)?);
                let larger = self.part(at, Elementwise::Max, &[n, k])?;
                let length = self.part(at, Elementwise::Sub, &[larger, k])?;
                self.shortened.push((dim, by, length));
                length
            }
        };
        self.dim_of_length(&Value::Tensor(length), "len", at)
    }

    /// How many steps of a size fit: the length divided by it, rounded up.
    pub(super) fn n_steps(&mut self, width: Dim, step: u64, at: &syn::Expr) -> Option<Dim> {
        match width {
            width if step == 1 => Some(width),
            Dim::Const(n) => Some(Dim::Const(n.div_ceil(step))),
            width => {
                let (n, more, step) = (self.length(width, at)?, self.usize_constant(step - 1, at)?, self.usize_constant(step, at)?);
                let sum = self.part(at, Elementwise::Add, &[n, more])?;
                let n = self.part(at, Elementwise::Div, &[sum, step])?;
                self.dim_of_length(&Value::Tensor(n), "len", at)
            }
        }
    }

    /// `x.select(Axis(k), &positions)`
    pub(super) fn select_positions(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axis = self.axis_of(call, self.b.ty(x).rank());
        let (Some(axis), Some(positions)) = (axis, self.positions_argument(call.args[1])) else { return Value::Poison };
        Operand::wrap(self.emit(call.whole, Index::Gather { axis }, &[x, positions]), false)
    }

    /// An array of positions; a slice of it is the same.
    fn positions_argument(&mut self, e: &syn::Expr) -> Option<ValueId> {
        let mut list = e;
        while let syn::Expr::Reference(syn::ExprReference { expr, .. }) | syn::Expr::Paren(syn::ExprParen { expr, .. }) = list {
            list = expr;
        }
        if let syn::Expr::Array(array) = list {
            let places: Vec<Option<ValueId>> = array.elems.iter().map(|place| self.position(place)).collect();
            let places = places.into_iter().collect::<Option<Vec<_>>>()?;
            let mut rows = Vec::new();
            for place in places {
                rows.push(self.part(e, Shape::Reshape { dims: vec![Dim::Const(1)] }, &[place])?);
            }
            return self.concatenated(e, 0, &rows);
        }
        match self.expr(e) {
            Value::Tensor(v) if self.b.ty(v).rank() > 0 && self.b.ty(v).elem == Elem::Usize => Some(v),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(e, messages::EXPECTED_KIND, &["an array of `usize` positions", &found, "pass positions as `&Array1<usize>`"]);
                None
            }
        }
    }

    /// `gather(&x, Axis(k), &positions)`
    pub(super) fn gather(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let ((x, axis), positions) = (self.array_and_axis(&args[..2])?, self.positions_argument(args[2])?);
        self.emit(whole, Index::Gather { axis }, &[x, positions])
    }

    /// `scatter_add(&x, Axis(k), &positions, &v)`
    pub(super) fn scatter_add(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (x, axis) = self.array_and_axis(&args[..2])?;
        let (positions, v) = (self.positions_argument(args[2]), self.array_argument(args[3]));
        let (positions, v) = (positions?, v?);
        let (x_ty, v_ty) = (self.b.ty(x).clone(), self.b.ty(v).clone());
        let mut dims = x_ty.dims.clone();
        dims.splice(axis..=axis, self.b.ty(positions).dims.clone());
        if dims.len() != v_ty.rank() {
            let (m, n) = (describe_rank(dims.len()), describe_rank(v_ty.rank()));
            let help = "the array that is added has the axes of the positions in place of the axis";
            self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(args[3]), &n, &text(whole), help]);
            return None;
        }
        for (&own, &other) in dims.iter().zip(&v_ty.dims) {
            if !self.unify(own, other, whole, args[0], args[3]) {
                return None;
            }
        }
        self.emit(whole, Index::ScatterAdd { axis }, &[x, positions, v])
    }

    /// `x.to_shape(shape)`, `x.into_shape_with_order(shape)`, a `Result`.
    pub(super) fn reshaped(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(dims) = self.lengths(call.args[0]) else { return Value::Poison };
        let own = self.b.ty(x).dims.clone();
        if Shape::same_elements(&own, &dims) == Some(false) {
            let found = format!("{} lengths that make another number", dims.len());
            let expected = format!("lengths that make as many elements as `{}` has", text(call.receiver));
            return self.fail(call.args[0], messages::EXPECTED_KIND, &[&expected, &found, "a reshaped array keeps its elements"]);
        }
        match self.emit(call.whole, Shape::Reshape { dims }, &[x]) {
            Some(y) => Value::Option(Rc::new(Value::Tensor(y)), "into_shape_with_order(..)"),
            None => Value::Poison,
        }
    }

    /// `x.flatten()`, `x.into_flat()`
    pub(super) fn flattened(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let dims = self.b.ty(x).dims.clone();
        match self.flat_dim(&dims, call.whole) {
            Some(dim) => Operand::wrap(self.emit(call.whole, Shape::Reshape { dims: vec![dim] }, &[x]), false),
            None => Value::Poison,
        }
    }

    /// The length of the elements of some axes one after the other.
    pub(super) fn flat_dim(&mut self, dims: &[Dim], at: &syn::Expr) -> Option<Dim> {
        let longer: Vec<Dim> = dims.iter().copied().filter(|&d| d != Dim::Const(1)).collect();
        let all_known = dims.iter().try_fold(1_u64, |n, d| if let Dim::Const(m) = d { n.checked_mul(*m) } else { None });
        match (all_known, &longer[..]) {
            (Some(n), _) => Some(Dim::Const(n)),
            (None, [only]) => Some(*only),
            (None, _) => self.count_of(at, dims).and_then(|n| self.dim_of_length(&Value::Tensor(n), "len", at)),
        }
    }

    /// `concatenate(Axis(k), &[a.view(), b.view()])` and `stack(..)`, each a `Result`.
    pub(super) fn joined_function(&mut self, whole: &syn::Expr, args: &[&syn::Expr], new_axis: bool) -> Value {
        let mut list = args[1];
        while let syn::Expr::Reference(syn::ExprReference { expr, .. }) | syn::Expr::Paren(syn::ExprParen { expr, .. }) = list {
            list = expr;
        }
        let syn::Expr::Array(array) = list else {
            let help = "write the arrays where they are put together: `&[a.view(), b.view()]`";
            return self.fail(args[1], messages::EXPECTED_KIND, &["a list of views", &text(args[1]), help]);
        };
        let parts: Vec<&syn::Expr> = array.elems.iter().collect();
        match self.joined(whole, args[0], &parts, new_axis) {
            Value::Poison => Value::Poison,
            joined => Value::Option(Rc::new(joined), "concatenate(..)"),
        }
    }

    /// Arrays one after the other along an axis, or along a new one.
    pub(super) fn joined(&mut self, whole: &syn::Expr, axis: &syn::Expr, parts: &[&syn::Expr], new_axis: bool) -> Value {
        let axis_value = self.axis(axis);
        let arrays: Vec<Option<ValueId>> = parts.iter().map(|part| self.array_argument(part)).collect();
        let (Some(axis_value), Some(mut arrays)) = (axis_value, arrays.into_iter().collect::<Option<Vec<_>>>()) else {
            return Value::Poison;
        };
        let Some(&first) = arrays.first() else {
            return self.fail(whole, messages::EXPECTED_KIND, &["at least one array", "none", "give the arrays to put together"]);
        };
        let rank = self.b.ty(first).rank();
        if axis_value >= rank + usize::from(new_axis) {
            return self.fail(axis, messages::AXIS_OUT_OF_RANGE, &[&text(parts[0]), &describe_rank(rank), &axis_value.to_string()]);
        }
        for (&array, part) in arrays.iter().zip(parts) {
            let (a, b) = (self.b.ty(first).clone(), self.b.ty(array).clone());
            if a.rank() != b.rank() {
                let (m, n) = (describe_rank(a.rank()), describe_rank(b.rank()));
                let help = "arrays that are put together have as many axes";
                let (x, y, whole_text) = (text(parts[0]), text(part), text(whole));
                return self.fail(part, messages::RANK_MISMATCH, &[&x, &m, &y, &n, &whole_text, help]);
            }
            if a.elem != b.elem {
                return self.fail(part, messages::ELEMENT_MISMATCH, &[&text(parts[0]), a.elem.name(), &text(part), b.elem.name()]);
            }
            for k in (0..rank).filter(|&k| new_axis || k != axis_value) {
                if !self.unify(self.b.ty(first).dims[k], self.b.ty(array).dims[k], whole, parts[0], part) {
                    return Value::Poison;
                }
            }
        }
        if new_axis {
            for array in &mut arrays {
                let mut dims = self.b.ty(*array).dims.clone();
                dims.insert(axis_value, Dim::Const(1));
                let Some(wide) = self.part(whole, Shape::Reshape { dims }, &[*array]) else { return Value::Poison };
                *array = wide;
            }
        }
        Operand::wrap(self.concatenated(whole, axis_value, &arrays), false)
    }

    /// Arrays of shapes that fit, one after the other along an axis.
    fn concatenated(&mut self, whole: &syn::Expr, axis: usize, arrays: &[ValueId]) -> Option<ValueId> {
        let lengths: Vec<Dim> = arrays.iter().map(|&a| self.b.ty(a).dims[axis]).collect();
        let known = lengths.iter().try_fold(0_u64, |sum, d| if let Dim::Const(n) = d { sum.checked_add(*n) } else { None });
        let dim = match known {
            Some(n) => Dim::Const(n),
            None if lengths.len() == 1 => lengths[0],
            None => {
                let mut sum = self.length(lengths[0], whole)?;
                for &dim in &lengths[1..] {
                    let n = self.length(dim, whole)?;
                    sum = self.part(whole, Elementwise::Add, &[sum, n])?;
                }
                self.dim_of_length(&Value::Tensor(sum), "len", whole)?
            }
        };
        self.emit(whole, Shape::Concat { axis, dim }, arrays)
    }

    /// `array![a, b, c]`, `array![[a, b], [c, d]]`: an array of the values of expressions, each list one axis.
    pub(super) fn array_of(&mut self, whole: &syn::Expr, elements: &[&syn::Expr]) -> Option<ValueId> {
        let mut values = Vec::new();
        for element in elements {
            let mut inner = *element;
            while let syn::Expr::Reference(syn::ExprReference { expr, .. }) | syn::Expr::Paren(syn::ExprParen { expr, .. }) = inner {
                inner = expr;
            }
            values.push(match inner {
                syn::Expr::Array(array) => {
                    let elements: Vec<&syn::Expr> = array.elems.iter().collect();
                    self.array_of(whole, &elements).map(Value::Tensor)
                }
                e => match self.expr(e) {
                    Value::Poison => None,
                    value => Some(value),
                },
            });
        }
        let values = values.into_iter().collect::<Option<Vec<_>>>()?;
        let elem = match (values.iter().find_map(|v| self.elem_of(v)), values.first()) {
            (Some(elem), _) => elem,
            (None, Some(Value::Number(Number::Int(_)))) => {
                self.error(elements[0], messages::INTEGER_TYPE, &[&text(elements[0])]);
                return None;
            }
            (None, _) => self.default_float,
        };
        let mut rows = Vec::new();
        for (value, element) in values.into_iter().zip(elements) {
            let x = self.operand(value, elem, element)?;
            let ty = self.b.ty(x.value).clone();
            let first: Option<&ValueId> = rows.first();
            if x.lane || ty.elem != elem || first.is_some_and(|&f| self.b.ty(f).dims[1..] != ty.dims[..]) {
                let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
                self.error(
                    element,
                    messages::EXPECTED_KIND,
                    &[&format!("a number of type `{elem}`"), &found, "all elements have one type"],
                );
                return None;
            }
            let dims = [&[Dim::Const(1)], &ty.dims[..]].concat();
            self.b.set_default_note(part_of(element));
            rows.push(self.part(element, Shape::Reshape { dims }, &[x.value])?);
        }
        if rows.is_empty() {
            self.error(whole, messages::EXPECTED_KIND, &["at least one element", "none", "write `Array1::zeros(0)`"]);
            return None;
        }
        self.concatenated(whole, 0, &rows)
    }
}
