//! The derivatives of calls: rules in the place of the function's body.

use std::cell::OnceCell;
use std::rc::Rc;

use super::copy::{Env, copy_params, inline};
use super::{DeriveError, checked, grad, has_symmetric_hessian, jvp};
use crate::ir::call::match_dims;
use crate::ir::{Body, Builder, Call, CallPart, Dim, DimId, Func, Note, Op, Opaque, Stmt, Type, ValueId};
use crate::ops::Operand;
use crate::optimize::optimize;

/// Which way a tangent goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// It is computed.
    Forward,
    /// It is transposed.
    Reverse,
}

/// The tangents of the results of a call, for tangents of the operands of which at least one is there.
pub(super) fn tangents(b: &mut Builder, call: &Call, args: &[ValueId], dots: &[Option<ValueId>], mode: Mode) -> Vec<Option<ValueId>> {
    let mut operands = args.to_vec();
    for k in call.function.float_params() {
        let dot = match dots[k] {
            Some(dot) => dot,
            None => {
                let ty = b.ty(args[k]).clone();
                b.zeros(&ty)
            }
        };
        operands.push(dot);
    }
    let rule = match (mode, call.function.jvp.get(), call.function.vjp.get()) {
        // The rule of reverse mode comes in when this is transposed.
        (Mode::Reverse, _, Some(_)) | (Mode::Forward, None, _) => None,
        (Mode::Forward | Mode::Reverse, jvp, _) => jvp,
    };
    let outs = match rule {
        Some(jvp) => by_rule(b, jvp, &operands),
        None => b.stmt(Call { part: CallPart::Tangent, ..call.clone() }, &operands, Vec::new()),
    };
    outs.into_iter().map(Some).collect()
}

/// The shares of the operands of a [`CallPart::Tangent`] in the cotangents of its results.
pub(super) fn shares(b: &mut Builder, call: &Call, args: &[Operand], types: &[Type], bars: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
    let n = call.function.params.len();
    let mut operands: Vec<ValueId> = args[..n].iter().map(|arg| arg.known().expect("the point of a derivative is known")).collect();
    for (bar, ty) in bars.iter().zip(types) {
        operands.push(bar.unwrap_or_else(|| b.zeros(ty)));
    }
    let vjp = call.function.vjp.get().expect("a tangent that is transposed has a rule for it");
    let cotangents = by_rule(b, vjp, &operands);
    let linear = call.linear_tangents(args);
    let mut shares = vec![None; n];
    shares.extend(cotangents.into_iter().enumerate().map(|(k, bar)| linear.contains(&k).then_some(bar)));
    shares
}

/// The statements of a rule, which has dimensions of its own.
fn by_rule(b: &mut Builder, rule: &Func, args: &[ValueId]) -> Vec<ValueId> {
    let params: Vec<Type> = rule.param_types().cloned().collect();
    let types: Vec<Type> = args.iter().map(|&a| b.ty(a).clone()).collect();
    let given = match_dims(&params, &types.iter().collect::<Vec<_>>()).expect("the operands have the types of the call's");
    let dims: Vec<Dim> = (0..rule.dims.len())
        .map(|k| {
            let own = Dim::Sym(DimId(k as u32));
            let of_params = params.iter().any(|ty| ty.dims.contains(&own));
            if of_params { given(own) } else { Dim::Sym(b.dim(&rule.dims[k].name)) }
        })
        .collect();
    inline(b, rule, args, &dims)
}

/// Fails if a function computes the tangent of a call, for which there is no rule.
pub(super) fn refuse_tangents_of_calls(f: &Func) -> Result<(), DeriveError> {
    let mut found = None;
    f.body.walk(&mut |stmt| {
        if let Op::Call(Call { function, part: CallPart::Tangent }) = &stmt.op
            && found.is_none()
        {
            found = Some((function.name.clone(), stmt.outs.first().map(|&v| f.note(v).clone())));
        }
    });
    match found {
        None => Ok(()),
        Some((name, note)) => {
            let why = format!(
                "forward mode, which second derivatives need too, goes through `{name}`, whose only rule gives cotangents; add a rule that gives tangents"
            );
            Err(DeriveError::new(&note.unwrap_or_else(Note::default), why))
        }
    }
}

