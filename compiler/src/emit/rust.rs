//! The statements of a function as Rust.
//!
//! An [`Emitter`] turns one function into statements over slices: every array in memory is a variable `&[T]`, every number a variable or an
//! expression, every dimension a `usize` variable. Where the memory of an array comes from is the caller's choice
//! ([`Emitter::write_to`]); by default each has its buffer.

use std::collections::HashMap;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::access::{Length, identity, length};
use super::einsum::{MatrixProduct, Way, way};
use super::expr::{Expr, primitive};
use super::fuse::Loop;
use super::names::{Names, describe, explain, source_of};
use super::plan::{Plan, plan};
use crate::ir::{Body, Control, Dim, DimId, Elem, Elementwise, Func, Index, Op, Reduce, Shape, Stmt, ValueId};

/// A buffer that the statements use.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// Its field in the variable `buffers`.
    pub field: Ident,
    /// Its element type.
    pub elem: Elem,
}

/// Where an array is written.
#[derive(Clone, Debug)]
pub enum Destination {
    /// To a variable of type `&mut [T]`.
    Slice(Ident),
    /// To a buffer that another value may use as well.
    Buffer(Ident),
    /// To one row of a buffer.
    Row {
        /// The buffer.
        buffer: Ident,
        /// The variable with the row's number.
        index: Ident,
    },
}

/// One function on its way to Rust.
pub struct Emitter<'f> {
    pub(super) func: &'f Func,
    pub(super) plan: Plan<'f>,
    /// The path of the runtime.
    pub(super) rt: TokenStream,
    pub(super) names: Names,
    pub(super) buffers: Vec<Buffer>,
    /// The expression of each number and the variable of each array that has been computed.
    pub(super) places: Vec<Option<Expr>>,
    dims: Vec<Option<Ident>>,
    /// The identifier of the value of each of the user's expressions.
    sources: HashMap<String, String>,
    /// The identifiers of values.
    called: Vec<Option<Ident>>,
    /// Arrays that are changed where they stand, and the buffers in which they do.
    changed: HashMap<ValueId, Ident>,
    /// The buffer of each array that has one for itself, which holds it until the end of the function.
    own: HashMap<ValueId, Ident>,
    /// Where arrays go that do not go to a buffer of their own.
    destinations: HashMap<ValueId, Destination>,
}

impl<'f> Emitter<'f> {
    /// Starts a function; identifiers are taken from `names`.
    pub fn new(func: &'f Func, rt: &TokenStream, names: Names) -> Self {
        Emitter {
            func,
            plan: plan(func),
            rt: rt.clone(),
            names,
            buffers: Vec::new(),
            places: vec![None; func.types.len()],
            dims: vec![None; func.dims.len()],
            sources: HashMap::new(),
            called: vec![None; func.types.len()],
            changed: HashMap::new(),
            own: HashMap::new(),
            destinations: HashMap::new(),
        }
    }

    /// Says by which variable a parameter or a captured value is known.
    pub fn bind(&mut self, value: ValueId, variable: &Ident) {
        self.places[value.0 as usize] = Some(Expr::name(variable));
        self.called[value.0 as usize] = Some(variable.clone());
    }

    /// Says by which variable a dimension is known.
    pub fn bind_dim(&mut self, dim: DimId, variable: &Ident) {
        self.dims[dim.0 as usize] = Some(variable.clone());
    }

    /// Has an array written to the given place rather than to a buffer of its own.
    pub fn write_to(&mut self, value: ValueId, destination: Destination) {
        self.destinations.insert(value, destination);
    }

