//! A proof from the structure of a function that it is linear in some of its parameters.

use super::{DeriveError, check_wrt};
use crate::ir::{Body, Call, CallPart, Control, Elementwise, Func, Index, Linalg, Literal, Note, Op, Reduce, Shape, Stmt, ValueId};

/// How a value depends on the parameters in question, the others being held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A linear function of zeros that were made as such. Fits wherever a linear value does.
    Zero,
    /// Does not depend on them.
    Constant,
    /// A linear function of them.
    Linear,
}

/// Proves that every float result of `f` is a linear function of the parameters at the positions `linear` jointly, the others being held.
///
/// # Errors
/// [`DeriveError`] at the first statement that does not allow the proof.
///
/// # Panics
/// If `linear` is not an ascending list of positions of float parameters.
pub fn linearity(f: &Func, linear: &[usize]) -> Result<(), DeriveError> {
    check_wrt(f, linear);
    let mut proof = Proof { f, kinds: vec![Kind::Constant; f.types.len()] };
    for &k in linear {
        proof.set(f.params()[k], Kind::Linear);
    }
    proof.stmts(&f.body)?;
    for &r in f.results() {
        if f.ty(r).elem.is_float() && proof.kind(r) == Kind::Constant {
            return Err(not_linear(f.note(r), "a result that does not depend on the tangents is not linear in them"));
        }
    }
    Ok(())
}

fn not_linear(note: &Note, why: &str) -> DeriveError {
    DeriveError::new(note, format!("not a linear function: {why}"))
}

struct Proof<'f> {
    f: &'f Func,
    kinds: Vec<Kind>,
}

impl Proof<'_> {
    fn kind(&self, v: ValueId) -> Kind {
        self.kinds[v.0 as usize]
    }

    fn set(&mut self, v: ValueId, kind: Kind) {
        self.kinds[v.0 as usize] = kind;
    }

    fn stmts(&mut self, body: &Body) -> Result<(), DeriveError> {
        for stmt in &body.stmts {
            match &stmt.op {
                Op::Control(Control::For { .. }) => self.run_loop(stmt)?,
                Op::Control(Control::If) => self.branch(stmt)?,
                Op::Control(Control::While) => self.run_while(stmt)?,
                Op::Control(Control::Check { .. }) => {
                    if self.kind(stmt.args[0]) == Kind::Linear {
                        return Err(not_linear(self.f.note(stmt.args[0]), "a check depends on the tangents"));
                    }
                }
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => self.simple(stmt)?,
            }
        }
        Ok(())
    }

    fn simple(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let kinds: Vec<Kind> = stmt.args.iter().map(|&a| self.kind(a)).collect();
        let note = stmt.outs.first().or(stmt.args.first()).map(|&v| self.f.note(v).clone()).unwrap_or_default();
        let kind = combine(&stmt.op, &kinds).map_err(|why| not_linear(&note, why))?;
        for &out in &stmt.outs {
            self.set(out, kind);
        }
        Ok(())
    }

    fn run_loop(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let body = &stmt.bodies[0];
        let carried = &body.params[1..];
        for (&p, &init) in carried.iter().zip(&stmt.args) {
            self.set(p, self.kind(init));
        }
        // Kinds only move from zero to the others, so that this ends.
        loop {
            self.stmts(body)?;
            let mut settled = true;
            for (&p, &next) in carried.iter().zip(&body.results) {
                let merged = self.merge(self.kind(p), self.kind(next), p)?;
                settled &= merged == self.kind(p);
                self.set(p, merged);
            }
            if settled {
                break;
            }
        }
        for (&out, &r) in stmt.outs.iter().zip(&body.results) {
            self.set(out, self.kind(r));
        }
        for (&out, &p) in stmt.outs.iter().zip(carried) {
            self.set(out, self.kind(p));
        }
        Ok(())
    }

    /// A `while` loop cannot be turned around, so nothing in it may be linear.
    fn run_while(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let mut kinds: Vec<Kind> = stmt.args.iter().map(|&a| self.kind(a)).collect();
        loop {
            for body in &stmt.bodies {
                for (&p, &kind) in body.params.iter().zip(&kinds) {
                    self.set(p, kind);
                }
                self.stmts(body)?;
            }
            let turn = &stmt.bodies[1];
            let mut settled = true;
            for ((kind, &p), &next) in kinds.iter_mut().zip(&turn.params).zip(&turn.results) {
                let merged = self.merge(*kind, self.kind(next), p)?;
                settled &= merged == *kind;
                *kind = merged;
            }
            if settled {
                break;
            }
        }
        for (&out, &kind) in stmt.outs.iter().zip(&kinds) {
            if kind == Kind::Linear {
                return Err(DeriveError::unbounded_loop(self.f.note(out)));
            }
            self.set(out, kind);
        }
        Ok(())
    }

    fn branch(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        for body in &stmt.bodies {
            self.stmts(body)?;
        }
        for (k, &out) in stmt.outs.iter().enumerate() {
            let [then, otherwise] = [0, 1].map(|body: usize| self.kind(stmt.bodies[body].results[k]));
            let merged = self.merge(then, otherwise, out)?;
            self.set(out, merged);
        }
        Ok(())
    }

    /// The kind of a value that is either of two.
    fn merge(&self, p: Kind, q: Kind, place: ValueId) -> Result<Kind, DeriveError> {
        match (p, q) {
            (Kind::Linear, Kind::Constant) | (Kind::Constant, Kind::Linear) => {
                Err(not_linear(self.f.note(place), "a value is linear in one case and constant in the other"))
            }
            (Kind::Linear, _) | (_, Kind::Linear) => Ok(Kind::Linear),
            (Kind::Constant, _) | (_, Kind::Constant) => Ok(Kind::Constant),
            (Kind::Zero, Kind::Zero) => Ok(Kind::Zero),
        }
    }
}

