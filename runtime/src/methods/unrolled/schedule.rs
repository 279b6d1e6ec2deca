//! Which states of an inner run are kept, and from which the others are made again.
//!
//! Reverse mode needs the states of all steps, last first. With `c` of them in memory, the least number of steps made again is that of binomial
//! checkpointing (Griewank and Walther, *Algorithm 799: revolve*, 2000). Other schedules are that one with enough memory, or made of it.

use std::fmt;

use crate::Error;

/// Which states of the inner run reverse mode keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Checkpoints {
    /// Every one: no step is made again.
    #[default]
    All,
    /// Every one of so many steps apart, and in reverse those of one block: `T/k + k` states for `T` steps in blocks of `k`, and at most `T` steps made
    /// again.
    Every(usize),
    /// [`Every`](Self::Every) `√T` steps: about `2√T` states.
    Sqrt,
    /// So many states, chosen so that the fewest steps are made again: the binomial schedule.
    Binomial(usize),
    /// So many states, for runs whose number of steps is not known before they end: states `2ᵏ` steps apart, where `k` grows as the memory fills, and
    /// the binomial schedule between them. Not optimal.
    Online(usize),
}

impl Checkpoints {
    /// Checks the number.
    pub(super) fn check(self) -> Result<(), Error> {
        let (setting, value) = match self {
            Checkpoints::All | Checkpoints::Sqrt => return Ok(()),
            Checkpoints::Every(n) => ("Checkpoints::Every", n),
            Checkpoints::Binomial(n) => ("Checkpoints::Binomial", n),
            Checkpoints::Online(n) => ("Checkpoints::Online", n),
        };
        if value == 0 { Err(Error::InvalidSetting { setting, value: 0.0, requirement: "at least 1" }) } else { Ok(()) }
    }
}

impl fmt::Display for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Checkpoints::All => f.write_str("all states kept"),
            Checkpoints::Every(1) => f.write_str("every state kept"),
            Checkpoints::Every(k) => write!(f, "every {k}th state kept"),
            Checkpoints::Sqrt => f.write_str("states kept √T steps apart"),
            Checkpoints::Binomial(c) => write!(f, "{c} states kept, binomial"),
            Checkpoints::Online(c) => write!(f, "{c} states kept, online"),
        }
    }
}

/// `⌈√n⌉`
fn block(n: usize) -> usize {
    let root = n.isqrt();
    if root * root < n { root + 1 } else { root.max(1) }
}

/// A run that a schedule walks through. It has a current state, and a stack of states that are kept.
pub(super) trait Run {
    /// Makes steps from the current state, at step `from`, to step `to`.
    fn advance(&mut self, from: usize, to: usize) -> Result<(), Error>;
    /// Puts the current state on the stack.
    fn keep(&mut self);
    /// Makes the state on top of the stack the current one; it stays there.
    fn restore(&mut self);
    /// Takes the state from the top of the stack.
    fn drop_top(&mut self);
    /// Takes a state out of the stack, counted from its bottom.
    fn remove(&mut self, position: usize);
    /// Whether the run ends before step `t`, at whose beginning the current state stands, for runs whose number of steps is not known; asked at every step of the first way through.
    fn has_ended(&mut self, t: usize) -> Result<bool, Error>;
    /// Goes back through step `t`, at whose beginning the current state stands. The first call is for the last step.
    fn back(&mut self, t: usize) -> Result<(), Error>;
}

/// Walks through the steps `0..n_steps` of a run and back, from its current state. Gives the number of steps made, which is less only where the run ends by
/// itself.
pub(super) fn there_and_back(checkpoints: Checkpoints, n_steps: usize, run: &mut impl Run) -> Result<(), Error> {
    match checkpoints {
        Checkpoints::All => {
            run.keep();
            binomial(run, 0, n_steps, n_steps)
        }
        Checkpoints::Binomial(c) => {
            run.keep();
            binomial(run, 0, n_steps, c)
        }
        Checkpoints::Sqrt => there_and_back(Checkpoints::Every(block(n_steps)), n_steps, run),
        Checkpoints::Every(k) => {
            let starts: Vec<usize> = (0..n_steps).step_by(k).collect();
            for (i, &start) in starts.iter().enumerate() {
                run.keep();
                if let Some(&next) = starts.get(i + 1) {
                    run.advance(start, next)?;
                }
            }
            for &start in starts.iter().rev() {
                let end = n_steps.min(start + k);
                binomial(run, start, end, end - start)?;
            }
            Ok(())
        }
        Checkpoints::Online(c) => online(run, n_steps, c),
    }
}

