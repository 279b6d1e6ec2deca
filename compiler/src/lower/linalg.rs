//! Calls of `bilevel::linalg`: `linalg::solve(&a, &b)` and its peers.

use syn::ext::IdentExt;

use super::value::{Value, describe_rank};
use super::{Lowering, Note, part_of, text};
use crate::diagnostics::messages;
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Control, Dim, Elem, Elementwise, Index, Linalg, Op, Reduce, Shape, Triangle, Type, ValueId};
use crate::ops::linalg::identity;
use crate::syntax::{Assumed, Origin};

/// The functions, with how many arguments each takes and what it lowers to.
pub(super) const FUNCTIONS: &[(&str, usize, &str)] = &[
    ("solve", 2, "`lu` and `lu_solve`"),
    ("inverse", 1, "`lu`, and `lu_solve` of the identity"),
    ("log_det", 1, "`lu` and `log_det`: the logarithm of the absolute value of the determinant"),
    ("cholesky", 1, "`cholesky` of the symmetric part, the lower factor"),
    ("solve_triangular", 3, "`solve_triangular`"),
    ("eigh", 1, "`eigh` of the symmetric part: eigenvalues, ascending, and eigenvectors"),
];

impl Lowering<'_> {
    /// A call of a function of the module, by a path that says so: `None` for any other path.
    pub(super) fn linalg_call(&mut self, whole: &syn::Expr, path: &syn::Path, args: &[&syn::Expr]) -> Option<Value> {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (is_bare, name) = match names[..] {
            ["linalg", name] => (true, name),
            ["bilevel", "linalg", name] => (false, name),
            _ => return None,
        };
        let &(name, n_args, _) = FUNCTIONS.iter().find(|f| f.0 == name)?;
        if is_bare {
            self.assumed.push(Assumed { name: path.segments[0].ident.clone(), origin: Origin::OwnModule });
        }
        if args.len() != n_args {
            let takes = ["", "one argument", "two arguments", "three arguments"][n_args];
            return Some(self.fail(whole, messages::ARGUMENT_COUNT, &[name, takes, &args.len().to_string()]));
        }
        Some(self.linalg(whole, name, args).unwrap_or(Value::Poison))
    }

    fn linalg(&mut self, whole: &syn::Expr, name: &str, args: &[&syn::Expr]) -> Option<Value> {
        let a = self.square(whole, name, args[0]);
        let value = match name {
            "solve" => {
                let (b, is_vector) = self.right_side(whole, a?, args[0], args[1])?;
                let lu = self.regular_factors(whole, a?, args[0])?;
                self.solution(whole, Linalg::LuSolve { transposed: false }, &[a?, lu[0], lu[1], b], is_vector)?
            }
            "inverse" => {
                let lu = self.regular_factors(whole, a?, args[0])?;
                let ty = self.b.ty(a?).clone();
                self.b.set_default_note(part_of(whole));
                let eye = identity(&mut self.b, &ty);
                self.emit(whole, Linalg::LuSolve { transposed: false }, &[a?, lu[0], lu[1], eye])?
            }
            "log_det" => {
                let lu = self.factors(whole, a?)?;
                self.emit(whole, Linalg::LogDet, &[a?, lu[0], lu[1]])?
            }
            "cholesky" => {
                let l = self.emit(whole, Linalg::Cholesky, &[a?])?;
                let message =
                    format!("the symmetric part of the matrix `{}` is not positive definite, as `{}` needs it", text(args[0]), text(whole));
                self.require_diagonal(whole, l, |b, zeros, x| b.map(Elementwise::Lt, &[zeros, x]), message);
                l
            }
            "solve_triangular" => {
                let triangle = self.triangle(args[2])?;
                let (b, is_vector) = self.right_side(whole, a?, args[0], args[1])?;
                if !triangle.unit {
                    let message =
                        format!("the matrix `{}` in `{}` is singular: there is a zero on its diagonal", text(args[0]), text(whole));
                    self.require_diagonal(whole, a?, |b, zeros, x| b.map(Elementwise::Ne, &[x, zeros]), message);
                }
                self.solution(whole, Linalg::SolveTriangular(triangle), &[a?, b], is_vector)?
            }
            _ => {
                self.b.set_default_note(part_of(whole));
                let sizes = self.b.map(Elementwise::Abs, &[a?]);
                let ty = self.b.ty(sizes).clone();
                let infinite = self.b.constant(&ty, f64::INFINITY);
                let finite = self.b.map(Elementwise::Lt, &[sizes, infinite]);
                self.require_all(
                    finite,
                    format!("the matrix `{}` in `{}` has elements that are infinite or NaN", text(args[0]), text(whole)),
                );
                let outs = self.several(Note::of_source(&text(whole), super::span_of(whole)), whole, Linalg::Eigh, &[a?])?;
                return Some(Value::Tuple(outs.into_iter().map(Value::Tensor).collect()));
            }
        };
        Some(Value::Tensor(value))
    }

    /// A matrix argument with as many rows as columns.
    fn square(&mut self, whole: &syn::Expr, function: &str, e: &syn::Expr) -> Option<ValueId> {
        let a = self.array_argument(e)?;
        let ty = self.b.ty(a).clone();
        let expected = format!("a square matrix of floats as an argument of `{function}`");
        let [m, n] = ty.dims[..] else { return self.not_as_expected(e, a, &expected) };
        if !ty.elem.is_float() {
            return self.not_as_expected(e, a, &expected);
        }
        self.unify(m, n, whole, e, e).then_some(a)
    }

    fn not_as_expected(&mut self, e: &syn::Expr, found: ValueId, expected: &str) -> Option<ValueId> {
        let found = self.describe(&Value::Tensor(found));
        self.error(e, messages::EXPECTED_KIND, &[expected, &found, "pass an `Array2` of `f64` or `f32`"]);
        None
    }

    /// The right side of a system as a matrix, and whether it was a vector.
    fn right_side(&mut self, whole: &syn::Expr, a: ValueId, a_expr: &syn::Expr, e: &syn::Expr) -> Option<(ValueId, bool)> {
        let b = self.array_argument(e)?;
        let (x, y) = (self.b.ty(a).clone(), self.b.ty(b).clone());
        if y.rank() > 2 {
            let (m, n) = (describe_rank(x.rank()), describe_rank(y.rank()));
            let help = "the right side is a vector, or a matrix with one column for each system";
            self.error(whole, messages::RANK_MISMATCH, &[&text(a_expr), &m, &text(e), &n, &text(whole), help]);
            return None;
        }
        if x.elem != y.elem {
            self.error(whole, messages::ELEMENT_MISMATCH, &[&text(a_expr), x.elem.name(), &text(e), y.elem.name()]);
            return None;
        }
        if !self.unify(x.dims[0], y.dims[0], whole, a_expr, e) {
            return None;
        }
        let ty: Type = self.b.ty(b).clone();
        match ty.dims[..] {
            [n] => Some((self.part(e, Shape::Reshape { dims: vec![n, Dim::Const(1)] }, &[b])?, true)),
            _ => Some((b, false)),
        }
    }

    /// The solution, a vector if the right side was one.
    fn solution(&mut self, whole: &syn::Expr, op: Linalg, args: &[ValueId], is_vector: bool) -> Option<ValueId> {
        if !is_vector {
            return self.emit(whole, op, args);
        }
        let x = self.part(whole, op, args)?;
        let n = self.b.ty(x).dims[0];
        self.emit(whole, Shape::Reshape { dims: vec![n] }, &[x])
    }

    /// `Triangle::Lower` and its peers.
    fn triangle(&mut self, e: &syn::Expr) -> Option<Triangle> {
        let mut names = Vec::new();
        if let syn::Expr::Path(path) = e {
            names.extend(path.path.segments.iter().map(|s| s.ident.unraw().to_string()));
        }
        let (lower, unit) = match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [.., "Triangle", "Lower"] => (true, false),
            [.., "Triangle", "Upper"] => (false, false),
            [.., "Triangle", "UnitLower"] => (true, true),
            [.., "Triangle", "UnitUpper"] => (false, true),
            _ => {
                let found = format!("`{}`", text(e));
                let help = "write `linalg::Triangle::Lower`, or `Upper`, `UnitLower` or `UnitUpper`";
                self.error(e, messages::EXPECTED_KIND, &["one of the triangles by its name", &found, help]);
                return None;
            }
        };
        Some(Triangle { lower, transposed: false, unit })
    }

    /// The factors and pivots of a matrix.
    fn factors(&mut self, at: &syn::Expr, a: ValueId) -> Option<Vec<ValueId>> {
        self.several(part_of(at), at, Linalg::Lu, &[a])
    }

    /// The same, with the check that the matrix is not singular.
    fn regular_factors(&mut self, whole: &syn::Expr, a: ValueId, a_expr: &syn::Expr) -> Option<Vec<ValueId>> {
        let lu = self.factors(whole, a)?;
        let message = format!("the matrix `{}` in `{}` is singular", text(a_expr), text(whole));
        self.require_diagonal(whole, lu[0], |b, zeros, x| b.map(Elementwise::Ne, &[x, zeros]), message);
        Some(lu)
    }

    /// The check that all elements on the diagonal of a matrix hold a comparison with zeros.
    fn require_diagonal(
        &mut self,
        whole: &syn::Expr,
        matrix: ValueId,
        compare: impl Fn(&mut Builder, ValueId, ValueId) -> ValueId,
        message: String,
    ) {
        self.b.set_default_note(part_of(whole));
        let n = self.b.ty(matrix).dims[0];
        let positions = self.b.op(Shape::Iota { dim: n }, &[]);
        let diagonal = self.b.op(Index::TakeAlong { axis: 1 }, &[matrix, positions]);
        let ty = self.b.ty(diagonal).clone();
        let zeros = self.b.constant(&ty, 0.0);
        let holds = compare(&mut self.b, zeros, diagonal);
        self.require_all(holds, message);
    }

    /// The check that truth values are all true.
    pub(super) fn require_all(&mut self, holds: ValueId, message: String) {
        let fails = self.b.map(Elementwise::Not, &[holds]);
        let fails = self.b.map(Elementwise::Cast(Elem::Usize), &[fails]);
        let axes: Vec<usize> = (0..self.b.ty(fails).rank()).collect();
        let n_failed = self.b.op(Reduce::Sum { axes }, &[fails]);
        let zero = self.b.index(0);
        let none = self.b.map(Elementwise::Eq, &[n_failed, zero]);
        self.b.stmt(Control::Check { message: message.into() }, &[none], Vec::new());
    }

    /// Appends a statement with several results.
    fn several(&mut self, note: Note, at: &syn::Expr, op: impl Into<Op>, args: &[ValueId]) -> Option<Vec<ValueId>> {
        self.b.set_default_note(note);
        match self.b.try_stmt(op.into(), args.to_vec(), Vec::new()) {
            Ok(outs) => Some(outs),
            Err(TypeError(why)) => {
                self.error(at, messages::OPERANDS, &[&text(at), &why]);
                None
            }
        }
    }
}
