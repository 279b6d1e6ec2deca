//! The textual form of a function, for tests, messages and people.
//!
//! ```text
//! func train(%w: f64[w_rows, w_cols], %x: f64[x_rows, w_rows], %t: usize) -> (%last, %3) {
//!   %1: f64 = 0.5
//!   %logits: f64[x_rows, w_cols] = einsum[ij,jk->ik](%x, %w)  // x.dot(w)
//!   bind[turns](%t)
//!   %last: f64, %all: f64[turns] = for[turns, reverse](%1) (%i: usize, %sum: f64) -> (%2, %sum) {
//!     %2: f64 = add(%sum, %1)
//!   }
//!   %3: f64[x_rows, w_cols] = neg(%logits)
//! }
//! ```
//!
//! A statement gives the types of its results, the operation with its attributes in brackets, the operands, and the nested bodies, each as
//! `(parameters) -> (results) { statements }`; the two of an `if` or a `while` stand one after the other. The message of a `check` stands between quotes.
//! Attributes that the result type already says are left
//! out: the dimensions of `broadcast`, `reshape`, `concat`, `unfold`, `fold`, `iota` and `put_along`, the target of `cast`. The parts that `read`, `add_to` and `write` name are given
//! axis by axis: `read[0, 2: n by -1]` is at one position of axis 0 and takes `n` positions downwards on axis 2. A literal stands alone: `0.5`, `-0.0`, `inf`, `nan`,
//! `3`, `true`. Floats have as many digits as it takes to read back the same bits.
//!
//! Values are called by their notes' names where they have one, made unique, and by running numbers otherwise; comments show the notes' sources and
//! are skipped in reading. [`same`] compares functions up to numbering and notes, so `same(&parse(&print(f))?, f)` holds for every well-formed `f`.

mod parse;

use std::collections::HashSet;
use std::fmt::{self, Write};

pub use parse::{ParseError, parse};

use super::{
    Body, Call, CallPart, Control, Dim, DimId, Elementwise, Func, Index, Linalg, Literal, Op, Pick, Reduce, Shape, Stmt, Triangle, Type,
    ValueId, Window,
};

/// The textual form of a function.
pub fn print(f: &Func) -> String {
    let mut printer = Printer::new(f);
    printer.text.push_str("func ");
    printer.text.push_str(&f.name);
    printer.body(&f.body, 0);
    printer.text
}

impl fmt::Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self))
    }
}

/// The textual form of a type of a value of `f`, such as `f64[n, 3]`.
pub fn print_type(f: &Func, ty: &Type) -> String {
    if ty.dims.is_empty() { ty.elem.to_string() } else { format!("{}[{}]", ty.elem, comma(ty.dims.iter().map(|&d| print_dim(f, d)))) }
}

/// The textual form of a dimension of `f`.
pub fn print_dim(f: &Func, dim: Dim) -> String {
    match dim {
        Dim::Const(n) => n.to_string(),
        // A function that is being debugged may be broken.
        Dim::Sym(DimId(k)) => f.dims.get(k as usize).map_or_else(|| format!("?{k}"), |d| d.name.clone()),
    }
}

/// A function's text under construction, and the names of its values.
pub(super) struct Printer<'f> {
    func: &'f Func,
    names: Vec<Option<String>>,
    taken: HashSet<String>,
    n_unnamed: usize,
    text: String,
}

impl<'f> Printer<'f> {
    pub(super) fn new(f: &'f Func) -> Self {
        let mut printer = Printer { func: f, names: vec![None; f.types.len()], taken: HashSet::new(), n_unnamed: 0, text: String::new() };
        printer.name_body(&f.body);
        printer
    }

    /// Names all values in order of definition, so that the text of a function does not depend on its numbering.
    fn name_body(&mut self, body: &Body) {
        for &param in &body.params {
            self.name(param);
        }
        for stmt in &body.stmts {
            for &out in &stmt.outs {
                self.name(out);
            }
            for nested in &stmt.bodies {
                self.name_body(nested);
            }
        }
    }

    fn name(&mut self, value: ValueId) {
        let k = value.0 as usize;
        let given = self.func.notes.get(k).and_then(|n| n.name.as_deref()).map(legible).filter(|n| !n.is_empty());
        let name = match given {
            Some(given) => {
                let mut name = given.clone();
                let mut n = 1;
                while self.taken.contains(&name) {
                    n += 1;
                    name = format!("{given}_{n}");
                }
                name
            }
            None => {
                self.n_unnamed += 1;
                self.n_unnamed.to_string()
            }
        };
        self.taken.insert(name.clone());
        if let Some(slot) = self.names.get_mut(k) {
            *slot = Some(name);
        }
    }

