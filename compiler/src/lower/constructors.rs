//! Arrays made of nothing: `Array1::zeros(n)` and its peers.

use super::iterators::{Item, Iter};
use super::operators::Operand;
use super::value::{Number, Value};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Index, Literal, Op, Shape, Type, ValueId};

/// The constructors that lower, and what to.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("zeros", "`broadcast` of zero"),
    ("ones", "`broadcast` of one"),
    ("from_elem", "`broadcast`"),
    ("eye", "a comparison of positions"),
    ("from_diag", "`put_along` at equal positions"),
    ("from_diag_elem", "`put_along` at equal positions"),
    ("linspace", "`start + i (end - start) / (n - 1)`"),
    ("from_shape_fn", "the operations of the closure on all positions at once, or in a loop"),
    ("from_iter", "an array of one axis"),
    ("from_vec", "an array of one axis"),
];

/// Constructors that do not lower, with what to write instead.
const INSTEAD: &[(&str, &str)] = &[
    ("range", "write `linspace`, or `from_shape_fn(n, |i| start + step * i as f64)`: the length must not depend on floats"),
    ("logspace", "write `linspace` and `.mapv(|e| base.powf(e))`"),
    ("geomspace", "write `linspace` of the logarithms and `.exp()`"),
    ("from_shape_vec", "write `Array1::from_vec(..)` and `into_shape_with_order`"),
    ("uninit", "write `zeros`"),
    ("default", "write `zeros`"),
    ("random", "draw outside and pass the array as a parameter: a derivative needs the same numbers each time"),
    ("random_using", "draw outside and pass the array as a parameter: a derivative needs the same numbers each time"),
];

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

    /// `Array1::<f64>::zeros(n)` and its peers.
    pub(super) fn constructor(
        &mut self,
        whole: &syn::Expr,
        path: &syn::ExprPath,
        array: &str,
        constructor: &str,
        args: &[&syn::Expr],
        annotated: Option<Elem>,
    ) -> Value {
        let n_args = match constructor {
            "zeros" | "ones" | "eye" | "from_diag" | "from_iter" | "from_vec" => 1,
            "from_elem" | "from_diag_elem" | "from_shape_fn" => 2,
            "linspace" => 3,
            _ => {
                for arg in args.iter().filter(|a| !matches!(a, syn::Expr::Closure(_) | syn::Expr::Macro(_))) {
                    self.expr(arg);
                }
                let other = INSTEAD.iter().find(|i| i.0 == constructor).map(|i| i.1);
                let help = other.unwrap_or("write one of the constructors that the language page lists, or pass the array as a parameter");
                return self.fail(path, messages::UNKNOWN_FUNCTION, &[&text(path), help]);
            }
        };
        if args.len() != n_args {
            let takes = ["no arguments", "one argument", "two arguments", "three arguments"][n_args];
            return self.fail(path, messages::ARGUMENT_COUNT, &[&text(path), takes, &args.len().to_string()]);
        }
        let rank = array.strip_prefix("Array").and_then(|n| n.parse::<usize>().ok());
        let elem = self.turbofish(path).or(annotated);
        match constructor {
            "zeros" | "ones" | "from_elem" => self.filled(whole, rank, elem, constructor, args),
            "eye" | "from_diag_elem" => self.scaled_identity(whole, rank, elem, args),
            "from_diag" => self.diagonal_matrix(whole, args[0]),
            "linspace" => self.linspace(whole, elem, args),
            "from_shape_fn" => self.by_position(rank, args),
            "from_vec" => self.of_iterator(whole, args[0]),
            _ => self.of_iterator(whole, args[0]),
        }
    }

    /// Checks that a shape has as many lengths as the array has axes.
    fn expect_rank(&mut self, rank: Option<usize>, dims: &[Dim], at: &syn::Expr) -> bool {
        if rank.is_none_or(|r| r == dims.len()) {
            return true;
        }
        let expected = format!("{} lengths", rank.unwrap_or(0));
        let found = dims.len().to_string();
        self.error(at, messages::EXPECTED_KIND, &[&expected, &found, "write one length for each axis: `(n, m)`"]);
        false
    }

    /// `zeros`, `ones`, `from_elem`
    fn filled(&mut self, whole: &syn::Expr, rank: Option<usize>, elem: Option<Elem>, constructor: &str, args: &[&syn::Expr]) -> Value {
        let dims = self.lengths(args[0]);
        let value = args.get(1).map(|v| self.expr(v));
        let Some(dims) = dims else { return Value::Poison };
        if !self.expect_rank(rank, &dims, args[0]) {
            return Value::Poison;
        }
        let default = elem.unwrap_or(self.default_float);
        let scalar = match value {
            Some(value) => self.number(value, default, args[1]),
            None => self.unit(default, constructor == "ones", whole),
        };
        match scalar {
            // `Array0::from_elem((), x)`
            Some(scalar) if dims.is_empty() => Value::Tensor(scalar),
            Some(scalar) => Operand::wrap(self.emit(whole, Shape::Broadcast { axes: Vec::new(), dims }, &[scalar]), false),
            None => Value::Poison,
        }
    }

    /// A value as one number.
    fn number(&mut self, value: Value, elem: Elem, at: &syn::Expr) -> Option<ValueId> {
        let x = self.operand(value, elem, at)?;
        if x.lane || self.b.ty(x.value).rank() > 0 {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            self.error(at, messages::EXPECTED_KIND, &["a number", &found, "give one number for all elements"]);
            return None;
        }
        Some(x.value)
    }

    /// `Array2::eye(n)`, `Array2::from_diag_elem(n, value)`
    fn scaled_identity(&mut self, whole: &syn::Expr, rank: Option<usize>, elem: Option<Elem>, args: &[&syn::Expr]) -> Value {
        let dims = self.lengths(args[0]);
        let value = args.get(1).map(|v| self.expr(v));
        let Some(mut dims) = dims else { return Value::Poison };
        if rank.is_some_and(|r| r != 2) || dims.len() != 1 {
            let found = format!("{} lengths", dims.len());
            return self.fail(args[0], messages::EXPECTED_KIND, &["one length", &found, "write `Array2::eye(n)`"]);
        }
        dims.push(dims[0]);
        let default = elem.unwrap_or(self.default_float);
        let Some(value) = value else { return Operand::wrap(self.eye(whole, default, &dims), false) };
        let Some(value) = self.number(value, default, args[1]) else { return Value::Poison };
        let Some(dim) = self.part(whole, Shape::Broadcast { axes: Vec::new(), dims: dims[..1].to_vec() }, &[value]) else {
            return Value::Poison;
        };
        self.diagonal(whole, dim, args[1])
    }

    /// `Array2::from_diag(&v)`
    fn diagonal_matrix(&mut self, whole: &syn::Expr, arg: &syn::Expr) -> Value {
        match self.expr(arg) {
            Value::Tensor(v) if self.b.ty(v).rank() == 1 => self.diagonal(whole, v, arg),
            Value::Poison => Value::Poison,
            other => {
                let found = self.describe(&other);
                self.fail(arg, messages::EXPECTED_KIND, &["a vector", &found, "give the elements of the diagonal"])
            }
        }
    }

    /// The matrix with a vector on its diagonal.
    fn diagonal(&mut self, whole: &syn::Expr, v: ValueId, arg: &syn::Expr) -> Value {
        let ty = self.b.ty(v).clone();
        if !ty.elem.is_float() {
            let found = self.describe(&Value::Tensor(v));
            return self.fail(arg, messages::EXPECTED_KIND, &["floats", &found, "convert it first: `.mapv(|v| v as f64)`"]);
        }
        let dim = ty.dims[0];
        let Some(positions) = self.part(whole, Shape::Iota { dim }, &[]) else { return Value::Poison };
        Operand::wrap(self.emit(whole, Index::PutAlong { axis: 1, dim }, &[v, positions]), false)
    }

    /// `Array1::linspace(start, end, n)`: `start + i (end - start) / (n - 1)`.
    fn linspace(&mut self, whole: &syn::Expr, elem: Option<Elem>, args: &[&syn::Expr]) -> Value {
        let (start, end) = (self.expr(args[0]), self.expr(args[1]));
        let dims = self.lengths(args[2]);
        let hint = elem.or(self.elem_of(&start)).or(self.elem_of(&end)).unwrap_or(self.default_float);
        let (start, end) = (self.number(start, hint, args[0]), self.number(end, hint, args[1]));
        let (Some(start), Some(end), Some(dims)) = (start, end, dims) else { return Value::Poison };
        if dims.len() != 1 {
            let found = format!("{} lengths", dims.len());
            return self.fail(args[2], messages::EXPECTED_KIND, &["one length", &found, "give the number of elements"]);
        }
        let (start_elem, end_elem) = (self.b.ty(start).elem, self.b.ty(end).elem);
        if start_elem != end_elem || !start_elem.is_float() {
            let particulars = [&text(args[0]), start_elem.name(), &text(args[1]), end_elem.name()];
            return self.fail(whole, messages::ELEMENT_MISMATCH, &particulars);
        }
        let value = self.compose(whole, |c| {
            let ty = Type::tensor(start_elem, dims.clone());
            let n = c.b.count(&ty, &[0]);
            let one = c.b.float(start_elem, 1.0);
            let gaps = c.b.sub(n, one);
            // One element is the start, and no step is taken.
            let gaps = c.b.map(Elementwise::Max, &[gaps, one]);
            let distance = c.b.sub(end, start);
            let step = c.b.div(distance, gaps);
            let positions = c.b.op(Shape::Iota { dim: dims[0] }, &[]);
            let positions = c.b.map(Elementwise::Cast(start_elem), &[positions]);
            let (start, step) = (c.b.broadcast_scalar(start, &dims), c.b.broadcast_scalar(step, &dims));
            let way = c.b.mul(step, positions);
            c.b.add(start, way)
        });
        Value::Tensor(value)
    }

    /// `Array2::from_shape_fn((n, m), |(i, j)| ..)`
    fn by_position(&mut self, rank: Option<usize>, args: &[&syn::Expr]) -> Value {
        let Some(dims) = self.lengths(args[0]) else { return Value::Poison };
        if !self.expect_rank(rank, &dims, args[0]) {
            return Value::Poison;
        }
        let positions = Iter { dims: dims.clone(), item: Item::Position, is_zip: false };
        let Some(item) = self.mapped(args[1], &positions) else { return Value::Poison };
        Operand::wrap(self.collected(&Iter { dims, item, is_zip: false }, args[1]), false)
    }

    /// `Array1::from_iter(iterator)`
    fn of_iterator(&mut self, whole: &syn::Expr, arg: &syn::Expr) -> Value {
        match self.expr(arg) {
            Value::Iter(iter) if iter.dims.len() == 1 => Operand::wrap(self.collected(&iter, whole), false),
            Value::Tensor(x) if self.b.ty(x).rank() == 1 => Value::Tensor(x),
            Value::Poison => Value::Poison,
            other => {
                let found = self.describe(&other);
                self.fail(arg, messages::EXPECTED_KIND, &["an iterator over one axis", &found, "write `x.iter()`, or a range"])
            }
        }
    }

    /// Zero or one of an element type.
    fn unit(&mut self, elem: Elem, one: bool, at: &syn::Expr) -> Option<ValueId> {
        match elem {
            Elem::F64 | Elem::F32 | Elem::Generic(_) => self.float(elem, if one { 1.0 } else { 0.0 }, at),
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
    pub(super) fn lengths(&mut self, e: &syn::Expr) -> Option<Vec<Dim>> {
        let parts = match self.expr(e) {
            Value::Lengths(dims) => return Some(dims.into_iter().map(|d| self.b.current_dim(d)).collect()),
            Value::Tuple(parts) => parts,
            Value::Unit => Vec::new(),
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

impl Lowering<'_> {
    /// The element type in `Array1::<f64>::zeros`.
    fn turbofish(&self, path: &syn::ExprPath) -> Option<Elem> {
        path.path.segments.iter().find_map(|segment| match &segment.arguments {
            syn::PathArguments::AngleBracketed(args) => args.args.iter().find_map(|arg| match arg {
                syn::GenericArgument::Type(syn::Type::Path(ty)) => ty.path.get_ident().and_then(|i| self.elem_named(&i.to_string())),
                _ => None,
            }),
            syn::PathArguments::None | syn::PathArguments::Parenthesized(_) => None,
        })
    }
}
