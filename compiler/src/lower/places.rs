//! Parts of arrays that can be assigned to.
//!
//! A [`Place`] is a window on the array that a `let mut` variable stands for. Assigning to it makes a new array with the part replaced, for which the variable
//! then stands; in generated code that happens where the array stands. A view that is bound to a name (`let mut row = y.row_mut(i);`, `for v in y.iter_mut()`)
//! is another way to write its place: reading it reads the array, and positions in it are positions in the array.

use syn::ext::IdentExt;

use super::expr::is_unit;
use super::places_table::VIEWS;
use super::slices::{SlicePart, indexed};
use super::structs::FieldPlace;
use super::value::{Number, Value, describe_rank};
use super::{Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Index, Pick, Shape, Type, ValueId, Window};

/// A part of the array that a variable stands for.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The variable's position in the scope.
    pub(super) root: usize,
    /// Which part of a tuple or struct the array is.
    path: Vec<syn::Member>,
    /// The indexed axes of the array, ascending, and where each begins.
    axes: Vec<(usize, Pick, ValueId)>,
    /// Whether it is the diagonal of the matrix that the axes give.
    diagonal: bool,
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
                Some(self.view_at(root).unwrap_or(Place { root, path: Vec::new(), axes: Vec::new(), diagonal: false }))
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
            "view_mut" | "row_mut" | "column_mut" | "index_axis_mut" | "slice_mut" | "diag_mut" => self.assignable(&call.receiver)?,
            _ => return self.no_place(e),
        };
        let rank = self.type_of(&place, e)?.rank();
        match (name.as_str(), &args[..]) {
            ("view_mut", []) => Some(place),
            ("diag_mut", []) if rank == 2 => {
                let dims = self.type_of(&place, e)?.dims;
                let square = self.unify(dims[0], dims[1], e, &call.receiver, &call.receiver);
                square.then_some(Place { diagonal: true, ..place })
            }
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
            ("slice_mut", [slice]) => {
                let ty = self.type_of(&place, e)?;
                let parts = self.slice_parts(slice, &ty.dims, &call.receiver)?;
                if parts.contains(&SlicePart::New) {
                    let help = "leave `NewAxis` out here, and give what is assigned the axes of the part";
                    self.error(slice, messages::EXPECTED_KIND, &["a part of the array", &text(slice), help]);
                    return None;
                }
                let (window, starts) = indexed(&parts);
                let picks: Vec<(usize, Pick, ValueId)> =
                    window.axes.iter().zip(starts).map(|(&(axis, pick), start)| (axis, pick, start)).collect();
                self.narrowed(place, &picks, e)
            }
            _ => self.no_place(e),
        }
    }

    /// The type of what stands at a place.
    pub(super) fn type_of(&mut self, place: &Place, at: &syn::Expr) -> Option<Type> {
        let whole = self.whole(place, at)?;
        let ty = self.b.ty(whole).clone();
        let mut dims = self.window_of(place).dims(&ty.dims);
        if place.diagonal {
            dims.truncate(1);
        }
        Some(ty.with_dims(dims))
    }

    /// The window of a place on its array. Its lengths may have turned out to be those of others since it was made.
    fn window_of(&self, place: &Place) -> Window {
        let window = Window { axes: place.axes.iter().map(|&(axis, pick, _)| (axis, pick)).collect() };
        window.with_dims(|d| self.b.current_dim(d))
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
        let kept = self.window_of(&place).kept(rank);
        let picks = match (place.diagonal, picks) {
            (true, &[(0, Pick::At, i)]) => {
                place.diagonal = false;
                &[(0, Pick::At, i), (1, Pick::At, i)][..]
            }
            (true, &[_, ..]) => return self.no_place(at),
            (true, []) | (false, _) => picks,
        };
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
        let part = match place.axes.is_empty() {
            true => whole,
            false => self.emit(at, Index::Read(self.window_of(place)), &[&[whole], &place.starts()[..]].concat())?,
        };
        if !place.diagonal {
            return Some(part);
        }
        let dim = self.b.current_dim(self.b.ty(part).dims[0]);
        let positions = self.part(at, Shape::Iota { dim }, &[])?;
        self.emit(at, Index::TakeAlong { axis: 1 }, &[part, positions])
    }

    /// Replaces what stands at a place.
    pub(super) fn write_place(&mut self, place: &Place, value: ValueId, at: &syn::Expr) -> Option<()> {
        if place.diagonal {
            let matrix = Place { diagonal: false, ..place.clone() };
            let with_value = self.with_diagonal(&matrix, value, at)?;
            return self.write_place(&matrix, with_value, at);
        }
        let whole = self.whole(place, at)?;
        let new = match place.axes.is_empty() {
            true => value,
            false => self.emit(at, Index::Write(self.window_of(place)), &[&[whole], &place.starts()[..], &[value]].concat())?,
        };
        self.set_whole(place, new);
        Some(())
    }

    /// The matrix at a place with another diagonal.
    fn with_diagonal(&mut self, matrix: &Place, value: ValueId, at: &syn::Expr) -> Option<ValueId> {
        let x = self.read_place(matrix, at)?;
        let dims: Vec<Dim> = self.b.ty(x).dims.iter().map(|&d| self.b.current_dim(d)).collect();
        let places = self.part(at, Shape::Iota { dim: dims[0] }, &[])?;
        self.b.set_default_note(part_of(at));
        let rows = self.b.broadcast(places, &[0], &dims);
        let columns = self.b.broadcast(places, &[1], &dims);
        let values = self.b.broadcast(value, &[0], &dims);
        let on_diagonal = self.part(at, Elementwise::Eq, &[rows, columns])?;
        self.emit(at, Elementwise::Select, &[on_diagonal, values, x])
    }

    /// Adds to what stands at a place.
    pub(super) fn add_to_place(&mut self, place: &Place, value: ValueId, at: &syn::Expr) -> Option<()> {
        if place.diagonal {
            let before = self.read_place(place, at)?;
            let sum = self.part(at, Elementwise::Add, &[before, value])?;
            return self.write_place(place, sum, at);
        }
        let whole = self.whole(place, at)?;
        let new = match place.axes.is_empty() {
            true => self.emit(at, Elementwise::Add, &[whole, value])?,
            false => self.emit(at, Index::Add(self.window_of(place)), &[&[whole], &place.starts()[..], &[value]].concat())?,
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
}

impl Place {
    /// Whether it is all of the array.
    pub(super) fn is_whole(&self) -> bool {
        self.axes.is_empty() && !self.diagonal
    }

    fn starts(&self) -> Vec<ValueId> {
        self.axes.iter().map(|&(.., start)| start).collect()
    }
}

/// Methods that give a view through which an array is changed.
pub(super) fn is_mutable_view(name: &syn::Ident) -> bool {
    VIEWS.iter().any(|(view, _)| name == view)
}
