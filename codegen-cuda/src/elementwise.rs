//! Element types, literals and element-wise operations as C++ expressions.

use bilevel_compiler::ir::{Elem, Elementwise, Literal};

/// The C++ type of an element.
pub(crate) fn c_type(elem: Elem) -> &'static str {
    match elem {
        Elem::F64 => "double",
        Elem::F32 => "float",
        Elem::Usize => "unsigned long long",
        Elem::I64 => "long long",
        Elem::Bool => "bool",
        // A kernel is for one width; what has no width is refused before anything is written.
        Elem::Generic(param) => param.name(),
    }
}

/// A literal, exactly. Infinities and NaNs are given by their bits.
pub(crate) fn literal(elem: Elem, literal: Literal) -> String {
    match (literal.at_width(elem), elem) {
        (Literal::Float(x), Elem::F32) if !x.is_finite() => format!("__int_as_float(0x{:08x})", (x as f32).to_bits()),
        (Literal::Float(x), Elem::F32) => format!("{:?}f", x as f32),
        (Literal::Float(x) | Literal::Widths(x, _), _) if !x.is_finite() => format!("__longlong_as_double(0x{:016x}LL)", x.to_bits()),
        (Literal::Float(x) | Literal::Widths(x, _), _) => format!("{x:?}"),
        // The literal 9223372036854775808 would have no type.
        (Literal::Int(i64::MIN), _) => format!("({}LL - 1)", i64::MIN + 1),
        (Literal::Int(i), Elem::Usize) => format!("{i}ULL"),
        (Literal::Int(i), _) => format!("{i}LL"),
        (Literal::Bool(b), _) => b.to_string(),
    }
}

/// A function that CUDA does not have: its name and definition. One per operation and element type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Helper {
    pub(crate) name: String,
    pub(crate) definition: String,
}

/// An operation on expressions of element type `from`, as an expression of element type `to`; each operand stands in it once or is a name.
pub(crate) fn expression(op: Elementwise, from: Elem, args: &[String], helpers: &mut Vec<Helper>) -> String {
    use Elementwise as E;
    let x = args[0].as_str();
    let y = args.get(1).map_or("", String::as_str);
    let z = args.get(2).map_or("", String::as_str);
    let library = |name: &str| format!("{name}{}({})", if from == Elem::F32 { "f" } else { "" }, args.join(", "));
    let mut helper = |name: &str, body: &str| call_helper(helpers, name, from, body, x);
    match op {
        E::Neg => format!("-{x}"),
        E::Exp => library("exp"),
        E::ExpM1 => library("expm1"),
        E::Ln => library("log"),
        E::Ln1p => library("log1p"),
        E::Sqrt => library("sqrt"),
        E::Sin => library("sin"),
        E::Cos => library("cos"),
        E::Tan => library("tan"),
        E::Asin => library("asin"),
        E::Acos => library("acos"),
        E::Atan => library("atan"),
        E::Sinh => library("sinh"),
        E::Cosh => library("cosh"),
        E::Tanh => library("tanh"),
        // Written so that the exponential never overflows.
        E::Sigmoid => helper("sigmoid", "$T e = $exp(x < 0 ? x : -x); return (x < 0 ? e : 1) / (1 + e);"),
        E::Softplus => helper("softplus", "return x > 0 ? x + $log1p($exp(-x)) : $log1p($exp(x));"),
        E::Erf => library("erf"),
        E::Abs if from.is_float() => library("fabs"),
        E::Abs => helper("abs", "return x < 0 ? -x : x;"),
        // A NaN stays one.
        E::Sign => helper("sign", "return x > 0 ? 1 : x < 0 ? -1 : x == 0 ? 0 : x;"),
        E::Relu => helper("relu", "return x < 0 ? 0 : x;"),
        E::Floor => library("floor"),
        E::StopGradient => x.to_string(),
        E::Powi(n) => power(helpers, from, n, x),
        E::Add => format!("{x} + {y}"),
        E::Sub => format!("{x} - {y}"),
        E::Mul => format!("{x} * {y}"),
        E::Div => format!("{x} / {y}"),
        E::Rem if from.is_float() => library("fmod"),
        E::Rem => format!("{x} % {y}"),
        E::Powf => library("pow"),
        E::Atan2 => library("atan2"),
        E::Max if from.is_float() => library("fmax"),
        E::Max => format!("{x} > {y} ? {x} : {y}"),
        E::Min if from.is_float() => library("fmin"),
        E::Min => format!("{x} < {y} ? {x} : {y}"),
        E::Lt => format!("{x} < {y}"),
        E::Le => format!("{x} <= {y}"),
        E::Eq => format!("{x} == {y}"),
        E::Ne => format!("{x} != {y}"),
        E::And => format!("{x} && {y}"),
        E::Or => format!("{x} || {y}"),
        E::Not => format!("!{x}"),
        E::Select => format!("{x} ? {y} : {z}"),
        E::Cast(to) => conversion(helpers, from, to, x),
    }
}

