//! Lengths of dimensions in functions that come from dividing or turning around another one.

use super::copy::{Env, copy, copy_params, rename_dims};
use super::dependence::Marks;
use super::{DeriveError, Split};
use crate::ir::{Builder, Dim, DimId, Elem, Func, Note, Op, Shape, Type, ValueId};

/// The dimensions that a function uses, but that neither its parameters nor its statements bind, each with the result of a statement that uses it.
fn free_dims(f: &Func) -> Vec<(DimId, Option<ValueId>)> {
    let mut bound = Marks::default();
    for ty in f.param_types() {
        for &d in &ty.dims {
            bound.add_dim(d);
        }
    }
    f.body.walk(&mut |stmt| {
        if let Op::Shape(Shape::BindDim { dim }) = stmt.op {
            bound.add_dim(dim);
        }
    });
    let mut free = Vec::new();
    f.body.walk(&mut |stmt| {
        stmt.op.for_each_dim(|d| {
            if let Dim::Sym(id) = d
                && bound.add_dim(d)
            {
                free.push((id, stmt.outs.first().copied()));
            }
        });
    });
    free
}

/// Makes the unknown part stand by itself: a dimension that it uses, but that no parameter of it has, gets its length as one more residual.
pub(super) fn bind_free_dims(parts: &mut Split) {
    let free: Vec<DimId> = free_dims(&parts.unknown).into_iter().map(|(id, _)| id).collect();
    if free.is_empty() {
        return;
    }
    let mut known = Builder::with_dims_of(parts.known.name.clone(), &parts.known);
    let mut unknown = Builder::with_dims_of(parts.unknown.name.clone(), &parts.unknown);
    let (mut known_env, mut unknown_env) = (Env::new(&parts.known), Env::new(&parts.unknown));
    copy_params(&mut known, &parts.known, parts.known.params(), &mut known_env);
    let (residuals, inputs) = parts.unknown.params().split_at(parts.n_residuals);
    copy_params(&mut unknown, &parts.unknown, residuals, &mut unknown_env);
    for stmt in &parts.known.body.stmts {
        copy(&mut known, &parts.known, stmt, &mut known_env);
    }
    let mut results = known_env.get_all(parts.known.results());
    let mut lengths = Vec::new();
    for &id in &free {
        let note = Note::named(&format!("n_{}", parts.known.dim_name(id)));
        let length = known.dim_size(Dim::Sym(id));
        known.set_note(length, note.clone());
        results.push(length);
        lengths.push(unknown.param(Type::scalar(Elem::Usize), note));
    }
    copy_params(&mut unknown, &parts.unknown, inputs, &mut unknown_env);
    for (&id, &length) in free.iter().zip(&lengths) {
        unknown.stmt(Shape::BindDim { dim: Dim::Sym(id) }, &[length], Vec::new());
    }
    for stmt in &parts.unknown.body.stmts {
        copy(&mut unknown, &parts.unknown, stmt, &mut unknown_env);
    }
    let unknown_results = unknown_env.get_all(parts.unknown.results());
    *parts = Split { known: known.finish(results), unknown: unknown.finish(unknown_results), n_residuals: parts.n_residuals + free.len() };
}

/// Gives every dimension that the function binds itself a new name.
pub(super) fn rename_bound_dims(f: &mut Func) {
    let mut bound: Vec<DimId> = f.binders().into_keys().collect();
    bound.sort_unstable();
    if bound.is_empty() {
        return;
    }
    let mut b = Builder::with_dims_of(f.name.clone(), f);
    let renamed: Vec<(DimId, DimId)> = bound.into_iter().map(|dim| (dim, b.dim(f.dim_name(dim)))).collect();
    let rename = |d: Dim| match renamed.iter().find(|(old, _)| d == Dim::Sym(*old)) {
        Some(&(_, new)) => Dim::Sym(new),
        None => d,
    };
    f.dims = b.finish(Vec::new()).dims;
    rename_dims(f, &rename);
}

/// Fails if a transposed function uses a dimension that nothing binds.
pub(super) fn refuse_free_dims(f: &Func) -> Result<(), DeriveError> {
    match free_dims(f).first() {
        None => Ok(()),
        Some(&(id, user)) => {
            let note = user.map(|v| f.note(v).clone()).unwrap_or_default();
            let name = f.dim_name(id);
            Err(DeriveError::new(
                &note,
                format!("the length `{name}` is known only from a parameter that the transposed function does not have"),
            ))
        }
    }
}
