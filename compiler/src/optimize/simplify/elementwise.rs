//! Rules for element-wise operations.
//!
//! | rule | why it is allowed |
//! | --- | --- |
//! | an operation on literals is a literal | where exact, see [`fold`] |
//! | `op(broadcast x, broadcast y)` → `broadcast(op(x, y))` over the axes that one of them has | exact |
//! | `--x` → `x`, `x + -y` → `x - y`, `x - -y` → `x + y`, `-x * -y` → `x * y`; a minus sign is found inside products | exact |
//! | the same where the minus sign is inside a sum, an einsum or a `put_along` | sums have no order, zeros of `put_along` |
//! | `-(c * x)` → `-c * x` | exact |
//! | `x + x` → `2 * x`; in a longer sum, too, and with literal factors: `c * x + y + d * x` → `y + (c+d) * x`, `-x - x` → `-2 * x` | like terms |
//! | `x + -0.0`, `x - 0.0`, `x * 1`, `x / 1`, `x * -1`, `-0.0 - x` | exact; `x + 0.0` stays, since it makes `0.0` of `-0.0` |
//! | `x / c` → `x * (1/c)` for a power of two | exact |
//! | `c * (d * x)` → `(c*d) * x`, `(c * x) * y` → `c * (x * y)`, `(c * x) / y` → `c * (x / y)` | powers of two |
//! | `powi` to the powers 0, 1, 2 | exact |
//! | `select` on a literal, of equal values, on a negated condition | exact |
//! | `not not`, `x and true`, `x or false`, `x and x`, `max(x, x)`, integer `x + 0`, `x * 1`, `x * 0`, `x / 1`, `x - 0` | exact |
//! | conversions to the same type, and there and back through a wider one | exact |

use super::Rewriter;
use crate::ir::eval::Tensor;
use crate::ir::{Elem, Elementwise, Index, Literal, Op, Reduce, Shape, ValueId};

pub(super) fn rewrite(r: &mut Rewriter, op: Elementwise, args: &[ValueId]) -> Option<ValueId> {
    if let Some(value) = fold(r, op, args) {
        return Some(value);
    }
    if let Some(value) = before_broadcast(r, op, args) {
        return Some(value);
    }
    use Elementwise as E;
    let is_float = r.elem(args[0]).is_float();
    match op {
        E::Neg => negation(r, args[0]),
        E::Add if is_float => addition(r, args[0], args[1]),
        E::Sub if is_float => subtraction(r, args[0], args[1]),
        E::Mul if is_float => multiplication(r, args[0], args[1]),
        E::Div if is_float => division(r, args[0], args[1]),
        E::Add | E::Sub | E::Mul | E::Div => of_integers(r, op, args[0], args[1]),
        E::Powi(0) => {
            let ty = r.ty(args[0]).clone();
            Some(r.constant(&ty, Literal::Float(1.0)))
        }
        E::Powi(1) => Some(args[0]),
        E::Powi(2) => Some(r.emit(E::Mul, &[args[0], args[0]])),
        E::And | E::Or => of_truth_values(r, op, args[0], args[1]),
        E::Not => match r.def(args[0]) {
            Some((Op::Elementwise(E::Not), inner)) => Some(inner[0]),
            Some(_) | None => None,
        },
        E::Max | E::Min => (args[0] == args[1]).then_some(args[0]),
        E::Select => selection(r, args[0], args[1], args[2]),
        E::Cast(to) => conversion(r, args[0], to),
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
        | E::Sign
        | E::Relu
        | E::Floor
        | E::StopGradient
        | E::Powi(_)
        | E::Rem
        | E::Powf
        | E::Atan2
        | E::Lt
        | E::Le
        | E::Eq
        | E::Ne => None,
    }
}

