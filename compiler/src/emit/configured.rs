//! The methods of `Problem` where the attribute chooses the method: `problem.hypergradient(..)` without a builder.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::problem::has_lifetime;
use crate::syntax::ProblemIr;
use crate::syntax::configuration::{Built, Configuration};

/// The methods, if the attribute chooses one.
pub(super) fn configured(problem: &ProblemIr) -> Option<TokenStream> {
    let Configuration { method, inner, .. } = problem.configuration.as_ref()?;
    let crate_path = &problem.crate_path;
    let name = Ident::new("Problem", Span::call_site());
    let generics = has_lifetime(problem).then(|| quote!(<'_>));
    let (method_type, new_method) = (method.ty(), method.tokens());
    let inner_type = inner
        .as_ref()
        .map_or_else(|| quote!(<#method_type as rt::DefaultInner<<Self as rt::BilevelProblem>::Condition>>::Inner), Built::ty);
    let new_inner = inner.as_ref().map(|inner| {
        let new = inner.tokens();
        quote!(.inner(#new))
    });
    let doc = format!(
        " The solver of the attribute: `problem.solver({}){}`.",
        method.text(),
        inner.as_ref().map_or_else(String::new, |inner| format!(".inner({})", inner.text()))
    );
    Some(quote! {
        #[allow(unused, unreachable_pub, clippy::all, clippy::pedantic)]
        const _: () = {
            use #crate_path::rt;

            impl #name #generics {
                #[doc = #doc]
                pub fn configured(&self) -> rt::Solver<'_, Self, #method_type, #inner_type> {
                    rt::ProblemExt::solver(self, #new_method) #new_inner
                }

                /// [`configured`](Self::configured)`().hypergradient(outer, inner)`
                ///
                /// # Errors
                /// Whatever makes the hypergradient unreliable.
                pub fn hypergradient(
                    &self,
                    outer: &<Self as rt::BilevelProblem>::Outer,
                    inner: &<Self as rt::BilevelProblem>::Inner,
                ) -> ::core::result::Result<rt::HypergradientOf<Self>, rt::Error> {
                    self.configured().hypergradient(outer, inner)
                }

                /// [`configured`](Self::configured)`().minimize(outer, inner, optimizer, n_steps)`
                ///
                /// # Errors
                /// Whatever makes a hypergradient unreliable.
                pub fn minimize(
                    &self,
                    outer: &<Self as rt::BilevelProblem>::Outer,
                    inner: &<Self as rt::BilevelProblem>::Inner,
                    optimizer: impl rt::OuterOptimizer<<Self as rt::BilevelProblem>::Float>,
                    n_steps: usize,
                ) -> ::core::result::Result<rt::TunedOf<Self>, rt::Error> {
                    self.configured().minimize(outer, inner, optimizer, n_steps)
                }

                /// [`configured`](Self::configured)`().check(outer, inner)`
                ///
                /// # Errors
                /// Whatever makes the hypergradient unreliable.
                pub fn check(
                    &self,
                    outer: &<Self as rt::BilevelProblem>::Outer,
                    inner: &<Self as rt::BilevelProblem>::Inner,
                ) -> ::core::result::Result<rt::Check, rt::Error> {
                    self.configured().check(outer, inner)
                }

                /// [`configured`](Self::configured)`().solve_inner(outer, inner)`
                ///
                /// # Errors
                /// An inner loss that is not finite or unbounded below.
                pub fn solve_inner(
                    &self,
                    outer: &<Self as rt::BilevelProblem>::Outer,
                    inner: &<Self as rt::BilevelProblem>::Inner,
                ) -> ::core::result::Result<rt::Solved<<Self as rt::BilevelProblem>::Inner>, rt::Error> {
                    self.configured().solve_inner(outer, inner)
                }
            }
        };
    })
}
