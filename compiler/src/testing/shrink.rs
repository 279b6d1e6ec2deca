//! Makes a program on which a test fails smaller, as long as it still fails.
//!
//! The steps are those that a person would try: leave out a result or a parameter, put an operand or a literal where a statement was, one side where
//! a branch was, shorten the axes, round the arguments. A step is kept if the program is well formed, can be evaluated, weighs less, and
//! still fails.

use super::Program;
use crate::ir::eval::{Data, Tensor, eval};
use crate::ir::verify::verify;
use crate::ir::{Body, Control, Dim, DimId, Elem, Func, Literal, Note, Op, Shape, Stmt, Type, ValueId};
use crate::optimize::dead::dead;

/// The smallest program that the steps lead to from a failing one.
pub fn shrink(program: &Program, fails: &dyn Fn(&Program) -> bool) -> Program {
    let mut current = program.clone();
    while let Some(smaller) = step(&current, fails) {
        current = smaller;
    }
    current
}

/// A smaller program that fails, if a step leads to one. The steps are tried from the largest to the smallest.
fn step(p: &Program, fails: &dyn Fn(&Program) -> bool) -> Option<Program> {
    let limit = weight(p);
    let accept = |p: Program| (weight(&p) < limit && is_sound(&p) && fails(&p)).then_some(p);
    let results = (0..p.func.results().len()).filter(|_| p.func.results().len() > 1).map(|k| without_result(p, k));
    let earlier = (0..p.func.results().len()).flat_map(|k| earlier_results(p, k));
    let stmts = (0..p.func.n_stmts()).flat_map(|k| replacements(p, k));
    let params = (0..p.func.n_params()).filter_map(|k| without_param(p, k));
    let lens = (0..p.func.dims.len()).filter_map(|k| shortened(p, DimId(k as u32)));
    let values = (0..p.args.len()).map(|k| rounded(p, k));
    results.chain(earlier).chain(stmts).chain(params).chain(lens).chain(values).find_map(accept)
}

fn is_sound(p: &Program) -> bool {
    verify(&p.func).is_ok() && eval(&p.func, &p.args).is_ok_and(|results| results.iter().flat_map(Tensor::to_f64).all(f64::is_finite))
}

/// What a reader has to look at. Literals and their repetitions weigh little, so that they can stand for anything else.
fn weight(p: &Program) -> usize {
    let mut sum = 5 * (p.func.n_params() + p.func.results().len());
    p.func.body.walk(&mut |stmt| {
        sum += match &stmt.op {
            Op::Const(..) | Op::Shape(Shape::Broadcast { .. }) => 1,
            Op::Control(_) => 20,
            Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Shape(_) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) => 10,
        } + stmt.outs.len();
    });
    let elements = p.args.iter().flat_map(Tensor::to_f64);
    sum + elements.map(|x| if (2.0 * x).fract() == 0.0 { 1 } else { 2 }).sum::<usize>()
}

fn with_func(p: &Program, func: &Func) -> Program {
    Program::new(dead(func), p.args.clone())
}

fn without_result(p: &Program, k: usize) -> Program {
    let mut func = p.func.clone();
    func.body.results.remove(k);
    with_func(p, &func)
}

/// The program with an operand in the place of what is computed from it as a result.
fn earlier_results(p: &Program, k: usize) -> Vec<Program> {
    let result = p.func.results()[k];
    let Some(stmt) = p.func.body.stmts.iter().find(|s| s.outs.contains(&result)) else { return Vec::new() };
    let floats = stmt.args.iter().filter(|&&a| p.func.ty(a).elem.is_float());
    let with_result = |&a: &ValueId| {
        let mut func = p.func.clone();
        func.body.results[k] = a;
        with_func(p, &func)
    };
    floats.map(with_result).collect()
}

/// The program without a parameter that nothing uses; the verifier finds out whether a dimension is lost with it.
fn without_param(p: &Program, k: usize) -> Option<Program> {
    let param = p.func.params()[k];
    let mut used = p.func.results().contains(&param);
    p.func.body.walk(&mut |stmt| used |= stmt.args.contains(&param) || stmt.bodies.iter().any(|b| b.results.contains(&param)));
    if used {
        return None;
    }
    let (mut func, mut args) = (p.func.clone(), p.args.clone());
    func.body.params.remove(k);
    args.remove(k);
    Some(Program::new(func, args))
}

/// The program with arguments whose axes of one dimension are shorter by one position.
fn shortened(p: &Program, dim: DimId) -> Option<Program> {
    let mut found = false;
    let cut = |(param, arg): (&ValueId, &Tensor)| {
        let mut arg = arg.clone();
        for (axis, d) in p.func.ty(*param).dims.iter().enumerate() {
            if *d == Dim::Sym(dim) {
                if arg.shape[axis] == 0 {
                    return None;
                }
                found = true;
                arg = without_last(&arg, axis);
            }
        }
        Some(arg)
    };
    let args: Option<Vec<Tensor>> = p.func.params().iter().zip(&p.args).map(cut).collect();
    Some(Program { args: args?, ..p.clone() }).filter(|_| found)
}

