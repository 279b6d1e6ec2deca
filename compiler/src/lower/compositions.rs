//! Functions of one element, or of the elements at one place, that are compositions of operations.
//!
//! Each is written so that its value is right to rounding over the whole range of floats, and so that what differentiation makes of it is the
//! derivative wherever there is one: no step has a kink or a pole where the composition has none.

use crate::ir::{Builder, Elem, Elementwise as E, Literal, Op, Shape, ValueId};

/// Builds compositions of operations, all operands of one shape and element type.
pub(super) struct Composer<'a> {
    pub(super) b: &'a mut Builder,
}

impl Composer<'_> {
    pub(super) fn op(&mut self, op: E, args: &[ValueId]) -> ValueId {
        self.b.op(op, args)
    }

    /// A constant of the shape and type of `like`, rounded once from its value in either width.
    fn constant(&mut self, like: ValueId, wide: f64, narrow: f32) -> ValueId {
        let ty = self.b.ty(like).clone();
        let literal = match ty.elem {
            Elem::F32 => Literal::Float(f64::from(narrow)),
            Elem::F64 => Literal::Float(wide),
            Elem::Generic(_) if f64::from(narrow) == f64::from(wide as f32) => Literal::Float(wide),
            Elem::Generic(_) => Literal::Widths(wide, narrow),
            Elem::Usize | Elem::I64 | Elem::Bool => Literal::Int(wide as i64),
        };
        let scalar = self.b.op(Op::Const(ty.elem, literal), &[]);
        if ty.dims.is_empty() {
            return scalar;
        }
        self.b.op(Shape::Broadcast { axes: Vec::new(), dims: ty.dims }, &[scalar])
    }

    /// A constant that both widths hold exactly.
    fn exactly(&mut self, like: ValueId, x: f32) -> ValueId {
        self.constant(like, f64::from(x), x)
    }
}

/// `-floor(-x)`
pub(super) fn ceil(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let minus = c.op(E::Neg, &[x]);
    let floor = c.op(E::Floor, &[minus]);
    c.op(E::Neg, &[floor])
}

/// The nearest integer in the direction of zero.
pub(super) fn trunc(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let zero = c.exactly(x, 0.0);
    let negative = c.op(E::Lt, &[x, zero]);
    let (down, up) = (c.op(E::Floor, &[x]), ceil(c, x));
    c.op(E::Select, &[negative, up, down])
}

/// The nearest integer, halves away from zero. What `trunc` cuts off is exact, so that the largest float below a half is rounded to zero.
pub(super) fn round(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let whole = trunc(c, x);
    let cut = c.op(E::Sub, &[x, whole]);
    let cut = c.op(E::Abs, &[cut]);
    let half = c.exactly(x, 0.5);
    let away = c.op(E::Le, &[half, cut]);
    let sign = c.op(E::Sign, &[x]);
    let next = c.op(E::Add, &[whole, sign]);
    c.op(E::Select, &[away, next, whole])
}

/// `x - trunc(x)`
pub(super) fn fract(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let whole = trunc(c, x);
    c.op(E::Sub, &[x, whole])
}

/// `x (1 + erf(x / √2)) / 2`
pub(super) fn gelu(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let scale = c.constant(x, std::f64::consts::FRAC_1_SQRT_2, std::f32::consts::FRAC_1_SQRT_2);
    let scaled = c.op(E::Mul, &[x, scale]);
    let erf = c.op(E::Erf, &[scaled]);
    half_of_one_plus(c, x, erf)
}

/// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`
pub(super) fn gelu_tanh(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let cube = c.op(E::Powi(3), &[x]);
    let share = c.constant(x, 0.044715, 0.044715);
    let bend = c.op(E::Mul, &[cube, share]);
    let sum = c.op(E::Add, &[x, bend]);
    let scale = c.constant(x, ROOT_2_OVER_PI, ROOT_2_OVER_PI as f32);
    let scaled = c.op(E::Mul, &[sum, scale]);
    let tanh = c.op(E::Tanh, &[scaled]);
    half_of_one_plus(c, x, tanh)
}

const ROOT_2_OVER_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;

/// `x (1 + y) / 2`
fn half_of_one_plus(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let (one, half) = (c.exactly(x, 1.0), c.exactly(x, 0.5));
    let sum = c.op(E::Add, &[y, one]);
    let share = c.op(E::Mul, &[sum, half]);
    c.op(E::Mul, &[x, share])
}

/// `exp(x ln 2)`
pub(super) fn exp2(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let ln_2 = c.constant(x, std::f64::consts::LN_2, std::f32::consts::LN_2);
    let scaled = c.op(E::Mul, &[x, ln_2]);
    c.op(E::Exp, &[scaled])
}

/// `ln(x) / ln 2`
pub(super) fn log2(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let ln = c.op(E::Ln, &[x]);
    let base = c.constant(x, std::f64::consts::LN_2, std::f32::consts::LN_2);
    c.op(E::Div, &[ln, base])
}

