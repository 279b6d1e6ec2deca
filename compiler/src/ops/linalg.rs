//! Factorisations and linear systems.
//!
//! Notation: matrices are the last two axes, `[.., n, n]`; the axes before are batch axes. `sym(a) = (a + aᵀ) / 2`.
//!
//! Each linear rule is a composition of operations of the IR, so that derivatives of every order follow. The rules for `Cholesky` and `Eigh` are
//! those of Murray, "Differentiation of the Cholesky decomposition" (2016, section 3.1), and Giles, "An extended collection of matrix derivative results"
//! (2008, section 3.1).

use super::batch::Batched;
use super::elementwise::shielded_reciprocal;
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Control, Dim, Einsum, Elem, Elementwise, Linalg, Literal, Op, Reduce, Shape, Triangle, Type, ValueId};

/// Eigenvalues count as equal up to so many times the rounding error of the largest, for each row of the matrix.
const SEPARATION: f64 = 64.0;

impl Linalg {
    /// Type rule: see [`Linalg`].
    pub(super) fn infer(self, types: &[&Type]) -> Result<Vec<Type>, TypeError> {
        match self {
            Linalg::Lu => {
                let [a] = exactly(types)?;
                square(a)?;
                Ok(vec![a.clone(), pivots_of(a)])
            }
            Linalg::LuSolve { .. } => {
                let [a, factors, pivots, b] = exactly(types)?;
                square(a)?;
                factored(a, factors, pivots)?;
                right_side(a, b)?;
                Ok(vec![b.clone()])
            }
            Linalg::LogDet => {
                let [a, factors, pivots] = exactly(types)?;
                square(a)?;
                factored(a, factors, pivots)?;
                Ok(vec![a.with_dims(&a.dims[..a.rank() - 2])])
            }
            Linalg::Cholesky => {
                let [a] = exactly(types)?;
                square(a)?;
                Ok(vec![a.clone()])
            }
            Linalg::SolveTriangular(_) => {
                let [t, b] = exactly(types)?;
                square(t)?;
                right_side(t, b)?;
                Ok(vec![b.clone()])
            }
            Linalg::Eigh => {
                let [a] = exactly(types)?;
                square(a)?;
                Ok(vec![a.with_dims(&a.dims[..a.rank() - 1]), a.clone()])
            }
        }
    }

    /// Linear rule. `LU` has none: what reads its results takes the matrix as well, and has the tangent of that.
    pub(super) fn jvp(self, b: &mut Builder, args: &[ValueId], outs: &[ValueId], dots: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        match self {
            Linalg::Lu => vec![None, None],
            Linalg::LuSolve { transposed } => {
                let moved = dots[0].map(|dot| product(b, dot, transposed, outs[0]));
                let right = difference(b, dots[3], moved);
                vec![right.map(|right| b.op(self, &[args[0], args[1], args[2], right]))]
            }
            Linalg::LogDet => {
                let Some(dot) = dots[0] else { return vec![None] };
                // The trace of `a⁻¹ a_dot`, with `a⁻ᵀ` as coefficient.
                let ty = b.ty(args[0]).clone();
                let eye = identity(b, &ty);
                let coefficient = b.op(Linalg::LuSolve { transposed: true }, &[args[0], args[1], args[2], eye]);
                let trace = batched(ty.rank() - 2, &[0, 1], &[0, 1], &[]);
                vec![Some(b.op(trace, &[coefficient, dot]))]
            }
            Linalg::Cholesky => {
                let Some(dot) = dots[0] else { return vec![None] };
                // `l_dot = l Φ(l⁻¹ sym(a_dot) l⁻ᵀ)`, where `Φ` takes the lower triangle and half of the diagonal.
                let l = outs[0];
                let dot = symmetric_part(b, dot);
                let solve = Linalg::SolveTriangular(Triangle { lower: true, transposed: false, unit: false });
                let left = b.op(solve, &[l, dot]);
                let left = transpose(b, left);
                let both = b.op(solve, &[l, left]);
                let ty = b.ty(l).clone();
                let (below, diagonal) = (positions(b, &ty, Elementwise::Lt), identity(b, &ty));
                let half = b.scale(diagonal, 0.5);
                let mask = b.add(below, half);
                let kept = b.mul(mask, both);
                vec![Some(product(b, l, false, kept))]
            }
            Linalg::SolveTriangular(triangle) => {
                let moved = dots[0].map(|dot| {
                    let mask = triangle.mask(b, dot);
                    let kept = b.mul(mask, dot);
                    product(b, kept, triangle.transposed, outs[0])
                });
                let right = difference(b, dots[1], moved);
                vec![right.map(|right| b.op(self, &[args[0], right]))]
            }
            Linalg::Eigh => {
                let Some(dot) = dots[0] else { return vec![None, None] };
                let (values, vectors) = (outs[0], outs[1]);
                let (values_dot, turned) = eigenvalues_dot(b, vectors, dot);
                let ty = b.ty(vectors).clone();
                let n_batch = ty.rank() - 2;
                // `v (f ∘ vᵀ a_dot v)` with `fᵢⱼ = 1 / (wⱼ - wᵢ)`, zero on the diagonal.
                let inner = product(b, vectors, true, turned);
                let batch: Vec<usize> = (0..n_batch).collect();
                let of_axis = |b: &mut Builder, axis: usize| b.broadcast(values, &[&batch[..], &[n_batch + axis]].concat(), &ty.dims);
                let (rows, columns) = (of_axis(b, 0), of_axis(b, 1));
                let gaps = b.sub(columns, rows);
                require_separation(b, values, gaps);
                let coefficients = shielded_reciprocal(b, gaps);
                let mixed = b.mul(coefficients, inner);
                vec![Some(values_dot), Some(product(b, vectors, false, mixed))]
            }
        }
    }

