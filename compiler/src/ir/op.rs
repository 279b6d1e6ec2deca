//! The primitive operations, grouped by family.
//!
//! This file is only the data. What an operation *means* stands in one file per family under `ops/`, as inherent methods of
//! these enums: type rule (`infer`), linear rule (`jvp`), transpose rule (`transpose`), cost, and reference evaluation (`eval`).
//! Every match over these enums is exhaustive, so that adding an operation is "follow the compiler".

use std::rc::Rc;

use super::call::Call;
use super::types::{Dim, Elem, Literal};

/// One primitive operation. Operands and nested bodies stand in the statement, see [`Stmt`](super::Stmt).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// A literal scalar of the given element type: `() -> elem`.
    Const(Elem, Literal),
    /// Works on each element by itself; all operands have equal shapes.
    Elementwise(Elementwise),
    /// Removes axes by combining the elements along them.
    Reduce(Reduce),
    /// A product of two tensors with sums over shared labels.
    Einsum(Einsum),
    /// Rearranges or repeats elements, or asks for a length.
    Shape(Shape),
    /// Reads or writes at positions that are data.
    Index(Index),
    /// Factorisations and linear systems.
    Linalg(Linalg),
    /// A call of a function without a body, which has rules.
    Call(Call),
    /// Structured control flow; the nested bodies stand in the statement.
    Control(Control),
}

/// Operations on each element. Operands have equal shapes (broadcasting is explicit); the operand count is [`Elementwise::arity`].
///
/// Where a derivative has a pole, as that of `ln(x)` at zero, or the function is not defined, it is taken as zero, so that a [`Select`](Elementwise::Select)
/// around such a point has finite derivatives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Elementwise {
    /// `-x`
    Neg,
    /// `exp(x)`
    Exp,
    /// `exp(x) - 1`, exact near zero
    ExpM1,
    /// natural logarithm
    Ln,
    /// `ln(1 + x)`, exact near zero
    Ln1p,
    /// square root; the derivative at zero is taken as zero
    Sqrt,
    /// `sin(x)`
    Sin,
    /// `cos(x)`
    Cos,
    /// `tan(x)`
    Tan,
    /// `asin(x)`
    Asin,
    /// `acos(x)`
    Acos,
    /// `atan(x)`
    Atan,
    /// `sinh(x)`
    Sinh,
    /// `cosh(x)`
    Cosh,
    /// `tanh(x)`
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `ln(1 + exp(x))` without overflow
    Softplus,
    /// the error function, `2/√π` times the integral of `exp(-t²)` from zero to `x`
    Erf,
    /// `|x|`; the derivative at zero is zero
    Abs,
    /// `1`, `-1`, or `0` at zero (unlike `f64::signum`, which is `1` at `0.0`)
    Sign,
    /// `max(x, 0)`; the derivative at zero is zero
    Relu,
    /// largest integer not above `x`; derivative zero
    Floor,
    /// `x`, whose derivative is taken as zero
    StopGradient,
    /// `x` to a constant integer power
    Powi(i32),
    /// `x + y` (floats and integers)
    Add,
    /// `x - y` (floats and integers)
    Sub,
    /// `x * y` (floats and integers)
    Mul,
    /// `x / y` (floats and integers)
    Div,
    /// `x % y`, with the sign of `x` (floats and integers); the derivative where it jumps is that of the piece that holds the value
    Rem,
    /// `x` to the power `y`; the derivative in `y` is taken as zero where `x` is not positive
    Powf,
    /// angle of the point `(y, x)`, operands in the order of `y.atan2(x)`
    Atan2,
    /// the larger of two; at a tie each operand gets half of the derivative (floats and integers)
    Max,
    /// the smaller of two; at a tie each operand gets half of the derivative (floats and integers)
    Min,
    /// `x < y` to `bool`
    Lt,
    /// `x <= y` to `bool`
    Le,
    /// `x == y` to `bool`
    Eq,
    /// `x != y` to `bool`
    Ne,
    /// logical and
    And,
    /// logical or
    Or,
    /// logical not
    Not,
    /// `Select(c, x, y)` is `x` where `c`, else `y`
    Select,
    /// conversion to another element type, as Rust's `as`; linear between floats
    Cast(Elem),
}