/// An operation on literals. Integers and truth values are always combined, unless Rust would refuse it at run time; floats only by arithmetic and
/// conversions whose result is exact, and in comparisons. Of type parameters only what has the same result in both widths.
fn fold(r: &mut Rewriter, op: Elementwise, args: &[ValueId]) -> Option<ValueId> {
    let literals: Vec<(Elem, Literal)> = args.iter().map(|&a| r.literal(a).map(|l| (r.elem(a), l))).collect::<Option<_>>()?;
    let at_width = |float: Elem| {
        // A literal of `f64` is of `f64` in both.
        let literals: Vec<(Elem, Literal)> =
            literals.iter().map(|&(elem, l)| (elem.at_width(float), l.at_width(elem.at_width(float)))).collect();
        fold_literals(op.at_width(float), &literals)
    };
    let (wide, narrow) = (at_width(Elem::F64)?, at_width(Elem::F32)?);
    let elem = match (wide, op) {
        (Literal::Bool(_), _) => Elem::Bool,
        (Literal::Float(_) | Literal::Widths(..) | Literal::Int(_), Elementwise::Cast(to)) => to,
        // Of a selection the last operands are what it chooses from.
        (Literal::Float(_) | Literal::Widths(..) | Literal::Int(_), _) => r.elem(*args.last()?),
    };
    let ty = r.ty(args[0]).with_elem(elem);
    (wide == narrow).then(|| r.constant(&ty, wide))
}

fn fold_literals(op: Elementwise, literals: &[(Elem, Literal)]) -> Option<Literal> {
    let tensors: Vec<Tensor> = literals.iter().map(|&(elem, literal)| Tensor::literal(elem, literal)).collect();
    let values = Op::from(op).eval(&tensors.iter().collect::<Vec<_>>(), &|_| unreachable!("scalars have no dimensions")).ok()?;
    let [value] = &values[..] else { return None };
    let result = match value.elem() {
        Elem::Bool => Literal::Bool(value.as_bool()[0]),
        Elem::Usize | Elem::I64 => Literal::Int(value.as_int()[0]),
        Elem::F64 | Elem::F32 | Elem::Generic(_) => Literal::Float(value.to_f64()[0]),
    };
    let literals: Vec<Literal> = literals.iter().map(|(_, literal)| *literal).collect();
    let exact = match (result, &literals[..]) {
        (Literal::Int(_) | Literal::Bool(_), _) => true,
        (Literal::Float(z), &[Literal::Float(x)]) => op == Elementwise::Neg || (matches!(op, Elementwise::Cast(_)) && x == z),
        (Literal::Float(z), &[Literal::Float(x), Literal::Float(y)]) => is_exact(op, x, y, z),
        (Literal::Float(z), &[Literal::Int(i)]) => z as i128 == i128::from(i),
        (Literal::Float(_), &[Literal::Bool(_)]) => true,
        (Literal::Float(_) | Literal::Widths(..), _) => false,
    };
    exact.then_some(result)
}

/// Whether `op` is one of the four operations, and `z` the exact value of `x op y`. (For `f32`, `z` has been rounded to it, so what is
/// exact in `f64` is exact there.)
fn is_exact(op: Elementwise, x: f64, y: f64, z: f64) -> bool {
    // Below this size the error of a product may itself underflow.
    let normal = z.is_finite() && (z.abs() > 1e-280 || (z == 0.0 && (x == 0.0 || y == 0.0)));
    let sums_to = |y: f64| z.is_finite() && (x - (z - (z - x))) + (y - (z - x)) == 0.0;
    (op == Elementwise::Add && sums_to(y))
        || (op == Elementwise::Sub && sums_to(-y))
        || (op == Elementwise::Mul && normal && x.mul_add(y, -z) == 0.0)
        || (op == Elementwise::Div && normal && y != 0.0 && z.mul_add(y, -x) == 0.0)
}

/// Operands that are all broadcasts and leave an axis out: the operation comes first.
fn before_broadcast(r: &mut Rewriter, op: Elementwise, args: &[ValueId]) -> Option<ValueId> {
    let operands: Vec<(ValueId, Vec<usize>)> = args.iter().map(|&a| r.as_broadcast(a)).collect::<Option<_>>()?;
    let dims = r.ty(args[0]).dims.clone();
    let axes: Vec<usize> = (0..dims.len()).filter(|k| operands.iter().any(|(_, axes)| axes.contains(k))).collect();
    if axes.len() == dims.len() {
        return None;
    }
    let smaller: Vec<_> = axes.iter().map(|&k| dims[k]).collect();
    let place = |k: &usize| axes.binary_search(k).expect("one of them");
    let args: Vec<ValueId> = operands
        .iter()
        .map(|(x, of_x)| r.emit(Shape::Broadcast { axes: of_x.iter().map(place).collect(), dims: smaller.clone() }, &[*x]))
        .collect();
    let value = r.emit(op, &args);
    Some(r.emit(Shape::Broadcast { axes, dims }, &[value]))
}

