//! Element-wise operations: each result element depends on the elements at the same place.

use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Elem, Elementwise, Literal, Type, ValueId};

/// Type rule of literals.
pub(super) fn infer_const(elem: Elem, literal: Literal, types: &[&Type]) -> Result<Type, TypeError> {
    let [] = exactly(types)?;
    let fits = match literal {
        Literal::Float(_) => elem.is_float(),
        Literal::Widths(..) => matches!(elem, Elem::Generic(_)),
        Literal::Int(i) => elem == Elem::I64 || (elem == Elem::Usize && i >= 0),
        Literal::Bool(_) => elem == Elem::Bool,
    };
    if fits { Ok(Type::scalar(elem)) } else { mismatch(format!("{literal:?} is not a value of {elem}")) }
}

impl Elementwise {
    /// Type rule: operands have one shape; see the operation for the element types.
    pub(super) fn infer(self, types: &[&Type]) -> Result<Type, TypeError> {
        use Elementwise as E;
        if types.len() != self.arity() {
            return mismatch(format!("takes {} operands, not {}", self.arity(), types.len()));
        }
        let first = types[0];
        if let Some(other) = types.iter().find(|t| t.dims != first.dims) {
            return mismatch(format!("operands have different shapes: {:?} and {:?}", first.dims, other.dims));
        }
        let all = |ok: fn(Elem) -> bool, what: &str| -> Result<Elem, TypeError> {
            match types.iter().find(|t| !ok(t.elem) || t.elem != first.elem) {
                None => Ok(first.elem),
                Some(t) => mismatch(format!("operands must all be {what}, of one type; found {} and {}", first.elem, t.elem)),
            }
        };
        let elem = match self {
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
            | E::Powf
            | E::Atan2 => all(Elem::is_float, "floats")?,
            E::Neg | E::Abs | E::Sign | E::Add | E::Sub | E::Mul | E::Div | E::Rem | E::Max | E::Min => {
                all(|e| e != Elem::Bool, "numbers")?
            }
            E::Lt | E::Le => {
                all(|e| e != Elem::Bool, "numbers")?;
                Elem::Bool
            }
            E::Eq | E::Ne => {
                all(|_| true, "comparable")?;
                Elem::Bool
            }
            E::And | E::Or | E::Not => all(|e| e == Elem::Bool, "bool")?,
            E::Select => {
                if first.elem != Elem::Bool || types[1].elem != types[2].elem {
                    return mismatch("takes a bool and two operands of one type");
                }
                types[1].elem
            }
            E::Cast(to) => to,
        };
        Ok(first.with_elem(elem))
    }

