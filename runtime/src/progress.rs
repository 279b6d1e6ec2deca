//! How far an outer minimisation has come, for people who wait for it.

/// Whether it is shown. Without the feature `progress` it never is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    #[cfg(feature = "progress")]
    is_shown: bool,
}

/// One minimisation on its way.
pub(crate) struct Bar {
    #[cfg(feature = "progress")]
    bar: indicatif::ProgressBar,
}

#[cfg(not(feature = "progress"))]
impl Progress {
    pub(crate) fn begin(self, _: usize, _: usize) -> Bar {
        Bar {}
    }
}

#[cfg(not(feature = "progress"))]
impl Bar {
    pub(crate) fn step(&mut self, _: usize, _: f64, _: f64) {}

    pub(crate) fn end(self) {}
}

#[cfg(feature = "progress")]
mod shown {
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

    use super::{Bar, Progress};

    const TEMPLATE: &str = "{pos}/{len} outer steps [{wide_bar}] {msg}, {eta} left";

    impl Progress {
        pub(crate) fn new(is_shown: bool) -> Self {
            Progress { is_shown }
        }

        /// Standard error is not written to where it is no terminal.
        pub(crate) fn begin(self, first_step: usize, n_steps: usize) -> Bar {
            if self.is_shown { Bar::on(ProgressDrawTarget::stderr(), first_step, n_steps) } else { Bar { bar: ProgressBar::hidden() } }
        }
    }

    impl Bar {
        pub(super) fn on(target: ProgressDrawTarget, first_step: usize, n_steps: usize) -> Self {
            // A run that fails leaves the bar where it was.
            let bar = ProgressBar::with_draw_target(Some(n_steps as u64), target).with_finish(ProgressFinish::Abandon);
            // The template is a constant; a bar without it would do as well.
            let bar = ProgressStyle::with_template(TEMPLATE).map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style));
            bar.set_position(first_step as u64);
            bar.reset_eta();
            Bar { bar }
        }

        pub(crate) fn step(&mut self, index: usize, value: f64, gradient_norm: f64) {
            // A text that nobody sees would still be an allocation in every step.
            if self.bar.is_hidden() {
                return;
            }
            self.bar.set_message(format!("loss {value:.4e}, hypergradient {gradient_norm:.1e}"));
            self.bar.set_position(index as u64 + 1);
        }

        pub(crate) fn end(self) {
            self.bar.abandon();
        }
    }
}

#[cfg(all(test, feature = "progress"))]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};

    use super::*;

    #[test]
    fn the_bar_says_where_the_run_is() {
        let terminal = InMemoryTerm::new(5, 120);
        let mut bar = Bar::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())), 2, 4);
        bar.step(2, 0.25, 1e-3);
        bar.bar.tick();
        assert!(terminal.contents().contains("3/4 outer steps"), "{}", terminal.contents());
        assert!(terminal.contents().contains("loss 2.5000e-1, hypergradient 1.0e-3"), "{}", terminal.contents());
        bar.step(3, 0.125, 1e-4);
        bar.end();
        assert!(terminal.contents().contains("4/4 outer steps") && terminal.contents().contains("1.2500e-1"), "{}", terminal.contents());
    }

    #[test]
    fn nothing_is_shown_unless_it_is_asked_for() {
        assert!(Progress::default().begin(0, 10).bar.is_hidden());
        assert!(Progress::new(false).begin(0, 10).bar.is_hidden());
        // Where standard error is no terminal, nothing is written to it even so.
        use std::io::IsTerminal;
        assert_eq!(Progress::new(true).begin(0, 10).bar.is_hidden(), !std::io::stderr().is_terminal());
    }
}