/// The gradient of `f` in the parameters `wrt` as a function that can be kept as one operation: its results are the gradients, and its rule of reverse mode is a
/// single pass forward over reverse. For cotangents `u` of the gradients that pass gives `d/dε ∇f(w + εu)`, the products of `u` with the rows of the
/// Hessian, which are the cotangents wherever the Hessian is symmetric (Kemaev et al., *Scalable meta-learning via mixed-mode differentiation*, 2025). `None` where
/// it may not be, or where not all parameters can be differentiated; `id` tells the function from all others.
///
/// # Errors
/// [`DeriveError`] as for [`grad`].
///
/// # Panics
/// As [`grad`].
pub fn kept_gradient(f: &Func, wrt: &[usize], id: String) -> Result<Option<Opaque>, DeriveError> {
    let mut body = grad(f, wrt)?;
    body.body.results.remove(0);
    body = optimize(&body);
    let floats: Vec<usize> = (0..f.params().len()).filter(|&k| f.ty(f.params()[k]).elem.is_float()).collect();
    let rows = match grad(f, &floats) {
        Ok(rows) if has_symmetric_hessian(f) => rows,
        Ok(_) | Err(_) => return Ok(None),
    };
    let mut products = jvp(&rows, wrt)?;
    // The results are the value, the gradients, and the tangents of both.
    products.body.results.drain(..floats.len() + 2);
    let vjp = OnceCell::from(optimize(&products));
    let types = |values: &[ValueId], of: &Func| values.iter().map(|&v| of.ty(v).clone()).collect();
    let (params, results) = (types(body.params(), &body), types(body.results(), &body));
    let name = body.name.clone();
    Ok(Some(Opaque { id, name, symbol: String::new(), body: Some(body), params, results, jvp: OnceCell::new(), vjp }))
}

/// `f` with the bodies of functions that have one in the place of their calls.
pub fn expand(f: &Func) -> Func {
    let mut b = Builder::with_dims_of(f.name.clone(), f);
    let mut env = Env::new(f);
    copy_params(&mut b, f, f.params(), &mut env);
    for stmt in &f.body.stmts {
        expand_stmt(&mut b, f, stmt, &mut env);
    }
    let results = env.get_all(f.results());
    optimize(&checked(b.finish(results), "expand"))
}

fn expand_stmt(b: &mut Builder, f: &Func, stmt: &Stmt, env: &mut Env) {
    let args = env.get_all(&stmt.args);
    let outs = match body_of(&stmt.op) {
        Some(body) => {
            let outs = by_rule(b, body, &args);
            for (&out, &new) in stmt.outs.iter().zip(&outs) {
                b.set_note(new, f.note(out).clone());
            }
            outs
        }
        None => {
            let bodies = stmt.bodies.iter().map(|nested| expand_body(b, f, nested, env)).collect();
            b.copy_stmt(f, stmt, &args, bodies)
        }
    };
    env.set_all(&stmt.outs, &outs);
}

fn expand_body(b: &mut Builder, f: &Func, body: &Body, env: &mut Env) -> Body {
    b.open();
    copy_params(b, f, &body.params, env);
    for stmt in &body.stmts {
        expand_stmt(b, f, stmt, env);
    }
    b.close(env.get_all(&body.results))
}

/// The body of the function that an operation calls for its value.
fn body_of(op: &Op) -> Option<&Func> {
    match op {
        Op::Call(Call { function, part: CallPart::Value }) => Rc::as_ref(function).body.as_ref(),
        Op::Call(Call { part: CallPart::Tangent, .. })
        | Op::Const(..)
        | Op::Elementwise(_)
        | Op::Reduce(_)
        | Op::Einsum(_)
        | Op::Shape(_)
        | Op::Index(_)
        | Op::Linalg(_)
        | Op::Control(_) => None,
    }
}