    /// Linear rule: `sum over the operands of (partial derivative) * (tangent)`.
    ///
    /// At a kink the convention stands at the operation. Where a partial derivative has a pole, or the function leaves its domain, the
    /// derivative is taken as zero, and no intermediate value is infinite or NaN on the way: a `Select` that shields such a point then has
    /// finite derivatives of every order, although the rule multiplies a zero cotangent by the coefficient of the shielded branch.
    pub(super) fn jvp(self, b: &mut Builder, args: &[ValueId], out: ValueId, dots: &[Option<ValueId>]) -> Option<ValueId> {
        use Elementwise as E;
        let x = args[0];
        match self {
            E::Neg => dots[0].map(|dot| b.neg(dot)),
            E::Add => sum_of(b, dots[0], dots[1]),
            E::Sub => match (dots[0], dots[1]) {
                (Some(p), Some(q)) => Some(b.sub(p, q)),
                (Some(p), None) => Some(p),
                (None, q) => q.map(|q| b.neg(q)),
            },
            E::Mul => {
                let p = dots[0].map(|dot| b.mul(args[1], dot));
                let q = dots[1].map(|dot| b.mul(x, dot));
                sum_of(b, p, q)
            }
            E::Div => {
                // (p - (x / y) q) / y, with both quotients through one shielded reciprocal.
                let r = shielded_reciprocal(b, args[1]);
                let q = dots[1].map(|dot| {
                    let quotient = b.mul(x, r);
                    b.mul(quotient, dot)
                });
                let numerator = match (dots[0], q) {
                    (Some(p), Some(q)) => b.sub(p, q),
                    (Some(p), None) => p,
                    (None, q) => {
                        let q = q?;
                        b.neg(q)
                    }
                };
                Some(b.mul(r, numerator))
            }
            E::Rem => {
                // x - whole * y, where the whole number of times that y goes into x is constant.
                let q = dots[1].map(|dot| {
                    let whole = whole_quotient(b, x, args[1], out);
                    b.mul(whole, dot)
                });
                match (dots[0], q) {
                    (Some(p), Some(q)) => Some(b.sub(p, q)),
                    (Some(p), None) => Some(p),
                    (None, q) => q.map(|q| b.neg(q)),
                }
            }
            E::Powf => {
                let p = dots[0].map(|dot| {
                    let c = powf_by_base(b, x, args[1], out);
                    b.mul(c, dot)
                });
                let q = dots[1].map(|dot| {
                    let c = powf_by_exponent(b, x, out);
                    b.mul(c, dot)
                });
                sum_of(b, p, q)
            }
            E::Atan2 => {
                let (y, x) = (x, args[1]);
                let (xx, yy) = (b.mul(x, x), b.mul(y, y));
                let square = b.add(xx, yy);
                let r = shielded_reciprocal(b, square);
                let p = dots[0].map(|dot| {
                    let c = b.mul(x, r);
                    b.mul(c, dot)
                });
                let q = dots[1].map(|dot| {
                    let c = b.mul(y, r);
                    let c = b.neg(c);
                    b.mul(c, dot)
                });
                sum_of(b, p, q)
            }
            E::Max | E::Min => {
                // Weight of the first operand: one, a half at a tie, or zero.
                let (one, half, zero) = (b.constant_like(x, 1.0), b.constant_like(x, 0.5), b.constant_like(x, 0.0));
                let wins = if self == E::Max { b.map(E::Lt, &[args[1], x]) } else { b.map(E::Lt, &[x, args[1]]) };
                let ties = b.map(E::Eq, &[x, args[1]]);
                let weight = b.select(wins, one, zero);
                let weight = b.select(ties, half, weight);
                let p = dots[0].map(|dot| b.mul(weight, dot));
                let q = dots[1].map(|dot| {
                    let rest = b.sub(one, weight);
                    b.mul(rest, dot)
                });
                sum_of(b, p, q)
            }
            E::Select => {
                if dots[1].is_none() && dots[2].is_none() {
                    return None;
                }
                let ty = b.ty(out).clone();
                let p = dots[1].unwrap_or_else(|| b.zeros(&ty));
                let q = dots[2].unwrap_or_else(|| b.zeros(&ty));
                Some(b.select(x, p, q))
            }
            E::Cast(_) => dots[0].map(|dot| b.map(self, &[dot])),
            E::Relu => {
                let dot = dots[0]?;
                let zero = b.constant_like(x, 0.0);
                let positive = b.map(E::Lt, &[zero, x]);
                Some(b.select(positive, dot, zero))
            }
            E::Powi(1) => dots[0],
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
            | E::Abs
            | E::Powi(_) => {
                let dot = dots[0]?;
                let c = self.derivative(b, x, out)?;
                Some(b.mul(c, dot))
            }
            E::Sign | E::Floor | E::StopGradient | E::Lt | E::Le | E::Eq | E::Ne | E::And | E::Or | E::Not => None,
        }
    }

    /// Whether the derivative is zero wherever it exists, so that no tangent passes.
    pub(super) fn is_flat(self) -> bool {
        use Elementwise as E;
        match self {
            E::Sign | E::Floor | E::StopGradient | E::Powi(0) | E::Lt | E::Le | E::Eq | E::Ne | E::And | E::Or | E::Not => true,
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
            | E::Relu
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
            | E::Select
            | E::Cast(_) => false,
        }
    }