    /// Whether no tangent passes.
    pub(super) fn is_flat(self) -> bool {
        match self {
            Linalg::Lu => true,
            Linalg::LuSolve { .. } | Linalg::LogDet | Linalg::Cholesky | Linalg::SolveTriangular(_) | Linalg::Eigh => false,
        }
    }

    /// Transpose rule: a solution is linear in its right side, and its transpose solves with the transposed matrix.
    pub(super) fn transpose(self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        match (self, args) {
            (Linalg::LuSolve { transposed }, [Operand::Known(a), Operand::Known(factors), Operand::Known(pivots), Operand::Linear(_)]) => {
                let share = b.op(Linalg::LuSolve { transposed: !transposed }, &[*a, *factors, *pivots, bar]);
                vec![None, None, None, Some(share)]
            }
            (Linalg::SolveTriangular(triangle), [Operand::Known(t), Operand::Linear(_)]) => {
                let turned = Triangle { transposed: !triangle.transposed, ..triangle };
                vec![None, Some(b.op(Linalg::SolveTriangular(turned), &[*t, bar]))]
            }
            (Linalg::Lu | Linalg::LuSolve { .. } | Linalg::LogDet | Linalg::Cholesky | Linalg::SolveTriangular(_) | Linalg::Eigh, _) => {
                unreachable!("{self:?} is not linear in {args:?}")
            }
        }
    }
}

impl Linalg {
    /// Batching rule: the new axis is one more batch axis. A matrix that is the same for all examples is not repeated for right sides that differ.
    pub(super) fn batch(self, b: &mut Builder, args: &[Batched], dim: Dim) -> Vec<ValueId> {
        let (Linalg::LuSolve { .. } | Linalg::SolveTriangular(_), Some((right, matrix))) = (self, args.split_last()) else {
            let args: Vec<ValueId> = args.iter().map(|arg| arg.each(b, dim)).collect();
            return b.stmt(self, &args, Vec::new());
        };
        if !matrix.iter().any(|arg| arg.is_each()) {
            let args: Vec<ValueId> = args.iter().map(|arg| arg.value()).collect();
            return b.stmt(self, &args, Vec::new());
        }
        let mut args: Vec<ValueId> = matrix.iter().map(|arg| arg.each(b, dim)).collect();
        let right = right.each(b, dim);
        // The batch axes that only the right side has come before all others.
        let n_more = b.ty(right).rank() - b.ty(args[0]).rank();
        let rest = n_more + 1..b.ty(right).rank();
        let inwards: Vec<usize> = (1..=n_more).chain([0]).chain(rest.clone()).collect();
        let outwards: Vec<usize> = std::iter::once(n_more).chain(0..n_more).chain(rest).collect();
        args.push(b.permute(right, &inwards));
        let solution = b.op(self, &args);
        vec![b.permute(solution, &outwards)]
    }
}

