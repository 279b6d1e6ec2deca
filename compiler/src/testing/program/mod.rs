//! Random well-typed programs, with arguments at which they are smooth with probability near one.
//!
//! Operands are brought into the domain of an operation by smooth functions, and a rough bound on every value is kept, so that values and
//! derivatives stay of moderate size however long the program is.

mod control;
mod layout;
mod linalg;
mod values;

use super::Random;
use crate::ir::eval::Tensor;
use crate::ir::{Builder, Dim, Elem, Elementwise, Func, Note, Type, ValueId};

/// What a random program may be like.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// About how many operations are drawn; each takes a few statements.
    pub n_draws: usize,
    /// Element type of all floats.
    pub elem: Elem,
    /// Whether there are loops and branches.
    pub control: bool,
    /// Whether the only result is a scalar.
    pub scalar: bool,
    /// Whether the axes of one dimension have no elements, so that loops over it have no turns.
    pub empty: bool,
}

impl Limits {
    /// Programs of about so many operations, of which the seed says everything else: three of four have loops and branches, and one of eight has axes
    /// without elements.
    pub fn of_seed(seed: u64, n_draws: usize) -> Self {
        Limits {
            n_draws: n_draws + (seed % 6) as usize,
            elem: Elem::F64,
            control: !seed.is_multiple_of(4),
            scalar: false,
            empty: seed % 8 == 7,
        }
    }
}

/// A random program.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub func: Func,
    /// Positions of its float parameters.
    pub wrt: Vec<usize>,
    /// One value for each parameter.
    pub args: Vec<Tensor>,
}

/// The program of a seed.
pub fn program(seed: u64, limits: &Limits) -> Program {
    let mut random = Random::new(seed);
    let mut b = Builder::new(format!("program_{seed}"));
    let mut dims: Vec<Dim> = ["n", "m", "k"].into_iter().map(|name| Dim::Sym(b.dim(name))).collect();
    dims.extend([Dim::Const(1), Dim::Const(2)]);
    let mut lens: Vec<usize> = (0..3).map(|_| 1 + random.below(3)).collect();
    let mut empty = Vec::new();
    if limits.empty {
        let k = random.below(3);
        lens[k] = 0;
        empty.push(dims[k]);
    }
    let mut draw = Draw {
        random,
        b,
        elem: limits.elem,
        floats: Vec::new(),
        dims,
        given: Vec::new(),
        empty,
        flag: None,
        indices: Vec::new(),
        depth: 0,
        control: limits.control,
    };
    let types = draw.params();
    for _ in 0..limits.n_draws {
        draw.step();
    }
    let results = draw.results(limits.scalar);
    let args = types.iter().map(|ty| draw.random.tensor_of(ty, &lens)).collect();
    Program::new(draw.b.finish(results), args)
}

impl Program {
    /// A program with one argument for each parameter.
    pub fn new(func: Func, args: Vec<Tensor>) -> Self {
        let wrt = (0..args.len()).filter(|&k| args[k].elem().is_float()).collect();
        Program { func, wrt, args }
    }

    /// The same parameters, and as the only result the sum of the squares of all elements of the float results.
    pub fn loss(&self) -> Program {
        let mut b = Builder::new(format!("{}_loss", self.func.name));
        for dim in &self.func.dims {
            b.dim(&dim.name);
        }
        let params = self.func.params().iter().map(|&p| b.param(self.func.ty(p).clone(), self.func.note(p).clone())).collect::<Vec<_>>();
        let results = b.inline(&self.func, &params);
        let mut total = b.float(Elem::F64, 0.0);
        for r in results {
            let ty = b.ty(r).clone();
            if !ty.elem.is_float() {
                continue;
            }
            let r = if ty.elem == Elem::F64 { r } else { b.map(Elementwise::Cast(Elem::F64), &[r]) };
            let squares = b.mul(r, r);
            let axes: Vec<usize> = (0..ty.rank()).collect();
            let sum = b.sum(squares, &axes);
            total = b.add(total, sum);
        }
        Program { func: b.finish(vec![total]), wrt: self.wrt.clone(), args: self.args.clone() }
    }
}

/// Values may grow to this size before they are brought back.
const LARGE: f64 = 4.0;

/// A float value in scope, and a rough bound on its elements' absolute values.
type Bounded = (ValueId, f64);

struct Draw {
    random: Random,
    b: Builder,
    elem: Elem,
    floats: Vec<Bounded>,
    /// Dimensions in scope.
    dims: Vec<Dim>,
    /// The dimensions of the parameters: those with a length.
    given: Vec<Dim>,
    /// The dimensions of length zero.
    empty: Vec<Dim>,
    /// The parameter that is a truth value.
    flag: Option<ValueId>,
    /// The indices of the loops around, with their number of turns.
    indices: Vec<(ValueId, Dim)>,
    depth: usize,
    control: bool,
}

impl Draw {
    /// The parameters: each symbolic dimension occurs.
    fn params(&mut self) -> Vec<Type> {
        let (n, m, k) = (self.dims[0], self.dims[1], self.dims[2]);
        let mut types = vec![Type::tensor(self.elem, [n, m]), Type::tensor(self.elem, [m, k]), Type::scalar(self.elem)];
        for _ in 0..self.random.below(3) {
            let rank = self.random.below(3);
            let dims: Vec<Dim> = (0..rank).map(|_| *self.random.pick(&self.dims)).collect();
            types.push(Type::tensor(self.elem, dims));
        }
        for (k, ty) in types.iter().enumerate() {
            let param = self.b.param(ty.clone(), Note::named(&format!("p{k}")));
            self.floats.push((param, 1.5));
        }
        types.push(Type::scalar(Elem::Bool));
        self.flag = Some(self.b.param(Type::scalar(Elem::Bool), Note::named("flag")));
        self.given = vec![n, m, k];
        types
    }

