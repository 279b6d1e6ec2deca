//! Whether a result can depend on a parameter in a way that derivatives see.

use std::collections::HashSet;

use crate::ir::{Body, Control, Func, Op, ValueId};

/// Whether there is a path of float values from a parameter to a result of `func`.
pub fn depends_on(func: &Func, param: ValueId) -> bool {
    let mut reached = HashSet::from([param]);
    spread(func, &func.body, &mut reached);
    func.results().iter().any(|r| reached.contains(r))
}

/// Adds the float results of all statements that use a reached value. Loops are gone through until nothing is added.
fn spread(func: &Func, body: &Body, reached: &mut HashSet<ValueId>) {
    for stmt in &body.stmts {
        if stmt.bodies.is_empty() {
            if stmt.args.iter().any(|a| reached.contains(a)) {
                reached.extend(stmt.outs.iter().filter(|&&o| func.ty(o).elem.is_float()));
            }
            continue;
        }
        loop {
            let before = reached.len();
            for nested in &stmt.bodies {
                // A `for` loop's parameters are its index and what it carries; a branch has none.
                let n_others = usize::from(matches!(stmt.op, Op::Control(Control::For { .. })));
                for (param, arg) in nested.params.iter().skip(n_others).zip(&stmt.args) {
                    if reached.contains(arg) {
                        reached.insert(*param);
                    }
                }
                spread(func, nested, reached);
                for (k, result) in nested.results.iter().enumerate() {
                    if reached.contains(result) {
                        reached.insert(stmt.outs[k]);
                        reached.extend(nested.params.get(k + n_others));
                    }
                }
            }
            if reached.len() == before {
                break;
            }
        }
    }
}