    /// Whether an array is the result of a statement that can write it anywhere.
    pub fn can_write_to(&self, value: ValueId) -> bool {
        let writes = match self.plan.definition[value.0 as usize] {
            None => false,
            Some(stmt) => match &stmt.op {
                Op::Control(_) | Op::Shape(Shape::Reshape { .. }) | Op::Index(Index::AddAt { .. }) => false,
                Op::Index(Index::At { axis }) => *axis > 0,
                Op::Const(..) | Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) => true,
                Op::Shape(
                    Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Iota { .. } | Shape::DimSize { .. } | Shape::BindDim { .. },
                ) => true,
                Op::Index(Index::TakeAlong { .. } | Index::PutAlong { .. }) => true,
            },
        };
        writes && self.plan.in_memory[value.0 as usize] && !self.destinations.contains_key(&value)
    }

    /// The buffer of an array that has one for itself.
    pub fn own_buffer(&self, value: ValueId) -> Option<&Ident> {
        self.own.get(&value)
    }

    pub(super) fn set_own_buffer(&mut self, value: ValueId, field: &Ident) {
        self.own.insert(value, field.clone());
    }

    /// Whether a value is the result of a statement.
    pub(super) fn is_computed(&self, value: ValueId) -> bool {
        self.plan.definition[value.0 as usize].is_some()
    }

    /// The dimensions that have a variable.
    pub fn bound_dims(&self) -> Vec<(DimId, Ident)> {
        let bound = self.dims.iter().enumerate();
        bound.filter_map(|(k, name)| name.as_ref().map(|name| (DimId(k as u32), name.clone()))).collect()
    }

    /// The identifiers given out so far, and the buffers that the statements use.
    pub fn finish(self) -> (Names, Vec<Buffer>) {
        (self.names, self.buffers)
    }

    /// The statements of the function's body.
    pub fn statements(&mut self) -> TokenStream {
        // Results have the first claim to their names.
        for &result in self.func.results() {
            self.name(result);
        }
        let func = self.func;
        self.body(&func.body)
    }

    /// The expression of a number, or the variable of an array, after [`statements`](Self::statements).
    pub fn place(&self, value: ValueId) -> TokenStream {
        let place = self.memory(value);
        quote!(#place)
    }

    pub(super) fn body(&mut self, body: &'f Body) -> TokenStream {
        self.prepare_loops(body);
        body.stmts.iter().map(|stmt| self.statement(stmt)).collect()
    }

    /// One statement; nothing for values that are expressions where they are used.
    fn statement(&mut self, stmt: &'f Stmt) -> TokenStream {
        let rt = self.rt.clone();
        match &stmt.op {
            Op::Control(control) => return self.control(stmt, control),
            Op::Shape(Shape::BindDim { dim }) => {
                let name = self.names.unique(self.func.dim_name(*dim));
                let n = self.number(stmt.args[0]);
                self.bind_dim(*dim, &name);
                return quote!(let #name = #n;);
            }
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(
                Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. } | Shape::Iota { .. } | Shape::DimSize { .. },
            )
            | Op::Index(_) => {}
        }
        let out = stmt.outs[0];
        let scalar = self.func.ty(out).rank() == 0;
        if scalar && self.plan.inlined[out.0 as usize] {
            let expr = self.number_of(stmt);
            self.places[out.0 as usize] = Some(expr);
            return TokenStream::new();
        }
        if !scalar && !self.plan.in_memory[out.0 as usize] {
            return TokenStream::new();
        }
        let value = match &stmt.op {
            Op::Const(..) | Op::Elementwise(_) | Op::Shape(_) if scalar => {
                let expr = self.number_of(stmt);
                quote!(#expr)
            }
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
                Way::Contract([lhs, rhs]) => self.contraction(out, einsum, &lhs, &rhs),
            },
            Op::Reduce(reduce @ Reduce::LogSumExp { .. }) => self.log_sum_exp(stmt.args[0], reduce.axes(), out),
            Op::Reduce(reduce @ (Reduce::Sum { .. } | Reduce::Max { .. } | Reduce::Min { .. })) => self.fold(stmt.args[0], reduce, out),
            Op::Index(Index::At { axis }) => self.at(stmt, *axis, scalar),
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
            Op::Index(Index::AddAt { axis }) => return self.add_at(stmt, *axis),
            Op::Control(_) => unreachable!("handled above"),
        };
        if let Some(Destination::Buffer(field)) = self.destinations.get(&out)
            && self.plan.n_uses[out.0 as usize] == 1
        {
            // It is the initial or the next value of a loop, which finds it in its buffer.
            self.places[out.0 as usize] = Some(Expr::atom(quote!(&buffers.#field[..])));
            return quote!(#value;);
        }
        let name = self.name(out);
        let doc = self.doc(out);
        self.places[out.0 as usize] = Some(Expr::name(&name));
        quote!(#doc let #name = #value;)
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

    /// `x[i]`, or a slice or copy of the elements at a position.
    fn at(&mut self, stmt: &Stmt, axis: usize, scalar: bool) -> TokenStream {
        let rt = self.rt.clone();
        let (x, i) = (self.memory(stmt.args[0]), self.number(stmt.args[1]));
        if scalar {
            return quote!(#x[#i]);
        }
        if axis == 0 {
            let len = self.length(&length(self.func.ty(stmt.outs[0]).dims.iter().copied()));
            return quote!(#rt::row(#x, #i, #len));
        }
        let shape = self.around(stmt.args[0], axis);
        let dest = self.destination(stmt.outs[0]);
        quote!(#rt::at(#dest, #x, #i, #shape))
    }

    /// Adds at a position: in place if the array is one that a loop carries along, otherwise to a copy.
    fn add_at(&mut self, stmt: &Stmt, axis: usize) -> TokenStream {
        let rt = self.rt.clone();
        let (out, x) = (stmt.outs[0], stmt.args[0]);
        let (i, shape) = (self.number(stmt.args[1]), self.around(x, axis));
        let v = if self.func.ty(stmt.args[2]).rank() == 0 {
            let v = self.number(stmt.args[2]);
            quote!(&[#v])
        } else {
            self.place(stmt.args[2])
        };
        if let Some(field) = self.in_place(x) {
            self.mark_in_place(out, field.clone());
            return quote!(#rt::add_at(&mut buffers.#field, #i, #v, #shape););
        }
        let from = self.memory(x);
        let field = self.buffer(out);
        self.set_own_buffer(out, &field);
        let len = self.elements(out);
        let name = self.name(out);
        let doc = self.doc(out);
        self.places[out.0 as usize] = Some(Expr::name(&name));
        quote! {
            #rt::copy(buffers.#field.fit(#len), #from);
            #rt::add_at(&mut buffers.#field, #i, #v, #shape);
            #doc
            let #name = &buffers.#field[..];
        }
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
            Op::Shape(Shape::Iota { .. } | Shape::BindDim { .. }) | Op::Reduce(_) | Op::Index(_) | Op::Control(_) => {
                unreachable!("{:?} gives no plain number", stmt.op)
            }
        }
    }

    /// The expression of a number.
    pub(super) fn number(&self, value: ValueId) -> Expr {
        self.places[value.0 as usize].clone().expect("a number is computed before it is used")
    }

    /// The expression of a number, or the variable of an array's elements, seen through reshapes.
    pub(super) fn memory(&self, mut value: ValueId) -> Expr {
        while let Some(Stmt { op: Op::Shape(Shape::Reshape { .. }), args, .. }) = self.plan.definition[value.0 as usize]
            && self.func.ty(value).rank() > 0
            && !self.plan.in_memory[value.0 as usize]
        {
            value = args[0];
        }
        self.places[value.0 as usize].clone().expect("an array is computed before it is read")
    }

    /// A buffer for the elements of a value, under its name.
    pub(super) fn buffer(&mut self, value: ValueId) -> Ident {
        let field = self.name(value);
        self.buffer_called(field, self.func.ty(value).elem)
    }

    pub(super) fn buffer_called(&mut self, field: Ident, elem: Elem) -> Ident {
        self.buffers.push(Buffer { field: field.clone(), elem });
        field
    }

    /// The `&mut [T]` to which an array is written.
    pub(super) fn destination(&mut self, value: ValueId) -> TokenStream {
        match self.destinations.get(&value) {
            Some(place) => self.place_of(place, value),
            None => {
                let field = self.buffer(value);
                self.set_own_buffer(value, &field);
                self.place_of(&Destination::Buffer(field), value)
            }
        }
    }

    /// A place as a `&mut [T]` for the elements of a value.
    pub(super) fn place_of(&self, place: &Destination, value: ValueId) -> TokenStream {
        let rt = &self.rt;
        let len = self.elements(value);
        match place {
            Destination::Slice(variable) => quote!(#variable),
            Destination::Buffer(field) => quote!(buffers.#field.fit(#len)),
            Destination::Row { buffer, index } => quote!(#rt::row_mut(&mut buffers.#buffer, #index, #len)),
        }
    }

    /// The identifier of a value; the same each time it is asked for.
    pub(super) fn name(&mut self, value: ValueId) -> Ident {
        if let Some(name) = &self.called[value.0 as usize] {
            return name.clone();
        }
        let wanted = self.wanted_name(value);
        let name = self.names.unique(&wanted);
        // What derivatives of this very expression are called after.
        if let Some((source, suffix)) = source_of(self.func, value)
            && suffix.is_empty()
        {
            self.sources.entry(source).or_insert_with(|| name.to_string());
        }
        self.called[value.0 as usize] = Some(name.clone());
        name
    }

    /// What a value would be called if no other were: what the user calls it, else what it is a derivative of, else its operation.
    pub(super) fn wanted_name(&self, value: ValueId) -> String {
        if let Some(name) = &self.func.note(value).name {
            return name.to_string();
        }
        let Some(stmt) = self.plan.definition[value.0 as usize] else { return "x".to_owned() };
        if let Op::Control(control) = &stmt.op {
            // Loops and branches give what their bodies give.
            let k = stmt.outs.iter().position(|&out| out == value).expect("the statement gives the value");
            let within = stmt.bodies[0].results[k];
            let stacked = matches!(control, Control::For { .. }) && k >= stmt.args.len();
            return if stacked { format!("{}_rows", self.wanted_name(within)) } else { self.wanted_name(within) };
        }
        let described = match (&stmt.op, stmt.args.first().and_then(|a| self.plan.definition[a.0 as usize])) {
            (Op::Elementwise(Elementwise::Cast(to)), Some(Stmt { op: Op::Shape(Shape::DimSize { dim: Dim::Sym(dim) }), .. })) => {
                format!("{}_{to}", self.func.dim_name(*dim))
            }
            (op, _) => describe(op).to_owned(),
        };
        match source_of(self.func, value) {
            Some((source, suffix)) if !suffix.is_empty() => match self.sources.get(&source) {
                Some(primal) => format!("{primal}{suffix}"),
                None => format!("{described}{suffix}"),
            },
            _ => described,
        }
    }

    /// The identifier of an array that has been computed, for its elements inside of a loop.
    pub(super) fn name_in_loop(&self, value: ValueId) -> Ident {
        self.called[value.0 as usize].clone().unwrap_or_else(|| ident("x"))
    }

    /// Marks an array as changed where it stands.
    pub(super) fn mark_in_place(&mut self, value: ValueId, field: Ident) {
        self.changed.insert(value, field);
    }

    /// The buffer in which an array is changed where it stands, if it is.
    fn in_place(&self, value: ValueId) -> Option<Ident> {
        self.changed.get(&value).cloned()
    }

    pub(super) fn has_buffer(&self, field: &Ident) -> bool {
        self.buffers.iter().any(|b| b.field == *field)
    }

    /// The line of documentation of a value.
    pub(super) fn doc(&self, value: ValueId) -> TokenStream {
        explain(self.func, value).map(|text| quote!(#[doc = #text])).unwrap_or_default()
    }

    /// A product of dimensions.
    pub(super) fn length(&self, length: &Length) -> TokenStream {
        let dims = length.iter().map(|&d| self.dim(d));
        dims.reduce(|product, dim| quote!(#product * #dim)).unwrap_or_else(|| quote!(1))
    }

    /// Number of elements of a value.
    pub(super) fn elements(&self, value: ValueId) -> TokenStream {
        self.length(&length(self.func.ty(value).dims.iter().copied()))
    }

    /// The axes before, at and after `axis`, as a shape.
    pub(super) fn around(&self, value: ValueId, axis: usize) -> TokenStream {
        let dims = &self.func.ty(value).dims;
        let part = |dims: &[Dim]| self.length(&length(dims.iter().copied()));
        let (outer, len, inner) = (part(&dims[..axis]), part(&dims[axis..=axis]), part(&dims[axis + 1..]));
        quote!([#outer, #len, #inner])
    }

    pub(super) fn dim(&self, dim: Dim) -> TokenStream {
        match dim {
            Dim::Const(n) => {
                let n = proc_macro2::Literal::u64_unsuffixed(n);
                quote!(#n)
            }
            Dim::Sym(DimId(k)) => {
                let name = self.dims[k as usize].as_ref().expect("a dimension is bound before it is used");
                quote!(#name)
            }
        }
    }
}

/// The declaration of the buffers, as a struct named `Buffers`.
pub fn declare_buffers(name: &Ident, buffers: &[Buffer], rt: &TokenStream) -> TokenStream {
    let fields = buffers.iter().map(|Buffer { field, elem }| {
        let elem = primitive(*elem);
        quote!(#field: #rt::Buffer<#elem>)
    });
    quote! {
        #[derive(::core::default::Default)]
        struct #name { #(#fields),* }
    }
}

/// An identifier with the macro's hygiene.
pub(super) fn ident(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