/// Whether there is a minus sign to remove without more work than there was.
fn has_minus(r: &Rewriter, value: ValueId) -> bool {
    use Elementwise as E;
    match r.def(value) {
        Some((Op::Elementwise(E::Neg), _)) => true,
        Some((Op::Const(_, Literal::Float(x)), _)) => *x < 0.0,
        Some((Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. }), args)) => has_minus(r, args[0]),
        Some((Op::Elementwise(E::Mul | E::Div) | Op::Einsum(_), args)) => {
            r.is_used_here_only(value) && args.iter().any(|&a| has_minus(r, a))
        }
        Some((Op::Index(Index::PutAlong { .. }) | Op::Reduce(Reduce::Sum { .. }), args)) => {
            r.is_used_here_only(value) && has_minus(r, args[0])
        }
        Some((
            Op::Const(..) | Op::Elementwise(_) | Op::Reduce(_) | Op::Shape(_) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) | Op::Control(_),
            _,
        ))
        | None => false,
    }
}

/// The value without the minus sign that [`has_minus`] has found.
fn without_minus(r: &mut Rewriter, value: ValueId) -> ValueId {
    let (op, mut args) = r.defs.get(&value).cloned().expect("there is a minus sign");
    match op {
        Op::Elementwise(Elementwise::Neg) => args[0],
        Op::Const(elem, Literal::Float(x)) => r.emit(Op::Const(elem, Literal::Float(-x)), &[]),
        op => {
            let signed = usize::from(!has_minus(r, args[0]));
            args[signed] = without_minus(r, args[signed]);
            r.emit(op, &args)
        }
    }
}

fn negation(r: &mut Rewriter, x: ValueId) -> Option<ValueId> {
    if let Some((Op::Elementwise(Elementwise::Neg), inner)) = r.def(x) {
        return Some(inner[0]);
    }
    if !r.elem(x).is_float() {
        return None;
    }
    if has_minus(r, x) {
        return Some(without_minus(r, x));
    }
    let (c, y) = scaled(r, x)?;
    (r.is_used_here_only(x)).then(|| scale(r, -c, y))
}

fn addition(r: &mut Rewriter, x: ValueId, y: ValueId) -> Option<ValueId> {
    for (x, y) in [(x, y), (y, x)] {
        if is_literal(r, y, -0.0) {
            return Some(x);
        }
        if has_minus(r, y) {
            let y = without_minus(r, y);
            return Some(r.emit(Elementwise::Sub, &[x, y]));
        }
    }
    for (sum, y) in [(x, y), (y, x)] {
        let (c, base) = term(r, y);
        if let Some(value) = add_term(r, sum, c, base) {
            return Some(value);
        }
    }
    None
}

/// `sum + c * base`, if the sum has a multiple of `base` among its terms.
fn add_term(r: &mut Rewriter, sum: ValueId, c: f64, base: ValueId) -> Option<ValueId> {
    const DEPTH: usize = 8;
    let (c, rest) = take_term(r, sum, c, base, DEPTH)?;
    let multiple = scale(r, c, base);
    Some(rest.map_or(multiple, |rest| r.emit(Elementwise::Add, &[rest, multiple])))
}

