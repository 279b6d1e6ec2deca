//! Many functions, each a different way to write something: every derivative of each is compared with Richardson differences of the function itself
//! and with the other modes.

#![deny(warnings)]
#![allow(clippy::all, clippy::pedantic, reason = "the spellings are the point")]

use bilevel::Params;
use bilevel::prelude::*;

mod harness;
mod traps;

use harness::{check, check_first, check_second, flat};

fn vector(n: usize) -> Array1<f64> {
    Array1::from_iter((0..n).map(|i| (1.7 * i as f64 + 0.3).sin()))
}

fn matrix(n: usize, m: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, m), |(i, j)| (0.9 * i as f64 - 1.3 * j as f64 + 0.2).cos())
}

// ---------------------------------------------------------------- products
#[differentiable]
fn dot_self(x: &Array1<f64>) -> f64 {
    x.dot(x).sqrt()
}
#[differentiable]
fn gram(x: &Array2<f64>) -> Array2<f64> {
    x.t().dot(x)
}
#[differentiable]
fn gram_outer(x: &Array2<f64>) -> f64 {
    x.dot(&x.t()).exp().sum()
}
#[differentiable]
fn quadratic(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
    x.dot(&a.dot(x)) / x.dot(x)
}
#[differentiable]
fn row_times(x: &Array1<f64>, a: &Array2<f64>) -> Array1<f64> {
    x.dot(a).tanh()
}
#[differentiable]
fn cube(a: &Array2<f64>) -> Array2<f64> {
    a.dot(a).dot(a)
}
#[differentiable]
fn transposed_everywhere(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    (a.t().dot(&b.t()) * b.dot(a).t()).sum() + a.t().sum_axis(Axis(0)).exp().sum()
}
#[differentiable]
fn sum_axis_of_transposed(a: &Array2<f64>) -> Array1<f64> {
    (a.t().sum_axis(Axis(0)) * a.sum_axis(Axis(1))).sin()
}
#[differentiable]
fn mean_axis_of_transposed(a: &Array2<f64>) -> Array1<f64> {
    a.t().mean_axis(Axis(1)).unwrap() * a.mean_axis(Axis(0)).expect("rows")
}
#[differentiable]
fn transpose_result(a: &Array2<f64>) -> Array2<f64> {
    (a * a).reversed_axes()
}
#[differentiable]
fn transpose_alone(a: &Array2<f64>) -> Array2<f64> {
    a.t().to_owned()
}
#[differentiable]
fn vector_transpose(x: &Array1<f64>, y: &Array1<f64>) -> f64 {
    x.t().dot(&y.t()).powi(3)
}
#[differentiable]
fn lse_of_transposed(a: &Array2<f64>) -> Array1<f64> {
    log_sum_exp(&a.t())
}
#[differentiable]
fn softmax_twice(a: &Array2<f64>) -> Array2<f64> {
    softmax(&softmax(&a.t()).t())
}

// ---------------------------------------------------------------- broadcasting
#[differentiable]
fn bias(a: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
    a * b + b
}
#[differentiable]
fn bias_left(a: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
    b - a / b
}
#[differentiable]
fn column(a: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
    a * &b.view().insert_axis(Axis(1))
}
#[differentiable]
fn outer_product(a: &Array1<f64>, b: &Array1<f64>) -> Array2<f64> {
    &a.view().insert_axis(Axis(1)) * &b.view().insert_axis(Axis(0))
}
#[differentiable]
fn pairwise(a: &Array1<f64>) -> f64 {
    (&a.view().insert_axis(Axis(1)) - &a.view().insert_axis(Axis(0))).mapv(|d| (-d * d).exp()).sum()
}
#[differentiable]
fn scalars_both_sides(a: &Array1<f64>, s: &f64) -> Array1<f64> {
    2.0 * a / *s - *s * a * 0.5 + (*s - a) / 3.0
}
#[differentiable]
fn one_over(a: &Array1<f64>) -> Array1<f64> {
    1.0 / (a.powi(2) + 1.0) - -a
}
#[differentiable]
fn centered(a: &Array2<f64>) -> f64 {
    (a - &a.mean_axis(Axis(0)).unwrap()).powi(2).sum().ln()
}
#[differentiable]
fn normalized(a: &Array1<f64>) -> Array1<f64> {
    let m = a.mean().unwrap();
    let d = a - m;
    let v = (&d * &d).mean().unwrap();
    d / (v + 1e-3).sqrt()
}

