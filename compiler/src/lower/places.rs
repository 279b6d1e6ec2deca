//! Parts of arrays that can be assigned to.
//!
//! A [`Place`] is a window on the array that a `let mut` variable stands for. Assigning to it makes a new array with the part replaced, for which the variable
//! then stands; in generated code that happens where the array stands. A view that is bound to a name (`let mut row = y.row_mut(i);`, `for v in y.iter_mut()`)
//! is another way to write its place: reading it reads the array, and positions in it are positions in the array.

use syn::ext::IdentExt;

use super::expr::is_unit;
use super::places_table::VIEWS;
use super::structs::FieldPlace;
use super::value::{Number, Value, describe_rank};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Index, Pick, Type, ValueId, Window};

/// A part of the array that a variable stands for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The variable's position in the scope.
    pub(super) root: usize,
    /// Which part of a tuple or struct the array is.
    path: Vec<syn::Member>,
    /// The indexed axes of the array, ascending, and where each begins.
    axes: Vec<(usize, Pick, ValueId)>,
}

/// The name of the hidden binding before a view, which holds the number of its place.
const VIEW: &str = " view";

impl Lowering<'_> {
    /// The place of the view that a name at a position of the scope stands for.
    pub(super) fn view_at(&self, position: usize) -> Option<Place> {
        let before = self.scope.at(position.checked_sub(1)?);
        match before.value {
            Value::Number(Number::Int(k)) if before.name == VIEW => self.views.get(k as usize).cloned(),
            _ => None,
        }
    }

    /// Has a name stand for a view.
    pub(super) fn bind_view(&mut self, name: &syn::Ident, place: Place) {
        self.scope.bind(VIEW, Value::Number(Number::Int(self.views.len() as i64)));
        self.scope.bind(name.unraw().to_string(), Value::Unit);
        self.views.push(place);
    }

    /// Whether an expression is a part of a variable or a view, rather than a variable.
    pub(super) fn is_part(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Paren(p) => self.is_part(&p.expr),
            syn::Expr::Group(p) => self.is_part(&p.expr),
            syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Deref(_), expr, .. }) => self.is_part(expr),
            syn::Expr::Reference(r) => self.is_part(&r.expr),
            syn::Expr::Index(_) => true,
            syn::Expr::MethodCall(call) => is_mutable_view(&call.method),
            syn::Expr::Path(path) => {
                let position = path.path.get_ident().and_then(|name| self.scope.position(&name.unraw().to_string()));
                position.is_some_and(|position| self.view_at(position).is_some())
            }
            _ => false,
        }
    }

    /// Whether an expression is a view through which an array is changed: `y.row_mut(i)`, `&mut y`.
    pub(super) fn is_view(&self, e: &syn::Expr) -> bool {
        match e {
            syn::Expr::Paren(p) => self.is_view(&p.expr),
            syn::Expr::Reference(r) => r.mutability.is_some(),
            syn::Expr::MethodCall(call) => is_mutable_view(&call.method),
            _ => false,
        }
    }

    /// The place that an expression names.
    pub(super) fn assignable(&mut self, e: &syn::Expr) -> Option<Place> {
        match e {
            syn::Expr::Paren(p) => self.assignable(&p.expr),
            syn::Expr::Group(p) => self.assignable(&p.expr),
            syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Deref(_), expr, .. }) => self.assignable(expr),
            syn::Expr::Reference(r) => self.assignable(&r.expr),
            syn::Expr::Path(_) => {
                let root = self.place(e)?;
                Some(self.view_at(root).unwrap_or(Place { root, path: Vec::new(), axes: Vec::new() }))
            }
            syn::Expr::Field(field) => {
                let mut place = self.assignable(&field.base)?;
                place.path.push(field.member.clone());
                Some(place)
            }
            syn::Expr::Index(index) => {
                let place = self.assignable(&index.expr)?;
                let positions: Vec<&syn::Expr> = match &*index.index {
                    syn::Expr::Array(array) => array.elems.iter().collect(),
                    syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
                    other => vec![other],
                };
                let rank = self.type_of(&place, e)?.rank();
                if rank == 0 && is_unit(&index.index) {
                    return Some(place);
                }
                if self.is_fixed(&place) {
                    // One position gives a row of a fixed array of fixed arrays.
                    let at = self.position(&index.index)?;
                    return if rank == 0 { self.no_place(e) } else { self.narrowed(place, &[(0, Pick::At, at)], e) };
                }
                if positions.len() != rank || rank == 0 {
                    let (have, need) = (positions.len().to_string(), describe_rank(rank));
                    let shown = format!("a position for `{}` with {need}", text(&index.expr));
                    let help = "give one position per axis, as in `x[i]` or `x[[i, j]]`; for whole rows write `x.row_mut(i)`";
                    self.error(&index.index, messages::EXPECTED_KIND, &[&shown, &have, help]);
                    return None;
                }
                let mut picks = Vec::new();
                for (axis, position) in positions.into_iter().enumerate() {
                    picks.push((axis, Pick::At, self.position(position)?));
                }
                self.narrowed(place, &picks, e)
            }
            syn::Expr::MethodCall(call) => self.view_call(call, e),
            _ => self.no_place(e),
        }
    }

    fn no_place(&mut self, e: &syn::Expr) -> Option<Place> {
        self.error(e, messages::ASSIGN_TO_PLACE, &[&text(e)]);
        None
    }

    /// `y.row_mut(i)` and its peers.
    fn view_call(&mut self, call: &syn::ExprMethodCall, e: &syn::Expr) -> Option<Place> {
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        let name = call.method.to_string();
        let place = match name.as_str() {
            "view_mut" | "row_mut" | "column_mut" | "index_axis_mut" | "slice_mut" => self.assignable(&call.receiver)?,
            _ => return self.no_place(e),
        };
        let rank = self.type_of(&place, e)?.rank();
        match (name.as_str(), &args[..]) {
            ("view_mut", []) => Some(place),
            ("row_mut" | "column_mut", [position]) if rank == 2 => {
                let axis = usize::from(name == "column_mut");
                let i = self.position(position)?;
                self.narrowed(place, &[(axis, Pick::At, i)], e)
            }
            ("index_axis_mut", [axis, position]) => {
                let axis_number = self.axis(axis)?;
                if axis_number >= rank {
                    let found = describe_rank(rank);
                    self.error(axis, messages::AXIS_OUT_OF_RANGE, &[&text(&call.receiver), &found, &axis_number.to_string()]);
                    return None;
                }
                let i = self.position(position)?;
                self.narrowed(place, &[(axis_number, Pick::At, i)], e)
            }
            ("slice_mut", [syn::Expr::Macro(slice)]) if slice.mac.path.is_ident("s") => {
                let ty = self.type_of(&place, e)?;
                let picks = self.slice_picks(&slice.mac, &ty, &call.receiver)?;
                self.narrowed(place, &picks, e)
            }
            _ => self.no_place(e),
        }
    }

    /// The type of what stands at a place.
    pub(super) fn type_of(&mut self, place: &Place, at: &syn::Expr) -> Option<Type> {
        let whole = self.whole(place, at)?;
        let ty = self.b.ty(whole).clone();
        Some(ty.with_dims(place.window().dims(&ty.dims)))
    }

    /// Whether the place is a fixed array, or a part of one.
    pub(super) fn is_fixed(&mut self, place: &Place) -> bool {
        matches!(self.value_at(&FieldPlace { position: place.root, path: place.path.clone() }), Value::Fixed(_))
    }

    /// The array of which a place is a part.
    fn whole(&mut self, place: &Place, at: &syn::Expr) -> Option<ValueId> {
        match self.value_at(&FieldPlace { position: place.root, path: place.path.clone() }) {
            Value::Tensor(v) | Value::Fixed(v) => Some(v),
            Value::Number(n @ Number::Float(..)) => self.constant(n, self.default_float, at),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(at, messages::EXPECTED_KIND, &["an array of which to change a part", &found, "declare it with `let mut y = …`"]);
                None
            }
        }
    }

    /// A part of a part. The axes are those of the part, each named once.
    pub(super) fn narrowed(&mut self, mut place: Place, picks: &[(usize, Pick, ValueId)], at: &syn::Expr) -> Option<Place> {
        let rank = {
            let whole = self.whole(&place, at)?;
            self.b.ty(whole).rank()
        };
        let kept = place.window().kept(rank);
        for &(axis, pick, start) in picks {
            let whole_axis = kept[axis];
            match place.axes.iter().position(|&(a, ..)| a == whole_axis) {
                None => place.axes.push((whole_axis, pick, start)),
                Some(k) => {
                    let (_, outer, first) = place.axes[k];
                    let Pick::Slice { step, .. } = outer else { return self.no_place(at) };
                    let distance = self.constant(Number::Int(step.abs()), Elem::Usize, at)?;
                    let distance = self.part(at, Elementwise::Mul, &[start, distance])?;
                    let op = if step > 0 { Elementwise::Add } else { Elementwise::Sub };
                    let start = self.part(at, op, &[first, distance])?;
                    let pick = match pick {
                        Pick::At => Pick::At,
                        Pick::Slice { step: inner, len } => Pick::Slice { step: step * inner, len },
                    };
                    place.axes[k] = (whole_axis, pick, start);
                }
            }
        }
        place.axes.sort_unstable_by_key(|&(axis, ..)| axis);
        Some(place)
    }

    /// What stands at a place.
    pub(super) fn read_place(&mut self, place: &Place, at: &syn::Expr) -> Option<ValueId> {
        let whole = self.whole(place, at)?;
        if place.axes.is_empty() {
            return Some(whole);
        }
        self.emit(at, Index::Read(place.window()), &[&[whole], &place.starts()[..]].concat())
    }

    /// Replaces what stands at a place.
    pub(super) fn write_place(&mut self, place: &Place, value: ValueId, at: &syn::Expr) -> Option<()> {
        let whole = self.whole(place, at)?;
        let new = match place.axes.is_empty() {
            true => value,
            false => self.emit(at, Index::Write(place.window()), &[&[whole], &place.starts()[..], &[value]].concat())?,
        };
        self.set_whole(place, new);
        Some(())
    }

    /// Adds to what stands at a place.
    pub(super) fn add_to_place(&mut self, place: &Place, value: ValueId, at: &syn::Expr) -> Option<()> {
        let whole = self.whole(place, at)?;
        let new = match place.axes.is_empty() {
            true => self.emit(at, Elementwise::Add, &[whole, value])?,
            false => self.emit(at, Index::Add(place.window()), &[&[whole], &place.starts()[..], &[value]].concat())?,
        };
        self.set_whole(place, new);
        Some(())
    }

    fn set_whole(&mut self, place: &Place, new: ValueId) {
        let new = if self.is_fixed(place) { Value::Fixed(new) } else { Value::Tensor(new) };
        match place.path.is_empty() {
            true => self.assign_to(place.root, new),
            false => self.assign_field(&FieldPlace { position: place.root, path: place.path.clone() }, new),
        }
    }

    /// The axes that `s![..]` indexes. Whole axes have no entry.
    pub(super) fn slice_picks(&mut self, mac: &syn::Macro, ty: &Type, array: &syn::Expr) -> Option<Vec<(usize, Pick, ValueId)>> {
        let parser = syn::punctuated::Punctuated::<SliceAxis, syn::Token![,]>::parse_terminated;
        let Ok(entries) = mac.parse_body_with(parser) else {
            self.error(mac, messages::UNSUPPORTED_MACRO, &["s", "give one position or range for each axis, as in `s![1.., i]`"]);
            return None;
        };
        if entries.len() != ty.rank() {
            let (have, need) = (entries.len().to_string(), describe_rank(ty.rank()));
            let shown = format!("an index for `{}` with {need}", text(array));
            self.error(mac, messages::EXPECTED_KIND, &[&shown, &have, "give one position or range for each axis; `..` is all of it"]);
            return None;
        }
        let mut picks = Vec::new();
        for (axis, entry) in entries.iter().enumerate() {
            if let Some((pick, start)) = self.slice_axis(entry, ty.dims[axis])? {
                picks.push((axis, pick, start));
            }
        }
        Some(picks)
    }

    /// One axis of a slice; `None` inside if it is the whole axis.
    fn slice_axis(&mut self, entry: &SliceAxis, dim: Dim) -> Option<Option<(Pick, ValueId)>> {
        let at = &entry.index;
        let step = match &entry.step {
            None => 1,
            Some(step) => match self.literal_int(step)? {
                Ok(step) if step != 0 => step,
                _ => {
                    self.error(
                        step,
                        messages::EXPECTED_KIND,
                        &["a step that is known when the program is compiled", &text(step), "write the number"],
                    );
                    return None;
                }
            },
        };
        let syn::Expr::Range(range) = at else {
            let i = self.bound_of_slice(at, dim)?;
            return Some(Some((Pick::At, i)));
        };
        if range.start.is_none() && range.end.is_none() && step == 1 {
            return Some(None);
        }
        let first = match &range.start {
            Some(start) => self.bound_of_slice(start, dim)?,
            None => self.constant(Number::Int(0), Elem::Usize, at)?,
        };
        let mut end = match &range.end {
            Some(end) => self.bound_of_slice(end, dim)?,
            None => self.length(dim, at)?,
        };
        if matches!(range.limits, syn::RangeLimits::Closed(_)) {
            let one = self.constant(Number::Int(1), Elem::Usize, at)?;
            end = self.part(at, Elementwise::Add, &[end, one])?;
        }
        let known = (self.known.get(&first).copied(), self.known.get(&end).copied());
        let stride = step.abs();
        let len = match known {
            (Some(a), Some(b)) => Dim::Const(((b - a).max(0) as u64).div_ceil(stride as u64)),
            _ => {
                let last = self.part(at, Elementwise::Max, &[first, end])?;
                let mut n = self.part(at, Elementwise::Sub, &[last, first])?;
                if stride > 1 {
                    let rest = self.constant(Number::Int(stride - 1), Elem::Usize, at)?;
                    let stride = self.constant(Number::Int(stride), Elem::Usize, at)?;
                    let more = self.part(at, Elementwise::Add, &[n, rest])?;
                    n = self.part(at, Elementwise::Div, &[more, stride])?;
                }
                self.dim_of_length(&Value::Tensor(n), "slice_len", at)?
            }
        };
        // Downwards, the range is taken from its end.
        let start = if step > 0 {
            first
        } else {
            let one = self.constant(Number::Int(1), Elem::Usize, at)?;
            let end = self.part(at, Elementwise::Max, &[end, one])?;
            self.part(at, Elementwise::Sub, &[end, one])?
        };
        Some(Some((Pick::Slice { step, len }, start)))
    }

    /// A position in a slice; negative ones count from the end of the axis.
    fn bound_of_slice(&mut self, e: &syn::Expr, dim: Dim) -> Option<ValueId> {
        if let syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) = e {
            let from_end = self.position(expr)?;
            let len = match self.b.current_dim(dim) {
                Dim::Const(n) => self.constant(Number::Int(n as i64), Elem::Usize, e)?,
                dim => self.length(dim, e)?,
            };
            if let (Some(&n), Some(&k)) = (self.known.get(&len), self.known.get(&from_end)) {
                return self.constant(Number::Int(n - k), Elem::Usize, e);
            }
            return self.part(e, Elementwise::Sub, &[len, from_end]);
        }
        self.position(e)
    }
}

impl Place {
    fn window(&self) -> Window {
        Window { axes: self.axes.iter().map(|&(axis, pick, _)| (axis, pick)).collect() }
    }

    fn starts(&self) -> Vec<ValueId> {
        self.axes.iter().map(|&(.., start)| start).collect()
    }
}

/// Methods that give a view through which an array is changed.
pub(super) fn is_mutable_view(name: &syn::Ident) -> bool {
    VIEWS.iter().any(|(view, _)| name == view)
}

/// One entry of `s![..]`: a position, or a range with a step after a semicolon.
struct SliceAxis {
    index: syn::Expr,
    step: Option<syn::Expr>,
}

impl syn::parse::Parse for SliceAxis {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let index = input.parse()?;
        let step = if input.parse::<Option<syn::Token![;]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(SliceAxis { index, step })
    }
}
