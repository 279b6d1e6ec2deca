//! Products of two tensors with sums over shared labels.

use super::batch::Batched;
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{Data, EvalError, Tensor, ill_formed, places, strides};
use crate::ir::{Builder, Dim, Einsum, Type, ValueId};

impl Einsum {
    /// Type rule: see [`Einsum`].
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Type, TypeError> {
        let [lhs, rhs] = exactly(types)?;
        if lhs.elem != rhs.elem || !lhs.elem.is_float() {
            return mismatch(format!("operands must be floats of one type, found {} and {}", lhs.elem, rhs.elem));
        }
        if (lhs.rank(), rhs.rank()) != (self.lhs.len(), self.rhs.len()) {
            return mismatch(format!("`{self}` does not fit ranks {} and {}", lhs.rank(), rhs.rank()));
        }
        for labels in [&self.lhs, &self.rhs, &self.out] {
            if labels.iter().enumerate().any(|(k, l)| labels[..k].contains(l)) {
                return mismatch(format!("`{self}` repeats a label within one tensor"));
            }
        }
        let mut dims: [Option<Dim>; 256] = [None; 256];
        for (labels, ty) in [(&self.lhs, lhs), (&self.rhs, rhs)] {
            for (&l, &d) in labels.iter().zip(&ty.dims) {
                if *dims[usize::from(l)].get_or_insert(d) != d {
                    return mismatch(format!("`{self}`: label `{}` has two dimensions", char::from(b'a' + l)));
                }
            }
        }
        let count = |l: &u8| [&self.lhs, &self.rhs, &self.out].iter().filter(|labels| labels.contains(l)).count();
        if self.lhs.iter().chain(&self.rhs).chain(&self.out).any(|l| count(l) < 2) {
            return mismatch(format!("`{self}`: every label must occur in at least two of the three"));
        }
        let out: Vec<Dim> = self.out.iter().map(|&l| dims[usize::from(l)].expect("it occurs in an operand")).collect();
        Ok(lhs.with_dims(out))
    }

    /// Linear rule: the product rule.
    pub(super) fn jvp(&self, b: &mut Builder, args: &[ValueId], dots: &[Option<ValueId>]) -> Option<ValueId> {
        let p = dots[0].map(|dot| b.op(self.clone(), &[dot, args[1]]));
        let q = dots[1].map(|dot| b.op(self.clone(), &[args[0], dot]));
        match (p, q) {
            (Some(p), Some(q)) => Some(b.add(p, q)),
            (p, q) => p.or(q),
        }
    }

    /// Transpose rule: the linear operand's labels change places with the result's.
    pub(super) fn transpose(&self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        let Einsum { lhs, rhs, out } = self.clone();
        match args {
            [Operand::Linear(_), Operand::Known(c)] => vec![Some(b.op(Einsum { lhs: out, rhs, out: lhs }, &[bar, *c])), None],
            [Operand::Known(c), Operand::Linear(_)] => vec![None, Some(b.op(Einsum { lhs, rhs: out, out: rhs }, &[*c, bar]))],
            _ => unreachable!("`{self}` is not linear in {args:?}"),
        }
    }

    /// Batching rule: one more label, of the operands that have the axis and of the result.
    pub(super) fn batch(&self, b: &mut Builder, args: &[Batched]) -> ValueId {
        let used = |l: u8| [&self.lhs, &self.rhs, &self.out].iter().any(|labels| labels.contains(&l));
        // Among letters as far as there are any, since the textual form has nothing else.
        let label = (0..u8::MAX).find(|&l| !used(l)).expect("fewer labels than there are numbers");
        let with = |labels: &[u8]| [&[label], labels].concat();
        let of = |labels: &[u8], arg: Batched| if arg.is_each() { with(labels) } else { labels.to_vec() };
        let op = Einsum { lhs: of(&self.lhs, args[0]), rhs: of(&self.rhs, args[1]), out: with(&self.out) };
        b.op(op, &[args[0].value(), args[1].value()])
    }
}

impl Einsum {
    /// The same operation with its labels renamed `i`, `j`, `k`, … in the order of their first occurrence.
    pub fn renamed(&self) -> Einsum {
        let mut order: Vec<u8> = Vec::new();
        for &label in self.lhs.iter().chain(&self.rhs) {
            if !order.contains(&label) {
                order.push(label);
            }
        }
        // There are 18 letters from `i` on; with more labels than that, the alphabet starts at `a`.
        let first = if order.len() <= 18 { b'i' - b'a' } else { 0 };
        let rename = |labels: &[u8]| -> Vec<u8> {
            let place = |l: &u8| order.iter().position(|o| o == l).expect("every label of the result is one of an operand");
            labels.iter().map(|l| first + place(l) as u8).collect()
        };
        Einsum { lhs: rename(&self.lhs), rhs: rename(&self.rhs), out: rename(&self.out) }
    }

    /// The sum as the definition has it, over the summed labels in the order in which `lhs` has them.
    pub(super) fn eval(&self, lhs: &Tensor, rhs: &Tensor) -> Result<Tensor, EvalError> {
        if (lhs.shape.len(), rhs.shape.len()) != (self.lhs.len(), self.rhs.len()) {
            return ill_formed(format!("`{self}` of ranks {} and {}", lhs.shape.len(), rhs.shape.len()));
        }
        let axis = |labels: &[u8], l: u8| labels.iter().position(|&k| k == l);
        let len = |l: u8| match axis(&self.lhs, l) {
            Some(k) => lhs.shape[k],
            None => rhs.shape[axis(&self.rhs, l).expect("every label of the result is one of an operand")],
        };
        // Every other label is in both operands.
        let summed: Vec<u8> = self.lhs.iter().copied().filter(|l| !self.out.contains(l)).collect();
        let lens = |labels: &[u8]| labels.iter().map(|&l| len(l)).collect::<Vec<_>>();
        let step = |labels: &[u8], of: &[u8], shape: &[usize]| {
            let strides = strides(shape);
            labels.iter().map(|&l| axis(of, l).map_or(0, |k| strides[k])).collect::<Vec<_>>()
        };
        let (out_shape, sum_shape) = (lens(&self.out), lens(&summed));
        let starts = |of: &[u8], shape: &[usize]| places(&out_shape, &step(&self.out, of, shape));
        let members = |of: &[u8], shape: &[usize]| places(&sum_shape, &step(&summed, of, shape));
        let (l0, r0) = (starts(&self.lhs, &lhs.shape), starts(&self.rhs, &rhs.shape));
        let (dl, dr) = (members(&self.lhs, &lhs.shape), members(&self.rhs, &rhs.shape));
        macro_rules! contract {
            ($a:expr, $b:expr) => {{
                let one = |l: usize, r: usize| dl.iter().zip(&dr).fold(0.0, |sum, (dl, dr)| sum + $a[l + dl] * $b[r + dr]);
                l0.iter().zip(&r0).map(|(&l, &r)| one(l, r)).collect()
            }};
        }
        let data = match (&lhs.data, &rhs.data) {
            (Data::F64(a), Data::F64(b)) => Data::F64(contract!(a, b)),
            (Data::F32(a), Data::F32(b)) => Data::F32(contract!(a, b)),
            (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => return ill_formed("einsum of floats of one type"),
        };
        Ok(Tensor { shape: out_shape, data })
    }
}
