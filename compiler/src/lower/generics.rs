//! Type parameters: what they stand for in a call, and the functions that a float type `F: Float` has where a literal would stand in other code.

use std::rc::Rc;

use super::operators::Operand;
use super::value::{Number, Value};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise, Literal, Op, TypeParam, ValueId};
use crate::syntax::Signature;
use crate::syntax::form::{Form, elem_named};
use crate::syntax::generics::TypeArguments;

/// The functions of `F: Float` that give numbers, and what to.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("F::from_f64", "a literal of the type, or `cast`"),
    ("F::from", "a literal of the type, or `cast`; `None` never"),
    ("F::zero", "a literal"),
    ("F::one", "a literal"),
    ("F::infinity", "a literal"),
    ("F::neg_infinity", "a literal"),
    ("F::nan", "a literal"),
    ("F::epsilon", "a literal, in each width its own"),
    ("F::min_positive_value", "a literal, in each width its own"),
    ("F::min_value", "a literal, in each width its own"),
    ("F::max_value", "a literal, in each width its own"),
];

impl Lowering<'_> {
    /// The element type of that name, where a type parameter is what it stands for.
    pub(super) fn elem_named(&self, name: &str) -> Option<Elem> {
        self.types.get(name).copied().or_else(|| elem_named(name))
    }

    /// What the type parameters of a function stand for in a call of it: what the call says, `f::<f64>(x)`, else what the arguments are. `open` is the
    /// signature whose parameters stand for themselves. `None` and an error if that leaves one open.
    pub(super) fn type_arguments(&mut self, path: &syn::Path, open: &Signature, args: &[Value]) -> Option<TypeArguments> {
        let mut found = self.written_types(path, open);
        for (param, value) in open.params.iter().zip(args) {
            self.infer_types(&param.form, value, &mut found);
        }
        // Rust takes literals that nothing else gives a type for `f64`; in a function of `f32` alone, something else does.
        let of_literals = if self.default_float == Elem::F32 { Elem::F32 } else { Elem::F64 };
        for (param, value) in open.params.iter().zip(args) {
            if let (Form::Scalar(Elem::Generic(name)), Value::Number(_)) = (&param.form, value) {
                found.entry(name.name().to_owned()).or_insert(of_literals);
            }
        }
        for param in open.generics.type_params() {
            let name = param.ident.to_string();
            if !found.contains_key(&name) {
                if !args.iter().any(Value::is_poisoned) {
                    self.error(path, messages::TYPE_NOT_SAID, &[&open.name.to_string(), &name]);
                }
                return None;
            }
        }
        Some(found)
    }

    /// The types in `f::<f64, _>`.
    fn written_types(&mut self, path: &syn::Path, open: &Signature) -> TypeArguments {
        let mut found = TypeArguments::new();
        let Some(syn::PathArguments::AngleBracketed(written)) = path.segments.last().map(|s| &s.arguments) else { return found };
        let params = open.generics.params.iter().filter(|p| !matches!(p, syn::GenericParam::Lifetime(_)));
        let args = written.args.iter().filter(|a| !matches!(a, syn::GenericArgument::Lifetime(_)));
        for (param, arg) in params.zip(args) {
            if let (syn::GenericParam::Type(param), syn::GenericArgument::Type(ty)) = (param, arg)
                && let Some(Form::Scalar(elem)) = self.annotation(ty)
            {
                found.insert(param.ident.to_string(), elem);
            }
        }
        found
    }

    /// What a value that is passed for a form says of the type parameters in it.
    pub(super) fn infer_types(&self, form: &Form, value: &Value, found: &mut TypeArguments) {
        let mut say = |name: TypeParam, v: ValueId| {
            let elem = self.b.ty(v).elem;
            if elem.is_float() {
                found.entry(name.name().to_owned()).or_insert(elem);
            }
        };
        match (form, value) {
            (Form::Scalar(Elem::Generic(name)) | Form::Array { elem: Elem::Generic(name), .. }, Value::Tensor(v) | Value::Lane(v))
            | (Form::Fixed { elem: Elem::Generic(name), .. }, Value::Fixed(v)) => say(*name, *v),
            (Form::Tuple(forms), Value::Tuple(values)) => {
                forms.iter().zip(values).for_each(|(form, value)| self.infer_types(form, value, found));
            }
            (Form::Struct(of), Value::Struct(fields)) => {
                of.fields.iter().zip(&fields.values).for_each(|((_, form), value)| self.infer_types(form, value, found));
            }
            (Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } | Form::Tuple(_) | Form::Struct(_), _) => {}
        }
    }

    /// `F::zero()`, `F::from_f64(0.5)` and their peers; `None` for other functions of a type parameter.
    pub(super) fn float_function(&mut self, whole: &syn::Expr, float: Elem, name: &str, args: &[&syn::Expr]) -> Option<Value> {
        let literal = |wide: f64| Literal::Float(wide).at_width(float);
        let widths = |wide: f64, narrow: f32| match float {
            Elem::Generic(_) => Literal::Widths(wide, narrow),
            _ => Literal::Widths(wide, narrow).at_width(float),
        };
        let literal = match (name, args) {
            ("zero", []) => literal(0.0),
            ("one", []) => literal(1.0),
            ("infinity", []) => literal(f64::INFINITY),
            ("neg_infinity", []) => literal(f64::NEG_INFINITY),
            ("nan", []) => literal(f64::NAN),
            ("epsilon", []) => widths(f64::EPSILON, f32::EPSILON),
            ("min_positive_value", []) => widths(f64::MIN_POSITIVE, f32::MIN_POSITIVE),
            ("min_value", []) => widths(f64::MIN, f32::MIN),
            ("max_value", []) => widths(f64::MAX, f32::MAX),
            ("from_f64", [x]) => return Some(self.number_as_float(whole, float, x, true)),
            ("from", [x]) => {
                let value = self.number_as_float(whole, float, x, false);
                return Some(if value.is_poisoned() { value } else { Value::Option(Rc::new(value), "from(..)") });
            }
            _ => return None,
        };
        Some(Operand::wrap(self.emit(whole, Op::Const(float, literal), &[]), false))
    }

    /// A number as a float; with `of_f64` it has to be an `f64`.
    fn number_as_float(&mut self, whole: &syn::Expr, float: Elem, arg: &syn::Expr, of_f64: bool) -> Value {
        let value = self.expr(arg);
        // A literal that is converted is an `f64`.
        let known = match &value {
            Value::Number(Number::Float(wide, _)) => Some(*wide),
            Value::Number(Number::Int(i)) => Some(*i as f64),
            Value::Tensor(v) => match self.b.definition(*v).map(|stmt| &stmt.op) {
                Some(Op::Const(Elem::F64, Literal::Float(x))) => Some(*x),
                _ => None,
            },
            _ => None,
        };
        if let Some(x) = known {
            let literal = Literal::Float(x).at_width(float);
            return Operand::wrap(self.emit(whole, Op::Const(float, literal), &[]), false);
        }
        let Some(x) = self.operand(value, Elem::F64, arg) else { return Value::Poison };
        let from = self.b.ty(x.value).elem;
        if !x.lane && self.b.ty(x.value).rank() > 0 || from == Elem::Bool || of_f64 && from != Elem::F64 {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            let expected = if of_f64 { "an `f64`" } else { "a number" };
            let help = "convert each element of an array with `mapv`; numbers of all other types go through `F::from(x).unwrap()`";
            return self.fail(arg, messages::EXPECTED_KIND, &[expected, &found, help]);
        }
        if from == float {
            return Operand::wrap(Some(x.value), x.lane);
        }
        Operand::wrap(self.emit(whole, Elementwise::Cast(float), &[x.value]), x.lane)
    }

    /// `x.to_f64()`
    pub(super) fn widened(&mut self, call: super::methods::Call<'_>, receiver: Value) -> Value {
        let Some(x) = self.operand(receiver, self.default_float, call.receiver) else { return Value::Poison };
        let ty = self.b.ty(x.value).clone();
        if !ty.elem.is_float() || !x.lane && ty.rank() > 0 {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            let help = "it is a method of floats; convert integers with `as f64`, and the elements of an array with `mapv`";
            return self.fail(call.name, messages::UNKNOWN_METHOD, &["to_f64", &found, help]);
        }
        if ty.elem == Elem::F64 {
            return Operand::wrap(Some(x.value), x.lane);
        }
        Operand::wrap(self.emit(call.whole, Elementwise::Cast(Elem::F64), &[x.value]), x.lane)
    }

    /// That `as` does not convert to or from a type parameter.
    pub(super) fn refuse_cast(&mut self, cast: &syn::ExprCast, from: Option<Elem>, to: Elem) -> Value {
        let shown = text(&cast.expr);
        let help = match (from, to) {
            (_, Elem::Generic(to)) => {
                format!("write `{to}::from({shown}).unwrap()`, or `{to}::from_f64({shown})` of an `f64`", to = to.name())
            }
            (_, Elem::F64) => format!("write `{shown}.to_f64()`"),
            (_, to) => format!("write `{shown}.to_f64() as {to}`"),
        };
        let param = match (from, to) {
            (_, Elem::Generic(param)) | (Some(Elem::Generic(param)), _) => param.name(),
            (_, _) => "F",
        };
        self.fail(cast, messages::GENERIC_CAST, &[param, &help])
    }
}
