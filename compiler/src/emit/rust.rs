//! The statements of a function as Rust.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::access::{Length, identity, length};
use super::einsum::{Factor, MatrixProduct, StackProduct, Way, way};
use super::emitter::{Destination, Emitter, Open};
use super::expr::Expr;
use super::fuse::Loop;
use crate::ir::{Body, Dim, Elem, Elementwise, Index, Op, Reduce, Shape, Stmt, ValueId};

impl<'f> Emitter<'f> {
    /// The statements of the function's body.
    pub fn statements(&mut self) -> TokenStream {
        // Results have the first claim to their names.
        for &result in self.func.results() {
            self.name(result);
        }
        let func = self.func;
        self.body(&func.body)
    }

    pub(super) fn body(&mut self, body: &'f Body) -> TokenStream {
        self.body_with(body, Vec::new())
    }

    /// A body that may change the arrays `lent` from around it where they stand.
    pub(super) fn body_with(&mut self, body: &'f Body, lent: Vec<ValueId>) -> TokenStream {
        // What a nested body binds is not in scope behind it.
        let outer = self.is_nested().then(|| self.dims.clone());
        self.enter(Open { body, lent });
        self.prepare_loops(body);
        let statements = body.stmts.iter().map(|stmt| self.statement(stmt)).collect();
        self.leave();
        if let Some(dims) = outer {
            self.dims = dims;
        }
        statements
    }

