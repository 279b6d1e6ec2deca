//! The derivatives of calls: rules of the user's in the place of the function's body.

use super::DeriveError;
use super::copy::inline;
use crate::ir::call::match_dims;
use crate::ir::{Builder, Call, CallPart, Dim, DimId, Func, Note, Op, Type, ValueId};
use crate::ops::Operand;

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
