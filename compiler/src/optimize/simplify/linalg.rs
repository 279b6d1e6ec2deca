//! The rule for linear systems: one triangle of a transposed matrix is the other triangle of the matrix, read transposed.

use super::Rewriter;
use crate::ir::{Linalg, Triangle, ValueId};

pub(super) fn rewrite(r: &mut Rewriter, op: Linalg, args: &[ValueId]) -> Option<ValueId> {
    match op {
        Linalg::SolveTriangular(Triangle { lower, transposed, unit }) => {
            let (t, perm) = r.as_permute(args[0])?;
            let (rows, columns) = (perm.len() - 2, perm.len() - 1);
            let exchanged = perm[..rows].iter().copied().eq(0..rows) && perm[rows..] == [columns, rows];
            let op = Linalg::SolveTriangular(Triangle { lower: !lower, transposed: !transposed, unit });
            exchanged.then(|| r.emit(op, &[t, args[1]]))
        }
        Linalg::Lu | Linalg::LuSolve { .. } | Linalg::LogDet | Linalg::Cholesky | Linalg::Eigh => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::optimize::simplify::simplify;
    use crate::optimize::testing::check;

    #[test]
    fn a_transposed_triangle_is_the_other_one() {
        check(
            simplify,
            "func f(%t: f64[b, n, n], %x: f64[b, n, k]) -> (%y, %z) {
               %1: f64[b, n, n] = permute[0, 2, 1](%t)
               %y: f64[b, n, k] = solve_triangular[lower](%1, %x)
               %z: f64[b, n, k] = solve_triangular[upper, transposed, unit](%1, %x)
             }",
            "func f(%t: f64[b, n, n], %x: f64[b, n, k]) -> (%y, %z) {
               %1: f64[b, n, n] = permute[0, 2, 1](%t)
               %y: f64[b, n, k] = solve_triangular[upper, transposed](%t, %x)
               %z: f64[b, n, k] = solve_triangular[lower, unit](%t, %x)
             }",
        );
    }
}
