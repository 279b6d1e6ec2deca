//! Reference evaluation of the element-wise family.
//!
//! It stands beside `elementwise.rs` only for that file's length. Floats follow Rust's functions of the same name; where an operation is not a
//! function of Rust's, the formula here is its definition.

use crate::ir::eval::{Data, EvalError, Tensor, ill_formed};
use crate::ir::{Elem, Elementwise};

/// The functions that `f64` and `f32` share, so that one definition serves both.
trait Real: Copy + PartialOrd + Into<f64> {
    fn unary(op: Elementwise, x: Self) -> Option<Self>;
    fn binary(op: Elementwise, x: Self, y: Self) -> Option<Self>;
    fn wrap(data: Vec<Self>) -> Data;
}

macro_rules! real {
    ($float:ty, $variant:ident) => {
        impl Real for $float {
            fn unary(op: Elementwise, x: $float) -> Option<$float> {
                use Elementwise as E;
                Some(match op {
                    E::Neg => -x,
                    E::Exp => x.exp(),
                    E::ExpM1 => x.exp_m1(),
                    E::Ln => x.ln(),
                    E::Ln1p => x.ln_1p(),
                    E::Sqrt => x.sqrt(),
                    E::Sin => x.sin(),
                    E::Cos => x.cos(),
                    E::Tan => x.tan(),
                    E::Asin => x.asin(),
                    E::Acos => x.acos(),
                    E::Atan => x.atan(),
                    E::Sinh => x.sinh(),
                    E::Cosh => x.cosh(),
                    E::Tanh => x.tanh(),
                    // Written so that the exponential never overflows.
                    E::Sigmoid if x < 0.0 => x.exp() / (1.0 + x.exp()),
                    E::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                    E::Softplus if x > 0.0 => x + (-x).exp().ln_1p(),
                    E::Softplus => x.exp().ln_1p(),
                    E::Erf => erf(f64::from(x)) as $float,
                    E::Abs => x.abs(),
                    E::Sign if x > 0.0 => 1.0,
                    E::Sign if x < 0.0 => -1.0,
                    E::Sign if x == 0.0 => 0.0,
                    // A NaN stays one.
                    E::Sign => x,
                    E::Relu if x < 0.0 => 0.0,
                    E::Relu => x,
                    E::Floor => x.floor(),
                    E::StopGradient => x,
                    E::Powi(n) => x.powi(n),
                    E::Add
                    | E::Sub
                    | E::Mul
                    | E::Div
                    | E::Rem
                    | E::Powf
                    | E::Atan2
                    | E::Max
                    | E::Min
                    | E::Lt
                    | E::Le
                    | E::Eq
                    | E::Ne
                    | E::And
                    | E::Or
                    | E::Not
                    | E::Select
                    | E::Cast(_) => return None,
                })
            }

            fn binary(op: Elementwise, x: $float, y: $float) -> Option<$float> {
                use Elementwise as E;
                Some(match op {
                    E::Add => x + y,
                    E::Sub => x - y,
                    E::Mul => x * y,
                    E::Div => x / y,
                    E::Powf => x.powf(y),
                    E::Atan2 => x.atan2(y),
                    E::Rem => x % y,
                    E::Max => x.max(y),
                    E::Min => x.min(y),
                    E::Neg
                    | E::Exp
                    | E::ExpM1
                    | E::Ln
                    | E::Ln1p
                    | E::Sqrt
                    | E::Sin
                    | E::Cos
                    | E::Tan
                    | E::Asin
                    | E::Acos
                    | E::Atan
                    | E::Sinh
                    | E::Cosh
                    | E::Tanh
                    | E::Sigmoid
                    | E::Softplus
                    | E::Erf
                    | E::Abs
                    | E::Sign
                    | E::Relu
                    | E::Floor
                    | E::StopGradient
                    | E::Powi(_)
                    | E::Lt
                    | E::Le
                    | E::Eq
                    | E::Ne
                    | E::And
                    | E::Or
                    | E::Not
                    | E::Select
                    | E::Cast(_) => return None,
                })
            }

            fn wrap(data: Vec<$float>) -> Data {
                Data::$variant(data)
            }
        }
    };
}
real!(f64, F64);
real!(f32, F32);