/// The tangents of eigenvalues, `vᵢᵀ s vᵢ` with the symmetric part `s` of the matrix' tangent, and `s v`.
pub(crate) fn eigenvalues_dot(b: &mut Builder, vectors: ValueId, dot: ValueId) -> (ValueId, ValueId) {
    let n_batch = b.ty(vectors).rank() - 2;
    let dot = symmetric_part(b, dot);
    let turned = product(b, dot, false, vectors);
    (b.op(batched(n_batch, &[0, 1], &[0, 1], &[1]), &[vectors, turned]), turned)
}

/// The check that no two eigenvalues are equal up to rounding, given the differences of all pairs: their vectors would have no derivative.
fn require_separation(b: &mut Builder, values: ValueId, gaps: ValueId) {
    let (values_ty, ty) = (b.ty(values).clone(), b.ty(gaps).clone());
    let last = values_ty.rank() - 1;
    let (wide, narrow) = (SEPARATION * f64::EPSILON, SEPARATION as f32 * f32::EPSILON);
    let rounding = match ty.elem {
        Elem::F32 => Literal::Float(f64::from(narrow)),
        Elem::Generic(_) => Literal::Widths(wide, narrow),
        Elem::F64 | Elem::Usize | Elem::I64 | Elem::Bool => Literal::Float(wide),
    };
    let sizes = b.map(Elementwise::Abs, &[values]);
    let largest = b.op(Reduce::Max { axes: vec![last] }, &[sizes]);
    let n = b.count(&values_ty, &[last]);
    let rounding = b.op(Op::Const(ty.elem, rounding), &[]);
    let share = b.mul(n, rounding);
    let share = b.broadcast_scalar(share, &values_ty.dims[..last]);
    let limit = b.mul(largest, share);
    let limit = b.broadcast_over(limit, &[last, last + 1], &ty.dims);
    let distances = b.map(Elementwise::Abs, &[gaps]);
    let near = b.map(Elementwise::Le, &[distances, limit]);
    // On the diagonals all are.
    let near = b.map(Elementwise::Cast(Elem::Usize), &[near]);
    let axes: Vec<usize> = (0..ty.rank()).collect();
    let n_near = b.op(Reduce::Sum { axes }, &[near]);
    let mut n_values = b.index(1);
    for &dim in &values_ty.dims {
        let len = b.dim_size(dim);
        n_values = b.mul(n_values, len);
    }
    let holds = b.map(Elementwise::Le, &[n_near, n_values]);
    let source = b.note(values).source.clone().map_or_else(|| "a matrix".to_owned(), |source| format!("`{source}`"));
    let message = format!(
        "eigenvectors in {source} have no derivative, since two eigenvalues are equal; a function of the eigenvalues alone has one"
    );
    b.stmt(Control::Check { message: message.into() }, &[holds], Vec::new());
}

impl Triangle {
    /// One at the elements of the matrix that are read, zero elsewhere, in the shape of `like`.
    fn mask(self, b: &mut Builder, like: ValueId) -> ValueId {
        let ty = b.ty(like).clone();
        let (i, j) = indices(b, &ty);
        let inside = match (self.lower, self.unit) {
            (true, false) => b.map(Elementwise::Le, &[j, i]),
            (true, true) => b.map(Elementwise::Lt, &[j, i]),
            (false, false) => b.map(Elementwise::Le, &[i, j]),
            (false, true) => b.map(Elementwise::Lt, &[i, j]),
        };
        spread(b, inside, &ty)
    }
}