/// Finds a multiple of `base` among the terms of a sum: gives its factor plus `c`, and the sum without it.
fn take_term(r: &mut Rewriter, sum: ValueId, c: f64, base: ValueId, depth: usize) -> Option<(f64, Option<ValueId>)> {
    let (d, other) = term(r, sum);
    if other == base {
        // Factors of one sign, so that nothing cancels, and small ones: programs that split floats into parts multiply by large ones.
        let small = [c, d, c + d].iter().all(|c| (1.0 / 256.0..=256.0).contains(&c.abs()));
        let exact = is_exact(Elementwise::Add, c, d, c + d) && is_value_of(r.elem(base), c + d);
        return (small && c * d > 0.0 && exact).then_some((c + d, None));
    }
    if depth == 0 || !r.is_used_here_only(sum) {
        return None;
    }
    let Some((Op::Elementwise(op @ (Elementwise::Add | Elementwise::Sub)), &[first, second])) = r.def(sum) else { return None };
    let op = *op;
    let subtracts = op == Elementwise::Sub;
    if let Some((c, rest)) = take_term(r, first, c, base, depth - 1) {
        let rest = match rest {
            Some(rest) => r.emit(op, &[rest, second]),
            None if subtracts => r.emit(Elementwise::Neg, &[second]),
            None => second,
        };
        return Some((c, Some(rest)));
    }
    let sign = if subtracts { -1.0 } else { 1.0 };
    let (c, rest) = take_term(r, second, sign * c, base, depth - 1)?;
    Some((sign * c, Some(rest.map_or(first, |rest| r.emit(op, &[first, rest])))))
}

/// A value as a literal times another value.
fn term(r: &Rewriter, value: ValueId) -> (f64, ValueId) {
    match r.def(value) {
        Some((Op::Elementwise(Elementwise::Neg), inner)) => (-1.0, inner[0]),
        Some(_) | None => scaled(r, value).unwrap_or((1.0, value)),
    }
}

fn subtraction(r: &mut Rewriter, x: ValueId, y: ValueId) -> Option<ValueId> {
    if is_literal(r, y, 0.0) {
        return Some(x);
    }
    if is_literal(r, x, -0.0) {
        return Some(r.emit(Elementwise::Neg, &[y]));
    }
    if has_minus(r, y) {
        let y = without_minus(r, y);
        return Some(r.emit(Elementwise::Add, &[x, y]));
    }
    let (c, base) = term(r, y);
    add_term(r, x, -c, base)
}

fn multiplication(r: &mut Rewriter, x: ValueId, y: ValueId) -> Option<ValueId> {
    for (c, x) in [(x, y), (y, x)] {
        let Some(c) = r.float(c) else { continue };
        if c == 1.0 {
            return Some(x);
        }
        if c == -1.0 {
            return Some(r.emit(Elementwise::Neg, &[x]));
        }
        if let Some((Op::Elementwise(Elementwise::Neg), inner)) = r.def(x) {
            let inner = inner[0];
            return Some(scale(r, -c, inner));
        }
        if let Some((d, y)) = scaled(r, x)
            && (is_small_power_of_two(c) || is_small_power_of_two(d))
            && is_exact(Elementwise::Mul, c, d, c * d)
            && is_value_of(r.elem(x), c * d)
        {
            return Some(scale(r, c * d, y));
        }
        return None;
    }
    if has_minus(r, x) && has_minus(r, y) {
        let (x, y) = (without_minus(r, x), without_minus(r, y));
        return Some(r.emit(Elementwise::Mul, &[x, y]));
    }
    for (p, y, swapped) in [(x, y, false), (y, x, true)] {
        if let Some((c, x)) = movable_scale(r, p) {
            let product = r.emit(Elementwise::Mul, &if swapped { [y, x] } else { [x, y] });
            return Some(scale(r, c, product));
        }
    }
    None
}

fn division(r: &mut Rewriter, x: ValueId, y: ValueId) -> Option<ValueId> {
    if let Some(c) = r.float(y) {
        return match c {
            1.0 => Some(x),
            -1.0 => Some(r.emit(Elementwise::Neg, &[x])),
            c if is_small_power_of_two(c) => Some(scale(r, 1.0 / c, x)),
            _ => None,
        };
    }
    if has_minus(r, x) && has_minus(r, y) {
        let (x, y) = (without_minus(r, x), without_minus(r, y));
        return Some(r.emit(Elementwise::Div, &[x, y]));
    }
    let (c, x) = movable_scale(r, x)?;
    let quotient = r.emit(Elementwise::Div, &[x, y]);
    Some(scale(r, c, quotient))
}