    /// The derivative of a function of one number, as statements of `x` and of its value `y`. `None` where it is identically zero.
    fn derivative(self, b: &mut Builder, x: ValueId, y: ValueId) -> Option<ValueId> {
        use Elementwise as E;
        Some(match self {
            E::Exp => y,
            // Not `y + 1`, which has no correct digits left where `y` is close to -1.
            E::ExpM1 => b.map(E::Exp, &[x]),
            E::Ln => shielded_reciprocal(b, x),
            E::Ln1p => {
                let one = b.constant_like(x, 1.0);
                let s = b.add(one, x);
                shielded_reciprocal(b, s)
            }
            E::Sqrt => {
                let zero = b.constant_like(x, 0.0);
                let outside = b.map(E::Le, &[x, zero]);
                let root = b.select(outside, zero, y);
                let r = shielded_reciprocal(b, root);
                b.scale(r, 0.5)
            }
            E::Sin => b.map(E::Cos, &[x]),
            E::Cos => {
                let s = b.map(E::Sin, &[x]);
                b.neg(s)
            }
            E::Tan => {
                let one = b.constant_like(x, 1.0);
                let square = b.mul(y, y);
                b.add(one, square)
            }
            E::Asin => arc_derivative(b, x),
            E::Acos => {
                let c = arc_derivative(b, x);
                b.neg(c)
            }
            E::Atan => {
                let one = b.constant_like(x, 1.0);
                let square = b.mul(x, x);
                let s = b.add(one, square);
                b.map(E::Powi(-1), &[s])
            }
            E::Sinh => b.map(E::Cosh, &[x]),
            E::Cosh => b.map(E::Sinh, &[x]),
            // 1/cosh² would be `0 * inf` in the second derivative from |x| = 710 on. This form never overflows and costs one product; its absolute
            // error is that of `y` itself, 2^-53, and it is exactly zero where `y` is exactly one.
            E::Tanh => {
                let one = b.constant_like(x, 1.0);
                let square = b.mul(y, y);
                b.sub(one, square)
            }
            // `y * (1 - y)` has no correct digits left for large `x`; sigmoid(-x) is 1 - y to full relative accuracy.
            E::Sigmoid => {
                let minus = b.neg(x);
                let rest = b.map(E::Sigmoid, &[minus]);
                b.mul(y, rest)
            }
            E::Softplus => b.map(E::Sigmoid, &[x]),
            E::Erf => {
                let square = b.mul(x, x);
                let minus = b.neg(square);
                let power = b.map(E::Exp, &[minus]);
                let share = std::f64::consts::FRAC_2_SQRT_PI;
                b.scale(power, if b.ty(x).elem == Elem::F32 { f64::from(share as f32) } else { share })
            }
            E::Abs => b.map(E::Sign, &[x]),
            E::Powi(0) => return None,
            E::Powi(n) => {
                let power = powi_below(b, x, n);
                let power = if n < 0 { zero_at_zero(b, x, power) } else { power };
                scale_by_integer(b, power, n)
            }
            E::Neg
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Sign
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
            | E::Cast(_) => unreachable!("{self:?} has a linear rule of its own"),
        })
    }

    /// Transpose rule.
    pub(super) fn transpose(self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        use Elementwise as E;
        match (self, args) {
            (E::Neg, [Operand::Linear(_)]) => vec![Some(b.neg(bar))],
            (E::Add, [p, q]) => vec![p.is_linear().then_some(bar), q.is_linear().then_some(bar)],
            (E::Sub, [p, q]) => vec![p.is_linear().then_some(bar), q.is_linear().then(|| b.neg(bar))],
            (E::Mul, [Operand::Linear(_), Operand::Known(c)]) => vec![Some(b.mul(*c, bar)), None],
            (E::Mul, [Operand::Known(c), Operand::Linear(_)]) => vec![None, Some(b.mul(*c, bar))],
            (E::Div, [Operand::Linear(_), Operand::Known(c)]) => vec![Some(b.div(bar, *c)), None],
            (E::Select, [Operand::Known(c), p, q]) => {
                let ty = b.ty(bar).clone();
                let p = p.is_linear().then(|| {
                    let zero = b.zeros(&ty);
                    b.select(*c, bar, zero)
                });
                let q = q.is_linear().then(|| {
                    let zero = b.zeros(&ty);
                    b.select(*c, zero, bar)
                });
                vec![None, p, q]
            }
            (E::Cast(_), [Operand::Linear(ty)]) => vec![Some(b.map(E::Cast(ty.elem), &[bar]))],
            (
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
                | E::Eq
                | E::Ne
                | E::And
                | E::Or
                | E::Not
                | E::Select
                | E::Cast(_),
                _,
            ) => unreachable!("{self:?} is not linear in {args:?}"),
        }
    }
}

/// The sum of what is not zero.
fn sum_of(b: &mut Builder, p: Option<ValueId>, q: Option<ValueId>) -> Option<ValueId> {
    match (p, q) {
        (Some(p), Some(q)) => Some(b.add(p, q)),
        (p, q) => p.or(q),
    }
}

