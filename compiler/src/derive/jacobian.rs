//! Whole derivatives: several tangents at once, Jacobians, Hessians. All are [`batch`](fn@batch) of what takes one direction.

use super::batch::{batch, batch_some};
use super::{DeriveError, checked, grad, hvp, jvp, vjp};
use crate::ir::{Builder, Control, Dim, Elem, Elementwise, Func, Index, Op, Shape, Type, ValueId};
use crate::optimize::optimize;

/// Forward mode along several directions at once: the parameters of `f`, then the tangents for each parameter in `wrt`, along a leading axis; gives the
/// results of `f` once, then the tangents of each float result, along a leading axis.
///
/// # Errors
/// [`DeriveError`] as for [`jvp`].
///
/// # Panics
/// If `wrt` is empty, or not an ascending list of positions of float parameters.
pub fn jvp_many(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let one = optimize(&jvp(f, wrt)?);
    let tangents: Vec<usize> = (f.results().len()..one.results().len()).collect();
    let mut many = batch_some(&one, &directions(f, wrt.len()), &tangents)?;
    many.name = format!("{}_jvp_many", f.name);
    Ok(optimize(&many))
}

/// Hessian-vector products along several directions at once: the parameters of `f`, then the tangents for each parameter in `wrt`, along a leading axis;
/// gives the products, along a leading axis.
///
/// # Errors
/// [`DeriveError`] as for [`hvp`].
///
/// # Panics
/// As [`jvp_many`].
pub fn hvp_many(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let mut many = batch(&hvp(f, wrt)?, &directions(f, wrt.len()))?;
    many.name = format!("{}_hvp_many", f.name);
    Ok(optimize(&many))
}

/// The positions of `n` parameters after those of `f`.
fn directions(f: &Func, n: usize) -> Vec<usize> {
    (f.n_params()..f.n_params() + n).collect()
}

/// The Jacobian of a function of one float result: the parameters of `f`; gives for each parameter in `wrt` the derivative of every element of the
/// result by every element of the parameter, first the axes of the result, then those of the parameter.
///
/// Forward mode costs one pass for each element of the parameters, reverse mode one for each element of the result. The cheaper one is chosen here, as far as
/// the lengths are known here or follow from the ranks, otherwise when the function runs.
///
/// # Errors
/// [`DeriveError`] as for [`vjp`], and if `f` has another result than one tensor of floats.
///
/// # Panics
/// As [`jvp_many`].
pub fn jacobian(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let &[result] = f.results() else { return Err(not_one_tensor(f)) };
    if !f.ty(result).elem.is_float() {
        return Err(not_one_tensor(f));
    }
    let mut b = Builder::with_dims_of(format!("{}_jacobian", f.name), f);
    let args: Vec<ValueId> = f.params().iter().map(|&p| b.param(f.ty(p).clone(), f.note(p).clone())).collect();
    let results = match mode(f, wrt, f.ty(result)) {
        Mode::Forward => by_columns(f, wrt, &mut b, &args)?,
        Mode::Reverse => by_rows(f, wrt, &mut b, &args)?,
        Mode::AtRunTime => {
            let n_in = n_elements(&mut b, &wrt.iter().map(|&k| f.ty(f.params()[k]).dims.clone()).collect::<Vec<_>>());
            let n_out = n_elements(&mut b, &[f.ty(result).dims.clone()]);
            let forward = b.map(Elementwise::Le, &[n_in, n_out]);
            b.open();
            let columns = by_columns(f, wrt, &mut b, &args)?;
            let columns = b.close(columns);
            b.open();
            let rows = by_rows(f, wrt, &mut b, &args)?;
            let rows = b.close(rows);
            b.stmt(Control::If, &[forward], vec![columns, rows])
        }
    };
    Ok(optimize(&checked(b.finish(results), "jacobian")))
}

fn not_one_tensor(f: &Func) -> DeriveError {
    let note = f.results().first().map(|&r| f.note(r).clone()).unwrap_or_default();
    DeriveError::new(&note, format!("only a function with one result, of floats, has a Jacobian, and `{}` is not one", f.name))
}

/// By which mode a Jacobian is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Forward,
    Reverse,
    AtRunTime,
}

fn mode(f: &Func, wrt: &[usize], result: &Type) -> Mode {
    let given: Vec<Dim> = f.param_types().flat_map(|ty| ty.dims.clone()).collect();
    let is_computed = |d: &Dim| matches!(d, Dim::Sym(_)) && !given.contains(d);
    let params: Vec<&Type> = wrt.iter().map(|&k| f.ty(f.params()[k])).collect();
    // The number of elements, as far as it is known, and the lengths that are not, in order.
    let size = |ty: &Type| {
        let known = ty.dims.iter().map(|d| if let Dim::Const(n) = d { *n } else { 1 }).fold(1, u64::saturating_mul);
        let mut symbols: Vec<Dim> = ty.dims.iter().copied().filter(|d| matches!(d, Dim::Sym(_))).collect();
        symbols.sort_unstable();
        (known, symbols)
    };
    if result.rank() == 0 {
        return Mode::Reverse;
    }
    // Reverse mode needs the shape of the result beforehand, and to numbers there is no shorter way than forwards.
    if result.dims.iter().any(is_computed) || params.iter().all(|ty| ty.rank() == 0) {
        return Mode::Forward;
    }
    let (n_out, of_out) = size(result);
    let sizes: Vec<(u64, Vec<Dim>)> = params.iter().map(|ty| size(ty)).collect();
    if sizes.iter().any(|(_, symbols)| *symbols != of_out) {
        return Mode::AtRunTime;
    }
    let n_in = sizes.iter().fold(0, |n: u64, (known, _)| n.saturating_add(*known));
    if n_in <= n_out { Mode::Forward } else { Mode::Reverse }
}

