//! Runs in files: what a file must agree with, and what is in it.

use std::any::type_name;
use std::path::Path;

use super::outer_loop::{Best, Progress};
use super::settings::Driver;
use super::{Method, Session};
use crate::checkpoint::{self, Identity};
use crate::solve::OuterOptimizer;
use crate::{BilevelProblem, Error, Float};

/// What a file must agree with. Method, inner solver and optimiser are known by all their settings.
pub(super) fn identity<P: BilevelProblem>(
    session: &Session<'_, P, impl Sized>,
    driver: &Driver<'_, P>,
    (method, inner_solver): (String, String),
    optimizer: String,
) -> Identity {
    let Driver { start, tolerances, held_out, checkpoint: _, on_step: _, cold_gap: _, progress: _ } = driver;
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("problem", type_name::<P>().to_owned()),
        ("inner variable", format!("{} {:?}", P::INNER_NAMES.join(", "), session.inner_shapes)),
        ("outer variable", format!("{} {:?}", P::OUTER_NAMES.join(", "), session.outer_shapes)),
        ("hash of the data", session.kernels.fingerprint()),
        ("float type", type_name::<P::Float>().to_owned()),
        ("method", method),
        ("inner solver", inner_solver),
        ("outer optimiser", optimizer),
        ("start", format!("{start:?}")),
        ("schedule of tolerances", format!("{tolerances:?}")),
        ("patience of early stopping", format!("{:?}", held_out.as_ref().map(|held_out| held_out.patience))),
    ]
}

const NUMBERS: [&str; 9] = ["progress", "outer", "inner", "first inner", "best", "best outer", "best inner", "outer optimiser", "method"];

fn exact<T: Float>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&x| Float::to_f64(x)).collect()
}

pub(super) fn save<P: BilevelProblem, M: Method<P, I>, I, O: OuterOptimizer<P::Float>>(
    path: &Path,
    identity: &Identity,
    progress: &Progress<P::Float>,
    (optimizer, state): (&O, &O::State),
    method: &M,
    session: &mut Session<'_, P, M::Memory>,
) -> Result<(), Error> {
    let Progress { step, seconds, first_inner, best } = progress;
    let Best { score, held_out, value, step: best_step, outer, inner } = best;
    let carried = method.save(&session.method_memory);
    let numbers = [
        vec![*step as f64, *seconds],
        exact(&session.outer),
        exact(&session.inner),
        exact(first_inner),
        vec![*score, held_out.unwrap_or(f64::NAN), value.to_f64(), *best_step as f64],
        exact(outer),
        exact(inner),
        optimizer.save(state),
        carried.clone(),
    ];
    let named: Vec<_> = NUMBERS.into_iter().zip(numbers).collect();
    checkpoint::write(path, identity, &named)?;
    // From here on both this run and one that goes on from the file know the same.
    method.restore(&mut session.method_memory, &carried);
    Ok(())
}

pub(super) fn restore<P: BilevelProblem, M: Method<P, I>, I, O: OuterOptimizer<P::Float>>(
    path: &Path,
    identity: &Identity,
    (optimizer, state): (&O, &mut O::State),
    method: &M,
    session: &mut Session<'_, P, M::Memory>,
) -> Result<Progress<P::Float>, Error> {
    let numbers = checkpoint::read(path, identity, &NUMBERS)?;
    let damaged = || checkpoint::refused(path, "its numbers are not as many as the settings of this run require".to_owned());
    let Ok([progress, outer, inner, first_inner, best, best_outer, best_inner, optimiser, carried]) = <[Vec<f64>; 9]>::try_from(numbers)
    else {
        return Err(damaged());
    };
    let (n_outer, n_inner) = (session.outer.len(), session.inner.len());
    let fits = progress.len() == 2
        && best.len() == 4
        && [&outer, &best_outer].iter().all(|x| x.len() == n_outer)
        && [&inner, &first_inner, &best_inner].iter().all(|x| x.len() == n_inner)
        && optimizer.restore(state, &optimiser)
        && method.restore(&mut session.method_memory, &carried);
    if !fits {
        return Err(damaged());
    }
    let floats = |x: &[f64]| -> Vec<P::Float> { x.iter().map(|&x| P::Float::from_f64(x)).collect() };
    session.outer.copy_from_slice(&floats(&outer));
    session.inner.copy_from_slice(&floats(&inner));
    Ok(Progress {
        step: progress[0] as usize,
        seconds: progress[1],
        first_inner: floats(&first_inner),
        best: Best {
            score: best[0],
            held_out: Some(best[1]).filter(|x| !x.is_nan()),
            value: P::Float::from_f64(best[2]),
            step: best[3] as usize,
            outer: floats(&best_outer),
            inner: floats(&best_inner),
        },
    })
}
