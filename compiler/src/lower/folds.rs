//! `fold`: a reduction where the closure is a sum, a product or an extreme, else a loop.

use super::Lowering;
use super::iterators::{Item, Iter};
use super::methods::Call;
use super::operators::Operand;
use super::value::{Number, Value};
use crate::diagnostics::messages;
use crate::ir::{Elementwise, Index, Literal, Op, Reduce, ValueId, Window};

/// How a recognised closure combines the accumulator with what it makes of the item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Combination {
    Add,
    Sub,
    Mul,
    Max,
    Min,
}

impl Combination {
    fn reduce(self, axes: Vec<usize>) -> Reduce {
        match self {
            Combination::Add | Combination::Sub => Reduce::Sum { axes },
            Combination::Mul => Reduce::Prod { axes },
            Combination::Max => Reduce::Max { axes },
            Combination::Min => Reduce::Min { axes },
        }
    }

    fn elementwise(self) -> Elementwise {
        match self {
            Combination::Add => Elementwise::Add,
            Combination::Sub => Elementwise::Sub,
            Combination::Mul => Elementwise::Mul,
            Combination::Max => Elementwise::Max,
            Combination::Min => Elementwise::Min,
        }
    }

    /// The first value that leaves the result as it is.
    fn identity(self) -> f64 {
        match self {
            Combination::Add | Combination::Sub => 0.0,
            Combination::Mul => 1.0,
            Combination::Max => f64::NEG_INFINITY,
            Combination::Min => f64::INFINITY,
        }
    }
}

/// A closure that is a reduction: how it combines, and what it makes of the item; nothing if it is the item itself.
struct Recognised {
    combination: Combination,
    of_item: Option<syn::Expr>,
}