/// The kind of an operation's result, or why there is none.
fn combine(op: &Op, kinds: &[Kind]) -> Result<Kind, &'static str> {
    use Elementwise as E;
    match op {
        Op::Const(_, Literal::Float(0.0)) => Ok(Kind::Zero),
        Op::Const(..) => Ok(Kind::Constant),
        Op::Elementwise(op) => match op {
            E::Neg | E::Cast(_) => Ok(kinds[0]),
            E::Add | E::Sub => sum(kinds[0], kinds[1]),
            E::Mul => product(kinds),
            E::Div => coefficient(&kinds[1..]).and(product(kinds)),
            E::Select => coefficient(&kinds[..1]).and(sum(kinds[1], kinds[2])),
            E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Erf
            | E::Abs
            | E::Sign
            | E::Relu
            | E::Floor
            | E::StopGradient
            | E::Powi(_)
            | E::Rem
            | E::Powf
            | E::Atan2
            | E::Max
            | E::Min
            | E::Lt
            | E::Le
            | E::Eq
            | E::Ne
            | E::And
            | E::Or
            | E::Not => coefficient(kinds),
        },
        Op::Reduce(Reduce::Sum { .. }) => Ok(kinds[0]),
        Op::Reduce(
            Reduce::Prod { .. }
            | Reduce::Max { .. }
            | Reduce::Min { .. }
            | Reduce::LogSumExp { .. }
            | Reduce::ArgMax { .. }
            | Reduce::ArgMin { .. },
        ) => coefficient(kinds),
        Op::Einsum(_) => product(kinds),
        Op::Shape(shape) => match shape {
            Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. } => Ok(kinds[0]),
            Shape::Unfold { .. } | Shape::Fold { .. } => Ok(kinds[0]),
            Shape::Concat { .. } => kinds[1..].iter().try_fold(kinds[0], |all, &kind| sum(all, kind)),
            Shape::Iota { .. } | Shape::DimSize { .. } | Shape::BindDim { .. } => coefficient(kinds),
        },
        Op::Index(index) => match index {
            Index::Read(_) | Index::Gather { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. } => {
                coefficient(&kinds[1..]).and(Ok(kinds[0]))
            }
            Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. } => {
                let v = kinds.len() - 1;
                coefficient(&kinds[1..v]).and(sum(kinds[0], kinds[v]))
            }
        },
        Op::Linalg(linalg) => match linalg {
            Linalg::LuSolve { .. } => coefficient(&kinds[..3]).and(Ok(kinds[3])),
            Linalg::SolveTriangular(_) => coefficient(&kinds[..1]).and(Ok(kinds[1])),
            Linalg::Lu | Linalg::LogDet | Linalg::Cholesky | Linalg::Eigh => coefficient(kinds),
        },
        Op::Call(Call { part: CallPart::Value, .. }) => coefficient(kinds),
        Op::Call(Call { function, part: CallPart::Tangent }) => {
            let (point, dots) = kinds.split_at(function.params.len());
            coefficient(point)?;
            dots.iter().try_fold(Kind::Zero, |so_far, &dot| sum(so_far, dot))
        }
        Op::Control(_) => unreachable!("control flow is handled by the proof"),
    }
}

/// Operands that must not depend on the parameters.
fn coefficient(kinds: &[Kind]) -> Result<Kind, &'static str> {
    if kinds.contains(&Kind::Linear) { Err("this operation is not linear in this operand") } else { Ok(Kind::Constant) }
}

fn sum(p: Kind, q: Kind) -> Result<Kind, &'static str> {
    match (p, q) {
        (Kind::Zero, kind) | (kind, Kind::Zero) => Ok(kind),
        (Kind::Constant, Kind::Constant) => Ok(Kind::Constant),
        (Kind::Linear, Kind::Linear) => Ok(Kind::Linear),
        (Kind::Linear, Kind::Constant) | (Kind::Constant, Kind::Linear) => Err("the sum of a linear and a constant value"),
    }
}

fn product(kinds: &[Kind]) -> Result<Kind, &'static str> {
    match kinds.iter().filter(|&&k| k == Kind::Linear).count() {
        0 if kinds.contains(&Kind::Zero) => Ok(Kind::Zero),
        0 => Ok(Kind::Constant),
        1 => Ok(Kind::Linear),
        _ => Err("the product of two linear values"),
    }
}
