//! Expressions.

use std::rc::Rc;

use syn::ext::IdentExt;

use super::value::{Number, Value};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise, Index, Pick, Type, Window};
use crate::syntax::form::elem_named;
use crate::syntax::items::{Found, path_key};
use crate::syntax::{Assumed, Origin};

/// How deep expressions may be nested, so that no program makes the compiler run out of stack.
const MAX_DEPTH: usize = 200;

impl Lowering<'_> {
    /// Lowers an expression.
    pub(super) fn expr(&mut self, e: &syn::Expr) -> Value {
        if self.depth >= MAX_DEPTH {
            return self.fail(e, messages::TOO_DEEP, &[]);
        }
        self.depth += 1;
        let value = self.expr_of_any_kind(e);
        self.depth -= 1;
        value
    }

    fn expr_of_any_kind(&mut self, e: &syn::Expr) -> Value {
        let refuse = |this: &mut Self, what: &str, instead: &str| this.fail(e, messages::UNSUPPORTED_EXPRESSION, &[what, instead]);
        match e {
            syn::Expr::Lit(lit) => self.literal(lit),
            syn::Expr::Path(path) => self.path(path),
            syn::Expr::Paren(inner) => self.expr(&inner.expr),
            syn::Expr::Group(inner) => self.expr(&inner.expr),
            syn::Expr::Reference(r) if r.mutability.is_some() => {
                refuse(self, "a mutable reference", "the new value with `let` or an assignment")
            }
            syn::Expr::Reference(r) => self.expr(&r.expr),
            syn::Expr::Unary(unary) => self.unary(e, unary),
            syn::Expr::Binary(binary) => self.binary_expr(e, binary),
            syn::Expr::Assign(assign) => self.assign(assign),
            syn::Expr::Cast(cast) => self.cast(cast),
            syn::Expr::Call(call) => self.call(call),
            syn::Expr::MethodCall(call) => match self.changing_call(call) {
                Some(value) => value,
                None => self.method_call(call),
            },
            syn::Expr::Field(field) => self.field(field),
            syn::Expr::Index(index) => self.index(index),
            syn::Expr::Tuple(tuple) if tuple.elems.is_empty() => Value::Unit,
            syn::Expr::Tuple(tuple) => Value::Tuple(tuple.elems.iter().map(|e| self.expr(e)).collect()),
            syn::Expr::Block(block) if block.label.is_some() => refuse(self, "a labelled block", "a block without label"),
            syn::Expr::Block(block) => self.block(&block.block),
            syn::Expr::If(branch) => self.branch(branch),
            syn::Expr::ForLoop(for_loop) => self.for_loop(for_loop),
            syn::Expr::While(l) => self.while_loop(l),
            syn::Expr::Loop(l) => self.endless_loop(l),
            syn::Expr::Return(_) | syn::Expr::Break(_) | syn::Expr::Continue(_) => self.exit(e, false),
            syn::Expr::Closure(closure) => Value::Closure(Rc::new((closure.clone(), self.scope.clone()))),
            syn::Expr::Macro(m) => self.macro_call(&m.mac),
            syn::Expr::Match(m) => self.match_at(m, false),
            syn::Expr::Range(range) => self.range_iterator(range),
            syn::Expr::Array(array) => self.array_literal(array, None),
            syn::Expr::Repeat(repeat) => self.array_repeat(repeat),
            syn::Expr::Struct(literal) => self.struct_literal(literal),
            syn::Expr::Try(_) => refuse(self, "`?`", "`.unwrap()` or `.expect(..)` on the `Option` that `mean` gives"),
            syn::Expr::Unsafe(_) => refuse(self, "`unsafe` code", "safe code"),
            syn::Expr::Let(_) => refuse(self, "`let` inside a condition", "a comparison"),
            syn::Expr::Async(_) | syn::Expr::Await(_) => refuse(self, "asynchronous code", "a plain function"),
            _ => refuse(self, &format!("`{}`", text(e)), "the value with operators, methods and calls"),
        }
    }

    fn literal(&mut self, lit: &syn::ExprLit) -> Value {
        let shown = text(lit);
        match &lit.lit {
            syn::Lit::Float(f) => match (f.base10_parse::<f64>(), f.base10_parse::<f32>()) {
                (Ok(wide), Ok(narrow)) => self.typed_literal(Number::Float(wide, narrow), f.suffix(), lit),
                _ => self.fail(lit, messages::UNSUPPORTED_LITERAL, &[&shown]),
            },
            syn::Lit::Int(i) => match i.base10_parse::<i64>() {
                // `1_f64` is an integer token with a float's suffix.
                Ok(n) if i.suffix().starts_with('f') => self.typed_literal(Number::Float(n as f64, n as f32), i.suffix(), lit),
                Ok(n) => self.typed_literal(Number::Int(n), i.suffix(), lit),
                Err(_) => self.fail(lit, messages::NUMBER_TOO_LARGE, &[&shown]),
            },
            syn::Lit::Bool(b) => {
                let value = crate::ir::Op::Const(Elem::Bool, crate::ir::Literal::Bool(b.value));
                self.emit(lit, value, &[]).map_or(Value::Poison, Value::Tensor)
            }
            _ => self.fail(lit, messages::UNSUPPORTED_LITERAL, &[&shown]),
        }
    }

    fn typed_literal(&mut self, number: Number, suffix: &str, at: &syn::ExprLit) -> Value {
        match suffix {
            // The exponent of `powi` is the only place of an `i32`.
            "" | "i32" => Value::Number(number),
            _ => match elem_named(suffix) {
                Some(elem) => self.constant(number, elem, at).map_or(Value::Poison, Value::Tensor),
                None => self.fail(at, messages::UNSUPPORTED_LITERAL, &[&text(at)]),
            },
        }
    }

    /// A variable, or a constant of the module or the standard library.
    fn path(&mut self, path: &syn::ExprPath) -> Value {
        if let Some(name) = path.path.get_ident() {
            let name = name.unraw().to_string();
            if let Some(position) = self.scope.position(&name) {
                return match self.view_at(position) {
                    Some(place) => self.read_place(&place, &syn::Expr::Path(path.clone())).map_or(Value::Poison, Value::Tensor),
                    None => self.scope.at(position).value.clone(),
                };
            }
            if let Some(found) = self.items.constant(self.place, &name) {
                return self.const_item(found);
            }
            return self.unknown_name(path, &name);
        }
        if let Some(found) = path_key(&path.path).and_then(|key| self.items.constant(self.place, &key)) {
            return self.const_item(found);
        }
        let segments: Vec<String> = path.path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let [.., ty, "consts", name] = names[..]
            && let Some(elem) = elem_named(ty)
            && let Some(number) = math_constant(name)
        {
            return self.constant(number, elem, path).map_or(Value::Poison, Value::Tensor);
        }
        if let [ty, "EPSILON"] = names[..]
            && let Some(&float) = self.types.get(ty)
            && let Some(value) = self.float_function(&syn::Expr::Path(path.clone()), float, "epsilon", &[])
        {
            return value;
        }
        if let [.., ty, name] = names[..]
            && let Some(elem) = elem_named(ty)
        {
            if let Some(number) = limit(elem, name) {
                return self.constant(number, elem, path).map_or(Value::Poison, Value::Tensor);
            }
            if elem.is_integer() {
                let instead = "a number below 2^63, such as `i64::MAX as usize`";
                return self.fail(path, messages::UNSUPPORTED_EXPRESSION, &[&format!("`{ty}::{name}`"), instead]);
            }
        }
        self.unknown_name(path, &segments.join("::"))
    }

    fn unknown_name(&mut self, path: &syn::ExprPath, name: &str) -> Value {
        if let (Some(number), Some(ident)) = (math_constant(name), path.path.get_ident()) {
            let (elem, origin) = match self.default_float {
                Elem::F32 => (Elem::F32, Origin::F32Constant),
                Elem::F64 | Elem::Generic(_) | Elem::Usize | Elem::I64 | Elem::Bool => (Elem::F64, Origin::F64Constant),
            };
            self.assumed.push(Assumed { name: ident.clone(), origin });
            return self.constant(number, elem, path).map_or(Value::Poison, Value::Tensor);
        }
        // By its looks a constant of another item, whose carrier may have it.
        let is_constant = path.path.segments.last().is_some_and(|s| s.ident.unraw().to_string().chars().all(|c| !c.is_lowercase()));
        if let Some(key) = path_key(&path.path)
            && is_constant
            && path.qself.is_none()
            && self.place.is_here()
            && !self.items.has_answer(&key)
        {
            self.diags.ask(&path.path);
            return Value::Poison;
        }
        self.fail(path, messages::UNKNOWN_NAME, &[name])
    }

    /// The value of a `const` whose tokens are at hand, which sees only other such constants.
    pub(super) fn const_item(&mut self, found: Found<'_, syn::ItemConst>) -> Value {
        let item = found.item;
        let (name, id) = (item.ident.unraw().to_string(), found.id.to_owned());
        if self.calls.contains(&id) {
            return self.fail(&item.ident, messages::RECURSION, &[&name]);
        }
        let outer = std::mem::take(&mut self.scope);
        let outer_place = std::mem::replace(&mut self.place, found.place);
        let n_assumed = self.assumed.len();
        self.calls.push(id);
        let form = self.annotation(&item.ty);
        let value = self.expr_expecting(&item.expr, form.as_ref());
        self.calls.pop();
        self.place = outer_place;
        self.scope = outer;
        if !found.place.is_here() {
            self.assumed.truncate(n_assumed);
        }
        let Some(form) = form else { return value };
        match self.conform(value, &form, &item.expr) {
            Some(value) => {
                // In lower case: `let TARGET = …` in generated code would match against the constant.
                self.name(&value, &name.to_lowercase());
                value
            }
            None => Value::Poison,
        }
    }

    fn unary(&mut self, e: &syn::Expr, unary: &syn::ExprUnary) -> Value {
        let operand = self.expr(&unary.expr);
        match unary.op {
            syn::UnOp::Deref(_) => operand,
            syn::UnOp::Neg(_) => match operand {
                Value::Number(Number::Float(wide, narrow)) => Value::Number(Number::Float(-wide, -narrow)),
                Value::Number(Number::Int(i)) => Value::Number(Number::Int(i.wrapping_neg())),
                operand => self.map_unary(e, Elementwise::Neg, operand, &unary.expr),
            },
            syn::UnOp::Not(_) => self.map_unary(e, Elementwise::Not, operand, &unary.expr),
            _ => self.fail(e, messages::UNSUPPORTED_EXPRESSION, &[&format!("`{}`", text(e)), "`-x`, `!x` or `*x`"]),
        }
    }

    fn cast(&mut self, cast: &syn::ExprCast) -> Value {
        let operand = self.expr(&cast.expr);
        let to = match &*cast.ty {
            syn::Type::Path(path) => path.path.get_ident().and_then(|i| self.elem_named(&i.to_string())),
            _ => None,
        };
        let Some(to) = to else {
            return self.fail(&cast.ty, messages::UNSUPPORTED_CAST, &[&text(&cast.ty)]);
        };
        let from = match &operand {
            Value::Tensor(v) | Value::Lane(v) => Some(self.b.ty(*v).elem),
            _ => None,
        };
        if matches!((from, to), (Some(Elem::Generic(_)), _) | (_, Elem::Generic(_))) {
            return self.refuse_cast(cast, from, to);
        }
        match operand {
            Value::Number(number @ Number::Float(wide, _)) => {
                if !is_one_cast(number, to, &cast.expr) {
                    return self.fail(&cast.expr, messages::FLOAT_TYPE, &[&text(&cast.expr)]);
                }
                // A float that is cast to an integer takes the nearest value that the type has.
                let number = match to {
                    Elem::F64 | Elem::F32 if is_literal(&cast.expr) => number,
                    Elem::F64 | Elem::F32 | Elem::Generic(_) => Number::Float(wide, wide as f32),
                    Elem::Usize => i64::try_from(wide as u64).map_or(number, Number::Int),
                    Elem::I64 | Elem::Bool => Number::Int(wide as i64),
                };
                self.constant(number, to, cast).map_or(Value::Poison, Value::Tensor)
            }
            Value::Number(Number::Int(i)) => {
                let number = if to.is_float() { Number::Float(i as f64, i as f32) } else { Number::Int(i) };
                self.constant(number, to, cast).map_or(Value::Poison, Value::Tensor)
            }
            Value::Tensor(v) if *self.b.ty(v) == Type::scalar(to) => Value::Tensor(v),
            Value::Tensor(v) if self.b.ty(v).rank() == 0 => {
                self.emit(cast, Elementwise::Cast(to), &[v]).map_or(Value::Poison, Value::Tensor)
            }
            Value::Lane(v) => self.emit(cast, Elementwise::Cast(to), &[v]).map_or(Value::Poison, Value::Lane),
            Value::Poison => Value::Poison,
            other => {
                let found = self.describe(&other);
                let help = format!("cast each element: `.mapv(|v| v as {to})`");
                self.fail(&cast.expr, messages::EXPECTED_KIND, &["a number to cast", &found, &help])
            }
        }
    }

    /// `x[i]`, `x[[i, j]]`, `x[(i, j)]`, `x.shape()[k]`
    fn index(&mut self, index: &syn::ExprIndex) -> Value {
        let base = self.expr(&index.expr);
        match base {
            Value::Poison => Value::Poison,
            Value::Lengths(dims) => match self.literal_axis(&index.index) {
                Some(k) if k < dims.len() => self.length(dims[k], index).map_or(Value::Poison, Value::Tensor),
                Some(k) => {
                    let rank = super::value::describe_rank(dims.len());
                    self.fail(&index.index, messages::AXIS_OUT_OF_RANGE, &[&text(&index.expr), &rank, &k.to_string()])
                }
                None => Value::Poison,
            },
            Value::Fixed(x) => self.index_fixed(index, x),
            // An array without axes: `x[()]`.
            Value::Tensor(x) if self.b.ty(x).rank() == 0 && is_unit(&index.index) => Value::Tensor(x),
            Value::Tensor(x) => {
                let positions: Vec<&syn::Expr> = match &*index.index {
                    syn::Expr::Array(array) => array.elems.iter().collect(),
                    syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
                    other => vec![other],
                };
                let rank = self.b.ty(x).rank();
                if positions.len() != rank || rank == 0 {
                    let (have, need) = (positions.len().to_string(), super::value::describe_rank(rank));
                    let help = "give one position per axis, as in `x[i]` or `x[[i, j]]`; for whole rows write `x.row(i)`";
                    let shown = format!("`{}` with {need}", text(&index.expr));
                    return self.fail(&index.index, messages::EXPECTED_KIND, &[&format!("a position for {shown}"), &have, help]);
                }
                let mut args = vec![x];
                for position in positions {
                    let Some(i) = self.position(position) else { return Value::Poison };
                    args.push(i);
                }
                let window = Window { axes: (0..rank).map(|axis| (axis, Pick::At)).collect() };
                self.emit(index, Index::Read(window), &args).map_or(Value::Poison, Value::Tensor)
            }
            other => {
                let found = self.describe(&other);
                self.fail(&index.expr, messages::EXPECTED_KIND, &["an array to index", &found, "index an array"])
            }
        }
    }

    /// An expression that is a position: a `usize` that is the same for all elements.
    pub(super) fn position(&mut self, e: &syn::Expr) -> Option<crate::ir::ValueId> {
        match self.expr(e) {
            Value::Number(n @ Number::Int(_)) => self.constant(n, Elem::Usize, e),
            Value::Tensor(v) if *self.b.ty(v) == Type::scalar(Elem::Usize) => {
                self.counters.is_usize(v);
                Some(v)
            }
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(
                    e,
                    messages::EXPECTED_KIND,
                    &["a position of type `usize`", &found, "write a `usize` that does not depend on the element"],
                );
                None
            }
        }
    }

    /// An axis or exponent that is known when the program is compiled.
    pub(super) fn literal_int(&mut self, e: &syn::Expr) -> Option<Result<i64, ()>> {
        match self.expr(e) {
            Value::Number(Number::Int(i)) => Some(Ok(i)),
            Value::Tensor(v) => Some(self.known.get(&v).copied().ok_or(())),
            Value::Poison => None,
            _ => Some(Err(())),
        }
    }

    pub(super) fn literal_axis(&mut self, e: &syn::Expr) -> Option<usize> {
        match self.literal_int(e)? {
            Ok(i) if i >= 0 => Some(i as usize),
            Ok(_) | Err(()) => {
                self.error(e, messages::AXIS_NOT_LITERAL, &[]);
                None
            }
        }
    }

    /// `Axis(k)` as an argument.
    pub(super) fn axis(&mut self, e: &syn::Expr) -> Option<usize> {
        match self.expr(e) {
            Value::Axis(k) => Some(k),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(e, messages::EXPECTED_KIND, &["an axis", &found, "write `Axis(0)`"]);
                None
            }
        }
    }

    /// `Axis(k)`, the call.
    pub(super) fn axis_call(&mut self, call: &syn::ExprCall) -> Value {
        match call.args.first() {
            Some(k) if call.args.len() == 1 => self.literal_axis(k).map_or(Value::Poison, Value::Axis),
            _ => self.fail(call, messages::ARGUMENT_COUNT, &["Axis", "one number", &call.args.len().to_string()]),
        }
    }
}