impl Lowering<'_> {
    /// `x.fold(init, f)` of an array.
    pub(super) fn fold_elements(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let iter = Iter { dims: self.b.ty(x).dims.clone(), item: Item::Elements(Value::Lane(x)), is_zip: false };
        self.fold_items(call, iter)
    }

    /// `iter.fold(init, f)`
    pub(super) fn fold_items(&mut self, call: Call<'_>, iter: Iter) -> Value {
        let init = self.expr(call.args[0]);
        if init.is_poisoned() {
            return Value::Poison;
        }
        let f = call.args[1];
        if let Some(recognised) = recognise(f) {
            let items = match &recognised.of_item {
                None => self.collected(&iter, f),
                Some(of_item) => {
                    let Some(item) = self.mapped(of_item, &iter) else { return Value::Poison };
                    self.collected(&Iter { item, dims: iter.dims.clone(), is_zip: false }, f)
                }
            };
            let Some(items) = items else { return Value::Poison };
            let n_axes = iter.dims.len();
            if self.b.ty(items).rank() == n_axes {
                return self.reduction(call, init, call.args[0], recognised.combination, items, (0..n_axes).collect());
            }
            return self.fail(f, messages::EXPECTED_KIND, &["a closure over numbers", "one over arrays", "write a `for` loop"]);
        }
        self.fold_in_turns(call, &iter, init, f)
    }

    /// A reduction and its first value.
    fn reduction(
        &mut self,
        call: Call<'_>,
        init: Value,
        init_expr: &syn::Expr,
        combination: Combination,
        items: ValueId,
        axes: Vec<usize>,
    ) -> Value {
        let Some(reduced) = self.reduce_numbers(call.whole, items, combination.reduce(axes)) else { return Value::Poison };
        let is_identity = self.is_constant(&init, combination.identity());
        if is_identity && combination != Combination::Sub {
            return Value::Tensor(reduced);
        }
        self.binary(call.whole, combination.elementwise(), (init_expr, init), (call.receiver, Value::Tensor(reduced)))
    }

    /// Whether a value is the literal, or the constant such as `f64::INFINITY`.
    fn is_constant(&self, value: &Value, x: f64) -> bool {
        match value {
            Value::Tensor(v) => match self.b.definition(*v).map(|stmt| &stmt.op) {
                Some(Op::Const(_, Literal::Float(y))) => *y == x,
                Some(Op::Const(_, Literal::Int(i))) => *i as f64 == x,
                _ => false,
            },
            Value::Number(Number::Float(wide, _)) => *wide == x,
            Value::Number(Number::Int(i)) => *i as f64 == x,
            Value::Lane(_) | Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => false,
            Value::Fixed(_) | Value::Closure(_) | Value::Iter(_) | Value::Unit | Value::Poison => false,
        }
    }

    fn fold_in_turns(&mut self, call: Call<'_>, iter: &Iter, init: Value, f: &syn::Expr) -> Value {
        let function = match f {
            syn::Expr::Closure(_) => Some(self.expr(f)),
            _ => None,
        };
        let Some(leaves) = init.leaves() else {
            let found = self.describe(&init);
            return self.fail(call.args[0], messages::EXPECTED_KIND, &["numbers, arrays or a tuple of them", &found, "start with a value"]);
        };
        let carried: Option<Vec<ValueId>> = leaves.into_iter().map(|leaf| self.leaf(leaf, None, call.args[0])).collect();
        let Some(carried) = carried else { return Value::Poison };
        let outs = self.looped(&iter.dims.clone(), carried, f, &mut |this, turn, carried| {
            let item = this.item_at(&iter.item, turn, f)?;
            let mut args = vec![init.with_leaves(&mut carried.iter().map(|&v| Value::Tensor(v)))];
            match item {
                Value::Tuple(parts) if iter.is_zip => args.extend(parts),
                item => args.push(item),
            }
            let exprs = vec![f; args.len()];
            let next = match &function {
                Some(function) => this.apply_value(f, function.clone(), args, &exprs),
                None => this.apply(f, args, &exprs),
            };
            if next.is_poisoned() {
                return None;
            }
            let leaves = next.leaves().filter(|leaves| leaves.len() == carried.len());
            let Some(leaves) = leaves else {
                let (first, next) = (this.describe(&init), this.describe(&next));
                this.error(f, messages::CARRIED_TYPE, &["the accumulator", &first, &next]);
                return None;
            };
            let elems: Vec<_> = carried.iter().map(|&v| this.b.ty(v).elem).collect();
            let next: Option<Vec<ValueId>> = leaves.into_iter().zip(elems).map(|(leaf, elem)| this.leaf(leaf, Some(elem), f)).collect();
            Some((next?, Vec::new()))
        });
        match outs {
            Some((last, _)) => init.with_leaves(&mut last.into_iter().map(Value::Tensor)),
            None => Value::Poison,
        }
    }

    /// `x.fold_axis(Axis(k), init, |&acc, &v| ..)`
    pub(super) fn fold_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let rank = self.b.ty(x).rank();
        let Some(axis) = self.axis_of(call, rank) else { return Value::Poison };
        let init = self.expr(call.args[1]);
        if init.is_poisoned() {
            return Value::Poison;
        }
        let (f, dims) = (call.args[2], self.b.ty(x).dims.clone());
        if let Some(recognised) = recognise(f) {
            let iter = Iter { dims: dims.clone(), item: Item::Elements(Value::Lane(x)), is_zip: false };
            let items = match &recognised.of_item {
                None => Some(x),
                Some(of_item) => {
                    let Some(item) = self.mapped(of_item, &iter) else { return Value::Poison };
                    self.collected(&Iter { item, dims, is_zip: false }, f)
                }
            };
            let Some(items) = items else { return Value::Poison };
            return self.reduction(call, init, call.args[1], recognised.combination, items, vec![axis]);
        }
        let mut kept = dims.clone();
        kept.remove(axis);
        let Some(init) = self.operand(init, self.default_float, call.args[1]) else { return Value::Poison };
        if self.b.ty(init.value).rank() > 0 {
            let found = self.describe(&Value::Tensor(init.value));
            return self.fail(call.args[1], messages::EXPECTED_KIND, &["a number", &found, "start with one number for all lanes"]);
        }
        let Some(first) = self.spread(init, &kept, call.args[1]) else { return Value::Poison };
        let function = match f {
            syn::Expr::Closure(_) => Some(self.expr(f)),
            _ => None,
        };
        let outs = self.looped(&[dims[axis]], vec![first], f, &mut |this, turn, carried| {
            let part = this.part(f, Index::Read(Window::at(axis)), &[x, turn[0]])?;
            let wrap = |v: ValueId| if kept.is_empty() { Value::Tensor(v) } else { Value::Lane(v) };
            let args = vec![wrap(carried[0]), wrap(part)];
            let next = this.apply_to_elements(f, function.clone(), args, &kept)?;
            let next = this.operand(next, this.default_float, f)?;
            let next = this.spread(next, &kept, f)?;
            Some((vec![next], Vec::new()))
        });
        Operand::wrap(outs.and_then(|(last, _)| last.first().copied()), false)
    }
}

