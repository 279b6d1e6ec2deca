//! Access at positions that are data.

use super::batch::{Batched, one_by_one};
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Dim, Elem, Index, Pick, Type, ValueId, Window};

/// The dimensions without one axis, or why there is no such axis.
fn without(dims: &[Dim], axis: usize) -> Result<Vec<Dim>, TypeError> {
    if axis >= dims.len() {
        return mismatch(format!("there is no axis {axis} in a tensor of rank {}", dims.len()));
    }
    let mut dims = dims.to_vec();
    dims.remove(axis);
    Ok(dims)
}

impl Window {
    /// The type of the part, if the window fits a tensor of type `x` and the starts that the statement gives.
    fn infer(&self, x: &Type, starts: &[&Type]) -> Result<Type, TypeError> {
        if !self.axes.is_sorted_by(|(a, _), (b, _)| a < b) || self.axes.last().is_some_and(|&(axis, _)| axis >= x.rank()) {
            return mismatch(format!("{:?} are not ascending axes of a tensor of rank {}", self.axes, x.rank()));
        }
        if self.axes.iter().any(|&(_, pick)| matches!(pick, Pick::Slice { step: 0, .. })) {
            return mismatch("the step of a slice is not zero");
        }
        if starts.len() != self.axes.len() || starts.iter().any(|&s| *s != Type::scalar(Elem::Usize)) {
            return mismatch("takes a usize scalar for each indexed axis");
        }
        Ok(x.with_dims(self.dims(&x.dims)))
    }
}

impl Index {
    /// Type rule.
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Type, TypeError> {
        match self {
            Index::Read(window) => match types {
                [x, starts @ ..] => window.infer(x, starts),
                [] => mismatch("takes a tensor"),
            },
            Index::Add(window) | Index::Write(window) => {
                let [x, starts @ .., v] = types else { return mismatch("takes a tensor, positions, and what is written") };
                let part = window.infer(x, starts)?;
                if **v != part {
                    return mismatch(format!("what is written is {v:?}, not {part:?}"));
                }
                if matches!(self, Index::Add(_)) && !x.elem.is_float() {
                    return mismatch("takes floats");
                }
                Ok((*x).clone())
            }
            Index::Gather { axis } => {
                let [x, idx] = exactly(types)?;
                gathered(x, idx, *axis)
            }
            Index::ScatterAdd { axis } => {
                let [x, idx, v] = exactly(types)?;
                if !x.elem.is_float() || *v != gathered(x, idx, *axis)? {
                    return mismatch("takes floats, usize positions, and floats for all of them");
                }
                Ok(x.clone())
            }
            Index::TakeAlong { axis } => {
                let [x, idx] = exactly(types)?;
                let rest = x.with_dims(without(&x.dims, *axis)?);
                if *idx != rest.with_elem(Elem::Usize) {
                    return mismatch("positions must be usize of the shape without the axis");
                }
                Ok(rest)
            }
            Index::PutAlong { axis, dim } => {
                let [v, idx] = exactly(types)?;
                if *idx != v.with_elem(Elem::Usize) || !v.elem.is_float() || *axis > v.rank() {
                    return mismatch("takes floats and usize positions of one shape");
                }
                let mut dims = v.dims.clone();
                dims.insert(*axis, *dim);
                Ok(v.with_dims(dims))
            }
        }
    }

    /// Linear rule: all of these are linear in what is read or written, the positions being held.
    pub(super) fn jvp(&self, b: &mut Builder, args: &[ValueId], dots: &[Option<ValueId>]) -> Option<ValueId> {
        match self {
            Index::Read(_) | Index::Gather { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. } => {
                let with = |dot| [&[dot], &args[1..]].concat();
                dots[0].map(|dot| b.op(self.clone(), &with(dot)))
            }
            Index::Add(_) | Index::ScatterAdd { .. } | Index::Write(_) => {
                let &[x, .., v] = dots else { unreachable!("operands as the type rule asks for") };
                let adds = !matches!(self, Index::Write(_));
                if v.is_none() && (adds || x.is_none()) {
                    return x;
                }
                let mut with = args.to_vec();
                for (arg, dot) in with.iter_mut().zip(dots) {
                    if b.ty(*arg).elem.is_float() {
                        let ty = b.ty(*arg).clone();
                        *arg = dot.unwrap_or_else(|| b.zeros(&ty));
                    }
                }
                Some(b.op(self.clone(), &with))
            }
        }
    }