/// Reductions over a set of axes, which the result no longer has. `axes` is sorted and without repetition.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Reduce {
    /// Sum; zero over an empty axis.
    Sum {
        /// reduced axes
        axes: Vec<usize>,
    },
    /// Product; one over an empty axis. The derivative by an element is the product of the others, also where elements are zero.
    Prod {
        /// reduced axes
        axes: Vec<usize>,
    },
    /// Largest element; ties share the derivative equally.
    Max {
        /// reduced axes
        axes: Vec<usize>,
    },
    /// Smallest element; ties share the derivative equally.
    Min {
        /// reduced axes
        axes: Vec<usize>,
    },
    /// `ln(sum(exp(x)))` without overflow.
    LogSumExp {
        /// reduced axes
        axes: Vec<usize>,
    },
    /// The position of the largest element as a `usize`, the first of several; of the first NaN, if there is one. The axis is not empty.
    ArgMax {
        /// the axis along which the position is counted, and which the result no longer has
        axis: usize,
    },
    /// The position of the smallest element, likewise.
    ArgMin {
        /// the axis
        axis: usize,
    },
}

/// `out[o] = sum over the labels not in o of lhs[l] * rhs[r]`.
///
/// A label is a small number naming one index. Within one operand (and within `out`) labels do not repeat, every label occurs in
/// at least two of the three lists, and a label has one dimension wherever it occurs. This class is closed under
/// transposition (swap a list with `out`) and under batching (add a label), and it contains the matrix product
/// `ij,jk->ik`, the outer product `i,j->ij`, the inner product `i,i->`, and scaling `i,->i`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Einsum {
    /// labels of the first operand's axes
    pub lhs: Vec<u8>,
    /// labels of the second operand's axes
    pub rhs: Vec<u8>,
    /// labels of the result's axes
    pub out: Vec<u8>,
}

/// Operations that move, repeat or measure.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Shape {
    /// Repeats the operand along new axes: operand axis `k` becomes result axis `axes[k]` (ascending); the other result axes are new.
    Broadcast {
        /// result axis of each operand axis, ascending
        axes: Vec<usize>,
        /// all dimensions of the result
        dims: Vec<Dim>,
    },
    /// Reorders axes: result axis `k` is operand axis `perm[k]`.
    Permute {
        /// operand axis of each result axis
        perm: Vec<usize>,
    },
    /// The same elements in row-major order under other dimensions. It is checked when it runs that they are as many, where that does not follow from the
    /// dimensions.
    Reshape {
        /// dimensions of the result
        dims: Vec<Dim>,
    },
    /// Any number of operands, one after the other along an axis.
    Concat {
        /// the axis along which they may differ
        axis: usize,
        /// its length in the result: the sum of the operands' lengths, which is checked
        dim: Dim,
    },
    /// Sliding windows along an axis: `y[.., o, k, ..] = x[.., o * step + k * dilation, ..]`. The axis becomes two; positions are checked.
    Unfold {
        /// the axis of the operand
        axis: usize,
        /// number of windows
        out: Dim,
        /// length of a window
        len: Dim,
        /// distance between neighbouring windows
        step: u64,
        /// distance between neighbours in a window
        dilation: u64,
    },
    /// The transpose of `Unfold`: `y[.., o * step + k * dilation, ..]` is the sum of all such `x[.., o, k, ..]`, and zero where there are none. The axes `axis` and
    /// `axis + 1` become one. Floats.
    Fold {
        /// the axis of the windows
        axis: usize,
        /// length of the result along it
        dim: Dim,
        /// distance between neighbouring windows
        step: u64,
        /// distance between neighbours in a window
        dilation: u64,
    },
    /// `0, 1, 2, …` along one axis: `() -> usize[dim]`.
    Iota {
        /// length
        dim: Dim,
    },
    /// A length as a number: `() -> usize`.
    DimSize {
        /// which
        dim: Dim,
    },
    /// Gives a symbolic dimension its length, from a `usize` scalar; no result. Dimensions of parameters are bound by the arguments;
    /// every other one is bound by one such statement, before its first use in the same or an enclosing body. For a dimension that is bound already,
    /// and for a number, it checks that the scalar is that length.
    BindDim {
        /// which
        dim: Dim,
    },
}

/// What one indexed axis of a [`Window`] becomes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pick {
    /// One position; the part does not have the axis.
    At,
    /// Some positions at equal distances, the first of them given.
    Slice {
        /// distance from one to the next, not zero; negative where they run downwards
        step: i64,
        /// how many
        len: Dim,
    },
}

