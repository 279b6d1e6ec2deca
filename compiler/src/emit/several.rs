//! Several values of a struct as parameters and results, and derivatives by the elements of one.
//!
//! No struct has a leading axis, so several values of one are a slice, or a vector. Generated code works on arrays with a leading axis all the same:
//! to it a struct is the tuple of its fields. In Jacobians and Hessians a struct is the vector of its elements, in the order of `flat`.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::emitter::ident;
use super::expr::primitive;
use super::forms::{Leaf, bare_or_tuple, leaves, type_of};
use super::requests::with_axes;
use crate::syntax::form::Form;

/// How a result is made of the tuple of its leaves, which the statements of the function compute.
#[derive(Clone, Debug)]
pub(super) enum Pack {
    /// It is that.
    AsIs,
    /// A vector of structs of this form.
    Several(Form, Others),
    /// The derivative of an array of so many axes by the elements of a struct of this form.
    Columns(usize, Form),
    /// The second derivatives of an array of so many axes by these parameters.
    Row(usize, Vec<Form>),
    /// The second derivatives of the elements of a struct, whose leaves have these ranks, by these parameters.
    Rows(Vec<usize>, Vec<Form>),
}

/// Where the parts of structs come from that are no floats.
#[derive(Clone, Debug)]
pub(super) enum Others {
    /// They are computed like the others.
    Computed,
    /// From the struct at this place.
    Of(TokenStream),
    /// Each from the struct of the same position in the slice at this place.
    OfEach(TokenStream),
}

impl Others {
    fn are_computed(&self) -> bool {
        matches!(self, Others::Computed)
    }
}