/// `1 / x`, and zero where `x` is zero. The derivative of `Powi(-1)` has the same shield, so that sharing makes them one.
pub(super) fn shielded_reciprocal(b: &mut Builder, x: ValueId) -> ValueId {
    let r = b.map(Elementwise::Powi(-1), &[x]);
    zero_at_zero(b, x, r)
}

/// `y`, and zero where `x` is zero. Shielding the result is enough, also for higher derivatives, for functions `y` of `x` whose own derivative has
/// this shield.
fn zero_at_zero(b: &mut Builder, x: ValueId, y: ValueId) -> ValueId {
    let zero = b.constant_like(x, 0.0);
    let pole = b.map(Elementwise::Eq, &[x, zero]);
    b.select(pole, zero, y)
}

/// `x` to the power `n - 1`.
fn powi_below(b: &mut Builder, x: ValueId, n: i32) -> ValueId {
    match n.checked_sub(1) {
        Some(1) => x,
        Some(below) => b.map(Elementwise::Powi(below), &[x]),
        None => {
            let power = b.map(Elementwise::Powi(n), &[x]);
            let r = b.map(Elementwise::Powi(-1), &[x]);
            b.mul(power, r)
        }
    }
}

/// `n * x`, with `n` rounded to the element type.
fn scale_by_integer(b: &mut Builder, x: ValueId, n: i32) -> ValueId {
    let factor = if b.ty(x).elem == Elem::F32 { f64::from(n as f32) } else { f64::from(n) };
    b.scale(x, factor)
}

/// `1 / sqrt(1 - x²)`, and zero from `|x| = 1` on. The product form keeps the digits near `|x| = 1`.
fn arc_derivative(b: &mut Builder, x: ValueId) -> ValueId {
    let one = b.constant_like(x, 1.0);
    let (p, q) = (b.sub(one, x), b.add(one, x));
    let square = b.mul(p, q);
    let inside = b.map(Elementwise::Relu, &[square]);
    let root = b.map(Elementwise::Sqrt, &[inside]);
    shielded_reciprocal(b, root)
}

/// How often `y` goes into `x`, given the rest: `(x - rest) / y`, which is a whole number up to rounding.
fn whole_quotient(b: &mut Builder, x: ValueId, y: ValueId, rest: ValueId) -> ValueId {
    let (r, multiple, half) = (shielded_reciprocal(b, y), b.sub(x, rest), b.constant_like(x, 0.5));
    let quotient = b.mul(multiple, r);
    let above = b.add(quotient, half);
    b.map(Elementwise::Floor, &[above])
}

/// The derivative of `x^y` in `x`: `y * x^(y - 1)`, and zero where that is infinite or `0 * inf`, namely where `x = 0` and `y < 1`, and where
/// the power itself is NaN, that is, for negative `x` and fractional `y`.
fn powf_by_base(b: &mut Builder, x: ValueId, y: ValueId, out: ValueId) -> ValueId {
    let (zero, one) = (b.constant_like(x, 0.0), b.constant_like(x, 1.0));
    let at_zero = b.map(Elementwise::Eq, &[x, zero]);
    let steep = b.map(Elementwise::Lt, &[y, one]);
    let steep_at_zero = b.map(Elementwise::And, &[at_zero, steep]);
    let outside = b.map(Elementwise::Ne, &[out, out]);
    let pole = b.map(Elementwise::Or, &[steep_at_zero, outside]);
    let base = b.select(pole, one, x);
    let below = b.sub(y, one);
    let power = b.map(Elementwise::Powf, &[base, below]);
    let factor = b.select(pole, zero, y);
    b.mul(factor, power)
}

/// The derivative of `x^y` in `y`: `x^y * ln x`, and zero where `x` is not positive.
fn powf_by_exponent(b: &mut Builder, x: ValueId, out: ValueId) -> ValueId {
    let (zero, one) = (b.constant_like(x, 0.0), b.constant_like(x, 1.0));
    let outside = b.map(Elementwise::Le, &[x, zero]);
    let base = b.select(outside, one, x);
    let power = b.select(outside, zero, out);
    let log = b.map(Elementwise::Ln, &[base]);
    b.mul(power, log)
}