    pub(super) fn value(&self, value: ValueId) -> String {
        match self.names.get(value.0 as usize) {
            Some(Some(name)) => format!("%{name}"),
            Some(None) | None => format!("%undefined_{}", value.0),
        }
    }

    pub(super) fn dim(&self, dim: Dim) -> String {
        print_dim(self.func, dim)
    }

    pub(super) fn ty(&self, ty: &Type) -> String {
        print_type(self.func, ty)
    }

    fn typed(&self, value: ValueId) -> String {
        let ty = self.func.types.get(value.0 as usize).map_or_else(|| "?".to_owned(), |ty| print_type(self.func, ty));
        format!("{}: {ty}", self.value(value))
    }

    fn values(&self, values: &[ValueId]) -> String {
        comma(values.iter().map(|&v| self.value(v)))
    }

    fn body(&mut self, body: &Body, depth: usize) {
        let params = comma(body.params.iter().map(|&p| self.typed(p)));
        let results = self.values(&body.results);
        let _ = writeln!(self.text, "({params}) -> ({results}) {{");
        for stmt in &body.stmts {
            self.stmt(stmt, depth + 1);
        }
        let _ = write!(self.text, "{:1$}}}", "", 2 * depth);
        if depth == 0 {
            self.text.push('\n');
        }
    }

    /// A statement without its nested bodies.
    pub(super) fn line(&self, stmt: &Stmt) -> String {
        let mut line = comma(stmt.outs.iter().map(|&o| self.typed(o)));
        if !stmt.outs.is_empty() {
            line.push_str(" = ");
        }
        match &stmt.op {
            Op::Const(_, literal) => line.push_str(&print_literal(*literal)),
            op @ (Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_)
            | Op::Control(_)) => {
                line.push_str(op_name(op));
                if let Some(attributes) = self.attributes(op) {
                    let _ = write!(line, "[{attributes}]");
                }
                let _ = write!(line, "({})", self.values(&stmt.args));
            }
        }
        line
    }

    fn stmt(&mut self, stmt: &Stmt, depth: usize) {
        let line = self.line(stmt);
        let _ = write!(self.text, "{:1$}{line}", "", 2 * depth);
        for nested in &stmt.bodies {
            self.text.push(' ');
            self.body(nested, depth);
        }
        let what = stmt.outs.first().and_then(|o| self.func.notes.get(o.0 as usize)).and_then(super::Note::explain);
        if let (Some(what), true) = (what, stmt.bodies.is_empty()) {
            let _ = write!(self.text, "  // {what}");
        }
        self.text.push('\n');
    }

    /// An axis with one position is its number; a slice has its length and step behind that.
    fn window(&self, window: &Window) -> String {
        let axis = |&(axis, pick): &(usize, Pick)| match pick {
            Pick::At => axis.to_string(),
            Pick::Slice { step, len } => format!("{axis}: {} by {step}", self.dim(len)),
        };
        comma(window.axes.iter().map(axis))
    }

    fn attributes(&self, op: &Op) -> Option<String> {
        let numbers = |ks: &[usize]| Some(comma(ks.iter().map(usize::to_string)));
        match op {
            Op::Elementwise(Elementwise::Powi(n)) => Some(n.to_string()),
            Op::Const(..) | Op::Elementwise(_) => None,
            Op::Reduce(reduce) => numbers(reduce.axes()),
            Op::Einsum(einsum) => Some(einsum.to_string()),
            Op::Shape(shape) => match shape {
                Shape::Broadcast { axes, .. } => numbers(axes),
                Shape::Permute { perm } => numbers(perm),
                Shape::Reshape { .. } | Shape::Iota { .. } => None,
                Shape::Concat { axis, .. } => numbers(&[*axis]),
                Shape::Unfold { axis, step, dilation, .. } | Shape::Fold { axis, step, dilation, .. } => {
                    Some(format!("{axis}, {step}, {dilation}"))
                }
                Shape::DimSize { dim } => Some(print_dim(self.func, *dim)),
                Shape::BindDim { dim } => Some(print_dim(self.func, *dim)),
            },
            Op::Index(Index::Read(window) | Index::Add(window) | Index::Write(window)) => Some(self.window(window)),
            Op::Index(Index::Gather { axis } | Index::ScatterAdd { axis } | Index::TakeAlong { axis } | Index::PutAlong { axis, .. }) => {
                numbers(&[*axis])
            }
            Op::Linalg(linalg) => match linalg {
                Linalg::LuSolve { transposed } => transposed.then(|| "transposed".to_owned()),
                Linalg::SolveTriangular(Triangle { lower, transposed, unit }) => {
                    let words = [Some(if *lower { "lower" } else { "upper" }), transposed.then_some("transposed"), unit.then_some("unit")];
                    Some(comma(words.into_iter().flatten().map(str::to_owned)))
                }
                Linalg::Lu | Linalg::LogDet | Linalg::Cholesky | Linalg::Eigh => None,
            },
            Op::Call(call) => Some(call.function.name.clone()),
            Op::Control(Control::For { trip, reverse }) => Some(print_dim(self.func, *trip) + if *reverse { ", reverse" } else { "" }),
            Op::Control(Control::If | Control::While) => None,
            Op::Control(Control::Check { message }) => Some(format!("{message:?}")),
        }
    }
}

