//! Where the values of a function stand in Rust, and what they are called.
//!
//! An [`Emitter`] turns one function into statements over slices (those are in [`rust`](super::rust) and [`control`](super::control)): every array in
//! memory is a variable `&[T]`, every number a variable or an expression, every dimension a `usize` variable. Where the memory of an array comes from is
//! the caller's choice ([`Emitter::write_to`]); by default each has its buffer.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::access::{Length, length};
use super::expr::{Expr, primitive};
use super::index::Part;
use super::names::{Names, describe, describe_linalg, explain, source_of};
use super::plan::{Plan, plan};
use crate::ir::{Body, Control, Dim, DimId, Elem, Elementwise, Func, Index, Literal, Op, Shape, Stmt, ValueId};

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

/// A body that is being written.
pub(super) struct Open<'f> {
    pub(super) body: &'f Body,
    /// Arrays from around it that it may change where they stand.
    pub(super) lent: Vec<ValueId>,
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
    /// The variables of the dimensions in scope.
    pub(super) dims: Vec<Option<Ident>>,
    /// The identifier of the value of each of the user's expressions.
    sources: HashMap<String, String>,
    /// The identifiers of values.
    called: Vec<Option<Ident>>,
    /// The buffer of each array that has one for itself, which holds it until a statement changes it there.
    own: HashMap<ValueId, Ident>,
    /// The bodies that are being written, outermost first.
    open: Vec<Open<'f>>,
    /// Where arrays go that do not go to a buffer of their own.
    pub(super) destinations: HashMap<ValueId, Destination>,
    /// What a check calls.
    checks: Checks,
}

/// What happens where a check does not hold.
#[derive(Clone, Debug)]
pub enum Checks {
    /// The function of this name panics.
    Panic(String),
    /// The function of this name leaves the message in a place, an `rt::FailedCheck`, and goes on.
    Note {
        /// The function.
        function: String,
        /// The place.
        place: TokenStream,
    },
}

impl<'f> Emitter<'f> {
    /// Starts a function; identifiers are taken from `names`.
    pub fn new(func: &'f Func, rt: &TokenStream, names: Names, checks: Checks) -> Self {
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
            own: HashMap::new(),
            open: Vec::new(),
            destinations: HashMap::new(),
            checks,
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

    /// The statement that requires a condition to hold.
    pub(super) fn check(&self, holds: &Expr, message: &str) -> TokenStream {
        let rt = &self.rt;
        match &self.checks {
            Checks::Panic(function) => quote!(#rt::check_or_panic(#holds, #function, #message);),
            Checks::Note { function, place } => quote!(#place.require(#holds, #function, #message);),
        }
    }

    /// Whether a dimension has a variable.
    pub(super) fn is_bound(&self, dim: DimId) -> bool {
        self.dims[dim.0 as usize].is_some()
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
                Op::Control(_) | Op::Shape(Shape::Reshape { .. }) => false,
                Op::Index(Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. }) => false,
                Op::Index(Index::Read(_)) => Part::read_by(self.func, stmt) != Some(Part::Slice),
                Op::Const(..) | Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Linalg(_) => true,
                Op::Shape(
                    Shape::Broadcast { .. }
                    | Shape::Permute { .. }
                    | Shape::Concat { .. }
                    | Shape::Unfold { .. }
                    | Shape::Fold { .. }
                    | Shape::Iota { .. }
                    | Shape::DimSize { .. }
                    | Shape::BindDim { .. },
                ) => true,
                Op::Call(_) | Op::Index(Index::Gather { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. }) => true,
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

    /// The expression of a number, or the variable of an array, after [`statements`](Self::statements).
    pub fn place(&self, value: ValueId) -> TokenStream {
        let place = self.memory(value);
        quote!(#place)
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

    /// A place for one float, to which a kernel for arrays writes a number.
    pub(super) fn one_element(&self, value: ValueId) -> TokenStream {
        let zero = Expr::literal(self.func.ty(value).elem, Literal::Float(0.0));
        quote!(&mut [#zero])
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
            // Loops and branches give what their bodies give; the first body of a `while` loop gives its condition.
            let k = stmt.outs.iter().position(|&out| out == value).expect("the statement gives the value");
            let body = if matches!(control, Control::While) { &stmt.bodies[1] } else { &stmt.bodies[0] };
            let within = body.results[k];
            let stacked = matches!(control, Control::For { .. }) && k >= stmt.args.len();
            return if stacked { format!("{}_rows", self.wanted_name(within)) } else { self.wanted_name(within) };
        }
        let described = match (&stmt.op, stmt.args.first().and_then(|a| self.plan.definition[a.0 as usize])) {
            (Op::Elementwise(Elementwise::Cast(to)), Some(Stmt { op: Op::Shape(Shape::DimSize { dim: Dim::Sym(dim) }), .. })) => {
                format!("{}_{to}", self.func.dim_name(*dim))
            }
            (Op::Linalg(op), _) => {
                let k = stmt.outs.iter().position(|&out| out == value).expect("the statement gives the value");
                describe_linalg(*op, k).to_owned()
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

    /// The body that is being written.
    pub(super) fn here(&self) -> &Open<'f> {
        self.open.last().expect("a body is being written")
    }

    pub(super) fn enter(&mut self, body: Open<'f>) {
        self.open.push(body);
    }

    /// Whether the next body is nested in one that is being written.
    pub(super) fn is_nested(&self) -> bool {
        !self.open.is_empty()
    }

    pub(super) fn leave(&mut self) {
        self.open.pop();
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

/// The type parameters that are the element types of buffers, as generic arguments: `<F>`, or nothing.
pub(super) fn type_params<'b>(buffers: impl IntoIterator<Item = &'b Buffer>) -> TokenStream {
    let params: BTreeSet<Elem> = buffers.into_iter().map(|b| b.elem).filter(|elem| matches!(elem, Elem::Generic(_))).collect();
    let params = params.into_iter().map(primitive);
    if params.len() == 0 { TokenStream::new() } else { quote!(<#(#params),*>) }
}

/// The declaration of the buffers, as a struct named `Buffers`.
pub fn declare_buffers(name: &Ident, buffers: &[Buffer], rt: &TokenStream) -> TokenStream {
    let generics = type_params(buffers);
    let fields = buffers.iter().map(|Buffer { field, elem }| {
        let elem = primitive(*elem);
        quote!(#field: #rt::Buffer<#elem>)
    });
    quote! {
        #[derive(::core::default::Default)]
        struct #name #generics { #(#fields),* }
    }
}

/// An identifier with the macro's hygiene.
pub(super) fn ident(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
