//! Evaluation of access at positions that are data.

use crate::ir::eval::{Data, EvalError, Tensor, ill_formed, strides};
use crate::ir::{Dim, Index, Pick, Window};

/// A tensor's elements seen along one axis: `outer` blocks of `len` rows of `inner` elements.
struct Along {
    outer: usize,
    len: usize,
    inner: usize,
}

impl Along {
    fn of(shape: &[usize], axis: usize) -> Result<Along, EvalError> {
        if axis >= shape.len() {
            return ill_formed(format!("there is no axis {axis} in {shape:?}"));
        }
        Ok(Along { outer: shape[..axis].iter().product(), len: shape[axis], inner: shape[axis + 1..].iter().product() })
    }

    /// For each element of the shape without the axis, in row-major order, the place in the whole where the axis' position is `position(k)`.
    fn places(&self, position: impl Fn(usize) -> i64) -> Result<Vec<usize>, EvalError> {
        let place = |k: usize| Ok((k / self.inner * self.len + below(position(k), self.len)?) * self.inner + k % self.inner);
        (0..self.outer * self.inner).map(place).collect()
    }

    /// For each element of the shape with the axis replaced by the positions, in row-major order, its place in the whole.
    fn gathered(&self, positions: &[i64]) -> Result<Vec<usize>, EvalError> {
        let positions: Vec<usize> = positions.iter().map(|&i| below(i, self.len)).collect::<Result<_, _>>()?;
        let mut places = Vec::with_capacity(self.outer * positions.len() * self.inner);
        for o in 0..self.outer {
            for &i in &positions {
                places.extend((0..self.inner).map(|k| (o * self.len + i) * self.inner + k));
            }
        }
        Ok(places)
    }
}

/// A position on an axis, checked.
fn below(index: i64, len: usize) -> Result<usize, EvalError> {
    match usize::try_from(index) {
        Ok(i) if i < len => Ok(i),
        Ok(_) | Err(_) => Err(EvalError::OutOfRange { index, len }),
    }
}

/// The shape of a part, and the place in the whole of each of its elements, in row-major order. Positions are checked also where there are no elements.
fn window(
    window: &Window,
    whole: &[usize],
    starts: &[&Tensor],
    len: &dyn Fn(Dim) -> Result<usize, EvalError>,
) -> Result<(Vec<usize>, Vec<usize>), EvalError> {
    let mut shape = Vec::new();
    let mut places = vec![0];
    for (axis, (&n, stride)) in whole.iter().zip(strides(whole)).enumerate() {
        let positions: Vec<usize> = match window.axes.iter().zip(starts).find(|((a, _), _)| *a == axis) {
            None => (0..n).collect(),
            Some(((_, Pick::At), start)) => vec![below(start.as_int()[0], n)?],
            Some(((_, Pick::Slice { step, len: dim }), start)) => {
                let (start, n_picked) = (start.as_int()[0], len(*dim)?);
                if n_picked == 0 {
                    below(start, n + 1)?;
                }
                (0..n_picked as i64).map(|k| below(start.saturating_add(k.saturating_mul(*step)), n)).collect::<Result<_, _>>()?
            }
        };
        if !window.axes.contains(&(axis, Pick::At)) {
            shape.push(positions.len());
        }
        places = places.iter().flat_map(|&p| positions.iter().map(move |&i| p + i * stride)).collect();
    }
    Ok((shape, places))
}

/// `into` with the elements of `values` at `places`.
fn write(into: &Tensor, places: &[usize], values: &Tensor) -> Result<Tensor, EvalError> {
    fn put<T: Copy>(into: &[T], places: &[usize], values: &[T]) -> Vec<T> {
        let mut all = into.to_vec();
        for (&place, &value) in places.iter().zip(values) {
            all[place] = value;
        }
        all
    }
    let data = match (&into.data, &values.data) {
        (Data::F64(into), Data::F64(values)) => Data::F64(put(into, places, values)),
        (Data::F32(into), Data::F32(values)) => Data::F32(put(into, places, values)),
        (Data::Int(elem, into), Data::Int(other, values)) if elem == other => Data::Int(*elem, put(into, places, values)),
        (Data::Bool(into), Data::Bool(values)) => Data::Bool(put(into, places, values)),
        (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => return ill_formed("writing takes elements of one type"),
    };
    Ok(Tensor { shape: into.shape.clone(), data })
}

/// `into` with the elements of `values` added at `places`, one after the other.
fn add(into: &Tensor, places: &[usize], values: &Tensor) -> Result<Tensor, EvalError> {
    let mut sum = into.clone();
    match (&mut sum.data, &values.data) {
        (Data::F64(sum), Data::F64(values)) => places.iter().zip(values).for_each(|(&p, v)| sum[p] += v),
        (Data::F32(sum), Data::F32(values)) => places.iter().zip(values).for_each(|(&p, v)| sum[p] += v),
        (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => return ill_formed("adding takes floats of one type"),
    }
    Ok(sum)
}

/// A shape without one axis.
fn shape_without(shape: &[usize], axis: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    shape.remove(axis);
    shape
}

impl Index {
    /// The access; a position that is not below the axis' length is an error, also where there are no elements to access.
    pub(super) fn eval(&self, args: &[&Tensor], len: &dyn Fn(Dim) -> Result<usize, EvalError>) -> Result<Tensor, EvalError> {
        match (self, args) {
            (Index::Read(w), [x, starts @ ..]) => {
                let (shape, places) = window(w, &x.shape, starts, len)?;
                Ok(x.gather(shape, &places))
            }
            (Index::Add(w), [x, starts @ .., v]) => add(x, &window(w, &x.shape, starts, len)?.1, v),
            (Index::Write(w), [x, starts @ .., v]) => write(x, &window(w, &x.shape, starts, len)?.1, v),
            (Index::Gather { axis }, [x, idx]) => {
                let places = Along::of(&x.shape, *axis)?.gathered(idx.as_int())?;
                let mut shape = shape_without(&x.shape, *axis);
                shape.splice(axis..axis, idx.shape.iter().copied());
                Ok(x.gather(shape, &places))
            }
            (Index::ScatterAdd { axis }, [x, idx, v]) => add(x, &Along::of(&x.shape, *axis)?.gathered(idx.as_int())?, v),
            (Index::TakeAlong { axis }, [x, idx]) => {
                let places = Along::of(&x.shape, *axis)?.places(|k| idx.as_int()[k])?;
                Ok(x.gather(shape_without(&x.shape, *axis), &places))
            }
            (Index::PutAlong { axis, dim }, [v, idx]) => {
                let mut shape = v.shape.clone();
                shape.insert(*axis, len(*dim)?);
                let n = shape.iter().product();
                let zeros = match &v.data {
                    Data::F64(_) => Data::F64(vec![0.0; n]),
                    Data::F32(_) => Data::F32(vec![0.0; n]),
                    Data::Int(..) | Data::Bool(_) => return ill_formed("put of floats"),
                };
                let places = Along::of(&shape, *axis)?.places(|k| idx.as_int()[k])?;
                write(&Tensor { shape, data: zeros }, &places, v)
            }
            (
                Index::Read(_)
                | Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. }
                | Index::PutAlong { .. },
                _,
            ) => ill_formed(format!("{self:?} of {} operands", args.len())),
        }
    }
}