// ---------------------------------------------------------------- elementwise
#[differentiable]
fn many_unary(x: &Array1<f64>) -> f64 {
    (x.sin() + x.cos() * x.tan() + x.sinh() - x.cosh() + x.tanh() + x.exp() + x.exp_m1() + x.exp2()).sum()
        + (x.mapv(f64::atan) + x.mapv(|v| (v * 0.5).asin()) - x.mapv(|v| (0.5 * v).acos())).sum()
        + x.sigmoid().sum() * x.softplus().sum()
        + x.mapv(|v| (v * v + 0.1).log10() + (v * v + 0.2).log2() + (v * v).ln_1p() + (0.4 * v).atanh()).sum()
        + x.to_radians().sum()
        + x.to_degrees().sum() * 1e-2
}
#[differentiable]
fn kinks(x: &Array1<f64>) -> f64 {
    x.mapv(|v| v.max(0.1) * v.min(0.3) + v.clamp(-0.4, 0.6) * v + v.signum() * v * v + v.relu() + v.abs().sqrt() + v.floor() * v - v.ceil())
        .sum()
        + x.clamp(-0.2, 0.7).powi(2).sum()
        + x.abs().ln().sum()
        + x.signum().dot(x)
        + x.relu().dot(x)
}
#[differentiable]
fn powers(x: &Array1<f64>, p: &f64) -> f64 {
    x.mapv(|v| v.powi(-2) + v.powi(0) + v.powi(1) + v.powi(5) + (v * v).powf(1.3) + 2f64.powf(v) + (v * v + 0.5).powf(v)).sum()
        + x.powi(2).powf(*p).sum()
        + p.powf(2.5)
        + p.log(3.0)
        + 3.0f64.log(*p)
}
#[differentiable]
fn atan_mul_add(x: &f64, y: &f64) -> f64 {
    x.atan2(*y) * x.mul_add(*y, 2.0) + f64::max(*x, *y) * f64::atan2(*y, *x) + y.recip()
}
#[differentiable]
fn nested_closures(x: &Array1<f64>, s: &f64) -> f64 {
    let shift = s.exp();
    let f = |v: f64| v * shift;
    let g = |a: f64, b: f64| f(a) - f(b) * b;
    x.mapv(|v| {
        let s = g(v, shift);
        if s > 0.0 { s.sqrt() } else { (-s).sqrt() * v }
    })
    .sum()
        + g(*s, 0.3)
}
#[differentiable]
fn nested_ifs(x: &Array1<f64>) -> f64 {
    x.mapv(|v| {
        if v > 0.0 {
            if v > 0.5 { (v - 0.5).sqrt() + 1.0 } else { 1.0 / (v - 2.0) }
        } else if v < -0.5 {
            (-v).ln()
        } else {
            v.powf(2.0)
        }
    })
    .sum()
}
#[differentiable]
fn mapv_mut(x: &Array1<f64>) -> Array1<f64> {
    x.mapv(|v| {
        let mut s = v;
        if v > 0.1 {
            s *= v;
        }
        s += 1.0;
        let t = s;
        s = t * t - v;
        s
    })
}
#[differentiable]
fn map_by_reference(x: &Array1<f64>) -> Array1<f64> {
    x.map(|v| v * 2.0 + v.exp()).map(|&v| v.sin())
}
#[differentiable]
fn path_maps(x: &Array1<f64>) -> Array1<f64> {
    x.mapv(f64::exp).mapv_into(f64::sin) + x.mapv(f64::tanh)
}