/// Whether an expression is `()`.
pub(super) fn is_unit(e: &syn::Expr) -> bool {
    matches!(e, syn::Expr::Tuple(tuple) if tuple.elems.is_empty())
}

/// A constant of `std::f64::consts`, in both widths.
fn math_constant(name: &str) -> Option<Number> {
    macro_rules! table {
        ($($c:ident),*) => { match name { $( stringify!($c) => Some(Number::Float(std::f64::consts::$c, std::f32::consts::$c)), )* _ => None } };
    }
    table!(
        PI,
        TAU,
        E,
        SQRT_2,
        FRAC_1_SQRT_2,
        LN_2,
        LN_10,
        LOG2_E,
        LOG10_E,
        LOG2_10,
        LOG10_2,
        FRAC_PI_2,
        FRAC_PI_3,
        FRAC_PI_4,
        FRAC_PI_6,
        FRAC_PI_8,
        FRAC_1_PI,
        FRAC_2_PI,
        FRAC_2_SQRT_PI
    )
}

/// Whether an expression is a literal, which a cast to a float gives its type from the start.
fn is_literal(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Paren(p) => is_literal(&p.expr),
        syn::Expr::Group(p) => is_literal(&p.expr),
        e => matches!(e, syn::Expr::Lit(_)),
    }
}