/// A part of a tensor: for each indexed axis, ascending, what becomes of it; the other axes are whole. The statement has one operand for
/// each indexed axis, a `usize` scalar: the (first) position. Every position must lie on its axis; where a slice is empty, its first position
/// may also be the length of the axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// the indexed axes
    pub axes: Vec<(usize, Pick)>,
}

/// Access at positions that are data. Positions are `usize` values; the reader checks them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Index {
    /// `(x, starts…) -> part`
    Read(Window),
    /// `(x, starts…, v) -> x` with `v` added to the part; floats.
    Add(Window),
    /// `(x, starts…, v) -> x` with `v` in place of the part.
    Write(Window),
    /// `(x, idx) -> y`, `x` with `axis` replaced by the axes of `idx`: `y[.., k…, ..] = x[.., idx[k…], ..]`.
    Gather {
        /// the axis of the positions
        axis: usize,
    },
    /// `(x, idx, v) -> x` with `v[.., k…, ..]` added at position `idx[k…]` of `axis`; what has the same position adds up. Floats.
    ScatterAdd {
        /// the axis of the positions
        axis: usize,
    },
    /// `(x, idx) -> y` with `y[.., ..] = x[.., idx[.., ..], ..]`: `idx` and `y` have the shape of `x` without `axis`.
    TakeAlong {
        /// the axis along which one element is taken
        axis: usize,
    },
    /// `(v, idx) -> y`, the transpose of `TakeAlong`: `y` has a new axis of length `dim`, and is `v` where that axis' position
    /// equals `idx`, zero elsewhere.
    PutAlong {
        /// the new axis
        axis: usize,
        /// its length
        dim: Dim,
    },
}

impl Shape {
    /// Whether tensors of these dimensions have equally many elements; none if that shows only when lengths are known.
    pub fn same_elements(from: &[Dim], to: &[Dim]) -> Option<bool> {
        let mut rest: Vec<Dim> = to.to_vec();
        let mut own = Vec::new();
        for &dim in from {
            match rest.iter().position(|&d| d == dim) {
                Some(k) => drop(rest.swap_remove(k)),
                None => own.push(dim),
            }
        }
        let number = |dims: &[Dim]| {
            dims.iter().try_fold(1_u64, |n, dim| match dim {
                Dim::Const(m) => n.checked_mul(*m),
                Dim::Sym(_) => None,
            })
        };
        match (number(&own), number(&rest)) {
            (Some(n), Some(m)) => Some(n == m),
            (None, _) | (_, None) => None,
        }
    }

    /// Whether the dimensions are the same up to axes of length one, so that a reshape from one to the other moves no element along an axis.
    pub fn same_but_for_ones(from: &[Dim], to: &[Dim]) -> bool {
        let longer = |dims: &[Dim]| dims.iter().copied().filter(|&d| d != Dim::Const(1)).collect::<Vec<_>>();
        longer(from) == longer(to)
    }
}

impl Window {
    /// One position on one axis.
    pub fn at(axis: usize) -> Self {
        Window { axes: vec![(axis, Pick::At)] }
    }

    /// The dimensions of the part, for a tensor of the given dimensions.
    pub fn dims(&self, of: &[Dim]) -> Vec<Dim> {
        let pick = |axis: usize| self.axes.iter().find(|&&(a, _)| a == axis).map(|&(_, pick)| pick);
        let dim = |(axis, &dim): (usize, &Dim)| match pick(axis) {
            None => Some(dim),
            Some(Pick::At) => None,
            Some(Pick::Slice { len, .. }) => Some(len),
        };
        of.iter().enumerate().filter_map(dim).collect()
    }

    /// For each axis of the part the axis of the whole, given the rank of the whole.
    pub fn kept(&self, rank: usize) -> Vec<usize> {
        (0..rank).filter(|&axis| !self.axes.contains(&(axis, Pick::At))).collect()
    }

    /// The same with the lengths of slices replaced.
    pub fn with_dims(&self, mut f: impl FnMut(Dim) -> Dim) -> Self {
        let pick = |pick: Pick, f: &mut dyn FnMut(Dim) -> Dim| match pick {
            Pick::At => Pick::At,
            Pick::Slice { step, len } => Pick::Slice { step, len: f(len) },
        };
        Window { axes: self.axes.iter().map(|&(axis, p)| (axis, pick(p, &mut f))).collect() }
    }
}

