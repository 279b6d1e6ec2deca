//! Structured control flow: loops and branches whose bodies are regions of the statement.

use super::{exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Body, Control, Elem, Func, Type};

impl Control {
    /// Type rule, see [`Control`]; the bodies themselves have been checked.
    pub(super) fn infer(&self, func: &Func, types: &[&Type], bodies: &[Body]) -> Result<Vec<Type>, TypeError> {
        match self {
            Control::For { trip, .. } => {
                let [body] = bodies else { return mismatch("a loop has one body") };
                let Some((&i, carried)) = body.params.split_first() else {
                    return mismatch("the body of a loop has the index as its first parameter");
                };
                if *func.ty(i) != Type::scalar(Elem::Usize) {
                    return mismatch("the index of a loop is a usize scalar");
                }
                if !carried.iter().map(|&c| func.ty(c)).eq(types.iter().copied()) {
                    return mismatch("initial values and carried parameters differ in number or type");
                }
                if body.results.len() < types.len() {
                    return mismatch("the body of a loop gives back every carried value");
                }
                let (next, stacked) = body.results.split_at(types.len());
                if let Some(k) = (0..types.len()).find(|&k| func.ty(next[k]) != types[k]) {
                    return mismatch(format!("carried value {k} changes its type from {:?} to {:?}", types[k], func.ty(next[k])));
                }
                let mut out: Vec<Type> = types.iter().map(|&t| t.clone()).collect();
                for &s in stacked {
                    let ty = func.ty(s);
                    let mut dims = vec![*trip];
                    dims.extend(&ty.dims);
                    out.push(ty.with_dims(dims));
                }
                Ok(out)
            }
            Control::If => {
                let [cond] = exactly(types)?;
                let [then, otherwise] = bodies else { return mismatch("a branch has two bodies") };
                if *cond != Type::scalar(Elem::Bool) {
                    return mismatch("the condition of a branch is a bool scalar");
                }
                if !then.params.is_empty() || !otherwise.params.is_empty() {
                    return mismatch("the bodies of a branch have no parameters");
                }
                let types = |body: &Body| body.results.iter().map(|&r| func.ty(r).clone()).collect::<Vec<_>>();
                let (a, b) = (types(then), types(otherwise));
                if a != b {
                    return mismatch(format!("the two bodies of a branch give {a:?} and {b:?}"));
                }
                Ok(a)
            }
            Control::While => {
                let [condition, turn] = bodies else { return mismatch("a `while` loop has two bodies") };
                for body in bodies {
                    if !body.params.iter().map(|&p| func.ty(p)).eq(types.iter().copied()) {
                        return mismatch("initial values and carried parameters differ in number or type");
                    }
                }
                let [holds] = condition.results[..] else { return mismatch("the first body of a `while` loop gives its condition") };
                if *func.ty(holds) != Type::scalar(Elem::Bool) {
                    return mismatch("the condition of a `while` loop is a bool scalar");
                }
                if !turn.results.iter().map(|&r| func.ty(r)).eq(types.iter().copied()) {
                    return mismatch("a carried value changes its type, or is not given back");
                }
                Ok(types.iter().map(|&t| t.clone()).collect())
            }
            Control::Check { .. } => {
                let [holds] = exactly(types)?;
                if *holds != Type::scalar(Elem::Bool) || !bodies.is_empty() {
                    return mismatch("a check takes a bool scalar");
                }
                Ok(Vec::new())
            }
        }
    }
}
