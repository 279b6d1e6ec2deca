//! Runs a rule over all coordinates: the step, its tangents, its cotangents.

use super::dual::{Dual, Number};
use super::hyper::Bound;
use crate::Float;

/// The rule of an optimiser for one coordinate: `S` numbers of state, `H` hyperparameters and `C` numbers that follow from these alone.
pub(super) trait Rule<const S: usize, const H: usize, const C: usize> {
    /// What follows from the hyperparameters in step `k`, which counts from 1.
    fn derived<N: Number>(hyper: &[N; H], k: i32) -> [N; C];

    /// The variable and the state after the step.
    fn apply<N: Number>(w: N, g: N, state: [N; S], hyper: &[N; H], derived: &[N; C]) -> (N, [N; S]);
}

/// A step: its index from 0, the lengths of the leaves of `w`, and the hyperparameters with the outer variable that holds them.
#[derive(Debug, Clone, Copy)]
pub struct At<'a, T> {
    pub(crate) step: usize,
    pub(crate) leaves: &'a [usize],
    pub(crate) hypers: &'a [Bound],
    pub(crate) outer: &'a [T],
}

impl<T: Float> At<'_, T> {
    /// Calls `f` with each leaf and its coordinates.
    fn each_leaf(&self, mut f: impl FnMut(usize, std::ops::Range<usize>)) {
        let mut start = 0;
        for (leaf, &len) in self.leaves.iter().enumerate() {
            f(leaf, start..start + len);
            start += len;
        }
    }

    /// The hyperparameters at a coordinate and what follows from them, made from their elements by `seed`, which is given the number of the
    /// hyperparameter. They are computed in `f64`: in `f32`, `1 − β₂ᵏ` would lose most of its digits in the first steps.
    #[inline(always)]
    fn hyper<R: Rule<S, H, C>, N: Number, const S: usize, const H: usize, const C: usize>(
        &self,
        leaf: usize,
        at: usize,
        seed: impl Fn(usize, usize) -> N::Wide,
    ) -> ([N; H], [N; C]) {
        let hyper: [N::Wide; H] = std::array::from_fn(|j| {
            let bound = &self.hypers[j];
            let element = bound.position(self.step, leaf, at).map_or(N::Wide::constant(0.0), |position| seed(j, position));
            bound.value(element)
        });
        let derived = R::derived(&hyper, self.k());
        (hyper.map(N::narrow), derived.map(N::narrow))
    }

    /// Whether no hyperparameter is part of the outer variable.
    pub(crate) fn has_constant_hypers(&self) -> bool {
        self.hypers.iter().all(|bound| matches!(bound, Bound::Constant(_)))
    }

    fn is_uniform(&self) -> bool {
        self.hypers.iter().all(Bound::is_uniform)
    }

    fn k(&self) -> i32 {
        i32::try_from(self.step + 1).unwrap_or(i32::MAX)
    }

    fn n(&self) -> usize {
        self.leaves.iter().sum()
    }
}

/// `s ← Φ(s, g)` for the state `s`, the variable and then the vectors of the optimiser.
pub(crate) fn step<R: Rule<S, H, C>, T: Float, const S: usize, const H: usize, const C: usize>(at: At<'_, T>, state: &mut [T], g: &[T]) {
    let n = at.n();
    at.each_leaf(|leaf, range| {
        let hyper_at = |i| at.hyper::<R, T, S, H, C>(leaf, i, |_, position| at.outer[position].to_f64());
        let mut run = |i: usize, hyper: &[T; H], derived: &[T; C]| {
            let buffers = std::array::from_fn(|s| state[(s + 1) * n + i]);
            let (w, buffers) = R::apply(state[i], g[i], buffers, hyper, derived);
            state[i] = w;
            for (s, buffer) in buffers.into_iter().enumerate() {
                state[(s + 1) * n + i] = buffer;
            }
        };
        if at.is_uniform() {
            let (hyper, derived) = hyper_at(range.start);
            range.for_each(|i| run(i, &hyper, &derived));
        } else {
            for i in range {
                let (hyper, derived) = hyper_at(i);
                run(i, &hyper, &derived);
            }
        }
    });
}

