//! Derivatives where there is none: the documented conventions at kinks, no NaN from shielded points, and accuracy far out.

use bilevel_compiler::derive::{grad, hvp, jvp, vjp};
use bilevel_compiler::ir::eval::Tensor;
use bilevel_compiler::ir::{Builder, Dim, Elem, Elementwise, Func, Note, Reduce, Type, ValueId};
use bilevel_compiler::testing::check::run;

/// A function of scalars.
fn scalar_function(n_params: usize, stmts: impl Fn(&mut Builder, &[ValueId]) -> ValueId) -> Func {
    let mut b = Builder::new("f");
    let params: Vec<ValueId> = (0..n_params).map(|_| b.param(Type::scalar(Elem::F64), Note::default())).collect();
    let y = stmts(&mut b, &params);
    b.finish(vec![y])
}

fn scalars(x: &[f64]) -> Vec<Tensor> {
    x.iter().map(|&x| Tensor::f64(x)).collect()
}

/// The partial derivatives of an operation, forwards and backwards.
fn partials(op: Elementwise, point: &[f64]) -> Vec<f64> {
    let f = scalar_function(point.len(), |b, p| b.map(op, p));
    let wrt: Vec<usize> = (0..point.len()).collect();
    let gradient = run(&grad(&f, &wrt).unwrap(), &scalars(point)).split_off(1);
    let forward = jvp(&f, &wrt).unwrap();
    for (k, partial) in gradient.iter().enumerate() {
        let mut dots = vec![0.0; point.len()];
        dots[k] = 1.0;
        let tangent = run(&forward, &scalars(&[point, &dots].concat())).remove(1);
        assert_eq!(&tangent, partial, "{op:?} at {point:?}");
    }
    gradient.iter().map(|t| t.as_f64()[0]).collect()
}

#[test]
fn conventions() {
    use Elementwise as E;
    let table: &[(E, &[f64], &[f64])] = &[
        (E::Sqrt, &[0.0], &[0.0]),
        (E::Abs, &[0.0], &[0.0]),
        (E::Relu, &[0.0], &[0.0]),
        (E::Sign, &[0.0], &[0.0]),
        (E::Sign, &[2.0], &[0.0]),
        (E::Floor, &[3.0], &[0.0]),
        (E::StopGradient, &[1.5], &[0.0]),
        (E::Max, &[1.5, 1.5], &[0.5, 0.5]),
        (E::Min, &[1.5, 1.5], &[0.5, 0.5]),
        (E::Max, &[2.0, 1.0], &[1.0, 0.0]),
        (E::Max, &[1.0, 2.0], &[0.0, 1.0]),
        (E::Min, &[2.0, 1.0], &[0.0, 1.0]),
        (E::Min, &[1.0, 2.0], &[1.0, 0.0]),
        (E::Powf, &[0.0, 0.0], &[0.0, 0.0]),
        (E::Powf, &[0.0, 0.5], &[0.0, 0.0]),
        (E::Powf, &[0.0, 1.0], &[1.0, 0.0]),
        (E::Powf, &[0.0, 2.0], &[0.0, 0.0]),
        (E::Powf, &[-2.0, 3.0], &[12.0, 0.0]),
        (E::Powi(0), &[0.0], &[0.0]),
        (E::Powi(1), &[0.0], &[1.0]),
        (E::Powi(2), &[0.0], &[0.0]),
        (E::Asin, &[1.0], &[0.0]),
        (E::Asin, &[-1.0], &[0.0]),
        (E::Acos, &[1.0], &[0.0]),
        (E::Atan2, &[0.0, 0.0], &[0.0, 0.0]),
        // Poles.
        (E::Ln, &[0.0], &[0.0]),
        (E::Ln1p, &[-1.0], &[0.0]),
        (E::Div, &[1.0, 0.0], &[0.0, 0.0]),
        (E::Powi(-1), &[0.0], &[0.0]),
        (E::Powf, &[0.0, -1.0], &[0.0, 0.0]),
    ];
    for (op, point, expected) in table {
        let have: Vec<f64> = partials(*op, point).iter().map(|x| x + 0.0).collect();
        assert_eq!(&have, expected, "{op:?} at {point:?}");
    }
}

