//! CUDA C++ from the IR of the `bilevel` differentiation compiler.
//!
//! # Place in the design
//!
//! ```text
//! tokens ─ syntax ─ lower ─▶ IR ─ derive, optimize ─▶ IR ─┬─ emit ─────────▶ Rust tokens  (cpu)
//!                                                         └─ this crate ───▶ CUDA C++     (gpu)
//! ```
//!
//! The crate is a second emitter beside `compiler::emit`. It takes the same optimised IR: derivatives, their simplification and the
//! fusion of element-wise chains are decided before, and know nothing of the machine.
//! What comes out is text for NVRTC, self-contained, without headers. Loading it, memory, streams and launches belong to a runtime crate that does
//! not exist yet; the library products (matrix products by cuBLAS) will be calls of that runtime, not kernels of this crate.
//!
//! So far there is one emitter: [`fused_kernel`] makes one kernel of a function whose statements are literals, element-wise operations and
//! repeated scalars over one shape. Everything else is an [`EmitError`] that names the statement.
//!
//! # What the emitted code means
//!
//! - It computes what `ir::eval` computes. Functions that CUDA does not have are helper functions in front of the kernel, with the evaluator's definition.
//! - CUDA's compilers contract `a * b + c` to one rounding unless told otherwise (`--fmad=false`); the functions of its mathematical library differ from
//!   the host's in the last bits.
//! - What Rust would refuse at run time in integer arithmetic (overflow, division by zero) is not checked on the device.
//!
//! # What the crate deliberately does not know
//!
//! Rust syntax and spans of the user's code beyond names and comments; the CPU kernels; any CUDA library. It builds and passes its tests without a
//! toolkit and without a device: the tests compile the very text with a C++ compiler and a small header, and run it on the CPU.

mod elementwise;
mod error;
mod kernel;
mod names;

pub use error::EmitError;
pub use kernel::{Argument, Kernel, fused_kernel};
