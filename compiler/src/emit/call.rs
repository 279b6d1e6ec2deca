//! Calls of functions that have rules: generated code works on slices, the user's function on arrays.

use std::rc::Rc;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::emitter::Emitter;
use super::expr::primitive;
use crate::ir::{Call, CallPart, Func, Op, Opaque, Stmt, Type};
use crate::syntax::form::Form;
use crate::syntax::rule::Rules;

impl Emitter<'_> {
    /// `call_f(…)`, the adaptor of the function.
    pub(super) fn call(&mut self, stmt: &Stmt, call: &Call) -> TokenStream {
        match call.part {
            CallPart::Value => {}
            CallPart::Tangent => unreachable!("`derive` refuses what has no rule"),
        }
        let symbol = format_ident!("{}", call.function.symbol);
        let mut args = Vec::new();
        let out = stmt.outs[0];
        if self.func.ty(out).rank() > 0 {
            let (dest, shape) = (self.destination(out), self.shape_of(self.func.ty(out)));
            args.push(quote!(#dest, #shape));
        }
        for &arg in &stmt.args {
            let ty = self.func.ty(arg);
            let place = self.memory(arg);
            args.push(if ty.rank() == 0 {
                quote!(#place)
            } else {
                let shape = self.shape_of(ty);
                quote!(#place, #shape)
            });
        }
        quote!(#symbol(#(#args),*))
    }

    fn shape_of(&self, ty: &Type) -> TokenStream {
        let dims = ty.dims.iter().map(|&d| self.dim(d));
        quote!([#(#dims),*])
    }
}

/// The function by which generated code calls the user's function at `path`.
pub fn adaptor(opaque: &Opaque, rules: &Rules, path: &TokenStream, crate_path: &syn::Path) -> TokenStream {
    let rt = quote!(#crate_path::rt);
    let symbol = format_ident!("{}", opaque.symbol);
    let (mut params, mut args) = (Vec::new(), Vec::new());
    for (k, param) in rules.params.iter().enumerate() {
        let name = format_ident!("x_{k}");
        let value = match &param.form {
            Form::Array { elem, rank, view } => {
                let (elem, shape) = (primitive(*elem), format_ident!("shape_{k}"));
                params.push(quote!(#name: &[#elem], #shape: [usize; #rank]));
                let array = quote!(#rt::to_array(#name, #shape));
                if *view { quote!(#array.view()) } else { array }
            }
            form => {
                let elem = primitive(form.leaves()[0].0);
                params.push(quote!(#name: #elem));
                quote!(#name)
            }
        };
        args.push(if param.by_ref { quote!(&#value) } else { value });
    }
    let (elem, rank) = rules.output.leaves()[0];
    let elem = primitive(elem);
    let body = match rank {
        0 => quote!(fn #symbol(#(#params),*) -> #elem { #path(#(#args),*) }),
        _ => {
            let message = format!("`{}` gives the shape {{:?}}, and its rule says {{:?}}", opaque.name);
            quote! {
                fn #symbol<'out>(out: &'out mut [#elem], shape: [usize; #rank], #(#params),*) -> &'out [#elem] {
                    let value = #path(#(#args),*);
                    ::core::assert_eq!(value.shape(), &shape[..], #message, value.shape(), shape);
                    #rt::copy(out, &#rt::elements(&value))
                }
            }
        }
    };
    quote! {
        #[doc(hidden)]
        #[allow(unused, clippy::all, clippy::pedantic)]
        #body
    }
}

/// The adaptors that a function, or the derivatives of it, may call.
pub(super) fn adaptors_of(f: &Func) -> Vec<syn::Ident> {
    let mut found: Vec<Rc<Opaque>> = Vec::new();
    collect(f, &mut found);
    found.iter().map(|opaque| format_ident!("{}", opaque.symbol)).collect()
}

/// Whether all functions with rules that are called here have one of forward mode.
pub(super) fn has_forward_mode(f: &Func) -> bool {
    let mut found: Vec<Rc<Opaque>> = Vec::new();
    collect(f, &mut found);
    found.iter().all(|opaque| opaque.jvp.get().is_some())
}

fn collect(f: &Func, found: &mut Vec<Rc<Opaque>>) {
    f.body.walk(&mut |stmt| match &stmt.op {
        Op::Call(call) if !found.contains(&call.function) => {
            found.push(call.function.clone());
            for rule in [call.function.jvp.get(), call.function.vjp.get()].into_iter().flatten() {
                collect(rule, found);
            }
        }
        Op::Call(_)
        | Op::Const(..)
        | Op::Elementwise(_)
        | Op::Reduce(_)
        | Op::Einsum(_)
        | Op::Shape(_)
        | Op::Index(_)
        | Op::Linalg(_)
        | Op::Control(_) => {}
    });
}
