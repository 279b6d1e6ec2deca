//! The derivatives of a function in every mode, on flat vectors, against differences and against each other.

use bilevel::Params;

/// All elements of a value, leaf after leaf.
pub(crate) fn flat(x: &impl Params<Float = f64>) -> Vec<f64> {
    x.flat().to_vec()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Numbers between -1 and 1 that have nothing to do with anything else.
fn direction(seed: u64, n: usize) -> Vec<f64> {
    (0..n).map(|i| (12.9898 * (i as f64 + 1.0) + 78.233 * seed as f64).sin()).collect()
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = 1.0 + expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (k, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{what}, element {k}: found {a}, expected {b}");
    }
}

/// Derivative of a vector-valued function of a number at zero: Ridders' extrapolation of central differences.
fn slope(f: &dyn Fn(f64) -> Vec<f64>) -> Vec<f64> {
    let central = |h: f64| -> Vec<f64> { f(h).iter().zip(f(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect() };
    let mut row = vec![central(4e-3)];
    for k in 1..4 {
        let mut next = vec![central(4e-3 / f64::from(1 << k))];
        let mut power = 1.0;
        for j in 0..k {
            power *= 4.0;
            next.push(next[j].iter().zip(&row[j]).map(|(a, b)| (power * a - b) / (power - 1.0)).collect());
        }
        row = next;
    }
    row.pop().expect("a row has elements")
}

fn moved(x: &[f64], t: f64, v: &[f64]) -> Vec<f64> {
    x.iter().zip(v).map(|(x, v)| x + t * v).collect()
}

pub(crate) type Map<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;
pub(crate) type Map2<'a> = &'a dyn Fn(&[f64], &[f64]) -> (Vec<f64>, Vec<f64>);

/// `jvp`, `vjp` and `linearize` of a function that is given on flat vectors.
pub(crate) fn check_first(name: &str, x: &[f64], value: Map, jvp: Map2, vjp: Map2, linear: &dyn Fn(&[f64], &[f64]) -> Vec<f64>) {
    let y = value(x);
    for seed in 0..2 {
        let v = direction(seed, x.len());
        let w = direction(seed + 5, y.len());
        let (y_forward, y_dot) = jvp(x, &v);
        let (y_reverse, x_bar) = vjp(x, &w);
        close(&format!("{name}: value of jvp"), &y_forward, &y, 1e-13);
        close(&format!("{name}: value of vjp"), &y_reverse, &y, 1e-13);
        close(&format!("{name}: jvp"), &y_dot, &slope(&|t| value(&moved(x, t, &v))), 1e-8);
        close(&format!("{name}: linearize"), &linear(x, &v), &y_dot, 1e-12);
        close(&format!("{name}: adjoint"), &[dot(&x_bar, &v)], &[dot(&w, &y_dot)], 1e-12);
    }
}

/// `value_and_grad`, `grad` and `hvp`.
pub(crate) fn check_second(
    name: &str,
    x: &[f64],
    value: Map,
    grad: Map,
    value_and_grad: &dyn Fn(&[f64]) -> (f64, Vec<f64>),
    hvp: &dyn Fn(&[f64], &[f64]) -> Vec<f64>,
) {
    let (y, g) = value_and_grad(x);
    close(&format!("{name}: value of value_and_grad"), &[y], &value(x), 1e-13);
    close(&format!("{name}: grad"), &grad(x), &g, 1e-12);
    let mut products = Vec::new();
    for seed in 0..2 {
        let v = direction(seed, x.len());
        close(&format!("{name}: gradient along"), &[dot(&g, &v)], &slope(&|t| value(&moved(x, t, &v))), 1e-8);
        let h = hvp(x, &v);
        close(&format!("{name}: hvp"), &h, &slope(&|t| grad(&moved(x, t, &v))), 1e-7);
        products.push((v, h));
    }
    let [(u, hu), (v, hv)] = &products[..] else { unreachable!("two directions") };
    close(&format!("{name}: symmetry of the Hessian"), &[dot(u, hv)], &[dot(v, hu)], 1e-11);
}

/// `check!(f(x, y; n))`: differentiated arguments are passed by reference, what follows the semicolon as it stands. `array f` for a result that is
/// not one number.
macro_rules! check {
    ($f:ident($a:expr $(; $($c:expr),*)?)) => { check!(@scalar $f ($($($c),*)?) [a a_dot $a]) };
    ($f:ident($a:expr, $b:expr $(; $($c:expr),*)?)) => { check!(@scalar $f ($($($c),*)?) [a a_dot $a] [b b_dot $b]) };
    (array $f:ident($a:expr $(; $($c:expr),*)?)) => { check!(@first $f ($($($c),*)?) [a a_dot $a] |y_bar| &y_bar) };
    (array $f:ident($a:expr, $b:expr $(; $($c:expr),*)?)) => { check!(@first $f ($($($c),*)?) [a a_dot $a] [b b_dot $b] |y_bar| &y_bar) };
    (array $f:ident($a:expr, $b:expr, $d:expr $(; $($c:expr),*)?)) => {
        check!(@first $f ($($($c),*)?) [a a_dot $a] [b b_dot $b] [d d_dot $d] |y_bar| &y_bar)
    };
    (@scalar $f:ident $data:tt $($variable:tt)+) => {{
        check!(@first $f $data $($variable)+ |y_bar| y_bar);
        check!(@second $f $data $($variable)+);
    }};
    (@first $f:ident ($($c:expr),*) $([$a:ident $a_dot:ident $x:expr])+ |$y_bar:ident| $passed:expr) => {{
        let point = ($($x,)+);
        check_first(
            stringify!($f),
            &flat(&point),
            &|x| { let ($($a,)+) = point.with_elements(x); flat(&$f($(&$a,)+ $($c),*)) },
            &|x, v| {
                let (($($a,)+), ($($a_dot,)+)) = (point.with_elements(x), point.with_elements(v));
                let (y, y_dot) = $f::jvp($(&$a,)+ $($c,)* $(&$a_dot),+);
                (flat(&y), flat(&y_dot))
            },
            &|x, w| {
                let ($($a,)+) = point.with_elements(x);
                let $y_bar = $f($(&$a,)+ $($c),*).with_elements(w);
                let (y, x_bar) = $f::vjp($(&$a,)+ $($c,)* $passed);
                (flat(&y), flat(&x_bar))
            },
            &|x, v| {
                let (($($a,)+), ($($a_dot,)+)) = (point.with_elements(x), point.with_elements(v));
                let linear = $f::linearize($(&$a,)+ $($c),*);
                let _ = linear($(&$a),+);
                flat(&linear($(&$a_dot),+))
            },
        );
    }};
    (@second $f:ident ($($c:expr),*) $([$a:ident $a_dot:ident $x:expr])+) => {{
        let point = ($($x,)+);
        check_second(
            stringify!($f),
            &flat(&point),
            &|x| { let ($($a,)+) = point.with_elements(x); vec![$f($(&$a,)+ $($c),*)] },
            &|x| { let ($($a,)+) = point.with_elements(x); flat(&$f::grad($(&$a,)+ $($c),*)) },
            &|x| { let ($($a,)+) = point.with_elements(x); let (y, g) = $f::value_and_grad($(&$a,)+ $($c),*); (y, flat(&g)) },
            &|x, v| {
                let (($($a,)+), ($($a_dot,)+)) = (point.with_elements(x), point.with_elements(v));
                flat(&$f::hvp($(&$a,)+ $($c,)* $(&$a_dot),+))
            },
        )
    }};
}

pub(crate) use check;
