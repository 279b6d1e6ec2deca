//! The `bilevel` differentiation compiler as an ordinary library.
//!
//! ```text
//! tokens ─ syntax ─▶ typed AST ─ lower ─▶ IR ─ derive, optimize ─▶ IR ─ emit ─▶ Rust tokens
//! ```
//!
//! Start reading at [`ir`], whose page is the specification of everything after it.

pub mod derive;
pub mod diagnostics;
pub mod ir;
pub mod lower;
pub mod ops;
pub mod optimize;
pub mod syntax;
#[doc(hidden)]
pub mod testing;
