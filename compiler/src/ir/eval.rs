//! The reference evaluator: runs IR without a compiler, as the oracle for passes and emitters.
//!
//! It is meant to be obviously right rather than fast: every statement makes its result anew, in the order of the program, `f32` arithmetic is done in
//! `f32`, and sums run in row-major order. What Rust's debug builds would refuse at run time (an index out of range, integer overflow, division of
//! an integer by zero) is an [`EvalError`]. The rules of the single operations are methods of theirs in `ops/`; this file has the values, the
//! scopes and the control flow.

use std::fmt;
use std::rc::Rc;

use super::{Body, Control, Dim, DimId, Elem, Func, Literal, Op, Shape, Stmt, Type, ValueId};

/// A value at run time: a tensor with elements in row-major order, or a scalar where `shape` is empty.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    /// Lengths of the axes, outermost first.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of `shape`.
    pub data: Data,
}

/// The elements of a [`Tensor`].
#[derive(Clone, PartialEq, Debug)]
pub enum Data {
    /// 64-bit floats
    F64(Vec<f64>),
    /// 32-bit floats
    F32(Vec<f32>),
    /// integers, of the type that the element type says
    Int(Elem, Vec<i64>),
    /// truth values
    Bool(Vec<bool>),
}

/// Why a function could not be evaluated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EvalError {
    /// The arguments do not fit the parameters.
    Arguments(String),
    /// A position is not below the length of its axis.
    OutOfRange {
        /// the position
        index: i64,
        /// the length of the axis
        len: usize,
    },
    /// Integer arithmetic that Rust's debug builds refuse: overflow, a negative `usize`, division by zero.
    Arithmetic(String),
    /// Lengths that do not fit together.
    Lengths(String),
    /// The extreme of no integers.
    EmptyExtreme,
    /// A check does not hold; its message.
    Check(String),
    /// A `while` loop does not seem to end.
    Endless,
    /// The function calls one that has rules and no body.
    NoBody(String),
    /// The function breaks an invariant of the IR; [`verify`](fn@super::verify::verify) says which.
    IllFormed(String),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Arguments(why)
            | EvalError::Lengths(why)
            | EvalError::Arithmetic(why)
            | EvalError::Check(why)
            | EvalError::IllFormed(why) => f.write_str(why),
            EvalError::OutOfRange { index, len } => write!(f, "position {index} is out of range for an axis of length {len}"),
            EvalError::Endless => write!(f, "a `while` loop takes more than {MAX_TURNS} turns"),
            EvalError::NoBody(name) => write!(f, "`{name}` has no body that could be evaluated"),
            EvalError::EmptyExtreme => f.write_str("the largest or smallest of no integers"),
        }
    }
}

impl std::error::Error for EvalError {}

/// Evaluates `f`. Symbolic dimensions of the parameters take their lengths from the arguments' shapes.
///
/// # Errors
/// [`EvalError`]: arguments that do not fit, and what the operations refuse at run time.
pub fn eval(f: &Func, args: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let mut machine = Machine { func: f, dims: vec![None; f.dims.len()], values: vec![None; f.types.len()] };
    machine.bind_params(args)?;
    machine.run(&f.body)?;
    let results = f.body.results.iter().map(|&r| machine.get(r).map(|t| (*t).clone()));
    results.collect()
}

/// The most turns of a `while` loop.
const MAX_TURNS: usize = 100_000;

/// One evaluation: what is known of dimensions and values so far. Values of nested bodies are overwritten at each turn.
struct Machine<'f> {
    func: &'f Func,
    dims: Vec<Option<usize>>,
    values: Vec<Option<Rc<Tensor>>>,
}

