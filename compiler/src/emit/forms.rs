//! Parameters and results in the user's forms: their types, how their leaves are reached, and how results are put together.

use std::rc::Rc;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};

use super::emitter::{Emitter, ident};
use super::expr::primitive;
use crate::ir::{Dim, DimId, Elem, ValueId};
use crate::syntax::form::{Form, Length, StructForm, member_name};

/// One leaf of a parameter.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// What messages call it: `x`, or `x.0` for a part of a tuple.
    pub(super) label: String,
    /// The place where it stands.
    place: TokenStream,
    /// Whether the place is itself a reference.
    by_ref: bool,
    /// The slice of the values of which it is a part, if there are several.
    values: TokenStream,
    pub(super) elem: Elem,
    kind: LeafKind,
}

/// What a leaf is in Rust.
#[derive(Clone, PartialEq, Eq, Debug)]
enum LeafKind {
    Number,
    Array {
        rank: usize,
        view: bool,
    },
    Fixed(Vec<Length>),
    /// Several of them, each in one of the values in a slice, which is called `value`.
    Each(Box<LeafKind>),
}

/// The leaves of a value of the given form that stands at `place`.
pub(super) fn leaves(form: &Form, label: &str, place: &TokenStream, by_ref: bool) -> Vec<Leaf> {
    let leaf = |elem: Elem, kind: LeafKind| {
        vec![Leaf { label: label.to_owned(), place: place.clone(), by_ref, values: TokenStream::new(), elem, kind }]
    };
    match form {
        Form::Scalar(elem) => leaf(*elem, LeafKind::Number),
        Form::Array { elem, rank, view } => leaf(*elem, LeafKind::Array { rank: *rank, view: *view }),
        Form::Fixed { elem, lengths } => leaf(*elem, LeafKind::Fixed(lengths.clone())),
        Form::Tuple(parts) => {
            let part = |(k, part): (usize, &Form)| {
                let index = syn::Index::from(k);
                leaves(part, &format!("{label}.{k}"), &quote!(#place.#index), false)
            };
            parts.iter().enumerate().flat_map(part).collect()
        }
        Form::Struct(of) => {
            let field = |(member, form): &(syn::Member, Form)| {
                leaves(form, &format!("{label}.{}", member_name(member)), &quote!(#place.#member), false)
            };
            of.fields.iter().flat_map(field).collect()
        }
    }
}

impl Leaf {
    /// Whether it is a number, also one in an array without axes.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.kind, LeafKind::Number | LeafKind::Array { rank: 0, .. })
    }

    /// Several of this leaf, each in one of the values in the slice at `values`.
    pub(super) fn of_each(self, values: &TokenStream) -> Leaf {
        Leaf { kind: LeafKind::Each(Box::new(self.kind.clone())), values: values.clone(), ..self }
    }

    /// The leaf of one value, where this is several.
    fn of_one(&self, kind: &LeafKind) -> Leaf {
        Leaf { kind: kind.clone(), ..self.clone() }
    }

    /// The number, where the leaf is one.
    pub(super) fn number(&self) -> TokenStream {
        let place = &self.place;
        match self.kind {
            LeafKind::Each(_) => unreachable!("several numbers are an array"),
            LeafKind::Array { .. } => quote!(#place[()]),
            LeafKind::Number | LeafKind::Fixed(_) if self.by_ref => quote!(*#place),
            LeafKind::Number | LeafKind::Fixed(_) => quote!(#place),
        }
    }

    /// Whether the number stands elsewhere than in a variable of its own.
    pub(super) fn is_inside(&self) -> bool {
        self.by_ref || self.label.contains('.') || self.kind != LeafKind::Number
    }

    /// The leaf as a value of its own.
    pub(super) fn copy(&self) -> TokenStream {
        match self.kind {
            LeafKind::Array { .. } | LeafKind::Each(_) => {
                let array = self.reference();
                quote!(::core::clone::Clone::clone(#array))
            }
            LeafKind::Number | LeafKind::Fixed(_) => self.number(),
        }
    }

    /// The lengths of the axes, as a slice.
    pub(super) fn shape(&self) -> TokenStream {
        let place = &self.place;
        match &self.kind {
            LeafKind::Each(kind) => {
                let (label, values) = (&self.label, &self.values);
                let shape = match &**kind {
                    LeafKind::Number => quote!(rt::Vec::new()),
                    kind => {
                        let shape = self.of_one(kind).shape();
                        quote!((#shape).to_vec())
                    }
                };
                quote!(&rt::stacked_shape(#label, #values, |value| #shape)[..])
            }
            LeafKind::Number | LeafKind::Array { .. } => quote!(#place.shape()),
            LeafKind::Fixed(lengths) => {
                let lengths = lengths.iter().map(length_tokens);
                quote!(&[#(#lengths),*])
            }
        }
    }

    /// The elements as a slice.
    pub(super) fn slice(&self, rt: &TokenStream) -> TokenStream {
        match &self.kind {
            LeafKind::Each(kind) => {
                let (one, values) = (self.of_one(kind), &self.values);
                let elements = match &**kind {
                    LeafKind::Number => {
                        let number = one.number();
                        quote!(#rt::Cow::Owned([#number].to_vec()))
                    }
                    LeafKind::Array { .. } | LeafKind::Fixed(_) | LeafKind::Each(_) => one.elements(rt),
                };
                quote!(&#rt::stacked(#values, |value| #elements)[..])
            }
            LeafKind::Number | LeafKind::Array { .. } => {
                let array = self.reference();
                quote!(&#rt::elements(#array)[..])
            }
            LeafKind::Fixed(lengths) => self.flattened(lengths.len()),
        }
    }

    /// The elements as a slice that may be a copy, for as long as the data live.
    pub(super) fn elements(&self, rt: &TokenStream) -> TokenStream {
        match &self.kind {
            // A view in the struct is copied out: what is borrowed through `self` would not live long enough.
            LeafKind::Array { view: true, .. } if !self.label.contains('.') => {
                let place = &self.place;
                quote!(#rt::view_elements(#place))
            }
            LeafKind::Number | LeafKind::Array { .. } | LeafKind::Each(_) => {
                let array = self.reference();
                quote!(#rt::elements(#array))
            }
            LeafKind::Fixed(lengths) => {
                let slice = self.flattened(lengths.len());
                quote!(#rt::Cow::Borrowed(#slice))
            }
        }
    }

    fn reference(&self) -> TokenStream {
        let place = &self.place;
        if self.by_ref { quote!(#place) } else { quote!(&#place) }
    }

    /// The elements of a fixed array of fixed arrays in a row.
    fn flattened(&self, rank: usize) -> TokenStream {
        let place = &self.place;
        let flat = (1..rank).fold(quote!(#place), |inner, _| quote!(#inner.as_flattened()));
        if rank == 1 { quote!(&#flat[..]) } else { flat }
    }

    /// A name for a variable: that of the parameter, with the position for a part of a tuple.
    pub(super) fn variable(&self) -> String {
        self.label.replace('.', "_")
    }
}

fn length_tokens(length: &Length) -> TokenStream {
    match length {
        Length::Known(n) => proc_macro2::Literal::u64_unsuffixed(*n).into_token_stream(),
        Length::Named(name) => name.into_token_stream(),
    }
}

/// The type of a form. Views have the given lifetime.
pub(super) fn type_of(form: &Form, rt: &TokenStream, lifetime: &TokenStream) -> TokenStream {
    match form {
        Form::Scalar(elem) => {
            let elem = primitive(*elem);
            quote!(#elem)
        }
        Form::Array { elem, rank, view } => {
            let elem = primitive(*elem);
            if *view {
                let name = ident(&format!("ArrayView{rank}"));
                quote!(#rt::#name<#lifetime, #elem>)
            } else {
                let name = ident(&format!("Array{rank}"));
                quote!(#rt::#name<#elem>)
            }
        }
        Form::Fixed { elem, lengths } => {
            let elem = primitive(*elem);
            lengths.iter().rev().map(length_tokens).fold(quote!(#elem), |inner, length| quote!([#inner; #length]))
        }
        Form::Tuple(parts) => {
            let parts = parts.iter().map(|part| type_of(part, rt, lifetime));
            quote!((#(#parts,)*))
        }
        Form::Struct(of) => of.path.to_token_stream(),
    }
}

/// One value bare, several as a tuple.
pub(super) fn bare_or_tuple(items: &[TokenStream]) -> TokenStream {
    match items {
        [item] => item.clone(),
        _ => quote!((#(#items),*)),
    }
}

/// A value of the given form from its leaves.
pub(super) fn assemble(form: &Form, rt: &TokenStream, leaves: &mut impl Iterator<Item = TokenStream>) -> TokenStream {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => leaves.next().expect("as many leaves as the form has"),
        Form::Tuple(parts) => {
            let parts: Vec<TokenStream> = parts.iter().map(|part| assemble(part, rt, leaves)).collect();
            quote!((#(#parts,)*))
        }
        Form::Struct(of) => {
            let parts: Vec<TokenStream> = of.fields.iter().map(|(_, part)| assemble(part, rt, leaves)).collect();
            quote!(#rt::from_fields((#(#parts,)*)))
        }
    }
}

/// The dimensions of parameters, in order of first occurrence.
#[derive(Default)]
pub(super) struct Dims {
    dims: Vec<Dim>,
}

impl Dims {
    /// Adds those of a type and gives their numbers.
    pub(super) fn numbers(&mut self, dims: &[Dim]) -> TokenStream {
        let numbers: Vec<_> = dims
            .iter()
            .map(|&dim| {
                let number = self.dims.iter().position(|&d| d == dim).unwrap_or_else(|| {
                    self.dims.push(dim);
                    self.dims.len() - 1
                });
                proc_macro2::Literal::usize_unsuffixed(number)
            })
            .collect();
        quote!(&[#(#numbers),*])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dims.is_empty()
    }

    /// How their lengths are bound to variables. `variable` names a symbolic dimension and says whether its variable has the length already.
    pub(super) fn bind(&self, rt: &TokenStream, mut variable: impl FnMut(DimId) -> (Ident, bool)) -> BoundDims {
        let mut bound = BoundDims { pattern: TokenStream::new(), known: TokenStream::new(), variables: Vec::new() };
        let (mut pattern, mut known, mut all_free) = (Vec::new(), Vec::new(), true);
        for &dim in &self.dims {
            let fixed = match dim {
                Dim::Const(n) => {
                    let n = proc_macro2::Literal::u64_unsuffixed(n);
                    pattern.push(quote!(_));
                    Some(quote!(#n))
                }
                Dim::Sym(id) => {
                    let (name, is_known) = variable(id);
                    pattern.push(quote!(#name));
                    bound.variables.push((id, name.clone()));
                    is_known.then(|| quote!(#name))
                }
            };
            all_free &= fixed.is_none();
            known.push(fixed.map_or_else(|| quote!(#rt::ANY), |n| quote!(#rt::fixed(#n))));
        }
        let n = proc_macro2::Literal::usize_unsuffixed(self.dims.len());
        bound.pattern = quote!([#(#pattern),*]);
        bound.known = if all_free { quote!([#rt::ANY; #n]) } else { quote!([#(#known),*]) };
        bound
    }
}

/// See [`Dims::bind`].
pub(super) struct BoundDims {
    /// The pattern that takes the lengths.
    pub(super) pattern: TokenStream,
    /// The array of lengths that are known before.
    pub(super) known: TokenStream,
    /// The variables of the symbolic dimensions.
    pub(super) variables: Vec<(DimId, Ident)>,
}

/// A leaf of a result.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A value of the function, in the form of a leaf.
    Value(ValueId, Form),
    /// Something that stands elsewhere.
    Place(TokenStream),
}

/// The leaves of results as owned values, after the statements of the function: buffers are moved out where an array stands alone in one.
pub(super) fn owned_results(emitter: &Emitter, results: &[Source]) -> Vec<TokenStream> {
    let rt = &emitter.rt;
    let values: Vec<ValueId> = results
        .iter()
        .filter_map(|source| match source {
            Source::Value(value, _) => Some(*value),
            Source::Place(_) => None,
        })
        .collect();
    let is_array = |v: ValueId| emitter.func.ty(v).rank() > 0;
    let once = |v: ValueId| values.iter().filter(|&&r| r == v).count() == 1;
    // A result that is part of another's buffer would be lost with it.
    let borrows = |v: ValueId| is_array(v) && emitter.is_computed(v) && (emitter.own_buffer(v).is_none() || !once(v));
    let movable = !values.iter().any(|&r| borrows(r));
    results
        .iter()
        .map(|source| {
            let (value, form) = match source {
                Source::Value(value, form) => (*value, form),
                Source::Place(tokens) => return tokens.clone(),
            };
            let place = emitter.place(value);
            match form {
                Form::Scalar(_) => place,
                Form::Array { rank: 0, .. } => quote!(#rt::arr0(#place)),
                Form::Fixed { .. } => quote!(#rt::to_fixed(#place)),
                Form::Array { .. } | Form::Tuple(_) | Form::Struct(_) => {
                    let dims: Vec<TokenStream> = emitter.func.ty(value).dims.iter().map(|&d| emitter.dim(d)).collect();
                    match emitter.own_buffer(value) {
                        Some(field) if movable => quote!(buffers.#field.into_array([#(#dims),*])),
                        _ => quote!(#rt::to_array(#place, [#(#dims),*])),
                    }
                }
            }
        })
        .collect()
}

/// The forms of the leaves, in order.
pub(super) fn leaf_forms(form: &Form) -> Vec<Form> {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => vec![form.clone()],
        Form::Tuple(parts) => parts.iter().flat_map(leaf_forms).collect(),
        Form::Struct(of) => of.fields.iter().flat_map(|(_, form)| leaf_forms(form)).collect(),
    }
}

/// The form as it is written in a module inside of the user's.
pub(super) fn within_submodule(form: &Form) -> Form {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => form.clone(),
        Form::Tuple(parts) => Form::Tuple(parts.iter().map(within_submodule).collect()),
        Form::Struct(of) => Form::Struct(Rc::new(StructForm { path: path_within_submodule(&of.path), ..(**of).clone() })),
    }
}

/// Names of the user's module are reached through `super`. What stands before the first `::` may also be a crate, which a glob import decides
/// ([`needs_glob`]).
fn path_within_submodule(path: &syn::Path) -> syn::Path {
    let mut path = path.clone();
    let upwards: syn::PathSegment = syn::parse_quote!(super);
    match path.segments.first().map(|s| s.ident.to_string()).as_deref() {
        _ if path.leading_colon.is_some() => {}
        Some("self") => path.segments[0] = upwards,
        Some("super") => path.segments.insert(0, upwards),
        Some(_) if path.segments.len() == 1 => path.segments.insert(0, upwards),
        Some(_) | None => {}
    }
    path
}

/// Whether a type in the form is written as a path whose first name the macro cannot tell from a crate's.
pub(super) fn needs_glob(form: &Form) -> bool {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => false,
        Form::Tuple(parts) => parts.iter().any(needs_glob),
        Form::Struct(of) => {
            let first = of.path.segments.first().map(|s| s.ident.to_string());
            let rooted = ["crate", "self", "super"].iter().any(|root| first.as_deref() == Some(root));
            of.path.leading_colon.is_none() && of.path.segments.len() > 1 && !rooted
        }
    }
}
