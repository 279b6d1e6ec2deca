//! Arrays made of nothing: `Array1::zeros(n)` and its peers.

use super::operators::Operand;
use super::value::{Number, Value};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Literal, Op, Shape, ValueId};
use crate::syntax::signature::elem_named;

impl Lowering<'_> {
    /// An expression that may be a constructor, whose element type the annotation of the `let` around it can tell.
    pub(super) fn expr_of_type(&mut self, e: &syn::Expr, annotation: Option<&syn::Type>) -> Value {
        if let (syn::Expr::Call(call), Some(ty)) = (e, annotation)
            && let syn::Expr::Path(path) = &*call.func
            && path.path.segments.len() >= 2
        {
            let names: Vec<String> = path.path.segments.iter().map(|s| s.ident.to_string()).collect();
            if let [.., array, constructor] = &names[..]
                && array.starts_with("Array")
            {
                let elem = self.annotation(ty).and_then(|form| form.leaves().first().map(|&(elem, _)| elem));
                let args: Vec<&syn::Expr> = call.args.iter().collect();
                return self.constructor(e, path, array, constructor, &args, elem);
            }
        }
        self.expr(e)
    }

    /// `Array1::<f64>::zeros(n)`, `Array2::ones((m, n))`, `Array1::from_elem(n, value)`, `Array2::eye(n)`
    pub(super) fn constructor(
        &mut self,
        whole: &syn::Expr,
        path: &syn::ExprPath,
        array: &str,
        constructor: &str,
        args: &[&syn::Expr],
        annotated: Option<Elem>,
    ) -> Value {
        let rank = array.strip_prefix("Array").and_then(|n| n.parse::<usize>().ok());
        let elem = turbofish(path).or(annotated);
        let n_args = if constructor == "from_elem" { 2 } else { 1 };
        if !["zeros", "ones", "from_elem", "eye"].contains(&constructor) {
            for arg in args {
                self.expr(arg);
            }
            let help = "write `zeros`, `ones`, `from_elem` or `eye`, or pass the array as a parameter";
            return self.fail(path, messages::UNKNOWN_FUNCTION, &[&text(path), help]);
        }
        if args.len() != n_args {
            let takes = if n_args == 1 { "one argument" } else { "two arguments" };
            return self.fail(path, messages::ARGUMENT_COUNT, &[&text(path), takes, &args.len().to_string()]);
        }
        let dims = self.lengths(args[0]);
        let value = args.get(1).map(|v| self.expr(v));
        let Some(mut dims) = dims else { return Value::Poison };
        if constructor == "eye" {
            if rank != Some(2) || dims.len() != 1 {
                let found = format!("{} lengths", dims.len());
                return self.fail(args[0], messages::EXPECTED_KIND, &["one length", &found, "write `Array2::eye(n)`"]);
            }
            dims.push(dims[0]);
        }
        if rank.is_some_and(|r| r != dims.len()) {
            let expected = format!("{} lengths", rank.unwrap_or(0));
            let found = dims.len().to_string();
            return self.fail(args[0], messages::EXPECTED_KIND, &[&expected, &found, "write one length for each axis: `(n, m)`"]);
        }
        let default = elem.unwrap_or(self.default_float);
        let scalar = match (constructor, value) {
            ("from_elem", Some(value)) => self.operand(value, default, args[1]).map(|x| x.value),
            (_, _) => self.unit(default, constructor == "ones", whole),
        };
        let Some(scalar) = scalar else { return Value::Poison };
        if self.b.ty(scalar).rank() > 0 {
            let found = self.describe(&Value::Tensor(scalar));
            let at = args.last().copied().unwrap_or(whole);
            return self.fail(at, messages::EXPECTED_KIND, &["a number", &found, "give one number for all elements"]);
        }
        if constructor == "eye" {
            return Operand::wrap(self.eye(whole, default, &dims), false);
        }
        Operand::wrap(self.emit(whole, Shape::Broadcast { axes: Vec::new(), dims }, &[scalar]), false)
    }

    /// Zero or one of an element type.
    fn unit(&mut self, elem: Elem, one: bool, at: &syn::Expr) -> Option<ValueId> {
        match elem {
            Elem::F64 | Elem::F32 => self.float(elem, if one { 1.0 } else { 0.0 }, at),
            Elem::Usize | Elem::I64 => self.part(at, Op::Const(elem, Literal::Int(i64::from(one))), &[]),
            Elem::Bool => {
                let help = "write `Array1::from_elem(n, false)`";
                self.error(at, messages::EXPECTED_KIND, &["an array of numbers", "one of `bool`", help]);
                None
            }
        }
    }

    /// One where both positions are equal, else zero.
    fn eye(&mut self, whole: &syn::Expr, elem: Elem, dims: &[Dim]) -> Option<ValueId> {
        let positions = self.part(whole, Shape::Iota { dim: dims[0] }, &[])?;
        let row = self.part(whole, Shape::Broadcast { axes: vec![0], dims: dims.to_vec() }, &[positions])?;
        let column = self.part(whole, Shape::Broadcast { axes: vec![1], dims: dims.to_vec() }, &[positions])?;
        let diagonal = self.part(whole, Elementwise::Eq, &[row, column])?;
        self.emit(whole, Elementwise::Cast(elem), &[diagonal])
    }

    /// The lengths that a shape argument gives: a number, a tuple, `x.dim()`, `x.raw_dim()`.
    fn lengths(&mut self, e: &syn::Expr) -> Option<Vec<Dim>> {
        let parts = match self.expr(e) {
            Value::Lengths(dims) => return Some(dims.into_iter().map(|d| self.b.current_dim(d)).collect()),
            Value::Tuple(parts) => parts,
            Value::Poison => return None,
            one => vec![one],
        };
        let dims: Vec<Option<Dim>> = parts.iter().map(|p| self.dim_of_length(p, &length_name(p, e), e)).collect();
        dims.into_iter().collect()
    }
}

/// The name of a dimension that a length makes: that of the variable, if it is one.
fn length_name(length: &Value, e: &syn::Expr) -> String {
    match (length, e) {
        (Value::Number(Number::Int(n)), _) => format!("n_{n}"),
        (_, syn::Expr::Path(path)) => path.path.get_ident().map_or_else(|| "length".to_owned(), ToString::to_string),
        _ => "length".to_owned(),
    }
}

/// The element type in `Array1::<f64>::zeros`.
fn turbofish(path: &syn::ExprPath) -> Option<Elem> {
    path.path.segments.iter().find_map(|segment| match &segment.arguments {
        syn::PathArguments::AngleBracketed(args) => args.args.iter().find_map(|arg| match arg {
            syn::GenericArgument::Type(syn::Type::Path(ty)) => ty.path.get_ident().and_then(|i| elem_named(&i.to_string())),
            _ => None,
        }),
        syn::PathArguments::None | syn::PathArguments::Parenthesized(_) => None,
    })
}