// ---------------------------------------------------------------- bindings
#[differentiable]
fn shadowing(x: &Array1<f64>, s: &f64) -> f64 {
    let y = x * *s;
    let x = &y + 1.0;
    let s = {
        let s = x.sum();
        let x = s * 2.0;
        x * x
    };
    let y = {
        let y = y.dot(&x);
        y + s
    };
    y * s.sin()
}
#[differentiable]
fn blocks_and_assignments(x: &f64) -> f64 {
    let mut a = *x;
    let b = {
        a *= 2.0;
        let a = a + 1.0;
        a * a
    };
    a = a * b - {
        a += 1.0;
        a
    };
    a
}
#[differentiable]
fn tuple_juggling(x: &f64, y: &f64) -> f64 {
    let (a, b) = (*x, *y);
    let t = (a, (b, a * b));
    let (a, b) = (b + 1.0, a);
    let (p, (q, r)) = t;
    a * b * p - q / (r + 3.0) + (t.1).1 + t.0 * t.1.0
}
#[differentiable]
fn constants(x: &f64) -> f64 {
    const HALF: f64 = 1.0 / 2.0;
    const N: usize = 7 / 2;
    let third = 1.0 / 3.0;
    let n = 7 / 2;
    let m = -7 % 4;
    x * HALF
        + third * x.sin() * N as f64
        + (n as f64) * x * x
        + (m as f64) * x
        + (7 / 2) as f64 * (1.5 as usize as f64)
        + std::f64::consts::PI * x
        + f64::EPSILON
}
#[differentiable]
fn casts(x: &Array1<f64>, n: usize, k: i64) -> f64 {
    let half = n / 2;
    let rest = n % 3;
    let back = k / 2 + k % 3 - k.abs() * 2;
    let wide = (k as f64 / 3.0) as i64 as f64;
    let clipped = (k as f64 * 1.7) as usize as f64;
    let single = (k as f32 / 3.0_f32) as f64;
    (x * (half as f64) + rest as f64).sin().sum() * (back as f64)
        + x.mapv(|v| v * n as f64).exp().sum() * wide
        + x.sum() * clipped
        + x.dot(x) * single
}
#[differentiable]
fn lengths(a: &Array2<f64>) -> f64 {
    let (n, m) = a.dim();
    let last = a[[n - 1, m - 1]] * a[(0, m / 2)];
    a.sum() / a.len() as f64
        + last * (a.nrows() * a.ncols()) as f64
        + (a.shape()[1] as f64) * a.row(n - 1).dot(&a.row(0))
        + a.column(m - 1).sum() * a.len_of(Axis(0)) as f64
        + a.index_axis(Axis(1), 0).exp().sum() * a.ndim() as f64
}
#[differentiable]
fn created(x: &Array1<f64>, n: usize) -> f64 {
    let e = Array2::<f64>::eye(x.len());
    let z = Array1::<f64>::zeros(x.len()) + x;
    let o = Array2::from_elem((x.len(), 2), 0.5);
    let k = Array1::from_elem(n, x[0]);
    (e.dot(x) * z).dot(&o).sum() * k.exp().sum() + Array2::<f64>::ones((n, 3)).sum() * x[1]
}

// ---------------------------------------------------------------- loops
#[differentiable]
fn zero_turns(x: &Array1<f64>, n: usize) -> f64 {
    let mut v = x.clone();
    let mut s = x.sum();
    for i in 0..n {
        v = v.sin() * (i as f64 + 0.5);
        s *= v.dot(x);
    }
    s + v.sum()
}
#[differentiable]
fn power_iteration(a: &Array2<f64>, x: &Array1<f64>, n: usize) -> f64 {
    let mut v = x.to_owned();
    for _ in 0..n {
        let w = a.dot(&v);
        let norm = w.dot(&w).sqrt();
        v = w / norm;
    }
    v.dot(&a.dot(&v))
}
#[differentiable]
fn nested_loops(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
    let mut s = 0.0;
    for i in 0..a.nrows() {
        let mut row = 1.0;
        for j in 0..a.ncols() {
            row += a[[i, j]] * x[j];
            if row > 0.5 {
                row *= 0.9;
                s += row;
            } else {
                row = row.sin() - s;
            }
        }
        s += row * row;
    }
    s
}
#[differentiable]
fn ranges(x: &Array1<f64>, n: usize) -> f64 {
    let mut s = 0.0;
    for i in (1..x.len()).rev() {
        s = s * 0.5 + x[i] * x[i - 1];
    }
    for i in 1..=n {
        s += x[0].powi(2) * i as f64;
    }
    for i in n..2 {
        s += i as f64 * x[1];
    }
    for i in (0..=2).rev() {
        s = s.sin() + i as f64 * s;
    }
    for i in 5..3 {
        s += i as f64 * x[0];
    }
    for _ in 0..0 {
        s *= 100.0;
    }
    s
}
#[differentiable]
fn mixed_carries(x: &Array1<f64>, n: usize) -> f64 {
    let mut k = 1_usize;
    let mut sign = -1_i64;
    let mut flag = true;
    let mut v = x.clone();
    let mut m = Array2::<f64>::zeros((x.len(), x.len()));
    let mut s = 0.0;
    for i in 0..n {
        k = (k * 3 + i) % 5;
        sign = -sign;
        if flag && k > 1 {
            v += &(x * k as f64);
        } else {
            v = v.sin();
            m += &v;
        }
        flag = !flag || i == 3;
        s += v.sum() * sign as f64 + m.dot(&v).sum();
    }
    s + k as f64 * x[0] + sign as f64 * x[1]
}
#[differentiable]
fn varying_lengths(x: &Array1<f64>, n: usize) -> f64 {
    let mut s = 0.0;
    for i in 0..n {
        let ones = Array1::<f64>::ones(i + 1);
        s += (ones * x[i % 2]).exp().sum();
    }
    s
}
#[differentiable]
fn swap_in_loop(x: &f64, y: &f64, n: usize) -> f64 {
    let (mut a, mut b) = (*x, *y);
    for _ in 0..n {
        let t = a;
        a = b;
        b = t + a * b;
    }
    a - 2.0 * b
}
#[differentiable]
fn invariant_in_loop(a: &Array2<f64>, x: &Array1<f64>, n: usize) -> Array1<f64> {
    let mut v = x.clone();
    for _ in 0..n {
        let scale = 1.0 / (1.0 + a.dot(x).dot(x).exp());
        v = (a.t().dot(&v) * scale + x).tanh();
    }
    v
}
#[differentiable]
fn newton_root(x: &f64) -> f64 {
    let mut y = 1.0;
    for _ in 0..6 {
        y = 0.5 * (y + x / y);
    }
    y
}

