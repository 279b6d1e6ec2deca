//! Parameters and results in the user's forms: their types, how their leaves are reached, and how results are put together.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::emitter::{Emitter, ident};
use super::expr::primitive;
use crate::ir::{Dim, DimId, ValueId};
use crate::syntax::signature::Form;

/// One leaf of a parameter.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// What messages call it: `x`, or `x.0` for a part of a tuple.
    pub(super) label: String,
    /// The place where it stands.
    pub(super) place: TokenStream,
    /// Whether the place is itself a reference.
    pub(super) by_ref: bool,
    pub(super) rank: usize,
}

/// The leaves of a value of the given form that stands at `place`.
pub(super) fn leaves(form: &Form, label: &str, place: &TokenStream, by_ref: bool) -> Vec<Leaf> {
    match form {
        Form::Scalar(_) => vec![Leaf { label: label.to_owned(), place: place.clone(), by_ref, rank: 0 }],
        Form::Array { rank, .. } => vec![Leaf { label: label.to_owned(), place: place.clone(), by_ref, rank: *rank }],
        Form::Tuple(parts) => {
            let part = |(k, part): (usize, &Form)| {
                let index = syn::Index::from(k);
                leaves(part, &format!("{label}.{k}"), &quote!(#place.#index), false)
            };
            parts.iter().enumerate().flat_map(part).collect()
        }
    }
}

impl Leaf {
    /// The number, where the leaf is one.
    pub(super) fn number(&self) -> TokenStream {
        let place = &self.place;
        if self.by_ref { quote!(*#place) } else { quote!(#place) }
    }

    /// A reference to the array, where the leaf is one.
    pub(super) fn array(&self) -> TokenStream {
        let place = &self.place;
        if self.by_ref { quote!(#place) } else { quote!(&#place) }
    }

    /// A name for a variable: that of the parameter, with the position for a part of a tuple.
    pub(super) fn variable(&self) -> String {
        self.label.replace('.', "_")
    }
}

/// The type of a form, with what is not a float left out if `floats_only`. Views have the given lifetime.
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
        Form::Tuple(parts) => {
            let parts = parts.iter().map(|part| type_of(part, rt, lifetime));
            quote!((#(#parts,)*))
        }
    }
}

/// The form of a tangent or cotangent: the floats only, and `None` if there are none. A view stays one.
pub(super) fn float_form(form: &Form) -> Option<Form> {
    match form {
        Form::Scalar(elem) | Form::Array { elem, .. } => elem.is_float().then(|| form.clone()),
        Form::Tuple(parts) => {
            let parts: Vec<Form> = parts.iter().filter_map(float_form).collect();
            (!parts.is_empty()).then_some(Form::Tuple(parts))
        }
    }
}

/// The form of a result: views become arrays.
pub(super) fn owned(form: &Form) -> Form {
    match form {
        Form::Scalar(_) => form.clone(),
        Form::Array { elem, rank, .. } => Form::Array { elem: *elem, rank: *rank, view: false },
        Form::Tuple(parts) => Form::Tuple(parts.iter().map(owned).collect()),
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
pub(super) fn assemble(form: &Form, leaves: &mut impl Iterator<Item = TokenStream>) -> TokenStream {
    match form {
        Form::Scalar(_) | Form::Array { .. } => leaves.next().expect("as many leaves as the form has"),
        Form::Tuple(parts) => {
            let parts: Vec<TokenStream> = parts.iter().map(|part| assemble(part, leaves)).collect();
            quote!((#(#parts,)*))
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

/// The leaves of results as owned values, after the statements of the function: buffers are moved out where an array stands alone in one.
pub(super) fn owned_results(emitter: &Emitter, results: &[ValueId]) -> Vec<TokenStream> {
    let rt = &emitter.rt;
    let is_array = |v: ValueId| emitter.func.ty(v).rank() > 0;
    let once = |v: ValueId| results.iter().filter(|&&r| r == v).count() == 1;
    // A result that is part of another's buffer would be lost with it.
    let borrows = |v: ValueId| is_array(v) && emitter.is_computed(v) && (emitter.own_buffer(v).is_none() || !once(v));
    let movable = !results.iter().any(|&r| borrows(r));
    results
        .iter()
        .map(|&result| {
            let place = emitter.place(result);
            if !is_array(result) {
                return place;
            }
            let dims: Vec<TokenStream> = emitter.func.ty(result).dims.iter().map(|&d| emitter.dim(d)).collect();
            match emitter.own_buffer(result) {
                Some(field) if movable => quote!(buffers.#field.into_array([#(#dims),*])),
                _ => quote!(#rt::to_array(#place, [#(#dims),*])),
            }
        })
        .collect()
}
