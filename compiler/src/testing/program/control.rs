//! Loops and branches.

use super::{Bounded, Draw};
use crate::ir::{Control, Dim, Elem, Elementwise, Note, Shape, Type, ValueId};

impl Draw {
    /// A loop with one or two carried floats, sometimes a counter, and up to two stacked results.
    pub(super) fn run_loop(&mut self) {
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

    /// A `while` loop that counts, and carries an array of which only the shape matters, with a check that it has counted. It has no floats that depend on
    /// parameters, since those would have no reverse mode.
    pub(super) fn run_while(&mut self) {
        use Elementwise as E;
        let dim = *self.random.pick(&self.dims);
        let (zero, limit) = (self.b.index(0), self.b.index(self.random.below(3) as i64));
        let start = self.b.op(Shape::Iota { dim }, &[]);
        let types = [Type::scalar(Elem::Usize), Type::tensor(Elem::Usize, [dim])];
        let mut bodies = Vec::new();
        for is_turn in [false, true] {
            self.b.open();
            let [count, numbers] = types.clone().map(|ty| self.b.param(ty, Note::default()));
            let results = match is_turn {
                false => vec![self.b.map(E::Lt, &[count, limit])],
                true => {
                    let one = self.b.index(1);
                    vec![self.b.add(count, one), self.b.add(numbers, numbers)]
                }
            };
            bodies.push(self.b.close(results));
        }
        let outs = self.b.stmt(Control::While, &[zero, start], bodies);
        let holds = self.b.map(E::Eq, &[outs[0], limit]);
        self.b.stmt(Control::Check { message: "the \"loop\" counts".into() }, &[holds], Vec::new());
        for count in outs {
            let count = self.b.map(E::Cast(self.elem), &[count]);
            self.put((count, 12.0));
        }
    }

    pub(super) fn branch(&mut self) {
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

    pub(super) fn nested_steps(&mut self) {
        self.depth += 1;
        for _ in 0..1 + self.random.below(4) {
            self.step();
        }
        self.depth -= 1;
    }

    pub(super) fn leave(&mut self, (n_floats, n_dims): (usize, usize)) {
        self.floats.truncate(n_floats);
        self.dims.truncate(n_dims);
    }
}
