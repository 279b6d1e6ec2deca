//! Operations on values: element-wise ones, reductions, products, conditions.

use super::Draw;
use crate::ir::{Dim, Elementwise, Reduce, Shape, ValueId};

impl Draw {
    pub(super) fn unary(&mut self) {
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
            // Of something that is constant near the point, so that differences agree.
            E::StopGradient => {
                let shifted = self.shifted(x);
                (self.b.map(E::Floor, &[shifted]), bound + 1.4)
            }
            _ => (x, bound),
        };
        let y = self.b.map(op, &[x]);
        let bound = match op {
            E::Exp | E::ExpM1 | E::Sinh | E::Cosh => bound.exp(),
            E::Sin | E::Cos | E::Tanh | E::Sigmoid | E::Erf | E::Sign => 1.0,
            E::Asin | E::Acos | E::Atan | E::Tan => 3.2,
            E::Ln | E::Ln1p | E::Sqrt | E::Softplus | E::Floor => bound + 1.0,
            E::Powi(n) if n < 0 => 0.4f64.powi(n),
            E::Powi(n) => bound.max(1.0).powi(n),
            _ => bound,
        };
        self.put((y, bound));
    }

    pub(super) fn binary(&mut self) {
        use Elementwise as E;
        let (x, x_bound) = self.float();
        let (y, y_bound) = self.float();
        let dims = self.dims_of(x);
        let y = self.coerce(y, &dims);
        let ops = [E::Add, E::Sub, E::Mul, E::Mul, E::Div, E::Rem, E::Powf, E::Atan2, E::Max, E::Min];
        let (z, bound) = match *self.random.pick(&ops) {
            E::Div => {
                let (d, _) = self.positive((y, y_bound));
                (self.b.div(x, d), 2.5 * x_bound)
            }
            E::Rem => {
                let (divisor, bound) = self.positive((y, y_bound));
                let x = self.shifted(x);
                (self.b.map(E::Rem, &[x, divisor]), bound)
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

    pub(super) fn reduce(&mut self) {
        if self.random.one_in(8) {
            return self.position_of_extreme();
        }
        let (x, bound) = self.float();
        let axes: Vec<usize> = (0..self.b.ty(x).rank()).filter(|_| self.random.one_in(2)).collect();
        if self.random.one_in(6) {
            // Of numbers below one, so that the product is too.
            let x = self.squashed(x, 0.99);
            let y = self.b.op(Reduce::Prod { axes }, &[x]);
            self.put((y, 1.0));
            return;
        }
        // The extreme of nothing is infinite.
        let kinds = if axes.iter().any(|&k| self.empty.contains(&self.b.ty(x).dims[k])) { 2 } else { 5 };
        let (op, bound) = match self.random.below(kinds) {
            0 | 1 => (Reduce::Sum { axes }, 6.0 * bound),
            2 => (Reduce::Max { axes }, bound),
            3 => (Reduce::Min { axes }, bound),
            _ => (Reduce::LogSumExp { axes }, bound + 3.0),
        };
        let y = self.b.op(op, &[x]);
        self.put((y, bound));
    }

    /// The position of an extreme, as a number. What grows along the axis keeps elements apart that are equal but for rounding.
    fn position_of_extreme(&mut self) {
        let (x, _) = self.float();
        let dims = self.dims_of(x);
        let axes: Vec<usize> = (0..dims.len()).filter(|&k| !self.empty.contains(&dims[k])).collect();
        if axes.is_empty() {
            return;
        }
        let axis = *self.random.pick(&axes);
        let places = self.b.op(Shape::Iota { dim: dims[axis] }, &[]);
        let places = self.b.map(Elementwise::Cast(self.elem), &[places]);
        let places = self.b.broadcast(places, &[axis], &dims);
        let shift = self.scaled(places, 0.1371);
        let apart = self.b.add(x, shift);
        let op = if self.random.one_in(2) { Reduce::ArgMax { axis } } else { Reduce::ArgMin { axis } };
        let position = self.b.op(op, &[apart]);
        let number = self.b.map(Elementwise::Cast(self.elem), &[position]);
        self.put((number, 3.0));
    }

    pub(super) fn einsum(&mut self) {
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

    /// A truth value for each element of a shape.
    pub(super) fn condition(&mut self, dims: &[Dim]) -> ValueId {
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

    pub(super) fn select(&mut self) {
        let (x, x_bound) = self.float();
        let (y, y_bound) = self.float();
        let dims = self.dims_of(x);
        let y = self.coerce(y, &dims);
        let c = self.condition(&dims);
        let z = self.b.select(c, x, y);
        self.put((z, x_bound.max(y_bound)));
    }
}
