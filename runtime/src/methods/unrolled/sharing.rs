//! How many steps should share one hyperparameter.

/// What sharing one hyperparameter among `W` consecutive steps does to the error of its hypergradient.
///
/// The hypergradients of single steps scatter around their means with the variance `σ²`, two of them with a correlation of at most `c`, and the means drift by at
/// most `ε` from step to step. Their average over a window is nearer to what is meant the more steps it has, and farther the more the means have drifted:
/// `MSE ≤ σ² (1 + c (W − 1)) / W + ε² (W² − 1) / 12`. Micaelli and Storkey, *Gradient-based hyperparameter optimization over long horizons* (2021).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sharing {
    /// `σ`, the standard deviation of the hypergradient of one step.
    pub noise: f64,
    /// `c`
    pub correlation: f64,
    /// `ε`
    pub drift: f64,
}

impl Sharing {
    /// The bound on the mean squared error for windows of so many steps; for none it is infinite.
    #[must_use]
    pub fn error_bound(&self, window: usize) -> f64 {
        if window == 0 {
            return f64::INFINITY;
        }
        let (w, Sharing { noise, correlation, drift }) = (window as f64, *self);
        noise * noise * (1.0 + correlation * (w - 1.0)) / w + drift * drift * (w * w - 1.0) / 12.0
    }

    /// The length of windows with the least bound, of at most `n_steps`.
    #[must_use]
    pub fn best_window(&self, n_steps: usize) -> usize {
        (1..=n_steps.max(1)).min_by(|&a, &b| self.error_bound(a).total_cmp(&self.error_bound(b))).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_literature() {
        let still = Sharing { noise: 0.25, correlation: 0.0, drift: 0.0 };
        let drifting = Sharing { drift: 0.08, ..still };
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-15, "{found} and {expected}");
        close(still.error_bound(1), 0.0625);
        close(drifting.error_bound(1), 0.0625);
        close(still.error_bound(40), 0.001_562_5);
        close(drifting.error_bound(40), 0.854_362_5);
        assert_eq!(still.error_bound(0), f64::INFINITY);
        // Noise that is the same in all steps does not average out.
        close(Sharing { correlation: 1.0, ..still }.error_bound(40), 0.0625);
    }

    /// Means on a line drift as fast as they may: the mean squared distance from their average is the second term.
    #[test]
    fn the_drift_is_that_of_a_line() {
        let (drift, window) = (0.08, 40);
        let means: Vec<f64> = (0..window).map(|t| drift * t as f64).collect();
        let average = means.iter().sum::<f64>() / window as f64;
        let error = means.iter().map(|mean| (mean - average).powi(2)).sum::<f64>() / window as f64;
        assert!((Sharing { noise: 0.0, correlation: 0.0, drift }.error_bound(window) - error).abs() < 1e-13);
    }

    #[test]
    fn the_best_window_weighs_noise_against_drift() {
        let sharing = Sharing { noise: 0.25, correlation: 0.0, drift: 0.001 };
        let best = sharing.best_window(400);
        assert!((1..=400).all(|window| sharing.error_bound(best) <= sharing.error_bound(window)));
        // Where the derivative of the bound vanishes: W³ = 6 σ² / ε².
        assert!((best as f64 - (6.0_f64 * 0.0625 / 1e-6).cbrt()).abs() <= 1.0, "{best}");
        assert_eq!(Sharing { drift: 0.0, ..sharing }.best_window(400), 400);
        assert_eq!(Sharing { noise: 0.0, ..sharing }.best_window(400), 1);
    }
}
