//! Reference evaluation of factorisations: textbook algorithms on one matrix after the other, in `f64` whatever the element type.
//!
//! A matrix that has no factorisation gives infinities and NaN, as the arithmetic has it.

use crate::ir::eval::{Data, EvalError, Tensor, ill_formed};
use crate::ir::{Elem, Linalg, Triangle};

/// A square matrix, row after row.
type Rows = Vec<Vec<f64>>;

impl Linalg {
    /// The results; the factorisations of a batch are independent.
    pub(super) fn eval(self, args: &[&Tensor]) -> Result<Vec<Tensor>, EvalError> {
        let Some((first, _)) = args.split_first() else { return ill_formed(format!("{self:?} of no operands")) };
        let Some((batch, &[n, _])) = first.shape.split_last_chunk::<2>() else { return ill_formed(format!("{self:?} of no matrices")) };
        let n_batch: usize = batch.iter().product();
        let shape = |own: &[usize]| [batch, own].concat();
        // The results of each matrix of the batch, one after the other.
        let stack =
            |own: &[usize], each: &dyn Fn(usize) -> Vec<f64>| float(first.elem(), shape(own), (0..n_batch).flat_map(each).collect());
        // The solution for each right side `k`, given the number of its matrix.
        let solutions = |b: &Tensor, each: &dyn Fn(usize, Rows) -> Rows| {
            let columns = b.shape[b.shape.len() - 1];
            let n_sides: usize = b.shape[..b.shape.len() - 2].iter().product();
            let one = |k: usize| each(k % n_batch, matrix(b, n, columns, k)).concat();
            vec![float(first.elem(), b.shape.clone(), (0..n_sides).flat_map(one).collect())]
        };
        match (self, args) {
            (Linalg::Lu, [a]) => {
                let factored: Vec<(Rows, Vec<usize>)> = (0..n_batch).map(|k| lu(matrix(a, n, n, k))).collect();
                let pivots = factored.iter().flat_map(|(_, p)| p.clone()).collect();
                Ok(vec![stack(&[n, n], &|k| factored[k].0.concat()), Tensor::usizes(&shape(&[n]), pivots)])
            }
            (Linalg::LuSolve { transposed }, [_, factors, pivots, b]) => {
                let pivots = |k: usize| pivots.as_int()[k * n..(k + 1) * n].iter().map(|&p| p as usize).collect::<Vec<_>>();
                Ok(solutions(b, &|k, b| lu_solve(&matrix(factors, n, n, k), &pivots(k), b, transposed)))
            }
            (Linalg::LogDet, [_, factors, _]) => {
                let one = |k: usize| {
                    let factors = matrix(factors, n, n, k);
                    vec![(0..n).map(|i| factors[i][i].abs().ln()).sum()]
                };
                Ok(vec![stack(&[], &one)])
            }
            (Linalg::Cholesky, [a]) => Ok(vec![stack(&[n, n], &|k| cholesky(&symmetric_part(&matrix(a, n, n, k))).concat())]),
            (Linalg::SolveTriangular(triangle), [t, b]) => Ok(solutions(b, &|k, b| solve_triangular(triangle, &matrix(t, n, n, k), b))),
            (Linalg::Eigh, [a]) => {
                let found: Vec<(Vec<f64>, Rows)> = (0..n_batch).map(|k| eigh(symmetric_part(&matrix(a, n, n, k)))).collect();
                Ok(vec![stack(&[n], &|k| found[k].0.clone()), stack(&[n, n], &|k| found[k].1.concat())])
            }
            (Linalg::Lu | Linalg::LuSolve { .. } | Linalg::LogDet | Linalg::Cholesky | Linalg::SolveTriangular(_) | Linalg::Eigh, _) => {
                ill_formed(format!("{self:?} of {} operands", args.len()))
            }
        }
    }
}

/// The matrix number `k` of a batch.
fn matrix(x: &Tensor, rows: usize, columns: usize, k: usize) -> Rows {
    let x = x.to_f64();
    let at = |i: usize, j: usize| x[(k * rows + i) * columns + j];
    (0..rows).map(|i| (0..columns).map(|j| at(i, j)).collect()).collect()
}