/// Whether a cast of a float whose type is not said gives one number, whichever type Rust infers for it from what else is done with it.
pub(super) fn is_one_cast(number: Number, to: Elem, of: &syn::Expr) -> bool {
    let Number::Float(wide, narrow) = number else { return true };
    is_literal(of)
        || match to {
            Elem::F64 => wide.to_bits() == f64::from(narrow).to_bits(),
            Elem::F32 => (wide as f32).to_bits() == narrow.to_bits(),
            Elem::Usize => wide as u64 == narrow as u64,
            Elem::I64 | Elem::Bool => wide as i64 == narrow as i64,
            // Refused by itself.
            Elem::Generic(_) => true,
        }
}

/// An associated constant of a number type.
fn limit(elem: Elem, name: &str) -> Option<Number> {
    let both = |wide: f64, narrow: f32| Some(Number::Float(wide, narrow));
    match (elem, name) {
        (Elem::F64 | Elem::F32, "EPSILON") => both(f64::EPSILON, f32::EPSILON),
        (Elem::F64 | Elem::F32, "MAX") => both(f64::MAX, f32::MAX),
        (Elem::F64 | Elem::F32, "MIN") => both(f64::MIN, f32::MIN),
        (Elem::F64 | Elem::F32, "MIN_POSITIVE") => both(f64::MIN_POSITIVE, f32::MIN_POSITIVE),
        (Elem::F64 | Elem::F32, "INFINITY") => both(f64::INFINITY, f32::INFINITY),
        (Elem::F64 | Elem::F32, "NEG_INFINITY") => both(f64::NEG_INFINITY, f32::NEG_INFINITY),
        (Elem::F64 | Elem::F32, "NAN") => both(f64::NAN, f32::NAN),
        (Elem::I64, "MAX") => Some(Number::Int(i64::MAX)),
        (Elem::I64, "MIN") => Some(Number::Int(i64::MIN)),
        (Elem::Usize, "MIN") => Some(Number::Int(0)),
        _ => None,
    }
}