impl Elementwise {
    /// The operation on each element.
    pub(super) fn eval(self, args: &[&Tensor]) -> Result<Tensor, EvalError> {
        if args.len() != self.arity() {
            return ill_formed(format!("{self:?} of {} operands", args.len()));
        }
        let data = match (self, args) {
            (Elementwise::Select, [c, x, y]) => return select(c, x, y),
            (Elementwise::Cast(to), [x]) => cast(&x.data, to)?,
            (_, [x]) => self.eval_unary(&x.data)?,
            (_, [x, y]) => self.eval_binary(&x.data, &y.data)?,
            (_, _) => return ill_formed(format!("{self:?} of {} operands", args.len())),
        };
        Ok(Tensor { shape: args[0].shape.clone(), data })
    }

    fn eval_unary(self, x: &Data) -> Result<Data, EvalError> {
        match x {
            Data::F64(x) => self.real_unary(x),
            Data::F32(x) => self.real_unary(x),
            Data::Int(elem, x) => {
                let y = x.iter().map(|&x| self.int_unary(*elem, x));
                Ok(Data::Int(*elem, y.collect::<Result<_, _>>()?))
            }
            Data::Bool(x) if self == Elementwise::Not => Ok(Data::Bool(x.iter().map(|b| !b).collect())),
            Data::Bool(_) => self.unfit(Elem::Bool),
        }
    }

    fn real_unary<T: Real>(self, x: &[T]) -> Result<Data, EvalError> {
        match x.iter().map(|&x| T::unary(self, x)).collect() {
            Some(y) => Ok(T::wrap(y)),
            None => self.unfit(Elem::F64),
        }
    }

