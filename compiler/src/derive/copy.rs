//! Copies of statements from one function to another, with what became of each value.

use crate::ir::{Body, Builder, Dim, DimId, Func, Stmt, ValueId};

/// Appends the statements of `source`, a function that shares the builder's dimensions, its parameters replaced by `args`; gives its results.
pub(super) fn splice(b: &mut Builder, source: &Func, args: &[ValueId]) -> Vec<ValueId> {
    let mut env = Env::new(source);
    for (&param, &arg) in source.params().iter().zip(args) {
        env.set(param, arg);
    }
    for stmt in &source.body.stmts {
        copy(b, source, stmt, &mut env);
    }
    env.get_all(source.results())
}

/// Appends the statements of `f`, which has dimensions of its own: `dims` says what each stands for in the function under construction. The parameters
/// are replaced by `args`, which have their types; gives the results.
pub fn inline(b: &mut Builder, f: &Func, args: &[ValueId], dims: &[Dim]) -> Vec<ValueId> {
    let mut f = f.clone();
    rename_dims(&mut f, &|d| match d {
        Dim::Sym(DimId(k)) => dims[k as usize],
        Dim::Const(_) => d,
    });
    splice(b, &f, args)
}

/// Appends a copy of a statement with all its nested bodies.
pub(super) fn copy(b: &mut Builder, source: &Func, stmt: &Stmt, env: &mut Env) {
    let bodies = stmt.bodies.iter().map(|body| copy_body(b, source, body, env)).collect();
    let args = env.get_all(&stmt.args);
    let outs = b.copy_stmt(source, stmt, &args, bodies);
    env.set_all(&stmt.outs, &outs);
}

fn copy_body(b: &mut Builder, source: &Func, body: &Body, env: &mut Env) -> Body {
    b.open();
    for &p in &body.params {
        let param = b.param(source.ty(p).clone(), source.note(p).clone());
        env.set(p, param);
    }
    for stmt in &body.stmts {
        copy(b, source, stmt, env);
    }
    b.close(env.get_all(&body.results))
}

/// What became of the values of a source function in the function under construction.
#[derive(Clone)]
pub(super) struct Env(Vec<Option<ValueId>>);

impl Env {
    pub(super) fn new(source: &Func) -> Self {
        Env(vec![None; source.types.len()])
    }

    pub(super) fn find(&self, v: ValueId) -> Option<ValueId> {
        self.0[v.0 as usize]
    }

    pub(super) fn get(&self, v: ValueId) -> ValueId {
        self.find(v).unwrap_or_else(|| panic!("{v:?} has no counterpart yet"))
    }

    pub(super) fn get_all(&self, values: &[ValueId]) -> Vec<ValueId> {
        values.iter().map(|&v| self.get(v)).collect()
    }

    pub(super) fn set(&mut self, v: ValueId, new: ValueId) {
        self.0[v.0 as usize] = Some(new);
    }

    pub(super) fn set_all(&mut self, values: &[ValueId], new: &[ValueId]) {
        for (&v, &n) in values.iter().zip(new) {
            self.set(v, n);
        }
    }

    pub(super) fn replace(&mut self, v: ValueId, new: Option<ValueId>) -> Option<ValueId> {
        std::mem::replace(&mut self.0[v.0 as usize], new)
    }
}

/// Adds copies of parameters to the innermost open body.
pub(super) fn copy_params(b: &mut Builder, source: &Func, params: &[ValueId], env: &mut Env) {
    for &p in params {
        let param = b.param(source.ty(p).clone(), source.note(p).clone());
        env.set(p, param);
    }
}

/// Replaces every dimension of a function.
pub(super) fn rename_dims(f: &mut Func, rename: &impl Fn(Dim) -> Dim) {
    for dim in f.types.iter_mut().flat_map(|ty| &mut ty.dims) {
        *dim = rename(*dim);
    }
    rename_in(&mut f.body, rename);
}

fn rename_in(body: &mut Body, rename: &impl Fn(Dim) -> Dim) {
    for stmt in &mut body.stmts {
        stmt.op = stmt.op.with_dims(rename);
        for nested in &mut stmt.bodies {
            rename_in(nested, rename);
        }
    }
}