    /// Some of the values, among them the last one; or one scalar made of them.
    fn results(&mut self, scalar: bool) -> Vec<ValueId> {
        let mut results = vec![*self.floats.last().expect("there are parameters")];
        for _ in 0..2 {
            let other = self.float();
            results.push(other);
        }
        if !scalar {
            // A result of a computed length has no reverse mode.
            let given = |d: &Dim| matches!(d, Dim::Const(_)) || self.given.contains(d);
            let dims: Vec<Vec<Dim>> = results.iter().map(|&(v, _)| self.dims_of(v).into_iter().filter(given).collect()).collect();
            return results.iter().zip(dims).map(|(&(v, _), dims)| self.coerce(v, &dims)).collect();
        }
        let mut total = self.coerce(results[0].0, &[]);
        for &(v, bound) in &results[1..] {
            let v = self.tamed((v, bound));
            let squares = self.b.mul(v, v);
            let term = self.coerce(squares, &[]);
            total = self.b.add(total, term);
        }
        vec![total]
    }

    fn step(&mut self) {
        match self.random.below(if self.control && self.depth < 2 { 17 } else { 14 }) {
            0..3 => self.unary(),
            3..6 => self.binary(),
            6 => self.reduce(),
            7 | 8 => self.einsum(),
            9 | 10 => self.shape(),
            11 => self.index(),
            12 => self.select(),
            13 => self.linalg(),
            14 => self.run_loop(),
            15 => self.run_while(),
            _ => self.branch(),
        }
    }

    /// A float value in scope, more often one of the latest.
    fn float(&mut self) -> Bounded {
        let first = if self.random.one_in(2) { self.floats.len().saturating_sub(4) } else { 0 };
        self.floats[first + self.random.below(self.floats.len() - first)]
    }

    fn dims_of(&self, v: ValueId) -> Vec<Dim> {
        self.b.ty(v).dims.clone()
    }

    /// A constant of the shape of `like`.
    fn constant(&mut self, like: ValueId, x: f64) -> ValueId {
        let x = if self.elem == Elem::F32 { f64::from(x as f32) } else { x };
        self.b.constant_like(like, x)
    }

    fn scaled(&mut self, v: ValueId, x: f64) -> ValueId {
        let c = self.constant(v, x);
        self.b.mul(c, v)
    }

    /// Takes a new value into scope, made small if it may be large.
    fn put(&mut self, value: Bounded) {
        let tamed = self.tamed(value);
        self.floats.push((tamed, value.1.min(LARGE)));
    }

    fn tamed(&mut self, (v, bound): Bounded) -> ValueId {
        match bound > LARGE {
            false => v,
            true if self.random.one_in(3) => self.b.map(Elementwise::Tanh, &[v]),
            true if self.random.one_in(2) => self.b.map(Elementwise::Sin, &[v]),
            true => self.scaled(v, LARGE / bound),
        }
    }

    /// A smooth function of `v` between -x and x, where x is below one.
    fn squashed(&mut self, v: ValueId, x: f64) -> ValueId {
        let s = self.b.map(Elementwise::Sin, &[v]);
        self.scaled(s, x)
    }

    /// A smooth function of `v` that is at least 0.4.
    fn positive(&mut self, (v, bound): Bounded) -> Bounded {
        let (rest, bound) = match self.random.one_in(2) {
            true => (self.b.mul(v, v), bound * bound),
            false => (self.b.map(Elementwise::Softplus, &[v]), bound + 0.7),
        };
        let c = self.constant(v, 0.4);
        (self.b.add(rest, c), bound + 0.4)
    }

    /// `v` and a constant without significance. Two ways to compute the same value may differ by rounding; without the shift an
    /// operation that jumps would make much of that.
    fn shifted(&mut self, v: ValueId) -> ValueId {
        let shift = self.random.between(0.1, 0.4);
        let c = self.constant(v, shift);
        self.b.add(v, c)
    }

    /// `v` brought to other dimensions: axes that the target lacks are averaged away, axes that it has more are new.
    fn coerce(&mut self, v: ValueId, dims: &[Dim]) -> ValueId {
        let ty = self.b.ty(v).clone();
        let mut axes = Vec::new();
        let mut surplus = Vec::new();
        for (k, d) in ty.dims.iter().enumerate() {
            let next = axes.last().map_or(0, |&a: &usize| a + 1);
            match dims[next..].iter().position(|t| t == d) {
                Some(p) => axes.push(next + p),
                None => surplus.push(k),
            }
        }
        let sum = self.b.sum(v, &surplus);
        let mean = if surplus.is_empty() {
            sum
        } else {
            let mut count = self.b.count(&ty, &surplus);
            if surplus.iter().any(|&k| self.empty.contains(&ty.dims[k])) {
                let one = self.constant(count, 1.0);
                count = self.b.map(Elementwise::Max, &[count, one]);
            }
            let rest = self.dims_of(sum);
            let count = self.b.broadcast_scalar(count, &rest);
            self.b.div(sum, count)
        };
        self.b.broadcast(mean, &axes, dims)
    }
}