    /// One statement, with the check that it needs before it.
    fn statement(&mut self, stmt: &'f Stmt) -> TokenStream {
        let check = self.check_of_reshape(stmt);
        let statement = self.unchecked(stmt);
        quote!(#check #statement)
    }

    /// Nothing for values that are expressions where they are used.
    fn unchecked(&mut self, stmt: &'f Stmt) -> TokenStream {
        let rt = self.rt.clone();
        match &stmt.op {
            Op::Control(control) => return self.control(stmt, control),
            Op::Shape(Shape::BindDim { dim }) => return self.bind_length(stmt.args[0], *dim),
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Concat { .. }
                | Shape::Unfold { .. }
                | Shape::Fold { .. }
                | Shape::Iota { .. }
                | Shape::DimSize { .. },
            )
            | Op::Index(_)
            | Op::Linalg(_)
            | Op::Call(_) => {}
        }
        let out = stmt.outs[0];
        let scalar = self.func.ty(out).rank() == 0;
        if scalar && self.plan.inlined[out.0 as usize] {
            let expr = self.number_of(stmt);
            self.places[out.0 as usize] = Some(expr);
            return TokenStream::new();
        }
        if !scalar && !self.plan.in_memory[out.0 as usize] && !self.is_part_view(out) {
            return TokenStream::new();
        }
        if matches!(stmt.op, Op::Shape(Shape::Reshape { .. })) && !scalar && self.func.ty(stmt.args[0]).rank() > 0 {
            // The operand's memory under another shape.
            self.places[out.0 as usize] = Some(self.memory(stmt.args[0]));
            return TokenStream::new();
        }
        let value = match &stmt.op {
            Op::Const(..) | Op::Elementwise(_) | Op::Shape(_) if scalar => {
                let expr = self.number_of(stmt);
                quote!(#expr)
            }
            Op::Shape(Shape::Concat { axis, .. }) => self.concat(stmt, *axis),
            Op::Shape(Shape::Unfold { axis, out: n_windows, len, step, dilation }) => {
                self.unfold(stmt, *axis, [*n_windows, *len], [*step, *dilation])
            }
            Op::Shape(Shape::Fold { axis, step, dilation, .. }) => self.fold_windows(stmt, *axis, [*step, *dilation]),
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Shape(
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Iota { .. }
                | Shape::DimSize { .. }
                | Shape::BindDim { .. },
            )
            | Op::Index(Index::PutAlong { .. }) => self.map(out),
            Op::Einsum(einsum) => match way(self.func, stmt, einsum, |v| self.plan.definition[v.0 as usize]) {
                Way::Elementwise if scalar => {
                    let expr = self.number_of(stmt);
                    quote!(#expr)
                }
                Way::Elementwise => self.map(out),
                Way::Fold => self.fold_product(stmt, einsum),
                Way::Matrix(product) => self.matrix_product(out, &product),
                Way::Stack(product) => self.stack_product(out, &product),
                Way::Contract([lhs, rhs]) => self.contraction(out, einsum, &lhs, &rhs),
            },
            Op::Reduce(reduce @ Reduce::LogSumExp { .. }) => self.log_sum_exp(stmt.args[0], reduce.axes(), out),
            Op::Reduce(reduce @ (Reduce::ArgMax { .. } | Reduce::ArgMin { .. })) => self.extreme_positions(stmt.args[0], reduce, out),
            Op::Reduce(reduce @ (Reduce::Sum { .. } | Reduce::Prod { .. } | Reduce::Max { .. } | Reduce::Min { .. })) => {
                self.fold(stmt.args[0], reduce, out)
            }
            Op::Index(Index::Read(window)) => self.read(stmt, window),
            Op::Index(Index::Gather { axis }) => self.gather(stmt, *axis),
            Op::Index(Index::TakeAlong { axis }) => {
                let (x, positions) = (self.memory(stmt.args[0]), self.memory(stmt.args[1]));
                if scalar {
                    quote!(#x[#positions])
                } else {
                    let shape = self.around(stmt.args[0], *axis);
                    let dest = self.destination(out);
                    quote!(#rt::take_along(#dest, #x, #positions, #shape))
                }
            }
            Op::Index(Index::Add(window) | Index::Write(window)) => return self.change(stmt, window),
            Op::Index(Index::ScatterAdd { axis }) => return self.scatter_add(stmt, *axis),
            Op::Linalg(linalg) => self.linalg(stmt, *linalg),
            Op::Call(call) => self.call(stmt, call),
            Op::Control(_) => unreachable!("handled above"),
        };
        self.define(&stmt.outs, &value)
    }

    /// The variables of a statement's results, given the expression of all of them.
    fn define(&mut self, outs: &[ValueId], value: &TokenStream) -> TokenStream {
        let mut names: Vec<Option<Ident>> = Vec::with_capacity(outs.len());
        for &out in outs {
            let n_uses = self.plan.n_uses[out.0 as usize];
            if let Some(Destination::Buffer(field)) = self.destinations.get(&out)
                && n_uses == 1
            {
                // It is the initial or the next value of a loop, which finds it in its buffer.
                self.places[out.0 as usize] = Some(Expr::atom(quote!(&buffers.#field[..])));
                names.push(None);
            } else {
                let name = self.name(out);
                self.places[out.0 as usize] = Some(Expr::name(&name));
                names.push((n_uses > 0 || outs.len() == 1).then_some(name));
            }
        }
        if names.iter().all(Option::is_none) {
            return quote!(#value;);
        }
        let doc = outs.iter().zip(&names).find(|(_, name)| name.is_some()).map(|(&out, _)| self.doc(out));
        let patterns = names.iter().map(|name| name.as_ref().map_or(quote!(_), |name| quote!(#name)));
        let pattern = if outs.len() == 1 { quote!(#(#patterns)*) } else { quote!((#(#patterns),*)) };
        quote!(#doc let #pattern = #value;)
    }

    /// A length that gets its variable, or that is checked against the one that is known.
    fn bind_length(&mut self, value: ValueId, dim: Dim) -> TokenStream {
        let n = self.number(value);
        match dim {
            Dim::Sym(id) if !self.is_bound(id) => {
                let name = self.names.unique(self.func.dim_name(id));
                self.bind_dim(id, &name);
                quote!(let #name = #n;)
            }
            Dim::Sym(_) | Dim::Const(_) => {
                let expected = self.dim(dim);
                let holds = Expr::elementwise(Elementwise::Eq, Elem::Usize, &[n, Expr::atom(expected)], &self.rt);
                let name = match dim {
                    Dim::Sym(id) => self.func.dim_name(id).to_owned(),
                    Dim::Const(n) => n.to_string(),
                };
                let source = self.func.note(value).source.as_deref().unwrap_or("a length").to_owned();
                self.check(&holds, &format!("the length `{source}` is not `{name}`, with which it is used"))
            }
        }
    }

    /// An array computed element by element.
    fn map(&mut self, out: ValueId) -> TokenStream {
        let rt = self.rt.clone();
        let ty = self.func.ty(out).clone();
        let mut l = Loop::new(&ty.dims, 0);
        let expr = l.root(self, out, &identity(ty.rank()));
        let dest = self.destination(out);
        if let Some(constant) = l.constant(&expr) {
            return quote!(#rt::fill(#dest, #constant));
        }
        let (shape, operands, closure, _) = l.finish(self, &expr, false);
        quote!(#rt::map(#dest, #shape, #operands, #closure))
    }

    /// `rt::product(…)`
    fn matrix_product(&mut self, out: ValueId, product: &MatrixProduct) -> TokenStream {
        let rt = self.rt.clone();
        let dims_of = |labels: &[u8]| -> Length {
            let dim = |l: &u8| {
                let factor = if product.left.0.labels.contains(l) { &product.left.0 } else { &product.right.0 };
                let axis = factor.labels.iter().position(|label| label == l).expect("a label of a factor");
                self.func.ty(factor.value).dims[axis]
            };
            length(labels.iter().map(dim))
        };
        let [rows, sums, cols] =
            [&product.rows, &product.sums, &product.cols].map(|labels| (labels.is_empty(), self.length(&dims_of(labels))));
        let matrix = |emitter: &Self, value: ValueId, transposed: bool, rows: &(bool, TokenStream), cols: &(bool, TokenStream)| {
            let x = emitter.memory(value);
            let (tall, wide) = (&rows.1, &cols.1);
            match (cols.0, rows.0, transposed) {
                (true, _, _) => quote!(#rt::column(#x)),
                (_, true, _) => quote!(#rt::column(#x).t()),
                (_, _, false) => quote!(#rt::matrix(#x, [#tall, #wide])),
                (_, _, true) => quote!(#rt::matrix(#x, [#wide, #tall]).t()),
            }
        };
        let left = matrix(self, product.left.0.value, product.left.1, &rows, &sums);
        let right = matrix(self, product.right.0.value, product.right.1, &sums, &cols);
        let dest = self.destination(out);
        quote!(#rt::product(#dest, #left, #right))
    }

    /// `rt::products(…)`
    fn stack_product(&mut self, out: ValueId, product: &StackProduct) -> TokenStream {
        let rt = self.rt.clone();
        let StackProduct { stack, rows, sums, cols, left, right } = product;
        let dims_of =
            |factor: &Factor, axes: std::ops::RangeFrom<usize>| -> Length { length(self.func.ty(factor.value).dims[axes].iter().copied()) };
        let dim = |l: &u8| {
            let (factor, axis) = [left, right].iter().find_map(|f| Some((*f, f.axis(*l)?))).expect("a label of a factor");
            self.func.ty(factor.value).dims[axis]
        };
        // From one position to the next, along the last of labels that stand together.
        let step = |factor: &Factor, labels: &[u8]| match labels.last().map(|&l| factor.axis(l)) {
            Some(Some(axis)) => self.length(&dims_of(factor, axis + 1..)),
            Some(None) => quote!(0),
            None => quote!(1),
        };
        let operand = |factor: &Factor, rows: &[u8], cols: &[u8]| {
            let x = self.memory(factor.value);
            let steps = stack.iter().map(|&l| step(factor, &[l]));
            let (row, col) = (step(factor, rows), step(factor, cols));
            quote!(#rt::stack(#x, [#(#steps),*], [#row, #col]))
        };
        let (a, b) = (operand(left, rows, sums), operand(right, sums, cols));
        let lens = stack.iter().map(|l| self.dim(dim(l)));
        let sizes = [rows, sums, cols].map(|labels| self.length(&length(labels.iter().map(dim))));
        let call = quote!([#(#lens),*], [#(#sizes),*], #a, #b);
        let dest = self.destination(out);
        quote!(#rt::products(#dest, #call))
    }

    /// The expression of a number that a statement gives.
    fn number_of(&mut self, stmt: &Stmt) -> Expr {
        match &stmt.op {
            Op::Const(elem, literal) => Expr::literal(*elem, *literal),
            Op::Elementwise(op) => {
                let args: Vec<Expr> = stmt.args.iter().map(|&a| self.number(a)).collect();
                let elem = self.func.ty(*stmt.args.last().expect("an operand")).elem;
                Expr::elementwise(*op, elem, &args, &self.rt)
            }
            Op::Einsum(_) => {
                let args: Vec<Expr> = stmt.args.iter().map(|&a| self.number(a)).collect();
                Expr::elementwise(Elementwise::Mul, self.func.ty(stmt.outs[0]).elem, &args, &self.rt)
            }
            Op::Shape(Shape::DimSize { dim }) => Expr::atom(self.length(&length([*dim]))),
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. }) => {
                let x = self.memory(stmt.args[0]);
                if self.func.ty(stmt.args[0]).rank() == 0 { x } else { Expr::atom(quote!(#x[0])) }
            }
            Op::Shape(Shape::Concat { .. } | Shape::Unfold { .. } | Shape::Fold { .. } | Shape::Iota { .. } | Shape::BindDim { .. })
            | Op::Reduce(_)
            | Op::Index(_)
            | Op::Linalg(_)
            | Op::Call(_)
            | Op::Control(_) => {
                unreachable!("{:?} gives no plain number", stmt.op)
            }
        }
    }
}