impl Pack {
    /// The result of the tuple of its leaves.
    pub(super) fn value(&self, parts: &TokenStream) -> TokenStream {
        let value = match self {
            Pack::AsIs => return parts.clone(),
            Pack::Several(form, others) => {
                let floats_only = !others.are_computed();
                let first = places(&unfolded(form, floats_only), &quote!(parts)).swap_remove(0);
                let place = match others {
                    Others::Computed => TokenStream::new(),
                    Others::Of(place) => place.clone(),
                    Others::OfEach(place) => quote!(#place[k]),
                };
                let value = value_at(form, floats_only, &quote!(parts), &place);
                quote!(rt::values(#first.shape()[0], |k| #value))
            }
            Pack::Columns(n_axes, form) => columns(*n_axes, form, &quote!(parts)),
            Pack::Row(rank, blocks) => {
                let blocks: Vec<TokenStream> = blocks
                    .iter()
                    .zip(block_places(blocks, &quote!(parts)))
                    .map(|(form, place)| match form {
                        Form::Struct(_) => columns(*rank, form, &place),
                        // Among structs everything is an array.
                        Form::Scalar(_) if *rank == 0 => quote!(#place[()]),
                        Form::Fixed { .. } if *rank == 0 => quote!(rt::to_fixed(&rt::elements(&#place))),
                        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } | Form::Tuple(_) => place,
                    })
                    .collect();
                bare_or_tuple(&blocks)
            }
            Pack::Rows(ranks, blocks) => rows(ranks, blocks),
        };
        quote!({
            let parts = #parts;
            #value
        })
    }

    /// The type of the result, if that is not the form of its leaves.
    pub(super) fn ty(&self, rt: &TokenStream) -> Option<TokenStream> {
        let block_type = |form: &Form, rank: usize| match form.has_struct() {
            true => array_type(form, rank + 1),
            false => type_of(&with_axes(form, rank), rt, &quote!('_)),
        };
        Some(match self {
            Pack::AsIs => return None,
            Pack::Several(form, _) => {
                let ty = type_of(form, rt, &quote!('_));
                quote!(#rt::Vec<#ty>)
            }
            Pack::Columns(n_axes, form) => array_type(form, n_axes + 1),
            Pack::Row(rank, blocks) => bare_or_tuple(&blocks.iter().map(|form| block_type(form, *rank)).collect::<Vec<_>>()),
            Pack::Rows(_, blocks) => bare_or_tuple(&blocks.iter().map(|form| block_type(form, 1)).collect::<Vec<_>>()),
        })
    }
}

/// A struct as the tuple of its fields; with `floats_only` of those that have floats.
pub(super) fn unfolded(form: &Form, floats_only: bool) -> Form {
    let is_kept = |form: &Form| !floats_only || form.is_differentiable();
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => form.clone(),
        Form::Tuple(parts) => Form::Tuple(parts.iter().filter(|part| is_kept(part)).map(|part| unfolded(part, floats_only)).collect()),
        Form::Struct(of) => {
            let fields = of.fields.iter().map(|(_, form)| form).filter(|form| is_kept(form));
            Form::Tuple(fields.map(|form| unfolded(form, floats_only)).collect())
        }
    }
}

/// The leaves of several values of a struct, which stand in a slice.
pub(super) fn leaves_of_each(form: &Form, name: &str, place: &TokenStream) -> Vec<Leaf> {
    leaves(form, name, &quote!(value), false).into_iter().map(|leaf| leaf.of_each(place)).collect()
}

/// The places of the leaves of a tuple.
fn places(form: &Form, place: &TokenStream) -> Vec<TokenStream> {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } | Form::Struct(_) => vec![place.clone()],
        Form::Tuple(parts) => {
            let part = |(k, part): (usize, &Form)| {
                let k = syn::Index::from(k);
                places(part, &quote!(#place.#k))
            };
            parts.iter().enumerate().flat_map(part).collect()
        }
    }
}

/// The places of the second derivatives by these parameters, which are a tuple if they are several.
fn block_places(blocks: &[Form], place: &TokenStream) -> Vec<TokenStream> {
    match blocks {
        [_] => vec![place.clone()],
        _ => (0..blocks.len())
            .map(|q| {
                let q = syn::Index::from(q);
                quote!(#place.#q)
            })
            .collect(),
    }
}

/// The value at position `k` of the arrays at `parts`.
fn value_at(form: &Form, floats_only: bool, parts: &TokenStream, others: &TokenStream) -> TokenStream {
    if floats_only && !form.is_differentiable() {
        return quote!(::core::clone::Clone::clone(&#others));
    }
    // Positions among the parts that are there.
    let mut next = 0;
    let mut position = |form: &Form| {
        let at = syn::Index::from(next);
        next += usize::from(!floats_only || form.is_differentiable());
        at
    };
    match form {
        Form::Scalar(_) => quote!(#parts[k]),
        Form::Array { .. } => quote!(rt::array_at(&#parts, k)),
        Form::Fixed { .. } => quote!(rt::fixed_at(&#parts, k)),
        Form::Tuple(forms) => {
            let values = forms.iter().enumerate().map(|(k, form)| {
                let (at, k) = (position(form), syn::Index::from(k));
                value_at(form, floats_only, &quote!(#parts.#at), &quote!(#others.#k))
            });
            let values: Vec<TokenStream> = values.collect();
            quote!((#(#values,)*))
        }
        Form::Struct(of) => {
            let values = of.fields.iter().map(|(member, form)| {
                let at = position(form);
                value_at(form, floats_only, &quote!(#parts.#at), &quote!(#others.#member))
            });
            let values: Vec<TokenStream> = values.collect();
            quote!(rt::from_fields((#(#values,)*)))
        }
    }
}

/// The blocks by the leaves of a struct, which are a tuple, side by side.
fn columns(n_axes: usize, form: &Form, parts: &TokenStream) -> TokenStream {
    let leaves = places(&unfolded(form, true), parts);
    let (n_axes, dims) = (Literal::usize_unsuffixed(n_axes), ident(&format!("Ix{}", n_axes + 1)));
    quote!(rt::columns::<_, rt::#dims>(#n_axes, &[#(#leaves.view().into_dyn()),*]))
}

fn rows(ranks: &[usize], blocks: &[Form]) -> TokenStream {
    let groups = blocks.iter().enumerate().map(|(q, form)| {
        let views = ranks.iter().enumerate().map(|(a, &rank)| {
            let k = syn::Index::from(a);
            let place = block_places(blocks, &quote!(parts.#k)).swap_remove(q);
            let block = if form.has_struct() { columns(rank, form, &place) } else { place };
            let rank = Literal::usize_unsuffixed(rank);
            quote!((#rank, #block.view().into_dyn()))
        });
        quote!(rt::rows(&[#(#views),*]))
    });
    bare_or_tuple(&groups.collect::<Vec<_>>())
}

/// The type of an array of the floats of a struct.
fn array_type(form: &Form, rank: usize) -> TokenStream {
    let elem = form.leaves().into_iter().map(|(elem, _)| elem).find(|elem| elem.is_float()).expect("a struct has floats");
    let (name, elem) = (ident(&format!("Array{rank}")), primitive(elem));
    quote!(rt::#name<#elem>)
}