/// The second derivative of the square root at zero follows from the convention for the first: the derivative is not merely hidden.
#[test]
fn second_derivatives_at_kinks_are_finite() {
    use Elementwise as E;
    for op in [E::Sqrt, E::Abs, E::Relu, E::Ln, E::Powi(-1), E::Powi(-2)] {
        let f = scalar_function(1, |b, p| b.map(op, p));
        let second = run(&hvp(&f, &[0]).unwrap(), &scalars(&[0.0, 1.0]));
        assert_eq!(second[0].as_f64()[0], 0.0, "{op:?}");
    }
    let f = scalar_function(1, |b, p| b.map(E::Powi(2), p));
    assert_eq!(run(&hvp(&f, &[0]).unwrap(), &scalars(&[0.0, 1.0]))[0].as_f64(), [2.0]);
    let f = scalar_function(2, |b, p| b.map(E::Powf, p));
    assert_eq!(run(&hvp(&f, &[0]).unwrap(), &scalars(&[0.0, 2.0, 1.0]))[0].as_f64(), [2.0]);
}

#[test]
fn ties_of_reductions_share() {
    let x = Tensor::f64s(&[2, 3], vec![1.0, 3.0, 3.0, 2.0, 2.0, 2.0]);
    let cases = [
        (Reduce::Max { axes: vec![1] }, vec![0.0, 0.5, 0.5, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]),
        (Reduce::Min { axes: vec![1] }, vec![1.0, 0.0, 0.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0]),
        (Reduce::Max { axes: vec![0, 1] }, vec![0.0, 0.5, 0.5, 0.0, 0.0, 0.0]),
    ];
    for (op, expected) in cases {
        let mut b = Builder::new("f");
        let p = b.param(Type::tensor(Elem::F64, [Dim::Const(2), Dim::Const(3)]), Note::default());
        let y = b.op(op.clone(), &[p]);
        let f = b.finish(vec![y]);
        let ones = run(&f, std::slice::from_ref(&x)).iter().map(|y| Tensor::f64s(&y.shape, vec![1.0; y.data.len()])).next().unwrap();
        let out = run(&vjp(&f, &[0]).unwrap(), &[x.clone(), ones]);
        assert_eq!(out[1].as_f64(), expected, "{op:?}");
    }
}

/// `select(inside, op(x, y), x x + y y)` where `inside` is false: the derivatives of the other branch, whatever `op` is there.
#[test]
fn a_select_shields_what_it_does_not_take() {
    use Elementwise as E;
    let cases: &[(E, &[&[f64]])] = &[
        (E::Ln, &[&[0.0], &[-1.0]]),
        (E::Ln1p, &[&[-1.0], &[-2.0]]),
        (E::Sqrt, &[&[0.0], &[-1.0]]),
        (E::Asin, &[&[1.0], &[-1.0], &[2.0], &[-2.0]]),
        (E::Acos, &[&[1.0], &[-1.0], &[2.0], &[-2.0]]),
        (E::Powi(-1), &[&[0.0]]),
        (E::Powi(-3), &[&[0.0]]),
        (E::Div, &[&[0.0, 0.0], &[1.0, 0.0], &[-1.0, -0.0]]),
        (E::Powf, &[&[0.0, -1.0], &[0.0, 0.0], &[0.0, 0.5], &[-1.0, 0.5]]),
        (E::Atan2, &[&[0.0, 0.0]]),
    ];
    for (op, points) in cases {
        for point in *points {
            let n = point.len();
            let f = scalar_function(n, |b, p| {
                let never = b.map(E::Lt, &[p[0], p[0]]);
                let value = b.map(*op, p);
                let squares: Vec<ValueId> = p.iter().map(|&x| b.mul(x, x)).collect();
                let other = squares.into_iter().reduce(|s, t| b.add(s, t)).unwrap();
                b.select(never, value, other)
            });
            let wrt: Vec<usize> = (0..n).collect();
            let expected = scalars(&point.iter().map(|x| 2.0 * x).collect::<Vec<_>>());
            let gradient = run(&grad(&f, &wrt).unwrap(), &scalars(point)).split_off(1);
            assert_eq!(gradient, expected, "gradient around {op:?} at {point:?}");
            let v: Vec<f64> = (0..n).map(|k| 1.0 + k as f64).collect();
            let twice = scalars(&v.iter().map(|v| 2.0 * v).collect::<Vec<_>>());
            let args = scalars(&[*point, &v].concat());
            assert_eq!(run(&hvp(&f, &wrt).unwrap(), &args), twice, "hvp around {op:?} at {point:?}");
            // Reverse over reverse meets the shields with zero cotangents.
            let over_reverse = vjp(&grad(&f, &wrt).unwrap(), &wrt).unwrap();
            let args = scalars(&[*point, &[0.0], &v].concat());
            assert_eq!(run(&over_reverse, &args).split_off(1 + n), twice, "reverse over reverse around {op:?} at {point:?}");
            let over_forward = vjp(&jvp(&f, &wrt).unwrap(), &wrt).unwrap();
            let args = scalars(&[*point, &v, &[0.0, 1.0]].concat());
            assert_eq!(run(&over_forward, &args).split_off(2), twice, "reverse over forward around {op:?} at {point:?}");
        }
    }
}