    /// The operation that adds a cotangent of what this one reads to that of the whole: with the operands (whole, positions…, cotangent). None if this
    /// reads nothing of which a loop may read a little at each turn. `derive::transpose` adds to the operand's running cotangent, so that a
    /// loop over the elements costs no dense array per turn.
    pub(crate) fn accumulating(&self) -> Option<Index> {
        match self {
            Index::Read(window) => Some(Index::Add(window.clone())),
            Index::Gather { axis } => Some(Index::ScatterAdd { axis: *axis }),
            Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. } => None,
        }
    }

    /// Transpose rule. For what accumulates (see [`Index::accumulating`]) this is the cotangent from this one access.
    pub(super) fn transpose(&self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        let n_positions = match self {
            Index::Read(window) | Index::Add(window) | Index::Write(window) => window.axes.len(),
            Index::Gather { .. } | Index::ScatterAdd { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. } => 1,
        };
        let positions: Vec<ValueId> = args[1..=n_positions].iter().filter_map(Operand::known).collect();
        let with = |x: ValueId, last: Option<ValueId>| -> Vec<ValueId> { [x].into_iter().chain(positions.clone()).chain(last).collect() };
        let mut shares = vec![None; args.len()];
        match (self, args) {
            (Index::Read(_) | Index::Gather { .. }, [Operand::Linear(ty), ..]) => {
                let zero = b.zeros(ty);
                let add = self.accumulating().expect("reading accumulates");
                shares[0] = Some(b.op(add, &with(zero, Some(bar))));
            }
            (Index::Add(window), [x, .., v]) => {
                shares[0] = x.is_linear().then_some(bar);
                shares[args.len() - 1] = v.is_linear().then(|| b.op(Index::Read(window.clone()), &with(bar, None)));
            }
            (Index::ScatterAdd { axis }, [x, _, v]) => {
                shares[0] = x.is_linear().then_some(bar);
                shares[2] = v.is_linear().then(|| b.op(Index::Gather { axis: *axis }, &with(bar, None)));
            }
            (Index::Write(window), [x, .., v]) => {
                // What is read comes first, so that the zeros can be written in place.
                shares[args.len() - 1] = v.is_linear().then(|| b.op(Index::Read(window.clone()), &with(bar, None)));
                if x.is_linear() {
                    let whole = b.ty(bar).clone();
                    let zero = b.zeros(&whole.with_dims(window.dims(&whole.dims)));
                    shares[0] = Some(b.op(self.clone(), &with(bar, Some(zero))));
                }
            }
            (Index::TakeAlong { axis }, [Operand::Linear(ty), _]) => {
                shares[0] = Some(b.op(Index::PutAlong { axis: *axis, dim: ty.dims[*axis] }, &with(bar, None)));
            }
            (Index::PutAlong { axis, .. }, [Operand::Linear(_), _]) => {
                shares[0] = Some(b.op(Index::TakeAlong { axis: *axis }, &with(bar, None)));
            }
            (
                Index::Read(_)
                | Index::Gather { .. }
                | Index::Add(_)
                | Index::ScatterAdd { .. }
                | Index::Write(_)
                | Index::TakeAlong { .. }
                | Index::PutAlong { .. },
                _,
            ) => unreachable!("{self:?} is not linear in {args:?}"),
        }
        shares
    }
}

impl Window {
    /// The same part of each example, the examples being along a new first axis.
    fn shifted(&self) -> Window {
        Window { axes: self.axes.iter().map(|&(axis, pick)| (axis + 1, pick)).collect() }
    }
}

impl Index {
    /// The same access along the next axis.
    fn shifted(&self) -> Index {
        match self {
            Index::Read(window) => Index::Read(window.shifted()),
            Index::Add(window) => Index::Add(window.shifted()),
            Index::Write(window) => Index::Write(window.shifted()),
            Index::Gather { axis } => Index::Gather { axis: axis + 1 },
            Index::ScatterAdd { axis } => Index::ScatterAdd { axis: axis + 1 },
            Index::TakeAlong { axis } => Index::TakeAlong { axis: axis + 1 },
            Index::PutAlong { axis, dim } => Index::PutAlong { axis: axis + 1, dim: *dim },
        }
    }

    /// Batching rule: at a position that all examples share, the same access one axis further. Positions that differ in an array that all share are gathered;
    /// others are taken one example after the other.
    pub(super) fn batch(&self, b: &mut Builder, args: &[Batched], dim: Dim) -> Vec<ValueId> {
        let differ = match self {
            Index::Read(window) | Index::Add(window) | Index::Write(window) => args[1..=window.axes.len()].iter().any(|a| a.is_each()),
            Index::Gather { .. } | Index::ScatterAdd { .. } => args[1].is_each(),
            // These have a position for each element anyway.
            Index::TakeAlong { .. } | Index::PutAlong { .. } => {
                let (x, idx) = (args[0].each(b, dim), args[1].each(b, dim));
                return vec![b.op(self.shifted(), &[x, idx])];
            }
        };
        if !differ {
            let mut values: Vec<ValueId> = args.iter().map(|arg| arg.value()).collect();
            values[0] = args[0].each(b, dim);
            if matches!(self, Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. }) {
                values[args.len() - 1] = args[args.len() - 1].each(b, dim);
            }
            return vec![b.op(self.shifted(), &values)];
        }
        match self.gathers() {
            Some(axis) if !args[0].is_each() => {
                let gathered = b.op(Index::Gather { axis }, &[args[0].value(), args[1].value()]);
                let mut perm: Vec<usize> = (0..b.ty(gathered).rank()).collect();
                perm[..=axis].rotate_right(1);
                vec![b.permute(gathered, &perm)]
            }
            _ => one_by_one(b, args, dim, |b, args| vec![b.op(self.clone(), args)]),
        }
    }

    /// The axis along which this reads at positions and nothing else.
    fn gathers(&self) -> Option<usize> {
        match self {
            Index::Read(window) => match window.axes[..] {
                [(axis, Pick::At)] => Some(axis),
                _ => None,
            },
            Index::Gather { axis } => Some(*axis),
            Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. } => None,
        }
    }
}

/// The type of the elements of `x` at the positions `idx` of an axis.
fn gathered(x: &Type, idx: &Type, axis: usize) -> Result<Type, TypeError> {
    let mut dims = without(&x.dims, axis)?;
    if idx.elem != Elem::Usize {
        return mismatch("positions must be usize");
    }
    dims.splice(axis..axis, idx.dims.iter().copied());
    Ok(x.with_dims(dims))
}