/// The characters of a name that can stand in the textual form.
fn legible(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_numeric()) { format!("_{name}") } else { name }
}

fn comma(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn print_literal(literal: Literal) -> String {
    match literal {
        Literal::Float(x) if x.is_nan() && x.to_bits() != f64::NAN.to_bits() => format!("nan_{:x}", x.to_bits()),
        Literal::Float(x) if x.is_nan() => "nan".to_owned(),
        Literal::Float(x) => format!("{x:?}"),
        Literal::Widths(wide, narrow) => format!("{wide:?}_or_{narrow:?}"),
        Literal::Int(i) => i.to_string(),
        Literal::Bool(b) => b.to_string(),
    }
}

/// The name of an operation in the textual form, without attributes; literals have none.
pub fn op_name(op: &Op) -> &'static str {
    match op {
        Op::Const(..) => "literal",
        Op::Elementwise(op) => op.name(),
        Op::Reduce(Reduce::Sum { .. }) => "reduce_sum",
        Op::Reduce(Reduce::Max { .. }) => "reduce_max",
        Op::Reduce(Reduce::Min { .. }) => "reduce_min",
        Op::Reduce(Reduce::LogSumExp { .. }) => "log_sum_exp",
        Op::Reduce(Reduce::Prod { .. }) => "reduce_prod",
        Op::Reduce(Reduce::ArgMax { .. }) => "arg_max",
        Op::Reduce(Reduce::ArgMin { .. }) => "arg_min",
        Op::Einsum(_) => "einsum",
        Op::Shape(Shape::Broadcast { .. }) => "broadcast",
        Op::Shape(Shape::Permute { .. }) => "permute",
        Op::Shape(Shape::Reshape { .. }) => "reshape",
        Op::Shape(Shape::Concat { .. }) => "concat",
        Op::Shape(Shape::Unfold { .. }) => "unfold",
        Op::Shape(Shape::Fold { .. }) => "fold",
        Op::Shape(Shape::Iota { .. }) => "iota",
        Op::Shape(Shape::DimSize { .. }) => "dim_size",
        Op::Shape(Shape::BindDim { .. }) => "bind",
        Op::Index(Index::Read(_)) => "read",
        Op::Index(Index::Add(_)) => "add_to",
        Op::Index(Index::Write(_)) => "write",
        Op::Index(Index::Gather { .. }) => "gather",
        Op::Index(Index::ScatterAdd { .. }) => "scatter_add",
        Op::Index(Index::TakeAlong { .. }) => "take_along",
        Op::Index(Index::PutAlong { .. }) => "put_along",
        Op::Linalg(Linalg::Lu) => "lu",
        Op::Linalg(Linalg::LuSolve { .. }) => "lu_solve",
        Op::Linalg(Linalg::LogDet) => "log_det",
        Op::Linalg(Linalg::Cholesky) => "cholesky",
        Op::Linalg(Linalg::SolveTriangular(_)) => "solve_triangular",
        Op::Linalg(Linalg::Eigh) => "eigh",
        Op::Call(Call { part: CallPart::Value, .. }) => "call",
        Op::Call(Call { part: CallPart::Tangent, .. }) => "call_tangent",
        Op::Control(Control::For { .. }) => "for",
        Op::Control(Control::If) => "if",
        Op::Control(Control::While) => "while",
        Op::Control(Control::Check { .. }) => "check",
    }
}