/// Factorisations and linear systems. Matrices are the last two axes; the axes before are batch axes, the same in all operands, but that right sides may have
/// more of them before the others. A matrix that has no factorisation gives infinities or NaN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Linalg {
    /// `(a) -> (factors, pivots)`: Gaussian elimination with row exchanges. The operations below read the results, and take `a` beside them, of
    /// which they have the derivative; this operation has none. `a` is singular where a diagonal element of the factors is zero.
    Lu,
    /// `(a, factors, pivots, b) -> x` with `a x = b`, or `aᵀ x = b`; `b` and `x` are matrices.
    LuSolve {
        /// whether the matrix is `aᵀ`
        transposed: bool,
    },
    /// `(a, factors, pivots) -> ln |det a|`
    LogDet,
    /// `(a) -> l`, lower triangular with `l lᵀ = (a + aᵀ) / 2`: the function of the symmetric part.
    Cholesky,
    /// `(t, b) -> x` with `t x = b`, where `t` is the part of its operand that [`Triangle`] says; `b` and `x` are matrices.
    SolveTriangular(Triangle),
    /// `(a) -> (values, vectors)`: the eigenvalues of `(a + aᵀ) / 2`, ascending, and normalised eigenvectors as columns; in each of them the first
    /// element at least 0.6 times as large as the largest is positive. The vectors' derivative checks that no two values are equal up to rounding.
    Eigh,
}

/// The triangle of a matrix that is read; the rest does not count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Triangle {
    /// the lower or the upper one
    pub lower: bool,
    /// whether the matrix is then transposed
    pub transposed: bool,
    /// whether the diagonal is taken as ones, and not read
    pub unit: bool,
}

/// Structured control flow. Nested bodies may use every value in scope around the statement (captures).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Control {
    /// A counted loop. Operands: the initial carried values. One body with parameters `(i: usize, carried…)` and results
    /// `(carried…, stacked…)`; the statement's results are the last carried values, then each stacked value with a new outermost axis of
    /// length `trip`, row `i` being what turn `i` gave. With `reverse` the turns run from `trip - 1` down to `0`.
    For {
        /// number of turns
        trip: Dim,
        /// whether the index runs downwards
        reverse: bool,
    },
    /// A branch. Operand: a `bool` scalar. Two bodies without parameters, first the one for true; both give the statement's results.
    If,
    /// A loop without a number of turns that is known before it starts. Operands: the initial carried values. Two bodies, both with the carried
    /// values as parameters: the first gives a `bool` scalar and is run before each turn, the second is the turn and gives the next carried
    /// values. The statement's results are the carried values for which the condition does not hold.
    While,
    /// A requirement. Operand: a `bool` scalar; no result. Where it does not hold the function has no value, and its caller is told so: the one
    /// effect that the IR knows. A check is not repeated, left out or moved to where it would not have been reached.
    Check {
        /// What is wrong where it does not hold, and what to do about it, as a sentence without a full stop.
        message: Rc<str>,
    },
}

impl Elementwise {
    /// The operation where type parameters stand for the given float type.
    #[must_use]
    pub fn at_width(self, float: Elem) -> Self {
        match self {
            Elementwise::Cast(to) => Elementwise::Cast(to.at_width(float)),
            other => other,
        }
    }

    /// Number of operands.
    pub fn arity(self) -> usize {
        use Elementwise as E;
        match self {
            E::Neg
            | E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Abs
            | E::Sign
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Powi(_)
            | E::Not
            | E::Cast(_) => 1,
            E::Add
            | E::Sub
            | E::Mul
            | E::Div
            | E::Rem
            | E::Powf
            | E::Atan2
            | E::Max
            | E::Min
            | E::Lt
            | E::Le
            | E::Eq
            | E::Ne
            | E::And
            | E::Or => 2,
            E::Select => 3,
        }
    }
}

macro_rules! into_op {
    ($($family:ident),*) => { $(
        impl From<$family> for Op {
            fn from(op: $family) -> Op { Op::$family(op) }
        }
    )* };
}
into_op!(Elementwise, Reduce, Einsum, Shape, Index, Linalg, Call, Control);