fn without_last(t: &Tensor, axis: usize) -> Tensor {
    let inner: usize = t.shape[axis + 1..].iter().product();
    let len = t.shape[axis];
    let places: Vec<usize> = (0..t.data.len()).filter(|p| p / inner % len + 1 < len).collect();
    let mut shape = t.shape.clone();
    shape[axis] -= 1;
    t.gather(shape, &places)
}

/// The program with one argument rounded to halves, but not to zero.
fn rounded(p: &Program, k: usize) -> Program {
    let round = |x: f64| if x.abs() < 0.5 { 0.5 } else { (2.0 * x).round() / 2.0 };
    let mut args = p.args.clone();
    match &mut args[k].data {
        Data::F64(x) => x.iter_mut().for_each(|x| *x = round(*x)),
        Data::F32(x) => x.iter_mut().for_each(|x| *x = round(f64::from(*x)) as f32),
        Data::Int(..) | Data::Bool(_) => (),
    }
    Program { args, ..p.clone() }
}

/// What may stand where the `k`-th statement stands: each result replaced by an operand of its type, or all by literals; a branch by either side.
fn replacements(p: &Program, k: usize) -> Vec<Program> {
    let mut stmt = None;
    let mut n = 0;
    p.func.body.walk(&mut |s| {
        if n == k {
            stmt = Some(s);
        }
        n += 1;
    });
    let Some(stmt) = stmt else { return Vec::new() };
    let mut out = Vec::new();
    for &result in &stmt.outs {
        for &other in stmt.args.iter().filter(|&&a| p.func.ty(a) == p.func.ty(result)) {
            let mut func = p.func.clone();
            replace_uses(&mut func.body, result, other);
            out.push(with_func(p, &func));
        }
    }
    for side in stmt.bodies.iter().filter(|_| matches!(stmt.op, Op::Control(Control::If))) {
        let mut func = p.func.clone();
        put(&mut func.body, stmt, side.stmts.clone());
        for (&out, &result) in stmt.outs.iter().zip(&side.results) {
            replace_uses(&mut func.body, out, result);
        }
        out.push(with_func(p, &func));
    }
    let mut func = p.func.clone();
    let literals: Vec<Stmt> = stmt.outs.iter().flat_map(|&out| literal(&mut func, out)).collect();
    put(&mut func.body, stmt, literals);
    out.push(with_func(p, &func));
    out
}

fn replace_uses(body: &mut Body, from: ValueId, to: ValueId) {
    let swap = |values: &mut Vec<ValueId>| values.iter_mut().filter(|v| **v == from).for_each(|v| *v = to);
    for stmt in &mut body.stmts {
        swap(&mut stmt.args);
        for nested in &mut stmt.bodies {
            replace_uses(nested, from, to);
        }
    }
    swap(&mut body.results);
}

/// Replaces a statement, wherever it stands.
fn put(body: &mut Body, old: &Stmt, new: Vec<Stmt>) {
    if let Some(at) = body.stmts.iter().position(|s| s == old) {
        body.stmts.splice(at..=at, new);
        return;
    }
    for nested in body.stmts.iter_mut().flat_map(|s| &mut s.bodies) {
        put(nested, old, new.clone());
    }
}

/// Statements that define a value as a literal repeated to its shape.
fn literal(func: &mut Func, out: ValueId) -> Vec<Stmt> {
    let ty = func.ty(out).clone();
    let literal = match ty.elem {
        Elem::F64 | Elem::F32 | Elem::Generic(_) => Literal::Float(0.5),
        Elem::Usize | Elem::I64 => Literal::Int(0),
        Elem::Bool => Literal::Bool(true),
    };
    let constant = |out| Stmt { outs: vec![out], op: Op::Const(ty.elem, literal), args: Vec::new(), bodies: Vec::new() };
    if ty.rank() == 0 {
        return vec![constant(out)];
    }
    let scalar = ValueId(func.types.len() as u32);
    func.types.push(Type::scalar(ty.elem));
    func.notes.push(Note::default());
    let op = Shape::Broadcast { axes: Vec::new(), dims: ty.dims };
    vec![constant(scalar), Stmt { outs: vec![out], op: op.into(), args: vec![scalar], bodies: Vec::new() }]
}

#[cfg(test)]
mod tests {
    use super::shrink;
    use crate::ir::{Control, Elementwise, Op};
    use crate::optimize::dead::dead;
    use crate::testing::{Limits, Program, program, regression};

    #[test]
    fn what_the_failure_does_not_need_goes() {
        let has = |p: &Program, wanted: &dyn Fn(&Op) -> bool| {
            let mut found = false;
            dead(&p.func).body.walk(&mut |stmt| found |= wanted(&stmt.op));
            found
        };
        let fails = |p: &Program| {
            has(p, &|op| matches!(op, Op::Control(Control::For { .. } | Control::If)))
                && has(p, &|op| *op == Op::Elementwise(Elementwise::Tanh))
        };
        let programs = (0..400).map(|seed| program(seed, &Limits::of_seed(seed, 8))).filter(|p| fails(p));
        for p in programs.take(5) {
            let small = shrink(&p, &fails);
            assert!(fails(&small) && small.func.n_stmts() * 2 <= p.func.n_stmts().max(32), "{}", small.func);
            let again = regression::read(&regression::write(&small));
            assert_eq!((regression::write(&again), &again.args), (regression::write(&small), &small.args));
        }
    }
}