/// The number of elements of tensors together.
fn n_elements(b: &mut Builder, shapes: &[Vec<Dim>]) -> ValueId {
    let mut total = b.index(0);
    for dims in shapes {
        let mut n = b.index(1);
        for &dim in dims {
            let len = b.dim_size(dim);
            n = b.mul(n, len);
        }
        total = b.add(total, n);
    }
    total
}

/// Forward mode along every element of each parameter.
fn by_columns(f: &Func, wrt: &[usize], b: &mut Builder, args: &[ValueId]) -> Result<Vec<ValueId>, DeriveError> {
    let mut results = Vec::with_capacity(wrt.len());
    for &k in wrt {
        let mut tangent = jvp(f, &[k])?;
        tangent.body.results.drain(..f.results().len());
        let columns = along_all(tangent, b, args, f.ty(f.params()[k]))?;
        let n_own = f.ty(f.params()[k]).rank();
        results.extend(columns.into_iter().map(|c| swap_groups(b, c, n_own)));
    }
    Ok(results)
}

/// Reverse mode from every element of the result.
fn by_rows(f: &Func, wrt: &[usize], b: &mut Builder, args: &[ValueId]) -> Result<Vec<ValueId>, DeriveError> {
    let mut cotangents = vjp(f, wrt)?;
    cotangents.body.results.drain(..f.results().len());
    along_all(cotangents, b, args, f.ty(f.results()[0]))
}

/// The results of a function for every direction along one element of its last parameter, which has the given type: they get the axes of that type in front.
/// The other arguments are `args`.
fn along_all(f: Func, b: &mut Builder, args: &[ValueId], ty: &Type) -> Result<Vec<ValueId>, DeriveError> {
    let mut all = optimize(&f);
    for _ in 0..ty.rank() {
        all = batch(&all, &[args.len()])?;
    }
    let directions = identity(b, ty);
    Ok(b.inline(&optimize(&all), &[args, &[directions]].concat()))
}

/// The derivative of a value of the given type by itself: the axes twice, one where both positions are the same.
fn identity(b: &mut Builder, ty: &Type) -> ValueId {
    let mut x = b.constant(ty, 1.0);
    for (k, &dim) in ty.dims.iter().enumerate() {
        let places = b.op(Shape::Iota { dim }, &[]);
        let dims = b.ty(x).dims.clone();
        let places = b.broadcast(places, &[k], &dims);
        x = b.op(Index::PutAlong { axis: dims.len(), dim }, &[x, places]);
    }
    debug_assert!(b.ty(x).elem == ty.elem && ty.elem != Elem::Bool);
    x
}

/// The first `n` axes last.
fn swap_groups(b: &mut Builder, x: ValueId, n: usize) -> ValueId {
    let rank = b.ty(x).rank();
    let perm: Vec<usize> = (n..rank).chain(0..n).collect();
    b.permute(x, &perm)
}

/// The Hessian of a scalar function: the parameters of `f`; gives for each pair of parameters in `wrt`, row by row, the second derivatives, first the axes of
/// the first one, then those of the second.
///
/// The result is exactly symmetric: of two blocks that mirror each other one is computed and the other is its transpose, and a block of one parameter with itself
/// is the mean of what is computed and its transpose. Where [`has_symmetric_hessian`] does not hold, each block is the derivative of the gradient of the first
/// parameter in the second.
///
/// # Errors
/// [`DeriveError`] as for [`grad`].
///
/// # Panics
/// As [`jvp_many`].
pub fn hessian(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let gradient = grad(f, wrt)?;
    let n = wrt.len();
    let symmetric = has_symmetric_hessian(f);
    let mut b = Builder::with_dims_of(format!("{}_hessian", f.name), f);
    let args: Vec<ValueId> = f.params().iter().map(|&p| b.param(f.ty(p).clone(), f.note(p).clone())).collect();
    let mut blocks: Vec<Vec<Option<ValueId>>> = vec![vec![None; n]; n];
    for (j, &k) in wrt.iter().enumerate() {
        // The results are the value, the gradient, and the tangents of both.
        let mut row = jvp(&gradient, &[k])?;
        let n_blocks = if symmetric { j + 1 } else { n };
        row.body.results = row.body.results[n + 2..][..n_blocks].to_vec();
        let ty = f.ty(f.params()[k]);
        for (i, block) in along_all(row, &mut b, &args, ty)?.into_iter().enumerate() {
            let mirrored = swap_groups(&mut b, block, ty.rank());
            if !symmetric {
                blocks[i][j] = Some(mirrored);
            } else if i == j {
                let (p, q) = (b.scale(block, 0.5), b.scale(mirrored, 0.5));
                let mean = b.add(p, q);
                b.set_note(mean, b.note(block).clone());
                blocks[j][j] = Some(if ty.rank() == 0 { block } else { mean });
            } else {
                blocks[j][i] = Some(block);
                blocks[i][j] = Some(mirrored);
            }
        }
    }
    let results = blocks.into_iter().flatten().map(|block| block.expect("a block for each pair")).collect();
    Ok(optimize(&checked(b.finish(results), "hessian")))
}

/// Whether second derivatives of the function are those of a function of its parameters, so that the Hessian is symmetric: what is held constant by
/// `stop_gradient`, and what rules of the user's give, need not be. Whatever relies on symmetry asks here.
pub fn has_symmetric_hessian(f: &Func) -> bool {
    let mut symmetric = true;
    f.body.walk(&mut |stmt| symmetric &= !matches!(stmt.op, Op::Call(_) | Op::Elementwise(Elementwise::StopGradient)));
    symmetric
}