/// Writes the table of names of the operations without attributes once, for both directions.
macro_rules! elementwise_names {
    ($($op:ident $name:literal),* $(,)?) => {
        impl Elementwise {
            /// The name in the textual form, without attributes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Elementwise::$op => $name,)*
                    Elementwise::Powi(_) => "powi",
                    Elementwise::Cast(_) => "cast",
                }
            }

            /// Every operation that has no attributes, that is, all but `Powi` and `Cast`.
            pub const PLAIN: &[Elementwise] = &[$(Elementwise::$op),*];
        }
    };
}
elementwise_names! {
    Neg "neg", Exp "exp", ExpM1 "exp_m1", Ln "ln", Ln1p "ln_1p", Sqrt "sqrt", Sin "sin", Cos "cos", Tan "tan", Asin "asin", Acos "acos",
    Atan "atan", Sinh "sinh", Cosh "cosh", Tanh "tanh", Sigmoid "sigmoid", Softplus "softplus", Erf "erf", Abs "abs", Sign "sign", Relu "relu",
    Floor "floor", StopGradient "stop_gradient", Add "add", Sub "sub", Mul "mul", Div "div", Rem "rem", Powf "powf", Atan2 "atan2", Max "max", Min "min",
    Lt "lt", Le "le", Eq "eq", Ne "ne", And "and", Or "or", Not "not", Select "select",
}

/// Whether two functions are the same up to the numbering of values, the order of the table of dimensions, and notes.
///
/// Dimensions correspond by name. The functions' names do not count.
pub fn same(a: &Func, b: &Func) -> bool {
    let dim_of = |d: &super::DimInfo| b.dims.iter().position(|e| e.name == d.name).map(|k| DimId(k as u32));
    let mut both =
        Both { a, b, dims: a.dims.iter().map(dim_of).collect(), to_b: vec![None; a.types.len()], to_a: vec![None; b.types.len()] };
    both.bodies(&a.body, &b.body)
}

/// Two functions walked in step, with what is known of which value of one is which of the other.
struct Both<'f> {
    a: &'f Func,
    b: &'f Func,
    /// For each dimension of `a`, the one of `b` with that name.
    dims: Vec<Option<DimId>>,
    to_b: Vec<Option<ValueId>>,
    to_a: Vec<Option<ValueId>>,
}

impl Both<'_> {
    fn bodies(&mut self, a: &Body, b: &Body) -> bool {
        a.stmts.len() == b.stmts.len()
            && self.define(&a.params, &b.params)
            && a.stmts.iter().zip(&b.stmts).all(|(a, b)| self.stmts(a, b))
            && self.uses(&a.results, &b.results)
    }

    fn stmts(&mut self, a: &Stmt, b: &Stmt) -> bool {
        let mut known = true;
        let op = a.op.with_dims(|d| {
            self.dim(d).unwrap_or_else(|| {
                known = false;
                d
            })
        });
        known
            && op == b.op
            && a.bodies.len() == b.bodies.len()
            && self.uses(&a.args, &b.args)
            && a.bodies.iter().zip(&b.bodies).all(|(a, b)| self.bodies(a, b))
            && self.define(&a.outs, &b.outs)
    }

    /// Records that the values correspond; their types must.
    fn define(&mut self, a: &[ValueId], b: &[ValueId]) -> bool {
        a.len() == b.len()
            && a.iter().zip(b).all(|(&a, &b)| {
                self.to_b[a.0 as usize] = Some(b);
                self.to_a[b.0 as usize] = Some(a);
                let (ta, tb) = (self.a.ty(a), self.b.ty(b));
                ta.elem == tb.elem && ta.rank() == tb.rank() && ta.dims.iter().zip(&tb.dims).all(|(&d, &e)| self.dim(d) == Some(e))
            })
    }

    fn uses(&self, a: &[ValueId], b: &[ValueId]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| self.to_b[a.0 as usize] == Some(b) && self.to_a[b.0 as usize] == Some(a))
    }

    fn dim(&self, dim: Dim) -> Option<Dim> {
        match dim {
            Dim::Const(_) => Some(dim),
            Dim::Sym(DimId(k)) => self.dims[k as usize].map(Dim::Sym),
        }
    }
}