/// An element of -inf has no weight. A row of nothing else has no derivative, which shows as NaN and never as a number.
#[test]
fn log_sum_exp_of_impossible_cases() {
    let mut b = Builder::new("f");
    let x = b.param(Type::tensor(Elem::F64, [Dim::Const(2), Dim::Const(2)]), Note::default());
    let y = b.op(Reduce::LogSumExp { axes: vec![1] }, &[x]);
    let f = b.finish(vec![y]);
    let inf = f64::NEG_INFINITY;
    let point = Tensor::f64s(&[2, 2], vec![inf, inf, inf, 1.0]);
    let bars = Tensor::f64s(&[2], vec![1.0, 1.0]);
    let reverse = vjp(&f, &[0]).unwrap();
    let out = run(&reverse, &[point.clone(), bars.clone()]);
    assert_eq!(out[1].as_f64()[2..], [0.0, 1.0]);
    assert!(out[1].as_f64()[..2].iter().all(|x| x.is_nan()));
    let second = jvp(&reverse, &[0]).unwrap();
    let out = run(&second, &[point, bars, Tensor::f64s(&[2, 2], vec![1.0; 4])]);
    assert_eq!(out[3].as_f64()[2..], [0.0; 2]);
}

/// First and second derivatives where the function itself has run out of digits.
#[test]
fn far_out() {
    use Elementwise as E;
    let second = |op: E, x: f64| {
        let f = scalar_function(1, |b, p| b.map(op, p));
        run(&hvp(&f, &[0]).unwrap(), &scalars(&[x, 1.0]))[0].as_f64()[0]
    };
    let relative = |have: f64, want: f64| assert!((have - want).abs() <= 1e-14 * want.abs(), "{have:e} instead of {want:e}");
    for x in [40.0, 200.0, -40.0, -200.0] {
        relative(partials(E::Sigmoid, &[x])[0], (-x.abs()).exp());
        relative(second(E::Sigmoid, x), -x.signum() * (-x.abs()).exp());
        relative(second(E::Softplus, x), (-x.abs()).exp());
    }
    relative(partials(E::ExpM1, &[-50.0])[0], (-50f64).exp());
    relative(partials(E::Softplus, &[-50.0])[0], (-50f64).exp());
    for x in [-800.0, 800.0] {
        for op in [E::Tanh, E::Sigmoid, E::Softplus, E::Atan] {
            assert!(partials(op, &[x])[0].is_finite() && second(op, x).is_finite(), "{op:?} at {x}");
        }
        assert_eq!((partials(E::Tanh, &[x])[0], second(E::Tanh, x)), (0.0, 0.0));
    }
    // The absolute error of the derivative of tanh is that of tanh.
    for k in 0..400 {
        let x = 0.1 * f64::from(k) - 20.0;
        let exact = 4.0 * (-2.0 * x.abs()).exp() / (1.0 + (-2.0 * x.abs()).exp()).powi(2);
        assert!((partials(E::Tanh, &[x])[0] - exact).abs() <= 3e-16, "{x}");
    }
}