// ---------------------------------------------------------------- branches
#[differentiable]
fn branch_on_data(x: &Array1<f64>, k: usize, flag: bool) -> f64 {
    let mut v = x.clone();
    if x.sum() > 0.0 && k < x.len() && x[k] < 10.0 {
        v = v * x[k];
    } else if flag {
        v = v.exp();
    }
    let s = if !flag || k == 2 {
        v.sum()
    } else {
        let mut s = 0.0;
        for i in 0..x.len() {
            s += v[i] * x[i];
        }
        s
    };
    if s > 1e6 { 0.0 } else { s * s }
}
#[differentiable]
fn branch_of_arrays(x: &Array1<f64>, flag: bool) -> (f64, Array1<f64>) {
    let (s, v) = if flag { (x.sum(), x * 2.0) } else { (1.0, x.sin()) };
    let unused = if flag { 1.0 } else { 2.0 };
    (s * unused, v)
}
#[differentiable]
fn loop_in_branch_in_loop(x: &Array1<f64>, n: usize) -> f64 {
    let mut s = 1.0;
    for i in 0..n {
        if i % 2 == 0 {
            for j in 0..x.len() {
                s += x[j].sin() * s * 0.1;
            }
        } else {
            s = if s > 1.0 { s.ln() + 1.0 } else { s * s + x[0] };
        }
    }
    s
}
#[differentiable]
fn no_else(x: &f64, n: usize) -> f64 {
    let mut y = *x;
    if n > 2 {
        y = y * y;
    }
    if n > 3 {
        let y = 7.0;
        let _ = y;
    }
    y
}
#[differentiable(wrt(x))]
fn data_only_branch(x: &f64, t: &Array1<f64>) -> f64 {
    let best = t.sum().max(t.dot(t));
    if best != best { *x } else { x * best }
}

// ---------------------------------------------------------------- losses
#[differentiable]
fn classification(w: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
    cross_entropy(&x.dot(w), y) + mse(w, &w.mapv(|v| v * v))
}
#[differentiable]
fn labels(a: &Array2<f64>, y: &Array1<usize>) -> f64 {
    let mut s = 0.0;
    for i in 0..y.len() {
        s += a[[i, y[i]]] * a.row(y[i])[i];
    }
    s
}
#[differentiable]
fn attention(q: &Array2<f64>, k: &Array2<f64>, v: &Array2<f64>) -> Array2<f64> {
    softmax(&(q.dot(&k.t()) / (q.ncols() as f64).sqrt())).dot(v)
}
#[differentiable]
fn integer_arrays(x: &Array1<f64>, k: &Array1<i64>) -> f64 {
    (x * &k.mapv(|v| (v * v - 2) as f64)).sum() + k.sum() as f64 * x[0] + k[1] as f64 * x[1]
}
#[differentiable]
fn flags(x: &Array1<f64>, k: &Array1<usize>) -> f64 {
    let m = k.mapv(|v| if v % 2 == 0 || v > 4 { 1.0 } else { 0.0 });
    (x * &m).exp().sum()
}
#[differentiable]
fn identity(x: &Array1<f64>) -> Array1<f64> {
    x.clone()
}
#[differentiable]
fn same_result_twice(x: &Array1<f64>) -> (Array1<f64>, Array1<f64>) {
    let y = x * x;
    (y.clone(), y)
}
#[differentiable]
fn argument_and_result(x: &Array1<f64>) -> (Array1<f64>, (f64, Array1<f64>)) {
    (x.clone(), (x[0], x.clone()))
}

