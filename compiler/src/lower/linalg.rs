//! Calls of `bilevel::linalg`: `linalg::solve(&a, &b)` and its peers.

use syn::ext::IdentExt;

use super::value::{Value, describe_rank};
use super::{Lowering, Note, part_of, text};
use crate::diagnostics::messages;
use crate::ir::builder::TypeError;
use crate::ir::{Dim, Linalg, Op, Shape, Triangle, Type, ValueId};
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
                let lu = self.factors(whole, a?)?;
                self.solution(whole, Linalg::LuSolve { transposed: false }, &[a?, lu[0], lu[1], b], is_vector)?
            }
            "inverse" => {
                let lu = self.factors(whole, a?)?;
                let ty = self.b.ty(a?).clone();
                self.b.set_default_note(part_of(whole));
                let eye = identity(&mut self.b, &ty);
                self.emit(whole, Linalg::LuSolve { transposed: false }, &[a?, lu[0], lu[1], eye])?
            }
            "log_det" => {
                let lu = self.factors(whole, a?)?;
                self.emit(whole, Linalg::LogDet, &[a?, lu[0], lu[1]])?
            }
            "cholesky" => self.emit(whole, Linalg::Cholesky, &[a?])?,
            "solve_triangular" => {
                let triangle = self.triangle(args[2])?;
                let (b, is_vector) = self.right_side(whole, a?, args[0], args[1])?;
                self.solution(whole, Linalg::SolveTriangular(triangle), &[a?, b], is_vector)?
            }
            _ => {
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