/// Whether a type is a float matrix with as many rows as columns, or several.
fn square(ty: &Type) -> Result<(), TypeError> {
    match &ty.dims[..] {
        [.., m, n] if m == n && ty.elem.is_float() => Ok(()),
        _ => mismatch(format!("takes square matrices of floats, not {:?} of {}", ty.dims, ty.elem)),
    }
}

fn pivots_of(a: &Type) -> Type {
    Type::tensor(Elem::Usize, &a.dims[..a.rank() - 1])
}

/// Whether the factors and pivots can be those of `a`.
fn factored(a: &Type, factors: &Type, pivots: &Type) -> Result<(), TypeError> {
    if factors != a || *pivots != pivots_of(a) {
        return mismatch("takes a matrix with its factors and pivots");
    }
    Ok(())
}

/// Whether `b` has matrices with as many rows as the square ones of `a`.
fn right_side(a: &Type, b: &Type) -> Result<(), TypeError> {
    let n_rows = b.rank().saturating_sub(1);
    if b.elem != a.elem || b.rank() < a.rank() || !b.dims[..n_rows].ends_with(&a.dims[..a.rank() - 1]) {
        return mismatch(format!("a right side of {:?} for matrices of {:?}", b.dims, a.dims));
    }
    Ok(())
}

/// An einsum over matrices whose axes have the labels 0, 1, 2, with the batch axes before them.
fn batched(n_batch: usize, lhs: &[u8], rhs: &[u8], out: &[u8]) -> Einsum {
    let labels = |own: &[u8]| (0..n_batch as u8).chain(own.iter().map(|l| n_batch as u8 + l)).collect();
    Einsum { lhs: labels(lhs), rhs: labels(rhs), out: labels(out) }
}

/// `a x`, or `aᵀ x`; `x` may have more batch axes before those of `a`.
fn product(b: &mut Builder, a: ValueId, transposed: bool, x: ValueId) -> ValueId {
    let n_batch = b.ty(x).rank() - 2;
    let of_a: &[u8] = if transposed { &[1, 0] } else { &[0, 1] };
    let mut product = batched(n_batch, of_a, &[1, 2], &[0, 2]);
    product.lhs.drain(..b.ty(x).rank() - b.ty(a).rank());
    b.op(product, &[a, x])
}

fn transpose(b: &mut Builder, a: ValueId) -> ValueId {
    let rank = b.ty(a).rank();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    b.permute(a, &perm)
}

fn symmetric_part(b: &mut Builder, a: ValueId) -> ValueId {
    let turned = transpose(b, a);
    let sum = b.add(a, turned);
    b.scale(sum, 0.5)
}

fn difference(b: &mut Builder, p: Option<ValueId>, q: Option<ValueId>) -> Option<ValueId> {
    match (p, q) {
        (Some(p), Some(q)) => Some(b.sub(p, q)),
        (Some(p), None) => Some(p),
        (None, q) => q.map(|q| b.neg(q)),
    }
}

/// The row and the column of each element of one matrix of a type.
fn indices(b: &mut Builder, ty: &Type) -> (ValueId, ValueId) {
    let dims: &[Dim] = &ty.dims[ty.rank() - 2..];
    let i = b.op(Shape::Iota { dim: dims[0] }, &[]);
    let j = b.op(Shape::Iota { dim: dims[1] }, &[]);
    (b.broadcast(i, &[0], dims), b.broadcast(j, &[1], dims))
}

/// A condition on the elements of one matrix, as ones and zeros in all matrices of a type.
fn spread(b: &mut Builder, condition: ValueId, ty: &Type) -> ValueId {
    let ones = b.map(Elementwise::Cast(ty.elem), &[condition]);
    b.broadcast(ones, &[ty.rank() - 2, ty.rank() - 1], &ty.dims)
}

/// One where the column compares so with the row, zero elsewhere.
fn positions(b: &mut Builder, ty: &Type, comparison: Elementwise) -> ValueId {
    let (i, j) = indices(b, ty);
    let condition = b.map(comparison, &[j, i]);
    spread(b, condition, ty)
}

/// Identity matrices of a type.
pub(crate) fn identity(b: &mut Builder, ty: &Type) -> ValueId {
    positions(b, ty, Elementwise::Eq)
}
