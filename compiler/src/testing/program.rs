//! Random well-typed programs, with arguments at which they are smooth with probability near one.
//!
//! Operands are brought into the domain of an operation by smooth functions, and a rough bound on every value is kept, so that values and
//! derivatives stay of moderate size however long the program is.

use super::Random;
use crate::ir::eval::Tensor;
use crate::ir::{Builder, Control, Dim, Elem, Elementwise, Func, Index, Note, Reduce, Shape, Type, ValueId};

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
    let lens: Vec<usize> = (0..3).map(|_| 1 + random.below(3)).collect();
    let mut draw = Draw {
        random,
        b,
        elem: limits.elem,
        floats: Vec::new(),
        dims,
        given: Vec::new(),
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
    let wrt = (0..types.len()).filter(|&k| types[k].elem.is_float()).collect();
    Program { func: draw.b.finish(results), wrt, args }
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
        match self.random.below(if self.control && self.depth < 2 { 15 } else { 13 }) {
            0..3 => self.unary(),
            3..6 => self.binary(),
            6 => self.reduce(),
            7 | 8 => self.einsum(),
            9 | 10 => self.shape(),
            11 => self.index(),
            12 => self.select(),
            13 => self.run_loop(),
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

    fn unary(&mut self) {
        use Elementwise as E;
        let (x, bound) = self.float();
        let n = self.random.below(8) as i32 - 3;
        let plain = |op: &&E| op.arity() == 1 && **op != E::Not;
        let ops: Vec<E> = E::PLAIN.iter().filter(plain).copied().chain([E::Powi(n), E::Powi(n)]).collect();
        let op = *self.random.pick(&ops);
        let small = |draw: &mut Self| if bound > 2.0 { draw.b.map(E::Sin, &[x]) } else { x };
        let (x, bound) = match op {
            E::Ln | E::Sqrt => self.positive((x, bound)),
            E::Powi(n) if n < 0 => self.positive((x, bound)),
            E::Ln1p | E::Asin | E::Acos => (self.squashed(x, 0.7), 0.7),
            E::Exp | E::ExpM1 | E::Sinh | E::Cosh => (small(self), bound.min(2.0)),
            E::Tan => (self.b.map(E::Sin, &[x]), 1.0),
            E::Abs | E::Sign | E::Relu | E::Floor => (self.shifted(x), bound + 0.4),
            _ => (x, bound),
        };
        let y = self.b.map(op, &[x]);
        let bound = match op {
            E::Exp | E::ExpM1 | E::Sinh | E::Cosh => bound.exp(),
            E::Sin | E::Cos | E::Tanh | E::Sigmoid | E::Sign => 1.0,
            E::Asin | E::Acos | E::Atan | E::Tan => 3.2,
            E::Ln | E::Ln1p | E::Sqrt | E::Softplus | E::Floor => bound + 1.0,
            E::Powi(n) if n < 0 => 0.4f64.powi(n),
            E::Powi(n) => bound.max(1.0).powi(n),
            _ => bound,
        };
        self.put((y, bound));
    }

    fn binary(&mut self) {
        use Elementwise as E;
        let (x, x_bound) = self.float();
        let (y, y_bound) = self.float();
        let dims = self.dims_of(x);
        let y = self.coerce(y, &dims);
        let ops = [E::Add, E::Sub, E::Mul, E::Mul, E::Div, E::Powf, E::Atan2, E::Max, E::Min];
        let (z, bound) = match *self.random.pick(&ops) {
            E::Div => {
                let (d, _) = self.positive((y, y_bound));
                (self.b.div(x, d), 2.5 * x_bound)
            }
            E::Powf => {
                let (base, bound) = self.positive((x, x_bound));
                let exponent = self.squashed(y, 0.9);
                (self.b.map(E::Powf, &[base, exponent]), bound.max(2.5))
            }
            E::Atan2 => {
                let (second, _) = self.positive((y, y_bound));
                (self.b.map(E::Atan2, &[x, second]), 1.6)
            }
            E::Mul => (self.b.mul(x, y), x_bound * y_bound),
            op => (self.b.map(op, &[x, y]), x_bound + y_bound),
        };
        self.put((z, bound));
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
            let count = self.b.count(&ty, &surplus);
            let rest = self.dims_of(sum);
            let count = self.b.broadcast_scalar(count, &rest);
            self.b.div(sum, count)
        };
        self.b.broadcast(mean, &axes, dims)
    }

    fn reduce(&mut self) {
        let (x, bound) = self.float();
        let axes: Vec<usize> = (0..self.b.ty(x).rank()).filter(|_| self.random.one_in(2)).collect();
        let (op, bound) = match self.random.below(5) {
            0 | 1 => (Reduce::Sum { axes }, 6.0 * bound),
            2 => (Reduce::Max { axes }, bound),
            3 => (Reduce::Min { axes }, bound),
            _ => (Reduce::LogSumExp { axes }, bound + 3.0),
        };
        let y = self.b.op(op, &[x]);
        self.put((y, bound));
    }

    fn einsum(&mut self) {
        let (x, x_bound) = self.float();
        let (y, y_bound) = self.float();
        let (x_dims, y_dims) = (self.dims_of(x), self.dims_of(y));
        let lhs: Vec<u8> = (0..x_dims.len() as u8).collect();
        let mut rhs: Vec<u8> = Vec::new();
        for (k, d) in y_dims.iter().enumerate() {
            let partners: Vec<u8> = lhs.iter().copied().filter(|&l| x_dims[usize::from(l)] == *d && !rhs.contains(&l)).collect();
            let shared = !partners.is_empty() && !self.random.one_in(4);
            let label = if shared { *self.random.pick(&partners) } else { 10 + k as u8 };
            rhs.push(label);
        }
        let mut out: Vec<u8> = lhs.iter().copied().filter(|l| !rhs.contains(l)).collect();
        out.extend(rhs.iter().copied().filter(|l| !lhs.contains(l)));
        for l in lhs.iter().filter(|l| rhs.contains(l)) {
            if self.random.one_in(3) {
                let place = self.random.below(out.len() + 1);
                out.insert(place, *l);
            }
        }
        if out.len() > 3 {
            return;
        }
        let z = self.b.op(crate::ir::Einsum { lhs, rhs, out }, &[x, y]);
        self.put((z, 6.0 * x_bound * y_bound));
    }

    fn shape(&mut self) {
        let (x, bound) = self.float();
        let mut dims = self.dims_of(x);
        let rank = dims.len();
        let y = match self.random.below(6) {
            0 if rank < 3 => {
                let place = self.random.below(rank + 1);
                dims.insert(place, *self.random.pick(&self.dims));
                let axes: Vec<usize> = (0..=rank).filter(|&k| k != place).collect();
                self.b.broadcast(x, &axes, &dims)
            }
            1 if rank < 3 => {
                dims.insert(self.random.below(rank + 1), Dim::Const(1));
                self.b.op(Shape::Reshape { dims }, &[x])
            }
            2 if dims.contains(&Dim::Const(1)) => {
                let place = dims.iter().position(|&d| d == Dim::Const(1)).expect("there is one");
                dims.remove(place);
                self.b.op(Shape::Reshape { dims }, &[x])
            }
            3 => {
                let numbers = self.b.op(Shape::Iota { dim: *self.random.pick(&self.dims) }, &[]);
                let numbers = self.b.map(Elementwise::Cast(self.elem), &[numbers]);
                self.put((numbers, 3.0));
                return;
            }
            4 if self.depth == 0 => {
                let n = self.b.dim_size(*self.random.pick(&self.given));
                let dim = self.b.dim("q");
                self.b.stmt(Shape::BindDim { dim }, &[n], Vec::new());
                self.dims.push(Dim::Sym(dim));
                return;
            }
            _ if rank > 1 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.swap(0, rank - 1);
                self.b.permute(x, &perm)
            }
            _ => return,
        };
        self.put((y, bound));
    }

    /// A valid position on an axis.
    fn position(&mut self, dim: Dim) -> ValueId {
        match self.indices.iter().find(|(_, trip)| *trip == dim) {
            Some(&(i, _)) => i,
            None if self.random.one_in(2) => self.b.index(0),
            None => {
                let (n, one) = (self.b.dim_size(dim), self.b.index(1));
                self.b.sub(n, one)
            }
        }
    }

    /// Valid positions on an axis of length `dim`, of the given shape.
    fn positions(&mut self, dim: Dim, dims: &[Dim]) -> ValueId {
        let scalar = match dims {
            [] => return self.position(dim),
            [.., last] => self.b.op(Shape::Iota { dim: *last }, &[]),
        };
        let all = self.b.broadcast(scalar, &[dims.len() - 1], dims);
        let n = self.b.dim_size(dim);
        let n = self.b.broadcast_scalar(n, dims);
        self.b.map(Elementwise::Rem, &[all, n])
    }

    fn index(&mut self) {
        let (x, bound) = self.float();
        let dims = self.dims_of(x);
        if dims.is_empty() {
            return;
        }
        let axis = self.random.below(dims.len());
        let mut rest = dims.clone();
        let dim = rest.remove(axis);
        let (y, bound) = match self.random.below(4) {
            0 => {
                let i = self.position(dim);
                (self.b.op(Index::At { axis }, &[x, i]), bound)
            }
            1 => {
                let (v, v_bound) = self.float();
                let v = self.coerce(v, &rest);
                let i = self.position(dim);
                (self.b.op(Index::AddAt { axis }, &[x, i, v]), bound + v_bound)
            }
            2 => {
                let idx = self.positions(dim, &rest);
                (self.b.op(Index::TakeAlong { axis }, &[x, idx]), bound)
            }
            _ if dims.len() < 3 => {
                let dim = *self.random.pick(&self.dims);
                let idx = self.positions(dim, &dims);
                (self.b.op(Index::PutAlong { axis, dim }, &[x, idx]), bound)
            }
            _ => return,
        };
        self.put((y, bound));
    }

    /// A truth value for each element of a shape.
    fn condition(&mut self, dims: &[Dim]) -> ValueId {
        use Elementwise as E;
        let (p, _) = self.float();
        let (q, _) = self.float();
        let (p, q) = (self.coerce(p, dims), self.coerce(q, dims));
        let q = self.shifted(q);
        let c = self.b.map(*self.random.pick(&[E::Lt, E::Le, E::Eq, E::Ne]), &[p, q]);
        match self.random.below(4) {
            0 => self.b.map(E::Not, &[c]),
            1 => {
                let half = self.constant(p, 0.3);
                let other = self.b.map(E::Lt, &[half, p]);
                self.b.map(*self.random.pick(&[E::And, E::Or]), &[c, other])
            }
            _ => c,
        }
    }

    fn select(&mut self) {
        let (x, x_bound) = self.float();
        let (y, y_bound) = self.float();
        let dims = self.dims_of(x);
        let y = self.coerce(y, &dims);
        let c = self.condition(&dims);
        let z = self.b.select(c, x, y);
        self.put((z, x_bound.max(y_bound)));
    }

    /// A loop with one or two carried floats, sometimes a counter, and up to two stacked results.
    fn run_loop(&mut self) {
        let trip = *self.random.pick(&self.dims);
        let mut carried: Vec<Bounded> = (0..1 + self.random.below(2)).map(|_| self.float()).collect();
        for (_, bound) in &mut carried {
            *bound = bound.max(1.0);
        }
        let mut args: Vec<ValueId> = carried.iter().map(|&(v, _)| v).collect();
        let types: Vec<Type> = args.iter().map(|&v| self.b.ty(v).clone()).collect();
        let counts = self.random.one_in(3);
        if counts {
            args.push(self.b.index(0));
        }

        self.b.open();
        let before = (self.floats.len(), self.dims.len());
        let index = self.b.param(Type::scalar(Elem::Usize), Note::named("i"));
        for (ty, (_, bound)) in types.iter().zip(&carried) {
            let param = self.b.param(ty.clone(), Note::default());
            self.floats.push((param, *bound));
        }
        let counter = counts.then(|| self.b.param(Type::scalar(Elem::Usize), Note::named("count")));
        self.indices.push((index, trip));
        self.nested_steps();
        let mut results = Vec::new();
        for ty in &types {
            let (next, bound) = self.float();
            let next = self.coerce(next, &ty.dims);
            results.push(if bound > 1.0 { self.b.map(Elementwise::Sin, &[next]) } else { next });
        }
        if let Some(counter) = counter {
            results.push(self.b.add(counter, index));
        }
        let mut stacked: Vec<Bounded> = (0..self.random.below(3)).map(|_| self.float()).collect();
        stacked.retain(|&(v, _)| self.b.ty(v).rank() < 3);
        results.extend(stacked.iter().map(|&(v, _)| v));
        self.indices.pop();
        self.leave(before);
        let bodies = vec![self.b.close(results)];
        let reverse = self.random.one_in(2);
        let outs = self.b.stmt(Control::For { trip, reverse }, &args, bodies);
        let (last, rows) = outs.split_at(args.len());
        self.floats.extend(last.iter().zip(&carried).map(|(&v, &(_, bound))| (v, bound)));
        self.floats.extend(rows.iter().zip(&stacked).map(|(&v, &(_, bound))| (v, bound)));
        if let (true, Some(&count)) = (counts, last.last()) {
            let count = self.b.map(Elementwise::Cast(self.elem), &[count]);
            self.put((count, 6.0));
        }
    }

    fn branch(&mut self) {
        let cond = match (self.random.below(3), self.indices.last(), self.flag) {
            (0, Some(&(i, _)), _) => {
                let one = self.b.index(1);
                self.b.map(Elementwise::Lt, &[i, one])
            }
            (1, _, Some(flag)) => flag,
            _ => self.condition(&[]),
        };
        let shapes: Vec<Vec<Dim>> = (0..1 + self.random.below(2))
            .map(|_| {
                let (v, _) = self.float();
                self.dims_of(v)
            })
            .collect();
        let mut bounds = vec![0.0f64; shapes.len()];
        let bodies = [0, 1].map(|_| {
            self.b.open();
            let before = (self.floats.len(), self.dims.len());
            self.nested_steps();
            let mut results = Vec::new();
            for (dims, largest) in shapes.iter().zip(&mut bounds) {
                let (v, bound) = self.float();
                *largest = largest.max(bound);
                results.push(self.coerce(v, dims));
            }
            self.leave(before);
            self.b.close(results)
        });
        let outs = self.b.stmt(Control::If, &[cond], bodies.into());
        self.floats.extend(outs.into_iter().zip(bounds));
    }

    fn nested_steps(&mut self) {
        self.depth += 1;
        for _ in 0..1 + self.random.below(4) {
            self.step();
        }
        self.depth -= 1;
    }

    fn leave(&mut self, (n_floats, n_dims): (usize, usize)) {
        self.floats.truncate(n_floats);
        self.dims.truncate(n_dims);
    }
}
