//! Optimising passes: IR to IR, with the same meaning.
//!
//! [`optimize`] runs them until nothing changes. Each pass is also a public function of its own file, and gives correct IR whatever the others did:
//! [`simplify`](simplify::simplify), [`share`](share::share), [`hoist`](hoist::hoist), [`dead`](dead::dead).
//!
//! What "the same meaning" is: results are equal, except for the licences that [`simplify`] lists; where the original fails at run time (an index out
//! of range, integer overflow) the optimised function may give a result instead, and it never fails where the original does not.

pub mod dead;
mod hash;
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
    type Pass = fn(&mut Func) -> bool;
    let in_place: [(&str, Pass); 3] = [("share", share::share_in_place), ("hoist", hoist::hoist_in_place), ("dead", dead::dead_in_place)];
    debug_verify(f, "what came before `optimize`");
    let mut current = dead::dead(f);
    for _ in 0..MAX_ROUNDS {
        let simplified = simplify::simplify(&current);
        let mut changed = !same(&simplified, &current);
        if changed {
            debug_verify(&simplified, "simplify");
        }
        current = simplified;
        for (name, pass) in in_place {
            if pass(&mut current) {
                changed = true;
                debug_verify(&current, name);
            }
        }
        if !changed {
            break;
        }
    }
    current
}