/// Whether a closure only adds to, multiplies or bounds the accumulator.
fn recognise(f: &syn::Expr) -> Option<Recognised> {
    if let syn::Expr::Path(path) = f {
        let name = path.path.segments.last()?.ident.to_string();
        let combination = match name.as_str() {
            "max" if path.path.segments.len() > 1 => Combination::Max,
            "min" if path.path.segments.len() > 1 => Combination::Min,
            _ => return None,
        };
        return Some(Recognised { combination, of_item: None });
    }
    let syn::Expr::Closure(closure) = f else { return None };
    let (acc, rest) = closure.inputs.iter().collect::<Vec<_>>().split_first().map(|(first, rest)| (name_of(first), rest.to_vec()))?;
    let acc = acc?;
    let (combination, of_item) = match peeled(&closure.body) {
        syn::Expr::Binary(binary) => {
            let combination = match binary.op {
                syn::BinOp::Add(_) => Combination::Add,
                syn::BinOp::Sub(_) => Combination::Sub,
                syn::BinOp::Mul(_) => Combination::Mul,
                _ => return None,
            };
            match (is_name(&binary.left, &acc), is_name(&binary.right, &acc)) {
                (true, false) => (combination, &*binary.right),
                (false, true) if combination != Combination::Sub => (combination, &*binary.left),
                _ => return None,
            }
        }
        syn::Expr::MethodCall(call) if call.args.len() == 1 => {
            let combination = extreme(&call.method)?;
            match (is_name(&call.receiver, &acc), is_name(&call.args[0], &acc)) {
                (true, false) => (combination, &call.args[0]),
                (false, true) => (combination, &*call.receiver),
                _ => return None,
            }
        }
        syn::Expr::Call(call) if call.args.len() == 2 => {
            let syn::Expr::Path(path) = &*call.func else { return None };
            if path.path.segments.len() < 2 {
                return None;
            }
            let combination = extreme(&path.path.segments.last()?.ident)?;
            match (is_name(&call.args[0], &acc), is_name(&call.args[1], &acc)) {
                (true, false) => (combination, &call.args[1]),
                (false, true) => (combination, &call.args[0]),
                _ => return None,
            }
        }
        _ => return None,
    };
    let mut mentions = Mentions { name: &acc, found: false };
    syn::visit::Visit::visit_expr(&mut mentions, of_item);
    if mentions.found {
        return None;
    }
    // The closure without its accumulator.
    let mut of_item_closure = closure.clone();
    of_item_closure.inputs = rest.into_iter().cloned().collect();
    of_item_closure.body = Box::new(of_item.clone());
    of_item_closure.output = syn::ReturnType::Default;
    Some(Recognised { combination, of_item: Some(syn::Expr::Closure(of_item_closure)) })
}

fn extreme(method: &syn::Ident) -> Option<Combination> {
    match method.to_string().as_str() {
        "max" => Some(Combination::Max),
        "min" => Some(Combination::Min),
        _ => None,
    }
}

/// The name that a closure's parameter binds, references aside.
fn name_of(pat: &syn::Pat) -> Option<String> {
    match pat {
        syn::Pat::Ident(p) if p.subpat.is_none() => Some(p.ident.to_string()),
        syn::Pat::Type(p) => name_of(&p.pat),
        syn::Pat::Reference(p) => name_of(&p.pat),
        syn::Pat::Paren(p) => name_of(&p.pat),
        _ => None,
    }
}

/// An expression without parentheses, references, and blocks of one expression.
fn peeled(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => peeled(&p.expr),
        syn::Expr::Group(p) => peeled(&p.expr),
        syn::Expr::Reference(r) => peeled(&r.expr),
        syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Deref(_), expr, .. }) => peeled(expr),
        syn::Expr::Block(block) => match &block.block.stmts[..] {
            [syn::Stmt::Expr(e, None)] => peeled(e),
            _ => e,
        },
        e => e,
    }
}

fn is_name(e: &syn::Expr, name: &str) -> bool {
    matches!(peeled(e), syn::Expr::Path(path) if path.path.is_ident(name))
}

/// Looks for a name.
struct Mentions<'n> {
    name: &'n str,
    found: bool,
}

impl<'ast> syn::visit::Visit<'ast> for Mentions<'_> {
    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        self.found |= ident == self.name;
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // What a macro's tokens are is not known here.
        self.found = true;
        syn::visit::visit_macro(self, mac);
    }
}