impl Machine<'_> {
    fn bind_params(&mut self, args: &[Tensor]) -> Result<(), EvalError> {
        let params = self.func.params();
        if params.len() != args.len() {
            return Err(EvalError::Arguments(format!("`{}` takes {} arguments, not {}", self.func.name, params.len(), args.len())));
        }
        for (k, (&param, arg)) in params.iter().zip(args).enumerate() {
            let ty = self.func.ty(param);
            let refuse = |why: String| Err(EvalError::Arguments(format!("argument {k} of `{}` {why}", self.func.name)));
            if arg.data.len() != arg.shape.iter().product::<usize>() {
                return refuse(format!("has {} elements in the shape {:?}", arg.data.len(), arg.shape));
            }
            if arg.elem() != ty.elem || arg.shape.len() != ty.rank() {
                return refuse(format!("is {}{:?}, not {} of rank {}", arg.elem(), arg.shape, ty.elem, ty.rank()));
            }
            for (&dim, &len) in ty.dims.iter().zip(&arg.shape) {
                let expected = match dim {
                    Dim::Const(n) => n as usize,
                    Dim::Sym(DimId(d)) => *self.dims[d as usize].get_or_insert(len),
                };
                if expected != len {
                    return refuse(format!("has the shape {:?}, where an axis of length {len} must have {expected}", arg.shape));
                }
            }
            self.values[param.0 as usize] = Some(Rc::new(arg.clone()));
        }
        Ok(())
    }

    /// Dimensions that the body binds are forgotten at its end.
    fn run(&mut self, body: &Body) -> Result<(), EvalError> {
        let before = self.dims.clone();
        for stmt in &body.stmts {
            self.step(stmt)?;
        }
        self.dims = before;
        Ok(())
    }

    /// Gives a dimension its length, or checks the one that it has.
    fn bind(&mut self, dim: Dim, len: usize) -> Result<(), EvalError> {
        let (name, bound) = match dim {
            Dim::Const(n) => (n.to_string(), n as usize),
            Dim::Sym(id) => (self.func.dim_name(id).to_owned(), *self.dims[id.0 as usize].get_or_insert(len)),
        };
        if bound != len {
            return Err(EvalError::Lengths(format!("a length that must be `{name}`, which is {bound}, is {len}")));
        }
        Ok(())
    }

    fn step(&mut self, stmt: &Stmt) -> Result<(), EvalError> {
        let args: Vec<Rc<Tensor>> = stmt.args.iter().map(|&a| self.get(a)).collect::<Result<_, _>>()?;
        let outs: Vec<Rc<Tensor>> = match &stmt.op {
            Op::Control(Control::For { trip, reverse }) => self.run_loop(*trip, *reverse, args, stmt)?,
            Op::Control(Control::If) => {
                let [then, otherwise] = &stmt.bodies[..] else { return ill_formed("a branch has two bodies") };
                let body = if args[0].as_bool()[0] { then } else { otherwise };
                self.run(body)?;
                self.get_all(&body.results)?
            }
            Op::Control(Control::While) => self.run_while(args, stmt)?,
            Op::Control(Control::Check { message }) => {
                if !args[0].as_bool()[0] {
                    return Err(EvalError::Check(message.to_string()));
                }
                Vec::new()
            }
            Op::Shape(Shape::BindDim { dim }) => {
                self.bind(*dim, args[0].index()?)?;
                Vec::new()
            }
            op @ (Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_)) => {
                let args: Vec<&Tensor> = args.iter().map(|a| &**a).collect();
                op.eval(&args, &|dim| self.len(dim))?.into_iter().map(Rc::new).collect()
            }
        };
        if outs.len() != stmt.outs.len() {
            return ill_formed(format!("{:?} has {} results, not {}", stmt.op, outs.len(), stmt.outs.len()));
        }
        for (&out, value) in stmt.outs.iter().zip(outs) {
            self.check(self.func.ty(out), &value)?;
            self.values[out.0 as usize] = Some(value);
        }
        Ok(())
    }

    fn run_loop(&mut self, trip: Dim, reverse: bool, mut carried: Vec<Rc<Tensor>>, stmt: &Stmt) -> Result<Vec<Rc<Tensor>>, EvalError> {
        let [body] = &stmt.bodies[..] else { return ill_formed("a loop has one body") };
        let trip = self.len(trip)?;
        let n_carried = carried.len();
        let mut rows: Vec<Vec<Rc<Tensor>>> = vec![Vec::new(); body.results.len() - n_carried];
        for turn in 0..trip {
            let i = if reverse { trip - 1 - turn } else { turn };
            let given = std::iter::once(Rc::new(Tensor::usize(i))).chain(carried);
            for (&param, value) in body.params.iter().zip(given) {
                self.values[param.0 as usize] = Some(value);
            }
            self.run(body)?;
            carried = self.get_all(&body.results[..n_carried])?;
            for (rows, &result) in rows.iter_mut().zip(&body.results[n_carried..]) {
                rows.push(self.get(result)?);
            }
        }
        let mut outs = carried;
        for (mut rows, &out) in rows.into_iter().zip(&stmt.outs[n_carried..]) {
            if reverse {
                rows.reverse();
            }
            let ty = self.func.ty(out);
            let shape = ty.dims.iter().map(|&d| self.len(d)).collect::<Result<_, _>>()?;
            outs.push(Rc::new(Tensor { shape, data: Data::concat(ty.elem, rows.iter().map(|r| &r.data)) }));
        }
        Ok(outs)
    }

    fn run_while(&mut self, mut carried: Vec<Rc<Tensor>>, stmt: &Stmt) -> Result<Vec<Rc<Tensor>>, EvalError> {
        let [condition, turn] = &stmt.bodies[..] else { return ill_formed("a `while` loop has two bodies") };
        for _ in 0..MAX_TURNS {
            for body in [condition, turn] {
                for (&param, value) in body.params.iter().zip(&carried) {
                    self.values[param.0 as usize] = Some(Rc::clone(value));
                }
            }
            self.run(condition)?;
            if !self.get(condition.results[0])?.as_bool()[0] {
                return Ok(carried);
            }
            self.run(turn)?;
            carried = self.get_all(&turn.results)?;
        }
        Err(EvalError::Endless)
    }

    fn get(&self, value: ValueId) -> Result<Rc<Tensor>, EvalError> {
        match &self.values[value.0 as usize] {
            Some(tensor) => Ok(Rc::clone(tensor)),
            None => ill_formed(format!("{value:?} is used before its definition")),
        }
    }

    fn get_all(&self, values: &[ValueId]) -> Result<Vec<Rc<Tensor>>, EvalError> {
        values.iter().map(|&v| self.get(v)).collect()
    }

    fn len(&self, dim: Dim) -> Result<usize, EvalError> {
        match dim {
            Dim::Const(n) => Ok(n as usize),
            Dim::Sym(id) => match self.dims[id.0 as usize] {
                Some(len) => Ok(len),
                None => ill_formed(format!("dimension `{}` is used before it is bound", self.func.dim_name(id))),
            },
        }
    }

    /// The oracle checks itself: a result that does not have its declared type is a defect of a rule.
    fn check(&self, ty: &Type, value: &Tensor) -> Result<(), EvalError> {
        let shape: Vec<usize> = ty.dims.iter().map(|&d| self.len(d)).collect::<Result<_, _>>()?;
        if ty.elem != value.elem() || shape != value.shape || value.data.len() != shape.iter().product::<usize>() {
            return ill_formed(format!("a value of type {}{shape:?} came out as {}{:?}", ty.elem, value.elem(), value.shape));
        }
        Ok(())
    }
}

