//! Expressions of single numbers, with parentheses only where Rust needs them.

use proc_macro2::{Ident, Literal as Token, TokenStream};
use quote::{ToTokens, quote};

use crate::ir::{Elem, Elementwise, Literal};

/// How tightly an expression's outermost operator binds, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Binding {
    /// `if … { … } else { … }`, and `… as …`, which must not stand before a `<`.
    Block,
    Or,
    And,
    Compare,
    Sum,
    Product,
    Unary,
    /// Names, literals and calls.
    Atom,
}

/// A Rust expression.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    tokens: TokenStream,
    binding: Binding,
    /// Whether evaluating it once per element is a notable part of a loop's work.
    heavy: bool,
}

impl ToTokens for Expr {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.tokens.to_tokens(tokens);
    }
}

impl Expr {
    pub(super) fn name(name: &Ident) -> Expr {
        Expr::atom(quote!(#name))
    }

    pub(super) fn atom(tokens: TokenStream) -> Expr {
        Expr { tokens, binding: Binding::Atom, heavy: false }
    }

    /// Whether it calls functions that take long, so that a loop over it must be one piece of code.
    pub(super) fn is_heavy(&self) -> bool {
        self.heavy
    }

    /// A literal of the given type. Floats of `f64` need no suffix, since that is what Rust takes a literal for.
    pub(super) fn literal(elem: Elem, literal: Literal) -> Expr {
        if let Elem::Generic(_) = elem {
            return Expr::of_parameter(elem, literal);
        }
        let nonfinite = |x: f64| x.is_nan() || x.is_infinite();
        let tokens = match (elem, literal) {
            (Elem::F64 | Elem::F32, Literal::Float(x)) if nonfinite(x) => {
                let ty = primitive(elem);
                match (x.is_nan(), x > 0.0) {
                    (true, _) => quote!(#ty::NAN),
                    (false, true) => quote!(#ty::INFINITY),
                    (false, false) => quote!(#ty::NEG_INFINITY),
                }
            }
            (Elem::F32, Literal::Float(x)) => Token::f32_suffixed((x as f32).abs()).to_token_stream(),
            (_, Literal::Float(x) | Literal::Widths(x, _)) => Token::f64_unsuffixed(x.abs()).to_token_stream(),
            (Elem::I64, Literal::Int(i)) => match i.checked_abs() {
                Some(i) => Token::i64_suffixed(i).to_token_stream(),
                None => return Expr::atom(quote!(i64::MIN)),
            },
            (_, Literal::Int(i)) => Token::usize_suffixed(i as usize).to_token_stream(),
            (_, Literal::Bool(b)) => b.to_token_stream(),
        };
        let negative = match literal {
            Literal::Float(x) | Literal::Widths(x, _) => x.is_sign_negative() && !nonfinite(x),
            Literal::Int(i) => i < 0,
            Literal::Bool(_) => false,
        };
        if negative { Expr { tokens: quote!(-#tokens), binding: Binding::Unary, heavy: false } } else { Expr::atom(tokens) }
    }

    /// A literal of a type parameter: that of an `f64`, converted.
    fn of_parameter(float: Elem, literal: Literal) -> Expr {
        let ty = primitive(float);
        Expr::atom(match literal {
            Literal::Float(x) => {
                let x = Expr::literal(Elem::F64, Literal::Float(x));
                quote!(#ty::from_f64(#x))
            }
            Literal::Widths(wide, narrow) => {
                let (wide, narrow) =
                    (Expr::literal(Elem::F64, Literal::Float(wide)), Expr::literal(Elem::F32, Literal::Float(f64::from(narrow))));
                quote!(rt::widths::<#ty>(#wide, #narrow))
            }
            Literal::Int(_) | Literal::Bool(_) => unreachable!("a type parameter is a float"),
        })
    }

    /// `if condition { then } else { otherwise }`
    pub(super) fn choice(condition: &Expr, then: &Expr, otherwise: &Expr) -> Expr {
        let heavy = condition.heavy || then.heavy || otherwise.heavy;
        Expr { tokens: quote!(if #condition { #then } else { #otherwise }), binding: Binding::Block, heavy }
    }

    /// An element-wise operation on numbers of type `elem` (that of its operands, or of the last two for a selection).
    pub(super) fn elementwise(op: Elementwise, elem: Elem, args: &[Expr], rt: &TokenStream) -> Expr {
        use Elementwise as E;
        let heavy = args.iter().any(|a| a.heavy);
        let call = |name: &str, extra: Option<TokenStream>, heavy_call: bool| {
            let name = Ident::new(name, proc_macro2::Span::mixed_site());
            let args = args.iter().map(ToTokens::to_token_stream).chain(extra);
            Expr { tokens: quote!(#rt::#name(#(#args),*)), binding: Binding::Atom, heavy: heavy || heavy_call }
        };
        let binary = |operator: TokenStream, binding: Binding| {
            // Operators associate to the left; comparisons do not associate at all.
            let left = args[0].within(if binding == Binding::Compare { Binding::Sum } else { binding });
            let right = args[1].within(tighter(binding));
            Expr { tokens: quote!(#left #operator #right), binding, heavy }
        };
        match op {
            E::Neg => {
                let x = args[0].within(Binding::Unary);
                Expr { tokens: quote!(-#x), binding: Binding::Unary, heavy }
            }
            E::Not => {
                let x = args[0].within(Binding::Unary);
                Expr { tokens: quote!(!#x), binding: Binding::Unary, heavy }
            }
            E::Add => binary(quote!(+), Binding::Sum),
            E::Sub => binary(quote!(-), Binding::Sum),
            E::Mul => binary(quote!(*), Binding::Product),
            E::Div => binary(quote!(/), Binding::Product),
            E::Rem => binary(quote!(%), Binding::Product),
            E::Lt => binary(quote!(<), Binding::Compare),
            E::Le => binary(quote!(<=), Binding::Compare),
            E::Eq => binary(quote!(==), Binding::Compare),
            E::Ne => binary(quote!(!=), Binding::Compare),
            E::And => binary(quote!(&&), Binding::And),
            E::Or => binary(quote!(||), Binding::Or),
            E::Select => Expr::choice(&args[0], &args[1], &args[2]),
            E::Cast(to) => args[0].cast(elem, to, rt),
            E::Powi(-1) => {
                let one = Expr::literal(elem, Literal::Float(1.0));
                let x = args[0].within(tighter(Binding::Product));
                Expr { tokens: quote!(#one / #x), binding: Binding::Product, heavy }
            }
            E::Powi(n) => call("powi", Some(Token::i32_unsuffixed(n).to_token_stream()), false),
            E::Exp => call("exp", None, true),
            E::ExpM1 => call("exp_m1", None, true),
            E::Ln => call("ln", None, true),
            E::Ln1p => call("ln_1p", None, true),
            E::Sin => call("sin", None, true),
            E::Cos => call("cos", None, true),
            E::Tan => call("tan", None, true),
            E::Asin => call("asin", None, true),
            E::Acos => call("acos", None, true),
            E::Atan => call("atan", None, true),
            E::Sinh => call("sinh", None, true),
            E::Cosh => call("cosh", None, true),
            E::Tanh => call("tanh", None, true),
            E::Sigmoid => call("sigmoid", None, true),
            E::Softplus => call("softplus", None, true),
            E::Erf => call("erf", None, true),
            E::Powf => call("powf", None, true),
            E::Atan2 => call("atan2", None, true),
            E::Sqrt => call("sqrt", None, false),
            E::Abs => call("abs", None, false),
            E::Sign => call("sign", None, false),
            E::Relu => call("relu", None, false),
            E::Floor => call("floor", None, false),
            E::StopGradient => args[0].clone(),
            E::Max => call("max", None, false),
            E::Min => call("min", None, false),
        }
    }

    /// The expression as an operand of an operator that needs at least the given binding.
    fn within(&self, binding: Binding) -> TokenStream {
        let tokens = &self.tokens;
        if self.binding >= binding { quote!(#tokens) } else { quote!((#tokens)) }
    }

    fn cast(&self, from: Elem, to: Elem, rt: &TokenStream) -> Expr {
        let ty = primitive(to);
        if from == to {
            self.clone()
        } else if to == Elem::Bool {
            // Rust has no such `as`: what is not zero is true.
            let zero = Expr::literal(from, if from.is_float() { Literal::Float(0.0) } else { Literal::Int(0) });
            let x = self.within(Binding::Sum);
            Expr { tokens: quote!(#x != #zero), binding: Binding::Compare, heavy: self.heavy }
        } else if from == Elem::Bool && to.is_float() {
            let number = |x| Expr::literal(to, Literal::Float(x));
            Expr::choice(self, &number(1.0), &number(0.0))
        } else if let Elem::Generic(_) = to {
            let x = &self.tokens;
            Expr { tokens: quote!(#rt::as_float::<#ty>(#x)), binding: Binding::Atom, heavy: self.heavy }
        } else if let Elem::Generic(_) = from {
            let x = self.within(Binding::Atom);
            let wide = Expr { tokens: quote!(#x.to_f64()), binding: Binding::Atom, heavy: self.heavy };
            wide.cast(Elem::F64, to, rt)
        } else {
            let x = self.within(Binding::Unary);
            Expr { tokens: quote!(#x as #ty), binding: Binding::Block, heavy: self.heavy }
        }
    }
}

/// The Rust type of an element.
pub(super) fn primitive(elem: Elem) -> Ident {
    Ident::new(elem.name(), proc_macro2::Span::mixed_site())
}

fn tighter(binding: Binding) -> Binding {
    match binding {
        Binding::Block => Binding::Or,
        Binding::Or => Binding::And,
        Binding::And => Binding::Compare,
        Binding::Compare => Binding::Sum,
        Binding::Sum => Binding::Product,
        Binding::Product => Binding::Unary,
        Binding::Unary | Binding::Atom => Binding::Atom,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(x: &str) -> Expr {
        Expr::name(&Ident::new(x, proc_macro2::Span::call_site()))
    }

    fn op(op: Elementwise, args: &[Expr]) -> Expr {
        Expr::elementwise(op, Elem::F64, args, &quote!(rt))
    }

    fn text(e: &Expr) -> String {
        prettyplease::unparse(&syn::parse_quote!(const X: f64 = #e;))
            .trim()
            .trim_start_matches("const X: f64 = ")
            .trim_end_matches(';')
            .to_owned()
    }

    #[test]
    fn parentheses_stand_where_needed() {
        use Elementwise as E;
        let (a, b, c) = (name("a"), name("b"), name("c"));
        let sum = op(E::Add, &[a.clone(), b.clone()]);
        assert_eq!(text(&op(E::Mul, &[sum.clone(), c.clone()])), "(a + b) * c");
        assert_eq!(text(&op(E::Add, &[sum.clone(), c.clone()])), "a + b + c");
        assert_eq!(text(&op(E::Sub, &[c.clone(), sum.clone()])), "c - (a + b)");
        assert_eq!(text(&op(E::Neg, std::slice::from_ref(&sum))), "-(a + b)");
        assert_eq!(text(&op(E::Neg, &[op(E::Neg, std::slice::from_ref(&a))])), "--a");
        let less = op(E::Lt, &[op(E::Cast(Elem::F32), std::slice::from_ref(&a)), b.clone()]);
        assert_eq!(text(&less), "(a as f32) < b");
        let select = op(E::Select, &[less, sum, c.clone()]);
        assert_eq!(text(&op(E::Mul, &[c, select])), "c * (if (a as f32) < b { a + b } else { c })");
        let half = Expr::literal(Elem::F64, Literal::Float(-0.5));
        assert_eq!(text(&op(E::Mul, &[a, half])), "a * -0.5");
    }
}
