//! One loop: an element-wise expression over an iteration space, as a closure and its operands.

use std::collections::HashMap;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::access::{AxisMap, Length, Space, operand_maps, simplify};
use super::einsum::Factor;
use super::emitter::{Emitter, ident};
use super::expr::Expr;
use super::names::Names;
use crate::ir::{Dim, Einsum, Elem, Elementwise, Index, Literal, Op, Reduce, Shape, Stmt, Type, ValueId};

/// A loop under construction.
pub(super) struct Loop {
    /// The axes of the space.
    dims: Vec<Dim>,
    /// How many of them are a section of their own.
    n_first: usize,
    /// What is read, in order of first use.
    operands: Vec<(Operand, Ident)>,
    /// Expressions that are used more than once, at the start of the closure.
    lets: Vec<TokenStream>,
    /// How often each value is needed along each map.
    counts: HashMap<(ValueId, AxisMap), usize>,
    /// The variable of each `let`.
    variables: HashMap<(ValueId, AxisMap), Expr>,
    /// Names inside of the closure, which may shadow nothing that it captures.
    names: Names,
    heavy: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Operand {
    Array(ValueId, AxisMap),
    Position(usize),
}

impl Loop {
    /// A loop over the given axes, of which the first `n_first` are kept apart from the others.
    pub(super) fn new(dims: &[Dim], n_first: usize) -> Self {
        Loop {
            dims: dims.to_vec(),
            n_first,
            operands: Vec::new(),
            lets: Vec::new(),
            counts: HashMap::new(),
            variables: HashMap::new(),
            names: Names::default(),
            heavy: false,
        }
    }

    /// The expression of a value that the loop computes, whether or not it ends in memory.
    pub(super) fn root(&mut self, emitter: &Emitter, value: ValueId, map: &AxisMap) -> Expr {
        self.names = emitter.names.clone();
        self.count(emitter, value, map, true);
        self.computed(emitter, value, map)
    }

    /// The expression of a value that the loop reads or computes.
    pub(super) fn operand(&mut self, emitter: &Emitter, value: ValueId, map: &AxisMap) -> Expr {
        self.names = emitter.names.clone();
        self.count(emitter, value, map, false);
        self.expr(emitter, value, map)
    }

    /// The product of two values that the loop reads or computes.
    fn product(&mut self, emitter: &Emitter, operands: [(ValueId, AxisMap); 2]) -> Expr {
        self.names = emitter.names.clone();
        for (value, map) in &operands {
            self.count(emitter, *value, map, false);
        }
        let elem = emitter.func.ty(operands[0].0).elem;
        let factors = operands.map(|(value, map)| self.expr(emitter, value, &map));
        Expr::elementwise(Elementwise::Mul, elem, &factors, &emitter.rt)
    }

    /// The expression with the variables before it, if it is the same everywhere.
    pub(super) fn constant(&self, expr: &Expr) -> Option<TokenStream> {
        self.operands.is_empty().then(|| self.body(expr))
    }

