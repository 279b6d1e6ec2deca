//! How an unrolled hypergradient was made.

use std::fmt;

use super::schedule::Checkpoints;
use crate::memory_size::MemorySize;

/// How an unrolled hypergradient was made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnrolledOutcome {
    /// Steps made by the inner optimiser; in an online run since the hypergradient before.
    pub n_steps: usize,
    /// Those of them, the last, that were differentiated.
    pub n_differentiated: usize,
    /// Which states were kept; none in forward mode.
    pub checkpoints: Option<Checkpoints>,
    /// Steps that were made again.
    pub n_remade: usize,
    /// Bytes of all states, gradients and tangents kept.
    pub n_bytes: usize,
    /// The largest `‖p_t‖ / ‖p_T‖` of the cotangents on the way back, `1` where they shrink; none in forward mode. Above 10⁶ the inner run is so unstable that
    /// the hypergradient says nothing about larger changes of `λ`.
    pub growth: Option<f64>,
    /// For an online run the step from which it went on: its hypergradient has tangents of earlier outer variables in it, unless that is 0.
    pub online: Option<usize>,
    /// Elements of tangents that [`Unrolled::clamp`](super::Unrolled::clamp) has changed.
    pub n_clamped: usize,
    /// Why the checkpoints are what they are, where [`Unrolled::memory`](super::Unrolled::memory) has chosen them.
    pub fit: Option<MemoryFit>,
}

/// How [`Unrolled::memory`](super::Unrolled::memory) has divided the memory. All sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryFit {
    /// The memory that there was.
    pub limit: usize,
    /// The buffers of the kernels: the activations of one gradient, and what its derivative keeps of them.
    pub activations: usize,
    /// The vectors of the method that do not depend on the number of states.
    pub vectors: usize,
    /// The states that fit into the rest.
    pub n_fitting: usize,
}

impl fmt::Display for MemoryFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [limit, activations, vectors] = [self.limit, self.activations, self.vectors].map(MemorySize::from);
        write!(
            f,
            "chosen for {limit}: beside {activations} of activations and {vectors} of vectors there is room for {} states",
            self.n_fitting
        )
    }
}

impl fmt::Display for UnrolledOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnrolledOutcome { n_steps, n_differentiated, checkpoints, n_remade, n_bytes, growth, online, n_clamped, fit } = self;
        write!(f, "unrolled: {n_steps} steps")?;
        if let Some(first) = online {
            write!(f, ", online from step {first} on")?;
        }
        if n_differentiated < n_steps {
            write!(f, ", of which the last {n_differentiated} were differentiated")?;
        }
        match checkpoints {
            Some(checkpoints) => write!(f, ", {checkpoints}, {n_remade} steps made again")?,
            None => f.write_str(", tangents of all outer variables")?,
        }
        write!(f, ", {n_bytes} bytes")?;
        if let Some(fit) = fit {
            write!(f, ", {fit}")?;
        }
        if *n_clamped > 0 {
            write!(f, "; inexact: {n_clamped} elements of tangents were clamped")?;
        }
        if let Some(growth) = growth.filter(|&growth| growth > GROWTH_LIMIT) {
            write!(f, "; warning: cotangents grow {growth:.1e} times on the way back, so that the inner run is unstable")?;
        }
        Ok(())
    }
}

/// Above this the report warns of an unstable inner run.
const GROWTH_LIMIT: f64 = 1e6;