/// `ln(x) / ln 10`
pub(super) fn log10(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let ln = c.op(E::Ln, &[x]);
    let base = c.constant(x, std::f64::consts::LN_10, std::f32::consts::LN_10);
    c.op(E::Div, &[ln, base])
}

/// `1 / x`
pub(super) fn recip(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let one = c.exactly(x, 1.0);
    c.op(E::Div, &[one, x])
}

/// `x * x`
pub(super) fn square(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    c.op(E::Mul, &[x, x])
}

/// `sign(x) |x|^(1/3)`, whose derivative at zero is taken as zero.
pub(super) fn cbrt(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let third = c.constant(x, 1.0 / 3.0, 1.0 / 3.0);
    let (size, sign) = (c.op(E::Abs, &[x]), c.op(E::Sign, &[x]));
    let root = c.op(E::Powf, &[size, third]);
    c.op(E::Mul, &[sign, root])
}

/// Near zero `(ln(1 + t) - ln(1 - t)) / 2` with `t = x / sqrt(1 + x²)`, which is smooth there; elsewhere `sign(x) (ln |x| + ln(1 + sqrt(1 + 1/x²)))`, which
/// does not overflow.
pub(super) fn asinh(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let (zero, half, one) = (c.exactly(x, 0.0), c.exactly(x, 0.5), c.exactly(x, 1.0));
    let size = c.op(E::Abs, &[x]);
    let is_small = c.op(E::Lt, &[size, half]);
    let small = c.op(E::Select, &[is_small, x, zero]);
    let large = c.op(E::Select, &[is_small, one, x]);

    let squared = c.op(E::Mul, &[small, small]);
    let sum = c.op(E::Add, &[one, squared]);
    let root = c.op(E::Sqrt, &[sum]);
    let t = c.op(E::Div, &[small, root]);
    let near = atanh(c, t);

    let (size, sign) = (c.op(E::Abs, &[large]), c.op(E::Sign, &[large]));
    let reciprocal = c.op(E::Div, &[one, size]);
    let squared = c.op(E::Mul, &[reciprocal, reciprocal]);
    let sum = c.op(E::Add, &[one, squared]);
    let root = c.op(E::Sqrt, &[sum]);
    let (first, second) = (c.op(E::Ln, &[size]), c.op(E::Ln1p, &[root]));
    let sum = c.op(E::Add, &[first, second]);
    let far = c.op(E::Mul, &[sign, sum]);
    c.op(E::Select, &[is_small, near, far])
}

/// `ln(1 + (x - 1) + sqrt(x - 1) sqrt(x + 1))`, NaN below one; the derivative at one is taken as zero.
pub(super) fn acosh(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let (one, two) = (c.exactly(x, 1.0), c.exactly(x, 2.0));
    let is_inside = c.op(E::Lt, &[one, x]);
    let inside = c.op(E::Select, &[is_inside, x, two]);
    let (below, above) = (c.op(E::Sub, &[inside, one]), c.op(E::Add, &[inside, one]));
    let (p, q) = (c.op(E::Sqrt, &[below]), c.op(E::Sqrt, &[above]));
    let product = c.op(E::Mul, &[p, q]);
    let sum = c.op(E::Add, &[below, product]);
    let value = c.op(E::Ln1p, &[sum]);
    // The root is zero at one, and NaN below and at NaN.
    let rest = c.op(E::Sub, &[x, one]);
    let edge = c.op(E::Sqrt, &[rest]);
    c.op(E::Select, &[is_inside, value, edge])
}

/// `(ln(1 + x) - ln(1 - x)) / 2`
pub(super) fn atanh(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let minus = c.op(E::Neg, &[x]);
    let (a, b) = (c.op(E::Ln1p, &[x]), c.op(E::Ln1p, &[minus]));
    let difference = c.op(E::Sub, &[a, b]);
    let half = c.exactly(x, 0.5);
    c.op(E::Mul, &[half, difference])
}

/// Rust's `signum`, which unlike [`E::Sign`] is `1` at `0.0`, `-1` at `-0.0` and NaN at NaN. It is constant wherever it is differentiable.
pub(super) fn signum(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let (one, minus_one) = (c.exactly(x, 1.0), c.exactly(x, -1.0));
    let negative = is_negative(c, x);
    let sign = c.op(E::Select, &[negative, minus_one, one]);
    let is_nan = is_nan(c, x);
    let nan = c.op(E::Floor, &[x]);
    c.op(E::Select, &[is_nan, nan, sign])
}

/// Whether `x` is below zero or `-0.0`.
fn is_negative(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let (zero, one) = (c.exactly(x, 0.0), c.exactly(x, 1.0));
    // Only the reciprocal tells `-0.0` from `0.0`.
    let reciprocal = c.op(E::Div, &[one, x]);
    let (below, below_zero) = (c.op(E::Lt, &[x, zero]), c.op(E::Lt, &[reciprocal, zero]));
    c.op(E::Or, &[below, below_zero])
}