    /// The expression with the variables before it.
    fn body(&self, expr: &Expr) -> TokenStream {
        let lets = &self.lets;
        if lets.is_empty() { quote!(#expr) } else { quote!({ #(#lets)* #expr }) }
    }

    /// Counts how often values are needed, so that what is needed twice gets a variable.
    fn count(&mut self, emitter: &Emitter, value: ValueId, map: &AxisMap, is_root: bool) {
        if emitter.func.ty(value).rank() == 0 || (is_read(emitter, value) && !is_root) {
            return;
        }
        let n = self.counts.entry((value, map.clone())).or_default();
        *n += 1;
        if *n > 1 {
            return;
        }
        let stmt = emitter.plan.definition[value.0 as usize].expect("what is not in memory is computed by a statement");
        for (&arg, map) in stmt.args.iter().zip(maps(emitter, stmt, map)) {
            self.count(emitter, arg, &map, false);
        }
    }

    fn expr(&mut self, emitter: &Emitter, value: ValueId, map: &AxisMap) -> Expr {
        if emitter.func.ty(value).rank() == 0 {
            return emitter.number(value);
        }
        if is_read(emitter, value) {
            let base = emitter.name_in_loop(value);
            return self.read(Operand::Array(value, map.clone()), &base);
        }
        let key = (value, map.clone());
        if let Some(variable) = self.variables.get(&key) {
            return variable.clone();
        }
        let expr = self.computed(emitter, value, map);
        if self.counts.get(&key).is_none_or(|&n| n < 2) || is_view(emitter, value) {
            return expr;
        }
        let wanted = emitter.wanted_name(value);
        let name = self.names.unique(&wanted);
        self.lets.push(quote!(let #name = #expr;));
        let variable = Expr::name(&name);
        self.variables.insert(key, variable.clone());
        variable
    }

    fn computed(&mut self, emitter: &Emitter, value: ValueId, map: &AxisMap) -> Expr {
        let func = emitter.func;
        let stmt = emitter.plan.definition[value.0 as usize].expect("what is not in memory is computed by a statement");
        let maps = maps(emitter, stmt, map);
        match &stmt.op {
            Op::Elementwise(op) => {
                let args: Vec<Expr> = stmt.args.iter().zip(&maps).map(|(&a, map)| self.expr(emitter, a, map)).collect();
                let elem = func.ty(*stmt.args.last().expect("an operand")).elem;
                let expr = Expr::elementwise(*op, elem, &args, &emitter.rt);
                self.heavy |= expr.is_heavy();
                expr
            }
            Op::Einsum(_) => {
                let args: Vec<Expr> = stmt.args.iter().zip(&maps).map(|(&a, map)| self.expr(emitter, a, map)).collect();
                Expr::elementwise(Elementwise::Mul, func.ty(value).elem, &args, &emitter.rt)
            }
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. }) => {
                self.expr(emitter, stmt.args[0], &maps[0])
            }
            Op::Shape(Shape::Iota { .. }) => self.position(map[0]),
            Op::Index(Index::PutAlong { axis, .. }) => {
                let position = self.position(map[*axis]);
                let index = self.expr(emitter, stmt.args[1], &maps[1]);
                let v = self.expr(emitter, stmt.args[0], &maps[0]);
                let here = Expr::elementwise(Elementwise::Eq, Elem::Usize, &[position, index], &emitter.rt);
                Expr::choice(&here, &v, &Expr::literal(func.ty(value).elem, Literal::Float(0.0)))
            }
            Op::Const(..)
            | Op::Shape(Shape::Concat { .. } | Shape::Unfold { .. } | Shape::Fold { .. } | Shape::DimSize { .. } | Shape::BindDim { .. })
            | Op::Reduce(_)
            | Op::Index(
                Index::Read(_)
                | Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. },
            )
            | Op::Linalg(_)
            | Op::Call(_)
            | Op::Control(_) => unreachable!("{:?} is not computed inside of a loop", stmt.op),
        }
    }

    /// The coordinate along an axis of the space.
    fn position(&mut self, axis: Option<usize>) -> Expr {
        match axis {
            Some(axis) if self.dims[axis] != Dim::Const(1) => {
                let base = ident(["i", "j", "k", "l"].get(axis).copied().unwrap_or("position"));
                self.read(Operand::Position(axis), &base)
            }
            _ => Expr::literal(Elem::Usize, Literal::Int(0)),
        }
    }

    /// The variable by which the closure knows an operand.
    fn read(&mut self, operand: Operand, base: &Ident) -> Expr {
        if let Some((_, name)) = self.operands.iter().find(|(o, _)| *o == operand) {
            return Expr::name(name);
        }
        // Inside of the closure an array's name stands for its element; a second view of it, and a position, need another name.
        let first_view = matches!(operand, Operand::Array(..)) && self.operands.iter().all(|(_, name)| name != base);
        let mut name = base.clone();
        if !first_view {
            // The name of an array that has no variable is not among those given out.
            while self.operands.iter().any(|(_, other)| *other == name) {
                name = self.names.unique(&base.to_string());
            }
        }
        self.operands.push((operand, name.clone()));
        Expr::name(&name)
    }

    /// The shape, the operands and the closure, and how many axes are left in the first section. With `both` each section gets at
    /// least one axis.
    pub(super) fn finish(self, emitter: &Emitter, expr: &Expr, both: bool) -> (TokenStream, TokenStream, TokenStream, usize) {
        let rt = &emitter.rt;
        let arrays: Vec<(Vec<Length>, &AxisMap)> = self
            .operands
            .iter()
            .filter_map(|(operand, _)| match operand {
                Operand::Array(value, map) => Some((emitter.strides(*value), map)),
                Operand::Position(_) => None,
            })
            .collect();
        let fixed: Vec<usize> = self
            .operands
            .iter()
            .filter_map(|(operand, _)| match operand {
                Operand::Array(..) => None,
                Operand::Position(axis) => Some(*axis),
            })
            .collect();
        let mut space = simplify(&self.dims, self.n_first, &arrays, &fixed);
        if space.lengths.is_empty() || (both && space.lengths.len() == space.n_first) {
            space.push_unit();
        }
        let shape = space.lengths.iter().map(|l| emitter.length(l));
        let shape = quote!([#(#shape),*]);
        let mut strides = space.strides.iter();
        let operands: Vec<TokenStream> = self
            .operands
            .iter()
            .map(|(operand, _)| match operand {
                Operand::Array(value, _) => array_operand(emitter, *value, strides.next().expect("strides of every array"), &space),
                Operand::Position(axis) => {
                    let axis = proc_macro2::Literal::usize_unsuffixed(space.axes[*axis].expect("an axis with positions is kept"));
                    quote!(#rt::position(#axis))
                }
            })
            .collect();
        let names: Vec<&Ident> = self.operands.iter().map(|(_, name)| name).collect();
        let (operands, pattern) = match (&operands[..], &names[..]) {
            ([operand], [name]) => (operand.clone(), quote!(#name)),
            _ => (quote!((#(#operands),*)), quote!((#(#names),*))),
        };
        let body = self.body(expr);
        // A closure with much to compute would otherwise become a function that loops call for each element.
        let inline = self.heavy.then(|| quote!(#[inline(always)]));
        (shape, operands, quote!(#inline |#pattern| #body), space.n_first)
    }
}

/// An array with its strides, in the plainest form.
fn array_operand(emitter: &Emitter, value: ValueId, strides: &[Option<Length>], space: &Space) -> TokenStream {
    let (rt, x) = (&emitter.rt, emitter.memory(value));
    let one = Some(Length::new());
    // A view goes on behind its last element.
    if space.lengths.len() == 1 && strides[0] == one && !space.lengths[0].is_empty() && !emitter.is_part_view(value) {
        return quote!(#x);
    }
    let tokens = strides.iter().map(|stride| match stride {
        Some(length) => emitter.length(length),
        None => quote!(0),
    });
    let tokens = quote!([#(#tokens),*]);
    match strides.last().expect("a space has an axis") {
        None => quote!(#rt::splat(#x, #tokens)),
        last if *last == one => quote!(#rt::lane(#x, #tokens)),
        Some(_) => quote!(#rt::strided(#x, #tokens)),
    }
}

fn maps(emitter: &Emitter, stmt: &Stmt, map: &AxisMap) -> Vec<AxisMap> {
    let types: Vec<&Type> = stmt.args.iter().map(|&a| emitter.func.ty(a)).collect();
    operand_maps(stmt, &types, emitter.func.ty(stmt.outs[0]), map)
}

/// Whether loops read the value from memory.
fn is_read(emitter: &Emitter, value: ValueId) -> bool {
    emitter.plan.in_memory[value.0 as usize] || emitter.is_part_view(value)
}

fn is_view(emitter: &Emitter, value: ValueId) -> bool {
    matches!(emitter.plan.definition[value.0 as usize], Some(Stmt { op: Op::Shape(_), .. }))
}

impl Emitter<'_> {
    /// A sum or an extreme over axes of a value that is computed on the way.
    pub(super) fn fold(&mut self, x: ValueId, reduce: &Reduce, out: ValueId) -> TokenStream {
        let rt = &self.rt;
        let reduction = match reduce {
            Reduce::Sum { .. } => quote!(#rt::Sum),
            Reduce::Max { .. } => quote!(#rt::Max),
            Reduce::Min { .. } => quote!(#rt::Min),
            Reduce::Prod { .. } => quote!(#rt::Prod),
            Reduce::LogSumExp { .. } | Reduce::ArgMax { .. } | Reduce::ArgMin { .. } => unreachable!("a kernel of its own"),
        };
        let dims = self.func.ty(x).dims.clone();
        let (kept, reduced): (Vec<usize>, Vec<usize>) = (0..dims.len()).partition(|axis| !reduce.axes().contains(axis));
        let reduced_last = innermost(&dims).is_none_or(|axis| reduced.contains(&axis));
        let order = if reduced_last { [&kept[..], &reduced].concat() } else { [&reduced[..], &kept].concat() };
        let map: AxisMap = (0..dims.len()).map(|axis| order.iter().position(|&a| a == axis)).collect();
        let dims: Vec<Dim> = order.iter().map(|&axis| dims[axis]).collect();
        let mut l = Loop::new(&dims, if reduced_last { kept.len() } else { reduced.len() });
        let expr = l.operand(self, x, &map);
        self.finish_fold(l, &expr, &reduction, reduced_last, out)
    }

    /// A product in which only one operand has labels of its own, summed.
    pub(super) fn fold_product(&mut self, stmt: &Stmt, einsum: &Einsum) -> TokenStream {
        let rt = &self.rt;
        let reduction = quote!(#rt::Sum);
        let mut dims: HashMap<u8, Dim> = HashMap::new();
        for (labels, &value) in [(&einsum.lhs, &stmt.args[0]), (&einsum.rhs, &stmt.args[1])] {
            dims.extend(labels.iter().copied().zip(self.func.ty(value).dims.iter().copied()));
        }
        let longer = if einsum.lhs.len() >= einsum.rhs.len() { &einsum.lhs } else { &einsum.rhs };
        let sums: Vec<u8> = longer.iter().copied().filter(|l| !einsum.out.contains(l)).collect();
        let reduced_last = longer.last().is_none_or(|l| sums.contains(l));
        let order = if reduced_last { [&einsum.out[..], &sums].concat() } else { [&sums[..], &einsum.out].concat() };
        let map = |labels: &[u8]| -> AxisMap { labels.iter().map(|l| order.iter().position(|o| o == l)).collect() };
        let space: Vec<Dim> = order.iter().map(|l| dims[l]).collect();
        let mut l = Loop::new(&space, if reduced_last { einsum.out.len() } else { sums.len() });
        let expr = l.product(self, [(stmt.args[0], map(&einsum.lhs)), (stmt.args[1], map(&einsum.rhs))]);
        self.finish_fold(l, &expr, &reduction, reduced_last, stmt.outs[0])
    }

    fn finish_fold(&mut self, l: Loop, expr: &Expr, reduction: &TokenStream, reduced_last: bool, out: ValueId) -> TokenStream {
        let rt = self.rt.clone();
        if self.func.ty(out).rank() == 0 {
            let (shape, operands, closure, _) = l.finish(self, expr, false);
            return quote!(#rt::reduce_all(#reduction, #shape, #operands, #closure));
        }
        let dest = self.destination(out);
        let (shape, operands, closure, n_first) = l.finish(self, expr, true);
        let n_first = proc_macro2::Literal::usize_unsuffixed(n_first);
        let kernel = if reduced_last { quote!(reduce_last) } else { quote!(reduce_first) };
        quote!(#rt::#kernel(#reduction, #dest, #shape, #n_first, #operands, #closure))
    }

    /// `ln(sum(exp(x)))` over axes of an array in memory.
    pub(super) fn log_sum_exp(&mut self, x: ValueId, axes: &[usize], out: ValueId) -> TokenStream {
        let rt = self.rt.clone();
        let dims = self.func.ty(x).dims.clone();
        let scalar = self.func.ty(out).rank() == 0;
        let dest = if scalar { self.one_element(out) } else { self.destination(out) };
        let part = |emitter: &Self, axes: &[usize]| emitter.length(&super::access::length(axes.iter().map(|&a| dims[a])));
        let all: Vec<usize> = (0..dims.len()).collect();
        let adjacent = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
        let call = if let (true, Some(&first)) = (adjacent, axes.first()) {
            let (outer, len, inner) = (part(self, &all[..first]), part(self, axes), part(self, &all[first + axes.len()..]));
            let x = self.memory(x);
            quote!(#rt::log_sum_exp(#dest, #x, [#outer, #len, #inner]))
        } else {
            // The axes are moved together at the end first.
            let kept: Vec<usize> = all.iter().copied().filter(|a| !axes.contains(a)).collect();
            let order = [&kept[..], axes].concat();
            let map: AxisMap = all.iter().map(|a| order.iter().position(|o| o == a)).collect();
            let mut l = Loop::new(&order.iter().map(|&a| dims[a]).collect::<Vec<_>>(), 0);
            let expr = l.operand(self, x, &map);
            let (shape, operands, closure, _) = l.finish(self, &expr, false);
            let elem = self.func.ty(x).elem;
            let field = self.names.unique("moved");
            let field = self.buffer_called(field, elem);
            let (n, outer, len) = (part(self, &all), part(self, &kept), part(self, axes));
            quote!(#rt::log_sum_exp(#dest, #rt::map(buffers.#field.fit(#n), #shape, #operands, #closure), [#outer, #len, 1]))
        };
        if scalar { quote!(#call[0]) } else { call }
    }

    /// The positions of extremes along an axis.
    pub(super) fn extreme_positions(&mut self, x: ValueId, reduce: &Reduce, out: ValueId) -> TokenStream {
        let rt = self.rt.clone();
        let order = if matches!(reduce, Reduce::ArgMax { .. }) { quote!(#rt::Largest) } else { quote!(#rt::Smallest) };
        let (values, shape) = (self.memory(x), self.around(x, reduce.axes()[0]));
        let scalar = self.func.ty(out).rank() == 0;
        let dest = if scalar { quote!(&mut [0]) } else { self.destination(out) };
        let call = quote!(#rt::extreme_positions(#order, #dest, #values, #shape));
        if scalar { quote!(#call[0]) } else { call }
    }

    /// A product that is no matrix product.
    pub(super) fn contraction(&mut self, out: ValueId, einsum: &Einsum, lhs: &Factor, rhs: &Factor) -> TokenStream {
        let rt = self.rt.clone();
        let ([out_shape, sum_shape], operands) = self.contracted(&einsum.out, lhs, rhs);
        let scalar = self.func.ty(out).rank() == 0;
        let dest = if scalar { self.one_element(out) } else { self.destination(out) };
        let call = quote!(#rt::contract(#dest, #out_shape, #sum_shape, #operands));
        if scalar { quote!(#call[0]) } else { call }
    }

    /// The shapes of the labels `out` and of the summed ones, and the operands with their strides along both.
    pub(super) fn contracted(&self, out: &[u8], lhs: &Factor, rhs: &Factor) -> ([TokenStream; 2], TokenStream) {
        let sums: Vec<u8> = lhs.labels.iter().copied().filter(|l| !out.contains(l)).collect();
        let lengths = |labels: &[u8]| {
            let tokens = labels.iter().map(|&l| {
                let (factor, axis) = lhs.axis(l).map(|a| (lhs, a)).or_else(|| rhs.axis(l).map(|a| (rhs, a))).expect("a label of a factor");
                self.dim(self.func.ty(factor.value).dims[axis])
            });
            quote!([#(#tokens),*])
        };
        let strides = |factor: &Factor| {
            let of_axes = self.strides(factor.value);
            let tokens = out.iter().chain(&sums).map(|&l| match factor.axis(l) {
                Some(axis) => self.length(&of_axes[axis]),
                None => quote!(0),
            });
            quote!([#(#tokens),*])
        };
        let (x, y, x_strides, y_strides) = (self.memory(lhs.value), self.memory(rhs.value), strides(lhs), strides(rhs));
        ([lengths(out), lengths(&sums)], quote!(#x, #x_strides, #y, #y_strides))
    }
}

/// The last axis that has a length.
fn innermost(dims: &[Dim]) -> Option<usize> {
    (0..dims.len()).rev().find(|&axis| dims[axis] != Dim::Const(1))
}