/// The literal and the other factor, if the value is a product with a literal.
fn scaled(r: &Rewriter, value: ValueId) -> Option<(f64, ValueId)> {
    match r.def(value)? {
        (Op::Elementwise(Elementwise::Mul), &[x, y]) => match (r.float(x), r.float(y)) {
            (Some(c), _) => Some((c, y)),
            (None, Some(c)) => Some((c, x)),
            (None, None) => None,
        },
        (
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_)
            | Op::Control(_),
            _,
        ) => None,
    }
}

/// The same, if the factor may leave the product in which the value stands.
fn movable_scale(r: &Rewriter, value: ValueId) -> Option<(f64, ValueId)> {
    scaled(r, value).filter(|&(c, _)| is_small_power_of_two(c) && r.loops_around.get(&value) == Some(&r.n_loops))
}

fn scale(r: &mut Rewriter, c: f64, x: ValueId) -> ValueId {
    let ty = r.ty(x).clone();
    let c = r.constant(&ty, Literal::Float(c));
    r.emit(Elementwise::Mul, &[c, x])
}

/// Powers of two from 1/256 to 256, of either sign.
fn is_small_power_of_two(c: f64) -> bool {
    const MANTISSA: u64 = (1 << 52) - 1;
    (1.0 / 256.0..=256.0).contains(&c.abs()) && c.to_bits() & MANTISSA == 0
}

/// Whether a float type has this value.
fn is_value_of(elem: Elem, x: f64) -> bool {
    !elem.may_be_narrow() || f64::from(x as f32) == x
}

/// Whether every element is this very float, down to the sign of zero.
fn is_literal(r: &Rewriter, value: ValueId, x: f64) -> bool {
    r.literal(value) == Some(Literal::Float(x))
}

fn of_integers(r: &mut Rewriter, op: Elementwise, x: ValueId, y: ValueId) -> Option<ValueId> {
    let int = |v: ValueId| match r.literal(v) {
        Some(Literal::Int(i)) => Some(i),
        Some(Literal::Float(_) | Literal::Widths(..) | Literal::Bool(_)) | None => None,
    };
    match (op, int(x), int(y)) {
        (Elementwise::Add | Elementwise::Sub, _, Some(0)) => Some(x),
        (Elementwise::Add, Some(0), _) => Some(y),
        (Elementwise::Mul | Elementwise::Div, _, Some(1)) => Some(x),
        (Elementwise::Mul, Some(1), _) => Some(y),
        (Elementwise::Mul, _, Some(0)) => Some(y),
        (Elementwise::Mul, Some(0), _) => Some(x),
        (_, _, _) => None,
    }
}

fn of_truth_values(r: &mut Rewriter, op: Elementwise, x: ValueId, y: ValueId) -> Option<ValueId> {
    if x == y {
        return Some(x);
    }
    for (x, y) in [(x, y), (y, x)] {
        if let Some(Literal::Bool(known)) = r.literal(y) {
            // `x and true`, `x or false` are `x`; the others are the literal.
            return Some(if known == (op == Elementwise::And) { x } else { y });
        }
    }
    None
}

fn selection(r: &mut Rewriter, c: ValueId, x: ValueId, y: ValueId) -> Option<ValueId> {
    if let Some(Literal::Bool(holds)) = r.literal(c) {
        return Some(if holds { x } else { y });
    }
    if x == y {
        return Some(x);
    }
    match r.def(c) {
        Some((Op::Elementwise(Elementwise::Not), inner)) => {
            let c = inner[0];
            Some(r.emit(Elementwise::Select, &[c, y, x]))
        }
        Some(_) | None => None,
    }
}

fn conversion(r: &mut Rewriter, x: ValueId, to: Elem) -> Option<ValueId> {
    if r.elem(x) == to {
        return Some(x);
    }
    match r.def(x) {
        // Every float is an `f64`, so that this way is exact.
        Some((Op::Elementwise(Elementwise::Cast(Elem::F64)), inner)) if to.is_float() && r.elem(inner[0]) == to => Some(inner[0]),
        Some(_) | None => None,
    }
}