#[test]
fn products() {
    check!(dot_self(vector(4)));
    check!(array gram(matrix(3, 2)));
    check!(gram_outer(matrix(3, 2)));
    check!(quadratic(matrix(3, 3), vector(3)));
    check!(array row_times(vector(3), matrix(3, 2)));
    check!(array cube(matrix(3, 3)));
    check!(transposed_everywhere(matrix(2, 3), matrix(3, 2).sin()));
    check!(array sum_axis_of_transposed(matrix(3, 3)));
    check!(array mean_axis_of_transposed(matrix(3, 3)));
    check!(array transpose_result(matrix(3, 2)));
    check!(array transpose_alone(matrix(3, 2)));
    check!(vector_transpose(vector(3), vector(3).cos()));
    check!(array lse_of_transposed(matrix(3, 2)));
    check!(array softmax_twice(matrix(3, 2)));
}

#[test]
fn broadcasting() {
    check!(array bias(matrix(3, 2), vector(2)));
    check!(array bias_left(matrix(3, 2), vector(2)));
    check!(array column(matrix(3, 2), vector(3)));
    check!(array outer_product(vector(3), vector(2)));
    check!(pairwise(vector(4)));
    check!(array scalars_both_sides(vector(3), 0.7));
    check!(array one_over(vector(3)));
    check!(centered(matrix(3, 2)));
    check!(array normalized(vector(5)));
}

#[test]
fn elementwise() {
    check!(many_unary(vector(6) * 0.9));
    check!(kinks(vector(6)));
    check!(powers(vector(4), 1.7));
    check!(atan_mul_add(0.7, -0.4));
    check!(nested_closures(vector(5), 0.6));
    check!(nested_ifs(vector(9)));
    check!(array mapv_mut(vector(6)));
    check!(array map_by_reference(vector(3)));
    check!(array path_maps(vector(3)));
}

#[test]
fn bindings() {
    check!(shadowing(vector(3), 0.4));
    check!(blocks_and_assignments(0.7));
    check!(tuple_juggling(0.7, 0.4));
    check!(constants(0.7));
    for k in [-5, -1, 0, 4] {
        check!(casts(vector(3); 5, k));
    }
    check!(lengths(matrix(3, 4)));
    check!(created(vector(3); 4));
}

#[test]
fn loops() {
    for n in 0..4 {
        check!(zero_turns(vector(3); n));
        check!(power_iteration(matrix(3, 3), vector(3); n));
        check!(mixed_carries(vector(3); 2 * n));
        check!(ranges(vector(4); n));
        check!(varying_lengths(vector(3); n));
        check!(swap_in_loop(0.4, 0.3; n));
        check!(array invariant_in_loop(matrix(3, 3), vector(3); n));
        check!(loop_in_branch_in_loop(vector(3); n));
        check!(no_else(0.4; n + 1));
    }
    check!(nested_loops(matrix(3, 4), vector(4)));
    check!(newton_root(1.3));
}

#[test]
fn branches() {
    for (k, flag) in [(0, true), (2, false), (9, true), (9, false)] {
        check!(branch_on_data(vector(3); k, flag));
        check!(branch_on_data(-vector(3); k, flag));
        check!(array branch_of_arrays(vector(3); flag));
    }
    check!(data_only_branch(0.4; &vector(3)));
}

#[test]
fn losses_and_forms() {
    check!(classification(matrix(3, 4), matrix(5, 3); &array![0, 3, 2, 2, 1]));
    check!(labels(matrix(3, 3); &array![2, 0, 2]));
    check!(array attention(matrix(3, 2), matrix(4, 2).sin(), matrix(4, 3).exp()));
    check!(integer_arrays(vector(3); &array![-1, 4, 0]));
    check!(flags(vector(4); &array![0, 1, 5, 3]));
    check!(array identity(vector(3)));
    check!(array same_result_twice(vector(3)));
    check!(array argument_and_result(vector(3)));
}