pub(crate) fn ill_formed<T>(why: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::IllFormed(why.into()))
}

impl Tensor {
    /// A tensor of 64-bit floats.
    pub fn f64s(shape: &[usize], data: Vec<f64>) -> Self {
        Tensor::new(shape, Data::F64(data))
    }

    /// A tensor of 32-bit floats.
    pub fn f32s(shape: &[usize], data: Vec<f32>) -> Self {
        Tensor::new(shape, Data::F32(data))
    }

    /// A tensor of `usize`.
    pub fn usizes(shape: &[usize], data: Vec<usize>) -> Self {
        Tensor::new(shape, Data::Int(Elem::Usize, data.into_iter().map(|i| i as i64).collect()))
    }

    /// A scalar `f64`.
    pub fn f64(x: f64) -> Self {
        Tensor::f64s(&[], vec![x])
    }

    /// A scalar `f32`.
    pub fn f32(x: f32) -> Self {
        Tensor::f32s(&[], vec![x])
    }

    /// A scalar `usize`.
    pub fn usize(i: usize) -> Self {
        Tensor::usizes(&[], vec![i])
    }

    /// A scalar `i64`.
    pub fn i64(i: i64) -> Self {
        Tensor::new(&[], Data::Int(Elem::I64, vec![i]))
    }

    /// A scalar `bool`.
    pub fn bool(b: bool) -> Self {
        Tensor::new(&[], Data::Bool(vec![b]))
    }

    /// A tensor of the given elements.
    ///
    /// # Panics
    /// If there are not as many elements as the shape says.
    pub fn new(shape: &[usize], data: Data) -> Self {
        assert_eq!(data.len(), shape.iter().product::<usize>(), "elements for the shape {shape:?}");
        Tensor { shape: shape.to_vec(), data }
    }

    /// The value of a literal.
    pub fn literal(elem: Elem, literal: Literal) -> Self {
        let data = match literal.at_width(elem) {
            Literal::Float(x) if elem == Elem::F32 => Data::F32(vec![x as f32]),
            Literal::Float(x) | Literal::Widths(x, _) => Data::F64(vec![x]),
            Literal::Int(i) => Data::Int(elem, vec![i]),
            Literal::Bool(b) => Data::Bool(vec![b]),
        };
        Tensor { shape: Vec::new(), data }
    }