/// Goes back through the steps `lo..hi` with `c` states, of which that at `lo` is on top of the stack, and takes it from there.
fn binomial(run: &mut impl Run, lo: usize, hi: usize, c: usize) -> Result<(), Error> {
    let mut hi = hi;
    while hi - lo > 1 && c > 1 {
        let middle = split(lo, hi, c);
        run.restore();
        run.advance(lo, middle)?;
        run.keep();
        binomial(run, middle, hi, c - 1)?;
        hi = middle;
    }
    for t in (lo..hi).rev() {
        run.restore();
        if t > lo {
            run.advance(lo, t)?;
        }
        run.back(t)?;
    }
    run.drop_top();
    Ok(())
}

/// Where the next state is kept: the step that makes the least work, which is a convex function of it.
fn split(lo: usize, hi: usize, c: usize) -> usize {
    let work = |middle: usize| (middle - lo) as u128 + advances(hi - middle, c - 1) + advances(middle - lo, c);
    let (mut first, mut last) = (lo + 1, hi - 1);
    while first < last {
        let middle = usize::midpoint(first, last);
        if work(middle) <= work(middle + 1) {
            last = middle;
        } else {
            first = middle + 1;
        }
    }
    first
}

/// The least number of steps made on the way back through `n_steps` with `c` states, the first way through included and the steps under the adjoints
/// not: `t(T, c) = rT − β(c + 1, r − 1)` with the least `r` for which `β(c, r) = C(c + r, c) ≥ T`.
pub(super) fn advances(n_steps: usize, c: usize) -> u128 {
    let n = n_steps as u128;
    // β(c, 0) = 1, β(c, r) = β(c, r − 1) (c + r) / r. The products saturate far above every number of steps.
    let (mut r, mut reach, mut below) = (0_u128, 1_u128, 0_u128);
    while reach < n {
        r += 1;
        // β(c + 1, r − 1) is the sum of all β(c, ·) up to r − 1.
        below = below.saturating_add(reach);
        reach = reach.saturating_mul(c as u128 + r) / r;
    }
    (r * n).saturating_sub(below)
}

