//! Optimising passes: IR to IR, with the same meaning.
//!
//! [`optimize`] runs them until nothing changes. Each pass is also a public function of its own file, and gives correct IR whatever the others did:
//! [`simplify`](simplify::simplify), [`share`](share::share), [`hoist`](hoist::hoist), [`dead`](dead::dead).
//!
//! What "the same meaning" is: results are equal, except for the licences that [`simplify`] lists; where the original fails at run time (an index out
//! of range, integer overflow) the optimised function may give a result instead, and it never fails where the original does not.

pub mod dead;
pub mod hoist;
pub mod share;
pub mod simplify;

#[cfg(test)]
mod testing;

use crate::ir::Func;
use crate::ir::text::same;
use crate::ir::verify::debug_verify;

/// Every round makes the function smaller or moves something outwards, so that few are needed; the bound is for the case of a rule
/// that undoes another.
const MAX_ROUNDS: usize = 20;

/// A function with the same parameters and results that does less. Verified after each pass in debug builds.
pub fn optimize(f: &Func) -> Func {
    type Pass = fn(&Func) -> Func;
    let passes: [(&str, Pass); 4] =
        [("simplify", simplify::simplify), ("share", share::share), ("hoist", hoist::hoist), ("dead", dead::dead)];
    debug_verify(f, "what came before `optimize`");
    let mut current = dead::dead(f);
    for _ in 0..MAX_ROUNDS {
        let mut next = current.clone();
        for (name, pass) in passes {
            next = pass(&next);
            debug_verify(&next, name);
        }
        if same(&next, &current) {
            break;
        }
        current = next;
    }
    current
}