fn float(elem: Elem, shape: Vec<usize>, data: Vec<f64>) -> Tensor {
    let data = if elem == Elem::F32 { Data::F32(data.into_iter().map(|x| x as f32).collect()) } else { Data::F64(data) };
    Tensor { shape, data }
}

fn symmetric_part(a: &Rows) -> Rows {
    let n = a.len();
    (0..n).map(|i| (0..n).map(|j| 0.5 * (a[i][j] + a[j][i])).collect()).collect()
}

/// Gaussian elimination that takes the largest element of a column as its pivot: `l` below the diagonal of ones, `u` on and above it, and for each row
/// the row below with which it was exchanged.
fn lu(mut a: Rows) -> (Rows, Vec<usize>) {
    let n = a.len();
    let mut pivots = Vec::with_capacity(n);
    for j in 0..n {
        let pivot = (j..n).fold(j, |best, i| if a[i][j].abs() > a[best][j].abs() { i } else { best });
        a.swap(j, pivot);
        pivots.push(pivot);
        for i in j + 1..n {
            let factor = a[i][j] / a[j][j];
            a[i][j] = factor;
            let (above, below) = a.split_at_mut(i);
            for (x, y) in below[0].iter_mut().zip(&above[j]).skip(j + 1) {
                *x -= factor * y;
            }
        }
    }
    (a, pivots)
}

fn lu_solve(factors: &Rows, pivots: &[usize], mut b: Rows, transposed: bool) -> Rows {
    let lower = Triangle { lower: true, transposed, unit: true };
    let upper = Triangle { lower: false, transposed, unit: false };
    if transposed {
        // `aᵀ = uᵀ lᵀ p`
        b = solve_triangular(lower, factors, solve_triangular(upper, factors, b));
        for (i, &pivot) in pivots.iter().enumerate().rev() {
            b.swap(i, pivot);
        }
        b
    } else {
        for (i, &pivot) in pivots.iter().enumerate() {
            b.swap(i, pivot);
        }
        solve_triangular(upper, factors, solve_triangular(lower, factors, b))
    }
}

/// Substitution, from the first unknown or from the last.
fn solve_triangular(triangle: Triangle, t: &Rows, mut b: Rows) -> Rows {
    let n = t.len();
    let at = |i: usize, j: usize| if triangle.transposed { t[j][i] } else { t[i][j] };
    let forwards = triangle.lower != triangle.transposed;
    let order: Vec<usize> = if forwards { (0..n).collect() } else { (0..n).rev().collect() };
    for (turn, &i) in order.iter().enumerate() {
        for k in 0..b[i].len() {
            let known: f64 = order[..turn].iter().map(|&j| at(i, j) * b[j][k]).sum();
            b[i][k] -= known;
            if !triangle.unit {
                b[i][k] /= at(i, i);
            }
        }
    }
    b
}

fn cholesky(a: &Rows) -> Rows {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            l[i][j] = if i == j { (a[i][i] - known).sqrt() } else { (a[i][j] - known) / l[j][j] };
        }
    }
    l
}

/// Jacobi's method: rotations that make one element zero after the other, until none is left.
fn eigh(mut a: Rows) -> (Vec<f64>, Rows) {
    let n = a.len();
    let mut v: Rows = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                for k in 0..n {
                    let (x, y) = (a[p][k], a[q][k]);
                    (a[p][k], a[q][k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (v[k][p], v[k][q]);
                    (v[k][p], v[k][q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i][i].total_cmp(&a[j][j]));
    let values = order.iter().map(|&i| a[i][i]).collect();
    let signs: Vec<f64> = order.iter().map(|&j| sign(&v.iter().map(|row| row[j]).collect::<Vec<_>>())).collect();
    let vectors = v.iter().map(|row| order.iter().zip(&signs).map(|(&j, sign)| sign * row[j]).collect()).collect();
    (values, vectors)
}

/// The sign that makes the first element positive that is at least 0.6 times as large as the largest.
fn sign(vector: &[f64]) -> f64 {
    let largest = vector.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    match vector.iter().find(|x| x.abs() >= 0.6 * largest) {
        Some(x) if *x < 0.0 => -1.0,
        Some(_) | None => 1.0,
    }
}