/// Tangents of a step at the state before it: `dot` from before to after, for a tangent of the gradient and of the outer variable.
pub(crate) fn jvp<R: Rule<S, H, C>, T: Float, const S: usize, const H: usize, const C: usize>(
    at: At<'_, T>,
    before: &[T],
    g: &[T],
    dot: &mut [T],
    g_dot: &[T],
    outer_dot: &[T],
) {
    let n = at.n();
    let dual = |value, tangent| Dual { value, along: [tangent] };
    at.each_leaf(|leaf, range| {
        let seed = |_, position: usize| Dual { value: at.outer[position].to_f64(), along: [outer_dot[position].to_f64()] };
        let hyper_at = |i| at.hyper::<R, Dual<T, 1>, S, H, C>(leaf, i, seed);
        let mut run = |i: usize, hyper: &[Dual<T, 1>; H], derived: &[Dual<T, 1>; C]| {
            let buffers = std::array::from_fn(|s| dual(before[(s + 1) * n + i], dot[(s + 1) * n + i]));
            let (w, buffers) = R::apply(dual(before[i], dot[i]), dual(g[i], g_dot[i]), buffers, hyper, derived);
            dot[i] = w.along[0];
            for (s, buffer) in buffers.into_iter().enumerate() {
                dot[(s + 1) * n + i] = buffer.along[0];
            }
        };
        if at.is_uniform() {
            let (hyper, derived) = hyper_at(range.start);
            range.for_each(|i| run(i, &hyper, &derived));
        } else {
            for i in range {
                let (hyper, derived) = hyper_at(i);
                run(i, &hyper, &derived);
            }
        }
    });
}

/// Cotangents of a step at the state before it: `bar` from after to before; that of the gradient is written, that of the outer variable is added.
/// `D` is `2 + S` where all hyperparameters are constant, and `2 + S + H` otherwise.
pub(crate) fn vjp<R: Rule<S, H, C>, T: Float, const S: usize, const H: usize, const C: usize, const D: usize>(
    at: At<'_, T>,
    before: &[T],
    g: &[T],
    bar: &mut [T],
    g_bar: &mut [T],
    outer_bar: &mut [T],
) {
    let n = at.n();
    let with_hypers = D > 2 + S;
    at.each_leaf(|leaf, range| {
        let seed = |j: usize, position: usize| Dual::variable(at.outer[position].to_f64(), 2 + S + j);
        let hyper_at = |i| at.hyper::<R, Dual<T, D>, S, H, C>(leaf, i, seed);
        // The cotangents of hyperparameters that are the same for the whole leaf are summed before they are added.
        let mut sums = [T::zero(); H];
        let mut run = |i: usize, hyper: &[Dual<T, D>; H], derived: &[Dual<T, D>; C]| -> [T; H] {
            let buffers = std::array::from_fn(|s| Dual::variable(before[(s + 1) * n + i], 2 + s));
            let (w, buffers) = R::apply(Dual::variable(before[i], 0), Dual::variable(g[i], 1), buffers, hyper, derived);
            let mut cotangents = [T::zero(); D];
            for (d, cotangent) in cotangents.iter_mut().enumerate() {
                *cotangent = bar[i] * w.along[d];
                for (s, buffer) in buffers.iter().enumerate() {
                    *cotangent += bar[(s + 1) * n + i] * buffer.along[d];
                }
            }
            bar[i] = cotangents[0];
            g_bar[i] = cotangents[1];
            for s in 0..S {
                bar[(s + 1) * n + i] = cotangents[2 + s];
            }
            std::array::from_fn(|j| if with_hypers { cotangents[2 + S + j] } else { T::zero() })
        };
        if at.is_uniform() {
            let (hyper, derived) = hyper_at(range.start);
            let first = range.start;
            for i in range {
                let cotangents = run(i, &hyper, &derived);
                for (sum, cotangent) in sums.iter_mut().zip(cotangents) {
                    *sum += cotangent;
                }
            }
            add(&at, leaf, first, &sums, outer_bar);
        } else {
            for i in range {
                let (hyper, derived) = hyper_at(i);
                let cotangents = run(i, &hyper, &derived);
                add(&at, leaf, i, &cotangents, outer_bar);
            }
        }
    });
}

/// Adds the cotangents of the hyperparameters at a coordinate to those of their elements.
fn add<T: Float>(at: &At<'_, T>, leaf: usize, i: usize, cotangents: &[T], outer_bar: &mut [T]) {
    for (bound, &cotangent) in at.hypers.iter().zip(cotangents) {
        if let Some(position) = bound.position(at.step, leaf, i) {
            outer_bar[position] += cotangent;
        }
    }
}