/// `x π / 180`
pub(super) fn to_radians(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let factor = c.constant(x, std::f64::consts::PI / 180.0, std::f32::consts::PI / 180.0);
    c.op(E::Mul, &[x, factor])
}

/// `x 180 / π`
pub(super) fn to_degrees(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let factor = c.constant(x, 180.0 / std::f64::consts::PI, (180.0 / std::f64::consts::PI) as f32);
    c.op(E::Mul, &[x, factor])
}

/// `x != x`
pub(super) fn is_nan(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    c.op(E::Ne, &[x, x])
}

/// `|x| == ∞`
pub(super) fn is_infinite(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let (size, infinity) = (c.op(E::Abs, &[x]), c.exactly(x, f32::INFINITY));
    c.op(E::Eq, &[size, infinity])
}

/// `|x| < ∞`
pub(super) fn is_finite(c: &mut Composer<'_>, x: ValueId) -> ValueId {
    let (size, infinity) = (c.op(E::Abs, &[x]), c.exactly(x, f32::INFINITY));
    c.op(E::Lt, &[size, infinity])
}

/// `ln x / ln y`
pub(super) fn log(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let (x, y) = (c.op(E::Ln, &[x]), c.op(E::Ln, &[y]));
    c.op(E::Div, &[x, y])
}

/// `sqrt(x² + y²)`. Very large and very small operands are scaled by a power of two, so that the squares stay in range.
pub(super) fn hypot(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    // Two to a power, which in the narrow type is the second one.
    let mut power = |wide: i32, narrow: i32| c.constant(y, 2f64.powi(wide), 2f32.powi(narrow));
    let (one, large, small) = (power(0, 0), power(500, 60), power(-480, -50));
    let (down, undo_down, up, undo_up) = (power(-600, -70), power(600, 70), power(700, 100), power(-700, -100));
    let (x_size, y_size) = (c.op(E::Abs, &[x]), c.op(E::Abs, &[y]));
    let size = c.op(E::Max, &[x_size, y_size]);
    let (is_large, is_small) = (c.op(E::Lt, &[large, size]), c.op(E::Lt, &[size, small]));
    let mut choose = |if_large: ValueId, if_small: ValueId| {
        let rest = c.op(E::Select, &[is_small, if_small, one]);
        c.op(E::Select, &[is_large, if_large, rest])
    };
    let (scale, back) = (choose(down, up), choose(undo_down, undo_up));
    let (x, y) = (c.op(E::Mul, &[x, scale]), c.op(E::Mul, &[y, scale]));
    let (xx, yy) = (c.op(E::Mul, &[x, x]), c.op(E::Mul, &[y, y]));
    let sum = c.op(E::Add, &[xx, yy]);
    let root = c.op(E::Sqrt, &[sum]);
    c.op(E::Mul, &[root, back])
}

/// `|x|` with the sign of `y`.
pub(super) fn copysign(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let (size, sign) = (c.op(E::Abs, &[x]), signum(c, y));
    c.op(E::Mul, &[size, sign])
}

/// `max(x - y, 0)`
pub(super) fn abs_sub(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let difference = c.op(E::Sub, &[x, y]);
    c.op(E::Relu, &[difference])
}

/// The remainder that is not negative.
pub(super) fn rem_euclid(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let zero = c.exactly(x, 0.0);
    let rest = c.op(E::Rem, &[x, y]);
    let negative = c.op(E::Lt, &[rest, zero]);
    let size = c.op(E::Abs, &[y]);
    let moved = c.op(E::Add, &[rest, size]);
    c.op(E::Select, &[negative, moved, rest])
}

/// `max(x, y) - y`, for `usize`.
pub(super) fn saturating_sub(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let larger = c.op(E::Max, &[x, y]);
    c.op(E::Sub, &[larger, y])
}

/// `max(x, y) - min(x, y)`, for integers.
pub(super) fn abs_diff(c: &mut Composer<'_>, x: ValueId, y: ValueId) -> ValueId {
    let (larger, smaller) = (c.op(E::Max, &[x, y]), c.op(E::Min, &[x, y]));
    c.op(E::Sub, &[larger, smaller])
}

/// `x * a + b`
pub(super) fn mul_add(c: &mut Composer<'_>, x: ValueId, a: ValueId, b: ValueId) -> ValueId {
    let product = c.op(E::Mul, &[x, a]);
    c.op(E::Add, &[product, b])
}

/// Between two bounds. `max` and `min` prefer a number to a NaN; `clamp` keeps it.
pub(super) fn clamp(c: &mut Composer<'_>, x: ValueId, low: ValueId, high: ValueId) -> ValueId {
    let raised = c.op(E::Max, &[x, low]);
    let bounded = c.op(E::Min, &[raised, high]);
    if !c.b.ty(x).elem.is_float() {
        return bounded;
    }
    let is_nan = is_nan(c, x);
    c.op(E::Select, &[is_nan, x, bounded])
}