/// States `2ᵏ` steps apart on the way there, the binomial schedule between them on the way back.
fn online(run: &mut impl Run, n_steps: usize, c: usize) -> Result<(), Error> {
    let mut kept = vec![0];
    let (mut apart, mut at) = (1, 0);
    run.keep();
    while at < n_steps && !run.has_ended(at)? {
        run.advance(at, at + 1)?;
        at += 1;
        if at % apart != 0 {
            continue;
        }
        if kept.len() == c {
            apart *= 2;
            // From the end, so that positions before do not move.
            for position in (0..kept.len()).rev().filter(|&p| kept[p] % apart != 0).collect::<Vec<_>>() {
                kept.remove(position);
                run.remove(position);
            }
        }
        if at % apart == 0 && kept.len() < c {
            kept.push(at);
            run.keep();
        }
    }
    let mut end = at;
    while let Some(start) = kept.pop() {
        if start == end {
            run.drop_top();
            continue;
        }
        binomial(run, start, end, c - kept.len())?;
        end = start;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Checkpoints {
        /// The most states in memory at one time, for so many steps.
        fn n_slots(self, n_steps: usize) -> usize {
            match self {
                Checkpoints::All => n_steps,
                Checkpoints::Every(k) => n_steps.div_ceil(k) + k.min(n_steps) - 1,
                Checkpoints::Sqrt => Checkpoints::Every(block(n_steps)).n_slots(n_steps),
                Checkpoints::Binomial(c) | Checkpoints::Online(c) => c.min(n_steps),
            }
        }
    }

    /// States are the numbers of their steps.
    struct Recorder {
        state: usize,
        stack: Vec<usize>,
        most: usize,
        n_advances: usize,
        backs: Vec<usize>,
        end: usize,
    }

    impl Run for Recorder {
        fn advance(&mut self, from: usize, to: usize) -> Result<(), Error> {
            assert_eq!(self.state, from);
            assert!(to > from);
            self.n_advances += to - from;
            self.state = to;
            Ok(())
        }

        fn keep(&mut self) {
            self.stack.push(self.state);
            self.most = self.most.max(self.stack.len());
        }

        fn restore(&mut self) {
            self.state = *self.stack.last().expect("a state");
        }

        fn drop_top(&mut self) {
            self.stack.pop().expect("a state");
        }

        fn remove(&mut self, position: usize) {
            self.stack.remove(position);
        }

        fn has_ended(&mut self, t: usize) -> Result<bool, Error> {
            assert_eq!(self.state, t);
            Ok(self.state == self.end)
        }

        fn back(&mut self, t: usize) -> Result<(), Error> {
            assert_eq!(self.state, t);
            self.backs.push(t);
            Ok(())
        }
    }

    fn record(checkpoints: Checkpoints, n_steps: usize, end: usize) -> Recorder {
        let mut run = Recorder { state: 0, stack: Vec::new(), most: 0, n_advances: 0, backs: Vec::new(), end };
        there_and_back(checkpoints, n_steps, &mut run).unwrap();
        assert!(run.stack.is_empty());
        assert_eq!(run.backs, (0..n_steps.min(end)).rev().collect::<Vec<_>>(), "{checkpoints:?} {n_steps}");
        run
    }

    #[test]
    fn the_numbers_of_advances_are_those_of_the_literature() {
        for (n_steps, c, expected) in [(100, 5, 316), (100, 10, 222), (1000, 10, 3636), (1000, 20, 2747), (10_000, 20, 37_976)] {
            assert_eq!(advances(n_steps, c), expected);
        }
    }

    #[test]
    fn the_formula_is_the_least_over_all_schedules() {
        const N: usize = 40;
        let mut least = vec![[0_u128; N]; N];
        for c in 1..9 {
            for n in 2..N {
                least[c][n] = if c == 1 {
                    (n * (n - 1) / 2) as u128
                } else {
                    (1..n).map(|m| m as u128 + least[c - 1][n - m] + least[c][m]).min().unwrap()
                };
                assert_eq!(advances(n, c), least[c][n], "{n} steps, {c} states");
            }
        }
    }

    #[test]
    fn binomial_schedules_make_as_many_steps_as_the_formula_says_with_as_many_states() {
        for n_steps in 1..70 {
            for c in 1..9 {
                let run = record(Checkpoints::Binomial(c), n_steps, usize::MAX);
                assert_eq!(run.n_advances as u128, advances(n_steps, c), "{n_steps} steps, {c} states");
                assert!(run.most <= c && run.most <= Checkpoints::Binomial(c).n_slots(n_steps));
            }
        }
        assert_eq!(record(Checkpoints::Binomial(20), 10_000, usize::MAX).n_advances, 37_976);
    }

    #[test]
    fn other_schedules_keep_what_they_say() {
        for n_steps in 1..200 {
            let all = record(Checkpoints::All, n_steps, usize::MAX);
            assert_eq!((all.most, all.n_advances), (n_steps, n_steps - 1));
            let sqrt = record(Checkpoints::Sqrt, n_steps, usize::MAX);
            assert!(sqrt.most <= Checkpoints::Sqrt.n_slots(n_steps) && sqrt.most <= 2 * block(n_steps));
            assert!(sqrt.n_advances < 2 * n_steps);
            for k in [1, 2, 7, 50, 300] {
                let every = record(Checkpoints::Every(k), n_steps, usize::MAX);
                assert!(every.most <= Checkpoints::Every(k).n_slots(n_steps), "{k} {n_steps}: {}", every.most);
                assert!(every.n_advances < 2 * n_steps);
            }
        }
    }

    #[test]
    fn online_schedules_need_not_know_where_the_run_ends() {
        for end in 0..200 {
            for c in 1..8 {
                let run = record(Checkpoints::Online(c), 1000, end);
                assert!(run.most <= c, "{c} {end}: {}", run.most);
                // Not optimal, but far from making all steps for each.
                assert!(c < 3 || run.n_advances <= 6 * advances(end, c) as usize + end, "{c} {end}: {}", run.n_advances);
            }
        }
    }

    #[test]
    fn no_checkpoint_is_an_error() {
        for checkpoints in [Checkpoints::Every(0), Checkpoints::Binomial(0), Checkpoints::Online(0)] {
            assert!(checkpoints.check().is_err());
        }
    }
}