    fn eval_binary(self, x: &Data, y: &Data) -> Result<Data, EvalError> {
        match (x, y) {
            (Data::F64(x), Data::F64(y)) => self.real_binary(x, y),
            (Data::F32(x), Data::F32(y)) => self.real_binary(x, y),
            (Data::Int(elem, x), Data::Int(other, y)) if elem == other => match self.compare(x, y) {
                Some(data) => Ok(data),
                None => {
                    let z = x.iter().zip(y).map(|(&x, &y)| self.int_binary(*elem, x, y));
                    Ok(Data::Int(*elem, z.collect::<Result<_, _>>()?))
                }
            },
            (Data::Bool(x), Data::Bool(y)) => {
                let z = x.iter().zip(y).map(|(&x, &y)| self.bool_binary(x, y));
                Ok(Data::Bool(z.collect::<Result<_, _>>()?))
            }
            (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => ill_formed("operands of different types"),
        }
    }

    fn real_binary<T: Real>(self, x: &[T], y: &[T]) -> Result<Data, EvalError> {
        if let Some(data) = self.compare(x, y) {
            return Ok(data);
        }
        match x.iter().zip(y).map(|(&x, &y)| T::binary(self, x, y)).collect() {
            Some(z) => Ok(T::wrap(z)),
            None => self.unfit(Elem::F64),
        }
    }

    fn compare<T: PartialOrd + Copy>(self, x: &[T], y: &[T]) -> Option<Data> {
        use Elementwise as E;
        let holds: fn(T, T) -> bool = match self {
            E::Lt => |x, y| x < y,
            E::Le => |x, y| x <= y,
            E::Eq => |x, y| x == y,
            E::Ne => |x, y| x != y,
            E::Neg
            | E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Abs
            | E::Sign
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Powi(_)
            | E::Add
            | E::Sub
            | E::Mul
            | E::Div
            | E::Rem
            | E::Powf
            | E::Atan2
            | E::Max
            | E::Min
            | E::And
            | E::Or
            | E::Not
            | E::Select
            | E::Cast(_) => return None,
        };
        Some(Data::Bool(x.iter().zip(y).map(|(&x, &y)| holds(x, y)).collect()))
    }

    /// Integer arithmetic as in Rust's debug builds.
    fn int_unary(self, elem: Elem, x: i64) -> Result<i64, EvalError> {
        use Elementwise as E;
        match self {
            E::Neg => in_range(elem, x.checked_neg()),
            E::Abs => in_range(elem, x.checked_abs()),
            E::Sign => Ok(x.signum()),
            E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Powi(_)
            | E::Add
            | E::Sub
            | E::Mul
            | E::Div
            | E::Rem
            | E::Powf
            | E::Atan2
            | E::Max
            | E::Min
            | E::Lt
            | E::Le
            | E::Eq
            | E::Ne
            | E::And
            | E::Or
            | E::Not
            | E::Select
            | E::Cast(_) => self.unfit(elem),
        }
    }

    /// Integer arithmetic as in Rust's debug builds; comparisons have been dealt with.
    fn int_binary(self, elem: Elem, x: i64, y: i64) -> Result<i64, EvalError> {
        use Elementwise as E;
        match self {
            E::Add => in_range(elem, x.checked_add(y)),
            E::Sub => in_range(elem, x.checked_sub(y)),
            E::Mul => in_range(elem, x.checked_mul(y)),
            E::Div => in_range(elem, x.checked_div(y)),
            E::Rem => in_range(elem, x.checked_rem(y)),
            E::Max => Ok(x.max(y)),
            E::Min => Ok(x.min(y)),
            E::Neg
            | E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Abs
            | E::Sign
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Powi(_)
            | E::Powf
            | E::Atan2
            | E::Lt
            | E::Le
            | E::Eq
            | E::Ne
            | E::And
            | E::Or
            | E::Not
            | E::Select
            | E::Cast(_) => self.unfit(elem),
        }
    }

    fn bool_binary(self, x: bool, y: bool) -> Result<bool, EvalError> {
        use Elementwise as E;
        match self {
            E::And => Ok(x & y),
            E::Or => Ok(x | y),
            E::Eq => Ok(x == y),
            E::Ne => Ok(x != y),
            E::Neg
            | E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Abs
            | E::Sign
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Powi(_)
            | E::Add
            | E::Sub
            | E::Mul
            | E::Div
            | E::Rem
            | E::Powf
            | E::Atan2
            | E::Max
            | E::Min
            | E::Lt
            | E::Le
            | E::Not
            | E::Select
            | E::Cast(_) => self.unfit(Elem::Bool),
        }
    }

    fn unfit<T>(self, elem: Elem) -> Result<T, EvalError> {
        ill_formed(format!("{self:?} of {elem}"))
    }
}

/// An integer result, unless Rust's debug builds would refuse it.
fn in_range(elem: Elem, x: Option<i64>) -> Result<i64, EvalError> {
    match x {
        Some(x) if elem != Elem::Usize || x >= 0 => Ok(x),
        Some(_) | None => Err(EvalError::Arithmetic(format!("{elem} arithmetic leaves the range of its type or divides by zero"))),
    }
}

fn select(c: &Tensor, x: &Tensor, y: &Tensor) -> Result<Tensor, EvalError> {
    fn pick<T: Copy>(c: &[bool], x: &[T], y: &[T]) -> Vec<T> {
        c.iter().zip(x.iter().zip(y)).map(|(&c, (&x, &y))| if c { x } else { y }).collect()
    }
    let Data::Bool(c) = &c.data else { return ill_formed("the condition of a select is bool") };
    let data = match (&x.data, &y.data) {
        (Data::F64(x), Data::F64(y)) => Data::F64(pick(c, x, y)),
        (Data::F32(x), Data::F32(y)) => Data::F32(pick(c, x, y)),
        (Data::Int(elem, x), Data::Int(other, y)) if elem == other => Data::Int(*elem, pick(c, x, y)),
        (Data::Bool(x), Data::Bool(y)) => Data::Bool(pick(c, x, y)),
        (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => return ill_formed("operands of different types"),
    };
    Ok(Tensor { shape: x.shape.clone(), data })
}

/// Conversion as Rust's `as`; to `bool`, which `as` does not do, it is `x != 0`.
fn cast(x: &Data, to: Elem) -> Result<Data, EvalError> {
    Ok(match (x, to) {
        (Data::F64(x), Elem::F64) => Data::F64(x.clone()),
        (Data::F64(x), Elem::F32) => Data::F32(x.iter().map(|&x| x as f32).collect()),
        (Data::F64(x), Elem::Usize | Elem::I64) => float_to_int(x, to)?,
        (Data::F64(x), Elem::Bool) => Data::Bool(x.iter().map(|&x| x != 0.0).collect()),
        (Data::F32(x), Elem::F64) => Data::F64(x.iter().map(|&x| f64::from(x)).collect()),
        (Data::F32(x), Elem::F32) => Data::F32(x.clone()),
        (Data::F32(x), Elem::Usize | Elem::I64) => float_to_int(x, to)?,
        (Data::F32(x), Elem::Bool) => Data::Bool(x.iter().map(|&x| x != 0.0).collect()),
        (Data::Int(_, x), Elem::F64) => Data::F64(x.iter().map(|&i| i as f64).collect()),
        (Data::Int(_, x), Elem::F32) => Data::F32(x.iter().map(|&i| i as f32).collect()),
        (Data::Int(_, x), Elem::Usize | Elem::I64) => Data::Int(to, x.iter().map(|&i| in_range(to, Some(i))).collect::<Result<_, _>>()?),
        (Data::Int(_, x), Elem::Bool) => Data::Bool(x.iter().map(|&i| i != 0).collect()),
        (Data::Bool(x), Elem::F64) => Data::F64(x.iter().map(|&b| f64::from(u8::from(b))).collect()),
        (Data::Bool(x), Elem::F32) => Data::F32(x.iter().map(|&b| f32::from(u8::from(b))).collect()),
        (Data::Bool(x), Elem::Usize | Elem::I64) => Data::Int(to, x.iter().map(|&b| i64::from(b)).collect()),
        (Data::Bool(x), Elem::Bool) => Data::Bool(x.clone()),
        (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), Elem::Generic(_)) => return ill_formed("a type parameter"),
    })
}

/// Rust's `as` from a float: towards zero, saturating, NaN to zero. A `usize` that the evaluator's 64-bit integers cannot hold is an error.
fn float_to_int<T: Real>(x: &[T], to: Elem) -> Result<Data, EvalError> {
    let convert = |x: f64| match to {
        Elem::Usize => i64::try_from(x as u64).or_else(|_| in_range(to, None)),
        Elem::I64 | Elem::F64 | Elem::F32 | Elem::Bool | Elem::Generic(_) => Ok(x as i64),
    };
    Ok(Data::Int(to, x.iter().map(|&x| convert(x.into())).collect::<Result<_, _>>()?))
}

/// The error function: near zero its series of positive terms, further out one minus a continued fraction.
fn erf(x: f64) -> f64 {
    use std::f64::consts::FRAC_2_SQRT_PI;
    let z = x.abs();
    let power = FRAC_2_SQRT_PI * (-z * z).exp();
    let value = if z < 2.0 {
        let (mut sum, mut term, mut n) = (z, z, 0.0);
        while term > 1e-18 * sum {
            n += 1.0;
            term *= 2.0 * z * z / (2.0 * n + 1.0);
            sum += term;
        }
        sum * power
    } else if z < 30.0 {
        // From the inside outwards: `1 / (z + (1/2) / (z + (2/2) / (z + …)))`.
        let fraction = (1..=80).rev().fold(z, |below, k| z + 0.5 * f64::from(k) / below);
        1.0 - 0.5 * power / fraction
    } else {
        // One, or a NaN as it came.
        if z.is_nan() { z } else { 1.0 }
    };
    value.copysign(x)
}