    /// The element type.
    pub fn elem(&self) -> Elem {
        match &self.data {
            Data::F64(_) => Elem::F64,
            Data::F32(_) => Elem::F32,
            Data::Int(elem, _) => *elem,
            Data::Bool(_) => Elem::Bool,
        }
    }

    /// The elements.
    ///
    /// # Panics
    /// If they are of another type.
    pub fn as_f64(&self) -> &[f64] {
        let Data::F64(x) = &self.data else { panic!("{} instead of f64", self.elem()) };
        x
    }

    /// The elements.
    ///
    /// # Panics
    /// If they are of another type.
    pub fn as_f32(&self) -> &[f32] {
        let Data::F32(x) = &self.data else { panic!("{} instead of f32", self.elem()) };
        x
    }

    /// The elements.
    ///
    /// # Panics
    /// If they are not integers.
    pub fn as_int(&self) -> &[i64] {
        let Data::Int(_, x) = &self.data else { panic!("{} instead of integers", self.elem()) };
        x
    }

    /// The elements.
    ///
    /// # Panics
    /// If they are of another type.
    pub fn as_bool(&self) -> &[bool] {
        let Data::Bool(x) = &self.data else { panic!("{} instead of bool", self.elem()) };
        x
    }

    /// The elements as `f64`, whatever numbers or truth values they are.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::F64(x) => x.clone(),
            Data::F32(x) => x.iter().map(|&x| f64::from(x)).collect(),
            Data::Int(_, x) => x.iter().map(|&i| i as f64).collect(),
            Data::Bool(x) => x.iter().map(|&b| f64::from(u8::from(b))).collect(),
        }
    }

    /// The same tensor up to the bits of its floats, so that `-0.0` differs from `0.0` and a NaN equals itself.
    pub fn same_bits(&self, other: &Tensor) -> bool {
        self.shape == other.shape
            && match (&self.data, &other.data) {
                (Data::F64(a), Data::F64(b)) => a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())),
                (Data::F32(a), Data::F32(b)) => a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits())),
                (a, b) => a == b,
            }
    }

    /// The value of a `usize` scalar.
    pub(crate) fn index(&self) -> Result<usize, EvalError> {
        match self.as_int()[0] {
            i if i >= 0 => Ok(i as usize),
            i => Err(EvalError::Arithmetic(format!("{i} as usize"))),
        }
    }

    /// The tensor of another shape whose element at place `k` of the row-major order is this one's at `places[k]`.
    pub(crate) fn gather(&self, shape: Vec<usize>, places: &[usize]) -> Tensor {
        fn pick<T: Copy>(x: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|&p| x[p]).collect()
        }
        let data = match &self.data {
            Data::F64(x) => Data::F64(pick(x, places)),
            Data::F32(x) => Data::F32(pick(x, places)),
            Data::Int(elem, x) => Data::Int(*elem, pick(x, places)),
            Data::Bool(x) => Data::Bool(pick(x, places)),
        };
        Tensor { shape, data }
    }
}

impl Data {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Data::F64(x) => x.len(),
            Data::F32(x) => x.len(),
            Data::Int(_, x) => x.len(),
            Data::Bool(x) => x.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All elements of parts of one type, in order.
    pub(crate) fn concat<'a>(elem: Elem, parts: impl Iterator<Item = &'a Data>) -> Data {
        let mut all = match elem {
            // Type parameters are not evaluated: a function runs at one width.
            Elem::F64 | Elem::Generic(_) => Data::F64(Vec::new()),
            Elem::F32 => Data::F32(Vec::new()),
            Elem::Usize | Elem::I64 => Data::Int(elem, Vec::new()),
            Elem::Bool => Data::Bool(Vec::new()),
        };
        for part in parts {
            match (&mut all, part) {
                (Data::F64(all), Data::F64(part)) => all.extend(part),
                (Data::F32(all), Data::F32(part)) => all.extend(part),
                (Data::Int(_, all), Data::Int(_, part)) => all.extend(part),
                (Data::Bool(all), Data::Bool(part)) => all.extend(part),
                (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => unreachable!("rows of one type"),
            }
        }
        all
    }
}

/// Distance in memory between neighbours along each axis, in row-major order.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for k in (1..shape.len()).rev() {
        strides[k - 1] = strides[k] * shape[k];
    }
    strides
}

/// The place in memory of every index of the iteration space `shape`, in row-major order, where a step along axis `k` moves by `strides[k]`.
pub(crate) fn places(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (&len, &stride) in shape.iter().zip(strides) {
        places = places.iter().flat_map(|&p| (0..len).map(move |i| p + i * stride)).collect();
    }
    places
}