/// A call of a helper function of one argument `x`, which is defined on its first use. In its body, `$T` is the element type, and `$exp` and
/// `$log1p` are the library's functions for it.
fn call_helper(helpers: &mut Vec<Helper>, name: &str, elem: Elem, body: &str, x: &str) -> String {
    let name = format!("bilevel_{name}_{elem}");
    let suffix = if elem == Elem::F32 { "f" } else { "" };
    let body = body.replace("$T", c_type(elem)).replace("$exp", &format!("exp{suffix}")).replace("$log1p", &format!("log1p{suffix}"));
    define(helpers, &name, c_type(elem), c_type(elem), &body);
    format!("{name}({x})")
}

fn define(helpers: &mut Vec<Helper>, name: &str, from: &str, to: &str, body: &str) {
    if helpers.iter().all(|h| h.name != name) {
        let definition = format!("static __device__ inline {to} {name}({from} x) {{\n    {body}\n}}\n");
        helpers.push(Helper { name: name.to_owned(), definition });
    }
}

/// A constant integer power by repeated squaring; a negative one is the reciprocal of the positive one.
fn power(helpers: &mut Vec<Helper>, elem: Elem, n: i32, x: &str) -> String {
    if n == 0 {
        return literal(elem, Literal::Float(1.0));
    }
    let mut body = String::new();
    // The square that has been reached, and the product of those that count so far.
    let (mut square, mut product) = ("x".to_owned(), None::<String>);
    let mut rest = n.unsigned_abs();
    for bit in 1.. {
        if rest & 1 == 1 {
            product = Some(product.map_or_else(|| square.clone(), |p| format!("{p} * {square}")));
        }
        rest >>= 1;
        if rest == 0 {
            break;
        }
        let next = format!("x{}", 1u64 << bit);
        body += &format!("const {} {next} = {square} * {square}; ", c_type(elem));
        square = next;
    }
    let product = product.expect("at least one bit is set");
    body += &if n < 0 { format!("return 1 / ({product});") } else { format!("return {product};") };
    let name = format!("bilevel_powi_{}{}_{elem}", if n < 0 { "minus_" } else { "" }, n.unsigned_abs());
    define(helpers, &name, c_type(elem), c_type(elem), &body);
    format!("{name}({x})")
}

/// Rust's `as`: from floats to integers towards zero, saturating, NaN to zero.
fn conversion(helpers: &mut Vec<Helper>, from: Elem, to: Elem, x: &str) -> String {
    let (low, high, min, max) = match to {
        Elem::Bool => return format!("{x} != 0"),
        Elem::Usize if from.is_float() => ("0.0", "18446744073709551616.0", "0", "0xffffffffffffffffULL"),
        Elem::I64 if from.is_float() => {
            ("-9223372036854775808.0", "9223372036854775808.0", "-9223372036854775807LL - 1", "9223372036854775807LL")
        }
        Elem::F64 | Elem::F32 | Elem::Generic(_) | Elem::Usize | Elem::I64 => return format!("({}){x}", c_type(to)),
    };
    let name = format!("bilevel_{from}_to_{to}");
    let body = format!("return x != x ? 0 : x < {low} ? {min} : x >= {high} ? {max} : ({})x;", c_type(to));
    define(helpers, &name, c_type(from), c_type(to), &body);
    format!("{name}({x})")
}
