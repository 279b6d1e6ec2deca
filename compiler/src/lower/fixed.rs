//! Fixed arrays, `[f64; N]`, and the constant parameters that are their lengths.
//!
//! A fixed array is a tensor of the IR, but not an array of `ndarray`: it has no arithmetic, `len` is that of its outermost axis, and one position gives
//! a whole row of `[[f64; N]; M]`. What is not listed here is refused.

use quote::ToTokens;

use super::Lowering;
use super::methods::Call;
use super::value::Value;
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Index, Pick, Shape, ValueId, Window};
use crate::syntax::form::{Form, Length};

impl Lowering<'_> {
    /// The dimension of a length.
    pub(super) fn fixed_dim(&mut self, length: &Length) -> Option<Dim> {
        match length {
            Length::Known(n) => Some(Dim::Const(*n)),
            Length::Named(name) => self.const_params.get(&name.to_string()).map(|&dim| self.b.current_dim(dim)),
        }
    }

    /// Whether lengths that are known agree.
    pub(super) fn lengths_agree(&mut self, v: ValueId, lengths: &[Length]) -> bool {
        let dims = self.b.ty(v).dims.clone();
        dims.len() == lengths.len()
            && dims.iter().zip(lengths).all(|(&dim, length)| match (self.b.current_dim(dim), self.fixed_dim(length)) {
                (Dim::Const(have), Some(Dim::Const(expected))) => have == expected,
                (Dim::Const(_) | Dim::Sym(_), Some(_) | None) => true,
            })
    }

    /// Gives a fixed array the lengths that a signature or annotation says; those that are constant parameters of a helper become what they are here.
    pub(super) fn fix_lengths(&mut self, v: ValueId, lengths: &[Length], at: &dyn ToTokens) -> bool {
        let whole = syn::Expr::Verbatim(at.to_token_stream());
        for (k, length) in lengths.iter().enumerate() {
            let dim = self.b.ty(v).dims[k];
            match (self.fixed_dim(length), length) {
                (Some(fixed), _) => {
                    if !self.unify(dim, fixed, &whole, &whole, &whole) {
                        return false;
                    }
                }
                (None, Length::Named(name)) => {
                    self.const_params.insert(name.to_string(), dim);
                }
                (None, Length::Known(_)) => {}
            }
        }
        true
    }

    /// Makes a constant parameter a `usize` in sight.
    pub(super) fn bind_const_param(&mut self, name: &syn::Ident) {
        let dim = self.const_params.get(&name.to_string()).copied();
        let value = dim.and_then(|dim| self.length(dim, name));
        self.scope.bind(name.to_string(), value.map_or(Value::Poison, Value::Tensor));
    }

    /// An expression where a fixed array of this form may be expected, whose element type literals take.
    pub(super) fn expr_expecting(&mut self, e: &syn::Expr, form: Option<&Form>) -> Value {
        let mut inner = e;
        while let syn::Expr::Reference(syn::ExprReference { expr, .. })
        | syn::Expr::Paren(syn::ExprParen { expr, .. })
        | syn::Expr::Group(syn::ExprGroup { expr, .. }) = inner
        {
            inner = expr;
        }
        match (inner, form) {
            (syn::Expr::Array(array), Some(Form::Fixed { elem, .. })) => self.array_literal(array, Some(*elem)),
            _ => self.expr(e),
        }
    }

    /// `[a, b, c]`, `[[a, b], [c, d]]`
    pub(super) fn array_literal(&mut self, e: &syn::ExprArray, expected: Option<Elem>) -> Value {
        let values: Vec<Value> = e
            .elems
            .iter()
            .map(|x| match x {
                syn::Expr::Array(inner) => self.array_literal(inner, expected),
                other => self.expr(other),
            })
            .collect();
        if values.iter().any(Value::is_poisoned) {
            return Value::Poison;
        }
        let elem = expected.or(values.iter().find_map(|v| self.elem_of(v)));
        let mut parts: Vec<ValueId> = Vec::new();
        for (value, at) in values.into_iter().zip(&e.elems) {
            let part = match value {
                Value::Fixed(v) => Some(v),
                Value::Tensor(v) if self.b.ty(v).rank() == 0 => Some(v),
                Value::Number(_) => self.leaf(value, elem, at),
                other => {
                    let found = self.describe(&other);
                    self.error(at, messages::EXPECTED_KIND, &["a number", &found, "an array literal holds numbers, or arrays of numbers"]);
                    None
                }
            };
            let Some(part) = part else { return Value::Poison };
            if let Some(&first) = parts.first()
                && self.b.ty(first) != self.b.ty(part)
            {
                let (expected, found) = (self.describe_fixed(first), self.describe_fixed(part));
                return self.fail(at, messages::EXPECTED_KIND, &[&expected, &found, "all elements of an array are of one type"]);
            }
            parts.push(part);
        }
        let Some(&first) = parts.first() else {
            return self.fail(e, messages::UNSUPPORTED_EXPRESSION, &["an empty array", "an array with elements"]);
        };
        let dims: Vec<Dim> = std::iter::once(Dim::Const(1)).chain(self.b.ty(first).dims.iter().copied()).collect();
        let mut rows = Vec::new();
        for part in parts {
            let Some(row) = self.part(e, Shape::Reshape { dims: dims.clone() }, &[part]) else { return Value::Poison };
            rows.push(row);
        }
        let dim = Dim::Const(rows.len() as u64);
        self.emit(e, Shape::Concat { axis: 0, dim }, &rows).map_or(Value::Poison, Value::Fixed)
    }

    /// `ArrayView1::from(&x)`, `Array2::from(x)`: a fixed array as an array of `ndarray`.
    pub(super) fn array_of_fixed(&mut self, array: &str, arg: &syn::Expr) -> Value {
        match self.expr(arg) {
            Value::Fixed(v) if array.ends_with(&self.b.ty(v).rank().to_string()) => Value::Tensor(v),
            Value::Poison => Value::Poison,
            other => {
                let found = self.describe(&other);
                let expected = format!("a fixed array as the argument of `{array}::from`");
                self.fail(arg, messages::EXPECTED_KIND, &[&expected, &found, "pass an array such as `[f64; 3]`"])
            }
        }
    }

    /// `[x; N]`
    pub(super) fn array_repeat(&mut self, e: &syn::ExprRepeat) -> Value {
        let value = self.expr(&e.expr);
        let elem = self.elem_of(&value);
        let part = match value {
            Value::Poison => return Value::Poison,
            Value::Fixed(v) => Some(v),
            other => self.leaf(other, elem, &e.expr),
        };
        let dim = self.type_names().length(&e.len, self.diags).and_then(|length| self.fixed_dim(&length));
        let (Some(part), Some(dim)) = (part, dim) else { return Value::Poison };
        let ty = self.b.ty(part).clone();
        let dims: Vec<Dim> = std::iter::once(dim).chain(ty.dims.iter().copied()).collect();
        let axes = (1..dims.len()).collect();
        self.emit(e, Shape::Broadcast { axes, dims }, &[part]).map_or(Value::Poison, Value::Fixed)
    }

    /// `x[i]`, `x[i][j]`
    pub(super) fn index_fixed(&mut self, index: &syn::ExprIndex, x: ValueId) -> Value {
        let Some(i) = self.position(&index.index) else { return Value::Poison };
        let Some(part) = self.emit(index, Index::Read(Window { axes: vec![(0, Pick::At)] }), &[x, i]) else { return Value::Poison };
        if self.b.ty(part).rank() == 0 { Value::Tensor(part) } else { Value::Fixed(part) }
    }

    /// A method of a fixed array.
    pub(super) fn fixed_method(&mut self, call: Call<'_>, name: &str, x: ValueId) -> Value {
        let dims = self.b.ty(x).dims.clone();
        match name {
            "len" => self.length(dims[0], call.whole).map_or(Value::Poison, Value::Tensor),
            "clone" | "to_owned" => Value::Fixed(x),
            "iter" | "into_iter" if dims.len() == 1 => self.iter(x),
            // The elements of one axis, as `ndarray`'s `mapv` has them.
            "map" if dims.len() == 1 => match self.mapv(call, x) {
                Value::Tensor(v) => Value::Fixed(v),
                other => other,
            },
            _ => {
                let found = self.describe_fixed(x);
                let help =
                    "fixed arrays have `x[i]`, `len`, `clone`, `map` and `iter` here; `ArrayView1::from(&x)` is an array with all methods";
                self.fail(call.name, messages::UNKNOWN_METHOD, &[name, &found, help])
            }
        }
    }

    /// The type of a fixed array, with its article.
    pub(super) fn describe_fixed(&self, v: ValueId) -> String {
        let ty = self.b.ty(v);
        if ty.rank() == 0 {
            return super::value::describe_type(ty);
        }
        let lengths = ty.dims.iter().rev().map(|&dim| match self.b.current_dim(dim) {
            Dim::Const(n) => format!("; {n}]"),
            Dim::Sym(_) => "; _]".to_owned(),
        });
        let (opening, lengths) = ("[".repeat(ty.rank()), lengths.collect::<String>());
        format!("a `{opening}{}{lengths}`", ty.elem)
    }
}
