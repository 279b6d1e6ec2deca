//! The inner condition of a fixed point: the residual of its map.

use super::copy::{rename_dims, splice};
use crate::ir::{Builder, Dim, Func, Note};

/// The result of a map that does not have the shape of what it maps: its number, and the axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OtherShape {
    /// The number of the result.
    pub result: usize,
    /// The axis.
    pub axis: usize,
}

/// The residual `z − Φ(z, …)` of a map `Φ`, whose results, floats all, are the next values of its parameters at the positions `mapped`: a function of the same parameters that gives `½ ‖z − Φ‖²` and then
/// the residual for each of these parameters, in ascending order of their positions. Lengths that have to be equal become one.
///
/// # Errors
/// [`OtherShape`] where a result has a length of its own.
pub fn fixed_point(f: &Func, mapped: &[usize]) -> Result<Func, OtherShape> {
    let mut f = f.clone();
    for (result, &at) in mapped.iter().enumerate() {
        let n_axes = f.ty(f.params()[at]).dims.len();
        for axis in 0..n_axes {
            let (before, after) = (f.ty(f.params()[at]).dims[axis], f.ty(f.results()[result]).dims[axis]);
            if before == after {
                continue;
            }
            let is_given = f.param_types().any(|ty| ty.dims.contains(&after));
            let (from, to) = match (before, after) {
                (Dim::Sym(_), Dim::Const(_)) => (before, after),
                (_, Dim::Sym(_)) if is_given => (after, before),
                (Dim::Const(_) | Dim::Sym(_), Dim::Const(_) | Dim::Sym(_)) => return Err(OtherShape { result, axis }),
            };
            rename_dims(&mut f, &|dim| if dim == from { to } else { dim });
        }
    }
    let mut b = Builder::with_dims_of(format!("{}_residual", f.name), &f);
    let params: Vec<_> = f.params().iter().map(|&p| b.param(f.ty(p).clone(), f.note(p).clone())).collect();
    let results = splice(&mut b, &f, &params);
    let mut order: Vec<usize> = (0..mapped.len()).collect();
    order.sort_unstable_by_key(|&k| mapped[k]);
    let mut residuals = Vec::new();
    let mut value = None;
    for k in order {
        let (before, after) = (params[mapped[k]], results[k]);
        let note = b.note(before).clone();
        let last = b.set_default_note(Note { name: note.name.map(|name| format!("{name}_residual").into()), ..Note::default() });
        let residual = b.sub(before, after);
        let square = b.mul(residual, residual);
        let axes: Vec<usize> = (0..b.ty(square).rank()).collect();
        let sum = if axes.is_empty() { square } else { b.sum(square, &axes) };
        value = Some(value.map_or(sum, |value| b.add(value, sum)));
        b.set_default_note(last);
        residuals.push(residual);
    }
    let value = value.map(|value| b.scale(value, 0.5));
    Ok(b.finish(value.into_iter().chain(residuals).collect()))
}
